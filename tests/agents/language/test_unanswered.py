"""A prompt beyond the context was never answered: that is no reward of zero, no failure of the world, and counted."""

from __future__ import annotations

import pytest
from agents_worlds import Echo

from peripatos.agents.language.authors import Script
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.envs.conversation import ConversationEnv, TaskWorld
from peripatos.envs.tools import ToolWorld
from peripatos.envs.vocabulary import StopReason
from peripatos.envs.worlds.maths.arithmetic import Arithmetic
from peripatos.scenarios.run.episode_statistics import describe_collection, reached, spell_evaluation, summarize
from peripatos.scenarios.run.failed_episodes import explain_unanswered

CONTEXT = 512


class Host:
    def __init__(self, task: object) -> None:
        self.task = task

    def look(self) -> str:
        """Look."""
        return "nothing"


def tasks(split: str, *, long: int = 20, short: int = 20) -> list[dict[str, str]]:
    prompts = ["x" * (600 + n) for n in range(long)] + [f"q{n}" for n in range(short)]
    return [{"prompt": prompt, "split": split} for prompt in prompts]


def actor_of(world: object, context: int = CONTEXT) -> ConversationActor:
    renderer = Renderer(tiny_tokenizer())
    return ConversationActor(world, Script(lambda messages: "a"), renderer, context=context)


def worlds(split: str, **sizes: int) -> list[ConversationEnv]:
    listed = tasks(split, **sizes)
    return [
        TaskWorld(listed, lambda reply, task: 1.0),
        TaskWorld(listed, lambda reply, task: True),
        ToolWorld(listed, Host, lambda host, task, reply: True, timeout=None),
        ToolWorld(listed, Host, lambda host, task, reply: 1.0),
    ]


@pytest.mark.parametrize("kind", range(4))
def test_what_was_never_answered_is_counted_and_left_out_of_every_mean(kind: int) -> None:
    result = summarize(actor_of(lambda: worlds("test")[kind]).evaluate(40, seed=0, version=0))
    assert (result["episodes"], result["unanswered"], result["failed"]) == (40, 20, 0)
    assert result["return_mean"] == 1.0
    assert result.get("success_rate", 1.0) == 1.0
    assert "20 never answered" in spell_evaluation(result)
    assert "never answered" not in spell_evaluation({**result, "unanswered": 0})


@pytest.mark.parametrize("kind", range(4))
def test_training_counts_them_and_learns_from_the_others_alone(kind: int) -> None:
    collection = actor_of(lambda: worlds("train")[kind]).collect(range(40), 1, seed=0, version=0)
    row = describe_collection(collection.episodes)
    assert (row["episodes/unanswered"], row["episodes/failed"], row["reward/mean"]) == (20.0, 0.0, 1.0)
    assert collection.batch is not None
    assert len(collection.batch.mask_B_T) == 20


def test_the_record_says_why() -> None:
    episodes = actor_of(lambda: Arithmetic(), context=10).evaluate(3, seed=0, version=0)
    for episode in episodes:
        assert (episode.reward, episode.success, episode.failure) == (None, None, None)
        assert (episode.truncated, episode.turns, episode.stop_reason) == (True, 0, StopReason.CONTEXT_LIMIT)
        assert episode.unanswered == f"the prompt has {len(episode.tokens)} tokens and the context holds 10"


def test_an_episode_that_was_answered_before_it_outgrew_the_context_keeps_its_reward() -> None:
    for episode in actor_of(Echo, context=20).evaluate(2, seed=0, version=0):
        assert (episode.turns, episode.unanswered) == (1, None)
        assert episode.reward is not None


def test_where_nothing_was_answered_the_context_and_the_shortest_prompt_are_named() -> None:
    renderer = Renderer(tiny_tokenizer())
    shortest = len(renderer.opening([{"role": "user", "content": "x" * 600}]))
    none = actor_of(lambda: worlds("test", short=0)[1]).evaluate(20, seed=0, version=0)
    explained = explain_unanswered(none)
    assert explained is not None
    assert "none of 20 prompts fits" in explained
    assert f"{shortest} tokens and the context holds {CONTEXT}" in explained
    assert reached(summarize(none), {"success_rate": 0.5}) is None
    assert explain_unanswered(actor_of(lambda: worlds("test")[1]).evaluate(40, seed=0, version=0)) is None
