"""The distribution of one action, given the numbers at the end of a network.

    Box             u ~ N(μ, diag σ²),  a = c + h·u,  log π(a) = Σ_i [ −½((u_i − μ_i)/σ_i)² − log σ_i h_i − ½ log 2π ]
    Discrete        a ~ softmax(logits)
    MultiDiscrete   a_k ~ softmax(logits_k), each by itself: log π(a) = Σ_k log π_k(a_k)
    Tuple of both   a Gaussian and choices side by side: their log-probabilities and entropies are added

The units c and h of a number are by its bounds (`acted_as`): −1 ≤ u ≤ 1 is all that the world takes.
Chance is given from outside: normals for a Gaussian, a uniform for each choice; for both, uniforms that become normals
by Φ⁻¹, so that one draw for a step is one row. Left out: choices that depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from torch import Tensor

from ...envs.control.acted_as import units_of
from ...envs.control.flat_spaces import StoredActions

_LEAST = 2.0**-54  # below every uniform but 0, whose normal would be −∞
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class ActionHead:
    """Reads `outputs` numbers as the distribution over actions of `space`: `real` means in `units` (None: the world's
    own), then the logits of each of `choices`. What it is given as `log_std` [real] is log σ, None where nothing is
    real."""

    def __init__(self, space: StoredActions) -> None:
        inside = (space,) if isinstance(space, Box | Discrete | MultiDiscrete) else space.spaces
        self.real = sum(math.prod(one.shape) for one in inside if isinstance(one, Box))
        self.choices = tuple(
            int(n)
            for one in inside
            if isinstance(one, Discrete | MultiDiscrete)
            for n in ([one.n] if isinstance(one, Discrete) else one.nvec)
        )
        self.units = units_of(space)
        self._log_half = 0.0 if self.units is None else float(np.log(self.units.half.astype(np.float64)).sum())
        self.outputs = self.real + sum(self.choices)
        self._single = isinstance(space, Discrete)  # stored as [], not as [1]
        self.name = "action_B_T" if self._single else "action_B_T_A"  # among the inputs of a batch

    def draw(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """The chance in `steps` actions [steps, K]. Drawing 3 and then 4 gives the same numbers as drawing 7."""
        if not self.choices:
            return rng.standard_normal((steps, self.real), dtype=np.float32)
        return rng.random((steps, self.real + len(self.choices)))

    def choose(self, head_N_O: Tensor, log_std: Tensor | None, noise_N_K: Tensor | None) -> Tensor:
        """Actions as batches store them; the likeliest without noise."""
        mean, *logits = self._parts(head_N_O)
        if noise_N_K is not None and log_std is not None:
            normal = torch.special.ndtri(noise_N_K[:, : self.real].clamp(min=_LEAST)) if self.choices else noise_N_K
            mean = mean + log_std.exp() * normal.to(mean.dtype)
        if self.units is not None:
            middle, half = (torch.from_numpy(side).to(mean) for side in self.units)
            mean = middle + half * mean
        if not logits:
            return mean
        uniform = [None] * len(logits) if noise_N_K is None else noise_N_K[:, self.real :].unbind(1)
        chosen = [_choice(one, u) for one, u in zip(logits, uniform, strict=True)]
        if self._single:
            return chosen[0]
        return torch.cat([mean, torch.stack(chosen, -1).to(mean.dtype)], -1) if self.real else torch.stack(chosen, -1)

    def logp_entropy(self, head: Tensor, log_std: Tensor | None, action: Tensor) -> tuple[Tensor, Tensor]:
        """log π(a) and the entropy [...] of actions as batches store them."""
        mean, *logits = self._parts(head)
        told: list[tuple[Tensor, Tensor]] = []
        if log_std is not None:
            # −½((a − μ)/σ)² summed first: what depends on σ alone is one scalar
            drawn = action[..., : self.real] if self.choices else action
            if self.units is not None:
                middle, half = (torch.from_numpy(side).to(mean) for side in self.units)
                drawn = (drawn - middle) / half
            distance = ((drawn - mean) * (-log_std).exp()).square().sum(-1)
            log_scale = log_std.sum() + self._log_half + self.real * _HALF_LOG_2PI
            told.append((-0.5 * distance - log_scale, (log_scale + 0.5 * self.real).expand(distance.shape)))
        chosen = (action,) if self._single else action[..., self.real :].unbind(-1)
        for one, index in zip(logits, chosen, strict=True):
            logp = one.log_softmax(-1)
            told.append((logp.gather(-1, index.long()[..., None])[..., 0], -(logp.exp() * logp).sum(-1)))
        logp, entropy = told[0]
        for more_logp, more_entropy in told[1:]:
            logp, entropy = logp + more_logp, entropy + more_entropy
        return logp, entropy

    def divergence(self, own: Tensor, log_std: Tensor | None, other: Tensor, other_log_std: Tensor | None) -> Tensor:
        """KL(π ‖ ν) [...] of the distributions that two networks say, each with its log σ; those of ν are constants."""
        (mean, *logits), (other_mean, *other_logits) = self._parts(own), self._parts(other.detach())
        apart = mean.new_zeros(mean.shape[:-1])
        if log_std is not None and other_log_std is not None:
            # Σ log σ_ν/σ + ½(σ² + (μ − μ_ν)²)/σ_ν² − ½
            wider, precision = other_log_std.detach() - log_std, (-2 * other_log_std.detach()).exp()
            spread = 0.5 * ((2 * log_std).exp() + (mean - other_mean).square()) * precision
            apart = apart + (wider + spread - 0.5).sum(-1)
        for one, theirs in zip(logits, other_logits, strict=True):
            logp = one.log_softmax(-1)
            apart = apart + (logp.exp() * (logp - theirs.log_softmax(-1))).sum(-1)
        return apart

    def _parts(self, head: Tensor) -> Sequence[Tensor]:
        """Means, and the logits of each choice."""
        return head.split([self.real, *self.choices], -1) if self.choices else (head,)


def _choice(logits: Tensor, uniform: Tensor | None) -> Tensor:
    """The category in which `uniform` [N] falls, under softmax(logits) [N, K]; the likeliest without it."""
    if uniform is None:
        return logits.argmax(-1)
    cdf = logits.double().softmax(-1).cumsum(-1)
    return (cdf < uniform[:, None]).sum(-1).clamp(max=logits.shape[-1] - 1)
