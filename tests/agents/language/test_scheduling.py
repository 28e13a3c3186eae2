"""Episodes that take turns as they come: the slow and the dead cost only themselves."""

import threading
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from agents_clock import Clock, stopped
from agents_worlds import Echo, Fragile

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.scheduling import Patience
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.protocols import Request
from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.vocabulary import Batch, Episode, Reply, StopReason


class Waiting(Echo):
    """Echo, stepped in threads."""

    waits = True


class FragileWaiting(Fragile):
    waits = True


class Hanging(Waiting):
    """One task in two never answers until it is let go."""

    clock: Clock
    let_go = threading.Event()
    stuck: ClassVar[set[int]] = set()

    def respond(self, reply: Reply) -> Outcome:
        if self.secret % 2 and not self.let_go.is_set():
            self.stuck.add(id(self))
            self.clock.sleep(1000.0)
            assert self.let_go.wait(60), "nobody lets it go before the others have ended"
            self.stuck.discard(id(self))
        return super().respond(reply)


class SideBySide(Echo):
    """Echo, three worlds at once, each of which takes a time of its own."""

    side_by_side = 3
    inside, most = 0, 0
    lock, three = threading.Lock(), threading.Event()
    chance = np.random.default_rng(0)

    def respond(self, reply: Reply) -> Outcome:
        with self.lock:
            SideBySide.inside += 1
            SideBySide.most = max(self.most, self.inside)
            if self.inside == 3:
                self.three.set()
            seconds = 0.02 * self.chance.random()
        assert self.three.wait(60), "the first three never meet"
        time.sleep(seconds)
        with self.lock:
            SideBySide.inside -= 1
        return super().respond(reply)


class Holding(Echo):
    """Holds something from its opening to its end."""

    held: ClassVar[set[int]] = set()

    def opening(self, rng: np.random.Generator, split: str) -> str:
        self.held.add(id(self))
        return super().opening(rng, split)

    def end(self) -> None:
        super().end()
        self.held.discard(id(self))


class HoldingWaiting(Holding):
    waits = True


class HoldingSideBySide(Holding):
    side_by_side = 3


class HoldingHanging(HoldingWaiting, Hanging):
    """Holds something, and hangs now and then."""


class Clinging(Echo):
    """Cannot be ended."""

    def end(self) -> None:
        running = self._turn is not None
        super().end()
        if running:
            raise OSError("the door is stuck")


@pytest.fixture(scope="module")
def policy() -> LanguagePolicy:
    torch.set_num_threads(1)
    return LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=2))


def actor_of(
    policy: LanguagePolicy,
    world: type[ConversationEnv],
    *,
    context: int | None = None,
    max_turns: int | None = None,
    patience: Patience | None = None,
) -> ConversationActor:
    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    context = context or policy.context
    limits = {"context": context, "max_turns": max_turns}
    return ConversationActor(world, sampler, renderer, max_tokens=6, patience=patience, **limits)


