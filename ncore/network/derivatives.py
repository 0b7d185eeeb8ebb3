"""First and second derivatives of a loss by the weights of any torch module, with torch.func."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from ncore.errors import UnsupportedError
from ncore.network.losses import SampleErrors

__all__ = ["Cost", "Tensors", "diagonal_products", "evaluation", "exact", "hessian_product", "twice_differentiable"]

Tensors = dict[str, Tensor]


class Cost:
    """The summed loss of a chunk as a function of some of the weights; ``weight`` is the chunk's share once called."""

    def __init__(
        self, model: nn.Module, loss: SampleErrors, state: Mapping[str, Tensor], inputs: Tensor, targets: Tensor
    ) -> None:
        self.model, self.loss, self.state, self.inputs, self.targets = model, loss, state, inputs, targets
        self.weight = 0.0

    def __call__(self, moved: Tensors) -> Tensor:
        """The cost with these parameters in place of the model's own, a scalar."""
        outputs = functional_call(self.model, {**self.state, **moved}, (self.inputs,))
        if not isinstance(outputs, Tensor):
            raise UnsupportedError(
                f"The model {type(self.model).__name__} gives a {type(outputs).__name__}, but a tensor of outputs is "
                "needed: wrap it in a module that returns what the loss takes."
            )
        value, self.weight = self.loss.summed(outputs, self.targets)
        return value


def hessian_product(cost: Cost, moved: Tensors, tangent: Tensors) -> tuple[Tensors, Tensors]:
    """The gradient by the weights ``moved``, and H ``tangent`` of the Hessian restricted to them.

    The derivative of the gradient pulled back: H is symmetric. The products with weights and activations are at most
    three times those of a gradient; forward over reverse does as many, and torch has fewer formulas for it.
    """
    found = vjp(grad(cost), moved)
    gradient, pull = found[:2]
    return {name: part.detach() for name, part in gradient.items()}, pull(tangent)[0]


def diagonal_products(cost: Cost, groups: Iterable[Sequence[str]]) -> Tensors:
    """For each group of weights, (H restricted to the group) 1.

    All groups share one gradient and its graph, and each goes back only through what lies above its own weights, so
    that on average a group costs less than a gradient; torch.func can't pull back a part of the outputs.
    """
    blocks = list(groups)
    names = [name for block in blocks for name in block]
    moved = {name: cost.state[name].clone().requires_grad_() for name in names}
    gradient = dict(zip(names, torch.autograd.grad(cost(moved), list(moved.values()), create_graph=True), strict=True))
    products = {name: torch.zeros_like(cost.state[name]) for name in names}
    for block in blocks:
        curved = [name for name in block if gradient[name].requires_grad]
        if curved:
            wanted, sides = [moved[name] for name in block], [gradient[name] for name in curved]
            ones = [torch.ones_like(side) for side in sides]
            found = torch.autograd.grad(sides, wanted, ones, retain_graph=True, materialize_grads=True)
            products.update(zip(block, found, strict=True))
    return products


def exact(tensor: Tensor) -> Tensor:
    """A plain tensor outside any graph, in float32 where it was less."""
    tensor = tensor.detach()
    if tensor.dtype in (torch.float16, torch.bfloat16):
        return tensor.float()
    return tensor.clone() if tensor.is_inference() else tensor


class _Spelled(TorchFunctionMode):
    """Operations whose kernels have one derivative only, as operations that have two."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is nn.functional.hardsigmoid:
            return nn.functional.relu6((args[0] if args else kwargs["input"]) + 3) / 6
        return func(*args, **kwargs)


@contextmanager
def twice_differentiable(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, with the kernels that can be derived twice; an operation that can't be is named."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with evaluation(model), sdpa_kernel(SDPBackend.MATH), _Spelled():
            yield
    except RuntimeError as error:  # NotImplementedError is one
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, NotImplementedError) or "derivative" in said:
            raise UnsupportedError(
                f"The Hessian of {type(model).__name__} needs an operation that torch cannot derive twice ({said}): "
                "replace that module, or pass a part of the model without it."
            ) from error
        raise
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, then every module back in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
