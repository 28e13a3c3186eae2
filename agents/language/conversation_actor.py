"""Lets an agent speak in conversation worlds, and brings back what was said as tokens.

    reset ─▶ opening tokens ─▶ ( reply: sampled tokens ─▶ step ─▶ delta tokens )*  ─▶ one row for each sample

Every episode has its own world, its own random streams (derived from what it is, not from when it runs) and its own
failures: a world that raises costs its episode and nothing else. A row is exactly what the model saw. How episodes
take turns is in `scheduling`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import gymnasium
import torch
from torch import Tensor

from ...envs.conversation.conversation_env import ConversationEnv
from ...envs.seeding import stream
from ...envs.vocabulary import Batch, Collection, Episode, StopReason
from ..protocols import Engine, Request
from .chat_template import Renderer
from .language_policy import LanguagePolicy
from .packing import pack
from .running_conversation import Conversation
from .scheduling import Patience, independently, lockstep


class ConversationActor:
    """An `Actor` for conversation worlds. `engine` replies to what the episodes ask.

    Args:
        make_world: gives a new world; one is kept for each episode that runs at once.
        policy: whose batches these are; its critic gives values if `values`, which a stage without one switches off.
        max_turns: an episode is truncated after so many replies; None leaves that to the world.
        patience: how long a world that waits may work; see `Patience`.
        micro_batch: most units (with padding) whose values are read in one forward pass; None reads all at once.
    """

    def __init__(
        self,
        make_world: Callable[[], gymnasium.Env[Any, Any]],
        engine: Engine,
        renderer: Renderer,
        *,
        policy: LanguagePolicy | None = None,
        values: bool = True,
        context: int,
        max_turns: int | None = None,
        micro_batch: int | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._make_world, self._engine, self._renderer, self._policy = make_world, engine, renderer, policy
        self._context, self._max_turns, self._patience = context, max_turns, patience
        self._values, self._micro_batch = values, micro_batch
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

    def evaluate(self, episodes: int, *, seed: int, version: int, greedy: bool = True) -> list[Episode]:
        """One episode of each of `episodes` held-out tasks; tasks of a shorter list come equally often."""
        keys = [(group, 0) for group in range(episodes)]
        conversations = self._converse(keys, seed=seed, version=version, split="test", greedy=greedy, seconds={})
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
        """Rows of the scored episodes, with values where there is a critic."""
        samples, names, cut = [], [], []
        for conversation in conversations:
            if not conversation.is_scored:
                continue
            spoken = [sample for sample in conversation.samples if any(sample.chosen)]
            for sample in spoken:
                samples.append(sample)
                names.append((conversation.group, conversation.index))
                cut.append(conversation.truncated or sample is not spoken[-1])
        if not samples:
            return None
        device = self._policy.device if self._policy is not None else torch.device("cpu")
        batch = pack(samples, names, version).to(str(device))
        if self._policy is None or not (self._values and self._policy.has_critic):
            return batch
        return _with_values(batch, self._policy, torch.tensor(cut, device=device), self._micro_batch)


@torch.no_grad()
def _with_values(batch: Batch, policy: LanguagePolicy, cut_B: Tensor, micro_batch: int | None) -> Batch:
    """Values from the critic; the successor of a unit is the state one column on."""
    rows, width = batch.mask_B_T.shape
    size = rows if micro_batch is None else max(1, micro_batch // width)
    parts = torch.arange(rows, device=batch.mask_B_T.device).split(size)
    value = torch.cat([policy.values(batch.rows(part).inputs) for part in parts])
    successor = torch.nn.functional.pad(value[:, 1:], (0, 1))
    bootstrap = torch.where(batch.end_B_T & cut_B[:, None], successor, 0.0)
    return replace(batch, value_B_T=torch.where(batch.mask_B_T, value, 0.0), bootstrap_B_T=bootstrap)
