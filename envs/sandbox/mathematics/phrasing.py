"""Mathematics that is said in words, as notation: roots, mixed numbers, bounds, bases.

    rephrased("x > 3", "x is greater than 3")    →  "x > 3"
    rephrased("1011_2", "1011 in base 2")        →  "1011_{2}"

A phrase is replaced only where the notation that it stands for is its one meaning. What is expected decides whether
bounds and bases are looked for at all.
"""

from __future__ import annotations

import re

from .units import is_unit

_ATOM = r"(\([^()]*\)|\\frac ?\{[^{}]*\}\{[^{}]*\}|[A-Za-z0-9.]+)"
_NUMBER = r"-?(?:[0-9][0-9.,]*(?:/[0-9]+)?|\\infty|∞|\\frac ?\{[^{}]*\}\{[^{}]*\}|\\sqrt ?\{?[0-9]+\}?|√[0-9]+|[0-9]*π)"
_OF = rf"(?:\(s\))? of {_ATOM}"
_SAID = [
    (rf"\b(?:the )?square root{_OF}", r"\\sqrt{\1}"),
    (rf"\b(?:the )?cube root{_OF}", r"\\sqrt[3]{\1}"),
    (rf"\b(?:the )?fourth root{_OF}", r"\\sqrt[4]{\1}"),
    (rf"\b(?:the )?natural log(?:arithm)?{_OF}", r"\\ln{\1}"),
    (rf"\b(?:the )?log(?:arithm)?(?: to the)? base ([0-9e]+) of {_ATOM}", r"\\log_{\1}{\2}"),
    (r"(?<![A-Za-z\\])cbrt ?\(([^()]*)\)", r"\\sqrt[3]{\1}"),
    (r"(?<![A-Za-z\\])sqrt ?\[([0-9]+)\] ?\(([^()]*)\)", r"\\sqrt[\1]{\2}"),
    (r"\b(?:root|radical) ([0-9]+|two|three|five|six|seven|ten|eleven)\b", r"\\sqrt{\1}"),
    (r"\b(sq|cu|in|ft|min|hr|hrs|sec|lb|lbs|oz|deg|approx)\.(?=[ $]|$)", r"\1"),
    (r"(?<=[0-9a-z]) (?:of )an? (hour|minute|second|day|week|year|meter|metre|mile|kilometer|liter|litre)\b", r" \1"),
    (r"(?<=[a-z]) an? (hour|minute|second|day|week|month|year)\b", r"/\1"),
    (r"\bUS ?(?=\\?\$)", ""),
    (r"\b([0-9]+) euros? and ([0-9]{2}) cents?\b", r"€\1.\2"),
    (r"(?<=[\])]) ?U ?(?=[\[(])", r" \\cup "),
    (r"^\$?(?:dy/dx|\\[dt]?frac ?\{dy\}\{dx\}|d/dx(?: f)?|df/dx)\$? ?= ?", "y' = "),
    (r"(%|percent) (?:increase|growth|interest|chance|probability|discount|tax|tip|off|solution)$", r"\1"),
    (r"\b([0-9a-z]+) times (?=\\|π|pi\b|[a-z]\b)", r"\1 \\cdot "),
    (r"(?<![A-Za-z\\])([a-zA-Z]) squared\b", r"\1^2"),
    (r"(?<![A-Za-z\\])([a-zA-Z]) cubed\b", r"\1^3"),
    (r"\b([0-9]+|[a-z]+) over ([0-9]+|[a-z]+)\b", r"(\1)/(\2)"),
    (r"\band (?:a|an) (half|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth)\b", r"and one \1"),
    (r"^(?:a|an) (half|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth)\b", r"one \1"),
    (r"\b([0-9]+) and (?:one |a )?half\b", r"\1 1/2"),
    (r"\b([0-9]+) and ([0-9]+/[0-9]+)", r"\1 \2"),
    (r"\b([0-9.]+) degrees below (?:zero|freezing)(?: (?=[CF]|celsius|fahrenheit)|$)", r"-\1 degrees "),
    (r"\b([0-9]+) (?:out of|in) ([0-9]+)\b", r"\\frac{\1}{\2}"),
    (r"(?<![0-9.])([0-9]+)/([0-9]+) +(?=[a-zA-Zπ\\(])", r"\\frac{\1}{\2} "),
    (r"\+ ?/ ?[-−]", r"\\pm "),
    (r"\b([0-9]{1,3})((?:_[0-9]{3})+)\b", lambda found: found[0].replace("_", "")),
]
_BOUNDS = [
    (r"\b(?:is |are |be )?(?:strictly )?(?:greater|more|larger|bigger) than or equal to\b", ">="),
    (r"\b(?:is |are |be )?(?:strictly )?(?:less|smaller|fewer) than or equal to\b", "<="),
    (r"\b(?:is |are |be )?(?:not|no) (?:less|smaller|fewer) than\b", ">="),
    (r"\b(?:is |are |be )?(?:not|no) (?:greater|more|larger|bigger) than\b", "<="),
    (r"\b(?:is |are |be )?(?:strictly )?(?:greater|more|larger|bigger) than\b", ">"),
    (r"\b(?:is |are |be )?(?:strictly )?(?:less|smaller|fewer) than\b", "<"),
    (r"\b(?:is |are |be )?at least\b", ">="),
    (r"\b(?:is |are |be )?at most\b", "<="),
    (r"\b(?:is |are )?(?:not equal to|different from)\b", "!="),
    (r"\bdoes not equal\b", "!="),
]
_EVERYTHING = (
    r"^(?:the (?:set of )?)?(?:all|any|every)(?: the)?(?: real)?(?: numbers?| values?)?(?: (?:of|for))?"
    r"(?: \$?([a-z])\$?)?"
    r"(?: (?:such that|with|where|that are|which are|for which|satisfying))?(?: \$?[a-z]\$?(?= *(?:[<>!]|\\[gln]e)))? *"
)
_BETWEEN = re.compile(
    rf"^\$?(?P<name>[a-z])?\$? ?(?:is |lies |are )?(?P<how>strictly )?(?:between|from) \$?(?P<low>{_NUMBER})\$?"
    rf" (?:and|to) \$?(?P<high>{_NUMBER})\$?,? ?\(?(?P<ends>inclusive|exclusive)?\)?$"
)
_EXCEPT = re.compile(
    rf"^(?:\$?[a-z]\$? (?:is |can be )?)?(?:all|any|every) real(?: numbers?| values?|s)?(?: (?:of )?\$?[a-z]\$?)?,?"
    r" (?:except|other than|but not|apart from)"
    rf"(?: for)? \$?(?:[a-z] ?= ?)?({_NUMBER})(?:\$? (?:and|or) \$?({_NUMBER}))?\$?$"
)
_WORDS = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_NAMED_BASES = {"binary": 2, "ternary": 3, "octal": 8, "hexadecimal": 16, "hex": 16}
_WORD_BASES = {word: str(number) for word, number in zip(_WORDS.split(), range(2, 17), strict=True)}
_PREFIXES = {"0b": 2, "0o": 8, "0x": 16}


