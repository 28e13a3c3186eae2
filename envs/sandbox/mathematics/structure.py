"""What an expression says as a whole: one value, an assignment, an equation, a list, a bracket, a set, a matrix, words.

    read("x = 5")       Named("x", Scalar(5))
    read("1 < x < 2")   Chain((1, x, 2), ("<", "<"))
    read("(1, 2]")      Bracket("(", "]", (1, 2))
    read("2 or 3")      Several((2, 3), "or")

Nothing is computed here. What stands in a value is read by `algebra.py`.
"""

from __future__ import annotations

from .nodes import Bracket, Chain, Grid, Named, Node, Scalar, SetSign, Several, Words
from .notation import GREEK
from .quantities import scalar, total_of
from .tokens import Token, Tokens, spell
from .verdict import Doubtful, Unsure
from .words import AND, BEFORE, CONNECTIVES, DOUBT, OR, one_spelling

OPENS, CLOSES = frozenset("([{") | {"\\{"}, frozenset(")]}") | {"\\}"}
_MATRICES = frozenset(["matrix", "pmatrix", "bmatrix", "Bmatrix", "array", "cases"])
_AFTER_INTERVAL = ("", "cup", "cap", "setminus", "or", "and", ",", ";", "$", "}", "\\}")
_MAX_PARTS = 200


def read(tokens: Tokens) -> Node:
    """What `tokens` say.

    Raises:
        Doubtful: words of doubt or denial in it.
        ValueError: it says nothing that can be read.
    """
    tokens = _turned(_outer(tokens))
    if not tokens:
        raise ValueError("there is nothing")
    if all(token.kind == "word" or (token.kind == "sign" and token.text in "-'!:") for token in tokens):
        return _words(tokens)
    tokens = _without_preamble(tokens)
    for read_as in (_several, _related, _united, _proportion, _bracketed):
        node = read_as(tokens)
        if node is not None:
            return node
    return scalar(tokens)


def _turned(tokens: Tokens) -> Tokens:
    """]1, 2[ as (1, 2): a bracket that opens with nothing to close, and one that closes what has its one comma."""
    turned: list[Token] = []
    commas: list[int] = []  # in each bracket that is open
    for place, token in enumerate(tokens):
        follows = tokens[place + 1].text if place + 1 < len(tokens) else ""
        if token.text == "]" and not commas:
            token = Token("open", "(")
        elif token.text == "[" and commas and commas[-1] == 1 and follows in _AFTER_INTERVAL:
            token = Token("close", ")")
        if token.kind == "open":
            commas.append(0)
        elif token.kind == "close" and commas:
            commas.pop()
        elif token.kind == "comma" and commas:
            commas[-1] += 1
        turned.append(token)
    return tuple(turned)


def _words(tokens: Tokens) -> Words:
    raw = spell(tokens)
    return Words(one_spelling(raw.replace(" - ", "-")), raw)


def _outer(tokens: Tokens) -> Tokens:
    """Without braces, borders and commas around the whole."""
    while tokens:
        if tokens[0].text == "{" and _close(tokens, 0) == len(tokens) - 1:
            tokens = tokens[1:-1]
        elif tokens[0].text == "$":
            tokens = tokens[1:]
        elif tokens[-1].text in ("$", ";", ","):
            tokens = tokens[:-1]
        else:
            break
    return tokens


def _without_preamble(tokens: Tokens) -> Tokens:
    """Without "the answer is", "so" and the like before the first formula."""
    place = 0
    while place < len(tokens) and (
        (tokens[place].kind == "word" and tokens[place].text.lower() in BEFORE)
        or (place and tokens[place].text in (":", "$"))
    ):
        place += 1
    return tokens[place:] if place < len(tokens) and tokens[place].kind != "rel" else tokens


def _close(tokens: Tokens, start: int) -> int:
    """Where the bracket closes that opens at `start`; any kind closes any other, as in (1, 2]."""
    depth = 0
    for place in range(start, len(tokens)):
        depth += (tokens[place].kind == "open") - (tokens[place].kind == "close")
        if depth == 0:
            return place
    raise ValueError("a bracket is not closed")


