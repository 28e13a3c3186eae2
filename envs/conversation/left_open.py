"""Words beside a number that leave open which one is meant: bounds, ranges, alternatives and lists.

    bound         at least 18      less than 18      18 or more      ≥ 18      within 18
    range         17 through 18      17..18      17 ± 1      17, give or take 2
    alternative   17, maybe 18      It could be 17. It could also be 18.      17, though 18 is possible
    list          Answer 1: 17 / Answer 2: 18      1. 17 ⏎ 2. 18      x = 17, x = 18      17 apples. 18 apples.
    one of some   18 is one possible answer      18 is possible      18 unless Tom is counted      18 as long as he pays

Who says one of these would be right for more than one answer, and is paid for none. An estimate ("about 18", "18 or
so", "≈ 18") names one number and is compared like any other: whoever rounds has committed, and a task's `tolerance`
says how much rounding is right.

Left out: languages other than English, and lists whose items are sentences of different forms.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..sandbox.mathematics.units import is_unit
from .counterparts import ITEMS, are_counterparts
from .last_word import STOP

_COMPARED = r"(?:more|less|worse|(?!other|rather)\w{2,}er) than(?: or equal to)?"
NUMBER_WORD = (
    r"(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundred|thousand|million)"
)
_BOUND_BEFORE = re.compile(
    rf"(?:\b(?:{_COMPARED}|at (?:the )?(?:very )?(?:least|most)|as (?:much|many|few|little|high|low|large|small) as"
    r"|up to|upwards? of|(?:nor|sou)th of|short of|over|under|below|above|beyond|beneath|within|exceed(?:s|ed|ing)?"
    r"|give or take|(?<!\d)(?<!\d )min|minimum|max(?:imum)?"
    r"|(?<!has )(?<!reaches )(?<!attains )a (?:min|max)imum of)\b\.?"
    r"|(?:low|upp)er (?:bound|limit) of\b|capped at\b"
    r"|[<>!]=|=<|<>|=/=|/=|⩾|⩽)(?:\s*\b(?:about|around|roughly|approximately|exactly|precisely|the))*"
    rf"(?:\s*\b{NUMBER_WORD} ?\()?\s*[(\[\"']*$"
    r"|(?:^|[^\w\s]\s*|\n|\bis )at (?:(?:the )?(?:very )?(?:least|most)|a (?:min|max)imum)[):,]*\s*$",
    re.IGNORECASE,
)
_REACHES = re.compile(  # "that adds up to 18" names it
    r"\b(?:add|sum|com|came|total|round|go|went|bring|brought|tak|took|work|mak|made|count|get|got|grow|grew|ris|rose)"
    r"\w*(?: (?:it|that|them|this|these|all))? up to\W*$",
    re.IGNORECASE,
)
_ACROSS = re.compile(  # "jumps over 18 hurdles"
    r"\b(?:jump|leap|leapt|hop|skip|step|climb|cross|fl[ey]|flies|dr[io]v|r[au]n|r[io]d|walk|swam|swim|sail|travel|crawl|"
    r"pass|go|went|hid|bur[iy]|sle[ep]|sat|sit|put|plac|lay|lie|liv|look|trip|stand|stood|h[au]ng|float|hover|built|build)"
    r"\w*(?: (?:it|them|him|her|out|all|(?:the|a|his|her) \w+))? (?:over|under|above|below|beyond|beneath) $",
    re.IGNORECASE,
)
_UNIT = r"(?: ?(?!(?:or|and)\b)[^\W\d_]+){0,2}?"
_FURTHER = r"(?:more|less|fewer|greater|smaller|higher|lower|larger|above|below|over|under|up|upwards?|onwards?|beyond)"
_SLIGHTLY = r"(?:even |possibly |maybe |perhaps |slightly |a (?:bit|little|few) )?"
_BOUND_BEHIND = re.compile(
    rf"(?!,? more or less\b){_UNIT},? (?:or {_SLIGHTLY}{_FURTHER}\b(?! (?:precisely|exactly|simply|than)\b)"
    rf"|and {_SLIGHTLY}{_FURTHER}\b(?! than\b)(?=\W*(?:[.!?;,)\n]|$))|if not {_FURTHER}\b"
    r"|at (?:the )?(?:very )?(?:least|most)\b(?=\W*(?:[^\w\s'\"]|$|\n)| (?:and|or|but|if|for|per|when|because)\b)"
    r"|(?:max|maximum|minimum|tops)\b(?=\W*(?:[.!?;,\n]|$)))|[ -]plus\b(?! ?[-(]?\.?\d)| \(?(?:±|\+/-)|±"
    rf"|{_UNIT} \((?:at (?:the )?(?:very )?(?:least|most)|or {_FURTHER}|(?:min|max)(?:imum)?)\)|{_UNIT} upwards\b"
    r"|,? give or take(?: \d| an?\b| some| (?:one|two|three|four|five)\b)",
    re.IGNORECASE,
)
_OPEN_BEFORE = re.compile(rf"\b{NUMBER_WORD},? (?:or|to) (?:maybe |perhaps |possibly )?$", re.IGNORECASE)
_NAMELESS = (  # pronouns that name no answer, and what stands for one
    r"(?:some(?:thing|one|body|where)|anything|nothing|(?:an)?others?|different|whatever|whichever|any|none|neither|not|else|"
    r"both|either|all|similar|who knows|i (?:don't|do not) know|no idea|n/?a|unknown|undefined|unsure)\b"
)
_ELSE = re.compile(  # "or something else", "; maybe another one"
    rf"{_UNIT}[^\w/|]*(?:(?:and/)?\bor\b|\b(?:else|otherwise)\b|[/|])\W*(?:(?:maybe|perhaps|possibly|even|just|well)\b\W*)*"
    rf"(?:(?:some|an?|any|one of the|the)\b\W*)?{_NAMELESS}"
    rf"|{_UNIT}\W*\b(?:(?:maybe|perhaps|possibly|could be|might be|may be)\b\W*)+(?:(?:some|an?|the)\b\W*)?{_NAMELESS}"
    r"(?:\W*(?:[.!?;,)\n]|$)| (?:else|one|answer|number|value|letter|option)\b)",
    re.IGNORECASE,
)
_OPTION = r"(?:answer|option|possibility|candidate|solution|choice|value|number|result|letter|outcome)"
_MAY_BE = r"(?:possible|plausible|potential|conceivable|likely)"
_ONE_OF = rf"(?:(?:one|an?)(?: {_MAY_BE})?|one (?:of|among) (?:the|several|many|two|a few)(?: {_MAY_BE})?)"
_AMONG_OTHERS = re.compile(  # "One possible answer is 18", but "the one possible answer"
    rf"(?<!the )(?<!only )\b(?:one {_OPTION}|(?:one|an?) {_MAY_BE} {_OPTION}"
    rf"|one (?:of|among) (?:the|several|many|two|a few)(?: {_MAY_BE})? {_OPTION}s|an? (?:possibility|candidate|option))"
    r" (?:is|would be|could be|might be|may be) (?:option |choice )?[(\[\"']*$",
    re.IGNORECASE,
)
_ON_CONDITION = re.compile(  # "18 unless Tom is counted", "B as long as it rains", "18 is one possible answer"
    rf"[)\]\"']*(?:{_UNIT},? (?:unless\b(?! (?:i|we)\b)|(?:as|so) long as\b(?! an?\b)|only (?:if|when|as long as)\b"
    r"|in case\b|on (?:the )?condition\b|depending on\b)"
    rf"|{_UNIT} (?:is|are|would be|could be|might be|may be|seems) (?:only |just |but )?{_ONE_OF} {_OPTION}s?\b"
    r"| (?:is|would be|seems|remains) (?:\w+ly |quite |still |also )?(?:possible|plausible|conceivable)\b"
    r"(?=\W*(?:[.!?;,)\n]|$))"
    rf"|{_UNIT} (?:is|are) among the (?:{_MAY_BE} )?{_OPTION}s\b)",
    re.IGNORECASE,
)
_ONLY = re.compile(r"\bonly (?:option |answer )?[(\[\"']*$", re.IGNORECASE)  # "Only B is possible"
_OPEN_BEHIND = re.compile(
    rf",? or (?:maybe |perhaps |possibly |even )?{NUMBER_WORD}\b"
    rf"|{_UNIT},? (?:otherwise|else|if not)\b(?=\W*(?:[.!?;,)\n]|$))"
    rf"|{_UNIT} (?:if|when|unless)\b[^.!?;\n\d]{{0,40}}\d[^.!?;\n]{{0,20}}\b(?:otherwise|else|if not)\b",
    re.IGNORECASE,
)
_THING = re.compile(r" ([^\W\d_]+)")
_PART_OF = re.compile(  # "18 of the 20", "18 apples out of 20"
    r"\d \(?(?:of|(?:[^\W\d]+ )?out of) (?:(?:the|these|those|all|his|her|their|our)\b ?){0,2}$",
    re.IGNORECASE,
)
_ASIDE = re.compile(  # "18, which is more than 17", "18 (less than 20)"
    rf"\d[^\d]*(?:[,(]|\b(?:which|that) is\b|\bthat's\b)\s*(?:(?:which|that) is )?(?:\w+ )?{_COMPARED}\s*$",
    re.IGNORECASE,
)
MAYBE = (
    r"(?:maybe|perhaps|possibly|probably|could|might|may|alternatively|alternative|otherwise|else|conceivably|potentially|"
    r"likely|or|if not|then again|(?:an)?other (?:possible )?(?:answer|number|value|result|option|possibility))"
)
FILLS = (
    r"(?:it|this|that|is|be|are|was|the|an?|answer|number|value|result|total|even|well|equally|just|then|i|i'd|we|you|"
    r"one|other|another|also|say|think|guess|believe|would|will|have|been|to|of|course|there|and|but|though|although|as|take|give|plus)"
)
_PARTED = rf"(?:{_UNIT}(?=\s?[,(;]| (?:but|and|or)\b)|(?=\s*(?:[^\w\s]|\n|(?:but|and|or|though|although)\b)))"
_PERHAPS = re.compile(
    rf"{_PARTED}(?=.*\b{MAYBE}\b)\W*(?:\b(?:{MAYBE}|{FILLS})\b\W*)*",
    re.IGNORECASE | re.DOTALL,
)
_ALSO = re.compile(r"\W*(?:\b(?:and|but)\b )?\balso\b\W*", re.IGNORECASE)
_RANGE = re.compile(
    r"\s*\b(?:as well as|otherwise|or else|through|thru|up to(?: and including)?|to|until|till|vs|versus)\b\.?\s*",
    re.IGNORECASE,
)
_JOINS = re.compile(  # but "B. While D is plausible, B is better"
    r"(?!\s*[.!?]\s*(?:while|though|although)\b)\W*(?:\b(?:but|and|or|though|although|while|the|an?|answer|value|number|of)\b\W*)*",
    re.IGNORECASE,
)
_AS_WELL = re.compile(  # "A is right, and so is B", "some say 17, some say 18"
    r"[^.!?\n\d]{0,40}\band so (?:is|are)\W*|\W*(?:(?:and|but|while) )?(?:some|others) (?:say|think|believe|claim) ",
    re.IGNORECASE,
)
_TOO = re.compile(
    r" (?:is|are|would be|could be|may be|might be|seems|remains)(?: (?:also|just as|equally|still|quite|another))*"
    r" (?:possible|plausible|conceivable|likely|an option|option|a possibility|possibility|a candidate)\b"
    r"| (?:also|equally) (?:works|fits|seems right)\b"
    r"| (?:works|fits|is (?:right|fine|correct))(?: just)? (?:too|as well)\b",
    re.IGNORECASE,
)
_LABEL = (
    r"(?:\b(?:my|the|an?|one|another|other|first|second|third|fourth|next|alternative|possible)\s+)*"
    r"\b(?P<noun>[^\W\d_]+)\s*(?:[:=→]|\b(?:is|are|would be|could be)\b)\s*(?:(?P<symbol>[^\W\d_]+)\s*=\s*)?[\"'(\[]*"
)
_LABEL_BEFORE = re.compile(rf"{_LABEL}$", re.IGNORECASE)
_LABEL_BETWEEN = re.compile(rf"(?P<parts>\W*(?:\b(?:and|or|but)\b\W*)?){_LABEL}", re.IGNORECASE)
_ANOTHER = re.compile(r"\b(?:other|another|second|third|fourth|next)\b", re.IGNORECASE)  # number than the first
_LATER = re.compile(rf"{_UNIT},? (?:after|once|now|afterwards|at the end|in the end)\b", re.IGNORECASE)
_SAME_UNIT = re.compile(r"(?P<unit> [^\W\d_]+(?: [^\W\d_]+)?)\s*(?:\n|[^\w\s=+*×·÷-]+)\s*")
_BARE_BEFORE = re.compile(rf"(?:^|[^\w\s]|\n)\s*(?:\b(?:{FILLS}|so|thus|therefore)\b\W*)*$", re.IGNORECASE)
_BARE_BEHIND = re.compile(r"\s*(?:[^\w\s]|\n|$)")
_SIGNS = re.compile(rf"(?=.*[^\s.,])[^\w{STOP}]+")  # "17 → 18"
_ONE_WORD = re.compile(  # "17 oder 18", of whatever language, where it is no English one that relates the two
    r" (?!(?:of|out|in|by|because|since|as|via|using|for|"
    r"per|at|from|on|after|before|not|over|so|hence|thus|is|are|was|makes?|made|gives?|"
    r"becomes?|minus|plus|times|less|more|than)\b)[^\W\d_]+ ",
    re.IGNORECASE,
)
BEGINS = re.compile(rf"(?:^|[{STOP}])\W*(?:\b(?:{FILLS}|so|thus|therefore)\b\W*)*$", re.IGNORECASE)
_BEGINS_WITH = re.compile(rf"{BEGINS.pattern}|^\W*[^\W\d_]+ $", re.IGNORECASE)  # "zwischen 17 und 18"
_NOTHING_BEHIND = re.compile(rf"(?: [^\W\d_]+)?[^\w{STOP}]*(?:[{STOP}\d]|$)")
_NUMBERED = re.compile(  # "Answer 2: 18", "Option b) is 18"
    rf"(\b{ITEMS}s?)\s*(?:#|no\.?|number)?\s*\(?(?:\d{{1,2}}|[a-h]|[ivx]{{1,4}})\)?"
    rf"(?=\s*(?:[:=.)]|\b(?:is|are|would be|could be|might be|may be)\b)\s*(?:\w\s*=)?\W{{0,5}}\d)",
    re.IGNORECASE,
)
_MARK = r"\(?(?:\d{1,2}|[a-hA-H]|[ivx]{1,3})[.)]"
_ITEM = re.compile(  # "1. 17" in a line of its own, "(a) 17 (b) 18"
    rf"^[ \t]*{_MARK}[ \t]+(?=[-+(]?\d[\d.,]*(?: [^\W\d_]+)?[.,;]?[ \t]*(?:$|{_MARK}))"
    rf"|(?<=\d ){_MARK} (?=\d)",
    re.MULTILINE,
)
_BULLET = re.compile(r"^[ \t]*[-•*▪◦‣][ \t]+(?=\d[\d.,]*(?: [^\W\d_]+)?[ \t]*$)", re.MULTILINE)
_WORKING = re.compile(
    r"(\d(?: [^\W\d_]+){0,2}) ?\((?!\+/-)(?=[^()]*(?:[+×÷*·/^]|\d ?x ?\d)| ?= ?\d[\d .]*-)[\d .,=+×÷·*x/^-]+\)"
)  # 18 (3 × 6)
_LATEX_OR = re.compile(r" ?(?:\\(?:lor|vee)(?![a-zA-Z])|∨) ?")
_LIKELIHOOD = r"(?:probability|chance|likelihood|confidence|certainty)"
_CHANCE = re.compile(  # 17 (60%), 18 (40%); 17 with probability 0.6 and 18 with probability 0.4
    r"(?<=\w) ?\(\d{1,3}(?:\.\d+)? ?%(?: [a-z]+)?\)"
    rf"|,? with (?:an? )?{_LIKELIHOOD}(?: of)? (?:\d{{1,3}}(?:\.\d+)? ?%|[01]?\.\d+|1\b|\d{{1,2}}/\d{{1,3}})"
    rf"|,? with (?:an? )?\d{{1,3}}(?:\.\d+)? ?% {_LIKELIHOOD}\b",
    re.IGNORECASE,
)
_SPELLED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SPELLS = {word: n for n, word in enumerate(_SPELLED.split())}
_SPELLS |= {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}
_AGAIN = re.compile(  # "18, or eighteen"
    rf"\b(?P<one>\d{{1,9}}|{NUMBER_WORD}(?:-{NUMBER_WORD})?),? or "
    rf"(?P<other>\d{{1,9}}|{NUMBER_WORD}(?:-{NUMBER_WORD})?)\b(?![.,]\d)",
    re.IGNORECASE,
)
_IF_NOT = re.compile(r",? if not (?=[(\[\"']*(?:\d|[A-Z]\b))")
_DOTS = re.compile(r"(?<=\d) ?(?:\.{2,}|…) ?(?=\d)")


def unnumbered(text: str) -> str:
    """A reply in which the items of a list have no numbers or letters of their own, and a number has no working in
    brackets behind it; "17..18" is "17 to 18"."""
    text = with_or(_AGAIN.sub(_once, _WORKING.sub(r"\1", text)))
    return _DOTS.sub(" to ", _ITEM.sub("", _BULLET.sub("", _NUMBERED.sub(r"\1", text))))


def _once(found: re.Match[str]) -> str:
    """Of "18 or eighteen" the digits, and any two numbers as they are."""
    one, other = _spelled(found["one"]), _spelled(found["other"])
    return found[0] if one is None or one != other else str(one)


def _spelled(number: str) -> int | None:
    parts = [int(word) if word.isdecimal() else _SPELLS.get(word) for word in number.lower().split("-")]
    return None if None in parts else sum(part for part in parts if part is not None)


def with_or(text: str) -> str:
    """A reply in which "17, if not 18" and "A if not B" are said with "or", and no answer has its chance behind it."""
    return _CHANCE.sub("", _IF_NOT.sub(" or ", _LATEX_OR.sub(" or ", text)))


@lru_cache(maxsize=1024)  # a reply may say the same for as long as it is let
def is_open(before: str, behind: str) -> bool:
    """Whether a number between these words is a bound, or has an alternative beside it that is no number."""
    bound = _BOUND_BEFORE.search(before) and not _REACHES.search(before)
    if bound and _ACROSS.search(before) and (thing := _THING.match(behind)) and not is_unit(thing[1]):
        bound = False
    return bool(
        bound
        or _BOUND_BEHIND.match(behind)
        or _OPEN_BEFORE.search(before)
        or _OPEN_BEHIND.match(behind)
        or has_else(behind, before)
    )


def has_else(behind: str, before: str = "") -> bool:
    """Whether an answer has one beside it that names nothing: "B or something else", "B unless it rains"."""
    condition = _ON_CONDITION.match(behind) and not _ONLY.search(before)
    return bool(_ELSE.match(behind) or condition or _AMONG_OTHERS.search(before))


@lru_cache(maxsize=1024)
def is_compared(before: str) -> bool:
    """Whether a number behind these words is only what another one is compared with, or a part of: "18, which is more
    than 17", "18 of the 20"."""
    return _ASIDE.search(before) is not None or _PART_OF.search(before) is not None


