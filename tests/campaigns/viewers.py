"""Many people who look at one dashboard at once, while a run is being recorded and others come and go.

    python -m tests.campaigns.viewers --viewers 50 --minutes 10 --seed 0

Each viewer speaks to the server as the page in a browser does, without drawing anything: opens pages with addresses of
all kinds, leaves in the middle, comes back. No page may end in an exception, none may hang, the server's log stays
without a traceback, and after the first minute its memory stays where it is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from urllib.parse import urlencode

from ncore_dashboard.app.launch import ADDRESS, command, environment, free_port
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from ncore.store import open_store
from tests.store.data import WHO, write

SAMPLE_RUNS = Path(__file__).parents[2] / "sample_runs"
PATIENCE = 120.0  # seconds until a page has to be there
GROWTH = 1.1  # of the memory, from the second minute to the last
LIMIT = 256 << 20  # bytes of one message


class Tally:
    """What happened to all viewers together."""

    def __init__(self) -> None:
        self.pages: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.wrong: list[str] = []


class Viewer:
    """One person: a session after the other, a page after the other."""

    def __init__(self, address: str, rng: random.Random, tally: Tally, runs: list[str]) -> None:
        self._address, self._rng, self._tally, self._runs = address, rng, tally, runs

    async def look(self, end: float) -> None:
        """Until the end: sessions of some pages each."""
        await asyncio.sleep(self._rng.uniform(0, 5))
        while time.monotonic() < end:
            try:
                async with connect(
                    self._address, subprotocols=[Subprotocol("streamlit")], max_size=LIMIT
                ) as connection:
                    await self._session(connection, end)
            except (WebSocketException, OSError) as error:
                self._tally.wrong.append(f"connection: {type(error).__name__}: {error}")
                await asyncio.sleep(1)

    async def _session(self, connection: ClientConnection, end: float) -> None:
        pages = await self._visit(connection, "", "first", "")
        for _ in range(self._rng.randint(1, 8)):
            if time.monotonic() > end or not pages:
                return
            await asyncio.sleep(self._rng.expovariate(1 / 3))
            name, digest = self._rng.choice(sorted(pages.items()))
            if self._rng.random() < 0.1:  # leaves while the page is being made
                await connection.send(_asked(digest, name, self._query()))
                return
            pages = await self._visit(connection, digest, name, self._query()) or pages

    def _query(self) -> str:
        """What stands in the address: nothing, a permalink, or anything at all."""
        rng = self._rng
        known = {
            "dataset": ["cifar10", "digits", "all", "", "🦊", "../.."],
            "mode": ["all", "unit", "backbone", "none"],
            "run": [*self._runs, "run", "gone", "%00"],
            "runs": [",".join(rng.sample(self._runs, 2))],
            "epoch": ["0", "3", "99999", "-1", "NaN", "1e400"],
            "method": ["last", "paper", "learned", "'; drop table"],
            "store": ["0", "1", "99"],
        }
        chosen = rng.sample(sorted(known), rng.choice([0, 0, 1, 2, 4]))
        return urlencode({name: rng.choice(known[name]) for name in chosen})

    async def _visit(self, connection: ClientConnection, digest: str, name: str, query: str) -> dict[str, str]:
        """Open a page and wait until it is made; addresses of all pages, by name."""
        began, pages = time.monotonic(), {}
        await connection.send(_asked(digest, name, query))
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    message = ForwardMsg.FromString(await connection.recv())
                    kind = message.WhichOneof("type")
                    if kind == "navigation":
                        pages = {page.page_name: page.page_script_hash for page in message.navigation.app_pages}
                    elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
                        self._tally.wrong.append(f"{name}?{query}: {message.delta.new_element.exception.message}")
                    elif kind == "script_finished":
                        break
        except TimeoutError:
            self._tally.wrong.append(f"{name}?{query}: not there after {PATIENCE:.0f} s")
            return {}
        self._tally.pages[name] += 1
        self._tally.seconds.append(time.monotonic() - began)
        return pages


def _asked(digest: str, name: str, query: str) -> bytes:
    message = BackMsg()
    message.rerun_script.query_string = query
    message.rerun_script.page_script_hash = digest
    if not digest:
        message.rerun_script.page_name = ""
    return bytes(message.SerializeToString())


def memory(pid: int) -> float:
    """Memory of a process in MB, what it shares counted in part."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return int(next(line for line in file if line.startswith("Pss:")).split()[1]) / 1024


