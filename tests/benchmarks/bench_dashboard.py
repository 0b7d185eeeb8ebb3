"""How quick the dashboard is, in a real Chromium, beside a Streamlit page with one small chart and TensorBoard.

    python tests/benchmarks/bench_dashboard.py [--data FOLDER] [--only PART ...] [--changes 30] [--write]

Makes its own stores: two runs of a million synapses and 50 epochs, 50 runs to overlay, 10,000 runs. The page with one
chart takes turns with what is measured, so that the ratios hold on a busy machine, where the seconds do not. With
``--data`` the figures of each part are kept, so that parts can be measured one at a time, when the machine is quiet.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

import dashboard_data as data
import numpy as np
from dashboard_browser import Browser, Busy, Server, Tab, any_port, chromium, serving, tab
from dashboard_tensorboard import logs, measure
from ncore_dashboard.app.launch import command, environment

from ncore.store import create_store

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
TITLE = "## Dashboard: `bench_dashboard.py`"
HEALTH = "/_stcore/health"
ONE_CHART = "allNew(['small'])"
TABLE = (
    "document.querySelector('[data-testid=\"stDataFrame\"] canvas') && document.body.innerText.includes('runs shown')"
)
EPOCHS = 50
ON_LARGE = ("dynamics", "layer_graph", "capacitance")  # one server: its memory has to hold them all
TITLES = {"dynamics": "Edge dynamics", "layer_graph": "Layer graph", "capacitance": "Capacitance of 50 runs"}
CHARTS = {"dynamics": ["phase", "paths"], "layer_graph": ["network", "matrix"]}
PARTS = ("first", *ON_LARGE, "listing", "tensorboard")


@dataclass
class Results:
    """Rows of the table, and what was seen besides."""

    rows: list[list[str]] = field(default_factory=list)
    largest: dict[str, int] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)
    beside: str = ""

    def add(self, what: str, ours: Sequence[float], theirs: Sequence[float], limit: float | None) -> None:
        """Seconds of one thing, and of the page with one chart in the same minutes.

        Args:
            what: that was timed.
            ours, theirs: seconds.
            limit: that the 95th percentile may reach; None: half as much again as the other page.
        """
        middle, late = np.median(ours), np.quantile(ours, 0.95)
        ratio = middle / np.median(theirs) if len(theirs) else np.nan
        met = ratio <= 1.5 if limit is None else late <= limit
        aim = ("at most 1.5 times one chart" if limit is None else f"{limit:g} s") + ("" if met else ": missed")
        self.rows.append([what, f"{middle:.2f}", f"{late:.2f}", f"{ratio:.1f}" if len(theirs) else "", aim])
        times = f"{ratio:4.1f} times one chart; " if len(theirs) else ""
        print(f"{what:58s} median {middle:6.2f} s, p95 {late:6.2f} s, {times}{aim}", flush=True)


def main() -> None:
    """Make the stores, measure, print, and with --write put the figures into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="where the stores are kept for the next time; else in a temporary folder"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    parser.add_argument("--changes", type=int, default=30, help="of each kind, on each page")
    parser.add_argument("--runs", type=int, default=10_000, help="of the long store")
    parser.add_argument("--write", action="store_true", help="write the figures into the README beside this script")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = options.data or Path(temporary)
        keys = stores(place, options.runs)
        with chromium() as browser:
            for group in grouped(options.only):
                results = Results()
                with Busy() as busy:
                    measure_parts(browser, place, keys, group, options, Path(temporary), results)
                results.others.append(busy.others)
                print(f"{', '.join(group)}: other programs took {busy.others:.0%} of the cores", flush=True)
                for path in [path for path, names in measured(place).items() if set(names) & set(group)]:
                    path.unlink()
                (place / f"measured-{'-'.join(group)}.json").write_text(json.dumps(asdict(results)))
        text = report(kept(place), options.runs)
    print(f"\n{text}", flush=True)
    if options.write:
        put(text)


def grouped(parts: Sequence[str]) -> list[list[str]]:
    """Parts that share a server together, the others alone, in the order in which the report has them."""
    groups = [["first"], [name for name in ON_LARGE if name in parts], ["listing"], ["tensorboard"]]
    return [group for group in groups if group and set(group) <= set(parts)]


def measured(place: Path) -> dict[Path, list[str]]:
    """Files with figures, and of which parts they are."""
    return {path: path.stem.removeprefix("measured-").split("-") for path in place.glob("measured-*.json")}


def kept(place: Path) -> Results:
    """All that was measured, the latest of each part."""
    found = Results()
    names = measured(place)
    for path in sorted(names, key=lambda path: min(map(PARTS.index, names[path]))):
        part = Results(**json.loads(path.read_text()))
        found.rows += part.rows
        found.largest |= part.largest
        found.memory |= part.memory
        found.others += part.others
        found.beside += part.beside
    return found


