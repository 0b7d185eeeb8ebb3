"""Starting the app: a Streamlit server in a child process, with a configuration that is safe by default."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from ncore.errors import InputError

STORES_VARIABLE = "NCORE_DASHBOARD_STORES"
"""Environment variable that holds the places of the stores, as a JSON list."""

ADDRESS = "127.0.0.1"
PORTS_TRIED = 100
_GRACE = 3.0  # seconds that the server has to end by itself
_HERE = Path(__file__).resolve().parent

#: Every value is given on the command line, where nothing in a user's own configuration comes before it.
OPTIONS: Mapping[str, str | tuple[str, ...]] = {
    "server.address": ADDRESS,
    "server.allowedHosts": (ADDRESS, "localhost"),  # against DNS rebinding
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


def launch(stores: Sequence[str], port: int = 8501, browser: bool = True) -> int:
    """Serve the dashboard to this machine until it is stopped.

    Args:
        stores: paths or URLs of the stores to show; those that can't be opened are named on the page.
        port: of the server; the next free one is taken if another program has it.
        browser: open a browser.

    Returns:
        Exit code: 0 when it was stopped on purpose, by Ctrl-C say.

    Raises:
        InputError: no port from ``port`` on is free.
    """
    free = free_port(port)
    if free != port:
        print(f"Port {port} is taken, so the dashboard uses {free}.", file=sys.stderr)
    print(f"Dashboard: http://{ADDRESS}:{free} (only from this machine; Ctrl-C ends it)", flush=True)
    # In a group of its own, so that Ctrl-C reaches it once, through us, and not a second time from the terminal.
    child = subprocess.Popen(command(free, browser), env=environment(stores), start_new_session=True)
    return _attend(child)


def command(port: int, browser: bool) -> list[str]:
    """The server's command line."""
    options = {**OPTIONS, "server.port": str(port), "server.headless": "false" if browser else "true"}
    flags = [f"--{name}={value}" for name, given in options.items() for value in _each(given)]
    return [sys.executable, "-m", "streamlit", "run", str(_HERE / "app.py"), *flags]


def _each(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


def environment(stores: Sequence[str]) -> dict[str, str]:
    """The server's environment: the stores, local ones by absolute path, and where to import this package from."""
    places = [
        place if "://" in place or "::" in place else os.path.abspath(os.path.expanduser(place)) for place in stores
    ]
    paths = [str(_HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, STORES_VARIABLE: json.dumps(places), "PYTHONPATH": os.pathsep.join(paths)}


def configured_stores(variables: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The places that :func:`environment` passed on.

    Raises:
        InputError: the variable does not hold a JSON list of texts.

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


def free_port(wanted: int) -> int:
    """The first free port from ``wanted`` on.

    Raises:
        InputError: ``wanted`` is no port, or none of the next hundred is free.
    """
    if not 1 <= wanted <= 65535:
        raise InputError(f"The port is {wanted}, but it must be from 1 to 65535.")
    last = min(wanted + PORTS_TRIED, 65536)
    for port in range(wanted, last):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if os.name != "nt":  # there it would take a port that is in use
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
            return port
    raise InputError(f"The ports {wanted} to {last - 1} are all taken: name a free one with `--port`.")


def _attend(child: subprocess.Popen[bytes]) -> int:
    """Wait for the server; what is meant to end us ends it."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            before[name] = signal.signal(getattr(signal, name), stop)
    try:
        return child.wait()
    except KeyboardInterrupt:
        _end(child)
        return 0
    finally:
        if child.poll() is None:
            _end(child)
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _end(child: subprocess.Popen[bytes]) -> None:
    for ask in (child.terminate, child.kill):
        ask()
        try:
            child.wait(_GRACE)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            continue
        return
