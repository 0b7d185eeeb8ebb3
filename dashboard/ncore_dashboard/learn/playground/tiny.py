"""A small dense network in NumPy: forward, backward, and what its line graph is made of.

For networks of at most 4 x 8 neurons a training step is a few dozen calls, and NumPy's are several times cheaper than
autograd's (``tests/benchmarks/bench_playground.py``). Formulas: back-propagation, as in ``ncore.network.backprop``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ncore.errors import InputError
from ncore.network import LayerFactors, LineGraph
from ncore.network.strengths import Strength

__all__ = ["ACTIVATIONS", "FEATURES", "Activation", "Array", "Backward", "Feature", "Network", "features"]

Array = np.ndarray


@dataclass(frozen=True)
class Activation:
    """A function applied to each neuron, and its slope as a function of its own value.

    ``gain`` is the variance by which first weights are scaled (He et al. 2015 for ReLU, else Glorot and Bengio 2010).
    """

    label: str
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    gain: float


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation("tanh", np.tanh, lambda z: 1 - z * z, 1.0),
    "relu": Activation("ReLU", lambda a: np.maximum(a, 0.0), lambda z: (z > 0).astype(z.dtype), 2.0),
    "sigmoid": Activation("sigmoid", lambda a: 0.5 * (1 + np.tanh(0.5 * a)), lambda z: z * (1 - z), 1.0),
    "linear": Activation("linear", lambda a: a, np.ones_like, 1.0),
}


@dataclass(frozen=True)
class Feature:
    """A function of the two coordinates that the network sees."""

    label: str
    of: Callable[[Array, Array], Array]


FEATURES: dict[str, Feature] = {
    "x1": Feature("x₁", lambda x, y: x),
    "x2": Feature("x₂", lambda x, y: y),
    "x1^2": Feature("x₁²", lambda x, y: x * x),
    "x2^2": Feature("x₂²", lambda x, y: y * y),
    "x1x2": Feature("x₁x₂", lambda x, y: x * y),
    "sin1": Feature("sin πx₁", lambda x, y: np.sin(np.pi * x)),
    "sin2": Feature("sin πx₂", lambda x, y: np.sin(np.pi * y)),
}


def features(places: Array, names: Sequence[str]) -> Array:
    """What the network sees of points (n, 2): an array (n, number of names)."""
    return np.column_stack([FEATURES[name].of(places[:, 0], places[:, 1]) for name in names])


@dataclass(frozen=True)
class Backward:
    """What a pass over N points leaves, as in ``ncore.network.backprop.Pass`` but for all layers l = 1..L.

    Attributes:
        states: z^0..z^L, the last one the raw output; shapes (N, width).
        slopes: sigma'(a^1)..sigma'(a^(L-1)).
        errors: delta^1..delta^L of the loss of each single point.
    """

    states: tuple[Array, ...]
    slopes: tuple[Array, ...]
    errors: tuple[Array, ...]


class Network:
    """Dense layers with one output: its sign is the class (logistic loss), or it is the value (squared error).

    Args:
        widths: Neurons per level: the features, the hidden layers, and 1.
        activation: Name in ``ACTIVATIONS``, of the hidden layers.
        classes: Whether targets are classes 0 and 1.
        seed: Of the first weights; biases begin at 0.
    """

    def __init__(self, widths: Sequence[int], activation: str, classes: bool, seed: int) -> None:
        if len(widths) < 2 or min(widths) < 1 or widths[-1] != 1:
            raise InputError(f"The widths are {tuple(widths)}, but inputs and one output are needed.")
        if activation not in ACTIVATIONS:
            raise InputError(f"The activation is {activation!r}, but it must be one of {', '.join(ACTIVATIONS)}.")
        self.widths = tuple(widths)
        self.activation = ACTIVATIONS[activation]
        self.classes = classes
        rng = np.random.default_rng([seed, 1])
        self.weights = [
            rng.standard_normal((fan_out, fan_in)) * np.sqrt(self.activation.gain / fan_in)
            for fan_in, fan_out in itertools.pairwise(widths)
        ]
        self.biases = [np.zeros(width) for width in widths[1:]]

    def forward(self, inputs: Array) -> tuple[Array, ...]:
        """States z^0..z^L of points (N, features); the last is the raw output (N, 1)."""
        states = [inputs]
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            a = states[-1] @ weight.T + bias
            states.append(a if layer == last else self.activation.value(a))
        return tuple(states)

    def loss(self, outputs: Array, targets: Array) -> float:
        """Mean loss of raw outputs (N, 1): logistic, log(1 + e^-|a|) and so on, for classes; else squared error."""
        a = outputs[:, 0]
        if self.classes:
            return float(np.mean(np.maximum(a, 0) - a * targets + np.log1p(np.exp(-np.abs(a)))))
        return float(np.mean((a - targets) ** 2))

    def backward(self, inputs: Array, targets: Array) -> Backward:
        """States, slopes and errors of each point."""
        states = self.forward(inputs)
        a, wanted = states[-1], targets[:, None]
        errors = [0.5 * (1 + np.tanh(0.5 * a)) - wanted if self.classes else 2 * (a - wanted)]
        slopes = [self.activation.slope(z) for z in states[1:-1]]
        for weight, slope in zip(self.weights[:0:-1], slopes[::-1], strict=True):
            errors.append(errors[-1] @ weight * slope)
        return Backward(states, tuple(slopes), tuple(errors[::-1]))

    def gradients(self, passed: Backward) -> tuple[list[Array], list[Array]]:
        """Of the mean loss, by weights and by biases."""
        count = len(passed.states[0])
        by_weight = [error.T @ z / count for error, z in zip(passed.errors, passed.states, strict=False)]
        return by_weight, [error.sum(0) / count for error in passed.errors]

    def line_graph(self, passed: Backward, strength: str = Strength.ABSOLUTE) -> LineGraph:
        """G_B on these points. Needs two layers of synapses; beta_eff is defined from three on.

        Raises:
            InputError: There is only one layer of synapses, so that none drives another.
        """
        return LineGraph.from_factors(
            strength,
            [
                LayerFactors(z, slope, error)
                for z, slope, error in zip(passed.states, passed.slopes, passed.errors[1:], strict=False)
            ],
        )
