"""The page of a report: one HTML file without scripts, that needs nothing beside it. All text is escaped here."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape

import pandas as pd

import ncore
from ncore.predict import MEASURES, Calibration, Predictor, Reads, get_predictor
from ncore.predict.notes import said_of_limits, said_of_past
from ncore.predict.widening import uncalibrated
from ncore.scores.metrics import ACCURACY, get_metric, metric_names
from ncore_dashboard.data.clock import pace
from ncore_dashboard.figures import styles_of
from ncore_dashboard.report import drawing, recommendation
from ncore_dashboard.report.evidence import Evidence
from ncore_dashboard.report.style import style_sheet
from ncore_dashboard.text.explanations import explanation
from ncore_dashboard.text.phrases import called, counted, duration, listed, percent
from ncore_dashboard.text.plaintext import plain

__all__ = ["page"]

_MODES = {
    "backbone": "The candidate itself was trained; the small probe on top of it was not.",
    "unit": "The candidate was left as it is; only the small probe on top of it was trained.",
    "all": "The candidate and the small probe on top of it were trained.",
}
_MOST_CLASSES = 20
_CODE, _STRONG, _EMPHASIS = re.compile(r"`([^`]+)`"), re.compile(r"\*\*([^*]+)\*\*"), re.compile(r"\*([^*]+)\*")


def page(e: Evidence, scheme: str = "auto", now: datetime | None = None) -> str:
    """The report as HTML.

    Args:
        e: What it rests on.
        scheme: "light", "dark" or "auto", as the reader's system has it.
        now: The time it is dated with; the present by default.
    """
    title = f"Which model for {called(e.dataset)}?"
    body = [
        _head(e, title),
        _evidence(e),
        _uncertainty(e),
        _price(e),
        _table(e),
        _appendix(e, now or datetime.now(UTC)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        # Nothing may be loaded and nothing may run, should any text ever get past the escaping.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_safe(title)}</title><style>{style_sheet(scheme)}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _head(e: Evidence, title: str) -> str:
    models = counted(len(e.ranking), "candidate model")
    return (
        f"<header><h1>{_safe(title)}</h1>"
        f'<p class="muted">{models}, {counted(len(e.curves), "training run")}, {_state(e)}.</p></header>'
        f'<section class="answer"><h2>Recommendation</h2><p class="lead">{_safe(recommendation.recommendation(e))}</p>'
        f"{_paragraphs(recommendation.firmness(e))}{_paragraphs(recommendation.early(e))}</section>"
    )


def _state(e: Evidence) -> str:
    """How far training has come, and as of when the ranking is."""
    if e.foretold.empty:
        return f"trained to the end, after {e.k} of {e.end} epochs (passes over the training examples)"
    if e.settled:
        return (
            f"trained to the end; beside that stands what would have been said after {e.k} of {e.end} epochs "
            "(passes over the training examples)"
        )
    return f"judged after {e.k} of {e.end} epochs (passes over the training examples)"


def _evidence(e: Evidence) -> str:
    kept = _best_first(e)
    styles = styles_of(e.candidates)
    overlap = "Lines can overlap although the order is sure, if what is uncertain moves all candidates together. "
    overlap = "" if e.foretold.empty else overlap
    left_out = len(e.rated) - drawing.MOST
    note = f" The best {drawing.MOST} are drawn; the table has all." if left_out > 0 else ""
    plain_accuracy = e.metric.name == ACCURACY
    share, other = "the share of test examples classified correctly", f"the {e.metric.label} on test examples"
    what = share if plain_accuracy else other
    predicted = what.replace("the ", "the predicted ", 1)
    known = ", and the thick bar shows where it really ended" if e.foretold["observed"].notna().any() else ""
    if e.foretold.empty:
        where, mark = "Where each candidate ended", f"The mark is {what}"
    elif e.measured.empty:
        where, mark = (
            "Where each candidate is expected to end",
            f"The mark is {predicted}",
        )
    else:
        where = "Where each candidate ended, or is expected to end"
        mark = f"The mark is {what}, measured or predicted as the table says"
    unseen = " Only what is left of the dotted line was used; the shaded part was not seen." if e.last > e.k else ""
    several = bool((e.learning.groupby(["candidate", "epoch"]).size() > 1).any())
    pictures = [
        (
            f"1. {where}",
            drawing.forecast(e.rated, styles),
            f"{mark}, the line its 90% interval{known}. {overlap}“Is best” is the probability of being first.{note}",
        ),
        (
            f"2. How {'accuracy rose' if plain_accuracy else f'{e.metric.label} went'}"
            if e.foretold.empty
            else "2. What the prediction saw",
            drawing.learning_curves(e.learning, kept, styles, e.k, e.end, e.metric),
            f"{_capital(e.metric.label)} on examples kept aside for validation, after each epoch of training"
            + ("; bands reach from the lowest to the highest seed." if several else ".")
            + unseen,
        ),
        (
            "3. Would it have been decided otherwise at another time?",
            drawing.ranks(e.ranked, kept, styles, e.k),
            f"The ranking by the same method, had it been made as of each epoch; the dotted line is epoch {e.k}. Lines "
            "that cross say that the order was not settled.",
        ),
    ]
    figures = [
        f'<figure><h3>{_safe(title)}</h3><div class="picture" tabindex="0" role="group" aria-label="{_safe(title)}">'
        f"{svg}</div><figcaption>{_safe(text)}</figcaption></figure>"
        for title, svg, text in pictures
    ]
    return f"<section><h2>The evidence</h2>{''.join(figures)}{_all_metrics(e)}{_classes(e)}</section>"


def _all_metrics(e: Evidence) -> str:
    """Every metric on the test set; what choosing by another one would have said."""
    if e.metrics.empty or (e.foretold.size and not e.settled):
        return ""
    used = [metric for name in metric_names() if e.metrics[(metric := get_metric(name)).name].notna().any()]
    rows = [
        [_cell(row["candidate"], 40), *(metric.in_words(float(metric.on_scale(row[metric.name]))) for metric in used)]
        for row in e.metrics.to_dict("records")
    ]
    heads = ["Candidate", *(_capital(metric.label) + ("" if metric.higher_is_better else " ↓") for metric in used)]
    caption = "Every metric on the test examples, in the mean of the seeds"
    lower = any(not metric.higher_is_better for metric in used)
    note = '<p class="muted">↓: lower is better.</p>' if lower else ""
    return f"<h3>By other metrics</h3>{_rows(heads, rows, ' '.join(['l', *'r' * len(used)]), caption)}{note}"


def _classes(e: Evidence) -> str:
    """The metric of each class, the rarest first where there are many."""
    if e.classes.empty or (e.foretold.size and not e.settled):
        return ""
    counts = dict(zip(e.classes["class"], e.classes["examples"], strict=True))
    names, few = list(counts), len(counts) <= _MOST_CLASSES
    names = names if few else sorted(names, key=lambda name: counts[name])[:_MOST_CLASSES]
    candidates = list(dict.fromkeys(e.classes["candidate"]))
    values = {(row["candidate"], row["class"]): row["value"] for row in e.classes.to_dict("records")}
    rows = [
        [
            _cell(name, 40),
            f"{counts[name]:,}",
            *(e.value(float(e.metric.on_scale(values.get((one, name), math.nan)))) for one in candidates),
        ]
        for name in names
    ]
    told = "" if few else f", of the {_MOST_CLASSES} rarest of {len(counts)} classes"
    caption = f"{_capital(e.metric.label)} by class on the test examples, in the mean of the seeds{told}"
    heads = ["Class", "Examples", *(plain(name, 40) for name in candidates)]
    return f"<h3>By class</h3>{_rows(heads, rows, ' '.join(['l', 'r', *'r' * len(candidates)]), caption)}"


def _uncertainty(e: Evidence) -> str:
    return f"<section><h2>How sure is this?</h2>{_list(recommendation.uncertainty(e))}</section>"


def _price(e: Evidence) -> str:
    rows = [
        [_cell(option.what), f"{_safe(duration(option.seconds))}", _safe(option.brings)]
        for option in recommendation.options(e)
    ]
    heads = ["What to do", "Training time", "What it brings"]
    table = _rows(heads, rows, "l r l", "Ways to be surer and their price") if rows else ""
    return f"<section><h2>What it would cost to be surer</h2><p>{_safe(recommendation.spent(e))}</p>{table}</section>"


def _table(e: Evidence) -> str:
    rows = []
    for row in e.ranking.to_dict("records"):
        rows.append(
            [
                f"{row['rank']}",
                _cell(row["candidate"], 80),
                e.value(row["predicted"]),
                "–" if math.isnan(row["lower"]) else e.metric.interval_in_words(row["lower"], row["upper"]),
                percent(row["p_best"], 0),
                e.value(row["observed"]),
                f"{row['seeds']}",
                _safe(duration(pace(e.clocks.get(row["candidate"], ())))).replace("an unknown time", "–"),
                str(row["kind"]),
            ]
        )
    middle = "Predicted" if e.measured.empty else _capital(e.metric.label) if len(e.foretold) else "Measured"
    heads = ["Rank", "Candidate", middle, "90% interval", "Is best", "Observed", "Seeds", "Per epoch", "Kind"]
    table = _rows(heads, rows, "r l r r r r r r l", "The ranking as a table")
    warned = e.ranking[e.ranking["warning"] != ""]
    notes = [
        f"{'All candidates' if len(rows) == len(e.ranking) else listed(rows['candidate'].tolist(), most=6)}: "
        f"{plain(text, 300)}."
        for text, rows in warned.groupby("warning", sort=False)
    ]
    more = f"<h3>What to know of them</h3>{_list(notes)}" if notes else ""
    return f"<section><h2>All candidates</h2>{table}{more}</section>"


def _appendix(e: Evidence, now: datetime) -> str:
    predictor = get_predictor(e.method)
    names = [
        "predicted",
        "interval",
        "kind",
        "p_best",
        "test_accuracy",
        "validation_accuracy",
        "seeds",
        "regret",
        "saved",
    ]
    if predictor.of_the_paper:
        names.append("h0")
    if predictor.strength is not None:
        names.append(f"beta_eff {predictor.strength}")
    terms = "".join(
        f"<dt>{_safe(explanation(name).label)}</dt><dd>{_prose(explanation(name).meaning)} "
        f"<em>When to trust it:</em> {_prose(explanation(name).trust)}</dd>"
        for name in names
    )
    if e.metric.name != ACCURACY:
        also = f"{e.metric.description}. Where accuracy is spoken of below, read it as this."
        terms = f"<dt>{_safe(_capital(e.metric.label))}</dt><dd>{_safe(also)}</dd>{terms}"
    limits = [
        "Only these candidates were compared, on this dataset, with the training settings recorded in the runs; "
        "another learning rate or more data can change the order.",
        f"Only {_judged(e)} is judged: not speed in use, size, fairness or safety.",
        "Early epochs favour what learns fast. A candidate that starts slowly and ends high is ranked too low"
        + (", unless runs of it on other datasets have shown that." if Reads.PAST in predictor.reads else "."),
        _of_intervals(predictor, e),
    ]
    if e.settled:
        limits.append(
            f"The candidate that did best on the test examples was chosen by them, so its {e.metric.label} there "
            "flatters it a little."
        )
    return (
        "<section><h2>Appendix: method and limits</h2><h3>How the ranking was made</h3>"
        f"<p>{_safe(_MODES.get(e.mode, f'Training mode: {plain(e.mode, 60)}.'))} Each candidate was trained with one "
        f"or more seeds (random starts). As of epoch {e.k}, the method “{_safe(predictor.label)}” predicts the "
        f"{e.metric.label} at the end of training from epochs 1 to {e.k}. {_safe(_of_method(predictor))} Seeds are "
        "averaged, and how far they disagree widens the interval. "
        f"{_safe(_of_kinds(e))} {_safe(said_of_limits(e.ranking))} {_safe(said_of_past(e.ranking))}</p>"
        f"{_paragraphs(recommendation.default_and_why(e))}{_methods(e)}"
        f"<h3>Limits</h3>{_list(limits)}<h3>What the numbers mean</h3><dl>{terms}</dl>"
        f"<h3>Where this comes from</h3>{_provenance(e, now)}</section>"
    )


def _of_method(predictor: Predictor) -> str:
    """What a method reads, and what it does with it, from its facts."""
    taught = ", and weighs it as finished runs of other datasets have taught" if predictor.learns else ""
    *most, last = map(str, predictor.reads)
    first = f"{', '.join(most)} and " if most else ""
    return f"It reads {first}{last}{taught}."


def _judged(e: Evidence) -> str:
    """What is ranked by."""
    if e.metric.name == ACCURACY:
        return "the share of examples classified correctly"
    description = e.metric.description
    return f"{e.metric.label} ({description[:1].lower()}{description[1:]})"


def _of_intervals(predictor: Predictor, e: Evidence) -> str:
    """Where its intervals come from; no finished runs are predicted to calibrate what is slow."""
    if why := uncalibrated(e.ranking):
        return f"Forecasts of {e.metric.label}: {why}."
    if predictor.calibration is Calibration.CONFORMAL and not predictor.slow:
        return (
            "Intervals of forecasts are calibrated on finished runs of other datasets, where a note says nothing else: "
            "on data of another kind they may hold less than nine ends in ten."
        )
    return "Intervals of forecasts are not calibrated: they rest on the assumptions of the method."


def _of_kinds(e: Evidence) -> str:
    """What of the ranking is no forecast, or not that of the method."""
    if e.ranking["warning"].str.contains("the last accuracy stands in").any():
        return "Where a note says that the last accuracy stands in, that was read instead."
    if e.measured.empty:
        return ""
    who = "All candidates" if e.foretold.empty else counted(len(e.measured), "candidate")
    return f"{who} had ended by then: nothing was predicted of them, and what the table has is the mean of their runs."


def _methods(e: Evidence) -> str:
    """All methods on the same runs."""
    table = e.methods
    judged = table[table["right"].notna() & (table["pairs"] > 0)]
    if judged.empty:
        return ""
    rows = [
        [
            _safe(row["label"]) + (" (used here)" if row["method"] == e.method else ""),
            _cell(row["choice"], 40),
            f"{row['right']:.0f} of {row['pairs']:.0f}",
            _number(row["kendall"], ".2f"),
            _number(row["regret"], ".1f"),
            _number(row["error"], ".1f"),
        ]
        for row in judged.to_dict("records")
    ]
    heads = ["Method", "First choice", "Pairs right", "Kendall", "Regret", "Mean error"]
    caption = f"How all methods rank these runs as of epoch {e.k}"
    told = "; ".join(
        f"{explanation(name).label}: {MEASURES[name].description.rstrip('.')}" for name in ("kendall", "regret")
    )
    return (
        _rows(heads, rows, "l l r r r r", caption)
        + f'<p class="muted">{_safe(told)}; in points, as the mean error is.</p>'
    )


def _provenance(e: Evidence, now: datetime) -> str:
    place = plain(e.place, 80)
    command = ["ncore", "report", place or "STORE", "--dataset", plain(e.dataset), "--mode", plain(e.mode)]
    command += ["--epochs", f"{e.k}", "--method", e.method]
    command += [] if e.metric.name == ACCURACY else ["--metric", e.metric.name]
    return (
        f"<p>Made by ncore {_safe(ncore.__version__)} on {now.astimezone(UTC):%Y-%m-%d at %H:%M} UTC from "
        f"{counted(len(e.curves), 'run')}{f' of the store {_safe(called(place))}' if place else ''}. Every number was "
        f"computed from them.{'' if not place else ' To make it again:'}</p>"
        + (f"<pre>{_safe(' '.join(map(shlex.quote, command)))}</pre>" if place else "")
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _best_first(e: Evidence) -> list[str]:
    """Candidates in the order in which they are kept in pictures."""
    order = e.rated.sort_values("observed", ascending=False, kind="stable") if e.settled else e.rated
    return [str(name) for name in order["candidate"]]


def _rows(heads: Iterable[str], rows: Iterable[list[str]], sides: str, caption: str) -> str:
    """A table of cells that are HTML already."""
    kinds = [f' class="{"right" if side == "r" else "left"}"' for side in sides.split()]
    top = "".join(f'<th scope="col"{kind}>{_safe(head)}</th>' for head, kind in zip(heads, kinds, strict=False))
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{cell}</td>' for cell, kind in zip(row, kinds, strict=False))}</tr>" for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{_safe(caption)}"><table>'
        f"<caption>{_safe(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _list(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{_safe(text)}</li>' for text in sentences)}</ul>"


def _paragraphs(sentences: Iterable[str]) -> str:
    text = " ".join(map(_safe, sentences))
    return f"<p>{text}</p>" if text else ""


def _prose(text: str) -> str:
    """One of our own explanations, which have a little Markdown."""
    shown = _CODE.sub(r"<code>\1</code>", escape(text))
    return _EMPHASIS.sub(r"<em>\1</em>", _STRONG.sub(r"<strong>\1</strong>", shown))


def _number(value: float, form: str) -> str:
    return "–" if pd.isna(value) else format(value, form)


def _cell(text: object, limit: int | None = None) -> str:
    """A text in a narrow column: names may be broken after an underscore."""
    return escape(plain(text, limit)).replace("_", "_<wbr>")


def _safe(text: object) -> str:
    return escape(plain(text))
