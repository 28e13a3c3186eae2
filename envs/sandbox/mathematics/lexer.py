"""Tokens of an expression: numbers, symbols, words, signs, brackets, relations, commands.

Letters have no meaning by themselves: "km" may be a unit, a product or a word. What decides is whether they stand in
`\\text{…}`, whether a number stands before them, and `letters`: the symbols of what is expected, which are symbols in
the answer too.
"""

from __future__ import annotations

import re
from fractions import Fraction

from .notation import GREEK, clean, closing
from .numerals import NUMBER_WORDS, PART_WORDS, Numeral, read_number
from .respelling import respell
from .tokens import FUNCTIONS, OPERATORS, Token, Tokens
from .units import is_unit
from .verdict import Doubtful, Unsure
from .words import BEFORE, CONNECTIVES, DOUBT, words_of

_KNOWN = (
    FUNCTIONS
    | OPERATORS
    | words_of(
        """frac sqrt binom cdot infty pi emptyset reals integers naturals rationals complexes pm mp cup cap setminus in
    to langle rangle newrow dots vec hat bar overline angle lfloor rfloor lceil rceil circ triangle wedge vee begin end
    border tilde dot ell hbar prime ddot mathbb perp parallel Re Im operatorname"""
    )
)
_CAPITALS = frozenset(name.title() for name in GREEK)
_RELATIONS = {"=": "=", "<": "<", ">": ">", "le": "<=", "ge": ">=", "ne": "!=", "approx": "~", "in": "∈", "lt": "<"}
_RELATIONS |= {"gt": ">", "equiv": "=", "sim": "~", "notin": "∉", "ni": "∋", "to": "→"}
_CURRENCY = {
    "dollar": "dollar",
    "euro": "euro",
    "pound": "sterling",
    "yen": "yen",
    "cents": "cent",
    "pounds": "sterling",
    "cent": "cent",
}
_CODES = {"USD": "dollar", "EUR": "euro", "GBP": "sterling", "JPY": "yen"}
_TIMES_TEN = re.compile(r"\s*[xX*]\s*(?=10\s*\^)")
_BARE = {"pi", "infty", "sqrt", *FUNCTIONS, "gcd", "lcm", "det", "lim", "max", "min", "mod"} | (
    GREEK - {"nu", "mu", "xi"}
)
_GLUED = ("sin", "cos", "tan", "log", "ln", "pi")
_SPELLED = {
    "infinity": "infty",
    "inf": "infty",
    "oo": "infty",
    "mod": "bmod",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
}


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
        return tuple(respell(self.tokens))

    def _emit(self, kind: str, text: str, length: int, number: Numeral | None = None) -> None:
        self.tokens.append(Token(kind, text, number))
        self._place += length

    def _one(self) -> None:
        """The token that begins here, or what stands between two."""
        text, place = self._text, self._place
        character = text[place]
        if place == self._text_ends or character == " ":
            self._place += 1
        elif text.startswith("\\text{", place) or text.startswith("\\operatorname{", place):
            self._begin_text(text.index("{", place))
        elif character.isdigit() and self._is_argument():
            self._emit("num", character, 1, Numeral(Fraction(int(character))))
        elif not self._number():
            if text.startswith("..", place):
                self._emit("cmd", "dots", len(text[place:]) - len(text[place:].lstrip(".")))
            elif character == "\\":
                self._command()
            elif character.isalpha():
                self._letters_here()
            else:
                self._sign(character)

    def _begin_text(self, brace: int) -> None:
        end = closing(self._text, brace)
        if end < 0:
            raise ValueError("a brace is not closed")
        self._text_ends, self._place = end, brace + 1

    def _number(self) -> bool:
        number, end = read_number(self._text, self._place, commas=self._commas and self._depth == 0)
        if number is None:
            return False
        self._emit("num", self._text[self._place : end], end - self._place, number)
        times = _TIMES_TEN.match(self._text, end)
        if times:
            self._place = times.end()
            self.tokens.append(Token("sign", "*"))
        return True

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
        elif (name in GREEK | _CAPITALS and name not in ("pi", "omicron")) or name in ("ell", "hbar"):
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
        if (
            run in ("min", "sec")
            and self.tokens
            and self.tokens[-1].kind == "num"
            and self._place + 3 == len(self._text)
        ):
            return self._emit("word", run, len(run))
        if run in _CODES:
            return self._emit("unit", _CODES[run], len(run))
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
        if low in ("sq", "cu") and before is not None and before.kind in ("num", "close"):
            return True
        if (
            before is not None
            and before.kind in ("num", "close", "unit", "word")
            and (is_unit(run) or (spaced and len(run) > 2))
        ):
            return True
        if before is not None and before.text in ("/", "^") and len(self.tokens) > 1 and self.tokens[-2].kind == "word":
            return True
        return len(run) >= 4 or low in ("yes", "odd", "dne")

    def _symbol(self, run: str) -> None:
        self._emit("sym", run[0], 1)


def lex(text: str, letters: frozenset[str] = frozenset(), *, commas: bool = True, units: bool = False) -> Tokens:
    """The tokens of `text`, from raw text. `commas`: "1,234" is one number and not two. `units`: "5 m" are metres.

    Raises:
        ValueError: a character or command that is not understood; the message names it.
    """
    return _Lexer(clean(text), letters, commas, units).run()
