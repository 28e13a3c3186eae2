"""Tokens of an expression, and which commands are functions and which are work left to be done."""

from __future__ import annotations

from dataclasses import dataclass

from .numerals import Numeral
from .words import words_of

FUNCTIONS = words_of(
    """sin cos tan sec csc cot arcsin arccos arctan sinh cosh tanh coth log ln exp arcsec arccsc arccot"""
)
OPERATORS = words_of("""int sum prod lim det gcd lcm max min inf sup bmod arg deg dim ker partial nabla""")
"""What is work left to do where it stands in an answer."""


@dataclass(frozen=True)
class Token:
    """One token. `kind`: num, sym, word, sign (+ - * / ^ _ ! ' : | & %), open, close, comma, rel, cmd, unit."""

    kind: str
    text: str
    number: Numeral | None = None


Tokens = tuple[Token, ...]


def spell(tokens: Tokens) -> str:
    """The tokens as plain text, one space between words."""
    return " ".join(token.text for token in tokens)
