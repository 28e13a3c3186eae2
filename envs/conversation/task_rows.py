"""Rows of tasks, looked at once: what each must have, and what most have and a few lack."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UserError, nearest, unknown
from .conversation_env import SPLITS
from .task_source import Task

_MOST_REMARKS = 5
_LONG = 100_000  # characters of a text


def check_row(place: str, task: Task | str, prompt: str, *, turns: bool = False) -> Task:
    """The task as a mapping; with `turns`, its oracle may list what is done in each. `UserError`, with its place, if it
    has no prompt that can be asked, or if a key that means something here holds what it cannot."""
    if isinstance(task, str):
        task = {prompt: task}
    if not isinstance(task, Mapping):
        raise UserError(f"{place}: a task is a mapping or a string, not {task!r:.80}")
    if prompt not in task:
        raise UserError(f"{place} has no {prompt!r}, the prompt; {_its_keys(task, prompt)}")
    _check_prompt(place, task[prompt], prompt)
    name, split = task.get("id"), task.get("split")
    if isinstance(name, bool) or not isinstance(name, str | int | None) or name == "":
        raise UserError(f"{place}: the id is {name!r:.80}; it names the task, as text or a whole number")
    if split is not None and split not in SPLITS:
        raise UserError(f"{place}: {unknown('split of a task', str(split), SPLITS)}")
    _check_oracle(place, task.get("oracle"), turns=turns)
    return task


def _its_keys(task: Task, wanted: str) -> str:
    """What a task has in the place of a key."""
    keys = list(map(str, task))
    return f"it has {', '.join(map(repr, keys)) or 'no key at all'}.{nearest(wanted, keys)}"


def check_names(rows: Sequence[tuple[str, Task]]) -> None:
    """`UserError` if two tasks of one split have one id, with both places."""
    seen: dict[tuple[object, str], str] = {}
    for place, task in rows:
        if task.get("id") is None:
            continue
        first = seen.setdefault((task.get("split"), str(task["id"])), place)
        if first != place:
            raise UserError(
                f"{place}: the id {task['id']!r:.80} is that of {first} too: give each task its own, or "
                "none, and the prompt is its name"
            )


def check_prompts_differ(rows: Sequence[tuple[str, Task]], prompt: str) -> None:
    """`UserError` if all of several tasks ask the same."""
    if len(rows) > 1 and len({task[prompt] for _, task in rows}) == 1:
        raise UserError(
            f"all {len(rows)} tasks have the same prompt, {rows[0][1][prompt]!r:.80}: a prompt tells which task it is "
            "(train and test tasks are told apart by it)"
        )


def remarks_on(rows: Sequence[tuple[str, Task]]) -> list[str]:
    """A sentence for each key that most tasks have, of one type, while a few lack it or have another type."""
    kinds: dict[str, Counter[str]] = {}
    for _, task in rows:
        for key, value in task.items():
            kinds.setdefault(str(key), Counter())[_kind(value)] += 1
    remarks = []
    for place, task in rows:
        long = max((len(value) for value in task.values() if isinstance(value, str)), default=0)
        if long > _LONG:
            remarks.append(f"{place}: a text of {long:,} characters, which few models can read")
    for key, counted in kinds.items():
        usual, count = counted.most_common(1)[0]
        if count < len(rows) and count > len(rows) // 2:
            place, odd = next((p, t) for p, t in rows if key not in t or _kind(t[key]) != usual)
            found = f"is {_kind(odd[key])}" if key in odd else "is missing"
            others = len(rows) - count - 1
            more = f" (and in {others} other task{'s' if others > 1 else ''} differs as well)" if others else ""
            remarks.append(f"{place}: {key!r} {found}, and is {usual} in {count} of {len(rows)} tasks{more}")
    return remarks[:_MOST_REMARKS]


def _check_prompt(place: str, asked: Any, prompt: str) -> None:
    if isinstance(asked, float) and math.isnan(asked):
        asked = None
    if asked is None:
        raise UserError(f"{place}: {prompt!r} is null; it is the text that the agent is asked")
    if isinstance(asked, list | tuple):
        raise UserError(
            f"{place}: {prompt!r} is a list, {asked!r:.80}; a task asks one text. For a conversation that has begun, "
            "write a ConversationEnv whose opening gives Opening(messages)"
        )
    if not isinstance(asked, str):
        raise UserError(f"{place}: {prompt!r} is {asked!r:.80} ({_kind(asked)}); allowed is text")
    if not asked.strip():
        raise UserError(f"{place}: {prompt!r} is empty; it is the text that the agent is asked")


def _check_oracle(place: str, oracle: Any, *, turns: bool) -> None:
    """What an expert says: text, or one thing for each turn."""
    if oracle is None or isinstance(oracle, str):
        return
    if not turns:
        raise UserError(f"{place}: oracle is {oracle!r:.80}; allowed is text")
    steps = oracle if isinstance(oracle, list | tuple) else [oracle]
    for step in steps:
        called = step.get("name") if isinstance(step, Mapping) else None
        if (not isinstance(step, str) and not isinstance(called, str)) or step is oracle:
            raise UserError(
                f"{place}: oracle is {oracle!r:.80}; allowed are text and a list that has, for each turn, text or a "
                'call such as {"name": "…", "arguments": {…}}'
            )


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "a mapping"
    return type(value).__name__
