"""One running episode of a conversation, and the samples that it leaves.

A `Sample` is one sequence of tokens that the model saw, with a mark on those that it chose. Usually an episode leaves
one; where the chat template rewrites earlier turns, each rewriting begins another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...envs.conversation.conversation_env import ConversationEnv
from ...envs.seeding import wide_seed
from ...envs.vocabulary import Episode, Message, Reply, Seen, StopReason
from ..protocols import Completion
from .asking import Answer, Start
from .chat_template import Renderer
from .sample import Sample
from .talk import Talk


class Conversation:
    """One episode: its world, what was said, and how it ended."""

    def __init__(
        self,
        world: ConversationEnv,
        renderer: Renderer,
        group: int,
        index: int,
        *,
        run: int,
        version: int,
        split: str,
        context: int,
        number: int = 0,
    ) -> None:
        self._context = context
        self.number = number  # under which an engine knows it
        self.world = world
        self.group, self.index, self.version, self.split = group, index, version, split
        self._run = run
        self.start = Start.of(run, split, group)
        self.samples: list[Sample] = []
        self._talk = Talk(renderer, world.read)
        self.turns = self.units = 0
        self.terminated = self.truncated = self.abandoned = False
        self.failure: str | None = None
        self.unanswered: str | None = None
        self.unscored: str | None = None
        self._stop_reason = StopReason.STOP
        self._task = ""
        self.tools: list[dict[str, object]] = []
        self._rewards: list[float] = []
        self._terms: dict[str, float] = {}
        self._metrics: dict[str, float] = {}
        self._success: bool | None = None

    @property
    def messages(self) -> list[Message]:
        """What was said so far."""
        return self._talk.messages

    @property
    def over(self) -> bool:
        """No more replies are wanted."""
        return self.terminated or self.truncated or self.failure is not None

    @property
    def tokens(self) -> list[int]:
        """What the model sees now; empty if the world failed to open."""
        return self.samples[-1].tokens if self.samples else []

    @property
    def reply_seed(self) -> int:
        """Of all chance in the next reply: derived from what it is, and not from when it is given."""
        return wide_seed(self._run, "sample", self.split, self.group, self.index, self.turns, self.version)

    def shown(self, demonstration: Sequence[Message], sample: Sample) -> list[int]:
        """The prompt of `sample` as it would be after a demonstration; as it is, where there is no room for both."""
        prompt = self._talk.prompt_after(demonstration, sample.told)
        fits = len(prompt) + len(sample.tokens) - sample.first <= self._context
        return prompt if fits else sample.tokens[: sample.first]

    def write(self, reply: Reply) -> list[int]:
        """The tokens of a reply that somebody else gives."""
        return self._talk.write(self.world.write(reply))

    def append_reply(self, spoken: Completion) -> Reply | None:
        """Append a reply; what the world is to be asked. None if the reply does not fit the context, whoever wrote
        it: it is left out, and the episode ends before it."""
        if len(self.tokens) + len(spoken.tokens) > self._context:
            self.truncate(StopReason.CONTEXT_LIMIT)
            return None
        self._stop_reason = spoken.stop_reason
        self.samples[-1].extend(spoken.tokens, self.turns, spoken.logp)
        self.units += len(spoken.tokens)
        if spoken.stop_reason is not StopReason.STOP:
            self.samples[-1].cut.add(len(self.samples[-1].tokens) - 1)
        return self._talk.take(spoken.tokens, spoken.stop_reason)

    def append_messages(self, answer: Answer) -> None:
        """Take in what the world said: its opening, its answer to the reply, or that it has ended what was cut."""
        if answer.failure is not None:
            self.fail(answer.failure)
        elif self.over:
            return
        elif not self.samples:
            self.tools, self._task = answer.info["tools"], answer.info["task"]
            prompt = self._talk.begin(answer.info["messages"], self.tools)
            self.samples.append(Sample(prompt, told=len(self.messages)))
        else:
            self._append_turn(answer)

    @property
    def terms(self) -> Mapping[str, float]:
        """What the episode has earned so far by each named term of its reward."""
        return self._terms

    def _append_turn(self, answer: Answer) -> None:
        sample, info = self.samples[-1], answer.info
        self.unscored = info.get("unscored")
        if self.unscored is not None:
            self.terminated, self.turns = True, self.turns + 1
            self.messages.extend(info["messages"])
            self._metrics |= info["metrics"]
            return
        sample.reward[len(sample.tokens) - 1] = answer.reward
        self._rewards.append(answer.reward)
        for name, value in info["reward_terms"].items():
            self._terms[name] = self._terms.get(name, 0.0) + value
        self._metrics |= info.get("metrics", {})
        self._success = info.get("success")
        self.terminated, self.truncated = answer.terminated, answer.truncated and not answer.terminated
        if self.truncated:
            self._stop_reason = StopReason(info.get("stop_reason", StopReason.TURN_LIMIT))
        if self.over:
            self.messages.extend(info["messages"])
        else:
            self._continue(sample, info["messages"])
        self.turns += 1

    def truncate(self, reason: StopReason) -> None:
        """End the episode from outside. As at a limit of the world's own, an undecided success is then False where the
        world has a notion of it, and the world's last words are read by nobody: their tokens are taken back, so that
        no row outgrows the context.
        """
        self.truncated, self._stop_reason = True, reason
        if self._success is None and self.world.has_success:
            self._success = False
        if len(self.samples) > 1 and not any(self.samples[-1].chosen):
            self.samples.pop()
        self.samples[-1].take_back()

    def leave_unanswered(self, why: str) -> None:
        """End the episode before its first reply, for which there is no room. It has no reward: nobody has tried."""
        self.truncated, self._stop_reason = True, StopReason.CONTEXT_LIMIT
        self.unanswered = why

    def fail(self, reason: str) -> None:
        """End the episode without a reward."""
        self.failure, self._stop_reason = reason, StopReason.ERROR

    def abandon(self, reason: str) -> None:
        """Fail, and never touch the world again: a thread may still be inside it, and ends it when it comes out."""
        self.abandoned = True
        self.fail(reason)

    def _continue(self, sample: Sample, new: list[Message]) -> None:
        """Append the world's messages, or begin a new sample where the template cannot be extended."""
        tokens, rewritten = self._talk.go_on(new)
        if rewritten:
            self.samples.append(Sample(tokens, told=len(self.messages)))
        else:
            sample.extend(tokens, self.turns, None)

    @property
    def is_scored(self) -> bool:
        """Whether the episode has a reward."""
        return self.failure is None and self.unanswered is None and self.unscored is None

    def episode(self) -> Episode:
        """The record; reward None if the episode failed, was never answered, or nobody knows what it is worth."""
        sample = self.samples[-1] if self.samples else Sample([])
        scored = self.is_scored
        return Episode(
            group=self.group,
            index=self.index,
            seed=self.start.seed,
            version=self.version,
            split=self.split,
            reward=sum(self._rewards) if scored else None,
            reward_terms=self._terms,
            turns=self.turns,
            units=self.units,
            terminated=self.terminated,
            truncated=self.truncated,
            success=self._success if scored else None,
            stop_reason=self._stop_reason,
            failure=self.failure,
            unanswered=self.unanswered,
            unscored=self.unscored,
            scored_by=self.world.scored_by,
            task=self._task,
            messages=tuple(self.messages),
            turn_rewards=tuple(self._rewards),
            tokens=tuple(sample.tokens),
            mask=tuple(sample.chosen),
            behavior_logp=tuple(sample.logp),
            earlier=tuple(Seen(tokens=s.tokens, mask=s.chosen, behavior_logp=s.logp) for s in self.samples[:-1]),
            metrics=self._metrics,
        )