def rephrased(expected: str, text: str) -> str:
    """`text` in notation as far as its words are known."""
    if re.search(r"_ ?\{?[0-9]{1,2}\}?\)?\$?$|[₀-₉]$", expected.strip()):
        return _based(text.strip())
    if re.fullmatch(r"\\(?:mathbb|mathbf) ?\{?[RZNQC]\}?|[ℝℤℕℚℂ]", expected.strip()) and text.strip(" .$") in "RZNQC":
        return f"\\mathbb{{{text.strip(' .$')}}}"
    if re.search(r"[<>≤≥≠∞\[\]\\]|\\(?:le|ge|in)", expected):
        text = _bounded(text)
    if re.search(r"matrix|binom|array", expected) or re.fullmatch(r"[\s$]*(?:\\left)?(?:\(|\\langle).*,.*", expected):
        text = _arranged(text)
    if re.search(r"£|\\pounds?|GBP|sterling", expected):
        text = re.sub(r"([0-9.,]+) ?pounds?(?: sterling)?\b", r"£\1", text)
    if re.search(r"(?<![a-zA-Z\\])i(?![a-zA-Z])", expected) and not re.search(
        r"(?<![a-zA-Z\\])i(?![a-zA-Z])|j.*j", text
    ):
        text = re.sub(r"(?<![a-zA-Z\\])j(?![a-zA-Z])", "i", text)
    if re.fullmatch(r"[-−0-9]+(?:\s*,\s*[-−0-9]+)+", expected.strip("{}\\$ ")) and re.fullmatch(
        r"[-−]?[0-9]+(?: [-−]?[0-9]+)+", text
    ):
        text = text.replace(" ", ", ")
    for pattern, notation in _SAID:
        text = re.sub(pattern, notation, text, flags=re.IGNORECASE)
    return text


