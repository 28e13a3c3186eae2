"""What of a row is asked and what is expected: columns by name, templates of them, conversations that have begun.

    prompt="question"                                        the text, or the messages, of a column
    prompt="{question}\\n{choices}\\nAnswer with a letter."    a template; a list of choices is written as A. … lines
    system="You are a tutor of {subject}."                   before the prompt; a text, or a template
    answer="answer"                                          a column
    answer={"column": "answer", "after": "#### "}            what stands behind a mark in it, the last one
    answer="reward_model.ground_truth"                       what a mapping in a column has under that key
    answer={"column": "solution", "tag": "boxed"}            in \\\\boxed{…}, as `answer_tag` says of replies

Without `system`, it is the column `system`, if there is one. Without `prompt`, it is the first of the columns `prompt`,
`question` and `problem` that there is; without `answer`, it is `answer`, behind its "####" where it has one (GSM8K), or
what is boxed in `solution` (MATH).

What cannot be asked or expected is a `UserError` with the row, the column and the value.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UserError, nearest, unknown
from ..vocabulary import Message
from ..worlds.maths.answers import ANSWER_TAGS, AnswerTag, find_answer
from .task_source import Task

AnswerRule = str | Mapping[str, str]
PROMPTS = ("prompt", "question", "problem")
_RULE = ("column", "after", "tag")
_ROLES = ("system", "user", "assistant", "tool")
_SHAREGPT = {"human": "user", "gpt": "assistant"}  # the others are called alike
_OLDER = {"function": "tool"}  # of OpenAI's API
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")  # of a reply; the last two as vLLM and gpt-oss have them
_CHATS = ("conversations", "messages")
_LETTERS = 2  # characters of a choice's letter, at most
_LONGEST = 1 << 20  # characters in which a boxed answer is looked for
_GSM8K = "####"
_MISSING = object()  # null is a value


@dataclass(frozen=True)
class Columns:
    """Where a row keeps what is asked and what is expected."""

    prompt: str
    answer: str
    after: str = ""
    tag: AnswerTag | None = None
    system: str | None = None
    guessed: str = ""  # what was chosen because nobody said it, a sentence

    @classmethod
    def of(cls, prompt: str | None, answer: AnswerRule | None, system: str | None, first: Task | str | None) -> Columns:
        """As the keys say; what they leave open, as the `first` row has it. `UserError` for a rule that is none."""
        row = first if isinstance(first, Mapping) else {}
        for name, given in (("prompt", prompt), ("system", system)):
            if given is not None and (not isinstance(given, str) or not given.strip()):
                quoted = "; in YAML a template stands in quotes" if isinstance(given, Mapping) else ""
                raise UserError(f'{name} is {given!r:.80}; allowed is a column, or a template, "{{question}}"{quoted}')
        asked = prompt or next((name for name in PROMPTS if row.get(name) is not None), "prompt")
        rule = _guess(row) if answer is None else _rule(answer)
        columns = cls(asked, system=system, **rule)
        odd = asked if prompt is None and asked != "prompt" else ""
        said = [f"the prompt is the column {odd!r}"] * bool(odd)
        if answer is None and (columns.after or columns.tag):
            where = f"behind {columns.after!r}" if columns.after else f"in \\{columns.tag}{{}}"
            said.append(f"the answer is what stands {where} in {columns.answer!r}")
        return cls(asked, system=system, guessed=", and ".join(said), **rule)

    def messages(self, place: str, row: Task) -> list[Message]:
        """How the conversation begins."""
        begun, system = self._asked(place, row), self.system_of(place, row)
        own = [message["content"] for message in begun if message["role"] == "system"]
        if system is None or own == [system]:
            return begun
        if own:
            other = "`system`" if self.system is not None else "the column 'system'"
            raise UserError(
                f"{place}: {self.prompt!r} has a system message of its own, and {other} gives another; leave one out"
            )
        return [Message(role="system", content=system), *begun]

    def system_of(self, place: str, row: Task) -> str | None:
        """The system message that stands before the prompt; None where there is none."""
        if self.system is not None:
            return filled(self.system, place, row)
        return None if "system" in fields_of(self.prompt) else system_said(place, row)

    def text(self, place: str, row: Task) -> str:
        """What is asked, as one text: it tells which task this is."""
        begun = self._asked(place, row)
        if len(begun) == 1 and begun[0]["role"] == "user":
            return begun[0]["content"]
        return "\n\n".join(f"{message['role']}: {message['content']}" for message in begun)

    def expected(self, place: str, row: Task) -> Any:
        """The answer that a grader expects."""
        if fields := fields_of(self.answer):
            if odd := next((name for name in fields if isinstance(value_at(row, name), bool)), None):
                raise UserError(
                    f"{place}: {odd!r} is {str(value_at(row, odd)).lower()}, which is no text; write it in quotes"
                )
            text = filled(self.answer, place, row)
            if not text.strip():
                raise UserError(f"{place}: {self.answer!r} is empty; it is the answer that a reply should give")
            return text
        value = value_at(row, self.answer)
        if value is _MISSING:
            raise UserError(f"{place}: there is no {self.answer!r}, the answer; {_its_keys(row, self.answer)}")
        if value is None or (isinstance(value, str) and not value.strip()):
            what = "null" if value is None else "empty"
            raise UserError(f"{place}: {self.answer!r} is {what}; it is the answer that a reply should give")
        if not self.after and not self.tag:
            return value
        if not isinstance(value, str):
            raise UserError(f"{place}: {self.answer!r} is {value!r:.80}, no text in which to look for an answer")
        if self.after:
            _, mark, behind = value.rpartition(self.after)
            if not mark or not behind.strip():
                raise UserError(f"{place}: {self.answer!r} has nothing behind {self.after!r}: {_end(value)}")
            value = behind.strip()
        if self.tag:
            found = find_answer(value[-_LONGEST:], self.tag, longest=1 << 16).text
            if found is None or not found.strip():
                raise UserError(f"{place}: {self.answer!r} has no answer in the form {self.tag!r}: {_end(value)}")
            value = found
        return value

    def _asked(self, place: str, row: Task) -> list[Message]:
        if fields_of(self.prompt):
            return [Message(role="user", content=_not_empty(place, "prompt", filled(self.prompt, place, row)))]
        asked = value_at(row, self.prompt)
        if asked is _MISSING:
            raise UserError(f"{place} has no {self.prompt!r}, the prompt; {_its_keys(row, self.prompt)}{_if_chat(row)}")
        if isinstance(asked, list | tuple):
            return read_messages(f"{place}: {self.prompt!r}", asked)
        if asked is None:
            raise UserError(f"{place}: {self.prompt!r} is null; it is the text that the agent is asked")
        if not isinstance(asked, str):
            raise UserError(
                f"{place}: {self.prompt!r} is {asked!r:.80} ({kind_of(asked)}); allowed is text, or a list of messages"
            )
        return [Message(role="user", content=_not_empty(place, self.prompt, asked))]


def read_messages(what: str, given: Sequence[Any]) -> list[Message]:
    """The messages of a conversation in which the agent is to speak next."""
    if not given:
        raise UserError(f"{what} is an empty list; a conversation begins with a message")
    found = [read_message(f"{what}, message {number}", message) for number, message in enumerate(given)]
    if found[-1]["role"] not in ("user", "tool"):
        raise UserError(
            f"{what} ends with a message of the {found[-1]['role']}; the last one is of the user. Whole conversations "
            "are for learning what was said in them: demonstrations: {chats: FILE}"
        )
    return found


def read_message(what: str, given: object) -> Message:
    """A chat message, also as ShareGPT and older versions of OpenAI's API have it; parts of text are one text, and what
    is null is left out. A thought is `reasoning_content`, whatever it was called."""
    if not isinstance(given, Mapping):
        raise UserError(f'{what} is {given!r:.80}; a message is a mapping, {{"role": "user", "content": "…"}}')
    message = {str(key): value for key, value in given.items() if value is not None}
    role, shares = role_of(message), "role" not in message and "from" in message
    if role not in _ROLES:
        hint = "; of ShareGPT human and gpt, and a call of its is in tool_calls here" if shares else ""
        raise UserError(f"{what}: {unknown('role', str(role), _ROLES).removesuffix('.')}{hint}")
    if shares:
        message = {**{key: value for key, value in message.items() if key not in ("from", "value")}, "role": role}
        message |= {"content": given.get("value")}
    if role == "assistant":
        _rename(what, message)
    content = message.get("content")
    if isinstance(content, list) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in content):
        content = "".join(str(part.get("text", "")) for part in content)
    if content is None and (message.get("tool_calls") or message.get("reasoning_content")):
        content = ""
    if not isinstance(content, str):
        keys = ", ".join(map(repr, map(str, given)))
        lacks = f'; it has {keys}, and a message is {{"role": "user", "content": "…"}} or, of ShareGPT, {{"from": '
        lacks = f'{lacks}"human", "value": "…"}}' if content is None else ""
        raise UserError(f"{what}: its content is {content!r:.80}; allowed is text{lacks}")
    return Message(**{**message, "role": role, "content": content})  # pyright: ignore[reportArgumentType]


def system_said(place: str, row: Mapping[str, Any]) -> str | None:
    """The system message in a row's column `system`; None where it has none. `UserError`, with its place, for what is
    no text."""
    given = row.get("system")
    if given is not None and not isinstance(given, str):
        raise UserError(f"{place}: 'system' is {given!r:.60} ({kind_of(given)}); allowed is text, the first message")
    return given if given and given.strip() else None


def _rename(what: str, message: dict[str, Any]) -> None:
    """Give the thought and the call of a reply the names that they have here."""
    thoughts = {name: message.pop(name) for name in _THOUGHTS if name in message}
    for name, thought in thoughts.items():
        if not isinstance(thought, str):
            raise UserError(f"{what}: its {name} is {thought!r:.60}; allowed is text")
    different = {thought.strip(): (name, thought) for name, thought in thoughts.items() if thought.strip()}
    if len(different) > 1:
        names = " and ".join(repr(name) for name, _ in different.values())
        raise UserError(f"{what} has {names}, which differ; a reply has one thought: leave the others out")
    for _, thought in different.values():
        message["reasoning_content"] = thought
    called = message.pop("function_call", None)
    if called is not None and message.get("tool_calls"):
        raise UserError(f"{what} has 'tool_calls' and 'function_call', their older form; leave one out")
    if called is not None:
        message["tool_calls"] = [{"type": "function", "function": called}]


def role_of(message: object) -> object:
    """Who speaks in a message, by the names of here; None where it does not say."""
    if not isinstance(message, Mapping):
        return None
    if message.get("role") is not None:
        return _OLDER.get(message["role"], message["role"]) if isinstance(message["role"], str) else message["role"]
    said = message.get("from")
    return _SHAREGPT.get(said.lower(), said.lower()) if isinstance(said, str) else said


def fields_of(text: str) -> list[str]:
    """The columns that a template names; none of a plain text."""
    try:
        return [name for _, name, _, _ in string.Formatter().parse(text) if name]
    except ValueError:  # of a brace that stands alone
        return []


def filled(template: str, place: str, row: Task) -> str:
    """A template with the values of a row, and with a brace for each that is doubled; a text that is no template, as
    of \\boxed{}, as it stands."""
    if not fields_of(template):
        return _undoubled(template)
    text = ""
    for literal, name, form, conversion in string.Formatter().parse(template):
        text += literal
        if name is None:
            continue
        if form or conversion or not name:
            written = f"{{{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}}}"
            raise UserError(
                f"the template {template!r:.80} has {written}; a field is the name of a column and no "
                "more (a brace itself is written {{ or }})"
            )
        value = value_at(row, name)
        if value is _MISSING:
            raise UserError(f"{place} has no {name!r}, which {template!r:.60} asks for; {_its_keys(row, name)}")
        text += _spelled(place, name, value)
    return text


def _undoubled(text: str) -> str:
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        return text
    return text if any(name is not None for _, name, _, _ in parts) else "".join(literal for literal, *_ in parts)


def value_at(row: Task, column: str) -> Any:
    """What a row has in a column, or in a mapping there: "reward_model.ground_truth". `_MISSING` where it has none."""
    if column in row or "." not in column:
        return row.get(column, _MISSING)
    above, _, below = column.partition(".")
    inner = row.get(above)
    return value_at(inner, below) if isinstance(inner, Mapping) else _MISSING


def _spelled(place: str, name: str, value: Any) -> str:
    if isinstance(value, str | int | float):
        return str(value)
    letters, texts = lettered(value)
    if texts:
        return "\n".join(f"{letter}. {text}" for letter, text in zip(letters, texts, strict=True))
    what = "null" if value is None else f"{value!r:.80} ({kind_of(value)})"
    raise UserError(f"{place}: {name!r} is {what}; a template takes text, numbers, lists of these and texts by letter")


def lettered(value: Any) -> tuple[list[str], list[str]]:
    """The letters of a list of texts or numbers, and these as texts; of ARC's {"text": […], "label": […]} and MedQA's
    {"A": "…", "B": "…"} its own. Empty for others."""
    labels = None
    if isinstance(value, Mapping):
        by_letter = bool(value) and all(isinstance(key, str) and 0 < len(key) <= _LETTERS for key in value)
        value, labels = ([*value.values()], [*value]) if by_letter else (value.get("text"), value.get("label"))
    if not isinstance(value, list | tuple) or not value or not all(map(_is_choice, value)):
        return [], []
    texts = [one if isinstance(one, str) else str(_whole(one)) for one in value]
    if isinstance(labels, list | tuple) and len(labels) == len(value):
        return [str(label) for label in labels], texts
    return [string.ascii_uppercase[n] if n < 26 else str(n + 1) for n in range(len(value))], texts


def _whole(number: float) -> float:
    """42 for the 42.0 that a table makes of it."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _is_choice(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def kind_of(value: object) -> str:
    """What a value of JSON is called in messages."""
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