def _split(tokens: Tokens, is_border: frozenset[str], kinds: tuple[str, ...]) -> tuple[list[Tokens], list[str]]:
    """The pieces between borders that stand in no bracket, and the borders."""
    pieces: list[list[Token]] = [[]]
    borders: list[str] = []
    depth = bars = 0
    for token in tokens:
        depth += (token.kind == "open") - (token.kind == "close")
        bars ^= token.text == "|"
        if (
            depth == 0
            and not (bars and token.kind == "comma")
            and token.kind in kinds
            and token.text.lower() in is_border
        ):
            borders.append(token.text.lower())
            pieces.append([])
        else:
            pieces[-1].append(token)
        if depth < 0:
            raise ValueError("a bracket is closed that was not opened")
    if depth:
        raise ValueError("a bracket is not closed")
    if len(pieces) > _MAX_PARTS:
        raise ValueError(f"more than {_MAX_PARTS} parts")
    return [tuple(piece) for piece in pieces], borders


def _several(tokens: Tokens) -> Node | None:
    pieces, borders = _split(
        tokens, frozenset((",", ";", "$", "\\", *CONNECTIVES, "wedge", "vee")), ("comma", "word", "cmd")
    )
    if not borders:
        return _signs(tokens)
    kept = [piece for piece in pieces if piece]
    if "$" in borders:
        kept = [piece for piece in (_outer(piece) for piece in kept) if piece]
        if any(token.kind == "word" and token.text.lower() in DOUBT for token in tokens):
            raise Doubtful("words of doubt")
        words = [piece for piece in kept if all(token.kind == "word" for token in piece)]
        if len(kept) - len(words) == 1 and not set(borders) - {"$"}:
            return read(tuple(token for piece in kept for token in piece))
    first = read(kept[0]) if len(kept) > 1 else None
    if (
        isinstance(first, Named)
        and isinstance(first.value, Scalar)
        and not any(t.kind == "rel" for p in kept[1:] for t in p)
    ):
        rest = tuple(read(piece) for piece in kept[1:])  # n = 1, 2, 3
        return Named(first.name, Several((first.value, *rest), ","))
    joined = "or" if set(borders) & (OR | {"vee"}) else "and" if set(borders) & (AND | {"wedge"}) else ","
    items = _flat(tuple(read(piece) for piece in kept))
    total = total_of(items) if joined == "and" else None
    if total is not None:
        return total
    if len(kept) < 2 or len(kept) < len(pieces) - borders.count("and") - borders.count("or") - borders.count("$"):
        raise ValueError("a list with nothing between two commas")
    return Several(items, joined)


def _flat(items: tuple[Node, ...]) -> tuple[Node, ...]:
    """±1, ±i as four values."""
    flat: list[Node] = []
    for item in items:
        value = item.value if isinstance(item, Named) else item
        if isinstance(value, Several) and value.joined == "or":
            flat += [Named(item.name, one) for one in value.items] if isinstance(item, Named) else value.items
        else:
            flat.append(item)
    named = flat[0].name if isinstance(flat[0], Named) and len(flat) > len(items) else None
    if named is not None and not any(isinstance(item, Named) for item in items[1:]):
        return tuple(item if isinstance(item, Named) else Named(named, item) for item in flat)  # x = ±1, ±i
    return tuple(flat)


def _signs(tokens: Tokens) -> Node | None:
    """a ± b as the two values that it stands for."""
    places = [place for place, token in enumerate(tokens) if token.text in ("pm", "mp")]
    if not places or (any(token.kind == "rel" for token in tokens[: places[0]]) and len(places) > 2):
        return None
    if tokens[0].text == "\\{" and _close(tokens, 0) == len(tokens) - 1:
        return None  # its elements have the signs
    if any(token.kind == "rel" for token in tokens[places[0] :]):
        raise ValueError("a sign ± on the left")
    both = []
    for sign in "+-":
        other = {"pm": sign, "mp": "-" if sign == "+" else "+"}
        both.append(tuple(Token("sign", other[t.text]) if t.text in other else t for t in tokens))
    return Several(tuple(read(one) for one in both), "or")


