"""The page on the benchmark: protocol, tables, figures, conclusions, limits, all computed from the committed results.

``write_results`` computes what takes minutes and stores it, ``render`` makes the page of it in a second.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ncore._yaml import read_yaml
from ncore.benchmark.cases import Case, as_if_unrelated, cases_from_table, leave_dataset_out, with_seeds
from ncore.benchmark.certainty import certainty
from ncore.benchmark.evaluation import AVERAGE, evaluate_cases
from ncore.benchmark.findings import AT, EVALUATION, FACTS, FOLDER, REPLAY, WORDS, Findings, read_results
from ncore.benchmark.methods import predictors
from ncore.benchmark.replay import replay, summary
from ncore.benchmark.table import COMMITTED, about, load_table
from ncore.predict import BASELINE, DEFAULT_METHOD
from tools.benchmark_page import figures, nas
from tools.benchmark_page.conclusions import best_play, conclusions, repeated_plays
from tools.benchmark_page.markdown import markdown_table, number
from tools.benchmark_page.protocol import chosen, limits, protocol

__all__ = ["FIRST_SEED", "fingerprint", "render", "write_page", "write_rendered", "write_results"]

FIRST_SEED = 0
"""Of the runs that methods were chosen on."""

_MEASURES = {
    "kendall": "Kendall ↑",
    "over": "Δ to last accuracy",
    "recommended": "recommended less this",
    "spearman": "Spearman ↑",
    "weighted_kendall": "weighted ↑",
    "regret": "regret ↓",
    "precision_at_3": "top 3 ↑",
    "error": "error ↓",
    "coverage": "coverage",
    "share": "cost",
    "seconds": "seconds",
}


def write_page(folder: Path, path: Path | None, evaluation: pd.DataFrame) -> None:
    """Compute what is still missing, store all results in ``folder/results``, and write the page and its figures.

    Args:
        folder: Of README.md, figures/ and results/.
        path: Of the table; None for the committed one.
        evaluation: As ``evaluate_cases`` returns it, of the same table.
    """
    write_results(folder, path, evaluation)
    write_rendered(folder)


def write_rendered(folder: Path = FOLDER) -> None:
    """Write the page, its figures and its sentences, from the results in ``folder/results``."""
    for name, text in render(folder).items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def write_results(folder: Path, path: Path | None, evaluation: pd.DataFrame) -> None:
    """Replay the strategies of early stopping, and store the results beside the evaluation."""
    results = folder / "results"
    results.mkdir(parents=True, exist_ok=True)
    table = load_table(path)
    cases = cases_from_table(table)
    evaluation.to_parquet(results / EVALUATION, index=False, compression="zstd")
    played = replay(cases)
    summary(played).to_parquet(results / REPLAY, index=False, compression="zstd")
    nas.write_results(folder, cases)
    made = about(path)
    facts = _facts(table, cases) | {"table": fingerprint(path), "made": made, "planned": _planned(made)}
    facts["related"] = _related(cases, sorted(evaluation["k"].unique()))
    facts["certainty"] = _told(certainty(cases))
    facts["repeated"] = _repeated(cases) | {"played": _told(summary(played[played["seed"] != FIRST_SEED]))}
    (results / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def render(folder: Path = FOLDER) -> dict[str, str]:
    """The page, its figures, and the sentences that the dashboard shows, by name, from the results that are stored.

    Args:
        folder: That ``write_results`` wrote to; by default the one that comes with the package.

    Raises:
        InputError: The results are not there.
    """
    found = read_results(folder)
    average = found.average
    modes = sorted(average["mode"].unique())
    words = {"conclusions": conclusions(found, AT), "protocol": protocol(found), "limits": limits(found)}
    parts = [
        "# The benchmark: does it rank?",
        "*Written by `python -m tools.benchmark_page` from the committed results; no number here was typed.*",
        "## What came out",
        *words["conclusions"],
        "## How it was done",
        *words["protocol"],
        f"## All methods after {AT} epochs",
        _legend(found),
        "![Difference in Kendall's tau to the last accuracy, with 95% intervals](figures/differences.svg)",
    ]
    for mode in modes:
        parts += [f"### Mode `{mode}`", _main_table(average[(average["mode"] == mode) & (average["k"] == AT)])]
    parts += [
        "## As epochs pass",
        "![Kendall's tau over the epochs seen](figures/taus.svg)",
        *(f"Mode `{mode}`:\n\n{_by_k(average[average['mode'] == mode], found.drawn)}" for mode in modes),
        f"## By task, Kendall's tau after {AT} epochs",
        *(f"Mode `{mode}`:\n\n{_by_task(found.evaluation, mode, found.drawn)}" for mode in modes),
        "## Stopping early",
        _stopping(found),
        "![Regret of the chosen candidate against the epochs spent](figures/spending.svg)",
        *(f"Mode `{mode}`:\n\n{_played(found.played[found.played['mode'] == mode])}" for mode in modes),
    ]
    parts += nas.section(folder, AT)
    parts += ["## How the recommended method was chosen", *chosen()]
    parts += ["## Limits", *words["limits"]]
    return {
        "README.md": "\n\n".join(parts) + "\n",
        f"results/{WORDS}": json.dumps(words, indent=1, ensure_ascii=False) + "\n",
        "figures/differences.svg": figures.differences(average, AT),
        "figures/taus.svg": figures.taus(average, found.drawn),
        "figures/spending.svg": figures.spending(found.played),
    }


def fingerprint(path: Path | None = None) -> str:
    """The SHA-256 of a table's file, by which a page knows whether it is up to date."""
    return hashlib.sha256(Path(COMMITTED if path is None else path).read_bytes()).hexdigest()


