"""What becomes of recorders whose loop was ended by an exception that nobody told them of.

A ``with`` block tells, and so does Lightning. Otherwise a run ends as soon as its recorder is dropped; the call of the
trainer that it belongs to is over; a cell of a notebook that used it fails; the process ends; or a new recorder of the
same run takes it over.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
import time
import traceback
import warnings
import weakref
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from ncore.errors import StoreError

if TYPE_CHECKING:
    from ncore.store import RunWriter

__all__ = ["Use", "call_of", "take_over", "warn"]

_PERIOD = 0.5  # seconds


class Use:
    """That a run is being recorded by somebody.

    Args:
        owner: The recorder.
        writer: Of the run.
        url: Of the store.
        planned: Epochs; None if that is not known.

    Attributes:
        turn: Held by whoever records, or ends that.
        in_block: It is in a ``with`` block, or what does as that: it will be told how that ends.
        ended: Why the run was ended from here; empty if it was not.
    """

    def __init__(self, owner: object, writer: RunWriter, url: str, planned: int | None) -> None:
        self.turn = threading.RLock()
        self.in_block, self.ended = False, ""
        self._owner, self._writer, self._planned = weakref.ref(owner), writer, planned
        self._process, self._thread = os.getpid(), threading.get_ident()
        self._in_call = False
        self._call: FrameType | None = None
        weakref.finalize(owner, self._dropped).atexit = False
        _register(self, _key(url, writer.run_id))

    @property
    def open(self) -> bool:
        """Whether it goes on, in this process."""
        return not self._writer.closed and os.getpid() == self._process

    def during(self, call: FrameType) -> None:
        """It is used in a trainer's call only, which tells nobody when an exception ends it: a thread looks."""
        self._in_call, self._call = True, call
        threading.Thread(target=self._watch, name="ncore-loops", daemon=True).start()

    def is_during(self, call: FrameType | None) -> bool:
        """Whether it is used in this call only."""
        return call is not None and self._call is call

    def told(self) -> None:
        """It has been told how its block, or its call, ended."""
        self.in_block, self._call = False, None

    def end(self, error: BaseException | None = None, why: str = "") -> None:
        """Close the run, if it is still open: as failed by the error, or where it was left too early."""
        with self.turn, suppress(Exception):  # a store may be gone: nobody is there to be told
            if not self.open:
                return
            if error is not None:
                self.ended = f"its loop was ended by {type(error).__name__}"
                self._writer.__exit__(type(error), error, None)
                return
            last, planned = max(self._writer.last_epoch, 0), self._planned or 0
            left = f"the recorder was left after epoch {last}{f' of {planned}' if planned else ''}, without finish()"
            self.ended = why or ("training was left before its end" if self._in_call else left)
            if not why and (self._in_call or planned > last):
                self._writer.fail(self.ended)
            else:
                self._writer.close(self.ended)

    def cell_ended(self, error: BaseException | None) -> None:
        """A cell of a notebook has ended."""
        if self.in_block or not self.open:
            return
        if self._in_call:
            if self._thread == threading.get_ident():  # what the cell called is over
                self.end(error)
        elif error is not None and _has(error, self._owner()):
            self.end(error)

    def _dropped(self) -> None:
        """Called in whatever thread that happens, perhaps in one that is waited for: another thread closes the run."""
        if self.open:
            with suppress(RuntimeError):  # the interpreter is ending, and lets no thread begin
                _thread.start_new_thread(self.end, ())

    def _watch(self) -> None:
        while self.open and (call := self._call) is not None:
            if not _runs(call):
                self.end(_ended_by(call))
                break
            del call  # whose variables are not to be kept
            time.sleep(_PERIOD)
        self._call = None


_uses: dict[tuple[str, str], Use] = {}


def take_over(url: str, run_id: str, resume: bool) -> None:
    """End what this process has left behind of a run that is to be recorded now.

    Raises:
        StoreError: It has not been left, or it is not said that the run is to be gone on with.
    """
    former = _uses.get(_key(url, run_id))
    if former is None or not former.open:
        return
    if former.in_block:
        raise StoreError(
            f"Run {run_id} is being recorded by another recorder of this process: let its block end first, or give "
            "another run id with run_id=."
        )
    if not resume:
        raise StoreError(
            f"Run {run_id} is being recorded by another recorder of this process: take it over with resume=True, end "
            "the other with its finish() or fail(), or give another run id with run_id=."
        )
    former.end(why="another recorder took it over")


def call_of(module: str, function: str) -> FrameType | None:
    """The innermost call on this thread's stack of a function of a library, None if there is none."""
    for frame, _ in traceback.walk_stack(sys._getframe(1)):
        if _root(frame) == module and frame.f_code.co_name == function:
            return frame
    return None


def warn(text: str) -> None:
    """A Python warning, as of the caller's line that led here."""
    frames = [frame for frame, _ in traceback.walk_stack(sys._getframe())]
    level = next((n for n, frame in enumerate(frames, 1) if _root(frame) not in ("ncore", "contextlib")), 1)
    warnings.warn(text, RuntimeWarning, stacklevel=level)


def _key(url: str, run_id: str) -> tuple[str, str]:
    return url if "://" in url else os.path.realpath(url), run_id


def _runs(call: FrameType) -> bool:
    stacks = [traceback.walk_stack(top) for top in sys._current_frames().values()]
    return any(frame is call for stack in stacks for frame, _ in stack)


def _ended_by(call: FrameType) -> BaseException | None:
    """The exception that a call ended by, if that is still to be had: being handled, or shown to the user."""
    for found in (getattr(sys, "last_value", None), *sys._current_exceptions().values()):
        error = found[1] if isinstance(found, tuple) else found
        if error is not None and any(frame is call for frame, _ in traceback.walk_tb(error.__traceback__)):
            return error
    return None


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _notebook() -> Any:
    """IPython's shell, None outside of one."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return None if get is None else get()


def _register(use: Use, key: tuple[str, str]) -> None:
    for known, former in list(_uses.items()):
        if not former.open:
            _uses.pop(known, None)
    _uses[key] = use
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)  # after what the writer has registered, so it is called before that
    if shell := _notebook():
        shell.events.register("post_run_cell", _cell_ended)  # once, however often it is asked for


def _cell_ended(result: Any) -> None:
    for use in list(_uses.values()):
        use.cell_ended(result.error_in_exec)


def _at_exit() -> None:
    error = getattr(sys, "last_value", None)  # what the interpreter ends by; a notebook has shown it, and gone on
    if error is not None and _notebook() is None:
        for use in list(_uses.values()):
            use.end(error)


def _has(error: BaseException, owner: object) -> bool:
    """Whether the code that an exception came through has something in a variable, or in an attribute of one."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        for name in {*code.co_names, *code.co_varnames, *code.co_cellvars, *code.co_freevars}:
            value = frame.f_locals.get(name, frame.f_globals.get(name))
            with suppress(Exception):  # it may be anything
                if value is owner or any(held is owner for held in list(getattr(value, "__dict__", {}).values())):
                    return True
    return False
