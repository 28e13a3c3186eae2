"""The simulated customer: begins with a wish, and reveals facts when asked for them.

A question is recognised by its words ("email", "order number"). Asked for nothing in particular, the customer tells the
next thing that has not been told; with nothing left to tell, patience ends after a few replies, and so does the
conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

PATIENCE = 4  # replies without anything new to tell
_MAX_HEARD = 4_096  # characters of a reply that the customer reads


@dataclass(frozen=True)
class Clue:
    """One fact that the customer knows."""

    key: str
    sentence: str
    question: str  # an expert's
    words: tuple[str, ...]  # any of them asks for it
    after: str = ""  # the key of a clue that has to be told first


@dataclass
class Customer:
    """One customer in one conversation."""

    clues: Sequence[Clue]
    told: set[str] = field(default_factory=set)
    patience: int = PATIENCE

    def answer(self, reply: str) -> str | None:
        """What the customer says to a reply; None: the customer leaves."""
        heard = reply[:_MAX_HEARD].lower()
        untold = [clue for clue in self.clues if clue.key not in self.told]
        ready = [clue for clue in untold if not clue.after or clue.after in self.told]
        asked = [clue for clue in ready if any(word in heard for word in clue.words)] or ready[:1]
        if asked:
            self.told.update(clue.key for clue in asked)
            return " ".join(clue.sentence for clue in asked)
        self.patience -= 1
        if self.patience == 0:
            return None
        return "Thank you. I have nothing to add."
