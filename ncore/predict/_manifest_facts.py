"""What a curve takes from the manifest of its run: how it was made, on what data, and how large the test set is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["WEIGHTS", "made_with", "test_images"]

#: Among the `settings` of a `Curve`: which weights a candidate began with whose weights are a file.
WEIGHTS = "digests.weights"


def test_images(manifest: Any) -> int | None:
    """How many test examples the manifest of a run names, None where it doesn't; what it says may be anything."""
    images = getattr(manifest, "info", {}).get("images")
    count = images.get("test") if isinstance(images, Mapping) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else None


def made_with(manifest: Any) -> dict[str, Any]:
    """Settings and digests of the data that the manifest of a run has; what it says may be anything."""
    flat: dict[str, Any] = {}

    def walk(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                walk(f"{name}.{key}" if name else str(key), item)
        else:
            flat[name] = value

    config, info, digests = (getattr(manifest, name, {}) for name in ("config", "info", "digests"))
    candidate = config.get("candidate")
    # Weights that are loaded are the same for all seeds, unless their file was replaced, or a hub has a new revision.
    loaded = isinstance(candidate, Mapping) and candidate.get("pretrained")
    if loaded and digests.get("weights"):
        flat[WEIGHTS] = str(digests["weights"])[:8]
    walk("", {part: value for part, value in config.items() if part != "recording"})
    return {
        "settings": flat,
        "data": str(info.get("dataset_fingerprint") or ""),
        "content": str(digests.get("data") or ""),
        "cut": str(digests.get("cut") or ""),
    }
