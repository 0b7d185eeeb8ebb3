"""The model card: README.md as the Hugging Face Hub has it, with metadata in YAML and the evidence for the choice."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from ncore._version import __version__
from ncore.finish.evaluation import Evaluation
from ncore.finish.origin import Origin
from ncore.finish.preprocessing import Preprocessing
from ncore.finish.writing import Written
from ncore.predict import said_of

if TYPE_CHECKING:
    from ncore.store.manifest import Manifest

__all__ = ["Facts", "card", "evidence"]

_MOST_CLASSES = 50
_PATENT = (
    "A head was attached as by *Jiang et al., Nature Communications 15 (2024)*, which is covered by US patent "
    "12,450,495 B2: look at it before a commercial deployment."
)


@dataclass(frozen=True)
class Facts:
    """All that a card tells.

    Attributes:
        candidate: Its name.
        dataset: Of the data it was trained on, as the manifest has it.
        manifest: Of the last training.
        chosen: The id of the run that was repeated.
        origin: Of its weights.
        evaluation: On the test set.
        written: What the folder holds.
        preprocessing: Of its examples.
        ranking: Of all candidates as of now; None where there is none.
        notes: What to know before trusting it, a sentence each.
    """

    candidate: str
    dataset: str
    manifest: Manifest
    chosen: str
    origin: Origin
    evaluation: Evaluation
    written: Written
    preprocessing: Preprocessing
    ranking: pd.DataFrame | None
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Of the model."""
        return _line(f"{self.candidate} on {self.dataset}")

    @property
    def with_validation(self) -> bool:
        """Whether it was trained on the validation set, too."""
        return bool(self.manifest.config.get("with_validation"))


def card(facts: Facts) -> str:
    """The text of README.md."""
    parts = [
        f"---\n{yaml.safe_dump(_metadata(facts), sort_keys=False, allow_unicode=True)}---\n",
        f"# {_text(facts.title)}\n",
        f"{_text(facts.candidate)}, fine-tuned on {_text(facts.dataset)} and chosen by [ncore](https://pypi.org/project/"
        f"ncore/) {__version__}, which is not needed to use it.\n",
        *(f"- **Note:** {_text(note)}" for note in facts.notes),
        "\n## Use\n",
        _use(facts),
        "\n## How good it is\n",
        _quality(facts),
        "\n## Why this one\n",
        _choice(facts),
        "\n## What it costs to use\n",
        _costs(facts.manifest.costs),
        "\n## How it was trained\n",
        _training(facts),
        "\n## Licence\n",
        _licence(facts.origin),
    ]
    return "\n".join(parts) + "\n"


def evidence(facts: Facts) -> str:
    """The same as JSON, with all classes."""
    manifest = facts.manifest
    content = {
        "candidate": facts.candidate,
        "dataset": facts.dataset,
        "chosen_by_run": facts.chosen,
        "trained_with_validation": facts.with_validation,
        "seed": manifest.seed,
        "mode": manifest.mode,
        "epochs": manifest.last_epoch,
        "test": asdict(facts.evaluation),
        "differences": facts.written.differences,
        "ranking": [] if facts.ranking is None else json.loads(facts.ranking.to_json(orient="records")),
        "costs": manifest.costs,
        "digests": {name: manifest.digests.get(name) for name in ("data", "cut", "weights")},
        "training": manifest.resolved.get("training", {}),
        "origin": asdict(facts.origin),
        "versions": manifest.versions,
        "notes": facts.notes,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _metadata(facts: Facts) -> dict[str, Any]:
    """What the Hub reads."""
    task, test = facts.preprocessing.task, facts.evaluation
    library = facts.written.library
    found: dict[str, Any] = {}
    if facts.origin.licence:
        known = re.fullmatch(r"[a-z0-9.-]+", facts.origin.licence)
        found |= (
            {"license": facts.origin.licence}
            if known
            else {"license": "other", "license_name": _line(facts.origin.licence)}
        )
    if facts.origin.base:
        found["base_model"] = facts.origin.base
    if source := _hub_dataset(facts.manifest):
        found["datasets"] = [source]
    metrics = [{"type": "accuracy", "value": round(test.accuracy, 6), "name": "Test accuracy"}]
    if (macro := _macro_f1(test)) is not None:
        metrics.append({"type": "f1", "value": round(macro, 6), "name": "Test F1, macro"})
    data = {"name": _line(facts.dataset), "type": source or "custom", "split": "test"}
    return found | {
        "library_name": "pytorch",
        "pipeline_tag": task,
        "tags": ["ncore", *([library] if library else [])],
        "metrics": ["accuracy", "f1"],
        "model-index": [
            {"name": facts.title, "results": [{"task": {"type": task}, "dataset": data, "metrics": metrics}]}
        ],
    }


def _hub_dataset(manifest: Manifest) -> str:
    """The data's name on the Hub; empty if they are not from there."""
    kind, _, name = str(manifest.resolved.get("dataset", {}).get("source", "")).partition(":")
    return name if kind == "hf" and re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name) else ""


