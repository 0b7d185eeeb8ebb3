"""Zero-cost scores of architectures: one forward or backward pass of an untrained network, or none.

All have the signature (model, inputs, targets, loss) and leave the model (parameters, buffers, gradients, hooks, modes)
and the random state as they were. The pass is made with batch statistics in batch normalisation, as in training, and
without dropout, in the precision of the model.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ncore.errors import InputError, UnsupportedError
from ncore.scores.score import Score

if TYPE_CHECKING:
    from torch import Tensor, nn

    Loss = Callable[[Tensor, Tensor], Tensor]
    _Pairs = list[tuple[Tensor, Tensor]]

__all__ = ["ZERO_COST_SCORES", "grad_norm", "jacob_cov", "naswot", "parameter_count", "snip", "synflow"]

_RIDGE = 1e-5  # the constant k that the authors of jacob_cov add to eigenvalues


def parameter_count(model: "nn.Module", inputs: "Tensor", targets: "Tensor", loss: "Loss") -> float:
    """Number of parameters, frozen ones included and shared ones once.

    Args:
        model: The network.
        inputs: Not used, like targets and loss.
        targets: See inputs.
        loss: See inputs.

    Example:
        >>> import torch
        >>> parameter_count(torch.nn.Linear(3, 2), torch.ones(1, 3), torch.zeros(1), torch.nn.MSELoss())
        8.0
    """
    return float(sum(parameter.numel() for parameter in model.parameters()))


def synflow(model: "nn.Module", inputs: "Tensor", targets: "Tensor", loss: "Loss") -> float:
    """Synaptic flow.

    Source: Tanaka, Kunin, Yamins, Ganguli, *Pruning neural networks without any data by iteratively conserving synaptic
    flow*, NeurIPS 2020; summed into a score by Abdelfattah et al., ICLR 2021.

    The sum of w dR/dw over the weights of linear and convolution layers, where R is the sum of the outputs for one
    input of ones after every parameter and buffer was replaced by its absolute value and batch normalisation by the
    identity; in float64, as R grows exponentially with depth.

    Args:
        model: The network.
        inputs: A batch; only the shape of its first sample counts.
        targets: Not used.
        loss: Not used.

    Returns:
        Not below 0, higher is better.

    Raises:
        UnsupportedError: A batch normalisation without running statistics, or see ``snip``.
    """
    import torch

    with _pass(model) as (parameters, buffers, weights):
        tensors = {
            name: value.to(torch.float64).abs() if value.is_floating_point() else value
            for name, value in {**parameters, **buffers}.items()
        }
        for name, module in model.named_modules():
            if isinstance(module, _batch_norms()):
                tensors |= _identity_statistics(name, module)
                module.training = False
        chosen = [tensors[name].requires_grad_() for name in weights]
        ones = torch.ones_like(inputs[:1], dtype=torch.float64)
        pairs = _gradients(_output(model, tensors, ones).sum(), chosen)
        return sum((float((weight * gradient).sum()) for weight, gradient in pairs), 0.0)


def snip(model: "nn.Module", inputs: "Tensor", targets: "Tensor", loss: "Loss") -> float:
    """SNIP, connection sensitivity.

    Source: Lee, Ajanthan, Torr, *SNIP: Single-shot network pruning based on connection sensitivity*, ICLR 2019; summed
    into a score by Abdelfattah et al., ICLR 2021.

    The sum of |w dL/dw| over the weights of linear and convolution layers: the first-order change of the loss when one
    weight is removed.

    Args:
        model: The network.
        inputs: A batch, shape (B, ...).
        targets: Its targets, shape (B, ...).
        loss: From outputs and targets to a scalar.

    Returns:
        Not below 0, higher is better; NaN if the loss is not finite.

    Raises:
        UnsupportedError: No linear or convolution layer, one whose weight is not a parameter of its own, or an output
            that is no tensor.
    """
    pairs = _loss_gradients(model, inputs, targets, loss)
    return sum((float((weight * gradient).double().abs().sum()) for weight, gradient in pairs), 0.0)


def grad_norm(model: "nn.Module", inputs: "Tensor", targets: "Tensor", loss: "Loss") -> float:
    """Gradient norm (Abdelfattah, Mehrotra, Dudziak, Lane, *Zero-Cost Proxies for Lightweight NAS*, ICLR 2021).

    sum over linear and convolution layers of the Euclidean norm of dL/dW. Args, the return value and errors are as for
    ``snip``.
    """
    pairs = _loss_gradients(model, inputs, targets, loss)
    return sum((float(gradient.double().norm()) for _, gradient in pairs), 0.0)


def jacob_cov(model: "nn.Module", inputs: "Tensor", targets: "Tensor", loss: "Loss") -> float:
    """Jacobian covariance.

    Source: Mellor, Turner, Storkey, Crowley, *Neural architecture search without training*, first version, arXiv
    2006.04647v1, 2020.

    -sum_i (log(v_i + k) + 1 / (v_i + k)) with k = 1e-5, v being the eigenvalues of the correlation matrix between
    samples of the gradients of the summed outputs with respect to the inputs.

    Args:
        model: The network.
        inputs: A batch of two samples or more, shape (B, ...).
        targets: Not used.
        loss: Not used.

    Returns:
        At most -B / (1 + k) - B log(1 + k), which uncorrelated gradients have, higher is better; NaN where a gradient
        is constant, which has no correlation: the output does not depend on the input, as in a disconnected cell.

    Raises:
        InputError: One sample only.
        UnsupportedError: An output that is no tensor.
    """
    import torch

    if len(inputs) < 2:
        raise InputError(
            f"The batch holds {len(inputs)} sample, but a correlation needs two or more: give a larger one."
        )
    with _pass(model, needs_weights=False) as (parameters, buffers, _):
        images = inputs.detach().clone().requires_grad_()
        total = _output(model, {**parameters, **buffers}, images).sum()
        (gradient,) = torch.autograd.grad(total, [images], allow_unused=True) if total.requires_grad else (None,)
    if gradient is None:
        return math.nan
    rows = gradient.flatten(1).double().cpu().numpy()
    rows = rows - rows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(np.isfinite(norms) & (norms > 0)):
        return math.nan
    rows /= norms
    eigenvalues = np.maximum(np.linalg.eigvalsh(rows @ rows.T), 0) + _RIDGE
    return -float(np.sum(np.log(eigenvalues) + 1 / eigenvalues))


def naswot(model: "nn.Module", inputs: "Tensor", targets: "Tensor", loss: "Loss") -> float:
    """NASWOT (Mellor, Turner, Storkey, Crowley, *Neural Architecture Search without Training*, ICML 2021).

    log |det K|, where K_ij counts the ReLU units that are both on or both off for samples i and j.

    Args:
        model: The network, its ReLUs being modules (``nn.ReLU``, ``nn.ReLU6``, ``nn.LeakyReLU``, ``nn.PReLU``,
            ``nn.RReLU``); calls of ``torch.relu`` are not seen.
        inputs: A batch, shape (B, ...).
        targets: Not used.
        loss: Not used.

    Returns:
        Higher is better; minus infinity where K is singular, as with two equal samples.

    Raises:
        UnsupportedError: No such module ran, or an output that is no tensor.
    """
    import torch

    kernel = torch.zeros(len(inputs), len(inputs), dtype=torch.float64)

    def count(_: "nn.Module", arguments: "tuple[Tensor, ...]") -> None:
        signs = torch.where(arguments[0].detach().flatten(1) > 0, 1.0, -1.0).double()
        kernel.add_((signs @ signs.T).cpu() + signs.shape[1], alpha=0.5)  # agreements less disagreements, plus all

    with _pass(model, needs_weights=False) as (parameters, buffers, _), ExitStack() as hooks:
        for module in model.modules():
            if isinstance(module, _relus()):
                hooks.callback(module.register_forward_pre_hook(count).remove)
        _output(model, {**parameters, **buffers}, inputs)
    if not kernel.any():
        raise UnsupportedError(
            f"The model {type(model).__name__} ran no ReLU module, whose signs NASWOT counts: use `nn.ReLU` modules, "
            "or another score."
        )
    return float(torch.linalg.slogdet(kernel).logabsdet)


#: Each function is called with (model, inputs, targets, loss).
ZERO_COST_SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score(
            "synflow",
            "synflow",
            synflow,
            "model",
            "Tanaka et al., NeurIPS 2020, arXiv:2006.05467",
            "Strength of all paths through the network, without data.",
            lower_bound=0,
        ),
        Score(
            "snip",
            "snip",
            snip,
            "model, inputs and targets",
            "Lee et al., ICLR 2019, arXiv:1810.02340",
            "Sum of the weights' effects on the loss.",
            lower_bound=0,
        ),
        Score(
            "grad_norm",
            "grad-norm",
            grad_norm,
            "model, inputs and targets",
            "Abdelfattah et al., ICLR 2021, arXiv:2101.08134",
            "Sum of the layers' gradient norms.",
            lower_bound=0,
        ),
        Score(
            "jacob_cov",
            "jacob-cov",
            jacob_cov,
            "model and inputs",
            "Mellor et al., 2020, arXiv:2006.04647v1",
            "How little the input gradients of different samples correlate.",
            upper_bound=0,
        ),
        Score(
            "naswot",
            "NASWOT",
            naswot,
            "model and inputs",
            "Mellor et al., ICML 2021, arXiv:2006.04647",
            "How differently the ReLUs switch for different samples.",
        ),
        Score(
            "parameter_count",
            "Parameters",
            parameter_count,
            "model",
            "",
            "Size of the network.",
            lower_bound=0,
            unit="parameters",
        ),
    )
}


@contextmanager
def _pass(
    model: "nn.Module", needs_weights: bool = True
) -> "Iterator[tuple[dict[str, Tensor], dict[str, Tensor], list[str]]]":
    """Copies of the parameters and buffers for one pass, and the names of the weights that pruning scores sum over.

    Inside, batch normalisation is in training mode and all else in evaluation mode, autograd is on and autocast off;
    the modes and the random state come back at the end. Nothing in it touches the model's own tensors.
    """
    import torch

    weights = _weight_names(model) if needs_weights else []
    # Buffers are copied because batch normalisation updates them, parameters to leave their `grad` and flags alone.
    parameters = {name: value.detach().clone() for name, value in model.named_parameters()}
    buffers = {name: value.detach().clone() for name, value in model.named_buffers()}
    modes = [(module, module.training) for module in model.modules()]
    devices = {value.device for value in (*parameters.values(), *buffers.values())}
    kinds = {device.type for device in devices} | {"cpu"}
    try:
        with ExitStack() as stack:
            cuda = [device for device in devices if device.type == "cuda"]
            stack.enter_context(torch.random.fork_rng(devices=cuda))
            stack.enter_context(torch.enable_grad())
            for kind in kinds:
                stack.enter_context(torch.autocast(kind, enabled=False))
            for module, _ in modes:
                module.training = isinstance(module, _batch_norms())
            yield parameters, buffers, weights
    finally:
        for module, training in modes:
            module.training = training


def _output(model: "nn.Module", tensors: "dict[str, Tensor]", inputs: "Tensor") -> "Tensor":
    """The model's output with these parameters and buffers in place of its own."""
    import torch

    output = torch.func.functional_call(model, tensors, (inputs,))
    if not isinstance(output, torch.Tensor):
        raise UnsupportedError(
            f"The model {type(model).__name__} returns {type(output).__name__}, but a score needs a tensor: wrap it in "
            "a module that returns the logits only."
        )
    return output


