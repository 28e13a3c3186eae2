"""The base of all conversation worlds, through a world as a newcomer would write it."""

import math

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from peripatos.envs.conversation import ConversationEnv, Opening, Outcome
from peripatos.envs.conversation.conversation_env import AnyReply, AnyText
from peripatos.envs.errors import UserError
from peripatos.envs.reported import BadReport
from peripatos.envs.vocabulary import Reply, WorldFailure


class GuessTheNumber(ConversationEnv):
    """Guess a number from 1 to 100."""

    weights = {"found": 1.0, "near": 0.5}  # noqa: RUF012
    max_turns = 3

    def opening(self, rng, split):
        self.secret = int(rng.integers(1, 101))
        return "I think of a number from 1 to 100. Guess it."

    def respond(self, reply):
        if reply.text == str(self.secret):
            return Outcome("Yes!", terms={"found": 1.0}, terminated=True, success=True)
        return Outcome("No. Guess again.", terms={"near": 0.25})


class Scripted(ConversationEnv):
    """Gives back whatever outcome it was made with."""

    weights = {"term": 1.0}  # noqa: RUF012

    def __init__(self, outcome):
        super().__init__()
        self.outcome = outcome

    def opening(self, rng, split):
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"{split}?"}]
        return Opening(messages, task="a name", tools=[{"name": "tool", "parameters": {"type": "object"}}])

    def respond(self, reply):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def test_gymnasium_accepts_the_world():
    check_env(GuessTheNumber())


def test_a_first_world_is_written_in_under_thirty_lines():
    world = GuessTheNumber(weights={"near": 2.0})
    text, info = world.reset(seed=1)
    assert text == "I think of a number from 1 to 100. Guess it."
    assert info == {"messages": [{"role": "user", "content": text}], "tools": [], "task": text, "split": "train"}
    text, reward, terminated, truncated, info = world.step("0")
    assert (text, reward, terminated, truncated) == ("No. Guess again.", 0.5, False, False)
    assert info == {
        "messages": [{"role": "user", "content": text}],
        "reward_terms": {"found": 0.0, "near": 0.5},
        "success": None,
        "metrics": {},
    }
    _, reward, terminated, truncated, info = world.step(Reply(str(world.secret)))
    assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)


@pytest.mark.parametrize("has_success", [None, True])
def test_the_turn_limit_truncates_and_counts_as_not_succeeded_where_the_world_knows_success(has_success):
    world = GuessTheNumber()
    world.has_success = has_success
    world.reset(seed=0)
    flags = [world.step("0")[2:4] for _ in range(2)]
    _, _, terminated, truncated, info = world.step("0")
    assert flags == [(False, False), (False, False)]
    assert (terminated, truncated, info["success"]) == (False, True, False if has_success else None)


def test_succeeding_in_the_last_turn_terminates_and_does_not_truncate():
    world = GuessTheNumber()
    world.reset(seed=0)
    world.step("0")
    world.step("0")
    assert world.step(str(world.secret))[2:4] == (True, False)


def test_an_opening_may_hold_several_messages_a_name_and_tools():
    text, info = Scripted(Outcome()).reset(options={"split": "test"})
    assert text == "test?"
    assert [message["role"] for message in info["messages"]] == ["system", "user"]
    assert info["task"] == "a name"
    assert info["tools"][0]["name"] == "tool"


def test_what_a_caller_does_to_messages_does_not_reach_the_world():
    message = {"role": "user", "content": "again"}
    world = Scripted(Outcome([message]))
    world.reset()
    world.step("x")[4]["messages"][0]["content"] = "changed"
    assert world.step("x")[0] == "again"


@pytest.mark.parametrize("action", [None, 3, b"bytes", ["x"], {"text": "x"}, np.zeros(2), Reply(text=None)])
def test_what_is_no_reply_is_refused_and_the_episode_goes_on(action):
    world = GuessTheNumber()
    world.reset(seed=0)
    with pytest.raises(TypeError, match="takes a str or a Reply"):
        world.step(action)
    assert world.step(str(world.secret))[1] == 1.0


def test_stepping_without_an_episode_asks_for_a_reset():
    world = GuessTheNumber()
    with pytest.raises(ResetNeeded):
        world.step("1")
    world.reset(seed=0)
    world.step(str(world.secret))
    with pytest.raises(ResetNeeded, match="call reset"):
        world.step("1")
    world.reset()
    world.step("1")


def test_a_world_that_raises_has_lost_its_episode_but_can_be_reset():
    world = Scripted(RuntimeError("a bug"))
    world.reset()
    with pytest.raises(RuntimeError, match="a bug"):
        world.step("x")
    with pytest.raises(ResetNeeded):
        world.step("x")
    world.outcome = Outcome()
    world.reset()
    world.step("x")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_not_finite_is_a_failure_of_the_world(value):
    world = Scripted(Outcome(terms={"term": value}))
    world.reset()
    with pytest.raises(WorldFailure, match="'term' is"):
        world.step("x")


def test_a_term_without_a_weight_is_named_with_the_nearest():
    world = Scripted(Outcome(terms={"tern": 1.0}))
    world.reset()
    with pytest.raises(UserError, match="Did you mean 'term'"):
        world.step("x")


def test_a_method_that_the_author_forgot_is_named():
    class NoOpening(ConversationEnv):
        respond = GuessTheNumber.respond

    class NoRespond(ConversationEnv):
        opening = GuessTheNumber.opening

    with pytest.raises(NotImplementedError, match="NoOpening has to define opening"):
        NoOpening().reset()
    world = NoRespond()
    world.reset()
    with pytest.raises(NotImplementedError, match="NoRespond has to define respond"):
        world.step("1")


