"""Going on with a run: where training stands, and what becomes of epochs that are recorded already."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from ncore.errors import InputError, NcoreError, StoreError

if TYPE_CHECKING:
    from ncore.probe._metric_rows import Row
    from ncore.probe._tables import Look
    from ncore.store import RunWriter, Store

__all__ = ["Policy", "Standing", "check_policy", "differs", "known_epoch"]

Policy = Literal["refuse", "skip", "replace"]
"""For epochs that are recorded already: an error; the same training again, which is checked; dropped for new ones."""

_ALIKE = 1e-2  # of the sums in beta_eff: what kernels that are not deterministic may change
_SAME = 1e-3  # of a metric
_SUMS = ["numerator", "denominator"]


def check_policy(policy: str) -> None:
    """Refuse what is no policy.

    Raises:
        InputError: Naming those there are.
    """
    if policy not in get_args(Policy):
        raise InputError(f"when_recorded is {policy!r}, but it must be one of {', '.join(get_args(Policy))}.")


def known_epoch(recorded: pd.DataFrame, rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The recorded epoch after which the model was what it is now, as beta_eff on the probe tells; None for none.

    Args:
        recorded: The table ``capacitance`` of the run.
        rows: The same of the model as it is.
    """
    distance = _distances(recorded, rows)
    return None if not distance or min(distance.values()) > _ALIKE else _nearest(distance)


def differs(
    epoch: int,
    metrics: pd.DataFrame,
    capacitance: pd.DataFrame,
    measured: Sequence[Row],
    rows: Sequence[Mapping[str, Any]],
) -> str:
    """In what an epoch that is trained again is another one than was recorded, in a clause; empty if in nothing.

    Args:
        epoch: Its number.
        metrics: What was recorded.
        capacitance: The same.
        measured: What was measured now.
        rows: Of the table ``capacitance`` now.
    """
    known = metrics[metrics["epoch"] == epoch]
    values = {(split, name): value for split, name, value in known[["split", "name", "value"]].itertuples(index=False)}
    for row in measured:
        before = values.get((row.split, row.name))
        if before is not None and not _close(row.value, before, _SAME):
            return f"its {row.split} {row.name} is {row.value:.6g} and was {before:.6g}"
    distance = _distances(capacitance[capacitance["epoch"] == epoch], rows).get(epoch, math.inf)
    if not distance <= _ALIKE:
        return "beta_eff on the probe is not what it was" if math.isfinite(distance) else "it is not recorded"
    return ""


