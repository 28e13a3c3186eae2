"""Episodes that take turns as they come: the slow and the dead cost only themselves."""

import threading
import time

import numpy as np
import pytest
import torch
from agents_worlds import Echo, Fragile

from peripatos.agents import turns
from peripatos.agents.conversation_actor import ConversationActor
from peripatos.agents.language import LanguagePolicy
from peripatos.agents.rendering import Renderer
from peripatos.agents.sampler import Sampler
from peripatos.agents.tiny import tiny_llama
from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.vocabulary import Reply, StopReason


class Waiting(Echo):
    """Echo, stepped in threads."""

    waits = True


class FragileWaiting(Fragile):
    waits = True


class Hanging(Waiting):
    """One task in two never answers until it is let go."""

    let_go = threading.Event()

    def respond(self, reply: Reply) -> Outcome:
        if self.secret % 2:
            self.let_go.wait(30)
        return super().respond(reply)


@pytest.fixture(scope="module")
def policy() -> LanguagePolicy:
    torch.set_num_threads(1)
    return LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=2))


def actor_of(policy: LanguagePolicy, world: type[ConversationEnv]) -> ConversationActor:
    renderer = Renderer(policy.tokenizer)
    sampler = Sampler(policy, max_tokens=6, stop_ids=[renderer.stop_id])
    return ConversationActor(world, sampler, renderer, policy=policy, context=policy.context)


@pytest.mark.parametrize("pair", [(Echo, Waiting), (Fragile, FragileWaiting)])
def test_both_ways_of_taking_turns_give_the_same_episodes(policy: LanguagePolicy, pair: tuple[type, type]) -> None:
    together, alone = (actor_of(policy, world).collect(range(12), 2, seed=0, version=0) for world in pair)
    assert [e.tokens for e in together.episodes] == [e.tokens for e in alone.episodes]
    assert [e.reward for e in together.episodes] == [e.reward for e in alone.episodes]
    assert together.batch is not None
    assert alone.batch is not None
    torch.testing.assert_close(together.batch.behavior_logp_B_T, alone.batch.behavior_logp_B_T, atol=1e-5, rtol=1e-5)


def test_an_episode_whose_world_hangs_fails_alone(policy: LanguagePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "STEP_SECONDS", 1.0)
    Hanging.let_go.clear()
    actor = actor_of(policy, Hanging)
    started = time.monotonic()
    episodes = actor.collect(range(8), 1, seed=0, version=0).episodes
    assert time.monotonic() - started < 15  # and not thirty seconds for each
    dead = [e for e in episodes if int(e.task.split()[-1]) % 2]
    assert 0 < len(dead) < 8
    assert all(e.reward is None and e.stop_reason is StopReason.ERROR for e in dead)
    assert all(e.failure == "the world did not answer in time" for e in dead)
    assert all(e.reward is not None and e.turns == 3 for e in episodes if e not in dead)
    Hanging.let_go.set()
    again = actor.collect(range(8), 1, seed=0, version=0).episodes  # with fresh worlds where threads were stuck
    assert all(e.failure is None for e in again)


def test_requests_join_a_running_batch_and_are_answered_as_if_alone(policy: LanguagePolicy) -> None:
    renderer = Renderer(policy.tokenizer)
    from peripatos.agents.speakers import Request

    def request(key: int) -> Request:
        prompt = tuple(renderer.opening([{"role": "user", "content": "x" * (1 + 7 * key % 23)}]))
        return Request(prompt, (), Echo(), np.random.default_rng(key))

    def alone(key: int) -> tuple[int, ...]:
        sampler = Sampler(policy, max_tokens=9, stop_ids=[renderer.stop_id])
        sampler.admit(0, request(key))
        done = []
        while sampler.busy:
            done += sampler.step(greedy=False)
        return done[0][1].tokens

    sampler = Sampler(policy, max_tokens=9, stop_ids=[renderer.stop_id])
    spoken = {}
    for key in range(12):  # a new request at every other token
        sampler.admit(key, request(key))
        for _ in range(2):
            spoken |= dict(sampler.step(greedy=False))
    while sampler.busy:
        spoken |= dict(sampler.step(greedy=False))
    assert {key: reply.tokens for key, reply in spoken.items()} == {key: alone(key) for key in range(12)}
