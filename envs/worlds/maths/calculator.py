"""An exact calculator for text from agents: whole numbers, + - * / and brackets, in rational arithmetic.

    calculate("(1 + 2) * 3 / 4")  →  Fraction(9, 4)

    sum     := product (("+" | "-") product)*
    product := signed (("*" | "/") signed)*
    signed  := "-"* atom
    atom    := digits | "(" sum ")"

Nothing is evaluated by Python, and length and depth are bounded, so that the work is bounded too. Powers are left out:
`9**9**9` has no place in a tool. Decimals are read exactly: 0.1 is 1/10.
"""

from __future__ import annotations

import re
from fractions import Fraction

MAX_EXPRESSION = 256  # characters
_MAX_DEPTH = 32  # of brackets
_TOKEN = re.compile(r"\s*(?:([0-9]+(?:\.[0-9]+)?)|([-+*/()×·÷−]))")
_SAME = str.maketrans("×·÷−", "**/-")


def calculate(expression: str, *, operations: int | None = None) -> Fraction:
    """The exact value of `expression`, which has at most so many operations (None: any number); a sign is none.

    Raises:
        ValueError: it is no such expression; the message says where it stops being one.
        ZeroDivisionError: it divides by zero.
    """
    if len(expression) > MAX_EXPRESSION:
        raise ValueError(f"the expression has {len(expression)} characters; {MAX_EXPRESSION} are allowed")
    parser = _Parser(_tokens(expression))
    value = parser.sum(0)
    if parser.next is not None:
        raise ValueError(f"unexpected {parser.next!r}")
    if operations is not None and parser.operations > operations:
        raise ValueError(f"the expression has {parser.operations} operations; one call does {operations}")
    return value


def _tokens(expression: str) -> list[str]:
    tokens, position, text = [], 0, expression.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"unexpected {text[position:].lstrip()[0]!r}")
        tokens.append((match[1] or match[2]).translate(_SAME))
        position = match.end()
    return tokens


class _Parser:
    """One method for each rule of the grammar."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens[::-1]
        self.operations = 0

    @property
    def next(self) -> str | None:
        """The token that would be taken now; None at the end."""
        return self._tokens[-1] if self._tokens else None

    def sum(self, depth: int) -> Fraction:
        value = self._product(depth)
        while self.next in ("+", "-"):
            sign = 1 if self._tokens.pop() == "+" else -1
            self.operations += 1
            value += sign * self._product(depth)
        return value

    def _product(self, depth: int) -> Fraction:
        value = self._signed(depth)
        while self.next in ("*", "/"):
            self.operations += 1
            if self._tokens.pop() == "*":
                value *= self._signed(depth)
            else:
                divisor = self._signed(depth)
                if divisor == 0:
                    raise ZeroDivisionError("division by zero")
                value /= divisor
        return value

    def _signed(self, depth: int) -> Fraction:
        sign = 1
        while self.next == "-":
            self._tokens.pop()
            sign = -sign
        return sign * self._atom(depth)

    def _atom(self, depth: int) -> Fraction:
        if not self._tokens:
            raise ValueError("the expression ends where a number is expected")
        token = self._tokens.pop()
        if token[0].isdigit():
            return Fraction(token)
        if token != "(":
            raise ValueError(f"unexpected {token!r}")
        if depth == _MAX_DEPTH:
            raise ValueError(f"more than {_MAX_DEPTH} brackets inside one another")
        value = self.sum(depth + 1)
        if self.next != ")":
            raise ValueError("a bracket is not closed")
        self._tokens.pop()
        return value
