"""The server's process: Streamlit with our app, which reads stores and libraries while the browser opens."""

from __future__ import annotations

import contextlib
import importlib
import os
import stat
import sys
import threading
from pathlib import Path

__all__ = ["APP", "end_with_the_parent", "main", "prepare"]

APP = Path(__file__).resolve().with_name("guarded.py")
_NEEDED = ("ncore_dashboard.parts.ui", "ncore_dashboard.data.runs_table")


def main() -> None:
    """Serve; the options of the command line are those of ``streamlit run``."""
    end_with_the_parent()  # before anything that takes time
    from streamlit.web.cli import main as streamlit

    threading.Thread(target=prepare, name="prepare", daemon=True).start()
    sys.argv = ["streamlit", "run", str(APP), *sys.argv[1:]]
    streamlit(prog_name="streamlit")


def end_with_the_parent() -> None:
    """End when standard input does, if it is a pipe: its other end closes with the process that started this one.

    However that process ends, also by a signal that it can't handle, and on every system. There is nothing to save.
    """
    try:
        if not stat.S_ISFIFO(os.fstat(0).st_mode):
            return
    except OSError:  # closed
        return
    # A copy that only the thread knows: on Windows whoever touches standard input would wait for its end as well.
    pipe, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(pipe, 1024):
                pass
        os._exit(0)

    threading.Thread(target=wait, name="parent", daemon=True).start()


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
