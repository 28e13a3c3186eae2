"""The format of programming tasks, for anyone's own, in every file that holds rows (see `task_source`).

Rows of HumanEval, MBPP and APPS are read by their own field names, see `known_rows`. Of any other, a row is one task:

    {"prompt": "…", "kind": "function", "entry": "solve", "public": [[[1, 2], 3]], "hidden": [[[5, 5], 10]]}
    {"prompt": "…", "kind": "stdio", "public": [["1 2\\n", "3\\n"]], "hidden": [["5 5\\n", "10\\n"]]}
    {"prompt": "…", "kind": "assertions", "entry": "solve", "hidden": "def check(candidate):\\n    assert …"}

A function test is `[[argument, …], expected]`; what JSON does not tell apart is not told apart there: tuples and
lists, 1 and 1.0, the keys 1 and "1". What JSON does not have is written as in `notation`: sets, dates, other keys, any
order, an exception. `entry` is a function, a class or a method (`Solution().solve`). `public` may be missing: then
there is no feedback, and one reply. docs/coding.md has examples of everything. Optional keys: `tolerance` for floats
("function" and "stdio"), `compare` ("tokens", "lines" in any order, or "exact") and
`checker` (a function `check(input, expected, output)`, see `Judge.stdio`) for "stdio", `in_place` (tests look at what
a call changed in its arguments) and `nan` (tests deal with NaN) for "assertions", `id`, `split` ("train",
"validation" or "test"; default: one task in five is for testing and one for validation), and `oracle`, a program that
is right.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...conversation.conversation_env import SPLITS
from ...conversation.held_out import Division, divide
from ...conversation.task_source import Picked, TaskSource, placed_tasks, split_of
from ...errors import UserError, unknown
from ...sandbox.same_value import COMPARE, Compare
from ...sandbox.stdio_exam import check_source
from .fields import entry_of, id_of
from .known_rows import as_task
from .notation import value_of
from .tasks import ONE_IN, CodingTask, ExamKind, Tests

KINDS: tuple[ExamKind, ...] = ("function", "stdio", "assertions")
_KEYS = (
    *("prompt", "kind", "entry", "public", "hidden", "tolerance", "compare", "checker"),
    *("in_place", "nan", "id", "split", "oracle"),
)
_UNUSED: Mapping[ExamKind, tuple[str, ...]] = {  # keys that mean nothing for a kind, and so are a mistake
    "function": ("in_place", "nan", "compare", "checker"),
    "stdio": ("in_place", "nan"),
    "assertions": ("tolerance", "compare", "checker"),
}


def read_tasks(path: TaskSource, split: Picked | None = None) -> tuple[CodingTask, ...]:
    """The tasks of a file or a data set (the module's docstring has the format), or of a split of it.

    Raises:
        UserError: a line that is no task; the message has its place.
    """
    return tuple(_read(row, place) for place, row in placed_tasks(path, split))


def _read(row: object, place: str) -> CodingTask:
    if not isinstance(row, Mapping):
        raise UserError(f"{place}: a task is a mapping, not {row!r:.80}")
    return _checked(as_task(row, place), place)


def divided(tasks: Sequence[CodingTask]) -> Division[CodingTask]:
    """The tasks by their splits, see `held_out`."""
    return divide([(one.prompt, one, one.split) for one in tasks], aside=lambda one: replace(one, split="validation"))


def _checked(row: Mapping[str, Any], where: str) -> CodingTask:
    for key in row:
        if key not in _KEYS:
            raise UserError(f"{where}: {unknown('key', key, _KEYS)}")
    prompt, kind = row.get("prompt"), row.get("kind", "function")
    if not isinstance(prompt, str) or not prompt.strip():
        raise UserError(f"{where}: prompt is {prompt!r:.80}; allowed is text that is not empty")
    if kind not in KINDS:
        raise UserError(f"{where}: {unknown('kind', str(kind), KINDS)}")
    for key in _UNUSED[kind]:
        if key in row:
            raise UserError(f"{where}: {key} means nothing for the kind {kind}")
    split = split_of(prompt, ONE_IN) if row.get("split") in (None, "") else row["split"]
    if split not in SPLITS:
        raise UserError(f"{where}: {unknown('split', str(split), SPLITS)}")
    hidden = _tests(row.get("hidden"), kind, f"{where}: hidden")
    shown = row.get("public")
    public = () if shown in (None, "", [], ()) else _tests(shown, kind, f"{where}: public")
    tolerance = row.get("tolerance", 0.0)
    if (
        isinstance(tolerance, bool)
        or not isinstance(tolerance, int | float)
        or not 0 <= tolerance <= sys.float_info.max  # with infinity, every number would be right
    ):
        raise UserError(f"{where}: tolerance is {tolerance!r:.80}; allowed is a finite number, 0 or greater")
    flags = [row.get(key, False) for key in ("in_place", "nan")]
    if not all(isinstance(flag, bool) for flag in flags):
        raise UserError(f"{where}: in_place and nan are {flags!r}; allowed are true and false")
    oracle = row.get("oracle")
    if oracle is not None and not isinstance(oracle, str):
        raise UserError(f"{where}: oracle is {oracle!r:.80}; allowed is text, a program")
    return CodingTask(
        prompt,
        kind,
        hidden,
        public,
        entry_of(row.get("entry", "solve"), f"{where}: entry"),
        float(tolerance),
        *_comparison(row, float(tolerance), where),
        *flags,
        json_types=True,
        oracle=oracle,
        id=id_of(row.get("id", prompt), f"{where}: id"),
        split=split,
    )


def _comparison(row: Mapping[str, Any], tolerance: float, where: str) -> tuple[Compare, str]:
    """How outputs are compared, and the checker's source."""
    compare, checker = row.get("compare", "tokens"), row.get("checker", "")
    if compare not in COMPARE:
        raise UserError(f"{where}: {unknown('compare', str(compare), COMPARE)}")
    if not isinstance(checker, str):
        raise UserError(f"{where}: a checker is Python code, a string, not {checker!r:.80}")
    if (tolerance > 0) + (compare != "tokens") + bool(checker) > 1:
        raise UserError(f"{where}: of tolerance, compare and checker, a task can have one")
    try:
        if checker:
            check_source(checker)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
    except (RecursionError, MemoryError):
        raise UserError(f"{where}: checker is nested too deeply: {checker!r:.60}") from None
    return compare, checker


def _tests(given: object, kind: ExamKind, where: str) -> Tests | str:
    """Tests of one kind; there must be some, for a program is never right for want of evidence."""
    if kind == "assertions":
        if isinstance(given, str) and given.strip():
            return given
        raise UserError(f"{where}: an assertion task needs test code, a string, not {given!r:.80}")
    if not isinstance(given, list) or not given:
        raise UserError(f"{where}: a {kind} task needs a list of tests, not {given!r:.80}")
    for test in given:
        if not isinstance(test, list) or len(test) != 2:
            raise UserError(f"{where}: a test is a pair [input, output], not {test!r:.80}")
        if kind == "function" and not isinstance(test[0], list):
            raise UserError(f"{where}: the input of a function test is a list of arguments, not {test[0]!r:.80}")
        if kind == "stdio" and not (isinstance(test[0], str) and isinstance(test[1], str)):
            raise UserError(f"{where}: a stdio test is two strings, not {test!r:.80}")
    if kind == "stdio":
        return tuple((test[0], test[1]) for test in given)
    try:
        return tuple((value_of(test[0], where), value_of(test[1], where, expected=True)) for test in given)
    except RecursionError:
        raise UserError(f"{where}: a test is nested too deeply") from None
