"""What the callbacks share: one run, whose epochs are recorded when all that is measured of them is known."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from torch import nn

from ncore.errors import InputError
from ncore.network.losses import Loss
from ncore.probe._observing import bare
from ncore.probe._resuming import Policy
from ncore.probe.integrations._naming import read_places
from ncore.probe.recorder import Recorder
from ncore.probe.settings import RecordingSettings
from ncore.store.metric_names import place_of

if TYPE_CHECKING:
    from ncore.store import Store

__all__ = ["Options", "Session", "StorePlace"]

StorePlace: TypeAlias = "Store | str | os.PathLike[str]"


class Options(TypedDict, total=False):
    """What a callback takes besides what it must be given.

    ``forward``: called as ``forward(model, inputs)`` with parts of the probe, where ``model(inputs)`` does not do.
    ``metrics``: where metrics belong whose names do not say it, as ``{"my_score": "validation/accuracy"}``.
    All others are those of :class:`ncore.Recorder`; ``seed`` and ``epochs`` are by default the trainer's, and
    ``on_error`` is "warn": trouble after the start ends recording, not training.
    """

    forward: Callable[[Any, Any], Any]
    metrics: Mapping[str, str]
    seed: int
    epochs: int
    mode: str
    recording: RecordingSettings | Mapping[str, Any]
    config: Mapping[str, Any]
    notes: str
    info: Mapping[str, Any]
    run_id: str
    resume: bool
    when_recorded: Policy
    on_error: Literal["raise", "warn"]
    take_over: bool


class Session:
    """One recorded run of a trainer.

    An epoch that ended is recorded as soon as nothing more can be measured of it (:meth:`flush`), but before the
    weights change again: trainers evaluate, and compute averages over the epoch, after its last step.
    """

    def __init__(
        self,
        store: StorePlace,
        unit: nn.Sequential | str,
        probe: tuple[Any, Any],
        candidate: str,
        dataset: str,
        options: Options,
    ) -> None:
        unknown = [name for name in options if name not in Options.__annotations__]
        if unknown:
            raise InputError(f"{unknown[0]!r} is not an option, the options are {', '.join(Options.__annotations__)}.")
        self._store, self._unit, self._probe = store, unit, probe
        self._names = {"candidate": candidate, "dataset": dataset}
        self._options: dict[str, Any] = {**options}
        self._forward: Callable[[Any, Any], Any] | None = self._options.pop("forward", None)
        self._places = read_places(self._options.pop("metrics", {}))
        self._recorder: Recorder | None = None
        self._ended: tuple[int, int] | None = None
        self.run_id: str | None = None

    @property
    def open(self) -> bool:
        """Whether a run is being recorded."""
        return self._recorder is not None

    def begin(
        self,
        model: nn.Module,
        loss: Loss,
        seed: int,
        epochs: int | None,
        call: FrameType | None = None,
        done: int = 0,
    ) -> None:
        """Begin the run and record epoch 0.

        Args:
            model: What is trained.
            loss: The training loss.
            seed: Of the trainer.
            epochs: How many it plans.
            call: Of the trainer, in which all of its training happens, if it tells nobody of exceptions.
            done: Epochs that it has done already, where it goes on from a checkpoint.

        Raises:
            InputError: The model has no such unit.
            UnsupportedError: Unit, loss or a sharded model; other errors as :class:`ncore.Recorder`.
        """
        starts_over = self._recorder is not None and self._recorder._use.is_during(call)
        self.left()
        whole = bare(model)
        options = {"seed": seed, "epochs": epochs, "on_error": "warn", **self._names, **self._options}
        if starts_over:  # the trainer itself does, with a smaller batch
            options |= {"resume": True, "when_recorded": "replace"}
        recorder = Recorder(
            self._store,
            whole if self._forward is None else _Called(whole, self._forward),
            unit=_find(model, self._unit) if isinstance(self._unit, str) else self._unit,
            probe=self._probe,
            loss=loss,
            **options,
        )
        if call is not None:
            recorder._use.during(call)
        self._recorder, self._ended, self.run_id = recorder, None, recorder.run_id
        if done >= recorder.last_epoch > 0:
            recorder.continues()  # the trainer's word, also in the middle of an epoch
            if done > recorder.last_epoch:
                recorder.writer.warn(f"Epochs {recorder.last_epoch + 1} to {done} were trained, but not recorded.")

    def enter(self) -> None:
        """The trainer tells how training ends, whatever that is, as a ``with`` block does."""
        if self._recorder is not None:
            self._recorder.__enter__()

    def epoch_ended(self, epoch: int, step: int) -> None:
        """The model is now what it is after ``epoch``, and ``step`` steps; it is recorded by the next flush."""
        self._ended = (epoch, step)

    def flush(self, logged: Mapping[str, Any], stale: tuple[str, ...] = ()) -> None:
        """Record the epoch that ended, if there is one that is not recorded, with what was logged of it.

        ``stale`` names splits that were not measured in this epoch.
        """
        if self._recorder is None or self._ended is None:
            return
        (epoch, step), self._ended = self._ended, None
        splits = {split: values for split, values in self._splits(logged).items() if split not in stale}
        others = [key for key in logged if key not in self._places and place_of(key) is None and "acc" in key.lower()]
        how = f'say which it is with metrics={{"{(others or ["my_accuracy"])[0]}": "validation/accuracy"}}'
        self._recorder._record(epoch, step, None, (), splits, {}, () if stale else others, how)

    def finish(self) -> None:
        """Complete the run."""
        if self._recorder is not None:
            recorder, self._recorder = self._recorder, None
            recorder.__exit__(None, None, None)

    def end(self, error: BaseException | None = None) -> None:
        """Stop in the middle: failed with the reason, or interrupted if that is Ctrl-C or not known."""
        if self._recorder is not None:
            recorder, self._recorder, self._ended = self._recorder, None, None
            if error is None:
                recorder._close()
            else:
                recorder.__exit__(type(error), error, error.__traceback__)

    def left(self) -> None:
        """End what a training that ended by an exception has left behind."""
        if self._recorder is not None:
            recorder, self._recorder, self._ended = self._recorder, None, None
            recorder._use.end()

    def _splits(self, logged: Mapping[str, Any]) -> dict[str, Any]:
        places = {key: place for key in logged if (place := place_of(key))} | self._places  # the user's word counts
        splits: dict[str, dict[str, float]] = {}
        for key, (split, name) in places.items():
            if key in logged:
                splits.setdefault(split, {})[name] = logged[key]
        return splits


class _Called(nn.Module):
    """A model as the recorder calls it, on part of the probe."""

    def __init__(self, model: nn.Module, how: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.model, self._how = model, how

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return self._how(self.model, named or (inputs[0] if len(inputs) == 1 else inputs))


def _find(model: nn.Module, name: str) -> nn.Sequential:
    whole = bare(model)
    for known in (whole, model):
        try:
            return bare(known.get_submodule(name))  # the recorder checks what it is
        except AttributeError:
            continue
    names = [known for known, module in whole.named_modules() if isinstance(bare(module), nn.Sequential)]
    near = get_close_matches(name, names, 3, 0.3) or names[-3:]
    raise InputError(
        f"The unit is {name!r}, but {type(whole).__name__} has no module of this name: "
        + (f"it has {', '.join(near)}." if near else "it has no torch.nn.Sequential at all.")
    )
