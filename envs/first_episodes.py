"""How the episodes of a world begin, which is tried before any is played: whether at all, and with which messages."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from .check_play import identical
from .contained import Contained, has_moved, is_ours, process_state
from .control.flat_spaces import Observations
from .conversation.conversation_env import ConversationEnv, Split
from .errors import UserError
from .reported import BadReport, begin
from .user_code import described
from .vocabulary import Message

Env = gymnasium.Env[Any, Any]
_MUTE = (
    "has no oracle, which an agent of kind oracle needs: write its `oracle` method, or give each task of a TaskWorld "
    "its 'oracle', the reply of an expert"
)
_OTHER_SEEDS = (1, 2)
_QUICK = 0.5  # seconds; a reset that takes longer is not tried again
_SEEDS = 3  # tried before a world is said not to begin


@dataclass(frozen=True)
class Openings:
    """How the episodes of a split begin: alike but for their prompts."""

    messages: tuple[Message, ...]  # of one of them
    place: int  # of its prompt among them
    tools: tuple[Mapping[str, Any], ...]
    prompts: Sequence[str]

    def messages_of(self, prompt: str) -> list[Message]:
        """How the episode begins that asks `prompt`."""
        messages = list(self.messages)
        messages[self.place] = {**messages[self.place], "content": prompt}
        return messages


def why_not(
    world: Env, splits: Sequence[str], expert: bool, scripts: Sequence[Callable[[np.ndarray], object]] = ()
) -> str | None:
    """Why the world cannot begin; None if it can. One seed that fails is an episode that fails, and no reason."""
    inside = world.unwrapped
    talks = isinstance(inside, ConversationEnv)
    for split in splits if talks else splits[:1]:
        problem = None
        for seed in range(_SEEDS):
            try:
                with Contained(type(inside).__name__):
                    seen, _ = begin(world, seed, split)
                problem = None
                if not talks:
                    flat = Observations(world.observation_space).flat(seen)
                    for script in scripts:
                        script(flat)
            except UserError:
                raise
            except BadReport as error:
                problem = f"cannot begin: {error}"
            except BaseException as error:
                if is_ours(error):
                    raise
                problem = f"cannot begin: {described(error)}"
            if problem is None:
                break
        if problem is not None:
            return problem
    if not isinstance(inside, ConversationEnv):
        return None
    if not inside.waits and (amiss := _misweighed(inside)):
        inside.end()
        return f"does not know what its replies are worth: {amiss}"
    return _no_expert(inside, expert)


def noticed(name: str, world: Env) -> tuple[str, ...]:
    """What a few more resets show of a world called `name` that begins, a sentence each: chance that is not the seed's,
    and what it changes in the process. None of it keeps a run from beginning."""
    try:
        with Contained(name):
            return tuple(_noticed(name, world))
    except BaseException as error:  # of a stranger's world: its episodes will say
        if is_ours(error):
            raise
        return ()


def _noticed(name: str, world: Env) -> Iterator[str]:
    before, clock = process_state(), time.monotonic()
    first = _begun(world, 0)
    changed = [what for what, value in process_state().items() if value != before[what]]
    if has_moved(name) and "the current folder" not in changed:  # as it was made
        changed.append("the current folder")
    if changed:
        yield f"{name!r}: it changes {', '.join(changed)}, for whoever runs it"
    if not isinstance(world.unwrapped, ConversationEnv):
        misfit = Observations(world.observation_space).misfit(first[0])
        if misfit is not None:
            yield f"{name!r}: {misfit}. Agents see it in float32 all the same, and `peripatos check` refuses it"
    if time.monotonic() - clock > _QUICK:
        return
    again, *others = [_begun(world, seed) for seed in (0, *_OTHER_SEEDS)]
    if not identical(first, again):
        yield (
            f"{name!r}: two resets with one seed began differently, so that no episode can be repeated; draw all "
            "chance from self.np_random"
        )
    elif all(identical(first, other) for other in others) and _hears_no_seed(world):
        yield (
            f"{name!r}: every seed begins the same episode, and none is handed to super().reset(seed=seed): right for "
            "a world without chance; else draw all of it from self.np_random"
        )


def _begun(world: Env, seed: int) -> Any:
    """What is seen first, and said, apart from what may differ between two equal episodes."""
    seen, info = begin(world, seed)
    begun = copy.deepcopy((seen, info.get("messages"), info.get("task")))
    if isinstance(world.unwrapped, ConversationEnv):
        world.unwrapped.end()
    return begun


def _hears_no_seed(world: Env) -> bool:
    """Whether the generator that Gymnasium gives a body is not of the last seed."""
    inside = world.unwrapped
    return not isinstance(inside, ConversationEnv) and inside.np_random_seed != _OTHER_SEEDS[-1]


def _no_expert(world: ConversationEnv, asked: bool) -> str | None:
    """Why the episode that has begun has no expert, where one is `asked` for; None if it has. The episode ends."""
    try:
        with Contained(type(world).__name__):
            mute = asked and world.oracle() is None
            world.end()
    except BaseException as error:
        if is_ours(error):
            raise
        return f"cannot show what an expert does: {described(error)}" if asked else f"cannot end: {described(error)}"
    return _MUTE if mute else None


def _misweighed(inside: ConversationEnv) -> str | None:
    from .conversation.task_world import TaskWorld

    if not isinstance(inside, TaskWorld):
        return None
    with Contained(type(inside).__name__):
        return inside.misweighed()


def openings(world: Env, split: Split) -> Openings | None:
    """How the episodes of a world with a list of prompts begin; None where that cannot be said of all at once."""
    from .conversation.task_world import TaskWorld

    inside = world.unwrapped
    if not isinstance(inside, TaskWorld) or not (prompts := inside.prompts(split)):
        return None
    try:
        with Contained(type(inside).__name__):
            _, info = world.reset(seed=0, options={"split": split})
    except BaseException as error:  # of a stranger's world: its episodes will say
        if is_ours(error):
            raise
        return None
    finally:
        inside.end()
    asked = set(prompts)
    places = [number for number, message in enumerate(info["messages"]) if message["content"] in asked]
    return Openings(tuple(info["messages"]), places[0], tuple(info["tools"]), prompts) if len(places) == 1 else None


def beginnings(world: Env, split: Split, count: int) -> list[Openings]:
    """How so many episodes begin, one after another; none if one of them cannot."""
    inside, found = world.unwrapped, list[Openings]()
    assert isinstance(inside, ConversationEnv)
    for seed in range(count):
        try:
            with Contained(type(inside).__name__):
                _, info = world.reset(seed=seed, options={"split": split})
        except BaseException as error:  # of a stranger's world: its episodes will say
            if is_ours(error):
                raise
            return []
        finally:
            inside.end()
        messages = tuple(info["messages"])
        found.append(Openings(messages, len(messages) - 1, tuple(info["tools"]), [messages[-1]["content"]]))
    return found
