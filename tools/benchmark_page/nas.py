"""The part of the page about architectures: cells of NAS-Bench-201."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ncore.benchmark.cases import Case
from ncore.benchmark.nas.evaluation import HERE, PUBLISHED, evaluate_nas
from ncore.benchmark.nas.table import COMMITTED
from ncore.benchmark.table import about, load_table
from ncore.predict import BASELINE
from tools.benchmark_page.markdown import markdown_table, number

__all__ = ["EVALUATION", "FACTS", "section", "write_results"]

EVALUATION, FACTS = "nas_evaluation.parquet", "nas_facts.json"
_TRUTHS = {
    HERE: "Against the final accuracies of the same cells here",
    PUBLISHED: "Against the published accuracies of the same cells",
}


def write_results(folder: Path, cases: Sequence[Case], resamples: int = 1000) -> None:
    """Judge early predictions and zero-cost scores on the cells of the committed table, if there is one.

    Args:
        folder: Of the page; its results/ gets the result.
        cases: Of the benchmark: predictors that learn do so from those of other images, trained as the cells are.
        resamples: Of the bootstrap over cells.
    """
    if not COMMITTED.is_file():
        return
    table = load_table(COMMITTED)
    mode, dataset = str(table["mode"].iloc[0]), str(table["dataset"].iloc[0])
    learned = [case for case in cases if case.mode == mode and case.dataset != dataset]
    found = evaluate_nas(table, learned=learned, resamples=resamples)
    runs = table.drop_duplicates("run")
    made = about(COMMITTED)
    facts = {
        "cells": int(runs["candidate"].nunique()),
        "seeds": int(runs["seed"].nunique()),
        "epochs": int(runs["horizon"].max()),
        "hours": float(table.groupby("run")["seconds"].max().sum() / 3600),
        "reduced": made.get("reduced", ""),
        "published": made.get("published", ""),
    }
    results = folder / "results"
    found.to_parquet(results / EVALUATION, index=False, compression="zstd")
    (results / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def section(folder: Path, at: int) -> list[str]:
    """The paragraphs and tables; none if there are no results.

    Args:
        folder: Of the page.
        at: The number of epochs that most columns are about.
    """
    results = folder / "results"
    if not (results / EVALUATION).is_file():
        return []
    found = pd.read_parquet(results / EVALUATION)
    facts = json.loads((results / FACTS).read_text(encoding="utf-8"))
    parts = [
        "## Architectures: cells of NAS-Bench-201",
        f"{facts['cells']} cells drawn at random from the NAS-Bench-201 space (Dong and Yang, ICLR 2020) and trained "
        f"from scratch on CIFAR-10 for {facts['epochs']} epochs, {facts['seeds']} "
        f"{'seed' if facts['seeds'] == 1 else 'seeds'}, {facts['hours']:.1f} hours of one core. What was reduced: "
        f"{str(facts['reduced']).strip()} {facts['published']}",
        _best(found, at),
        "Kendall's tau by epochs seen, with 95% intervals over cells drawn again; scores are read before training.",
    ]
    for truth, title in _TRUTHS.items():
        part = found[found["truth"] == truth]
        if len(part):
            parts += [f"### {title}", _table(part, at)]
    return parts


def _best(found: pd.DataFrame, at: int) -> str:
    """Who comes first against each truth, and how far the last accuracy gets."""
    told = []
    for truth, title in _TRUTHS.items():
        part = found[(found["truth"] == truth) & (found["k"] == at) & (found["measure"] == "kendall")]
        methods = part[part["kind"] != "reference"].sort_values("value", ascending=False, kind="stable")
        if methods.empty:
            continue
        first = methods.iloc[0]
        last = methods[methods["method"] == BASELINE]
        text = f"{title[0].lower()}{title[1:]}, “{first['label']}” orders them best, tau {first['value']:.2f}"
        scores = methods[methods["kind"] == "score"]
        if len(last) and first["method"] != BASELINE:
            text += f"; the last accuracy gets {last['value'].iloc[0]:.2f}"
        if len(scores) and first["kind"] != "score":
            text += f"; the best zero-cost score, “{scores['label'].iloc[0]}”, {scores['value'].iloc[0]:.2f}"
        told.append(text)
    return f"After {at} epochs, {'. And '.join(told)}." if told else ""


def _table(part: pd.DataFrame, at: int) -> str:
    ks = sorted(part["k"].unique())
    tau, regret = (part[part["measure"] == name] for name in ("kendall", "regret"))
    labels = tau.drop_duplicates("method").set_index("method")["label"]
    wide = tau.pivot_table(index="method", columns="k", values="value", sort=False)
    chosen = tau[tau["k"] == at].set_index("method")
    lost = regret[regret["k"] == at].set_index("method")["value"]
    order = wide.mean(axis=1).sort_values(ascending=False, kind="stable").index
    cells = []
    for method in order:
        row: list[Any] = [labels[method], *(number(wide.loc[method].get(k)) for k in ks)]
        if method in chosen.index:
            about_it = chosen.loc[method]
            row += [
                _interval(about_it, "lower", "upper"),
                "" if method == BASELINE else _interval(about_it, "over_last_lower", "over_last_upper", "+"),
                number(lost.get(method)),
                number(about_it["seconds"], 0),
            ]
        else:
            row += ["", "", "", ""]
        cells.append(row)
    heads = ["method", *(f"k = {k}" for k in ks), f"95%, k = {at}", "Δ to last accuracy, 95%", "regret ↓", "seconds"]
    return markdown_table(heads, cells)


def _interval(row: pd.Series, lower: str, upper: str, sign: str = "") -> str:
    if pd.isna(row[lower]):
        return ""
    return f"{row[lower]:{sign}.2f} to {row[upper]:{sign}.2f}"
