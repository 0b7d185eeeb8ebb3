"""Where a candidate's weights come from, and under which licence, as far as they say so themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ncore.probe.candidates import Backbone, CandidateSpec

__all__ = ["Origin", "origin_of"]


@dataclass(frozen=True)
class Origin:
    """Of the weights that training began with.

    Attributes:
        pretrained: Whether they were trained before.
        licence: By the Hub's short name or their own words; empty if it is not known.
        said_by: What tells the licence.
        base: The model's name on the Hub; empty if it has none.
    """

    pretrained: bool
    licence: str
    said_by: str
    base: str


def origin_of(spec: CandidateSpec, backbone: Backbone, licence: str | None = None) -> Origin:
    """Of a candidate; ``licence`` is what the user says of it, which goes before all else."""
    model: Any = getattr(backbone.module, "model", None)
    foreign = spec.weights is not None or spec.kind == "file"  # weights that are not those of the source
    found, said_by, base = "", "", ""
    if spec.pretrained and not foreign:
        name = spec.source.partition(":")[2]
        if spec.kind == "timm":
            config = getattr(model, "pretrained_cfg", {}) or {}
            found, said_by = str(config.get("license") or ""), "timm"
            base = str(config.get("hf_hub_id") or "")
        elif spec.kind == "hf":
            folder = Path(name).expanduser()
            base = "" if folder.is_dir() else name
            card = folder / "README.md" if folder.is_dir() else _cached_card(name)
            found, said_by = _licence_in(card), "their model card"
    if licence is not None:
        found, said_by = licence, "whoever finished it"
    return Origin(spec.pretrained, found, said_by if found else "", base)


def _cached_card(name: str) -> Path | None:
    """The model card of a model of the Hub, where it was downloaded."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "README.md")
    return Path(found) if isinstance(found, str) else None


def _licence_in(card: Path | None) -> str:
    """What the metadata of a model card say."""
    if card is None or not card.is_file():
        return ""
    text = card.read_text(encoding="utf-8", errors="replace")
    if not text.startswith("---"):
        return ""
    try:
        metadata = yaml.safe_load(text.split("---", 2)[1])
    except (yaml.YAMLError, IndexError):
        return ""
    found = metadata.get("license") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, str) else ""
