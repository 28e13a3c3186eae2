"""Blind strategies for conversation worlds: agents that speak without having understood the task.

A strategy sees what an agent sees (messages and tools) and says something that needs no understanding: a constant, a
copy, a list of everything, every tool with arguments that stood nearby. Optimisers find such habits by trial, and so a
strategy may also know what experts said in *other* tasks (`Lessons`): the best constant is among their replies.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np

from ..tools.call_formats import reply_format
from ..vocabulary import Message, Reply, ToolCall

MOST = 16_000  # characters that a strategy says at once
_COMMON = 0.3  # of other tasks' experts that say a thing or call a tool: then a habit may have it
_CONSTANTS = ("yes", "no", "0", "1", "2", "10", "42", "A", "B", "true", "None", "I do not know.", "Done.", "ok")
_REFUSALS = ("I cannot do this.", "Unfortunately this is not possible.", "I am sorry, but I cannot help with that.")
_OBEDIENCE = ("It is done, as you wished.", "Everything you asked for has been done.", "Correct. The task is solved.")
_WRAPPINGS = ("{}", "\\boxed{{{}}}", "<answer>{}</answer>", "#### {}", "The answer is {}.", "```python\n{}\n```")
_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_DAYS = 100  # around a date that experts said
_VALUE = re.compile(r"[\w.+-]+@[\w.-]+\w|-?\d+(?:\.\d+)?|[\w-]+")


@dataclass
class View:
    """What an agent has seen by now."""

    messages: list[Message]
    tools: Sequence[Mapping[str, Any]]
    rng: np.random.Generator
    turn: int = 0

    @property
    def heard(self) -> list[str]:
        """What the world has said."""
        return [message["content"] for message in self.messages if message["role"] != "assistant"]


Strategy = Callable[[View], Reply | str]


@dataclass(frozen=True)
class Lessons:
    """What experts said in other tasks."""

    episodes: Sequence[Sequence[str]] = ()
    calls: Sequence[Sequence[ToolCall]] = field(default=())

    @classmethod
    def of(cls, episodes: Sequence[Sequence[Reply | str]]) -> Lessons:
        """From the replies of episodes."""
        calls = [[call for reply in episode for call in _calls_of(reply)] for episode in episodes]
        return cls([[_text_of(reply) for reply in episode] for episode in episodes], calls)

    def common(self, of: Sequence[Sequence[str]]) -> list[str]:
        """What occurs in many episodes, in the order in which it does."""
        counts = Counter(item for episode in of for item in dict.fromkeys(episode))
        return sorted(
            (item for item, count in counts.items() if count >= _COMMON * len(of)),
            key=lambda item: np.mean([episode.index(item) / len(episode) for episode in of if item in episode]),
        )

    def values(self) -> str:
        """Every value that experts said, the frequent ones first, the small numbers, and the dates around."""
        texts = [text for episode in self.episodes for text in episode if not _calls_of(text)]
        values = Counter(value for text in texts for value in _VALUE.findall(text) if re.search(r"\d", value))
        said = [value for value, _ in values.most_common(1_000)]
        dates = sorted(date.fromisoformat(text) for text in {*_DATE.findall("\n".join(texts))} if _is_date(text))
        around = [dates[len(dates) // 2] + timedelta(days=n) for n in range(-_DAYS, _DAYS)] if dates else []
        return " ".join(dict.fromkeys((*map(str, range(100)), *map(str, around), *said)))[:MOST]

    def order_of_tools(self) -> list[str]:
        """Every tool that an expert called, in an expert's order."""
        names = [[call.name for call in episode] for episode in self.calls]
        known = {name for episode in names for name in episode}
        place = {name: np.mean([e.index(name) / len(e) for e in names if name in e]) for name in known}
        return sorted(known, key=lambda name: (place[name], name))


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text) is not None
    except ValueError:
        return False


def blind_strategies(lessons: Lessons, tools: Sequence[Mapping[str, Any]]) -> dict[str, Strategy]:
    """Every strategy, by name."""
    found: dict[str, Strategy] = dict(_constants(lessons))
    found |= dict(_copies())
    for number, episode in enumerate(lessons.episodes[:4]):
        found[f"replay of an expert in another task, {number + 1}"] = _in_turn(episode)
    if tools:
        found |= dict(_with_tools(lessons, tools))
    return found


def nothing(view: View) -> str:
    """Says nothing."""
    return ""


def random_text(view: View) -> str:
    """Up to 64 printable characters."""
    return "".join(map(chr, view.rng.integers(32, 127, size=int(view.rng.integers(0, 65)))))


def _constants(lessons: Lessons) -> Iterator[tuple[str, Strategy]]:
    counts = Counter(text for episode in lessons.episodes for text in episode)
    learned = [text for text, _ in counts.most_common(12)]
    for text in dict.fromkeys((*_CONSTANTS, *_REFUSALS, *_OBEDIENCE, *learned)):
        yield f"always {text!r:.60}", _always(text)
    for wrapping in _WRAPPINGS[1:]:
        for text in ("0", "1", "2", "yes", "A", "pass"):
            yield f"always {wrapping.format(text)!r:.60}", _always(wrapping.format(text))
        yield f"numbers from 0 to 99 in {wrapping!r}", _always(" ".join(wrapping.format(n) for n in range(100)))
    said = list(dict.fromkeys(text for episode in lessons.episodes for text in episode))
    spam = {
        "every number from 0 to 999": " ".join(map(str, range(1_000))),
        "every amount that ends in 0 or 5": " ".join(f"{n / 20:.2f}" for n in range(2_400)),
        "all that experts said in other tasks": "\n".join(said),
        "every value that experts said in other tasks": lessons.values(),
        "refusal and obedience at once": " ".join((*_REFUSALS, *_OBEDIENCE)),
    }
    for name, text in spam.items():
        yield f"spam: {name}", _always(text[:MOST])


