"""What is to be said of a ranking as a whole: the same sentences under a command's table, on pages and in reports."""

from __future__ import annotations

import pandas as pd

__all__ = ["said_of", "said_of_baselines", "said_of_limits", "said_of_past"]

_MOST_NAMED = 5


def said_of(ranking: pd.DataFrame) -> list[str]:
    """All of it, a sentence or two each.

    Args:
        ranking: As :meth:`ncore.predict.Ranker.rank` makes it.
    """
    return list(filter(None, (said(ranking) for said in (said_of_baselines, said_of_limits, said_of_past))))


def said_of_baselines(ranking: pd.DataFrame) -> str:
    """How networks that ended stand to a boring baseline, as a sentence; empty if none ended, or there is no baseline.

    Args:
        ranking: As :meth:`ncore.predict.Ranker.rank` makes it.
    """
    baselines: dict[str, str] = ranking.attrs.get("baselines", {})
    ended = ranking[(ranking["kind"] == "measured") & ranking["predicted"].notna()]
    boring = ended[ended["candidate"].isin(baselines)]
    networks = ended[~ended["candidate"].isin(baselines)]
    if boring.empty or networks.empty:
        return ""
    best, first = boring.iloc[0], networks.iloc[0]
    words = f"the baseline, {baselines[best['candidate']]}"
    if first["rank"] < best["rank"]:
        behind = int((networks["rank"] > best["rank"]).sum())
        rest = f", and {behind} of {len(networks)} networks are behind it" if behind else ""
        return f"{first['candidate']} ended ahead of {words}{rest}."
    going = " of those that ended" if len(ended) < len(ranking) else ""
    return f"No network{going} is ahead of {words}: it costs next to nothing, so choose it unless one does better."


def said_of_past(ranking: pd.DataFrame) -> str:
    """What a ranking's method could not learn from, as a sentence; empty if nothing was left out.

    Args:
        ranking: As :meth:`Ranker.rank` makes it.
    """
    if not (known := ranking.attrs.get("held_out")):
        return ""
    rest = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    shown = ", ".join(known[:_MOST_NAMED]) + rest
    return f"This data shares examples with {shown}: what past runs on these taught was left out."


def said_of_limits(ranking: pd.DataFrame) -> str:
    """Who was left out of a ranking because it costs too much, as a sentence; empty without limits.

    Args:
        ranking: As :meth:`Ranker.rank` makes it.
    """
    if not (limits := ranking.attrs.get("under")):
        return ""
    over: dict[str, str] = ranking.attrs["over"]
    told = "; ".join(f"{name} ({why})" for name, why in over.items())
    return f"These are the candidates under {limits}. " + (f"Left out: {told}." if over else "None was left out.")
