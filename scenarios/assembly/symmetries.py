"""An agent that knows the symmetry of its world: whether there is one to know, and who reads it."""

from __future__ import annotations

from ...envs.control.symmetry import Mirror
from ...envs.world_source import WorldFacts
from ..config.agents import MlpAgentSpec
from ..config.mistakes import WrongPart
from ..config.schema import Scenario
from .settings import stage_method
from .worlds import WorldSources

_PLACE = ("agent", "symmetry")


def check_symmetry(scenario: Scenario, worlds: WorldSources) -> None:
    """WrongPart where the agent is to know a symmetry that no critic reads, or that a world does not have."""
    if not isinstance(scenario.agent, MlpAgentSpec) or scenario.agent.symmetry is None:
        return
    if not any(stage_method(stage).needs_critic for stage in scenario.stages if stage.method):
        raise WrongPart(_PLACE, "agent.symmetry is for a critic, and no stage has one: leave it out")
    for name, alone in scenario.alone().items():
        facts = worlds[name].facts
        if facts.symmetry is None:
            because = "its wrappers may have changed what is seen" if alone.world.wrappers else "it declares none"
            raise WrongPart(
                _PLACE,
                f"agent.symmetry is critic, and no symmetry of the world {alone.world.id!r} is known: {because}. A "
                "world or a wrapper declares one by an attribute `symmetry` (docs/control.md)",
            )
        if facts.symmetry != worlds.first.facts.symmetry:
            raise WrongPart(_PLACE, f"agent.symmetry: {alone.world.id!r} has another symmetry than the first world")


def known_mirror(agent: MlpAgentSpec, facts: WorldFacts) -> Mirror | None:
    """By which the agent's critic looks at what is seen."""
    return facts.symmetry.observation if agent.symmetry is not None and facts.symmetry is not None else None
