"""What came out of the benchmark, goal by goal: sentences computed from the results."""

from __future__ import annotations

import pandas as pd

from ncore.benchmark.evaluation import AVERAGE
from ncore.benchmark.findings import CONFIRMING, Findings
from ncore.benchmark.methods import predictor_of
from ncore.benchmark.replay import FACTORS, WHOLE
from ncore.predict import BASELINE, DEFAULT_METHOD, Reads, get_predictor, predictor_names
from tools.benchmark_page.markdown import join

__all__ = ["GOAL_REGRET", "GOAL_SHARE", "best_play", "conclusions", "repeated_plays"]

GOAL_REGRET, GOAL_SHARE = 1.0, 0.15
_LEVEL = 0.005
"""Differences in Kendall's tau that two digits don't show."""


def conclusions(found: Findings, at: int) -> list[str]:
    """What came out, goal by goal."""
    parts = [] if found.complete else [_unfinished(found)]
    return [
        *parts,
        _against_last(found, at),
        _room(found, at),
        _against_peers(found, at),
        _price(found, at),
        _beta(found, at),
        _intervals(found, at),
        _certainty(found, at),
    ]


def best_play(found: Findings) -> str:
    """Which strategy loses least within the goal's share of the epochs, by the mean over modes."""
    settings = found.played.groupby(["strategy", "setting"], sort=False)[["regret", "share"]].mean().reset_index()
    within = settings[(settings["share"] <= GOAL_SHARE) & (settings["strategy"] != WHOLE)]
    if within.empty:
        cheapest = settings.sort_values("share", kind="stable").iloc[0]
        return (
            f"No strategy stays within {GOAL_SHARE:.0%} of the epochs in the mean over modes; the cheapest, "
            f"{cheapest['strategy']} ({cheapest['setting']}), takes {cheapest['share']:.1%} and loses "
            f"{cheapest['regret']:.2f} points."
        )
    first = within.sort_values("regret", kind="stable").iloc[0]
    others = within[~within["strategy"].str.startswith("ncore")]
    text = (
        f"Within {GOAL_SHARE:.0%} of all epochs, in the mean over modes, {first['strategy']} ({first['setting']}) "
        f"loses least: {first['regret']:.2f} points at {first['share']:.1%}"
    )
    if len(others) and not others["strategy"].eq(first["strategy"]).any():
        second = others.sort_values("regret", kind="stable").iloc[0]
        text += (
            f"; of the others {second['strategy']} ({second['setting']}) comes next, with {second['regret']:.2f} "
            f"points at {second['share']:.1%}"
        )
    return f"{text}."


def repeated_plays(found: Findings) -> str:
    """What early stopping does on runs with seeds that nothing was chosen on."""
    played = pd.DataFrame(found.facts["repeated"]["played"])
    if played.empty:
        return ""
    means = played.groupby(["strategy", "setting"])[["regret", "share"]].mean()

    def of(strategy: str, setting: str) -> str:
        row = means.loc[(strategy, setting)]
        return f"{row['regret']:.2f} points at {row['share']:.0%} of the epochs"

    halved = join(f"{of('Successive halving, in rounds', f'factor {eta}')} by a factor of {eta}" for eta in FACTORS)
    return (
        " On the runs with further seeds alone, on which nothing was chosen, `ncore sweep --stop` with its default "
        f"risk of 0.1 loses {of('ncore sweep --stop', 'risk 0.1')} in the mean over modes, and with a budget of 15% "
        f"{of('ncore sweep --stop --budget', '15% of all epochs')}; successive halving in rounds loses {halved}."
    )


def _unfinished(found: Findings) -> str:
    modes, planned = found.facts["modes"], found.facts["planned"]
    told = [f"{len(modes.get(mode, {'tasks': ()})['tasks'])} in mode `{mode}`" for mode in planned["modes"]]
    return (
        f"**The benchmark is not finished.** Of {planned['tasks']} tasks the table has {join(told)} so far, so that "
        "what follows is provisional, and no goal is decided."
    )


