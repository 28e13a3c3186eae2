"""Somebody else whom a world talks to: a language model that speaks by an engine, the agent's own or another."""

from __future__ import annotations

import threading

import pytest
import torch
from agents_clock import Clock, stopped
from agents_engines import Disordered, Doomed, Told
from booking_world import Booking

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.scheduling import Patience
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.language.voices import LanguageVoice
from peripatos.agents.protocols import Completion, Engine
from peripatos.envs.vocabulary import Episode, Message, WorldFailure

TALK: list[Message] = [{"role": "system", "content": "want 3"}, {"role": "user", "content": "hello?"}]


@pytest.fixture(scope="module")
def policy() -> LanguagePolicy:
    torch.set_num_threads(1)
    return LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=2))


def plain(policy: LanguagePolicy) -> TransformersEngine:
    return TransformersEngine(policy, stop_ids=[Renderer(policy.tokenizer).stop_id])


def voice_of(policy: LanguagePolicy, engine: Engine, **limits: float) -> LanguageVoice:
    options = {"context": policy.context, "max_tokens": 8, **limits}
    return LanguageVoice(engine, Renderer(policy.tokenizer), **options)  # type: ignore[arg-type]


def played(
    policy: LanguagePolicy,
    agent: Engine,
    customer: Engine,
    *,
    patience: Patience | None = None,
    patience_s: float = 20.0,
) -> list[Episode]:
    def world() -> Booking:
        made = Booking()
        made.voices = {"customer": voice_of(policy, customer, patience=patience_s)}
        return made

    actor = ConversationActor(
        world, agent, Renderer(policy.tokenizer), context=policy.context, max_tokens=6, patience=patience
    )
    try:
        return list(actor.collect(range(6), 2, seed=0, version=0).episodes)
    finally:
        actor.close()
        customer.close()


def test_what_a_voice_says_is_decided_by_what_it_heard_and_its_seed(policy: LanguagePolicy) -> None:
    engine = plain(policy)
    voice = voice_of(policy, engine)
    said = [voice(TALK, seed) for seed in (1, 1, 2, 3)]
    assert said[0] == said[1]
    assert len(set(said)) > 1
    engine.close()


def test_a_voice_hears_its_conversation_in_its_own_models_words(policy: LanguagePolicy) -> None:
    renderer = Renderer(policy.tokenizer)
    told = Told(lambda turn: renderer.encode_reply("three"), renderer.stop_id)
    assert voice_of(policy, told)(TALK, 0) == "three"
    assert told.seen == [tuple(renderer.opening(TALK))]
    told.close()


def test_the_agents_own_engine_may_be_the_customer_whoever_is_answered_first(policy: LanguagePolicy) -> None:
    shared = plain(policy)
    together = played(policy, shared, shared)
    assert all(episode.failure is None for episode in together)
    assert len({episode.messages[0]["content"] for episode in together}) > 1
    apart = played(policy, Disordered(plain(policy), seed=1), plain(policy))
    assert [e.messages for e in apart] == [e.messages for e in together]
    for episode in together:
        theirs = [m["content"] for m in episode.messages if m["role"] == "user"]
        assert len(theirs) == episode.turns + 1  # its words are read, and none of them is a unit of the agent's
        assert episode.units == sum(episode.mask) <= 6 * episode.turns


class Thinking(Told):
    """Takes a while for each answer."""

    clock: Clock

    def step(self) -> list[tuple[int, Completion]]:
        self.clock.sleep(0.25)
        return super().step()


class Silent(Told):
    """Never answers; it ends with the test."""

    def __init__(self, stop_id: int) -> None:
        super().__init__(lambda turn: [30, stop_id], stop_id)
        self._closed = threading.Event()

    def step(self) -> list[tuple[int, Completion]]:
        self._closed.wait()
        return []

    def close(self) -> None:
        self._closed.set()
        super().close()


def test_the_time_that_a_voice_takes_is_not_the_worlds(policy: LanguagePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    Thinking.clock, stop = stopped(monkeypatch), Renderer(policy.tokenizer).stop_id
    slow = Thinking(lambda turn: [30, stop], stop)
    episodes = played(policy, plain(policy), slow, patience=Patience(step=0.1, episode=0.1))
    assert {episode.failure for episode in episodes} == {None}
    assert Thinking.clock.passed >= 12 * 0.25  # somebody has thought for each of the episodes


def test_a_voice_that_says_nothing_fails_the_episode_and_not_the_run(policy: LanguagePolicy) -> None:
    for episode in played(policy, plain(policy), Silent(Renderer(policy.tokenizer).stop_id), patience_s=0.05):
        assert episode.reward is None
        assert "a voice said nothing in 0.05 s" in str(episode.failure)


def test_a_voice_whose_engine_has_died_fails_the_episodes_that_talk_to_it(policy: LanguagePolicy) -> None:
    before = set(threading.enumerate())
    dead = Doomed(policy, stop_ids=[])
    episodes = played(policy, plain(policy), dead)
    assert all(episode.reward is None for episode in episodes)
    assert all("no room for keys and values" in str(episode.failure) for episode in episodes)
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name == "engine" and thread.is_alive()]


def test_a_voice_that_was_told_too_much_says_so(policy: LanguagePolicy) -> None:
    voice = voice_of(policy, plain(policy), context=10)
    with pytest.raises(WorldFailure, match=r"was told \d+ tokens, and its model holds 10"):
        voice(TALK, 0)
    assert voice.granted_seconds == 0.0


def test_a_late_answer_is_cancelled(policy: LanguagePolicy) -> None:
    slow = Silent(Renderer(policy.tokenizer).stop_id)
    voice = voice_of(policy, slow, patience=0.05)
    with pytest.raises(WorldFailure, match=r"said nothing in 0\.05 s"):
        voice(TALK, 0)
    assert voice.granted_seconds == pytest.approx(0.05, abs=0.01)  # and no more, however late somebody hears of it
    slow.close()
