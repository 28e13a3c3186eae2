"""An episode whose reward nobody knows is counted, teaches nothing, and is neither a zero nor a failure."""

from __future__ import annotations

from test_unanswered import actor_of

from peripatos.envs.conversation import TaskWorld
from peripatos.scenarios.run.episode_statistics import describe_collection, spell_evaluation, summarize

TASKS = [{"prompt": f"p{n}", "known": n % 2, "split": "test"} for n in range(20)]


def test_unscored_episodes_have_no_reward_and_are_counted() -> None:
    world = lambda: TaskWorld(TASKS, lambda reply, task: 1.0 if task["known"] else None)  # noqa: E731
    episodes = actor_of(world).evaluate(20, seed=0, version=0)
    unscored = [episode for episode in episodes if episode.unscored is not None]
    assert len(unscored) == 10
    assert {(e.reward, e.success, e.failure, e.unscored) for e in unscored} == {
        (None, None, None, "the reward function '<lambda>' returned None")
    }
    result = summarize(episodes)
    assert (result["unscored"], result["failed"], result["return_mean"]) == (10, 0, 1.0)
    assert "10 not scored" in spell_evaluation(result)
    assert describe_collection(episodes)["episodes/unscored"] == 10.0
