"""Tokens that belong together: numbers in words, a sign in braces, the circle of degrees."""

from __future__ import annotations

from fractions import Fraction

from .numerals import NUMBER_WORDS, PART_WORDS, SCALES, Numeral, spoken
from .tokens import FUNCTIONS, Token, spell

_CIRCLES = (["^", "circ"], ["^", "{", "circ", "}"], ["circ"])
_F180 = Fraction(180)
_LONGEST = 24  # tokens of a number in words


def respell(tokens: list[Token]) -> list[Token]:
    """The tokens with what belongs together as one."""
    return _arguments(_circles(_spelled(_signs_alone(_exponents(tokens)))))


def _arguments(tokens: list[Token]) -> list[Token]:
    """With degrees within a function as radians: cos 30° is cos(30π/180)."""
    result: list[Token] = []
    for token in tokens:
        if token.text == "degree" and token.kind == "unit" and len(result) > 1 and result[-1].kind == "num":
            opened = result[-2].kind == "open"
            function = result[-3] if opened and len(result) > 2 else result[-2]
            if function.kind == "cmd" and function.text in FUNCTIONS and not function.text.startswith("arc"):
                turned = [
                    Token("sign", "*"),
                    Token("cmd", "pi"),
                    Token("sign", "/"),
                    Token("num", "180", Numeral(_F180)),
                ]
                inner = [result.pop(), *turned]
                result += inner if opened else [Token("open", "("), *inner, Token("close", ")")]
                continue
        result.append(token)
    return result


def _exponents(tokens: list[Token]) -> list[Token]:
    """With the brackets of 2^(1/3) as the braces that they stand for."""
    result = list(tokens)
    for start in range(1, len(tokens)):
        if tokens[start].text == "(" and tokens[start - 1].text in ("^", "_"):
            depth = 0
            for end in range(start, len(tokens)):
                depth += (tokens[end].kind == "open") - (tokens[end].kind == "close")
                if depth == 0:
                    if tokens[end].text == ")":
                        result[start], result[end] = Token("open", "{"), Token("close", "}")
                    break
    return result


def _signs_alone(tokens: list[Token]) -> list[Token]:
    """Without braces around one sign, as in {-}5."""
    result: list[Token] = []
    for token in tokens:
        result.append(token)
        if (
            token.text == "}"
            and len(result) > 2
            and result[-3].text == "{"
            and result[-2].text in ("+", "-", "=", "<", ">")
        ):
            result[-3:] = [result[-2]]
    return result


def _spelled(tokens: list[Token]) -> list[Token]:
    """With numbers in words as numbers: "twenty-one apples" is 21 apples, "5 million" and "minus 5" are numbers."""
    result: list[Token] = []
    place = 0
    while place < len(tokens):
        token, follows = tokens[place], tokens[place + 1 : place + 2]
        starts = not result or result[-1].kind in ("rel", "open", "comma")
        if token.text.lower() in ("minus", "negative") and follows and follows[0].number and starts:
            token = Token("sign", "-")
        elif token.text.lower() in SCALES and result and result[-1].number is not None:
            before = result.pop()
            assert before.number is not None  # it was looked at
            number = Numeral(before.number.value * SCALES[token.text.lower()])
            token = Token("num", f"{before.text} {token.text}", number)
        else:
            number, end = _spoken_at(tokens, place)
            if number is not None:
                token = Token("num", spell(tuple(tokens[place:end])), number)
                place = end - 1
        result.append(token)
        place += 1
    return result


def _spoken_at(tokens: list[Token], start: int) -> tuple[Numeral | None, int]:
    """The longest number in words that begins at `start`, and where it ends."""
    end = start
    while end < min(len(tokens), start + _LONGEST):
        if tokens[end].kind != "word" and not (tokens[end].text == "-" and end > start):
            break
        end += 1
    for stop in range(end, start, -1):
        words = [token.text.lower() for token in tokens[start:stop] if token.kind == "word"]
        if tokens[stop - 1].kind == "word" and (len(words) > 1 or words[0] in NUMBER_WORDS | PART_WORDS):
            value = spoken(words)
            if value is not None:
                return Numeral(value), stop
    return None, start


def _circles(tokens: list[Token]) -> list[Token]:
    """With ^\\circ and ^{\\circ} as one unit, and with °C and °F as theirs."""
    result: list[Token] = []
    place = 0
    texts = [token.text for token in tokens]
    while place < len(tokens):
        form = next((form for form in _CIRCLES if texts[place : place + len(form)] == form), None)
        if form is None:
            result.append(tokens[place])
            place += 1
            continue
        place += len(form)
        scale = {"C": "celsius", "complexes": "celsius", "F": "fahrenheit"}.get("".join(texts[place : place + 1]), "")
        place += bool(scale)
        result.append(Token("unit", scale or "degree"))
    return result