@pytest.mark.parametrize("pair", [(Echo, Waiting), (Fragile, FragileWaiting)])
def test_both_ways_of_taking_turns_give_the_same_episodes(policy: LanguagePolicy, pair: tuple[type, type]) -> None:
    together, alone = (actor_of(policy, world).collect(range(12), 2, seed=0, version=0) for world in pair)
    assert [e.tokens for e in together.episodes] == [e.tokens for e in alone.episodes]
    assert [e.reward for e in together.episodes] == [e.reward for e in alone.episodes]
    assert together.batch is not None
    assert alone.batch is not None
    torch.testing.assert_close(together.batch.behavior_logp_B_T, alone.batch.behavior_logp_B_T, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pair", [(Echo, SideBySide), (Fragile, type("Fragile", (Fragile,), {"side_by_side": 3}))])
def test_worlds_that_are_stepped_side_by_side_repeat_bit_for_bit_whatever_time_they_take(
    policy: LanguagePolicy, pair: tuple[type, type]
) -> None:
    SideBySide.most = 0
    SideBySide.three.clear()
    in_place, first, second = (
        actor_of(policy, world).collect(range(12), 2, seed=0, version=0) for world in (*pair, pair[1])
    )
    for other in (first, second):
        assert [told(episode) for episode in other.episodes] == [told(episode) for episode in in_place.episodes]
        assert in_place.batch is not None
        assert other.batch is not None
        for mine, theirs in zip(tensors(in_place.batch), tensors(other.batch), strict=True):
            assert torch.equal(mine, theirs)
    if pair[1] is SideBySide:
        assert SideBySide.most == 3


def told(episode: Episode) -> Episode:
    """Without the names of the world's class."""
    failure = None if episode.failure is None else episode.failure.partition(": ")[2]
    return replace(episode, failure=failure, scored_by="")


def tensors(batch: Batch) -> list[torch.Tensor]:
    values = (getattr(batch, field.name) for field in fields(batch))
    return [value for value in values if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize("world", [Holding, HoldingWaiting, HoldingSideBySide])
@pytest.mark.parametrize(
    ("limits", "turns_taken", "reason"),
    [
        ({"max_turns": 2}, 2, StopReason.TURN_LIMIT),
        ({"context": 1}, 0, StopReason.CONTEXT_LIMIT),
        ({"context": 20}, 1, StopReason.CONTEXT_LIMIT),
        ({}, 3, StopReason.TURN_LIMIT),  # the world's own
    ],
)
def test_nothing_is_held_for_an_episode_that_was_cut(
    policy: LanguagePolicy, world: type[Holding], limits: dict[str, int], turns_taken: int, reason: StopReason
) -> None:
    actor = actor_of(policy, world, **limits)
    for episode in actor.collect(range(5), 1, seed=0, version=0).episodes:
        assert (episode.turns, episode.stop_reason, episode.failure) == (turns_taken, reason, None)
    assert not world.held


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hanging]]:
    """Worlds that hang, for longer than anybody waits by a clock that nobody else uses."""
    Hanging.clock = stopped(monkeypatch)
    Hanging.let_go.clear()
    yield Hanging
    Hanging.let_go.set()


def test_what_a_hanging_world_holds_is_freed_when_it_comes_out(policy: LanguagePolicy, hanging: type[Hanging]) -> None:
    episodes = (
        actor_of(policy, HoldingHanging, patience=Patience(step=0.3)).collect(range(8), 1, seed=0, version=0).episodes
    )
    dead = [episode for episode in episodes if episode.failure is not None]
    assert len(Holding.held) == len(dead) > 0
    hanging.let_go.set()
    until = time.monotonic() + 60
    while Holding.held and time.monotonic() < until:
        time.sleep(0.01)
    assert not Holding.held


def test_a_world_that_cannot_be_ended_costs_its_episode_and_nothing_else(policy: LanguagePolicy) -> None:
    collection = actor_of(policy, Clinging, max_turns=2).collect(range(3), 1, seed=0, version=0)
    assert collection.batch is None
    assert all("the door is stuck" in str(episode.failure) for episode in collection.episodes)
    assert all(episode.reward is None and episode.turns == 2 for episode in collection.episodes)


def test_an_episode_whose_world_hangs_fails_alone(policy: LanguagePolicy, hanging: type[Hanging]) -> None:
    actor = actor_of(policy, hanging, patience=Patience(step=1.0))
    episodes = actor.collect(range(8), 1, seed=0, version=0).episodes
    dead = [e for e in episodes if int(e.task.split()[-1]) % 2]
    assert 0 < len(dead) < 8
    assert len(hanging.stuck) == len(dead)  # nobody has waited for them
    assert all(e.reward is None and e.stop_reason is StopReason.ERROR for e in dead)
    assert all(e.failure == "the world did not answer in time" for e in dead)
    assert all(e.reward is not None and e.turns == 3 for e in episodes if e not in dead)
    hanging.let_go.set()
    again = actor.collect(range(8), 1, seed=0, version=0).episodes  # with fresh worlds where threads were stuck
    assert all(e.failure is None for e in again)


def test_requests_join_a_running_batch_and_are_answered_as_if_alone(policy: LanguagePolicy) -> None:
    renderer = Renderer(policy.tokenizer)

    def request(key: int) -> Request:
        prompt = tuple(renderer.opening([{"role": "user", "content": "x" * (1 + 7 * key % 23)}]))
        return Request(key, prompt, limit=9, seed=key, greedy=False)

    def engine() -> TransformersEngine:
        return TransformersEngine(policy, stop_ids=[renderer.stop_id])

    def alone(key: int) -> tuple[int, ...]:
        return engine().submit([request(key)])[0].result().tokens

    together = engine()
    spoken = []
    for key in range(12):  # each while those before are being answered, or after them
        spoken += together.submit([request(key)])
        time.sleep(0.002)
    assert [future.result().tokens for future in spoken] == [alone(key) for key in range(12)]
