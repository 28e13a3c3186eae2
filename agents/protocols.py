"""What the rest of the house may ask of an agent: three small protocols.

A **policy** is differentiable and is what learns. An **actor** lets a policy act in worlds and brings back
batches. Acting is separate from learning: an algorithm sees a policy only through `score`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from torch import Tensor, nn

from ..envs.conversation.conversation_env import ConversationEnv
from ..envs.vocabulary import Batch, Collection, Episode, Message, StopReason


class Scores(NamedTuple):
    """What a policy says of units; all [B, T]. Entries at units that nobody chose are finite and meaningless."""

    logp_B_T: Tensor  # log-probability of what was chosen
    entropy_B_T: Tensor  # of the distribution that it was chosen from
    value_B_T: Tensor  # V of the state in which it was chosen; zeros without a critic


@runtime_checkable
class Critic(Protocol):
    """Who can say what states are worth, without acting: batches that come without values get theirs from it."""

    def value(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """`value_B_T, successor_B_T`: V of the state in which each unit was chosen, and of the one that it led to."""
        ...


@runtime_checkable
class Policy(Protocol):
    """What learns. Every policy is also a `torch.nn.Module`."""

    memoryless: bool
    """True when a unit's log-probability depends on nothing else in its row, so that minibatches may be
    drawn over single units (control). False for sequences, whose rows stay whole (language)."""

    has_critic: bool
    """Whether `score` gives values."""

    def score(self, inputs: Mapping[str, Tensor]) -> Scores:
        """What this policy says of the units in `inputs`, differentiable. Memoryless policies accept any leading shape
        in place of [B, T]."""
        ...

    def advance(self, batch: Batch) -> None:
        """Called once with each batch, after its update: statistics of observations move on. They must not
        move between acting and updating."""
        ...

    def module(self) -> nn.Module:
        """The torch module that holds the parameters (for most, `self`)."""
        ...

    def save(self, folder: Path) -> None:
        """Write weights and statistics as files that need no pickle to read."""
        ...

    def load(self, folder: Path, *, critic_too: bool = True) -> None:
        """Read what `save` wrote, into this policy. Without `critic_too` the critic stays as it is, whether or not the
        other policy had one. `ValueError` says what does not fit."""
        ...


class Actor(Protocol):
    """Lets an agent act in worlds. Given the same policy, a collection is a function of its arguments."""

    def collect(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Collection:
        """Episodes for learning: `group_size` episodes for each group number, in the order of `groups`.

        An actor that collects segments (control with a critic) reads `groups` as its rows, which go on from
        where the last call left them; only finished episodes are in `episodes`.
        """
        ...

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """`each` episodes of each of so many tasks of `split`, task by task, on none of which anybody trained; the same
        tasks for the same seed."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Whatever the next `collect` depends on besides its arguments and the policy; empty for most."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue exactly from what `state` gave, in another process."""
        ...

    def refresh(self, version: int) -> None:
        """The link: whatever copy of the weights samples is made equal to the policy's, as `version`."""
        ...

    def close(self) -> None:
        """Free the worlds; closing twice is harmless."""
        ...


@dataclass(frozen=True)
class Request:
    """One episode that waits for a reply."""

    prompt: tuple[int, ...]  # every token so far
    messages: tuple[Message, ...]  # the same as text
    world: ConversationEnv
    rng: np.random.Generator  # this turn's own stream


@dataclass(frozen=True)
class Completion:
    """One reply as tokens, at least one. ValueError if they and their log-probabilities do not match."""

    tokens: tuple[int, ...]  # with the stop token, where it was sampled
    logp: tuple[float, ...]  # of each token under the distribution that it was sampled from
    stop_reason: StopReason

    def __post_init__(self) -> None:
        if not 0 < len(self.tokens) == len(self.logp):
            raise ValueError(f"a reply of {len(self.tokens)} tokens with {len(self.logp)} log-probabilities")


class Engine(Protocol):
    """Takes requests at any time and gives each reply when it is done."""

    def submit(self, key: int, request: Request) -> None:
        """Take a request, to be answered under `key`."""
        ...

    def step(self, *, greedy: bool) -> list[tuple[int, Completion]]:
        """Do a piece of work; the replies that it finished."""
        ...

    @property
    def busy(self) -> bool:
        """Whether a reply is still owed."""
        ...

    def release(self) -> None:
        """Every conversation is over; what was kept to go on with them is of no more use."""
        ...

    def refresh(self, version: int) -> None:
        """Speak with the current weights from now on."""
        ...


class Behaviour(Protocol):
    """Whoever acts in control worlds."""

    has_critic: bool

    def draw(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """The chance in `steps` actions [steps, K], for one world."""
        ...

    def begin(self, n: int) -> np.ndarray:
        """What is remembered of n episodes that begin now, a row for each; [n, 0] where nothing is."""
        ...

    def act(
        self,
        observation_N_D: np.ndarray,
        noise_N_K: np.ndarray | None = None,
        memory_N: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`action, logp_N, value_N`; without noise, the agent's best guess. `memory_N`: the rows of `begin` for these
        worlds; without it, all of them are at their first step."""
        ...

    def value(self, observation_M_D: np.ndarray) -> np.ndarray:
        """V of M states [M]."""
        ...