class Standing:
    """Where training stands in a run, from the moment when it is begun or gone on with.

    Args:
        writer: Of the run; epoch 0 is written if it has none, or one of another start and nothing else.
        store: That the run is in.
        policy: For epochs that are recorded already.
        look: At the model as it is now.
        before: Further tables of epoch 0.

    Raises:
        StoreError: Training stands before the end of what is recorded, and the policy is to refuse that.
    """

    def __init__(self, writer: RunWriter, store: Store, policy: Policy, look: Look, before: Mapping[str, Any]) -> None:
        self._writer, self._policy = writer, policy
        self._start = {**look.tables, **before}
        self._run = store.run(writer.run_id)
        self._at: int | None = None
        if writer.last_epoch >= 0:
            with contextlib.suppress(NcoreError):  # a damaged table: then it is not known
                self._at = known_epoch(self._run.capacitance(), look.rows)
        self._settled = writer.last_epoch <= 0
        if writer.last_epoch == 0 and self._at is None:  # nothing but another start
            writer.drop_from(0)
        if writer.last_epoch < 0:
            writer.write_epoch(0, **self._start)
        if not self._settled and policy == "refuse" and self._at is not None and self._at < writer.last_epoch:
            raise self._refusal()

    @property
    def next(self) -> int:
        """The epoch that the one is that ends next, if nobody says another."""
        return self._writer.last_epoch + 1 if self._settled else (self._at or 0) + 1

    def starts_over(self, epoch: int) -> bool:
        """Whether this epoch takes the place of all that is recorded."""
        return not self._settled and self._policy == "replace" and epoch == 1

    def continues(self) -> None:
        """Training goes on from the last recorded epoch."""
        self._at, self._settled = self._writer.last_epoch, True

    def admits(self, epoch: int, rows: Sequence[Row], look: Look) -> bool:
        """Whether an epoch is to be written now; False if it is recorded, and the same.

        Raises:
            StoreError: It is recorded and not to be replaced, or is no continuation of what is.
        """
        last, run = self._writer.last_epoch, self._writer.run_id
        if self._settled:
            return True
        if epoch > last:
            if self._at is None:
                self._writer.warn(
                    f"Whether epoch {epoch} goes on from epoch {last} is not known: when recording went on, the model "
                    "was what it was after no recorded epoch."
                )
            elif self._at < last:
                raise StoreError(
                    f"Epoch {epoch} of run {run} cannot follow epoch {last}, as training went on from epoch "
                    f"{self._at}: load the checkpoint of epoch {last} before making the recorder, call continues() "
                    "where that is loaded later, or record the epochs between."
                )
            self._settled = True
            return True
        if self._policy == "refuse":
            raise self._refusal(epoch)
        if self._policy == "skip":
            if said := differs(epoch, self._run.metrics(), self._run.capacitance(), rows, look.rows):
                raise StoreError(
                    f"Epoch {epoch} is not the same training as run {run} has recorded, as {said}: record it with "
                    'when_recorded="replace", or give another run id with run_id=.'
                )
            self._at = epoch
            return False
        if epoch > 1 and self._at is not None and self._at != epoch - 1:
            raise StoreError(
                f"Epoch {epoch} of run {run} cannot be replaced, as training went on from epoch {self._at}: load the "
                f"checkpoint of epoch {epoch - 1} before making the recorder, or record from epoch {self._at + 1} on."
            )
        self._writer.drop_from(0 if epoch == 1 else epoch)
        self._writer.warn(f"Epochs {epoch} to {last} were recorded before, and replaced by others.")
        if epoch == 1:
            self._writer.write_epoch(0, **self._start)
        elif self._at is None:
            self._writer.warn(f"Whether epoch {epoch} goes on from epoch {epoch - 1} is not known.")
        self._settled = True
        return True

    def _refusal(self, epoch: int | None = None) -> StoreError:
        last = self._writer.last_epoch
        stands = "what it was after no recorded epoch" if self._at is None else f"what it was after epoch {self._at}"
        what = f"the model is {stands}" if epoch is None else f"epoch {epoch} came again"
        return StoreError(
            f"Run {self._writer.run_id} is recorded up to epoch {last}, but {what}: load the checkpoint of epoch "
            f'{last} before making the recorder, or choose when_recorded="skip" (the same training again, which is '
            'checked) or "replace" (recorded epochs are dropped for those that are trained now) instead of "refuse".'
        )


def _distances(recorded: pd.DataFrame, rows: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    now = pd.DataFrame(list(rows), columns=["strength", "layer", *_SUMS])
    # Sums of magnitudes lose no digits; others only count where there are no such.
    steady = now["strength"].isin(["absolute", "relative"])
    now = now[steady] if steady.any() else now
    both = recorded.merge(now, on=["strength", "layer"], suffixes=("", "_now"))
    if both.empty:
        return {}
    old, new = (both[[f"{name}{end}" for name in _SUMS]].to_numpy(np.float64) for end in ("", "_now"))
    scale = np.maximum(np.abs(old), np.abs(new))
    with np.errstate(invalid="ignore", divide="ignore"):
        far = np.where(old == new, 0.0, np.abs(old - new) / scale)
    far = np.where(np.isnan(old) & np.isnan(new), 0.0, np.where(np.isnan(far), np.inf, far))
    return {int(epoch): float(value) for epoch, value in pd.Series(far.max(1)).groupby(both["epoch"]).max().items()}


def _nearest(distance: Mapping[int, float]) -> int:
    return min(distance, key=lambda epoch: (distance[epoch], -epoch))


def _close(value: float, before: float, share: float) -> bool:
    if math.isnan(value) or math.isnan(before):
        return math.isnan(value) and math.isnan(before)
    return math.isclose(value, before, rel_tol=share, abs_tol=1e-9)
