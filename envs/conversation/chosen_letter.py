"""Which of several choices a reply chooses: by its letter, or by its text.

    "Option B is wrong, so A"       → A          "A or B", "A B C D", "Not A"        → nothing
    "A. red  B. blue  I'd say B"    → B          "The answer is blue"                → the letter of blue
    "B, since A is too dark"        → B          "A if it rains, B if not", "B or another"   → nothing

A letter is what stands alone: "A good one" and "I think" are words. One that stands beside the text of another choice
("A) blue", where B is blue) names both. A list that only says again what is to choose between is passed over.
Which of several letters is meant, `last_word` says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from .last_word import (
    CLOSE,
    CONTEXT,
    DENIES_THEN,
    FINAL_BEGINS,
    FINAL_ENDS,
    GOES_ON,
    OPEN,
    STOP,
    SURELY,
    Rank,
    Said,
    is_hedged,
    last_word,
    rank_of,
    undressed,
)
from .left_open import FILLS, MAYBE, are_alternatives, are_beside, are_items, has_else, with_or

_NOT_A_NOUN = (  # words that no article has behind it
    r"is|are|was|were|isn't|aren't|wasn't|or|and|nor|but|not|because|since|as|for|so|the|this|that|these|those|it|its|"
    r"i|we|he|she|they|you|has|have|does|do|did|doesn't|can|can't|cannot|could|would|should|will|must|may|might|seems|"
    r"looks|says|states|means|gives|fits|matches|works|fails|describes|makes|if|when|while|whereas|although|though|"
    r"unless|assuming|supposing|provided|where|including|excluding|depending|considering|sometimes|yet|plus|due to|"
    r"(?:most|more|less) likely|"
    r"my|your|our|answers?|options?|today|tomorrow|now|later|than|then|over|instead|rather|with|without|maybe|perhaps|through|vs|versus|in|on|at|by|to|of|from|however|therefore|thus|hence|no|yes|which"
)
_NOUN = r"(?:options?|choices?|letters?|answers?|statements?)"
# What stands between two letters of one breath.
_BETWEEN = rf"{CLOSE}[ \t]*(?:[,/&+|;]\s*)?(?:\b(?:and/or|and|or|nor)\b\s*)?(?:{_NOUN}\s+)?[(\[\"']*"
# Behind these words a letter is chosen: "I would go with B", "so it must be option B".
_CHOOSES = re.compile(
    r"(?:\b(?:choose|chose|choosing|picks?|picked|picking|selects?|selected|selecting|go(?:ing)? (?:for|with)|"
    r"opt(?:ing)? for|votes?(?: for)?|settle on|say|guess|conclude(?: that)?|prefer|i(?:'d| would| will|'ll)? answer|"
    r"(?:it|that)(?:'s| is)|(?:choice|option|pick|letter)\s*:|"
    r"(?:so|therefore|thus|hence|consequently|finally|in conclusion|leaves|leaving|must be|has to be|can only be)\b,?"
    r"(?:\s+(?:it|this|that|we|i|you|only|us|me|get|have|choose|with|is)\b)*(?:'s\b)?)\s*:?\s*"
    rf"(?:(?:\w+ly|the|{_NOUN})\s+)*){OPEN}$",
    re.IGNORECASE,
)
# Before these: "B is the right one".
_IS_CHOSEN = re.compile(
    rf"{CLOSE}(?:\s+(?:is|are|must be|has to be|seems|looks)\s+(?:(?:\w+ly|also|both|indeed|most)\s+)*(?:the\s+)?"
    r"(?:\w+\s+)?(?:correct|right|best|true|answer|solution|only one|my (?:answer|choice|pick|final))\b"
    r"|,? it is(?=\s*(?:[.!]|$))"
    r"|\s*[:–—-]\s*(?:correct|right|true|yes)\b|\s*[✓✔✅])",
    re.IGNORECASE,
)
_FAULTY = (
    r"(?:wrong|incorrect|false|untrue|worst|weakest|least (?:likely|plausible|probable|convincing|correct|good|fitting|"
    r"suitable|accurate)(?! to be (?:wrong|incorrect|false)))"
)
_LURE = r"(?:distractor|trap|decoy|lure|red herring)\b"
_DISCARDED = (
    r"(?:(?:ruled|crossed|struck|left|thrown|tossed) (?:out|off)|eliminated|excluded|discarded|rejected|dismissed|"
    r"avoided|skipped|ignored|dropped|removed|omitted|forgotten|refused)\b"
)
_WRONG = (
    rf"(?:{_FAULTY}|impossible|unlikely|improbable|implausible|misleading|out|{_DISCARDED}|"
    rf"(?:far |much )?too (?=\w)|an? {_LURE}|the odd one out\b|"
    rf"(?:the|an?)(?: (?:only|one|most|clearly|obviously))? (?:{_FAULTY}|bad|poor)\b|"
    rf"(?:the )?(?:only )?(?:one|option|choice|answer|letter)s? (?:that|which)(?:'s|'re| is| are| was) {_FAULTY}\b)"
)
_IS = r"(?:is|are|was|were|seems?|looks?|would be|must be|has to be|should be|will be)"
# Behind these a letter is denied, where a number is only spoken of ("He dropped 18 coins").
_DISCARDS = re.compile(
    r"(?:(?<!n't )(?<!not )(?<!never )\b(?:(?:avoid|skip|cross|struck|strik|scratch|scrap|throw|toss|drop|remov|omit|"
    r"forget|ignor|leav(?=\w+ out))\w*(?: out| off| away)?|(?:stay|steer|keep) (?:away from|clear of)|beware of|"
    r"(?:refus|declin|hesitat)\w*(?= to\b))"
    rf"(?:\s+(?:{GOES_ON}|choosing|picking|selecting|saying|going|any|of|{_NOUN}))*"
    rf"|(?<!not )(?<!n't )(?<!least )\b(?:{_FAULTY}|bad|poor)(?: (?:ones?|{_NOUN}))?(?:\s+(?:here|of (?:all|them)))?"
    rf"\s*(?:(?:is|are|was|would be|must be)\b|:)(?:\s+(?:\w+ly|{_NOUN}))*){OPEN}$",
    re.IGNORECASE,
)
# Before these it is denied, "B is not right", unless they deny that: "B is not wrong".
_DENIES_BEHIND = re.compile(
    rf"{CLOSE}(?:,?\s*{_IS}\s+{SURELY}(?:not\b(?!\s+{_WRONG})|{_WRONG})"
    rf"|\s+(?:is|are|was|were|does|do|did|ca|could|would|wo|should)n't\b(?!\s+{_WRONG})"
    r"|\s+(?:cannot|can not|does not|do not|did not|could not|fails?)\b"
    r"|\s+(?:can|could|may|might|should|must|has|have|gets?|got|needs? to|is to)\s+(?:\w+ly\s+)?(?:be(?:en)?\s+)?"
    rf"(?:\w+ly\s+)?{_DISCARDED}"
    rf"|,?\s+(?:that|which)(?:'s|\s+(?:is|are|was))\s+{_WRONG}"
    rf"|\s+(?:out|off|aside)\b(?!\s+of\b)|\s*\(an? {_LURE}"
    r"|\s*[,:?–—-]?\s*(?:no|wrong|incorrect|false|nope)(?=\s*(?:[.,;!)\n]|$|because\b|since\b))"
    rf"|{DENIES_THEN}"
    r"|\s*[✗✘❌])",
    re.IGNORECASE,
)
# Verbs of which only the last of several letters is the subject: "it is A, B is wrong".
_SINGULAR = re.compile(
    rf"{CLOSE}\s+(?:is|was|isn't|wasn't|has|doesn't|does|cannot|can't|seems|looks|must|fails|fits|matches|works|"
    r"remains|says)\b",
    re.IGNORECASE,
)
# Behind a letter with which a sentence begins: "B because …", "B, since 3 > 2", "B: A is red".
_BEGINS = re.compile(
    rf"(?:^|[{STOP}:,]|\b(?:and|or|but)\b)\W*(?:\b(?:{FILLS}|{MAYBE}|so|{_NOUN}|definitely|clearly|surely|indeed)\b\W*)*$",
    re.IGNORECASE,
)
_REASON = (
    r"(?:because|since|as (?!well|much|long|soon)|given|considering|seeing|due to|owing to|thanks to|in view of|"
    r"on account of|reasons?|the reason|here is why|here's why|whereas|"
    r"weil|denn|parce que|car|porque|perché|потому|因为|因為)\b"
)
_GOOD = (  # what is said of another letter that is no worse
    rf"[^{STOP}]*\b(?:also|too|as well|possible|plausible|equally|right|correct|true|fine|likely|best|better|answer)\b"
)
_ELSE = "something else"  # beside a letter
_ALL_BUT = re.compile(r"\ball (?:of them )?(?:but|except)(?: for)? $", re.IGNORECASE)  # "all but B are wrong"
_OVER = re.compile(rf"(?<!\w)\w{CLOSE} (?:over|beats) {OPEN}$")  # "B over D"
_BETWEEN_BEFORE = re.compile(rf"\bbetween (?:{_NOUN} )?{OPEN}$", re.IGNORECASE)
_VERDICT = re.compile(
    r"\b(?:right|wrong|correct|incorrect|true|false|yes|no|not|answer|choose)\b|[✓✔✅✗✘❌]", re.IGNORECASE
)
_PERHAPS = (
    rf"(?:^|[{STOP}])[^\w\n]{{0,40}}+(?:or|maybe|perhaps|possibly|alternatively|otherwise),?\s+(?:it(?:'s| is) )?"
)
_BEFORE_SMALL = (  # behind these a small letter is no word
    rf"^[^\w\n]*|[(\[]\s*|{FINAL_BEGINS}\W{{0,9}}|\b{_NOUN}\b(?:\s+is\b|\s*[:=])?\s*(?:\w+ly\s+)?(?:{_NOUN}\s+)?[(\[\"']*"
    r"|\b(?:choose|pick|select|say|guess|go with|so|therefore|thus|hence|it's|it is|not|than)\s+[(\[\"']*"
)


def chosen_letter(text: str, letters: Sequence[str], texts: Sequence[str]) -> str | None:
    """The letter that a reply chooses of `letters`, which stand for `texts` (empty where those are unknown). None where
    it chooses nothing, or more than one."""
    letters = tuple(letters)
    choices = _choices(letters, tuple(texts))
    bare = text.strip("()[].!?*:\"'` \t\r\n")
    if bare in letters:
        return bare
    if (meant := choices.meant(text.strip()) or choices.meant(bare)) is not None:
        return choices.tokens[meant]
    plain = choices.without_lists(with_or(choices.spelled(undressed(text))))
    found = last_word(plain, choices.said(plain))
    return choices.tokens.get(str(found))  # None: nothing, or something else


@lru_cache(maxsize=256)
def _choices(letters: tuple[str, ...], texts: tuple[str, ...]) -> _Choices:
    return _Choices(letters, texts)


class _Choices:
    """How the choices of one task are written in replies. Letters are read as capitals, `tokens`."""

    def __init__(self, letters: Sequence[str], texts: Sequence[str]) -> None:
        upper = {letter.upper(): letter for letter in letters}
        self.tokens = upper if len(upper) == len(letters) else {letter: letter for letter in letters}
        self.exact = {choice.strip(): token for token, choice in zip(self.tokens, texts, strict=False)}
        self._folded: dict[str, set[str]] = {}  # several tokens where texts differ in case or a point alone
        for choice, token in self.exact.items():
            self._folded.setdefault(choice.strip(" .").casefold(), set()).add(token)
        self._folded.pop("", None)
        any_of = "|".join(_pattern(token) for token in sorted(self.tokens, key=len, reverse=True))
        self._letter = (
            rf"(?<![\w'])(?<!\w[-.])(?<!\d,)(?:{any_of})(?![\w#])(?!\+(?!\s?(?:{any_of})(?!\w)))(?!['.-]\w)(?!,\d)"
        )
        self._group = re.compile(rf"{self._letter}(?:{_BETWEEN}{self._letter})*")
        others = rf"{OPEN}(?:{_NOUN}\s+)?{self._letter}{CLOSE}(?:{_BETWEEN}{self._letter})*"
        verb = r"(?:is|are|was|were|would|says|has|have)\b"
        self._reason = re.compile(
            rf"{CLOSE}(?:[ ,.:;!…–—(-]|\b(?:i think|i guess|i believe|it is|and)\b)*"
            rf"(?:{_REASON}|(?:for |(?<=[.:;!—–(-] )){others}\s+{verb}(?!{_GOOD})|(?<=[(]){others})",
            re.IGNORECASE,
        )
        self._alone = re.compile(rf"\W*{self._letter}\W*")
        self._listed = re.compile(rf"\W*({self._letter})(?:[).:]\s.*|\W*)")
        self._with_nothing_else = re.compile(rf"{CLOSE}\s*(?:[{STOP}]|$|{self._letter})")

    def spelled(self, text: str) -> str:
        """A reply in which every choice is a capital letter, whether it was written small or as its text."""
        text = self._with_capitals(text)
        return self._with_letters(text) if self._folded else text

    def meant(self, text: str) -> str | None:
        """The choice with this text: as it is written, else with other capitals where that is one choice alone."""
        alike = self._folded.get(text.strip(" .").casefold(), set())
        return self.exact.get(text) or (next(iter(alike)) if len(alike) == 1 else None)

    def _with_capitals(self, text: str) -> str:
        small = "".join(token.lower() for token in self.tokens if len(token) == 1 and token.isalpha())
        if small:
            one = rf"(?<!\w)[{small}](?![\w'])"
            behind = re.compile(
                rf"(?!\.\w)(?=\s*(?:[).:,;!?\]\"'{FINAL_ENDS}]|$|(?:{_NOT_A_NOUN})\b))", re.MULTILINE | re.IGNORECASE
            )
            chain = re.compile(rf"({_BEFORE_SMALL})({one}(?:{_BETWEEN}{one})*)", re.MULTILINE | re.IGNORECASE)
            text = chain.sub(lambda found: found[1] + _capitals(found, re.compile(one, re.IGNORECASE), behind), text)
        return re.sub(rf"(\b(?i:{_NOUN})\s+)([AI])(?![\w'])", r"\1(\2)", text)

    def _with_letters(self, text: str) -> str:
        """A reply in which the text of a choice, beside its letter or where an answer is declared, is the letter."""
        choice = "|".join(re.escape(one) for one in sorted(self._folded, key=len, reverse=True))
        label = "|".join(re.escape(token) for token in sorted(self.tokens, key=len, reverse=True))
        mark, end = r"[)\].:]*\s*[-–—:=,]?\s*[\"'(]*", r"[\"')]*(?!\w)(?![.,]\d)"
        text = re.sub(rf"(?<![\w'])({label})(?![.,]\d)({mark})(?<!\w)((?i:{choice})){end}", self._labelled, text)
        noun = rf"\b(?:answers?|(?:correct|right|best|my) {_NOUN})\b"
        declared = rf"{noun}[^{STOP}:]{{0,40}}?(?:\bis\b|[:=])\s*(?:the\s+)?[\"'(]*"
        whole = re.compile(
            rf"(^[^\w\n]*|{FINAL_BEGINS}\W{{0,9}}|{declared}|{_PERHAPS})({choice})"
            rf"(?=[\"')]*\s*(?:[{STOP}]|$|(?:[^\w\s]\s*)?(?:(?:and|but|my|the|another|other|second|final|correct|right|best)\s+)*(?:{_NOUN}\s*[:=]|{noun}\s+is\b)))",
            re.MULTILINE | re.IGNORECASE,
        )
        return whole.sub(lambda found: found[1] + (self.meant(found[2]) or found[2]), text)

    def _labelled(self, found: re.Match[str]) -> str:
        """A letter with the text of a choice behind it: its own says the same again, that of another two things."""
        token, meant = found[1], self.meant(found[3])
        if meant is None:  # of several, which differ in case alone
            return token if token in self._folded.get(found[3].casefold(), ()) else found[0]
        if token == meant:
            return token
        return f"{token} or {meant}" if found[2].strip() else found[0]

    def without_lists(self, text: str) -> str:
        """A reply without the lines that list the choices in their order: all of them, or the first ones with texts."""
        order, kept, run = list(self.tokens), list[str](), list[str]()
        for line in [*(line for line in text.split("\n") if line.strip()), ""]:
            item = self._listed.fullmatch(line)
            letter = item[1] if item and not _VERDICT.search(line) else None
            if letter is None or letter != order[len(run) % len(order)]:
                with_texts = len(run) > 1 and not any(self._alone.fullmatch(one) for one in run)
                kept += [] if with_texts or len(run) == len(order) else run
                run = []
            if letter is not None and letter == order[len(run) % len(order)]:
                run.append(line)
            else:
                kept.append(line)
        return "\n".join(kept).rstrip("\n")

    def said(self, text: str) -> list[Said]:
        """The letters that stand in a reply, those of one breath together."""
        body = text.rstrip()
        ends = {len(text) - len(text.lstrip()), body.rfind("\n") + 1}  # where the first line and the last begin
        found: list[Said] = []
        for group in self._group.finditer(text):
            for start, end in self._breaths(group):
                ahead, behind = text[max(0, start - CONTEXT) : start], text[end : end + CONTEXT]
                letters = re.findall(self._letter, text[start:end])
                answers = (*letters, *([_ELSE] if has_else(behind, ahead) else []))
                rank = self._rank(text, start, end, ends)
                before = found[-1] if found else None
                again = before is not None and not re.search(r"\w", text[before.end : start])
                if before and self._are_alternatives(text, before, rank, start, end):
                    found[-1] = Said(before.start, end, (*before.answers, *answers), max(before.rank, rank))
                    continue
                if again and before and before.rank > rank > Rank.DENIED and self._ends_there(text, end):
                    rank = before.rank  # "The answer is A. B."
                found.append(Said(start, end, answers, rank))
        return found

    def _are_alternatives(self, text: str, first: Said, rank: Rank, start: int, end: int) -> bool:
        """Whether letters stand behind others as in "A, maybe B"."""
        if Rank.DENIED in (first.rank, rank) or start - first.end > CONTEXT:
            return False
        before, behind = text[max(0, first.start - CONTEXT) : first.start], text[end : end + CONTEXT]
        between = text[first.end : start]
        declared = first.rank >= Rank.DECLARED
        if self._ends_there(text, end) and are_beside(before, between, behind, declared=declared):
            return True
        if are_alternatives(before, between, behind, declared=declared):
            return True
        return rank < Rank.DECLARED and are_items(before, between, behind)

    def _breaths(self, group: re.Match[str]) -> list[tuple[int, int]]:
        """Where letters that belong together begin and end: in "it is A, B is wrong" the last has its own verb."""
        text, begin = group.string, group.start()
        letters = [(begin + one.start(), begin + one.end()) for one in re.finditer(self._letter, group[0])]
        if len(letters) > 1 and _SINGULAR.match(text[group.end() : group.end() + 40]):
            before, between = text[max(0, begin - CONTEXT) : begin], text[letters[-2][1] : letters[-1][0]]
            declared = rank_of(before) >= Rank.DECLARED or _CHOOSES.search(before)
            if declared or not re.search(r"\w|/", between):
                return [(begin, letters[-2][1]), letters[-1]]
        return [group.span()]

    def _ends_there(self, text: str, end: int) -> bool:
        return self._with_nothing_else.match(text[end : end + 20]) is not None

    def _has_reason(self, before: str, behind: str) -> bool:
        """Whether a letter begins its sentence, and a reason for it follows."""
        return _BEGINS.search(before) is not None and self._reason.match(behind) is not None

    def _rank(self, text: str, start: int, end: int, ends: set[int]) -> Rank:
        before, behind = text[max(0, start - CONTEXT) : start], text[end : end + CONTEXT]
        rank = rank_of(before)
        if _ALL_BUT.search(before) and _DENIES_BEHIND.match(behind):
            return Rank.DECLARED
        if _OVER.search(before):
            return Rank.DENIED
        if _BETWEEN_BEFORE.search(before):
            return Rank.ASKED
        if rank is not Rank.FINAL and (_DENIES_BEHIND.match(behind) or _DISCARDS.search(before)):
            return Rank.DENIED
        if rank is not Rank.NAMED:
            return rank
        if _CHOOSES.search(before) or _IS_CHOSEN.match(behind):
            return Rank.NAMED if is_hedged(before) else Rank.DECLARED
        line, stop = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        rest = text[line:start] + text[end : stop if stop >= 0 else None]
        if (ends & {line, start} and not re.search(r"\w", rest)) or self._has_reason(before, behind):
            return Rank.ALONE
        return Rank.ASKED if re.match(rf"{CLOSE}\s*\?", behind) else Rank.NAMED


def _pattern(token: str) -> str:
    """A letter where it is one, and no word of a sentence."""
    if token == "A":
        return (
            r"A(?:(?=[ \t]+[a-z]+[ \t]+[A-Z]\W*(?:$|\n))"
            r"|(?<=[:=] A)(?=(?:[ \t]+\w+){0,3}[ \t]+[A-Z]\w+(?:[ \t]+\w+){0,2}[ \t]*[:=])"  # "Answer: A Choice: B"
            rf"|(?![ \t]+(?!(?i:{_NOT_A_NOUN})\b)[A-Za-z]{{2}}))"
        )
    if token == "I":
        return r"I(?=\s*(?:[).:\]!?]|$|\n|is\b|or\b|and\b))"
    return re.escape(token)


def _capitals(found: re.Match[str], one: re.Pattern[str], behind: re.Pattern[str]) -> str:
    """A chain of small letters as capitals, up to the last one behind which stands what stands behind a letter."""
    begin, end = found.span(2)
    ends = (
        letter.end() for letter in one.finditer(found.string, begin, end) if behind.match(found.string, letter.end())
    )
    last = max(ends, default=begin)
    capitals = re.sub(r"\b[a-z]\b", lambda letter: letter[0].upper(), found.string[begin:last])
    return capitals + found.string[last:end]
