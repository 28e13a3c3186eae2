"""Small batches and a policy whose every probability is a parameter: enough to check gradients by autograd."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from peripatos.agents.protocols import Scores
from peripatos.envs.vocabulary import Batch

STATES, ACTIONS = 7, 5


class TabularPolicy(nn.Module):
    """π(a | s) = softmax(logits[s])[a], V(s) a table. `memoryless` may be switched."""

    def __init__(self, seed: int = 0, *, critic: bool = True, memoryless: bool = False) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.logits = nn.Parameter(torch.randn(STATES, ACTIONS, generator=draw, dtype=torch.float64))
        self.values = nn.Parameter(torch.randn(STATES, generator=draw, dtype=torch.float64))
        self.has_critic, self.memoryless = critic, memoryless

    def score(self, inputs: Mapping[str, Tensor]) -> Scores:
        logp = torch.log_softmax(self.logits, dim=-1)[inputs["state_B_T"]]
        chosen = logp.gather(-1, inputs["action_B_T"][..., None])[..., 0]
        return Scores(chosen, -(logp.exp() * logp).sum(-1), self.values[inputs["state_B_T"]])

    def compare(self, inputs: Mapping[str, Tensor], teacher: TabularPolicy) -> tuple[Scores, Tensor]:
        logp, log_nu = (torch.log_softmax(table, dim=-1) for table in (self.logits, teacher.logits.detach()))
        return self.score(inputs), (logp.exp() * (logp - log_nu)).sum(-1)[inputs["state_B_T"]]

    def value(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """V of each state, and of the one that stands behind it in the row."""
        value_B_T = self.values[inputs["state_B_T"]]
        return value_B_T, torch.nn.functional.pad(value_B_T[:, 1:], (0, 1))

    def energy(self, inputs: Mapping[str, Tensor]) -> Tensor:
        p = torch.softmax(self.logits.detach(), dim=-1)[inputs["state_B_T"]]
        return 1 - 2 * p.gather(-1, inputs["action_B_T"][..., None])[..., 0] + (p**2).sum(-1)

    def hearing(self, inputs: Mapping[str, Tensor], observed_B_T: Tensor) -> Mapping[str, Tensor]:
        return inputs  # every unit is scored anyway

    def advance(self, batch: Batch) -> None: ...

    def module(self) -> nn.Module:
        return self

    def save(self, folder: Path) -> None:
        save_file(self.state_dict(), folder / "policy.safetensors")

    def load(self, folder: Path) -> None:
        self.load_state_dict(load_file(folder / "policy.safetensors"))


def random_batch(seed: int, *, rows: int = 8, length: int = 9, groups: int = 2, behavior_noise: float = 0.0) -> Batch:
    """One whole episode in each row, of ragged length, with observation units inside and rewards per turn.

    The behaviour policy is `TabularPolicy(seed)`, off by `behavior_noise` where that is not zero.
    """
    draw = torch.Generator().manual_seed(seed)
    state = torch.randint(STATES, (rows, length), generator=draw)
    action = torch.randint(ACTIONS, (rows, length), generator=draw)
    mask = torch.rand(rows, length, generator=draw) < 0.7
    lengths = torch.randint(3, length + 1, (rows,), generator=draw)
    mask &= torch.arange(length) < lengths[:, None]
    mask[:, 0] = True
    position = torch.arange(length).expand(rows, length)
    last = torch.where(mask, position, -1).max(dim=1).values
    end = torch.zeros_like(mask).scatter(1, last[:, None], True)
    inputs = {"state_B_T": state, "action_B_T": action}
    logp, _, value = TabularPolicy(seed).score(inputs)
    noise = behavior_noise * torch.randn(rows, length, generator=draw, dtype=torch.float64)
    return Batch(
        inputs=inputs,
        mask_B_T=mask,
        behavior_logp_B_T=torch.where(mask, logp.detach() + noise, 0.0),
        reward_B_T=torch.randn(rows, length, generator=draw, dtype=torch.float64) * mask,
        turn_B_T=position // 3,
        end_B_T=end,
        bootstrap_B_T=torch.zeros(rows, length, dtype=torch.float64),
        value_B_T=torch.where(mask, value.detach(), 0.0),
        episode_B=torch.arange(rows),
        group_B=torch.arange(rows) // (rows // groups),
        version_B=torch.zeros(rows, dtype=torch.long),
        bundle_B=torch.arange(rows),
        notes={"observed_B_T": ~mask & (position < last[:, None])},
    )
