"""What the commands print: tables, progress bars, and one sentence on how to read them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from ncore.scores.metrics import ACCURACY, Metric, get_metric
from ncore.store import create_store

if TYPE_CHECKING:
    import pandas as pd

    from ncore.finish import Finished
    from ncore.predict.stopping import StoppingRule
    from ncore.probe.job import Job
    from ncore.store import Report
    from ncore.sweep.running import Engine, Result

__all__ = [
    "classes_table",
    "console",
    "findings_table",
    "finished_table",
    "plan_table",
    "ranking_table",
    "reading_hint",
    "run_finish",
    "run_sweep",
    "runs_table",
    "shortlist_table",
    "spent_hint",
    "warnings_hint",
]

console = Console()


def run_sweep(
    jobs: Sequence[Job],
    store: str,
    *,
    workers: int | None = None,
    threads: int = 1,
    engine: Engine | None = None,
    retry_failed: bool = False,
    rule: StoppingRule | None = None,
    method: str | None = None,
    metric: str = ACCURACY,
    deadline: float | None = None,
) -> list[Result]:
    """Run jobs with a progress bar a run and one overall, with the time left; then say what they were warned of.

    With a rule, candidates are stopped early by what ``method`` predicts of ``metric``; the default is that of
    ``ncore.rank``. With a ``deadline``, in seconds since 1970, all that is not done by then is left to be resumed.
    """
    from ncore.predict import DEFAULT_METHOD
    from ncore.sweep.following import follow
    from ncore.sweep.local import LocalEngine
    from ncore.sweep.running import run_id, sweep
    from ncore.sweep.stages import sweep_and_stop

    create_store(store)
    engine = engine or LocalEngine(workers, threads)
    planned = {run_id(job): job for job in jobs}
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        console=console,
    ) as progress:
        epochs = sum(job.settings.epochs for job in jobs)
        overall = progress.add_task("[bold]all runs", total=epochs, unit="epochs")
        bars: dict[str, TaskID] = {}
        done: dict[str, int] = {}

        def moved(name: str, epoch: int, of: int) -> None:
            job = planned[name]
            if done.get(name) == of:  # settled meanwhile
                return
            if name not in bars:
                label = escape(f"{job.name} · {job.dataset.name} · seed {job.seed}")
                bars[name] = progress.add_task(label, total=of, unit="epochs")
            done[name] = epoch
            progress.update(bars[name], completed=epoch)
            progress.update(overall, completed=sum(done.values()))

        def settled(result: Result) -> None:
            done[result.run_id] = result.job.settings.epochs
            progress.update(overall, completed=sum(done.values()))
            if result.run_id in bars:
                progress.remove_task(bars.pop(result.run_id))
            name = escape(f"{result.job.name} · {result.job.dataset.name} · seed {result.job.seed}")
            mark = {"finished": "[green]done[/]", "skipped": "[dim]skipped[/]", "failed": "[red]failed[/]"}
            mark["refused"] = "[red]refused[/]"
            mark["stopped"] = "[yellow]stopped early[/]" if rule is not None else "[yellow]stopped[/]"
            reason = f": {escape(result.reason)}" if result.reason else ""
            progress.console.print(f"{mark[result.outcome]} {name}{reason}", highlight=False)

        stop = threading.Event()
        watcher = threading.Thread(target=follow, args=(jobs, store, moved, stop), daemon=True)
        watcher.start()
        try:
            if rule is None:
                results = sweep(
                    jobs, store, engine=engine, retry_failed=retry_failed, on_result=settled, deadline=deadline
                )
            else:
                results = sweep_and_stop(
                    jobs,
                    store,
                    engine=engine,
                    rule=rule,
                    method=method or DEFAULT_METHOD,
                    metric=metric,
                    retry_failed=retry_failed,
                    on_result=settled,
                    deadline=deadline,
                )
        finally:
            stop.set()
            watcher.join()
    warnings_hint(jobs, store)
    return results


def run_finish(store: str, candidate: str, *, quiet: bool = False, **wanted: Any) -> Finished:
    """Finish a candidate (see :func:`ncore.finish.finish`) with a progress bar, and with what is done said."""
    from ncore.finish import finish
    from ncore.sweep.following import follow

    @contextmanager
    def watch(job: Job, record: str) -> Iterator[None]:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
        ) as progress:
            bar = progress.add_task(escape(job.candidate.name), total=job.settings.epochs)

            def moved(_: str, epoch: int, of: int) -> None:
                progress.update(bar, completed=epoch, total=of)

            stop = threading.Event()
            watcher = threading.Thread(target=follow, args=([job], record, moved, stop), daemon=True)
            watcher.start()
            try:
                yield
            finally:
                stop.set()
                watcher.join()

    if quiet:
        return finish(store, candidate, **wanted)
    return finish(
        store, candidate, say=lambda text: console.print(escape(text), highlight=False), watch=watch, **wanted
    )


def finished_table(found: Finished) -> None:
    """What a finished model is, what its folder holds, and the three lines that load it."""
    before = "" if found.recorded is None else f"; its run recorded {_percent(found.recorded)}%"
    console.print(
        f"[green]done[/] {escape(found.candidate)} on {escape(found.dataset)}: {_percent(found.accuracy)}% of "
        f"{found.examples} test examples right after {found.epochs} epochs, seed {found.seed}{before}.",
        highlight=False,
    )
    view = Table(header_style="bold", box=None, pad_edge=False)
    view.add_column("file", overflow="fold")
    for name in ("MB", "differs by"):
        view.add_column(name, justify="right", no_wrap=True)
    for name, size in found.files.items():
        view.add_row(escape(name), f"{size / 1e6:.2f}", _number(found.differences.get(name), ".1e"))
    console.print(view)
    for note in found.notes:
        console.print(f"[yellow]note[/] {escape(note)}", highlight=False)
    by = f"with {found.library}" if found.loader == "library" else "with PyTorch alone"
    console.print(
        f"{escape(found.folder)} loads without ncore, {by}: `from model import load` there, `classify = load()`, "
        "`classify(example)`; README.md says more.",
        highlight=False,
    )


def plan_table(table: pd.DataFrame, store: str, workers: int | None = None) -> None:
    """What a sweep would do, a run a line, and what all of it takes; see :func:`ncore.sweep.plan.plan`."""
    from ncore.sweep.local import LocalEngine

    names = [f"{name} ({of})" if of else name for name, of in zip(table["candidate"], table["variant"], strict=True)]
    notes = _Notes(names, table["reason"])
    view = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("candidate", "dataset"):
        view.add_column(name, overflow="fold")
    for name in ("seed", "what", "epochs", "about s", "MB", "memory MB", *(["why"] if notes.about else [])):
        view.add_column(name, justify="left" if name in ("what", "why") else "right", no_wrap=True, overflow="fold")
    for name, row in zip(names, table.to_dict("records"), strict=True):
        view.add_row(
            escape(name),
            escape(str(row["dataset"])),
            f"{row['seed']}",
            row["action"],
            f"{row['epochs']}",
            _number(row["seconds"], ".0f"),
            _number(row["bytes"] / 1e6, ".2f"),
            ("> " if row["memory_from"] == "use" else "") + _number(row["memory"] / 1e6, ".0f"),
            *([escape(notes.mark(row["reason"]))] if notes.about else []),
        )
    console.print(view)
    notes.print()
    counts = table["action"].value_counts()
    at_once = LocalEngine(workers).workers
    known = table["seconds"].notna()
    took = f"about {table.loc[known, 'seconds'].sum() / at_once:.0f} s with {at_once} at a time, and "
    took += f"{table.loc[known, 'bytes'].sum() / 1e6:.1f} MB in {escape(store)}"
    unknown = int((~known).sum())
    needed = table.loc[table["epochs"] > 0, ["memory", "memory_from"]]
    memory = "; their tensors take a memory that is not known"
    if needed["memory"].notna().any():
        least = "at least" if (needed["memory_from"] != "estimate").any() else "about"
        memory = f"; their tensors take {least} {needed['memory'].nlargest(at_once).sum() / 1e6:.0f} MB of memory"
    rest = f"; of {unknown} runs nothing like them is known yet" if unknown else ""
    console.print(
        f"{', '.join(f'{count} to {action}' for action, count in counts.items())}: {table['epochs'].sum()} epochs, "
        f"{took if known.any() else 'for a time that nothing is known of yet'}{rest if known.any() else ''}"
        f"{memory if len(needed) else ''}.",
        highlight=False,
    )


def warnings_hint(jobs: Sequence[Job], store: str) -> None:
    """What to know before trusting these runs: each warning once, with how many runs it is about."""
    from ncore.errors import StoreError
    from ncore.store import open_store
    from ncore.sweep import run_id

    opened = open_store(store)
    about: dict[str, list[str]] = {}
    for job in jobs:
        with suppress(StoreError):
            for warning in opened.run(run_id(job)).manifest.warnings:
                about.setdefault(warning, []).append(job.candidate.name)
    for warning, names in about.items():
        of = names[0] if len(set(names)) == 1 else f"{len(set(names))} candidates"
        console.print(f"[yellow]warning[/] {escape(of)}: {escape(warning)}", highlight=False)


def spent_hint(jobs: Sequence[Job], store: str) -> None:
    """What a sweep with early stopping cost, against training everything to the end."""
    from ncore.errors import StoreError
    from ncore.store import open_store
    from ncore.sweep.running import run_id

    opened, spent = open_store(store), 0
    for job in jobs:
        with suppress(StoreError):
            spent += max(opened.run(run_id(job)).manifest.last_epoch, 0)
    planned = sum(job.settings.epochs for job in jobs)
    console.print(
        f"{spent} of {planned} epochs ({spent / planned:.0%}) were trained. What was stopped early keeps a checkpoint: "
        "the same sweep without --stop goes on with it.",
        highlight=False,
    )


def ranking_table(table: pd.DataFrame, title: str) -> None:
    """Candidates by predicted or measured final accuracy, or another metric; notes stand below, each once."""
    kinds, metric = set(table["kind"]), get_metric(table.attrs.get("metric", ACCURACY))
    mixed = "accuracy" if metric.name == ACCURACY else "value"
    head = "predicted" if "measured" not in kinds else mixed if "forecast" in kinds else "measured"
    unit = f" {metric.unit}" if metric.unit else ""
    notes = _Notes(table["candidate"], table["warning"])
    cells: dict[str, Callable[[Mapping[Any, Any]], str]] = {
        "rank": lambda row: f"{row['rank']:g}",
        "candidate": lambda row: str(row["candidate"]),
        f"{head}{unit}": lambda row: _value(row["predicted"], metric),
        "90% interval": lambda row: f"{_value(row['lower'], metric)} – {_value(row['upper'], metric)}",
        "P(best) %": lambda row: _percent(row["p_best"], 0),
        f"observed{unit}": lambda row: _value(row["observed"], metric),
        "seeds": lambda row: f"{row['seeds']}",
        "kind": lambda row: str(row["kind"]),
        "note": lambda row: notes.mark(row["warning"]),
    }
    if head == "measured" or table["observed"].isna().all():
        del cells[f"observed{unit}"]
    if head != mixed:
        del cells["kind"]
    if not notes.about:
        del cells["note"]
    view = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in cells:
        if name == "candidate":
            view.add_column(name, overflow="fold")
        else:  # a number that is cut off is another number
            view.add_column(
                name, justify="left" if name in ("kind", "note") else "right", no_wrap=True, overflow="fold"
            )
    for row in table.to_dict("records"):
        view.add_row(*(escape(cell(row)) for cell in cells.values()))
    console.print(view)
    notes.print()


def reading_hint(table: pd.DataFrame) -> None:
    """How to read a ranking: a sentence on what is measured, another on what is forecast."""
    said, metric = [], get_metric(table.attrs.get("metric", ACCURACY))
    unit = metric.unit
    for kind in ("measured", "forecast"):
        rows = table[(table["kind"] == kind) & table["predicted"].notna()]
        if rows.empty:
            continue
        first, epoch = rows.iloc[0], table.attrs["epochs"]
        name, mean = escape(str(first["candidate"])), f"{_value(first['predicted'], metric)}{unit}"
        if kind == "measured":
            what = "of the test examples right" if metric.name == ACCURACY else f"{metric.label} on the test examples"
            said.append(
                f"by epoch {epoch}, {len(rows)} of {len(table)} had ended, of which {name} is the best, with {mean} "
                f"{what} in the mean of its seeds"
            )
        else:
            of = "" if metric.name == ACCURACY else f" {metric.label}"
            most = "the most" if metric.higher_is_better else "the least"
            said.append(
                f"seen up to epoch {epoch} only, {name} is predicted to end at {mean}{of}"
                + (" and is" if len(rows) == len(table) else f", {most} of those that had not ended; it is")
                + f" the best of all with probability {_percent(first['p_best'], 0)}%"
            )
    measured = bool((table["kind"] == "measured").all())
    if said:
        console.print(
            f"[bold]How to read it:[/] {'; '.join(said)}. Read how sure the order is from P(best), as intervals hold "
            "what is uncertain for all alike, too"
            + ("." if measured else "; 'observed' is what the runs really ended at on test data."),
            highlight=False,
        )


def classes_table(table: pd.DataFrame, metric: Metric) -> None:
    """A metric of each class, a candidate a column; see :func:`ncore.predict.by_class.by_class`."""
    if table.empty:
        console.print("No run has test predictions of single examples, so nothing is known by class.")
        return
    values = {(row["class"], row["candidate"]): row["value"] for row in table.to_dict("records")}
    counts = dict(zip(table["class"], table["examples"], strict=True))
    candidates = list(dict.fromkeys(table["candidate"]))
    view = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("class", "examples", *candidates):
        view.add_column(escape(name), justify="left" if name == "class" else "right", overflow="fold")
    for name, count in counts.items():
        shown = (_value(values.get((name, candidate)), metric) for candidate in candidates)
        view.add_row(escape(name), f"{count}", *shown)
    unit = f", {metric.unit}" if metric.unit else ""
    console.print(f"[italic]{metric.label[:1].upper()}{metric.label[1:]} by class on the test set{unit}[/]")


def shortlist_table(table: pd.DataFrame) -> None:
    """Candidates to try, one a line."""
    view = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("candidate", "M parameters", "pixels", "why"):
        view.add_column(name, justify="left" if name in ("candidate", "why") else "right", overflow="fold")
    for row in table.to_dict("records"):
        size = _number(row["input_size"], "g")
        view.add_row(escape(row["source"]), f"{row['parameters'] / 1e6:.1f}", size, escape(row["reason"]))
    console.print(view)


def runs_table(table: pd.DataFrame, store: str) -> None:
    """Runs, one a line."""
    if len(table) == 0:
        console.print(f"{store} holds no runs yet: `ncore sweep recipe.yaml` or `ncore demo` makes some.")
        return
    cells: dict[str, Callable[[Mapping[Any, Any]], str]] = {
        "candidate": lambda row: str(row["run"] if _missing(row["candidate"]) else row["candidate"]),
        "dataset": lambda row: _text(row["dataset"]),
        "mode": lambda row: _text(row["mode"]),
        "status": lambda row: str(row["status"]) + ("" if _missing(row["reason"]) else f": {row['reason']}"),
        "seed": lambda row: _number(row["seed"], "g"),
        "epochs": lambda row: (
            _number(row["epochs"], "g") + ("" if _missing(row["planned_epochs"]) else f"/{row['planned_epochs']:g}")
        ),
        "validation %": lambda row: _percent(row["validation_accuracy"]),
        "test %": lambda row: _percent(row["test_accuracy"]),
        "beta_eff": lambda row: _number(row["beta_eff"], ".3g"),
        "seconds": lambda row: _number(row["seconds"], ".1f"),
        "MB": lambda row: "–" if _missing(row["bytes"]) else _number(row["bytes"] / 1e6, ".2f"),
        "tags": lambda row: ", ".join(row["tags"]),
    }
    if not any(table["tags"]):
        del cells["tags"]
    left_out = ("beta_eff", "seconds", "MB") if console.width < 110 else ()
    for name in left_out:
        del cells[name]
    shown = {name: [cell(row) for row in table.to_dict("records")] for name, cell in cells.items()}
    view = Table(header_style="bold", box=None, pad_edge=False)
    for name, column in shown.items():
        if name in ("candidate", "dataset", "status", "tags"):
            view.add_column(name, overflow="fold")
        else:  # a number that is cut off is another number
            widest = max(map(len, [*name.split(), *column]))
            view.add_column(name, justify="left" if name == "mode" else "right", min_width=widest)
    for row in zip(*shown.values(), strict=True):
        view.add_row(*map(escape, row))
    console.print(view)
    if left_out:
        console.print(f"[dim]Left out to fit {console.width} columns: {', '.join(left_out)}; --json has all.[/]")


def findings_table(report: Report, store: str) -> None:
    """What is wrong with a store, and what can still be read."""
    for finding in report.findings:
        colour = "yellow" if finding.kind == "leftover" else "red"
        console.print(f"[{colour}]{finding.kind}[/] {escape(str(finding))}", highlight=False)
    if report.ok:
        console.print(f"[green]intact[/] {escape(store)}", highlight=False)


class _Notes:
    """What is said of rows of a table: a mark in each row, and below the table each note once, with whom it is about.

    Args:
        names: Of the rows.
        texts: Their notes; empty or missing where there is none.
    """

    def __init__(self, names: Iterable[Any], texts: Iterable[Any]) -> None:
        self.about: dict[str, list[str]] = {}
        self._rows = 0
        for name, text in zip(names, texts, strict=True):
            self._rows += 1
            if isinstance(text, str) and text:
                self.about.setdefault(text, []).append(str(name))

    def mark(self, text: Any) -> str:
        """The number of a note; empty where there is none."""
        return f"[{list(self.about).index(text) + 1}]" if text in self.about else ""

    def print(self) -> None:
        """Print the notes."""
        for text, names in self.about.items():
            each = list(dict.fromkeys(names))
            more = f" and {len(each) - 4} more" if len(each) > 4 else ""
            whom = "all" if len(names) == self._rows > 1 else ", ".join(each[:4]) + more
            console.print(f"[dim]{escape(self.mark(text))} {escape(whom)}: {escape(text)}[/]", highlight=False)


def _missing(value: Any) -> bool:
    return value is None or value != value  # NaN and NA differ from themselves


def _text(value: Any) -> str:
    return "–" if _missing(value) else str(value)


def _value(value: Any, metric: Metric) -> str:
    """A value in the metric's units, per cent without its sign."""
    return _percent(value) if metric.unit else _number(value, ".3f")


def _percent(value: Any, digits: int = 1) -> str:
    return "–" if _missing(value) or math.isnan(value) else f"{100 * value:.{digits}f}"


def _number(value: Any, form: str) -> str:
    return "–" if _missing(value) else format(value, form)
