"""Rows of data sets that many know, as tasks of our own format (see `task_file`), by their own field names.

    HumanEval   task_id, prompt, canonical_solution, test, entry_point
    MBPP        task_id, text (or prompt), code, test_list, test_setup_code (or test_imports)
    APPS        problem_id, question, solutions, input_output, starter_code

HumanEval's test code becomes hidden assertions. Of MBPP's assertions the first is shown, for it alone says what the
function is called, and the others are hidden. APPS has programs that read and print, or, where `fn_name` says so, a
function or a method of `class Solution`; its results stand in lists of one. Other columns are left out.

A row that cannot be judged is a `UserError` with its place and column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...errors import UserError
from .fields import entry_of, id_of
from .test_code import called_in

Row = Mapping[str, Any]


def as_task(row: Row, place: str) -> Row:
    """A row of one of these data sets as one of our tasks; any other as it is, without what is null."""
    if "entry_point" in row and "test" in row:
        task = _of_humaneval(row, place)
    elif "test_list" in row:
        task = _of_mbpp(row, place)
    elif "input_output" in row and "question" in row:
        task = _of_apps(row, place)
    else:
        return {key: value for key, value in row.items() if value is not None}  # tables fill what others lack
    named = "task_id" if "task_id" in row else "problem_id"
    if row.get(named) is not None:
        task["id"] = id_of(row[named], f"{place}: {named}")
    return task if row.get("split") is None else {**task, "split": row["split"]}


def _of_humaneval(row: Row, place: str) -> dict[str, Any]:
    prompt, solution = _text(row, "prompt", place), _code(row, "canonical_solution", place)
    task = {
        "prompt": f"Complete this Python program, and give the whole of it.\n\n```python\n{prompt.rstrip()}\n```",
        "kind": "assertions",
        "entry": entry_of(row["entry_point"], f"{place}: entry_point"),
        "hidden": _text(row, "test", place),
    }
    return {**task, "oracle": prompt + solution} if solution else task


def _of_mbpp(row: Row, place: str) -> dict[str, Any]:
    tests = row["test_list"]
    if not isinstance(tests, list | tuple) or not tests or not all(isinstance(test, str) and test for test in tests):
        raise UserError(f"{place}: test_list is {tests!r:.80}; allowed is a list of assertions")
    asked = _text(row, "text" if row.get("text") or "prompt" not in row else "prompt", place)
    setup = "\n".join(_code(row, key, place) for key in ("test_imports", "test_setup_code")).strip()
    try:
        entry = called_in("\n".join(tests))
    except UserError as problem:
        raise UserError(f"{place}: test_list: {problem}") from problem
    if entry is None:
        raise UserError(f"{place}: test_list calls no function: {tests[0]!r:.80}")
    shown, hidden = tests[: len(tests) > 1], tests[len(tests) > 1 :]
    example = f"\n\nFor example:\n{shown[0]}" if shown else ""
    task = {
        "prompt": f"{asked}\n\nThe function is called {entry}.{example}",
        "kind": "assertions",
        "entry": entry,
        "hidden": "\n".join([setup, *hidden]).strip(),
    }
    if shown:
        task["public"] = "\n".join([setup, *shown]).strip()
    solution = _code(row, "code", place)
    return {**task, "oracle": solution} if solution else task


def _of_apps(row: Row, place: str) -> dict[str, Any]:
    question, starter = _text(row, "question", place).strip(), _code(row, "starter_code", place).strip()
    where = f"{place}: input_output"
    tests = _json(row["input_output"], where)
    if not isinstance(tests, Mapping):
        raise UserError(f"{where} is {tests!r:.80}; allowed is a mapping with inputs and outputs, or its JSON")
    name = tests.get("fn_name")
    given, wanted = (_listed(tests, key, where, lone_text=name is None) for key in ("inputs", "outputs"))
    if not given or len(given) != len(wanted):
        raise UserError(
            f"{where} is {row['input_output']!r:.80}, without as many inputs as outputs: nothing would be judged; "
            "leave the row out"
        )
    begun = f"\n\nBegin with:\n```python\n{starter}\n```" if starter else ""
    task: dict[str, Any] = {"prompt": question + begun}
    if name is None:
        hidden = [
            [_lines(i, f"{where}: inputs"), _lines(o, f"{where}: outputs")] for i, o in zip(given, wanted, strict=True)
        ]
        task |= {"kind": "stdio", "hidden": hidden}
    else:
        entry_of(name, f"{where}: fn_name")
        for arguments in given:
            if not isinstance(arguments, list):
                raise UserError(f"{where}: inputs has {arguments!r:.80}; with fn_name, allowed is a list of arguments")
        if all(isinstance(output, list) and len(output) == 1 for output in wanted):
            wanted = [output[0] for output in wanted]
        method = "class Solution" in starter
        task |= {"kind": "function", "entry": f"Solution().{name}" if method else name}
        task["hidden"] = [list(pair) for pair in zip(given, wanted, strict=True)]
        if not starter:
            task["prompt"] += f"\n\nThe function is called {name}."
    solutions = _json(row.get("solutions") or [], f"{place}: solutions")
    if not isinstance(solutions, list | tuple) or not all(isinstance(one, str) for one in solutions):
        raise UserError(f"{place}: solutions is {solutions!r:.80}; allowed is a list of programs, or its JSON")
    return {**task, "oracle": solutions[0]} if solutions else task


def _listed(tests: Row, key: str, where: str, *, lone_text: bool) -> list[Any]:
    """The inputs or the outputs; of programs, a text alone is what one test has."""
    value = tests.get(key)
    if isinstance(value, str) and lone_text:
        return [value] if value else []
    if not isinstance(value, list | tuple):
        raise UserError(f"{where}: {key} is {value!r:.80}; allowed is a list, as long as inputs and as outputs")
    return list(value)


def _lines(given: object, where: str) -> str:
    """What a program reads or prints; a list has one line in each place."""
    lines = given if isinstance(given, list) else [given]
    if any(isinstance(line, bool) or not isinstance(line, str | int | float) for line in lines):
        raise UserError(f"{where} has {given!r:.80}; allowed is a text, or a list of lines, for each test")
    return "\n".join(map(str, lines))


def _json(given: object, what: str) -> Any:
    """What a text of JSON says; what is none, as it is."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{what} is no JSON: {given!r:.60} ({error})") from error


def _text(row: Row, key: str, place: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{place}: {key} is {value!r:.80}; allowed is text that is not empty")
    return value


def _code(row: Row, key: str, place: str) -> str:
    """Code that may be missing, a text or a list of lines."""
    value = row.get(key)
    lines = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
        raise UserError(f"{place}: {key} is {value!r:.80}; allowed is code, a text or a list of texts")
    return code if (code := "\n".join(lines)).strip() else ""
