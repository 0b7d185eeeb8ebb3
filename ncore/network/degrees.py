"""beta_eff of a head from weighted degrees only: the line-graph matrix P is never built.

P has one term per sample and is a product in each, so its row and column sums are one matrix product a
layer. Over chunks the degrees are summed, and multiplied with each other only at the end: exact, where an
average of per-batch values would not be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ncore.errors import InputError, UnsupportedError
from ncore.network.backprop import BackPropagation, Pass, check_depth, exact_arithmetic, mean_target
from ncore.network.capacitance import Capacitance, LayerSums, relative
from ncore.network.chain import DenseChain, dense_chain
from ncore.network.losses import Loss, SampleErrors
from ncore.network.strengths import Strength

__all__ = [
    "Batches",
    "CapacitanceSums",
    "DegreeSums",
    "as_batches",
    "beta_eff",
    "capacitances",
    "check_strengths",
    "propagation",
]

Batches = Iterable[tuple[Tensor, Tensor]]

_BLOCK = 1 << 22  # synapses whose degrees are worked on at once: bounds the memory beside the sums themselves


class DegreeSums:
    """Weighted degrees of all synapses, summed over the chunks of a probe, for one set of interaction strengths.

    Args:
        widths: Neurons per level, the inputs first.
        absolute: Take |z|, |sigma'| and |delta| sample by sample.
        spread: Also the second moments, which need the degrees of the first and last layer one by one.
    """

    def __init__(self, widths: Sequence[int], *, absolute: bool, spread: bool = True) -> None:
        self.widths = tuple(widths)
        self.absolute = absolute
        self.spread = spread
        self.weight = 0.0
        self.samples = 0
        depth = len(self.widths) - 1
        self._in: list[Tensor | None] = [None] * depth
        self._out: list[Tensor | None] = [None] * depth
        # Sums over a layer factorise sample by sample: no matrix is needed for these.
        self._in_total = [0.0] * depth
        self._out_total = [0.0] * depth
        self._absolute_total = [0.0] * depth

    def add(self, chunk: Pass, errors: Sequence[Tensor]) -> None:
        """Add one chunk; ``errors`` are ``chunk.errors`` or ``chunk.reference``."""
        self.weight += chunk.weight
        self.samples += chunk.samples
        inputs, slopes = chunk.inputs, chunk.slopes
        signed = (inputs[: len(slopes)], slopes, errors)
        magnitudes = tuple(tuple(_magnitude(t) for t in group) for group in signed)
        inputs, slopes, errors = magnitudes if self.absolute else signed
        big = [[_row_sum(t) for t in group] for group in magnitudes]
        sums = big if self.absolute else [[_row_sum(t) for t in group] for group in signed]
        last = len(self.widths) - 2
        for layer in range(last):
            z, slope, error = sums[0][layer], sums[1][layer], sums[2][layer]
            total = float((z * slope * error).sum())
            self._in_total[layer] += total
            self._out_total[layer + 1] += total
            big_z, big_slope, big_error = big[0][layer], big[1][layer], big[2][layer]
            self._absolute_total[layer] += float((big_z * big_slope * big_error).sum())
            # d_in of layer l = (sigma'^l D)^T z^(l-1); d_out of layer l+1 = delta^(l+1)^T (Z sigma'^l)
            if self.spread or layer > 0:
                driven = slopes[layer] * error.to(slopes[layer].dtype)[:, None]
                self._in[layer] = _accumulate(self._in[layer], driven, inputs[layer])
            if self.spread or layer + 1 < last:
                driving = slopes[layer] * z.to(slopes[layer].dtype)[:, None]
                self._out[layer + 1] = _accumulate(self._out[layer + 1], errors[layer], driving)

    def layers(self) -> list[LayerSums]:
        """The sums over each layer 1..L, divided by the weight of the probe."""
        if self.samples == 0:
            raise InputError("The probe holds no batch, but at least one sample is needed.")
        weight = self.weight if self.weight > 0 else math.nan
        sums = []
        for layer in range(len(self.widths) - 1):
            product, in_square, out_square = _moments(self._in[layer], self._out[layer])
            sums.append(
                LayerSums(
                    synapses=self.widths[layer] * self.widths[layer + 1],
                    in_degree=self._in_total[layer] / weight,
                    out_degree=self._out_total[layer] / weight,
                    product=product / weight**2,
                    in_square=in_square / weight**2 if self.spread else math.nan,
                    out_square=out_square / weight**2 if self.spread else math.nan,
                    absolute=self._absolute_total[layer] / weight,
                )
            )
        return sums


class CapacitanceSums:
    """All wanted strengths of beta_eff from one stream of back-propagated chunks."""

    def __init__(self, widths: Sequence[int], strengths: Sequence[str], spread: Sequence[str] = ()) -> None:
        self.strengths = tuple(strengths)
        wide = set(spread)
        absolute_spread = bool(wide & {Strength.ABSOLUTE, Strength.RELATIVE})
        self._signed = DegreeSums(widths, absolute=False, spread=Strength.SIGNED in wide)
        self._absolute = DegreeSums(widths, absolute=True, spread=absolute_spread)
        self._reference = DegreeSums(widths, absolute=True, spread=False)

    def add(self, chunk: Pass) -> None:
        """Add a chunk of the probe to the sums of all strengths."""
        with exact_arithmetic(chunk.inputs[0].device), torch.no_grad():
            self._add(chunk)

    def _add(self, chunk: Pass) -> None:
        if Strength.SIGNED in self.strengths:
            self._signed.add(chunk, chunk.errors)
        if {Strength.ABSOLUTE, Strength.RELATIVE} & set(self.strengths):
            self._absolute.add(chunk, chunk.errors)
        if Strength.RELATIVE in self.strengths:
            assert chunk.reference is not None
            self._reference.add(chunk, chunk.reference)

    def results(self) -> dict[str, Capacitance]:
        """beta_eff by strength."""
        return {strength: self._result(strength)[0] for strength in self.strengths}

    def scale(self) -> float:
        """1 / beta_eff of the untrained classifier: what turns "absolute" strengths into "relative" ones."""
        return self._result(Strength.RELATIVE)[1]

    def _result(self, strength: str) -> tuple[Capacitance, float]:
        if strength == Strength.RELATIVE:
            sums = self._absolute
            return relative(sums.layers(), self._reference.layers(), sums.samples)
        sums = self._signed if strength == Strength.SIGNED else self._absolute
        return Capacitance.from_sums(sums.layers(), strength, sums.samples), 1.0


def beta_eff(
    unit: nn.Module,
    inputs: Tensor | Batches,
    targets: Tensor | None = None,
    *,
    loss: Loss,
    strength: str = Strength.ABSOLUTE,
    chunk_size: int | None = None,
    spread: bool = False,
) -> Capacitance:
    """Neural capacitance of a dense head on a probe: the effective coupling of its network of synapses.

    Args:
        unit: A ``torch.nn.Sequential`` of ``Linear`` and elementwise activations, or an ``ncore.NCPUnit``,
            on any torch device; evaluated in float32 or better, dropout inactive.
        inputs: (N, features) tensor, what the unit's first Linear sees; 512 samples or more are advised. Or,
            without ``targets``, an iterable of (inputs, targets) batches: the same result as in one piece.
        targets: N targets, as the loss takes them.
        loss: A torch loss whose value is a mean or a sum over samples; a sum is read as N times the mean.
        strength: "absolute" (non-negative, as the reduction assumes), "signed" (the paper's, as derived in
            ``backprop``; look at its conditioning) or "relative" (the absolute one over that of an untrained
            classifier: comparable between candidates, and beyond the paper).
        chunk_size: Cut the tensors into chunks of this many samples, to bound memory; the result stays.
        spread: Also the symmetry S, the heterogeneity H and the standard deviations of the degrees, which cost
            a matrix product more for the first and the last layer; NaN otherwise.

    Returns:
        A :class:`Capacitance`; ``float()`` of it is beta_eff, NaN with a ``reason`` where it is undefined.

    Raises:
        UnsupportedError: A module, a loss or a depth that is not covered, by name.
        InputError: Shapes or types that do not fit.

    Source: beta_eff after Gao et al., Nature 530 (2016), on the line graph of Jiang et al., Nat. Commun. 15 (2024).

    Example:
        >>> import torch, ncore
        >>> _ = torch.manual_seed(0)
        >>> unit = ncore.NCPUnit(8, classes=3, widths=(16, 16, 16))
        >>> x, y = torch.randn(64, 8), torch.randint(3, (64,))
        >>> loss = torch.nn.CrossEntropyLoss()
        >>> whole = ncore.beta_eff(unit, x, y, loss=loss)
        >>> parts = ncore.beta_eff(unit, x, y, loss=loss, chunk_size=10)
        >>> abs(float(whole) - float(parts)) < 1e-5 * float(whole)
        True
    """
    batches = as_batches(inputs, targets, chunk_size)
    return capacitances(unit, batches, loss=loss, strengths=(strength,), spread=(strength,) if spread else ())[strength]


def capacitances(
    unit: nn.Module,
    batches: Batches,
    *,
    loss: Loss,
    strengths: Sequence[str],
    spread: Sequence[str] = (),
) -> dict[str, Capacitance]:
    """Several strengths from one back-propagation; ``spread`` names those that report S and H too."""
    run = propagation(unit, batches, loss, strengths)
    sums = CapacitanceSums(run.chain.widths, strengths, spread)
    for inputs, targets in batches:
        sums.add(run(inputs, targets))
    return sums.results()


def check_strengths(chain: DenseChain, loss: Loss, strengths: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Which of ``strengths`` are defined on this head and loss, and why the others are not.

    Raises:
        UnsupportedError: None of them is.
    """
    errors, defined, left_out = SampleErrors(loss), [], {}
    for strength in strengths:
        try:
            check_depth(chain, errors, strength)
            defined.append(strength)
        except UnsupportedError as error:
            left_out[strength] = str(error)
    if not defined:
        raise UnsupportedError(["No strength of beta_eff is asked for: name one.", *left_out.values()][-1])
    return tuple(defined), left_out