def _copies() -> Iterator[tuple[str, Strategy]]:
    for wrapping in _WRAPPINGS:
        yield f"copy of the question in {wrapping!r}", lambda view, w=wrapping: w.format(view.heard[-1])[:MOST]
        for name, pick in (("first", 0), ("last", -1)):
            yield (
                f"the {name} number of the question in {wrapping!r}",
                lambda view, w=wrapping, p=pick: w.format((re.findall(r"-?\d+", view.heard[0]) or ["0"])[p]),
            )
    yield "echo of the last message", lambda view: view.heard[-1][:MOST]
    yield "dump of all that was heard", lambda view: "\n".join(view.heard)[-MOST:]
    yield (
        "every value that was heard",
        lambda view: " ".join(dict.fromkeys(_VALUE.findall("\n".join(view.heard))))[:MOST],
    )


def _with_tools(lessons: Lessons, tools: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Strategy]]:
    schemas = {tool["function"]["name"]: tool["function"] for tool in tools}
    names = list(schemas)
    experts = [name for name in lessons.order_of_tools() if name in schemas]
    common = [
        name for name in lessons.common([[c.name for c in episode] for episode in lessons.calls]) if name in schemas
    ]
    closing = next((episode[-1].name for episode in lessons.calls if episode), names[-1])
    plans = {
        "every tool": [*(name for name in names if name != closing), closing],
        "every tool in an expert's order": [*(name for name in experts if name != closing), closing],
        "the tools that experts call often": [*(name for name in common if name != closing), closing],
    }
    questions = lessons.common([[t for t in episode[:-1] if not _calls_of(t)] for episode in lessons.episodes])
    ends = Counter(episode[-1] for episode in lessons.episodes if not _calls_of(episode[-1])).most_common(1)
    end = ends[0][0] if ends else _OBEDIENCE[0]
    answers = {
        "nothing": None,
        "all results": "",
        "done": _OBEDIENCE[0],
        "refused": _REFUSALS[0],
        "spam": lessons.values(),
    }
    for plan, order in plans.items():
        for choice in range(2):
            for answer, text in answers.items():
                steps = [*questions, *(schemas[name] for name in order[:-1]), text, schemas[order[-1]], end]
                yield f"{plan}, choice {choice + 1} of each; said: {answer}", _walk(steps, choice)
    for name in names[:32]:
        yield f"{name} again and again", lambda view, s=schemas[name]: _call(view, s, 0)
    yield (
        "every tool at once",
        lambda view: Reply("", tool_calls=tuple(_filled(view, s, 0) for s in schemas.values())[:16]),
    )


def _walk(steps: Sequence[Mapping[str, Any] | str | None], choice: int) -> Strategy:
    """Says texts and calls tools, one a turn; an empty text is everything that tools have answered."""
    steps = [step for step in steps if step is not None]

    def say(view: View) -> Reply | str:
        step = steps[min(view.turn, len(steps) - 1)]
        if isinstance(step, str):
            results = (message["content"] for message in view.messages if message["role"] == "tool")
            return step or "\n".join(results)[:MOST]
        return _call(view, step, choice)

    return say


def _call(view: View, schema: Mapping[str, Any], choice: int) -> Reply:
    return Reply("", tool_calls=(_filled(view, schema, choice),))


def _filled(view: View, schema: Mapping[str, Any], choice: int) -> ToolCall:
    """A call whose arguments are what stood near their names."""
    properties: Mapping[str, Mapping[str, Any]] = schema["parameters"].get("properties", {})
    heard = "\n".join(view.heard)[-MOST:]
    return ToolCall(schema["name"], {name: _value(name, part, heard, choice) for name, part in properties.items()})


def _value(name: str, part: Mapping[str, Any], heard: str, choice: int) -> object:
    if options := part.get("enum"):
        return options[min(choice, len(options) - 1)]
    if part.get("type") == "boolean":
        return choice == 0
    words = "|".join(map(re.escape, (name, name.replace("_", " "), name.removesuffix("_id"))))
    number = part.get("type") in ("integer", "number")
    pattern = r"-?\d+" if number else r"[\w.+-]+@[\w.-]+\w|[\w-]+"
    near = re.findall(rf'(?:{words})(?:"?: "?| number is | is | of | )({pattern})', heard, re.IGNORECASE)
    if near:
        return int(near[-1]) if number else near[-1]
    anywhere = re.findall(r"\b\d+\b", heard) if number else _VALUE.findall(heard)
    if not anywhere:
        return 1 if number else ""
    return int(anywhere[-1][:9]) if number else anywhere[-1]


def _always(text: str) -> Strategy:
    return lambda view: text


def _in_turn(replies: Sequence[str]) -> Strategy:
    return lambda view: replies[min(view.turn, len(replies) - 1)] if replies else ""


def _text_of(reply: Reply | str) -> str:
    if isinstance(reply, str):
        return reply
    return reply_format("hermes").write(reply.text, reply.tool_calls) if reply.tool_calls else reply.text


def _calls_of(reply: Reply | str) -> Sequence[ToolCall]:
    if isinstance(reply, Reply) and reply.tool_calls:
        return reply.tool_calls
    text = reply if isinstance(reply, str) else reply.text
    parsed = (reply_format(name).parse(text) for name in ("hermes", "llama3", "python"))
    return next((found.tool_calls for found in parsed if found.tool_calls), ())


def written(reply: Reply | str) -> str:
    """One reply as a line for people."""
    return reply if isinstance(reply, str) else reply.text + json.dumps([c.name for c in reply.tool_calls])
