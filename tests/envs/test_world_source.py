"""Worlds come from a source that is asked once, constructs few, and lets no two of them share what changes."""

from __future__ import annotations

import json
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from peripatos.envs.conversation import ConversationEnv, Outcome, TaskWorld
from peripatos.envs.errors import UserError
from peripatos.envs.named_objects import trust_names
from peripatos.envs.tools import ToolWorld
from peripatos.envs.world_source import WorldSource
from peripatos.envs.worlds.maths.arithmetic import Arithmetic
from peripatos.envs.worlds.robots.cartpole_swingup import CartpoleSwingup

TASKS = [{"prompt": f"p{n}", "answer": str(n), "lit": []} for n in range(60)]
MADE: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    MADE.clear()


def named(thing: object) -> str:
    return f"{__name__}:{getattr(thing, '__name__', thing)}"


def right(reply: Any, task: Any) -> bool:
    return reply.text == task["answer"]


class Plain(TaskWorld):
    def __init__(self, **options: Any) -> None:
        MADE.append("Plain")
        super().__init__(TASKS, right)


class ScoresItself(TaskWorld):
    """Its reward is its own method, and knows this world's own task."""

    def __init__(self) -> None:
        MADE.append("ScoresItself")
        super().__init__(TASKS, self.score)

    def score(self, reply: Any, task: Any) -> bool:
        return reply.text == self._task["answer"]


class Remembers(TaskWorld):
    """Something of its own since its construction."""

    def __init__(self) -> None:
        MADE.append("Remembers")
        self.heard: list[str] = []
        super().__init__(TASKS, self.score)

    def score(self, reply: Any, task: Any) -> float:
        self.heard.append(reply.text)
        return float(len(self.heard))


class Encloses(TaskWorld):
    """Its reward function encloses what it counts in."""

    def __init__(self) -> None:
        MADE.append("Encloses")
        heard: list[str] = []

        def score(reply: Any, task: Any) -> float:
            heard.append(reply.text)
            return float(len(heard))

        super().__init__(TASKS, score)


class Judge:
    def __init__(self) -> None:
        self.calls = 0

    def score(self, reply: Any, task: Any) -> float:
        self.calls += 1
        return float(self.calls)


class Judged(TaskWorld):
    """Another object judges, and counts."""

    def __init__(self) -> None:
        MADE.append("Judged")
        super().__init__(TASKS, Judge().score)


class HasAServer(ConversationEnv):
    """An author's own class, which has written nothing about siblings."""

    weights: ClassVar[dict[str, float]] = {"calls": 1.0}

    def __init__(self) -> None:
        MADE.append("HasAServer")
        super().__init__()
        self.calls = 0

    def opening(self, rng: np.random.Generator, split: str) -> str:
        return "Ring."

    def respond(self, reply: Any) -> Outcome:
        self.calls += 1
        return Outcome(terms={"calls": float(self.calls)}, terminated=True)


class Draws(TaskWorld):
    """Chance of its own since its construction."""

    def __init__(self) -> None:
        super().__init__(TASKS, right)
        MADE.append(str(self.np_random.random()))


class Subclassed(Arithmetic):
    """A subclass of a world of ours, with a constructor of its own."""

    def __init__(self) -> None:
        MADE.append("Subclassed")
        super().__init__()
        self.calls: list[str] = []

    def respond(self, reply: Any) -> Outcome:
        self.calls.append(reply.text)
        return Outcome(terms={"correct": float(len(self.calls))}, terminated=True)


class Lamps:
    def __init__(self, task: Any) -> None:
        self.lit = task["lit"]  # not copied, as careless authors do

    def switch(self, room: str) -> str:
        """Switch on the lamp of a room."""
        self.lit.append(room)
        return ", ".join(self.lit)


def is_lit(lamps: Lamps, task: Any, reply: Any) -> float:
    return float(len(lamps.lit))


class House(ToolWorld):
    def __init__(self) -> None:
        MADE.append("House")
        super().__init__(TASKS, Lamps, is_lit, timeout=None)


def play(world: Any, text: str = "1", seed: int = 0) -> float:
    world.reset(seed=seed)
    return float(world.step(text)[1])


@pytest.mark.parametrize("world", [Plain, ScoresItself, House])
def test_what_shares_nothing_but_tasks_is_constructed_once(world: type) -> None:
    source = WorldSource(named(world))
    assert source.facts.kind == "conversation"
    worlds = [source.make() for _ in range(5)]
    assert len({id(one.unwrapped) for one in worlds}) == 5
    assert [world.__name__] == MADE
    tasks = {id(one.unwrapped._division) for one in worlds}
    assert len(tasks) == 1