def stores(place: Path, runs: int) -> list[str]:
    """Make what is not there yet; keys of the two large runs and of the small ones."""
    large = place / "large"
    if not (large / "done").exists():
        store = create_store(large)
        found = [data.large_run(store, EPOCHS, seed) for seed in (0, 1)] + data.small_runs(store, 50, EPOCHS)
        (large / "done").write_text("\n".join(found))
    if not (place / f"many-{runs}").exists():
        data.many_runs(place / f"many-{runs}", runs, 6)
    return [f"0~{name}" for name in (large / "done").read_text().splitlines()]


def measure_parts(
    browser: Browser,
    place: Path,
    keys: list[str],
    parts: Sequence[str],
    options: argparse.Namespace,
    temporary: Path,
    results: Results,
) -> None:
    """Measurements of some parts that share a server."""
    if parts[0] == "tensorboard":
        results.beside = measure(browser, logs(place, keys[0], EPOCHS, options.runs), temporary, options.runs)
    elif parts[0] == "listing":
        many, late = (place / f"many-{options.runs}").resolve(), temporary / "late"
        with dashboard(many, temporary) as server, tab(browser) as page:
            results.add("10,000 runs listed by a server just started", [page.open(server.address, TABLE)], [], 2.0)
        late.mkdir()
        with dashboard(late, temporary) as server:
            with tab(browser) as page:
                page.open(server.address, "document.querySelector('h1')")
                page.settle()
            late.rmdir()
            late.symlink_to(many)
            listing(browser, server, results)
            results.memory["10,000 runs"] = server.megabytes
    elif parts[0] == "first":
        with one_chart(temporary) as one, dashboard(HERE.parents[1] / "sample_runs", temporary) as server:
            first_page(browser, server, one, results)
            results.memory["sample runs"] = server.megabytes
    else:
        with one_chart(temporary) as one, dashboard(place / "large", temporary) as server:
            with tab(browser) as reference, tab(browser) as ours:
                reference.open(one.address, ONE_CHART)
                turns = Turns(reference)
                for part in parts:
                    if part == "capacitance":
                        overlay(ours, server, keys[2:], options.changes, turns, results)
                    else:
                        synapses(ours, server, part, keys[:2], options.changes, turns, results)
            results.memory[f"{', '.join(TITLES[part] for part in parts)}"] = server.megabytes


def one_chart(temporary: Path):  # type: ignore[no-untyped-def]  # what contextlib makes has no short name
    """The page that others are compared to."""
    port = any_port()
    flags = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    flags += ["--browser.gatherUsageStats=false", "--server.fileWatcherType=none"]
    simple = [sys.executable, "-m", "streamlit", "run", str(HERE / "one_chart.py"), *flags]
    return serving(simple, dict(os.environ), port, HEALTH, temporary / "one.log")


def dashboard(store: Path, logs: Path):  # type: ignore[no-untyped-def]  # what contextlib makes has no short name
    """The dashboard on a store, as `ncore dashboard` starts it."""
    port = any_port()
    return serving(command(port, browser=False), environment([str(store)]), port, HEALTH, logs / "dashboard.log")


class Turns:
    """After everything that is measured, a change of the page with one chart."""

    def __init__(self, page: Tab) -> None:
        self._page = page
        self._slider = page.page.get_by_role("slider")
        self.seconds: list[float] = []

    def __call__(self) -> None:
        key = "ArrowLeft" if len(self.seconds) // 40 % 2 == 0 else "ArrowRight"
        self.seconds.append(self._page.charts(lambda: self._slider.press(key), ["small"]))
        self._page.settle()


def first_page(browser: Browser, server: Server, one: Server, results: Results) -> None:
    """Open the landing page with nothing in the browser's cache; the servers are warm."""
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(6):
        for address, check, seconds in ((server.address, TABLE, ours), (one.address, ONE_CHART, theirs)):
            with tab(browser) as page:
                found = page.open(address, check)
                if turn:  # at first each server loads its libraries
                    seconds.append(found)
                results.largest["Runs"] = max(results.largest.get("Runs", 0), page.largest)
    results.add("First page: the table of the sample runs", ours, theirs, None)


