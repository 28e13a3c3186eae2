"""Functions that become kernels of their own on a GPU (`torch.compile`): what goes element by element between two
products is read from memory once, instead of once for each operation.

To compile takes seconds, and twenty for a transformer's layer, so it is done for models that are large enough to earn
them back. That depends on nothing but their size: a run that goes on computes what it would have computed. What is
rounded to bf16 between two operations still is, so that sampler and trainer go on meaning the same.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

_LARGE_MATRIX = 100_000_000  # entries of an output layer
_LARGE_MODEL = 300_000_000  # weights
_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function, weight: Tensor) -> _Function:
    """`function`, which works on what a product with `weight` gives; compiled, where that is worth while."""
    return _compiled(function) if weight.is_cuda and weight.numel() >= _LARGE_MATRIX else function


def compiles(model: nn.Module) -> bool:
    """Whether the layers of this model are to be compiled, where they stand now."""
    weights = list(model.parameters())
    return weights[0].is_cuda and sum(weight.numel() for weight in weights) >= _LARGE_MODEL


def compiled_forward(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A layer's bound `forward`, compiled once for all layers of its class; as it is, if it is no method."""
    layer, function = getattr(forward, "__self__", None), getattr(forward, "__func__", None)
    return forward if layer is None or function is None else functools.partial(_compiled(function), layer)


@functools.cache
def _compiled(function: _Function) -> _Function:
    """`function`, as one kernel or a few. If it cannot be compiled, it says so once and runs as it is."""
    from torch._dynamo.exc import TorchDynamoException  # takes a second

    fast: Callable[..., Any] | None = torch.compile(function, dynamic=True, options={"emulate_precision_casts": True})

    @functools.wraps(function)
    def run(*given: Any, **named: Any) -> Any:
        nonlocal fast
        if fast is not None:
            try:
                return fast(*given, **named)
            except TorchDynamoException as problem:  # no compiler, an architecture that it cannot read
                fast = None
                why = " ".join(str(problem).split())[:200]
                warnings.warn(f"{function.__qualname__} is not compiled, which takes longer: {why}", stacklevel=2)
        return function(*given, **named)

    return run  # type: ignore[return-value]
