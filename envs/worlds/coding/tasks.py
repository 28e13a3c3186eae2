"""Programming tasks: families of small programs with generated tests. Those of a file are read by `task_file`.

A generated task has public examples, which its prompt shows, and hidden tests, which nobody sees; no input is in
both.
"""

from __future__ import annotations

import itertools
import json
import operator
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...conversation.conversation_env import Split
from ...conversation.task_source import split_of
from ...errors import UserError
from ...sandbox.same_value import Compare

ExamKind = Literal["function", "stdio", "assertions"]
Tests = tuple[tuple[Any, Any], ...]
ONE_IN = 5  # tasks is for testing, and one for validation
_MAX_DRAWS = 1000


@dataclass(frozen=True)
class CodingTask:
    """One task. `public` and `hidden` are pairs of input and output, or test code for the kind "assertions"."""

    prompt: str
    kind: ExamKind
    hidden: Tests | str
    public: Tests | str = ()
    entry: str = "solve"
    tolerance: float = 0.0
    compare: Compare = "tokens"
    checker: str = ""
    in_place: bool = False
    nan: bool = False
    json_types: bool = False  # the tests came through JSON, which has lists where Python may have tuples
    oracle: str | None = None
    id: str = ""
    split: Split = "train"


@dataclass(frozen=True)
class ProblemFamily:
    """A family of tasks: what is asked and a right program, both with parameters, and how inputs are drawn.

    `answer` computes the expected values; a test holds the program against it.
    """

    arguments: str
    wanted: str
    body: str
    answer: Callable[..., object]  # of the parameters and the arguments
    parameters: Callable[[np.random.Generator], Mapping[str, object]]
    inputs: Callable[[np.random.Generator], Sequence[object]]

    def program(self, parameters: Mapping[str, object]) -> str:
        """The source of a right program."""
        lines = self.body.format(**parameters).splitlines()
        return f"def solve({self.arguments}):\n" + "\n".join(f"    {line}" for line in lines)


