"""Mathematics with answers that are more than one number: equations, fractions, quantities with units, sets, intervals.

    Solve the equation $3x + 5 = 2x - 4$ for $x$.                        -9
    Let $A = \\{1, 2\\}$ and $B = \\{2, 3\\}$. Write out … $A \\cup B$ …     \\{1, 2, 3\\}

    r = w · [exactly one answer, and it says what is expected]

Problems are drawn from a seed, or read from a file or a data set of questions and answers (see `TaskWorld`). The grader
is `MathsGrader`: an answer may be spelled as mathematicians do, and where it is unsure there is no reward at all. One
generated problem in ten is held out for testing; problems in disguise count as one, see `problems.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ...conversation.task_columns import AnswerRule
from ...conversation.task_source import Task, split_of
from ...conversation.task_world import TaskWorld
from ...errors import UserError, unknown
from .answers import AnswerTag
from .problems import FAMILIES

_ONE_IN = 10  # problems is for testing, and one for validation


class Mathematics(TaskWorld):
    """Algebra, fractions, units and sets, generated or from a file, graded by math-verify in a process of its own.

    Args:
        families: which of algebra, fractions, units, sets; None is all of them.
        tasks: a file or a data set in the place of the generator, see `task_source`.
        prompt, answer: where its rows keep what is asked and expected, see `task_columns`.
        answer_tag: "boxed" wants `\\boxed{…}`, "answer" wants `<answer>…</answer>`, "number" judges the last number.
        weights: of `reward`.

    Raises:
        UserError: an unknown family, a file that cannot be read, or math-verify is not installed.
    """

    has_success = True
    reward_version = "2"
    _own_fields = TaskWorld._own_fields | {"_families"}

    def __init__(
        self,
        *,
        families: Sequence[str] | None = None,
        tasks: str | Path | None = None,
        prompt: str | None = None,
        answer: AnswerRule | None = None,
        answer_tag: AnswerTag = "boxed",
        weights: Mapping[str, float] | None = None,
    ) -> None:
        chosen = FAMILIES if families is None else families
        if not isinstance(chosen, Iterable) or isinstance(chosen, str) or not chosen:
            raise UserError(f"families is {families!r:.80}; allowed is a list of {', '.join(FAMILIES)}")
        for family in chosen:
            if family not in FAMILIES:
                raise UserError(unknown("family", str(family), FAMILIES))
        self._families = tuple(chosen)
        super().__init__(
            self._generate if tasks is None else tasks,
            grader="maths",
            prompt=prompt if tasks is not None else None,
            answer=answer if tasks is not None else None,
            answer_tag=answer_tag,
            weights=weights,
        )

    def _generate(self, rng: np.random.Generator) -> Task:
        kinds = FAMILIES[self._families[int(rng.integers(len(self._families)))]]
        problem = kinds[int(rng.integers(len(kinds)))](rng)
        split = split_of(problem.key, _ONE_IN)
        return {"prompt": problem.question, "answer": problem.answer, "kind": problem.kind, "split": split}
