"""Guests where an engine is expected: late and in disorder, dying now and then, dying for good, interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from agents_engines import Disordered, Doomed, Mortal
from agents_worlds import Echo, Fragile

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.scheduling import WrongVersion
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.protocols import Engine, EngineDied, Weights
from peripatos.envs.vocabulary import Collection, StopReason


class Waiting(Echo):
    waits = True


class FragileWaiting(Fragile):
    waits = True


@pytest.fixture(scope="module")
def policy() -> LanguagePolicy:
    torch.set_num_threads(1)
    return LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=2))


def plain(policy: LanguagePolicy) -> TransformersEngine:
    return TransformersEngine(policy, stop_ids=[Renderer(policy.tokenizer).stop_id])


def collected(policy: LanguagePolicy, engine: Engine, world: type[Echo], groups: int = 8) -> Collection:
    actor = ConversationActor(world, engine, Renderer(policy.tokenizer), context=policy.context, max_tokens=6)
    try:
        return actor.collect(range(groups), 2, seed=0, version=0)
    finally:
        actor.close()


@pytest.mark.parametrize("world", [Echo, Waiting, Fragile, FragileWaiting])
def test_answers_in_disorder_after_random_delays_give_the_same_episodes(
    policy: LanguagePolicy, world: type[Echo]
) -> None:
    want = collected(policy, plain(policy), world)
    got = collected(policy, Disordered(plain(policy), seed=1), world)
    assert [e.tokens for e in got.episodes] == [e.tokens for e in want.episodes]
    assert [e.messages for e in got.episodes] == [e.messages for e in want.episodes]
    assert [e.reward for e in got.episodes] == [e.reward for e in want.episodes]
    assert want.batch is not None
    assert got.batch is not None
    torch.testing.assert_close(got.batch.behavior_logp_B_T, want.batch.behavior_logp_B_T, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("world", [Echo, Waiting])
def test_an_engine_that_dies_now_and_then_costs_the_episodes_it_owed_and_no_others(
    policy: LanguagePolicy, world: type[Echo]
) -> None:
    want = collected(policy, plain(policy), world)
    got = collected(policy, Mortal(plain(policy), seed=1, share=0.1), world)
    lost = 0
    for mine, theirs in zip(got.episodes, want.episodes, strict=True):
        if mine.failure is None:
            assert (mine.tokens, mine.reward) == (theirs.tokens, theirs.reward)
            continue
        lost += 1
        assert (mine.reward, mine.success, mine.stop_reason) == (None, None, StopReason.ERROR)
        assert mine.failure == "the server went away"
        assert mine.tokens == theirs.tokens[: len(mine.tokens)]
    assert lost < len(got.episodes)
    assert got.batch is not None
    assert len(set(got.batch.episode_B.tolist())) == len(got.episodes) - lost


@pytest.mark.parametrize("world", [Echo, Waiting])
def test_an_engine_that_dies_for_good_ends_what_it_owes_and_the_next_collection(
    policy: LanguagePolicy, world: type[Echo]
) -> None:
    before = set(threading.enumerate())
    doomed = Doomed(policy, stop_ids=[Renderer(policy.tokenizer).stop_id])
    actor = ConversationActor(world, doomed, Renderer(policy.tokenizer), context=policy.context, max_tokens=6)
    lost: list[str] = []
    while len(lost) < 12:  # where worlds are stepped in threads, one of them may ask the dead engine at once
        try:
            episodes = actor.collect(range(3), 2, seed=0, version=0).episodes
        except EngineDied as death:
            lost.append(str(death))
            break
        assert all(episode.reward is None for episode in episodes)
        lost += [str(episode.failure) for episode in episodes]
    assert len(lost) in (1, 7)
    assert all("no room for keys and values" in reason for reason in lost)
    actor.close()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "engine"]


def test_replies_of_other_weights_than_asked_for_are_refused(policy: LanguagePolicy) -> None:
    actor = ConversationActor(Echo, plain(policy), Renderer(policy.tokenizer), context=policy.context, max_tokens=6)
    with pytest.raises(WrongVersion, match="from version 0 of the weights, and these episodes are for version 1"):
        actor.collect([0], 1, seed=0, version=1)
    actor.load(Weights(1))
    assert actor.collect([0], 1, seed=0, version=1).batch is not None
    actor.close()


def test_an_engine_that_nobody_holds_any_more_ends_its_thread(policy: LanguagePolicy) -> None:
    before = set(threading.enumerate())
    actor = ConversationActor(Echo, plain(policy), Renderer(policy.tokenizer), context=policy.context, max_tokens=6)
    actor.collect([0], 1, seed=0, version=0)
    del actor
    until = time.monotonic() + 60
    while set(threading.enumerate()) - before and time.monotonic() < until:
        time.sleep(0.01)  # it may have been forgetting the conversation
    assert set(threading.enumerate()) <= before


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
sys.path.insert(0, {here!r})
from agents_engines import Told
from agents_worlds import Echo
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.tiny_llama import tiny_tokenizer

class Slow(Told):
    def step(self):
        print("asked", flush=True)
        time.sleep(0.5)
        return []

renderer = Renderer(tiny_tokenizer())
engine = Slow(lambda turn: [11, renderer.stop_id], renderer.stop_id)
actor = ConversationActor(type("World", (Echo,), {{"waits": {waits}}}), engine, renderer, context=500)
{run}
"""


@pytest.mark.parametrize(
    ("waits", "run"),
    [
        (False, "actor.collect([0], 2, seed=0, version=0)"),
        (True, "actor.collect([0], 2, seed=0, version=0)"),
        (False, "from peripatos.agents.protocols import Request; engine.submit([Request(0, (1,), 1, 0, True)]); 1 / 0"),
    ],
    ids=["Ctrl-C in lockstep", "Ctrl-C among worlds that wait", "a crash while replies are owed"],
)
def test_nothing_hangs_while_an_engine_is_at_work(waits: bool, run: str) -> None:
    text = SLOW.format(here=str(Path(__file__).parents[1]), waits=waits, run=run)
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "asked\n"
    if "collect" in run:
        process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)  # the engine never answers
    assert ("KeyboardInterrupt" if "collect" in run else "ZeroDivisionError") in error
