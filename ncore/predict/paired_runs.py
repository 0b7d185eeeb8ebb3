"""Two finished candidates on the same test examples: what their runs' predictions say of their difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ncore.errors import InputError, StoreError
from ncore.predict.metric_series import final_predictions
from ncore.scores.metrics import McNemar, Metric, Paired, Predictions, mcnemar, paired

__all__ = ["SideBySide", "on_same_examples"]


@dataclass(frozen=True)
class SideBySide:
    """Two candidates on the same examples.

    Attributes:
        paired: The difference of their means over seeds, with its interval.
        tests: McNemar's exact test of each seed that both have.
    """

    paired: Paired
    tests: Mapping[int, McNemar]


def on_same_examples(metric: Metric, first: Sequence[Any], second: Sequence[Any]) -> SideBySide | str:
    """Compare the final test predictions of the finished runs of two candidates.

    Args:
        metric: By which.
        first: Runs of one candidate, as ``ncore.store.Run`` has them.
        second: Those of another one, on the same dataset.

    Returns:
        What they say, or why they can't be compared so, in words.
    """
    sides = [_finals(runs) for runs in (first, second)]
    if not all(sides):
        return "their finished runs have not kept predictions of single test examples"
    cuts = {cut for side in sides for cut, _ in side.values() if cut}
    if len(cuts) > 1:
        return "their runs were tested on different examples"
    one, two = ({seed: found for seed, (_, found) in side.items()} for side in sides)
    try:
        difference = paired(metric, list(one.values()), list(two.values()))
        tests = {seed: mcnemar(one[seed], two[seed]) for seed in sorted(one) if seed in two}
    except InputError as error:
        said = str(error).rstrip(".")
        return said[:1].lower() + said[1:]
    return SideBySide(difference, tests)


def _finals(runs: Sequence[Any]) -> dict[int, tuple[tuple[str, str] | None, Predictions]]:
    """By seed: what says which examples these are, where that is known, and the predictions of the finished runs."""
    found: dict[int, tuple[tuple[str, str] | None, Predictions]] = {}
    for run in runs:
        try:
            manifest = run.manifest
            if manifest.status != "finished" or (last := final_predictions(run)) is None:
                continue
        except StoreError:
            continue
        data, cut = (str(manifest.digests.get(name) or "") for name in ("data", "cut"))
        found.setdefault(int(manifest.seed), ((data, cut) if data and cut else None, last))
    return found