def _against_last(found: Findings, at: int) -> str:
    modes = sorted(found.average["mode"].unique())
    label = found.recommended_label
    if DEFAULT_METHOD == BASELINE:
        return _simplest(found, at)
    told, won, strictly = [], 0, 0
    for mode in modes:
        row, last = found.row(mode, at, DEFAULT_METHOD), found.row(mode, at, BASELINE)
        if row is None or last is None:
            continue
        won += bool(row["over_last_tasks_lower"] > 0)
        strictly += bool(row["over_last_lower"] > 0)
        told.append(
            f"{row['value']:.2f} against {last['value']:.2f} in mode `{mode}` ({row['over_last']:+.2f}; "
            f"{row['over_last_tasks_lower']:+.2f} to {row['over_last_tasks_upper']:+.2f} for other tasks, "
            f"{row['over_last_lower']:+.2f} to {row['over_last_upper']:+.2f} for other tasks and other candidates)"
        )
    verdict = ("reached" if won >= 2 else "not reached") if found.complete else "not decided yet"
    return (
        f"**Against reading the last accuracy.** {label} is the recommended method. Its mean Kendall's tau over "
        f"held-out tasks after {at} epochs is {'; '.join(told)}; the intervals are 95% ones. The goal, a difference "
        f"whose interval over held-out tasks is above 0 in at least two of three modes, is **{verdict}**: it is so in "
        f"{won} of {len(modes)}, and in {strictly} if the candidates are drawn again, too.{_confirmed(found, at)}"
        f"{_repeated(found)}{_as_strangers(found, at)}"
    )


def _confirmed(found: Findings, at: int) -> str:
    """What the recommended method does on tasks that had no part in choosing it."""
    part = found.evaluation
    part = part[part["task"].isin(CONFIRMING) & part["mode"].isin(["all", "backbone"]) & (part["k"] == at)]
    part = part[(part["measure"] == "kendall") & part["method"].isin([DEFAULT_METHOD, BASELINE])]
    wide = part.pivot_table(index=["mode", "task"], columns="method", values="value")
    if wide.empty or len(wide.columns) < 2:
        return ""
    ahead = int((wide[DEFAULT_METHOD] > wide[BASELINE]).sum())
    means = wide.groupby("mode").mean()
    told = join(
        f"{row[DEFAULT_METHOD]:.2f} against {row['last']:.2f} in mode `{mode}`" for mode, row in means.iterrows()
    )
    return (
        f" On tasks that were run after the method had been chosen, it is {told}, and ahead on {ahead} of {len(wide)}."
    )


def _repeated(found: Findings) -> str:
    """What the recommended method does on runs with seeds that nothing was chosen on."""
    average = pd.DataFrame(found.facts["repeated"]["average"])
    if average.empty:
        return ""
    told = join(
        f"{row.value:.2f} ({row.over_last:+.2f}; {row.over_last_tasks_lower:+.2f} to {row.over_last_tasks_upper:+.2f} "
        f"for other tasks) in mode `{row.mode}`"
        for row in average[average["measure"] == "kendall"].itertuples(index=False)
    )
    tasks = pd.DataFrame(found.facts["repeated"]["tasks"])
    return (
        f" On the runs with further seeds alone, all of which were made after the method and its intervals had been "
        f"settled, it is {told}, and ahead on {int((tasks['over_last'] > 0).sum())} of {len(tasks)} tasks."
    )


def _as_strangers(found: Findings, at: int) -> str:
    """What the recommended method does for candidates that it has not seen on other tasks."""
    told = [
        f"{row['value']:.2f} ({row['over_last']:+.2f}; {row['over_last_tasks_lower']:+.2f} to "
        f"{row['over_last_tasks_upper']:+.2f} for other tasks) in mode `{mode}`"
        for mode in sorted(found.average["mode"].unique())
        if (row := found.row(mode, at, f"{DEFAULT_METHOD} (strangers)")) is not None
    ]
    return (
        f" If none of the candidates had been seen on other data before, it reaches {'; '.join(told)}." if told else ""
    )


