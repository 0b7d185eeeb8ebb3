"""Which recorders of this process are still used, and what becomes of those that an exception left behind.

A loop that ends by an exception tells nobody. But its call does: it is on no thread's stack any more. What is bound to
a call must not keep the call's variables alive, as they may fill a GPU; so a mark is put where debuggers put theirs,
in the frame's trace function, which nothing calls unless a debugger runs.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import TYPE_CHECKING

from ncore.errors import StoreError

if TYPE_CHECKING:
    from ncore.store import RunWriter

__all__ = ["Call", "Use", "caller", "take_over", "warn"]

_PERIOD = 1.0  # seconds
_OURS = ("ncore", "contextlib")


class _Mark:
    """Lies in a frame; called by nobody but a debugger's machinery, whom it tells nothing."""

    def __call__(self, *_: object) -> None:
        return None


class Call:
    """One call of a function, told apart from any other of the same function.

    Attributes:
        where: File and line that it was at.
    """

    def __init__(self, frame: FrameType) -> None:
        self.where = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
        if frame.f_trace is None:
            frame.f_trace = _Mark()
        mark = frame.f_trace
        self._mark = weakref.ref(mark) if isinstance(mark, _Mark) else None
        self._frame: tuple[int, CodeType] = (id(frame), frame.f_code)

    def is_of(self, frame: FrameType) -> bool:
        """Whether a frame is that of the call."""
        if self._mark is None:  # a debugger has its own mark there
            return self._frame == (id(frame), frame.f_code)
        mark = self._mark()
        return mark is not None and frame.f_trace is mark

    def running(self) -> bool:
        """Whether it has neither returned nor ended by an exception."""
        if self._mark is not None and self._mark() is None:
            return False
        return any(self.is_of(frame) for first in sys._current_frames().values() for frame in _outwards(first))

    def ended_by(self) -> BaseException | None:
        """The exception that it ended by, where that is still to be had: handled now, or shown to the user."""
        shown = (getattr(sys, "last_exc", None), getattr(sys, "last_value", None))
        seen: set[int] = set()
        for error in (sys.exc_info()[1], *sys._current_exceptions().values(), *shown):
            value = error[1] if isinstance(error, tuple) else error
            while isinstance(value, BaseException) and id(value) not in seen:
                seen.add(id(value))
                step = value.__traceback__
                while step is not None:
                    if self.is_of(step.tb_frame):
                        return value
                    step = step.tb_next
                value = value.__context__
        return None


def caller(module: str = "", function: str = "") -> Call:
    """The innermost call on this thread's stack that is not of this library.

    Args:
        module: Look for one of a module whose name begins so.
        function: And of this name; where there is none, the innermost counts.
    """
    outside = [frame for frame in _outwards(sys._getframe(1)) if _root(frame) not in _OURS]
    for frame in outside:
        if module and frame.f_globals.get("__name__", "").startswith(module) and frame.f_code.co_name == function:
            return Call(frame)
    return Call(outside[0] if outside else sys._getframe(1))


