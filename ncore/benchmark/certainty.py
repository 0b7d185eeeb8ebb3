"""Whether the recommended method is as sure as it may be: probabilities of being the best against who was the best."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ncore.benchmark.cases import Case, leave_dataset_out
from ncore.benchmark.evaluation import KS
from ncore.predict import DEFAULT_METHOD, get_predictor
from ncore.predict.stopping import StoppingRule, standing

__all__ = ["RISK", "certainty"]

RISK = 0.1
"""What `ncore sweep --stop` accepts by default."""


def certainty(cases: Sequence[Case], ks: Sequence[int] = KS, risk: float = RISK) -> pd.DataFrame:
    """Hold the probabilities of being the best against the candidates that were, on data that nothing was learned from.

    The best is the candidate with the highest mean final test accuracy. That is a noisy reading: of candidates that are
    nearly level the truly best one isn't always seen to be, so that shares of hits are a little lower than they would
    be without noise.

    Args:
        cases: Whose ends are known.
        ks: Epochs seen.
        risk: Of the set of candidates that holds the best with probability ``1 - risk``, the smallest one there is.

    Returns:
        One row a mode, task and k, with the columns candidates (how many there are), probability (of being the best,
        of the first choice), right (1 if the first choice was the best), size (how many the set has) and held (1 if
        the best was in it).
    """
    rule = StoppingRule(risk=risk, cut=1)
    rows = []
    for case in cases:
        predictor = get_predictor(DEFAULT_METHOD).fit([other.experience for other in leave_dataset_out(case, cases)])
        ends = {candidate: sum(values) / len(values) for candidate, values in case.observed.items()}
        best = {candidate for candidate, end in ends.items() if end == max(ends.values())}
        curves = [curve for curve in case.curves if curve.candidate in ends]
        for k in ks:
            if k >= case.horizon:
                continue
            now = standing([curve.until(k) for curve in curves], predictor)
            kept = rule.keep(now, now.candidates)
            rows.append(
                {
                    "mode": case.mode,
                    "task": case.name,
                    "k": k,
                    "candidates": len(ends),
                    "probability": now.probability(now.choice),
                    "right": int(now.choice in best),
                    "size": len(kept),
                    "held": int(not best.isdisjoint(kept)),
                }
            )
    return pd.DataFrame(rows)
