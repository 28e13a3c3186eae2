"""A model whose matrices are bf16 themselves, so that whoever samples and whoever learns multiply the same numbers.

    x ← x + W₂ f(W₁ norm(x))     x and norm in fp32; W, what it is given and what it gives in bf16, its sums in fp32

Matrices, and the biases that are added to their products, are bf16: no pass casts a weight. The stream x between layers
is fp32, because rounding it would be most of what sampler and trainer disagree about. What is small and sensitive stays
fp32 too: the weights of norms, states of recurrences (`A_log`, `dt_bias`), corrections of routers, whatever the
architecture keeps in fp32, and buffers (rotary frequencies). fp32 copies of the matrices, which learn, are the
optimiser's affair (`algorithms.optimizer.Masters`).
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from .distribution import product

_LOW = torch.bfloat16
_MULTIPLIES = (nn.Linear, nn.Embedding, nn.Conv1d, Conv1D)
_STATES = ("A_log",)  # of recurrences: exponents, which rounding would change


@torch.no_grad()
def lower(model: PreTrainedModel) -> None:
    """Round the matrices of `model` to bf16, in place, and let its other layers give bf16 to them."""
    head, first = model.get_output_embeddings(), model.get_input_embeddings()
    for module in model.modules():
        for parameter in _matrices(module):
            parameter.data = parameter.data.to(_LOW)
    kept = _kept(model)
    for name, parameter in model.named_parameters():
        if kept is not None and kept.search(name):
            parameter.data = parameter.data.float()
        if parameter.dtype == torch.float32:  # a view would keep the file in memory that all weights were read from
            parameter.data = parameter.data.clone()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if own and all(parameter.dtype == torch.float32 and parameter.ndim <= 1 for parameter in own):
            _give_low(module)
        elif "RotaryEmbedding" in type(module).__name__:
            module.register_forward_hook(_lowered)
        elif type(module) is nn.Linear:
            module.__class__ = _Head if module is head else _Linear
    if isinstance(first, nn.Module):
        first.register_forward_hook(_raised)


@torch.no_grad()
def round_matrices(model: PreTrainedModel) -> None:
    """Give the matrices of an fp32 model the values that `lower` would leave them, and leave all else."""
    kept = _kept(model)
    own = {id(parameter) for module in model.modules() for parameter in _matrices(module)}
    for name, parameter in model.named_parameters():
        if id(parameter) in own and not (kept is not None and kept.search(name)):
            parameter.copy_(parameter.to(_LOW))


def _matrices(module: nn.Module) -> list[nn.Parameter]:
    """The own parameters of `module` that are multiplied with, and their biases."""
    own = dict(module.named_parameters(recurse=False))
    if isinstance(module, _MULTIPLIES):
        return list(own.values())
    return [p for name, p in own.items() if sum(n > 1 for n in p.shape) >= 2 and name not in _STATES]


def _kept(model: PreTrainedModel) -> re.Pattern[str] | None:
    """Which names the architecture keeps in fp32 where all else is bf16."""
    names = getattr(model, "_keep_in_fp32_modules_strict", None) or ()
    return re.compile("|".join(rf"(^|\.){re.escape(name)}($|\.)" for name in sorted(names))) if names else None


# --- layers ----------------------------------------------------------------------------------------------


def _lowered(_module: nn.Module, _given: Any, output: Any) -> Any:
    """A forward hook: fp32 becomes bf16."""
    if isinstance(output, tuple):
        return tuple(_lowered(_module, _given, part) for part in output)
    return output.to(_LOW) if isinstance(output, Tensor) and output.dtype == torch.float32 else output


def _raised(_module: nn.Module, _given: Any, output: Tensor) -> Tensor:
    """A forward hook: bf16 becomes fp32."""
    return output.float()


def _give_low(module: nn.Module) -> None:
    """A layer with fp32 vectors alone, a norm for most: it computes in fp32, in one kernel where that is the same, and
    gives bf16."""
    if type(module) is nn.LayerNorm:
        module.__class__ = _LayerNorm
    elif (found := _rms(module)) is not None:
        module._epsilon, module._offset = found  # type: ignore[assignment]
        module.__class__ = _RMSNorm
    else:
        module.register_forward_hook(_lowered)


def _rms(module: nn.Module) -> tuple[float, int] | None:
    """ε and k of a norm that is (k + weight) · x / √(mean x² + ε) and nothing else, found by trying; None for any other
    layer."""
    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    weight = getattr(module, "weight", None)
    alone = len(list(module.parameters())) == 1 and len(inspect.signature(module.forward).parameters) == 1
    if not isinstance(weight, Tensor) or not isinstance(epsilon, float) or not alone or any(module.children()):
        return None
    probe = torch.linspace(-3.0, 2.0, 3 * weight.numel(), device=weight.device).view(1, 3, -1)
    try:
        theirs = module(probe)
    except Exception:  # of any architecture: then it is some other layer
        return None
    for offset in (0, 1):
        ours = nn.functional.rms_norm(probe, weight.shape, offset + weight, epsilon)
        if theirs.shape == ours.shape and torch.allclose(theirs, ours, rtol=1e-5, atol=1e-5):
            return epsilon, offset
    return None


class _RMSNorm(nn.Module):
    """(k + weight) · x / √(mean x² + ε)"""

    weight: Tensor
    _epsilon: float
    _offset: int

    def forward(self, hidden_states: Tensor) -> Tensor:
        x, weight = hidden_states.float(), self._offset + self.weight if self._offset else self.weight
        if x.device.type == "cpu":
            return _Rms.apply(x, weight, self._epsilon)  # type: ignore[return-value]
        return nn.functional.rms_norm(x, weight.shape, weight, self._epsilon).to(_LOW)


class _Rms(torch.autograd.Function):
    """y = w ∘ n,  n = x · s,  s = 1/√(mean x² + ε), in bf16, for which a GPU has a kernel. The gradients, with g = ∂y,

        ∂w = Σ g ∘ n,    ∂x = s · (w ∘ g − n · mean(w ∘ g ∘ n)),

    go through memory half as often as those of its parts, and nothing new is kept but s."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return torch.mul(x, scale).mul_(weight).to(_LOW)

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x, weight, scale = ctx.saved_tensors
        n, g = x * scale, gradient[0].float()
        d_weight = (g * n).flatten(0, -2).sum(dim=0) if ctx.needs_input_grad[1] else None
        wg = g.mul_(weight)
        return wg.addcmul_(n, (wg * n).mean(dim=-1, keepdim=True), value=-1).mul_(scale), d_weight, None


class _LayerNorm(nn.LayerNorm):
    """As it is, from fp32 to bf16."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.float()).to(_LOW)


class _Linear(nn.Linear):
    """As it is, of bf16: some blocks have no norm before their matrices."""

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.linear(input.to(self.weight.dtype), self.weight, self.bias)


class _Head(nn.Linear):
    """The output layer: its logits are fp32, for caps and scales, draws and log-probabilities."""

    def forward(self, input: Tensor) -> Tensor:
        logits = product(input.flatten(0, -2).to(self.weight.dtype), self.weight.T)
        logits = logits if self.bias is None else logits + self.bias
        return logits.view(*input.shape[:-1], -1)