class Use:
    """Where a recorder is used, and its end if it is left behind.

    Attributes:
        turn: Held by whoever uses the recorder, or ends it.
        in_block: It is a context manager, which sees how its block ends.
        ended: Why it was ended by this; empty if it was not.
    """

    def __init__(self, owner: object, writer: RunWriter, url: str) -> None:
        self.turn = threading.RLock()
        self.in_block, self.ended = False, ""
        self._writer, self._process = writer, os.getpid()
        self._made = self._used = caller()
        self._trainer: Call | None = None
        self._owner = weakref.ref(owner)
        end = weakref.finalize(owner, self._collected)
        end.atexit = False  # the writer has its own
        _register(self, _key(url, writer.run_id))

    def now(self) -> None:
        """It is used here."""
        self._used = caller()

    def inside(self, trainer: Call) -> None:
        """It is used in a call of a library's, which tells of its end only if that is a good one."""
        self._trainer = trainer

    def where(self) -> str:
        """Where it is still used; empty if it is not."""
        if self._writer.closed or self._owner() is None or os.getpid() != self._process:
            return ""
        if self.in_block:
            return self._used.where
        calls = [self._used, self._made] if self._trainer is None else [self._trainer]
        return next((call.where for call in calls if call.running()), "") or self._held()

    def _held(self) -> str:
        """Where a call of this thread has it in a variable; those of modules and notebooks outlive what went wrong."""
        owner = self._owner()
        for frame in _outwards(sys._getframe(1)):
            if _root(frame) in _OURS or frame.f_locals is frame.f_globals:
                continue
            if any(value is owner for value in list(frame.f_locals.values())):
                return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
        return ""

    def look(self) -> None:
        """End it, if what it was used in has ended by an exception."""
        if self.turn.acquire(blocking=False):  # else it is being used
            try:
                left = not self._writer.closed and not self.where()
                if left and (self._trainer is not None or self._error() is not None):
                    self.end()
            finally:
                self.turn.release()

    def end(self) -> None:
        """Close the run: as failed by the exception that the loop ended by, if that is known."""
        with self.turn:
            if self._writer.closed:
                return
            error = self._error()
            if error is not None:
                self.ended = f"its loop ended by {type(error).__name__}"
                self._writer.__exit__(type(error), error, None)
            elif self._trainer is not None:
                self.ended = "training was left before its end"
                self._writer.fail(self.ended)
            else:
                self.ended = "it was left before its end"
                self._writer.close(self.ended)

    def _error(self) -> BaseException | None:
        calls = [self._used, self._made] if self._trainer is None else [self._trainer]
        return next((error for call in calls if (error := call.ended_by()) is not None), None)

    def _collected(self) -> None:
        """Called in whatever thread that happens, perhaps in the one that would be waited for: another ends it."""
        if os.getpid() == self._process and not self._writer.closed:
            _ends.put(self.end)


_uses: dict[tuple[str, str], weakref.ref[Use]] = {}
_ends: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
_lock = threading.Lock()
_thread: threading.Thread | None = None


def take_over(url: str, run_id: str) -> None:
    """End what this process has left behind of a run that is to be recorded now.

    Raises:
        StoreError: It is still used.
    """
    while True:
        try:
            end = _ends.get_nowait()
        except queue.Empty:
            break
        _do(end)
    former = _uses.get(_key(url, run_id), lambda: None)()
    if former is None:
        return
    if where := former.where():
        raise StoreError(
            f"Run {run_id} is being recorded by another recorder of this process, at {where}: end that with its "
            "finish() or fail() first, or give another run id with run_id=."
        )
    _do(former.end)


def warn(text: str) -> None:
    """A Python warning, as of the line of the caller's that led here."""
    frame = next((frame for frame in _outwards(sys._getframe(1)) if _root(frame) not in _OURS), sys._getframe(1))
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    module = frame.f_globals.get("__name__")
    warnings.warn_explicit(text, RuntimeWarning, frame.f_code.co_filename, frame.f_lineno, module, registry)


def _key(url: str, run_id: str) -> tuple[str, str]:
    return url if "://" in url else os.path.realpath(url), run_id


def _register(use: Use, key: tuple[str, str]) -> None:
    global _thread
    with _lock:
        for known in [known for known, held in _uses.items() if held() is None]:
            del _uses[known]
        _uses[key] = weakref.ref(use)
        if _thread is None or not _thread.is_alive():  # no thread outlives a fork
            _thread = threading.Thread(target=_look, name="ncore-loops", daemon=True)
            _thread.start()


def _look() -> None:
    while True:
        try:
            end = _ends.get(timeout=_PERIOD)
        except queue.Empty:
            _look_once()
            continue
        _do(end)
        del end


def _look_once() -> None:
    with _lock:
        uses = [use for held in _uses.values() if (use := held()) is not None]
    for use in uses:
        _do(use.look)


def _do(end: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):  # a store may be gone: nobody is there to be told
        end()


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).split(".")[0]
