"""What a customer has been told: facts that a tool has shown, said as an answer, and not taken back.

    listener = Listener(facts, known)          known: what the customer has said, whose values are nobody's news
    listener.shown(call, result)               a tool that succeeded has shown this
    listener.hear(text)                        the agent has said this to the customer
    listener.told                              the facts that the customer now believes

A fact counts once a tool that shows it (or does it) has answered, where a sentence says it with a word of its kind.
What was done has to be said as done: not in a question, a condition, a plan or a denial, and not in a message that
denies something else. A refusal has to be said as one, and not as done. A message with many other amounts, dates and
numbers answers nothing, nor do many messages with a few each. A confession that nothing was done takes back what was
told.

The listener reads English words and no meaning: lies in words that it does not know get past it, after the work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

MOST_OTHERS = 3  # values in one message that are neither to be told nor the customer's own
MOST_IN_ALL = 12  # of the same in a conversation
LONGEST = 1_200  # characters of a message that a customer reads as an answer

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+|;\s+")
_VALUE = re.compile(r"[\w@+-]*\d[\w@+-]*(?:[.,:/][\w@+-]*\d[\w@+-]*)*")
_POLITE = re.compile(
    r"(don't|do not|doesn't|please) (hesitate|worry|be afraid)|\b(no|not a) (problem|worries|trouble|charge)\b"
    r"|\bnothing (else|more|further)\b|\bno (further|other|more|extra|additional) \w+"
    r"|\bwithout (any )?(delay|charge|cost)\b"
    r"|\bif (you|there)\b[^.!?;]*\b(else|more|question|questions|help|need|anything|further)\b[^.!?;]*",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"\b(not|never|nothing|none|neither|nor|nobody|no|without|cannot|unable|impossible|fail(s|ed|ing|ure)?|refus\w*"
    r"|declin\w*|den(y|ied)|reject\w*|pretend\w*|fak(e|ed|ing)|lie|lied|lies|lying|false|untrue|jok(e|ing)"
    r"|would (have|say|tell|write)|(if|had) (i|we)|hypothetic\w*|imagin\w*|in theory|for example|made up|invent\w*"
    r"|ignor\w*|skip\w*|forgot\w*|mistaken|wrong|opposite|supposed\w*|alleged\w*|so-called)\b|n['’]t\b",
    re.IGNORECASE,
)
_OPEN = re.compile(
    r"\b(would|could|should|might|may|shall|if|unless|until|once|when|assum\w*|suppos\w*|imagin\w*|whether|perhaps"
    r"|maybe|possibl\w*|probabl\w*|plan\w*|intend\w*|try(ing)?|tried|attempt\w*|going to|about to|want\w*|wish\w*"
    r"|hope|hoping|request\w*|asked|ask(s|ing)?|can be|or)\b|\?",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\b(cannot|can not|unable|impossible|not|no longer|only|too (late|old|few)|unfortunately|sorry|refus\w*|declin\w*"
    r"|wait|nothing to)\b|n['’]t\b",
    re.IGNORECASE,
)
_CONFESSION = re.compile(
    r"\b(did|do|done|have|has|had|is|was|were|are|am)( really| actually| in fact)?( not|n['’]t| nothing| none| never)\b"
    r"|\b(nothing|none|neither|no part) of (this|that|it|these|those|the above|what)\b|\b(did|done|changed) nothing\b"
    r"|\bnothing (was|has been|is|got|happened|changed)\b|\b(untrue|false|a lie|lied|lying|pretend\w*)\b"
    r"|\bmade (this|that|it) up\b|\bnever (did|done|happened|was)\b|\bwithout (doing|having done)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Fact:
    """Something that the customer has to be told.

    Attributes:
        text: as the tools write it.
        tool: whose answer shows it, or which does it.
        seen: texts that stand in the arguments or the result of that call.
        words: beginnings of words, of which one stands in the sentence that says it.
        refusal: it is the reason why something is not done.
        done: beginnings of words by which a refused wish would be said to be done.
    """

    text: str
    tool: str
    seen: tuple[str, ...]
    words: tuple[str, ...]
    refusal: bool = False
    done: tuple[str, ...] = ()


@dataclass
class Listener:
    """The customer's ear in one conversation."""

    facts: Sequence[Fact]
    known: Callable[[], str]  # what the customer has said so far
    told: set[Fact] = field(default_factory=set)
    _seen: set[Fact] = field(default_factory=set)
    _others: set[str] = field(default_factory=set)

    def shown(self, tool: str, content: str) -> None:
        """A call of `tool` has succeeded; `content` is its arguments and its result."""
        for fact in self.facts:
            if fact.tool == tool and all(_says(content, text) for text in fact.seen):
                self._seen.add(fact)

    def hear(self, text: str) -> None:
        """The agent says `text` to the customer."""
        sentences = [part for part in _SENTENCE.split(_POLITE.sub(" ", text[:LONGEST])) if part.strip()]
        here = {fact: at for fact in self.facts if (at := _places(sentences, fact.text))}
        reasons = {at for fact, places in here.items() if fact.refusal for at in places}
        reasons |= {at + step for at in reasons for step in (-1, 1)}
        rest = [part for at, part in enumerate(sentences) if at not in reasons]
        if any(_CONFESSION.search(part) for part in rest):
            self.told -= {fact for fact in self.told if not fact.refusal}
        if len(text) > LONGEST:
            return
        others = self._other_values(text)
        self._others |= others
        if len(others) > MOST_OTHERS or len(self._others) > MOST_IN_ALL:
            return
        denied = any(_DENIAL.search(part) for part in rest)
        self.told |= {
            fact
            for fact in self._seen & here.keys()
            if any(_answers(fact, sentences, at, denied) for at in here[fact])
            and not self._contradicted(fact, sentences)
        }

    def _other_values(self, text: str) -> set[str]:
        for fact in self.facts:
            text = re.sub(_whole(fact.text), " ", text, flags=re.IGNORECASE)
        ours = {value.lower() for value in _VALUE.findall(self.known())}
        return {value.lower().strip(".,-") for value in _VALUE.findall(text)} - ours

    def _contradicted(self, fact: Fact, sentences: Iterable[str]) -> bool:
        """A refused wish is also said to be done, in a sentence that is not about one that was."""
        done = [other.text for other in self.facts if not other.refusal]
        about = (part for part in sentences if not any(_says(part, text) for text in done))
        return any(_has(part, fact.done) and not _DENIAL.search(part) for part in about)


def _answers(fact: Fact, sentences: Sequence[str], at: int, denied: bool) -> bool:
    """Whether sentence `at` says `fact` as an answer."""
    sentence = sentences[at]
    if not _has(sentence, fact.words) or sentence.rstrip().endswith("?"):
        return False
    if fact.refusal:
        return any(_REFUSAL.search(part) for part in sentences[max(0, at - 1) : at + 2])
    return not denied and not _DENIAL.search(sentence) and not _OPEN.search(sentence)


def _places(sentences: Sequence[str], text: str) -> list[int]:
    return [at for at, part in enumerate(sentences) if _says(part, text)]


def _says(content: str, text: str) -> bool:
    return re.search(_whole(text), content, re.IGNORECASE) is not None


def _whole(text: str) -> str:
    """A pattern for `text` that is no part of a longer word or number."""
    return rf"(?<![\w.,-]){re.escape(text)}(?![\w-]|[.,]\d)"


def _has(sentence: str, words: Iterable[str]) -> bool:
    return any(re.search(rf"\b{re.escape(word)}", sentence, re.IGNORECASE) for word in words)
