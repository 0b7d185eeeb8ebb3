"""The same runs in TensorBoard, for the views that it has: scalars, and histograms of weights."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from dashboard_browser import Browser, Server, any_port, chromium, serving, tab
from dashboard_data import WIDTHS

from ncore.store import open_store

LONGEST = 150  # seconds that TensorBoard has to list a long store
# Its pages are custom elements inside each other.
_DEEP = """
window.deep = (selector) => {
  const found = [];
  const walk = (root) => {
    found.push(...root.querySelectorAll(selector));
    for (const node of root.querySelectorAll("*")) if (node.shadowRoot) walk(node.shadowRoot);
  };
  walk(document);
  return found.length;
};
"""
_SCALARS = "document.querySelectorAll('scalar-card tb-data-table-content-row').length >= 100"  # two charts of fifty
_HISTOGRAMS = "deep('path') >= 50"


def logs(place: Path, large: str, epochs: int, runs: int) -> Path:
    """Event files with the scalars of the small runs and the histograms of a large one, and a long folder of runs."""
    where = place / "tensorboard"
    if (where / "done").exists():
        return where
    from torch.utils.tensorboard import SummaryWriter

    store = open_store(place / "large")
    for run_id in store.run_ids():
        run = store.run(run_id)
        if run.manifest.candidate == "large":
            continue
        with SummaryWriter(str(where / "few" / run_id)) as writer:
            _scalars(writer, run)
    run = store.run(large.partition("~")[2])
    ends = np.cumsum([0, *(a * b for a, b in pairwise(WIDTHS))])
    with SummaryWriter(str(where / "few" / run.id)) as writer:
        for epoch in range(epochs):
            weight = run.trajectory(epoch=epoch, columns=["weight"])["weight"].to_numpy()
            for layer, (start, end) in enumerate(pairwise(ends), start=1):
                _histogram(writer, f"weight/{layer}", weight[start:end], epoch)
    first = next(path for path in sorted((where / "few").iterdir()) if path.name != run.id)
    for number in range(runs):
        (where / "many" / f"run-{number:05d}").mkdir(parents=True)
        for file in first.iterdir():
            os.link(file, where / "many" / f"run-{number:05d}" / file.name)
    (where / "done").touch()
    return where


def measure(browser: Browser, where: Path, temporary: Path, runs: int) -> str:
    """What of it can be compared, as a table in Markdown."""
    lines = ["| TensorBoard, the same runs | s | memory at its peak, MB |", "| --- | --- | --- |"]

    def add(what: str, seconds: str, server: Server) -> None:
        lines.append(f"| {what} | {seconds} | {server.megabytes:.0f} |")
        print(lines[-1], flush=True)

    with _tensorboard(where / "few", temporary) as server:
        with tab(browser) as page:
            page.page.add_init_script(_DEEP)
            found = page.open(f"{server.address}/#timeseries", _SCALARS)
            add("first page: scalars of 50 runs over each other, two charts", f"{found:.2f}", server)
        with tab(browser) as page:
            page.page.add_init_script(_DEEP)
            found = page.open(f"{server.address}/#histograms", _HISTOGRAMS)
            add("histograms of a run of a million synapses, 50 epochs", f"{found:.2f}", server)
    begun = time.monotonic()
    with _tensorboard(where / "many", temporary) as server:
        for listed in _listed(server):
            if listed >= runs or time.monotonic() - begun > LONGEST:
                break
        seconds = f"{time.monotonic() - begun:.0f}" + (f", {listed:,} listed by then" if listed < runs else "")
        add(f"{runs:,} runs listed, cold", seconds, server)
    lines += ["", "It has no view of single synapses, of interactions, or of rankings."]
    return "\n".join(lines)


def _tensorboard(folder: Path, temporary: Path):  # type: ignore[no-untyped-def]  # what contextlib makes has no short name
    port = any_port()
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(port)]
    return serving(
        [*command, "--host", "127.0.0.1"], dict(os.environ), port, "/data/logdir", temporary / "tensorboard.log"
    )


def _listed(server: Server) -> Iterator[int]:
    """How many runs it knows, again and again."""
    while True:
        with urllib.request.urlopen(f"{server.address}/data/runs", timeout=LONGEST) as answer:
            yield len(json.load(answer))
        time.sleep(0.25)


def _scalars(writer, run) -> None:  # type: ignore[no-untyped-def]  # torch's writer has no types
    metrics = run.metrics()
    accuracy = metrics[(metrics["split"] == "validation") & (metrics["name"] == "accuracy")]
    beta = run.capacitance()
    beta = beta[(beta["strength"] == "relative") & (beta["layer"] == 0)]
    for name, rows, column in (("accuracy", accuracy, "value"), ("beta_eff", beta, "beta_eff")):
        for epoch, value in zip(rows["epoch"], rows[column], strict=True):
            writer.add_scalar(name, value, epoch)


def _histogram(writer, name: str, values: np.ndarray, epoch: int) -> None:  # type: ignore[no-untyped-def]
    """Thirty bins, made here: ``add_histogram`` takes many times as long."""
    counts, edges = np.histogram(values, 30)
    wide = values.astype(np.float64)
    writer.add_histogram_raw(
        name,
        min=wide.min(),
        max=wide.max(),
        num=wide.size,
        sum=wide.sum(),
        sum_squares=float(wide @ wide),
        bucket_limits=edges[1:].tolist(),
        bucket_counts=counts.tolist(),
        global_step=epoch,
    )


if __name__ == "__main__":
    with chromium() as opened:
        print(measure(opened, Path(sys.argv[1]), Path(sys.argv[1]).parent, int(sys.argv[2])))