def propagation(unit: nn.Module, batches: Batches, loss: Loss, strengths: Sequence[str]) -> BackPropagation:
    """A checked back-propagation that keeps what ``strengths`` need."""
    chain, errors = dense_chain(unit), SampleErrors(loss)
    for strength in strengths:
        check_depth(chain, errors, strength)
    wants_reference = Strength.RELATIVE in strengths
    mean = None
    if wants_reference and errors.is_squared:
        if isinstance(batches, Iterator):
            raise InputError(
                "The probe is a one-shot iterator, but 'relative' with a squared loss reads the targets twice: pass a "
                "list or a DataLoader."
            )
        mean = mean_target(batches)
    return BackPropagation(chain, errors, wants_reference, mean)


def as_batches(inputs: Any, targets: Tensor | None, chunk_size: int | None = None) -> Batches:
    """A probe as an iterable of (inputs, targets), whichever way it was given."""
    if targets is None:
        if isinstance(inputs, Tensor):
            raise InputError("The targets are missing: pass them after the inputs, or pass batches of both.")
        return inputs
    if len(targets) != len(inputs):
        raise InputError(f"There are {len(targets)} targets for {len(inputs)} inputs, but one a sample is needed.")
    if chunk_size is None:
        return [(inputs, targets)]
    if chunk_size < 1:
        raise InputError(f"The chunk size is {chunk_size}, but it must be at least 1.")
    return list(zip(inputs.split(chunk_size), targets.split(chunk_size), strict=True))


