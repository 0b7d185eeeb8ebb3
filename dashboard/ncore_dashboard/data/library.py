"""What pages read: the runs of several stores as one table, and the tables of single runs, kept in memory.

Nothing here needs Streamlit. A run is identified by its *key*, ``"<number of the store>~<run id>"``, which is also
what the URL holds; only keys that the listing has are ever opened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from ncore.errors import NcoreError, StoreError
from ncore.predict import Curve, Past
from ncore.predict.curves import read_curve
from ncore.predict.experience import Task, finished, tasks_of
from ncore.scores.metrics import ACCURACY
from ncore.store import Manifest, Run, Store, open_store
from ncore_dashboard.data.cache import Memory
from ncore_dashboard.data.clock import Clock, clock_of

__all__ = ["LISTING_AGE", "SEPARATOR", "Library", "Problem", "Source", "accuracies", "library"]

T = TypeVar("T")
SEPARATOR = "~"  # no run id has it
LISTING_AGE = 1.0  # seconds that a listing is good for
_PATIENCE = 4.0  # a listing is not asked for again sooner than so many times as long as it took
_READ_BYTES, _COMPUTED_BYTES, _OPEN_RUNS_BYTES = 200 << 20, 50 << 20, 1 << 20


class Problem(NamedTuple):
    """Something that can't be read; the rest goes on without it."""

    where: str
    message: str


@dataclass
class Source:
    """One configured store and what was last seen of it."""

    number: int
    place: str
    label: str
    store: Store | None = None
    problem: str = ""
    listing: pd.DataFrame = field(default_factory=pd.DataFrame)
    changes: int = 0
    due: float = 0.0


@lru_cache(maxsize=8)
def library(places: tuple[str, ...]) -> Library:
    """The one library of these stores that all sessions share."""
    return Library(places)