def _simplest(found: Findings, at: int) -> str:
    """What is said where reading the last accuracy is what is recommended."""
    best, average = found.ranking(at), found.average
    labels = average.drop_duplicates("method").set_index("method")["label"]
    tau = average[(average["measure"] == "kendall") & (average["k"] == at) & (average["kind"] != "reference")]
    above = tau[tau["over_last_lower"] > 0].groupby("method", sort=False)["mode"].nunique()
    winners = [f"“{labels[name]}”" for name in above[above >= 2].index]
    return (
        f"**The recommended method is the simplest: {found.recommended_label}.** The highest mean Kendall's tau over "
        f"modes after {at} epochs is {best.iloc[0]:.2f}, of “{labels[best.index[0]]}”, against {best['last']:.2f}. "
        f"Ahead of it in at least two modes, with a 95% interval above 0: {join(winners)}."
    )


def _room(found: Findings, at: int) -> str:
    """How much there is to be won above the last accuracy."""
    told = []
    for mode in sorted(found.average["mode"].unique()):
        rows = [found.row(mode, at, name) for name in (BASELINE, "whole", "ceiling")]
        if all(row is not None for row in rows):
            last, whole, ceiling = (float(row["value"]) for row in rows if row is not None)
            told.append(f"{last:.2f}, {whole:.2f} and {ceiling:.2f} in mode `{mode}`")
    return (
        f"**The room above it.** Reading the last accuracy after {at} epochs, reading it after all of them, and "
        f"knowing every candidate's expected final accuracy give a mean Kendall's tau of {'; '.join(told)}. The third "
        "is what noise leaves to be known in advance; it doesn't know the luck of single runs, which their ends show, "
        "so that it can be below the second."
    )


def _against_peers(found: Findings, at: int) -> str:
    behind: list[str] = []
    beaten = ahead = level = 0
    for mode in sorted(found.average["mode"].unique()):
        part = found.average
        part = part[(part["mode"] == mode) & (part["k"] == at) & (part["measure"] == "kendall")]
        mine = part[part["method"] == DEFAULT_METHOD]
        if mine.empty:
            continue
        peers = part[(part["kind"] != "reference") & ~part["method"].isin([DEFAULT_METHOD, BASELINE])]
        peers = peers[[not (predictor := predictor_of(name)) or not predictor.ours for name in peers["method"]]]
        # Equal cost, to the rounding: all that read curves to the same epoch cost the same.
        peers = peers[peers["share"] <= mine["share"].iloc[0] + 1e-9]
        for row in peers.itertuples(index=False):
            if row.recommended_over < -_LEVEL:
                behind.append(f"“{row.label}” in mode `{mode}` ({-row.recommended_over:+.2f})")
            elif row.recommended_over <= _LEVEL:
                level += 1
            elif row.recommended_over_lower <= 0:
                ahead += 1
            else:
                beaten += 1
    total = beaten + ahead + level + len(behind)
    text = (
        f"**Against every peer at equal or lower cost.** Of {total} comparisons after {at} epochs (a peer in a mode), "
        f"{found.recommended_label} is ahead with an interval above 0 in {beaten}, ahead without being shown to be in "
        f"{ahead}, level in {level}, and behind in {len(behind)}"
    )
    return f"{text}: {'; '.join(behind)}." if behind else f"{text}."


