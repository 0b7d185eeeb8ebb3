"""Training as it is done, in steps, and where it parts from the flow."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ncore.errors import InputError, TrainingFailedError
from ncore.network.dynamics._matrix import FloatArray
from ncore.network.edge_dynamics.landscape import Landscape

__all__ = ["Batch", "descend", "part_ways"]

Batch = NDArray[np.int64]


def descend(
    landscape: Landscape,
    learning_rate: float,
    steps: int,
    *,
    momentum: float = 0.0,
    batch_size: int | None = None,
    every: int = 1,
    seed: int = 0,
    start: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> FloatArray:
    """The weights after every ``every`` steps of torch's SGD, the start included, (steps // every + 1, n).

    Args:
        landscape: C, and weight decay.
        learning_rate, momentum: As of ``torch.optim.SGD``, without dampening and Nesterov.
        steps: How many.
        batch_size: Samples a step, drawn without replacement from an order that is shuffled each epoch; the last batch
            of an epoch may be smaller. None takes all samples: gradient descent.
        every: Which steps are kept.
        seed: Of the order.
        start: (n,), by default where the model is.
        mask: (n,) bool, the weights that there are: the others are 0 from the start and stay so.

    Raises:
        InputError: An argument outside what is said above.
        TrainingFailedError: The weights are no longer finite.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1)
        >>> neuron = torch.nn.Linear(1, 1, bias=False)
        >>> parabola = Landscape(neuron, one, 3 * one, loss=torch.nn.MSELoss())
        >>> descend(parabola, 0.25, steps=2, start=[0.0])[:, 0].tolist()  # half of the way to 3 each
        [0.0, 1.5, 2.25]
    """
    if steps < 1 or every < 1 or (batch_size is not None and batch_size < 1):
        raise InputError(f"steps is {steps}, every {every}, batch_size {batch_size}, but each must be at least 1.")
    w = np.array(landscape.start if start is None else start, dtype=np.float64)
    there = np.ones_like(w) if mask is None else np.asarray(mask, dtype=np.float64)
    w *= there
    velocity = np.zeros_like(w)
    kept = [w.copy()]
    random = np.random.default_rng(seed)
    order: list[Batch | None] = []
    for step in range(1, steps + 1):
        if not order:
            order = [None] if batch_size is None else _shuffled(random, landscape.samples, batch_size)
        velocity = momentum * velocity - there * landscape.rate(w, order.pop(0))
        w = w - learning_rate * velocity
        if not np.isfinite(w).all():
            raise TrainingFailedError(f"The weights are not finite after step {step}: lower the learning rate.")
        if step % every == 0:
            kept.append(w.copy())
    return np.stack(kept)


def part_ways(flow: ArrayLike, descent: ArrayLike, noisy: ArrayLike | None = None) -> pd.DataFrame:
    """How far steps and minibatches take training from its flow, epoch by epoch.

    All from the same start and at the same times; |.| is the Euclidean norm over the given weights.

    Args:
        flow: (epochs + 1, n) the solution of the ODE at the end of each epoch, the start first.
        descent: (epochs + 1, n) full batches with the same step size.
        noisy: (epochs + 1, n) minibatches, as recorded.

    Returns:
        A row an epoch: ``epoch``, ``travelled`` (|flow - start|), ``finite_steps`` (|descent - flow|), ``noise``
        (|noisy - descent|), ``apart`` (|noisy - flow|, or |descent - flow| without noise), and the last three over
        ``travelled`` as ``finite_steps_share``, ``noise_share`` and ``apart_share``.

    Raises:
        InputError: Arrays of different shapes.

    Example:
        >>> part_ways([[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [3.0, 4.5]])[["travelled", "finite_steps_share"]]
           travelled  finite_steps_share
        0        5.0                 0.1
    """
    smooth, stepped = (np.asarray(x, dtype=np.float64) for x in (flow, descent))
    rough = stepped if noisy is None else np.asarray(noisy, dtype=np.float64)
    if not smooth.shape == stepped.shape == rough.shape or smooth.ndim != 2 or len(smooth) < 2:
        raise InputError(
            f"The trajectories have the shapes {smooth.shape}, {stepped.shape} and {rough.shape}, but (epochs + 1, n) "
            "is needed, the same for all."
        )
    distances = {
        "travelled": smooth - smooth[0],
        "finite_steps": stepped - smooth,
        "noise": rough - stepped,
        "apart": rough - smooth,
    }
    columns = {name: np.linalg.norm(difference[1:], axis=1) for name, difference in distances.items()}
    table = pd.DataFrame({"epoch": np.arange(1, len(smooth)), **columns})
    for name in ("finite_steps", "noise", "apart"):
        table[f"{name}_share"] = table[name] / table["travelled"].where(table["travelled"] > 0)
    return table


def _shuffled(random: np.random.Generator, samples: int, batch_size: int) -> list[Batch | None]:
    order = random.permutation(samples)
    return [np.asarray(order[at : at + batch_size], dtype=np.int64) for at in range(0, samples, batch_size)]
