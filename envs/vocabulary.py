"""The glossary: every word that worlds, agents and algorithms share, as frozen values.

    world        a `gymnasium.Env`. Control worlds have Box/Discrete spaces; conversation worlds take replies.
    action unit  the smallest thing that has a log-probability: a token (language), an action vector (control).
    turn         one `env.step`: many units for a language agent, exactly one for control.
    episode      reset to terminated or truncated, which are never one variable: only truncation bootstraps.
    group        episodes that start from the same task or the same physical state.
    batch        what an update sees: `[B, T]` tensors over action units.

Shapes are said in suffixes: `_B` rows, `_T` units in time, `_G` members of a group, `_N` worlds.
"Not scored" is not zero: an episode whose reward is unknown has reward None and never trains.

torch is named here for annotations only, so that `import peripatos.envs` stays light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Message(TypedDict):
    """One chat message, in the form that chat templates take."""

    role: str  # "system", "user", "assistant" or "tool"
    content: str
    name: NotRequired[str]
    tool_calls: NotRequired[list[dict[str, Any]]]
    tool_call_id: NotRequired[str]


@dataclass(frozen=True)
class ToolCall:
    """A call that an agent asked for: the tool's name and its arguments, already parsed."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


class StopReason(StrEnum):
    """Why a reply, or an episode of replies, ended."""

    STOP = "stop"
    """The agent said that it was done: the sampler drew a stop token."""
    LENGTH = "length"
    """The reply reached its limit of tokens and was cut."""
    TURN_LIMIT = "turn_limit"
    """The episode reached its limit of turns (truncation)."""
    TOOL_LIMIT = "tool_limit"
    """The episode reached its limit of tool calls (truncation)."""
    CONTEXT_LIMIT = "context_limit"
    """The next prompt would not fit into the model's context (truncation)."""
    ERROR = "error"
    """The world or the sampler failed; the episode has reward None."""


@dataclass(frozen=True)
class Reply:
    """What an agent says in one turn of a conversation world."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    parse_error: str | None = None  # what was wrong with a malformed tool call, for the world to tell
    stop_reason: StopReason = StopReason.STOP
    units: int | None = None  # tokens sampled, where the agent knows: a length cost may use it


class WorldFailure(RuntimeError):
    """A world cannot go on through no fault of the agent: the episode has reward None and never trains."""


class Seen(TypedDict):
    """A sequence of tokens that a model saw, from its prompt to its last reply. The three lists are of one length."""

    tokens: list[int]
    mask: list[bool]  # which of them it sampled
    behavior_logp: list[float]  # the sampler's log-probability of each, zero where not sampled


@dataclass(frozen=True)
class Episode:
    """The record of one episode, kept for metrics, for reading and for replay.

    A control episode is replayed from `seed` and `actions`; a language episode carries every token id
    that the model saw (`tokens`), which of them it sampled (`mask`), and the sampler's log-probability of
    each (`behavior_logp`, zero where not sampled). Where the chat template rewrote earlier turns, that is the
    last of several sequences, and `earlier` holds the others: every reply is marked in exactly one of them.
    """

    group: int  # episodes of one group start alike
    index: int  # which member of the group
    seed: int  # what the world was reset with
    version: int  # of the policy that acted
    split: str  # "train" or "test"
    reward: float | None  # undiscounted sum; None: nobody knows, for something failed or was never answered
    reward_terms: Mapping[str, float] = field(default_factory=dict)  # weighted; they sum to `reward`
    turns: int = 0
    units: int = 0  # action units chosen by the agent
    terminated: bool = False
    truncated: bool = False
    success: bool | None = None  # None: the world has not said; it may have no notion of success
    stop_reason: StopReason = StopReason.STOP
    failure: str | None = None  # the traceback, where the world or the sampler failed
    unanswered: str | None = None  # why the agent was never asked: its prompt does not fit into its context
    task: str = ""  # what names the task: two episodes of one task have equal names
    messages: tuple[Message, ...] = ()
    turn_rewards: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    mask: tuple[bool, ...] = ()
    behavior_logp: tuple[float, ...] = ()
    earlier: tuple[Seen, ...] = ()
    actions: np.ndarray | None = None  # control: [turns, action size], or [turns] for Discrete
    metrics: Mapping[str, float] = field(default_factory=dict)  # numbers that the world reports in info["metrics"]


@dataclass(frozen=True)
class Batch:
    """What an update sees. Every tensor is [B, T] over action units unless its suffix says otherwise.

    `inputs` is opaque to algorithms: a mapping of tensors whose first dimension is B, understood by the
    policy. `mask_B_T` is true where the unit was chosen by the agent; observation tokens and padding are
    false and influence nothing.
    """

    inputs: Mapping[str, Tensor]
    mask_B_T: Tensor  # bool
    behavior_logp_B_T: Tensor  # log-probability under the policy that acted, as it sampled
    reward_B_T: Tensor  # at the last unit of the turn that earned it
    turn_B_T: Tensor  # int: which turn of its episode a unit belongs to
    end_B_T: Tensor  # bool: last unit of its episode, or of the row where the row was cut
    bootstrap_B_T: Tensor  # read at ends only: 0 if terminated, V(successor) if truncated or cut
    value_B_T: Tensor  # V of the state in which the unit was chosen; zeros without a critic
    episode_B: Tensor  # int: rows of one episode share a number
    group_B: Tensor  # int
    version: int

    def rows(self, index: Tensor) -> Batch:
        """The batch of the rows `index` [b], in that order."""
        return replace(
            self,
            inputs={name: tensor[index] for name, tensor in self.inputs.items()},
            **{name: getattr(self, name)[index] for name in _TENSORS},
        )

    def to(self, device: str) -> Batch:
        """The batch on another device."""
        return replace(
            self,
            inputs={name: tensor.to(device) for name, tensor in self.inputs.items()},
            **{name: getattr(self, name).to(device) for name in _TENSORS},
        )


_TENSORS = (
    "mask_B_T",
    "behavior_logp_B_T",
    "reward_B_T",
    "turn_B_T",
    "end_B_T",
    "bootstrap_B_T",
    "value_B_T",
    "episode_B",
    "group_B",
)


@dataclass(frozen=True)
class Collection:
    """What one call of `collect` brings: the batch to learn from and a record of each finished episode."""

    batch: Batch | None  # None: no episode was scored
    episodes: tuple[Episode, ...]
    env_steps: int  # calls of `step` that the worlds answered
    action_units: int  # units that the agent chose
    seconds: Mapping[str, float] = field(default_factory=dict)  # where the time went: "simulate", "infer", …
