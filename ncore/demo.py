"""The first minute: small built-in networks on digits, good and bad ones, with nothing to download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ncore.sweep.recipe import Recipe

__all__ = ["CANDIDATES", "demo_recipe", "sample_runs"]

CANDIDATES = (
    {"source": "builtin:resnet-small", "name": "resnet"},
    {"source": "builtin:mobilenet-small", "name": "mobilenet"},
    {"source": "builtin:vit-small", "name": "vit"},
    {"source": "builtin:lenet", "name": "lenet"},
    {"source": "builtin:dense-small", "name": "dense"},
    {"source": "builtin:lenet", "name": "lenet, rate too low", "training": {"learning_rate": 2e-5}},
)


def demo_recipe(store: str, epochs: int) -> Recipe:
    """Six candidates on scikit-learn's digits, one of them with a learning rate that is too low."""
    from ncore.sweep.recipe import Recipe  # which needs torch; the sample runs don't

    return Recipe.parse(
        {
            "candidates": [dict(candidate) for candidate in CANDIDATES],
            "datasets": ["digits"],
            "store": str(Path(store).expanduser().resolve()),
            "training": {"mode": "all", "epochs": epochs, "learning_rate": 5e-4},
        },
        where="The demo",
    )


def sample_runs() -> list[str]:
    """The sample runs that come with a checkout, where there is one."""
    folder = Path(__file__).resolve().parent.parent / "sample_runs"
    return [str(folder)] if (folder / "ncore-store.json").exists() else []