_NUMBER_SETS = ("reals", "integers", "naturals", "rationals", "complexes")
_RELATIONS = frozenset(("=", "<", ">", "<=", ">=", "!=", "~", "∈", "∉", "→", "∋"))


def _related(tokens: Tokens) -> Node | None:
    pieces, borders = _split(tokens, _RELATIONS | {"is", "equals"}, ("rel", "word"))
    if not borders:
        return None
    if set(borders) & {"is", "equals"}:
        if len(borders) > 1 or any(t.kind == "word" and t.text.lower() in DOUBT - BEFORE for t in tokens):
            raise Doubtful("a sentence about a value")
        if not _is_sentence(pieces[0], pieces[1]):
            raise Unsure("a sentence about a value")
        borders = ["="]
    if not pieces[0] and borders[0] == "~" and len(pieces) == 2:
        value = read(pieces[1])
        if isinstance(value, Scalar):
            return Scalar(value.tokens, value.unit, value.percent, about=True, unsure=value.unsure)
    if not pieces[0] and borders[0] == "=":
        return read(tokens[1:])
    if not all(pieces):
        raise ValueError("a relation with nothing on one side")
    exact = next((place for place, sign in enumerate(borders) if sign == "~"), None)
    if (exact is not None and (exact > 1 or (exact == 1 and borders[0] == "="))) or (
        exact == 0 and name_of(pieces[0]) is None
    ):
        pieces, borders = pieces[: exact + 1], borders[:exact]  # "1/3 ≈ 0.33" says 1/3
        if not borders:
            return read(pieces[0])
    name = name_of(pieces[0])
    if name is None and borders == ["="] and name_of(pieces[1]) is not None:
        pieces, name = [pieces[1], pieces[0]], name_of(pieces[1])
    rest = tuple(token for piece in pieces[1:] for token in piece)
    if name is not None and set(borders) <= {"="} and not _mentions(rest, pieces[0]):
        return Named(name, _same(pieces[1:]))
    if borders in (["∈"], ["~"]) and name is not None:
        value = read(pieces[1])
        return Named(name, value if borders == ["∈"] else Scalar(rest, about=True))
    return Chain(tuple(read(piece) for piece in pieces), tuple(borders))


def _is_sentence(first: Tokens, second: Tokens) -> bool:
    """Whether it is "the area is 5" or "5 is the answer": what is said of a value must be known."""
    words = [
        {t.text.lower() for t in side} if all(t.kind == "word" for t in side) else None for side in (first, second)
    ]
    return words[1] is None or words[1] <= BEFORE


def _same(pieces: list[Tokens]) -> Node:
    """The value of the last piece, where all are said to be equal."""
    parts = tuple(read(piece) for piece in pieces)
    return parts[0] if len(parts) == 1 else Chain(parts, ("=",) * (len(parts) - 1))


def name_of(tokens: Tokens) -> str | None:
    """The name that `tokens` are: x, x_1, f(x), |AB|, ∠A, (x, y), "area"; None where they are a value."""
    if not tokens:
        return None
    if all(token.kind == "word" for token in tokens):
        return "" if not {token.text.lower() for token in tokens} & DOUBT else None
    text = "".join(token.text for token in tokens if token.text not in ("{", "}", "'"))
    kinds = [token.kind for token in tokens]
    if tokens[0].text in ("angle", "triangle", "vec", "bar", "overline", "hat", "|") and "num" not in kinds:
        return text if len([k for k in kinds if k == "sym"]) > (tokens[0].text == "|") else None
    if kinds[0] != "sym":
        inner = tokens[1:-1] if tokens[0].text == "(" and tokens[-1].text == ")" else ()
        names = [name_of(piece) for piece in _split(inner, frozenset(","), ("comma",))[0]] if inner else [None]
        return text if len(names) > 1 and None not in names else None
    place = 1
    while place < len(tokens) and tokens[place].text in ("_", "'"):
        place += 1
        if tokens[place - 1].text == "_":
            place = _close(tokens, place) + 1 if place < len(tokens) and tokens[place].kind == "open" else place + 1
    if [token.text for token in tokens[1:6]] == ["^", "{", "-", "1", "}"] and tokens[6:7] and tokens[6].text == "(":
        place = 6  # the inverse of a function
    if place >= len(tokens):
        return text
    upper = all(token.kind == "sym" and token.text.isupper() for token in tokens)
    applied = tokens[place].text == "(" and _close(tokens, place) == len(tokens) - 1 and len(tokens) > place + 2
    return text if upper or (applied and tokens[0].text not in GREEK) else None


