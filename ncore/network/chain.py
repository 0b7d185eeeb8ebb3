"""Reading a dense head: which modules an NCP unit may hold, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from ncore.errors import UnsupportedError

__all__ = ["ACTIVATIONS", "DenseChain", "DenseLayer", "dense_chain"]

ACTIVATIONS: tuple[type[nn.Module], ...] = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.GELU,
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.ELU,
    nn.Softplus,
    nn.Identity,
)
"""Elementwise activations whose slope the line graph uses (sub-derivatives at kinks as in torch)."""

_LINEAR = (nn.Linear, NonDynamicallyQuantizableLinear)
_INACTIVE = (nn.Dropout, nn.AlphaDropout, nn.FeatureAlphaDropout)  # the probe is evaluated, not trained


@dataclass(frozen=True)
class DenseLayer:
    """One dense layer, ``z = activations(W x + b)``; no activation is the identity."""

    linear: nn.Linear
    activations: tuple[nn.Module, ...]


@dataclass(frozen=True)
class DenseChain:
    """A head as the line graph sees it: dense layers 1..L, and what is applied to the features before them."""

    leading: tuple[nn.Module, ...]
    layers: tuple[DenseLayer, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Neurons per level: the inputs, then the outputs of layers 1..L."""
        return (self.layers[0].linear.in_features, *(layer.linear.out_features for layer in self.layers))

    @property
    def activation_names(self) -> tuple[str, ...]:
        """What follows each dense layer, by class name."""
        return tuple("+".join(type(m).__name__ for m in x.activations) or "Identity" for x in self.layers)


def dense_chain(unit: nn.Module) -> DenseChain:
    """Read ``unit`` as a chain of dense layers.

    Args:
        unit: A (nested) ``torch.nn.Sequential`` of ``Linear``, the elementwise ``ACTIVATIONS`` and dropout,
            such as an :class:`ncore.NCPUnit`.

    Raises:
        UnsupportedError: Names the first module that is anything else, or says what is missing.
    """
    if not isinstance(unit, nn.Sequential):
        raise UnsupportedError(
            f"The unit is a {type(unit).__name__}, but the line graph needs a torch.nn.Sequential of Linear and "
            "elementwise activations, or an ncore.NCPUnit: pass that part of the model."
        )
    leading: list[nn.Module] = []
    layers: list[tuple[nn.Linear, list[nn.Module]]] = []
    for name, module in _flatten(unit):
        if isinstance(module, nn.Linear) and type(module) in _LINEAR:
            if any(module.weight is linear.weight for linear, _ in layers):
                raise UnsupportedError(
                    f"Layer {name!r} shares its weights with an earlier layer, but every synapse has to be a "
                    "vertex of its own: give each layer its own Linear."
                )
            if layers and layers[-1][0].out_features != module.in_features:
                raise UnsupportedError(
                    f"Layer {name!r} takes {module.in_features} inputs, but the layer before it gives "
                    f"{layers[-1][0].out_features}: make the two widths equal."
                )
            layers.append((module, []))
        elif type(module) in ACTIVATIONS:
            (layers[-1][1] if layers else leading).append(module)
        elif any("lora" in part.lower() for part, _ in module.named_parameters()):
            raise UnsupportedError(
                f"Module {name!r} of the unit is a {type(module).__name__} with a low-rank adapter, but the line graph "
                "takes each weight as a synapse: merge the adapter into its Linear, or keep adapters out of the unit."
            )
        elif type(module) not in _INACTIVE:
            allowed = ", ".join(kind.__name__ for kind in ACTIVATIONS)
            raise UnsupportedError(
                f"Module {name!r} of the unit is a {type(module).__name__}, but only Linear, Dropout and the "
                f"activations {allowed} are covered: replace it, or pass the dense layers after it as the unit."
            )
    if not layers:
        raise UnsupportedError("The unit holds no Linear layer, but a line graph has synapses as its vertices.")
    return DenseChain(tuple(leading), tuple(DenseLayer(linear, tuple(acts)) for linear, acts in layers))


def _flatten(unit: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, module in zip(unit._modules, unit, strict=True):  # named_children would drop a ReLU used twice
        if isinstance(module, nn.Sequential):
            yield from _flatten(module, f"{prefix}{name}.")
        else:
            yield prefix + name, module