def _price(found: Findings, at: int) -> str:
    told = []
    reached = 0
    modes = sorted(found.average["mode"].unique())
    for mode in modes:
        part = found.average
        part = part[(part["mode"] == mode) & (part["measure"] == "regret") & (part["method"] == DEFAULT_METHOD)]
        within = part[part["share"] < GOAL_SHARE].sort_values("value", kind="stable")
        if within.empty:
            cheapest = part.sort_values("share", kind="stable").iloc[0]
            told.append(
                f"in mode `{mode}` nothing is that cheap (k = {cheapest['k']} costs {cheapest['share']:.0%} and loses "
                f"{cheapest['value']:.2f} points)"
            )
            continue
        first = within.iloc[0]
        reached += bool(first["value"] < GOAL_REGRET)
        told.append(
            f"in mode `{mode}` the first choice after {first['k']} epochs loses {first['value']:.2f} points at "
            f"{first['share']:.1%}{_worst(found, mode, int(first['k']))}"
        )
    played = found.played[found.played["strategy"] == "ncore sweep --stop --budget"]
    stops, stopped = [], 0
    for mode in modes:
        part = played[(played["mode"] == mode) & (played["share"] < GOAL_SHARE)].sort_values("share", kind="stable")
        if len(part):
            row = part.iloc[-1]  # what spends the goal's share, not what happened to lose least
            stopped += bool(row["regret"] < GOAL_REGRET)
            stops.append(
                f"{row['regret']:.2f} points at {row['share']:.1%} of the epochs ({row['seconds_share']:.1%} of the "
                f"seconds) in mode `{mode}`"
            )
    text = (
        f"**The price of choosing.** The goal is to lose under {GOAL_REGRET:g} point at under {GOAL_SHARE:.0%} of the "
        f"seconds of training all: {'; '.join(told)}. It is reached in {reached} of {len(modes)} modes."
    )
    ends = [
        f"{row['value']:.2f} in mode `{mode}`"
        for mode in modes
        if (row := found.row(mode, at, "whole", "regret")) is not None
    ]
    if ends:
        text += (
            " Training all to the end, at the full price, and taking the one with the highest validation accuracy "
            f"loses {join(ends)}: nothing below that can be relied on."
        )
    if stops:
        text += (
            " With early stopping, which trains the chosen candidate to its end as well, `ncore sweep --stop` with a "
            f"budget just under {GOAL_SHARE:.0%} of the epochs loses {'; '.join(stops)}: counted in epochs, the goal "
            f"is reached in {stopped} of {len(modes)} modes."
        )
    return text


def _worst(found: Findings, mode: str, k: int) -> str:
    """The task on which the recommended method loses most, if it makes the difference to the goal."""
    part = found.evaluation
    part = part[(part["mode"] == mode) & (part["k"] == k) & (part["measure"] == "regret")]
    part = part[(part["method"] == DEFAULT_METHOD) & (part["task"] != AVERAGE)]
    lost = part.set_index("task")["value"].sort_values(ascending=False, kind="stable")
    if len(lost) < 2 or lost.mean() < GOAL_REGRET:
        return ""
    return f" ({lost.iloc[0]:.1f} on {lost.index[0]}, {lost.iloc[1:].mean():.2f} on the others)"


def _beta(found: Findings, at: int) -> str:
    names = set(found.average["method"])
    known = [name for name in predictor_names(slow=True) if name in names]
    users = {name for name in known if Reads.BETA_EFF in get_predictor(name).reads}
    with_beta, without = found.ranking(at, users), found.ranking(at, set(known) - users)
    if with_beta.empty or without.empty:
        return "**beta_eff.** There is nothing to compare."
    first, second = (f"“{get_predictor(part.index[0]).label}”" for part in (with_beta, without))
    # Only where their intervals to the last accuracy don't even overlap is one shown to be ahead of the other.
    apart = 0
    modes = sorted(found.average["mode"].unique())
    for mode in modes:
        one, other = (found.row(mode, at, str(part.index[0])) for part in (with_beta, without))
        if one is not None and other is not None:
            apart += bool(one["over_last_lower"] > other["over_last_upper"])
    verdict = "earns its place" if 2 * apart > len(modes) else "is not shown to earn its place in the ranking"
    paper = found.ranking(at, [name for name in known if get_predictor(name).of_the_paper])
    text = (
        f"**beta_eff {verdict}.** The best predictor that reads it is {first}, with a mean Kendall's tau over modes of "
        f"{with_beta.iloc[0]:.3f} after {at} epochs; the best without is {second}, with {without.iloc[0]:.3f}; the "
        f"intervals of their differences to the last accuracy are apart in {apart} of {len(modes)} modes"
    )
    if len(paper):
        text += (
            f". The paper's own reading, h(0), gets {paper.iloc[0]:.2f} at best "
            f"(“{get_predictor(str(paper.index[0])).label}”)"
        )
    twin = _with_beta(DEFAULT_METHOD)
    if twin in known:
        told = [
            f"{-row['recommended_over']:+.3f} ({-row['recommended_over_upper']:+.2f} to "
            f"{-row['recommended_over_lower']:+.2f}) in mode `{mode}`"
            for mode in modes
            if (row := found.row(mode, at, twin)) is not None
        ]
        text += f". Added to the recommended method it changes tau by {'; '.join(told)}"
    return f"{text}."


