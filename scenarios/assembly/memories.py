"""What an agent with a memory cannot do: its rows stay whole, and nobody else has seen what it remembers."""

from __future__ import annotations

from ...algorithms.methods import Method
from ...envs.world_source import WorldFacts
from ..config.agents import MlpAgentSpec
from ..config.mistakes import WrongPart
from ..config.schema import Scenario


def check_memory(scenario: Scenario, number: int, row: Method, facts: WorldFacts) -> None:
    """WrongPart where an agent that remembers cannot learn by the stage's method as the stage has it."""
    stage, agent = scenario.stages[number], scenario.agent
    if not isinstance(agent, MlpAgentSpec) or agent.memory is None:
        return
    assert stage.collect is not None, "the schema asks for it"
    where = f"stage {stage.name!r} ({row.name})"
    rows = stage.collect.groups * stage.collect.group_size
    longest = stage.collect.horizon if row.needs_critic else facts.longest_episode
    if row.update.minibatch_units is None and row.update.minibatches > rows:
        raise WrongPart(
            ("stages", number, "overrides", "update", "minibatches"),
            f"{where}: update.minibatches is {row.update.minibatches}, and an agent with a memory learns from whole "
            f"rows, of which a batch has {rows}; allowed are 1 to {rows}",
        )
    if row.update.minibatch_units is not None and longest is not None and row.update.minibatch_units < longest:
        raise WrongPart(
            ("stages", number, "overrides", "update", "minibatch_units"),
            f"{where}: update.minibatch_units is {row.update.minibatch_units}, and an agent with a memory learns from "
            f"whole rows, of up to {longest} units; allowed is {longest} or greater",
        )
    if row.needs_reference and row.needs_critic:
        raise WrongPart(
            ("stages", number, "overrides", "weighting", "kl"),
            f"{where}: weighting.kl compares with a reference that has not seen what came before a segment, and the "
            "agent has a memory: leave it out, or use a method of whole episodes, such as grpo",
        )