def _rule(given: AnswerRule) -> dict[str, Any]:
    if isinstance(given, str) and given.strip():
        return {"answer": given}
    for key in given if isinstance(given, Mapping) else ():
        if key not in _RULE:
            raise UserError(f"answer: {unknown('key', str(key), _RULE)}")
    if not isinstance(given, Mapping) or "column" not in given:
        raise UserError(f'answer is {given!r:.80}; allowed are a column and {{"column": "answer", "after": "#### "}}')
    for key, value in given.items():
        if not isinstance(value, str) or not value.strip():
            raise UserError(f"answer.{key} is {value!r:.80}; allowed is text")
    if given.get("tag") not in (None, *ANSWER_TAGS):
        raise UserError(f"answer.tag: {unknown('tag', str(given['tag']), ANSWER_TAGS)}")
    return {"answer": given["column"], "after": given.get("after", "").strip(), "tag": given.get("tag")}


def _guess(row: Task) -> dict[str, Any]:
    """Where GSM8K and MATH keep their answers, and everybody else."""
    answer, solution = row.get("answer"), row.get("solution")
    if isinstance(answer, str) and _GSM8K in answer:
        return {"answer": "answer", "after": _GSM8K}
    if answer is None and isinstance(solution, str) and "\\boxed{" in solution:
        return {"answer": "solution", "tag": "boxed"}
    return {"answer": "answer"}


