"""One small update of every kind, in both worlds: what the tests of devices move about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents_worlds import Echo
from gymnasium.spaces import Box, Discrete

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.mlp import ActorCritic
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.protocols import Policy
from peripatos.algorithms.methods import Method, method
from peripatos.envs.vocabulary import Batch
from peripatos.envs.world_source import WorldSource


def moves(seed: int = 0, *, rows: int = 4, discrete: bool = False, segments: bool = True) -> tuple[ActorCritic, Batch]:
    world, size, action = ("CartPole-v1", 4, Discrete(2)) if discrete else ("Pendulum-v1", 3, Box(-2, 2, (1,)))
    policy = ActorCritic(size, action, hidden=[8], critic=segments, seed=seed)
    actor = ControlActor(policy, WorldSource(world), mode="segments" if segments else "episodes", horizon=8)
    batch = actor.collect(range(rows), 1 if segments else 2, seed=seed, version=0).batch
    assert batch is not None
    return policy, batch


def talk(seed: int = 0, *, rows: int = 4, critic: bool = False) -> tuple[LanguagePolicy, Batch]:
    policy = LanguagePolicy(*tiny_llama(seed=seed, hidden=16, layers=1, heads=2), critic=critic)
    renderer = Renderer(policy.tokenizer)
    engine = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(Echo, engine, renderer, max_tokens=5, context=128)
    batch = actor.collect(range(rows), 2, seed=seed, version=0).batch
    actor.close()
    assert batch is not None
    return policy, batch


KL = {"weighting": {"kl": "k3", "beta": 0.1}}
UPDATES: dict[str, tuple[Callable[..., tuple[Policy, Batch]], dict[str, Any], Method]] = {
    "control: ppo": (moves, {}, method("ppo", {})),
    "control: ppo, discrete": (moves, {"discrete": True}, method("ppo", {})),
    "control: ppo, scaled rewards": (moves, {}, method("ppo", {"rewards": {"scale": "return", "clip": 10.0}})),
    "control: grpo": (moves, {"segments": False}, method("grpo", KL)),
    "control: sft": (moves, {"segments": False}, method("sft", {})),
    "language: grpo": (talk, {}, method("grpo", KL)),
    "language: grpo, most uncertain half": (talk, {}, method("grpo", {"weighting": {"entropy_share": 0.5}})),
    "language: ppo": (talk, {"critic": True}, method("ppo", {})),
    "language: reinforce": (talk, {}, method("reinforce_baseline", {"credit": {"whiten": "batch"}})),
    "language: sft": (talk, {}, method("sft", {})),
}
