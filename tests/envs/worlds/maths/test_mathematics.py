"""Generated mathematics: right answers earn, the question's own formulas and answers that fit everything do not."""

import re

import pytest

from peripatos.envs.errors import UserError
from peripatos.envs.worlds.maths.mathematics import Mathematics
from peripatos.envs.worlds.maths.problems import FAMILIES

pytest.importorskip("math_verify", reason="the extra peripatos[maths] is not installed")
SEEDS = range(60)


def reward(world, seed, reply):
    world.reset(seed=seed)
    _, value, _, _, info = world.step(reply(world) if callable(reply) else reply)
    return None if "unscored" in info else value


@pytest.mark.parametrize("family", FAMILIES)
def test_the_expected_answer_earns_the_reward(family):
    world = Mathematics(families=[family])
    assert {reward(world, seed, lambda world: world.oracle()) for seed in SEEDS} == {1.0}


@pytest.mark.parametrize("family", FAMILIES)
def test_copying_a_formula_of_the_question_earns_nothing(family):
    world = Mathematics(families=[family])
    for seed in SEEDS:
        question = world.reset(seed=seed)[0]
        formulas = re.findall(r"\$([^$]+)\$", question) + re.findall(r"[0-9]+ (?:km|m|cm|minutes)\b", question)
        sides = [side for formula in formulas for side in formula.split("=")]
        for formula in {*formulas, *sides}:
            expected = world.oracle()[len("\\boxed{") : -1]
            if formula.replace(" ", "") != expected.replace(" ", ""):  # the whole of A ∪ B may be A itself
                assert reward(world, seed, f"\\boxed{{{formula}}}") != 1.0, (question, formula)


def test_a_join_that_is_not_worked_out_earns_nothing():
    world = Mathematics(families=["sets"])
    tried = 0
    for seed in range(200):
        question = world.reset(seed=seed)[0]
        found = re.search(r"A = (.*?)\$ and \$B = (.*?)\$\. Write out the elements of \$A (\\\w+) B", question)
        if found:
            tried += 1
            assert reward(world, seed, f"\\boxed{{{found[1]} {found[3]} {found[2]}}}") != 1.0, question
    assert tried > 50


def test_no_answer_fits_many_questions():
    world = Mathematics()
    for answer in ("0", "1", "x", r"\\emptyset", r"\\mathbb{R}", "(0,0)", r"\\{\\}", "1,2,3", r"0\\text{ m}"):
        assert sum(reward(world, seed, f"\\boxed{{{answer}}}") == 1.0 for seed in SEEDS) <= 3


def test_wrong_families_are_a_clear_error():
    for families in (["algbra"], [], "algebra"):
        with pytest.raises(UserError, match=r"Did you mean 'algebra'|allowed is a list|unknown family"):
            Mathematics(families=families)
