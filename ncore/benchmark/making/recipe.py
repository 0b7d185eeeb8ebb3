"""The benchmark as one YAML file: candidates, targets, training modes, and the order in which runs are made."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt

from ncore._yaml import read_yaml_file
from ncore.errors import InputError
from ncore.probe.candidates import CandidateSpec
from ncore.probe.datasets import DatasetSpec
from ncore.probe.job import Job
from ncore.probe.settings import Mode, RecordingSettings, Settings, TrainingSettings, identity_of, read_settings
from ncore.probe.sources.candidate_spec import split_source

__all__ = ["RECIPE", "WEIGHTS", "BenchRecipe", "ModeSettings", "Pretraining", "Stage", "Target"]

WEIGHTS = "NCORE_BENCH_WEIGHTS"
"""Environment variable with the folder of the weights that the benchmark pretrains itself."""


RECIPE = Path(__file__).parent / "recipe.yaml"
"""The recipe of the committed results."""


class ModeSettings(Settings):
    """What a training mode changes: the pixels of candidates that don't say theirs, and the training."""

    input_size: PositiveInt | None = None
    training: dict[str, Any] = Field(default_factory=dict)


class Stage(Settings):
    """Runs that are made together: target by target, all candidates of one in each of the modes."""

    modes: tuple[Mode, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)


class Pretraining(Settings):
    """A built-in network that the benchmark itself pretrains on one of its datasets, for targets of the others."""

    name: str
    source: str
    dataset: str
    data: DatasetSpec
    input_size: PositiveInt = 32
    kwargs: dict[str, Any] = Field(default_factory=dict)
    training: TrainingSettings

    @property
    def file(self) -> str:
        """Name of its weights; another one whenever what makes them changes."""
        made_of = json.dumps(identity_of(self), separators=(",", ":"), ensure_ascii=False)
        content = sha256(made_of.encode()).hexdigest()[:8]
        return f"{split_source(self.source)[1]}-{self.dataset}-{content}.safetensors"

    @property
    def fresh(self) -> CandidateSpec:
        """It before pretraining; always with three channels, so that its weights suit every target."""
        shape = {"channels": 3, "input_size": self.input_size, "kwargs": self.kwargs}
        return CandidateSpec.parse({"source": self.source, "name": self.name, **shape})

    @property
    def candidate(self) -> CandidateSpec:
        """It after pretraining."""
        shape = {"channels": 3, "input_size": self.input_size, "kwargs": self.kwargs}
        source = f"file:${{{WEIGHTS}}}/{self.file}"
        return CandidateSpec.parse({"source": source, "architecture": self.source, "name": self.name, **shape})


class Target(Settings):
    """What candidates are ranked on: some classes and images of a dataset."""

    dataset: str
    data: DatasetSpec

    @property
    def name(self) -> str:
        """As the table calls it."""
        return self.data.name


