"""Notation before it has a meaning: other characters to LaTeX, and wrappers and typography off.

    clean("$−√2\\,$")  →  "-\\sqrt 2"

Every step is linear in the text. Words keep their mark (`\\text{…}`): what is a word decides what may be a unit.
"""

from __future__ import annotations

import re
import unicodedata

from .words import words_of

SETS = {"R": "\\reals", "Z": "\\integers", "N": "\\naturals", "Q": "\\rationals", "C": "\\complexes"}

_MACROS = {
    **dict.fromkeys("−‐‑‒–—﹣－", "-"),
    **dict.fromkeys("·⋅∙•", "\\cdot "),
    **dict.fromkeys("×✕✖⨯", "\\times "),
    **dict.fromkeys("÷∕⁄／", "/"),
    "√": "\\sqrt ",
    "∛": "\\sqrt[3] ",
    "∞": "\\infty ",
    "±": "\\pm ",
    "°": "^\\circ ",
    "º": "^\\circ ",
    "∠": "\\angle ",
    "≤": "\\le ",
    "⩽": "\\le ",
    "≦": "\\le ",
    "≥": "\\ge ",
    "⩾": "\\ge ",
    "≧": "\\ge ",
    "≠": "\\ne ",
    "≈": "\\approx ",
    "∪": "\\cup ",
    "∩": "\\cap ",
    "∖": "\\setminus ",
    "∈": "\\in ",
    "∅": "\\emptyset ",
    "⌀": "\\emptyset ",
    "ℝ": "\\reals ",
    "ℤ": "\\integers ",
    "ℕ": "\\naturals ",
    "ℚ": "\\rationals ",
    "ℂ": "\\complexes ",
    "⟨": "\\langle ",
    "⟩": "\\rangle ",
    "〈": "\\langle ",
    "〉": "\\rangle ",
    "′": "'",
    "’": "'",
    "‘": "'",
    "″": "''",
    "∴": "",
    "⇒": "",
    "✓": "",
    "□": "",
    "■": "",
    "∫": "\\int ",
    "∑": "\\sum ",
    "∏": "\\prod ",
    "∂": "\\partial ",
    "…": "...",
    "⋯": "...",
    "∶": ":",
    "∣": "|",
    "％": "\\%",
    "“": "",
    "”": "",
    "\u200b": "",
    "\ufeff": "",
    "€": "\\euro ",
    "£": "\\pound ",
    "¥": "\\yen ",
    "¢": "\\cents ",
    "⌊": "\\lfloor ",
    "⌋": "\\rfloor ",
    "⌈": "\\lceil ",
    "⌉": "\\rceil ",
    "→": "\\to ",
    "ϵ": "\\epsilon ",
    "≡": "\\equiv ",
    "℃": "^\\circ C",
    "℉": "^\\circ F",
    "ϕ": "\\phi ",
}
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙₓ", "0123456789+-()nx", strict=True))
GREEK = words_of(
    """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi
    psi omega"""
)
_FRACTIONS = r"\\(?:d|t|c|s|nice|x)frac(?![a-zA-Z])"
_SPACES = re.compile(r"\\[,;:> ]|\\(?:quad|qquad|enspace|thinspace|medspace|thickspace|nobreakspace)(?![a-zA-Z])|~|\s")
_NOTHING = re.compile(
    r"\\(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|limits|nolimits|bf|rm|it|boldmath|centering"
    r"|tiny|small|normalsize|large|Large|LARGE|huge|Huge|therefore|Rightarrow|implies|checkmark|square|blacksquare|qed)(?![a-zA-Z])|\\!|\\/"
    r"|\\color\{[^{}]*\}|\\[hv]space\{[^{}]*\}"
)
_FONTS = re.compile(
    r"\\(?:mathbf|mathit|boldsymbol|bm|mathsf|mathtt|mathnormal|mathcal|emph|underline|ensuremath|mathop|textcolor\{[^{}]*\})(?=\{)"
)
_TEXTS = re.compile(r"\\(?:text|textbf|textit|textrm|textsf|texttt|textnormal|mathrm|mbox|hbox|operatorname)\*?(?=\{)")
_RENAMED = {
    "leq": "le",
    "leqslant": "le",
    "geq": "ge",
    "geqslant": "ge",
    "neq": "ne",
    "lt": "lt",
    "gt": "gt",
    "varnothing": "emptyset",
    "lbrace": "{",
    "rbrace": "}",
    "lvert": "vert",
    "rvert": "vert",
    "mid": "vert",
    "ast": "times",
    "star": "times",
    "div": "slash",
    "lbrack": "lbrack",
    "rbrack": "rbrack",
    "ldots": "dots",
    "dotsc": "dots",
    "cdots": "dots",
    "dotso": "dots",
    "varepsilon": "epsilon",
    "varphi": "phi",
    "vartheta": "theta",
    "degree": "circ",
    "colon": "colon",
    "simeq": "approx",
    "cong": "approx",
    "R": "reals",
    "C": "complexes",
    "overrightarrow": "vec",
    "mod": "bmod",
    "pmod": "bmod",
    "dbinom": "binom",
    "tbinom": "binom",
    "iint": "int",
    "iiint": "int",
    "oint": "int",
    "land": "wedge",
    "lor": "vee",
    "backslash": "setminus",
    "smallsetminus": "setminus",
}
_RENAME = re.compile(r"\\(" + "|".join(sorted(_RENAMED, key=len, reverse=True)) + r")(?![a-zA-Z])")
_BARRED = re.compile("((?:[0-9]\u0305)+)")
_DOTTED = re.compile("([0-9])\u0307")
_WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"), ('"', '"'))
_BOXES = ("\\boxed{", "\\fbox{", "\\framebox{", "\\mathbf{", "\\textbf{")


