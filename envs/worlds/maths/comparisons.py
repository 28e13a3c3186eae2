"""Sums of which one answer is right and the other is not: pairs for a reward model that anybody can make anew.

    {"prompt": [messages], "chosen": "<answer>351</answer>", "rejected": "<answer>341</answer>", "split": "train"}

Problems and right answers are those of `Arithmetic` in its shortest form (`bare`, digits reversed), which divides them
by splits. A wrong answer has the right form, and one or more wrong digits, as those of a beginner have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...conversation.conversation_env import SPLITS
from ...seeding import stream
from .arithmetic import Arithmetic

OPTIONS: dict[str, Any] = {
    "operators": ["+"],
    "digits": 2,
    "prompt": "bare",
    "answer_tag": "answer",
    "reverse_digits": True,
}
_PAIRS = {"train": 6000, "validation": 500, "test": 500}


def sums() -> Iterator[dict[str, Any]]:
    """7,000 pairs, the same each time."""
    world = Arithmetic(**OPTIONS)
    for split in SPLITS:
        rng = stream(0, "comparisons", split)
        for number in range(_PAIRS[split]):
            _, info = world.reset(seed=number, options={"split": split})
            right = world.oracle()
            yield {"prompt": info["messages"], "chosen": right, "rejected": _mistaken(right, rng), "split": split}


def _mistaken(answer: str, rng: np.random.Generator) -> str:
    """`answer` with each digit replaced by another one time in two, but at least one; the last, which comes first of a
    number, is not made 0."""
    letters = list(answer)
    places = [place for place, letter in enumerate(answer) if letter.isdigit()]
    wrong = [place for place in places if rng.random() < 0.5] or [int(rng.choice(places))]
    for place in wrong:
        others = [digit for digit in "0123456789" if digit != answer[place] and (digit != "0" or place != places[-1])]
        letters[place] = str(rng.choice(others))
    return "".join(letters)
