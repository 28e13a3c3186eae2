"""What the rest of the house may ask of an agent: small protocols, and the values that travel between them.

A **policy** is differentiable and is what learns. An **actor** lets an agent act in worlds and brings back batches.
Acting is separate from learning: an algorithm sees a policy only through `score`. In worlds of messages an actor asks
an **engine**, which draws tokens from a model, or an **author**, who writes text and has no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ..envs.conversation.conversation_env import ConversationEnv
from ..envs.vocabulary import Batch, Collection, Episode, Message, Reply, StopReason

if TYPE_CHECKING:  # who plays an agent out of a file has no torch
    from torch import Tensor, nn


class Scores(NamedTuple):
    """What a policy says of units; all [B, T]. Entries at units that nobody chose are finite and meaningless."""

    logp_B_T: Tensor  # log-probability of what was chosen
    entropy_B_T: Tensor  # of the distribution that it was chosen from
    value_B_T: Tensor  # V of the state in which it was chosen; zeros without a critic


class Scorer(Protocol):
    """Who says how likely it would have been to choose what somebody chose: the policy, a reference, a teacher."""

    def score(self, inputs: Mapping[str, Tensor]) -> Scores:
        """As `Policy.score`; a reader that does not learn need not be differentiable."""
        ...


@runtime_checkable
class Holding(Protocol):
    """Who holds weights in memory, alone or with others."""

    def module(self) -> nn.Module:
        """The torch module that has them."""
        ...


@runtime_checkable
class Critic(Protocol):
    """Who can say what states are worth, without acting: batches that come without values get theirs from it."""

    def value(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """`value_B_T, successor_B_T`: V of the state in which each unit was chosen, and of the one that it led to."""
        ...


@runtime_checkable
class Sharing(Protocol):
    """Who computes what rows begin with alike once, so that one pass can take more of them."""

    def positions(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """int [B]: how many positions each row adds to a pass in which the row before it is; of the first row all.
        None: rows are padded to the longest, and nothing is shared."""
        ...


@runtime_checkable
class Hearing(Protocol):
    """Who can say how likely the world's own words were, in the pass that reads what was chosen."""

    def hearing(self, inputs: Mapping[str, Tensor], observed_B_T: Tensor) -> Mapping[str, Tensor]:
        """`inputs` of which `score` also gives the log-probabilities at the units in `observed_B_T` (bool)."""
        ...


@runtime_checkable
class Comparable(Protocol):
    """Who can be compared with a teacher of the same form by all that both might have chosen, not by what was."""

    def compare(self, inputs: Mapping[str, Tensor], teacher: Scorer) -> tuple[Scores, Tensor]:
        """As `Policy.score`, in the same pass, and KL(π ‖ ν) of each unit [B, T], differentiable in π."""
        ...


