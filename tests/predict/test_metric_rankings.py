"""Rankings by other metrics than accuracy: from real training with rare classes, and of what runs have recorded."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from typer.testing import CliRunner

import ncore
from ncore.cli import app
from ncore.errors import InputError
from ncore.predict import Curve, Past, Ranker, Task, curves_from_store, metric_of_recipe, rank_curves
from ncore.predict.by_class import all_metrics, by_class
from ncore.predict.predictors.registry import get_predictor
from ncore.predict.widening import UNCALIBRATED, Widened
from ncore.scores.metrics import get_metric, metric_names
from ncore.sweep.recipe import Recipe

RARE = 50


def rare_pictures(size, seed):
    """Of fifty pictures one has a faint square."""
    rng = np.random.default_rng(seed)
    labels = (rng.permutation(size) % RARE == 0).astype(int)
    pictures = rng.normal(128, 25, (size, 8, 8))
    pictures[labels == 1, 2:6, 2:6] += 45
    return np.clip(pictures, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """Candidates that always say the frequent class, that learn both, and that only see noise in a few wrong ones."""
    folder = tmp_path_factory.mktemp("rare")
    arrays = {}
    for seed, (split, size) in enumerate({"train": 3000, "validation": 2000, "test": 2000}.items()):
        arrays[f"x_{split}"], arrays[f"y_{split}"] = rare_pictures(size, seed)
    np.savez(folder / "rare.npz", **arrays)
    recipe = Recipe.parse(
        {
            # The first says the frequent class of everything; the second is weighed by a high rate, and finds the rare.
            "candidates": [
                {"source": "dense", "name": "frequent", "training": {"learning_rate": 1e-5}},
                {"source": "dense", "name": "finds", "training": {"learning_rate": 3e-3}},
            ],
            "datasets": [{"source": f"numpy:{folder / 'rare.npz'}", "name": "rare"}],
            "training": {"mode": "all", "epochs": 4, "device": "cpu"},
            "recording": {"neurons": 4, "line_graph_every": 0},
            "store": str(folder / "runs"),
            "metric": "balanced-accuracy",
        }
    )
    store = ncore.create_store(recipe.store_place)
    for job in recipe.jobs:
        job.run(store)
    # A third, as other people's loops record: it calls one in ten rare, which finds nearly all of these.
    labels, chances = arrays["y_test"], np.random.default_rng(9).random(2000)
    predicted = np.where(labels == 1, chances < 0.95, chances < 0.06).astype(int)
    _loop(store, "bold", labels, predicted)
    return store


def _loop(store, candidate, labels, predicted, epochs=4, seed=0, **rest):
    unit = ncore.NCPUnit(4, classes=2, widths=(8, 8, 8))
    x, y = torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 2
    about = {"candidate": candidate, "dataset": "rare", "epochs": epochs, "mode": "all", "seed": seed}
    with ncore.Recorder(store, None, unit=unit, probe=(x, y), loss=torch.nn.CrossEntropyLoss(), **about) as own:
        accuracy = float((labels == predicted).mean())
        for _ in range(epochs):
            columns = {"label": labels, "predicted": predicted, **rest}
            own.record(val_acc=accuracy, test_acc=accuracy, predictions={"val": columns, "test": columns})
    return own.run_id


def test_at_one_in_fifty_the_order_by_balanced_accuracy_is_another_and_right(rare):
    by_accuracy = ncore.rank(rare, metric="accuracy")
    balanced = ncore.rank(rare, metric="balanced_accuracy")
    truth = {}
    for row in rare.runs().to_dict("records"):
        last = rare.run(row["run"]).predictions("test", epoch=4)
        truth[row["candidate"]] = balanced_accuracy_score(last["label"], last["predicted"])
    assert balanced["candidate"].tolist() == sorted(truth, key=truth.get, reverse=True)
    for row in balanced.to_dict("records"):
        assert row["observed"] == row["predicted"] == pytest.approx(truth[row["candidate"]])
        assert row["lower"] <= row["predicted"] <= row["upper"]
    assert truth["frequent"] == 0.5
    # To say the frequent class of everything is right 98 times of 100, more often than to find what is rare.
    names = by_accuracy["candidate"].tolist()
    assert names.index("frequent") < names.index("bold")
    assert balanced["candidate"].tolist().index("bold") < balanced["candidate"].tolist().index("frequent")
    assert names != balanced["candidate"].tolist()
    assert by_accuracy.attrs["metric"] == "accuracy"


def test_the_metric_of_the_recipe_is_taken_where_none_is_asked_for(rare):
    assert metric_of_recipe(rare) == "accuracy"  # the newest run is somebody's loop
    run = next(name for name in rare.run_ids() if "finds" in name)
    assert rare.run(run).manifest.info["metric"] == "balanced_accuracy"

    class Older:
        def runs(self):
            return rare.runs().query("candidate != 'bold'")

        run = staticmethod(rare.run)

    assert metric_of_recipe(Older()) == "balanced_accuracy"
    assert ncore.rank(Older()).attrs["metric"] == "balanced_accuracy"


@pytest.mark.parametrize("name", metric_names())
def test_every_metric_is_measured_as_its_definition_has_it(rare, name):
    metric = get_metric(name)
    curve = next(one for one in curves_from_store(rare, metric=name) if one.candidate == "finds")
    values = all_metrics({"finds": [rare.run(next(i for i in rare.run_ids() if "finds" in i))]})
    assert curve.metric == name
    assert curve.epochs.tolist() == [1, 2, 3, 4]
    assert ((curve.accuracy >= 0) & (curve.accuracy <= 1)).all()
    assert metric.off_scale(curve.observed) == pytest.approx(values[name].iloc[0], abs=1e-6)
    assert (curve.test_variance is None) == (name == "accuracy")
    table = ncore.rank(rare, metric=name)
    known = table[table["observed"].notna()]
    order = known["observed"].tolist()
    assert order == sorted(order, reverse=metric.higher_is_better)


def test_a_forecast_by_another_metric_says_so_and_is_wider(rare):
    table = ncore.rank(rare, metric="balanced_accuracy", epochs=2, method="last")
    assert table["warning"].str.contains("calibrated for accuracy, not for balanced accuracy, and is taken 3").all()
    curves = [curve.until(2) for curve in curves_from_store(rare, metric="balanced_accuracy")]
    plain = Past(["rare"], "all").teach("last")
    wide = Past(["rare"], "all", metric="balanced_accuracy").teach("last")
    for one, other in zip(plain.predict(curves), wide.predict(curves), strict=True):
        assert other.mean == one.mean
        assert other.sd == pytest.approx(UNCALIBRATED * one.sd)
    assert not ncore.rank(rare, epochs=2, metric="accuracy")["warning"].str.contains("calibrated for").any()


def test_finished_runs_of_other_datasets_say_how_much_wider():
    """Those whose ends are as far off as intervals are wide ask for no factor of three, however many there are."""
    rng = np.random.default_rng(0)

    def curve(index, miss):
        level = rng.uniform(0.3, 0.7)
        epochs = np.arange(1, 6)
        values = np.full(5, level)
        return Curve(f"c{index}", 0, epochs, values, {}, 5, observed=level + miss, metric="auroc", dataset="d")

    found = {}
    predictor = get_predictor("last")
    for size in (0.001, 0.1, 0.25):
        tasks = [Task("d", [curve(i, size * rng.choice([-1, 1])) for i in range(30)])]
        wide = Widened(predictor, "auroc", lambda tasks=tasks: tasks)
        now = [curve(99, 0.0).until(2)]
        found[size] = wide.predict(now)[0].sd / predictor.predict(now)[0].sd
        assert "by 30 finished runs of other datasets" in wide.predict(now)[0].warning
    assert found[0.001] == 1  # never narrower than calibrated for accuracy
    assert 1 < found[0.1] < found[0.25]


def test_by_class(rare):
    table = by_class(rare, "accuracy").set_index(["candidate", "class"])
    assert table.loc[("frequent", "0"), "value"] == 1
    assert table.loc[("frequent", "1"), "value"] == 0
    assert table.loc[("bold", "1"), "examples"] == 40
    with pytest.raises(InputError, match="probe"):
        by_class(rare, "accuracy", split="probe")
    assert set(by_class(rare, "auroc", split="validation")["candidate"]) == {"frequent", "finds", "bold"}


def test_what_can_not_be_had_names_the_run_what_is_missing_and_a_way(rare, tmp_path):
    table = ncore.rank(rare, metric="auroc")
    row = table[table["candidate"] == "bold"].iloc[0]
    assert pd.isna(row["predicted"])
    assert "the probabilities of all classes" in row["warning"]
    store = ncore.create_store(str(tmp_path))
    _loop(store, "bare", np.arange(40) % 2, np.zeros(40, int))
    with pytest.raises(InputError) as caught:
        ncore.rank(store, metric="ece")
    said = str(caught.value)
    assert "'ece'" in said
    assert "'bare'" in said
    assert "the probability of the predicted class" in said
    assert "'accuracy'" in said
    with pytest.raises(InputError, match="use one of accuracy, balanced_accuracy"):
        ncore.rank(store, metric="kappa")
    with pytest.raises(InputError, match="kappa"):
        Recipe.parse({"candidates": ["dense"], "datasets": ["digits"], "metric": "kappa"})
    with pytest.raises(InputError, match="prediction_rows"):
        Recipe.parse(
            {"candidates": ["dense"], "datasets": ["digits"], "metric": "f1", "recording": {"prediction_rows": 0}}
        )


def test_what_a_loop_recorded_by_name_stands_in_where_there_are_no_predictions(tmp_path):
    unit = ncore.NCPUnit(4, classes=2, widths=(8, 8, 8))
    x, y = torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 2
    for candidate, last in (("a", 0.5), ("b", 0.7)):
        about = {"candidate": candidate, "dataset": "mine", "epochs": 2}
        with ncore.Recorder(tmp_path, None, unit=unit, probe=(x, y), loss=torch.nn.CrossEntropyLoss(), **about) as own:
            own.record(val_acc=1 - last, val_f1=0.3, val_loss=1.0)
            own.record(val_acc=1 - last, val_f1=last, val_loss=2 - last, test_f1=last, test_loss=2 - last)
    table = ncore.rank(tmp_path, metric="macro_f1")
    assert table["candidate"].tolist() == ["b", "a"]
    assert table["predicted"].tolist() == [0.7, 0.5]
    assert table["warning"].str.contains("as the run recorded it by name").all()
    losses = ncore.rank(tmp_path, metric="log_loss")
    assert losses["predicted"].tolist() == pytest.approx([1.3, 1.5])
    assert losses["candidate"].tolist() == ["b", "a"]


def test_a_ranking_is_by_one_metric():
    curves = [
        Curve(name, 0, np.array([1, 2]), np.array([0.2, 0.4]), {}, 4, metric=metric)
        for name, metric in (("a", "auroc"), ("b", "accuracy"))
    ]
    with pytest.raises(InputError, match="give `metric` to both"):
        Ranker("last").rank(curves)
    assert rank_curves(curves[:1], method="last").attrs["metric"] == "auroc"


@pytest.mark.parametrize("metric", ["balanced_accuracy", "log_loss"])
def test_the_command_says_by_what(rare, metric):
    result = CliRunner().invoke(app, ["rank", rare.url, "--metric", metric, "--by-class"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    label = get_metric(metric).label
    assert f"inal {label} after 4 epochs" in result.output
    assert f"{label[:1].upper()}{label[1:]} by class on the test set" in result.output
    assert "frequent" in result.output