def _row_sum(factor: Tensor) -> Tensor:
    """(N,) sums over the neurons of a layer, from here on in float64 (on the CPU where the device has none)."""
    return _double(factor.sum(1))


def _magnitude(factor: Tensor) -> Tensor:
    """|factor|, without a copy where it has no negative entry (what follows a ReLU, for one)."""
    return factor if bool(factor.min() >= 0) else factor.abs()


def _double(tensor: Tensor) -> Tensor:
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def _accumulate(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """``total + left^T right``, in blocks of rows: in float64, but for a first chunk of few synapses."""
    if total is None:
        if left.shape[1] * right.shape[1] <= _BLOCK:
            return left.T @ right
        device = torch.device("cpu") if left.device.type == "mps" else left.device
        total = torch.zeros(left.shape[1], right.shape[1], dtype=torch.float64, device=device)
    if total.dtype != torch.float64:
        total = _double(total)
    for rows in _row_blocks(total):
        total[rows] += (left[:, rows].T @ right).to(total.device)
    return total


def _moments(into: Tensor | None, out: Tensor | None) -> tuple[float, float, float]:
    """Sums of d_in d_out, d_in^2 and d_out^2 over a layer; a missing side is zero.

    Row by row, so that the sums of many synapses do not lose digits, and in blocks, so that nothing is copied whole.
    """
    product, squares = 0.0, [0.0, 0.0]
    if into is not None and out is not None:
        product = sum(float(_double((into[rows] * out[rows]).sum(1)).sum()) for rows in _row_blocks(into))
    for side, degrees in enumerate((into, out)):
        if degrees is not None:
            norms = (torch.linalg.vector_norm(degrees[rows], dim=1) for rows in _row_blocks(degrees))
            squares[side] = sum(float(_double(norm).square().sum()) for norm in norms)
    return product, squares[0], squares[1]


def _row_blocks(matrix: Tensor) -> Iterator[slice]:
    rows = max(1, _BLOCK // matrix.shape[1])
    return (slice(start, start + rows) for start in range(0, matrix.shape[0], rows))
