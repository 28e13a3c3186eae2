"""Rewards from answers that are mathematics: the answer of a reply, compared with the one that a task expects.

    grader = MathsGrader()
    grader.grade(reply, {"prompt": "Solve 2x = 1.", "answer": "\\\\frac{1}{2}"})

    r = [exactly one answer, and it says what is expected]

Keys of a task: `answer` (LaTeX, plain text or a number), and where its notation does not say enough `kind` (one of
`peripatos.envs.sandbox.maths.KINDS`) and `tolerance`. Where the grader is unsure, the episode has no reward, which is
not a reward of zero. An answer that only copies an expression out of the question is wrong, whatever it is equal to.
"""

from __future__ import annotations

import atexit
import functools
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from ...conversation.conversation_env import Outcome
from ...errors import UserError, nearest, unknown
from ...quantities import shown
from ...sandbox.mathematics import VERSION
from ...sandbox.maths import KINDS, MAX_LENGTH, MathsJudge
from ...sandbox.verdicts import Status
from ...vocabulary import Reply, WorldFailure
from .answers import ANSWER_TAGS, WANTED, AnswerTag, find_answer, wrap

_TYPOGRAPHY = re.compile(r"\\(?:left|right|displaystyle|[,;:! ])|[\s$]")
_NUMERAL = re.compile(r"[-+0-9.,/:%]*|-?\\[dt]?frac\{?-?[0-9]+\}?\{?[0-9]+\}?")


class MathsGrader:
    """Grades replies to tasks whose answers are mathematics.

    Args:
        prompt, answer: the keys under which a task keeps its question and the expected answer.
        answer_tag: where a reply's answer stands: "boxed", "answer" or "number".
        workers: processes that compare, shared by all graders of this process.

    Raises:
        UserError: no such tag; math-verify is not installed.
    """

    def __init__(
        self, *, prompt: str = "prompt", answer: str = "answer", answer_tag: AnswerTag = "boxed", workers: int = 2
    ) -> None:
        if answer_tag not in ANSWER_TAGS:
            raise UserError(unknown("answer_tag", str(answer_tag), ANSWER_TAGS))
        self._prompt, self._answer, self.workers = prompt, answer, workers
        self._tag: AnswerTag = answer_tag
        self._judge = shared_maths_judge(workers)

    @property
    def wanted(self) -> str:
        """The sentence that says in which form an answer is wanted."""
        return WANTED[self._tag]

    @property
    def version(self) -> str:
        """Which version of the grader this is: ours, and those of the libraries that compare."""
        libraries = ", ".join(f"{name} {version(name)}" for name in ("math-verify", "sympy"))
        return f"maths {VERSION} ({libraries})"

    def check(self, task: Mapping[str, Any]) -> None:
        """UserError for a task without an expected answer, or with a kind that there is not."""
        if self._answer not in task:
            keys = list(map(str, task))
            raise UserError(
                f"there is no {self._answer!r}, the answer; the task has {', '.join(map(repr, keys))}."
                f"{nearest(self._answer, keys)}"
            )
        expected = task[self._answer]
        if isinstance(expected, int) and expected.bit_length() > 4 * MAX_LENGTH:  # Python refuses to spell it
            raise UserError(
                f"{self._answer!r} is a whole number of more than {MAX_LENGTH:,} digits, which is not compared"
            )
        if isinstance(expected, bool):
            raise UserError(f"{self._answer!r} is {str(expected).lower()}, which is no text; write it in quotes")
        if not isinstance(expected, str | int | float) or not str(expected).strip():
            raise UserError(f"{self._answer!r} is {shown(expected)}; allowed are text that is not empty and numbers")
        if len(str(expected)) > MAX_LENGTH:
            raise UserError(
                f"{self._answer!r} has {len(str(expected)):,} characters; at most {MAX_LENGTH:,} are compared"
            )
        if task.get("kind") not in (None, *KINDS):
            raise UserError(unknown("kind of answer", str(task["kind"]), KINDS))

    def grade(self, reply: Reply, task: Mapping[str, Any]) -> Outcome:
        """The end of the episode: reward 1 or 0, or unscored with the reason.

        Raises:
            WorldFailure: the process that compares failed, with no fault of the answer's.
        """
        found = find_answer(reply.text, self._tag, longest=MAX_LENGTH)
        expected = str(task[self._answer])
        if found.text is None or found.count != 1:
            return self._end(False, found.count)
        if found.text.strip() != expected.strip() and restates(found.text, str(task[self._prompt]), expected):
            return self._end(False, 1)
        try:
            result = self._judge.compare(expected, found.text, kind=task.get("kind"), tolerance=task.get("tolerance"))
        except ValueError as error:
            return Outcome(unscored=str(error))
        if result.status is Status.UNSURE:
            return Outcome(unscored=f"{found.text!r:.80} for {expected!r:.80}: {result.message}")
        if result.status is Status.INFRA_ERROR:
            raise WorldFailure(f"the answer could not be judged: {result.message}")
        return self._end(result.status is Status.PASSED, 1)

    def oracle(self, task: Mapping[str, Any]) -> str:
        """The expected answer, in the wanted form."""
        return wrap(str(task[self._answer]), self._tag)

    def _end(self, right: bool, answers: int) -> Outcome:
        metrics = {"answers": float(answers)}
        return Outcome(terms={"reward": float(right)}, terminated=True, success=right, metrics=metrics)


def restates(answer: str, question: str, expected: str) -> bool:
    """Whether `answer` is an expression that stands in the question, and is not spelled as what is expected."""
    said, asked, known = (_TYPOGRAPHY.sub("", text) for text in (answer, question, expected))
    if len(said) < 3 or said == known or _NUMERAL.fullmatch(said) or said.replace("\\", "").isalpha():
        return False
    return said in asked


@functools.cache
def shared_maths_judge(workers: int) -> MathsJudge:
    """The judge of every grader in this process; closed when the process ends."""
    judge = MathsJudge(workers=workers)
    atexit.register(judge.close)
    return judge