def _planned(made: dict[str, Any]) -> dict[str, Any]:
    """How many tasks, and which modes, the recipe of a table plans."""
    recipe = read_yaml(made.get("recipe", ""), "the recipe of the table") or {}
    return {"tasks": len(recipe.get("tasks", ())), "modes": sorted(recipe.get("modes", ()))}


def _related(cases: Sequence[Case], ks: Sequence[int]) -> list[dict[str, Any]]:
    """Means of the recommended method where other tasks of the same images are known, as in a user's own store."""
    found = evaluate_cases(as_if_unrelated(cases), predictors([DEFAULT_METHOD]), ks=ks, resamples=1)
    found = found[(found["task"] == AVERAGE) & (found["method"] == DEFAULT_METHOD)]
    found = found[found["measure"].isin(["coverage", "kendall", "error"])]
    return _told(found[["mode", "k", "measure", "value"]])


def _repeated(cases: Sequence[Case]) -> dict[str, Any]:
    """How the recommended method does on the runs with other seeds than the first alone, taught as ever."""
    again = [found for case in cases if (found := with_seeds(case, lambda seed: seed != FIRST_SEED))]
    if not again:
        return {"average": [], "tasks": []}
    found = evaluate_cases(
        again,
        predictors([DEFAULT_METHOD, BASELINE]),
        ks=(AT,),
        learn=lambda case, known: leave_dataset_out(case, cases),
    )
    found = found[(found["method"] == DEFAULT_METHOD) & found["measure"].isin(["coverage", "kendall", "regret"])]
    columns = ["mode", "measure", "value", "over_last", "over_last_tasks_lower", "over_last_tasks_upper"]
    whole = found["task"] == AVERAGE
    return {
        "average": _told(found.loc[whole, [*columns, "tasks"]]),
        "tasks": _told(found.loc[~whole & (found["measure"] == "kendall"), ["mode", "task", "value", "over_last"]]),
    }


def _told(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=6))
    return rows


def _whole(value: float) -> int:
    return int(value) if np.isfinite(value) else 0


def _facts(table: pd.DataFrame, cases: Sequence[Case]) -> dict[str, Any]:
    """Counts of what the table holds, for the protocol."""
    judged = pd.MultiIndex.from_tuples(
        {(case.mode, case.name, curve.seed) for case in cases for curve in case.curves}, names=["mode", "task", "seed"]
    )
    whole = table
    table = table[pd.MultiIndex.from_frame(table[["mode", "task", "seed"]]).isin(judged)]
    runs = table.drop_duplicates("run")
    ends = table.groupby("run")["seconds"].max()
    by_mode = {
        str(mode): {
            "tasks": sorted(group["task"].unique()),
            "candidates": int(group["candidate"].nunique()),
            "seeds": sorted({int(seeds) for seeds in group.groupby("task")["seed"].nunique()}),
            "epochs": int(group["horizon"].max()),
            "runs": int(group["run"].nunique()),
            "failed": int((group["status"] == "failed").sum()),
            "pixels": sorted(int(value) for value in group["pixels"].dropna().unique()),
        }
        for mode, group in runs.groupby("mode")
    }
    tasks = {
        str(task): {
            "dataset": str(group["dataset"].iloc[0]),
            "train": _whole(group["train_images"].median()),
            "test": _whole(group["test_images"].median()),
            "error": float(group["test_error"].mean()),
            "modes": sorted(group["mode"].unique()),
        }
        for task, group in runs.groupby("task")
    }
    return {
        "runs": int(runs["run"].nunique()),
        "candidates": sorted(runs["candidate"].unique()),
        "hours": float(ends.sum() / 3600),
        "modes": by_mode,
        "tasks": tasks,
        "cases": len(cases),
        "runs in the table": int(whole["run"].nunique()),
    }


def _legend(found: Findings) -> str:
    return (
        "Means over tasks. **Kendall**, Spearman and weighted Kendall are rank correlations with the final test "
        "accuracy; **Δ** is the difference in Kendall's tau to reading the last accuracy, and **recommended less "
        f"this** what {found.recommended_label} is ahead by, both with 95% intervals over resampled tasks and "
        "candidates, in bold where 0 is outside. **Regret**: accuracy points lost by taking the first choice. **Top "
        "3**: share of the predicted top three that belongs there. **Error**: mean absolute error in points. "
        "**Coverage**: how often the 90% interval holds the truth. **Cost**: of all that was looked at, as a share of "
        "training every candidate to the end, and in seconds of one processor core per task."
    )


