"""The command ends when it is told to, at any moment, and its server never stays behind."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from ncore_dashboard.app import launch

PATIENCE = 120.0  # seconds; a machine can be busy
COMMAND = (sys.executable, "-c", "from ncore.cli import main; main()", "dashboard")
MEMORY = 100e6
# From the very first moment, when nothing is imported, until the server serves; drawn once, the same in every run.
DELAYS = [round(random.Random(20260).uniform(0, most), 2) for most in (0.1, 0.3, 0.6, 1, 2, 4)]
MOMENTS = [0.0, *DELAYS, None]  # None: when it answers

posix = pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((launch.ADDRESS, 0))
        return int(probe.getsockname()[1])


def servers(port: int) -> list[psutil.Process]:
    """What runs with this port on its command line: the server, whether it listens already or not."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        arguments = process.info["cmdline"] or []
        if f"--server.port={port}" in arguments and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{launch.ADDRESS}:{port}/_stcore/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def until(condition: Callable[..., bool], *arguments: object) -> bool:
    """Whether it comes true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if condition(*arguments):
            return True
        time.sleep(0.05)
    return False


def gone(port: int) -> bool:
    return not servers(port)


def _as_in_a_terminal(nohup: bool) -> None:
    """Though the tests may have been started so that Ctrl-C doesn't reach them, or by ``nohup``."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)


@contextmanager
def started(folder: Path, *arguments: str, nohup: bool = False) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command, in a folder with modules of a user's own, and its port; whatever happens, nothing stays behind."""
    for name in ("dashboard", "data", "main", "guarded", "text"):
        (folder / f"{name}.py").write_text("raise RuntimeError('this is not the dashboard of ncore')")
    port = free_port()
    command = subprocess.Popen(
        [*COMMAND, "--no-browser", "--port", str(port), *arguments],
        env=launch.environment([]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        preexec_fn=partial(_as_in_a_terminal, nohup) if os.name != "nt" else None,
    )
    try:
        yield command, port
    finally:
        command.kill()
        command.communicate()
        for server in servers(port):
            server.kill()


def wait_for(moment: float | None, port: int) -> None:
    if moment is None:
        assert until(answers, port)
    else:
        time.sleep(moment)


@posix
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_it_ends_at_any_moment(tmp_path: Path, name: str, moment: float | None) -> None:
    with started(tmp_path, str(tmp_path)) as (command, port):
        wait_for(moment, port)
        number = getattr(signal, name)
        command.send_signal(number)
        output, errors = command.communicate(timeout=PATIENCE)
        if moment is None:
            assert command.returncode == 0, errors
            assert errors == ""
            assert f"http://127.0.0.1:{port}" in output
            with socket.socket() as probe:  # nobody listens any more, already when the command has ended
                assert probe.connect_ex((launch.ADDRESS, port)) != 0
        else:  # before it attends to signals it ends as Python and the shell have it
            assert command.returncode in (0, 1, 130, -number), errors
        assert until(gone, port)


@pytest.mark.parametrize("moment", MOMENTS)
def test_its_server_ends_with_it_when_it_is_killed(tmp_path: Path, moment: float | None) -> None:
    with started(tmp_path, str(tmp_path)) as (command, port):
        wait_for(moment, port)
        command.kill()
        command.wait(PATIENCE)
        assert until(gone, port)


@posix
def test_what_it_was_started_to_ignore_does_not_end_it(tmp_path: Path) -> None:
    with started(tmp_path, str(tmp_path), nohup=True) as (command, port):
        assert until(answers, port)
        command.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert command.poll() is None
        assert answers(port)
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=PATIENCE)
        assert command.returncode == 0
        assert until(gone, port)


def test_beside_the_server_it_takes_little_memory(tmp_path: Path) -> None:
    """Also when it has to find the sample runs, as here, where no store is named."""
    with started(tmp_path) as (command, port):
        assert until(answers, port)
        assert psutil.Process(command.pid).memory_info().rss < MEMORY


def test_a_browser_is_opened_where_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "browser.py").write_text(f"import sys; open({str(seen)!r}, 'w').write(sys.argv[1])")
    monkeypatch.setenv("BROWSER", f"{sys.executable} {tmp_path / 'browser.py'} %s")
    with started(tmp_path, str(tmp_path), "--browser") as (command, port):
        assert until(lambda: seen.exists() and seen.read_text() != "")
        assert seen.read_text() == f"http://{launch.ADDRESS}:{port}"
        assert command.poll() is None


def test_a_server_without_a_pipe_serves(tmp_path: Path) -> None:
    """As under a supervisor, whose standard input is no pipe, or none at all."""
    port = free_port()
    server = subprocess.Popen(
        launch.command(port, browser=False),
        env=launch.environment([]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        assert until(answers, port)
        assert server.poll() is None
    finally:
        server.kill()
        server.wait()