_ACCENTED = {"vec": 9001, "hat": 9002, "bar": 9003, "tilde": 9004}  # as indices, which make other symbols of letters
_ACCENTS = re.compile(r"\\(vec|hat|bar|tilde)(?: *\{([a-zA-Z])\}| +([a-zA-Z])(?![a-zA-Z]))")
_UNIT = r"(\\text ?\{[^{}]*\}(?:\^\{?-?[0-9]\}?)?)"
_UNIT_FRACTION = re.compile(rf"\\frac ?\{{ ?{_UNIT} ?\}} ?\{{ ?{_UNIT} ?\}}")


def clean(text: str) -> str:
    """`text` as plain ASCII LaTeX, unwrapped, with one space wherever there is any.

    Raises:
        ValueError: a character that no mathematics is written with; the message names it.
    """
    text = _ascii(unicodedata.normalize("NFC", text)).replace("\\\\", "\\newrow ")
    text = re.sub(r",\s*\\!\s*(?=[0-9]{3})", "{,}", _unwrapped(text.strip()))
    text = re.sub(r"(?<![a-zA-Z\\])m ?(?=\\angle)", "", text)  # the measure of an angle
    text = re.sub(r"\\math(?:rm|it)\{([dei])\}", r"\1 ", text)
    for place, pattern in (("", _NOTHING), (" ", _SPACES)):
        text = pattern.sub(place, text)
    text = _RENAME.sub(lambda found: f"\\{_RENAMED[found[1]]} ", text)
    text = re.sub(_FRACTIONS, r"\\frac", text)
    text = re.sub(r"(?<=[0-9 ])\\mathrm ?\{([NC])\}", r"\\text{\1}", text)  # newtons and coulombs
    text = re.sub(r"\\math(?:bb|bf|rm)\s?\{?([RZNQC])\}?(?![a-zA-Z])", lambda found: SETS[found[1]] + " ", text)
    text = _TEXTS.sub(r"\\text", _FONTS.sub("", text))
    text = _UNIT_FRACTION.sub(r"\1/\2", text)
    if "\\times" not in text:  # products of vectors are not those of numbers
        text = _ACCENTS.sub(lambda found: f"{found[2] or found[3]}_{{{_ACCENTED[found[1]]}}}", text)
    text = re.sub(r"\{([^{}]*)\\choose(?![a-zA-Z])([^{}]*)\}", r"\\binom{\1}{\2}", text)
    text = re.sub(r"\{([^{}]*)\\over(?![a-zA-Z])([^{}]*)\}", r"\\frac{\1}{\2}", text)
    text = re.sub(r"(?<![a-zA-Z\\])abs ?\(([^()]*)\)", r"|\1|", text)
    text = re.sub(r"(?: *\\newrow)+ *$", "", _dollars(text))
    text = re.sub(r" +", " ", text).strip()
    return _set_braces(_unwrapped(_without_full_stop(text)))


