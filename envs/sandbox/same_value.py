"""Comparing an answer with what was expected, in wire form, where types are exact by construction.

The answer comes from an untrusted program. It is never rebuilt as Python objects on the host: the comparison walks
the *expected* value and looks at the answer along the way, so no equality method of the answer runs, no answer is
larger in memory than its frame, and no set of chosen integers can make a hash table slow.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from .expected import ANY_ORDER, special
from .inside.codec import Wire

Compare = Literal["tokens", "lines", "exact"]  # of what is printed
COMPARE: tuple[Compare, ...] = ("tokens", "lines", "exact")
Number = int | float | Decimal | Fraction
_SETS = ("s", "z")
_MANY = 1000  # items, for which to look at each takes long
_MOST_PAIRED = 500  # items that are equal in no text, for each is compared with each
_LONGEST_KEY = 1000  # digits of a number: to write it in decimal takes their square
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?", re.ASCII)


def same(answer: Wire, expected: Wire, *, tolerance: float = 0.0, as_json: bool = False) -> bool:
    """Whether the answer equals the expected value, type by type; True is not 1, and 1 is not 1.0.

    Floats a, b (expected) are equal if |a − b| ≤ tolerance · max(1, |b|). Infinity and NaN equal only themselves.
    A named tuple is a tuple. Decimals are equal if their numbers are; with a tolerance, as floats. `as_json`, for
    values that `as_json` made: JSON has one kind of number, so 1 is 1.0, and a fraction or a decimal the number that it
    is. Where `AnyOrder` is expected, each item has its own in the answer.
    """
    if (items := special(expected, ANY_ORDER)) is not None:
        assert isinstance(items, list)  # our own encoding
        return _same_in_any_order(_listed(answer), items, tolerance, as_json)
    number = _number(expected)
    if number is not None and (as_json or isinstance(number, Decimal)):
        other = _number(answer)
        if as_json or type(other) is type(number):
            return _same_numbers(other, number, tolerance)
    answer, expected = _unnamed(answer), _unnamed(expected)
    if type(answer) is not type(expected):
        return False
    if isinstance(expected, float):
        return _close(answer, expected, tolerance)
    if isinstance(expected, list):
        return _same_lists(answer, expected, tolerance, as_json)
    if not isinstance(expected, dict):
        return answer == expected
    return _same_tagged(answer, expected, tolerance, as_json)


def _same_tagged(answer: Wire, expected: dict[str, Wire], tolerance: float, as_json: bool) -> bool:
    if not isinstance(answer, dict) or len(answer) != 1:
        return False
    ((tag, body),) = expected.items()
    other = answer.get(tag)
    if as_json and tag in _SETS and other is None:
        other = next((answer[kind] for kind in _SETS if kind in answer), None)
    if not isinstance(body, list):
        return other == body
    if tag == "d":
        return _same_mappings(other, body, tolerance, as_json)
    if tag in _SETS:
        return isinstance(other, list) and len(other) == len(body) and _canons(other) == _canons(body)
    return _same_lists(other, body, tolerance, as_json)


def _unnamed(wire: Wire) -> Wire:
    """A named tuple as the tuple that it is."""
    body = wire.get("n") if isinstance(wire, dict) else None
    return {"t": body[2]} if isinstance(body, list) and len(body) == 3 else wire


def _listed(answer: Wire) -> Wire:
    """The items of an answer that has items: a list, or what is one but for its type."""
    answer = _unnamed(answer)
    if isinstance(answer, dict) and len(answer) == 1:
        ((tag, body),) = answer.items()
        return body if tag in ("t", "q", *_SETS) else None
    return answer


def _same_in_any_order(answer: Wire, expected: list[Wire], tolerance: float, as_json: bool) -> bool:
    """Equal texts are paired first; the others, of which there may be so many, one with the first that is the same."""
    if not isinstance(answer, list) or len(answer) != len(expected):
        return False
    left = Counter(map(_canon, answer))
    wanted = [wire for wire in expected if not _take(left, _canon(wire))]
    if len(wanted) > _MOST_PAIRED:
        return False
    by_text = {_canon(wire): wire for wire in answer}
    open_ = [by_text[text] for text in left.elements()]
    for wire in wanted:
        found = next((n for n, one in enumerate(open_) if same(one, wire, tolerance=tolerance, as_json=as_json)), None)
        if found is None:
            return False
        del open_[found]
    return True


def _take(left: Counter[str], text: str) -> bool:
    """Whether there is one of these left, which is taken."""
    there = left[text] > 0
    left[text] -= there
    return there


def _number(wire: Wire) -> Number | None:
    """A number, or None. Decimals that take long to reckon with are none."""
    if isinstance(wire, dict) and len(wire) == 1:
        ((tag, body),) = wire.items()
        try:
            if tag == "i" and isinstance(body, str):
                return int(body, 16)
            if tag == "m" and isinstance(body, str) and _DECIMAL.fullmatch(body):
                return Decimal(body)
            if tag == "r" and isinstance(body, list) and len(body) == 2:
                numerator, denominator = map(_number, body)
                if isinstance(numerator, int) and isinstance(denominator, int):
                    return Fraction(numerator, denominator)
        except (ValueError, ArithmeticError):  # it was forged
            return None
    return wire if isinstance(wire, int | float) and not isinstance(wire, bool) else None


def _same_numbers(a: Number | None, b: Number, tolerance: float) -> bool:
    if a is None or (isinstance(a, int) and isinstance(b, int)):
        return a == b
    try:
        return a == b or (tolerance > 0.0 and _close(float(a), float(b), tolerance))
    except OverflowError:
        return False


def _close(a: Wire, b: float, tolerance: float) -> bool:
    return isinstance(a, float) and (a == b or (math.isfinite(a) and abs(a - b) <= tolerance * max(1.0, abs(b))))


def _same_lists(answer: Wire, expected: list[Wire], tolerance: float, as_json: bool) -> bool:
    if not isinstance(answer, list) or len(answer) != len(expected):
        return False
    if len(expected) > _MANY and json.dumps(answer) == json.dumps(expected):  # types and all
        return True
    return all(same(a, b, tolerance=tolerance, as_json=as_json) for a, b in zip(answer, expected, strict=True))


def _same_mappings(answer: Wire, expected: list[Wire], tolerance: float, as_json: bool) -> bool:
    if not isinstance(answer, list) or len(answer) != len(expected):
        return False
    found: dict[str, Wire] = {}
    for pair in answer:
        if not isinstance(pair, list) or len(pair) != 2:
            return False
        found[_canon(pair[0])] = pair[1]
    for pair in expected:
        assert isinstance(pair, list)  # our own encoding
        key = _canon(pair[0])
        if key not in found or not same(found[key], pair[1], tolerance=tolerance, as_json=as_json):
            return False
    return True


def _canon(wire: Wire) -> str:
    """One text for equal values, so that sets and keys compare as texts, whose hashes nobody can choose."""
    if isinstance(wire, list):
        return "[" + ",".join(map(_canon, wire)) + "]"
    if isinstance(wire, dict):
        return "{" + ",".join(f"{tag}:{_canon_body(tag, body)}" for tag, body in sorted(wire.items())) + "}"
    if wire == 0 and isinstance(wire, float):
        return "0.0"  # minus zero equals zero
    return json.dumps(wire)


def _canon_body(tag: str, body: Wire) -> str:
    if tag in ("s", "z", "d") and isinstance(body, list):
        return "[" + ",".join(sorted(map(_canon, body))) + "]"
    return _canon(body)


def _canons(items: list[Wire]) -> set[str]:
    return {_canon(item) for item in items}


def as_json(wire: Wire) -> Wire:
    """The value that is left of this one after a way through JSON: tuples and arrays are lists, and keys of mappings
    texts."""
    if isinstance(wire, list):
        has_parts = not {list, dict}.isdisjoint(map(type, wire))
        return [as_json(item) for item in wire] if has_parts else wire
    if isinstance(wire, dict):
        tag = next(iter(wire)) if len(wire) == 1 else ""
        if tag in ("t", "q"):
            return as_json(wire[tag])
        if tag in ("n", "y") and isinstance(body := wire[tag], list) and body:
            return as_json(body[-1])
        if len(wire) == 1 and isinstance(pairs := wire.get("d"), list):
            return {"d": [[_key(p[0]), as_json(p[1])] if isinstance(p, list) and len(p) == 2 else p for p in pairs]}
        return {tag: as_json(body) for tag, body in wire.items()}
    return wire


def _key(wire: Wire) -> Wire:
    """A key as JSON writes it."""
    if isinstance(wire, dict) and isinstance(wire.get("i"), str) and len(str(wire["i"])) < _LONGEST_KEY:
        number = _number(wire)
        return wire if number is None else str(number)
    return wire if isinstance(wire, str | list | dict) else json.dumps(wire)


def same_output(answer: str, expected: str, tolerance: float = 0.0, compare: Compare = "tokens") -> bool:
    """Whether two whole outputs are equal: token by token, where the amount of white space does not matter; as lines of
    tokens in any order; or exactly, but for white space at the end of lines and lines without anything at the end.

    With a tolerance, two tokens that are decimal numbers are equal as floats are in `same`. Two whole numbers are equal
    only exactly, and so are numbers that no float can hold.
    """
    if compare != "tokens":
        lines = [[line.rstrip() for line in text.rstrip().split("\n")] for text in (answer, expected)]
        if compare == "exact":
            return lines[0] == lines[1]
        given_lines, wanted_lines = (sorted(line.split() for line in one if line.strip()) for one in lines)
        return given_lines == wanted_lines
    given, wanted = answer.split(), expected.split()
    if tolerance <= 0.0 or len(given) != len(wanted):
        return given == wanted
    return all(a == b or _same_tokens(a, b, tolerance) for a, b in zip(given, wanted, strict=True))


def _same_tokens(a: str, b: str, tolerance: float) -> bool:
    if not (_DECIMAL.fullmatch(a) and _DECIMAL.fullmatch(b)):
        return False
    if _WHOLE.fullmatch(a) and _WHOLE.fullmatch(b):
        return int(a) == int(b)
    return math.isfinite(float(b)) and _close(float(a), float(b), tolerance)


def show(wire: Wire, limit: int = 200) -> str:
    """A value as Python would write it, cut short: for feedback to whoever wrote the program."""
    text = _write(wire, limit)
    return text if len(text) <= limit else text[: limit - 1] + "…"


_BRACKETS = {"t": ("(", ")"), "s": ("{", "}"), "z": ("frozenset({", "})"), "c": ("complex(", ")")}


def _write(wire: Wire, limit: int) -> str:
    if isinstance(wire, list):
        return "[" + _write_items(wire, limit) + "]"
    if not isinstance(wire, dict):
        return repr(wire[: limit + 1] if isinstance(wire, str) else wire)
    ((tag, body),) = wire.items() if len(wire) == 1 else (("?", None),)
    if tag == "d" and isinstance(body, list):
        pairs = (p for p in body[:limit] if isinstance(p, list) and len(p) == 2)
        return "{" + ", ".join(f"{_write(k, limit)}: {_write(v, limit)}" for k, v in pairs) + "}"
    if tag in ("n", "y", "q", "r", "e") and isinstance(body, list):
        return _write_rare(tag, body, limit)
    if tag in _BRACKETS and isinstance(body, list):
        left, right = _BRACKETS[tag]
        comma = "," if tag == "t" and len(body) == 1 else ""
        return left + _write_items(body, limit) + comma + right
    if isinstance(body, str):
        named = {"b": f"bytes.fromhex({body[:limit]!r})", "m": f"Decimal({body[:limit]!r})"}
        return named.get(tag, body[: limit + 1])
    return "?"


def _write_rare(tag: str, body: list[Wire], limit: int) -> str:
    """A named tuple, an array, a deque, a fraction, or a moment."""
    if tag in ("n", "y"):
        name = f"{body[0]:.40}" if tag == "n" and isinstance(body[0], str) else "array"
        return f"{name}({_write(body[-1], limit)})"
    if tag == "e":
        return f"{body[0]!s:.40}({_write_items(body[1:], limit)})"
    return f"{'deque' if tag == 'q' else 'Fraction'}({_write_items(body, limit)})"


def _write_items(items: list[Wire], limit: int) -> str:
    """As many items as can show; every written item takes at least one character."""
    parts, length = [], 0
    for item in items:
        if length > limit:
            break
        parts.append(_write(item, limit))
        length += len(parts[-1])
    return ", ".join(parts)
