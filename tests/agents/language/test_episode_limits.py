"""Why an episode was cut is in its record, and what was cut has not succeeded."""

from collections.abc import Callable

import pytest
from agents_worlds import Echo

from peripatos.agents.language.authors import Author
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.envs.conversation import ConversationEnv
from peripatos.envs.tools import ToolWorld
from peripatos.envs.vocabulary import Episode, StopReason
from peripatos.envs.worlds.maths.tool_maths import ToolMaths
from peripatos.envs.worlds.store.world import Store


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
    engine = Author(renderer, lambda request: say)
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
        assert (episode.stop_reason, episode.success, episode.turns) == (StopReason.TOOL_LIMIT, False, 3)


def test_a_world_that_truncates_without_a_reason_has_reached_its_limit_of_turns() -> None:
    assert all(e.stop_reason is StopReason.TURN_LIMIT and e.success is False for e in played(Echo, "x"))


@pytest.mark.parametrize("context", [1, 20])
def test_an_episode_that_is_cut_from_outside_has_not_succeeded(context: int) -> None:
    for episode in played(Echo, "five!", context=context):
        assert (episode.truncated, episode.stop_reason) == (True, StopReason.CONTEXT_LIMIT)
        assert episode.success is False
        assert episode.turns == (0 if context == 1 else 1)
