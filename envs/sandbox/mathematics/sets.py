"""Sets of real numbers, as intervals, inequalities, unions, or words, brought to SymPy's sets and compared."""

from __future__ import annotations

from typing import Any

import sympy

from .algebra import Book, equal
from .nodes import Bracket, Chain, Named, Node, Scalar, SetSign, Several, Words
from .structure import name_of
from .values import numeral
from .verdict import EQUAL, Verdict, different, unsure
from .words import ALL_REALS, NO_SOLUTION

_SIGNS = {
    "emptyset": sympy.EmptySet,
    "reals": sympy.S.Reals,
    "integers": sympy.S.Integers,
    "naturals": sympy.S.Naturals,
    "rationals": sympy.S.Rationals,
    "complexes": sympy.S.Complexes,
}
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}


def as_set(node: Node) -> tuple[str, Any] | None:
    """The variable ("" where none is named) and the set that `node` describes; None where it describes none."""
    match node:
        case Words(text):
            known = {ALL_REALS: sympy.S.Reals, NO_SOLUTION: sympy.EmptySet}
            return ("", known[text]) if text in known else None
        case Named(name, value):
            inner = None if isinstance(value, Scalar) else as_set(value)
            return None if inner is None else (name, inner[1])
        case SetSign(operator, parts):
            return _united(operator, parts) if parts else ("", _SIGNS[operator])
        case Bracket(opened, closed, (first, second)) if opened in "([" and closed in ")]":
            return _interval(opened, closed, first, second)
        case Several(items, "{") if all(isinstance(item, Scalar) for item in items):
            return _finite(node)
        case Several(items, joined):
            return _joined(items, joined)
        case Chain(parts, relations) if set(relations) <= set(_FLIPPED):
            return _inequality(parts, relations)
    return None


def same_set(known: Node, given: Node) -> Verdict | None:
    """The verdict where both describe sets of numbers; None where one does not."""
    left, right = as_set(known), as_set(given)
    if left is None or right is None:
        return None
    if left[0] and right[0] and left[0] != right[0]:
        return different("another variable")
    if _unfinished(given) and not _unfinished(known):
        return different("sets are left to be joined")
    if left[1] == right[1]:
        return EQUAL
    try:
        apart = [(left[1] - right[1]).is_empty, (right[1] - left[1]).is_empty]
    except (TypeError, NotImplementedError, ValueError):
        return unsure("two sets that could not be compared")
    if None in apart and False not in apart:
        return unsure("two sets that could not be compared")
    return EQUAL if all(apart) else different("another set")


def _unfinished(node: Node) -> bool:
    """Whether sets are to be joined that could be written as fewer: {1, 2} ∪ {2, 3}, (1, 3) ∩ (2, 4), {1, 2} ∖ {2}."""
    if isinstance(node, Named):
        return _unfinished(node.value)
    if not isinstance(node, SetSign) or not node.parts:
        return False
    listed = [part for part in node.parts if isinstance(part, Several)]
    if node.operator == "setminus":  # numbers may be taken out of a line, as in ℝ ∖ {0}
        return not isinstance(node.parts[0], SetSign)
    found = as_set(node)
    joined = found is not None and isinstance(found[1], sympy.Union) and len(found[1].args) >= len(node.parts)
    return node.operator == "cap" or len(listed) > 1 or not joined


def _bound(node: Node) -> Any:
    if not isinstance(node, Scalar) or node.unit is not None or node.percent:
        return None
    value = Book().read(node.tokens)
    return value if value.is_extended_real and not value.free_symbols else None


def _interval(opened: str, closed: str, first: Node, second: Node) -> tuple[str, Any] | None:
    if not isinstance(first, Scalar) or not isinstance(second, Scalar):
        return None
    low, high = _bound(first), _bound(second)
    if low is None or high is None or not bool(low < high):
        return None
    return "", sympy.Interval(low, high, opened == "(", closed == ")")


def _united(operator: str, parts: tuple[Node, ...]) -> tuple[str, Any] | None:
    found = [_finite(part) or as_set(part) for part in parts]
    sets = [one[1] for one in found if one is not None]
    if len(sets) < len(parts):
        return None
    if operator == "setminus":
        return "", sets[0] - sets[1]
    return "", sympy.Union(*sets) if operator == "cup" else sympy.Intersection(*sets)


def _finite(node: Node) -> tuple[str, Any] | None:
    if isinstance(node, Several) and node.joined == "{" and all(isinstance(item, Scalar) for item in node.items):
        values = [_bound(item) for item in node.items]
        return ("", sympy.FiniteSet(*values)) if None not in values else None
    return None


def _joined(items: tuple[Node, ...], joined: str) -> tuple[str, Any] | None:
    """Inequalities joined by "or" or "and", or intervals joined by them."""
    found = [as_set(item) for item in items if isinstance(item, Chain | Bracket | SetSign | Named)]
    kept = [one for one in found if one is not None]
    if len(kept) < len(items) or len({name for name, _ in kept}) > 1 or joined == "{":
        return None
    sets = [one for _, one in kept]
    both = joined != "or" and all(isinstance(item, Chain) for item in items) and joined == "and"
    meeting = sympy.Intersection(*sets)
    if joined == "," and all(isinstance(item, Chain) for item in items):
        unequal = all(set(item.relations) == {"!="} for item in items if isinstance(item, Chain))
        return kept[0][0], meeting if unequal or meeting is not sympy.EmptySet else sympy.Union(*sets)
    return kept[0][0], meeting if both else sympy.Union(*sets)


