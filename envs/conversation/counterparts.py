"""Two answers that stand under counterparts, so that a reply which gives both takes neither.

    condition    17 if you count Tom; 18 if you don't      with Tom 17, without him 18      17 unless he counts, then 18
    other        first guess 17, second guess 18           17 on one reading, 18 on the other
    speaker      some get 17, others get 18                Tom says A, Ann says B      a wise man says B, a fool A
    time         17 today, 18 tomorrow                     first 17, then 18
    repeated     It is 17. It is 18.      17 is it. 18 is it.      I say A and I say B

What is said beside the one answer, before it or behind it, has its counterpart beside the other. One condition alone
("18 if each bag holds 6") leaves nothing open, and neither do two numbers of a story ("2 are red and another 18 are
blue", "One angle is 72, the other is 18").

Left out: languages other than English, and counterparts that only their meaning makes ("17 uphill, 18 downhill").
"""

from __future__ import annotations

import re
from functools import lru_cache

from .last_word import STOP

UNIT = r"(?: ?(?!(?:or|and|if|unless|when|with|without)\b)[^\W\d_]+){0,2}?"
_GUESSES = (
    r"(?:option|possibility|candidate|solution|guess|attempt|alternative|choice|pick|estimate|plan|version|case|scenario|"
    r"interpretation|reading|way|view|method|approach|hand)"
)
ITEMS = rf"(?:{_GUESSES}|answer|result|value|root)"
_WHETHER = (
    r"(?:if|unless|when(?:ever)?|where|in case|as (?:long|soon) as|given|assuming|supposing|provided|"
    r"depending on|sometimes|(?:most |more |less |equally |just as |quite )?(?:un)?(?:likely|probable|probably))\b"
)
_INCLUDED = r"(?:with(?:out)?|(?:not )?counting|including|excluding|ignoring|leaving out)\b"
_LEFT_OUT = r"(?:without|not counting|excluding|ignoring|leaving out)\b"
_IN_WHAT = r"(?:by|on|in|for|under|according to|from)\b"
_OTHER = r"(?:another|alternative|others?|second|latter|next|different)\b"
_ONE = r"(?:one|some|first|former)\b"
_DETERMINER = r"(?:my|the|an?|another|other|second|third|next|alternative)"
_ON = rf"[^{STOP};\d]*"  # of a sentence
_WHOM = r"(?: [\w']+){0,2}\W*"
_NEXT = r"(?:\s*[.,;:!?/)\n]+|,?\s+(?=(?:and|but|or|while|whereas)\b))\W*(?:(?:and|but|or|while|whereas|then)\b\W*)*"
_FILLS = (
    r"(?:(?:(?:it|that|this|there|the answer|the number)(?:'?s| is| are| was| would be)|the|a|only|just|about)\s+)*"
)
_BARE = rf"(?:^|[^\w\s])\s*(?:so|thus|therefore)?,?\s*(?:the (?:\w+ )?)?{_FILLS}(?:answer\s*(?:is|:)?)?\W*$"

