"""The conformance checker: it passes what is sound, and each fault that it looks for is found."""

import importlib.util
import re

import gymnasium
import numpy as np
import pytest

import peripatos.envs  # noqa: F401 (registers the ids)
from peripatos.envs.check import check_world
from peripatos.envs.control.world_batch import ListOfWorlds
from peripatos.envs.conversation import ConversationEnv, Opening, Outcome, TaskWorld
from peripatos.envs.errors import UnknownWorld, UserError
from peripatos.envs.vocabulary import Reply
from peripatos.envs.world_source import WorldSource


def module_exists(spec: gymnasium.envs.registration.EnvSpec) -> bool:
    return importlib.util.find_spec(str(spec.entry_point).partition(":")[0]) is not None


JUDGED = "peripatos/Coding-v0"
ROWS = [{"question": f"What is {n} + 1?", "answer": f"It is {n + 1}.\n#### {n + 1}"} for n in range(60)]
NEEDED = {"peripatos/Tasks-v0": {"tasks": ROWS, "grader": "number"}}  # options that have no default
OURS = sorted(
    name for name, spec in gymnasium.registry.items() if name.startswith("peripatos/") and module_exists(spec)
)


def failed(world) -> dict[str, str]:
    return {finding.check: finding.detail for finding in check_world(world) if not finding.passed}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.sandbox) if name == JUDGED else name for name in OURS]
)
def test_every_registered_world_keeps_the_contract(name):
    assert [finding for finding in check_world(name, **NEEDED.get(name, {})) if not finding.passed] == []


@pytest.mark.parametrize(
    ("judge", "words", "tested"),
    [
        (lambda reply, task: None, "no episode of random replies has a reward: .* returned None", False),
        (
            lambda reply, task: None if len(task["prompt"]) % 2 else 0.5,
            "some episodes have no reward: .* returned",
            True,
        ),
    ],
)
def test_a_reward_that_nobody_knows_is_no_fault_of_a_world(judge, words, tested):
    rows = [{"prompt": f"q{10**digits + n}"} for digits in (1, 2) for n in range(30)]
    findings = {finding.check: finding for finding in check_world(TaskWorld(rows, judge))}
    assert [finding for finding in findings.values() if not finding.passed] == []
    found = findings["rewards are finite, flags are bools"]
    assert (found.tested, bool(re.search(words, found.detail))) == (tested, True)


@pytest.mark.parametrize(
    "options",
    [
        {"operators": "+", "prompt": "bare", "answer_tag": "number", "reverse_digits": True},
        {"operators": "+-*/", "terms": 3, "word_problems": True, "attempts": 3, "length_cost": 0.01},
        {"operators": "/", "answer_tag": "answer", "digits": (3, 2)},
    ],
    ids=str,
)
def test_arithmetic_keeps_the_contract_with_other_options(options):
    assert not [finding for finding in check_world("peripatos/Arithmetic-v0", **options) if not finding.passed]


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0"])
def test_other_peoples_worlds_pass(name):
    assert failed(name) == {}


class Sound(ConversationEnv):
    """A sound world, from which the faulty ones below differ in one thing."""

    weights = {"right": 1.0}  # noqa: RUF012
    max_turns = 3

    def opening(self, rng, split):
        self.secret = 2 * int(rng.integers(10**9)) + (split == "test")
        return f"Repeat {self.secret}."

    def respond(self, reply):
        right = reply.text == str(self.secret)
        return Outcome("No.", terms={"right": float(right)}, terminated=right, success=True if right else None)

    def oracle(self):
        return str(self.secret)


class OwnChance(Sound):
    def opening(self, rng, split):
        return super().opening(np.random.default_rng(), split)


class NoChance(Sound):
    def opening(self, rng, split):
        return super().opening(np.random.default_rng(0), split)


class SameTasks(Sound):
    def opening(self, rng, split):
        return super().opening(rng, "train")


class FragileParser(Sound):
    def respond(self, reply):
        reply.text.encode()  # fails for lone surrogates
        return super().respond(reply)


class Exits(Sound):
    def respond(self, reply):
        if "abort" in reply.text:
            raise SystemExit(3)
        return super().respond(reply)


class WrongOracle(Sound):
    def oracle(self):
        return "no idea"


class WrongSum(Sound):
    def step(self, action):
        text, reward, terminated, truncated, info = super().step(action)
        return text, reward + 0.1, terminated, truncated, info


class NotANumber(Sound):
    def step(self, action):
        text, _, terminated, truncated, info = super().step(action)
        return text, float("nan"), terminated, truncated, info


class WrongInfo(Sound):
    def step(self, action):
        text, reward, terminated, truncated, info = super().step(action)
        return text, reward, terminated, truncated, info | {"messages": [text]}