def test_a_response_of_the_wrong_type_is_a_clear_error():
    world = Scripted("just text")
    world.reset()
    with pytest.raises(BadReport, match="allowed is an Outcome"):
        world.step("x")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"splt": "test"}, "Did you mean 'split'"), ({"split": "tset"}, "Did you mean 'test'"), ({"split": 3}, "'3'")],
)
def test_a_wrong_reset_option_is_named(options, words):
    with pytest.raises(UserError, match=words):
        GuessTheNumber().reset(options=options)


def test_weights_that_leave_no_reward_are_refused():
    with pytest.raises(UserError, match=r"every weight of the reward is 0 \(found, near\): give one of them another"):
        GuessTheNumber(weights={"near": 0, "found": 0.0})


@pytest.mark.parametrize("name", [1, None, ("found",)])
def test_a_weight_whose_name_is_no_text_is_refused(name):
    class Odd(GuessTheNumber):
        weights = {name: 1.0}  # noqa: RUF012

    for make in (lambda: GuessTheNumber(weights={name: 1.0}), Odd):
        with pytest.raises(UserError, match=r"weights name .*; allowed are the names of reward terms"):
            make()


@pytest.mark.parametrize("tools", ["f", [print], [{"a": 1}], {"name": "f"}, [{"type": "function", "function": "f"}], 7])
def test_tools_of_an_opening_that_are_no_schemas_are_refused(tools):
    class Odd(GuessTheNumber):
        def opening(self, rng, split):
            return Opening("Guess.", tools=tools)

    with pytest.raises(BadReport, match=r"Odd.opening gave tools .*; allowed are schemas"):
        Odd().reset(seed=0)


@pytest.mark.filterwarnings("error")
def test_a_method_that_nobody_awaits_or_that_yields_is_named():
    class Later(GuessTheNumber):
        async def opening(self, rng, split):
            return "Guess."

    class Never(GuessTheNumber):
        async def respond(self, reply):
            return Outcome()

    class Yields(GuessTheNumber):
        def respond(self, reply):
            yield Outcome()

    with pytest.raises(UserError, match=r"Later.opening is an `async def`, and nobody awaits it"):
        Later().reset(seed=0)
    for made, words in ((Never(), "Never.respond is an `async def`"), (Yields(), "Yields.respond is a generator")):
        made.reset(seed=0)
        with pytest.raises(UserError, match=words):
            made.step("7")


def test_weights_of_one_world_do_not_reach_another():
    assert GuessTheNumber(weights={"near": 9}).weights == {"found": 1.0, "near": 9.0}
    assert GuessTheNumber().weights == {"found": 1.0, "near": 0.5}


def test_spaces_hold_every_string():
    for text in ("", "\ud800", "x" * 100_000, "\x00"):
        assert AnyText().contains(text)
        assert AnyReply().contains(text)
    assert AnyReply().contains(Reply("x"))
    assert not AnyText().contains(Reply("x"))
    assert not AnyReply().contains(b"x")
    space = AnyText(seed=0)
    assert all(sample.isascii() and len(sample) <= 64 for sample in (space.sample() for _ in range(50)))


class Holding(GuessTheNumber):
    """Holds something for each episode, and may break."""

    def __init__(self, breaks=False):
        super().__init__()
        self.breaks, self.held, self.freed = breaks, 0, 0

    def opening(self, rng, split):
        self.held += 1
        return super().opening(rng, split)

    def respond(self, reply):
        if self.breaks:
            raise WorldFailure("broken")
        return super().respond(reply)

    def end(self):
        super().end()
        self.freed, self.held = self.freed + self.held, 0


def test_an_episode_that_somebody_ends_is_over_and_twice_is_harmless():
    world = Holding()
    world.end()
    world.reset(seed=0)
    world.step("0")
    assert (world.held, world.freed) == (1, 0)
    for _ in range(2):
        world.end()
        assert (world.held, world.freed) == (0, 1)
    with pytest.raises(ResetNeeded):
        world.step("0")
    world.reset()
    assert (world.step("0")[1], world.held) == (0.125, 1)


def test_a_world_ends_its_episode_with_the_last_turn_with_a_failure_with_the_next_and_when_it_is_closed():
    world = Holding()
    for _ in range(2):  # the second begins where nobody has ended the first
        world.reset(seed=0)
    assert (world.held, world.freed) == (1, 1)
    for turn in range(3):
        assert (world.held, world.freed) == (1, 1), turn
        world.step("0")
    assert (world.held, world.freed) == (0, 2)
    world.reset(seed=0)
    world.close()
    assert (world.held, world.freed) == (0, 3)
    broken = Holding(breaks=True)
    broken.reset(seed=0)
    with pytest.raises(WorldFailure):
        broken.step("0")
    assert (broken.held, broken.freed) == (0, 1)


@pytest.mark.parametrize("options", [{"run": 1}, {"group": 1}, {"run": 1, "group": -1}, {"run": 1, "group": "2"}])
def test_half_a_place_in_a_run_is_a_clear_error(options):
    with pytest.raises(UserError, match="run and group are two whole numbers"):
        GuessTheNumber().reset(seed=0, options=options)


def test_closing_twice_is_harmless():
    world = GuessTheNumber()
    world.close()
    world.close()


def test_worlds_run_side_by_side_in_gymnasiums_vector_env():
    worlds = gymnasium.vector.SyncVectorEnv([GuessTheNumber, GuessTheNumber])
    texts, _ = worlds.reset(seed=0)
    assert len(texts) == 2
    _, rewards, *_ = worlds.step(("0", "0"))
    assert list(rewards) == [0.125, 0.125]
    worlds.close()
