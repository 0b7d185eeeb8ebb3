"""What is done once the first page is shown, so that the next ones are quick."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
from functools import lru_cache

__all__ = ["settle", "warm_up"]

_SLOW = ("scipy.stats", "sklearn.linear_model", "ncore.network", "ncore_dashboard.figures.layer_graph")
_MORE = 100  # modules
_seen = 0


@lru_cache(maxsize=1)
def warm_up() -> None:
    """Load what rankings and graphs need, in a while: it takes seconds, and no page should wait for it."""

    def load() -> None:
        for module in _SLOW:
            importlib.import_module(module)
        settle()

    timer = threading.Timer(1.0, load)
    timer.daemon = True
    timer.start()


def settle() -> None:
    """Keep what was loaded out of the garbage collector's way, if many modules came since the last time.

    Streamlit collects garbage after every rerun. Looking through 200,000 objects of libraries takes longer than most
    reruns, and they are never garbage; what is frozen is not looked at. Results are counted by references as before.
    """
    global _seen
    if len(sys.modules) > _seen + _MORE:
        _seen = len(sys.modules)
        gc.collect()
        gc.freeze()
