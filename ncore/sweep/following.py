"""Watching runs that are being recorded, by reading their store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ncore.errors import NcoreError
from ncore.probe.job import Job
from ncore.store import open_store
from ncore.sweep.running import run_id

__all__ = ["follow"]


def follow(jobs: Sequence[Job], store: str, changed: Callable[[str, int, int], None], stop: threading.Event) -> None:
    """Watch runs being recorded, whoever records them, and call ``changed(run id, epochs, planned)``.

    Progress is read from the store: an engine on other machines needs no channel back.
    """
    opened = open_store(store)
    watched = [(run_id(job), job.settings.epochs) for job in jobs]
    seen: dict[str, int] = {}
    while True:
        last_look = stop.is_set()
        for name, planned in watched:
            if seen.get(name, -1) >= planned:
                continue
            try:
                epoch = opened.run(name).manifest.last_epoch
            except NcoreError:
                continue  # not begun, or between two manifests
            if epoch > seen.get(name, -1):
                seen[name] = epoch
                changed(name, epoch, planned)
        if last_look:
            return
        stop.wait(0.5)
