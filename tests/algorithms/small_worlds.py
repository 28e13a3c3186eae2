"""Three worlds whose every probability can be written down, with rewards in {0, 1} and three actions each.

    bandit    one state; arm 2 pays
    chain     five states from left to right; an action goes left, stays or goes right; who reaches the last is paid
    language  two prompts, a word of two letters; state: the prompt and the letters so far; one word of nine pays each

An episode is a row. The optimum is 1 in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from algorithms_batches import TabularPolicy
from torch import Tensor, nn

from peripatos.envs.vocabulary import Batch

ACTIONS, STEPS = 3, 12
BANDIT, CHAIN, LANGUAGE = 0, 1, 6  # where their states begin: 1, 5, and 2 · (1 + 3)
STATES = 14
STARTS = {"bandit": [BANDIT], "chain": [CHAIN], "language": [LANGUAGE, LANGUAGE + 4]}
WORDS = {LANGUAGE: (1, 2), LANGUAGE + 4: (0, 1)}  # by the state that is the prompt


class Table(TabularPolicy):
    """π and V as tables, uniform and 0 at first."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(STATES, ACTIONS, dtype=torch.float64))
        self.values = nn.Parameter(torch.zeros(STATES, dtype=torch.float64))


def step(state: int, action: int) -> tuple[int | None, float]:
    """The next state (None: over) and the reward."""
    if state == BANDIT:
        return None, float(action == 2)
    if state < LANGUAGE:
        after = min(max(state + action - 1, CHAIN), CHAIN + 4)
        return (None, 1.0) if after == CHAIN + 4 else (after, 0.0)
    prompt = LANGUAGE + 4 * ((state - LANGUAGE) // 4)
    if state == prompt:
        return prompt + 1 + action, 0.0
    return None, float((state - prompt - 1, action) == WORDS[prompt])


NEXT, REWARD = torch.full((STATES, ACTIONS), -1), torch.zeros(STATES, ACTIONS, dtype=torch.float64)
for s in range(STATES):
    for a in range(ACTIONS):
        after, REWARD[s, a] = step(s, a)
        NEXT[s, a] = -1 if after is None else after


def paid(policy: Table) -> Tensor:
    """[STATES]: the probability of being paid within `STEPS` of each state, differentiable."""
    p, V = torch.softmax(policy.logits, dim=-1), torch.zeros(STATES, dtype=torch.float64)
    for _ in range(STEPS):
        V = (p * (REWARD + torch.where(NEXT >= 0, V[NEXT.clamp(min=0)], 0.0))).sum(-1)
    return V


def expert(sure: float = 6.0) -> Table:
    """Who takes the paid way nearly always: `sure` is the logit of the right action over the others."""
    policy = Table()
    with torch.no_grad():
        policy.logits[:LANGUAGE, 2] = sure
        for prompt, (first, second) in WORDS.items():
            policy.logits[prompt, first] = policy.logits[prompt + 1 + first, second] = sure
    return policy


@torch.no_grad()
def value(policy: Table, world: str) -> float:
    """The mean probability of being paid, from all of the world's starts."""
    return float(paid(policy)[STARTS[world]].mean())


@torch.no_grad()
def play(policy: Table, starts: Sequence[int], size: int, draw: torch.Generator, version: int) -> Batch:
    """`size` episodes from each of `starts`, a group each."""
    first = torch.tensor(starts).repeat_interleave(size)
    B, logp = len(first), torch.log_softmax(policy.logits, dim=-1)
    state, action = torch.zeros(B, STEPS, dtype=torch.long), torch.zeros(B, STEPS, dtype=torch.long)
    mask, now = torch.zeros(B, STEPS, dtype=torch.bool), first
    for t in range(STEPS):
        mask[:, t], state[:, t] = now >= 0, now.clamp(min=0)
        action[:, t] = torch.multinomial(logp[state[:, t]].exp(), 1, generator=draw)[:, 0]
        now = torch.where(now >= 0, NEXT[state[:, t], action[:, t]], -1)
    position = torch.arange(STEPS).expand(B, STEPS)
    number, nothing = torch.arange(B), torch.zeros(B, STEPS, dtype=torch.float64)
    return Batch(
        inputs={"state_B_T": state, "action_B_T": action},
        mask_B_T=mask,
        behavior_logp_B_T=torch.where(mask, logp[state, action], nothing),
        reward_B_T=torch.where(mask, REWARD[state, action], nothing),
        turn_B_T=position,
        end_B_T=position == mask.sum(dim=1, keepdim=True) - 1,
        bootstrap_B_T=nothing,
        value_B_T=torch.where(mask, policy.values[state], nothing),
        episode_B=number,
        group_B=number // size,
        version_B=torch.full((B,), version),
        bundle_B=number,
        notes={"observed_B_T": torch.zeros_like(mask)},
    )
