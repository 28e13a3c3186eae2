"""No held-out problem is a training problem in disguise: what commutes may stand in any order."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import numpy as np
import pytest

from peripatos.envs.conversation.conversation_env import SPLITS
from peripatos.envs.conversation.task_source import split_of
from peripatos.envs.worlds.coding.tasks import FAMILIES, generate
from peripatos.envs.worlds.maths.arithmetic import Arithmetic, Problem
from peripatos.envs.worlds.maths.tool_maths import ToolMaths


def reordered(problem: Problem) -> set[Problem]:
    """The problem with what commutes in every other order, found by trying all orders of its signed operands.

    A sum begins with a term that is added, a product with a factor; a story is cut where adding turns to multiplying.
    """
    sums = problem.operators[0] in "+-"
    parts = list(zip(("+" if sums else "*", *problem.operators), problem.operands, strict=True))
    found = set()
    for order in itertools.permutations(parts):
        if order[0][0] == parts[0][0]:
            other = Problem(tuple(n for _, n in order), tuple(sign for sign, _ in order[1:]), problem.stepwise)
            found.add(other)
    return found


@pytest.mark.parametrize("stepwise", [False, True])
@pytest.mark.parametrize("signs", ["+", "*", "+-", "*/"])
@pytest.mark.parametrize("terms", [2, 3, 4, 5])
def test_the_order_of_commuting_operands_changes_nothing(signs: str, terms: int, stepwise: bool) -> None:
    chance = random.Random(terms)
    for _ in range(20):
        operands = tuple(chance.randint(1, 9) for _ in range(terms))
        problem = Problem(operands, tuple(chance.choice(signs) for _ in operands[1:]), stepwise)
        assert {other.key() for other in reordered(problem)} == {problem.key()}


def test_terms_of_a_sum_commute_and_so_do_the_factors_within_them() -> None:
    one = Problem((2, 3, 4, 5, 6), ("*", "-", "*", "+"))  # 2·3 − 4·5 + 6
    for other in (((6, 2, 3, 4, 5), ("+", "*", "-", "*")), ((3, 2, 6, 5, 4), ("*", "+", "-", "*"))):
        assert Problem(*other).key() == one.key()
    assert Problem((2, 4, 3, 5, 6), ("*", "-", "*", "+")).key() != one.key()
    assert Problem((8, 4, 2), ("/", "/")).key() == Problem((8, 2, 4), ("/", "/")).key()


def test_a_story_keeps_the_order_of_what_does_not_commute() -> None:
    one = Problem((2, 3, 4, 5, 6), ("+", "*", "*", "-"), stepwise=True)  # (2 + 3) · 4 · 5 − 6
    assert Problem((3, 2, 5, 4, 6), ("+", "*", "*", "-"), stepwise=True).key() == one.key()
    assert Problem((2, 4, 3, 5, 6), ("+", "*", "*", "-"), stepwise=True).key() != one.key()
    assert Problem((2, 3, 4, 5, 6), ("+", "*", "*", "-")).key() != one.key()


def test_equal_keys_have_equal_answers() -> None:
    answers: dict[str, Fraction] = {}
    chance = random.Random(0)
    for _ in range(20_000):
        operands = tuple(chance.randint(1, 4) for _ in range(4))
        problem = Problem(operands, tuple(chance.choice("+-*/") for _ in range(3)), chance.random() < 0.5)
        assert answers.setdefault(problem.key(), problem.value()) == problem.value(), problem


@pytest.mark.parametrize(
    "world",
    [
        Arithmetic(operators="+-", digits=1, terms=3),
        Arithmetic(operators="+-*", digits=1, terms=3),
        Arithmetic(operators="+-", digits=1, terms=3, word_problems=True),
        ToolMaths(operators="*", digits=1, terms=3),
        ToolMaths(operators="+-", digits=1, terms=4),
    ],
    ids=lambda world: f"{type(world).__name__} {world.operators}",
)
def test_no_drawn_problem_of_one_split_is_another_of_the_other(world: Arithmetic) -> None:
    rng = np.random.default_rng(0)
    for split in SPLITS:
        for _ in range(300):
            problem = world._draw(rng, split)
            others = reordered(problem) if {*problem.operators} <= {"+", "-"} else {problem}
            assert {split_of(other.key(), 10) for other in others} == {split}


@pytest.mark.parametrize("name", FAMILIES)
def test_no_two_splits_share_a_program_under_other_words(name: str) -> None:
    family, rng = FAMILIES[name], np.random.default_rng(0)
    inputs = [tuple(family.inputs(rng)) for _ in range(60)]
    seen: dict[str, str] = {}
    for seed in range(300):
        chance = np.random.default_rng(seed)
        parameters = family.parameters(chance)
        answers = repr([family.answer(parameters, *arguments) for arguments in inputs])
        assert seen.setdefault(answers, repr(sorted(parameters.items()))) == repr(sorted(parameters.items()))


def test_all_splits_of_every_family_have_tasks() -> None:
    for name, split in itertools.product(FAMILIES, SPLITS):
        assert generate(np.random.default_rng(0), split, [name], public=2, hidden=8).split == split
