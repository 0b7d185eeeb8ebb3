"""A callback for the ``Trainer`` of transformers."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any, Self, Unpack

from torch import nn

from ncore.errors import MissingExtraError
from ncore.network.losses import Loss
from ncore.probe._loops import call_of
from ncore.probe.integrations._session import Options, Session, StorePlace

__all__ = ["NcoreCallback"]

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise MissingExtraError("transformers", "hf", "ncore's callback for transformers") from error

_SPEED = ("runtime", "_time", "_per_second")  # ends of names


class NcoreCallback(TrainerCallback):
    """Records a training: epoch 0 as it starts, then every epoch with what was logged and evaluated in it.

    ``eval_accuracy`` and all others of ``compute_metrics`` become metrics of the validation set, ``loss``,
    ``grad_norm`` and ``learning_rate`` those of training, each with its last value in the epoch: set
    ``eval_strategy="epoch"`` and ``logging_strategy="epoch"``. In distributed training the first process records.

    The run is finished when training ends, and failed as soon as ``train`` has ended by an exception. Transformers does
    not tell callbacks of errors: where they are caught and not shown, use the callback as a context manager, so that
    the run keeps the reason. Ctrl-C leaves an interrupted run.

    With ``resume=True`` a training that goes on from a checkpoint goes on with its run. Trouble in recording after the
    start is a warning, and training goes on (``on_error="raise"`` otherwise).

    Args:
        store: Folder, URL or an open store; made if it does not exist.
        unit: The dense head, or its dotted name inside the model.
        probe: (inputs, targets), fixed over the run, inputs being the model's first argument, such as pixel values, or
            arguments by name, such as ``{"input_ids": ..., "attention_mask": ...}`` (``forward`` passes them as you
            like); 512 samples or more are advised.
        candidate, dataset: Names, as the ranking will show them.
        loss: The training loss; by default cross-entropy with the label smoothing of the training arguments.
        **options: See :class:`ncore.probe.integrations._session.Options`.

    Raises:
        InputError: An option is unknown or cannot be used; more is checked when training starts.

    Example:
        Five lines more than without::

            from ncore.probe.integrations.transformers import NcoreCallback
            model.classifier = ncore.NCPUnit(model.config.hidden_size, classes=37)
            record = NcoreCallback("runs", unit="classifier", probe=(pixel_values, labels),
                                   candidate="vit", dataset="pets")
            trainer.add_callback(record)
    """

    def __init__(
        self,
        store: StorePlace,
        *,
        unit: nn.Sequential | str,
        probe: tuple[Any, Any],
        candidate: str,
        dataset: str,
        loss: Loss | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._session = Session(store, unit, probe, candidate, dataset, options)
        self._loss = loss
        self._logged: dict[str, Any] = {}

    @property
    def run_id(self) -> str | None:
        """The run's id, once training has started."""
        return self._session.run_id

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.end(error)

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Begin the run, unless another process does."""
        if not state.is_world_process_zero:
            return
        loss = self._loss or nn.CrossEntropyLoss(label_smoothing=args.label_smoothing_factor)
        steps = state.max_steps / max(state.num_train_epochs, 1)
        done = int(state.global_step / steps + 1e-6) if steps > 0 else 0
        call = call_of("transformers", "train")
        self._session.begin(others["model"], loss, args.seed, state.num_train_epochs, call, done)
        self._logged = {}

    def on_log(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Take what is of training; the rest of an evaluation comes again as its metrics."""
        logs = others["logs"]
        if "train_runtime" in logs:  # training is over, and after this the best model may replace the last
            self._flush()
        else:
            self._logged |= {name: logs[name] for name in logs if not name.startswith("eval_")}

    def on_evaluate(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Take what was measured."""
        metrics = others["metrics"]
        self._logged |= {name: metrics[name] for name in metrics if not name.endswith(_SPEED)}

    def on_epoch_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """What is logged and evaluated at the end of an epoch is so after this."""
        self._session.epoch_ended(math.ceil(round(state.epoch, 6)), state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Do not leave an epoch unrecorded that training would not repeat."""
        self._flush()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Record the epoch before."""
        self._flush()
        self._logged = {}

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Finish the run."""
        self._flush()
        self._session.finish()

    def _flush(self) -> None:
        self._session.flush(self._logged)