def are_alternatives(before: str, between: str, behind: str, *, declared: bool = False) -> bool:
    """Whether of two answers with these words before, between and behind them the reply takes neither. `declared`: the
    first is said to be the answer."""
    if _ALSO.fullmatch(between) and _BARE_BEHIND.match(behind):  # "17. Also 18", but "2 are red, also 18 are blue"
        return True
    if _PERHAPS.fullmatch(between) or _RANGE.fullmatch(between) or _AS_WELL.fullmatch(between):
        return True
    if _JOINS.fullmatch(between) and _TOO.match(behind):
        return True
    return are_counterparts(before, between, behind, declared=declared)


def are_beside(before: str, between: str, behind: str, *, declared: bool) -> bool:
    """Whether a reply, or what it declares, is two answers with nothing but signs or one word between them."""
    if not _NOTHING_BEHIND.match(behind):
        return False
    if _SIGNS.fullmatch(between):
        return declared or BEGINS.search(before) is not None
    return _ONE_WORD.fullmatch(between) is not None and (declared or _BEGINS_WITH.search(before) is not None)


def are_items(before: str, between: str, behind: str) -> bool:
    """Whether two answers with these words before, between and behind them are items of a list: "x = 17, x = 18" with
    the same label, "17 apples. 18 apples" with the same unit and nothing else."""
    unit = _SAME_UNIT.fullmatch(between)
    if unit and behind.startswith(unit["unit"]) and _BARE_BEHIND.match(behind, len(unit["unit"])):
        return _BARE_BEFORE.search(before) is not None
    first, second = _LABEL_BEFORE.search(before), _LABEL_BETWEEN.fullmatch(between)
    if not first or not second or _LATER.match(behind):
        return False
    same = _names(first) & _names(second)
    if any(re.fullmatch(ITEMS, word) for word in same):
        return True
    return bool(same) and not re.search(r"[.!?\n]", second["parts"]) and not _ANOTHER.search(second[0])


def _names(label: re.Match[str]) -> set[str]:
    return {word.casefold() for word in label.group("noun", "symbol") if word}
