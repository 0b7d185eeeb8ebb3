"""What is done once the first page is shown, so that the next ones are quick."""

from __future__ import annotations

import importlib
import threading
from functools import lru_cache

__all__ = ["warm_up"]

_SLOW = ("scipy.stats", "sklearn.linear_model", "ncore.network", "ncore_dashboard.figures.layer_graph")


@lru_cache(maxsize=1)
def warm_up() -> None:
    """Load what rankings and graphs need, in a while: it takes seconds, and no page should wait for it."""

    def load() -> None:
        for module in _SLOW:
            importlib.import_module(module)

    timer = threading.Timer(1.0, load)
    timer.daemon = True
    timer.start()
