"""What only a few played episodes can tell before a run: whether a world has an oracle, and whether its evaluations
have the numbers that a goal names."""

from __future__ import annotations

import inspect
import sys
from functools import partial

import gymnasium

from ...agents.protocols import Weights
from ...envs.conversation.conversation_env import ConversationEnv, Split
from ...envs.conversation.pair_world import PairWorld
from ...envs.errors import UserError
from ...envs.lost_threads import in_thread
from ...envs.world_source import WorldSource
from ..config.agents import RandomAgentSpec
from ..config.mistakes import WrongPart
from ..config.schema import Scenario, Stage
from ..run.episode_statistics import Numbers, reached
from ..run.several_worlds import summarize_worlds
from .actors import StageParts, make_stage
from .roles import shows_demonstrations
from .settings import judging_stage, stage_method
from .worlds import WorldSources, written_down

EPISODES = 4
MOST_STEPS = 20_000  # of an episode that is still rehearsed
_SURE = ("return_mean", "turns_mean", "units_mean")
_OF_JUDGES: Numbers = dict.fromkeys(("success_rate", *_SURE, "world/margin_mean"), 0.0)  # whatever the world measures
PATIENCE = 5.0  # seconds; what takes longer is left to the run


def check_oracles(scenario: Scenario, sources: WorldSources) -> None:
    """WrongPart where somebody is to speak for a world's oracle, and the world has none."""
    wanted = [
        ("stages", number, "demonstrations", "agent", "kind")
        for number, stage in enumerate(scenario.stages)
        if stage.demonstrations is not None
        and stage.demonstrations.agent is not None
        and stage.demonstrations.agent.kind == "oracle"
    ]
    wanted += [
        ("stages", number, "method")
        for number, stage in enumerate(scenario.stages)
        if sources.first.facts.kind == "conversation" and shows_demonstrations(scenario, stage)
    ]
    wanted = [("agent", "kind")] * (scenario.agent.kind == "oracle") + wanted
    for source in sources.values() if wanted else ():
        if source.facts.kind == "control":
            others = "'scripted' or 'random'"
            raise WrongPart(wanted[0], f"control worlds have no oracle; use an agent of kind {others}")
        if not source.facts.voices and not source.facts.waits and _is_mute(source):
            raise WrongPart(
                wanted[0],
                f"world {source.id!r} has no oracle, so it cannot give demonstrations; write its `oracle` method, or "
                "give its tasks an 'oracle'",
            )


def _is_mute(source: WorldSource) -> bool:
    """Whether a conversation world has nobody who knows what to reply."""
    world = source.make()
    try:
        inside = world.unwrapped
        assert isinstance(inside, ConversationEnv)
        if type(inside).oracle is ConversationEnv.oracle:
            return True
        world.reset(seed=0, options={"split": "train"})
        return inside.oracle() is None
    except Exception:  # of the world's own: what it is, its episodes will say
        return False
    finally:
        world.close()


def check_named_goals(scenario: Scenario, sources: WorldSources) -> None:
    """WrongPart for a goal that no evaluation of this world has, where a few random episodes can tell; or that none of
    a reward model has."""
    asked = [(n, stage) for n, stage in enumerate(scenario.stages) if any(not _is_sure(name) for name in stage.stop)]
    judges = judging_stage(scenario)
    acted = _rehearsed(scenario, sources) if any(stage is not judges for _, stage in asked) else None
    for number, stage in asked:
        numbers = _of_judge(stage) if stage is judges else acted
        if numbers is None:
            continue
        for name, goal in stage.stop.items():
            if name.endswith("success_rate") and any(_may_tell(source) for source in sources.values()):
                continue
            try:
                reached(numbers, {name: goal})
            except UserError as problem:
                raise WrongPart(("stages", number, "stop", name), str(problem)) from problem


def _of_judge(stage: Stage) -> Numbers:
    """What a reward model is measured by: of one that reads turns, in each of them too."""
    world = written_down(stage)
    depths = world.depths if isinstance(world, PairWorld) and stage_method(stage).learns == "process" else []
    return {**_OF_JUDGES, **{f"world/depth_{k}_mean": 0.0 for k in depths}}


def is_silent_about_success(scenario: Scenario, sources: WorldSources) -> bool:
    """Whether no world of the scenario says something about success, where a few random episodes can tell."""
    numbers = _rehearsed(scenario, sources)
    return numbers is not None and "success_rate" not in numbers and not any(map(_may_tell, sources.values()))


def tells_success(scenario: Scenario, sources: WorldSources) -> bool:
    """Whether a world of the scenario says something about success, as a few random episodes tell."""
    numbers = _rehearsed(scenario, sources)
    return numbers is not None and "success_rate" in numbers


def silent_world(scenario: Scenario, sources: WorldSources) -> str | None:
    """The name of a world that says nothing about success, where a few random episodes can tell."""
    numbers = _rehearsed(scenario, sources)
    if numbers is None:
        return None
    rate = {name: "success_rate" if len(sources) == 1 else f"{name}/success_rate" for name in sources}
    return next((name for name in sources if rate[name] not in numbers and not _may_tell(sources[name])), None)


def _may_tell(source: WorldSource) -> bool:
    """Whether a world of bodies may still tell of success where random episodes heard nothing of it: many say it only
    where they mean yes. Those whose code, or that of what they inherit from, never names it do not."""
    if source.facts.kind != "control":
        return False
    world = source.make()
    kinds = [kind for kind in type(world.unwrapped).__mro__ if kind not in gymnasium.Env.__mro__]
    try:
        return any("success" in inspect.getsource(sys.modules[kind.__module__]) for kind in kinds)
    except (OSError, TypeError):  # nobody can read it
        return False
    finally:
        world.close()


def _rehearsed(scenario: Scenario, sources: WorldSources) -> Numbers | None:
    """The numbers of an evaluation of an agent that acts at random; None where it takes long, or fails."""
    if any(not _is_quick(source) for source in sources.values()):
        return None
    chance = scenario.model_copy(update={"agent": RandomAgentSpec(kind="random")})
    try:
        # made in this thread: the other may go on when its time is over, and what two import at once fails in both
        parts = make_stage(chance, Stage(name="rehearsal"), None, sources)
        numbers = in_thread(partial(_play, parts, scenario.evaluation.split), "rehearsal").result(PATIENCE)
    except (Exception, SystemExit):  # of the world's own, or it takes long: the run will say
        return None
    return None if numbers.get("failed") else numbers


def _is_sure(name: str) -> bool:
    """Whether every evaluation of every world has this number."""
    column = name.rpartition("/")[2]
    return not column.startswith("success_") and (column in _SURE or not column.endswith("_mean"))


def _is_quick(source: WorldSource) -> bool:
    facts = source.facts
    return not facts.waits and not facts.voices and 0 < (facts.longest_episode or 0) <= MOST_STEPS


def _play(parts: StageParts, split: Split) -> Numbers:
    """What an evaluation of an agent that acts at random says."""
    try:
        parts.evaluator.load(Weights(0))
        return summarize_worlds(parts.evaluator.evaluate(EPISODES, seed=0, version=0, split=split))
    finally:
        parts.close()
