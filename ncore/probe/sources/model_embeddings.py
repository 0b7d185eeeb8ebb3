"""``embeddings:PATH``: vectors that were made elsewhere, in a file, by the ids of examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from ncore.errors import InputError
from ncore.probe._choices import first_line, unknown
from ncore.probe.modalities.names import VectorInput
from ncore.probe.sources.models import Loaded
from ncore.probe.sources.table_files import ID_COLUMNS, read_table

if TYPE_CHECKING:
    from ncore.probe.sources.candidate_spec import CandidateSpec

__all__ = ["VECTOR_COLUMNS", "load", "read_vectors"]

VECTOR_COLUMNS = ("embedding", "embeddings", "vector", "vectors", "features")


def load(spec: CandidateSpec) -> Loaded:
    """Read the vectors; a candidate of these has nothing below its unit that could be trained."""
    path = spec.source.partition(":")[2]
    ids, vectors = read_vectors(Path(path).expanduser(), spec.id_column)
    return Loaded(nn.Identity(), takes=VectorInput(vectors, {one: row for row, one in enumerate(ids)}, spec.source))


def read_vectors(path: Path, id_column: str | None = None) -> tuple[list[str], np.ndarray]:
    """Ids, and vectors float32 (N, F), of a file.

    Args:
        path: Parquet, CSV or JSON lines: a column of ids, and one of lists, or numbers in all others; or ``.npz`` with
            the arrays ``ids`` and ``embeddings``.
        id_column: Its name; found if not given.

    Raises:
        InputError: No such file, no ids, an id twice, or vectors that are none.
    """
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
        except Exception as error:
            raise InputError(f"the vectors in {str(path)!r} cannot be read ({first_line(error)}).") from error
        ids_key = _one_of([id_column] if id_column else ID_COLUMNS, arrays, "an array of ids", path)
        ids, raw = arrays[ids_key], arrays[_one_of(VECTOR_COLUMNS, arrays, "an array of vectors", path)]
    else:
        frame = read_table(path)
        own = _one_of([id_column] if id_column else ID_COLUMNS, frame.columns, "a column of ids", path)
        ids, rest = frame[own].to_numpy(), frame.drop(columns=own)
        lists = [name for name in VECTOR_COLUMNS if name in rest]
        try:
            raw = np.stack(rest[lists[0]].map(np.asarray).to_list()) if lists else rest.to_numpy(np.float32)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"the vectors in {str(path)!r} are not all of the same number of numbers ({first_line(error)}): give "
                "one column of lists, or a column for each number."
            ) from error
    names = [str(one) for one in ids.tolist()]
    if len(set(names)) < len(names):
        twice = next(one for one in names if names.count(one) > 1)
        raise InputError(f"the id {twice!r} stands in {str(path)!r} twice: give each example one vector.")
    try:
        vectors = np.asarray(raw, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(f"the vectors in {str(path)!r} are no numbers ({first_line(error)}).") from error
    if vectors.ndim != 2 or not vectors.shape[1] or len(vectors) != len(names):
        raise InputError(f"the vectors in {str(path)!r} have the shape {vectors.shape}, where {len(names)} of the same "
                         "number of numbers were expected.")  # fmt: skip
    if bad := int((~np.isfinite(vectors).all(1)).sum()):
        raise InputError(f"{bad} of the {len(vectors)} vectors in {str(path)!r} have a number that is not finite.")
    return names, vectors


def _one_of(wanted: tuple[str, ...] | list[str], known: object, what: str, path: Path) -> str:
    names = list(known)  # type: ignore[call-overload]
    for name in wanted:
        if name in names:
            return name
    raise unknown(f"{what} of {str(path)!r}", wanted[0], names)
