"""The audit: our worlds pay blind strategies little, and worlds that pay for something else are found."""

import gymnasium
import numpy as np
import pytest

import peripatos.envs  # noqa: F401 (registers the ids)
from peripatos.envs.auditing import audit_world
from peripatos.envs.auditing.results import MOST_BLIND
from peripatos.envs.conversation import ConversationEnv, Opening, Outcome, TaskWorld
from peripatos.envs.errors import UnknownWorld
from peripatos.envs.tools import ToolWorld

GRADED = {"grader": "number"}
TALKING = [
    ("peripatos/Arithmetic-v0", {}),
    ("peripatos/Arithmetic-v0", {"operators": "+-*/", "attempts": 3, "word_problems": True}),
    ("peripatos/ToolMaths-v0", {}),
    ("peripatos/Mathematics-v0", {}),
    ("peripatos/Store-v0", {}),
    (
        "peripatos/Tasks-v0",
        {"tasks": [{"question": f"{n} * 7?", "answer": f"#### {n * 7}"} for n in range(200)]} | GRADED,
    ),
]
SLOWLY = [
    ("peripatos/Store-v0", {"split": "test"}),
    ("peripatos/Store-v0", {"levels": (1,), "turn_rewards": True, "episodes": 100}),
    ("peripatos/Store-v0", {"levels": (2,), "reply_format": "python", "episodes": 100}),
    ("peripatos/Store-v0", {"levels": (3,), "split": "test", "episodes": 100}),
    ("peripatos/Store-v0", {"levels": (1,), "families": ["order_status", "product_question"], "episodes": 100}),
]
JUDGED = ("peripatos/Coding-v0", {"episodes": 100})


def verdicts(audit) -> dict[str, str]:
    return {result.check: result.verdict for result in audit.results}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *TALKING,
        *(pytest.param(*world, marks=pytest.mark.slow) for world in SLOWLY),
        pytest.param(*JUDGED, marks=[pytest.mark.sandbox, pytest.mark.slow]),
    ],
    ids=str,
)
def test_no_world_of_ours_pays_a_blind_strategy_more_than_its_share(name, options):
    audit = audit_world(name, **{"episodes": 30, **options})
    print(name, options, audit.best)
    assert audit.best.share <= MOST_BLIND
    assert audit.passed, audit.results


def test_every_conversation_world_of_ours_is_audited():
    ours = {name for name in gymnasium.registry if name.startswith("peripatos/")}
    robots = {"peripatos/CartpoleSwingup-v0", "peripatos/Walker-v0", "peripatos/WalkerHard-v0"}
    assert ours - robots == {name for name, _ in TALKING} | {"peripatos/Coding-v0"}


class Sound(ConversationEnv):
    """A question with a hidden answer that only understanding finds."""

    weights = {"right": 1.0}  # noqa: RUF012
    has_success = True

    def opening(self, rng, split):
        self.number = int(rng.integers(10**6))
        return f"Say {self.number} plus one."

    def judge(self, text):
        return text == str(self.number + 1)

    def respond(self, reply):
        right = self.judge(reply.text)
        return Outcome(terms={"right": float(right)}, terminated=True, success=right)

    def oracle(self):
        return str(self.number + 1)


class PaysForCopies(Sound):
    def judge(self, text):
        return str(self.number) in text or str(self.number + 1) in text


class PaysForLength(Sound):
    def judge(self, text):
        return len(text) > 300 or super().judge(text)


class PaysForDone(Sound):
    def judge(self, text):
        return "done" in text.lower() or super().judge(text)


class PaysForRefusals(Sound):
    def judge(self, text):
        return "sorry" in text.lower() or super().judge(text)


class FewAnswers(Sound):
    """Seven of ten tasks have one answer that only other tasks' experts betray."""

    def opening(self, rng, split):
        super().opening(rng, split)
        self.number = 55_554 if rng.random() < 0.7 else self.number
        return "Which number do I mean?"


class Forgetful(Sound):
    """Whether an answer is right depends on when it is asked."""

    asked = 0

    def judge(self, text):
        self.asked += 1
        return super().judge(text) and self.asked % 7 != 0


class Leaks(Sound):
    def opening(self, rng, split):
        super().opening(rng, split)
        return f"Say {self.number} plus one. (The answer is {self.number + 1:06d}.)"

    def oracle(self):
        return f"{self.number + 1:06d}"

    def judge(self, text):
        return text == self.oracle()


