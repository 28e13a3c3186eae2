"""Graders by name: what a reply says, compared with the answer that its task expects.

    exact    the whole reply is the answer, or one of a list of answers; blanks around it do not count
    number   the number that the reply declares, else its last one, is the number: 1,234 = 1234.0 (see `said_number`);
             the keys `tolerance` of a task or of the world say how far it may be away
    choice   the letter that the reply chooses is the right one (see `chosen_letter`); a task says the letter, the text
             of its choice, or the index in `choices` (`options`), from 0
    regex    the pattern is found in the reply
    maths    see `worlds.maths.grading`         python   see `worlds.coding.grading`

With an `answer_tag`, the prompt asks for it, and only what stands in a box, or between <answer> and </answer>, is
compared. Where that is missing, or is there twice, the reply is wrong.

    r = [right]
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Protocol

import regex

from ..errors import UserError, unknown
from ..quantities import shown
from ..vocabulary import Reply, WorldFailure
from ..worlds.maths.answers import ANSWER_TAGS, WANTED, AnswerTag, find_answer, wrap
from .chosen_letter import chosen_letter
from .conversation_env import Outcome
from .said_number import number_in, spelled_number
from .task_columns import lettered

GRADERS = ("choice", "exact", "maths", "number", "python", "regex")
_LONGEST = 1 << 16  # characters of an answer
_VERSIONS = {"choice": 7, "number": 7}  # of the others 1
_REGEX_SECONDS = 2.0


class Grader(Protocol):
    """Says what a reply is worth. Tasks have `prompt`, what is asked as a text, and `answer`, what is expected."""

    @property
    def wanted(self) -> str:
        """The sentence behind the prompt that says in which form an answer is wanted; may be empty."""
        ...

    @property
    def workers(self) -> int:
        """How many replies it grades at once."""
        ...

    @property
    def version(self) -> str:
        """It rises when equal replies may earn something else."""
        ...

    def check(self, task: Mapping[str, Any]) -> None:
        """UserError for a task that it could not grade."""
        ...

    def grade(self, reply: Reply, task: Mapping[str, Any]) -> Outcome:
        """The end of the episode."""
        ...

    def oracle(self, task: Mapping[str, Any]) -> str | None:
        """A reply that is right."""
        ...


def make_grader(name: str, answer_tag: AnswerTag | None, tolerance: float = 0.0) -> Grader:
    """The grader of that name. `UserError` if there is none, or a tag that it does not read."""
    if name not in GRADERS:
        raise UserError(unknown("grader", str(name), GRADERS) + " A function is named module:function")
    if answer_tag is not None and answer_tag not in ANSWER_TAGS:
        raise UserError(unknown("answer_tag", str(answer_tag), ANSWER_TAGS))
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < float("inf"):
        raise UserError(f"tolerance is {tolerance!r:.80}; allowed is a number, 0 or greater")
    if tolerance and name != "number":
        raise UserError(f"tolerance is for the grader 'number', and this one is {name!r}")
    if name == "maths":
        from ..worlds.maths.grading import MathsGrader  # it is one of the worlds, which import this folder

        return MathsGrader(answer_tag=answer_tag or "boxed")
    if name == "python":
        if answer_tag is not None:
            raise UserError("answer_tag is for answers, and the grader 'python' reads the program in a reply")
        from ..worlds.coding.grading import PythonGrader

        return PythonGrader()
    return TextGrader(name, answer_tag, tolerance)


@dataclass(frozen=True)
class TextGrader:
    """A grader that reads, and computes next to nothing."""

    name: str
    tag: AnswerTag | None
    tolerance: float = 0.0
    workers: int = 1

    @property
    def wanted(self) -> str:
        """Nothing, where no tag was asked for: the prompt says it."""
        return WANTED[self.tag] if self.tag else ""

    @property
    def version(self) -> str:
        """It rises when equal replies may earn something else."""
        tag = f" in {self.tag}" if self.tag else ""
        return (
            f"{self.name} {_VERSIONS.get(self.name, 1)}{tag}{f' within {self.tolerance:g}' if self.tolerance else ''}"
        )

    def check(self, task: Mapping[str, Any]) -> None:
        """UserError for an answer that is not of the grader's kind."""
        answer = task["answer"]
        if self.name == "number" and (
            not isinstance(answer, str | int | float) or spelled_number(_spelled(answer)) is None
        ):
            raise UserError(
                f"the answer is {shown(answer)}, and the grader 'number' wants a number, with at most a unit behind it"
            )
        tolerance = task.get("tolerance")
        if self.name == "number" and tolerance is not None and not _is_tolerance(tolerance):
            raise UserError(f"tolerance is {shown(tolerance)}; allowed is a number, 0 or greater")
        if self.name == "choice":
            _right_choice(task)
        if self.name == "exact":
            _check_texts(answer)
        if self.name == "regex":
            if not isinstance(answer, str):
                raise UserError(f"the answer is {shown(answer)}; the grader 'regex' wants a pattern")
            try:
                regex.compile(answer)
            except regex.error as error:
                raise UserError(f"the answer {answer!r:.80} is no pattern: {error}") from error

    def grade(self, reply: Reply, task: Mapping[str, Any]) -> Outcome:
        """1 or 0."""
        said = self._said(reply.text)
        right = said is not None and self._judges(said, task)
        return Outcome(terms={"reward": float(right)}, terminated=True, success=right)

    def oracle(self, task: Mapping[str, Any]) -> str | None:
        """The expected answer; nobody knows what a pattern is found in."""
        if self.name == "regex":
            return None
        answer = _right_choice(task)[0] if self.name == "choice" else (_texts(task["answer"]) or [""])[0]
        return wrap(answer, self.tag) if self.tag else answer

    def _said(self, text: str) -> str | None:
        if self.tag not in ("boxed", "answer"):
            return text[-_LONGEST:]
        found = find_answer(text, self.tag, longest=_LONGEST)
        return found.text if found.count == 1 else None

    def _judges(self, said: str, task: Mapping[str, Any]) -> bool:
        judges: dict[str, Callable[[str, Mapping[str, Any]], bool]] = {
            "exact": lambda text, task: text.strip() in _texts(task["answer"]),
            "number": self._is_the_number,
            "choice": _is_the_choice,
            "regex": _is_found,
        }
        return judges[self.name](said, task)

    def reading(self, task: Mapping[str, Any]) -> object:
        """What a task's answer is to this grader, equal where two spellings are one answer: "1" and "1.0"."""
        if self.name == "number":
            return spelled_number(_spelled(task["answer"]))
        return _right_choice(task)[0] if self.name == "choice" else str(task["answer"])

    def _is_the_number(self, said: str, task: Mapping[str, Any]) -> bool:
        answer = _spelled(task["answer"])
        own = task.get("tolerance")  # 0 is one
        wanted, within = spelled_number(answer), _spelled(self.tolerance if own is None else own)
        given = number_in(said, answer)
        if wanted is None or given is None:
            return False
        return abs(given - wanted) <= (spelled_number(within) or 0)


