"""Two finished candidates on the same test examples, in words. Nothing here needs Streamlit."""

from __future__ import annotations

from ncore.predict.paired_runs import SideBySide
from ncore.scores.metrics import Metric
from ncore_dashboard.text.phrases import called, difference

__all__ = ["in_words"]

_MOST = 3  # seeds whose tests are told one by one


def in_words(found: SideBySide, first: str, second: str, metric: Metric) -> list[str]:
    """What the pairing of examples says of two candidates: the bootstrap of their difference, and McNemar's test.

    Args:
        found: As :func:`ncore.predict.paired_runs.on_same_examples` made it.
        first, second: Names of the candidates, in its order.
        metric: By which.
    """
    result = found.paired
    ahead = result.difference >= 0 if metric.higher_is_better else result.difference <= 0
    best, other = (first, second) if ahead else (second, first)
    ends = (result.lower, result.upper) if result.difference >= 0 else (-result.upper, -result.lower)
    low, high = (f"{(100 if metric.unit else 1) * end:.{1 if metric.unit else 3}f}" for end in ends)
    if result.difference == 0 and not result.clear:
        start = f"On the same {result.examples:,} test examples {called(first)} and {called(second)} do equally well"
    else:
        start = (
            f"On the same {result.examples:,} test examples {called(best)} is ahead of {called(other)} by "
            f"{difference(metric, result.difference)} of {metric.label} (90% interval {low} – {high})"
        )
    if result.clear:
        end = "more than the choice of test examples explains"
    else:
        end = "which the choice of test examples may explain"
    said = [f"{start}, {end}. Both are resampled together (paired bootstrap), the trainings as they are."]
    tests = list(found.tests.items())
    if not tests:
        return said
    told = "; ".join(
        f"{f'seed {seed}: ' if len(tests) > 1 else ''}only {called(first)} is right on {test.only_first:,} of them, "
        f"only {called(second)} on {test.only_second:,} ({_p(test.p_value)})"
        for seed, test in tests[:_MOST]
    )
    rest = f"; and {len(tests) - _MOST} more seeds" if len(tests) > _MOST else ""
    said.append(f"McNemar’s exact test of the accuracy: {told}{rest}.")
    return said


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
