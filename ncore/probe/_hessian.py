"""Recording the Hessian's beta_eff of a run: of its unit, or of the whole candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from ncore.errors import UnsupportedError
from ncore.network.hessian import HessianSums
from ncore.network.losses import Loss
from ncore.network.strengths import CURVATURE, Strength
from ncore.probe._memory import by_parts

__all__ = ["HessianRecorder"]

_CHUNKS = {False: 256, True: 32}
"""Probe samples at once, of the unit and of the whole candidate: a derivative needs all activations, a second one twice
that. Where memory is too small for them, fewer."""


class HessianRecorder:
    """What a recorder takes of the Hessian, once an epoch.

    Args:
        model: The whole candidate, None if it is not at hand.
        unit: The dense head inside it.
        loss: The training loss.
        strengths: "hessian" and "hessian-cross" of the unit, "model-hessian" and "model-hessian-cross" of the
            candidate, all weights with two or more dimensions.
        probe: (inputs, targets) of the model, of which one sample is tried.

    Attributes:
        left_out: Strengths that cannot be taken, and why.
        layers: The names of the modules that are layers 1..L, by strength.
    """

    def __init__(
        self,
        model: nn.Module | None,
        unit: nn.Module,
        loss: Loss,
        strengths: Sequence[str],
        probe: tuple[Any, Tensor],
    ) -> None:
        self._loss = loss
        self._wanted = {whole: _of(strengths, whole) for whole in (False, True)}
        self._modules = {False: unit, True: unit if model is None else _UnitOutputs(model, unit)}
        self._chunks = dict(_CHUNKS)
        self.left_out: dict[str, str] = {}
        if self._wanted[True]:
            try:
                if model is None:
                    raise UnsupportedError(
                        "The probe holds the unit's own inputs, so there is no whole candidate: record 'hessian'."
                    )
                if not isinstance(probe[0], Tensor):
                    raise UnsupportedError(
                        f"The inputs of the probe are a {type(probe[0]).__name__}, but the Hessian of a whole "
                        "candidate needs one tensor: record 'hessian', or pass a module around the model that takes "
                        "one."
                    )
                self._sums(True, probe[0][:1], probe[1][:1])
            except UnsupportedError as error:
                self.left_out = dict.fromkeys(self._wanted[True], str(error))
                self._wanted[True] = ()
        self.layers = {
            strength: [name.removeprefix("model.") for name in HessianSums(self._modules[whole], loss).names]
            for whole, wanted in self._wanted.items()
            for strength in wanted
        }

    @property
    def strengths(self) -> tuple[str, ...]:
        """Those that are taken."""
        return tuple(self.layers)

    def rows(self, inputs: Any, features: Tensor, targets: Tensor) -> list[dict[str, Any]]:
        """Rows of the table ``capacitance``; ``features`` are what the unit takes in on the probe."""
        found = []
        for whole, batch in ((False, features), (True, inputs)):
            if self._wanted[whole]:
                results = self._sums(whole, batch, targets).results()
                for strength in self._wanted[whole]:
                    found += replace(results[strength.of_unit], strength=strength).rows()
        return found

    def _sums(self, whole: bool, inputs: Tensor, targets: Tensor) -> HessianSums:
        sums = HessianSums(
            self._modules[whole], self._loss, strengths=[strength.of_unit for strength in self._wanted[whole]]
        )

        def add(rows: slice) -> None:
            sums.add(inputs[rows], targets[rows])

        _, self._chunks[whole] = by_parts(add, len(inputs), self._chunks[whole])
        return sums


class _UnitOutputs(nn.Module):
    """A model of any kind of output as the outputs of its unit, which are what the loss takes."""

    def __init__(self, model: nn.Module, unit: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._inside = (unit,)  # in a tuple, as its parameters are those of the model

    def forward(self, inputs: Tensor) -> Tensor:
        caught: list[Tensor] = []
        handle = self._inside[0].register_forward_hook(lambda _, __, outputs: caught.append(outputs))
        try:
            self.model(inputs)
        finally:
            handle.remove()
        if len(caught) != 1:
            raise UnsupportedError(
                f"The model called its unit {len(caught)} times in a forward pass, but once is needed: pass the unit "
                "that every forward pass goes through once."
            )
        return caught[0]


def _of(strengths: Sequence[str], whole: bool) -> tuple[Strength, ...]:
    return tuple(strength for strength in CURVATURE if strength.whole == whole and strength in strengths)