@pytest.mark.parametrize("world", [Remembers, Encloses, Judged, HasAServer, Subclassed])
def test_what_may_hold_more_is_made_anew_so_that_worlds_share_nothing(world: type) -> None:
    source = WorldSource(named(world))
    assert source.facts.kind == "conversation"
    worlds = [source.make() for _ in range(4)]
    assert [world.__name__] * 4 == MADE  # the first of them is the one that was asked
    assert [play(one) for one in worlds] == [1.0] * 4


def test_worlds_with_chance_of_their_own_do_not_all_draw_the_same() -> None:
    source = WorldSource(named(Draws))
    for _ in range(3):
        source.make()
    assert len(set(MADE)) == 3


def test_siblings_play_their_own_episodes_side_by_side() -> None:
    rng = np.random.default_rng(0)
    source = WorldSource(named(ScoresItself))
    worlds, expected = [source.make() for _ in range(20)], []
    for number, world in enumerate(worlds):
        info = world.reset(seed=number)[1]
        expected.append(info["task"][1:])
    for place in rng.permutation(20):
        assert worlds[place].step(expected[place])[1] == 1.0


def test_a_sibling_plays_bit_for_bit_what_a_constructed_world_plays() -> None:
    for name, options in (("peripatos/Arithmetic-v0", {"attempts": 2}), ("peripatos/Store-v0", {}), (named(Plain), {})):
        source = WorldSource(name, options)
        siblings = [source.make().unwrapped for _ in range(2)]
        made = gymnasium.make(name, **options).unwrapped if "peripatos/" in name else Plain()
        for seed in range(5):
            seen = [world.reset(seed=seed)[0] for world in (made, *siblings)]
            assert len(set(seen)) == 1


def test_a_task_that_a_tool_changes_is_changed_for_nobody_else() -> None:
    source = WorldSource(named(House))
    call = '<tool_call>{"name": "switch", "arguments": {"room": "hall"}}</tool_call>'
    for world in [source.make() for _ in range(3)] * 2:
        world.reset(seed=0)
        assert world.step(call)[4]["messages"][0]["content"] == "hall"
    assert not any(task["lit"] for task in TASKS)


def test_a_source_travels_as_its_id_and_its_options() -> None:
    source = WorldSource("peripatos/Arithmetic-v0", {"attempts": 3})
    source.make()
    sent = pickle.dumps(source)
    assert len(sent) < 300
    there = pickle.loads(sent)
    assert (there.id, there.options) == ("peripatos/Arithmetic-v0", {"attempts": 3})
    assert json.loads(json.dumps(there.options)) == source.options
    assert there.facts.longest_episode == source.facts.longest_episode == 3


def test_the_facts_are_those_of_the_world_as_it_is() -> None:
    facts = WorldSource("CartPole-v1", {"max_episode_steps": 7}).facts
    assert (facts.kind, facts.longest_episode, facts.waits, facts.side_by_side) == ("control", 7, False, 1)
    assert isinstance(facts.action_space, Discrete)
    image = WorldSource(named(Picture)).facts
    assert image.observation_space.shape == (4, 4, 3)
    assert image.longest_episode is None
    assert WorldSource(named(Slow)).facts.waits
    assert WorldSource("Blackjack-v1").facts.kind == "control"
    with pytest.raises(UserError, match="Did you mean 'attempts'"):
        _ = WorldSource("peripatos/Arithmetic-v0", {"attempt": 3}).facts


class Picture(gymnasium.Env[Any, Any]):
    observation_space, action_space = Box(0, 255, (4, 4, 3), np.uint8), Discrete(2)

    def __init__(self, goals: list[int] | None = None) -> None:
        MADE.append("Picture")
        self.goal = goals.pop(0) if goals else 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return np.full((4, 4, 3), self.goal, np.uint8), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.full((4, 4, 3), self.goal, np.uint8), 1.0, False, False, {}


class Slow(HasAServer):
    waits = True
    wakes = threading.Event()

    def opening(self, rng: np.random.Generator, split: str) -> str:
        self.wakes.wait(100)
        return "Ring."


def test_no_world_changes_the_options_of_another_or_of_the_scenario() -> None:
    given = {"goals": [1, 2, 3]}
    source = WorldSource(named(Picture), given)
    source.options["goals"].clear()
    worlds = source.make_batch(3)
    assert worlds.reset(np.arange(3), [0, 1, 2]).max(axis=1).tolist() == [1, 1, 1]
    assert MADE == ["Picture"] * 3
    assert source.make().reset()[0].max() == 1
    assert given == source.options == {"goals": [1, 2, 3]}


ONE = HasAServer()


def always_one() -> ConversationEnv:
    return ONE


def always_one_wrapped() -> gymnasium.Env[Any, Any]:
    return gymnasium.wrappers.TransformReward(ONE, lambda reward: reward)


