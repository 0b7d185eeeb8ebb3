"""Pages are made some at a time, and none waits for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Lock

from ncore_dashboard.app import turns


def test_no_more_than_so_many_at_once() -> None:
    lock, most, now = Lock(), 0, 0

    def page() -> None:
        nonlocal most, now
        with turns.turn():
            with lock:
                now += 1
                most = max(most, now)
            Event().wait(0.01)
            with lock:
                now -= 1

    with ThreadPoolExecutor(20) as threads:
        for made in [threads.submit(page) for _ in range(40)]:
            made.result()
    assert 1 < most <= turns.AT_ONCE


def test_pages_that_hang_do_not_hold_up_others(monkeypatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    held, go = Barrier(turns.AT_ONCE + 1), Event()

    def hangs() -> None:
        with turns.turn():
            held.wait(60)
            go.wait(60)

    with ThreadPoolExecutor(turns.AT_ONCE) as threads:
        for _ in range(turns.AT_ONCE):
            threads.submit(hangs)
        held.wait(60)
        for _ in range(3):  # and no turn is given back that wasn't taken
            with turns.turn():
                pass
        go.set()
    with turns.turn():
        pass
