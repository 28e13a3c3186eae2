"""One sequence of tokens that the model saw, with a mark on those that it chose."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Sample:
    """Four lists of one length, a prompt first, and the reward of each turn at its last unit."""

    tokens: list[int]
    chosen: list[bool] = field(default_factory=list)
    logp: list[float] = field(default_factory=list)
    turn: list[int] = field(default_factory=list)
    reward: dict[int, float] = field(default_factory=dict)  # position → reward
    cut: set[int] = field(default_factory=set)  # positions at which a reply ended because it had no tokens left
    first: int = 0  # length of the prompt
    told: int = 0  # how many messages of the conversation stand in it

    def __post_init__(self) -> None:
        self.first = len(self.tokens)
        self.chosen = [False] * self.first
        self.logp = [0.0] * self.first
        self.turn = [0] * self.first

    def extend(self, tokens: list[int] | tuple[int, ...], turn: int, logp: tuple[float, ...] | None) -> None:
        """Append tokens: chosen by the agent if they have log-probabilities, observed if they have none."""
        self.tokens += tokens
        self.chosen += [logp is not None] * len(tokens)
        self.logp += logp if logp is not None else [0.0] * len(tokens)
        self.turn += [turn] * len(tokens)

    def take_back(self) -> None:
        """Drop what was observed after the last chosen token; a prompt alone stays."""
        while len(self.tokens) > self.first and not self.chosen[-1]:
            for column in (self.tokens, self.chosen, self.logp, self.turn):
                column.pop()
