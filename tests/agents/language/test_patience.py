"""A world's limits of time count the world's own work: not the model's, not the queue's, not its tools' own limits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from agents_clock import Clock, stopped
from agents_worlds import Echo

from peripatos.agents.language.authors import Oracle, Script
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.scheduling import Patience
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.agents.protocols import Author
from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.tools import ToolWorld
from peripatos.envs.tools.tool import Tool
from peripatos.envs.vocabulary import Episode, Message, Reply

SAYS_X = Script(lambda messages: "x")
LATE = "the world did not answer in time"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What worlds, tools and authors sleep by."""
    Waiting.clock = Bell.clock = stopped(monkeypatch)
    return Waiting.clock


class Waiting(Echo):
    """Three turns, stepped in threads, each of which takes `pause`."""

    waits = True
    pause = 0.0
    begins_in = 0.0
    clock: Clock

    def opening(self, rng, split) -> str:
        self.clock.sleep(self.begins_in)
        return super().opening(rng, split)

    def respond(self, reply: Reply) -> Outcome:
        self.clock.sleep(self.pause)
        return super().respond(reply)


class Tenth(Waiting):
    pause = 0.1


class Stuck(Waiting):
    """Every second task never answers until it is let go."""

    let_go = threading.Event()

    def respond(self, reply: Reply) -> Outcome:
        if self.secret % 2:
            self.clock.sleep(1.0)
            assert self.let_go.wait(60), "nobody lets it go before the others have ended"
        return super().respond(reply)


def played(
    make_world: Callable[[], ConversationEnv],
    episodes: int,
    patience: Patience,
    author: Author = SAYS_X,
) -> list[Episode]:
    renderer = Renderer(tiny_tokenizer())
    actor = ConversationActor(make_world, author, renderer, context=10_000, patience=patience)
    return list(actor.collect(range(episodes), 1, seed=0, version=0).episodes)


def failures(episodes: list[Episode]) -> set[str | None]:
    return {episode.failure for episode in episodes}


@Script
def slow_author(messages: Sequence[Message]) -> str:
    Waiting.clock.sleep(0.4)
    return "x"


def test_the_time_that_the_model_takes_is_not_the_worlds(clock: Clock) -> None:
    episodes = played(Waiting, 1, Patience(step=0.3, episode=0.3), slow_author)
    assert clock.passed == pytest.approx(1.2)  # four times what an episode may take: three replies of 0.4 s
    assert failures(episodes) == {None}
    assert all(episode.turns == 3 for episode in episodes)


def test_waiting_for_a_thread_is_not_the_worlds_time(clock: Clock) -> None:
    episodes = played(Tenth, 12, Patience(step=0.15, episode=0.35))
    assert clock.passed == pytest.approx(3.6)  # thirty-six steps of a tenth, one at a time
    assert failures(episodes) == {None}


def test_a_world_that_hangs_takes_no_thread_from_the_others() -> None:
    Stuck.let_go.clear()
    try:
        episodes = played(Stuck, 8, Patience(step=0.3))
    finally:
        Stuck.let_go.set()
    dead = [episode for episode in episodes if int(episode.task.split()[-1]) % 2]
    assert 1 < len(dead) < 8
    assert failures(dead) == {LATE}
    assert failures([episode for episode in episodes if episode not in dead]) == {None}


def test_the_steps_of_an_episode_have_a_limit_together() -> None:
    assert failures(played(Tenth, 3, Patience(step=5.0, episode=0.15))) == {LATE}
    assert failures(played(Tenth, 3, Patience(step=5.0, episode=2.0))) == {None}


def test_an_opening_that_takes_too_long_fails_as_any_step_does() -> None:
    slow = type("Slow", (Waiting,), {"begins_in": 0.5})
    assert failures(played(slow, 2, Patience(step=0.2))) == {LATE}
    assert failures(played(slow, 2, Patience(step=5.0))) == {None}


def test_a_step_that_took_too_long_has_failed_whether_or_not_the_model_was_busy_meanwhile() -> None:
    slow = type("Slow", (Waiting,), {"pause": 0.3})
    assert failures(played(slow, 2, Patience(step=0.1), slow_author)) == {LATE}


class Bell:
    """A tool that takes `pause`."""

    pause = 0.0
    clock: Clock

    def __init__(self, task: dict[str, object]) -> None:
        self.task = task

    def ring(self) -> str:
        """Ring it."""
        self.clock.sleep(self.pause)
        return "ding"


RING = [{"name": "ring"}, "Done."]
BELLS = [{"prompt": f"t{n}", "split": "train", "oracle": RING} for n in range(4)]


def test_a_fast_tool_and_a_slow_author_lose_no_episode() -> None:
    class Slow(Oracle):
        def reply(self, *asked: Any, greedy: bool) -> Reply:
            Waiting.clock.sleep(0.4)
            return super().reply(*asked, greedy=greedy)

    world = lambda: ToolWorld(BELLS, Bell, lambda bell, task, reply: True)  # noqa: E731
    assert failures(played(world, 1, Patience(step=0.2, episode=0.3), Slow())) == {None}


@pytest.mark.parametrize("kind", ["timeout of the world", "limit of the tool itself"])
def test_a_tool_may_take_as_long_as_its_own_limit_allows(kind: str) -> None:
    class Slow(Bell):
        pause = 0.5

    def host(task: dict[str, object]) -> object:
        if kind == "timeout of the world":
            return Slow(task)
        ring = Tool.from_function(Slow(task).ring, timeout=None)
        return [Tool(ring.name, ring.description, ring.parameters, ring.validate, ring.function, own_limit=2.0)]

    patient = lambda: ToolWorld(BELLS, host, lambda bell, task, reply: True, timeout=2.0)  # noqa: E731
    assert failures(played(patient, 2, Patience(step=0.2, episode=0.2), Oracle())) == {None}


def test_what_a_tool_is_granted_is_not_granted_to_the_check() -> None:
    def check(bell: Bell, task: dict[str, object], reply: Reply) -> bool:
        bell.clock.sleep(0.5)
        return True

    world = lambda: ToolWorld(BELLS, Bell, check, timeout=2.0)  # noqa: E731
    assert failures(played(world, 2, Patience(step=0.2), Oracle())) == {LATE}
