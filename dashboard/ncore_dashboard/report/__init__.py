"""Reports: one HTML file that tells a stakeholder which candidate to take, how sure that is, and why."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ncore.errors import InputError
from ncore.predict import DEFAULT_METHOD
from ncore_dashboard.report.evidence import Evidence, evidence_from_store, evidence_of
from ncore_dashboard.report.page import page

if TYPE_CHECKING:
    from ncore.store import Store
    from ncore.store.limits import Limits

__all__ = ["Evidence", "evidence_of", "page", "report_html", "write_report"]


def report_html(
    store: Store | str | os.PathLike[str],
    dataset: str | None = None,
    epochs: int | None = None,
    method: str = DEFAULT_METHOD,
    mode: str | None = None,
    metric: str | None = None,
    under: Limits | None = None,
) -> str:
    """A report on the candidates of a store, as one HTML page that needs nothing beside it.

    Args:
        store: An open store, or its path or URL.
        dataset: The dataset; None if the store holds only one.
        epochs: Rank as of this epoch; None for now.
        method: Name of a predictor (``ncore.predict.predictor_names()``).
        mode: The training mode; None if the runs share one.
        metric: What is ranked by, as for :func:`ncore.rank`.
        under: What a candidate may cost to use; those above are left out, and named.

    Raises:
        InputError: The runs can't be ranked, as :func:`ncore.rank` says.
        StoreError: The store can't be opened.
    """
    place = ""
    if isinstance(store, str | os.PathLike):
        from ncore.store import open_store

        place = os.fspath(store).rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
        store = open_store(os.fspath(store))
    return page(evidence_from_store(store, dataset, epochs, method, mode, place, metric, under))


def write_report(html: str, path: str | os.PathLike[str]) -> Path:
    """Write a report; the file appears whole, or not at all.

    Raises:
        InputError: It can't be written there.
    """
    target = Path(path).expanduser()
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(html, encoding="utf-8")
        os.replace(beside, target)
    except (OSError, ValueError) as error:
        beside.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The report can't be written to {target} ({reason}): name another file with `-o`.") from None
    return target.resolve()