def _set_braces(text: str) -> str:
    """Braces that are typed around a whole, as those of a set where they hold a list, a condition, a set or nothing."""
    inside = text[1:-1].strip()
    if not text.startswith("{") or closing(text, 0) != len(text) - 1:
        return text
    depth = 0
    for character in inside:
        depth += (character in "({[") - (character in ")}]")
        if depth == 0 and character in ",;|:":
            return f"\\{{{inside}\\}}"
    return f"\\{{{inside}\\}}" if inside in ("", "\\emptyset", "\\emptyset ") else text


def _ascii(text: str) -> str:
    text = _BARRED.sub(lambda found: f"\\overline{{{found[1].replace(chr(0x305), '')}}}", text)
    text = _DOTTED.sub(r"\\dot{\1}", text)
    for table, sign in ((_SUPERSCRIPTS, "^"), (_SUBSCRIPTS, "_")):
        runs = re.compile(f"[{''.join(table)}]+")
        text = runs.sub(lambda found: f"{sign}{{{''.join(table[c] for c in found[0])}}}", text)  # noqa: B023 (used at once)
    return "".join(character if character < "\x7f" else _one(character) for character in text)


def _one(character: str) -> str:
    """One character that is not ASCII, as LaTeX."""
    if character in _MACROS:
        return _MACROS[character]
    name = unicodedata.name(character, "")
    if name.startswith("VULGAR FRACTION"):
        above, _, below = unicodedata.normalize("NFKC", character).partition("\u2044")
        return f"\\frac{{{above}}}{{{below}}}"
    if name.startswith("MODIFIER LETTER SMALL") and len(name.split()) == 4:
        return f"^{{{name[-1].lower()}}}"
    if name.startswith("GREEK") and " LETTER " in name:
        letter = name.split()[-1].lower().replace("lamda", "lambda")
        return f"\\{letter.title() if 'CAPITAL' in name else letter} " if letter in GREEK else "\\unknown "
    plain = unicodedata.normalize("NFKC", character)
    if plain != character and all(part < "\x7f" for part in plain):
        return plain
    if unicodedata.decimal(character, None) is not None:
        return str(unicodedata.decimal(character))
    if character.isspace() or character == "\u2061":
        return " "
    if character.isalpha():
        return unicodedata.normalize("NFKD", character)[0] if "LATIN" in name else "\\unknown "
    raise ValueError(f"the character U+{ord(character):04X} is not known")


def _unwrapped(text: str) -> str:
    """Without dollars, boxes and stars around the whole of it."""
    while True:
        before = text
        for opened, closed in _WRAPPERS:
            inside = text[len(opened) : len(text) - len(closed)]
            whole = text.startswith(opened) and text.endswith(closed) and len(text) > len(opened) + len(closed)
            if whole and closed not in inside and not inside.endswith("\\"):
                text = inside.strip()
        for opened in _BOXES:
            if text.startswith(opened) and closing(text, len(opened) - 1) == len(text) - 1:
                inside = text[len(opened) : -1].strip()
                text = f"\\text{{{inside}}}" if opened.startswith("\\textbf") else inside
        if text == before:
            return text


def closing(text: str, start: int) -> int:
    """Where the brace is closed that opens at `start`; -1 if nowhere."""
    depth = 0
    for place in range(start, len(text)):
        escaped = place > 0 and text[place - 1] == "\\"
        depth += ((text[place] == "{") - (text[place] == "}")) * (not escaped)
        if depth == 0:
            return place
    return -1


def _dollars(text: str) -> str:
    """A dollar sign alone is money; several are the borders of formulas in a text."""
    text = text.replace("\\$", "\\dollar ")
    return text.replace("$", "\\dollar " if text.count("$") == 1 else " \\border ")


def _without_full_stop(text: str) -> str:
    """Without a full stop at the end, which is no dot of "2…"."""
    for end in ("\\text{.}", "."):
        if text.endswith(end) and not text.endswith("..") and len(text) > len(end):
            text = text[: -len(end)].rstrip()
    return text
