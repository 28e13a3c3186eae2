"""What is sampled from logits, in one place: sampler and trainer must mean the same distribution.

    p ∝ softmax(logits / temperature), restricted by min_p, then top_k, then top_p

(nucleus sampling: Holtzman et al. 2020, arXiv:1904.09751; min-p: Nguyen et al. 2024, arXiv:2407.01082; the order is
vLLM's). Log-probabilities are of that distribution, as importance ratios need them.

With z = W h / temperature, a trainer wants two numbers of each row and no vocabulary of them:

    L = log Σ exp z,    log p(y) = z_y − L,    H = L − Σ p z
    ∂/∂z = g (1_y − p) − g_H p ⊙ (z − Σ p z)

`read_chosen` reads the rows in pieces, so that no more than one piece of products W h is in memory at a time. On the
way back the last piece is still there, and those before it are read again. On a CPU a piece stays in the type of the
weights: a few rows of it at a time become z, and ∂/∂z takes their place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..protocols import Distribution
from .compiled import kernel

_PIECE = {"cpu": 1 << 25}  # logits in memory at once
_LARGE_PIECE = 1 << 28  # where a kernel wants much to do
_BLOCK = 1 << 18  # z in fp32 at once, on a CPU: few enough for its cache, and no new memory, which has to be cleared
_LEAST = -1e30  # stands for −inf where it is multiplied by a probability of 0


def log_probabilities(logits_N_V: Tensor, of: Distribution, *, kept_N: Tensor | None = None) -> Tensor:
    """log p over the vocabulary, float32 [N, V]; −inf outside the support.

    `kept_N` are tokens that stay in the support whatever their mass: those that were sampled, which the
    support of a policy that has moved on may no longer hold.
    """
    z_N_V = logits_N_V.float() if of.temperature == 1 else logits_N_V.float() / of.temperature
    logp = torch.log_softmax(z_N_V, dim=-1)
    if of.whole:
        return logp
    with torch.no_grad():
        outside = _outside(logp, of)
        if kept_N is not None:
            outside.scatter_(-1, kept_N[:, None], False)
    return torch.log_softmax(logp.masked_fill(outside, -torch.inf), dim=-1)


def _outside(logp: Tensor, of: Distribution) -> Tensor:
    """Bool [N, V]: which tokens are not to be drawn."""
    outside = torch.zeros_like(logp, dtype=torch.bool)
    if of.min_p > 0:
        outside = logp < logp.amax(dim=-1, keepdim=True) + math.log(of.min_p)
    if of.top_k is not None:
        left = logp.masked_fill(outside, -torch.inf)
        outside |= logp < left.topk(min(of.top_k, logp.shape[-1]), dim=-1).values[:, -1:]
    if of.top_p < 1:
        mass, index = logp.exp().masked_fill(outside, 0.0).sort(dim=-1, descending=True)
        before = mass.cumsum(dim=-1) - mass
        outside |= torch.zeros_like(outside).scatter(-1, index, before >= of.top_p * mass.sum(dim=-1, keepdim=True))
    return outside


def draw(logp_N_V: Tensor, uniform_N: Tensor) -> Tensor:
    """One token for each row by inverting the cumulative distribution at a uniform number in [0, 1): [N].

    One uniform for each row, against one exponential for each entry of the vocabulary in torch.multinomial.
    A token of probability zero is never drawn. A row of NaN gives some token, whose log-probability is NaN.
    """
    cumulative = logp_N_V.exp().cumsum(dim=-1)
    threshold = uniform_N[:, None].to(cumulative) * cumulative[:, -1:]
    # rounding may put the threshold at the total itself, beyond every token
    threshold = torch.minimum(threshold, torch.nextafter(cumulative[:, -1:], torch.zeros_like(threshold)))
    token_N = torch.searchsorted(cumulative, threshold, right=True)[:, 0]
    return token_N.clamp(max=logp_N_V.shape[-1] - 1)


def entropy(logp_N_V: Tensor) -> Tensor:
    """−Σ p log p for each row, [N]; tokens outside the support count zero."""
    return -(logp_N_V.exp() * logp_N_V.masked_fill(logp_N_V == -torch.inf, 0.0)).sum(dim=-1)


def product(left_N_H: Tensor, right_H_M: Tensor) -> Tensor:
    """[N, M] in fp32. Of bf16 factors the sums are kept in fp32 too, where the device can: rounded to bf16, a logit of
    10 would be off by 0.03."""
    return _product(left_N_H, right_H_M).float()


def _product(left_N_H: Tensor, right_H_M: Tensor) -> Tensor:
    """The same in the type that the device gives it in: a CPU gives bf16 of bf16 factors."""
    if left_N_H.is_cuda and left_N_H.dtype == torch.bfloat16:
        return torch.mm(left_N_H, right_H_M, out_dtype=torch.float32)
    return torch.mm(left_N_H, right_H_M)


def read_chosen(
    hidden_N_H: Tensor, weight_V_H: Tensor, bias_V: Tensor | None, token_N: Tensor, *, temperature: float
) -> tuple[Tensor, Tensor]:
    """`logp_N, entropy_N` of the chosen tokens under softmax(W h / temperature), float32, differentiable."""
    return _Chosen.apply(hidden_N_H, weight_V_H, bias_V, token_N, temperature)  # type: ignore[return-value]


Read = Callable[[Tensor, Tensor], tuple[Tensor, ...]]  # hidden_N_H, token_N → logp_N, entropy_N and whatever more
ReadPiece = Callable[[Tensor, Tensor, slice], tuple[Tensor, ...]]  # the same of a piece, and which one it is


def read_in_pieces(
    read: ReadPiece, hidden_N_H: Tensor, token_N: Tensor, vocabulary: int, numbers: int = 2
) -> tuple[Tensor, ...]:
    """`read`, which gives so many `numbers` [n], piece by piece, and each piece again on the way back: for heads that
    are more than a matrix product, and for what is no function of two sums, a nucleus or the distance to a teacher."""
    parts = [
        cast("tuple[Tensor, ...]", checkpoint(read, hidden_N_H[part], token_N[part], part, use_reentrant=False))
        for part in _pieces(hidden_N_H, vocabulary, piece_of(hidden_N_H.device))
    ]
    columns = zip(*parts, strict=True) if parts else ((hidden_N_H.new_zeros(0),),) * numbers
    return tuple(torch.cat(column) for column in columns)


class _Chosen(torch.autograd.Function):
    """See the module's docstring."""

    @staticmethod
    def forward(
        ctx: Any, hidden_N_H: Tensor, weight_V_H: Tensor, bias_V: Tensor | None, token_N: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Piece by piece: products, then L and H of each row. The products of the last piece are kept."""
        ctx.set_materialize_grads(False)  # of entropies that no loss asks for
        ctx.temperature = temperature
        logp_N, total_N, entropy_N = (hidden_N_H.new_empty(len(token_N), dtype=torch.float32) for _ in range(3))
        sums, Wh = kernel(_sums, weight_V_H), hidden_N_H.new_zeros(0)
        for part in _pieces(hidden_N_H, len(weight_V_H), _held(hidden_N_H)):
            del Wh  # before there are others
            Wh = _product(hidden_N_H[part], weight_V_H.T)
            for rows, of_all in _blocks(Wh, part):
                total_N[of_all], entropy_N[of_all], z_N = sums(Wh[rows], bias_V, temperature, token_N[of_all])
                logp_N[of_all] = z_N - total_N[of_all]
        ctx.save_for_backward(hidden_N_H, weight_V_H, bias_V, token_N, logp_N, total_N, entropy_N)
        ctx.kept = Wh
        return logp_N, entropy_N

    @staticmethod
    def backward(ctx: Any, logp_grad_N: Tensor | None, entropy_grad_N: Tensor | None) -> Any:  # type: ignore[override]
        """The same pieces, from the last one on."""
        hidden_N_H, weight_V_H, bias_V, token_N, logp_N, total_N, entropy_N = ctx.saved_tensors
        kept, ctx.kept = ctx.kept, None
        hidden_grad = torch.empty_like(hidden_N_H)
        weight_grad = None
        bias_grad = None if bias_V is None else torch.zeros_like(bias_V, dtype=torch.float32)
        g_N = torch.zeros_like(logp_N) if logp_grad_N is None else logp_grad_N / ctx.temperature
        g_H_N = None if entropy_grad_N is None else entropy_grad_N / ctx.temperature
        # dz = g (1_y − p) − g_H p ⊙ (z − Σ p z), here what it is at y
        off_N = 0.0 if g_H_N is None else g_H_N * (logp_N.clamp(min=_LEAST) + entropy_N)
        slope_y_N = g_N - logp_N.exp() * (g_N + off_N)
        slope = kernel(_slope, weight_V_H)
        for part in reversed(_pieces(hidden_N_H, len(weight_V_H), _held(hidden_N_H))):
            Wh = _product(hidden_N_H[part], weight_V_H.T) if kept is None else kept
            kept, dz = None, _room(Wh, hidden_N_H.dtype)
            for rows, of_all in _blocks(Wh, part):
                g_H = None if g_H_N is None else g_H_N[of_all]
                slope(Wh[rows], bias_V, ctx.temperature, total_N[of_all], entropy_N[of_all], g_N[of_all], g_H, dz[rows])
            del Wh
            dz[torch.arange(len(dz), device=dz.device), token_N[part]] = slope_y_N[part].to(dz.dtype)
            if bias_grad is not None:
                bias_grad += dz.sum(dim=0, dtype=torch.float32)
            hidden_grad[part] = _product(dz, weight_V_H)
            if ctx.needs_input_grad[1]:  # the output layer stands still where LoRA learns
                more = _product(dz.T, hidden_N_H[part])
                weight_grad = more if weight_grad is None else weight_grad.float().add_(more)
        bias_grad = None if bias_V is None or bias_grad is None else bias_grad.to(bias_V.dtype)
        return hidden_grad, None if weight_grad is None else weight_grad.to(weight_V_H.dtype), bias_grad, None, None


def piece_of(device: torch.device) -> int:
    """How many logits are in memory at once."""
    return _PIECE.get(device.type, _LARGE_PIECE)


def _held(hidden_N_H: Tensor) -> int:
    """How many products are: on a CPU they are all that is as large, in the place of three times as many in fp32."""
    most = piece_of(hidden_N_H.device)
    return most if hidden_N_H.device.type != "cpu" else 3 * 4 * most // hidden_N_H.element_size()


def _pieces(hidden_N_H: Tensor, vocabulary: int, most: int) -> list[slice]:
    """Which rows are read at once: pieces of one size, nearly, for the last one is kept."""
    N = len(hidden_N_H)
    count = -(-N // max(1, most // vocabulary))
    size = max(1, -(-N // max(1, count)))
    return [slice(start, start + size) for start in range(0, N, size)]


def _blocks(Wh_N_V: Tensor, part: slice) -> Iterator[tuple[slice, slice]]:
    """Which rows of a piece are in fp32 at once, by their numbers there and among all: on a CPU so few that they stay
    in its cache."""
    N, V = Wh_N_V.shape
    size = N if Wh_N_V.device.type != "cpu" else max(1, _BLOCK // V)
    for start in range(0, N, size):
        rows = slice(start, min(start + size, N))
        yield rows, slice(part.start + rows.start, part.start + rows.stop)


def _room(Wh_N_V: Tensor, dtype: torch.dtype) -> Tensor:
    """Where dz goes: on a CPU to the place of what it is made of, if the type is the same."""
    here = Wh_N_V.device.type == "cpu" and Wh_N_V.dtype == dtype
    return Wh_N_V if here else torch.empty_like(Wh_N_V, dtype=dtype)


def _logits(Wh: Tensor, bias_V: Tensor | None, temperature: float) -> Tensor:
    """z, float32 [N, V]; −inf where a bias is, as some models have it for unused tokens."""
    z = Wh.float()
    if bias_V is not None:
        z = z + bias_V
    return z if temperature == 1 else z / temperature


def _sums(Wh: Tensor, bias_V: Tensor | None, temperature: float, token_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L = log Σ exp z, H = L − Σ p z and z_y of each row, [N]: with m = max z and e = exp(z − m), L = m + log Σ e."""
    z = _logits(Wh, bias_V, temperature)
    m = z.amax(dim=-1, keepdim=True)
    e = (z - m).exp_()
    total = e.sum(dim=-1)
    L = m[:, 0] + total.log()
    # where z is −inf, 0 · z counts 0; a NaN is in L as well
    H = L - e.mul_(z).nan_to_num_(nan=0.0).sum(dim=-1) / total
    return L, H, z.gather(-1, token_N[:, None])[:, 0]


def _slope(
    Wh: Tensor,
    bias_V: Tensor | None,
    temperature: float,
    L: Tensor,
    H: Tensor,
    g: Tensor,
    g_H: Tensor | None,
    dz: Tensor,
) -> None:
    """dz = −g p − g_H p ⊙ (z − Σ p z), [N, V]."""
    z = _logits(Wh, bias_V, temperature)
    g = g[:, None]
    if g_H is not None:
        g = g + g_H[:, None] * (z.clamp(min=_LEAST) - (L - H)[:, None])
    dz.copy_((z - L[:, None]).exp_().mul_(-g))