def _main_table(part: pd.DataFrame) -> str:
    rows = part.pivot_table(index="method", columns="measure", values="value", sort=False)
    rows = rows.sort_values("kendall", ascending=False, kind="stable")
    tau = part[part["measure"] == "kendall"].set_index("method")
    cells = []
    for method, values in rows.iterrows():
        row = tau.loc[method]
        forms = {"regret": 2, "error": 1}
        told = {name: number(values.get(name), forms.get(name, 2)) for name in _MEASURES}
        told |= {
            "over": _difference(row, "over_last") if method != BASELINE else "",
            "recommended": _difference(row, "recommended_over") if row["recommended_over"] != 0 else "",
            "share": "" if pd.isna(row["share"]) else f"{row['share']:.1%}",
            "seconds": number(row["seconds"], 0),
        }
        cells.append([row["label"], *(told[name] for name in _MEASURES)])
    return markdown_table(["method", *_MEASURES.values()], cells)


def _difference(row: pd.Series, name: str) -> str:
    value, lower, upper = (row[name], row[f"{name}_lower"], row[f"{name}_upper"])
    if pd.isna(value):
        return ""
    text = f"{value:+.2f} [{lower:+.2f}, {upper:+.2f}]"
    return f"**{text}**" if lower > 0 or upper < 0 else text


def _by_k(part: pd.DataFrame, methods: Sequence[str]) -> str:
    """Kendall's tau of all methods; regret and cost of some."""
    ks = sorted(part["k"].unique())
    labels = part.drop_duplicates("method").set_index("method")["label"]
    tau, regret = (
        part[part["measure"] == name].pivot_table(index="method", columns="k", values="value", sort=False)
        for name in ("kendall", "regret")
    )
    share = part[part["measure"] == "regret"].pivot_table(index="method", columns="k", values="share", sort=False)
    order = tau.mean(axis=1).sort_values(ascending=False, kind="stable").index
    first = markdown_table(
        ["Kendall's tau", *(f"k = {k}" for k in ks)],
        [[labels[name], *(number(tau.loc[name].get(k)) for k in ks)] for name in order],
    )
    some = [name for name in (*methods, "whole", "chance") if name in regret.index]
    cells = []
    for name in some:
        lost = [number(regret.loc[name].get(k)) for k in ks]
        paid = [_percent(share.loc[name].get(k)) if name in share.index else "" for k in ks]
        told = [f"{a} at {b}" if a and b else a for a, b in zip(lost, paid, strict=True)]
        cells.append([labels[name], *told])
    return f"{first}\n\n{markdown_table(['regret at cost', *(f'k = {k}' for k in ks)], cells)}"


def _by_task(evaluation: pd.DataFrame, mode: str, methods: Sequence[str]) -> str:
    part = evaluation[(evaluation["mode"] == mode) & (evaluation["k"] == AT) & (evaluation["measure"] == "kendall")]
    part = part[(part["task"] != AVERAGE) & part["method"].isin([*methods, "whole", "ceiling"])]
    labels = part.drop_duplicates("method").set_index("method")["label"]
    tau = part.pivot_table(index="task", columns="method", values="value", sort=True)
    columns = [name for name in (*methods, "whole", "ceiling") if name in tau]
    cells = [[task, *(number(row[name]) for name in columns)] for task, row in tau.iterrows()]
    return markdown_table(["task", *(labels[name] for name in columns)], cells)


def _stopping(found: Findings) -> str:
    return (
        "Strategies of early stopping, replayed on the recorded curves, seed by seed: what the candidate that they end "
        "with is worth, and how many epochs they train. `ncore sweep --stop` trains all candidates to a look (epochs "
        "1, 2, 3, 5, 8, 13), keeps the smallest set that holds the best with the probability 1 − risk, or half of "
        "those that run if that is more, and goes on with those; with a budget, with no more of them than it lasts for "
        "if each later look stops half. Its forecasts are by the recommended method, learned on other datasets. "
        "Optuna's pruners see the "
        "candidates one after the other, in random orders, as trials of a study; successive halving in rounds is the "
        f"synchronous form. {best_play(found)}{repeated_plays(found)}"
    )


def _played(part: pd.DataFrame) -> str:
    heads = ["strategy", "setting", "accuracy of the chosen", "regret ↓", "epochs", "of all epochs", "of all seconds"]
    cells = [
        [
            row.strategy,
            row.setting,
            f"{100 * row.accuracy:.1f}%",
            number(row.regret),
            number(row.epochs, 0),
            f"{row.share:.1%}",
            f"{row.seconds_share:.1%}",
        ]
        for row in part.itertuples(index=False)
    ]
    return markdown_table(heads, cells)


def _percent(value: Any) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.0%}"
