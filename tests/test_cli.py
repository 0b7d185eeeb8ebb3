"""The commands as a user calls them: in a process of their own, by exit code and what they print."""

import json
import os
import subprocess
import sys

import pytest

RECIPE = """
candidates: [dense-small, {source: "builtin:lenet", name: "<b>net</b> [red]"}]
datasets: [{source: digits, train: 120, validation: 60, test: 60}]
training: {mode: all, epochs: 3}
recording: {neurons: 4}
"""


def ncore(*arguments, cwd=None):
    environment = os.environ | {"COLUMNS": "160", "PYTHONWARNINGS": "error::DeprecationWarning:ncore"}
    command = [sys.executable, "-c", "from ncore.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=cwd)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store that `ncore sweep` made."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "recipe.yaml").write_text(RECIPE)
    result = ncore("sweep", "recipe.yaml", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "done dense-small" in result.stdout
    return folder / "runs"


def test_sweep_again_skips(store):
    result = ncore("sweep", str(store.parent / "recipe.yaml"))
    assert result.returncode == 0
    assert result.stdout.count("skipped") == 2


def test_runs_and_rank_as_tables_and_json(store):
    table = ncore("runs", str(store))
    assert table.returncode == 0
    assert "<b>net</b> [red]" in table.stdout  # names are text, whatever they hold
    rows = json.loads(ncore("runs", str(store), "--json").stdout)
    assert {row["status"] for row in rows} == {"finished"}
    ranking = ncore("rank", str(store), "--epochs", "2", "--method", "last", "--json")
    assert [row["rank"] for row in json.loads(ranking.stdout)] == [1, 2]
    shown = ncore("rank", str(store), "--epochs", "2")
    assert "How to read it" in shown.stdout
    assert "90% interval" in shown.stdout
    assert "capacitance-signed" in ncore("rank", str(store), "--method", "help").stdout


def test_verify_exits_with_1_and_names_what_is_damaged(store, tmp_path):
    import shutil

    assert ncore("verify", str(store)).returncode == 0
    shutil.copytree(store, tmp_path / "copy")
    victim = next((tmp_path / "copy").glob("*/metrics.parquet"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    result = ncore("verify", str(tmp_path / "copy"))
    assert result.returncode == 1
    assert "metrics.parquet" in result.stdout
    findings = json.loads(ncore("verify", str(tmp_path / "copy"), "--json").stdout)
    assert len(findings) == 1


def test_failures_are_one_line_and_exit_with_1(tmp_path):
    for arguments, match in (
        (("rank", str(tmp_path / "nowhere")), "nowhere"),
        (("runs", str(tmp_path)), "store"),
        (("sweep", str(tmp_path / "no.yaml")), "no.yaml"),
        (("probe", "lenett", "--store", str(tmp_path / "s")), "lenet"),
        (("sweep", "x.yaml", "--engine", "slurm"), "slurm"),
    ):
        result = ncore(*arguments)
        assert result.returncode == 1, arguments
        assert match in result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
        assert result.stderr.startswith("ncore: ")
    assert "Traceback" in ncore("--debug", "runs", str(tmp_path)).stderr


def test_wrong_usage_exits_with_2():
    assert ncore("rank").returncode == 2
    assert ncore("nonsense").returncode == 2
    assert ncore("rank", "x", "--epochs", "0").returncode == 2


def test_a_probe_that_fails_exits_with_1_and_is_recorded(tmp_path):
    result = ncore("probe", "python:no_such_module:make", "--store", str(tmp_path / "s"), "--epochs", "1")
    assert result.returncode == 1
    assert "no_such_module" in result.stdout + result.stderr
    rows = json.loads(ncore("runs", str(tmp_path / "s"), "--json").stdout)
    assert [row["status"] for row in rows] == ["failed"]


def test_importing_stays_light():
    code = "import sys, ncore, ncore.store, ncore.predict; print([m for m in ('torch', 'sklearn') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["sweep", "--help"],
        ["runs", "STORE"],
        ["verify", "STORE"],
        ["rank", "STORE", "--epochs", "2"],
        ["rank", "STORE", "--method", "help"],
        ["report", "STORE", "--epochs", "2", "-o", "OUTPUT"],
        ["evaluate", "--quick"],
        ["dashboard", "--port", "0"],  # which is refused when all is imported and the sample runs are found
        ["dashboard", "STORE", "--port", "0"],
        ["dashboard", "--public", "--secrets", "nowhere.toml"],
    ],
    ids=" ".join,
)
def test_commands_that_do_not_train_do_without_torch(store, tmp_path, arguments):
    """It takes seconds and hundreds of megabytes."""
    given = [{"STORE": str(store), "OUTPUT": str(tmp_path / "report.html")}.get(word, word) for word in arguments]
    code = (
        "import atexit, sys; from ncore.cli import main\n"
        "atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))\n"
        "main()"
    )
    result = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == (1 if "dashboard" in given else 0), result.stderr
    assert result.stderr.splitlines()[-1] == "False"
    assert "Traceback" not in result.stderr


def test_without_the_source_it_says_where_the_sample_runs_are(tmp_path):
    """As installed from a wheel, which has the packages only."""
    import shutil
    from pathlib import Path

    import ncore_dashboard

    import ncore as package

    for module in (package, ncore_dashboard):
        place = Path(module.__file__).parent
        shutil.copytree(place, tmp_path / place.name, ignore=shutil.ignore_patterns("results", "__pycache__"))
    code = "import ncore; print(ncore.__file__); from ncore.cli import main; main()"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code, "dashboard", "--no-browser"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert result.stdout.startswith(str(tmp_path))
    assert result.returncode == 1
    assert "sample runs come with the source" in result.stderr
    assert "`ncore demo`" in result.stderr
    assert result.stderr.count("\n") == 1


def test_every_public_name_is_there():
    import ncore as package

    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_delete_asks_and_leaves_what_is_being_recorded(store, tmp_path):
    import shutil

    from ncore.store import open_store

    copy = str(shutil.copytree(store, tmp_path / "copy"))
    first, second = open_store(copy).run_ids()
    assert ncore("delete", copy, first).returncode == 1  # nobody is there to say yes
    assert ncore("delete", copy).returncode == 2
    unknown = ncore("delete", copy, first, "no-such-run", "--yes")
    assert unknown.returncode == 1
    assert f"There is no run no-such-run in {copy}: `ncore runs {copy} --json` lists the ids." in unknown.stderr
    assert len(open_store(copy).run_ids()) == 2
    assert ncore("delete", copy, first, first, "-y").stdout == f"deleted {first}\n"
    with open_store(copy).new_run(candidate="c", dataset="d", seed=0, mode="all", run_id="now"):
        busy = ncore("delete", copy, "now", "--yes")
    assert busy.returncode == 1
    assert busy.stderr == "ncore: Run now is being recorded: stop that first.\n"
    assert open_store(copy).run_ids() == sorted([second, "now"])


def test_a_run_that_cannot_be_read_is_shown_and_does_not_end_the_others(store, tmp_path):
    import shutil

    copy = shutil.copytree(store, tmp_path / "copy")
    manifest = next(copy.glob("*/run.json"))
    manifest.write_bytes(manifest.read_bytes()[:-9])
    (copy / "linked").symlink_to(copy / manifest.parent.name)
    shown = ncore("runs", str(copy))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("unreadable") == 2
    checked = ncore("verify", str(copy))
    assert checked.returncode == 1
    assert "is a symbolic link to a run" in " ".join(checked.stdout.split())
    assert "Finding(" not in checked.stdout