class Library:
    """Runs of several stores.

    Args:
        places: Paths or URLs; one that can't be opened is a problem to show, and is tried again later.
    """

    def __init__(self, places: Sequence[str]) -> None:
        self.sources = [
            Source(number, place, label)
            for number, (place, label) in enumerate(zip(places, _labels(places), strict=True))
        ]
        self._lock = Lock()
        self._seen: tuple[int, ...] = ()
        self._runs = _joined([])
        self._rows = _Rows(self._runs)
        self._read = Memory(_READ_BYTES)
        self._computed = Memory(_COMPUTED_BYTES)
        self._open = Memory(_OPEN_RUNS_BYTES)

    def runs(self) -> pd.DataFrame:
        """One row a run, the newest first: the columns of ``Store.runs()`` and ``key`` and ``store``, a label.

        It is at most about a second old, and the same object as long as nothing changed.
        """
        with self._lock:
            for source in self.sources:
                if time.monotonic() >= source.due:
                    _list(source)
            seen = tuple(source.changes for source in self.sources)
            if seen != self._seen:
                self._runs = _joined(self.sources)
                self._rows = _Rows(self._runs)
                self._seen = seen
            return self._runs

    def version(self) -> tuple[int, ...]:
        """What changes when something in the listing does, or in what can't be read."""
        self.runs()
        return self._seen

    @property
    def problems(self) -> list[Problem]:
        """Stores that can't be read, as of the last listing."""
        return [Problem(source.place, source.problem) for source in self.sources if source.problem]

    def run(self, key: str) -> Run:
        """Open a run.

        Raises:
            StoreError: There is no such run any more, or it can't be read.
        """
        row = self.row(key)
        store = self.sources[row["number"]].store
        if store is None:
            raise StoreError(f"The store of run {row['run']} can't be read: {self.sources[row['number']].problem}")
        return self._open.get(key, lambda: store.run(row["run"]))

    def metrics(self, key: str) -> pd.DataFrame:
        """The table ``metrics`` of a run; errors as in :meth:`run`."""
        return self._read.get(("metrics", *self.stamp(key)), lambda: self.run(key).metrics())

    def capacitance(self, key: str) -> pd.DataFrame:
        """The table ``capacitance`` of a run; errors as in :meth:`run`."""
        return self._read.get(("capacitance", *self.stamp(key)), lambda: self.run(key).capacitance())

    def stamp(self, key: str) -> tuple[str, Any, Any]:
        """The key with what changes whenever the run does."""
        row = self.row(key)
        return key, row["updated"], row["bytes"]

    def sparkline(self, key: str) -> list[float]:
        """Validation accuracy by epoch, at most 40 points; empty if there is none or it can't be read."""
        try:
            return self._read.get(("sparkline", *self.stamp(key)), lambda: _thinned(accuracies(self.metrics(key))))
        except NcoreError:
            return []

    def sparklines(self, keys: Iterable[str], seconds: float) -> tuple[dict[str, list[float]], bool]:
        """Sparklines of runs, for as long as ``seconds`` allow, and whether those are all."""
        end = time.monotonic() + seconds
        found: dict[str, list[float]] = {}
        for key in keys:
            if time.monotonic() > end and ("sparkline", *self.stamp(key)) not in self._read:
                return found, False
            found[key] = self.sparkline(key)
        return found, True

    def curve(self, key: str, metric: str = ACCURACY) -> Curve:
        """The learning curve of a run; one that can't be read has status "unreadable" and its reason."""
        return self._read.get(
            ("curve", metric, *self.stamp(key)),
            lambda: read_curve(self.row(key), lambda: _Tables(self, key), metric=metric),
        )

    def clocks(self, keys: Iterable[str]) -> dict[str, list[Clock]]:
        """Wall times of runs by candidate, of those that can be read and have finished an epoch."""
        found: dict[str, list[Clock]] = {}
        for key in keys:
            try:
                clock = self._read.get(
                    ("clock", *self.stamp(key)),
                    lambda: clock_of(self.metrics(key), self.row(key)),  # noqa: B023 - called at once
                )
            except NcoreError:
                continue
            if clock.horizon > 0:
                found.setdefault(self.row(key)["candidate"], []).append(clock)
        return found

    def past(self, dataset: str, mode: str, metric: str = ACCURACY) -> Past:
        """What forecasts on a dataset may learn from, as :meth:`ncore.predict.Past.of` has it of all these stores.

        It is the same object until a finished run of another dataset is added, changed or removed, so that what was
        computed with it can be remembered by it. Runs are read when a method that learns asks for them.
        """
        listing = ("finished", self.version(), dataset, mode)
        stamps = self._computed.get(
            listing, lambda: tuple(map(self.stamp, finished(self.runs(), mode, [dataset])["key"]))
        )

        def own() -> list[Task]:
            return tasks_of([self.curve(key, metric) for key, *_ in stamps])

        return self._computed.get(("past", dataset, mode, metric, stamps), lambda: Past([dataset], mode, own, metric))

    def remembered(self, what: Hashable, keys: Iterable[str], make: Callable[[], T]) -> T:
        """Something computed from these runs, computed again when one of them changes."""
        return self._computed.get((what, tuple(map(self.stamp, keys))), make)

    def once(self, what: Hashable, key: str, make: Callable[[], T], large: bool = False) -> T:
        """Something of finished epochs of a run, which never change: made once, however the run grows.

        What is ``large`` is forgotten sooner: a few epochs of a million synapses would push out all that was computed.
        """
        return (self._read if large else self._computed).get((what, key, self.row(key)["created"]), make)

    def has(self, what: Hashable, key: str) -> bool:
        """Whether :meth:`once` still has it."""
        name = (what, key, self.row(key)["created"])
        return name in self._computed or name in self._read

    def candidates(self) -> list[str]:
        """All candidates of all stores, in the order of their first runs."""
        return self.runs()["candidate"].dropna().iloc[::-1].drop_duplicates().tolist()

    def table(self, keys: Iterable[str], name: str) -> tuple[pd.DataFrame, list[Problem]]:
        """The table ``name`` ("metrics" or "capacitance") of several runs below each other.

        Returns:
            Its rows with the columns ``key``, ``candidate`` and ``seed`` in front, and what could not be read.
        """
        frames: dict[str, pd.DataFrame] = {}
        problems = []
        for key in keys:
            try:
                frames[key] = self.metrics(key) if name == "metrics" else self.capacitance(key)
            except NcoreError as error:
                problems.append(Problem(key.partition(SEPARATOR)[2], str(error)))

        def join() -> pd.DataFrame:
            parts = []
            for key, frame in frames.items():
                row = self.row(key)
                first = {"key": key, "candidate": row["candidate"], "seed": int(row["seed"])}
                parts.append(frame.assign(**first)[[*first, *frame.columns]])
            return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

        return self.remembered(("table", name), frames, join), problems

    def row(self, key: str) -> dict[str, Any]:
        """What the listing has of a run; StoreError if it does not have it."""
        try:
            return self._rows[key]
        except KeyError:
            number, _, run = key.partition(SEPARATOR)
            where = self.sources[int(number)].place if number.isdecimal() and int(number) < len(self.sources) else ""
            raise StoreError(
                f"Run {run or key} is not in the store{f' {where}' if where else ''}: was it deleted?"
            ) from None


