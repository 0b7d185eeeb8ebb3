"""Made-up texts and tables that can be learned, written to files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

WORDS = {"sea": "wave tide harbour sail salt", "hill": "stone ridge moss sheep path", "town": "tram square lamp door"}


def texts(count: int = 240, seed: int = 0) -> pd.DataFrame:
    """Texts of three classes, of one to thirty words, and a column of who wrote each."""
    rng = np.random.default_rng(seed)
    rows = []
    for at in range(count):
        label = list(WORDS)[at % 3]
        own = [*WORDS[label].split(), "the", "a", "and"]
        rows.append(
            {
                "id": f"t{at}",
                "text": " ".join(rng.choice(own, rng.integers(3, 30))) + f" {at}",
                "label": label,
                "author": f"a{at % 20}",
            }
        )
    return pd.DataFrame(rows)


def table(count: int = 300, seed: int = 0) -> pd.DataFrame:
    """Rows of two classes: two columns of numbers, one with gaps, and one of categories."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    width = labels + rng.normal(0, 0.5, count)
    frame = pd.DataFrame(
        {
            "id": [f"r{at}" for at in range(count)],
            "width": width,
            "height": np.where(rng.random(count) < 0.1, np.nan, rng.normal(0, 1, count) - labels),
            "colour": np.where(rng.random(count) < 0.8, np.array(["red", "blue"])[labels], "green"),
            "label": np.array(["no", "yes"])[labels],
        }
    )
    frame.loc[rng.random(count) < 0.05, "colour"] = None
    return frame


def written(frame: pd.DataFrame, path: Path) -> Path:
    """Written in the format that its suffix says."""
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))  # to the last digit, unlike pandas
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path
