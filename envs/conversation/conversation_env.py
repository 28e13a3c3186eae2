"""Conversation worlds: a `gymnasium.Env` whose actions are replies and whose observations are messages.

An author writes two methods, what opens an episode and how the world responds to a reply:

    class GuessTheNumber(ConversationEnv):
        weights = {"found": 1.0}
        max_turns = 7

        def opening(self, rng, split):
            self.secret = int(rng.integers(1, 101))
            return "I think of a number from 1 to 100. Guess it."

        def respond(self, reply):
            if reply.text.strip() == str(self.secret):
                return Outcome("Yes!", terms={"found": 1.0}, terminated=True, success=True)
            return Outcome("No. Guess again.")

The reward of a turn is  r = Σ_k weight_k · term_k ; `info["reward_terms"]` holds the addends, which sum to r.

    reset  options: split, and run with group (see `pick`); info: messages, tools, task, split
    step   info: messages, reward_terms, success, metrics; stop_reason and unscored where the world names one

Many worlds are made of one where it says how, see `another`.
The world keeps no transcript: `messages` are only the new ones, and whoever acts keeps the conversation.
"""

from __future__ import annotations

import copy
import marshal
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, TypeVar

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from ..errors import NeverEnds, UserError, unknown
from ..reported import BadReport, flag, messages, metrics, named, number, success
from ..seeding import shuffled
from ..thoughts import reply_of
from ..user_code import check_value
from ..vocabulary import Message, Reply, StopReason
from .reset_options import place_of
from .reward_version import class_version, weights_version
from .reward_weights import merge_weights
from .text_spaces import AnyReply, AnyText

Split = Literal["train", "validation", "test"]  # to learn from; to decide by (when to stop, which is best); to report
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Listed = TypeVar("Listed")
Voice = Callable[[Sequence[Message], int], str]  # messages, seed → text: whom a world may talk to besides the agent
_OPTIONS = ("split", "run", "group")


@dataclass(frozen=True)
class Opening:
    """How an episode begins. A plain string in its place is one user message."""

    messages: str | Sequence[Message]
    task: str = ""  # names the task: two episodes of one task have equal names; default: the last message
    tools: Sequence[Mapping[str, Any]] = ()  # JSON schemas of the tools that may be called


@dataclass(frozen=True)
class Outcome:
    """How the world responds to one reply."""

    messages: str | Sequence[Message] = ()  # a non-empty string is one user message
    terms: Mapping[str, float] = field(default_factory=dict)  # unweighted; a term that is not named is zero
    terminated: bool = False  # the task is over: there is no state after this one
    truncated: bool = False  # the world stops although the task could go on; `max_turns` does this by itself
    success: bool | None = None  # None: not decided yet, or the world has no notion of success
    metrics: Mapping[str, float] = field(default_factory=dict)  # further numbers worth a curve
    stop_reason: StopReason | None = None  # why the world truncates, where it is no limit of turns
    unscored: str | None = None  # why nobody knows what the reply is worth: the episode ends and has no reward