class _Rows(dict[str, dict[str, Any]]):
    """Rows of a listing by key, made when they are asked for: of 10,000 runs few are."""

    def __init__(self, runs: pd.DataFrame) -> None:
        self._columns = {str(name): runs[name].tolist() for name in runs}
        self._numbers = {key: number for number, key in enumerate(self._columns["key"])}

    def __missing__(self, key: str) -> dict[str, Any]:
        number = self._numbers[key]
        values = {name: column[number] for name, column in self._columns.items()}
        row = self[key] = {name: None if value is pd.NA else value for name, value in values.items()}
        return row


class _Tables(NamedTuple):
    """A run whose tables the library keeps."""

    library: Library
    key: str

    def metrics(self) -> pd.DataFrame:
        return self.library.metrics(self.key)

    def capacitance(self) -> pd.DataFrame:
        return self.library.capacitance(self.key)

    def predictions(self, *args: Any, **given: Any) -> pd.DataFrame:
        return self.library.run(self.key).predictions(*args, **given)

    def recorded_epochs(self, table: str) -> list[int]:
        return self.library.run(self.key).recorded_epochs(table)

    @property
    def manifest(self) -> Manifest:
        return self.library.run(self.key).manifest


def accuracies(metrics: pd.DataFrame) -> np.ndarray:
    """Validation accuracy by epoch, shape (epochs,), from the table ``metrics``."""
    rows = metrics[(metrics["split"] == "validation") & (metrics["name"] == "accuracy")]
    return rows.drop_duplicates("epoch", keep="last")["value"].to_numpy(np.float64)


def _thinned(values: np.ndarray, limit: int = 40) -> list[float]:
    values = values[np.isfinite(values)]
    if values.size > limit:
        values = values[np.unique(np.linspace(0, values.size - 1, limit).round().astype(int))]
    return [round(float(value), 4) for value in values]


def _list(source: Source) -> None:
    """Look at a store again; its listing stays the same object if nothing changed."""
    began = time.monotonic()
    try:
        source.store = source.store or open_store(source.place)
        listing, problem = source.store.runs(), ""
    except NcoreError as error:
        listing, problem, source.store = pd.DataFrame(), str(error), None
    if problem != source.problem or not listing.equals(source.listing):
        source.listing, source.problem = listing, problem
        source.changes += 1
    ended = time.monotonic()
    source.due = ended + max(LISTING_AGE, _PATIENCE * (ended - began))


def _joined(sources: Sequence[Source]) -> pd.DataFrame:
    """Listings below each other, the newest run first."""
    frames = []
    for source in sources:
        if not source.listing.empty:
            keys = f"{source.number}{SEPARATOR}" + source.listing["run"]
            frames.append(source.listing.assign(key=keys, store=source.label, number=source.number))
    if not frames:
        from ncore.store.listing import COLUMNS, frame_of

        return frame_of([]).reindex(columns=[*COLUMNS, "key", "store", "number"])
    return pd.concat(frames).sort_values(["created", "key"], ascending=[False, True], ignore_index=True)


def _labels(places: Sequence[str]) -> list[str]:
    """Short names of stores: the last part of the place, with a number where two agree."""
    names = [place.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1] or place for place in places]
    return [name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names, start=1)]
