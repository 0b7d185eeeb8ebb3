"""A finished run stands for a job only if it is what would be recorded now; whatever differs is said, never glued."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import ncore
from ncore.errors import StoreError
from ncore.probe.candidates import load_candidate, save_backbone
from ncore.probe.datasets import load_dataset
from ncore.store.manifest import Manifest
from ncore.sweep import Recipe, sweep
from ncore.sweep.deciding import Decider
from ncore.sweep.plan import plan
from ncore.sweep.running import execute, run_id

VALUES = {
    "candidates": ["dense-small"],
    "datasets": ["folder:data"],
    "training": {"mode": "unit", "epochs": 3, "device": "cpu"},
    "recording": {"neurons": 4, "line_graph_every": 0},
    "store": "runs",
}
WAYS = (1, 2, None)  # left after so many epochs, or finished


def go(recipe, until=None, **rest):
    jobs = [job.model_copy(update={"until": until}) for job in recipe.jobs]
    return sweep(jobs, recipe.store_place, engine=lambda jobs, store: ((j, execute(j, store)) for j in jobs), **rest)


def pictures(root, count=14, seed=0, names="ab"):
    rng = np.random.default_rng(seed)
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = rng.integers(0, 150, (12, 12)) + 100 * (label % 2)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{index:02d}.png")


def recipe(tmp_path, **changes):
    return Recipe.parse(VALUES | changes, base=str(tmp_path))


def one_pixel(root):
    path = root / "a" / "03.png"
    pixels = np.asarray(Image.open(path)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(path)


def another_label(root):
    (root / "a" / "03.png").rename(root / "b" / "99.png")


def one_more(root):
    Image.fromarray(np.arange(144, dtype=np.uint8).reshape(12, 12)).save(root / "a" / "99.png")


def one_less(root):
    (root / "b" / "00.png").unlink()


def another_class_name(root):
    (root / "b").rename(root / "c")


def all_others(root):
    pictures(root, seed=1)


def another_format(root):
    path = root / "a" / "03.png"
    Image.open(path).save(path.with_suffix(".bmp"))
    path.unlink()


def written_again(root):
    for path in sorted(root.rglob("*.png")):
        Image.open(path).save(path, compress_level=1)


@pytest.mark.parametrize("until", WAYS)
@pytest.mark.parametrize("change", [one_pixel, another_label, one_more, one_less, another_class_name, all_others])
def test_other_pictures_under_the_same_name_are_refused(tmp_path, change, until):
    """The dry-run says what the sweep then does, and a process that goes on by itself refuses, too."""
    pictures(tmp_path / "data")
    asked = recipe(tmp_path)
    go(asked, until)
    before = ncore.open_store(asked.store_place).run(run_id(asked.jobs[0])).manifest
    change(tmp_path / "data")
    (row,) = plan(asked.jobs, asked.store_place).to_dict("records")
    (result,) = go(asked)
    assert row["action"] == "refuse"
    assert (result.outcome, result.reason) == ("refused", row["reason"])
    assert ("finished" if until is None else "begun") in row["reason"]
    assert "'data' has now (digest " in row["reason"]
    assert "`ncore delete`" in row["reason"]
    store = ncore.open_store(asked.store_place)
    if until is not None:
        with pytest.raises(StoreError, match="'data' has now"):
            asked.jobs[0].run(store)
    after = store.run(before.run).manifest
    assert (after.status, after.epochs, after.digests) == (before.status, before.epochs, before.digests)


@pytest.mark.parametrize("until", WAYS)
@pytest.mark.parametrize("change", [another_format, written_again])
def test_the_same_pictures_in_other_files_are_the_same_data(tmp_path, change, until):
    pictures(tmp_path / "data")
    asked = recipe(tmp_path)
    go(asked, until)
    change(tmp_path / "data")
    (row,) = plan(asked.jobs, asked.store_place).to_dict("records")
    assert row["action"] == ("skip" if until is None else "resume")
    (result,) = go(asked)
    assert result.outcome == ("skipped" if until is None else "finished")


@pytest.mark.parametrize("until", WAYS)
def test_another_cut_of_the_same_pictures_is_told_from_other_pictures(tmp_path, until):
    pictures(tmp_path / "data")
    asked = recipe(tmp_path)
    go(asked, until)
    for name in "ab":  # the same pictures under other names, and so in another order
        paths = sorted((tmp_path / "data" / name).iterdir())
        for index, path in enumerate(reversed(paths)):
            path.rename(path.with_name(f"x{index:02d}.png"))
    (row,) = plan(asked.jobs, asked.store_place).to_dict("records")
    (result,) = go(asked)
    assert row["action"] == "refuse"
    assert "another cut of the data" in row["reason"]
    assert result.reason == row["reason"]


def weights(path, seed):
    torch.manual_seed(seed)
    image = load_dataset("digits").shape
    save_backbone(load_candidate("lenet-small", seed=seed, shape=image), path)


def factory(path, width):
    path.write_text(
        "from torch import nn\n\ndef make():\n"
        f"    return nn.Sequential(nn.Flatten(), nn.Linear(64, {width}), nn.ReLU())\n"
    )


@pytest.mark.parametrize("until", WAYS)
@pytest.mark.parametrize("kind", ["file", "weights", "python"])
def test_other_weights_under_the_same_name_are_refused(tmp_path, kind, until):
    for seed in (0, 1):
        weights(tmp_path / f"{seed}.safetensors", seed)
    now = tmp_path / "now.safetensors"
    now.write_bytes((tmp_path / "0.safetensors").read_bytes())
    module = f"their_{kind}_{until}"
    factory(tmp_path / f"{module}.py", 8)
    candidate = {
        "file": {"source": "file:now.safetensors", "architecture": "lenet-small", "name": "mine"},
        "weights": {"source": "lenet-small", "pretrained": True, "weights": "now.safetensors", "name": "mine"},
        "python": {"source": f"python:{module}:make", "name": "mine", "input_size": 8, "channels": 1},
    }[kind]
    digits = [{"source": "digits", "train": 60, "validation": 30, "test": 30}]
    asked = recipe(tmp_path, candidates=[candidate], datasets=digits)
    (result,) = go(asked, until)
    assert result.outcome == ("finished" if until is None else "stopped"), result.reason
    (row,) = plan(asked.jobs, asked.store_place).to_dict("records")
    assert row["action"] == ("skip" if until is None else "resume")
    now.write_bytes((tmp_path / "1.safetensors").read_bytes())
    factory(tmp_path / f"{module}.py", 9)
    sys.modules.pop(module, None)
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    (row,) = plan(asked.jobs, asked.store_place).to_dict("records")
    (result,) = go(asked)
    sys.modules.pop(module, None)
    assert row["action"] == "refuse"
    assert "with other weights than 'mine' has now" in row["reason"]
    assert (result.outcome, result.reason) == ("refused", row["reason"])


def test_a_factory_that_gives_others_each_time_is_not_refused_for_it(tmp_path):
    (tmp_path / "unsteady.py").write_text(
        "import numpy as np\nimport torch\nfrom torch import nn\n\ndef make():\n"
        "    layer = nn.Linear(64, 8)\n"
        "    layer.weight.data = torch.from_numpy(np.random.default_rng().random((8, 64), dtype=np.float32))\n"
        "    return nn.Sequential(nn.Flatten(), layer, nn.ReLU())\n"
    )
    candidate = {"source": "python:unsteady:make", "input_size": 8, "channels": 1}
    digits = [{"source": "digits", "train": 60, "validation": 30, "test": 30}]
    asked = recipe(tmp_path, candidates=[candidate], datasets=digits)
    go(asked)
    assert [result.outcome for result in go(asked)] == ["skipped"]


@pytest.mark.parametrize(("before", "now", "told"), [
    ({"prediction_rows": 0}, {}, "predictions of single examples (`prediction_rows`)"),
    ({"prediction_rows": 10}, {}, "predictions of single examples of every epoch"),
    ({}, {"prediction_rows": 0}, ""),
    ({}, {"prediction_rows": 10}, ""),
    ({"prediction_rows": 0}, {"prediction_rows": 0}, ""),
])  # fmt: skip
def test_a_finished_run_that_recorded_less_than_is_asked_for_is_not_skipped(tmp_path, before, now, told):
    digits = [{"source": "digits", "train": 60, "validation": 30, "test": 30}]
    then, asked = (
        recipe(
            tmp_path,
            datasets=digits,
            recording=VALUES["recording"] | changes,
            training=VALUES["training"] | {"epochs": 6},
        )
        for changes in (before, now)
    )
    assert run_id(then.jobs[0]) == run_id(asked.jobs[0])
    go(then)
    (result,) = go(asked)
    assert result.outcome == ("refused" if told else "skipped")
    assert told in result.reason


def test_a_setting_that_changed_meanwhile_is_said(tmp_path):
    """As a later version may resolve another value for what was asked: written into the run as it would have been."""
    digits = [{"source": "digits", "train": 60, "validation": 30, "test": 30}]
    asked = recipe(tmp_path, datasets=digits)
    go(asked)
    path = tmp_path / "runs" / run_id(asked.jobs[0]) / "run.json"
    _rewrite(path, lambda content: content["resolved"]["training"].update(weight_decay=0.5, threads=64))
    (result,) = go(asked)
    assert result.outcome == "refused"
    assert "with other settings than now (training.weight_decay 0.5, not 0.01)" in result.reason


@pytest.mark.parametrize("left", ["fingerprint", "nothing"])
@pytest.mark.parametrize("changed", [True, False])
def test_runs_from_before_are_compared_by_what_they_have(tmp_path, left, changed):
    pictures(tmp_path / "data")
    asked = recipe(tmp_path)
    go(asked)

    def older(content):
        for name in ("resolved", "digests", "costs"):
            content[name] = {}
        content["tables"].pop("predictions")
        content["files"] = {path: entry for path, entry in content["files"].items() if "predictions" not in path}
        if left == "nothing":
            content["info"].pop("dataset_fingerprint")

    _rewrite(tmp_path / "runs" / run_id(asked.jobs[0]) / "run.json", older)
    if changed:
        one_more(tmp_path / "data")
    (result,) = go(asked)
    assert result.outcome == ("refused" if changed and left == "fingerprint" else "skipped")


def _rewrite(path, change):
    """Change a manifest, with its checksum made right."""
    content = Manifest.from_bytes(path.read_bytes(), "run.json").model_dump(mode="json", by_alias=True)
    change(content)
    path.write_bytes(Manifest.model_validate(content).to_bytes())


@pytest.mark.parametrize("until", WAYS)
def test_data_that_cannot_be_looked_at_now_are_said(tmp_path, until):
    pictures(tmp_path / "data")
    asked = recipe(tmp_path)
    go(asked, until)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    (row,) = plan(asked.jobs, asked.store_place).to_dict("records")
    if until is None:
        assert row["action"] == "skip"
        assert "its data can't be looked at now" in row["reason"]
    else:
        assert row["action"] == "resume"  # and the run says what is missing


def test_each_dataset_is_looked_at_once(tmp_path, monkeypatch):
    pictures(tmp_path / "data")
    asked = recipe(tmp_path, candidates=["dense-small", "lenet-small"], seeds=[0, 1])
    go(asked)
    from ncore.sweep import deciding

    seen, look = [], deciding.data_now
    monkeypatch.setattr(deciding, "data_now", lambda *given: seen.append(given) or look(*given))
    decider = Decider(ncore.open_store(asked.store_place))
    assert {str(decider.decide(job, run_id(job)).action) for job in asked.jobs} == {"skip"}
    assert len(seen) == 1


def test_weights_of_a_hub_folder_are_files_too(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        num_channels=1, embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", num_labels=3
    )

    def save(seed):
        torch.manual_seed(seed)
        model = transformers.ResNetForImageClassification(config)
        (tmp_path / "net").mkdir(exist_ok=True)
        config.architectures = ["ResNetForImageClassification"]
        config.save_pretrained(tmp_path / "net")
        save_file(
            {name: value.contiguous() for name, value in model.state_dict().items()},
            tmp_path / "net" / "model.safetensors",
            metadata={"format": "pt"},
        )

    save(0)
    candidate = {"source": "hf:net", "input_size": 32, "channels": 1}
    digits = [{"source": "digits", "train": 60, "validation": 30, "test": 30}]
    asked = recipe(tmp_path, candidates=[candidate], datasets=digits)
    (result,) = go(asked)
    assert result.outcome == "finished", result.reason
    assert [result.outcome for result in go(asked)] == ["skipped"]
    save(1)
    (result,) = go(asked)
    assert "other weights" in result.reason


@pytest.mark.parametrize("kind", ["file", "weights"])
def test_further_seeds_from_a_file_that_was_replaced_are_ranked_apart(tmp_path, kind):
    for seed in (0, 1):
        weights(tmp_path / f"{seed}.safetensors", seed)
    now = tmp_path / "now.safetensors"
    candidate = {
        "file": {"source": "file:now.safetensors", "architecture": "lenet-small", "name": "mine"},
        "weights": {"source": "lenet-small", "pretrained": True, "weights": "now.safetensors", "name": "mine"},
    }[kind]
    digits = [{"source": "digits", "train": 60, "validation": 30, "test": 30}]
    for seeds, weight in (([0, 1], 0), ([2], 1)):
        now.write_bytes((tmp_path / f"{weight}.safetensors").read_bytes())
        go(recipe(tmp_path, candidates=[candidate], datasets=digits, seeds=seeds))
    table = ncore.rank(tmp_path / "runs", method="last")
    assert sorted(table["seeds"]) == [1, 2]
    assert table["candidate"].str.startswith("mine (weights ").all()
