"""Small conversation worlds that are used by several tests."""

import numpy as np

from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.vocabulary import Reply, WorldFailure


class Echo(ConversationEnv):
    """Three turns; each pays a tenth of the reply's length."""

    weights = {"length": 0.1}  # noqa: RUF012
    max_turns = 3

    def opening(self, rng: np.random.Generator, split: str) -> str:
        self.secret = int(rng.integers(100))
        return f"{split} {self.secret}"

    def respond(self, reply: Reply) -> Outcome:
        return Outcome(f"again {self.secret}", terms={"length": float(len(reply.text))})


class Fragile(Echo):
    """Fails in every third task, in one of three ways."""

    def opening(self, rng: np.random.Generator, split: str) -> str:
        text = super().opening(rng, split)
        if self.secret % 6 == 0:
            raise ZeroDivisionError("no opening today")
        return text

    def respond(self, reply: Reply) -> Outcome:
        if self.secret % 6 == 2:
            raise WorldFailure("the database is gone")
        if self.secret % 6 == 4:
            return Outcome("x", terms={"length": float("nan")})
        return super().respond(reply)
