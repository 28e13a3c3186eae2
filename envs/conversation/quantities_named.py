"""Words beside a number that make another quantity of it, so that the number alone is not what is said.

    multiplied    18 dozen      18 lakh      twice 18      18 squared      18 times itself      18 minus two
    a part        half of 18      10% of 18      7 sevenths      18 hundredths      the reciprocal of 7
    with more     18 and a quarter      18 hours and thirty minutes      one hour and 18 minutes      a hundred and 18
    other         the opposite of 7      minus the number 7      1 followed by 7 zeros      the number after 18

What is counted leaves a number as it is: "18 eggs", "18 quarters" (coins), "18 fifth graders", "18% of the class".

Left out: languages other than English.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..sandbox.mathematics.units import read_unit
from .last_word import STOP
from .left_open import NUMBER_WORD

_PART = (  # of a whole
    r"(?:half|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|\w+teenth|\w+tieth|"
    r"hundredth|thousandth|\w+illionth)"
)
_PARTS = rf"(?:halves|(?!quarter){_PART}s)"
_LARGE = (
    r"(?:(?:baker's |half[ -])?dozens?|myriads?|lakhs?|crores?|mln|mn|bn|quadrillions?|quintillions?|tens|googols?)"
)
_ENDS = rf"(?=\W*(?:[{STOP},;)]|$))"
_COUNT = rf"(?:{NUMBER_WORD}(?:[ -]{NUMBER_WORD})*)"
_SHARE = rf"and (?:(?:an?|{_COUNT})[ -]{_PART}s?|half)\b"
_BEHIND = re.compile(
    rf"[ -]*(?:{_LARGE}\b|gross\b(?! (?:profit|income|pay|margin|revenue|salary|sales|wage))"
    rf"|score\b(?:{_ENDS}| (?:and|of|years)\b)|{_PARTS}\b|{_PART}(?:{_ENDS}| of\b)"
    r"|(?:squared|cubed|factorial|doubled|tripled|quadrupled|halved|negated|inverted|reversed|backwards|repeated)\b"
    r"|(?:plus|minus|times|over|less|added to|divided by|multiplied by) itself\b"
    rf"|(?:plus|minus|times|(?:divided|multiplied) by|mod(?:ulo)?|take away|(?:in|de)creased by"
    r"|(?:more|less|fewer|greater) than)"
    rf" {NUMBER_WORD}\b"
    rf"|(?:over|less|choose) {_COUNT}\b{_ENDS}|(?:raised )?to the (?:power\b|\w+ power\b)|below zero\b"
    rf"|point {NUMBER_WORD}\b|(?:%|per ?cent) of (?:{NUMBER_WORD}\b|\(?\d)|\\?pi\b"
    rf"|(?-i:[bjknq])(?![\w'/]|\.\w)|(?-i:i){_ENDS}"
    rf"|{_SHARE}(?! (?:of|the|are|is|were|was)\b)|[^\W\d]+ {_SHARE}{_ENDS})",
    re.IGNORECASE,
)
_OF = (
    rf"(?:%|\b(?:per ?cent|{_PART}s?|halves|double|triple|square|cube|roots?|reciprocals?|inverse|opposite|negatives?|"
    r"negation|factorial|log(?:arithm)?|multiples?|divisors?|digits?|successor|predecessor|complement|supplement|sine|"
    r"cosine|tangent))"
)
_BEFORE = re.compile(
    r"(?:(?:\b(?:twice|thrice|double|triple|quadruple|treble|(?<!other )(?<!first )(?<!second )(?<!each )half)"
    rf"|{_OF} of|\b(?:minus|negative|plus|times|(?:square|cube) root))"
    r" (?:the )?(?:(?:number|value|integer|quantity) )?"
    r"|\b(?:half past|quarter (?:past|to)) |(?:\d|\b(?:one|ten|zeros?)) followed by "
    r"|\bto the power (?:of )?|\d (?:raised )?to the |\d raised to "
    rf"|(?:\d|\b{NUMBER_WORD}) (?:(?:added|multiplied|divided) (?:to|by)|(?:subtracted|taken) from|less) "
    r"|\b(?:sum|product|difference|quotient|average|mean) (?:of|between) (?:the )?(?:[^\W\d]+ ){1,3}and "
    r"|\b(?:number|integer|prime|one) (?:directly |just |right )?(?:before|after|preceding|following) "
    r"|\b(?:dozen|hundred|thousand|million|billion) and )[$(\[\"']*$",
    re.IGNORECASE,
)
_WITH_ZEROS = re.compile(r"(?:\bone|\d) (?:and|with|then) $", re.IGNORECASE), re.compile(r" (?:zero|nought)(?:s|es)\b")
_AND_MORE = re.compile(rf" ?([^\W\d]+) (?:{_COUNT}|and (?:an?|{_COUNT})) ([^\W\d]+)", re.IGNORECASE)
_AND_THIS = re.compile(rf"\b(?:an?|{_COUNT}) ([^\W\d]+) (?:and )?$", re.IGNORECASE)
_UNIT = re.compile(r" ?([^\W\d]+)")


@lru_cache(maxsize=1024)  # a reply may say the same for as long as it is let
def is_part(before: str, behind: str) -> bool:
    """Whether a number between these words is only a part of the quantity that is said. `behind` begins right behind
    its digits, before a unit."""
    if _BEHIND.match(behind) or _BEFORE.search(before):
        return True
    if _WITH_ZEROS[0].search(before) and _WITH_ZEROS[1].match(behind):
        return True
    more, this, unit = _AND_MORE.match(behind), _AND_THIS.search(before), _UNIT.match(behind)
    return bool((more and _measure_alike(*more.groups())) or (this and unit and _measure_alike(this[1], unit[1])))


def _measure_alike(one: str, other: str) -> bool:
    """Whether two different units are of one kind: hours and minutes, dollars and cents, years and days."""
    kinds = [unit.powers if (unit := read_unit([word])) and not unit.noun else None for word in (one, other)]
    times = ((("time", 1),), (("month", 1),))
    return one != other and None not in kinds and (kinds[0] == kinds[1] or all(kind in times for kind in kinds))