def _spelled(value: Any) -> str:
    """An answer as it is written: 42.0, which a table makes of 42 where a cell is empty, is 42."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        value = int(value)
    if isinstance(value, int) and value.bit_length() > 4 * _LONGEST:  # Python refuses to spell it
        return ""
    return str(value).strip()


def _is_tolerance(value: Any) -> bool:
    """Whether this is a number, or spells one and no unit, and is not below 0."""
    spelled = _spelled(value)
    try:
        return not isinstance(value, bool) and spelled_number(spelled) is not None and 0 <= float(spelled) < math.inf
    except ValueError:
        return False


def _texts(answer: Any) -> list[str]:
    """The texts that are right; none for what is no text, number or list of those."""
    given = answer if isinstance(answer, list | tuple) else [answer]
    return [_spelled(one) for one in given] if all(isinstance(one, str | int | float) for one in given) else []


def _check_texts(answer: Any) -> None:
    """`UserError` for what is no text or list of texts that a reply could be."""
    given = answer if isinstance(answer, list | tuple) else [answer]
    if odd := [one for one in given if isinstance(one, bool)]:
        raise UserError(
            f"the answer has {str(odd[0]).lower()}, which is no text (of YAML yes and no are true and false too); "
            "write it in quotes"
        )
    texts = _texts(answer)
    if not texts:
        raise UserError(f"the answer is {shown(answer)}; the grader 'exact' wants a text, or a list of texts")
    if "" in texts:
        raise UserError(f"the answer is {shown(answer)}, and an empty reply would be right; leave the empty text out")


def _right_choice(task: Mapping[str, Any]) -> tuple[str, list[str], list[str]]:
    """The letter that is right, all letters, and what they stand for, where the task has its choices."""
    answer, given = task["answer"], task.get("choices", task.get("options"))
    letters, texts = lettered(_choices(given))
    if again := next((letter for letter in letters if letters.count(letter) > 1), None):
        raise UserError(f"two choices have the label {again!r}; each has its own")
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    said = _spelled(answer) if isinstance(answer, str | int) else ""
    said = said if said in texts else said.strip("().")
    labelled = isinstance(given, Mapping) and said in letters  # by the row itself
    if isinstance(answer, int) and not isinstance(answer, bool) and texts and not labelled:
        if not 0 <= answer < len(letters):
            raise UserError(f"the answer is {answer}, and there are {len(letters)} choices, from 0")
        return _the_one(said, answer, letters, texts, better="letter"), letters, texts
    if texts.count(said) > 1:
        raise UserError(f"the answer is {said!r:.80}, and two choices are; give its letter, or its index")
    label = said if said in letters else said.upper()
    if label in letters:
        return _the_one(said, letters.index(label), letters, texts, better="index, from 0"), letters, texts
    if said in texts:
        return letters[texts.index(said)], letters, texts
    if given is not None and not texts and not re.fullmatch(r"[A-Z]", label):
        raise UserError(
            f"the answer is {shown(answer)}, and the choices are {shown(given)}, no list of texts; give a list, "
            '["…", "…"], or the letter'
        )
    if not texts and re.fullmatch(r"[A-Z]|[1-9]", label):
        return label, [*(ascii_uppercase if label.isalpha() else "123456789")], texts
    among = f"one of {', '.join(letters)}, its text or its index" if texts else "a capital letter"
    raise UserError(f"the answer is {shown(answer)}; the grader 'choice' wants {among}")


def _the_one(said: str, index: int, letters: list[str], texts: list[str], *, better: str) -> str:
    """The letter at an index. `UserError` where the answer that led there is the text of another choice too."""
    same = [n for n, text in enumerate(texts) if text.casefold() == said.casefold()]
    if same and index not in same:
        raise UserError(
            f"the answer {said} may be the choice {letters[index]} ({texts[index]!r:.40}) or the text of the choice "
            f"{letters[same[0]]}; give its {better}"
        )
    return letters[index]


def _choices(given: Any) -> Any:
    """Choices as `lettered` takes them: numbers as texts, and a mapping of texts by their letters."""
    if isinstance(given, Mapping) and not {"text", "label"} & set(given):
        given = {"text": list(given.values()), "label": list(given)}
    if isinstance(given, list | tuple) and all(isinstance(one, str | int | float) for one in given):
        return [_spelled(one) for one in given]
    if isinstance(given, Mapping) and isinstance(given.get("text"), list | tuple):
        return {**given, "text": _choices(given["text"])}
    return given


def _is_the_choice(text: str, task: Mapping[str, Any]) -> bool:
    right, letters, texts = _right_choice(task)
    return chosen_letter(text, letters, texts) == right


def _is_found(text: str, task: Mapping[str, Any]) -> bool:
    """Whether the pattern is found. `WorldFailure` where it takes long, as patterns can."""
    try:
        return regex.search(task["answer"], text, timeout=_REGEX_SECONDS) is not None
    except TimeoutError:
        raise WorldFailure(f"the pattern {task['answer']!r:.60} took more than {_REGEX_SECONDS:g} s") from None
