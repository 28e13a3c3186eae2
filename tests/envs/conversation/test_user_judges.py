"""Reward functions that compute, wait, hang, or are coroutines."""

from __future__ import annotations

import asyncio
import math
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from peripatos.agents.language.authors import Oracle
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.tiny_llama import byte_tokenizer
from peripatos.envs.conversation import Outcome, TaskWorld, user_judges
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Reply, WorldFailure

ROWS = [{"prompt": f"q{n}", "answer": str(n), "oracle": str(n)} for n in range(60)]
THREADS: set[str] = set()


def in_place(reply, task):
    THREADS.add(threading.current_thread().name)
    return reply.text == task["answer"]


def computes(reply, task):
    THREADS.add(threading.current_thread().name)
    until = time.thread_time() + 0.3
    while time.thread_time() < until:
        pass
    return True


def sleeps(reply, task):
    THREADS.add(threading.current_thread().name)
    with waiting():
        time.sleep(0.3)
    return reply.text == task["answer"]


async def awaits(reply, task):
    with waiting():
        await asyncio.sleep(0.3)
    return reply.text == task["answer"]


WAITING: list[int] = []  # one for each who waits
MOST = [0]


@contextmanager
def waiting() -> Iterator[None]:
    WAITING.append(1)
    MOST[0] = max(MOST[0], len(WAITING))
    yield
    WAITING.pop()


def gives_a_coroutine(reply, task):
    return awaits(reply, task)


class Judge:
    async def __call__(self, reply, task):
        return await awaits(reply, task)


def played(reward: Any, episodes: int, **options: Any) -> tuple[list[float | None], float]:
    """The rewards of so many episodes of an expert, and how long they took."""
    world = TaskWorld(ROWS, reward, **options)
    actor = ConversationActor(
        lambda: world.another() or TaskWorld(ROWS, reward, **options), Oracle(), Renderer(byte_tokenizer()), context=512
    )
    began = time.perf_counter()
    collection = actor.collect(range(episodes), 1, seed=0, version=0)
    return [episode.reward for episode in collection.episodes], time.perf_counter() - began


@pytest.mark.parametrize("reward", [sleeps, awaits, gives_a_coroutine, partial(awaits), Judge()], ids=str)
def test_a_judge_that_waits_is_asked_side_by_side_by_itself(reward):
    MOST[0] = 0
    assert played(reward, 40)[0] == [1.0] * 40
    assert MOST[0] >= 4  # nearly all of 40; fewer where each is begun late


def test_a_judge_that_does_not_wait_is_called_in_place(monkeypatch):
    undisturbed = SimpleNamespace(perf_counter=time.thread_time, thread_time=time.thread_time)
    monkeypatch.setattr(user_judges, "time", undisturbed)  # as where nobody else wants the cores
    THREADS.clear()
    assert played(in_place, 20)[0] == [1.0] * 20
    assert played(computes, 3)[0] == [1.0] * 3
    assert {threading.current_thread().name} == THREADS


def test_one_at_once_is_one_after_the_other_in_place():
    THREADS.clear()
    assert played(sleeps, 3, at_once=1)[0] == [1.0] * 3
    assert {threading.current_thread().name} == THREADS


def test_as_many_are_asked_at_once_as_is_said():
    MOST[0], three = 0, threading.Barrier(3)

    def counts(reply, task):
        with waiting():
            three.wait(60)  # so many come at once, or nobody gets on
            time.sleep(0.02)  # and a fourth could come now
        return 1.0

    assert played(counts, 12, at_once=3, deadline=90)[0] == [1.0] * 12
    assert MOST[0] == 3


@pytest.mark.parametrize("hangs", [lambda reply, task: time.sleep(60), lambda reply, task: asyncio.sleep(60)])
def test_a_judge_that_is_late_costs_the_episode_and_is_named(hangs):
    rewards, seconds = played(hangs, 5, deadline=0.2)
    assert rewards == [None] * 5
    assert seconds < 50
    world = TaskWorld(ROWS, hangs, deadline=0.2)
    world.reset(seed=0)
    with pytest.raises(WorldFailure, match=r"the reward function '<lambda>' did not answer within 0\.2 seconds"):
        world.step("x")


def test_what_a_judge_raises_is_its_own_also_a_timeout_and_in_a_coroutine():
    async def fails(reply, task):
        raise TimeoutError("of the server")

    def fails_here(reply, task):
        raise TimeoutError("of the server")

    for reward in (fails, fails_here):
        world = TaskWorld(ROWS, reward, deadline=60)
        world.reset(seed=0)
        with pytest.raises(TimeoutError, match="of the server"):
            world.step("x")


def test_coroutines_of_all_calls_share_a_loop():
    loops = set()

    async def sees(reply, task):
        loops.add(id(asyncio.get_running_loop()))
        return

    world = TaskWorld(ROWS, sees)
    for seed in range(3):
        world.reset(seed=seed)
        assert math.isnan(world.step("x")[1])
    assert len(loops) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"at_once": 0}, "at_once is 0; allowed is a whole number, 1 or greater"),
        ({"at_once": True}, "at_once is True"),
        ({"deadline": 0}, "deadline is 0; allowed are seconds above 0"),
        ({"deadline": "1 s"}, "deadline is '1 s'; allowed is a number of seconds"),
        ({"success_at": "1"}, "success_at is '1', not a number"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, words):
    with pytest.raises((UserError, WorldFailure), match=words):
        TaskWorld(ROWS, in_place, **options)