def _inequality(parts: tuple[Node, ...], relations: tuple[str, ...]) -> tuple[str, Any] | None:
    """a < x ≤ b and the like, with one name and numbers for the rest."""
    absolute = _absolute(parts, relations)
    if absolute is not None:
        return absolute
    names = [name_of(part.tokens) if isinstance(part, Scalar) and part.unit is None else None for part in parts]
    named = [place for place, name in enumerate(names) if name]
    if len(named) != 1 or len(parts) > 3 or (len(parts) == 3 and named != [1]):
        return None
    place, result = named[0], sympy.S.Reals
    for at, sign in enumerate(relations):
        other = parts[at + 1] if at == place else parts[at]
        bound = _bound(other)
        if bound is None:
            return None
        result = sympy.Intersection(result, _ray(sign if at == place else _FLIPPED[sign], bound))
    return names[place] or "", result


def _absolute(parts: tuple[Node, ...], relations: tuple[str, ...]) -> tuple[str, Any] | None:
    """|x| < a and the like."""
    first, *rest = parts
    if not isinstance(first, Scalar) or first.unit is not None or len(rest) != 1:
        return None
    texts, kinds = [token.text for token in first.tokens], [token.kind for token in first.tokens]
    bound = _bound(rest[0])
    if texts[::2] != ["|", "|"] or kinds[1:2] != ["sym"] or bound is None or not bound.is_nonnegative:
        return None
    sign = relations[0]
    if sign == "!=":
        return texts[1], sympy.S.Reals - sympy.FiniteSet(bound, -bound)
    joined = sympy.Intersection if sign in ("<", "<=") else sympy.Union
    return texts[1], joined(_ray(sign, bound), _ray(_FLIPPED[sign], -bound))


def _ray(sign: str, bound: Any) -> Any:
    """All x with x `sign` bound."""
    if sign == "!=":
        return sympy.S.Reals - sympy.FiniteSet(bound)
    if sign in ("<", "<="):
        return sympy.Interval(-sympy.oo, bound, True, sign == "<")
    return sympy.Interval(bound, sympy.oo, sign == ">", True)


def same_relation(known: Chain, given: Chain | Named) -> Verdict:
    """Equations and inequalities that say the same up to a factor: x + y = 1 and 2x + 2y = 2."""
    book = Book()
    sides = [_sides(node, book) for node in (known, given)]
    if sides[0] is None or sides[1] is None:
        return unsure("relations that could not be compared") if known == given else different("another relation")
    (sign, left), (other, right) = sides[0], sides[1]
    if sign != other:
        return different("another relation")
    above = [sympy.fraction(sympy.together(sympy.expand(side)))[0] for side in (left, right)]
    if sign == "=":
        if 0 in above:
            return different("it says nothing")
        ratio = sympy.cancel(above[0] / above[1])
        return EQUAL if ratio.is_number else _other_form(above)
    ratio = sympy.simplify(left / right) if right != 0 else sympy.S.Zero
    return EQUAL if ratio.is_number and ratio.is_positive else different("another inequality")


def _other_form(sides: list[Any]) -> Verdict:
    ratio = sympy.simplify(sides[0] / sides[1])
    return EQUAL if ratio.is_number else different("another equation")


def _sides(node: Node, book: Book) -> tuple[str, Any] | None:
    """The relation and the difference of its sides, < for every direction."""
    if isinstance(node, Named):
        if not isinstance(node.value, Scalar) or len(node.name) != 1:
            return None
        return "=", book.symbol(node.name) - book.read(node.value.tokens)
    if not isinstance(node, Chain) or len(node.parts) != 2:
        return None
    first, second = node.parts
    if not isinstance(first, Scalar) or not isinstance(second, Scalar):
        return None
    left, right = book.read(first.tokens), book.read(second.tokens)
    sign = node.relations[0]
    if sign in (">", ">="):
        return sign.replace(">", "<"), right - left
    return sign, left - right


def _value(scalar: Scalar, book: Book) -> Any:
    number = numeral(scalar.tokens)
    if number is None or number.unfinished:
        return book.read(scalar.tokens)
    return sympy.Rational(number.value.numerator, number.value.denominator)


def chain_value(chain: Chain) -> Node | None:
    """The last of values that are all equal, as in 84/12 = 7; None where they are not, or say nothing."""
    if set(chain.relations) != {"="} or not all(isinstance(part, Scalar) for part in chain.parts):
        return None
    scalars = [part for part in chain.parts if isinstance(part, Scalar)]
    if scalars[0].tokens == scalars[-1].tokens or len({(part.unit, part.percent) for part in scalars[:-1]}) > 1:
        return None
    book = Book()
    values = [_value(part, book) for part in scalars]
    same = all(equal(values[-1], value) for value in values[:-1])
    return scalars[-1] if same else None