def _number(rng: np.random.Generator, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


def _numbers(rng: np.random.Generator) -> list[int]:
    return [_number(rng, -20, 20) for _ in range(_number(rng, 1, 8))]


def _word(rng: np.random.Generator, letters: str = "abcdefghij") -> str:
    return "".join(letters[_number(rng, 0, len(letters) - 1)] for _ in range(_number(rng, 1, 8)))


def _list_input(rng: np.random.Generator) -> Sequence[object]:
    return (_numbers(rng),)


def _word_input(rng: np.random.Generator) -> Sequence[object]:
    return (_word(rng),)


def _words_input(rng: np.random.Generator) -> Sequence[object]:
    return ([_word(rng) for _ in range(_number(rng, 1, 5))],)


def _table_input(rng: np.random.Generator) -> Sequence[object]:
    width = _number(rng, 4, 5)
    return ([[_number(rng, -9, 9) for _ in range(width)] for _ in range(_number(rng, 1, 4))],)


def _between(**bounds: tuple[int, int]) -> Callable[[np.random.Generator], Mapping[str, object]]:
    """Parameters that are whole numbers within bounds."""
    return lambda rng: {name: _number(rng, low, high) for name, (low, high) in bounds.items()}


def _picking(choices: Mapping[str, Sequence[object]]) -> Callable[[np.random.Generator], Mapping[str, object]]:
    """Parameters picked from lists."""
    return lambda rng: {name: values[_number(rng, 0, len(values) - 1)] for name, values in choices.items()}


_ALPHABET = string.ascii_lowercase
_STEPS: Mapping[str, Callable[[int, int], int]] = {"sum": operator.add, "max": max, "min": min}
_SIGNS: Mapping[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_CASES: Mapping[str, Callable[[str], str]] = {"upper": str.upper, "lower": str.lower}


def _term(p: Mapping[str, int], n: int) -> int:
    """The n-th term of a recurrence."""
    terms = [p["a"], p["b"]]
    while len(terms) <= n:
        terms.append(p["p"] * terms[-1] + p["q"] * terms[-2])
    return terms[n]


FAMILIES: Mapping[str, ProblemFamily] = {
    "linear": ProblemFamily(
        "x, y",
        "{a} times x, plus {b} times y, plus {c}",
        "return {a} * x + {b} * y + {c}",
        lambda p, x, y: p["a"] * x + p["b"] * y + p["c"],
        _between(a=(2, 9), b=(2, 9), c=(1, 20)),
        lambda rng: (_number(rng, -50, 50), _number(rng, -50, 50)),
    ),
    "sum_multiples": ProblemFamily(
        "xs",
        "the sum of the numbers in the list xs that are divisible by {k}, plus {c}",
        "return sum(x for x in xs if x % {k} == 0) + {c}",
        lambda p, xs: sum(x for x in xs if x % p["k"] == 0) + p["c"],
        _between(k=(2, 7), c=(0, 9)),
        _list_input,
    ),
    "count_above": ProblemFamily(
        "xs",
        "how many numbers in the list xs are greater than {k}, times {m}",
        "return sum(x > {k} for x in xs) * {m}",
        lambda p, xs: len([x for x in xs if x > p["k"]]) * p["m"],
        _between(k=(-10, 10), m=(1, 5)),
        _list_input,
    ),
    "power_sum": ProblemFamily(
        "xs",
        "the sum of x to the power {p} over all x in the list xs whose remainder modulo {k} is {r}",
        "return sum(x ** {p} for x in xs if x % {k} == {r})",
        lambda p, xs: sum(x ** p["p"] for x in xs if x % p["k"] == p["r"]),
        _picking({"p": (2, 3, 4), "k": (2, 3, 5), "r": (0, 1)}),
        _list_input,
    ),
    "clip": ProblemFamily(
        "xs",
        "the list xs with every number below {low} replaced by {low} and every number above {high} replaced by {high}",
        "return [min(max(x, {low}), {high}) for x in xs]",
        lambda p, xs: [p["low"] if x < p["low"] else p["high"] if x > p["high"] else x for x in xs],
        _between(low=(-15, -1), high=(1, 15)),
        _list_input,
    ),
    "rotate": ProblemFamily(
        "xs",
        "the list xs rotated by {k} places to the left, with {c} added to every number",
        "n = {k} % len(xs)\nreturn [x + {c} for x in xs[n:] + xs[:n]]",
        lambda p, xs: [xs[(i + p["k"]) % len(xs)] + p["c"] for i in range(len(xs))],
        _between(k=(1, 6), c=(0, 9)),
        _list_input,
    ),
    "every_kth": ProblemFamily(
        "xs",
        "a list of every element of xs whose index is a multiple of {k}, each increased by {c}",
        "return [x + {c} for x in xs[::{k}]]",
        lambda p, xs: [x + p["c"] for i, x in enumerate(xs) if i % p["k"] == 0],
        _between(k=(2, 4), c=(0, 9)),
        _list_input,
    ),
    "running": ProblemFamily(
        "xs",
        "the list whose i-th element is the {function} of the first i + 1 numbers of xs, times {m}",
        "return [{function}(xs[: i + 1]) * {m} for i in range(len(xs))]",
        lambda p, xs: [x * p["m"] for x in itertools.accumulate(xs, _STEPS[p["function"]])],
        _picking({"function": ("sum", "max", "min"), "m": (1, 2, 3, 4, 5, 6)}),
        _list_input,
    ),
    "caesar": ProblemFamily(
        "text",
        "the text, which has lower-case letters only, with every letter moved {k} places on in the alphabet, z "
        "being followed by a",
        "return ''.join(chr((ord(c) - 97 + {k}) % 26 + 97) for c in text)",
        lambda p, text: text.translate(str.maketrans(_ALPHABET, _ALPHABET[p["k"] :] + _ALPHABET[: p["k"]])),
        _between(k=(1, 25)),
        lambda rng: (_word(rng, _ALPHABET),),
    ),
    "count_letters": ProblemFamily(
        "text",
        "how many characters of the text are one of the letters {letters!r}, times {m}",
        "return sum(c in {letters!r} for c in text) * {m}",
        lambda p, text: sum(text.count(letter) for letter in p["letters"]) * p["m"],
        _picking({"letters": ("aei", "abc", "bdf", "jih", "cgh", "aj"), "m": (1, 2, 3, 5)}),
        _word_input,
    ),
    "join_words": ProblemFamily(
        "words",
        "the words that are longer than {k}, in {case} case, joined by {separator!r}",
        "return {separator!r}.join(w.{case}() for w in words if len(w) > {k})",
        lambda p, words: p["separator"].join(_CASES[p["case"]](w) for w in words if len(w) > p["k"]),
        _picking({"k": (1, 2, 3, 4, 5), "case": ("upper", "lower"), "separator": ("-", "+", ", ", "/", "", "__")}),
        _words_input,
    ),
    "digit_sum": ProblemFamily(
        "n",
        "the sum of the digits of n written in base {base}, times {m}",
        "total = 0\nwhile n:\n    total += n % {base}\n    n //= {base}\nreturn total * {m}",
        lambda p, n: sum(n // p["base"] ** i % p["base"] for i in range(14)) * p["m"],
        _between(base=(2, 10), m=(1, 4)),
        lambda rng: (_number(rng, 0, 5000),),
    ),
    "recurrence": ProblemFamily(
        "n",
        "the n-th term of the sequence that begins with terms 0 and 1 being {a} and {b}, where every later term is "
        "{p} times the term before plus {q} times the one before that",
        "a, b = {a}, {b}\nfor _ in range(n):\n    a, b = b, {p} * b + {q} * a\nreturn a",
        _term,
        _between(a=(0, 4), b=(1, 5), p=(1, 3), q=(1, 3)),
        lambda rng: (_number(rng, 0, 15),),
    ),
    "group_by": ProblemFamily(
        "xs",
        "a dictionary from each remainder modulo {k} that occurs in xs to the list of the numbers with it, each "
        "plus {c}, in their order in xs",
        "groups = {{}}\nfor x in xs:\n    groups.setdefault(x % {k}, []).append(x + {c})\nreturn groups",
        lambda p, xs: {r: [x + p["c"] for x in xs if x % p["k"] == r] for r in {x % p["k"] for x in xs}},
        _between(k=(2, 6), c=(0, 9)),
        _list_input,
    ),
    "column": ProblemFamily(
        "table",
        "the sum of column {c} (counted from 0) of the table, a list of rows, times {m}",
        "return sum(row[{c}] for row in table) * {m}",
        lambda p, table: sum(list(zip(*table, strict=True))[p["c"]]) * p["m"],
        _between(c=(0, 3), m=(1, 9)),
        _table_input,
    ),
    "pairs": ProblemFamily(
        "xs",
        "the number of pairs i < j with xs[i] {sign} xs[j] divisible by {k}",
        "return sum((xs[i] {sign} xs[j]) % {k} == 0 for j in range(len(xs)) for i in range(j))",
        lambda p, xs: sum(_SIGNS[p["sign"]](a, b) % p["k"] == 0 for a, b in itertools.combinations(xs, 2)),
        _picking({"sign": ("+", "-", "*"), "k": (3, 4, 5, 6, 7)}),  # modulo 2, sums are differences
        _list_input,
    ),
}  # fmt: skip


def generate(rng: np.random.Generator, split: Split, families: Sequence[str], public: int, hidden: int) -> CodingTask:
    """A task of one of the families, for one split: all chance comes from `rng`."""
    for _ in range(_MAX_DRAWS):
        name = families[_number(rng, 0, len(families) - 1)]
        family = FAMILIES[name]
        parameters = family.parameters(rng)
        key = f"{name} {json.dumps(parameters, sort_keys=True)}"
        if split_of(key, ONE_IN) == split:
            task = _build(family, parameters, key, split, rng, public, hidden)
            if len({repr(expected) for _, expected in task.hidden}) > 1:  # else a constant would pass
                return task
    raise UserError(f"the families {', '.join(families)} gave no {split} task in {_MAX_DRAWS} draws")


def _build(
    family: ProblemFamily,
    parameters: Mapping[str, object],
    key: str,
    split: Split,
    rng: np.random.Generator,
    public: int,
    hidden: int,
) -> CodingTask:
    program = family.program(parameters)
    tests: dict[str, tuple[Any, Any]] = {}
    for _ in range(_MAX_DRAWS):
        arguments = tuple(family.inputs(rng))
        tests.setdefault(repr(arguments), (arguments, family.answer(parameters, *arguments)))
        if len(tests) == public + hidden:
            break
    pairs = tuple(tests.values())
    shown = "\n".join(f"{_call(arguments)} == {expected!r}" for arguments, expected in pairs[:public])
    wanted = family.wanted.format(**parameters)
    examples = f"\n\nFor example:\n{shown}" if shown else ""
    prompt = f"Write a Python function solve({family.arguments}) that returns {wanted}.{examples}"
    return CodingTask(prompt, "function", pairs[public:], pairs[:public], oracle=program, id=key, split=split)


def _call(arguments: Sequence[object]) -> str:
    return f"solve({', '.join(map(repr, arguments))})"
