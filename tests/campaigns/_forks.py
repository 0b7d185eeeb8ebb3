"""Functions called in a fork of this process, which may be killed, die of a signal or never end.

This process itself uses no thread and reads no table, so that every fork begins clean and at once.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable

MEMORY = 12 << 30  # bytes of address space: who asks for more is refused, and does not take the machine along


def fork(function: Callable[[int], None]) -> tuple[int, int]:
    """Call ``function(pipe)`` in a fork; returns its process id and the end of the pipe to read from.

    It ends with exit code 0, or with 1 and a traceback on stderr.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    code = 1
    try:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        function(writer)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def call(function: Callable[[int], None], patience: float = 120.0) -> tuple[int | None, bytes]:
    """Call in a fork and wait; returns the exit code (None: killed, it said nothing for so long), and what it said."""
    child, reader = fork(function)
    said = b""
    while select.select([reader], [], [], patience)[0]:
        data = os.read(reader, 1 << 16)
        said += data
        if not data:
            os.close(reader)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    return None, said


def call_and_kill(function: Callable[[int], None], after: float) -> int:
    """Call in a fork and kill it after so many seconds; returns its exit code."""
    child, reader = fork(function)
    end = time.monotonic() + after
    while (left := end - time.monotonic()) > 0 and os.waitid(
        os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT
    ) is None:
        time.sleep(min(left, 0.005))
    os.kill(child, signal.SIGKILL)
    os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
