"""Lets an agent speak in conversation worlds, and brings back what was said as tokens.

    reset ─▶ opening tokens ─▶ ( reply: sampled tokens ─▶ step ─▶ delta tokens )*  ─▶ one row for each sample

Every episode has its own world, its own random streams (derived from what it is, not from when it runs) and its own
failures: a world that raises costs its episode and nothing else. A row is exactly what the model saw. How episodes
take turns is in `scheduling`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol, cast

import gymnasium
from torch import Tensor

from ...envs.conversation.conversation_env import ConversationEnv
from ...envs.open_worlds import close
from ...envs.vocabulary import Batch, Collection, Episode, StopReason
from ..protocols import Author, Completion, Engine, Weights
from .authors import Oracle
from .chat_template import Renderer
from .packing import pack
from .running_conversation import Conversation
from .scheduling import MOST_THREADS, Patience, independently, lockstep
from .speaking import Drawn, Speaker, Written


class Company(Protocol):
    """Whoever speaks in the worlds besides the agent."""

    def load(self, weights: Weights) -> None:
        """As `Actor.load`."""
        ...

    def close(self) -> None:
        """As `Actor.close`."""
        ...


class ConversationActor:
    """An `Actor` for conversation worlds.

    Args:
        make_world: gives a new world; one is kept for each episode that runs at once.
        who: an engine or an author, which is closed with the actor.
        context: most tokens of a conversation.
        max_tokens: most tokens of an engine's reply; None: as many as the context holds.
        max_turns: an episode is truncated after so many replies; None leaves that to the world.
        patience: how long a world that waits may work; see `Patience`.
        company: who else speaks in the worlds, if that needs weights or has to be closed.
        shows: whether batches hold each prompt also as it is after the world's oracle has shown what to do (once for
            each group), for a reader that has seen it; see `demonstrated`.
    """

    def __init__(
        self,
        make_world: Callable[[], gymnasium.Env[Any, Any]],
        who: Engine | Author,
        renderer: Renderer,
        *,
        context: int,
        max_tokens: int | None = None,
        max_turns: int | None = None,
        patience: Patience | None = None,
        company: Company | None = None,
        shows: bool = False,
    ) -> None:
        self._make_world, self._who, self._renderer = make_world, who, renderer
        self._context, self._max_tokens = context, max_tokens
        self._max_turns, self._patience = max_turns, patience
        self._company, self._shows = company, shows
        self._worlds: list[ConversationEnv] = []
        self._numbers = itertools.count()

    def collect(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Collection:
        """`group_size` episodes of each group's task, in order; unscored ones are in `episodes` only."""
        keys = [(group, index) for group in groups for index in range(group_size)]
        seconds: dict[str, float] = {"infer": 0.0, "simulate": 0.0}
        at = {"seed": seed, "version": version, "split": "train", "seconds": seconds}
        demonstrations = []
        if self._shows:
            demonstrations = self._converse([(group, 0) for group in groups], Oracle(), greedy=True, **at)
        conversations = self._converse(keys, self._who, greedy=False, **at)
        batch = self._batch(conversations, version, demonstrations)
        return Collection(
            batch,
            tuple(conversation.episode() for conversation in conversations),
            env_steps=sum(conversation.turns for conversation in (*demonstrations, *conversations)),
            action_units=sum(conversation.units for conversation in conversations),
            seconds=seconds,
        )

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Actor.evaluate`; tasks of a shorter list come equally often."""
        keys = [(group, index) for group in range(tasks) for index in range(each)]
        at = {"seed": seed, "version": version, "split": split, "seconds": {}}
        conversations = self._converse(keys, self._who, greedy=greedy, **at)
        return [conversation.episode() for conversation in conversations]

    def state(self) -> dict[str, Tensor]:
        """Nothing outlives a collection."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """Nothing to continue."""
        return 0

    def load(self, weights: Weights) -> None:
        """Pass the new weights on to the engines."""
        if isinstance(self._who, Engine):
            self._who.load(weights)
        if self._company is not None:
            self._company.load(weights)

    def close(self) -> None:
        """Close who replies, and every world."""
        self._who.close()
        if self._company is not None:
            self._company.close()
        for world in self._worlds:
            close(world)
        self._worlds.clear()

    def _converse(
        self,
        keys: Sequence[tuple[int, int]],
        who: Engine | Author,
        *,
        seed: int,
        version: int,
        split: str,
        greedy: bool,
        seconds: dict[str, float],
    ) -> list[Conversation]:
        """Run one episode for each (group, index), all at once; `who` replies."""
        while len(self._worlds) < len(keys):
            self._worlds.append(self._new_world())
        conversations = [
            Conversation(
                world,
                self._renderer,
                group,
                index,
                run=seed,
                version=version,
                split=split,
                context=self._context,
                number=next(self._numbers),
            )
            for world, (group, index) in zip(self._worlds, keys, strict=False)
        ]
        waits = bool(conversations) and conversations[0].world.waits
        speaker = self._speaker(who, waits)
        ask = partial(self._ask, speaker, greedy)
        try:
            if waits:
                independently(conversations, ask, seconds, self._patience)
            else:
                lockstep(conversations, ask, seconds)
        finally:
            speaker.release(conversations)
            busy = {id(conversation.world) for conversation in conversations if conversation.abandoned}
            self._worlds = [world for world in self._worlds if id(world) not in busy]  # others are made when needed
        return conversations

    def _new_world(self) -> ConversationEnv:
        world = cast(ConversationEnv, self._make_world().unwrapped)
        world.agent_format = self._renderer.reply_format
        return world

    def _speaker(self, who: Engine | Author, waits: bool) -> Speaker:
        if isinstance(who, Engine):
            return Drawn(who, context=self._context, max_tokens=self._max_tokens)
        return Written(who, MOST_THREADS if waits or who.waits else 0)

    def _ask(
        self, speaker: Speaker, greedy: bool, conversations: Sequence[Conversation]
    ) -> list[Future[Completion] | None]:
        """The next reply of each; None where the episode has reached a limit and was truncated."""
        within = [conversation for conversation in conversations if self._is_within_limits(conversation)]
        replies = dict(zip(map(id, within), speaker.ask(within, greedy), strict=True))
        return [replies.get(id(conversation)) for conversation in conversations]

    def _is_within_limits(self, conversation: Conversation) -> bool:
        """Whether there is room for another reply; if not, the episode ends here."""
        if len(conversation.tokens) >= self._context and not conversation.turns:
            held = f"the context holds {self._context}"
            conversation.leave_unanswered(f"the prompt has {len(conversation.tokens)} tokens and {held}")
        elif len(conversation.tokens) >= self._context:
            conversation.truncate(StopReason.CONTEXT_LIMIT)
        elif conversation.turns == self._max_turns:
            conversation.truncate(StopReason.TURN_LIMIT)
        return not conversation.over

    def _batch(
        self, conversations: Sequence[Conversation], version: int, demonstrations: Sequence[Conversation]
    ) -> Batch | None:
        """Rows of the scored episodes, with what was shown of each one's group."""
        samples, names, truncated, terms, shown = [], [], [], [], []
        seen = {one.group: one.messages if one.is_scored else [] for one in demonstrations}  # one that failed: nothing
        for conversation in conversations:
            if not conversation.is_scored:
                continue
            spoken = [sample for sample in conversation.samples if any(sample.chosen)]
            for sample in spoken:
                samples.append(sample)
                names.append((conversation.group, conversation.index))
                truncated.append(conversation.truncated or sample is not spoken[-1])
                terms.append(conversation.terms)
                if seen:
                    shown.append(conversation.shown(seen[conversation.group], sample))
        return pack(samples, names, version, truncated, terms, shown) if samples else None
