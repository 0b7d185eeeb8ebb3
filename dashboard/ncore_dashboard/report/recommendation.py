"""The sentences of a report. All are plain text, computed from the evidence; the page escapes them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ncore.predict import BASELINE, DEFAULT_METHOD, LEVEL, RECOMMENDED, get_predictor
from ncore.predict.notes import said_of_baselines
from ncore.scores.metrics import ACCURACY
from ncore_dashboard.data import same_examples
from ncore_dashboard.data.clock import saved
from ncore_dashboard.data.gap import gap
from ncore_dashboard.report.evidence import Evidence
from ncore_dashboard.text.phrases import called, chance, counted, difference, duration, listed, percent, points

__all__ = [
    "CERTAIN",
    "RIVAL",
    "Option",
    "default_and_why",
    "early",
    "firmness",
    "options",
    "recommendation",
    "rivals",
    "spent",
    "uncertainty",
]

CERTAIN = 0.9
RIVAL = 0.05
"""Probability of being best from which a candidate may still end first."""


class Option(NamedTuple):
    """One way to be surer.

    Attributes:
        what: To do.
        seconds: That it takes, NaN where unknown.
        brings: What one would know then.
    """

    what: str
    seconds: float
    brings: str


def recommendation(e: Evidence) -> str:
    """What to do, in a sentence."""
    table = e.rated
    first = table.iloc[0]
    if len(table) == 1:
        return f"Only one candidate can be ranked, {called(first['candidate'])}, so there is nothing to choose."
    if e.settled:
        best = e.winner
        accuracy = table.loc[table["candidate"] == best, "observed"].iloc[0]
        return (
            f"Choose {called(best)}: trained to the end, {_did(e, accuracy)}, the "
            f"{'most' if e.metric.name == ACCURACY else e.metric.best} of {len(table)} candidates."
        )
    names, sum_of = e.shortlist(CERTAIN)
    if len(names) == 1:
        return (
            f"Choose {called(names[0])}: after {e.k} of {e.end} epochs it is ahead of {len(table) - 1} other"
            f"{'s' if len(table) > 2 else ''}, and it is the best with a probability of {chance(sum_of)}."
        )
    if len(names) == len(table):
        return (
            f"Don't decide yet: after {e.k} of {e.end} epochs {called(first['candidate'])} is ahead, but any of the "
            f"{len(table)} candidates can still be the best."
        )
    return (
        f"Go on with {listed(names)} and stop the other {len(table) - len(names)}: after {e.k} of {e.end} epochs, the "
        f"best is among them with a probability of {chance(sum_of)}."
    )


def rivals(e: Evidence) -> list[str]:
    """Candidates whose final accuracy can't be told from the winner's by their seeds, nearest first; needs seeds."""
    mine = e.finals[e.winner]
    gaps = {name: gap(mine, finals) for name, finals in e.finals.items() if name != e.winner}
    near = [name for name, found in gaps.items() if found.known and not found.clear]
    return sorted(near, key=lambda name: gaps[name].size)


def firmness(e: Evidence) -> list[str]:
    """How firm the choice is, once the final accuracies are known, and how it stands to a boring baseline."""
    boring = [said] if (said := said_of_baselines(e.ranking)) else []
    return [*boring, *(_firmness(e) if e.settled else [])]


def _firmness(e: Evidence) -> list[str]:
    near = rivals(e)
    if near:
        return [
            f"{listed(near)} can’t be told apart from {called(e.winner)} by the seeds that were trained, so another "
            "reason, such as cost, may decide between them."
        ]
    if min(map(len, e.finals.values())) < 2:
        return ["Some candidates have one seed only, so how much of the difference is chance is not known."]
    return ["No other candidate comes so close that the difference could be chance between seeds."]


def early(e: Evidence) -> list[str]:
    """What the ranking as of epoch k says, and how right it was if that is known."""
    if e.foretold.empty:
        return []  # nothing is left to forecast, and the recommendation says what was measured
    if len(e.measured):
        best, first = e.measured.iloc[0], e.foretold.iloc[0]
        return [
            f"Of the {counted(len(e.measured), 'candidate')} that ended by then, {called(best['candidate'])} did best: "
            f"{_did(e, best['predicted'])}.",
            f"Of the {len(e.foretold)} that had not, the method “{e.label}” expects most of "
            f"{called(first['candidate'])}: it is predicted to end at {e.value(first['predicted'])} (90% interval "
            f"{e.metric.interval_in_words(first['lower'], first['upper'])}).",
        ]
    first = e.rated.iloc[0]
    said = [
        f"{'Knowing' if e.settled else 'With'} only the first {counted(e.k, 'epoch')}, the method “{e.label}” ranks "
        f"{called(first['candidate'])} first: it is predicted to end at {e.value(first['predicted'])} (90% interval "
        f"{e.metric.interval_in_words(first['lower'], first['upper'])}) and is the best with a probability of "
        f"{chance(first['p_best'])}."
    ]
    if not e.settled:
        if e.last > e.k:
            said.append(f"The runs already hold up to {e.last} epochs: a report as of a later epoch costs nothing.")
        return said
    if first["candidate"] == e.winner:
        said.append("It really ended best.")
    else:
        lost = e.apart(float(e.rated["observed"].max()), first["observed"])
        side = "below" if e.metric.higher_is_better else "above"
        said.append(f"It really ended at {e.value(first['observed'])}, {lost} {side} the best.")
    share = saved(e.clocks, e.k, str(first["candidate"]))
    if math.isfinite(share):
        said.append(f"Stopping all others at that point would have saved {share:.0f}% of the training time.")
    return said


def uncertainty(e: Evidence) -> list[str]:
    """How sure all this is."""
    table, said = e.rated, []
    if len(table) > 1 and len(e.foretold):
        close = int((table["p_best"].iloc[1:] >= RIVAL).sum())
        said.append(
            f"As of epoch {e.k}, {close or 'none'} of the {len(table) - 1} other candidates "
            f"{'could still have ended' if e.settled else 'may still end'} first with a probability of "
            f"{percent(RIVAL, 0)} or more: "
            + (
                "their order may still change."
                if close and not e.settled
                else "the order was not sure."
                if close
                else "the first place looks settled."
            )
        )
        names, sum_of = e.shortlist(CERTAIN)
        if len(names) < len(table):
            said.append(
                f"By that ranking, with a probability of {chance(sum_of)} the best is "
                + (f"{called(names[0])}." if len(names) == 1 else f"one of {listed(names, most=6, joint='or')}.")
            )
    rows = e.foretold[e.foretold["observed"].notna()]
    if len(rows) > 1:
        inside = int(((rows["observed"] >= rows["lower"]) & (rows["observed"] <= rows["upper"])).sum())
        from scipy.stats import binom

        narrow = binom.cdf(inside, len(rows), LEVEL) < 0.05
        said.append(
            f"{inside} of the {len(rows)} final {_plural(e)} forecast and known lie inside their 90% interval (about "
            f"{LEVEL * len(rows):.0f} should): "
            + ("these intervals are too narrow here." if narrow else "no more are missed than chance allows.")
        )
        predicted, observed = (e.metric.off_scale(rows[name]) for name in ("predicted", "observed"))
        lift, error = float((observed - predicted).mean()), float(np.abs(observed - predicted).mean())
        said.append(
            f"{e.verdict.right} of {e.verdict.pairs} pairs of candidates were ranked in the order in which they "
            f"ended; predictions were off by {_off(e, error)} on average"
            + (
                f", mostly to one side: runs ended {difference(e.metric, lift)} {'above' if lift > 0 else 'below'} "
                "their prediction in the mean."
                if abs(lift) > 0.5 * error
                else "."
            )
        )
    spreads = {name: float(np.ptp(e.metric.off_scale(values))) for name, values in e.finals.items() if values.size > 1}
    if spreads:
        usual = float(np.median(list(spreads.values())))
        widest = max(spreads, key=lambda name: spreads[name])
        said.append(
            f"Chance: the final {_plural(e)} of the seeds of one candidate lie {difference(e.metric, usual)} apart in "
            f"the median, and {difference(e.metric, spreads[widest])} for {called(widest)}."
        )
    else:
        said.append("Chance: how much the outcome depends on the seed can’t be said from these runs.")
    if e.images and e.finals and e.metric.name == ACCURACY:
        top = max(float(values.mean()) for values in e.finals.values())
        half = 1.645 * math.sqrt(top * (1 - top) / e.images)
        said.append(
            f"The test set has {e.images:,} examples, so an accuracy of {percent(top)} measured on it is known to "
            f"about ± {points(half)} (90%), whatever the number of seeds."
        )
    if e.same_examples is not None:
        first, second, found = e.same_examples
        said += same_examples.in_words(found, first, second, e.metric)
    bad = [curve for curve in e.curves if curve.status in ("failed", "unreadable", "interrupted")]
    if bad:
        names = list(dict.fromkeys(curve.candidate for curve in bad))
        said.append(
            f"{len(bad)} of {counted(len(e.curves), 'run')} failed, stopped early or can’t be read (of "
            f"{listed(names)}); what is said of all candidates below tells why."
        )
    return said


def options(e: Evidence) -> list[Option]:
    """What it would cost to be surer, from times measured in these runs."""
    everyone = e.rated["candidate"].tolist()
    if e.settled:
        near = [e.winner, *rivals(e)]
        few = near if len(near) > 1 else e.rated.nlargest(2, "observed")["candidate"].tolist()
        found = [
            Option(
                f"One more seed, to the end, of {listed(few, most=3)}",
                e.seed_seconds(few),
                "Shows better how much of their difference is chance.",
            ),
            Option("One more seed, to the end, of every candidate", e.seed_seconds(everyone), "The same for all."),
        ]
        if len(few) > 1 and len(near) > 1:
            found.append(_separate(e, few[0], few[1]))
        return [option for option in found if option.what]
    names, _ = e.shortlist(CERTAIN)
    later = min(2 * e.k, e.end)
    found = []
    if later > e.k:
        found.append(
            Option(
                f"Epochs {e.k + 1} to {later} of {_few(names, everyone)}",
                e.seconds(names, e.k, later),
                "Narrower intervals: more of each curve is seen.",
            )
        )
    found.append(
        Option(
            f"One more seed, up to epoch {e.k}, of {_few(names, everyone)}",
            e.seed_seconds(names, e.k),
            f"Shows better how much is chance: so far there are {_seeds(e)}.",
        )
    )
    if e.end > e.k:
        if len(names) < len(everyone):
            found.append(
                Option(
                    f"Training {listed(names, most=3)} to the end (epoch {e.end})",
                    e.seconds(names, e.k),
                    "Settles the choice between these, but for chance.",
                )
            )
        found.append(
            Option(
                f"Training every candidate to the end (epoch {e.end})",
                e.seconds(everyone, e.k),
                "Settles the choice between all, but for chance.",
            )
        )
    return found


def spent(e: Evidence) -> str:
    """What was spent so far."""
    everyone = list(e.clocks)
    upto = e.seconds(everyone, 0, e.k)
    if not math.isfinite(upto):
        return "These runs recorded no times, so no price can be given."
    return (
        f"Training all {counted(len(e.curves), 'run')} up to epoch {e.k} takes {duration(upto)}, to the end "
        f"{duration(e.seconds(everyone, 0))}. Times are measured in these runs, added up over runs, and, past what was "
        "recorded, continued at each run’s mean pace; runs that go side by side are done sooner, and slow each other "
        "down."
    )


def default_and_why(e: Evidence) -> list[str]:
    """Which method is used, and how the others did on the same runs."""
    said = []
    if e.method == DEFAULT_METHOD:
        said.append(f"This is the default. {RECOMMENDED.why}")
    table = e.methods
    judged = table[table["right"].notna() & (table["pairs"] > 0)]
    if e.foretold.empty:
        said.append(
            f"As of epoch {e.k} nothing is left to forecast, so methods are judged by reports as of earlier epochs."
        )
        return said
    if judged.empty:
        said.append(
            "Methods can’t be judged on these runs: fewer than two final accuracies are known that were forecast."
        )
        return said
    naive = judged[judged["method"] == BASELINE].iloc[0]
    others = judged[[get_predictor(name).of_the_paper for name in judged["method"]]]
    sentence = (
        f"On these runs, as of epoch {e.k}, reading the last accuracy puts {naive['right']:.0f} of "
        f"{naive['pairs']:.0f} pairs of candidates in the order in which they ended"
    )
    if len(others):
        best = others.loc[others["right"].idxmax()]
        sentence += (
            f"; the best of the paper’s methods, which read the end off neural capacitance (“{best['label']}”), puts "
            f"{best['right']:.0f} right"
        )
    said.append(sentence + ". A difference of a few pairs can be luck.")
    return said


def _separate(e: Evidence, first: str, second: str) -> Option:
    """As many seeds as tell the two apart, if their difference is what it seems to be."""
    found = gap(e.finals[first], e.finals[second])
    means = float(e.finals[first].mean()), float(e.finals[second].mean())
    have = min(len(e.finals[first]), len(e.finals[second]))
    if not math.isfinite(found.seeds) or found.seeds <= have:
        return Option("", math.nan, "")
    if found.seeds > 100:
        what = f"More than 100 seeds each of {called(first)} and {called(second)}"
        return Option(what, 100 * e.seed_seconds([first, second]), "Their difference is too small to be worth it.")
    return Option(
        f"About {found.seeds:.0f} seeds each of {called(first)} and {called(second)}, where there are {have}",
        (found.seeds - have) * e.seed_seconds([first, second]),
        f"Tells the two apart, if their difference is the {e.apart(*means)} that it seems to be.",
    )


def _did(e: Evidence, value: float) -> str:
    """How a candidate did on the test examples, as a clause."""
    if e.metric.name == ACCURACY:
        return f"it classifies {percent(value)} of the test examples correctly"
    return f"its {e.metric.label} on the test examples is {e.value(value)}"


def _plural(e: Evidence) -> str:
    return "accuracies" if e.metric.name == ACCURACY else f"values of {e.metric.label}"


def _off(e: Evidence, error: float) -> str:
    return f"{100 * error:.1f} points" if e.metric.unit else f"{error:.3f}"


def _few(names: list[str], everyone: list[str]) -> str:
    return "every candidate" if len(names) == len(everyone) else listed(names, most=3)


def _seeds(e: Evidence) -> str:
    counts = e.rated["seeds"]
    low, high = int(counts.min()), int(counts.max())
    return (counted(low, "seed") if low == high else f"{low} to {high} seeds") + " a candidate"