@pytest.mark.parametrize("name", ["always_one", "always_one_wrapped"])
def test_two_conversations_in_one_object_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trust_names()
    monkeypatch.setitem(globals(), "ONE", HasAServer())
    source = WorldSource(named(name))
    first = source.make()
    with pytest.raises(UserError, match="in use"):
        source.make()
    assert play(first) == 1.0


def short_and_doubled() -> gymnasium.Env[Any, Any]:
    inside = Endless()
    return gymnasium.wrappers.TransformReward(gymnasium.wrappers.TimeLimit(inside, 3), lambda reward: 2 * reward)


class Endless(ConversationEnv):
    weights: ClassVar[dict[str, float]] = {"turn": 1.0}
    has_success = True
    ended = 0

    def opening(self, rng: np.random.Generator, split: str) -> str:
        return "Go on."

    def respond(self, reply: Any) -> Outcome:
        return Outcome("And on.", terms={"turn": 1.0})

    def end(self) -> None:
        Endless.ended += self._turn is not None
        super().end()


def test_wrappers_around_a_conversation_are_kept_also_by_who_takes_them_off() -> None:
    trust_names()
    source = WorldSource(named(short_and_doubled))
    assert source.facts.longest_episode == 3
    for world in (source.make(), source.make().unwrapped):
        assert isinstance(world.unwrapped, ConversationEnv)
        world.reset(seed=0)
        before = Endless.ended
        steps = [world.step("x")[1:5] for _ in range(3)]
        assert [step[0] for step in steps] == [2.0] * 3
        assert [step[2] for step in steps] == [False, False, True]
        assert steps[-1][3]["success"] is False
        assert Endless.ended == before + 1  # the world inside has been told


def test_a_limit_among_the_options_holds_for_conversations_and_their_siblings() -> None:
    source = WorldSource("peripatos/Arithmetic-v0", {"attempts": 9, "max_episode_steps": 2})
    assert source.facts.longest_episode == 2
    for world in (source.make().unwrapped, source.make().unwrapped):
        world.reset(seed=0)
        assert [world.step("no")[3] for _ in range(2)] == [False, True]


class Tries(gymnasium.Env[Any, Any]):
    observation_space, action_space = Discrete(2), Discrete(2)

    def __init__(self, attempts: int = 4) -> None:
        self.attempts = attempts

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        return 0, {}

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return 0, 0.0, False, False, {}


@pytest.mark.parametrize(
    ("name", "options", "idle"),
    [
        ("peripatos/Arithmetic-v0", {"attempts": 9, "max_episode_steps": 2}, 9),
        ("peripatos/Arithmetic-v0", {"attempts": 2, "max_episode_steps": 2}, None),
        ("peripatos/Arithmetic-v0", {"attempts": 9}, None),
        ("peripatos/Arithmetic-v0", {"max_episode_steps": 2}, None),
        (named(Tries), {"attempts": 3, "max_episode_steps": 2}, 3),
        (named(Tries), {"attempts": 3}, None),
    ],
)
def test_attempts_that_nobody_has_are_said(name: str, options: dict[str, int], idle: int | None) -> None:
    with WorldSource(name, options) as source:
        said = [remark for remark in source.facts.remarks if "attempts" in remark]
    assert said == [
        f"{name!r}: an episode ends after 2 steps (max_episode_steps), and {idle} attempts are allowed, so that nobody "
        "has the others; give attempts of 2, if that is meant"
    ] * (idle is not None)


def test_a_conversation_that_never_ends_says_so() -> None:
    world = WorldSource(named(Endless)).make()
    world.reset(seed=0)
    for _ in range(1_000):
        world.step("x")
    with pytest.raises(UserError, match="went on for 1,000 turns, and nothing limits it; write max_turns"):
        world.step("x")
    limited = WorldSource(named(Endless), {"max_episode_steps": 1_500}).make()
    limited.reset(seed=0)
    assert [limited.step("x")[3] for _ in range(1_500)].index(True) == 1_499


def test_wrappers_around_a_batched_world_are_obeyed() -> None:
    trust_names()
    for name, reward, limit in (("sevens", 7.0, 400), ("ten_steps", None, 10)):
        worlds = WorldSource(named(name)).make_batch(2)
        worlds.reset(np.arange(2), [0, 1])
        result = worlds.step(np.arange(2), np.zeros((2, 6), np.float32))
        assert reward is None or result.reward.tolist() == [reward] * 2
        for _ in range(limit - 1 if limit == 10 else 0):
            result = worlds.step(np.arange(2), np.zeros((2, 6), np.float32))
        assert limit != 10 or result.truncated.all()
        worlds.close()


def sevens() -> gymnasium.Env[Any, Any]:
    return gymnasium.wrappers.TransformReward(gymnasium.make("peripatos/Walker-v0"), lambda reward: 7.0)


