"""Whether a run that is recorded is the one that would be recorded now: by its data, weights, settings and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ncore.network.strengths import Strength
from ncore.store.manifest import plain

if TYPE_CHECKING:
    from ncore.probe.settings import RecordingSettings
    from ncore.store.manifest import Manifest

__all__ = ["HOW_IT_RUNS", "REMEDY", "lacking", "other_data", "other_settings", "other_weights"]

HOW_IT_RUNS = frozenset({"threads", "device", "memory_format", "compile", "deterministic"})
"""Training settings that change the last digits, not what is run."""

REMEDY = "give another `name`, another store, or delete the run with `ncore delete`"


def other_data(manifest: Manifest, now: Mapping[str, Any], fingerprint: str, name: str) -> str:
    """How a run's data differ from those that its dataset has now, as the end of a sentence; empty if they don't.

    Args:
        manifest: Of the run.
        now: The digests ``data`` and ``cut``, as far as they are known.
        fingerprint: Of the dataset as it is loaded, for runs that have no digests.
        name: Of the dataset.
    """
    then = manifest.digests
    compared = [key for key in ("data", "cut") if then.get(key) and now.get(key)]
    for key in compared:
        if then[key] != now[key]:
            digests = f"(digest {then[key][:12]}, not {now[key][:12]})"
            if key == "data":
                return f"on other data than {name!r} has now {digests}"
            return f"on another cut of the data than {name!r} has now {digests}"
    before = manifest.info.get("dataset_fingerprint")
    if not compared and before and fingerprint and before != fingerprint:
        return f"on other data than {name!r} has now (digest {before}, not {fingerprint})"
    return ""


def other_weights(manifest: Manifest, now: str | None, name: str) -> str:
    """How the weights that a run began with differ from those that its candidate has now; empty if they don't."""
    then = manifest.digests.get("weights")
    if not then or not now or then == now:
        return ""
    return f"with other weights than {name!r} has now (digest {then[:12]}, not {now[:12]})"


def other_settings(manifest: Manifest, now: Mapping[str, Any]) -> str:
    """Which settings a run had that are not those of now; empty if there are none, or none that both know.

    Args:
        manifest: Of the run.
        now: The settings as they are resolved, by part; what only one of the two has is not compared.
    """
    told = [
        f"{name} {_short(then)}, not {_short(wanted)}"
        for name, wanted in _flat(plain(now, "settings")).items()
        if (then := _flat(manifest.resolved).get(name, wanted)) != wanted
        and name.rpartition(".")[2] not in HOW_IT_RUNS
        and not name.startswith("recording.")
    ]
    return f"with other settings than now ({', '.join(told[:3])}{', ...' if len(told) > 3 else ''})" if told else ""


def lacking(manifest: Manifest, wanted: RecordingSettings, validation: int | None = None) -> str:
    """What is asked for now that a finished run has not recorded; empty if there is nothing.

    Runs of versions that recorded no resolved settings are not asked for what came later.

    Args:
        manifest: Of the run.
        wanted: How a run would be recorded now.
        validation: How many examples the validation set has, where that is known.
    """
    has, missing = manifest.recorded, []
    taken, left_out = has.get("strengths"), has.get("left_out")  # which may be anything
    if isinstance(taken, list):
        known = [*taken, *(left_out if isinstance(left_out, Mapping) else ())]
        missing += [f"the strength {Strength(one)}" for one in wanted.strengths if one not in known]
    for table, setting in (("trajectories", "trajectories_every"), ("line_graph", "line_graph_every")):
        every, before = getattr(wanted, setting), has.get(setting)
        if every and isinstance(before, int) and (before == 0 or every % before):
            missing.append(f"{table.replace('_', ' ')} every {every} epochs")
    if manifest.resolved and wanted.prediction_rows:
        kept, epochs = manifest.tables.get("predictions", []), manifest.last_epoch
        images = manifest.info.get("images")
        count = validation or (images.get("validation") if isinstance(images, Mapping) else None)
        count = count if isinstance(count, int) else 0
        if not kept:
            missing.append("predictions of single examples (`prediction_rows`)")
        elif count and count * epochs <= wanted.prediction_rows and len(kept) < epochs:
            missing.append("predictions of single examples of every epoch (`prediction_rows`)")
    return f"without {' and '.join(missing)}, which this asks for" if missing else ""


def _flat(parts: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parts.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
