"""Recorders that were left by an exception: in functions, threads, notebooks, trainers, and at the end of a process."""

import concurrent.futures
import contextlib
import gc
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import ncore
from ncore.errors import StoreError

LOSS = nn.CrossEntropyLoss()
X, Y = torch.randn(32, 5, generator=torch.Generator().manual_seed(3)), torch.arange(32) % 3
ROOT = Path(ncore.__file__).parents[1]


class WireError(Exception):
    """What loops are broken with."""


def recorder(place, **options):
    options = {"loss": LOSS, "candidate": "c", "dataset": "d", "epochs": 4} | options
    return ncore.Recorder(place, None, unit=ncore.NCPUnit(5, 3, widths=(8, 8, 8)), probe=(X, Y), **options)


def ended(place):
    """Status and reason, once the run is closed by whoever does that."""
    until = time.monotonic() + 60
    while ncore.open_store(place).runs().iloc[0]["status"] == "running" and time.monotonic() < until:
        time.sleep(0.02)
    row = ncore.open_store(place).runs().iloc[0]
    return row["status"], row["reason"]


def broken(place, **options):
    record = recorder(place, **options)
    record.record(validation={"accuracy": 0.5})
    raise WireError("loose")


def in_a_function(place):
    with contextlib.suppress(WireError):
        broken(place)


def in_a_generator(place):
    def epochs():
        record = recorder(place)
        for _ in range(3):
            record.record(validation={"accuracy": 0.5})
            yield

    for _ in epochs():
        break


def in_a_pool(place):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert isinstance(pool.submit(broken, place).exception(), WireError)


def in_a_thread(place):
    def target():
        with contextlib.suppress(WireError):
            broken(place)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()


def in_a_cycle(place):
    def loop():
        kept = {"recorder": recorder(place)}
        kept["itself"] = kept

    loop()
    gc.collect()


@pytest.mark.parametrize("loop", [in_a_function, in_a_generator, in_a_pool, in_a_thread, in_a_cycle])
def test_a_run_fails_at_once_when_its_recorder_is_dropped(tmp_path, loop):
    loop(tmp_path)
    status, reason = ended(tmp_path)
    assert status == "failed"
    assert re.fullmatch(r"the recorder was left after epoch [01] of 4, without finish\(\)", reason)


@pytest.mark.parametrize("loop", [in_a_function, in_a_generator, in_a_pool, in_a_thread, in_a_cycle])
def test_what_was_dropped_can_be_gone_on_with_at_once(tmp_path, loop):
    loop(tmp_path)
    with recorder(tmp_path, resume=True, when_recorded="replace") as record:
        record.record(validation={"accuracy": 0.6})
    assert ended(tmp_path)[0] == "finished"


@pytest.mark.parametrize(("epochs", "status"), [(4, "failed"), (1, "interrupted"), (None, "interrupted")])
def test_only_what_is_short_of_its_plan_has_failed(tmp_path, epochs, status):
    """All that was planned may be there, and only ``finish`` was forgotten."""
    recorder(tmp_path, epochs=epochs).record(validation={"accuracy": 0.5})
    gc.collect()
    assert ended(tmp_path)[0] == status


def test_a_block_keeps_the_reason(tmp_path):
    with pytest.raises(WireError), recorder(tmp_path):
        raise WireError("loose")
    assert ended(tmp_path) == ("failed", "WireError: loose")


def test_a_new_recorder_takes_over_and_the_former_says_so(tmp_path):
    first = recorder(tmp_path)
    with pytest.raises(StoreError, match=r"another recorder of this process.*resume=True.*finish\(\).*run_id="):
        recorder(tmp_path)
    with recorder(tmp_path, run_id="another"):
        pass
    first.record(validation={"accuracy": 0.5})
    second = recorder(tmp_path, resume=True, when_recorded="replace")
    with pytest.raises(StoreError, match=r"another recorder took it over.*resume=True"):
        first.record(validation={"accuracy": 0.5})
    second.record(validation={"accuracy": 0.6})
    second.finish()
    assert set(ncore.open_store(tmp_path).runs()["status"]) == {"finished"}


def test_a_block_is_not_taken_over(tmp_path):
    with recorder(tmp_path) as record:
        with pytest.raises(StoreError, match=r"let its block end first.*run_id="):
            recorder(tmp_path, resume=True)
        record.record(validation={"accuracy": 0.5})
    assert ended(tmp_path)[0] == "finished"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_was_forked_off_ends_nothing(tmp_path):
    code = f"""
        import os, gc
        record = recorder({str(tmp_path)!r})
        if os.fork() == 0:
            del record
            gc.collect()
            os._exit(0)
        os.wait()
        record.record(validation={{"accuracy": 0.5}})
        record.finish()
    """
    assert script(code).returncode == 0
    assert ended(tmp_path)[0] == "finished"