@pytest.mark.parametrize(
    ("verdict", "weights", "succeeds"),
    [
        (1.0, None, True),
        (0.75, None, True),
        (0.7, None, False),
        (True, None, True),
        (False, None, False),
        ({"tests": 0.5, "style": 0.5}, {"tests": 1.0, "style": 0.5}, True),
        ({"tests": 0.5}, {"tests": 1.0, "style": 0.5}, False),
        (Outcome(terms={"reward": 1.0}, terminated=True), None, None),
    ],
)
def test_a_fraction_is_a_success_from_where_the_world_says(verdict, weights, succeeds):
    world = TaskWorld(ROWS, lambda reply, task: verdict, success_at=0.75, weights=weights)
    assert world.has_success
    world.reset(seed=0)
    assert world.step("x")[4]["success"] is succeeds


def ranks(replies, task):
    """The longest reply is the best."""
    longest = max(len(reply.text) for reply in replies)
    return [float(len(reply.text) == longest) for reply in replies]


class Longer:
    """An author whose k-th reply has k letters."""

    waits = False

    def __init__(self) -> None:
        self.said = 0

    def reply(self, messages, tools, world, seed, *, greedy):
        self.said += 1
        return Reply("x" * self.said)

    def close(self) -> None:
        pass


def grouped(reward: Any, **options: Any) -> list[Any]:
    return list(grouping(reward, **options).collect(range(4), 3, seed=0, version=0).episodes)


def grouping(reward: Any, **options: Any) -> ConversationActor:
    world = TaskWorld(ROWS, group_reward=reward, **options)
    return ConversationActor(
        lambda: world.another() or TaskWorld(ROWS, group_reward=reward, **options),
        Longer(),  # type: ignore[arg-type]
        Renderer(byte_tokenizer()),
        context=512,
    )


def test_a_group_reward_sees_all_replies_of_a_group_and_no_other():
    sizes = []

    def seen(replies, task):
        sizes.append((len(replies), task["prompt"]))
        return ranks(replies, task)

    assert [episode.reward for episode in grouped(seen)] == [0.0, 0.0, 1.0] * 4
    assert [size for size, _ in sizes] == [3] * 4
    assert len({prompt for _, prompt in sizes}) == 4

    async def later(replies, task):
        await asyncio.sleep(0.2)
        return ranks(replies, task)

    assert [episode.reward for episode in grouped(later)] == [0.0, 0.0, 1.0] * 4


def test_a_group_reward_sees_the_whole_group_also_where_a_task_is_evaluated_several_times():
    episodes = grouping(ranks).evaluate(2, seed=0, version=0, greedy=False, each=3)
    assert [episode.reward for episode in episodes] == [0.0, 0.0, 1.0] * 2


def test_a_group_reward_judges_a_reply_alone_where_there_is_no_group_and_says_so():
    world = TaskWorld(ROWS, group_reward=ranks)
    assert world.remarks[-1].startswith("the reward function 'ranks' judges whole groups; an evaluation plays each")
    world.reset(seed=0)
    assert world.step("x")[1] == 1.0


@pytest.mark.parametrize(
    ("reward", "words"),
    [
        (lambda replies, task: [1.0], r"gave \[1\.0\] for 3 replies; a list of as many is needed"),
        (lambda replies, task: 1.0, "gave 1.0 for 3 replies"),
        (lambda replies, task: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_group_reward_that_fails_costs_its_group_and_is_told(reward, words):
    episodes = grouped(reward)
    assert [episode.reward for episode in episodes] == [None] * 12
    assert all(episode.failure and re.search(words, episode.failure) for episode in episodes)


def test_a_group_reward_takes_replies_and_a_task():
    with pytest.raises(UserError, match=r"is called with \(replies, task\), and is defined with"):
        TaskWorld(ROWS, group_reward=lambda replies: [])
    with pytest.raises(UserError, match="not both"):
        TaskWorld(ROWS, in_place, group_reward=ranks)


def leaves(reply, task):
    raise SystemExit(0)


async def leaves_later(reply, task):
    await asyncio.sleep(0)
    raise SystemExit(3)


class Uncaught(BaseException):
    """What `except Exception` lets pass."""


def raises_uncaught(reply, task):
    raise Uncaught("no")


async def raises_uncaught_later(reply, task):
    await asyncio.sleep(0)
    raise Uncaught("no")


@pytest.mark.parametrize("deadline", [None, 60.0])
@pytest.mark.parametrize(
    ("judge", "why"),
    [
        (leaves, r"it ends the program \(sys\.exit\(0\)\)"),
        (leaves_later, r"it ends the program \(sys\.exit\(3\)\)"),
        (raises_uncaught, "Uncaught: no"),
        (raises_uncaught_later, "Uncaught: no"),
    ],
)
def test_a_judge_that_would_end_the_program_costs_its_episode_and_is_named(
    judge: Any, why: str, deadline: float | None
) -> None:
    world = TaskWorld(ROWS, judge, deadline=deadline)
    world.reset(seed=0)
    with pytest.raises(WorldFailure, match=rf"'{judge.__name__}': {why}"):
        world.step("q")


def test_ctrl_c_while_a_judge_thinks_is_for_the_run(monkeypatch):
    # as a terminal leaves it: in the background of a script Ctrl-C is ignored, and what looks like one is the world's
    monkeypatch.setattr("signal.getsignal", lambda _: signal.default_int_handler)

    def interrupted(reply, task):
        raise KeyboardInterrupt

    world = TaskWorld(ROWS, interrupted)
    world.reset(seed=0)
    with pytest.raises(KeyboardInterrupt):
        world.step("q")
