"""A generator of reasoning-gym as a world: `reasoning_gym:NAME`, with the generator's own options and verifier.

    world: {id: "reasoning_gym:chain_sum", options: {min_terms: 2, max_terms: 4}}

    r = what the verifier gives for what stands between <answer> and </answer>, from 0 to 1

A success is a reward of `success_at`, by default 1. Of `size` questions, which a seed fixes, one in five is for testing
and one for validation, by a hash of the question: none is in two splits.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ...conversation.task_source import Task
from ...conversation.task_world import TaskWorld
from ...errors import UserError
from ...vocabulary import Reply
from .generator import shared_generator

_WANTED = "Give the final answer between <answer> and </answer>."
_OPEN, _CLOSE = "<answer>", "</answer>"


class ReasoningGym(TaskWorld):
    """Questions of a generator of reasoning-gym, scored by its own verifier.

    Args:
        name: of the generator, such as "chain_sum".
        size: how many questions there are.
        seed: of the first of them.
        success_at: the reward from which an answer is a success.
        options: of the generator.

    Raises:
        UserError: reasoning-gym is not installed; no such generator or option.
    """

    reward_version = "1"
    _own_fields = TaskWorld._own_fields | {"_generator", "_called", "_size"}

    def __init__(self, name: str, *, size: int = 1000, seed: int = 0, success_at: float = 1.0, **options: Any) -> None:
        for what, value, least in (("size", size, 1), ("seed", seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UserError(f"{what} is {value!r:.80}; allowed is a whole number, {least} or greater")
        self._called, self._size = name, size
        self._generator = shared_generator(name, json.dumps(options, sort_keys=True), size, seed)
        super().__init__(self._draw_one, self._score, at_once=1, success_at=success_at)

    def _draw_one(self, rng: np.random.Generator) -> Task:
        index = int(rng.integers(self._size))
        question, answer = self._generator.entry(index)
        expert = {} if answer is None else {"oracle": f"{_OPEN}{answer}{_CLOSE}"}
        return {"prompt": f"{question}\n\n{_WANTED}", "id": f"{self._called} {index}", "index": index, **expert}

    def _score(self, reply: Reply, task: Task) -> float:
        before, opened, rest = reply.text.rpartition(_OPEN)
        said, closed, behind = rest.partition(_CLOSE)
        alone = opened and closed and _OPEN not in before and _CLOSE not in before + behind
        return self._generator.score(task["index"], said.strip()) if alone else 0.0
