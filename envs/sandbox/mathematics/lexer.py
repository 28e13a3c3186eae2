"""Tokens of an expression: numbers, symbols, words, signs, brackets, relations, commands.

Letters have no meaning by themselves: "km" may be a unit, a product or a word. What decides is whether they stand in
`\\text{…}`, whether a number stands before them, and `letters`: the symbols of the expected answer, which are symbols in
the answer too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from .notation import GREEK, clean, closing
from .numerals import NUMBER_WORDS, PART_WORDS, SCALES, Numeral, read_number, spoken
from .units import is_unit
from .verdict import Doubtful, Unsure
from .words import BEFORE, CONNECTIVES, DOUBT

FUNCTIONS = frozenset(
    """sin cos tan sec csc cot arcsin arccos arctan sinh cosh tanh coth log ln exp arcsec arccsc arccot""".split()
)
OPERATORS = frozenset("int sum prod lim det gcd lcm max min inf sup bmod arg deg dim ker partial nabla".split())
"""What is work left to do where it stands in an answer."""
_KNOWN = (
    FUNCTIONS
    | OPERATORS
    | {"frac", "sqrt", "binom", "cdot", "infty", "pi", "emptyset", "reals", "integers", "naturals", "rationals"}
    | {"complexes", "pm", "mp", "cup", "cap", "setminus", "in", "to", "langle", "rangle", "newrow", "dots", "vec", "hat"}
    | {"bar", "overline", "angle", "lfloor", "rfloor", "lceil", "rceil", "circ", "triangle", "wedge", "vee", "begin", "end"}
    | {"border", "tilde", "dot", "ell", "hbar", "prime", "ddot", "mathbb", "perp", "parallel", "Re", "Im", "operatorname"}
)
_CAPITALS = frozenset(name.title() for name in GREEK)
_RELATIONS = {"=": "=", "<": "<", ">": ">", "le": "<=", "ge": ">=", "ne": "!=", "approx": "~", "in": "∈", "lt": "<"}
_RELATIONS |= {"gt": ">", "equiv": "=", "sim": "~", "notin": "∉", "ni": "∋", "to": "→"}
_CURRENCY = {"dollar": "dollar", "euro": "euro", "pound": "sterling", "yen": "yen", "cents": "cent", "pounds": "sterling", "cent": "cent"}
_TIMES_TEN = re.compile(r"\s*[xX*]\s*(?=10\s*\^)")
_BARE = {"pi", "infty", "sqrt", *FUNCTIONS, "gcd", "lcm", "det", "lim", "max", "min", "mod"} | (GREEK - {"nu", "mu", "xi"})
_GLUED = ("sin", "cos", "tan", "log", "ln", "pi")
_SPELLED = {"infinity": "infty", "inf": "infty", "mod": "bmod", "asin": "arcsin", "acos": "arccos", "atan": "arctan"}


@dataclass(frozen=True)
class Token:
    """One token. `kind`: num, sym, word, sign (+ - * / ^ _ ! ' : | & %), open, close, comma, rel, cmd, unit."""

    kind: str
    text: str
    number: Numeral | None = None
    spaced: bool = False  # a space stood before it


Tokens = tuple[Token, ...]


class _Lexer:
    def __init__(self, text: str, letters: frozenset[str], commas: bool, units: bool) -> None:
        self._text, self._letters, self._commas, self._units = text, letters, commas, units
        self.tokens: list[Token] = []
        self._place = 0
        self._depth = 0
        self._text_ends = -1  # where the `\text{…}` ends that we are in

    def run(self) -> Tokens:
        while self._place < len(self._text):
            before = self._place
            self._one()
            if self._place == before:
                raise Unsure(f"{self._text[before]!r} is not understood")
        return tuple(_circles(_spelled(_signs_alone(self.tokens))))

    def _emit(self, kind: str, text: str, length: int, number: Numeral | None = None) -> None:
        spaced = self._place > 0 and self._text[self._place - 1] == " "
        self.tokens.append(Token(kind, text, number, spaced))
        self._place += length

    def _one(self) -> None:
        text, place = self._text, self._place
        character = text[place]
        if place == self._text_ends or character == " ":
            self._place += 1
            return
        if text.startswith("\\text{", place) or text.startswith("\\operatorname{", place):
            end = closing(text, text.index("{", place))
            if end < 0:
                raise ValueError("a brace is not closed")
            self._text_ends, self._place = end, text.index("{", place) + 1
            return
        if character.isdigit() and self._is_argument():
            self._emit("num", character, 1, Numeral(Fraction(int(character))))
            return
        number, end = read_number(text, place, commas=self._commas and self._depth == 0)
        if number is not None:
            self._emit("num", text[place:end], end - place, number)
            times = _TIMES_TEN.match(text, end)
            if times:
                self._place = times.end()
                self.tokens.append(Token("sign", "*"))
            return
        if text.startswith("...", place) or text.startswith("..", place):
            return self._emit("cmd", "dots", len(text[place:]) - len(text[place:].lstrip(".")))
        if character == "\\":
            return self._command()
        if character.isalpha():
            return self._letters_here()
        self._sign(character)

    def _is_argument(self) -> bool:
        """Whether one of a fraction's two arguments comes next: without braces it is a single digit."""
        tokens = self.tokens
        if tokens and tokens[-1].kind == "num":
            return len(tokens) > 1 and tokens[-2].text in ("frac", "binom")
        place = len(tokens) - 1
        if tokens and tokens[-1].text == "}":
            depth = 0
            while place >= 0:
                depth += (tokens[place].text == "}") - (tokens[place].text == "{")
                place -= 1
                if depth == 0:
                    break
        return place >= 0 and tokens[place].text in ("frac", "binom")

    def _sign(self, character: str) -> None:
        pair = self._text[self._place : self._place + 2]
        if pair in ("<=", ">=", "!=", "=<", "=>", "=="):
            self._emit("rel", {"=<": "<=", "=>": ">=", "==": "="}.get(pair, pair), 2)
        elif pair == "**":
            self._emit("sign", "^", 2)
        elif character in "=<>~":
            self._emit("rel", character, 1)
        elif character in "([{":
            self._depth += 1
            self._emit("open", character, 1)
        elif character in ")]}":
            self._depth -= 1
            self._emit("close", character, 1)
        elif character in ",;":
            self._emit("comma", character, 1)
        elif character in "+-*/^_!':|&":
            self._emit("sign", character, 1)
        elif character == "%":
            self._emit("unit", "%", 1)
        elif character == "?":
            self._emit("word", "guess", 1)  # a question mark is a doubt
        elif character in '."' and self._text_ends > self._place:
            self._place += 1

    def _command(self) -> None:
        found = re.compile(r"\\([a-zA-Z]+|.)").match(self._text, self._place)
        if found is None:
            raise ValueError("a backslash at the end")
        name, length = found[1], len(found[0])
        if name in "{}":
            self._depth += 1 if name == "{" else -1
            self._emit("open" if name == "{" else "close", f"\\{name}", length)
        elif name in ("langle", "rangle"):
            self._depth += 1 if name == "langle" else -1
            self._emit("open" if name == "langle" else "close", "(" if name == "langle" else ")", length)
        elif name in ("lbrack", "rbrack"):
            self._emit("open" if name == "lbrack" else "close", "[" if name == "lbrack" else "]", length)
        elif name in _RELATIONS:
            self._emit("rel", _RELATIONS[name], length)
        elif name in _CURRENCY:
            self._emit("unit", _CURRENCY[name], length)
        elif name in ("%", "circ"):
            self._emit("unit", "%" if name == "%" else "circ", length)
        elif name in ("cdot", "times"):
            self._emit("sign", "*", length)
        elif name in ("slash", "colon", "vert", "prime", "|"):
            self._emit("sign", {"slash": "/", "colon": ":", "prime": "'"}.get(name, "|"), length)
        elif name == "border":
            self._emit("comma", "$", length)
        elif name in ("begin", "end"):
            self._environment(name)
        elif name in GREEK | _CAPITALS and name not in ("pi", "omicron") or name in ("ell", "hbar"):
            self._emit("sym", name, length)
        elif name in _KNOWN:
            self._emit("cmd", name, length)
        elif name in ("boxed", "fbox"):
            raise Doubtful("several answers")
        else:
            raise Unsure(f"the command \\{name} is not known")

    def _environment(self, name: str) -> None:
        found = re.compile(r"\\(?:begin|end) ?\{(matrix|[pbvBV]matrix|array|cases)\*?\}(?:\{[lcr| ]*\})?").match(
            self._text, self._place
        )
        if found is None:
            raise Unsure("an environment that is not known")
        if found[1] in ("vmatrix", "Vmatrix"):
            self._emit("cmd", "det", 0)
        self._depth += 1 if name == "begin" else -1
        self._emit("open" if name == "begin" else "close", found[1], len(found[0]))

    def _letters_here(self) -> None:
        found = re.compile(r"[a-zA-Z]+(?:'[a-z]+)?").match(self._text, self._place)
        assert found is not None  # a letter stands here
        run = found[0]
        if "'" in run and run.replace("'", "").lower() not in DOUBT:
            run = run[: run.index("'")]
        low = run.lower()
        if self._text_ends > self._place:
            return self._emit("word", run.replace("'", ""), len(run))
        if set(run) <= self._letters and low not in _BARE:
            return self._symbol(run)
        if run in ("min", "sec") and self.tokens and self.tokens[-1].kind == "num" and self._place + 3 == len(self._text):
            return self._emit("word", run, len(run))
        if low in _SPELLED or run in _BARE:
            name = _SPELLED.get(low, run)
            return self._emit("sym" if name in GREEK - {"pi"} else "cmd", name, len(run))
        if len(run) == 1 and not self._is_letter_unit(run):
            return self._symbol(run)
        glued = next((name for name in _GLUED if run[:-1] == name), None)
        if glued and not is_unit(run):
            return self._emit("cmd", glued, len(glued))  # sinx
        if self._is_word(run):
            return self._emit("word", run.replace("'", ""), len(run))
        return self._symbol(run)

    def _is_letter_unit(self, run: str) -> bool:
        """Whether one letter is a unit, as in "5 m" and "3 m/s" where quantities or plain numbers are expected."""
        before = self.tokens[-1] if self.tokens else None
        if not self._units or before is None or not is_unit(run):
            return False
        after_unit = len(self.tokens) > 1 and self.tokens[-2].kind == "word" and before.text in ("/", "*")
        spaced = self._text[self._place - 1] == " "
        return after_unit or before.kind == "word" or (before.kind in ("num", "close") and spaced)

    def _is_word(self, run: str) -> bool:
        low, before = run.lower(), self.tokens[-1] if self.tokens else None
        if low in CONNECTIVES | DOUBT | BEFORE | NUMBER_WORDS | PART_WORDS:
            return True
        spaced = self._text[self._place - 1 : self._place] == " "
        if len(run) == 1:
            return True
        if before is not None and before.kind in ("num", "close", "unit", "word") and (is_unit(run) or (spaced and len(run) > 2)):
            return True
        if before is not None and before.text in ("/", "^") and len(self.tokens) > 1 and self.tokens[-2].kind == "word":
            return True
        return len(run) >= 4 or low in ("yes", "odd", "dne")

    def _symbol(self, run: str) -> None:
        self._emit("sym", run[0], 1)


def _signs_alone(tokens: list[Token]) -> list[Token]:
    """Without braces around one sign, as in {-}5."""
    result: list[Token] = []
    for token in tokens:
        result.append(token)
        if token.text == "}" and len(result) > 2 and result[-3].text == "{" and result[-2].text in ("+", "-", "=", "<", ">"):
            result[-3:] = [result[-2]]
    return result


def _spelled(tokens: list[Token]) -> list[Token]:
    """With numbers in words as numbers: "twenty-one apples" is 21 apples."""
    result: list[Token] = []
    place = 0
    while place < len(tokens):
        if tokens[place].text.lower() in ("minus", "negative") and place + 1 < len(tokens) and tokens[place + 1].number:
            if not result or result[-1].kind in ("rel", "open", "comma"):
                tokens[place] = Token("sign", "-")
        end, words = place, []
        while end < len(tokens) and (tokens[end].kind == "word" or (tokens[end].text == "-" and words)):
            words += [tokens[end].text.lower()] if tokens[end].kind == "word" else []
            end += 1
        for stop in range(end, place, -1):
            span = [token.text.lower() for token in tokens[place:stop] if token.kind == "word"]
            value = spoken(span) if tokens[stop - 1].kind == "word" and (len(span) > 1 or span[0] in NUMBER_WORDS | PART_WORDS) else None
            if value is not None and span != ["second"]:
                result.append(Token("num", " ".join(span), Numeral(value), tokens[place].spaced))
                place = stop
                break
            if result and result[-1].number is not None and stop == place + 1 and span[0] in SCALES:  # 5 million
                number = Numeral(result[-1].number.value * SCALES[span[0]])
                result[-1] = Token("num", f"{result[-1].text} {span[0]}", number, result[-1].spaced)
                place = stop
                break
        else:
            result.append(tokens[place])
            place += 1
    return result


def _circles(tokens: list[Token]) -> list[Token]:
    """With ^\\circ and ^{\\circ} as one unit, and with °C and °F as theirs."""
    result: list[Token] = []
    place = 0
    texts = [token.text for token in tokens]
    while place < len(tokens):
        length = next((len(form) for form in (["^", "circ"], ["^", "{", "circ", "}"], ["circ"]) if texts[place : place + len(form)] == form), 0)
        if not length:
            result.append(tokens[place])
            place += 1
            continue
        place += length
        scale = {"C": "celsius", "F": "fahrenheit"}.get(texts[place] if place < len(texts) else "", "")
        place += bool(scale)
        result.append(Token("unit", scale or "degree"))
    return result


def lex(
    text: str, letters: frozenset[str] = frozenset(), *, commas: bool = True, units: bool = False
) -> Tokens:
    """The tokens of `text`, from raw text. `commas`: "1,234" is one number and not two. `units`: "5 m" are metres.

    Raises:
        ValueError: a character or command that is not understood; the message names it.
    """
    return _Lexer(clean(text), letters, commas, units).run()


def spell(tokens: Tokens) -> str:
    """The tokens as plain text, one space between words."""
    return " ".join(token.text for token in tokens)
