"""The learner of a stage, made from the words of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from ...agents.protocols import Policy, Reward, Scorer
from ...algorithms.judged_rewards import JudgedRewards
from ...algorithms.learner import Learner
from ...algorithms.methods import Method
from ...algorithms.own_critic import OwnCritic
from ..config.schema import Sampling, Scenario, Stage
from .settings import optimizer_settings, stage_method
from .worlds import WorldSources, longest_episode

if TYPE_CHECKING:
    from ...agents.language.language_policy import LanguagePolicy


def make_learner(
    scenario: Scenario,
    stage: Stage,
    policy: Policy,
    models: Mapping[str, Scorer],
    sources: WorldSources,
    *,
    seed: int,
    judge: Reward | None = None,
    critic: Policy | None = None,
) -> Learner:
    """The learner of a stage that has a method, which reads `models` by their roles, is paid by what `judge` says, and
    has `critic` in the place of the policy's own. Of a language policy it reads as many tokens at once as fit."""
    row, *worlds = (completed(stage_method(stage, world), scenario, sources) for world in (None, *scenario.worlds))
    settings, budget, staleness = optimizer_settings(stage), None, stage.collect.staleness if stage.collect else 0
    if scenario.speaks and settings.micro_batch is None:
        from ...agents.language.memory import token_budget

        copies = staleness + 1 if staleness else 0  # of the versions that are still to act, see `run.ahead`
        budget = token_budget(cast("LanguagePolicy", policy), copies=copies)
    return Learner(
        policy,
        row,
        settings,
        seed=seed,
        reference=models.get("reference"),
        teacher=models.get("teacher"),
        critic=None if critic is None else OwnCritic(critic, settings),
        judged=None if judge is None else JudgedRewards(judge, row.rewards),
        max_staleness=staleness,
        worlds=worlds,
        token_budget=budget,
    )


def fit_policy(scenario: Scenario, policy: Policy, learner: Learner) -> None:
    """A row that is longer than what is read at once is run with its layers computed again on the way back."""
    if scenario.speaks:
        cast("LanguagePolicy", policy).token_budget = learner.micro_batch


def completed(row: Method, scenario: Scenario, sources: WorldSources) -> Method:
    """With what the method leaves to the world and the sampling. UserError where that is not known."""
    if row.update.aggregation == "constant_length" and row.update.length is None:
        longest = max(longest_episode(scenario, source) for source in sources.values())
        row = replace(row, update=replace(row.update, length=longest))
    rewards = row.rewards
    if rewards.overlong_buffer is not None or rewards.overlong_share is not None:
        limit = rewards.overlong_limit or (scenario.sampling or Sampling()).max_tokens
        buffer = rewards.overlong_buffer or max(1, round((rewards.overlong_share or 0.0) * limit))
        row = replace(row, rewards=replace(rewards, overlong_limit=limit, overlong_buffer=buffer))
    return row
