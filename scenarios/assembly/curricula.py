"""Whether a curriculum (`collect.curriculum`) and a gate (`collect.gate`) have something to go by in a stage."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from ...algorithms.methods import Method
from ...envs.conversation.conversation_env import ConversationEnv
from ...envs.errors import WrongKey
from ...envs.vocabulary import EPISODES_IN_GROUP
from ...envs.world_source import WorldSource
from ..config.collect import Collect
from ..config.schema import Scenario, Stage
from .rehearsal import silent_world
from .worlds import WorldSources

MOST_GROUPS = 2**63 // EPISODES_IN_GROUP  # by whose numbers episodes have theirs, in 64 bits
_PROBES = 8  # episodes by which a world shows what it does, before a run
_WAYS_OUT = {
    "conversation": "a world of tasks with a reward function says it by success_at, or where the function returns a "
    "bool; a class of your own by has_success = True, by which an episode that does not say it has failed",
    "control": "a control world says it in info['success'] (or 'is_success') as an episode ends, True or False, which "
    "one of the world's wrappers may add",
}
_KEYS = ("curriculum", "gate")


def check_curriculum(scenario: Scenario, stage: Stage, row: Method, worlds: WorldSources) -> None:
    """WrongKey where a curriculum has no tasks to choose from or somebody else chooses them, and where nobody can say
    how many episodes of a group succeed."""
    collect = stage.collect
    assert collect is not None, "the schema asks for it"
    given = [key for key in _KEYS if getattr(collect, key) is not None]
    for key in given:
        if why := _why_no_group_has_a_share(row, worlds):
            where = f"stage {stage.name!r} ({row.name})"
            raise WrongKey(("collect", key), f"{where}: collect.{key} goes by the successes of groups, and {why}")
    if collect.curriculum is not None:
        if stage.demonstrations is not None and (written := stage.demonstrations.written) is not None:
            words = "come in turn, by the numbers of groups, and a curriculum gives other numbers"
            raise WrongKey(
                ("demonstrations", written),
                f"demonstrations.{written} {words}; let an agent show what to imitate, such as "
                "{agent: {kind: oracle}}",
            )
        if scenario.worlds:
            _check_worlds(scenario)
        else:
            _check_tasks(scenario, stage, worlds)
        for number, world in enumerate(scenario.worlds or [scenario.world]):
            _check_order(f"worlds.{number}" if scenario.worlds else "world", world.options)
        _check_numbers(scenario, stage, worlds)
    if given and (name := _silent(scenario, worlds)) is not None:
        silent = f"{worlds[name].id!r}{f' (world {name!r})' if len(worlds) > 1 else ''}"
        words = f"collect.{given[0]} goes by successes, and {silent} says nothing about success"
        raise WrongKey(("collect", given[0]), f"{words}; {_WAYS_OUT[worlds[name].facts.kind]}")


def _silent(scenario: Scenario, worlds: WorldSources) -> str | None:
    """The name of a world that says nothing about success, where a few replies or random episodes can tell."""
    for name, source in worlds.items():
        if not source.facts.waits and not source.facts.voices and _ends_in_silence(source):
            return name
    return silent_world(scenario, worlds)


def _ends_in_silence(source: WorldSource) -> bool:
    """Whether episodes end that have earned something, and nobody says of any whether it succeeded: those of a few
    tasks, with an empty reply and with that of the oracle."""
    if source.facts.kind != "conversation":
        return False
    world = source.make()
    ended, inside = False, world.unwrapped
    assert isinstance(inside, ConversationEnv)
    try:
        for place, replies in product(range(_PROBES), (lambda: "", inside.oracle)):
            world.reset(seed=place, options={"split": "train", "run": 0, "group": place})
            reply = replies()
            if inside.has_success or reply is None:
                continue
            _, _, terminated, _, info = world.step(reply)
            if info["success"] is not None:
                return False
            ended |= terminated and "unscored" not in info
        return ended
    except Exception:  # of the world's own: what it is, its episodes will say
        return False
    finally:
        world.close()


def _why_no_group_has_a_share(row: Method, worlds: WorldSources) -> str | None:
    if row.source != "own":
        return "this stage learns from what somebody else did; leave it out"
    if row.needs_critic and worlds.first.facts.kind == "control":
        return "this method reads rows that go on from one update to the next; leave it out, or give such as grpo"
    return None


def _check_worlds(scenario: Scenario) -> None:
    """WrongKey for a single world, and for shares between worlds, each of which is a task of the curriculum."""
    if len(scenario.worlds) == 1:
        raise WrongKey(
            ("collect", "curriculum"),
            "collect.curriculum chooses among `worlds`, each of which is one task to it, and there is one; give "
            "several, or it as `world`, whose list of tasks is then chosen from",
        )
    for world in scenario.worlds:
        if world.share != 1.0:
            raise WrongKey(
                ("collect", "curriculum"),
                f"world {world.called!r} has the share {world.share:g} of each collection, and a curriculum decides "
                "which world comes how often; leave the shares out, or collect.curriculum",
            )


def _check_tasks(scenario: Scenario, stage: Stage, worlds: WorldSources) -> None:
    """WrongKey for tasks that are no list, or of which whole passes are asked for."""
    source = worlds.first
    if not source.facts.tasks.get("train"):
        raise WrongKey(
            ("collect", "curriculum"),
            f"collect.curriculum keeps count of each task of a list, and those of {source.id!r} are none: each is made "
            "once, by chance; give a world with a list (peripatos/Tasks-v0), or several `worlds` of different "
            "difficulty, among which it then chooses",
        )
    if (two := _of_one_number(source)) is not None:
        raise WrongKey(
            ("collect", "curriculum"),
            f"collect.curriculum chooses tasks by their numbers, and {source.id!r} begins the same one with {two[0]!r} "
            f"and with {two[1]!r}: let `opening` choose by self.pick(tasks, rng), or name the task, Opening(task=…), "
            "where only the words differ",
        )
    if stage.budget is not None and stage.budget.epochs is not None:
        raise WrongKey(
            ("budget", "epochs"),
            "budget.epochs counts passes over the list of tasks, and collect.curriculum makes none: it draws those "
            "that are solved now and then; give updates",
        )


def _of_one_number(source: WorldSource) -> list[str] | None:
    """Two names of the task that has one number, in a world that draws its tasks otherwise; None where it has one."""
    if source.facts.kind != "conversation" or source.facts.waits or source.facts.voices:
        return None
    world, names = source.make(), list[str]()
    try:
        for seed in range(_PROBES):
            _, info = world.reset(seed=seed, options={"split": "train", "run": 0, "group": 0})
            names.append(str(info["task"])[:80])
    except Exception:  # of the world's own: what it is, its episodes will say
        return None
    finally:
        world.close()
    other = next((name for name in names if name != names[0]), None)
    return None if other is None else [names[0], other]


def _check_order(world: str, options: Mapping[str, Any]) -> None:
    """WrongKey for tasks of `world`, a key, that are told in which order and how often they come."""
    if options.get("repeats", 1) != 1:
        _refuse_option(world, "repeats", options["repeats"], "how often")
    if options.get("shuffle", True) is not True:
        _refuse_option(world, "shuffle", "false", "in which order")


def _check_numbers(scenario: Scenario, stage: Stage, worlds: WorldSources) -> None:
    """WrongKey for more groups than have numbers: the t-th of a stage has a number of about t times the tasks."""
    assert stage.collect is not None, "the schema asks for it"
    assert stage.budget is not None, "the schema asks for it"
    tasks = len(scenario.worlds) or worlds.first.facts.tasks.get("train") or 1
    asked = (stage.budget.updates or 0) * (stage.collect.refill + 1) * stage.collect.groups * tasks
    if asked > MOST_GROUPS:
        raise WrongKey(("collect", "curriculum"), too_many_groups(stage.collect, tasks))


def too_many_groups(collect: Collect, tasks: int) -> str:
    """How many updates of a curriculum have numbers for their groups, in words."""
    most = MOST_GROUPS // ((collect.refill + 1) * collect.groups * tasks)
    return (
        f"a curriculum over {tasks:,} tasks, with {collect.groups:,} groups and a refill of {collect.refill}, has "
        f"numbers for the groups of {most:,} updates; give a budget of as many, or fewer groups, refills or tasks"
    )


def _refuse_option(world: str, name: str, value: object, what: str) -> None:
    raise WrongKey(
        ("collect", "curriculum"),
        f"{world}.options.{name} is {value}, and a curriculum decides {what} tasks come; leave {name} out, or "
        "collect.curriculum",
    )
