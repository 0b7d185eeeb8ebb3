"""How the benchmark was run and judged, and what it can't say: sentences with the facts of the results."""

from __future__ import annotations

from collections.abc import Sequence

from ncore.benchmark.findings import CONFIRMING, Findings
from ncore.predict import BASELINE, RECOMMENDED
from tools.benchmark_page.markdown import join, markdown_table

__all__ = ["chosen", "limits", "protocol"]


def protocol(found: Findings) -> list[str]:
    """What was run, and how it was judged."""
    facts = found.facts
    modes = facts["modes"]
    told = [
        f"mode `{mode}`: {len(about['tasks'])} {'task' if len(about['tasks']) == 1 else 'tasks'}, "
        f"{about['candidates']} candidates, {_seeds(about['seeds'])}, {about['epochs']} epochs, "
        f"{join(about['pixels'])} pixels, "
        f"{about['runs']} runs" + (f" of which {about['failed']} failed" if about["failed"] else "")
        for mode, about in sorted(modes.items())
    ]
    rows = [
        [name, task["dataset"], task["train"], task["test"], f"{100 * task['error']:.1f}", join(task["modes"])]
        for name, task in sorted(facts["tasks"].items(), key=lambda item: (item[1]["dataset"], item[0]))
    ]
    more = facts["runs in the table"] - facts["runs"]
    unfinished = f" {more} more runs are of tasks or seeds that are not finished, and are left out." if more else ""
    heads = ["task", "images of", "training images", "test images", "standard error, points", "modes"]
    return [
        f"{facts['runs']} runs of {len(facts['candidates'])} candidates, {facts['hours']:.1f} hours of one core: "
        f"{'; '.join(told)}. The table is `ncore/benchmark/results/bench.parquet` (SHA-256 `{facts['table'][:16]}…`), "
        f"made by `ncore bench` with the recipe `ncore/benchmark/making/recipe.yaml`.{unfinished}",
        f"What was reduced: {str(facts['made'].get('reduced', '')).strip() or 'nothing'}",
        markdown_table(heads, rows),
        "The candidates: " + join(f"`{name}`" for name in facts["candidates"]) + ".",
        "**Truth.** A candidate's final accuracy is that on the test split after its last epoch, in the mean over its "
        "seeds; early decisions see the validation split only. A prediction is what `ncore.rank` says of the first k "
        "epochs of the same runs. A method that says the same of all candidates orders nothing and gets 0.",
        "**Held out.** Whatever learns or is calibrated on finished runs (all 90% intervals are) is judged on a task "
        "by what it learned from tasks of *other datasets* in the same mode. Tasks made from the same images don't "
        "count as held out: `ncore evaluate --loose` counts them, for comparison. The candidates are the same "
        "everywhere, so that nothing here says how a method does on candidates of another kind.",
        "**Uncertainty.** Intervals are 95% percentile bootstrap ones that draw tasks and candidates again, a "
        "candidate being in or out of all tasks at once (Owen's pigeonhole bootstrap), of differences on the same "
        "draws. Where an interval is said to be for other tasks only, the candidates stay as they are. Tasks of one "
        "dataset resemble each other, which the bootstrap doesn't know: take intervals for a little too narrow.",
        "**Chance and ceiling.** *Chance* is the expectation of a random order. *Noise ceiling* is what knowing every "
        "candidate's expected final accuracy would give, the observed one being a noisy reading of it: the variance "
        "over seeds and the binomial error of the test set. *Whole training* ranks by the validation accuracy after "
        "the last epoch, at full cost.",
        "**What was looked at before.** The formulas of peers are as published. Our own predictors were developed on "
        "the sample runs of this repository (other images, epochs and candidates of the same families), on a "
        "prototype, and on the mode `unit` of this table with seed 0: there validation loss and LogME were chosen "
        "from 26 early measures and scores, alone and together, by mean Kendall's tau at k = 1 to 10, and "
        "`learned-logme` was recommended before the other modes were looked at. On three tasks of each of these "
        "`history-logme` did better, which is the same for candidates that no finished run is known of, and it is "
        "recommended since: its lead in mode `unit`, and what it is ahead of `learned-logme` on those three tasks, are "
        "flattered by these choices. That intervals widen while curves rise, and that `ncore sweep --stop` leaves out "
        "the error which all candidates share, was decided after coverages and replays of nine tasks of mode `unit` "
        "and six of each other mode had been looked at, and that steeper tasks are expected to rise further after "
        "eight of each had been; that `--stop` ends half of the runs at a look at most, spreads its budget accordingly "
        "(four ways were compared), and expects of those that were stopped what the others gained since, after the "
        "replays of all tasks had been: errors, coverages and what `--stop` loses are flattered by these choices. None "
        f"of them changes an order, and orders were settled before {join(CONFIRMING)} were run in the modes `all` and "
        "`backbone`. All of this was with seed 0: no choice was made on runs with other seeds.",
    ]


