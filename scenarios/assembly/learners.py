"""The learner of a stage, made from the words of a scenario."""

from __future__ import annotations

from dataclasses import replace

from ...agents.protocols import Policy
from ...algorithms.learner import Learner
from ..config.schema import Sampling, Scenario, Stage
from .settings import optimizer_settings, stage_method
from .worlds import longest_episode


def make_learner(scenario: Scenario, stage: Stage, policy: Policy, reference: Policy | None, *, seed: int) -> Learner:
    """The learner of a stage that has a method."""
    row = stage_method(stage)
    if row.update.aggregation == "constant_length" and row.update.length is None:
        row = replace(row, update=replace(row.update, length=longest_episode(scenario)))
    if row.rewards.overlong_buffer is not None and row.rewards.overlong_limit is None:
        limit = (scenario.sampling or Sampling()).max_tokens
        row = replace(row, rewards=replace(row.rewards, overlong_limit=limit))
    return Learner(policy, row, optimizer_settings(stage), seed=seed, reference=reference)
