"""What a curriculum and a gate are told before a run: which world is silent, what helps, and who draws tasks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from scenarios_runs import command, write_scenario

WORLDS = """\
from peripatos.envs.conversation import ConversationEnv, Opening, Outcome

class Own(ConversationEnv):
    weights = {"r": 1.0}
    has_success = True

    def tasks_in(self, split):
        return 6

    def opening(self, rng, split):
        self.n = self.pick(range(6), rng)
        return Opening(f"{self.n}, {rng.integers(1000)}?", task=str(self.n))

    def respond(self, reply):
        return Outcome(terms={"r": 1.0 * (self.n == 0)}, terminated=True, success=True if self.n == 0 else None)

class Draws(Own):
    def opening(self, rng, split):
        self.n = int(rng.integers(6))
        return Opening(f"{self.n}?", task=str(self.n))

class Now(Own):
    has_success = None

class Silent(Own):
    has_success = None

    def respond(self, reply):
        return Outcome(terms={"r": 1.0 * (self.n == 0)}, terminated=True)
"""
STAGE = """\
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 3}
stages:
  - {name: learn, method: grpo, collect: {groups: 4, group_size: 4, curriculum: {}}, budget: {updates: 1}}
evaluation: {episodes: 2}
"""
TWO = "worlds:\n  - {id: 'a_list:Own', name: one}\n  - {id: 'a_list:Silent', name: two}\n"
SAYS = "class of your own by has_success = True"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a_list.py").write_text(WORLDS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "a_list", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", ["Own", "Now"])
def test_worlds_that_choose_by_number_and_say_a_success_are_taken(name: str, folder: Path) -> None:
    assert command("run", write_scenario(folder, f"name: a\nworld: {{id: 'a_list:{name}'}}\n{STAGE}"), "--dry-run") == 0


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (
            "world: {id: 'a_list:Draws'}\n",
            "begins the same one with '5' and with '2': let `opening` choose by self.pick",
        ),
        ("world: {id: 'a_list:Silent'}\n", f"'a_list:Silent' says nothing about success; a world of tasks|{SAYS}"),
        (TWO, "'a_list:Silent' (world 'two') says nothing about success"),
        (TWO + "#1", "a curriculum needs room for all of them when it begins; give at least 2"),
    ],
)
def test_what_a_curriculum_cannot_go_by_is_named_with_a_way_out(
    world: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = STAGE.replace("groups: 4", "groups: 1") if world.endswith("#1") else STAGE
    world = world.replace("Silent", "Now").removesuffix("#1") if world.endswith("#1") else world
    assert command("run", write_scenario(folder, f"name: a\n{world}{stage}"), "--dry-run") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert all(part in error for part in said.split("|")), error


def test_a_control_world_is_told_how_it_may_speak_of_success(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "name: body\nworld: {id: CartPole-v1}\nagent: {kind: mlp, hidden: [8]}\nstages:\n  - name: learn\n"
    words += "    method: grpo\n    collect: {groups: 2, group_size: 4, gate: [0, 0.5]}\n    budget: {updates: 1}\n"
    assert command("run", write_scenario(folder, words), "--dry-run") == 2
    assert "a control world says it in info['success']" in " ".join(capsys.readouterr().err.split())
