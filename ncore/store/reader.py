"""Reading a run, finished or still being recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from ncore.errors import InputError, StoreError
from ncore.network.strengths import DENSE, Strength
from ncore.store._columns import factors_of_table
from ncore.store._folder import Folder
from ncore.store._lock import status_now
from ncore.store._parquet import Groups, Wanted, open_table, read_rows
from ncore.store.annotations import read_annotations
from ncore.store.damage import DamagedFileError, kept_inside
from ncore.store.layout import MANIFEST
from ncore.store.manifest import MOST_BYTES, Manifest
from ncore.store.metric_names import usually_named
from ncore.store.schema import TABLES

if TYPE_CHECKING:
    from ncore.network import LayerFactors, LineGraph

__all__ = ["Numbers", "Run"]

Numbers: TypeAlias = int | Iterable[int] | None
"""One number, several, or None for all."""

_T = TypeVar("_T")
_SMALL = ("metrics", "capacitance")
_TEXT = (*_SMALL, "predictions")
_AGAIN = 20  # times that a writer may change files under a reader before it gives up


class Run:
    """A run of a store; made by :meth:`ncore.store.Store.run`.

    Every method sees the run as it is when it is called: nothing has to be reopened while a run grows, and
    what is returned always ends at a finished epoch.
    """

    def __init__(self, folder: Folder, run_id: str) -> None:
        self.id = run_id
        self.url = folder.url
        self._folder = folder
        self._seen: tuple[Any, Manifest] | None = None
        # Small tables are read whole again and again while a run grows by a file an epoch.
        self._kept: dict[tuple[str, str], list[pa.RecordBatch]] = {}
        self._groups: dict[tuple[str, str], Groups] = {}
        self._load()

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.url}>"

    @property
    def manifest(self) -> Manifest:
        """What the run is: configuration, unit, what was recorded, summary."""
        return self._load()

    @property
    def status(self) -> str:
        """How the run stands now: "running", "finished", "failed" or "interrupted"."""
        status = status_now(self._folder, self._load())
        # Between the two looks it may have ended.
        return status_now(self._folder, self._load()) if status == "interrupted" else status

    @property
    def tags(self) -> list[str]:
        """What people filed it under, ascending; see :meth:`ncore.store.Store.annotate`."""
        return list(read_annotations(self._folder).tags)

    @property
    def notes(self) -> str:
        """Free text: what was written down last, or what the run was begun with."""
        noted = read_annotations(self._folder).notes
        return self._load().notes if noted is None else noted

    @property
    def epochs(self) -> list[int]:
        """Recorded epochs; 0 is the state before training."""
        return self._load().epochs

    def recorded_epochs(self, table: str) -> list[int]:
        """Epochs that a table ("trajectories", ...) has rows of: some tables are not recorded every epoch."""
        _check_table(table)
        return self._load().tables.get(table, [])

    def metrics(self) -> pd.DataFrame:
        """The table ``metrics``: losses, accuracies, learning rates and times, by their usual names.

        ``at`` is the epochs of training done when a row was measured; always there, the row's epoch if nothing else.
        """
        frame = usually_named(self._frame("metrics"))
        return frame.assign(at=frame["at"].fillna(frame["epoch"]).astype("float64"))

    def capacitance(self) -> pd.DataFrame:
        """The table ``capacitance``: beta_eff by epoch, strength and layer (0: the whole graph)."""
        return self._frame("capacitance")

    def predictions(
        self, split: str | None = None, epoch: Numbers = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The table ``predictions``: of single examples, their labels and probabilities.

        Args:
            split: Only this one, "validation" or "test".
            epoch: Only these epochs.
            columns: Only these columns; ``split`` is needed to choose by it.

        Raises:
            InputError: There is no such column.
            StoreError: An epoch has no predictions, or a file cannot be read.
        """
        names = None if columns is None else _known("predictions", columns)
        frame = self._frame("predictions", None if epoch is None else {"epoch": _numbers(epoch)}, names)
        return frame if split is None else frame[frame["split"] == split].reset_index(drop=True)

    def trajectory(
        self,
        epoch: Numbers = None,
        layer: Numbers = None,
        synapses: Numbers = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Weights and their rates, in order of epoch and synapse.

        Args:
            epoch: Only these epochs.
            layer: Only these layers, from 1.
            synapses: Only these synapses, by their number in the whole unit.
            columns: Only these columns.

        Raises:
            InputError: There is no such column.
            StoreError: An epoch has no trajectories, or a file cannot be read.
        """
        columns = _known("trajectories", TABLES["trajectories"].schema.names if columns is None else columns)
        asked = {"epoch": epoch, "layer": layer, "synapse": synapses}
        wanted = {name: _numbers(values) for name, values in asked.items() if values is not None}
        return self._frame("trajectories", wanted, columns)

    def line_graph_factors(self, epoch: int) -> tuple[list[LayerFactors], float | None]:
        """The factors of P at an epoch, one for each pair of layers, and the scale of "relative" (None: not taken).

        They are of the recorded neurons: ``manifest.recorded`` says which.

        Raises:
            StoreError: The epoch has no line graph, or a file cannot be read.
        """
        from ncore.network import LayerFactors

        wanted = {"epoch": _numbers(epoch)}
        with kept_inside(f"{self._folder.name_of('')}, table line_graph,"):
            layers, scale = factors_of_table(self._read("line_graph", wanted))
            return [LayerFactors(**layer) for layer in layers], scale

    def line_graph(self, epoch: int, strength: str = Strength.ABSOLUTE) -> LineGraph:
        """The line graph at an epoch; if not all neurons were recorded, the exact sub-network of those that were.

        Args:
            epoch: A recorded one.
            strength: "signed", "absolute" or "relative".

        Raises:
            StoreError: The epoch has no line graph, or none of this strength, or a file cannot be read.
        """
        from ncore.network import LineGraph

        if strength not in DENSE:
            raise InputError(f"The strength is {strength!r}, but it must be {', '.join(DENSE[:-1])} or {DENSE[-1]}.")
        factors, scale = self.line_graph_factors(epoch)
        if strength != Strength.RELATIVE:
            scale = 1.0
        if scale is None:
            raise StoreError(f"Run {self.id} was recorded without the strength relative: ask for absolute or signed.")
        with kept_inside(f"{self._folder.name_of('')}, table line_graph,"):
            return LineGraph.from_factors(strength, factors, scale)

    def _frame(self, name: str, wanted: Wanted | None = None, columns: list[str] | None = None) -> pd.DataFrame:
        with kept_inside(f"{self._folder.name_of('')}, table {name},"):
            table = self._read(name, wanted, columns)
            if name in _TEXT:
                table.validate(full=True)  # text that is no text would only be met later, by whoever looks at it
            frame: pd.DataFrame = table.to_pandas()
            return frame

    def _read(self, name: str, wanted: Wanted | None = None, columns: list[str] | None = None) -> pa.Table:
        table = TABLES[name]
        schema = table.schema if columns is None else pa.schema([table.schema.field(column) for column in columns])
        asked = dict(wanted or {})

        def read(manifest: Manifest) -> pa.Table:
            listed, by = manifest.tables.get(name, []), asked
            epochs = asked["epoch"].tolist() if "epoch" in asked else None
            if epochs and (absent := sorted(set(epochs) - set(listed))):
                raise StoreError(_not_recorded(self.id, name, absent[0], manifest))
            if epochs is None and name == "predictions":  # files still hold what was dropped since
                by = {**asked, "epoch": _numbers(listed)}

            def one(path: str) -> list[pa.RecordBatch]:
                entry = manifest.files[path]
                key = (path, entry.crc32)
                if key not in self._kept:
                    known = self._groups.get(key)
                    with open_table(self._folder, path, name, entry, known, choosing=bool(by)) as file:
                        if by and known is None:
                            known = self._groups[key] = Groups(file.metadata)
                        batches = read_rows(file, name, by, schema.names, known)
                    if name not in _SMALL:
                        return batches
                    self._kept[key] = batches
                return self._kept[key]

            paths = list(manifest.files_of(name, epochs))
            if self._folder.local or len(paths) < 2:
                parts = [one(path) for path in paths]
            else:
                with ThreadPoolExecutor(8) as pool:
                    parts = list(pool.map(one, paths))
            batches = [batch.cast(schema) for part in parts for batch in part]
            return pa.Table.from_batches(batches, schema=schema)

        return self._steadily(read, name)

    def _steadily(self, read: Callable[[Manifest], _T], name: str) -> _T:
        """Read by the manifest, again if a writer changed the files meanwhile."""
        manifest = self._load()
        for _ in range(_AGAIN):
            try:
                return read(manifest)
            except (FileNotFoundError, DamagedFileError) as error:
                fresh = self._load(force=True)
                if fresh.files != manifest.files:
                    manifest = fresh
                    continue
                if isinstance(error, DamagedFileError):
                    raise StoreError(f"{error} {_still(manifest, name)}") from error
                raise StoreError(
                    f"A file of the table {name} of run {self.id} is missing: {error.filename or error}; "
                    f"{_still(manifest, name)}"
                ) from error
        raise StoreError(f"Run {self.id} changes faster than it can be read: try again.")

    def _load(self, force: bool = False) -> Manifest:
        try:
            stamp = self._folder.stamp(MANIFEST)
            if self._seen is not None and not force and stamp is not None and stamp == self._seen[0]:
                return self._seen[1]
            with kept_inside(self._folder.name_of(MANIFEST)):
                data = self._folder.read(MANIFEST, MOST_BYTES)
                manifest = Manifest.from_bytes(data, self._folder.name_of(MANIFEST))
        except FileNotFoundError as error:
            if self._seen is not None:
                raise StoreError(f"Run {self.id} was deleted since it was opened.") from error
            raise StoreError(f"There is no run {self.id} here: {self._folder.name_of(MANIFEST)} is missing.") from error
        self._seen = (stamp, manifest)
        now = {(path, entry.crc32) for path, entry in manifest.files.items()}
        self._kept = {key: rows for key, rows in self._kept.items() if key in now}
        self._groups = {key: groups for key, groups in self._groups.items() if key in now}
        if manifest.status == "finished":
            self._kept.clear()
        return manifest


def _numbers(values: Numbers) -> np.ndarray:
    if values is None or isinstance(values, int | np.integer | np.ndarray):
        numbers = np.unique(np.asarray(values))
    else:
        numbers = np.unique(np.asarray(list(values)))
    if not numbers.size:
        return numbers.astype(np.int64)
    if numbers.dtype.kind not in "iu":
        raise InputError(f"Epochs, layers and synapses are whole numbers, but {values!r} was given.")
    return numbers


def _known(table: str, columns: Sequence[str]) -> list[str]:
    names = TABLES[table].schema.names
    if unknown := [name for name in columns if name not in names]:
        raise InputError(f"{table.capitalize()} have no column {unknown[0]!r}: they have {', '.join(names)}.")
    return list(columns)


def _check_table(table: str) -> None:
    if table not in TABLES:
        raise InputError(f"The table is {table!r}, but a run has {', '.join(TABLES)}.")


def _not_recorded(run_id: str, name: str, epoch: int, manifest: Manifest) -> str:
    epochs = manifest.tables.get(name, [])
    there = ", ".join(map(str, epochs[:5])) + (f", ... {epochs[-1]}" if len(epochs) > 5 else "")
    return f"Run {run_id} has no {name} at epoch {epoch}: " + (
        f"it has them at epochs {there}." if epochs else "they were not recorded."
    )


def _still(manifest: Manifest, name: str) -> str:
    others = [table for table in manifest.tables if table != name]
    rest = f"The tables that can still be read: {', '.join(others)}" if others else "No other table was recorded"
    return f"{rest}; `ncore verify` says more."
