"""Programming, with a judge that is not fooled: write a program, see the public examples fail, revise.

    r = w_correct · [all hidden tests pass] + w_format · [exactly one code block]

Both are paid once, in the turn that ends the episode. With `partial_credit`, `correct` is the fraction of hidden
tests passed. An attempt that fails a public example is told which and how, as long as attempts are left; the
hidden tests are run once, on the last attempt or on the first that satisfies the examples. What the examples show
is never among the hidden tests, so that learning the examples by heart earns nothing.

Which block of several is the program is said in `replies`. A failure of the sandbox, and test code that is broken by
itself, is a `WorldFailure`: the episode has no reward, which is not a reward of zero.
"""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Self

import numpy as np

from ...conversation.conversation_env import SPLITS, ConversationEnv, Opening, Outcome, Split
from ...conversation.task_rows import repeated
from ...conversation.task_source import Picked, TaskSource
from ...errors import UserError, unknown
from ...sandbox import Judge, Limits, Raises, Status, TestResult, Verdict
from ...vocabulary import Reply, WorldFailure
from .replies import find_program, find_programs
from .task_file import divided, read_tasks
from .tasks import FAMILIES, CodingTask, Tests, generate

_FENCE = "```"
_SHOWN = 400  # characters of a value in an example that failed
WANTED = "Answer with the whole program in one block that begins with ```python and ends with ```."


