"""Rewards from programs in replies: judged in the sandbox by the test code that a task expects to pass.

    {"prompt": "Write a function add(a, b).", "answer": "assert add(1, 2) == 3\\nassert add(0, 0) == 0"}
    {"text": "…", "test_list": ["assert add(1, 2) == 3", …]}            with answer="test_list"

    r = [all of the test code passes]

The function that is judged is the first that the test code calls and does not define; a test may also define
`check(candidate)`, and then a task names it: `entry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...conversation.conversation_env import Outcome
from ...errors import UserError
from ...quantities import shown
from ...sandbox import Limits, Status
from ...vocabulary import Reply, WorldFailure
from .replies import find_program
from .test_code import called_in
from .world import WANTED, shared_judge

_WORKERS = 2


class PythonGrader:
    """Judges the program in a reply by the test code of its task. `SandboxUnavailable` where nothing isolates it."""

    wanted = WANTED
    workers = _WORKERS
    version = "python 2"

    def __init__(self) -> None:
        self._judge = shared_judge(_WORKERS, Limits())

    def check(self, task: Mapping[str, Any]) -> None:
        """UserError for what is no test code, or calls nothing."""
        _exam(task)

    def grade(self, reply: Reply, task: Mapping[str, Any]) -> Outcome:
        """1 or 0; WorldFailure where the program could not be judged."""
        entry, tests = _exam(task)
        program = find_program(reply.text, entry)
        if program is None:
            return Outcome(terms={"reward": 0.0}, terminated=True, success=False)
        verdict = self._judge.assertions(program, entry, tests)
        if verdict.reward is None:
            raise WorldFailure(f"the program could not be judged: {verdict.status}: {verdict.message}")
        right = verdict.status is Status.PASSED
        return Outcome(terms={"reward": float(right)}, terminated=True, success=right)

    def oracle(self, task: Mapping[str, Any]) -> str | None:
        """Nobody knows; a task may have its own."""
        return None


def _exam(task: Mapping[str, Any]) -> tuple[str, str]:
    """The function's name, and the test code."""
    given = task["answer"]
    lines = given if isinstance(given, list | tuple) else [given]
    if not lines or not all(isinstance(line, str) and line.strip() for line in lines):
        raise UserError(f"the answer is {shown(given)}; the grader 'python' wants test code, a text or a list of texts")
    tests = "\n".join(lines)
    named = task.get("entry", task.get("entry_point"))
    entry = named if named is not None else called_in(tests)
    if not isinstance(entry, str) or not entry.isidentifier():
        what = "calls no function" if named is None else f"is of {shown(named)}, which is no name"
        raise UserError(f"the test code {tests!r:.60} {what}; name the function that is judged by the key 'entry'")
    return entry, tests
