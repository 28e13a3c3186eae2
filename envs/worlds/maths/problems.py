"""Problems whose answers are mathematics, drawn at random: algebra, fractions, units and sets.

Each has a question, an answer in LaTeX, and a key: problems with equal keys are one another in disguise (the order of
a sum, the names of two sets), and fall into one split. No question is an expression that is equal to its own answer, so
that copying it earns nothing wherever a number is expected, and sets have to be written out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class MathsProblem:
    """A question, its answer as LaTeX, what names the problem for the splits, and the kind of answer."""

    question: str
    answer: str
    key: str
    kind: str | None = None  # None: as its notation says


def _whole(rng: np.random.Generator, low: int, high: int, without: tuple[int, ...] = (0,)) -> int:
    """A whole number from `low` to `high`, both included, that is none of `without`."""
    while True:
        value = int(rng.integers(low, high + 1))
        if value not in without:
            return value


def latex(value: Fraction) -> str:
    """A rational number: 3, -\\frac{1}{2}."""
    sign = "-" if value < 0 else ""
    above, below = abs(value.numerator), value.denominator
    return f"{sign}{above}" if below == 1 else f"{sign}\\frac{{{above}}}{{{below}}}"


def _term(factor: int, name: str, *, first: bool = False) -> str:
    """`+ 3x`, `- x`; without a plus where it comes first; nothing for 0."""
    if factor == 0:
        return ""
    size = str(abs(factor)) if abs(factor) > 1 or not name else ""
    sign = "-" if factor < 0 else "" if first else "+"
    return f"{sign}{size}{name}" if first else f" {sign} {size}{name}"


def _linear(rng: np.random.Generator) -> MathsProblem:
    left, right = _whole(rng, -9, 9), _whole(rng, -9, 9)
    while right == left:
        right = _whole(rng, -9, 9)
    a, b = _whole(rng, -20, 20), _whole(rng, -20, 20)
    equation = f"{_term(left, 'x', first=True)}{_term(a, '')} = {_term(right, 'x', first=True)}{_term(b, '')}"
    key = f"linear {sorted(((left, a), (right, b)))}"
    return MathsProblem(f"Solve the equation ${equation}$ for $x$.", latex(Fraction(b - a, left - right)), key)


def _quadratic(rng: np.random.Generator) -> MathsProblem:
    first = _whole(rng, -12, 12, ())
    second = _whole(rng, -12, 12, (first, -first))
    equation = f"x^2{_term(-first - second, 'x')}{_term(first * second, '')} = 0"
    low, high = sorted((first, second))
    question = f"Write the set of all solutions of ${equation}$."
    return MathsProblem(question, f"\\{{{low}, {high}\\}}", f"quadratic {low} {high}")


def _system(rng: np.random.Generator) -> MathsProblem:
    x, y = _whole(rng, -9, 9, ()), _whole(rng, -9, 9, ())
    a, b, c = _whole(rng, -6, 6), _whole(rng, -6, 6), _whole(rng, -6, 6)
    d = _whole(rng, -6, 6)
    while a * d == b * c:
        d = _whole(rng, -6, 6)
    rows = [f"{_term(p, 'x', first=True)}{_term(q, 'y')} = {p * x + q * y}" for p, q in ((a, b), (c, d))]
    question = f"Solve ${rows[0]}$ and ${rows[1]}$. Write the solution as a point $(x, y)$."
    return MathsProblem(question, f"({x}, {y})", f"system {x} {y} {sorted(((a, b), (c, d)))}")


def _solve_for(rng: np.random.Generator) -> MathsProblem:
    a, b, c = _whole(rng, 2, 9), _whole(rng, 2, 9), _whole(rng, -20, 20)
    answer = f"y = \\frac{{{c}{_term(-a, 'x')}}}{{{b}}}"
    return MathsProblem(f"Solve ${a}x + {b}y = {c}$ for $y$.", answer, f"solve for {a} {b} {c}")


def _fractions(rng: np.random.Generator) -> MathsProblem:
    parts: list[Fraction] = []
    while len(parts) < 2:
        drawn = Fraction(_whole(rng, 1, 12), _whole(rng, 2, 12))
        if drawn.denominator > 1:
            parts.append(drawn)
    first, second = parts
    sign = ("+", "-", "\\cdot", "\\div")[int(rng.integers(4))]
    values = {"+": first + second, "-": first - second, "\\cdot": first * second, "\\div": first / second}
    question = f"Compute ${latex(first)} {sign} {latex(second)}$. Give a fraction in lowest terms, or a whole number."
    ordered = [first, second] if sign in ("-", "\\div") else sorted((first, second))
    return MathsProblem(question, latex(values[sign]), f"fractions {sign} {ordered[0]} {ordered[1]}")


def _speed(rng: np.random.Generator) -> MathsProblem:
    kilometres, minutes = _whole(rng, 2, 90), 5 * _whole(rng, 1, 24)
    speed = Fraction(kilometres * 60, minutes)
    question = f"A train goes {kilometres} km in {minutes} minutes. What is its average speed in km/h? Give the unit."
    return MathsProblem(question, f"{latex(speed)}\\text{{ km/h}}", f"speed {kilometres} {minutes}", "unit")


def _area(rng: np.random.Generator) -> MathsProblem:
    metres, centimetres = _whole(rng, 2, 30), 5 * _whole(rng, 1, 19)
    area = Fraction(metres * centimetres, 100)
    question = f"A strip is {metres} m long and {centimetres} cm wide. What is its area in m^2? Give the unit."
    return MathsProblem(question, f"{latex(area)}\\text{{ m}}^2", f"area {metres} {centimetres}", "unit")


def _lengths(rng: np.random.Generator) -> MathsProblem:
    kilometres, metres = _whole(rng, 1, 20), 25 * _whole(rng, 1, 39)
    total = 1000 * kilometres + metres
    question = (
        f"A walk is {kilometres} km long, and another is {metres} m. How many m are both together? Give the unit."
    )
    return MathsProblem(question, f"{total}\\text{{ m}}", f"lengths {kilometres} {metres}", "unit")


def _spelled(elements: set[int]) -> str:
    return f"\\{{{', '.join(map(str, sorted(elements)))}\\}}" if elements else "\\emptyset"


def _set_operation(rng: np.random.Generator) -> MathsProblem:
    first, second = ({int(n) for n in rng.choice(12, size=_whole(rng, 3, 6), replace=False)} for _ in range(2))
    sign = ("\\cup", "\\cap", "\\setminus")[int(rng.integers(3))]
    result = {"\\cup": first | second, "\\cap": first & second, "\\setminus": first - second}[sign]
    given = f"$A = {_spelled(first)}$ and $B = {_spelled(second)}$"
    ordered = [sorted(first), sorted(second)] if sign == "\\setminus" else sorted((sorted(first), sorted(second)))
    question = f"Let {given}. Write out the elements of $A {sign} B$ as a set."
    return MathsProblem(question, _spelled(result), f"set {sign} {ordered}")


def _inequality(rng: np.random.Generator) -> MathsProblem:
    middle, width = _whole(rng, -9, 9), _whole(rng, 1, 9)
    closed = bool(rng.integers(2))
    inside = bool(rng.integers(2))
    sign = {(True, True): "\\le", (True, False): "<", (False, True): "\\ge", (False, False): ">"}[inside, closed]
    low, high = middle - width, middle + width
    ends = ("[", "]") if closed else ("(", ")")
    within = f"{ends[0]}{low}, {high}{ends[1]}"
    outside = f"(-\\infty, {low}{ends[1]} \\cup {ends[0]}{high}, \\infty)"
    question = f"Write the solutions of $|x{_term(-middle, '')}| {sign} {width}$ in interval notation."
    return MathsProblem(question, within if inside else outside, f"inequality {middle} {width} {sign}")


Draw = Callable[[np.random.Generator], MathsProblem]
FAMILIES: dict[str, tuple[Draw, ...]] = {
    "algebra": (_linear, _quadratic, _system, _solve_for),
    "fractions": (_fractions,),
    "units": (_speed, _area, _lengths),
    "sets": (_set_operation, _inequality),
}
"""The kinds of problems in each family; each kind is drawn as often as its neighbours."""
