"""What a conversation world is asked, and what it answers: checked, so that nothing of a wrong form goes further."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...envs.contained import Contained, is_ours
from ...envs.conversation.conversation_env import ConversationEnv
from ...envs.open_worlds import called
from ...envs.reported import (
    RESET,
    STEP,
    BadReport,
    explained,
    flag,
    messages,
    metrics,
    named,
    number,
    parts,
    success,
    terms,
)
from ...envs.seeding import derive_seed
from ...envs.vocabulary import Reply


@dataclass(frozen=True)
class Answer:
    """What a world said to a reset or a reply, or how it failed."""

    info: Mapping[str, Any] = field(default_factory=dict)
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    failure: str | None = None  # why, in a sentence


@dataclass(frozen=True)
class Start:
    """Which episode a world is to begin: its own seed and split, and its group's place in the run."""

    seed: int
    split: str
    order: int  # names the order in which the run goes through a finite list, see `ConversationEnv.pick`
    group: int

    @classmethod
    def of(cls, run: int, split: str, group: int) -> Start:
        """What every member of a group begins with: nothing but the run's seed, the split and the group's number."""
        return cls(derive_seed(run, "task", split, group), split, derive_seed(run, "order", split), group)


def step_world(world: ConversationEnv, action: Reply | Start | None) -> Answer:
    """Step `world` with a reply, begin an episode, or end it (None) because it is cut from outside.
    Touches nothing else, so that it may run in a thread.

    Whatever a world raises is data, except that it never ends, which is the user's to mend. What has failed is ended.
    """
    name = called(world)
    try:
        with Contained(name):
            if action is None:
                world.end()
                return Answer()
            if isinstance(action, Start):
                options = {"split": action.split, "run": action.order, "group": action.group}
                return Answer(_opened(parts(world.reset(seed=action.seed, options=options), "reset", *RESET)[1]))
            return _answered(*parts(world.step(action), "step", *STEP)[1:])
    except BaseException as error:
        if is_ours(error):
            raise
        failure = explained(error, name)
    if action is not None:
        step_world(world, None)
    return Answer(failure=failure)


def _opened(info: Any) -> dict[str, Any]:
    """The info of a reset."""
    if not isinstance(info, Mapping):
        raise BadReport(f"reset gave {info!r:.80} in the place of the info dict")
    first = messages(info.get("messages"), "reset")
    if not first:
        raise BadReport("reset gave no message: an episode begins with at least one")
    task = info.get("task") or first[-1]["content"]
    return {**info, "messages": first, "tools": list(info.get("tools", ())), "task": task and named(task, "a task")}


def _answered(reward: Any, terminated: Any, truncated: Any, info: Any) -> Answer:
    """What a step gave. Nobody knows what an unscored reply is worth, so that its reward may be NaN."""
    if not isinstance(info, Mapping):
        raise BadReport(f"step gave {info!r:.80} in the place of the info dict")
    said = {**info, "messages": messages(info.get("messages", ()), "step"), "metrics": metrics(info.get("metrics", {}))}
    said["success"] = success(info.get("success"))
    if info.get("unscored") is not None:
        return Answer({**said, "reward_terms": {}}, 0.0, True, False)
    earned = number(reward, "the reward")
    given = info.get("reward_terms", {"reward": earned})
    if not isinstance(given, Mapping):
        raise BadReport(f"reward_terms are {given!r:.80}, no mapping of names to numbers")
    said["reward_terms"] = terms(given, earned)
    return Answer(said, earned, flag(terminated, "terminated"), flag(truncated, "truncated"))
