"""A world whose customer is a voice: the agent asks what they want, and books a table."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from peripatos.envs.conversation import ConversationEnv, Opening, Outcome
from peripatos.envs.vocabulary import Message, Reply


class Booking(ConversationEnv):
    """Somebody wants a table for so many. Three turns; `book N` ends it."""

    weights = {"right": 1.0, "brief": 0.1}  # noqa: RUF012
    waits = True
    voice_names = ("customer",)
    max_turns = 3

    def opening(self, rng: np.random.Generator, split: str) -> Opening:
        self.guests = int(rng.integers(2, 9))
        self._rng = rng
        self._heard: list[Message] = [
            {"role": "system", "content": f"want {self.guests}"},
            {"role": "user", "content": "hello?"},
        ]
        return Opening([{"role": "user", "content": self._customer()}], task=f"{split} {self.guests}")

    def respond(self, reply: Reply) -> Outcome:
        terms = {"brief": 1 / (1 + len(reply.text))}
        if booked := re.fullmatch(r"book (\d+)", reply.text):
            right = int(booked[1]) == self.guests
            return Outcome("", {**terms, "right": float(right)}, terminated=True, success=right)
        self._heard.append({"role": "user", "content": reply.text})
        return Outcome(self._customer(), terms)

    def oracle(self) -> str:
        return f"book {self.guests}"

    def _customer(self) -> str:
        said = self.voices["customer"](self._heard, int(self._rng.integers(2**31)))
        self._heard.append({"role": "assistant", "content": said})
        return said or "..."


class InPlace(Booking):
    """Stepped in place, where nobody may wait for a model."""

    waits = False


def customer(messages: Sequence[Message], seed: int) -> str:
    """A scripted customer."""
    return f"a table for {messages[0]['content'].split()[1]} ({seed % 7})"


def seven(messages, seed: int):
    """No text."""
    return 7