def synapses(
    page: Tab, server: Server, path: str, keys: Sequence[str], changes: int, turns: Turns, results: Results
) -> None:
    """Change epoch and run on a page of single synapses."""
    name, charts = TITLES[path], CHARTS[path]
    page.largest = 0
    chosen = "&".join(f"runs={key}" for key in keys)
    page.open(f"{server.address}/{path}?{chosen}&network-run={keys[0]}", f"allNew({charts})")
    page.settle()
    slider = page.page.get_by_role("slider", name="Epoch")
    ours, theirs = repeated(page, turns, changes, lambda: page.charts(lambda: slider.press("ArrowLeft"), charts))
    results.add(f"{name}: another epoch, a million synapses", ours, theirs, 0.5)
    seeds = itertools.cycle([1, 0])
    ours, theirs = repeated(page, turns, changes, lambda: page.charts(choosing(page, next(seeds)), charts))
    results.add(f"{name}: another run, a million synapses", ours, theirs, 0.5)
    results.largest[name] = page.largest


def choosing(page: Tab, seed: int) -> Callable[[], None]:
    """Open the box of runs; what then takes the one with this seed."""
    page.page.locator('[data-testid="stSelectbox"]').first.click()
    return lambda: page.page.get_by_role("option", name=re.compile(f"large .* seed {seed}")).click()


def overlay(page: Tab, server: Server, keys: Sequence[str], changes: int, turns: Turns, results: Results) -> None:
    """Fit other epochs, and show another strength, of fifty runs over each other."""
    chosen = "&".join(f"runs={key}" for key in keys)
    page.largest = 0
    page.open(f"{server.address}/capacitance?{chosen}&capacitance-layout=All+together", "allNew(['beta', 'plane'])")
    page.settle()
    slider = page.page.get_by_role("slider", name="Fit the epochs up to")
    ours, theirs = repeated(page, turns, changes, lambda: page.charts(lambda: slider.press("ArrowLeft"), ["plane"]))
    results.add("Capacitance: another epoch, 50 runs over each other", ours, theirs, 1.0)
    strengths = itertools.cycle(["absolute", "relative"])

    def other() -> float:
        button = page.page.get_by_text(re.compile(f"^{next(strengths)}$")).first
        return page.charts(button.click, ["beta", "plane"])

    ours, theirs = repeated(page, turns, changes, other)
    results.add("Capacitance: another strength, 50 runs in both charts", ours, theirs, 1.0)
    results.largest["Capacitance, 50 runs"] = page.largest


def listing(browser: Browser, server: Server, results: Results) -> None:
    """Open a store of 10,000 runs that the server, which runs, has not seen, and go back to its list."""
    with tab(browser) as page:
        results.add("10,000 runs listed, cold", [page.open(server.address, TABLE)], [], 2.0)
        page.settle()
        warm = []
        for _ in range(5):
            page.page.get_by_role("link", name="Learn").click()
            page.settle("document.querySelector('h1')?.innerText === 'Learn'")
            link = page.page.get_by_role("link", name="Runs", exact=True)
            warm.append(page.seconds(link.click, f"document.querySelector('h1')?.innerText === 'Runs' && {TABLE}"))
            page.settle()
        results.add("10,000 runs listed, warm", warm, [], 0.5)
        results.largest["Runs, 10,000 of them"] = page.largest


def repeated(page: Tab, turns: Turns, count: int, change: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Seconds of ``count`` changes, and of the page with one chart between them."""
    before, ours = len(turns.seconds), []
    for _ in range(count):
        ours.append(change())
        page.settle()
        turns()
    return ours, turns.seconds[before:]


def report(results: Results, runs: int) -> str:
    """The section of the README."""
    others = " to ".join(f"{share:.0%}" for share in sorted({min(results.others), max(results.others)}))
    lines = [
        TITLE,
        "",
        f"In Chromium, {date.today()}, two cores, of which other programs took {others} while a part was measured:",
        "seconds from a key, a click or the navigation until the charts that depend on it were drawn anew and painted.",
        "*One chart* is a Streamlit page with a slider and one small chart, changed in turn with what is measured.",
        "Aims are those of the 95th percentile.",
        "",
        "| | median, s | p95, s | times one chart | aim |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in results.rows),
        "",
        "| | most that one message held, MB (aim: 3) |",
        "| --- | --- |",
        *(f"| {name} | {size / 1e6:.2f} |" for name, size in results.largest.items()),
        "",
        "| the server's memory at its peak | MB (aim: below 1,000) |",
        "| --- | --- |",
        *(f"| {name} | {size:.0f} |" for name, size in results.memory.items()),
        "",
        results.beside,
    ]
    return "\n".join(lines).replace("10,000 runs", f"{runs:,} runs")


def put(text: str) -> None:
    """Replace the section of the README, or add it at the end."""
    before, _, after = README.read_text().partition(TITLE)
    rest = re.search(r"^## ", after, re.MULTILINE)
    README.write_text(f"{before.rstrip()}\n\n{text}\n" + (f"\n{after[rest.start() :]}" if rest else ""))


if __name__ == "__main__":
    main()