class BenchRecipe(Settings):
    """What the benchmark runs.

    Attributes:
        datasets: Where the images are, by name.
        tasks: The targets: each a dataset, and what of it.
        candidates: As in the recipe of a sweep.
        pretraining: Further candidates, which are pretrained first.
        training, recording: Of all runs, as in the recipe of a sweep; modes and candidates override the training.
        modes: What each training mode changes.
        stages: The order of the runs.
        reduced: What was made smaller than a user would have it, in words; it goes with the table.
        text: The file as it was read.
    """

    datasets: dict[str, dict[str, Any]]
    tasks: tuple[Target, ...] = Field(min_length=1)
    candidates: tuple[CandidateSpec, ...] = ()
    pretraining: tuple[Pretraining, ...] = ()
    training: dict[str, Any] = Field(default_factory=dict)
    recording: RecordingSettings = RecordingSettings()
    modes: dict[Mode, ModeSettings]
    stages: tuple[Stage, ...] = Field(min_length=1)
    reduced: str = ""
    text: str = ""
    base: str = Field(default_factory=os.getcwd)

    def candidates_for(self, target: Target) -> list[CandidateSpec]:
        """All but those that were pretrained on the target's own dataset."""
        return [*self.candidates, *(made.candidate for made in self.pretraining if made.dataset != target.dataset)]

    def jobs(self, modes: tuple[str, ...] | None = None) -> list[tuple[Target, Job]]:
        """Every run with its target, in the order of the stages; of some modes only, if they are named."""
        found: dict[tuple[str, int, str, str], tuple[Target, Job]] = {}
        for stage in self.stages:
            for seed in stage.seeds:
                for target in self.tasks:
                    for mode in stage.modes:
                        for candidate in self.candidates_for(target):
                            if modes is None or mode in modes:
                                key = (mode, seed, target.name, candidate.name)
                                found.setdefault(key, (target, self.job(candidate, target, mode, seed)))
        return list(found.values())

    def job(self, candidate: CandidateSpec, target: Target, mode: Mode, seed: int) -> Job:
        """One run."""
        own = self.modes[mode]
        if candidate.input_size is None and candidate.kind != "builtin" and own.input_size is not None:
            candidate = candidate.model_copy(update={"input_size": own.input_size})
        values = {**self.training, **own.training, "mode": mode}
        training = read_settings(TrainingSettings, values, f"training in mode {mode}")
        job = Job(
            candidate=candidate,
            dataset=target.data,
            seed=seed,
            training=training,
            recording=self.recording,
            base=self.base,
            clock="processor",
        )
        job.settings  # noqa: B018  # overrides of a candidate are checked before anything runs
        return job

    @classmethod
    def parse(cls, values: Mapping[str, Any], base: str | Path = ".", text: str = "") -> BenchRecipe:
        """Validate a mapping, as YAML gives it.

        Raises:
            InputError: Where the problem is, what was given, what is allowed.
        """
        where = "The benchmark's recipe"
        if not isinstance(values, Mapping):
            raise InputError(f"{where} holds {type(values).__name__}, but a mapping with tasks and stages is needed.")
        known = dict(values)
        known["candidates"] = tuple(CandidateSpec.parse(entry) for entry in known.get("candidates") or ())
        sources = known.get("datasets") or {}
        known["tasks"] = tuple(_target(entry, sources) for entry in known.get("tasks") or ())
        known["pretraining"] = tuple(_pretraining(entry, sources) for entry in known.get("pretraining") or ())
        known["recording"] = read_settings(RecordingSettings, known.get("recording") or {}, f"{where}, recording")
        recipe = read_settings(cls, {**known, "base": str(Path(base).resolve()), "text": text}, where)
        made = tuple(entry.candidate for entry in recipe.pretraining)
        for what, names in (
            ("candidate", [spec.name for spec in (*recipe.candidates, *made)]),
            ("task", [target.name for target in recipe.tasks]),
        ):
            if doubles := [name for name, count in Counter(names).items() if count > 1]:
                raise InputError(f"{where} has more than one {what} {doubles[0]!r}: give each a name of its own.")
        if missing := {mode for stage in recipe.stages for mode in stage.modes} - set(recipe.modes):
            raise InputError(f"{where} has a stage in mode {min(missing)!r}, but says nothing of it under `modes`.")
        recipe.jobs()
        return recipe

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> BenchRecipe:
        """Read a YAML file.

        Raises:
            InputError: The file cannot be read, is not YAML, or does not fit.
        """
        values, text = read_yaml_file(path, f"The recipe {str(path)!r}")
        return cls.parse(values, base=Path(path).resolve().parent, text=text)


def _target(entry: Any, datasets: Mapping[str, Any]) -> Target:
    """A task of the recipe: its dataset's entry, with what it adds to it."""
    if not isinstance(entry, Mapping) or "dataset" not in entry:
        raise InputError(f"A task of the benchmark is {entry!r}, but a mapping with `dataset` is needed.")
    own = dict(entry)
    dataset = own.pop("dataset")
    return Target(dataset=dataset, data=DatasetSpec.parse({"name": dataset, **_known(dataset, datasets), **own}))


def _pretraining(entry: Any, datasets: Mapping[str, Any]) -> Pretraining:
    """A network to pretrain: on so many images of a dataset of the recipe."""
    if not isinstance(entry, Mapping) or not {"name", "dataset"} <= set(entry):
        raise InputError(f"An entry of `pretraining` is {entry!r}, but a mapping with `name` and `dataset` is needed.")
    own = dict(entry)
    where = f"pretraining of {own['name']}"
    training = read_settings(TrainingSettings, {**(own.pop("training", None) or {}), "mode": "all"}, where)
    source = {"name": own["dataset"], **_known(own["dataset"], datasets), "train": own.pop("train", None)}
    return read_settings(Pretraining, {**own, "data": DatasetSpec.parse(source), "training": training}, where)


def _known(name: str, datasets: Mapping[str, Any]) -> Mapping[str, Any]:
    if name not in datasets:
        raise InputError(f"The dataset {name!r} is not among the recipe's datasets, which are {', '.join(datasets)}.")
    return datasets[name]