def _bounded(text: str) -> str:
    """Bounds in words as inequalities."""
    text = text.strip().rstrip(".")
    taken = _EXCEPT.match(text)
    if taken:
        out = ", ".join(part for part in taken.groups() if part)
        return f"\\mathbb{{R}} \\setminus \\{{{out}\\}}"
    side = re.fullmatch(
        r"(?:the (?:set of )?)?(?:all )?(?:(?P<non>non-?)?(?P<side>positive|negative)) (?:real(?: number)?s?|numbers?)"
        r"|(?:\\mathbb ?\{?R\}?|ℝ)_?\^?\{?(?P<sign>[+-])\}?|ℝ[⁺⁻]",
        text.strip("$"),
        re.IGNORECASE,
    )
    if side:
        up = (side["side"] or "").lower() == "positive" or "+" in (side["sign"] or "") or "⁺" in text
        return ("[0, \\infty)" if up else "(-\\infty, 0]") if side["non"] else "(0, \\infty)" if up else "(-\\infty, 0)"
    text = re.sub(
        r"^\$?(?:\\mathbb ?\{?R\}?|R|ℝ)\s*(?:\\setminus|\\|-)\s*\\?\{([^{}\\]*)\\?\}\$?$",
        r"\\mathbb{R} \\setminus \\{\1\\}",
        text,
    )
    between = _BETWEEN.match(re.sub(_EVERYTHING, r"\1 ", text, flags=re.IGNORECASE).strip())
    if between and (between["how"] or between["ends"]):
        sign = "<=" if between["ends"] == "inclusive" else "<"
        return f"{between['low']} {sign} {between['name'] or 'x'} {sign} {between['high']}"
    said = text
    for pattern, sign in _BOUNDS:
        said = re.sub(pattern, sign, said, flags=re.IGNORECASE)
    said = re.sub(r"\$", "", said) if said != text else said
    first = re.match(r"([a-z]) ?(?:[<>]=?|!=)", said)
    said = re.sub(r"\b(or|and) (?=[<>!])", rf"\1 {first[1]} ", said) if first else said
    found = re.match(_EVERYTHING, said, re.IGNORECASE)
    if found and re.search(r"[<>]|!=|\\[gln]e", said):
        rest = said[found.end() :]
        said = f"{found[1] or 'x'} {rest}" if re.match(r"[<>!]|\\[gln]e", rest) else rest
    return said


def _arranged(text: str) -> str:
    """Matrices and vectors in other forms: [0 -1; 1 0], ((0, -1), (1, 0)), <2, -3>, 2i - 3j."""
    plain = text.strip().strip("$").strip()
    rows = re.fullmatch(r"\[([-−0-9./ ,]+(?:;[-−0-9./ ,]+)+)\]", plain)
    if rows:
        return "[" + ",".join("[" + ",".join(re.split(r"[ ,]+", row.strip())) + "]" for row in rows[1].split(";")) + "]"
    if re.fullmatch(r"[(\[{]\s*(?:[(\[{][^()\[\]{}]*[)\]}][\s,]*)+[)\]}]", plain):
        return re.sub(r"[({]", "[", re.sub(r"[)}]", "]", plain))
    angles = re.fullmatch(r"<([^<>]*,[^<>]*)>", plain)
    if angles:
        return f"({angles[1]})"
    column = re.fullmatch(r"\\[dt]?binom ?\{([^{}]*)\}\{([^{}]*)\}", plain)
    return f"({column[1]}, {column[2]})" if column else _of_units(plain) or text


