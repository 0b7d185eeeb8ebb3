"""Training step by step, and everything that the pictures of it show."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from ncore.network import Capacitance, LineGraph
from ncore.network.strengths import Strength
from ncore_dashboard.learn.playground.points import Points, points
from ncore_dashboard.learn.playground.tiny import Backward, Network, features

__all__ = ["MOST_STEPS", "TRAIL", "Array", "Data", "Moment", "Setup", "Training", "together"]

Array = np.ndarray
MOST_STEPS = 100_000
TRAIL = 10
"""Recorded moments whose weights and rates are kept."""
_HUGE = 1e6


@dataclass(frozen=True)
class Data:
    """What is learned; see :func:`ncore_dashboard.learn.playground.points.points`."""

    name: str = "circle"
    count: int = 500
    noise: float = 0.1
    share: float = 0.5
    seed: int = 1

    def points(self) -> Points:
        """Draw them."""
        return points(self.name, self.count, self.noise, self.share, self.seed)


@dataclass(frozen=True)
class Setup:
    """A network, and how it is trained.

    Attributes:
        features: Names in ``tiny.FEATURES``.
        hidden: Widths of the hidden layers.
        activation: Name in ``tiny.ACTIVATIONS``.
        seed: Of the first weights and of the order of the points.
        rate: Learning rate.
        batch: Points of a step.
        penalty: "none", "L1" (adds p sum |w|) or "L2" (adds p/2 sum w^2); biases are free.
        penalty_rate: p.
    """

    features: tuple[str, ...] = ("x1", "x2")
    hidden: tuple[int, ...] = (4, 4)
    activation: str = "tanh"
    seed: int = 1
    rate: float = 0.1
    batch: int = 10
    penalty: str = "none"
    penalty_rate: float = 0.0

    @property
    def fixed(self) -> Setup:
        """What can't be changed while it trains; the rest has its default."""
        return Setup(self.features, self.hidden, self.activation, self.seed)


@dataclass(frozen=True)
class Moment:
    """A step: losses on all training and all test points, and beta_eff (NaN where undefined) with its conditioning."""

    step: int
    train_loss: float
    test_loss: float
    beta_eff: float
    conditioning: float


def together(trainings: Collection[Training], steps: int, seconds: float) -> None:
    """Take training steps in turns, so that networks stay side by side; fewer where the computing time is used up."""
    end = time.thread_time() + seconds
    for _ in range(steps):
        for training in trainings:
            training.advance(1)
        if time.thread_time() > end:
            return


