"""L of "constant_length" is the most units that an episode of the scenario's world can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from peripatos.scenarios.assembly.learners import make_learner
from peripatos.scenarios.assembly.policies import make_policy
from peripatos.scenarios.assembly.worlds import WorldSources
from peripatos.scenarios.config.loading import check_scenario
from peripatos.scenarios.config.yaml_text import Source


@pytest.mark.parametrize(
    ("world", "length"),
    [
        ({"id": "peripatos/Arithmetic-v0"}, 10),
        ({"id": "peripatos/Arithmetic-v0", "options": {"attempts": 5}}, 50),
        ({"id": "peripatos/ToolMaths-v0"}, 80),
        ({"id": "peripatos/Store-v0"}, 400),
        ({"id": "peripatos/Arithmetic-v0", "options": {"attempts": 5, "max_episode_steps": 3}}, 30),
    ],
)
def test_the_longest_episode_has_all_its_turns(world: dict[str, object], length: int) -> None:
    stage = {"name": "learn", "method": "dr_grpo", "collect": {"groups": 2, "group_size": 2}, "budget": {"updates": 1}}
    scenario = check_scenario(
        {
            "name": "x",
            "world": world,
            "agent": {"kind": "tiny_llama"},
            "sampling": {"max_tokens": 10},
            "stages": [stage],
        },
        Source("x"),
    )
    learner = make_learner(
        scenario,
        scenario.stages[0],
        make_policy(scenario, "cpu", WorldSources.of(scenario).first),
        {},
        WorldSources.of(scenario),
        seed=0,
    )
    assert learner.method.update.length == length


WORLDS = """\
from peripatos.envs.conversation import ConversationEnv, Outcome, TaskWorld

ROWS = [{"prompt": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(40)]

def number():
    return TaskWorld(ROWS, lambda reply, task: 1.0)

def goes_on():
    return TaskWorld(ROWS, lambda reply, task: Outcome("Again?"), weights={"reward": 1.0})

class Talk(ConversationEnv):
    def opening(self, rng, split):
        return "Go."
    def respond(self, reply):
        return Outcome("", terminated=True)
"""


@pytest.mark.parametrize(("name", "told"), [("number", False), ("goes_on", True), ("Talk", True)])
def test_only_a_world_whose_first_reply_may_not_end_it_is_said_to_have_no_limit(
    name: str, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endless_worlds.py").write_text(WORLDS)
    monkeypatch.syspath_prepend(tmp_path)
    stage = {"name": "look"}
    data = {"name": "x", "world": {"id": f"endless_worlds:{name}"}, "agent": {"kind": "random"}, "stages": [stage]}
    with WorldSources.of(check_scenario(data, Source("x"))) as worlds:
        assert bool(worlds.endless()) == told
