"""A callback for Lightning: ``lightning`` or ``pytorch_lightning``, whichever is installed."""

from __future__ import annotations

import os
from typing import Any, Unpack

from torch import nn

from ncore.errors import MissingExtraError
from ncore.network.losses import Loss
from ncore.probe.integrations._session import Options, Session, StorePlace

__all__ = ["NcoreCallback"]

try:
    from lightning.pytorch import Callback
except ImportError:
    try:
        from pytorch_lightning import Callback  # type: ignore[assignment]
    except ImportError as error:
        raise MissingExtraError("lightning", "lightning", "ncore's callback for Lightning") from error


class NcoreCallback(Callback):
    """Records a fit: epoch 0 as it starts, then every epoch with what the module logged.

    Metrics are those of ``trainer.callback_metrics``, by their usual names: ``val_acc``, ``val/loss``,
    ``train_loss`` and the like; those of the validation only in epochs that had one. The run is finished when the
    fit ends, failed when it raises, interrupted by Ctrl-C. In distributed training the first process records.

    With ``resume=True`` a fit that goes on from a checkpoint (``ckpt_path``) goes on with its run. Trouble in recording
    after the start is a warning, and training goes on (``on_error="raise"`` otherwise).

    List it before callbacks that exchange the weights at the end of training, such as weight averaging.

    Args:
        store: Folder, URL or an open store; made if it does not exist.
        unit: The dense head, or its dotted name inside the LightningModule.
        probe: (inputs, targets), fixed over the run; 512 samples or more are advised.
        loss: The training loss, a torch loss that is a mean or a sum over samples.
        candidate, dataset: Names, as the ranking will show them.
        **options: See :class:`ncore.probe.integrations._session.Options`.

    Raises:
        InputError: An option is unknown or cannot be used; more is checked when the fit starts.

    Example:
        Three lines more than without::

            from ncore.probe.integrations.lightning import NcoreCallback
            record = NcoreCallback("runs", unit="head", probe=(x, y), loss=nn.CrossEntropyLoss(),
                                   candidate="resnet18", dataset="pets")
            trainer = Trainer(max_epochs=20, callbacks=[record])
    """

    def __init__(
        self,
        store: StorePlace,
        *,
        unit: nn.Sequential | str,
        probe: tuple[Any, Any],
        loss: Loss,
        candidate: str,
        dataset: str,
        **options: Unpack[Options],
    ) -> None:
        self._session = Session(store, unit, probe, candidate, dataset, options)
        self._loss = loss
        self._validated = False

    @property
    def run_id(self) -> str | None:
        """The run's id, once the fit has started."""
        return self._session.run_id

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the run, unless another process does or this is a trial (``fast_dev_run``).

        By now a checkpoint is loaded, and the trainer says how many epochs it has done.
        """
        if not trainer.is_global_zero or trainer.fast_dev_run:
            return
        planned = trainer.max_epochs if (trainer.max_epochs or 0) > 0 else None
        self._validated = False
        seed = int(os.environ.get("PL_GLOBAL_SEED", 0))
        self._session.begin(pl_module, self._loss, seed, planned, done=trainer.current_epoch)
        self._session.enter()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Metrics of the validation are of this epoch."""
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """The module's own hook comes after this one and may still log: record before the next epoch."""
        self._session.epoch_ended(trainer.current_epoch + 1, trainer.global_step)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Record the epoch before."""
        self._flush(trainer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Record the last epoch and finish the run."""
        self._flush(trainer)
        self._session.finish()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Keep an epoch that was complete, and the reason."""
        try:
            self._flush(trainer)
        except Exception as second:  # the first one is what the user has to see
            exception.add_note(f"The last epoch could not be recorded: {second}")
        self._session.end(exception)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Whatever else ended the fit, leave the run to be resumed."""
        if stage == "fit":
            self._session.end()

    def _flush(self, trainer: Any) -> None:
        # Lightning keeps what was logged in earlier epochs.
        self._session.flush(trainer.callback_metrics, stale=() if self._validated else ("validation",))
        self._validated = False
