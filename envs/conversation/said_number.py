"""Which number a reply gives as its answer, exactly.

    "So 3 bags of 6 are 18."        → 18         "5 or 6", "3 5", "5, 6", "5-6", "not 5"       → nothing
    "5 km²", "+5", "5 dollars"      → 5          "40 + 2", "2^10", "3:30", "84/12"             → nothing
    "5 ½", "5 1/2", "\\frac{11}{2}"  → 11/2       "The answer is 18, 3 more than before."       → 18

A declared answer wins (see `last_word`); of others the last is meant. Bounds, ranges and alternatives ("at least 18",
"17, maybe 18") are none (see `left_open`), a part of another quantity is none ("18 dozen", "half of 18", see
`quantities_named`), and an estimate ("about 18") is the number that it names. A unit is not compared, and % is one.
Thousands are parted as in 1,234, 12,34,567 and 1 234; "1,5" is no number. A fraction is in lowest terms, or spelled as
it is expected: "84/12" does not answer what 84/12 is.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from math import gcd

from ..sandbox.mathematics.units import is_unit
from .last_word import (
    CONTEXT,
    DENIES_THEN,
    FINAL_BEGINS,
    FINAL_ENDS,
    LINK,
    STOP,
    Rank,
    Said,
    is_denied,
    is_hedged,
    last_word,
    undressed,
)
from .left_open import BEGINS, NUMBER_WORD, are_alternatives, are_beside, are_items, is_compared, is_open, unnumbered
from .quantities_named import is_part

_LONGEST = 400  # characters of a number
_PARTING = str.maketrans("", "", " ,'_")
_SMALL = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
_NUMBER = re.compile(
    r"""(?<![\w^√])(?<!\d[.,:])
    (?P<sign>(?<![\w)\]])[-+–]|(?<=[=:\ue000])\ ?[-–]\ |(?<=\bis\ )[-–]\ )?
    (?:(?P<whole>\d+)\ (?:and\ )?(?=\d+\ ?/\ ?\d))?                       # of a mixed fraction
    (?P<digits>(?:\d{1,3}(?:,\d{2,3})*,\d{3}|\d{1,3}(?:[ '_]\d{3})+|\d+)(?!\d)(?:\.\d+)?|\.\d+)
    (?:[eE](?P<power>[-+]?\d{1,3})(?!\w)|\ ?[×x*·]\ ?10(?:\^\(?(?P<ten>-?\d{1,3})\)?|(?P<small>[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]{1,4})))?
    (?:\ ?/\ ?(?P<under>\d+))?""",
    re.VERBOSE,
)
_BEFORE = re.compile(
    r"(?:(?<![-=])[+/^_√<>≤≥≠×÷·±⁻*]|(?:^|[^-=])[-–] |-/\+"
    r"|(?:sqrt|log|ln|sin|cos|tan|\bplus|\bminus|\btimes|\bdivided by) ?) ?\(*$|\w\($|\d ?[-–]$"
)
_BEHIND = re.compile(
    rf" ?(?:[+×÷·^*√]|[-–] ?[-–+]?\d|[-–] ?[\w(](?!\w)|/ ?(?:[\d(]|[xyznab]\b)|[xyzπ](?!\w))|[{_SMALL}]|[.,:'_]\d|[_\\]"
    rf"| ?[≤≥≠]| ?[<>]=? ?[\w(+-]| (?:plus|minus|times|divided by) [-(]*[.\d]|!+{FINAL_ENDS}"
)
_TIMES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_MANY = re.compile(rf"[ -]?({'|'.join(_TIMES)})s?\b|( and a half)\b", re.IGNORECASE)
_AND_SPELLED = re.compile(rf",? (?:and )?{NUMBER_WORD}\b", re.IGNORECASE)  # 18 thousand five hundred
_GLUED = re.compile(r"[^\W\d_]+")
_DENIES_BEHIND = re.compile(
    r"\s+(?:is|are|was)(?: not|n't) (?:it|right|correct|the answer|true|possible)\b"
    r"|\s+(?:is|are|was|seems|looks) (?:wrong|incorrect|false|impossible|unlikely|implausible|out of the question|"
    r"too (?:high|low|big|small|large|much|many|little|few))\b"
    r"|\s*[,:?–—-]?\s*(?:no|nope|wrong|incorrect|false)(?=\s*(?:[.,;!)\n]|$))"
    rf"|{DENIES_THEN}",
    re.IGNORECASE,
)
_DECLARED = rf"[^{STOP}\d]{{0,40}}$"
_FINAL_BEFORE = re.compile(
    rf"(?:{FINAL_BEGINS}|\bfinal\s+(?:answer|result|value)\b[^{STOP}:\d]{{0,40}}?{LINK}\s*){_DECLARED}", re.IGNORECASE
)
_DECLARES_BEFORE = re.compile(rf"\banswers?\b[^{STOP}:\d]{{0,60}}?{LINK}\s*{_DECLARED}", re.IGNORECASE)
_IS = r"(?:is|are|was|must be|has to be|would be|could be|can be|should be|will be)"
_DECLARES_BEHIND = re.compile(  # "18 is the answer", but "18 is the answer to the first part"
    rf"(?:(?: [^\W\d]+){{0,3}}?,? (?:which |that )?{_IS} (?:\w+ly |indeed )?(?:the|my|our|your|an) "
    r"| ?[:=–—-] ?(?:(?:the|my) )?| as (?:the|my) )(?:(?!not?\b)\w+ ){0,2}?answer\b"
    r"(?! (?:to|of|for|from|in|at)\b(?! (?:the|this|your) (?:question|problem)\b))",
    re.IGNORECASE,
)
_IS_RIGHT = re.compile(
    rf"(?: [^\W\d]+)? (?:{_IS} (?:\w+ly |indeed )?(?:correct|right|it)|answers (?:it|the question))"
    rf"(?=\W*(?:[{STOP},;)]|$)| (?:and|but|because|since|as|so)\b)",
    re.IGNORECASE,
)
_COMES_TO = re.compile(
    r"(?: [^\W\d]+){0,2},? (?:(?:which|that) )?(?:is|equals|makes|gives) [$(]*"
)  # half of 36, which is 18
_WORDS = r"(?:[^\W\d]+[ ]?){0,3}"
_LISTED = re.compile(
    rf"\s*(?:[/|&;]+|[?!]+|,? ?\b(?:and|or|to|vs|versus)\b\.?)?\s*"
    rf"|[^{STOP}\d]{{0,30}}\bor\b(?! (?:more|less|fewer|so)\b)[^{STOP}\d]{{0,30}}",
    re.IGNORECASE,
)
_COMMA = re.compile(rf"\s?{_WORDS},\s?(?:(?:and|or) )?|[)\]]\s?,?\s?[(\[]")
_ENDS_THERE = re.compile(
    rf"(?: ?[^\W\d]+)?(?: [-–—] |[^\w{STOP},]*(?:[{STOP}]|$|,\s?(?:and |or )?[^\w\s{STOP}]*\d))"
    r"|,? ?(?:\.{2,}|…)"
    r"|,? (?:(?:or|and) (?:so|something|thereabouts|more|less|similar|others?|such|the like|whatever)|etc|maybe|"
    r"perhaps|i (?:guess|think|suppose|believe)|take your pick|you (?:choose|pick|decide))\b",
    re.IGNORECASE,
)
_ADVERBIAL = re.compile(  # "Without the 2 bad ones, 18"
    r"\b(?:with(?:out)?|counting|in|after|(?:of|from|for|at|on|per|during) (?:the|these|those|all|his|her|their))"
    r"(?: (?:the|these|those|all|his|her|their))? $",
    re.IGNORECASE,
)
_SAYS = r"(?:guess|say|estimat|suppos|answer|think|believ|choos|pick|go|stat|claim|giv|bet)"
_INTRODUCES = re.compile(  # "After losing 3 marbles, 7 remain", "Subtracting 3, 7 remain"
    rf"(?:^|[{STOP}:,])\W*(?:(?:and|so|then|thus|therefore|hence|now|but)\b\W*)*(?:after|before|because|since|as|when|once|while|"
    rf"out of|of|from|with(?:out)?|given|by|in|on|for|if|(?!{_SAYS})\w{{2,}}ing)\b[^{STOP},\d]*$",
    re.IGNORECASE,
)
_REASON = re.compile(  # "18 because each bag holds 6", but "2 because he had 20, so 18" and "17 because 3 × 6 is 18"
    r"\d(?: [^\W\d]+){0,3},? \(?(?:because|since|as (?:each|every|there|he|she|it|they|we|one)|(?:given|seeing) that)\b"
    rf"(?![^{STOP}]*\b(?:so|then|thus|therefore|hence|leav\w+|giv\w+|mak\w+|total\w*)\b)"
    rf"[^{STOP}=,]*(?<!\bis )(?<!equals )[$(]*$",
    re.IGNORECASE,
)
_REMAINS = re.compile(r" (?:remain|stay|surviv|left|exist)\w*", re.IGNORECASE)
_WITH_UNIT = re.compile(r" ?([^\W\d]+)(,?) (?:and )?")
_CHANGES = re.compile(  # "dropped from 20 to 18"
    r"\b(?:drop|f[ae]ll|r[io]s|increas|decreas|gr[eo]w|went|go|chang|reduc|cut|lower|rais|declin|climb|shr[aiu]nk)\w*"
    r" from [$(\"']*$",
    re.IGNORECASE,
)
_OR_IN = re.compile(r" ([^\W\d]+), or ")  # "1080 minutes, or 18 hours"
_UNIT_BEHIND = re.compile(r" ?([^\W\d]+)")
_UNIT_ALONE = re.compile(r"\s?%?|\s?(?!(?:or|and|to)\b)[^\W\d]+[./ ]?(?:[^\W\d]|[./ ]){0,20}")
_FRACTIONS = (
    r"half|halves|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|elevenths?|twelfths?|"
    r"\w+teenths?|\w+tieths?|(?:hundred|thousand|[mb]illion|trillion)ths?"
)
_MONTHS = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?"
)
_NOT_ALONE = re.compile(  # behind a number: another quantity, or what makes another of the first
    rf"\b(?:{NUMBER_WORD}|\w+(?<=[bmtdnx]illion)s?|{_FRACTIONS}|{_MONTHS}|dozens?|score|gross|lakhs?|crores?|tens|mln|mn|bn|"
    r"[ap]\.? ?m|noon|midnight|(?:in|of) the (?:morning|afternoon|evening)|below|beneath|under par|than|plus|minus|"
    r"sqrt|root(?= \w)|pi|log|ln|sin|cos|tan|factorial|divided|(?:and|or) an?)\b"
    r"|^ (?:squared|cubed|(?-i:(?![mglshc]\b|a \w\w)[a-z]))(?!\w)",
    re.IGNORECASE,
)
_GLUED_ON = re.compile(r"\d ?([^\W\d_]+)(?:\d{2}|\d[^\W\d_])")  # "5h30", "6ft2in", but "5 km2"
_FRACTION = re.compile(r"(\d?)\\[dtc]?frac ?(?:\{ ?(-?[\d.,]+) ?\} ?\{ ?([\d.,]+) ?\}|(\d)(\d))")
_POWER_OF_A_WORD = re.compile(
    rf"((?:(?<![^\W\d_{_SMALL}])[^\W\d_]{{2,}}|(?<!\d)[^\W\d_]|[^\W\d_eE]))(?:[_^-]?\(?-?\d{{1,3}}\)?(?![\d.,]*\d)|[{_SMALL}]+)"
)
_INDEX = re.compile(r"(?<!\w)([^\W\d_xyzXYZ])_?\(?(\d{1,2})\)?(?= ?=)")  # "a_1 = 2", "f(1) = 2"; x is an unknown
_AS_INDEX = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")  # letters of a name for all that looks for numbers
_TAG = re.compile(r"<[/|]?[a-zA-Z][\w:-]*(?: [\w-]+=\"[^\"<>]*\")* ?[/|]?>")  # its ">" compares nothing
_LATEX_COMPARES = re.compile(r"[≧≦≳≲]|(?<![\w/\"])&(?:[lg][te]|ne);|\\(?:[lg]eq?(?:slant)?|neq?|[lg]t)(?![a-zA-Z])")
_PLUS_MINUS = re.compile(r"\bplus(?: or |/)minus\b", re.IGNORECASE)
_MINUS = re.compile(r"(?<!\d )(?<![-\w])(?:minus|negative) +(?=\.?\d)", re.IGNORECASE)
_MONEY = "$€£¥₹₩₽₺₪₫₱₦₴₡₲₸₵฿₿￥￡￦¢"
_SIGNS = str.maketrans({**dict.fromkeys(_MONEY + "°{}", ""), "\u2044": "/"})
_CODES = (
    "USD|EUR|GBP|JPY|CNY|RMB|CHF|CAD|AUD|NZD|HKD|SGD|TWD|KRW|INR|PKR|LKR|NPR|NOK|SEK|DKK|ISK|PLN|CZK|HUF|RON|BGN|RUB|UAH|"
    "TRY|ILS|AED|SAR|QAR|KWD|EGP|MAD|NGN|KES|GHS|ZAR|BRL|MXN|ARS|CLP|COP|PEN|THB|VND|IDR|MYR|PHP|BDT|"
    "RM|Rs|rs|kr|Kr|zł|zl|Kč|Ft|SFr|Fr|Rp|lei|"
    "usd|eur|gbp|jpy|cny|inr|chf|Eur"
)
_MANY_OF_MONEY = re.compile(rf"[{_MONEY}] ?[\d.,]+ ?[mMbBtTkK](?![^\W_])")  # $18m, which are no metres
_CURRENCY_BEFORE = re.compile(  # US$18, EUR18, Rs. 18
    rf"(?<![\w.])(?<!\d )(?:(?:[A-Z]{{1,3}}|Mex|Can|us)(?=\\?[{_MONEY}] ?[-+−]?\.?\d)"
    rf"|(?:{_CODES})\.? ?(?=\\?[{_MONEY}]?[-+−]?\.?\d)|R ?(?=\d[\d., ]*(?![\w=]| ?=)))"
)
_CURRENCY_BEHIND = re.compile(
    rf"(?<=\d)(?=(?:[A-Z]{{1,3}}\\?[{_MONEY}]|(?:{_CODES})(?!\w)|p(?!\w|\.m| ?[-+*/^=])))"
)  # 18kr, 18US$, 18p
_NOUNS = (
    r"(?: (?!(?:times|plus|minus|divided|or|and|is|are|equals|makes|gives|no|not|wait|but|actually)\b)[^\W\d_]+){0,2}"
)
_WHOLE = r"\d+(?:,\d{3})*(?:\.\d+)?"
_TERM = rf"\(?-?{_WHOLE}\)?{_NOUNS}"
_OPERATOR = r"(?: ?[-+–×÷*·x/^] ?| (?:times|plus|minus|divided by|over) )"
_SUM = rf"{_TERM}(?:{_OPERATOR}{_TERM}){{1,12}}"
_PROVED = re.compile(  # "18 because 3*6=18", "18 (20 - 2 = 18)": an equation that ends with the number before it
    rf"(?<![\w.,/*+×÷·^-])(?<![/*+×÷·^-] )(?P<said>(?P<number>-?{_WHOLE}){_NOUNS})[^\w?!+*/×÷·^=<>≤≥]{{1,6}}"
    rf"(?:(?:because|since|as|for|from|by|via|using|check|i\.?e\.?|namely)\b[^\w?!]{{1,4}})?"
    rf"(?:{_SUM} ?= ?{_TERM}[\s,;.]{{1,3}}(?:(?:and|so|then) )?){{0,4}}"
    rf"{_SUM}(?: ?= ?| (?:is|are|equals|makes|gives) )(?P=number)(?![.,]?\d){_NOUNS}\)?",
    re.IGNORECASE,
)


def number_in(text: str, expected: str) -> Fraction | None:
    """The number that a reply gives in the end; None where it gives none, or leaves a choice. `expected`: how the
    answer is spelled, which may be a fraction that is not in lowest terms."""
    plain = _plain(text)
    found = last_word(plain, _said(plain, _plain(expected).strip()))
    return found if isinstance(found, Fraction) else None


def spelled_number(text: str) -> Fraction | None:
    """The number that a text spells, and nothing beside it but a unit or what is counted: "18 red apples", "5 km/h".
    None for what is no single number: "5 hours 30 minutes", "2 thirds", "3 May", "5 pm", "2 dozen"."""
    plain = _plain(text).strip().rstrip(".")
    match = _NUMBER.match(plain) if len(plain) <= _LONGEST else None
    if match is None:
        return None
    value, end = _value(match, plain, match[0])
    behind = plain[end:]
    if not _UNIT_ALONE.fullmatch(behind) or _NOT_ALONE.search(behind) or _MANY_OF_MONEY.search(text):
        return None
    return None if any(is_unit(unit) for unit in _GLUED_ON.findall(text)) else value


def _plain(text: str) -> str:
    """A reply in which numbers are written with digits, a point, a slash and a sign."""
    text = _CURRENCY_BEHIND.sub(" ", _CURRENCY_BEFORE.sub("", text))
    text = "".join(f" {unicodedata.normalize('NFKC', one)}" if _is_vulgar(one) else one for one in text)
    text = _FRACTION.sub(_as_slash, undressed(text).replace("\\%", "%").replace("\\$", ""))
    text = _LATEX_COMPARES.sub("≤", _TAG.sub(" ", text))
    for latex, sign in (("\\times", "×"), ("\\cdot", "·"), ("\\pm", "±"), ("^\\circ", ""), ("\\div", "÷")):
        text = text.replace(latex, sign)
    text = _MINUS.sub("-", _PLUS_MINUS.sub("±", text.translate(_SIGNS)))
    text = _INDEX.sub(lambda found: found[1] + found[2].translate(_AS_INDEX), text)
    before = ""
    while before != text:  # several equations, each on its line
        before, text = text, _PROVED.sub(r"\g<said>", text)
    return unnumbered(_POWER_OF_A_WORD.sub(r"\1", text))


def _is_vulgar(one: str) -> bool:
    return not one.isascii() and unicodedata.decomposition(one).startswith("<fraction>")


def _as_slash(found: re.Match[str]) -> str:
    above, below = found[2] or found[4], found[3] or found[5]
    return f"{found[1]}{' ' * bool(found[1])}{above}/{below}"


def _said(text: str, expected: str) -> list[Said]:
    """What a reply declares and denies, and the last of the other numbers."""
    found = _breaths(text, expected)
    named = [one for one in found if one.rank is Rank.NAMED]
    return [one for one in found if one.rank is not Rank.NAMED or one is named[-1]]


def _breaths(text: str, expected: str) -> list[Said]:
    """All numbers, those together between which a reply leaves the choice; None is one that is part of something else.

    Of "the answer is 5 + 6 = 11" what stands behind the last "=" is declared, and 5 is not.
    """
    found: list[Said] = []
    sum_at: int | None = None  # where in `found` stands what is declared and is part of something else
    for match in _NUMBER.finditer(text):
        before = text[max(0, match.start() - CONTEXT) : match.start()]
        if is_compared(before):
            continue
        value, end = _value(match, text, expected)
        rank = _rank(before, text[end : end + CONTEXT])
        if rank is Rank.NAMED and found and found[-1].rank > Rank.DENIED and _is_reason(before):
            continue
        if sum_at is not None:
            part = text[found[sum_at].end : match.start()]
            if any(stop in part for stop in STOP):
                sum_at = None
            elif (part.rstrip().endswith("=") or _COMES_TO.fullmatch(part)) and rank is Rank.NAMED:
                rank, found[sum_at] = found[sum_at].rank, replace(found[sum_at], rank=Rank.NAMED)
                sum_at = None
        if found and rank is not Rank.DENIED and _are_listed(text, found[-1], rank, match.start(), end):
            first = found[-1]
            answers = first.answers if value in first.answers else (*first.answers[:8], value)  # two are too many
            found[-1] = Said(first.start, end, answers, max(first.rank, rank))
            continue
        found.append(Said(match.start(), end, (value,), rank))
        if value is None and rank >= Rank.DECLARED:
            sum_at = len(found) - 1
    return found


@lru_cache(maxsize=1024)  # a reply may say the same for as long as it is let
def _rank(before: str, behind: str) -> Rank:
    denied = is_denied(before)  # "the final answer is not 5"
    if _FINAL_BEFORE.search(before) and not denied:
        return Rank.FINAL
    if denied or _DENIES_BEHIND.match(behind):
        return Rank.DENIED
    declared = _DECLARES_BEFORE.search(before) or _DECLARES_BEHIND.match(behind)
    declared = declared or (_IS_RIGHT.match(behind) and BEGINS.search(before))
    return Rank.DECLARED if declared and not is_hedged(before) else Rank.NAMED


@lru_cache(maxsize=1024)
def _is_reason(before: str) -> bool:
    return _REASON.search(before) is not None


@lru_cache(maxsize=1024)
def _is_operand(before: str, behind: str) -> bool:
    """Whether signs beside a number make it a part of what is to be computed."""
    return _BEFORE.search(before) is not None or _BEHIND.match(behind) is not None


def _are_listed(text: str, first: Said, rank: Rank, start: int, stop: int) -> bool:
    """Whether a number and the one before it stand beside each other as in "5, 6", "5 or 6", "5, maybe 6" and "5 6"."""
    between, behind = re.sub("[\"'`]", "", text[first.end : start]), text[stop : stop + CONTEXT]
    before = re.sub("[\"'`]", "", text[max(0, first.start - CONTEXT) : first.start])
    if len(between) > CONTEXT or (_CHANGES.search(before) and re.fullmatch(r"(?: [^\W\d]+)? to ", between)):
        return False
    own = _UNIT_BEHIND.match(behind)
    if (unit := _OR_IN.fullmatch(between)) and own and own[1] != unit[1] and is_unit(unit[1]) and is_unit(own[1]):
        return False
    if _LISTED.fullmatch(between):
        return True
    if (unit := _WITH_UNIT.fullmatch(between)) and is_unit(unit[1]):  # 2 hours 30 minutes, but "after 3 days, 5 left"
        return not unit[2] or (own is not None and is_unit(own[1]))
    listed = _COMMA.fullmatch(between) and _ENDS_THERE.match(behind) and not _ADVERBIAL.search(before)
    if listed and not _is_introduced(before, between, behind):
        return True
    if first.rank is Rank.DENIED:
        return False
    # two that are declared, `last_word` compares
    declared = first.rank >= Rank.DECLARED
    if first.answers[-1] is not None and are_beside(before, between, behind, declared=declared):  # "3 × 6 → 18" is one
        return True
    if are_alternatives(before, between, behind, declared=declared):
        return True
    return rank < Rank.DECLARED and are_items(before, between, behind)


def _is_introduced(before: str, between: str, behind: str) -> bool:
    """Whether of two numbers with a comma between them the first belongs to a clause that the second ends."""
    if _INTRODUCES.search(before) is None or re.search(r"\b(?:and|or)\b", between):
        return False
    counted, own = between.split(",")[0].strip(), _UNIT_BEHIND.match(behind)
    return _REMAINS.match(behind) is not None or (counted != "" and (own is None or own[1] != counted))


def _value(match: re.Match[str], text: str, expected: str) -> tuple[Fraction | None, int]:
    """The number that was found, or None where it is part of something else, and where it ends, with a unit that is
    written to it."""
    end = match.end()
    before, value = text[max(0, match.start() - CONTEXT) : match.start()], _magnitude(match, expected)
    many = end
    while value is not None and (word := _MANY.match(text, many)):
        value = value + Fraction(1, 2) if word[2] else value * 10 ** _TIMES[word[1].lower()]
        many = word.end()
    if is_part(before, text[many : many + CONTEXT]) or (many > end and _AND_SPELLED.match(text, many)):
        return None, many
    if many == end and (glued := _GLUED.match(text, end)):
        if not is_unit(glued[0]):
            return None, glued.end()
        many = end = glued.end()
    behind = text[end : end + CONTEXT]
    if _is_operand(before[-12:], behind) or is_open(before, behind):
        return None, end
    end = many
    return -value if value is not None and (match["sign"] or "").strip() in ("-", "–") else value, end


def _magnitude(match: re.Match[str], expected: str) -> Fraction | None:
    if len(match[0]) > _LONGEST:
        return None
    small = (match["small"] or "").replace("⁻", "-")
    power = (
        match["power"] or match["ten"] or "".join(one if one == "-" else str(unicodedata.digit(one)) for one in small)
    )
    digits, under = match["digits"].translate(_PARTING), match["under"]
    if power and not re.fullmatch(r"[-+]?\d+", power):
        return None
    value = Fraction(digits) * Fraction(10) ** int(power or 0)
    if under is None:
        return value
    if not int(under) or "." in digits or (gcd(int(digits), int(under)) > 1 and match[0].strip() != expected):
        return None
    if match["whole"] is None:
        return value / int(under)
    return int(match["whole"]) + value / int(under) if value < int(under) else None
