"""The control agent: two small tanh networks, an actor and a critic, over normalised observations.

    Box        a ~ N(μ(s), diag σ²),  log π(a|s) = Σ_i [ −½((a_i − μ_i)/σ_i)² − log σ_i − ½ log 2π ]
    Discrete   a ~ softmax(logits(s))

log σ is a parameter that does not depend on the state, and is put back to −3 where an update took it below. The
action is kept as it was drawn; the world clips it to its bounds, so that the log-probability stays that of a
Gaussian. Observations are normalised by running statistics that move only in `advance`.
Chance enters through `draw`, from NumPy streams, so that what one world draws cannot depend on another. (How its sums
are rounded can: a matrix product is bit for bit the same for an equal number of rows only.)

With a memory both networks read what it holds beside the observation (`memory.GatedMemory`), and rows stay whole.

Left out: shared trunks, squashed Gaussians, state-dependent σ.
Details follow Andrychowicz et al. 2021 (arXiv 2006.05990) and Huang et al. 2022 ("37 details of PPO").
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...envs.vocabulary import Batch
from ..protocols import Act, Scores
from ..running_moments import RunningMoments
from .memory import GatedMemory

_CLIP = 10.0  # normalised observations stay within ± this
_LEAST_LOG_STD = -3.0  # exact demonstrations would take σ to zero, and nothing could be explored afterwards
_GREEDY_ROWS = 128  # in one forward pass without chance
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class ActorCritic(nn.Module):
    """A `Policy` for worlds with Box observations and Box or Discrete actions.

    Inputs of `score`: `observation` [..., D] float32 as the world gave it, and `action` [..., A] float32
    (Box) or [...] int64 counted from zero (Discrete). With a memory also `memory_B_H` and `first_B_T` (see
    `GatedMemory.scan`), unless each row is a whole episode.
    """

    def __init__(
        self,
        observation_size: int,
        action_space: Box | Discrete,
        *,
        hidden: Sequence[int] = (128, 128),
        log_std: float = -0.5,
        critic: bool = True,
        memory: int = 0,
        seed: int = 0,
    ) -> None:
        """`log_std` is where log σ begins; `memory` is how many numbers are remembered of an episode; `seed` draws the
        weights."""
        super().__init__()
        self.memoryless = not memory
        self.has_critic = critic
        self.discrete = isinstance(action_space, Discrete)
        self.outputs = int(action_space.n) if isinstance(action_space, Discrete) else math.prod(action_space.shape)
        generator = torch.Generator().manual_seed(seed)
        self.actor = _mlp([observation_size + memory, *hidden, self.outputs], 0.01, generator)
        self.critic = _mlp([observation_size + memory, *hidden, 1], 1.0, generator) if critic else None
        self.memory = GatedMemory(observation_size, memory, generator) if memory else None
        self.log_std = None if self.discrete else nn.Parameter(torch.full((self.outputs,), log_std))
        self.observations = RunningMoments(observation_size)
        self._action = "action_B_T" if self.discrete else "action_B_T_A"  # its name among the inputs
        self._architecture = {
            "observation_size": observation_size,
            "action": "discrete" if self.discrete else "box",
            "action_size": self.outputs,
            "hidden": list(hidden),
            "critic": critic,
            "memory": memory or None,  # of policies that were saved without this entry as well
        }

    # --- learning ---------------------------------------------------------------------------------------

    def score(self, inputs: Mapping[str, Tensor]) -> Scores:
        """`logp, entropy, value` [...] of the units in `inputs`, differentiable."""
        seen = self.observations.normalize(inputs["observation_B_T_D"], clip=_CLIP)
        if self.memory is not None:
            seen = self.memory.scan(seen, inputs.get("memory_B_H"), inputs.get("first_B_T"))
        logp, entropy = self._logp_entropy(self.actor(seen), inputs[self._action])
        return Scores(logp, entropy, self._value(seen))

    @torch.no_grad()
    def advance(self, batch: Batch) -> None:
        """Let the statistics of observations take in this batch's units, and keep σ above its floor."""
        if self.log_std is not None:
            self.log_std.clamp_(min=_LEAST_LOG_STD)
        self.observations.update(batch.inputs["observation_B_T_D"][batch.mask_B_T])

    def module(self) -> nn.Module:
        """Itself."""
        return self

    # --- acting -----------------------------------------------------------------------------------------

    def draw(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """The chance in `steps` actions: standard normals [steps, A], or uniforms [steps, 1] for Discrete.

        Drawing 3 and then 4 gives the same numbers as drawing 7.
        """
        if self.discrete:
            return rng.random((steps, 1))
        return rng.standard_normal((steps, self.outputs), dtype=np.float32)

    def begin(self, n: int) -> np.ndarray:
        """An empty memory for each [n, H]; [n, 0] for an agent without."""
        return np.zeros((n, 0 if self.memory is None else self.memory.size), np.float32)

    @torch.no_grad()
    def act(
        self,
        observation_N_D: np.ndarray,
        noise_N_K: np.ndarray | None = None,
        memory_N: np.ndarray | None = None,
    ) -> Act:
        """A step of N worlds in one forward pass; the likeliest action where there is no noise. `noise_N_K` is a step's
        row of `draw` for each world.

        How a matrix product rounds depends on how many rows it has. Without noise there are always multiples of
        128 of them, so that an evaluated episode does not depend on how many others are played beside it.
        """
        device, N = self.observations.mean.device, len(observation_N_D)
        memory_N = self.begin(N) if memory_N is None else memory_N
        if noise_N_K is None and (missing := -N % _GREEDY_ROWS):
            acted = self.act(_padded(observation_N_D, missing), None, _padded(memory_N, missing))
            return Act(*(column[:N] for column in acted))
        seen, memory_N = self._seen(observation_N_D, memory_N)
        head = self.actor(seen)
        noise = None if noise_N_K is None else torch.as_tensor(noise_N_K, device=device)
        if self.log_std is None:
            action = head.argmax(-1) if noise is None else _inverse_cdf(head, noise[:, 0])
        else:
            action = head if noise is None else head + self.log_std.exp() * noise
        logp, _ = self._logp_entropy(head, action)
        return Act(action.cpu().numpy(), logp.cpu().numpy(), self._value(seen).cpu().numpy(), memory_N)

    @torch.no_grad()
    def value(self, observation_M_D: np.ndarray, memory_M: np.ndarray | None = None) -> np.ndarray:
        """V of M states [M]; zeros without a critic."""
        seen, _ = self._seen(observation_M_D, self.begin(len(observation_M_D)) if memory_M is None else memory_M)
        return self._value(seen).cpu().numpy()

    def _seen(self, observation_N_D: np.ndarray, memory_N_H: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """What actor and critic read at one step, and what is remembered behind it."""
        device = self.observations.mean.device
        seen = self.observations.normalize(torch.as_tensor(observation_N_D, device=device), clip=_CLIP)
        if self.memory is None:
            return seen, memory_N_H
        seen, memory = self.memory.step(seen, torch.as_tensor(memory_N_H, device=device))
        return seen, memory.cpu().numpy()

    # --- files ------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write `policy.safetensors` (weights and statistics) and `policy.json` (what they fit)."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, folder / "policy.safetensors")
        (folder / "policy.json").write_text(json.dumps(self._architecture, indent=1) + "\n")

    def load(self, folder: Path, *, critic_too: bool = True) -> None:
        """Read what `save` wrote; the critic as well, unless told otherwise. `ValueError` says which entry of the
        architecture differs, or that the file is damaged."""
        found = json.loads((folder / "policy.json").read_text())
        for name, mine in self._architecture.items():
            if found.get(name) != mine and (critic_too or name != "critic"):
                raise ValueError(f"{folder} holds a policy with {name} {found.get(name)}; this one has {mine}")
        try:
            tensors = load_file(folder / "policy.safetensors")
            if not critic_too:
                own = {name: x for name, x in self.state_dict().items() if name.startswith("critic.")}
                tensors = {name: x for name, x in tensors.items() if not name.startswith("critic.")} | own
            self.load_state_dict(tensors)
        except (RuntimeError, SafetensorError) as error:
            raise ValueError(f"{folder / 'policy.safetensors'} cannot be read as this policy: {error}") from error

    # --- the distribution -------------------------------------------------------------------------------

    def _logp_entropy(self, head: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        if self.log_std is None:
            logp = head.log_softmax(-1)
            return logp.gather(-1, action[..., None])[..., 0], -(logp.exp() * logp).sum(-1)
        # −½((a − μ)/σ)² summed first: what depends on σ alone is one scalar
        distance = ((action - head) * (-self.log_std).exp()).square().sum(-1)
        log_scale = self.log_std.sum() + self.outputs * _HALF_LOG_2PI
        return -0.5 * distance - log_scale, (log_scale + 0.5 * self.outputs).expand(distance.shape)

    def _value(self, seen: Tensor) -> Tensor:
        return seen.new_zeros(seen.shape[:-1]) if self.critic is None else self.critic(seen)[..., 0]


def _mlp(sizes: Sequence[int], last_gain: float, generator: torch.Generator) -> nn.Sequential:
    """tanh between linear layers; orthogonal weights with gain √2, and `last_gain` in the last layer."""
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        linear = nn.Linear(inputs, outputs)
        last = i == len(sizes) - 2
        nn.init.orthogonal_(linear.weight, last_gain if last else math.sqrt(2.0), generator=generator)
        nn.init.zeros_(linear.bias)
        layers += [linear] if last else [linear, nn.Tanh()]
    return nn.Sequential(*layers)


def _padded(rows: np.ndarray, missing: int) -> np.ndarray:
    """`rows`, and so many of zeros behind them."""
    return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)])


def _inverse_cdf(logits: Tensor, uniform: Tensor) -> Tensor:
    """The category in which `uniform` [N] falls, under softmax(logits) [N, K]."""
    cdf = logits.double().softmax(-1).cumsum(-1)
    return (cdf < uniform[:, None]).sum(-1).clamp(max=logits.shape[-1] - 1)