# The end of a process

HEAD = """
import sys
sys.path[:0] = [{tests!r}]
from test_left_behind import *
"""


def script(code, *arguments):
    head = HEAD.format(tests=str(Path(__file__).parent))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-W", "ignore:.*fork:DeprecationWarning", "-c", head + textwrap.dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("broken({!r})", "failed", "WireError: loose"),
        ("record = recorder({!r}); raise WireError('loose')", "failed", "WireError: loose"),
        ("record = recorder({!r}); raise KeyboardInterrupt", "interrupted", None),
        ("record = recorder({!r})", "interrupted", None),
    ],
)
def test_a_script_that_ends(tmp_path, code, status, reason):
    script(code.format(str(tmp_path)))
    assert ended(tmp_path) == (status, reason)


# Notebooks

CELLS = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.user_ns.update(globals())
for place, cells in json.loads(sys.argv[1]):
    shell.user_ns["place"] = place
    for cell in cells:
        if cell == "?":
            print("SEEN", json.dumps([place, *ended(place)]))
        else:
            shell.run_cell(cell)
"""
LOOP = """
for _ in range(2):
    r.record(validation={"accuracy": 0.5})
    """
CLASS = """
class Loop:
    def run(self):
        self.r.record(validation={"accuracy": 0.5})
        raise WireError("loose")
"""
BREAK = """
def fall():
    raise WireError("loose")
"""
AGAIN = """
with recorder(place, resume=True, when_recorded="replace") as r:
    r.record(validation={"accuracy": 0.6})
"""
FAILED, FINISHED = ["failed", "WireError: loose"], ["finished", None]
NOTEBOOKS = {
    "in the cell that made it": (
        ["r = recorder(place)" + LOOP + "raise WireError('loose')", "?", AGAIN, "?"],
        [FAILED, FINISHED],
    ),
    "in the cell after": (
        ["r = recorder(place)", LOOP + "raise WireError('loose')", "?", AGAIN, "?"],
        [FAILED, FINISHED],
    ),
    "before the first epoch": (
        ["r = recorder(place)", BREAK + LOOP.replace("    r.rec", "    fall()\n    r.rec"), "?", AGAIN, "?"],
        [FAILED, FINISHED],
    ),
    "as an argument": (
        ["r = recorder(place)", BREAK + "def train(given):\n    fall()\ntrain(r)", "?", AGAIN, "?"],
        [FAILED, FINISHED],
    ),
    "in a function": (["broken(place)", "?", AGAIN, "?"], [FAILED, FINISHED]),
    "as an attribute": (
        [CLASS, "loop = Loop()\nloop.r = recorder(place)", "loop.run()", "?", AGAIN, "?"],
        [FAILED, FINISHED],
    ),
    "in a trainer": (
        [
            "from test_integrations import BrokenError, transformers_callback, transformers_run",
            "import transformers\ncallback = transformers_callback(place)\n"
            "transformers_run(transformers, place, [callback], BrokenError('a fuse'))",
            "?",
        ],
        [["failed", "BrokenError: a fuse"]],
    ),
    "by Ctrl-C": (["r = recorder(place)", LOOP + "raise KeyboardInterrupt", "?"], [["interrupted", None]]),
    "elsewhere": (
        ["r = recorder(place)", BREAK + "fall()", "1 +", LOOP + "pass", "r.finish()", "?"],
        [FINISHED],
    ),
    "and used again": (["r = recorder(place)", LOOP + "raise WireError('loose')", LOOP + "pass", "?"], [FAILED]),
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What one notebook with all these cells has shown: by name, status and reason; and all that was printed."""
    pytest.importorskip("IPython")
    place = tmp_path_factory.mktemp("notebooks")
    cells = [(str(place / name), cells) for name, (cells, _) in NOTEBOOKS.items()]
    done = script(CELLS, json.dumps(cells))
    assert done.returncode == 0, done.stderr
    seen = {}
    for line in done.stdout.splitlines():
        if line.startswith("SEEN "):
            where, status, reason = json.loads(line[5:])
            seen.setdefault(Path(where).name, []).append([status, reason])
    return seen, done.stdout


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_in_a_notebook_what_a_cell_has_broken_fails_at_once_and_can_be_gone_on_with(shown, name):
    assert shown[0][name] == NOTEBOOKS[name][1]


def test_a_recorder_that_a_cell_has_ended_says_how_to_go_on(shown):
    assert "was closed, as its loop was ended by WireError: make the recorder again, resume=True" in shown[1]
