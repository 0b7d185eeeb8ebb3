"""What is known of picture files from before, so that none is decoded again only to learn what it holds.

A file is the same while its path, size, times and inode are. The cache is in the user's cache folder, or the one that
the environment's ``NCORE_CACHE`` names; whatever goes wrong with it, pictures are looked at again.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np
import PIL

from ncore.probe.modalities.base import RECORD, Items

__all__ = ["MOST_BYTES", "ContentCache", "cache_folder"]

_KEPT = np.dtype([("stamp", "S16"), *RECORD.descr])
_FORMAT = f"3-pillow-{PIL.__version__}"
MOST_BYTES = 256_000_000  # of all files of the cache: the oldest go first


def cache_folder() -> Path:
    """Where the cache is."""
    given = os.environ.get("NCORE_CACHE")
    if given:
        return Path(given).expanduser() / "content"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ncore" / "content"


class ContentCache:
    """The part of the cache for some pictures.

    Attributes:
        found: Which of them are in it, bool (N,).
        records: What is known of these.
    """

    def __init__(self, items: Items, rows: np.ndarray) -> None:
        self.found, self.records = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=RECORD)
        self._file: Path | None = None
        self._kept = np.zeros(0, dtype=_KEPT)
        place, stamps = items.stamps(rows)
        if not place:
            return
        self._stamps = np.array(stamps, dtype="S16")
        self._lasting = self._stamps != b""
        self._file = cache_folder() / f"{place}-{_FORMAT}.npy"
        with contextlib.suppress(OSError, ValueError, EOFError):
            kept = np.load(self._file, allow_pickle=False)
            if kept.dtype == _KEPT and kept.ndim == 1:
                self._kept = kept
        if self._kept.size:
            at = np.searchsorted(self._kept["stamp"], self._stamps).clip(max=self._kept.size - 1)
            self.found = (self._kept["stamp"][at] == self._stamps) & self._lasting
            for name in RECORD.names or ():
                self.records[name] = self._kept[name][at]

    def keep(self, records: np.ndarray) -> None:
        """Remember what was found out of all of them."""
        new = ~self.found
        if self._file is None or not (new & self._lasting).any():
            return
        fresh = np.zeros(int((new & self._lasting).sum()), dtype=_KEPT)
        fresh["stamp"] = self._stamps[new & self._lasting]
        for name in RECORD.names or ():
            fresh[name] = records[name][new & self._lasting]
        whole = np.concatenate([fresh, self._kept])
        whole = whole[np.unique(whole["stamp"], return_index=True)[1]]
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._file.parent, suffix=".tmp", delete=False) as file:
                try:
                    np.save(file, whole, allow_pickle=False)
                    file.close()
                    os.replace(file.name, self._file)
                except BaseException:
                    os.unlink(file.name)
                    raise
            _bound(self._file.parent)


def _bound(folder: Path) -> None:
    """Delete the oldest files beyond ``MOST_BYTES``."""
    total = 0
    listed = [(file.stat(), file) for file in folder.iterdir()]
    for status, file in sorted(listed, key=lambda item: -item[0].st_mtime_ns):
        total += status.st_size
        if total > MOST_BYTES:
            file.unlink()
