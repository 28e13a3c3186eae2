"""Lets an agent speak in conversation worlds, and brings back what was said as tokens.

    reset ─▶ opening tokens ─▶ ( reply: sampled tokens ─▶ step ─▶ delta tokens )*  ─▶ one row for each sample

Every episode has its own world, its own random streams (derived from what it is, not from when it runs) and its own
failures: a world that raises costs its episode and nothing else. A row is exactly what the model saw. How episodes
take turns is in `scheduling`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import gymnasium
from torch import Tensor

from ...envs.conversation.conversation_env import ConversationEnv
from ...envs.seeding import stream
from ...envs.vocabulary import Batch, Collection, Episode, StopReason
from ..protocols import Engine, Request
from .chat_template import Renderer
from .packing import pack
from .running_conversation import Conversation
from .scheduling import Patience, independently, lockstep


class ConversationActor:
    """An `Actor` for conversation worlds. `engine` replies to what the episodes ask.

    Args:
        make_world: gives a new world; one is kept for each episode that runs at once.
        max_turns: an episode is truncated after so many replies; None leaves that to the world.
        patience: how long a world that waits may work; see `Patience`.
    """

    def __init__(
        self,
        make_world: Callable[[], gymnasium.Env[Any, Any]],
        engine: Engine,
        renderer: Renderer,
        *,
        context: int,
        max_turns: int | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._make_world, self._engine, self._renderer = make_world, engine, renderer
        self._context, self._max_turns, self._patience = context, max_turns, patience
        self._worlds: list[ConversationEnv] = []

    def collect(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Collection:
        """`group_size` episodes of each group's task, in order; unscored ones are in `episodes` only."""
        keys = [(group, index) for group in groups for index in range(group_size)]
        seconds: dict[str, float] = {"infer": 0.0, "simulate": 0.0}
        conversations = self._converse(keys, seed=seed, version=version, split="train", greedy=False, seconds=seconds)
        batch = self._batch(conversations, version)
        return Collection(
            batch,
            tuple(conversation.episode() for conversation in conversations),
            env_steps=sum(conversation.turns for conversation in conversations),
            action_units=sum(conversation.units for conversation in conversations),
            seconds=seconds,
        )

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Actor.evaluate`; tasks of a shorter list come equally often."""
        keys = [(group, index) for group in range(tasks) for index in range(each)]
        conversations = self._converse(keys, seed=seed, version=version, split=split, greedy=greedy, seconds={})
        return [conversation.episode() for conversation in conversations]

    def state(self) -> dict[str, Tensor]:
        """Nothing outlives a collection."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to continue."""

    def refresh(self, version: int) -> None:
        """Pass the new weights on to the engine."""
        self._engine.refresh(version)

    def close(self) -> None:
        """Close every world."""
        for world in self._worlds:
            world.close()
        self._worlds.clear()

    def _converse(
        self,
        keys: Sequence[tuple[int, int]],
        *,
        seed: int,
        version: int,
        split: str,
        greedy: bool,
        seconds: dict[str, float],
    ) -> list[Conversation]:
        """Run one episode for each (group, index), all at once."""
        while len(self._worlds) < len(keys):
            self._worlds.append(cast(ConversationEnv, self._make_world().unwrapped))
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
            )
            for world, (group, index) in zip(self._worlds, keys, strict=False)
        ]
        ask = partial(self._request, seed=seed, version=version)
        try:
            if conversations and conversations[0].world.waits:
                independently(conversations, self._engine, ask, greedy, seconds, self._patience)
            else:
                lockstep(conversations, self._engine, ask, greedy, seconds)
        finally:
            self._engine.release()
        for place, conversation in enumerate(conversations):
            if conversation.abandoned:  # its world is still busy somewhere: the next episode gets another
                self._worlds[place] = cast(ConversationEnv, self._make_world().unwrapped)
        return conversations

    def _request(self, conversation: Conversation, *, seed: int, version: int) -> Request | None:
        """What the engine is asked next; None if the episode has reached a limit and was truncated."""
        if len(conversation.tokens) >= self._context and not conversation.turns:
            conversation.leave_unanswered(self._context)
            return None
        if len(conversation.tokens) >= self._context:
            conversation.truncate(StopReason.CONTEXT_LIMIT)
            return None
        if conversation.turns == self._max_turns:
            conversation.truncate(StopReason.TURN_LIMIT)
            return None
        rng = stream(
            seed, "sample", conversation.split, conversation.group, conversation.index, conversation.turns, version
        )
        return Request(tuple(conversation.tokens), tuple(conversation.messages), conversation.world, rng)

    def _batch(self, conversations: Sequence[Conversation], version: int) -> Batch | None:
        """Rows of the scored episodes."""
        samples, names, truncated = [], [], []
        for conversation in conversations:
            if not conversation.is_scored:
                continue
            spoken = [sample for sample in conversation.samples if any(sample.chosen)]
            for sample in spoken:
                samples.append(sample)
                names.append((conversation.group, conversation.index))
                truncated.append(conversation.truncated or sample is not spoken[-1])
        return pack(samples, names, version, truncated) if samples else None