def _loss_gradients(model: "nn.Module", inputs: "Tensor", targets: "Tensor", loss: "Loss") -> "_Pairs":
    """Each linear or convolution weight with the gradient of the loss."""
    with _pass(model) as (parameters, buffers, weights):
        chosen = [parameters[name].requires_grad_() for name in weights]
        return _gradients(loss(_output(model, {**parameters, **buffers}, inputs), targets), chosen)


def _gradients(value: "Tensor", weights: "list[Tensor]") -> "_Pairs":
    """Each weight with its gradient; one that the value does not depend on is left out, as its gradient is 0."""
    import torch

    if not value.requires_grad:
        return []
    gradients = torch.autograd.grad(value, weights, allow_unused=True)
    pairs = zip(weights, gradients, strict=True)
    return [(weight.detach(), gradient) for weight, gradient in pairs if gradient is not None]


def _weight_names(model: "nn.Module") -> list[str]:
    """Names of the weights of linear and convolution layers; one that layers share is named once."""
    from torch import nn

    layers = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    found = set()
    for name, module in model.named_modules():
        if isinstance(module, layers):
            if not isinstance(module.weight, nn.Parameter):
                raise UnsupportedError(
                    f"The weight of layer {name!r} is computed from other parameters, but the score needs it as a "
                    "parameter: remove the parametrization first."
                )
            found.add(id(module.weight))
    if not found:
        raise UnsupportedError(
            f"The model {type(model).__name__} has no linear or convolution layer, whose weights the score sums over: "
            "use another score."
        )
    return [name for name, parameter in model.named_parameters() if id(parameter) in found]


def _identity_statistics(name: str, module: Any) -> "dict[str, Tensor]":
    """Parameters and buffers that make the batch normalisation of that name the identity when it is evaluated.

    They are given to it instead of skipping it because timm's layers hold an activation too.
    """
    import torch

    if module.running_mean is None:
        raise UnsupportedError(
            f"The batch normalisation {name!r} has no running statistics, but synflow needs some to make it the "
            "identity: build it with track_running_stats=True."
        )
    ones = torch.ones_like(module.running_mean, dtype=torch.float64)
    values = {"running_mean": 0 * ones, "running_var": ones - module.eps, "weight": ones, "bias": 0 * ones}
    return {
        f"{name}.{key}" if name else key: value for key, value in values.items() if getattr(module, key) is not None
    }


def _batch_norms() -> "tuple[type[nn.Module], ...]":
    """Layers with batch statistics."""
    from torch import nn

    return nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm


def _relus() -> "tuple[type[nn.Module], ...]":
    """Layers that are on or off."""
    from torch import nn

    return nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU
