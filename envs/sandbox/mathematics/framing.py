"""What stands around an answer and says nothing about its value: markup, boxes, the sentence that it ends.

    unframed("**So** the answer is \\\\(\\\\boxed{84}\\\\) apples.")   →  "84 apples"

A frame is taken off only where it holds no word of denial or doubt, and no second answer: "not 84", "83 or 84" and
two boxes are left as they are.
"""

from __future__ import annotations

import re
import unicodedata

from .notation import closing
from .numerals import NUMBER_WORDS, PART_WORDS
from .units import is_unit
from .verdict import Doubtful
from .words import BEFORE, CONNECTIVES, DOUBT, words_of

_TAGS = re.compile(r"</?(?:answer|final_answer|b|i|strong|em|p|span|code|math)\s*>|<br ?/?>", re.IGNORECASE)
_FENCES = re.compile(r"^[ \t]*```[a-z]*[ \t]*$", re.MULTILINE)
_BOLD = re.compile(r"(?<![\w)}\]*])(\*\*\*|\*\*|__|\*|_)(?=[^\s*_])([^*\n]*?[^\s*_\\])\1(?![\w({\[*])")
_LINE_STARTS = re.compile(r"^[ \t]*(?:#{1,6}|>|[*•](?=[ \t])|-(?=[ \t]+[A-Za-z$\\]))[ \t]*", re.MULTILINE)
_ENDINGS = re.compile(r"\s*\bI hope (?:it|this) (?:is correct|helps)[.!]?\s*$", re.IGNORECASE)
_MARKS_OF_DENIAL = "\u2717\u2718\u274c\u274e\u26d4\U0001f6ab\U0001f44e\u2753\u2754"
_MATHS_SIGNS = re.compile(r"(?<!\\)\\[()\[\]]|\$")
_BOX = re.compile(r"\\f?boxed ?(?=\{)|\\fbox ?(?=\{)")
_SENTENCES = re.compile(
    r"(?<=[.!])\s+(?=[A-Z\\$(])|\n+|[,;]\s+(?=(?:and )?(?:so|thus|hence|therefore|giving|which gives)\b)"
)
_SOLVED = re.compile(r"\s*\$?[a-zA-Z]\$? ?=[^=]*$")
_WORD = re.compile(r"[A-Za-z]+(?:['\u2019][a-z]+)?")
_CONTRACTED = re.compile(r"\b(it|that|there|here|what|answer)['\u2019]s\b", re.IGNORECASE)
_CONCLUDES = re.compile(
    r"(?:so|thus|therefore|hence|finally|overall|altogether|in (?:conclusion|total|all)|consequently"
    r"|this (?:gives|means)"
    r"|(?:so |and |thus |hence |therefore )?,? ?(?:my |the |our )?(?:final |correct )?(?:answer|result|solution)"
    r"|we (?:get|have|find|obtain|conclude))\b",
    re.IGNORECASE,
)
_ANSWERS = re.compile(r"\b(?:answer|result|solution)s?\b[^.\n]*[:=0-9]", re.IGNORECASE)
_HEADING = re.compile(
    r"(?:the |my |our )?(?:final |short )?(?:answer|result|solution|conclusion) ?[:.]?", re.IGNORECASE
)

_HARMLESS = words_of(
    """i we you it he she they this that these those there here then so thus hence therefore because since is are was
    were be been has have had do does did will shall must would should correct right to who which where when how sure
    yes all any its his her their our my"""
)
_DENIAL = (DOUBT - _HARMLESS) | CONNECTIVES
_IN_LEADS = words_of(
    """and or between from to than some every many few least most greater smaller larger up down both other over under
    above below less more fewer"""
)
"""What a lead may hold besides: "the distance between A and B is", "the least possible value is"."""
_QUANTITY = re.compile(
    r"(?:so |thus |hence |therefore )?,? ?the (?:probability|chance|number|fraction|percentage|proportion|percent)s?"
    r" (?:that|of)\b(?!.*\b(?:true|wrong|false|guess|maybe|perhaps|but)\b)",
    re.IGNORECASE,
)
_ENGLISH = words_of(
    """the there it she he we they i its each our his her so a an this that total answer result value total these all"""
)
_CHANGES = words_of(
    """percent per cent squared cubed times pi root dozen pairs pair degrees radians base mod modulo factorial"""
)
_VERBS = words_of(
    """is are was were be been equals equal becomes gives give get gets got obtain obtains find finds found have has had
    takes take choose pick select costs cost needs need yields makes make contains contain leaves weighs measures earns
    pays conclude     satisfies holds spends spent sold bought remain remains"""
)
_LEADS_ON = re.compile(
    r"\b(?:is|are|was|were|be|equals|becomes|gives|yields|get|obtain|find|that|have|has|takes|costs|contains"
    r"|(?:falls|occurs|happens|takes place|lies|lands) (?:on|at)"
    r"|(?:equal|amounts?|comes?|simplif(?:y|ies)|evaluates?|reduces?|adds up|sums up) to|at|:)"
    r"(?: (?:equal to|given by|exactly|simply|just|therefore|thus|then|that|precisely|indeed|a total of|found to be))*"
    r"[ :]+",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(?:\s*,)?\s+(?:of them|left|remaining|left over|now|today|more|overall"
    r"|long|wide|high|tall|deep|thick|old|away|apart|each"
    r"|in total|in all|altogether|total|exactly|respectively"
    r"|as (?:required|desired|claimed|requested)|in size|in length|in area|in width|in height)$",
    re.IGNORECASE,
)
_TWO_LETTERS = re.compile(r"[($ ]*[A-Z][)$ ]*(?:[:→]|[-=]+>|\\[a-zA-Z]+)[($ ]*[A-Z][)$ ]*")  # "A \\to B" chooses none
_AFTER_BOX = re.compile(r"(?:\\text ?\{|\\,|~|\^|\\circ|°|\\?%|\s*[A-Za-z(]|\s*\\(?:text|mathrm) ?\{)")


def markup_off(text: str) -> str:
    """`text` without tags, stars, backticks, headings and ornaments. `\\(…\\)` becomes `$…$`."""
    text = _ENDINGS.sub("", _FENCES.sub("", _TAGS.sub("", text)))
    text = "".join(character for character in text if not _is_ornament(character)).strip()
    text = re.sub(r"(?<!\\)\\[()\[\]]", "$", _LINE_STARTS.sub("", text))
    for _ in range(2):
        text = _BOLD.sub(r"\2", text)
    return re.sub(r"`+([^`]*)`+", r"\1", text).strip()


def _is_ornament(character: str) -> bool:
    """A picture: no sign of mathematics, and none that denies."""
    if character < "\u2000" or character in _MARKS_OF_DENIAL:
        return False
    known = unicodedata.normalize("NFKC", character) != character
    return character in "\u220e\ufe0f\u200d" or (unicodedata.category(character) == "So" and not known)


def unboxed(text: str) -> str:
    """What stands in the one box of `text`, with the unit or noun that follows; `text` where there is none.

    Raises:
        Doubtful: more than one box, or a sign, a number or a word of doubt beside it.
    """
    found = list(_BOX.finditer(text))
    if not found:
        return text
    if len(found) > 1:
        raise Doubtful("several answers")
    end = closing(text, found[0].end())
    if end < 0:
        return text
    before, after = (_MATHS_SIGNS.sub("", part).rstrip() for part in (text[: found[0].start()], text[end + 1 :]))
    if denied(before) or denied(after) or re.search(r"[-+*/^_0-9(\[{|]$", before):
        raise Doubtful("several answers")
    after = after.rstrip(" .!\n")
    if after and (re.search(r"[0-9=<>\n]", after) or not _AFTER_BOX.match(after)):
        raise Doubtful("several answers")
    return text[found[0].end() + 1 : end] + after


def last_sentence(text: str) -> str:
    """The sentence that concludes `text`, where those before it lead up to it; else `text`."""
    pieces = [piece.strip() for piece in _SENTENCES.split(text) if piece and piece.strip()]
    if len(pieces) < 2:
        return text
    *before, last = pieces
    if all(_HEADING.fullmatch(piece.strip("$ ")) for piece in before):
        return last
    if all("=" in piece for piece in pieces) and len(re.findall(r"\n+", text.strip())) == len(before):
        solved = [bool(_SOLVED.match(piece)) for piece in pieces]
        if solved[-1] and not any(solved[:-1]) and not denied(text):  # x + 3 = 27, and below it x = 24
            return last
        return ", ".join(pieces) if all(solved) else text
    if _HEADING.fullmatch(before[-1].strip("$ ")):
        before = before[:-1]
    elif not _CONCLUDES.match(last):
        return text
    return text if any(_ANSWERS.search(piece) or denied(piece) for piece in before) else last


def lead_off(text: str) -> str:
    """`text` without what leads on to its value: "the total is", "so we get", "Alice has"."""
    text = _CONTRACTED.sub(r"\1 is", re.sub(r"(?<!\.)\.$", "", text.strip()))
    if "?" in text or _TWO_LETTERS.fullmatch(text):
        return text
    text = re.sub(r"\b(Mr|Mrs|Ms|Dr|St|Prof)\.", r"\1", text)
    text = re.sub(r"^(?:final )?answer\. ", "", text, flags=re.IGNORECASE)
    text = re.sub(r"^either (?=.* or )", "", text, flags=re.IGNORECASE)
    text = re.sub(r" is (?:the )?(?:correct|right|best)(?: (?:answer|one|choice|option))?$", "", text)
    for _ in range(3):
        text = _TAIL.sub("", text)
    place = 0
    for found in _LEADS_ON.finditer(text):
        if not _in_maths(text, found.start()):
            place = found.end()
    lead, rest = text[:place], text[place:].strip()
    if (
        place
        and rest
        and not _denies(lead)
        and not re.search(r"[=<>\n]|[.!] [A-Z]", lead)
        and re.match(r"[A-Za-z$\\]", lead)
    ):
        return _trimmed(rest).rstrip("!")  # the end of a sentence, and no factorial
    words = re.match(r"(?:[A-Za-z]+(?:['’][a-z]+)?[ ,]+)+(?=[-−]?[$£€]?[-0-9\\.√(\[{]|\$)", text)
    if words and not _denies(words[0]) and {word.lower() for word in _WORD.findall(words[0])} & _ENGLISH:
        return _trimmed(text[words.end() :]).rstrip("!")
    return _trimmed(text)


def noun_off(text: str) -> str:
    """`128 different handshakes` as 128, where nothing but a few words stand behind a number. No unit is a noun."""
    found = re.fullmatch(r"([^A-Za-z]*[0-9})$⅓⅔½¼¾][^A-Za-z]*?)((?:\s+[A-Za-z]{3,}){1,4})", text)
    words = found[2].lower().split() if found else []
    plain = not any(is_unit(word) or word in NUMBER_WORDS | PART_WORDS | _CHANGES for word in words)
    return found[1].strip() if found and plain and not denied(found[2]) else text


def _denies(lead: str) -> bool:
    """Whether what leads on to a value denies it. "The probability that it does not rain is" denies nothing."""
    if _QUANTITY.match(lead):
        return False
    words = {found[0].lower().replace("'", "").replace("\u2019", "") for found in _WORD.finditer(lead)}
    return bool(words & (_DENIAL - _IN_LEADS)) or ("or" in words and any(sign.isdigit() for sign in lead))


def _trimmed(text: str) -> str:
    """Without words of BEFORE and verbs at the beginning, and commas between them."""
    while True:
        text = text.lstrip(" ,:")
        text = re.sub(r"^an? (?=[0-9$])", "", text)
        found = _WORD.match(text)
        low = found[0].lower() if found else ""
        many = found is not None and re.match(r"[\s,:]", text[found.end() :]) is not None
        known = low in BEFORE | _VERBS | _HARMLESS or low in ("on", "in", "finally", "at")
        if (
            found is None
            or not many
            or not known
            or (len(low) < 2 and found[0] != "I")
            or low in NUMBER_WORDS | PART_WORDS
        ):
            return text
        text = text[found.end() :]


def _in_maths(text: str, place: int) -> bool:
    return text.count("$", 0, place) % 2 == 1


def denied(text: str) -> bool:
    """Whether a word of denial or doubt stands in `text`."""
    return any(found[0].lower().replace("'", "").replace("\u2019", "") in _DENIAL for found in _WORD.finditer(text))


def restated(text: str) -> list[str]:
    """The two forms of "7/2 (or 3.5)", "7/2, i.e. 3.5": each has to be right; and the first alone before "≈ 2.6"."""
    near = re.fullmatch(r"(.+?),? (?:or|which is) (?:about|approximately|roughly|nearly) [0-9.%$ ]+", text)
    if near:
        return [near[1].rstrip(", ")]
    near = re.fullmatch(r"(.+?)\s*\((?:approximately|approx\.?|about|roughly|≈|\\approx|~)[^()]*\)\s*", text, re.DOTALL)
    if near:
        return [near[1]]
    found = re.fullmatch(
        r"(?P<first>[^()]+?)[\s$]*(?:\((?:or|i\.?e\.?|that is|which is|equivalently|=|also written as)?[,:]?\s*"
        r"(?P<inner>[^()]+)\)"
        r"|[,;]? (?:i\.e\.|that is|in other words|equivalently|or equivalently|which is the same as|which equals)"
        r"[,:]? (?P<last>.+))"
        r"[\s$]*",
        text,
        re.IGNORECASE | re.DOTALL,
    )
    if found is not None:
        return [found["first"], found["inner"] or found["last"]]
    return [text]
