"""Writes the sketches by which the pictures of the benchmark's datasets are recognised under any name.

    NCORE_DATA=folder-of-parquet python -m tools.benchmark_sketches

See ``ncore.predict.sketches``. What is written has no pictures: it is the smallest digests of those of each dataset.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ncore._yaml import read_yaml
from ncore.benchmark.making.recipe import RECIPE
from ncore.predict.sketches import SKETCHES
from ncore.probe.datasets import Dataset, load_dataset
from ncore.probe.job import expand
from ncore.probe.sources.dataset_spec import DatasetSpec

__all__ = ["KEPT", "main", "sketch", "usual_digits"]

KEPT = 4096
"""Digests of each dataset."""


def usual_digits() -> list[Dataset]:
    """scikit-learn's digits as people save them: from 0 to 16 as they come, or brought to 255 in some way."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = data.images.astype(np.int64)
    forms = (images, images * 255 // 16, (images * 16).clip(max=255), images * 15)
    return [Dataset.from_arrays(form.astype(np.uint8), data.target) for form in forms]


def sketch(data: Dataset) -> np.ndarray:
    """The smallest digests of all of its pictures, as numbers, ascending."""
    digests = np.concatenate([split.content["digest"] for split in data.splits.values()])
    first = np.frombuffer(digests.tobytes(), dtype=">u8").reshape(-1, 2)[:, 0]
    return np.unique(first.astype(np.uint64))[:KEPT]


def main() -> None:
    """Look at all pictures, and write the file."""
    recipe: dict[str, Any] = read_yaml(RECIPE.read_text(encoding="utf-8"), RECIPE.name)
    columns: dict[str, list[Any]] = {"dataset": [], "digest": []}
    for name, entry in recipe["datasets"].items():
        wanted = {key: value for key, value in entry.items() if key not in ("train", "validation", "test")}
        forms = [load_dataset(expand(DatasetSpec.parse({**wanted, "name": name})))]
        forms += usual_digits() if name == "digits" else []
        own = np.unique(np.concatenate([sketch(data) for data in forms]))
        columns["dataset"] += [name] * len(own)
        columns["digest"] += own.tolist()
        print(f"{name}: {len(own)} digests of {sum(map(len, forms[0].splits.values()))} pictures")
    table = pa.table({"dataset": columns["dataset"], "digest": pa.array(columns["digest"], pa.uint64())})
    pq.write_table(table, SKETCHES, compression="zstd", use_dictionary=["dataset"])


if __name__ == "__main__":
    main()