def ten_steps() -> gymnasium.Env[Any, Any]:
    from peripatos.envs.worlds.robots.walker import Walker

    return gymnasium.wrappers.TimeLimit(Walker(), 10)


class Bonus(CartpoleSwingup):
    """A seven more for every step, and one number more to see."""

    def __init__(self) -> None:
        super().__init__()
        self.symmetry = None
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (6,), np.float32)

    def reset(self, **given: Any) -> tuple[np.ndarray, dict[str, Any]]:
        seen, info = super().reset(**given)
        return np.append(seen, np.float32(3)), info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        seen, reward, *over, info = super().step(action)
        info["reward_terms"]["bonus"] = 7.0
        return np.append(seen, np.float32(3)), reward + 7.0, *over, info


class Halved(CartpoleSwingup):
    """Acts in half of the range, by a space alone."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = gymnasium.spaces.Box(-0.5, 0.5, (1,), np.float32)


class OnTheMoon(CartpoleSwingup):
    def __init__(self) -> None:
        super().__init__()
        self.model.opt.gravity[2] = -1.62


class Patched(CartpoleSwingup):
    def __init__(self) -> None:
        super().__init__()
        plain = self.step
        self.step = lambda action: plain(-action)


class Named(CartpoleSwingup):
    """Nothing of its own but a name, a picture and what its task says."""

    def render(self) -> None:
        return None


@pytest.mark.parametrize(
    ("kind", "ways"),
    [
        (Bonus, "reset, step, observation_space"),
        (Halved, "action_space"),
        (OnTheMoon, "model"),
        (Patched, "step"),
        (Named, None),
    ],
)
def test_a_robot_is_trained_as_its_own_class_steps_it(kind: type[CartpoleSwingup], ways: str | None) -> None:
    source, alone, action = WorldSource(named(kind.__name__)), kind(), np.array([0.5], np.float32)
    assert source.facts.pooled is (ways is None)
    said = [remark for remark in source.facts.remarks if "stepped one by one" in remark]
    assert len(said) == (ways is not None)
    assert ways is None or f"{kind.__name__} has its own {ways}, so its worlds" in said[0]
    worlds = source.make_batch(1)
    assert np.array_equal(worlds.reset(np.arange(1), [3])[0], alone.reset(seed=3)[0])
    for _ in range(20):
        result = worlds.step(np.arange(1), action[None])
        seen, reward, *_ = alone.step(action)
        assert np.array_equal(result.observation[0], seen)
        assert result.reward[0] == reward
    worlds.close()
    source.close()


class Mute(ConversationEnv):
    voice_names = ("customer",)

    def opening(self, rng: np.random.Generator, split: str) -> str:
        return self.voices["customer"]([], 0)

    def respond(self, reply: Any) -> Outcome:
        return Outcome(terminated=True)


def test_voices_are_put_in_by_name() -> None:
    source = WorldSource(named(Mute))
    assert source.facts.voices == ("customer",)
    assert source.make({"customer": lambda messages, seed: "Hello."}).reset(seed=0)[0] == "Hello."
    with pytest.raises(UserError, match="talks to 'customer'"):
        source.make()
    with pytest.raises(UserError, match=r"unknown voice 'costumer'.*customer"):
        source.make({"costumer": lambda messages, seed: "Hello."})


class Stumbles(HasAServer):
    said: ClassVar[Callable[[], str]] = staticmethod(lambda: "Ring.")

    def opening(self, rng: np.random.Generator, split: str) -> str:
        return Stumbles.said()


def test_a_world_that_cannot_begin_is_found_by_a_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise OSError("no port")

    monkeypatch.setattr(Stumbles, "said", staticmethod(broken))
    source = WorldSource(named(Stumbles))
    with pytest.raises(UserError, match="cannot begin: OSError: no port"):
        source.rehearse(["train"], seconds=60)
    monkeypatch.setattr(Stumbles, "said", staticmethod(iter(["", "", "Ring."]).__next__))  # two seeds that fail
    source.rehearse(["train"], seconds=60)
    slow = WorldSource(named(Slow))
    begun = time.perf_counter()
    slow.rehearse(["train"], seconds=0.2)
    assert time.perf_counter() - begun < 50
    Slow.wakes.set()
    assert play(slow.make()) == 1.0  # not the one that is busy
    for thread in threading.enumerate():
        if thread.name == "rehearsal":
            thread.join(60)


def test_many_threads_ask_one_source_at_once() -> None:
    source, got = WorldSource(named(Plain)), []
    threads = [threading.Thread(target=lambda: got.append(source.make())) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(world.unwrapped) for world in got}) == 30
    assert MADE == ["Plain"]
