"""Kill a recording process at random moments, with SIGKILL, and look at what it left.

``kill_until_done`` works with any command that prints ``ready`` when what follows may be killed. As a program
(``python -m tests.store.kill STORE EPOCHS``) this file is the recording process of the store's own tests.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def kill_until_done(
    command: Sequence[str],
    check: Callable[[list[str]], None],
    rng: random.Random,
    longest: float,
    timeout: float = 120.0,
) -> int:
    """Run a command again and again, killing it, until it once ends by itself.

    Args:
        command: prints a line ``ready`` when it may be killed, and afterwards a line for what it has finished.
        check: called after every kill with all lines but ``ready`` that were printed so far.
        rng: chooses the moments.
        longest: seconds after ``ready`` at most; about twice what an undisturbed process needs.
        timeout: seconds that a process may take to be ready, or to end.

    Returns:
        The number of kills.
    """
    kills = 0
    lines: list[str] = []
    while True:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        watchdog = threading.Timer(timeout, process.kill)
        watchdog.start()
        first = process.stdout.readline().strip()
        assert first == "ready", f"{command} said {first!r}: {process.stderr.read()}"
        time.sleep(rng.uniform(0, longest))
        killed = process.poll() is None
        process.kill()
        out, err = process.communicate()
        watchdog.cancel()
        lines += out.split("\n")[:-1]  # a line that was cut off says nothing
        if not killed or process.returncode == 0:
            assert process.returncode == 0, err
            return kills
        kills += 1
        check(lines)


def main(place: str, epochs: int, asynchronous: bool) -> None:
    """Record a run and say which epochs are finished."""
    from ncore.errors import StoreError
    from ncore.store import create_store
    from tests.store.data import WHO, record, write

    record(create_store("memory://warm"), 1)  # imports and first calls take longer than all that follows
    print("ready")
    store = create_store(place)
    try:
        recording = store.new_run(**WHO, run_id="run", resume=True, asynchronous=asynchronous)
    except StoreError:
        if store.run("run").status == "finished":
            return  # the former process was killed when all was done
        raise
    with recording as writer:
        state = writer.load_checkpoint()
        print(f"checkpoint {int(state) if state else -1} {writer.last_epoch}")
        for epoch in range(writer.last_epoch + 1, epochs):
            write(writer, epoch)
            writer.save_checkpoint(str(epoch).encode())
            if not asynchronous:
                print(f"epoch {epoch}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["asynchronous"])
