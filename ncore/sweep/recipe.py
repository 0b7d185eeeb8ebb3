"""A sweep as one YAML file: candidates x datasets x seeds, and how each run is trained and recorded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from ncore._yaml import read_yaml_file
from ncore.errors import InputError
from ncore.probe.candidates import CandidateSpec
from ncore.probe.datasets import DatasetSpec
from ncore.probe.job import Job, filled_in
from ncore.probe.settings import RecordingSettings, Settings, TrainingSettings, read_settings
from ncore.scores.metrics import ACCURACY, get_metric
from ncore.store.limits import Limits
from ncore.sweep.varying import grid, label_of, overridden

__all__ = ["Recipe"]


class Recipe(Settings):
    """What a sweep runs.

    ``store`` and the paths inside candidates and datasets are read from the recipe's own folder, ``base``. ``vary``
    lists values of settings of the training: each candidate is trained with every combination, but for what its own
    ``training`` fixes. ``under`` says what a candidate may cost to use; others are not trained.
    """

    candidates: tuple[CandidateSpec, ...] = Field(min_length=1)
    datasets: tuple[DatasetSpec, ...] = Field(min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = Field((0,), min_length=1)
    store: str = "runs"
    training: TrainingSettings = TrainingSettings()
    recording: RecordingSettings = RecordingSettings()
    vary: dict[str, Any] = Field(default_factory=dict)
    under: Limits = Limits()
    notes: str = ""
    metric: str = ACCURACY
    base: str = Field(default_factory=os.getcwd)

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            return get_metric(name).name
        except InputError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _records_what_it_ranks_by(self) -> Recipe:
        if self.metric != ACCURACY and not self.recording.prediction_rows:
            raise ValueError(
                f"{self.metric} follows from predictions of single examples, but `prediction_rows` of `recording` is 0"
            )
        return self

    @property
    def jobs(self) -> list[Job]:
        """Every run, a seed of all candidates first, so that a sweep cut short can still be ranked."""
        return [
            Job(
                candidate=candidate,
                dataset=dataset,
                seed=seed,
                training=self.training,
                recording=self.recording,
                notes=self.notes,
                metric="" if self.metric == ACCURACY else self.metric,
                base=self.base,
                variant=label,
                under=self.under,
            )
            for seed in self.seeds
            for dataset in self.datasets
            for candidate, label in self._varied
        ]

    @property
    def _varied(self) -> list[tuple[CandidateSpec, str]]:
        """The candidates in all their variants, and what these are called."""
        found: list[tuple[CandidateSpec, str]] = []
        for candidate in self.candidates:
            labels: dict[str, CandidateSpec] = {}
            for variant in grid(self.vary, "vary"):
                training = overridden(self.training, candidate.training, variant)
                label = label_of(variant, candidate.training)  # alike where the candidate fixes what differs
                labels.setdefault(label, candidate.model_copy(update={"training": training}))
            found += [(varied, label) for label, varied in labels.items()]
        return found

    @property
    def store_place(self) -> str:
        """The store as a URL, or an absolute path; ``~`` and ``${NAME}`` stand for what they do elsewhere."""
        place = filled_in(self.store, "store")
        return place if "://" in place else str(Path(self.base, Path(place).expanduser()).resolve())

    @classmethod
    def parse(cls, values: Mapping[str, Any], base: str | Path = ".", where: str = "The recipe") -> Recipe:
        """Validate a mapping, as YAML gives it.

        Raises:
            InputError: Where the problem is, what was given, what is allowed.
        """
        if not isinstance(values, Mapping):
            raise InputError(
                f"{where} holds {type(values).__name__}, but a mapping with candidates and datasets is needed."
            )
        known = dict(values)
        for name, kind in (("candidates", CandidateSpec), ("datasets", DatasetSpec)):
            entries = known.get(name)
            if not isinstance(entries, list) or not entries:
                raise InputError(f"{where} needs {name!r}, a list with at least one entry, but has {entries!r}.")
            known[name] = tuple(kind.parse(entry) for entry in entries)
            doubles = [label for label, n in Counter(spec.name for spec in known[name]).items() if n > 1]
            if doubles:
                raise InputError(
                    f"{where} names {doubles[0]!r} more than once in {name!r}: "
                    "give each a name of its own (`name: ...`)."
                )
        for name, settings in (("training", TrainingSettings), ("recording", RecordingSettings)):
            known[name] = read_settings(settings, known.get(name) or {}, f"{where}, {name}")
        grid(known.setdefault("vary", {}), f"{where}, vary")
        if not isinstance(known.get("under", {}), Mapping):
            raise InputError(f"{where}, under is {known['under']!r}, but a mapping such as {{ms: 20}} is needed.")
        known["under"] = Limits.parse(known.get("under", {}), f"{where}, under")
        recipe = read_settings(cls, {**known, "base": str(Path(base).resolve())}, where)
        for job in recipe.jobs:
            job.settings  # noqa: B018  # overrides of a candidate are checked before anything runs
        return recipe

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recipe:
        """Read a YAML file.

        Raises:
            InputError: The file cannot be read, is not YAML, or does not fit.
        """
        where = f"The recipe {str(path)!r}"
        values, _ = read_yaml_file(path, where)
        return cls.parse(values, base=Path(path).resolve().parent, where=where)