def disturb(place: Path, pipe: int) -> None:
    """Record runs one after the other, and delete what was recorded before."""
    store, number = open_store(place), 0
    while os.getppid() == pipe:
        number += 1
        with store.new_run(**{**WHO, "seed": number}, run_id=f"live{number}", planned_epochs=30) as writer:
            for epoch in range(30):
                write(writer, epoch)
                time.sleep(0.5)
        if number > 2:
            store.delete(f"live{number - 2}")


async def watch(pid: int, end: float, samples: list[tuple[float, float]]) -> None:
    """Write down the server's memory, every second."""
    began = time.monotonic()
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            samples.append((time.monotonic() - began, memory(pid)))
        await asyncio.sleep(1)


async def campaign(
    port: int, pid: int, place: Path, viewers: int, minutes: float, seed: int
) -> tuple[Tally, list[float]]:
    """All viewers at once; what happened, and the server's memory (MB, median) of each minute."""
    samples: list[tuple[float, float]] = []
    tally, end = Tally(), time.monotonic() + 60 * minutes
    runs = [run for run in open_store(place).run_ids() if not run.startswith("live")]
    people = [
        Viewer(f"ws://{ADDRESS}:{port}/_stcore/stream", random.Random(f"{seed} {number}"), tally, runs).look(end)
        for number in range(viewers)
    ]
    await asyncio.gather(watch(pid, end, samples), *people)
    of_minute: dict[int, list[float]] = {}
    for moment, amount in samples:
        of_minute.setdefault(int(moment // 60), []).append(amount)
    return tally, [statistics.median(amounts) for _, amounts in sorted(of_minute.items())]


def main() -> int:
    """Returns the number of things that went wrong."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--viewers", type=int, default=50)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="viewers-"))
    place, parent = folder / "store", os.getpid()
    shutil.copytree(SAMPLE_RUNS, place)
    child = os.fork()
    if not child:
        disturb(place, parent)
        os._exit(0)
    port = free_port(8900)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command(port, False, None, None),
            env=environment([str(place)], None),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(port, server)
        tally, minutes = asyncio.run(campaign(port, server.pid, place, given.viewers, given.minutes, given.seed))
        alive = server.poll() is None
    finally:
        os.kill(child, signal.SIGKILL)
        server.terminate()
        server.communicate(timeout=30)
    wrong = list(tally.wrong)
    if not alive:
        wrong.append("the server ended")
    if "Traceback" in (text := (folder / "log").read_text(errors="replace")):
        wrong.append(f"{text.count('Traceback')} tracebacks in {folder / 'log'}")
    settled = minutes[1:]
    if len(settled) > 1 and max(settled[-2:]) > GROWTH * settled[0]:
        wrong.append(f"memory grew from {settled[0]:.0f} to {max(settled[-2:]):.0f} MB")
    for text, times in Counter(wrong).most_common(30):
        print(f"WRONG: {text} ({times} times)")
    seconds = sorted(tally.seconds)
    print(
        f"{given.viewers} viewers, {given.minutes:g} minutes, {len(seconds)} pages: "
        f"{dict(sorted(tally.pages.items()))}; "
        f"median {statistics.median(seconds):.2f} s, 95% {seconds[int(0.95 * len(seconds))]:.2f} s, "
        f"memory by minute {json.dumps([round(amount) for amount in minutes])} MB, {len(wrong)} wrong"
    )
    if not wrong:
        shutil.rmtree(folder)
    return len(wrong)


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://{ADDRESS}:{port}/_stcore/health", timeout=5).close()
            return
        time.sleep(0.1)
    raise TimeoutError("The server did not begin.")


if __name__ == "__main__":
    sys.exit(bool(main()))
