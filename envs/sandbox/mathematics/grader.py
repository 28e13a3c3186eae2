"""Whether an answer says what was expected, as a careful person would decide it.

    as_written("5\\\\text{ km}", "5000 m")   →  equal
    as_written("7", "84/12")               →  different: work is left to be done
    as_written("5\\\\text{ km}", "5")        →  unsure: a unit is expected and the answer names none

What is asked of the answer follows from what is expected: from its notation, or from the kind that is declared.

    number       3, 2/3, 0.5     the same number, written as one; every other expression is work left to be done
    exact        √2, 2^100       an equal closed form; no integral, sum, limit, function that is not expected too
    approximate  ≈ 3.14          within half of the last digit, or within the tolerance that is stated
    expression   x² + 2x + 1     equal for every value of its symbols, which have the same names
    equation     x² + y² = 1     the same up to a factor; `x = 5` may be answered by 5
    set          {1, 2}  1, 2    the same elements in any order
    tuple        (1, 2)          the same in the same order; an interval too, where it can be one
    interval     (1, 2]  x > 1   the same set of numbers, as interval, inequality or in words
    unit         5 km            the same quantity; another unit is converted, unless the kind is declared
    choice       (A)             the letter
    text         even            the same words

Unsure is only what may be right: who reads the verdict scores it as unknown, never as zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial

from .lexer import lex
from .nodes import Bracket, Chain, Grid, Named, Node, Scalar, SetSign, Several, Words
from .notation import clean
from .numerals import Numeral
from .parameters import with_constant, with_parameter
from .scalars import Rules, readable, same_scalar
from .sets import as_set, chain_value, same_relation, same_set
from .structure import read
from .texts import is_text, letter_of, same_choice, same_letters, same_text
from .tokens import Tokens
from .values import numeral
from .verdict import EQUAL, Doubtful, Unsure, Verdict, both, different, unsure

_CLOCK = re.compile(r"\$?[0-9]{1,2}:[0-9]{2}(?:[~, ]|\\[, ]|\\text\{)*(?P<half>[ap]\.? ?m\.?)?\}?\$?", re.IGNORECASE)
_ABOUT = re.compile(r" *~ *[-0-9.][^\\${]*$")  # in LaTeX a tilde is a space
_DECIMAL_COMMA = re.compile(r"-?[0-9]+,[0-9]+")
_NO_EXPECTED = Verdict("no_expected")


def as_written(expected: str, answer: str, kind: str | None = None, tolerance: str | None = None) -> Verdict:
    """The verdict on `answer` as it stands. `kind` is one of `KINDS`; `tolerance` a decimal."""
    if not expected.strip():
        return _NO_EXPECTED
    clock = _CLOCK.fullmatch(expected.strip()) if kind is None else None
    if kind == "text" or (clock is not None and clock["half"]) or (kind is None and _readable(_is_text, expected, "-")):
        return _readable(same_text, expected, answer)
    if kind in (None, "choice") and letter_of(expected):
        return _readable(partial(same_choice, declared=kind == "choice"), expected, answer)
    if kind in (None, "choice") and _readable(_same_letters, expected, answer):
        return EQUAL
    if _ABOUT.match(answer) and kind != "approximate" and tolerance is None and not expected.strip().startswith("~"):
        return different("it says about")
    if kind is None and _readable(_same_spelling, expected, answer):
        return EQUAL
    answer = with_constant(expected, answer)
    expected, answer = with_parameter(expected, answer)
    try:
        tokens = lex(expected, commas=kind not in ("set", "tuple", "interval"))
        known = _declared(read(tokens), kind)
        if not all(readable(scalar.tokens) for scalar in _scalars(known)):
            raise ValueError("a part of it cannot be read")
    except ValueError:
        words = kind is None and ("\\text" in expected or _CLOCK.fullmatch(expected.strip()))
        return _readable(same_text, expected, answer) if words else _NO_EXPECTED
    words = isinstance(known, Several) and all(isinstance(item, Words) for item in known.items)
    if isinstance(known, Words) or words:
        said = _readable(same_text, expected, answer)
        as_words = as_set(known) is None if isinstance(known, Words) else False
        if said or as_words:
            return said
    rules = Rules(kind, _tolerance(known, kind, tolerance))
    symbols = known.tokens if isinstance(known, Scalar) and known.unit is not None else tokens  # 2 h 30 min has none
    letters = frozenset(token.text for token in symbols if token.kind == "sym" and len(token.text) == 1)
    listed = isinstance(known, Several | Bracket)
    readings = [
        lambda commas=commas: lex(answer, letters, commas=commas, units=not letters) for commas in (not listed, True)
    ]
    first = _one_reading(known, answer, rules, readings[0])
    if not first and _DECIMAL_COMMA.fullmatch(answer.strip()) and _scalar_with_point(known, answer, rules):
        return unsure("a comma, where a point may be meant")
    return _one_reading(known, answer, rules, readings[1]) or first if listed else first


def _scalar_with_point(known: Node, answer: str, rules: Rules) -> Verdict:
    return _one_reading(known, answer, rules, lambda: lex(answer.replace(",", ".")))


def _same_spelling(expected: str, answer: str) -> Verdict:
    """Whether they are written alike, but for spaces and braces that mean nothing."""
    known, said = (
        re.sub(r"\{([0-9A-Za-z])\}", r" \1", re.sub(r" ?([^0-9A-Za-z]) ?", r"\1", clean(text)))
        for text in (expected, answer)
    )
    return EQUAL if known == said else different("")


def _is_text(expected: str, _: str) -> Verdict:
    return EQUAL if is_text(expected) else different("")


def _same_letters(expected: str, answer: str) -> Verdict:
    return EQUAL if same_letters(expected, answer) else different("")


def _readable(compare, expected: str, answer: str) -> Verdict:
    try:
        return compare(expected, answer) if answer.strip() else Verdict("no_answer", "it is empty")
    except ValueError as error:
        return Verdict("no_answer", str(error))


def _one_reading(known: Node, answer: str, rules: Rules, lexed: Callable[[], Tokens]) -> Verdict:
    try:
        return compare(known, read(lexed()), rules)
    except Doubtful as doubt:
        return different(str(doubt))
    except Unsure as reason:
        return unsure(str(reason)) if _occurs(known, answer) else Verdict("no_answer", str(reason))
    except ValueError as error:
        return Verdict("no_answer", str(error))


def _declared(known: Node, kind: str | None) -> Node:
    """What is expected in the form of the kind that was declared."""
    if kind == "set" and isinstance(known, Scalar):
        return Several((known,), "{")
    fits = {"set": Several | SetSign, "tuple": Bracket, "equation": Chain | Named, "unit": Scalar, "number": Scalar}
    if kind in fits and not isinstance(known, fits[kind]):
        raise ValueError(f"what is expected is no {kind}")
    if kind == "interval" and as_set(known) is None:
        raise ValueError("what is expected is no interval")
    return known


def _scalars(node: Node) -> list[Scalar]:
    match node:
        case Scalar():
            return [node]
        case Named(_, value):
            return _scalars(value)
        case Chain(parts, _) | Several(parts, _) | Bracket(_, _, parts) | SetSign(_, parts):
            return [scalar for part in parts for scalar in _scalars(part)]
        case Grid(rows):
            return [scalar for row in rows for cell in row for scalar in _scalars(cell)]
    return []


def _tolerance(known: Node, kind: str | None, stated: str | None) -> Fraction | None:
    """What is stated, or half of the last digit of a number that is only approximately expected."""
    if stated is not None:
        return Fraction(stated)
    scalar = known.value if isinstance(known, Named) else known
    number: Numeral | None = numeral(scalar.tokens) if isinstance(scalar, Scalar) else None
    if number is None or not (
        kind == "approximate" or number.unfinished or (isinstance(scalar, Scalar) and scalar.about)
    ):
        return None
    return Fraction(1, 2) / Fraction(10) ** (number.places or 0)


def _occurs(known: Node, answer: str) -> bool:
    """Whether something that is expected stands in the answer, which is the sign that it may be right."""
    try:
        said = clean(answer).replace(" ", "")
    except ValueError:
        said = answer.replace(" ", "")
    texts = ["".join(token.text for token in scalar.tokens) for scalar in _scalars(known)]
    return any(text and text in said.replace("\\", "").replace("{", "").replace("}", "") for text in texts)


def compare(known: Node, given: Node, rules: Rules) -> Verdict:
    """The verdict on what an answer says. ValueError and its kinds where something in it cannot be read."""
    if isinstance(known, Named):
        return _named(known, given, rules)
    if isinstance(known, Chain):
        return _relation(known, given, rules)
    if isinstance(given, Named):
        return compare(known, given.value, rules)
    if isinstance(given, Several) and len(given.items) == 1 and not isinstance(known, Several):
        if given.joined == "{" and isinstance(given.items[0], SetSign):
            return different("a set within a set")
        return compare(known, given.items[0], rules)
    match known:
        case Words(text):
            same = EQUAL if isinstance(given, Words) and given.text == text else None
            return same or same_set(known, given) or different("other words")
        case Scalar():
            return _scalar(known, given, rules)
        case Several():
            return _several(known, given, rules)
        case Bracket():
            return _bracket(known, given, rules)
        case Grid():
            return _grid(known, given, rules)
        case SetSign():
            return same_set(known, given) or different("another set")
    return different("something else")


def _scalar(known: Scalar, given: Node, rules: Rules) -> Verdict:
    if isinstance(given, Chain):
        value = chain_value(given)
        return (
            _scalar(known, value, rules) if value is not None else different("an equation, where a value is expected")
        )
    if isinstance(given, Scalar):
        return same_scalar(known, given, rules)
    if isinstance(given, Words) and given.text == "infinite":
        return same_scalar(known, Scalar(lex("\\infty")), rules)
    return different("several values or a set, where one value is expected")


def _named(known: Named, given: Node, rules: Rules) -> Verdict:
    symbols = any(token.kind == "sym" for scalar in _scalars(known.value) for token in scalar.tokens)
    if isinstance(given, Named):
        if "(" in known.name and "(" in given.name and known.name != given.name:
            return different(f"it names {given.name} and not {known.name}")
        if not known.name or not given.name or _plain(known.name) == _plain(given.name):
            return compare(known.value, given.value, rules)
        if symbols and "(" in known.name + given.name and len(_plain(known.name)) == len(_plain(given.name)) == 1:
            mixed = ("(" in known.name) != ("(" in given.name)
            if mixed and compare(known.value, given.value, rules):
                return EQUAL
        other_form = symbols and len(known.name) == len(given.name) == 1 and isinstance(known.value, Scalar)
        if other_form and same_relation(Chain((_name(known), known.value), ("=",)), given):
            return unsure("the equation is solved for another symbol")
        return different(f"it names {given.name} and not {known.name}")
    if isinstance(given, Chain) and set(given.relations) == {"="} and isinstance(known.value, Scalar):
        if not symbols or len(known.name) > 1:
            return different("an equation that is not solved")
        same = same_relation(Chain((_name(known), known.value), ("=",)), given)
        return unsure(f"the same equation, which is not solved for {known.name}") if same else same
    if rules.kind == "equation":
        return different("an equation is expected")
    return compare(known.value, given, rules)


def _name(named: Named) -> Scalar:
    return Scalar(lex(named.name, frozenset(named.name)))


def _plain(name: str) -> str:
    """A name without its argument: f of f(x)."""
    head, opened, _ = name.partition("(")
    return head if opened and head else name


def _relation(known: Chain, given: Node, rules: Rules) -> Verdict:
    verdict = same_set(known, given)
    if verdict is not None:
        return verdict
    if as_set(known) is not None:
        return different("it is not solved")
    if isinstance(given, Chain | Named):
        return same_relation(known, given)
    return different(f"no {'equation' if '=' in known.relations else 'inequality'}")


def _values(node: Node) -> tuple[tuple[str, ...], tuple[Node, ...]] | None:
    """Names and values of x = 1, y = 2."""
    if isinstance(node, Several) and all(isinstance(item, Named) for item in node.items):
        named = [item for item in node.items if isinstance(item, Named)]
        return tuple(item.name for item in named), tuple(item.value for item in named)
    if isinstance(node, Named) and isinstance(node.value, Bracket) and node.name.startswith("("):
        return tuple(node.name.strip("()").split(",")), node.value.items
    return None


def _several(known: Several, given: Node, rules: Rules) -> Verdict:
    listed = known.joined == "{" and isinstance(given, Several)
    verdict = None if listed else same_set(known, given)
    if verdict is not None:
        return verdict
    expected, answered = _values(known), _values(given)
    if expected is not None and len(set(expected[0])) > 1 and not _indexed(expected[0]):
        return _assigned(expected, answered, given, rules)
    items = tuple(expected[1]) if expected is not None else known.items
    if answered is not None and (len(set(answered[0])) == 1 or _indexed(answered[0])):
        found: tuple[Node, ...] = answered[1]
    elif isinstance(given, Several):
        found = given.items
    else:
        found = (given,)
    if any(isinstance(item, Named) for item in found) and not any(isinstance(item, Named) for item in items):
        return different("names that were not expected")
    if known.joined == "{":
        items, found = tuple(dict.fromkeys(items)), tuple(dict.fromkeys(found))
    return _matched(items, found, rules)


def _indexed(names: tuple[str, ...]) -> bool:
    """x_1, x_2: the solutions of one equation."""
    return all("_" in name for name in names) and len({name.partition("_")[0] for name in names}) == 1


def _matched(items: tuple[Node, ...], found: tuple[Node, ...], rules: Rules) -> Verdict:
    """Each item with one that was found, in any order."""
    if len(items) != len(found):
        return different(f"{len(found)} elements, where {len(items)} are expected")
    left, doubt = list(found), EQUAL
    for item in items:
        verdicts = [compare(item, other, rules) for other in left]
        place = next((at for at, verdict in enumerate(verdicts) if verdict), None)
        if place is None:
            place = next((at for at, verdict in enumerate(verdicts) if verdict.word == "unsure"), None)
            if place is None:
                return different("another element")
            doubt = verdicts[place]
        left.pop(place)
    return doubt


def _assigned(expected, answered, given: Node, rules: Rules) -> Verdict:
    """x = 1, y = 2 against the same in any order."""
    if answered is None:
        pairs = sorted(zip(*expected, strict=True), key=lambda pair: pair[0])
        items = given.items if isinstance(given, Bracket) and len(given.items) == len(pairs) else ()
        if items and both(compare(value, item, rules) for (_, value), item in zip(pairs, items, strict=True)):
            return unsure("a point without the names of its coordinates")
        return different("names are expected")
    wanted, said = dict(zip(*expected, strict=True)), dict(zip(*answered, strict=True))
    if wanted.keys() != said.keys() or len(answered[0]) != len(said):
        return different("other names")
    return both(compare(wanted[name], said[name], rules) for name in wanted)


def _bracket(known: Bracket, given: Node, rules: Rules) -> Verdict:
    answered = _values(given)
    if answered is not None and known.opened == "(" and len(set(answered[0])) == len(answered[0]) == len(known.items):
        pairs = sorted(zip(*answered, strict=True), key=lambda pair: pair[0])
        return both(compare(item, value, rules) for item, (_, value) in zip(known.items, pairs, strict=True))
    if isinstance(given, Bracket) and known.opened == given.opened == ":" and _proportional(known, given):
        return EQUAL
    if isinstance(given, Bracket):
        if (given.opened, given.closed) != (known.opened, known.closed) or len(given.items) != len(known.items):
            return different("other brackets, or another number of items")
        return both(compare(item, other, rules) for item, other in zip(known.items, given.items, strict=True))
    if isinstance(given, Grid) and known.opened == "(":
        cells = [cell for row in given.rows for cell in row]
        if 1 in (len(given.rows), len(given.rows[0])) and len(cells) == len(known.items):
            return both(compare(item, cell, rules) for item, cell in zip(known.items, cells, strict=True))
    verdict = None if rules.kind == "tuple" else same_set(known, given)
    return verdict or different("no tuple and no such interval")


def _proportional(known: Bracket, given: Bracket) -> bool:
    """Whether 2 : 4 : 6 is said for 1 : 2 : 3."""
    sides = [[numeral(i.tokens) if isinstance(i, Scalar) else None for i in node.items] for node in (known, given)]
    values = [[number.value for number in side if number is not None] for side in sides]
    if [len(side) for side in values] != [len(known.items)] * 2 or 0 in values[0] + values[1]:
        return False
    return len({first / second for first, second in zip(*values, strict=True)}) == 1


def _grid(known: Grid, given: Node, rules: Rules) -> Verdict:
    if isinstance(given, Bracket) and given.opened == "[" and all(isinstance(item, Bracket) for item in given.items):
        given = Grid(tuple(item.items for item in given.items if isinstance(item, Bracket)))  # [[1, 2], [3, 4]]
    if isinstance(given, Bracket) and 1 in (len(known.rows), len(known.rows[0])) and given.opened == "(":
        cells = [cell for row in known.rows for cell in row]
        same = len(cells) == len(given.items) and both(
            compare(cell, item, rules) for cell, item in zip(cells, given.items, strict=True)
        )
        return EQUAL if same else different("another vector")
    if not isinstance(given, Grid) or [len(row) for row in known.rows] != [len(row) for row in given.rows]:
        return different("a matrix of this shape is expected")
    pairs = [pair for rows in zip(known.rows, given.rows, strict=True) for pair in zip(*rows, strict=True)]
    return both(compare(cell, other, rules) for cell, other in pairs)