_BEFORE = [  # what stands before the first answer, and between the two
    (rf"\b{_WHETHER}{_ON}", rf"{UNIT}{_NEXT}{_WHETHER}{_ON}"),
    (rf"\b{_INCLUDED}{_WHOM}", rf"{UNIT}{_NEXT}{_LEFT_OUT}{_WHOM}"),
    (rf"\b{_LEFT_OUT}{_WHOM}", rf"{UNIT}{_NEXT}{_INCLUDED}{_WHOM}"),
    (r"\bfirst(?:ly)?\W*", rf"{UNIT}{_NEXT}(?:my |the )?(?:second|next|last|then)(?:ly)?\W*"),
    (rf"\b{ITEMS}\b[^{STOP};,\d]{{0,30}}", rf"{UNIT}{_NEXT}(?:\w+ ){{0,3}}?{_OTHER}[^{STOP};,\d]{{0,30}}"),
    (r"\bsome (?P<said>\w+)\W*", rf"{UNIT}{_NEXT}(?:some|others) (?P<said>\w+)\W*"),
    (r"\b(?P<said>says|said|thinks|believes|claims)\W*", rf"{UNIT}{_NEXT}(?!i\b)\w+ (?P<said>\w+)\W*"),
    (
        rf"\b(?P<said>{_GUESSES})\b(?: \w+){{0,2}}[^\w{STOP}]*",
        rf"{UNIT}{_NEXT}(?:{_DETERMINER} ){{0,2}}(?P<said>{_GUESSES})\b(?: \w+){{0,2}}\W*",
    ),
]
_ASIDE = r"(?:[ ,(]|\b(?:is|are)\b)*"
_BEHIND = [  # what stands between two answers, and behind the second
    (rf"{UNIT}{_ASIDE}(?:{_WHETHER}|{_INCLUDED}){_ON}{_NEXT}{_FILLS}", rf"{UNIT}{_ASIDE}(?:{_WHETHER}|{_INCLUDED})"),
    (
        rf"{UNIT}{_ASIDE}(?:\w+ )?(?:the )?{_ONE}{_ON}{_NEXT}{_FILLS}",
        rf"{UNIT}{_ASIDE}(?:\w+ )?(?:the |an? )?{_OTHER}",
    ),
]
_CONDITION, _COUNTED = (rf"{UNIT}{_ASIDE}{word}{_ON}{_NEXT}{_FILLS}" for word in (_WHETHER, _INCLUDED))
_IN_EACH = rf"{UNIT}{_ASIDE}(?P<said>{_IN_WHAT}){_ON}{_NEXT}{_FILLS}", rf"{UNIT}{_ASIDE}(?P<said>{_IN_WHAT})"
_BUT = r"(?:\s*[,;:/]|,?\s+(?=(?:and|but|or)\b))\W*(?:(?:and|but|or|then)\b\W*)*"
_EXCEPT = rf"{UNIT}(?:{_BUT}| ?\()", rf"{UNIT}{_ASIDE}(?:{_WHETHER}|{_INCLUDED})"  # 17, but 18 if he counts
_BUT_WITH = rf"{UNIT},? (?:but|or|and) ", _EXCEPT[1]
_THEN = rf"{UNIT}{_BUT}{_WHETHER}{_ON}"
_UNLESS = rf"{UNIT},? unless\b{_ON}"
_SAYS = r"\b(?:says?|said|picks?|chooses?|answers?|claims?|guess(?:es)?) [(\[\"']*$"
_WHO = r"(?:an?|the|another|my|your|his|her|their|others?)"
_SO_DO = rf"{UNIT}[)\]\"']*,? (?:(?:and|but|while) )?{_WHO}(?: \w+){{0,2}} "  # ", a fool A"
_NOW = rf"{UNIT} (?:today|now|yesterday|tonight|at first|(?:this|last) \w+|before|on \w+day){_NEXT}{_FILLS}"
_LATER = rf"{UNIT} (?:today|tomorrow|later|afterwards?|tonight|(?:this|next) \w+|after|on \w+day)\b\W*(?:[{STOP}]|$)"
_ENDS = rf"{UNIT}\W*(?:[{STOP}]|$)"
_STEPS = re.compile(r"\W*(?:(?:then|and|so|now|next|add|plus|again|still)\b\W*)*", re.IGNORECASE)
_HOLDS = re.compile(r" (?:is|must be|has to be|would be|could be|can be|works|fits|holds|seems|looks)\b", re.IGNORECASE)
_PARTS = re.compile(rf"[{STOP},;]|\b(?:and|but|or)\b", re.IGNORECASE)
_HOW = re.IGNORECASE


@lru_cache(maxsize=1024)  # a reply may say the same for as long as it is let
def are_counterparts(before: str, between: str, behind: str, *, declared: bool) -> bool:
    """Whether of two answers with these words before, between and behind them the one has its counterpart in the other.
    `declared`: the first is said to be the answer, so that the second does not follow from it."""
    if any(_both(*pair, before, between, at_end=True) for pair in _BEFORE):
        return True
    if any(_both(*pair, between, behind, at_end=False) for pair in _BEHIND) or re.fullmatch(_UNLESS, between, _HOW):
        return True
    if declared or re.search(_BARE, before, _HOW):
        if re.fullmatch(_CONDITION, between, _HOW):
            return True
        if re.fullmatch(_COUNTED, between, _HOW) and re.match(_ENDS, behind, _HOW):
            return True
        if _both(_NOW, _LATER, between, behind, at_end=False):
            return True
    if re.search(_SAYS, before, _HOW) and re.fullmatch(_SO_DO, between, _HOW) and re.match(_ENDS, behind, _HOW):
        return True
    if _both(*_BUT_WITH, between, behind, at_end=False):
        return True
    but_if = _both(*_EXCEPT, between, behind, at_end=False) or re.fullmatch(_THEN, between, _HOW)
    if but_if and not declared and re.search(_BARE, before, _HOW):  # "The answer is 18 (20 if …)" has said it
        return True
    return (declared and _both(*_IN_EACH, between, behind, at_end=False)) or _is_repeated(before, between, behind)


def _both(one: str, other: str, left: str, right: str, *, at_end: bool) -> bool:
    """Whether both texts match, the first at its end or as a whole, and say the same word where they are to."""
    first = re.search(f"{one}$", left, _HOW) if at_end else re.fullmatch(one, left, _HOW)
    second = (re.fullmatch if at_end else re.match)(other, right, _HOW) if first else None
    if first is None or second is None:
        return False
    said = [match.groupdict().get("said") for match in (first, second)]
    return said[0] is None or said[0].casefold() == (said[1] or "").casefold()


def _is_repeated(before: str, between: str, behind: str) -> bool:
    """Whether a sentence is said again with another answer: "It is 17. It is 18"; what is assigned again is a step."""
    ahead, (follows, *parts) = _PARTS.split(before)[-1], _PARTS.split(between)
    if not parts or any(map(_words, parts[:-1])) or re.search(r"[=\d]", ahead):
        return False
    if _STEPS.fullmatch(ahead) and (_words(ahead) or not _HOLDS.match(follows)):
        return False
    return _words(ahead) == _words(parts[-1]) and _words(follows) == _words(_PARTS.split(behind)[0])


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'%]+", text.casefold())
