"""The server's process: Streamlit with our app, which reads stores and libraries while the browser opens."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from pathlib import Path

__all__ = ["APP", "main", "prepare"]

APP = Path(__file__).resolve().with_name("main.py")
_NEEDED = ("ncore_dashboard.parts.ui", "ncore_dashboard.data.runs_table")


def main() -> None:
    """Serve; the options of the command line are those of ``streamlit run``."""
    from streamlit.web.cli import main as streamlit

    threading.Thread(target=prepare, name="prepare", daemon=True).start()
    sys.argv = ["streamlit", "run", str(APP), *sys.argv[1:]]
    streamlit(prog_name="streamlit")


def prepare() -> None:
    """List the stores, and load what the first page needs; what is wrong with a store, the page says."""
    from ncore.errors import NcoreError
    from ncore_dashboard.app.launch import configured_stores
    from ncore_dashboard.data.library import library

    with contextlib.suppress(NcoreError):
        library(configured_stores()).runs()
    for module in _NEEDED:
        importlib.import_module(module)


if __name__ == "__main__":
    main()
