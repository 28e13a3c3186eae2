"""One episode of a strategy in a conversation world, as an agent would play it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..conversation.conversation_env import ConversationEnv
from ..vocabulary import Message, Reply, WorldFailure
from .blind_replies import View

_TURNS = 64  # of an episode, at most


@dataclass
class Played:
    """What happened in one episode."""

    seed: int
    tools: Sequence[Mapping[str, Any]]
    replies: list[Reply | str] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    success: bool | None = None
    given_up: bool = False  # the strategy had nothing to say (an oracle that is not there)
    failed: bool = False  # the world failed: the episode is not scored
    error: str = ""  # what it raised, where that was no `WorldFailure`

    @property
    def reward(self) -> float:
        """The undiscounted sum."""
        return sum(self.rewards)


Speaker = Callable[[View], Reply | str | None]  # None: it has nothing to say, and the episode is given up


def play(world: ConversationEnv, strategy: Speaker, seed: int, split: str) -> Played:
    """One episode, up to a number of turns."""
    _, info = world.reset(seed=seed, options={"split": split})
    view = View(list(info["messages"]), info["tools"], np.random.default_rng(seed))
    played = Played(seed, info["tools"])
    for view.turn in range(_TURNS):
        reply = strategy(view)
        if reply is None:
            played.given_up = True
            break
        try:
            _, reward, terminated, truncated, info = world.step(reply)
        except WorldFailure:
            played.failed = True
            break
        except Exception as error:  # a stranger's world: what it raises is a finding
            played.failed, played.error = True, f"{type(error).__name__}: {error}"
            break
        played.replies.append(reply)
        played.rewards.append(float(reward))
        played.heard.extend(message["content"] for message in info["messages"])
        said = reply if isinstance(reply, str) else reply.text
        view.messages += [Message(role="assistant", content=said), *info["messages"]]
        if terminated or truncated:
            played.success = info["success"]
            break
    world.end()
    return played
