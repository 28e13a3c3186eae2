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
    name = row.get("task_id", row.get("problem_id"))
    kept = {"id": None if name is None else str(name), "split": row.get("split")}
    return {**task, **{key: value for key, value in kept.items() if value is not None}}


def _of_humaneval(row: Row, place: str) -> dict[str, Any]:
    prompt, solution = _text(row, "prompt", place), row.get("canonical_solution")
    task = {
        "prompt": f"Complete this Python program, and give the whole of it.\n\n```python\n{prompt.rstrip()}\n```",
        "kind": "assertions",
        "entry": _text(row, "entry_point", place),
        "hidden": _text(row, "test", place),
    }
    return {**task, "oracle": prompt + solution} if isinstance(solution, str) else task


def _of_mbpp(row: Row, place: str) -> dict[str, Any]:
    tests = row["test_list"]
    if not isinstance(tests, list | tuple) or not tests or not all(isinstance(test, str) and test for test in tests):
        raise UserError(f"{place}: test_list is {tests!r:.80}; allowed is a list of assertions")
    asked = _text(row, "text" if row.get("text") else "prompt", place)
    setup = "\n".join([*(row.get("test_imports") or ()), row.get("test_setup_code") or ""]).strip()
    entry = called_in("\n".join(tests))
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
    return {**task, "oracle": row["code"]} if isinstance(row.get("code"), str) else task


def _of_apps(row: Row, place: str) -> dict[str, Any]:
    question, starter = _text(row, "question", place).strip(), row.get("starter_code") or ""
    tests = _json(row["input_output"], f"{place}: input_output")
    if (
        not isinstance(tests, Mapping)
        or not tests.get("inputs")
        or len(tests["inputs"]) != len(tests.get("outputs", ()))
    ):
        raise UserError(
            f"{place}: input_output is {row['input_output']!r:.80}, without as many inputs as outputs: nothing would "
            "be judged; leave the row out"
        )
    given, wanted, name = tests["inputs"], tests["outputs"], tests.get("fn_name")
    begun = f"\n\nBegin with:\n```python\n{starter.strip()}\n```" if starter.strip() else ""
    task: dict[str, Any] = {"prompt": question + begun}
    if name is None:
        task |= {"kind": "stdio", "hidden": [[_lines(i), _lines(o)] for i, o in zip(given, wanted, strict=True)]}
    else:
        if all(isinstance(output, list) and len(output) == 1 for output in wanted):
            wanted = [output[0] for output in wanted]
        method = "class Solution" in starter
        task |= {"kind": "function", "entry": f"Solution().{name}" if method else name}
        task["hidden"] = [list(pair) for pair in zip(given, wanted, strict=True)]
        if not method and not starter.strip():
            task["prompt"] += f"\n\nThe function is called {name}."
    solutions = row.get("solutions") and _json(row["solutions"], f"{place}: solutions")
    return {**task, "oracle": solutions[0]} if isinstance(solutions, list) and solutions else task


def _lines(given: object) -> str:
    """What a program reads or prints; a list has one line in each place."""
    return "\n".join(map(str, given)) if isinstance(given, list) else str(given)


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