class Training:
    """A network on its way. The same data and setup give the same weights after the same number of steps.

    Attributes:
        steps: Finished.
        broken: Whether weights grew without bound, so that no step follows.
        history: Recorded moments, the first at step 0, then the steps with at most two digits that are not 0
            (1, 2, .. 99, 100, 110, .. 990, 1000, 1100, ..), so that a curve does not depend on how fast one watched.
        trail: Weights and rates of all layers at the last recorded moments.
        reach: Largest |weight| and |rate| of all recorded moments.
        first_strength: Of the strongest interaction at step 0, or 0 where there is none.
    """

    def __init__(self, data: Data, setup: Setup, strength: str = Strength.ABSOLUTE) -> None:
        self.data, self.setup, self.strength = data, setup, strength
        self.points = data.points()
        self.network = Network(
            (len(setup.features), *setup.hidden, 1), setup.activation, self.points.classes, setup.seed
        )
        self._train, self._test = (features(p, setup.features) for p in (self.points.train, self.points.test))
        self.steps = 0
        self.broken = False
        self._order: Array = np.arange(0)
        self._at = 0
        self._rounds = 0
        self.history: list[Moment] = []
        self.trail: deque[tuple[list[Array], list[Array]]] = deque(maxlen=TRAIL)
        self.reach = (0.0, 0.0)
        self._record()
        graph = self.line_graph()
        self.first_strength = float(np.abs(graph.strongest(1)["strength"]).max()) if graph else 0.0

    @property
    def epochs(self) -> float:
        """Passes over the training points."""
        return self._rounds - 1 + self._at / len(self._train) if self._rounds else 0.0

    def change(self, setup: Setup) -> None:
        """Go on with another learning rate, batch or penalty."""
        self.setup = replace(self.setup, **{n: getattr(setup, n) for n in ("rate", "batch", "penalty", "penalty_rate")})

    @property
    def ended(self) -> bool:
        """Whether no step follows."""
        return self.broken or self.steps >= MOST_STEPS

    def advance(self, steps: int) -> None:
        """Take training steps, and record those that are due."""
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(steps):
                if self.ended:
                    return
                self._step()
                if self.steps % max(1, 10 ** (len(str(self.steps)) - 2)) == 0:
                    self._record()

    def now(self, passed: Backward | None = None) -> Moment:
        """Losses and beta_eff as they are."""
        passed = passed or self.passed()
        test = self.network.forward(self._test)[-1]
        loss = self.network.loss
        capacitance = self.capacitance(passed) if self.defined else None
        return Moment(
            self.steps,
            loss(passed.states[-1], self.points.train_targets),
            loss(test, self.points.test_targets),
            capacitance.value if capacitance else np.nan,
            capacitance.conditioning if capacitance else np.nan,
        )

    @property
    def defined(self) -> bool:
        """Whether the network is deep enough for beta_eff: a chain of three synapses has to exist."""
        return len(self.network.weights) >= 3

    def passed(self) -> Backward:
        """A pass over all training points: the probe."""
        return self.network.backward(self._train, self.points.train_targets)

    def line_graph(self, passed: Backward | None = None) -> LineGraph | None:
        """G_B on the training points, None where no synapse drives another."""
        if len(self.network.weights) < 2:
            return None
        return self.network.line_graph(passed or self.passed(), self.strength)

    def capacitance(self, passed: Backward | None = None) -> Capacitance:
        """beta_eff with its conditioning; to be asked for only if :attr:`defined`."""
        graph = self.line_graph(passed)
        assert graph is not None
        return graph.capacitance

    def rates(self, passed: Backward | None = None) -> list[Array]:
        """dw/dt of gradient flow on the training points, penalty included, for each layer (targets, sources)."""
        by_weight, _ = self.network.gradients(passed or self.passed())
        price = self.setup.penalty_rate
        rates = []
        for weight, gradient in zip(self.network.weights, by_weight, strict=True):
            pull = -gradient
            if self.setup.penalty == "L2":
                pull = pull - price * weight
            elif self.setup.penalty == "L1":  # at w = 0 the penalty holds the weight against any smaller pull
                held = np.sign(pull) * np.maximum(np.abs(pull) - price, 0)
                pull = np.where(weight == 0, held, pull - price * np.sign(weight))
            rates.append(pull)
        return rates

    def outputs(self, places: Array) -> tuple[Array, ...]:
        """States of all levels at points of the plane (n, 2); the last is the answer: a probability, or a value."""
        with np.errstate(over="ignore", invalid="ignore"):
            states = self.network.forward(features(places, self.setup.features))
        answer = 0.5 * (1 + np.tanh(0.5 * states[-1])) if self.points.classes else states[-1]
        return (*states[:-1], answer)

    def accuracy(self) -> tuple[float, float]:
        """Share of training and of test points on the right side; NaN for values."""
        if not self.points.classes:
            return np.nan, np.nan
        sides = (
            (self.network.forward(self._train)[-1], self.points.train_targets),
            (self.network.forward(self._test)[-1], self.points.test_targets),
        )
        train, test = (float(np.mean((found[:, 0] > 0) == (wanted > 0.5))) for found, wanted in sides)
        return train, test

    def _record(self) -> None:
        passed = self.passed()
        self.history.append(self.now(passed))
        self.trail.append((self.network.weights, self.rates(passed)))
        weight, rate = (max(float(np.abs(values).max()) for values in part) for part in self.trail[-1])
        self.reach = max(self.reach[0], weight), max(self.reach[1], rate)

    def _step(self) -> None:
        """One step of stochastic gradient descent; the L1 penalty by its proximal step, which can reach exactly 0."""
        if self._at >= len(self._order):
            self._order = np.random.default_rng([self.setup.seed, 2, self._rounds]).permutation(len(self._train))
            self._rounds += 1
            self._at = 0
        chosen = self._order[self._at : self._at + self.setup.batch]
        network, rate, price = self.network, self.setup.rate, self.setup.penalty_rate
        by_weight, by_bias = network.gradients(network.backward(self._train[chosen], self.points.train_targets[chosen]))
        before = network.weights, network.biases
        if self.setup.penalty == "L2":
            by_weight = [gradient + price * w for gradient, w in zip(by_weight, network.weights, strict=True)]
        weights = [w - rate * gradient for w, gradient in zip(network.weights, by_weight, strict=True)]
        if self.setup.penalty == "L1":
            weights = [np.sign(w) * np.maximum(np.abs(w) - rate * price, 0) for w in weights]
        biases = [b - rate * gradient for b, gradient in zip(network.biases, by_bias, strict=True)]
        if not all(np.abs(values).max() < _HUGE for values in (*weights, *biases)):  # NaN, too
            network.weights, network.biases = before
            self.broken = True
            return
        network.weights, network.biases = weights, biases
        self.steps += 1
        self._at += len(chosen)
