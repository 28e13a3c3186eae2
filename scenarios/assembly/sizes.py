"""How much memory a scenario asks for at least: what no machine has is refused before it is begun."""

from __future__ import annotations

import math
from itertools import pairwise

from ...envs.control.flat_spaces import Actions, Observations
from ...envs.control.world_batch import action_layout
from ...envs.errors import UserError
from ...envs.memory_limits import usable_memory
from ...envs.world_source import WorldFacts
from ..config.agents import MlpAgentSpec, TinyLlamaAgentSpec
from ..config.mistakes import WrongPart
from ..config.schema import Sampling, Scenario
from .settings import stage_method

MOST_EPISODES = 1_000_000  # of an evaluation by command
_EPISODE = 1000  # bytes of one at least, with its messages
_UNIT = 40  # bytes of what is kept of one action besides the observation: masks, log-probabilities, rewards, values
_TRAINED = 16  # bytes of a parameter that learns: itself, its gradient, two moments


def check_sizes(scenario: Scenario, facts: WorldFacts) -> None:
    """WrongPart for a model or a collection that cannot fit into this machine's memory."""
    there = usable_memory()
    size = _parameters(scenario, facts) * _TRAINED
    if size > there:
        words = f"these widths need about {_spell(size)} to learn"
        raise WrongPart(("agent", "hidden"), f"agent: {words}, and {_machine(there)}; give fewer, or narrower layers")
    for number, stage in enumerate(scenario.stages):
        if stage.collect is None or stage.method is None:
            continue
        rows = stage.collect.groups * stage.collect.group_size
        segments = stage_method(stage).needs_critic and facts.kind == "control"
        units = (stage.collect.horizon or 1) if segments else 1
        size = rows * (units * (_UNIT + 4 * _width(facts)) + (0 if segments else _EPISODE))
        if size > there:
            parts = ("groups", "horizon") if segments else ("groups", "group_size")
            sizes = " × ".join(f"{name} {getattr(stage.collect, name):,}" for name in parts)
            largest = max(parts, key=lambda name: getattr(stage.collect, name))
            raise WrongPart(
                ("stages", number, "collect", largest),
                f"stage {stage.name!r} collects {sizes}, which is {_spell(size)} or more, and {_machine(there)}; give "
                f"less of {' or '.join(parts)}",
            )


def check_evaluation(scenario: Scenario, tasks: int, each: int) -> None:
    """UserError, about the flags of an evaluation, for more episodes than a process can hold: `tasks` in each of the
    scenario's worlds, `each` so many times."""
    worlds = max(1, len(scenario.worlds))
    count = worlds * tasks * each
    factors = [f"--episodes {tasks}", *[f"--k {each}"] * (each > 1), *[f"{worlds} worlds"] * (worlds > 1)]
    if count > MOST_EPISODES:
        raise UserError(
            f"{' × '.join(factors)} are {count:,} episodes, of which all are held at once; allowed are at most "
            f"{MOST_EPISODES:,} together"
        )
    tokens = (scenario.sampling or Sampling()).max_tokens if scenario.speaks else 0
    size, there = count * (_EPISODE + tokens * _UNIT), usable_memory()
    if size > there:
        factors += [f"sampling.max_tokens {tokens}"] * bool(tokens)
        raise UserError(
            f"{' × '.join(factors)} may need {_spell(size)} or more, as all episodes are held at once, and "
            f"{_machine(there)}; give less of one of them"
        )


def _width(facts: WorldFacts) -> int:
    """Numbers in an observation and an action of a control world; four pixels take the room of one."""
    if facts.kind != "control":
        return 0
    seen, (acted, _) = Observations(facts.observation_space), action_layout(Actions(facts.action_space).stored)
    return seen.numbers + seen.pixels // 4 + math.prod(acted)


def _parameters(scenario: Scenario, facts: WorldFacts) -> int:
    """Of the agent, about."""
    agent = scenario.agent
    if isinstance(agent, MlpAgentSpec):
        memory, seen = agent.memory.size if agent.memory else 0, max(1, _width(facts))
        widths = [seen + memory, *agent.hidden, 1]
        return sum(one * two for one, two in pairwise(widths)) + 3 * memory * (memory + seen)
    if isinstance(agent, TinyLlamaAgentSpec):
        return 12 * agent.layers * agent.hidden**2
    return 0


def _machine(there: float) -> str:
    return f"this process may have {_spell(there)}"


def _spell(size: float) -> str:
    return f"{size / 1e12:,.0f} TB" if size >= 1e13 else f"{size / 1e9:,.0f} GB"
