"""What `reward-quick`, `rlhf-quick` and `process-quick` are about: a world whose true reward is plain, and rankings by
who knows it.

    r = d/9   for a reply that is the digit d,   0 for any other;   of an episode their mean over its turns

The oracle says any digit. What was never ranked (two digits, a letter) a reward model judges all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...conversation.conversation_env import ConversationEnv, Outcome, Split
from ...errors import UserError
from ...vocabulary import Reply

PROMPTS = 60  # those of training, and of the rankings
_PROMPTS: dict[Split, tuple[int, int]] = {"train": (0, PROMPTS), "validation": (60, 80), "test": (80, 100)}
AGAIN = "And?"


class Digits(ConversationEnv):
    """Asks for a digit, `turns` times; the larger they are, the better. What is asked when it counts was never asked
    before."""

    weights = {"large": 1.0}  # noqa: RUF012 (read only, copied by the base class)

    def __init__(self, *, turns: int = 1) -> None:
        super().__init__()
        if not isinstance(turns, int) or turns < 1:
            raise UserError(f"turns is {turns!r:.80}; allowed is a whole number, 1 or greater")
        self.turns = turns

    @property
    def turn_limit(self) -> int:
        """As many as there are digits."""
        return self.turns

    def opening(self, rng: np.random.Generator, split: Split) -> str:
        self._shown = [str(rng.integers(10)) for _ in range(self.turns)]
        self._said = 0
        return f"{rng.integers(*_PROMPTS[split])}:"

    def respond(self, reply: Reply) -> Outcome:
        self._said += 1
        worth = int(reply.text) / 9 if reply.text in tuple("0123456789") else 0.0
        over = self._said == self.turns
        return Outcome("" if over else AGAIN, terms={"large": worth / self.turns}, terminated=over)

    def oracle(self) -> str:
        """Any digit."""
        return self._shown[self._said]


def ranked() -> Iterator[dict[str, Any]]:
    """Three digits for each prompt, the largest first."""
    for n in range(PROMPTS):
        yield {"prompt": f"{n}:", "answers": [str(9 - n % 3), str(5 - n % 2), str(n % 3)]}


def ranked_turns() -> Iterator[dict[str, Any]]:
    """Three conversations of three digits each for each prompt, the one with the largest digits first."""
    for n in range(PROMPTS):
        digits = [(9 - n % 3, 8 - n % 2, 9 - n % 2), (5 - n % 2, 4 + n % 3, 6 - n % 3), (n % 3, n % 2, 2 - n % 3)]
        yield {"answers": [conversation(f"{n}:", one) for one in digits]}


def conversation(prompt: str, digits: Sequence[int]) -> list[dict[str, str]]:
    """The messages of an episode in which these digits were said."""
    asked = [prompt, *[AGAIN] * (len(digits) - 1)]
    said = [("user", text, "assistant", str(digit)) for text, digit in zip(asked, digits, strict=True)]
    return [{"role": role, "content": content} for turn in said for role, content in (turn[:2], turn[2:])]
