"""Why an episode was cut is in its record, and success is what the world says it is."""

from collections.abc import Callable, Sequence

import pytest
from agents_worlds import Echo

from peripatos.agents.language.authors import Script
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.envs.conversation import ConversationEnv
from peripatos.envs.errors import UserError
from peripatos.envs.tools import ToolWorld
from peripatos.envs.vocabulary import Episode, Message, StopReason
from peripatos.envs.worlds.maths.tool_maths import ToolMaths
from peripatos.envs.worlds.store.world import Store
from peripatos.scenarios.run.episode_statistics import describe_collection, reached, score, summarize


class Adder:
    def __init__(self, task: dict[str, object]) -> None:
        self.task = task

    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        return a + b


def adder() -> ToolWorld:
    tasks = [{"prompt": f"What is {n} + 1?"} for n in range(8)]
    return ToolWorld(tasks, Adder, lambda host, task, reply: False, max_calls=2, timeout=None)


def played(make_world: Callable[[], ConversationEnv], say: str, *, context: int = 100_000) -> list[Episode]:
    """Two episodes of somebody who always says the same."""
    renderer = Renderer(tiny_tokenizer())
    engine = Script(lambda messages: say)
    actor = ConversationActor(make_world, engine, renderer, context=context)
    return actor.evaluate(2, seed=0, version=0)


@pytest.mark.parametrize(
    ("make_world", "call"),
    [
        (adder, '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 1}}</tool_call>'),
        (lambda: ToolMaths(max_calls=2), "<tool_call>1+1</tool_call>"),
        (lambda: Store(max_calls=2), '<tool_call>{"name": "nothing", "arguments": {}}</tool_call>'),
    ],
    ids=["tool world", "tool maths", "store"],
)
def test_an_episode_that_has_used_up_its_calls_is_recorded_as_that(
    make_world: Callable[[], ConversationEnv], call: str
) -> None:
    for episode in played(make_world, call):
        assert (episode.truncated, episode.terminated) == (True, False)
        assert (episode.stop_reason, episode.turns) == (StopReason.TOOL_LIMIT, 3)
        assert episode.success is (None if make_world is adder else False)  # nobody has asked its check


def test_a_world_that_truncates_without_a_reason_has_reached_its_limit_of_turns() -> None:
    assert all(e.stop_reason is StopReason.TURN_LIMIT and e.success is None for e in played(Echo, "x"))


class Judged(Echo):
    """An echo that would decide about success, had it not such a short life."""

    has_success = True


def test_an_episode_that_is_cut_from_outside_has_not_succeeded_where_the_world_knows_success() -> None:
    for world in (Echo, Judged):
        for episode in played(world, "five!", context=20):
            assert (episode.truncated, episode.stop_reason) == (True, StopReason.CONTEXT_LIMIT)
            assert (episode.turns, episode.success) == (1, False if world is Judged else None)
    assert all(episode.success is False for episode in played(Judged, "x"))


def scored(reward: object, calls: int) -> list[Episode]:
    """Twenty episodes of which every fourth calls so often; the check gives `reward` to the others."""
    tasks = [{"prompt": f"Task {n}.", "split": "test"} for n in range(20)]

    def say(messages: Sequence[Message]) -> str:
        number = int(messages[0]["content"].split()[1].rstrip("."))
        return "[add(a=1, b=1)]" if number % 4 == 0 and len(messages) < 2 * calls else "done"

    def world() -> ToolWorld:
        return ToolWorld(tasks, Adder, lambda *_: reward, reply_format="python", max_calls=2, timeout=None)

    renderer = Renderer(tiny_tokenizer())
    return ConversationActor(world, Script(say), renderer, context=10_000).evaluate(20, seed=0, version=0)


def test_what_is_measured_does_not_depend_on_whether_something_was_cut() -> None:
    cut, whole = summarize(scored(0.9, calls=9)), summarize(scored(0.9, calls=0))
    assert (cut["truncated"], whole["truncated"]) == (5, 0)
    assert (score(cut), score(whole)) == (pytest.approx(0.9 * 15 / 20), pytest.approx(0.9))
    for result in (cut, whole):
        assert "success_rate" not in result
        with pytest.raises(UserError, match="evaluations of this world have return_mean"):
            reached(result, {"success_rate": 0.5})  # at the first evaluation
        assert reached(result, {"success_rate": 0.5}, checked=True) is None  # in the middle


def test_the_success_rate_is_the_share_of_all_scored_episodes() -> None:
    assert summarize(scored(True, calls=9))["success_rate"] == 15 / 20
    assert summarize(scored(True, calls=0))["success_rate"] == 1.0
    assert describe_collection(scored(True, calls=9))["success/rate"] == 15 / 20


def test_a_goal_of_success_waits_while_every_episode_is_cut_before_the_world_could_say_it() -> None:
    result = summarize(played(Echo, "x"))
    assert reached(result, {"success_rate": 0.5}) is None
