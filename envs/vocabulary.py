"""The glossary: every word that worlds, agents and algorithms share, as frozen values.

    world        a `gymnasium.Env`. Control worlds show and take numbers; conversation worlds take replies.
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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Message(TypedDict):
    """One chat message, in the form that chat templates take.

    An agent's `content` is what it said, besides its thought (`reasoning_content`) and its calls (`tool_calls`, each
    `{"id", "type": "function", "function": {"name", "arguments"}}`); a tool's answer bears the id of its call.
    """

    role: str  # "system", "user", "assistant" or "tool"
    content: str
    name: NotRequired[str]
    tool_calls: NotRequired[list[dict[str, Any]]]
    tool_call_id: NotRequired[str]
    reasoning_content: NotRequired[str]
    written: NotRequired[str]  # an agent's whole reply, where `content` is not all of it
    parse_error: NotRequired[str]  # what was wrong with its tool call, where `content` holds a malformed one
    logp: NotRequired[float]  # of a written reply: as `Reply.logp`


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
    thought: str = ""  # what the agent thought before it said `text`; nobody obeys it
    logp: float | None = None  # log-probability of all of it under who wrote it; None: nobody has noted that


class WorldFailure(RuntimeError):
    """A world cannot go on through no fault of the agent: the episode has reward None and never trains."""


class Seen(TypedDict):
    """A sequence of tokens that a model saw, from its prompt to its last reply. The three lists are of one length."""

    tokens: list[int]
    mask: list[bool]  # which of them it sampled
    behavior_logp: list[float]  # the sampler's log-probability of each, zero where not sampled


EPISODES_IN_GROUP = 1 << 20  # at most


def episode_number(group: int, index: int) -> int:
    """The one number of an episode, in batches, records and files, whoever collected it: group · 2²⁰ + index.

    `ValueError` if the group has no such member.
    """
    if not 0 <= index < EPISODES_IN_GROUP:
        raise ValueError(f"a group has at most {EPISODES_IN_GROUP} episodes; there is no number {index}")
    return group * EPISODES_IN_GROUP + index


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
    split: str  # "train", "validation" (what goals are judged on) or "test" (what is reported)
    reward: float | None  # undiscounted sum; None: nobody knows, for something failed or was never answered
    reward_terms: Mapping[str, float] = field(default_factory=dict)  # weighted; they sum to `reward`
    turns: int = 0
    units: int = 0  # action units chosen by the agent
    terminated: bool = False
    truncated: bool = False
    success: bool | float | None = None  # 0.5: half of one (a tie); None: nobody has said, or there is no notion of it
    stop_reason: StopReason = StopReason.STOP
    failure: str | None = None  # why, in a sentence, where the world or the sampler failed
    unanswered: str | None = None  # why the agent was never asked: its prompt does not fit into its context
    unscored: str | None = None  # why the world cannot say whether the reply is right, with nothing broken
    left_out: str | None = None  # what a stranger's world first reported that is not of our form: nobody counts it
    misfit: str | None = None  # what its world was seen to observe that is not as its space says; in no file
    world: str = ""  # the name of the one in which it was played, where there are several
    scored_by: str = ""  # which version of the reward gave the number, see `ConversationEnv.scored_by`
    task: str = ""  # what names the task: two episodes of one task have equal names
    messages: tuple[Message, ...] = ()
    turn_rewards: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    mask: tuple[bool, ...] = ()
    behavior_logp: tuple[float, ...] = ()
    earlier: tuple[Seen, ...] = ()
    actions: np.ndarray | None = None  # control: [turns, action size], or [turns] for Discrete
    metrics: Mapping[str, float] = field(default_factory=dict)  # numbers that the world reports in info["metrics"]
    learned: tuple[Mapping[str, Sequence[float | None]], ...] = ()
    """What the learner said of the tokens of each sequence, by name (advantage, weight, logp, entropy, value); None at
    tokens of which it said nothing. Empty where nobody learned from the episode."""

    def sequences(self) -> list[Seen]:
        """Every sequence of tokens that the model saw, in order."""
        last = Seen(tokens=list(self.tokens), mask=list(self.mask), behavior_logp=list(self.behavior_logp))
        return [*self.earlier, last]

    @property
    def number(self) -> int:
        """`episode_number` of this one, as its rows in a batch bear it."""
        return episode_number(self.group, self.index)


@dataclass(frozen=True)
class Batch:
    """What an update sees: B rows of T action units. Suffixes say the shape.

    `inputs` is opaque to algorithms and understood by the policy. Its names carry their shapes too (`tokens_B_T`,
    `observation_B_T_D`, `first_B`), by which rows are picked, padded, joined and taken apart into units. `mask_B_T` is
    true where the unit was chosen by the agent; observation tokens and padding are false and influence nothing.
    """

    inputs: Mapping[str, Tensor]
    mask_B_T: Tensor  # bool
    behavior_logp_B_T: Tensor  # log-probability under the policy that acted, as it sampled
    reward_B_T: Tensor  # at the last unit of the turn that earned it
    turn_B_T: Tensor  # int: which turn of its episode a unit belongs to
    end_B_T: Tensor  # bool: last unit of its episode, or of the row where the row was cut
    episode_B: Tensor  # int: `episode_number` of the (first) episode in the row; rows of one episode share it
    group_B: Tensor  # int
    version_B: Tensor  # int: the oldest version of the policy that chose a unit of the row
    bundle_B: (
        Tensor  # int: rows with equal numbers are tied together by one weight, and nothing that splits rows parts them
    )
    value_B_T: Tensor | None = None  # V of the state in which the unit was chosen; None: a learner asks its critic
    bootstrap_B_T: Tensor | None = None  # read at ends only: 0 if terminated, V(successor) if truncated or cut
    notes: Mapping[str, Tensor] = field(default_factory=dict)
    """What else is known of rows or units, by name and shape: `truncated_B` (bool: there is a state after the row's
    last unit, for its episode was truncated or goes on in another row); `cut_B_T` (bool: last units of cut replies);
    `observed_B_T` (bool: what the world said after the agent's first reply; of a prompt nothing, whatever it holds);
    `left_out_B` (bool: rows that count in no loss)."""

    def rows(self, index: Tensor | slice) -> Batch:
        """The batch of the rows `index` [b], in that order; of a slice, without a copy."""
        return self._each(lambda name, tensor: tensor[index])

    def to(self, device: str) -> Batch:
        """The batch on another device."""
        return self._each(lambda name, tensor: tensor.to(device))

    def units(self) -> Batch:
        """The same units, each a row of its own: [M, 1] for M units in the mask. No two are tied together."""
        import torch

        mask = self.mask_B_T
        row = torch.nonzero(mask)[:, 0]
        apart = self._each(lambda name, tensor: tensor[mask][:, None] if "_B_T" in name else tensor[row])
        return replace(apart, bundle_B=torch.arange(len(row), device=row.device))

    @staticmethod
    def join(parts: Sequence[Batch]) -> Batch:
        """The rows of all `parts` in the order of their episodes' numbers, padded to the longest: halves joined equal
        the whole, bit for bit, whoever collected them. `ValueError` for none, or parts of different inputs or notes.
        """
        import torch

        whole = Batch.stacked(parts)
        return whole.rows(torch.argsort(whole.episode_B, stable=True))

    @staticmethod
    def stacked(parts: Sequence[Batch]) -> Batch:
        """The rows of all `parts`, one part behind the other, padded to the longest. Where a part has no note of a term
        of rewards, none of its episodes earned by it. `ValueError` as `join`."""
        import torch

        if not parts:
            raise ValueError("there are no batches to join")
        terms = sorted({name for part in parts for name in part.notes if name.startswith("term_")})
        nothing = [{n: torch.zeros(len(part.mask_B_T), device=part.mask_B_T.device) for n in terms} for part in parts]
        parts = [replace(part, notes={**none, **part.notes}) for part, none in zip(parts, nothing, strict=True)]
        names = [(set(part.inputs), set(part.notes), part._given()) for part in parts]
        if any(other != names[0] for other in names):
            raise ValueError(f"batches with different inputs, notes or values cannot be joined: {names}")
        length = max(part.mask_B_T.shape[1] for part in parts)

        def padded(name: str, tensor: Tensor) -> Tensor:
            if "_B_T" not in name:
                return tensor
            missing = tensor.new_zeros(len(tensor), length - tensor.shape[1], *tensor.shape[2:])
            return torch.cat([tensor, missing], dim=1)

        def column(name: str, of: Callable[[Batch], Tensor]) -> Tensor:
            return torch.cat([padded(name, of(part)) for part in parts])

        return Batch(
            inputs={name: column(name, lambda part, n=name: part.inputs[n]) for name in parts[0].inputs},
            notes={name: column(name, lambda part, n=name: part.notes[n]) for name in parts[0].notes},
            **{name: column(name, lambda part, n=name: getattr(part, n)) for name in parts[0]._given()},
        )

    def _given(self) -> tuple[str, ...]:
        """The names of the columns that are not None."""
        return tuple(name for name in _TENSORS if getattr(self, name) is not None)

    def _each(self, change: Callable[[str, Tensor], Tensor]) -> Batch:
        """The batch with every tensor changed, by its name."""
        return replace(
            self,
            inputs={name: change(name, tensor) for name, tensor in self.inputs.items()},
            notes={name: change(name, tensor) for name, tensor in self.notes.items()},
            **{name: change(name, getattr(self, name)) for name in self._given()},
        )


_TENSORS = tuple(f.name for f in fields(Batch) if f.name.endswith(("_B_T", "_B")))


@dataclass(frozen=True)
class Collection:
    """What one call of `collect` brings: the batch to learn from and a record of each finished episode."""

    batch: Batch | None  # None: no episode was scored
    episodes: tuple[Episode, ...]
    env_steps: int  # calls of `step` that the worlds answered
    action_units: int  # units that the agent chose
    running: int = 0  # episodes that have begun and go on in the next collection
    seconds: Mapping[str, float] = field(default_factory=dict)  # where the time went: "simulate", "infer", …
    shown: Batch | None = None  # demonstrations, where some are imitated beside; None: there are none, or none scored

    @staticmethod
    def join(parts: Sequence[Collection]) -> Collection:
        """All of `parts` as one; of the batches as `Batch.join`. `ValueError` for none."""
        batches = [part.batch for part in parts if part.batch is not None]
        shown = [part.shown for part in parts if part.shown is not None]
        if not parts:
            raise ValueError("there are no collections to join")
        names = sorted({name for part in parts for name in part.seconds})
        return Collection(
            Batch.join(batches) if batches else None,
            tuple(episode for part in parts for episode in part.episodes),
            sum(part.env_steps for part in parts),
            sum(part.action_units for part in parts),
            sum(part.running for part in parts),
            {name: sum(part.seconds.get(name, 0.0) for part in parts) for name in names},
            Batch.join(shown) if shown else None,
        )
