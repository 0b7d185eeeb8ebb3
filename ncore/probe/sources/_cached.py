"""Files that downloaded weights are loaded from, as far as they lie on this disk: nothing is fetched or loaded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlparse

import torch

__all__ = ["files_digest", "in_hub_cache", "in_torch_cache"]

_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".npz")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def in_hub_cache(repository: str, revision: str | None = None, subfolder: str = "") -> list[Path]:
    """All files of weights that the Hugging Face hub's cache has of a repository, by name.

    Args:
        repository: As ``ORG/NAME``.
        revision: A branch, tag or commit; None for the main branch.
        subfolder: Where in it they lie.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    cache = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repository, repo_type="model"))
    branch = cache / "refs" / (revision or "main")
    commit = branch.read_text().strip() if branch.is_file() else revision
    if not commit:
        return []
    found = (cache / "snapshots" / commit / subfolder).glob("*")  # which are links to what is named by its content
    return sorted(path for path in found if path.suffix in _SUFFIXES and path.is_file())


def in_torch_cache(url: str) -> Path:
    """Where torch keeps what it downloaded from there."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(url).path).name)


def files_digest(files: Iterable[Path]) -> str | None:
    """32 hexadecimal digits of what these files hold, whatever they are called; None if there are none.

    What the hub's cache keeps is named by its SHA-256; other files are read, once while they are the same.
    """
    found = []
    for file in files:
        kept = file.resolve()
        status = kept.stat()
        named = kept.parent.name == "blobs" and _SHA256.fullmatch(kept.name)
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        found.append(kept.name if named else _sha256(kept, *stamp))
    return hashlib.blake2b(" ".join(found).encode(), digest_size=16).hexdigest() if found else None


@lru_cache(maxsize=1024)
def _sha256(file: Path, *stamp: int) -> str:
    """The stamp tells whether it is still the same file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
