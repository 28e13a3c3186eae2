"""The calculator: exact values, and words for everything that is no expression."""

import random
import re
from fractions import Fraction

import pytest

from peripatos.envs.worlds.maths.calculator import calculate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("73*84", 6132),
        (" 1 + 2*3 ", 7),
        ("(1+2)*3/4", Fraction(9, 4)),
        ("-(-3)--2", 5),
        ("2/3/4", Fraction(1, 6)),
        ("0.1+0.2", Fraction(3, 10)),
        ("007", 7),
        ("6 × 7 ÷ 2 − 1", 20),
        ("9" * 200, int("9" * 200)),
    ],
)
def test_values_are_those_worked_out_by_hand(expression, value):
    assert calculate(expression) == value


@pytest.mark.parametrize("seed", range(20))
def test_values_agree_with_python_on_random_expressions(seed):
    rng = random.Random(seed)
    expression = str(rng.randrange(1, 999))
    for _ in range(12):
        operator, operand = rng.choice("+-*/"), rng.randrange(1, 999)
        expression = rng.choice(["{0}{1}{2}", "({0}){1}{2}", "{0}{1}(-{2})"]).format(expression, operator, operand)
    exact = eval(re.sub(r"\d+", r"Fraction(\g<0>)", expression), {"Fraction": Fraction})  # our own text
    assert calculate(expression) == exact


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "a number is expected"),
        ("1+", "a number is expected"),
        ("2**3", "unexpected '*'"),
        ("1 2", "unexpected '2'"),
        ("(1", "not closed"),
        ("1)", "unexpected '\\)'"),
        ("__import__('os')", "unexpected '_'"),
        ("1e9", "unexpected 'e'"),
        ("٣+1", "unexpected"),
        ("(" * 40 + "1" + ")" * 40, "32 brackets"),
        ("1+" * 200 + "1", "256 are allowed"),
        ("1..2", "unexpected '.'"),
    ],
)
def test_what_is_no_expression_is_named(expression, words):
    with pytest.raises(ValueError, match=words):
        calculate(expression)


def test_division_by_zero_is_named():
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        calculate("1/(2-2)")