class IntegerFlags(Sound):
    def step(self, action):
        text, reward, terminated, truncated, info = super().step(action)
        return text, reward, terminated, int(truncated), info


class AcceptsAnything(Sound):
    def step(self, action):
        return super().step(action if isinstance(action, str | Reply) else repr(action))


class GoesOnAfterTheEnd(Sound):
    def step(self, action):
        if self._turn is None:
            self._turn = 0
        return super().step(action)


class ClosesOnce(Sound):
    closed = False

    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


class BrokenOpening(Sound):
    def opening(self, rng, split):
        raise KeyError("a bug")


def test_a_sound_world_passes():
    assert failed(Sound()) == {}


@pytest.mark.parametrize(
    ("world", "check", "words"),
    [
        (OwnChance, "a seed reproduces an episode bit for bit", "two resets"),
        (NoChance, "different seeds give different episodes", "every seed gave the same"),
        (SameTasks, "train and test tasks are disjoint", "test tasks are in another split too"),
        (FragileParser, "any text gets a reward", "a lone surrogate: the world failed: UnicodeEncodeError"),
        (Exits, "any text gets a reward", "the world failed: it ends the program (sys.exit(3))"),
        (WrongOracle, "the oracle succeeds", "no success"),
        (WrongSum, "reward terms sum to the reward", "terms sum to 0.0, the reward is 0.1"),
        (NotANumber, "rewards are finite, flags are bools", "the reward is nan"),
        (WrongInfo, "info has the documented keys and types", "is no chat message"),
        (IntegerFlags, "rewards are finite, flags are bools", "truncated is 0, not a bool"),
        (AcceptsAnything, "what is no reply is refused, and the episode goes on", "a TypeError was due"),
        (GoesOnAfterTheEnd, "stepping after the end asks for a reset", "ResetNeeded was due"),
        (ClosesOnce, "ending and closing twice is harmless", "RuntimeError: closed already"),
        (BrokenOpening, "a seed reproduces an episode bit for bit", "KeyError: 'a bug'"),
    ],
)
def test_each_fault_is_found_and_said(world, check, words):
    found = failed(world())
    assert words in found[check]


class Drifts(gymnasium.Env):
    """A control world that a NaN kills for good."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    memory = 0.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.normal(size=1).astype(np.float32), {}

    def step(self, action):
        self.memory += 0.0 * float(np.sum(action))
        return np.zeros(1, np.float32), self.memory, False, False, {}


def test_a_world_that_an_absurd_action_kills_is_found():
    found = failed(Drifts())
    assert (
        "after NaN, the next episode has rewards that are not finite" in found["absurd actions do not kill the world"]
    )


class Reads(Drifts):
    observation_space = gymnasium.spaces.Text(9)


def test_a_world_with_foreign_spaces_is_one_finding():
    (finding,) = check_world(Reads())
    assert not finding.passed
    assert "of which nothing can be flattened to numbers" in finding.detail


def test_a_constructor_that_raises_is_said_as_a_run_says_it(tmp_path, monkeypatch):
    (tmp_path / "raises_when_made.py").write_text(
        "import gymnasium\nclass World(gymnasium.Env):\n    def __init__(self):\n        raise OSError('no disk')\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"cannot be made: OSError: no disk\n    raises_when_made\.py, line 4"):
        check_world("raises_when_made:World")


def test_the_users_own_mistakes_are_raised():
    with pytest.raises(UnknownWorld):
        check_world("peripatos/Arithmetik-v0")
    with pytest.raises(UserError, match="Did you mean 'digits'"):
        check_world("peripatos/Arithmetic-v0", digit=2)


def test_a_world_whose_tasks_have_one_name_is_said_to_be_undecidable():
    class Hidden(Sound):
        def opening(self, rng, split):
            super().opening(rng, split)
            return Opening("Guess.", task="guess")

    details = {finding.check: finding.detail for finding in check_world(Hidden())}
    assert "cannot be told apart" in details["train and test tasks are disjoint"]
    assert details["different seeds give different episodes"] == "seen only with the oracle's replies"


class Corridor(gymnasium.Env):
    """A control world without chance, which asserts that actions are actions, and limits its episodes itself."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, limit=30, length=1000):
        self.limit, self.length = limit, length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        if not self.action_space.contains(action):
            raise AssertionError
        self.place, self.count = max(0, self.place + 2 * int(action) - 1), self.count + 1
        seen = np.array([min(1.0, self.place / self.length)], np.float32)
        return seen, 0.0, self.place == self.length, self.count == self.limit, {}


