"""Starting the app: a Streamlit server in a child process, with a configuration that is safe by default."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import ncore
import ncore_dashboard
from ncore.errors import InputError
from ncore_dashboard.access import login

__all__ = [
    "ADDRESS",
    "EVERYWHERE",
    "OPTIONS",
    "PORTS_TRIED",
    "STORES_VARIABLE",
    "command",
    "configured_stores",
    "environment",
    "free_port",
    "launch",
]

STORES_VARIABLE = "NCORE_DASHBOARD_STORES"
"""Environment variable that holds the places of the stores, as a JSON list."""

ADDRESS = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
PORTS_TRIED = 100
_GRACE = 3.0  # seconds that the server has to end by itself
#: Where this package and the library are imported from, for a server that is started elsewhere.
_IMPORTED_FROM = tuple(
    dict.fromkeys(str(Path(module.__path__[0]).resolve().parent) for module in (ncore, ncore_dashboard))
)

#: Every value is given on the command line, where nothing in a user's own configuration comes before it.
OPTIONS: Mapping[str, str | tuple[str, ...]] = {
    "server.address": ADDRESS,
    "server.allowedHosts": (ADDRESS, "localhost"),  # against DNS rebinding
    "browser.serverAddress": ADDRESS,
    "server.enableXsrfProtection": "true",
    "server.enableCORS": "true",
    "server.enableAgentApi": "false",
    "server.enableStaticServing": "false",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.showEmailPrompt": "false",
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "client.toolbarMode": "viewer",
    "global.developmentMode": "false",
    "global.disableWidgetStateDuplicationWarning": "true",  # settings come back with their page, defaults or not
    "logger.hideWelcomeMessage": "true",
    "runner.magicEnabled": "false",
    "runner.postScriptGC": "false",  # a full collection after every rerun took two thirds of the time of 50 viewers
    "theme.paddingTop": "1.5rem",
    "theme.headingFontSizes": '["2.1rem", "1.35rem", "1.1rem"]',
    "theme.light.primaryColor": "#0B5C8A",
    "theme.light.backgroundColor": "#FFFFFF",
    "theme.light.secondaryBackgroundColor": "#F1F4F7",
    "theme.light.textColor": "#0A0F16",
    "theme.light.linkColor": "#0B5C8A",
    "theme.dark.primaryColor": "#5DB7E8",
    "theme.dark.backgroundColor": "#11161D",
    "theme.dark.secondaryBackgroundColor": "#1B232D",
    "theme.dark.textColor": "#E8EDF2",
    "theme.dark.linkColor": "#7CC6EE",
}


def launch(stores: Sequence[str], port: int = 8501, browser: bool = True, public: Path | None = None) -> int:
    """Serve the dashboard until it is stopped: to this machine, or to others who sign in.

    Args:
        stores: Paths or URLs of the stores to show; those that can't be opened are named on the page.
        port: Of the server; the next free one is taken if another program has it.
        browser: Open a browser.
        public: A ``secrets.toml`` with which others sign in; without it the server is for this machine only. The port
            is then taken as it is, because the provider sends people back to it.

    Returns:
        Exit code: 0 when it was stopped on purpose, by Ctrl-C say.

    Raises:
        InputError: No port from ``port`` on is free, or the configuration of a login is incomplete or unsafe.
    """
    door = None if public is None else login.read(public)
    free = free_port(port) if door is None else free_port(port, EVERYWHERE, 1)
    if free != port:
        print(f"Port {port} is taken, so the dashboard uses {free}.", file=sys.stderr)
    if door is None:
        print(f"Dashboard: http://{ADDRESS}:{free} (only from this machine; Ctrl-C ends it)", flush=True)
    else:
        who = ", ".join(door.allow) or "everybody whom the provider lets in"
        print(f"Dashboard: port {free} of {door.host}, open after a login to {who}; Ctrl-C ends it", flush=True)
    return _attend(command(free, browser, door, public), environment(stores, door))


def command(port: int, browser: bool, door: login.Login | None = None, secrets: Path | None = None) -> list[str]:
    """The server's command line."""
    options = {**OPTIONS, "server.port": str(port), "server.headless": "false" if browser else "true"}
    if door is not None:
        options |= {
            "server.address": EVERYWHERE,
            "server.allowedHosts": (door.host, ADDRESS, "localhost"),
            "browser.serverAddress": door.host,  # else Streamlit asks a site on the internet for its own address
            "secrets.files": str(secrets),  # one file, the one that was checked
        }
    flags = [f"--{name}={value}" for name, given in options.items() for value in _each(given)]
    return [sys.executable, "-m", "ncore_dashboard.app.serve", *flags]


def _each(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


def environment(stores: Sequence[str], door: login.Login | None = None) -> dict[str, str]:
    """The server's environment: stores, local ones by absolute path; who may see them; where to import this package."""
    places = [
        place if "://" in place or "::" in place else os.path.abspath(os.path.expanduser(place)) for place in stores
    ]
    paths = [*_IMPORTED_FROM, *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {**os.environ, STORES_VARIABLE: json.dumps(places), "PYTHONPATH": os.pathsep.join(paths)}
    # Each rerun is a thread, and memory that glibc keeps for each is given back late, if at all.
    found.setdefault("MALLOC_ARENA_MAX", "2")
    found.pop(login.VARIABLE, None)
    return found if door is None else {**found, login.VARIABLE: door.to_json()}


def configured_stores(variables: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The places that :func:`environment` passed on.

    Raises:
        InputError: The variable does not hold a JSON list of texts.

    Example:
        >>> configured_stores({"NCORE_DASHBOARD_STORES": '["runs"]'})
        ('runs',)
    """
    value = variables.get(STORES_VARIABLE, "[]")
    try:
        places = json.loads(value)
    except ValueError:
        places = None
    if not isinstance(places, list) or not all(isinstance(place, str) and place for place in places):
        raise InputError(
            f"The variable {STORES_VARIABLE} is {value!r}, but it must be a JSON list of stores: "
            "open the dashboard with `ncore dashboard STORE`."
        )
    return tuple(dict.fromkeys(places))


def free_port(wanted: int, address: str = ADDRESS, tried: int = PORTS_TRIED) -> int:
    """The first free port from ``wanted`` on.

    Raises:
        InputError: ``wanted`` is no port, or none of the next ones is free.
    """
    if not 1 <= wanted <= 65535:
        raise InputError(f"The port is {wanted}, but it must be from 1 to 65535.")
    last = min(wanted + tried, 65536)
    for port in range(wanted, last):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if os.name != "nt":  # there it would take a port that is in use
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    taken = f"port {wanted} is" if last - wanted == 1 else f"ports {wanted} to {last - 1} are all"
    raise InputError(f"The {taken} taken: name a free one with `--port`.")


def _attend(server: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run the server until it ends, or what is meant to end us has ended it.

    The server holds the other end of a pipe and ends with it: so it doesn't stay behind however we end, whether it has
    started or not.
    """
    child = None
    with _signals(_interrupt):
        try:
            # In a group of its own, so that Ctrl-C reaches it once, through us, and not again from the terminal.
            child = subprocess.Popen(server, env=variables, stdin=subprocess.PIPE, start_new_session=True)
            return child.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            if child is not None and child.poll() is None:
                _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    with _signals(signal.SIG_IGN):  # a second one changes nothing: this takes seconds at most
        child.terminate()
        try:
            child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> Iterator[None]:
    """Handle what ends a command in a terminal, except what we were started to ignore, as by ``nohup``."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handled for number, handled in before.items() if handled not in (None, signal.SIG_IGN)}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)
