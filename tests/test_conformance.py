"""Every registered method on both kinds of world: a new row of the table is tested the day it is added."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.mlp import ActorCritic
from peripatos.agents.control.scripted import RandomAgent
from peripatos.agents.language.authors import Oracle
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.protocols import Actor, Policy, Weights
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import METHODS, Method, method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.registry import make_world
from peripatos.envs.world_source import WorldSource
from peripatos.envs.worlds.maths.arithmetic import Arithmetic

WALKER = "peripatos/Walker-v0"


def row_of(name: str) -> Method:
    return method(name, {"update": {"length": 400}} if name == "dr_grpo" else {})


def make_arithmetic() -> Arithmetic:
    return Arithmetic(operators=("+",), digits=1, prompt="bare", answer_tag="number")


@cache
def beginner() -> dict[str, torch.Tensor]:
    """Weights of a model that has seen a few sums: sometimes right, so that rewards differ within a group."""
    torch.set_num_threads(1)
    policy = LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=1))
    renderer = Renderer(policy.tokenizer)
    teacher = ConversationActor(make_arithmetic, Oracle(), renderer, context=512)
    learner = Learner(policy, METHODS["sft"], OptimizerSettings(lr=1e-2), seed=0)
    for version in range(30):
        batch = teacher.collect(range(32 * version, 32 * version + 32), 1, seed=0, version=version).batch
        assert batch is not None
        learner.update(batch)
    return policy.state_dict()


def language_parts(row: Method) -> tuple[Policy, Actor]:
    policy = LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=1), critic=row.needs_head)
    policy.load_state_dict(beginner(), strict=False)
    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    engine = Oracle() if row.source == "demonstrations" else sampler
    return policy, ConversationActor(make_arithmetic, engine, renderer, context=512)


def control_parts(row: Method) -> tuple[Policy, Actor]:
    world = make_world(WALKER)
    space = world.action_space
    world.close()
    policy = ActorCritic(31, space, hidden=(16,), critic=row.needs_critic)
    behaviour = RandomAgent(space) if row.source == "demonstrations" else policy
    mode = "segments" if row.needs_critic else "episodes"
    return policy, ControlActor(behaviour, WorldSource(WALKER), mode=mode, horizon=32 if row.needs_critic else None)


def another(policy: Policy) -> Policy:
    """One of the same form that would choose otherwise."""
    other = copy.deepcopy(policy)
    with torch.no_grad():
        for weight in other.module().parameters():
            weight.mul_(0.9)
    return other


def for_bodies(row: Method) -> bool:
    """Whether it is not refused for them: none judges replies, and none hears what the world says."""
    return not row.judges and not row.update.observation_coefficient


PARTS = [(parts, name) for parts in (language_parts, control_parts) for name in METHODS]


@pytest.mark.parametrize(
    ("parts", "name"),
    [(parts, name) for parts, name in PARTS if parts is language_parts or for_bodies(METHODS[name])],
)
def test_every_method_learns_from_every_kind_of_world(parts, name: str) -> None:
    torch.set_num_threads(1)
    row = row_of(name)
    policy, actor = parts(row)
    reference = copy.deepcopy(policy) if row.needs_reference else None
    teacher = another(policy) if row.needs_teacher else None
    learner = Learner(policy, row, OptimizerSettings(lr=1e-3), seed=0, reference=reference, teacher=teacher)
    before = [p.detach().clone() for p in policy.module().parameters()]
    for version in range(2):
        groups = range(4) if row.needs_critic else range(4 * version, 4 * version + 4)
        size = 1 if row.needs_critic else 6
        collection = actor.collect(groups, size, seed=0, version=version)
        assert collection.batch is not None
        metrics = learner.update(collection.batch).metrics
        actor.load(Weights(learner.version))
        assert metrics["batch/units"] == float(collection.batch.mask_B_T.sum())
        assert all(value == value for name, value in metrics.items() if name != "value/explained_variance")
    actor.close()
    assert learner.version == 2
    moved = [not torch.equal(old, new) for old, new in zip(before, policy.module().parameters(), strict=True)]
    assert any(moved)
    assert all(p.isfinite().all() for p in policy.module().parameters())