def test_a_body_with_nothing_to_decide_is_found_as_a_run_refuses_it():
    world = Corridor()
    world.action_space = gymnasium.spaces.Discrete(1)
    assert "one action, so that nothing can be learned" in failed(world)["there is something to see and to decide"]


def test_a_world_without_chance_that_refuses_by_assert_and_limits_itself_has_remarks_and_no_faults():
    findings = {finding.check: finding for finding in check_world(Corridor())}
    assert all(finding.passed for finding in findings.values())
    assert "right for a world without chance" in findings["different seeds give different episodes"].detail
    assert "refused without a word: None (AssertionError)" in findings["absurd actions do not kill the world"].detail
    assert (
        findings["an episode ends"].detail == "the world limits it itself: one of random actions was cut after 30 steps"
    )


def test_a_world_whose_episodes_end_by_themselves_has_no_limit_that_is_seen():
    detail = {finding.check: finding.detail for finding in check_world(Corridor(-1, 3))}["an episode ends"]
    assert re.fullmatch(r"20 of random actions ended, the longest after \d+ steps; no limit is seen", detail)


class Twenty(Sound):
    """Guess a number that shows in the answers alone. Every expert begins with the same guess."""

    max_turns = 5

    def opening(self, rng, split):
        self.secret, self.left = int(rng.integers(20)), list(range(20))
        return Opening("Guess.", task="guess")

    def respond(self, reply):
        if reply.text == str(self.secret):
            return Outcome(terms={"right": 1.0}, terminated=True, success=True)
        if reply.text != "10":
            return Outcome("no")
        self.left = [n for n in self.left if (n > self.left[len(self.left) // 2]) == (self.secret > 10)]
        return Outcome("more" if self.secret > 10 else "less")

    def oracle(self):
        return "10" if len(self.left) == 20 else str(self.secret)


def test_what_is_hidden_may_show_only_late_in_what_an_expert_hears():
    details = {finding.check: finding for finding in check_world(Twenty())}
    assert details["different seeds give different episodes"].passed
    assert details["different seeds give different episodes"].detail == "seen only with the oracle's replies"


def test_what_is_hidden_may_show_only_in_the_names_of_tasks():
    class Named(Twenty):
        def opening(self, rng, split):
            super().opening(rng, split)
            return Opening("Guess.", task=str(self.secret))

        def oracle(self):
            return None

        def respond(self, reply):
            return Outcome("no")

    details = {finding.check: finding.detail for finding in check_world(Named())}
    assert details["different seeds give different episodes"] == "seen only in the names of tasks"


class Body(gymnasium.Env):
    """A sound body, whose reward and info are as they were given."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, reward, info):
        self.reward, self.info = reward, info

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.turn = 0
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action):
        self.turn += 1
        seen = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return seen, self.reward, self.turn == 5, False, self.info


@pytest.mark.parametrize("info", [{}, {"reward_terms": {"a": 1.0}}])
def test_a_reward_in_an_array_of_one_passes_as_it_does_in_a_run(info):
    found = failed(Body(np.array([1.0]), info))
    found.pop("gymnasium's own check_env", None)
    assert found == {}


def test_an_info_that_is_none_is_told_in_words():
    found = failed(Body(1.0, None))
    found.pop("gymnasium's own check_env", None)
    assert found
    assert set(found.values()) <= {"step gave None in the place of the info dict"}


class Asks(Corridor):
    """Reads the options of a reset, as Gymnasium's documentation has it."""

    def reset(self, *, seed=None, options=None):
        if options:
            self.start = options["start"]
        return super().reset(seed=seed)


class Harder(Corridor):
    """Its rewards are no numbers where it is asked for anything."""

    def reset(self, *, seed=None, options=None):
        self.hard = bool(options)
        return super().reset(seed=seed)

    def step(self, action):
        seen, reward, *rest = super().step(action)
        return seen, float("nan") if self.hard else reward, *rest


def test_a_world_is_reset_as_runs_reset_it_and_a_reset_that_fails_says_what_it_was_given():
    given = "reset was given seed=0, options={'split': 'train'}"
    assert f"KeyError: 'start'; {given} (" in failed(Asks())["observations are in the declared space"]
    assert "the reward is nan" in failed(Harder())["rewards are finite, flags are bools"]
    with pytest.raises(UserError, match=re.escape("cannot begin: KeyError: 'start'; reset was given seed=2, options")):
        WorldSource(f"{__name__}:Asks").rehearse(["train"], seconds=1.0)
    worlds = ListOfWorlds("Asks", 1, Asks)
    worlds.reset(np.arange(1), [5], "test")
    result = worlds.step(np.arange(1), np.zeros(1, np.int64))
    assert "'start'; reset was given seed=5, options={'split': 'test'}" in result.failure[0]
