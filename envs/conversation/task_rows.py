"""Rows of tasks, looked at once: what each must have, and what most have and a few lack."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import regex

from ..errors import UserError, unknown
from .conversation_env import SPLITS
from .task_columns import Columns, fields_of, kind_of, lettered, value_at
from .task_source import Task
from .task_tables import CHOICES, check_digits, written_list

_MOST_REMARKS = 5
_LONG = 100_000  # characters of a text
_STRANGE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\ud800-\udfff\ufffd\ufffe\uffff]")
_NAMES = {"\x00": "a NUL", "\ufffd": "what stands for a byte that could not be read"}


def check_row(place: str, task: Task | str, columns: Columns, *, turns: bool = False, choosing: bool = False) -> Task:
    """The task as a mapping; with `turns`, its oracle may list what is done in each; `choosing`: with its choices read.
    `UserError`, with its place, if it has no prompt that can be asked, or if a key that means something here holds what
    it cannot."""
    check_digits(place, task)
    if isinstance(task, str):
        task = {columns.prompt: task}
    if not isinstance(task, Mapping):
        raise UserError(f"{place}: a task is a mapping or a string, not {task!r:.80}")
    if choosing:
        task = _with_choices(place, task, columns)
    columns.messages(place, task)
    name, split = task.get("id"), task.get("split")
    if isinstance(name, float) and name.is_integer():  # of a table with an empty cell
        name = int(name)
    if isinstance(name, bool) or not isinstance(name, str | int | None) or name == "":
        raise UserError(f"{place}: the id is {name!r:.80}; it names the task, as text or a whole number")
    if split is not None and split not in SPLITS:
        raise UserError(f"{place}: {unknown('split of a task', str(split), SPLITS)}")
    _check_oracle(place, task.get("oracle"), turns=turns)
    return task


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


def check_prompts_differ(texts: Sequence[str]) -> None:
    """`UserError` if all of several tasks ask the same."""
    if len(texts) > 1 and len(set(texts)) == 1:
        raise UserError(
            f"all {len(texts)} tasks have the same prompt, {texts[0]!r:.80}: a prompt tells which task it is "
            "(train and test tasks are told apart by it)"
        )


def remarks_on(
    rows: Sequence[tuple[str, Task]],
    texts: Sequence[str],
    columns: Columns,
    *,
    grader: str,
    reading: Callable[[Task], object] | None,
) -> list[str]:
    """What is to be said of tasks that ask `texts`, a sentence each. `grader`: its name, where it only reads;
    `reading`: what the answer of a task is to its grader, None without one."""
    guessed = [f"the tasks say no prompt or answer by these names: {columns.guessed}"] if columns.guessed else []
    unseen = _unseen_choices(rows, columns) if grader == "choice" else []
    unasking = _patterns_of_nothing(rows, columns) if grader == "regex" else []
    unlike = _contradictions(rows, texts, columns, reading) if reading else []
    strange = strange_characters([(place, text) for (place, _), text in zip(rows, texts, strict=True)])
    return [*guessed, *shown_answer(columns), *unseen, *unasking, *unlike, *repeated(rows), *strange, *_uneven(rows)]


def shown_answer(columns: Columns) -> list[str]:
    """A sentence where what is asked shows all columns of the answer, as "\\boxed{answer}" does in a template."""
    shown = {*(fields_of(columns.prompt) or [columns.prompt]), *fields_of(columns.system or "")}
    held = fields_of(columns.answer) or [columns.answer]
    if not shown.issuperset(held):
        return []
    names = " and ".join(map(repr, held))
    return [
        f"what is asked shows {names}, which is the answer; where no column is meant, write {{{{ or }}}} for a brace"
    ]


def _uneven(rows: Sequence[tuple[str, Task]]) -> list[str]:
    """A sentence for each key that most tasks have, of one type, while a few lack it or have another type."""
    kinds: dict[str, Counter[str]] = {}
    for _, task in rows:
        for key, value in task.items():
            kinds.setdefault(str(key), Counter())[kind_of(value)] += 1
    remarks = []
    for place, task in rows:
        long = max((len(value) for value in task.values() if isinstance(value, str)), default=0)
        if long > _LONG:
            remarks.append(f"{place}: a text of {long:,} characters, which few models can read")
    for key, counted in kinds.items():
        usual, count = counted.most_common(1)[0]
        if count < len(rows) and count > len(rows) // 2:
            place, odd = next((p, t) for p, t in rows if key not in t or kind_of(t[key]) != usual)
            found = f"is {kind_of(odd[key])}" if key in odd else "is missing"
            others = len(rows) - count - 1
            more = f" (and in {others} other task{'s' if others > 1 else ''} differs as well)" if others else ""
            remarks.append(f"{place}: {key!r} {found}, and is {usual} in {count} of {len(rows)} tasks{more}")
    return remarks[:_MOST_REMARKS]


def repeated(rows: Sequence[tuple[str, object]], what: str = "tasks") -> list[str]:
    """A sentence where rows are equal to earlier ones, as of two files of the same: each counts as often as it is
    there. 7, 7.0 and the "7" of a table are one, and null is what is missing."""
    first: dict[object, str] = {}
    again = [(place, before) for place, row in rows if (before := first.setdefault(_content(row), place)) != place]
    if not again:
        return []
    (place, before), many = again[0], f"{len(again):,} of {len(rows):,} {what}"
    return [f"{many} repeat an earlier one, and count as often as they are there: {place} has what {before} has"]


def _content(row: object) -> object:
    if not isinstance(row, Mapping):
        return str(row)
    whole = {
        key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in row.items()
    }
    return frozenset((str(key), str(value)) for key, value in whole.items() if value is not None)


def strange_characters(texts: Sequence[tuple[str, str]], what: str = "tasks") -> list[str]:
    """A sentence where texts, each with its place, have characters that nobody types: of what is no text, or was read
    in another encoding."""
    odd = [(place, found[0]) for place, text in texts if (found := _STRANGE.search(text))]
    if not odd:
        return []
    place, character = odd[0]
    half = "\ud800" <= character <= "\udfff"
    name = "half of a pair of surrogates" if half else _NAMES.get(character, "a control character")
    many = f"{len(odd)} of {len(texts)} {what}"
    return [f"{place}: its text has {character!r}, {name} (in {many}), which a model is shown as it is"]


def _contradictions(
    rows: Sequence[tuple[str, Task]], texts: Sequence[str], columns: Columns, reading: Callable[[Task], object]
) -> list[str]:
    """A sentence where tasks that ask the same, `texts`, expect different answers."""
    asked: dict[str, dict[object, tuple[str, str]]] = {}  # prompt → answer → its spelling and place where it is first
    for (place, task), text in zip(rows, texts, strict=True):
        answer = columns.expected(place, task)
        asked.setdefault(text, {}).setdefault(reading({**task, "answer": answer}), (str(answer), place))
    several = {text: answers for text, answers in asked.items() if len(answers) > 1}
    if not several:
        return []
    text, answers = next(iter(several.items()))
    (one, first), (two, second), *_ = answers.values()
    many = "1 prompt is" if len(several) == 1 else f"{len(several):,} prompts are"
    return [
        f"{many} asked with different answers, and a reply that is right in one task is wrong in another: {text!r:.60} "
        f"expects {one!r:.40} ({first}) and {two!r:.40} ({second})"
    ]


def _with_choices(place: str, task: Task, columns: Columns) -> Task:
    """A task with the choices that texts of tables say, without those that tables fill with null; and with a number as
    its answer, where that is a text that can only be an index of them."""
    read = dict(task)
    for key in CHOICES:
        given = task.get(key)
        if isinstance(given, str) and given.lstrip().startswith(("[", "{")):
            given = written_list(given)
            if given is None:
                raise UserError(
                    f"{place}: {key!r} is {task[key]!r:.80}, a text that is no list; write the choices as JSON or "
                    'Python does, ["red", "blue"]'
                )
        if isinstance(given, Mapping):
            given = {letter: text for letter, text in given.items() if text is not None}
        if key in task:
            read[key] = given
    letters, texts = lettered(next((read[key] for key in CHOICES if read.get(key) is not None), None))
    answer = value_at(task, columns.answer)
    if not columns.after and not columns.tag and isinstance(answer, str) and re.fullmatch(r"\s*[0-9]{1,3}\s*", answer):
        is_index = int(answer) < len(texts) and answer.strip() not in (*letters, *texts)
        read[columns.answer] = int(answer) if is_index else answer
    return read


def _unseen_choices(rows: Sequence[tuple[str, Task]], columns: Columns) -> list[str]:
    """A sentence where tasks have choices, and what is asked does not say all of them."""
    unseen = []
    for place, task in rows:
        text = "\n".join(message["content"] for message in columns.messages(place, task))
        key = "options" if task.get("choices") is None else "choices"
        given = task.get(key, [])
        if isinstance(given, Mapping):
            given = given.get("text", list(given.values()))
        choices = given if isinstance(given, list | tuple) else [given]
        if not all(str(choice) in text for choice in choices if choice is not None):
            unseen.append((place, key))
    if not unseen:
        return []
    (place, key), many = unseen[0], f"{len(unseen)} of {len(rows)} tasks"
    return [
        f"{place}: the agent is not shown the {key} that it is to choose between (in {many}); a template shows them, "
        f'prompt: "{{question}}\\n{{{key}}}"'
    ]


def _patterns_of_nothing(rows: Sequence[tuple[str, Task]], columns: Columns) -> list[str]:
    """A sentence where patterns are found in the empty text, as ".*" is."""
    answers = [(place, columns.expected(place, task)) for place, task in rows]
    found = [(place, answer) for place, answer in answers if regex.search(answer, "")]
    if not found:
        return []
    (place, answer), many = found[0], f"{len(found)} of {len(rows)} tasks"
    return [f"{place}: the pattern {answer!r:.60} is found in the empty text (in {many}): a reply of nothing is paid"]


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
        if isinstance(step, Mapping) and not isinstance(step.get("arguments", {}), Mapping):
            raise UserError(
                f"{place}: oracle calls {called!r:.80} with arguments {step['arguments']!r:.80}; allowed is a mapping "
                "of names to values"
            )
