"""The learner of a stage of a run, with all the models that it reads or that learn beside the agent, and what is to be
said of their memory."""

from __future__ import annotations

from ...agents.protocols import Policy
from ...algorithms.learner import Learner
from ..assembly.learners import make_learner
from .context import RunContext
from .roles import spell_memory, stage_critic, stage_judge, stage_models


def stage_learner(context: RunContext, index: int, policy: Policy, *, seed: int, begun: bool) -> Learner:
    """That of stage `index`, by which `policy` learns; `begun`: the stage goes on."""
    stage, say = context.scenario.stages[index], context.journal.said
    models = stage_models(context, index, policy, begun)
    judge, critic = stage_judge(context, index), stage_critic(context, index, policy)
    if held := spell_memory(policy, {**models, **({} if judge is None else {"reward": judge.policy})}):
        say(f"{stage.name}: held beside the agent, and not learning: {held}")
    if critic is not None:
        own = spell_memory(policy, {"critic": critic})
        say(f"{stage.name}: held beside the agent, and learning as well: {own}")
    sources = context.sources
    return make_learner(context.scenario, stage, policy, models, sources, seed=seed, judge=judge, critic=critic)