class Coding(ConversationEnv):
    """Small programming tasks, generated or from a file, judged in a sandbox by tests that nobody sees.

    Args:
        tasks: a file or a data set (see `task_file`), of our own format, or HumanEval, MBPP or APPS, which a run goes
            through task by task; None generates tasks. One that asks what a task of a later split asks is left out.
        split: one split of `tasks`, or which of its splits is which: {train: train, test: test}.
        families: which families to generate from; None is all of them.
        attempts: replies allowed; until the last, a failed public example is shown.
        partial_credit: pay the fraction of hidden tests passed, not all or nothing.
        public_tests, hidden_tests: how many of each a generated task has.
        workers: sandboxes, and so how many worlds are judged at once; every world in this process with equal limits
            shares them.
        wall_s, cpu_s: what a program may use for each test; all tests together have a minute, or `wall_s` if that is
            more.
        memory_mb: what a program may use.
        packages: of this environment, which programs and test code may import, `numpy` for one; None for none.
        weights: of `correct` and `format`.

    Raises:
        UserError: an option outside what is allowed, or a file that holds no tasks.
        SandboxUnavailable: untrusted programs cannot be isolated here; the message says what to do.
    """

    weights = {"correct": 1.0, "format": 0.1}  # noqa: RUF012 (read only, copied by the base class)
    has_success = True
    reward_version = "2"
    splits = SPLITS

    def __init__(
        self,
        *,
        tasks: TaskSource | None = None,
        split: Picked | None = None,
        families: Sequence[str] | None = None,
        attempts: int = 3,
        partial_credit: bool = False,
        public_tests: int = 2,
        hidden_tests: int = 8,
        workers: int = 2,
        wall_s: float = 10.0,
        cpu_s: float = 4.0,
        memory_mb: int = 512,
        packages: Sequence[str] | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(weights=weights)
        for name, value, least, most in (
            ("attempts", attempts, 1, 100),
            ("public_tests", public_tests, 0, 5),
            ("hidden_tests", hidden_tests, 2, 10),  # the smallest family has sixteen inputs
            ("workers", workers, 1, 256),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise UserError(f"{name} is {value!r:.80}; allowed is a whole number from {least} to {most}")
        self.families = _checked_families(families)
        self.attempts, self.partial_credit = attempts, partial_credit
        self.public_tests, self.hidden_tests = public_tests, hidden_tests
        if tasks is None and split is not None:
            raise UserError("split is for tasks of a file, and these are generated")
        read = () if tasks is None else read_tasks(tasks, split)
        self._division = None if tasks is None else divided(read)
        again = repeated([(f"number {number}", one) for number, one in enumerate(read)])
        self.remarks = (*again, *(self._division.remarks if self._division else ()))
        try:
            limits = Limits(wall_s=wall_s, cpu_s=cpu_s, memory_mb=memory_mb)
        except ValueError as error:
            raise UserError(str(error)) from error
        if isinstance(packages, str) or not all(isinstance(one, str) for one in packages or ()):
            raise UserError(f"packages is {packages!r:.80}; allowed is a list of names")
        self._judge = shared_judge(workers, limits, tuple(packages or ()))
        self.side_by_side = workers  # the judge computes, and may be asked from any thread

    @property
    def turn_limit(self) -> int:
        """As many as there are attempts, unless turns are counted otherwise."""
        return self.max_turns or self.attempts

    def another(self) -> Self | None:
        """A sibling with the same tasks and judge; None for a subclass with a constructor of its own."""
        return self.sibling() if self._is_built_by(Coding) else None

    def tasks_in(self, split: Split) -> int | None:
        """Of its file. Training tasks that stand in for validation count as many as there are for testing."""
        if self._division is None:
            return None
        there = {name: len(tasks) for name, tasks in self._division.rows.items()}
        return there[split] or (min(there["train"], there["test"]) if split == "validation" else 0)

    def opening(self, rng: np.random.Generator, split: Split) -> Opening:
        self._task = self._drawn(rng, split)
        self._attempt = 0
        self._suspicions = 0
        return Opening(f"{self._task.prompt}\n\n{WANTED}", task=self._task.id)

    def respond(self, reply: Reply) -> Outcome:
        self._attempt += 1
        last = self._attempt >= self.attempts or not self._task.public
        program = find_program(reply.text, None if self._task.kind == "stdio" else self._task.entry)
        if program is None:
            return self._end(None, 0) if last else Outcome(f"I see no program. {WANTED}")
        if not last:
            feedback = self._feedback(self._judged(program, self._task.public, partial=True))
            if feedback:
                return Outcome(feedback)
        blocks = len(find_programs(reply.text))
        return self._end(self._judged(program, self._task.hidden, partial=self.partial_credit), blocks)

    def oracle(self) -> str | None:
        """A right program, where the task has one."""
        program = self._task.oracle
        return None if program is None else f"{_FENCE}python\n{program}\n{_FENCE}"

    def _drawn(self, rng: np.random.Generator, split: Split) -> CodingTask:
        if self._division is None:
            return generate(rng, split, self.families, self.public_tests, self.hidden_tests)
        tasks = self._division.rows[split]
        if not tasks and split == "validation":
            return self._drawn(rng, "train")
        if not tasks:
            why = self._division.why.get(split, f'mark some with "split": "{split}"')
            raise UserError(f"there is no {split} task in the file; {why}")
        return self.pick(tasks, rng)

    def _judged(self, program: str, tests: Tests | str, *, partial: bool) -> Verdict:
        """The judge's verdict. WorldFailure when there is none."""
        task = self._task
        if isinstance(tests, str):
            verdict = self._judge.assertions(program, task.entry, tests, in_place=task.in_place, nan=task.nan)
        elif task.kind == "stdio":
            verdict = self._judge.stdio(
                program,
                tests,
                partial=partial,
                tolerance=task.tolerance,
                compare=task.compare,
                checker=task.checker,
            )
        else:
            verdict = self._judge.function(
                program, task.entry, tests, partial=partial, tolerance=task.tolerance, tuples_as_lists=task.json_types
            )
        if verdict.reward is None:
            raise WorldFailure(f"the program could not be judged: {verdict.status}: {verdict.message}")
        self._suspicions += len(verdict.suspicions)
        return verdict

    def _end(self, verdict: Verdict | None, blocks: int) -> Outcome:
        reward = 0.0 if verdict is None or verdict.reward is None else verdict.reward
        metrics = {
            "attempts": float(self._attempt),
            "suspicions": float(self._suspicions),
            "no_program": float(verdict is None),
            "judge_cpu_s": 0.0 if verdict is None else verdict.cpu_s,
        }
        terms = {"correct": reward, "format": float(blocks == 1)}
        success = verdict is not None and verdict.status is Status.PASSED
        return Outcome(terms=terms, terminated=True, success=success, metrics=metrics)

    def _feedback(self, verdict: Verdict) -> str:
        """What went wrong with the public examples; empty if nothing did."""
        for i, result in enumerate(verdict.tests):
            if result.status is not Status.PASSED:
                return f"{self._complaint(i, result)}\nTry again. {WANTED}"
        return ""

    def _complaint(self, i: int, result: TestResult) -> str:
        problem = result.message or result.status.value.replace("_", " ")
        tests = self._task.public
        if result.status is Status.COMPILE_ERROR or isinstance(tests, str):
            return f"Your program does not pass the examples: {problem}."
        given, expected = tests[i]
        if self._task.kind == "stdio":
            wrong = f"it printed {result.got!r}" if result.status is Status.WRONG_ANSWER else f"it failed: {problem}"
            return f"On the input {given!r} the output should be {expected!r}, but {wrong}."
        call = f"{self._task.entry}({', '.join(f'{argument!r:.{_SHOWN}}' for argument in given)})"
        wrong = f"it is {result.got}" if result.got else f"it failed: {problem}"
        should = f"raise {expected.name}" if isinstance(expected, Raises) else f"be {expected!r:.{_SHOWN}}"
        return f"{call} should {should}, but {wrong}."


@cache
def shared_judge(workers: int, limits: Limits, packages: tuple[str, ...] = ()) -> Judge:
    """The judge of every world in this process that asks for the same; closed when the process ends."""
    judge = Judge(workers, limits, packages=packages)
    atexit.register(judge.close)
    return judge


def _checked_families(families: Sequence[str] | None) -> tuple[str, ...]:
    if families is None:
        return tuple(FAMILIES)
    if isinstance(families, str) or not families:
        raise UserError(f"families is {families!r:.80}; allowed is a list of names")
    for name in families:
        if name not in FAMILIES:
            raise UserError(unknown("family", str(name), FAMILIES))
    return tuple(families)
