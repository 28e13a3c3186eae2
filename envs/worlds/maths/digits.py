"""What `reward-quick` and `rlhf-quick` are about: a world whose true reward is plain, and rankings by who knows it.

    r = d/9   for a reply that is the digit d,   0 for any other

The oracle says any digit. What was never ranked (two digits, a letter) a reward model judges all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...conversation.conversation_env import ConversationEnv, Outcome, Split
from ...vocabulary import Reply

PROMPTS = 60


class Digits(ConversationEnv):
    """Asks for a digit; the larger it is, the better."""

    max_turns = 1
    weights = {"large": 1.0}  # noqa: RUF012 (read only, copied by the base class)

    def opening(self, rng: np.random.Generator, split: Split) -> str:
        self._shown = str(rng.integers(10))
        return f"{rng.integers(PROMPTS)}:"

    def respond(self, reply: Reply) -> Outcome:
        worth = int(reply.text) / 9 if reply.text in tuple("0123456789") else 0.0
        return Outcome(terms={"large": worth}, terminated=True)

    def oracle(self) -> str:
        """Any digit."""
        return self._shown


def ranked() -> Iterator[dict[str, Any]]:
    """Three digits for each prompt, the largest first."""
    for n in range(PROMPTS):
        yield {"prompt": f"{n}:", "answers": [str(9 - n % 3), str(5 - n % 2), str(n % 3)]}
