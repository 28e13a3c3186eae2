"""A world from an object whose public methods are the tools, a list of tasks and a check of the goal.

    class Lamps:
        def __init__(self, task):
            self.lit = set(task["lit"])

        def switch(self, room: str, on: bool) -> str:
            \"\"\"Switch the lamp of a room on or off.\"\"\"
            (self.lit.add if on else self.lit.discard)(room)
            return f"{room} is {'on' if on else 'off'}"

    def check(lamps, task, reply):
        return lamps.lit == set(task["wanted"])

    ToolWorld([{"prompt": "Light the hall.", "lit": [], "wanted": ["hall"]}, …], Lamps, check)

A reply with tool calls is executed and answered with one tool message for each call. A reply without calls is heard by
the `user`, who may say more; where there is none, or nothing more to say, it is the final answer: it is checked, and
the episode ends. A malformed reply executes nothing and is told what was wrong.

    r = w_reward · check − w_malformed · [malformed] − w_tool_error · calls that failed − w_tool_call · calls

Whoever acts may parse replies itself; a reply that arrives as mere text is parsed here, in the world's `reply_format`.
Tools that nobody here has written, from an MCP server or a sandbox, stand beside the object in a list:

    ToolWorld(tasks, lambda task: [Lamps(task), *server.tools, Workbench()], check)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from ..conversation.conversation_env import Opening, Outcome, Split
from ..conversation.reward_version import function_version
from ..conversation.task_source import Task, TaskSource
from ..conversation.task_world import Judgement, TaskWorld
from ..errors import UserError
from ..reported import BadReport
from ..user_code import check_call
from ..vocabulary import Message, Reply, ToolCall
from . import call_formats
from .call_desk import COSTS, CallDesk, checked_limit, describe_tools
from .tool import Tool, ToolBox, checked_timeout
from .user import Answer, User, VoiceUser, check_user, lines_of, ruled, scripted, voiced

Host = TypeVar("Host")  # the object whose methods are the tools


class ToolWorld(TaskWorld):
    """Tasks to be done with tools: the public methods of an object that is made anew for every episode.

    Args:
        tasks: as for `TaskWorld`: a list, a generator, a `.jsonl` file or a Hugging Face dataset. A task's `oracle`
            lists what an expert does in each turn: text, or a mapping with the `name` and `arguments` of a call.
        tools: of the task; gives the object whose public methods are the tools, or a list of such objects, of
            functions, `Toolkit`s and `Tool`s (see `ToolBox.of`). A `close` method is no tool: it is called when the
            episode is over (see `end`).
        check: of (that object or list, the task, the final reply): a number, a bool, terms or an `Outcome`.
        user: who talks with the agent after the prompt, see `user`: a list of lines, the key under which each task
            keeps its own, a function of (that object or list, the task, a reply) that gives a text, or None when the
            user has nothing more to say, or a `VoiceUser`. Default: nobody.
        prompt: the key under which a task keeps its prompt.
        weights: of the terms that `check` returns, and of `COSTS`; default {"reward": 1}.
        reply_format: how calls are written, see `call_formats`; None: as the agent's model writes them, else "hermes".
        tools_in_prompt: describe the tools in a system message, for models whose chat template does not.
        max_calls: tool calls in an episode; one more truncates it.
        timeout: seconds for each call; None for tools that are trusted to end. With one, tools may wait for
            something outside, and so the world is stepped in threads (see `waits`). It is granted on top of what
            a scenario allows the world itself (`world.step_seconds`, `world.episode_seconds`).

    Raises:
        UserError: as for `TaskWorld`; `tools` or `check` cannot be called; an unknown format, and what cannot be a tool
            (at the first reset).
    """

    max_turns = 32
    reward_version = "1"
    _has_turns = True
    _own_fields = TaskWorld._own_fields | {
        *("_make_tools", "_check", "_format_name", "tools_in_prompt", "_max_calls", "_timeout", "_host"),
        *("_rule", "_user", "_answer", "voice_names"),
    }
    _functions = (*TaskWorld._functions, "_make_tools", "_check", "_rule")

    def __init__(
        self,
        tasks: TaskSource,
        tools: Callable[[Task], Host],
        check: Callable[[Host, Task, Reply], Judgement],
        *,
        user: User | None = None,
        prompt: str = "prompt",
        weights: Mapping[str, float] | None = None,
        reply_format: str | None = None,
        tools_in_prompt: bool = False,
        max_calls: int = 32,
        timeout: float | None = 10.0,
    ) -> None:
        goals = {"reward": 1.0} if weights is None or set(weights) <= set(COSTS) else {}
        terms = {**goals, **COSTS, **(weights or {})}
        super().__init__(tasks, self._judge, prompt=prompt, at_once=1, weights=terms)
        for name, given, of in (("tools", tools, "a task"), ("check", check, "(tools, task, reply)")):
            if not callable(given):
                raise UserError(f"{name} is {given!r:.80}; allowed is a class or a function of {of}")
        check_call(f"`tools` ({getattr(tools, '__name__', 'an object')})", tools, "task")
        check_call(f"`check` ({getattr(check, '__name__', 'an object')})", check, "tools", "task", "reply")
        self._judge_name = f"`check` ({getattr(check, '__name__', 'an object')})"
        self._make_tools: Callable[[Task], object] = tools
        self._check: Callable[[Any, Task, Reply], Judgement] = check
        check_user(user)
        self._rule, self._user = (user, None) if callable(user) else (None, user)
        self._answer: Answer = scripted(())
        self._format_name, self.tools_in_prompt = reply_format, tools_in_prompt
        self._max_calls = checked_limit("max_calls", max_calls)
        self._timeout = None if timeout is None else checked_timeout(timeout)
        voices = (user.voice,) if isinstance(user, VoiceUser) else ()
        # of this world, not of all
        self.voice_names = voices  # pyright: ignore[reportAttributeAccessIssue]
        self.waits = timeout is not None or bool(voices)  # pyright: ignore[reportAttributeAccessIssue]
        self._host: object = None

    @property
    def scored_by(self) -> str:
        """The world's version, and that of `check` and of a `user` that is a function."""
        functions = (self._check, self._rule) if self._rule else (self._check,)
        return ", ".join([super().scored_by, *map(function_version, functions)])

    def opening(self, rng: np.random.Generator, split: Split) -> Opening:
        self.granted_seconds = 0.0
        begun = super().opening(rng, split)
        self._host = self._make_tools(self._task)
        box = ToolBox.of(self._host, timeout=self._timeout)
        schemas = box.schemas
        form = call_formats.reply_format(self._format_name or self.agent_format or "hermes", schemas)
        self._desk = CallDesk(box, form, self._max_calls, self._grant)
        assert not isinstance(begun.messages, str)
        messages = list(begun.messages)
        self._answer = self._answerer(messages[-1]["content"])
        if self.tools_in_prompt:
            told = describe_tools(box, self._desk.form)
            if messages[0]["role"] == "system":  # the task's own
                told = f"{messages.pop(0)['content']}\n\n{told}"
            messages.insert(0, Message(role="system", content=told))
        return Opening(messages, task=begun.task, tools=() if self.tools_in_prompt else schemas)

    def respond(self, reply: Reply) -> Outcome:
        handled = self._desk.take(reply)
        if not handled.final:
            return Outcome(
                handled.messages,
                handled.terms,
                truncated=handled.over_limit,
                metrics=self._desk.metrics,
                stop_reason=handled.stop_reason,
            )
        if (said := self.answer(handled.reply)) is not None:
            return Outcome(said, handled.terms, metrics=self._desk.metrics)
        outcome = super().respond(handled.reply)
        metrics = {**outcome.metrics, **self._desk.metrics}
        return replace(outcome, terms={**handled.terms, **outcome.terms}, metrics=metrics)

    def answer(self, reply: Reply) -> str | None:
        """What the user says to a reply that calls nothing; None: nothing more, so that it is judged."""
        return self._answer(reply)

    @property
    def _task_name(self) -> str:
        name = self._task.get("id")
        return self._text(self._task) if name is None else str(name)

    def _answerer(self, request: str) -> Answer:
        """The user of the episode that begins, who has asked for `request`."""
        if self._rule is not None:
            return ruled(self._rule, self._host, self._task)
        if isinstance(self._user, VoiceUser):
            about = str(self._task.get(self._user.about, ""))
            return voiced(self.voices[self._user.voice], about, request, lambda: int(self.np_random.integers(1 << 31)))
        return scripted(lines_of(self._user or (), self._task, self._task_name))

    def read(self, text: str) -> Reply:
        return self._desk.form.parse(text)

    def write(self, reply: Reply) -> str:
        return self._desk.form.write(reply.text, reply.tool_calls) if reply.tool_calls else reply.text

    def oracle(self) -> str | None:
        """The next of the task's own `oracle` steps; None outside of an episode, and where the task has none. UserError
        where they are over before the episode."""
        steps = self._task.get("oracle") or ()
        steps = [steps] if isinstance(steps, str) else steps
        if self._turn is None or not steps:
            return None
        if self._turn >= len(steps):
            many = "1 step" if len(steps) == 1 else f"{len(steps)} steps"
            raise UserError(
                f"the task {self._task_name!r:.80}: the oracle has {many}, and the episode goes on after it; its "
                "last step is what an expert says at the end"
            )
        step = steps[self._turn]
        if isinstance(step, str):
            return step
        return self._desk.form.write("", [ToolCall(step["name"], step.get("arguments", {}))])

    def end(self) -> None:
        """Close the episode's object, or each in its list, where it can be closed."""
        super().end()
        host, self._host = self._host, None
        with ExitStack() as closing:  # each is closed, even if another raises
            for part in host if isinstance(host, list | tuple) else (host,):
                close = None if isinstance(part, Tool) else getattr(part, "close", None)
                if callable(close):
                    closing.callback(close)

    def _grant(self, seconds: float) -> None:
        self.granted_seconds += seconds

    def _judge(self, reply: Reply, task: Task) -> Judgement:
        verdict = self._check(self._host, task, reply)
        if verdict is None:
            raise BadReport(f"{self._judge_name} returned None; it has to return a number, a bool, terms or an Outcome")
        return verdict
