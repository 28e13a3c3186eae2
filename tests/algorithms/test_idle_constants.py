"""Over the whole table: a constant that a scenario may write moves something.

Nothing is listed here: rows, constants and their values are found, so that a new one is tried by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch
from torch import Tensor

from peripatos.algorithms.credit import assign_credit
from peripatos.algorithms.idle_constants import idle_constants
from peripatos.algorithms.judged_rewards import JudgedRewards
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.method_words import constants
from peripatos.algorithms.methods import METHODS, Method, method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.algorithms.rewards import turn_ends
from peripatos.algorithms.shapes import steps
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Batch, Collection, Episode

NUMBERS = (0.3, 2, 0.05, 5, 0.9, 1.1, 1.0, 0.0, 30.0)
SAMPLE = ("rejection_sampling", "nsr", "ppo_kl", "gspo", "skywork_or1", "online_dpo")
LONGEST, LIMIT = 12, 5  # most units of an episode, and of a reply
UPDATES = 2  # some constants move between two updates
FEW_STEPS = {"epochs": 2, "minibatches": 2}


def policy_of(certain: bool) -> TabularPolicy:
    """One that is in doubt everywhere, or nearly certain."""
    policy = TabularPolicy(3)
    policy.logits.data *= 30 if certain else 0.7
    return policy


@cache
def batches(segments: bool, certain: bool) -> list[Batch]:
    """Batches with everything in it that a constant may ask for: ratios on both sides of every clip, sequences left
    behind, observations, replies that were cut, named terms, a group that teaches nothing; several turns, and where
    there is a critic several episodes in a row."""
    return [_batch(version, segments, certain) for version in range(UPDATES)]


def _batch(version: int, segments: bool, certain: bool) -> Batch:
    batch = random_batch(version, rows=24, length=LONGEST, groups=4)
    draw = torch.Generator().manual_seed(version)
    flat, mask = batch.group_B[:, None] == 2, batch.mask_B_T
    score = policy_of(certain).score(batch.inputs)
    noise = torch.randn(mask.shape, generator=draw, dtype=torch.float64)
    noise[::5, 0] = -12.0  # a few ratios beyond 20
    left = torch.randn(24, 1, generator=draw, dtype=torch.float64)
    notes = {
        "cut_B_T": mask & (torch.rand(mask.shape, generator=draw) < 0.2),
        **{f"term_{n}_B": torch.randn(24, generator=draw, dtype=torch.float64) for n in "ab"},
    }
    batch = replace(
        batch,
        behavior_logp_B_T=torch.where(mask, score.logp_B_T.detach() + 0.3 * noise + 0.3 * left, 0.0),
        value_B_T=torch.where(mask, score.value_B_T.detach() + noise, 0.0),
        reward_B_T=torch.where(flat, 1.0 * batch.end_B_T, batch.reward_B_T + 0.5 * mask),
        notes=batch.notes | notes,
        version_B=batch.version_B + version,
    )
    if not segments:
        return batch
    end = batch.end_B_T | (mask & (torch.rand(mask.shape, generator=draw) < 0.25))
    return replace(batch, end_B_T=end, bootstrap_B_T=torch.where(end, noise, 0.0))


def completed(row: Method) -> Method:
    """With what a scenario would say of lengths."""
    update, rewards = row.update, row.rewards
    if update.aggregation == "constant_length" and update.length is None:
        update = replace(update, length=LONGEST)
    if rewards.overlong_buffer is not None or rewards.overlong_share is not None:
        limit = rewards.overlong_limit or LIMIT
        buffer = rewards.overlong_buffer or max(1, round((rewards.overlong_share or 0.0) * limit))
        rewards = replace(rewards, overlong_limit=limit, overlong_buffer=buffer)
    return replace(row, update=update, rewards=rewards)


class Opinion:
    """Of a reward model: any, of both signs, but the same of the group that teaches nothing."""

    def __call__(self, episodes: Sequence[Episode]) -> list[float]:
        return [score[-1] for score in self.turns(episodes)]

    def turns(self, episodes: Sequence[Episode]) -> list[list[float]]:
        return [
            [1.0 if e.number // 6 == 2 else 3 * math.sin(e.turns - k + e.number) for k in range(e.turns)]
            for e in episodes
        ]


def paid(judged: JudgedRewards, batch: Batch) -> Batch:
    """The batch as it is once a reward model was asked."""
    turns = turn_ends(batch, steps(batch.mask_B_T, batch.turn_B_T, batch.end_B_T, "turn")).sum(dim=1).tolist()
    episodes = [
        Episode(0, number, 0, 0, "train", 0.0, turns=count, turn_rewards=(0.0,) * count)
        for number, count in zip(batch.episode_B.tolist(), turns, strict=True)
    ]
    done = judged(Collection(batch, tuple(episodes), env_steps=0, action_units=0)).batch
    assert done is not None, "everything has a score"
    return done


def learned(row: Method, certain: bool) -> Iterator[Tensor]:
    """Every parameter after each update."""
    policy = policy_of(certain)
    settings = OptimizerSettings(lr=1e-2, max_grad_norm=1e9)
    others = {"reference": TabularPolicy(9), "teacher": TabularPolicy(8)}
    learner = Learner(policy, completed(row), settings, seed=0, **others)
    judged = JudgedRewards(Opinion(), row.rewards) if row.needs_judge else None
    for batch in batches(row.needs_critic, certain):
        shown = random_batch(7) if learner.method.imitates_beside else None
        learner.update(batch if judged is None else paid(judged, batch), shown=shown)
        yield torch.cat([p.detach().flatten() for p in policy.parameters()])


def given(name: str, overrides: Mapping[str, Mapping[str, Any]]) -> Method:
    """The row with these overrides; of several steps on a batch, few."""
    update = METHODS[name].update
    few = FEW_STEPS if update.epochs * update.minibatches > 1 else {}
    changed = {**overrides, "update": {**few, **overrides.get("update", {})}}
    if "minibatch_units" in changed["update"]:
        changed["update"].pop("minibatches", None)
    return method(name, changed)


def values(row: Method, column: str, name: str) -> Iterator[Any]:
    """Other values of a constant, by its type; not all of them are allowed."""
    one = getattr(row, column)
    own = getattr(one, name)
    options = [part for part in _parts(get_type_hints(type(one))[name]) if get_origin(part) is Literal]
    pool = [*(value for part in options for value in get_args(part)), *([] if options else NUMBERS), None]
    yield from ([not own] if isinstance(own, bool) else [value for value in pool if value != own])


def _parts(kind: Any) -> Iterator[Any]:
    yield kind
    for part in () if get_origin(kind) is Literal else get_args(kind):
        yield from _parts(part)


def moves(name: str, column: str, constant: str, before: Mapping[bool, list[Tensor]]) -> bool:
    """Whether any value that is allowed leads anywhere else than the row's own; True where none is allowed."""
    tried = False
    for value in values(METHODS[name], column, constant):
        try:
            row = given(name, {column: {constant: value}})
        except UserError:
            continue
        tried = True
        for certain, ends in before.items():
            if any(not torch.equal(x, y) for x, y in zip(learned(row, certain), ends, strict=True)):
                return True
    return not tried