def chosen() -> list[str]:
    """How the recommended method came to be what it is: what was looked at, and what was not taken."""
    return [
        f"**Recommended since.** {RECOMMENDED.since}",
        "**The model of standings** (`ncore/predict/predictors/history.py`) was chosen on nine small tasks made "
        "from CIFAR-10, Fashion-MNIST and digits by other classes and numbers of images than the benchmark's (120 "
        "to 400 images, the unit trained, 19 candidates, one seed), each predicted from those of the other two "
        "datasets. A ridge regression of the gain to come on levels, slopes, losses and beta_eff, a ridge "
        "regression of standings, and fixed sums of standings were tried besides; none had a higher mean Kendall's "
        "tau at all of k = 1, 3 and 10 than this model with the level alone. Standings in logits, not ranks, and "
        "the ridge were chosen there, too.",
        "**How far the past is trusted** (`TRUST`) follows from one task of the benchmark, CIFAR-10 with 1,000 "
        "images and the unit trained: with its full weight the past made the ranking worse than the last accuracy "
        "(tau 0.68 against 0.79 at k = 3).",
        "**How intervals widen while curves rise** (`RISE`): 0, 0.5, 1 and 2 were looked at on six tasks of the "
        "modes `all` and `backbone` and nine of `unit`; all but 0 made intervals narrower and hold more, and 1 was "
        "taken because it needs no number of its own. That a task's lift is expected from its rise was taken after "
        "five such regressions and the mean had been compared on nine tasks of `unit` and eight of each other mode:"
        " all of them had a smaller error. Neither changes an order.",
        "**A method that is missing**: LC-PFN (Adriaensen, Rakotoarison, Müller, Hutter, NeurIPS 2023). Its "
        "package, lcpfn 0.1.3, holds code but no weights: it downloads them when first used, as whole pickled "
        "modules, and `torch.load` then runs what is in them, which ncore does with no file; and it requires a torch "
        "before 1.12 and a numpy before 2. Its successor ifBO, 0.4.1, downloads a pickled module in the same way. "
        "What LC-PFN was trained to approximate, a Bayesian mixture of parametric curves, is here as `domhan`.",
    ]


def limits(found: Findings) -> list[str]:
    """What the benchmark can't say."""
    datasets = sorted({task["dataset"] for task in found.facts["tasks"].values()})
    epochs = sorted({about["epochs"] for about in found.facts["modes"].values()})
    return [
        f"- {len(found.facts['tasks'])} tasks from {len(datasets)} datasets ({join(datasets)}) are few, small pictures "
        "all of them, and no text or speech.",
        f"- Training lasts {join(epochs)} epochs on small training sets. In longer training the first epochs are a "
        "smaller share of the cost, and say less about the end.",
        f"- Costs are seconds of one core at reduced resolution. {_first_epoch(found)}",
        "- The seconds hold the recording of beta_eff and the evaluation of each epoch, for every method alike.",
        "- The ceiling takes errors of candidates on the same test images for independent, and takes observed "
        "accuracies for expected ones, which are spread less: it is an estimate.",
    ]


def _seeds(counts: Sequence[int]) -> str:
    """How many, where tasks may differ in it."""
    if list(counts) == [1]:
        return "1 seed"
    return f"{' or '.join(map(str, counts))} seeds{' a task' if len(counts) > 1 else ''}"


def _first_epoch(found: Findings) -> str:
    """What a first look costs, in seconds: features that are computed once have to be paid before it."""
    told = [
        f"{row['share']:.0%} in mode `{mode}`"
        for mode in sorted(found.average["mode"].unique())
        if (row := found.row(mode, 1, BASELINE)) is not None
    ]
    return (
        f"The first epoch of all candidates, with all that comes before it, takes {join(told)} of what training them "
        "to the end takes: what has to be paid before any early decision."
    )