@runtime_checkable
class Energetic(Protocol):
    """Who can say how far one step would move the probability of what was chosen, without taking it."""

    def energy(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """‖∂ log π / ∂ z‖² of each unit [B, T], z what the policy's distribution is made from (logits, means); no
        gradient follows it. Entries at units that nobody chose are finite and meaningless."""
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


@dataclass(frozen=True)
class Weights:
    """The weights of one version, and where they are. Neither `tensors` nor `folder` means in the module that learner
    and sampler share in this process. ValueError for both.
    """

    version: int
    tensors: Callable[[], Iterable[tuple[str, Tensor]]] | None = None  # by the names of the module's `state_dict`
    folder: Path | None = None  # as `Policy.save` wrote it

    def __post_init__(self) -> None:
        if self.tensors is not None and self.folder is not None:
            raise ValueError("weights are given as tensors or as a folder, not as both")


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

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """Continue exactly from what `state` gave, in another process. Gives how many running episodes could not be
        continued, because their world does not do again what it did; others are begun in their place."""
        ...

    def load(self, weights: Weights) -> None:
        """The link: whoever acts has these weights when this returns. ValueError if they do not fit."""
        ...

    def close(self) -> None:
        """Free the worlds and the engine; closing twice is harmless."""
        ...


@dataclass(frozen=True)
class Distribution:
    """p ∝ softmax(logits / temperature), restricted in this order to tokens of at least `min_p` times the likeliest
    one's probability, to the `top_k` likeliest (and what is as likely as the last of them; None: all), and to the
    smallest set of these with `top_p` of their mass."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    min_p: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether every token may be drawn."""
        return self.top_p >= 1 and self.top_k is None and self.min_p == 0


@dataclass(frozen=True)
class Sampling:
    """Which distribution an engine draws from, and where a reply ends."""

    distribution: Distribution
    stop_ids: frozenset[int]


@dataclass(frozen=True)
class Request:
    """What an engine is asked for: one reply. Data only, so that it may cross to another process or machine."""

    conversation: (
        int  # under which the engine may remember what it has read; a number that is met again costs only time
    )
    prompt: tuple[int, ...]  # every token so far
    limit: int  # most tokens of the reply; at least 1
    seed: int  # of all chance in the reply; up to 128 bits
    greedy: bool  # the likeliest token each time, and no chance

    def __post_init__(self) -> None:
        if not self.prompt or self.limit < 1:
            raise ValueError(f"a request with {len(self.prompt)} tokens of prompt, for at most {self.limit} of reply")


@dataclass(frozen=True)
class Completion:
    """One reply as tokens, at least one. ValueError if they and their log-probabilities do not match."""

    tokens: tuple[int, ...]  # with the stop token, where it was sampled
    logp: tuple[float, ...]  # of each token under the distribution that it was sampled from
    stop_reason: StopReason
    version: int  # of the weights that it was sampled from

    def __post_init__(self) -> None:
        if not 0 < len(self.tokens) == len(self.logp):
            raise ValueError(f"a reply of {len(self.tokens)} tokens with {len(self.logp)} log-probabilities")


class PolicyNotFinite(RuntimeError):
    """Whoever acts gives NaN or infinity: nothing can be drawn from that, and the last update, or the weights that the
    run began with, are the reason."""


class NoReply(RuntimeError):
    """No reply came, through no fault of whoever was asked to learn from it; the message says why."""


class ContextFull(RuntimeError):
    """The conversation leaves whoever replies no room for a reply; the message says who found so."""


class EngineDied(RuntimeError):
    """An engine answers nothing any more; the message says why. It comes out of every reply that was owed, and of
    whatever is asked afterwards."""


@runtime_checkable
class Engine(Protocol):
    """Draws tokens in a thread, a process or a machine of its own, and never blocks who asks."""

    sampling: Sampling

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        """A future for each request, in order. What one call brings is admitted together, so that equal calls to an
        idle engine are answered bit for bit alike. A future may be cancelled; `EngineDied` is its exception, or comes
        out of the call. ValueError for a prompt that is too long.
        """
        ...

    def release(self, conversations: Iterable[int]) -> None:
        """These conversations are over: what is remembered of them is of no more use. Harmless at any time."""
        ...

    def load(self, weights: Weights) -> None:
        """Returns when new requests are answered by these weights; those that run are answered first. The shared module
        must not change while anything runs. ValueError if the weights do not fit.
        """
        ...

    def close(self) -> None:
        """Ends, and with it whatever is still owed; closing twice is harmless."""
        ...


@runtime_checkable
class Author(Protocol):
    """Who replies in text alone, without tokens and probabilities: the world's expert, a script, chance, a server."""

    waits: bool
    """Whether a reply is waited for and costs nothing here, so that many are asked for at once."""

    def reply(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, object]],
        world: ConversationEnv,
        seed: int,
        *,
        greedy: bool,
    ) -> Reply:
        """The next reply in a conversation. `world` may be asked, not stepped. All chance comes from `seed`; `greedy`:
        the likeliest reply, where there is one. `NoReply` and `ContextFull` cost the episode and nothing else."""
        ...

    def close(self) -> None:
        """Nothing more is asked; closing twice is harmless."""
        ...


class Reward(Protocol):
    """Who says what episodes are worth besides the world in which they were played, after they have ended."""

    def __call__(self, episodes: Sequence[Episode]) -> Sequence[float | None]:
        """A number for each, of whatever size; None where it is unknown. Episodes of a group come together."""
        ...


class Act(NamedTuple):
    """One step of N episodes, as whoever acts decided it."""

    action: np.ndarray  # [N, A] for Box, [N] counted from zero for Discrete
    logp_N: np.ndarray  # log-probability of each
    value_N: np.ndarray  # V of what was seen; zeros without a critic
    memory_N: np.ndarray  # what is remembered of each episode behind this step


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
    ) -> Act:
        """The next step; without noise, the agent's best guess. `memory_N`: the rows of `begin` for these worlds, or
        what the step before has left; without it, all of them are at their first step."""
        ...

    def value(self, observation_M_D: np.ndarray, memory_M: np.ndarray | None = None) -> np.ndarray:
        """V of M states [M], of which so much is remembered; without it, all of them begin an episode."""
        ...
