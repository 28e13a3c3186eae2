"""Letters of an answer that stand for any number: the constant of an integral, the k of kπ."""

from __future__ import annotations

import re

_CONSTANT = re.compile(r".*\+ *C *\$*\s*", re.DOTALL)
_PARAMETER = re.compile(r"(?<![A-Za-z\\{])[knm](?![A-Za-z])")
_ANY = r",?\$?(?: |\\text\{)*(?:where|for|with)?(?: (?:any|all|every|some))?"
_WHOLE = re.compile(
    rf"{_ANY}(?: integers?)? *\$?[knm]?\$?(?: is (?:an|any)| an| any)? integers?\.?\}}? *$"
    rf"|{_ANY} integers? *\}}? *\$?[knm]\$?\}}? *$"
    r"|[,;] *(?:(?:where|for|with) )?\(?[knm] *(?:\\in|∈) *(?:\\mathbb ?\{? ?Z ?\}?|ℤ|\\Z)\)? *$"
)


def with_constant(expected: str, answer: str) -> str:
    """The answer with its c as C, where "+ C" is expected at the end, and no other c: the constant of an integral."""
    if not _CONSTANT.fullmatch(expected) or "c" in re.sub(r"\\[a-z]+", "", expected) or "C" in answer:
        return answer
    return re.sub(r"(?<![A-Za-z\\])c(?![A-Za-z])", "C", answer)


def with_parameter(expected: str, answer: str) -> tuple[str, str]:
    """Both without "k ∈ ℤ" at the end, and the answer with the k, n or m of what is expected, in kπ and the like."""
    found = set(_PARAMETER.findall(expected))
    if len(found) != 1 or not re.search(r"\\pi|π|\\circ|°", expected):
        return expected, answer
    expected, answer = (_WHOLE.sub("", text) for text in (expected, answer))
    said = set(_PARAMETER.findall(answer))
    return expected, _PARAMETER.sub(found.pop(), answer) if len(said) == 1 else answer