def _with_beta(method: str) -> str | None:
    """The predictor that differs from this one in reading beta_eff, too."""
    reads = {*get_predictor(method).reads, Reads.BETA_EFF}
    return next((name for name in predictor_names() if set(get_predictor(name).reads) == reads), None)


def _intervals(found: Findings, at: int) -> str:
    part = found.average
    part = part[(part["k"] == at) & (part["measure"] == "coverage") & (part["method"] == DEFAULT_METHOD)]
    told = [f"{row.value:.0%} in mode `{row.mode}`" for row in part.sort_values("mode").itertuples(index=False)]
    every = found.average
    every = every[(every["measure"] == "coverage") & (every["method"] == DEFAULT_METHOD) & every["value"].notna()]
    good = every["value"].between(0.85, 0.95)
    datasets = {task["dataset"] for task in found.facts["tasks"].values()}
    how = "on datasets that they were not calibrated on" if len(datasets) > 1 else "without any calibration yet"
    return (
        f"**Intervals.** The 90% intervals of {found.recommended_label} hold {join(told)} of the final accuracies "
        f"after {at} epochs, {how}. Over all k and modes, {int(good.sum())} of {len(good)} coverages are between 85% "
        f"and 95%, the lowest is {every['value'].min():.0%} and the highest {every['value'].max():.0%}."
        f"{_repeated_coverage(found)}{_related(found, at)}"
    )


def _repeated_coverage(found: Findings) -> str:
    """How often the intervals hold on runs with seeds that nothing was chosen on."""
    average = pd.DataFrame(found.facts["repeated"]["average"])
    if average.empty:
        return ""
    covered = average[average["measure"] == "coverage"].itertuples(index=False)
    told = join(f"{row.value:.0%} in mode `{row.mode}`" for row in covered)
    return f" On the runs with further seeds alone it is {told}."


def _related(found: Findings, at: int) -> str:
    """What changes where tasks of the same images are known."""
    related = pd.DataFrame(found.facts["related"])
    covered = related[related["measure"] == "coverage"].dropna()
    here = covered[covered["k"] == at].sort_values("mode")
    if here.empty:
        return ""
    told = join(f"{row.value:.0%} in mode `{row.mode}`" for row in here.itertuples(index=False))
    good = covered["value"].between(0.85, 0.95)
    return (
        f" Where other tasks made of the same images are known, as they are to who trains on the same data again, it "
        f"is {told}; {int(good.sum())} of {len(good)} coverages are between 85% and 95% then, the lowest is "
        f"{covered['value'].min():.0%} and the highest {covered['value'].max():.0%}."
    )


def _certainty(found: Findings, at: int) -> str:
    """Whether the probabilities of being the best are right."""
    table = pd.DataFrame(found.facts["certainty"])
    here = table[table["k"] == at]
    told = [
        f"{part['probability'].mean():.2f} in mode `{mode}`, where it was the best in {part['right'].sum()} of "
        f"{len(part)} tasks"
        for mode, part in here.groupby("mode")
    ]
    sets = [
        f"{part['held'].sum()} of {len(part)} tasks in mode `{mode}`, with {part['size'].mean():.0f} of "
        f"{part['candidates'].mean():.0f} candidates"
        for mode, part in here.groupby("mode")
    ]
    every = join(f"{held.sum()} of {held.size} (k = {k})" for k, held in table.groupby("k")["held"])
    return (
        f"**How sure it is.** The first choice after {at} epochs is given a probability of being the best of "
        f"{'; '.join(told)}. The smallest set of candidates that should hold the best nine times out of ten held it in "
        f"{'; '.join(sets)}. Over all modes it did so in {every}. Which candidate was the best is read from a finite "
        "test set, too: of nearly level ones it may be another."
    )
