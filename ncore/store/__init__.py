"""Runs as plain Parquet and one JSON manifest each: see ``schema`` for the tables, ``manifest`` for the rest.

::

    store/
      ncore-store.json              {"format": "ncore-store", "schema": 2}
      RUN/
        run.json                    manifest: all about the run, with size and checksum of every file
        annotations.json            tags and notes, if anybody wrote some
        metrics/00016.parquet       while the run is being recorded an epoch of a table is a file,
        metrics/00000-00015.parquet sixteen of those become one, and so on,
        metrics.parquet             and when it is finished all of them
        capacitance.parquet  trajectories.parquet  line_graph.parquet  predictions.parquet
        checkpoint-000004-1a2b3c4d.safetensors   of an unfinished run

Files are written aside and renamed, the manifest last: what it lists is there, whole, and nothing else is read.
Whoever reads ``metrics.parquet`` without this package takes the rows whose ``at`` is null or equals ``epoch`` for what
holds at the ends of epochs; the others were measured in their course.
Nothing is ever unpickled.
"""

from ncore.store.annotations import Annotations
from ncore.store.damage import DamagedFileError
from ncore.store.layout import default_run_id
from ncore.store.manifest import Manifest
from ncore.store.reader import Run
from ncore.store.schema import SCHEMA_VERSION, TABLES
from ncore.store.store import Store, create_store, open_store
from ncore.store.verify import Finding, Report, verify
from ncore.store.writer import RunWriter

__all__ = [
    "SCHEMA_VERSION",
    "TABLES",
    "Annotations",
    "DamagedFileError",
    "Finding",
    "Manifest",
    "Report",
    "Run",
    "RunWriter",
    "Store",
    "create_store",
    "default_run_id",
    "open_store",
    "verify",
]
