"""Why episodes earned nothing, in a sentence."""

from __future__ import annotations

import pytest

from peripatos.envs.vocabulary import Episode, StopReason
from peripatos.scenarios.run.failed_episodes import failed_expert


def episode(reward: float | None, success: bool | None = None, **more: object) -> Episode:
    return Episode(group=0, index=0, seed=0, version=0, split="test", reward=reward, success=success, **more)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (episode(0.0, False, turns=2), "the world says so: it earned 0 in 2 turns"),
        (episode(0.0, None, stop_reason=StopReason.CONTEXT_LIMIT), "did not fit into the model's context"),
        (episode(-1.0, None, stop_reason=StopReason.TOOL_LIMIT), "it used up its tool calls"),
        (
            episode(0.0, False, messages=({"role": "assistant", "content": "[", "parse_error": "not Python"},)),
            "a tool call could not be read: not Python",
        ),
        (
            episode(0.0, False, metrics={"tool_faults": 1.0}, messages=({"role": "tool", "content": "no zip"},)),
            "1 of its tool calls failed; it was told last: 'no zip'",
        ),
    ],
)
def test_an_expert_that_never_reaches_the_goal_is_doubted_with_the_first_reason(shown: Episode, words: str) -> None:
    said = failed_expert([episode(None), shown, shown, shown])
    assert said is not None
    assert said.startswith("the expert reached the goal in 0 of 3 demonstrations; the first failed because ")
    assert words in said
    assert failed_expert([shown, episode(0.0, True)]) is None
    assert failed_expert([shown, episode(0.5)]) is None


def test_an_expert_of_a_world_that_says_nothing_about_success_is_not_doubted() -> None:
    assert failed_expert([episode(-150.0), episode(0.0, truncated=True)]) is None
    assert failed_expert([]) is None