def _mentions(tokens: Tokens, name: Tokens) -> bool:
    """Whether `tokens` contain the symbol that `name` begins with, and are so no value of it."""
    if name[0].kind != "sym" or any(token.text == "(" for token in name):
        return False
    plain = len(name) == 1
    return any(
        token == name[0] or (token.kind == "sym" and token.text == name[0].text)
        for place, token in enumerate(tokens)
        if plain == (tokens[place + 1 : place + 2] == () or tokens[place + 1].text != "_")
    )


def _united(tokens: Tokens) -> Node | None:
    if len(tokens) > 2 and tokens[0].text in _NUMBER_SETS and (tokens[1].text, tokens[2].text) == ("-", "\\{"):
        tokens = (tokens[0], Token("cmd", "setminus"), *tokens[2:])
    pieces, borders = _split(tokens, frozenset(("cup", "cap", "setminus")), ("cmd",))
    if borders:
        if len(set(borders)) > 1 or (borders[0] == "setminus" and len(borders) > 1) or not all(pieces):
            raise ValueError("sets that are joined by different signs")
        return SetSign(borders[0], tuple(read(piece) for piece in pieces))
    if len(tokens) == 1 and tokens[0].text in ("emptyset", *_NUMBER_SETS):
        return SetSign(tokens[0].text)
    return None


def _proportion(tokens: Tokens) -> Node | None:
    """2 : 3 : 4; two numbers are a fraction."""
    pieces, borders = _split(tokens, frozenset(":"), ("sign",))
    return Bracket(":", ":", tuple(read(piece) for piece in pieces)) if len(borders) > 1 and all(pieces) else None


def _bracketed(tokens: Tokens) -> Node | None:
    first, last = tokens[0], tokens[-1]
    if first.kind == "sym" and first.text.isupper() and len(tokens) > 4 and tokens[1].text == "(":  # the point P(1, 2)
        inside = tokens[2:-1]
        if _close(tokens, 1) == len(tokens) - 1 and any(token.kind == "comma" for token in inside):
            return read(tokens[1:])
    if first.text in _MATRICES and first.kind == "open":
        return _grid(tokens) if _close(tokens, 0) == len(tokens) - 1 else None
    if first.text not in OPENS - {"{"} or _close(tokens, 0) < len(tokens) - 1:
        return None
    opened, closed = first.text, last.text
    inside = tokens[1:-1]
    if opened == "\\{" and not inside:
        return SetSign("emptyset")
    if opened == "\\{":
        if any(token.text in ("|", ":") for token in inside):
            return _builder(inside)
        items, _ = _split(inside, frozenset((",", ";")), ("comma",))
        return Several(_flat(tuple(read(item) for item in items)), "{")
    items, borders = _split(inside, frozenset((",", ";")), ("comma",))
    if not borders:
        return read(inside) if (opened, closed) in (("(", ")"), ("[", "]")) and inside else None
    return Bracket(opened, closed, tuple(read(item) for item in items))


def _builder(inside: Tokens) -> Node:
    """{x | x > 1} says what stands behind the bar."""
    place = next(place for place, token in enumerate(inside) if token.text in ("|", ":"))
    if name_of(inside[:place]) is None and not any(token.text == "∈" for token in inside[:place]):
        raise ValueError("a set whose elements are described")
    return read(inside[place + 1 :])


def _grid(tokens: Tokens) -> Node:
    rows = []
    lines, _ = _split(tokens[1:-1], frozenset(("newrow",)), ("cmd",))
    for line in lines:
        if line:
            cells, _ = _split(line, frozenset("&"), ("sign",))
            rows.append(tuple(read(cell) for cell in cells))
    if not rows or len({len(row) for row in rows}) > 1:
        raise ValueError("a matrix whose rows differ in length")
    return Grid(tuple(rows), tokens[0].text)