class ConversationEnv(gymnasium.Env[str, Reply | str]):
    """A world of messages. Subclasses write `opening` and `respond`, and may write `oracle`.

    Args:
        weights: replaces the class's weight of each reward term that it names.

    Raises:
        UserError: a weight for a term that the world does not have, or one that is not a finite number.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (an instance attribute to Gymnasium's types)
    weights: Mapping[str, float] = {}
    """Weight of each reward term. Every term that `respond` reports has to be named here."""
    reward_version: ClassVar[str] = ""
    """Raise it when equal replies may earn something else than before. Empty: the source file's digest stands in."""
    max_turns: ClassVar[int | None] = None
    """Turns after which the episode is truncated. A world of one turn terminates instead: its task is over."""
    has_success: bool | None = None
    """True: the world decides about success, so that an episode which is cut before has not succeeded. None: nobody
    knows until it says something; then the success of such an episode stays unknown, and counts as none where other
    episodes of the same evaluation say something."""
    judges_groups: bool = False
    """Whether `hear_together` wants to be asked before the members of a group are stepped."""
    splits: ClassVar[tuple[Split, ...]] = ("train", "test")
    """What `opening` may be asked for. Where "validation" is not among them, a task for training stands in: what is
    reported decides nothing."""
    waits: ClassVar[bool] = False
    """Whether a step may wait for something outside (a tool, a sandbox, a server). Such worlds are stepped in
    threads, so that no episode waits for another's; all others take turns together, and repeat bit for bit."""
    granted_seconds: float = 0.0
    """Seconds that the world's tools may have taken so far in this episode, by limits that they keep themselves.
    Whoever limits the time of a world that `waits` grants them on top, so that no tool's own limit is cut short."""
    side_by_side: int = 1
    """How many worlds may be stepped at once, where a step computes in another process. Such worlds share nothing that
    changes an episode. They take turns together, so many at a time in threads, and repeat bit for bit all the same."""

    endless_after: int | None = 1_000
    """Turns after which a world without any limit is said never to end. None where somebody else keeps a limit."""
    agent_format: str | None = None
    """How whoever acts here writes tool calls (see `call_formats`), put in before the first episode. A world with tools
    reads calls so where its own options name no format."""
    tools_in_prompt: bool = False
    """Whether the opening says what the tools are, so that no chat template has to show them."""
    remarks: tuple[str, ...] = ()
    """What is odd about the world and no mistake, a sentence each: said once, before the first step."""
    voice_names: ClassVar[tuple[str, ...]] = ()
    """Whom the world talks to besides the agent: a simulated user, a judge. They are put into `voices` by these names,
    before the first episode."""

    # what an episode needs stands here too, so that a subclass may forget `super().__init__()`
    observation_space = AnyText()
    action_space = AnyReply()
    voices: Mapping[str, Voice] = {}
    _turn: int | None = None  # None: no episode is running
    _place: tuple[int, int] | None = None  # run and group of this episode, where the caller numbers them
    _is_made = False  # whether the constructor below was called

    def __init__(self, *, weights: Mapping[str, float] | None = None) -> None:
        self._is_made = True
        self.observation_space = AnyText()
        self.action_space = AnyReply()
        self.weights = merge_weights(type(self).weights, {} if weights is None else weights)

    @property
    def turn_limit(self) -> int | None:
        """The most turns that an episode can have; None where nothing bounds them."""
        return self.max_turns

    @property
    def scored_by(self) -> str:
        """Which version of the reward this world pays by, weights included; see `reward_version`. Episodes keep it."""
        return class_version(type(self), ConversationEnv) + weights_version(self.weights, type(self).weights)

    def opening(self, rng: np.random.Generator, split: Split) -> str | Opening:
        """Begin an episode. All chance comes from `rng`; tasks of different splits must be disjoint. Tasks of a finite
        list are taken by `pick`.
        """
        raise NotImplementedError(f"{self._name} has to define opening(self, rng, split)")

    def respond(self, reply: Reply) -> Outcome:
        """Respond to one reply. Text from an agent is data: any string at all must be survived."""
        raise NotImplementedError(f"{self._name} has to define respond(self, reply)")

    def tasks_in(self, split: Split) -> int | None:
        """How many groups meet each task of a split once, in the order of `pick`; None where chance makes tasks."""
        return None

    def hear_together(self, members: Sequence[tuple[ConversationEnv, Reply]]) -> None:
        """What the members of a group, of which this world is one, are to be stepped with in the same turn."""

    def oracle(self) -> str | Reply | None:
        """What an expert would reply now; None where nobody has written one. Used for demonstrations."""
        return None

    def read(self, text: str) -> Reply:
        """What a reply says and calls: whoever acts asks before it steps. Never raises. Worlds with tools extend it."""
        return Reply(text)

    def write(self, reply: Reply) -> str:
        """A text that `read` takes for `reply`. Worlds with tools extend it."""
        return reply.text

    def another(self) -> Self | None:
        """A world like this one, at no episode, that shares with it what never changes, such as a list of tasks; None,
        as here, where only the constructor makes a world that shares nothing else.

        A class whose `opening` makes all that an episode changes, and whose constructor begins nothing that it keeps
        (no server, no file, no stream of chance), writes `return self.sibling()`.
        """
        return None

    def sibling(self) -> Self:
        """For `another`: a world at no episode, with its own chance and spaces, and otherwise the very objects of this
        one. What they do not both only read has to be replaced in it.
        """
        other = copy.copy(self)
        other._np_random = other._np_random_seed = None
        other._turn = other._place = None
        other.observation_space, other.action_space = AnyText(), AnyReply()
        other.weights, other.voices = dict(self.weights), {}
        other.granted_seconds = 0.0
        return other

    def _is_built_by(self, owner: type[ConversationEnv]) -> bool:
        """Whether `owner` wrote the constructor: what another one added, nobody knows."""
        return type(self).__init__ is owner.__init__ and type(self).__new__ is owner.__new__

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin an episode; `options={"split": "test"}` draws from the tasks that results are reported on, "validation"
        from those that decisions are made by.

        Two more options, `run` (a seed) and `group` (a number from 0), are for whoever plays many episodes: worlds of
        finite lists then go through their list, see `pick`.

        Returns:
            The text of the last message, and info with `messages`, `tools`, `task` and `split`.

        Raises:
            UserError: an unknown option or split, or one of `run` and `group` without the other.
        """
        split, self._place = _split_of(options or {}), place_of(options or {})
        super().reset(seed=seed)
        self.end()
        begun = self.opening(self.np_random, split if split in self.splits else "train")
        check_value(f"{self._name}.opening", begun)
        if isinstance(begun, str):
            begun = Opening(begun)
        if not isinstance(begun, Opening):
            raise BadReport(f"{self._name}.opening gave {begun!r:.80}; allowed are a text and an Opening")
        first = messages(begun.messages, "opening")
        if not first:
            raise BadReport(f"{self._name}.opening gave no message; an episode begins with at least one")
        text = first[-1]["content"]
        tools = _own_tools(self._name, begun.tools)
        self._turn = 0
        info = {
            "messages": first,
            "tools": tools,
            "task": named(begun.task, "a task") if begun.task else text,
            "split": split,
        }
        return text, info

    def step(self, action: Reply | str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """One turn: the agent's reply, given as a `Reply` or as plain text.

        Returns:
            The text of the last new message ("" if there is none), the reward, terminated, truncated, and
            info with `messages`, `reward_terms` (weighted; they sum to the reward), `success`, `metrics` and,
            where the world names one, `stop_reason`. Where the world cannot say what the reply is worth, the reward
            is NaN, the episode ends, and `unscored` is the reason.

        Raises:
            TypeError: the action is neither text nor a `Reply`; the episode goes on.
            ResetNeeded: no episode is running.
            UserError: the episode has no limit, and does not end.
            BadReport: the world reported something of the wrong form, such as a reward that is no finite number.
        """
        reply = reply_of(action) if isinstance(action, str) else action
        if not isinstance(reply, Reply) or not isinstance(reply.text, str):
            raise TypeError(f"{self._name}.step takes a str or a Reply, not {type(action).__name__}: {action!r:.80}")
        if self._turn is None:
            raise ResetNeeded(f"{self._name}: no episode is running; call reset() before step()")
        turn, self._turn = self._turn + 1, None  # a world that raises has lost its episode
        try:
            self._check_that_it_ends(turn)
            return self._advance(reply, turn)
        finally:
            if self._turn is None:
                self.end()

    def pick(self, tasks: Sequence[Listed], rng: np.random.Generator) -> Listed:
        """The task of this episode from `tasks`, which is all that there are of its split.

        Where the caller says which group of which run this is, group g of a run gets

            tasks[order[g mod M]],    order: the run's own shuffle of 0 … M − 1

        so that N groups in a row meet every task ⌊N/M⌋ or ⌈N/M⌉ times, and none of them twice while N ≤ M, wherever
        they begin. It is one order for all epochs because of that: with a new one in each, a batch across the border
        could hold a task twice. Otherwise (a seed alone, as in `gymnasium.make`) the task is drawn from `rng`.
        """
        if self._place is None:
            return tasks[int(rng.integers(len(tasks)))]
        run, group = self._place
        return tasks[int(shuffled(run, len(tasks))[group % len(tasks)])]

    def end(self) -> None:
        """The episode is over: free what it holds; twice is harmless. A world that holds something (a sandbox, a file)
        extends this. It is called after the last turn, before the next episode and by `close`; whoever stops in the
        middle of an episode should call it too.
        """
        self._turn = None

    def close(self) -> None:
        """End the episode, if one is running; closing twice is harmless."""
        self.end()
        super().close()

    def _advance(self, reply: Reply, turn: int) -> tuple[str, float, bool, bool, dict[str, Any]]:
        outcome = self.respond(reply)
        check_value(f"{self._name}.respond", outcome)
        if not isinstance(outcome, Outcome):
            raise BadReport(f"{self._name}.respond gave {outcome!r:.80}; allowed is an Outcome")
        if outcome.unscored is not None:
            return self._unscored(outcome, outcome.unscored)
        terms = self._weighted(outcome.terms)
        reward = number(sum(terms.values(), 0.0), "the reward")
        terminated, truncated = flag(outcome.terminated, "terminated"), flag(outcome.truncated, "truncated")
        succeeded = success(outcome.success)
        if not terminated and turn == self.max_turns:
            truncated = True
        if truncated and not terminated and succeeded is None and self.has_success:
            succeeded = False
        new = messages(outcome.messages, "respond")
        info: dict[str, Any] = {
            "messages": new,
            "reward_terms": terms,
            "success": succeeded,
            "metrics": metrics(outcome.metrics),
        }
        if outcome.stop_reason is not None:
            info["stop_reason"] = _stop_reason(outcome.stop_reason)
        if not terminated and not truncated:
            self._turn = turn
        return new[-1]["content"] if new else "", reward, terminated, truncated, info

    def _unscored(self, outcome: Outcome, reason: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """The end of an episode whose reward nobody knows: it is not zero."""
        new = messages(outcome.messages, "respond")
        reason = named(reason, "the reason why a reply is unscored")
        seen = metrics(outcome.metrics)
        info = {"messages": new, "reward_terms": {}, "success": None, "metrics": seen, "unscored": reason}
        return new[-1]["content"] if new else "", math.nan, True, False, info

    def _check_that_it_ends(self, turn: int) -> None:
        if self.endless_after is not None and turn > self.endless_after and self.turn_limit is None:
            raise NeverEnds(
                f"{self._name}: an episode went on for {self.endless_after:,} turns, and nothing limits it; write "
                "max_turns in the class, or max_episode_steps among the options of the world"
            )

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _weighted(self, terms: Mapping[str, float]) -> dict[str, float]:
        """weight_k · term_k for every term of this world, in the order of `weights`."""
        if not isinstance(terms, Mapping):
            raise BadReport(f"terms are {terms!r:.80}, no mapping of names to numbers")
        for term in terms:
            if term not in self.weights:
                raise UserError(f"{self._name}: {unknown('reward term', str(term), self.weights)}")
        found = {term: number(value, f"the reward term {term!r}") for term, value in terms.items()}
        return {term: weight * found.get(term, 0.0) for term, weight in self.weights.items()}


def _own_tools(world: str, tools: Any) -> list[dict[str, Any]]:
    """A copy that the caller may change; of a thousand schemas in a tenth of the time that `deepcopy` takes. BadReport
    for what are no schemas of functions."""
    if not isinstance(tools, list | tuple) or not all(map(_is_schema, tools)):
        allowed = 'allowed are schemas {"type": "function", "function": {"name": …, …}}'
        raise BadReport(f"{world}.opening gave tools {tools!r:.80}; {allowed}")
    listed = [dict(tool) for tool in tools]
    try:
        return marshal.loads(marshal.dumps(listed))
    except ValueError:  # something else than JSON is in them
        return copy.deepcopy(listed)


def _is_schema(tool: Any) -> bool:
    """Whether this describes a function, in the form that chat templates take, or as its description alone."""
    function = tool.get("function", tool) if isinstance(tool, Mapping) else None
    return isinstance(function, Mapping) and isinstance(function.get("name"), str)


def _split_of(options: Mapping[str, Any]) -> Split:
    for name in options:
        if name not in _OPTIONS:
            raise UserError(unknown("reset option", str(name), _OPTIONS))
    split = options.get("split", "train")
    if split not in SPLITS:
        raise UserError(unknown("split", str(split), SPLITS))
    return split


def _stop_reason(given: Any) -> StopReason:
    try:
        return StopReason(given)
    except ValueError:
        raise BadReport(unknown("stop_reason", str(given), [reason.value for reason in StopReason])) from None