def _its_keys(row: Task, wanted: str) -> str:
    """What a row has in the place of a key."""
    keys = [str(key) for key, value in row.items() if value is not None]
    within = [f"{key}.{name}" for key, inner in row.items() if isinstance(inner, Mapping) for name in inner]
    doubled = " Braces that are doubled are no field: write {question}." if "{{" in wanted else ""
    meant = nearest(_dotted(wanted), [*within, *keys])
    return f"it has {', '.join(map(repr, keys)) or 'no key at all'}.{doubled or meant}"


def _dotted(wanted: str) -> str:
    """Of `a[b]`, as Python's templates have it, `a.b`."""
    return wanted.replace("[", ".").replace("]", "").replace("'", "").replace('"', "")


def _if_chat(row: Task) -> str:
    """What to give where a row is a conversation."""
    chat = next((key for key in _CHATS if isinstance(row.get(key), list | tuple)), None)
    if chat is None:
        return ""
    return (
        f" A conversation that the agent goes on with is asked by `prompt: {chat}`, beside an answer; one whose "
        "replies it is to learn is a demonstration, `demonstrations: {chats: FILE}`"
    )


def _not_empty(place: str, name: str, text: str) -> str:
    if not text.strip():
        raise UserError(f"{place}: {name!r} is empty; it is the text that the agent is asked")
    return text


def _end(text: str) -> str:
    return f"{text!r}" if len(text) < 60 else f"'…{text[-50:]}'"
