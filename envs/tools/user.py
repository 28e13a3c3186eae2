"""A user who talks with the agent in a world of tools, after asking for something: by lines, by a rule or by a voice.

    user=["And the attic, please.", "Thank you!"]   the same lines in every task
    user="lines"                                    each task's own, a list under this key
    user=rule                                       rule(tools, task, reply) → what is said; None: nothing more
    user=VoiceUser("customer")                      a voice of the world's: a model, the agent itself, or a function

The user hears each reply that calls nothing. When the user has nothing more to say, the world's `check` judges. A voice
hears the conversation from its own side: first who it is (the task's `about`), then its request, which is its own, and
what the agent said, in turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..conversation.conversation_env import Voice
from ..conversation.task_source import Task
from ..errors import UserError, nearest
from ..reported import BadReport
from ..user_code import check_call
from ..vocabulary import Message, Reply

Rule = Callable[[Any, Task, Reply], str | None]
Answer = Callable[[Reply], str | None]  # what a user says to a reply in one episode

_PART = (
    "You talk to an assistant that works for you. Write what you say next, and nothing else: no tool calls, no part of "
    "the assistant's. When you have what you want, or see no hope for it, write DONE."
)
_DONE = re.compile(r"\bDONE\b")


@dataclass(frozen=True)
class VoiceUser:
    """A user who is one of the world's voices (`world.voices` of a scenario says who speaks)."""

    voice: str = "user"  # its name
    about: str = "about"  # the key under which a task says who the user is and what they want; it may be missing


User = Sequence[str] | str | Rule | VoiceUser


def check_user(user: object) -> None:
    """UserError for what cannot be a user."""
    if user is None or isinstance(user, VoiceUser | str):
        return
    if callable(user):
        check_call(f"`user` ({_name(user)})", user, "tools", "task", "reply")
    else:
        _lines(user, "user")


def lines_of(user: Sequence[str] | str, task: Task, name: str) -> Sequence[str]:
    """The lines of the user of one task, which is called `name`."""
    if not isinstance(user, str):
        return user
    if user not in task:
        raise UserError(f"the task {name!r:.80} has no {user!r}, its user's lines.{nearest(user, task)}")
    return _lines(task[user], user)


def scripted(lines: Iterable[str]) -> Answer:
    """Somebody who says one line after the other."""
    left = iter(lines)
    return lambda reply: next(left, None)


def ruled(rule: Rule, tools: object, task: Task) -> Answer:
    """Somebody who speaks by a rule."""

    def answer(reply: Reply) -> str | None:
        said = rule(tools, task, reply)
        if said is not None and not isinstance(said, str):
            allowed = "it returns a text, or None when there is nothing more to say"
            raise BadReport(f"`user` ({_name(rule)}) returned {said!r:.80}; {allowed}")
        return said or None

    return answer


def voiced(voice: Voice, about: str, request: str, seed: Callable[[], int]) -> Answer:
    """Somebody whose words are a voice's; each is drawn with a `seed` of its own."""
    who = "\n\n".join(filter(None, [about, _PART]))
    heard = [Message(role="user", content=who), Message(role="assistant", content=request)]

    def answer(reply: Reply) -> str | None:
        heard.append(Message(role="user", content=reply.text))
        said = voice(tuple(heard), seed())
        heard.append(Message(role="assistant", content=said))
        return None if _DONE.search(said) else said.strip() or None

    return answer


def _lines(given: object, what: str) -> Sequence[str]:
    if isinstance(given, list | tuple) and all(isinstance(line, str) and line for line in given):
        return given
    allowed = "a list of lines that are not empty"
    if what == "user":
        allowed += ", the key under which each task keeps its own, a function of (tools, task, reply), and a VoiceUser"
    raise UserError(f"{what} is {given!r:.80}; allowed is {allowed}")


def _name(function: object) -> str:
    return getattr(function, "__name__", type(function).__name__)