def _use(facts: Facts) -> str:
    sample = facts.preprocessing.sample
    by = facts.written.library if facts.written.loader == "library" else "PyTorch alone"
    lines = [
        "```bash\npip install -r requirements.txt\n```\n",
        "```python\nfrom model import load  # in this folder\n\n"
        f'classify = load(".")  # built by {by}\n'
        f"classify({sample})  # the probability of each class, the most probable first\n```\n",
        '`classify` takes a list as well, and `load(".", device="cuda")` computes elsewhere; `classify.model` is the '
        "module, `classify.preprocessing` what stands before it, as `preprocessing.json` says.",
    ]
    told = {
        "model.safetensors": f'the weights, which `build(".")` of `model.py` loads into {facts.written.library}',
        "model.pt2": 'the program that `torch.export` made, weights included, for `load(".", program=True)`',
        "model.onnx": "the same as ONNX, from prepared inputs to logits",
    }
    rows = [
        [f"`{name}`", told[name], f"{facts.written.differences[name]:.1e}"]
        for name in told
        if name in facts.written.differences
    ]
    lines += ["", _table(["file", "what it is", "largest difference from the original"], rows, escape=False)]
    return "\n".join(lines)


def _quality(facts: Facts) -> str:
    test, word = facts.evaluation, facts.preprocessing.word
    lines = [
        f"**{test.accuracy:.2%}** of {test.examples} test {word}s are classified right (90% interval for so many "
        f"{word}s: {test.lower:.2%} to {test.upper:.2%}); the mean cross-entropy is {test.loss:.4g}. They had no part "
        f"in training.{_chosen_by_test(facts)}\n"
    ]
    shown = test.classes
    if len(shown) > _MOST_CLASSES:
        shown = sorted(shown, key=lambda one: one["f1"] if one["f1"] is not None else math.inf)[:_MOST_CLASSES]
        lines.append(
            f"The {_MOST_CLASSES} of {len(test.classes)} classes with the lowest F1; `evidence.json` has all.\n"
        )
    columns = ("precision", "recall", "f1")
    rows = [[one["class"], str(one["examples"]), *(_share(one[name]) for name in columns)] for one in shown]
    return "\n".join([*lines, _table(["class", f"test {word}s", "precision", "recall", "F1"], rows)])


def _chosen_by_test(facts: Facts) -> str:
    """Whether the test set had a part in the choice."""
    if facts.ranking is None or (facts.ranking["kind"] == "measured").sum() < 2:
        return ""
    return (
        " Candidates whose runs have ended are ranked below by their accuracy on these same examples, so where the "
        "choice followed that, this number is on the high side."
    )


