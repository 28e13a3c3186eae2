"""One running episode of a conversation, and the samples that it leaves.

A `Sample` is one sequence of tokens that the model saw, with a mark on those that it chose. Usually an episode leaves
one; where the chat template rewrites earlier turns, each rewriting begins another.
"""

from __future__ import annotations

import math
import traceback
from dataclasses import dataclass, field

from ..envs.conversation import ConversationEnv
from ..envs.errors import UserError
from ..envs.vocabulary import Episode, Message, Reply, StopReason
from .rendering import Renderer
from .speakers import Spoken


@dataclass
class Sample:
    """Four lists of one length, a prompt first, and the reward of each turn at its last unit."""

    tokens: list[int]
    chosen: list[bool] = field(default_factory=list)
    logp: list[float] = field(default_factory=list)
    turn: list[int] = field(default_factory=list)
    reward: dict[int, float] = field(default_factory=dict)  # position → reward
    first: int = 0  # length of the prompt

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


class Conversation:
    """One episode: its world, what was said, and how it ended."""

    def __init__(
        self,
        world: ConversationEnv,
        renderer: Renderer,
        group: int,
        index: int,
        seed: int,
        version: int,
        split: str,
    ) -> None:
        self.world, self._renderer = world, renderer
        self.group, self.index, self.seed, self.version, self.split = group, index, seed, version, split
        self.samples: list[Sample] = []
        self.messages: list[Message] = []
        self.turns = self.units = 0
        self.terminated = self.truncated = False
        self.failure: str | None = None
        self._stop_reason = StopReason.STOP
        self._task = ""
        self._tools: list[dict[str, object]] = []
        self._rewards: list[float] = []
        self._terms: dict[str, float] = {}
        self._metrics: dict[str, float] = {}
        self._success: bool | None = None

    @property
    def over(self) -> bool:
        """No more replies are wanted."""
        return self.terminated or self.truncated or self.failure is not None

    @property
    def tokens(self) -> list[int]:
        """What the model sees now; empty if the world failed to open."""
        return self.samples[-1].tokens if self.samples else []

    def open(self) -> None:
        """Reset the world and render its opening."""
        try:
            _, info = self.world.reset(seed=self.seed, options={"split": self.split})
        except UserError:
            raise
        except Exception:  # whatever a world raises is data: it costs this episode and is reported
            self._fail()
            return
        self.messages = list(info["messages"])
        self._tools, self._task = info["tools"], info["task"]
        self.samples.append(Sample(self._renderer.opening(self.messages, self._tools)))

    def hear(self, spoken: Spoken) -> None:
        """One turn: append the reply, step the world, append its answer."""
        sample, turn = self.samples[-1], self.turns
        sample.extend(spoken.tokens, turn, spoken.logp)
        self.turns, self.units = turn + 1, self.units + len(spoken.tokens)
        text = self._renderer.decode(spoken.tokens)
        self.messages.append({"role": "assistant", "content": text})
        self._stop_reason = spoken.stop_reason
        try:
            reply = Reply(text, stop_reason=spoken.stop_reason, units=len(spoken.tokens))
            _, reward, self.terminated, self.truncated, info = self.world.step(reply)
            if not math.isfinite(reward):
                raise ValueError(f"the world gave the reward {reward}")
        except UserError:
            raise
        except Exception:  # as above
            self._fail()
            return
        if sample.tokens:
            sample.reward[len(sample.tokens) - 1] = float(reward)
        self._rewards.append(float(reward))
        for name, value in info["reward_terms"].items():
            self._terms[name] = self._terms.get(name, 0.0) + value
        self._metrics |= info.get("metrics", {})
        self._success = info.get("success")
        self.messages += info["messages"]
        if self.truncated and not self.terminated:
            self._stop_reason = StopReason.TURN_LIMIT
        if not self.over:
            self._continue(sample, info["messages"], turn, stopped=spoken.stop_reason is StopReason.STOP)

    def truncate(self, reason: StopReason) -> None:
        """End the episode from outside."""
        self.truncated, self._stop_reason = True, reason

    def _continue(self, sample: Sample, new: list[Message], turn: int, *, stopped: bool) -> None:
        """Append the world's messages, or begin a new sample where the template cannot be extended."""
        delta = self._renderer.delta(new, stopped=stopped)
        if delta is None:
            self.samples.append(Sample(self._renderer.opening(self.messages, self._tools)))
        else:
            sample.extend(delta, turn, None)

    def _fail(self) -> None:
        self.failure = traceback.format_exc()
        self._stop_reason = StopReason.ERROR

    def episode(self) -> Episode:
        """The record; reward None if the episode failed."""
        sample = self.samples[-1] if self.samples else Sample([])
        return Episode(
            group=self.group,
            index=self.index,
            seed=self.seed,
            version=self.version,
            split=self.split,
            reward=None if self.failure is not None else sum(self._rewards),
            reward_terms=self._terms,
            turns=self.turns,
            units=self.units,
            terminated=self.terminated,
            truncated=self.truncated and not self.terminated,
            success=None if self.failure is not None else self._success,
            stop_reason=self._stop_reason,
            failure=self.failure,
            task=self._task,
            messages=tuple(self.messages),
            turn_rewards=tuple(self._rewards),
            tokens=tuple(sample.tokens),
            mask=tuple(sample.chosen),
            behavior_logp=tuple(sample.logp),
            metrics=self._metrics,
        )
