"""Finishing a candidate: chosen, trained to its end, evaluated, written, and read again before the folder is there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ncore.errors import NcoreError
from ncore.finish.choosing import Choice, choose, job_of
from ncore.finish.folder import default_place, local, making

if TYPE_CHECKING:
    from ncore.finish.card import Facts
    from ncore.finish.training import Watch
    from ncore.probe.job import Job
    from ncore.store import Store

__all__ = ["Finished", "finish"]


@dataclass(frozen=True)
class Finished:
    """A model that is written.

    Attributes:
        folder: Where.
        candidate: Its name.
        dataset: What it was trained on.
        seed: Of its training.
        epochs: It was trained for.
        accuracy: On the test set.
        examples: Of the test set.
        recorded: Test accuracy of the run that was repeated, where that has ended and was trained alike; else None.
        loader: "library" or "program".
        library: That builds it, empty if it is loaded as a program.
        differences: The largest from the original, by file.
        files: In the folder, with their bytes.
        notes: What to know before trusting it, a sentence each.
    """

    folder: str
    candidate: str
    dataset: str
    seed: int
    epochs: int
    accuracy: float
    examples: int
    recorded: float | None
    loader: str
    library: str
    differences: dict[str, float]
    files: dict[str, int]
    notes: list[str]

    @property
    def as_json(self) -> dict[str, Any]:
        """The same, for JSON."""
        return asdict(self)


@contextmanager
def _unwatched(job: Job, store: str) -> Iterator[None]:
    yield


def finish(
    store: Store | str | os.PathLike[str],
    candidate: str,
    *,
    dataset: str | None = None,
    mode: str | None = None,
    seed: int | None = None,
    with_validation: bool = False,
    epochs: int | None = None,
    to: str | os.PathLike[str] | None = None,
    onnx: bool = False,
    overwrite: bool = False,
    device: str | None = None,
    licence: str | None = None,
    base: str | os.PathLike[str] = ".",
    say: Callable[[str], None] = lambda text: None,
    watch: Watch = _unwatched,
) -> Finished:
    """Train the chosen candidate to its end, and write it as a folder that can be used without ncore.

    No run keeps its weights, so a run of the candidate is repeated, from the same seed and with the settings that it
    has recorded, on the same data and weights; a killed process is gone on with. What ``torch.export`` can't follow is
    found before anything is trained.

    Args:
        store: Where the runs are.
        candidate: As rankings name it.
        dataset: Needed if it has runs on several.
        mode: Needed if it has runs in several.
        seed: Of the run that is repeated; by default that which validated best.
        with_validation: Train on the validation set, too, now that the choice is made.
        epochs: Instead of those planned.
        to: The folder; by default ``finished/CANDIDATE-DATASET`` here.
        onnx: Write ``model.onnx``, too (extra ``onnx``).
        overwrite: Replace a finished model that is there.
        device: To train on; by default that of the run, where this machine has it.
        licence: Of the weights it began with, where it is known better than they say themselves.
        base: The folder that relative paths of the recipe are read from.
        say: Told what is done, a sentence each.
        watch: Entered while it trains.

    Raises:
        InputError: There is no such candidate, its run can't be repeated, its data, weights or settings are others
            now, or the folder is not free.
        StoreError: The store can't be read.
        NcoreError: Training failed, or what was written is not what was trained.
    """
    from ncore.finish.exporting import require_onnx
    from ncore.store import open_store

    if onnx:
        require_onnx()
    opened = open_store(os.fspath(store)) if isinstance(store, str | os.PathLike) else store
    choice = choose(opened, candidate, dataset, mode, seed)
    home = os.path.abspath(Path(base).expanduser())
    job = job_of(choice, epochs=epochs, with_validation=with_validation, device=device, base=home)
    place = local(default_place(choice.name, job.dataset.name) if to is None else to)
    ranking, notes = _ranking(opened, choice, home)
    with making(place, overwrite) as aside:
        say(_plan(choice, job))
        facts = _made(aside, choice, job, ranking, notes, onnx, licence, say, watch)
        files = sorted(path for path in (aside / "folder").rglob("*") if path.is_file())
        sizes = {path.relative_to(aside / "folder").as_posix(): path.stat().st_size for path in files}
    return Finished(
        folder=str(place),
        candidate=choice.name,
        dataset=job.dataset.name,
        seed=job.seed,
        epochs=job.settings.epochs,
        accuracy=facts.evaluation.accuracy,
        examples=facts.evaluation.examples,
        recorded=_recorded(choice, job),
        loader=facts.written.loader,
        library=facts.written.library,
        differences=facts.written.differences,
        files=sizes,
        notes=facts.notes,
    )


def _made(
    aside: Path,
    choice: Choice,
    job: Job,
    ranking: pd.DataFrame | None,
    notes: list[str],
    onnx: bool,
    licence: str | None,
    say: Callable[[str], None],
    watch: Watch,
) -> Facts:
    """Train, evaluate and write into ``aside / "folder"``; returns what the card tells."""
    from ncore.finish.card import Facts, card, evidence
    from ncore.finish.evaluation import evaluate
    from ncore.finish.origin import origin_of
    from ncore.finish.preprocessing import preprocessing_of
    from ncore.finish.training import check_same, train
    from ncore.finish.writing import write_model
    from ncore.probe.job import expand

    folder = aside / "folder"
    with job.prepared() as session:
        check_same(choice, job, session)
        spec = expand(job.candidate)
        preprocessing = preprocessing_of(session, spec)
        about = {"candidate": choice.name, "dataset": job.dataset.name}
        say("Trying out how it can be written, before it is trained.")
        with tempfile.TemporaryDirectory(dir=aside) as trial:
            write_model(Path(trial), session, spec, preprocessing, about, onnx)
        run = train(job, session, aside, watch)
        model = session.model.eval()
        evaluation = evaluate(model, preprocessing, session.data.class_names, next(model.parameters()).device)
        say("Writing and reading it again.")
        written = write_model(folder, session, spec, preprocessing, about, onnx)
        manifest = run.manifest
        notes = [*notes, *_differs(choice, job, run.manifest.summary, evaluation.accuracy), *written.notes]
        facts = Facts(
            choice.name, job.dataset.name, manifest, choice.manifest.run, origin_of(spec, session.backbone, licence),
            evaluation, written, preprocessing, ranking, 
            [_elsewhere(note, job.base) for note in (*notes, *manifest.warnings)],
        )  # fmt: skip
    (folder / "README.md").write_text(card(facts), encoding="utf-8")
    (folder / "evidence.json").write_text(evidence(facts), encoding="utf-8")
    run.metrics()[["epoch", "at", "split", "name", "value"]].to_csv(folder / "training.csv", index=False)
    return facts


def _plan(choice: Choice, job: Job) -> str:
    """What is trained, and about how long it takes."""
    row, epochs = choice.row, job.settings.epochs
    known = not pd.isna(row["seconds"]) and row["epochs"] > 0
    took = f", about {row['seconds'] / row['epochs'] * epochs:.0f} s as its run took" if known else ""
    of = f" (of {choice.of} runs the one that validated best)" if choice.of > 1 and choice.finished else ""
    data = "the training and the validation set together" if job.with_validation else "the training set"
    return f"Training {choice.name} on {data} of {job.dataset.name}, seed {job.seed}{of}, for {epochs} epochs{took}."


def _ranking(store: Store, choice: Choice, home: str) -> tuple[pd.DataFrame | None, list[str]]:
    """All candidates as of now, or why there is no ranking."""
    from ncore.predict import rank

    try:
        table = rank(store, dataset=choice.manifest.dataset, mode=choice.manifest.mode)
    except NcoreError as error:
        return None, [f"Its candidates could not be ranked: {error}"]
    table["warning"] = [_elsewhere(text, home) for text in table["warning"]]
    own = table[table["candidate"].isin([choice.name, choice.manifest.candidate])]
    first = table.iloc[0]
    behind = len(own) and own["rank"].iloc[0] > first["rank"]
    return table, [f"{first['candidate']} ranks before it, as of now."] if behind else []


def _elsewhere(text: str, home: str) -> str:
    """A text for others, who need not know where things are on this machine."""
    return text.replace(home.rstrip(os.sep) + os.sep, "").replace(str(Path.home()) + os.sep, "~/")


def _recorded(choice: Choice, job: Job) -> float | None:
    """The test accuracy of the run that is repeated, where it has ended and was trained alike."""
    alike = choice.finished and not job.with_validation and job.settings.epochs == choice.manifest.planned_epochs
    accuracy = choice.row["test_accuracy"]
    return float(accuracy) if alike and not pd.isna(accuracy) else None


def _differs(choice: Choice, job: Job, summary: dict[str, Any], accuracy: float) -> list[str]:
    """What is to be said of an accuracy that is not the one that was recorded."""
    said, reached, recorded = [], summary.get("test_accuracy"), _recorded(choice, job)
    if reached is not None and job.settings.precision != "float32":
        said.append(
            f"In training, with precision {job.settings.precision}, {reached:.2%} of the test set were right; in full "
            f"precision, as it is written, {accuracy:.2%} are."
        )
    if reached is not None and recorded is not None and abs(reached - recorded) > 1e-9:
        said.append(
            f"Its run had recorded a test accuracy of {recorded:.2%}, and repeated from the same seed it reached "
            f"{reached:.2%}, as another device, number of threads or version of a library lets it."
        )
    return said
