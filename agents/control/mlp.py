"""The control agent: two small tanh networks, an actor and a critic, over the features of an encoder.

    features = encoder(s)      π(a|s) = head(actor(features))      V(s) = critic(features)

The head is a Gaussian, choices, or both (`action_head`). log σ is a parameter that does not depend on the state, and is
put back to −3 where an update took it below; both are in the units of the actions' bounds (`acted_as`). The action is
kept as it was drawn, in the world's own; the world clips it to its bounds, so that the log-probability stays that of a
Gaussian. The features of numbers are the numbers, normalised; those of
pictures are learned, for actor and critic at once (`encoders`).
Chance enters through `draw`, from NumPy streams, so that what one world draws cannot depend on another. (How its sums
are rounded can: a matrix product is bit for bit the same for an equal number of rows only.)

With a memory both networks read what it holds beside the features (`memory.GatedMemory`), and rows stay whole.
With a mirror the critic gives a state and its image one value, V(s) = ½ (f(s) + f(Ms)). The actor does not: one that
acts alike on both sides cannot take the first step out of a pose that is its own image.

Left out: shared trunks behind the encoder, squashed Gaussians, state-dependent σ.
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
from gymnasium.spaces import Discrete
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...envs.control.flat_spaces import StoredActions
from ...envs.control.symmetry import Mirror
from ...envs.vocabulary import Batch
from ..protocols import Act, Scores
from ..running_moments import RunningMoments
from .action_head import ActionHead
from .encoders import Encoder, Size
from .memory import GatedMemory
from .mirror_image import MirrorImage

_LEAST_LOG_STD = -3.0  # exact demonstrations would take σ to zero, and nothing could be explored afterwards
_GREEDY_ROWS, _GREEDY_PICTURES = 128, 8  # in one forward pass without chance


class ActorCritic(nn.Module):
    """A `Policy` for bodies: `observation_size` numbers and `pictures` (channels, height, width) are seen, and an
    action of `action_space` is chosen, as batches store it.

    Inputs of `score`: `observation_B_T_D` [..., D] float32 as the world gave it, `pixels_B_T_P` [..., P] uint8 where
    there are pictures, and `action_B_T_A` [..., A] float32 (Box, Tuple) or int64 (MultiDiscrete, counted from zero), or
    `action_B_T` [...] int64 counted from zero (Discrete). With a memory also `memory_B_H` and `first_B_T` (see
    `GatedMemory.scan`), unless each row is a whole episode.
    """

    def __init__(
        self,
        observation_size: int,
        action_space: StoredActions,
        *,
        pictures: Sequence[Size] = (),
        hidden: Sequence[int] = (128, 128),
        log_std: float = -0.5,
        critic: bool = True,
        memory: int = 0,
        mirror: Mirror | None = None,
        seed: int = 0,
    ) -> None:
        """`log_std` is where log σ begins; `memory` is how many numbers are remembered of an episode; by `mirror` the
        critic sees the image of a state; `seed` draws the weights."""
        super().__init__()
        self.memoryless = not memory
        self.has_critic = critic
        self.discrete = isinstance(action_space, Discrete)
        self.head = head = ActionHead(action_space)
        generator = torch.Generator().manual_seed(seed)
        self.encoder = Encoder(observation_size, pictures, generator)
        seen = self.encoder.size + memory
        self.actor = _mlp([seen, *hidden, head.outputs], 0.01, generator)
        self.critic = _mlp([seen, *hidden, 1], 1.0, generator) if critic else None
        self.memory = GatedMemory(self.encoder.size, memory, generator) if memory else None
        self.mirror = MirrorImage(mirror) if mirror else None
        self.log_std = nn.Parameter(torch.full((head.real,), log_std)) if head.real else None
        self._greedy_rows = _GREEDY_PICTURES if pictures else _GREEDY_ROWS
        self._architecture = {
            "observation_size": observation_size,
            "pictures": [list(size) for size in pictures],
            "action": "box" if not head.choices else "mixed" if head.real else "discrete",
            "action_size": head.outputs,
            "choices": list(head.choices),
            "action_units": None if head.units is None else [side.tolist() for side in head.units],
            "hidden": list(hidden),
            "critic": critic,
            "memory": memory or None,
            "symmetry": "critic" if mirror else None,
        }

    @property
    def observations(self) -> RunningMoments:
        """The statistics of the numbers that are seen."""
        return self.encoder.observations

    # --- learning ---------------------------------------------------------------------------------------

    def score(self, inputs: Mapping[str, Tensor]) -> Scores:
        """`logp, entropy, value` [...] of the units in `inputs`, differentiable."""
        seen = self._read(inputs)
        logp, entropy = self.head.logp_entropy(self.actor(seen), self.log_std, inputs[self.head.name])
        return Scores(logp, entropy, self._value(seen))

    def compare(self, inputs: Mapping[str, Tensor], teacher: ActorCritic) -> tuple[Scores, Tensor]:
        """As `Comparable`, in closed form."""
        with torch.no_grad():
            theirs = teacher.actor(teacher._read(inputs))
        seen = self._read(inputs)
        own = self.actor(seen)
        logp, entropy = self.head.logp_entropy(own, self.log_std, inputs[self.head.name])
        apart = self.head.divergence(own, self.log_std, theirs, teacher.log_std)
        return Scores(logp, entropy, self._value(seen)), apart

    def energy(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """As `Energetic`, by autograd from the numbers at the end of the network."""
        with torch.no_grad():
            head, log_std = self.actor(self._read(inputs)), None if self.log_std is None else self.log_std.detach()
        with torch.enable_grad():
            logp, _ = self.head.logp_entropy(head.requires_grad_(), log_std, inputs[self.head.name])
            (slope,) = torch.autograd.grad(logp.sum(), head)
        return slope.square().sum(-1)

    def _read(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The features of what is seen and remembered at each unit."""
        seen = self.encoder.read(inputs)
        if self.memory is None:
            return seen
        return self.memory.scan(seen, inputs.get("memory_B_H"), inputs.get("first_B_T"))

    @torch.no_grad()
    def advance(self, batch: Batch) -> None:
        """Let the statistics of observations take in this batch's units, and keep σ above its floor."""
        if self.log_std is not None:
            self.log_std.clamp_(min=_LEAST_LOG_STD)
        self.encoder.advance(batch, self.mirror)

    def module(self) -> nn.Module:
        """Itself."""
        return self

    # --- acting -----------------------------------------------------------------------------------------

    def draw(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """The chance in `steps` actions [steps, K], as `ActionHead.draw`."""
        return self.head.draw(rng, steps)

    def begin(self, n: int) -> np.ndarray:
        """An empty memory for each [n, H]; [n, 0] for an agent without."""
        return np.zeros((n, 0 if self.memory is None else self.memory.size), np.float32)

    def act(
        self,
        observation_N_D: np.ndarray,
        noise_N_K: np.ndarray | None = None,
        memory_N: np.ndarray | None = None,
    ) -> Act:
        """A step of N worlds in one forward pass; the likeliest action where there is no noise. `noise_N_K` is a step's
        row of `draw` for each world.

        How a matrix product rounds depends on how many rows it has. Without noise there are always 128 of them (8 where
        there are pictures), so that an evaluated episode does not depend on how many others are played beside it.
        """
        memory_N = self.begin(len(observation_N_D)) if memory_N is None else memory_N
        if noise_N_K is not None:
            return self._act(observation_N_D, noise_N_K, memory_N)
        N, rows = len(observation_N_D), self._greedy_rows
        seen, memory = _padded(observation_N_D, -N % rows), _padded(memory_N, -N % rows)
        parts = [
            self._act(seen[start : start + rows], None, memory[start : start + rows])
            for start in range(0, len(seen), rows)
        ]
        return Act(*(np.concatenate(column)[:N] for column in zip(*parts, strict=True)))

    @torch.no_grad()
    def _act(self, observation_N_D: np.ndarray, noise_N_K: np.ndarray | None, memory_N_H: np.ndarray) -> Act:
        seen, memory_N_H = self._seen(observation_N_D, memory_N_H)
        head = self.actor(seen)
        noise = None if noise_N_K is None else torch.as_tensor(noise_N_K, device=head.device)
        action = self.head.choose(head, self.log_std, noise)
        logp, _ = self.head.logp_entropy(head, self.log_std, action)
        return Act(action.cpu().numpy(), logp.cpu().numpy(), self._value(seen).cpu().numpy(), memory_N_H)

    @torch.no_grad()
    def value(self, observation_M_D: np.ndarray, memory_M: np.ndarray | None = None) -> np.ndarray:
        """V of M states [M]; zeros without a critic."""
        seen, _ = self._seen(observation_M_D, self.begin(len(observation_M_D)) if memory_M is None else memory_M)
        return self._value(seen).cpu().numpy()

    def _seen(self, observation_N_D: np.ndarray, memory_N_H: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """What actor and critic read at one step, and what is remembered behind it."""
        seen = self.encoder.look(observation_N_D)
        if self.memory is None:
            return seen, memory_N_H
        seen, memory = self.memory.step(seen, torch.as_tensor(memory_N_H, device=seen.device))
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
            if found.get(name) != mine and (critic_too or name not in ("critic", "symmetry")):
                raise ValueError(f"{folder} holds a policy with {name} {found.get(name)}; this one has {mine}")
        try:
            tensors = load_file(folder / "policy.safetensors")
            if not critic_too:
                own = {name: x for name, x in self.state_dict().items() if name.startswith("critic.")}
                tensors = {name: x for name, x in tensors.items() if not name.startswith("critic.")} | own
            self.load_state_dict(tensors)
        except (RuntimeError, SafetensorError) as error:
            raise ValueError(f"{folder / 'policy.safetensors'} cannot be read as this policy: {error}") from error

    def _value(self, seen: Tensor) -> Tensor:
        if self.critic is None:
            return seen.new_zeros(seen.shape[:-1])
        if self.mirror is None:
            return self.critic(seen)[..., 0]
        # V(s) = ½ (f(s) + f(Ms))
        return self.critic(torch.stack([seen, self.mirror(seen)]))[..., 0].mean(0)


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
