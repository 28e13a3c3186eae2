"""The learner of a stage, made from the words of a scenario."""

from __future__ import annotations

from dataclasses import replace

from ...agents.protocols import Policy
from ...algorithms.learner import Learner
from ...algorithms.methods import Method
from ..config.schema import Sampling, Scenario, Stage
from .settings import optimizer_settings, stage_method
from .worlds import WorldSources, longest_episode


def make_learner(
    scenario: Scenario, stage: Stage, policy: Policy, reference: Policy | None, sources: WorldSources, *, seed: int
) -> Learner:
    """The learner of a stage that has a method."""
    row, *worlds = (_completed(stage_method(stage, world), scenario, sources) for world in (None, *scenario.worlds))
    return Learner(policy, row, optimizer_settings(stage), seed=seed, reference=reference, worlds=worlds)


def _completed(row: Method, scenario: Scenario, sources: WorldSources) -> Method:
    """With what the method leaves to the world and the sampling."""
    if row.update.aggregation == "constant_length" and row.update.length is None:
        longest = max(longest_episode(scenario, source) for source in sources.values())
        row = replace(row, update=replace(row.update, length=longest))
    if row.rewards.overlong_buffer is not None and row.rewards.overlong_limit is None:
        limit = (scenario.sampling or Sampling()).max_tokens
        row = replace(row, rewards=replace(row.rewards, overlong_limit=limit))
    return row
