"""Which of the answers in a reply is its last word: a declared one before others, and never one that was taken back.

    final      #### 5      \\boxed{5}      <answer>5</answer>      the final answer is 5
    declared   the answer is 5      I choose B      so B      B is correct
    alone      B, in the first or the last line      B because …
    named      anything else
    asked      is it B?
    denied     not 5      B is wrong

    answer = the one of the highest of these ranks that has any, if it is one

Between two answers of one rank, "no", "wait", "actually" and the like take the first back; between two that are
declared, "so" and "but" do as well. "A or B" are two answers, and two answers are none.

Left out: languages other than English, where only what is boxed, tagged, behind "####" or alone is understood.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import IntEnum

FINAL_BEGINS, FINAL_ENDS = "\ue000", "\ue001"  # stand where a reply marks its answer by its form
STOP = ".!?;\n" + FINAL_BEGINS + FINAL_ENDS  # what ends a sentence
OPEN, CLOSE = r"[ \t(\[\"']*", r"[)\]\"']*"
_LONGEST = 1 << 14  # characters of a reply that are read, its last
_AT_ONCE = 60  # characters behind "no, wait", in which the answer that takes another's place need not be declared
CONTEXT = 120  # characters before or behind an answer that say what it is
SURELY = r"(?:(?:\w+ly|most|very|indeed|also|both|all|just|then|still|therefore|thus|simply|either|one of)\s+)*"
_LEADS = r"(?:(?:the|an?|option|choice|letter|number|answer|statement)\s+)*"
GOES_ON = (  # between what denies and what is denied
    r"be|is|it|it's|that|the|an?|option|choice|letter|answer|number|really|necessarily|exactly|quite|precisely|always|likely|sure|certain|choose|pick|select|either|to|"
    r"say|go|with|both|possibly|think|believe|correct|right|final|equal|get|we"
)
_TAKES_BACK = re.compile(
    r"(?:^|[^\w\s]|\s)(?:wait|actually|correction|scratch that|on second thoughts?|sorry|instead|i mean|"
    r"chang\w+ my mind)\b"
    r"|(?:^|[^\w\s]|\n)[ \t]*(?:no|nope|oops|hmm+|rather)\b(?! (?:doubt|matter|more|other|longer|such|one)\b)",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(r"\b(?:so|therefore|thus|hence|but|however|finally|consequently)\b", re.IGNORECASE)
_OR = re.compile(rf"\W*\b(?:or|and/or)\b(?! (?:more|less|fewer)\b)[^{STOP}]{{0,30}}", re.IGNORECASE)
_FOOL = (  # "A fool would say B"
    r"(?:fool(?:ish|hardy)?|idiot(?:ic)?|moron|dunce|dummy|simpleton|liar|lunatic|mad(?:man)?|ignorant|stupid|na[iï]ve|careless|"
    r"gullible|misguided|misinformed|uninformed)s?"
)
_DENIES_BEFORE = re.compile(
    rf"(?:\b{_FOOL}(?: \w+){{0,2}}? (?:(?:would|will|might|may|could) )?(?:\w+ly )?"
    r"(?:(?:say|choose|pick|guess|select|think|believe|answer|claim)s?|go(?:es)?(?: (?:with|for))?)\b"
    rf"|\b(?:not(?! only)|never|neither|nor|unlike|except(?: for)?|instead of|rather than|no longer|cannot|"
    rf"unlikely|far from|nowhere near|hardly|scarcely|"
    rf"(?:any|every|all)(?:thing|one|body)?(?: \w+)? (?:but|besides)|(?<!\bnone )(?<!\bno )other than|"
    rf"(?:rul|eliminat|exclud|reject|discard|dismiss)\w*(?: out)?|(?<!no )(?<!any )(?<!a )doubt|"
    rf"(?:wrong|incorrect|false) (?:answer|option|choice|one)s?(?: (?:is|are)|:)?)|n't)"
    rf"(?:\s+(?:{GOES_ON}))*{OPEN}$",
    re.IGNORECASE,
)
DENIES_THEN = (  # the next sentence: "B. That is wrong."
    r"\s*[.?!]\s*(?:no,?\s+)?(?:that|this|it)(?:'s| is| was)(?:n't| not)? "
    r"(?:(?<=not )|(?<=n't )|(?:an? |the )?(?=wrong|incorrect|false))"
    r"(?:wrong|incorrect|false|it|right|correct|true|possible|the (?:right |correct )?answer)\b"
)
_HEDGES = re.compile(
    rf"\b(?:whether|if|might|could|may|maybe|perhaps|possibly|suppose|unless|assum\w+)\b[^,{STOP}]*$", re.IGNORECASE
)
LINK = r"(?:\b(?:is|are|was|would be|should be|must be|will be|has to be)\b|'s\b|\"?\s*[:=→]|[-=]+>|[–—]|\s-\s)"
_FINAL_BEFORE = re.compile(
    rf"(?:{FINAL_BEGINS}|\bfinal\s+(?:answer|choice|result|decision)\b[^{STOP}:]{{0,40}}?{LINK}\s*{SURELY}{_LEADS})"
    rf"{OPEN}[$€£¥₹]?$",
    re.IGNORECASE,
)
_DECLARES_BEFORE = re.compile(
    rf"(?:\banswers?\b[^{STOP}:]{{0,60}}?{LINK}\s*{SURELY}"
    rf"|\b(?:correct|right|best|only|chosen)\s+(?:option|choice|one|letter|statement|answer)s?\b,?(?:\s*{LINK})?\s*"
    rf"{SURELY}){_LEADS}{OPEN}[$€£¥₹]?$",
    re.IGNORECASE,
)


class Rank(IntEnum):
    """How surely a reply says an answer."""

    DENIED = 0
    ASKED = 1
    NAMED = 2
    ALONE = 3
    DECLARED = 4
    FINAL = 5


@dataclass(frozen=True)
class Said:
    """Answers that a reply gives in one breath, and where: two of them are a choice that it leaves open."""

    start: int
    end: int
    answers: tuple[Hashable, ...]
    rank: Rank


def last_word(text: str, said: Sequence[Said]) -> Hashable | None:
    """The answer that a reply gives in the end; None where there is none, or more than one."""
    standing: dict[Rank, set[Hashable]] = {rank: set() for rank in Rank}
    end, before = 0, Rank.DENIED
    for one in said:
        between, rank = text[end : one.start], one.rank
        if rank is Rank.DENIED:
            for held in standing.values():
                held.difference_update(one.answers)
        else:
            if before > rank and _OR.fullmatch(between):
                rank = before
            elif rank is not Rank.ASKED:
                rank = _take_back(standing, rank, between)
            standing[rank].update(one.answers)
        end, before = one.end, rank
    held = next((standing[rank] for rank in reversed(Rank) if standing[rank]), set())
    return next(iter(held)) if len(held) == 1 else None


def _take_back(standing: dict[Rank, set[Hashable]], rank: Rank, between: str) -> Rank:
    """Forget what the words between two answers take back. The rank of the second, which stands in for what is gone."""
    back = [found.end() for found in _TAKES_BACK.finditer(between)]
    at_once = bool(back) and len(between) - back[-1] <= _AT_ONCE
    gone = [known for known, held in standing.items() if held and (at_once or known <= rank)]
    if back:
        for known in gone:
            standing[known].clear()
        return max([rank, *gone])
    if rank >= Rank.DECLARED and _CONCLUDES.search(between):
        standing[rank].clear()
    return rank


def rank_of(before: str) -> Rank:
    """How surely an answer is said behind these words."""
    if _FINAL_BEFORE.search(before):
        return Rank.FINAL
    if is_denied(before):
        return Rank.DENIED
    if _DECLARES_BEFORE.search(before):
        return Rank.NAMED if is_hedged(before) else Rank.DECLARED
    return Rank.NAMED


def is_denied(before: str) -> bool:
    """Whether an answer behind these words is denied."""
    return _DENIES_BEFORE.search(before) is not None


def is_hedged(before: str) -> bool:
    """Whether an answer behind these words is only supposed."""
    return _HEDGES.search(before) is not None


_SAME = str.maketrans(
    {
        **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # wide letters, digits and brackets
        **{chr(0x24B6 + n): f"({chr(65 + n)})" for n in range(26)},  # circled letters
        **{chr(0x24D0 + n): f"({chr(97 + n)})" for n in range(26)},
        **dict.fromkeys("−﹣－‐‑", "-"),
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " "),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff" + FINAL_BEGINS + FINAL_ENDS, ""),
        **dict.fromkeys("¿¡", ""),
        **dict.fromkeys("‘’ʼ", "'"),
        **dict.fromkeys("“”„«»", '"'),
        "⁄": "/",
        "。": ". ",
        "，": ",",
        "٫": ".",  # what Arabic writes between ones and tenths
        "٬": ",",  # and between thousands
        "〜": "~",
    }
)
_ARROWS = re.compile(r"\\(?:(?:long)?(?:left)?rightarrow|to|implies|iff|mapsto)(?![a-zA-Z])", re.IGNORECASE)
_WORDS_OF = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # scripts without blanks between words
_MANY_OR_NTH = "百千万萬亿億兆十百千조억만천백십第分"
_UNPARTED = re.compile(
    rf"(?<=[{_WORDS_OF}])(?<![{_MANY_OR_NTH}])(?=[-+]?[\dA-Za-z])|(?<=[\dA-Za-z])(?=[{_WORDS_OF}])(?![{_MANY_OR_NTH}])"
)
_BLANKS = re.compile(r"[ \t\f\v]+")
_LINES = re.compile(r"\n(?:[ ]?\n)+")  # that are empty
_STRUCK = re.compile(r"~~[^~\n]*~~")
_EMPHASIS = re.compile(r"\*\*+|__+|`+|(?<![\w)\]}\s])\*(?=\S)|(?<!\S)\*(?=\S)|(?<=\S)\*(?![\w(\[{\\])")
_SLANTED = re.compile(r"(?<![\w)\]}\\])_([^\W_][^_\n]{0,40})_(?![\w{(\\])")  # _18_
_DRESS = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:bf|rm|sf|it|bb)|operatorname|mbox|underline|emph|bm?|(?:text)?color\s*\{\w+\})\s*"
    r"\{([^{}]*)\}"
)
_SPACES = re.compile(r"\\[,;:! ]|\\q?quad\b|~")
_BRACKETS = re.compile(r"\\[()\[\]]|\\(?:left|right|displaystyle)(?![a-zA-Z])")
_BOX = re.compile(r"\\(?:f|c)?box(?:ed)?\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_TAGGED = re.compile(r"<\s*answer\s*>([^<]{0,2000})<\s*/\s*answer\s*>", re.IGNORECASE)
_TAGS = re.compile(
    r"</?(?:b|i|em|strong|u|p|code|span|mark|s|final|result|output|response)\s*>|<\|\w{1,30}\|>|^ ?>(?: ?>)* (?=\S)",
    re.IGNORECASE | re.MULTILINE,
)
_HASHES = re.compile(r"####[ \t]*(?=(?:[-–] )?[-+(\[$€£¥₹]*(?:\d|[.]\d|[A-Z1-9]\b))")


def undressed(text: str) -> str:
    """The end of a reply without what only dresses it, Markdown, LaTeX and wide characters.

    A thought between <think> and </think> is no part of it. What is boxed, tagged or behind "####" begins with
    `FINAL_BEGINS`. Digits of all scripts become those of ASCII.
    """
    text = _LINES.sub(
        "\n\n", _BLANKS.sub(" ", _without_thoughts(text)[-_LONGEST:].translate(_SAME).replace("\r", "\n"))
    )
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(one)) if one.isdecimal() else one for one in text)
        text = _UNPARTED.sub(" ", text)
    text = _STRUCK.sub(" ", text)
    for _ in range(3):  # as deep as anyone nests these
        text = _DRESS.sub(r"\1", text)
    text = _ARROWS.sub("→", _BRACKETS.sub("", _SPACES.sub(" ", text.replace("{,}", ","))))
    final = rf"{FINAL_BEGINS}\1{FINAL_ENDS}"
    text = _TAGS.sub("", _TAGGED.sub(final, _BOX.sub(final, text)))
    return _SLANTED.sub(r"\1", _EMPHASIS.sub("", _HASHES.sub(FINAL_BEGINS, text)))


def _without_thoughts(text: str) -> str:
    """A reply without what it has thought; where a thought began in the prompt, without all before its end."""
    *before, said = text.split("</think>")
    kept = [piece.partition("<think>") for piece in before]
    return " ".join([*(shown for shown, began, _ in kept if began), said])