@pytest.mark.parametrize(
    "name", [name if name in SAMPLE else pytest.param(name, marks=pytest.mark.exhaustive) for name in METHODS]
)
def test_every_constant_that_may_be_written_moves_something(name: str) -> None:
    before = {certain: list(learned(given(name, {}), certain)) for certain in (False, True)}
    still = []
    for place, _ in constants(METHODS[name]):
        column, _, constant = place.partition(".")
        if not moves(name, column, constant, before):
            still.append(place)
    assert not still


@pytest.mark.parametrize("name", [n for n, row in METHODS.items() if row.source == "own" and not row.needs_critic])
def test_a_scale_of_returns_is_idle_exactly_where_it_leaves_advantages_alone(name: str) -> None:
    row, batch = METHODS[name], random_batch(0, rows=24, length=LONGEST, groups=4)
    batch = replace(batch, notes={**batch.notes, "energy_B_T": torch.ones_like(batch.reward_B_T)})
    sizes = (0.1, 1000.0)  # on both sides of a verdict's threshold
    scaled = [replace(batch, reward_B_T=size * batch.reward_B_T) for size in sizes]
    small, large = (assign_credit(one, row.credit).advantage_B_T for one in scaled)
    idle = any((column, constant) == ("rewards", "scale") for column, constant, _, _ in idle_constants(row))
    assert idle is (torch.allclose(small, large, rtol=1e-3) or row.compares)
