"""Optional packages, and the network when it is not there: one clear sentence, soon."""

from __future__ import annotations

import importlib
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ncore.errors import InputError, MissingExtraError, NcoreError, OfflineError
from ncore.probe._choices import first_line

__all__ = [
    "CLIENT_LIBRARIES",
    "CONNECTION_WORDS",
    "REMEMBER_SECONDS",
    "fetching",
    "hub",
    "is_offline",
    "reachable",
    "require",
]

REMEMBER_SECONDS = 60.0
CLIENT_LIBRARIES = {"requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "huggingface_hub"}
CONNECTION_WORDS = ("Connect", "Timeout", "Offline", "Proxy", "Network", "Transport", "LocalEntryNotFound", "MaxRetry")
_known: dict[str, tuple[float, bool]] = {}


def require(package: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional package.

    Raises:
        MissingExtraError: It is not installed; the message holds the install line.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition(".")[0]:
            raise
        raise MissingExtraError(package, extra, purpose) from error


def reachable(url: str, seconds: float = 4.0) -> bool:
    """Whether a host answers at all, whatever it says, within a few seconds; remembered for a minute.

    The clients' own retries and the resolver's take from half a minute to several where there is no network.
    """
    then, answer = _known.get(url, (float("-inf"), False))
    if time.monotonic() - then < REMEMBER_SECONDS:
        return answer
    answers: list[bool] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
            answers.append(True)
        except urllib.error.HTTPError as error:
            error.close()
            answers.append(True)
        except Exception:
            answers.append(False)

    thread = threading.Thread(target=ask, daemon=True)  # a resolver cannot be interrupted, only left behind
    thread.start()
    thread.join(seconds)
    _known[url] = (time.monotonic(), any(answers))
    return _known[url][1]


def is_offline(error: BaseException) -> bool:
    """Whether an error, or any error it came from, says that a host could not be reached."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, OfflineError | ConnectionError | TimeoutError):
            return True
        if isinstance(current, urllib.error.URLError) and not isinstance(current, urllib.error.HTTPError):
            return True
        if isinstance(current, RuntimeError) and str(current).startswith("Error downloading"):  # torchvision's MNIST
            return True
        kind = type(current)
        ours = kind.__module__.partition(".")[0] in CLIENT_LIBRARIES
        if kind.__name__ == "gaierror" or (ours and any(word in kind.__name__ for word in CONNECTION_WORDS)):
            return True
        current = current.__cause__ or current.__context__
    return False


@contextmanager
def fetching(name: str, url: str, advice: str) -> Iterator[None]:
    """Name what failed while something is loaded from a cache or else from ``url``.

    Args:
        name: What is loaded, as the user wrote it.
        url: The host it may have to be downloaded from.
        advice: What to do without a network, as an imperative.

    Raises:
        OfflineError: A host could not be reached.
        InputError: Any other failure of the library, in its own words.
    """
    try:
        yield
    except NcoreError:
        raise
    except Exception as error:
        if is_offline(error):
            raise OfflineError(
                f"{name} is not in the local cache and {url} cannot be reached: connect once so that it is cached, "
                f"or {advice}."
            ) from error
        raise InputError(f"{name} cannot be loaded ({type(error).__name__}: {first_line(error)}).") from error


@contextmanager
def hub(name: str, advice: str) -> Iterator[None]:
    """``fetching`` from the Hugging Face hub, which is told to use only its cache when it cannot be reached."""
    constants: Any = require("huggingface_hub.constants", "hf", f"loading {name}")
    with fetching(name, constants.ENDPOINT, advice):
        if constants.HF_HUB_OFFLINE or reachable(constants.ENDPOINT):
            yield
            return
        # `datasets` keeps a copy of the switch.
        switches: list[Any] = [constants, *filter(None, [sys.modules.get("datasets.config")])]
        before = [switch.HF_HUB_OFFLINE for switch in switches]
        for switch in switches:
            switch.HF_HUB_OFFLINE = True
        try:
            yield
        finally:
            for switch, value in zip(switches, before, strict=True):
                switch.HF_HUB_OFFLINE = value