def _choice(facts: Facts) -> str:
    table = facts.ranking
    if table is None:
        return "There is no ranking of its candidates."
    own = table[table["candidate"] == facts.candidate]
    place = f"It ranks {own.iloc[0]['rank']} of {len(table)}. " if len(own) else ""
    rows = [
        [
            str(row["rank"]),
            row["candidate"],
            _share(row["predicted"]),
            f"{_share(row['lower'])} to {_share(row['upper'])}",
            f"{row['p_best']:.0%}",
            str(row["seeds"]),
            str(row["kind"]),
            row["warning"],
        ]
        for row in table.to_dict("records")
    ]
    heads = ["rank", "candidate", "accuracy", "90% interval", "probability of being the best", "runs", "kind", "note"]
    said = (
        f"{place}What had ended is measured, the rest is forecast (method `{table.attrs['method']}`, as of epoch "
        f"{table.attrs['epochs']}).\n"
    )
    past = " ".join(said_of(table))
    return f"{said}{past + chr(10) if past else ''}\n{_table(heads, rows)}"


def _costs(costs: dict[str, Any]) -> str:
    def number(name: str, unit: str, scale: float = 1, form: str = ",.0f") -> list[str]:
        value = costs.get(name)
        return ["not known" if value is None else f"{value * scale:{form}} {unit}".strip()]

    rows = [
        ["parameters", *number("parameters", "")],
        ["weights", *number("bytes", "MB", 1e-6, ",.2f")],
        ["multiply-adds for an example", *number("multiply_adds", "million", 1e-6, ",.2f")],
        ["time for an example, one at a time, where it was trained", *number("seconds_per_example", "ms", 1e3, ",.2f")],
        ["memory for an example", *number("peak_bytes", "MB", 1e-6, ",.2f")],
    ]
    return _table(["", ""], rows)


def _training(facts: Facts) -> str:
    manifest, settings = facts.manifest, facts.manifest.resolved.get("training", {})
    images, word = manifest.info.get("images", {}), facts.preprocessing.word
    trained = {"all": "the backbone and the head", "unit": "the head", "backbone": "the backbone, below a fixed head"}
    on = f"{images.get('train', '?')} {word}s" + (
        ", of training and validation together" if facts.with_validation else ""
    )
    rows = [
        ["trained", trained.get(manifest.mode, manifest.mode)],
        ["on", on],
        ["for", f"{manifest.last_epoch} epochs, seed {manifest.seed}"],
        *(
            [name.replace("_", " "), str(settings[name])]
            for name in ("optimizer", "learning_rate", "schedule", "batch_size", "weight_decay", "augment", "precision")
            if name in settings
        ),
        ["began with", "weights trained before" if facts.origin.pretrained else "random weights"],
        *(
            [label, f"`{manifest.digests[name]}`"]
            for name, label in (
                ("data", "digest of the data"),
                ("cut", "of their cut"),
                ("weights", "of the weights before training"),
            )
            if manifest.digests.get(name)
        ),
        ["versions", ", ".join(f"{name} {number}" for name, number in manifest.versions.items())],
    ]
    return _table(["", ""], rows, escape=False) + "\n\n`training.csv` has what was measured, epoch by epoch."


def _licence(origin: Origin) -> str:
    if origin.licence:
        said = f"The weights that it began with are under `{origin.licence}`, as {origin.said_by} says."
    elif origin.pretrained:
        said = "The licence of the weights that it began with is not known: look for it where they are from."
    else:
        said = "It began with random weights."
    return f"{said} That of the data is not known to ncore. {_PATENT}"


def _macro_f1(test: Evaluation) -> float | None:
    found = [one["f1"] for one in test.classes if one["f1"] is not None]
    return math.fsum(found) / len(found) if found else None


def _share(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.2%}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], escape: bool = True) -> str:
    lines = [heads, ["---"] * len(heads), *([_text(cell) if escape else cell for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """Text in Markdown that means nothing but itself."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", _line(text))


def _line(text: str) -> str:
    """Text in one line, as YAML and tables need it."""
    return " ".join(str(text).split())
