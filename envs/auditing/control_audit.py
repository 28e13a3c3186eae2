"""The audit of control worlds: actions that do not look, against doing nothing and an expert where there is one.

An expert is the world's own `oracle(observation)`, a method that gives an action; else the reward threshold under which
Gymnasium has registered the world stands for one. Without either, rewards are printed and nothing is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Space

from ..reported import begin
from .blind_actions import Action, BlindAction, at_random, blind_actions, do_nothing
from .results import MOST_BLIND, Audit, Result, Row, decided, gameability, ranked

_STEPS = 2_000  # of an episode, at most
_SCREENED = 3
_FINALISTS = 4
_MOST_EPISODES = 20  # a step of a simulation costs more than a turn of a conversation

Env = gymnasium.Env[Any, Any]
Chooser = Callable[[Any, int, np.random.Generator], Action]


def audit_control(world: Env, episodes: int) -> Audit:
    """Search actions that depend on nothing that is seen."""
    space, episodes = world.action_space, min(episodes, _MOST_EPISODES)
    floor = _mean(world, _blind(do_nothing(space)), range(episodes))
    chance = _mean(world, _blind(at_random(space)), range(episodes))
    top, expert = _expert(world, episodes)
    strategies = blind_actions(space)
    seeds = range(10_000, 10_000 + _SCREENED)
    screened = {name: _mean(world, _blind(action), seeds) for name, action in strategies.items()}
    best = sorted(screened, key=lambda name: -screened[name])[:_FINALISTS]
    again = {name: _mean(world, _blind(strategies[name]), range(episodes)) for name in best}
    rows = [Row(name, again.get(name, reward), name in again) for name, reward in screened.items()]
    rows = ranked([*rows, Row("random actions", chance, True)], floor, top)
    results = [
        _maximum(rows, top, expert),
        _floor_gap(floor, chance, top, expert),
        decided("no solution leakage", None, "observations of a control world are numbers"),
        _determinism(world, space),
        gameability(rows, floor, top),
    ]
    return Audit("control", floor, top, expert, rows, results)


def _expert(world: Env, episodes: int) -> tuple[float | None, str]:
    """An expert's mean reward, and who it is."""
    oracle = getattr(world.unwrapped, "oracle", None)
    if callable(oracle):
        choose = cast("Chooser", lambda observation, step, rng: oracle(observation))
        return _mean(world, choose, range(episodes)), "the world's own oracle"
    threshold = world.spec.reward_threshold if world.spec else None
    if threshold is not None:
        return float(threshold), "the registered reward threshold"
    return None, ""


def _blind(action: BlindAction) -> Chooser:
    return lambda observation, step, rng: action(step, rng)


def _mean(world: Env, choose: Chooser, seeds: range) -> float:
    return float(np.mean([sum(_rewards(world, choose, seed)) for seed in seeds]))


def _rewards(world: Env, choose: Chooser, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    observation, _ = begin(world, seed)
    rewards: list[float] = []
    while len(rewards) < _STEPS:
        observation, reward, terminated, truncated, _ = world.step(choose(observation, len(rewards), rng))
        rewards.append(float(reward))
        if terminated or truncated:
            break
    return rewards


def _maximum(rows: list[Row], top: float | None, expert: str) -> Result:
    name = "oracle reaches the maximum"
    if top is None:
        return decided(name, None, "this world has no oracle and no registered reward threshold")
    best = max(row.reward for row in rows)
    return decided(name, best <= top, f"{expert}: {top:.4g}; the best blind actions: {best:.4g}")


def _floor_gap(floor: float, chance: float, top: float | None, expert: str) -> Result:
    shown = f"nothing {floor:.4g}, random actions {chance:.4g}"
    if top is None:
        return decided("floor gap", None, f"{shown}; no expert to compare with")
    wide = top > floor and chance - floor <= MOST_BLIND * (top - floor)
    return decided("floor gap", wide, f"{shown}, {expert} {top:.4g}")


def _determinism(world: Env, space: Space[Any]) -> Result:
    for seed in range(3):
        one, two = (_rewards(world, _blind(at_random(space)), seed) for _ in range(2))
        if one != two:
            return decided(
                "verifier determinism", False, f"seed {seed}: the same actions earned {sum(one)}, then {sum(two)}"
            )
    return decided("verifier determinism", True, "the same actions were taken again")
