"""Arithmetic problems with exact answers, by difficulty, wanted in a stated form.

    r = w_correct · [right] + w_format · [exactly one answer, spelled as wanted] − length_cost · units

`correct` and `format` are paid once, in the turn that ends the episode: with several attempts nobody can
collect them by failing first. Several answers in one reply cost `format` (and success), and only the last is
judged, so that listing candidates earns nothing. Success is right *and* in the wanted form.

Splits: a hash of a problem says whether it is for testing (one in ten), validation (one in ten) or training. Problems
that differ only in the order of what commutes count as one: the signed terms of a sum, the factors and the divisors of
a term, the steps of a story that follow each other and all add or all multiply. So do all the stories told about one
expression.

Digits may be wanted in reverse, least significant first, which makes addition easy for a small transformer
(Lee et al. 2023, "Teaching Arithmetic to Small Transformers", arXiv:2307.03381).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Self

import numpy as np

from ...conversation.conversation_env import SPLITS, ConversationEnv, Opening, Outcome, Split
from ...conversation.reward_weights import merge_weights
from ...conversation.task_source import split_of
from ...errors import UserError, unknown
from ...vocabulary import Reply
from .answers import ANSWER_TAGS, WANTED, AnswerTag, find_answer, parse_rational, reverse_digits, spell, wrap

OPERATORS = ("+", "-", "*", "/")
PROMPTS = ("plain", "bare")
_ONE_IN = 10  # problems is for testing, and one for validation
_MAX_DIGITS = 60  # of all operands together: bounds the answer's length, see `answers.MAX_ANSWER`
_MAX_OPERAND = 18  # digits; more would not fit the generator's 64-bit integers
_SMALL = 2_000  # problems that are searched for both splits: a space so large has both

_STORY_BEGINS = (
    "A shop has {} apples.",
    "A counter shows {}.",
    "Ana has {} points in a game.",
    "There are {} litres of water in a tank.",
)
_STORY_STEPS = {
    "+": ("Then {} are added.", "Then the number grows by {}."),
    "-": ("Then {} are taken away.", "Then the number falls by {}."),
    "*": ("Then the number becomes {} times as large.", "Then the number is multiplied by {}."),
    "/": ("Then the number is divided by {}.", "Then it is shared equally among {}, and one share is kept."),
}
_STORY_ENDS = " What is the number now? It may be negative or a fraction."


@dataclass(frozen=True)
class Problem:
    """operands[0] operators[0] operands[1] … with the usual precedence, or (`stepwise`) from left to right."""

    operands: tuple[int, ...]
    operators: tuple[str, ...]
    stepwise: bool = False

    def value(self) -> Fraction:
        """The exact answer."""
        sums = [Fraction(self.operands[0])]
        for operator, operand in zip(self.operators, self.operands[1:], strict=True):
            if self.stepwise:
                sums = [sum(sums, Fraction(0))]
            match operator:
                case "+":
                    sums.append(Fraction(operand))
                case "-":
                    sums.append(Fraction(-operand))
                case "*":
                    sums[-1] *= operand
                case _:
                    sums[-1] /= operand
        return sum(sums, Fraction(0))

    def text(self, space: str = " ") -> str:
        """The expression: "12 + 3 * 4". Meaningless for a stepwise problem of mixed operators."""
        steps = zip(self.operators, self.operands[1:], strict=True)
        return f"{self.operands[0]}" + "".join(f"{space}{sign}{space}{operand}" for sign, operand in steps)

    def key(self) -> str:
        """What the split is decided by: equal for problems that are one another in disguise, which is to say, equal up
        to the order of commuting parts.

            a + b − c                  the multiset {+a, +b, −c}
            a · b / c − d              {+{·a, ·b, /c}, −{·d}}
            ((a + b) · c) / d − e      as a story: [{+a, +b}, {·c, /d}, {−e}], and {·a, ·b} first where it begins so
        """
        if self.stepwise and {"+", "-"} & set(self.operators) and {"*", "/"} & set(self.operators):
            signs = ("+" if self.operators[0] in "+-" else "*", *self.operators)
            steps = itertools.groupby(zip(signs, self.operands, strict=True), lambda step: step[0] in "+-")
            return f"in steps {[sorted(run) for _, run in steps]}"
        terms: list[list[tuple[str, int]]] = []
        for sign, operand in zip(("+", *self.operators), self.operands, strict=True):
            if sign in "+-":
                terms.append([(sign, 0), ("*", operand)])  # the sign of a term, and its factors
            else:
                terms[-1].append((sign, operand))
        return str(sorted((term[0], sorted(term[1:])) for term in terms))

    def asks_something(self) -> bool:
        """False for quotients that need no dividing: "13 / 7" is its own answer, and "0 / 7" is always 0."""
        return self.operators != ("/",) or (self.operands[0] > 0 and math.gcd(*self.operands) > 1)


class Arithmetic(ConversationEnv):
    """Seeded arithmetic problems with exact rational answers, single-turn or with several attempts.

    Args:
        operators: which of + - * / occur.
        digits: of each operand: one number for all, or one for each.
        terms: operands in a problem.
        word_problems: tell a story instead of writing the expression; its steps are done in order.
        answer_tag: "boxed" wants `\\boxed{…}`, "answer" wants `<answer>…</answer>`, "number" judges the last
            number in the reply.
        reverse_digits: the answer's digits are wanted least significant first.
        prompt: "plain" is a question that states the wanted form; "bare" is only `73+84=`.
        attempts: replies allowed; a wrong one is told so until none is left.
        length_cost: subtracted for every action unit of a reply (where the agent counts them).
        weights: of `correct`, `format` and `length`.

    Raises:
        UserError: an option outside what is allowed, or so few problems that a split would be empty.
    """

    weights = {"correct": 1.0, "format": 0.1, "length": 0.0}  # noqa: RUF012 (read only, copied by the base class)
    has_success = True
    reward_version = "2"
    splits = SPLITS

    def __init__(
        self,
        *,
        operators: Sequence[str] = ("+", "-", "*"),
        digits: int | Sequence[int] = 2,
        terms: int = 2,
        word_problems: bool = False,
        answer_tag: AnswerTag = "boxed",
        reverse_digits: bool = False,
        prompt: Literal["plain", "bare"] = "plain",
        attempts: int = 1,
        length_cost: float = 0.0,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(weights=weights)
        if length_cost:
            self.weights = merge_weights(self.weights, {"length": length_cost})
        self.operators = _checked_operators(operators)
        self.digits = _checked_digits(digits, terms)
        for name, value, allowed in (("answer_tag", answer_tag, ANSWER_TAGS), ("prompt", prompt, PROMPTS)):
            if value not in allowed:
                raise UserError(unknown(name, str(value), allowed))
        if not isinstance(attempts, int) or attempts < 1:
            raise UserError(f"attempts is {attempts!r:.80}; allowed is a whole number, 1 or greater")
        if self.weights["length"] < 0:
            raise UserError(
                f"the weight of length is {self.weights['length']}; allowed is 0 or less, for it is subtracted"
            )
        if word_problems and prompt == "bare":
            raise UserError("word_problems need prompt 'plain': a bare prompt is only the expression")
        self.answer_tag: AnswerTag = answer_tag
        self.word_problems, self.reverse_digits = word_problems, reverse_digits
        self.prompt, self.attempts = prompt, attempts
        self._check_all_splits_exist()

    @property
    def turn_limit(self) -> int:
        """As many as there are attempts, unless turns are counted otherwise."""
        return self.max_turns or self.attempts

    def another(self) -> Self | None:
        """A sibling; None for a subclass with a constructor of its own."""
        return self.sibling() if self._is_built_by(Arithmetic) else None

    def opening(self, rng: np.random.Generator, split: Split) -> Opening:
        self._problem = self._draw(rng, split)
        self._expected = self._problem.value()
        self._attempt = 0
        if self.prompt == "bare":
            question = self._problem.text(space="") + "="
            return Opening(question, task=question)
        question = self._story(rng) if self.word_problems else f"What is {self._problem.text()}?"
        return Opening(f"{question} {self._wanted()}", task=question)

    def respond(self, reply: Reply) -> Outcome:
        self._attempt += 1
        found = find_answer(reply.text, self.answer_tag)
        answer = None
        if found.text is not None:
            answer = parse_rational(reverse_digits(found.text) if self.reverse_digits else found.text)
        formed = found.count == 1 and answer is not None
        right = answer == self._expected
        terms = {"length": 0.0 - (reply.units or 0)}
        success = right and formed
        if not success and self._attempt < self.attempts:
            return Outcome(self._feedback(formed), terms=terms)
        terms |= {"correct": float(right), "format": float(formed)}
        metrics = {"attempts": float(self._attempt)}
        return Outcome(terms=terms, terminated=True, success=success, metrics=metrics)

    def oracle(self) -> str:
        """The right reply, in the wanted form."""
        return wrap(spell(self._expected, reverse=self.reverse_digits), self.answer_tag)

    def _wanted(self) -> str:
        """The sentences that say which form of answer is wanted."""
        parts = [WANTED[self.answer_tag]]
        if "/" in self.operators:
            parts.append("If it is not a whole number, write a fraction a/b in lowest terms.")
        if self.reverse_digits:
            parts.append("Write its digits in reverse order, least significant first.")
        return " ".join(parts)

    def _feedback(self, formed: bool) -> str:
        if self.prompt == "bare":
            return f"wrong {self._problem.text(space='')}="
        return "That is wrong. Try again." if formed else f"I need exactly one answer. {self._wanted()}"

    def _story(self, rng: np.random.Generator) -> str:
        problem = self._problem
        parts = [_STORY_BEGINS[int(rng.integers(len(_STORY_BEGINS)))].format(problem.operands[0])]
        for operator, operand in zip(problem.operators, problem.operands[1:], strict=True):
            tellings = _STORY_STEPS[operator]
            parts.append(tellings[int(rng.integers(len(tellings)))].format(operand))
        return " ".join(parts) + _STORY_ENDS

    def _draw(self, rng: np.random.Generator, split: Split) -> Problem:
        """A problem of `split`, uniform among them: others are drawn again."""
        while True:
            operators = tuple(
                self.operators[int(rng.integers(len(self.operators)))] for _ in range(len(self.digits) - 1)
            )
            ranges = self._ranges(operators)
            operands = tuple(int(rng.integers(allowed.start, allowed.stop)) for allowed in ranges)
            problem = Problem(operands, operators, stepwise=self.word_problems)
            if problem.asks_something() and split_of(problem.key(), _ONE_IN) == split:
                return problem

    def _ranges(self, operators: tuple[str, ...]) -> list[range]:
        """What each operand may be: exactly its number of digits, and no zero after a division sign."""
        signs = ("", *operators)
        return [
            range(1 if count == 1 and sign == "/" else 0 if count == 1 else 10 ** (count - 1), 10**count)
            for count, sign in zip(self.digits, signs, strict=True)
        ]

    def _first_problems(self) -> Iterator[Problem]:
        """Every problem of a small space; of a large one, the first few of each operand."""
        for operators in itertools.product(self.operators, repeat=len(self.digits) - 1):
            for operands in itertools.product(*(allowed[:_SMALL] for allowed in self._ranges(operators))):
                yield Problem(operands, operators, stepwise=self.word_problems)

    def _check_all_splits_exist(self) -> None:
        few = itertools.islice((p for p in self._first_problems() if p.asks_something()), _SMALL)
        splits = [split_of(problem.key(), _ONE_IN) for problem in few]
        if set(splits) != set(SPLITS):
            raise UserError(
                f"operators {self.operators} and digits {self.digits} allow only {len(splits)} problems, too few "
                "for training, validation and testing: use more digits, terms or operators"
            )


def _checked_operators(operators: Sequence[str]) -> tuple[str, ...]:
    strange = isinstance(operators, str) and not set(operators) <= set(
        OPERATORS
    )  # `+-` says + and -, and `plus` nothing
    if not isinstance(operators, Sequence) or not operators or strange:
        raise UserError(f"operators is {operators!r:.80}; allowed is a list of {', '.join(OPERATORS)}")
    for operator in operators:
        if operator not in OPERATORS:
            raise UserError(unknown("operator", str(operator), OPERATORS))
    return tuple(dict.fromkeys(operators))


def _checked_digits(digits: int | Sequence[int], terms: int) -> tuple[int, ...]:
    """The number of digits of each operand."""
    if isinstance(terms, bool) or not isinstance(terms, int) or not 2 <= terms <= _MAX_DIGITS:
        raise UserError(f"terms is {terms!r:.80}; allowed is a whole number from 2 to {_MAX_DIGITS}")
    if isinstance(digits, Sequence) and (isinstance(digits, str) or not digits):
        words = f"allowed are whole numbers from 1 to {_MAX_OPERAND}, one or a list of {terms}"
        raise UserError(f"digits is {digits!r:.80}; {words}")
    counts = tuple(digits) if isinstance(digits, Sequence) else (digits,) * terms
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _MAX_OPERAND:
            raise UserError(f"digits is {count!r:.80}; allowed are whole numbers from 1 to {_MAX_OPERAND}")
    if sum(counts) > _MAX_DIGITS:
        raise UserError(f"the operands have {sum(counts)} digits; allowed are {_MAX_DIGITS} in all")
    if len(counts) != terms:
        raise UserError(f"digits gives {len(counts)} operands, but terms is {terms}")
    return counts