def _of_units(text: str) -> str | None:
    """2i - 3j as (2, -3); None where it is no sum of multiples of unit vectors, in their order."""
    text = re.sub(
        r"\\(?:mathbf|hat|vec|boldsymbol|mathbf\{\\hat) ?\{?\\?([ij]|k)(?:math)?\}?\}?", r"\1", text.replace("−", "-")
    )
    text = re.sub(r"[î]", "i", re.sub(r"[ĵ]", "j", text)).replace(" ", "").replace("*", "")
    found = re.fullmatch(r"(?P<i>[-+]?[0-9./]*)i(?P<j>[-+][0-9./]*)j(?:(?P<k>[-+][0-9./]*)k)?", text)
    if found is None:
        return None
    parts = [found[name] for name in "ijk" if found[name] is not None]
    return "(" + ", ".join(part + "1" if part in ("", "+", "-") else part for part in parts) + ")"


def modulo(text: str) -> str:
    """`text` with "(mod 7)" and "mod 7" as \\pmod{7}."""
    return re.sub(r"\(?\s*\\?[bp]?mod\s*\{?\s*([0-9]+)\s*\}?\s*\)?", r" \\pmod{\1}", text)


def measured(expected: str) -> str:
    """A number with a unit that is typed as letters, "8 m/s^2", with its unit marked as one; else `expected`."""
    found = re.fullmatch(
        r"\$?([-−0-9.,]+) +([a-zA-Z]+)((?: ?[/*·] ?[a-zA-Z]+)*)((?:\^\{?[0-9]\}?|[²³])?)\$?", expected.strip()
    )
    runs = re.findall(r"[a-zA-Z]+", found[2] + found[3]) if found else []
    if found is None or not all(is_unit(run) for run in runs):
        return expected
    return f"{found[1]}\\text{{ {found[2]}{found[3]}}}{found[4]}"


def _based(text: str) -> str:
    """A numeral with its base behind it, however the base is said."""
    text = re.sub(r"\\(?:text|mathrm|texttt) ?\{([0-9A-Za-z]+)\}", r"\1", text.strip("$ ."))
    prefixed = re.fullmatch(r"(0[box])([0-9A-Fa-f]+)", text)
    if prefixed:
        return f"{prefixed[2]}_{{{_PREFIXES[prefixed[1]]}}}"
    said = re.fullmatch(
        r"\(?([0-9A-Za-z]+)\)?,? ?\(?(?:in |written in )?base[- ]?([0-9]+|[a-z]+)\)?", text, re.IGNORECASE
    )
    said = said or re.fullmatch(r"\(?([0-9A-Za-z]+)\)?_?\\?(?:text)?\{?\(?base[- ]?([0-9]+)\)?\}?", text, re.IGNORECASE)
    if said:
        return f"{said[1]}_{{{_WORD_BASES.get(said[2].lower(), said[2])}}}"
    names = "|".join(_NAMED_BASES)
    named = re.fullmatch(
        rf"(?:(?:the )?(?P<before>{names}) (?:number )?)?"
        r"\(?(?P<digits>[0-9][0-9A-Fa-f]*|[A-Fa-f]+)\)?"
        rf"(?:,? \(?(?:in )?(?P<after>{names})\)?)?",
        text,
        re.IGNORECASE,
    )
    name = (named["before"] or named["after"] or "").lower() if named else ""
    return f"{named['digits']}_{{{_NAMED_BASES[name]}}}" if named and name else text