class Crashes(Sound):
    def judge(self, text):
        assert len(text) < 5_000
        return super().judge(text)


class Mute(Sound):
    def oracle(self):
        return None


class Desk:
    """One tool that does all."""

    def __init__(self, task):
        self.opened = 0

    def open_door(self, room: int) -> str:
        """Open a door."""
        self.opened = room
        return f"door {room} is open"


@pytest.mark.parametrize("world", [PaysForCopies, PaysForLength, PaysForDone, PaysForRefusals, FewAnswers])
def test_a_world_that_pays_for_something_else_is_found(world):
    audit = audit_world(world(), episodes=30)
    assert audit.best.share > 0.5
    assert verdicts(audit)["gameability gap"] == "FAILED"


def test_a_sound_world_passes():
    audit = audit_world(Sound(), episodes=30)
    assert set(verdicts(audit).values()) == {"passed"}
    assert (audit.floor, audit.top, audit.best.share) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("world", "check"),
    [
        (Forgetful, "verifier determinism"),
        (Leaks, "no solution leakage"),
        (Crashes, "blind agents are survived"),
        (PaysForLength, "adversarial floor"),
    ],
)
def test_each_fault_is_found_by_its_check(world, check):
    assert verdicts(audit_world(world(), episodes=30))[check] == "FAILED"


def test_an_oracle_that_does_not_reach_the_maximum_is_found():
    class Weak(PaysForCopies):
        def oracle(self):
            return "?"

    assert verdicts(audit_world(Weak(), episodes=20))["oracle reaches the maximum"] == "FAILED"


def test_tools_that_are_called_with_what_stands_nearby_are_a_strategy():
    tasks = [
        {"prompt": f"Open room {n}.", "room": n, "oracle": [{"name": "open_door", "arguments": {"room": n}}, "open"]}
        for n in range(100, 400)
    ]
    audit = audit_world(ToolWorld(tasks, Desk, lambda desk, task, reply: desk.opened == task["room"]), episodes=20)
    assert audit.best.share == 1.0
    assert "tool" in audit.best.strategy or "open_door" in audit.best.strategy


def test_without_an_oracle_the_audit_says_so_and_decides_nothing():
    audit = audit_world(Mute(), episodes=10)
    assert audit.top is None
    assert verdicts(audit)["gameability gap"] == "not decided"
    assert audit.passed


def test_tasks_of_a_user_are_audited_too():
    tasks = [{"prompt": f"Is {n} even?", "oracle": "yes" if n % 2 == 0 else "no"} for n in range(60)]
    audit = audit_world(TaskWorld(tasks, lambda reply, task: reply.text == task["oracle"]), episodes=60)
    assert 0.3 < audit.best.share < 0.7
    assert audit.best.strategy.startswith("always")


class Drift(gymnasium.Env):
    """Pays for standing in one place: without looking, a constant does it."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(1, np.float32), float(action[0] > 0.9), self.steps == 20, False, {}


class Steered(Drift):
    def oracle(self, observation):
        return np.ones(2, np.float32)


def test_control_worlds_are_searched_with_actions_that_do_not_look():
    audit = audit_world(Steered())
    assert (audit.top, audit.best.share, audit.best.strategy) == (20.0, 1.0, "constant 1")
    assert audit_world(Drift()).top is None
    cartpole = audit_world("CartPole-v1")
    assert cartpole.expert == "the registered reward threshold"
    assert cartpole.best.share < MOST_BLIND
    assert cartpole.passed


class Nested(gymnasium.Env):
    """Pays for the second of three choices, whatever the rest of the action is."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Dict(
        {"a": gymnasium.spaces.Discrete(3), "b": gymnasium.spaces.Box(-1, 1, (2,), np.float32)}
    )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        assert self.action_space.contains(action)
        return 1, float(action["a"] == 1), True, False, {}


def test_actions_of_every_space_are_searched():
    audit = audit_world(Nested(), episodes=4)
    assert (audit.floor, max(row.reward for row in audit.rows)) == (0.0, 1.0)


def test_a_wrong_name_is_the_users_mistake():
    with pytest.raises(UnknownWorld):
        audit_world("peripatos/Stoer-v0")


def test_a_world_whose_messages_name_no_user_is_audited():
    class SystemOnly(Sound):
        def opening(self, rng, split):
            return Opening([{"role": "system", "content": super().opening(rng, split)}])

    assert audit_world(SystemOnly(), episodes=10).passed
