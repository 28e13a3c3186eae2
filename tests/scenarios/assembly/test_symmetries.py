"""`agent.symmetry`: the critic knows the world's mirror, and is refused one that nobody declares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from scenarios_runs import command, write_scenario

import peripatos
from peripatos.agents.control.mlp import ActorCritic
from peripatos.envs.control.symmetry import Mirror, Symmetry
from peripatos.envs.world_source import WorldSource
from peripatos.envs.worlds.robots.walker import Walker

SWINGUP = """\
name: tiny
world: {id: peripatos/CartpoleSwingup-v0}
agent: {kind: mlp, hidden: [8], symmetry: critic}
stages:
  - name: learn
    method: ppo
    collect: {groups: 2, horizon: 32, staleness: 1}
    budget: {updates: 3}
evaluation: {episodes: 2}
checkpoint: {every: 1}
"""


class Lopsided(Walker):
    """A walker with another symmetry."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__()
        self.symmetry = Symmetry(Mirror.of(31, negated=[0]), Mirror.of(6, negated=[0]))


def said(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = command("run", write_scenario(tmp_path, text), "--dry-run")
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("peripatos/CartpoleSwingup-v0", "Pendulum-v1", "'Pendulum-v1' is known: it declares none"),
        (
            "{id: peripatos/CartpoleSwingup-v0}",
            "{id: peripatos/CartpoleSwingup-v0, wrappers: [{id: FlattenObservation}]}",
            "its wrappers may have changed what is seen",
        ),
        (
            "{id: peripatos/CartpoleSwingup-v0}",
            "{id: peripatos/Walker-v0, options: {terrain: 0.02}}",
            "it declares none",
        ),
        ("symmetry: critic", "symmetry: critic, memory: {size: 4}", "has no image"),
        ("symmetry: critic", "symmetry: actor", "critic"),
        (
            "method: ppo\n    collect: {groups: 2, horizon: 32, staleness: 1}",
            "method: grpo\n    collect: {groups: 2, group_size: 2}",
            "is for a critic, and no stage has one",
        ),
    ],
)
def test_a_symmetry_that_nobody_knows_or_reads_is_refused_with_the_reason(
    old: str, new: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert old in SWINGUP
    code, told = said(tmp_path, SWINGUP.replace(old, new), capsys)
    assert code == 2
    assert words in told
    assert "tiny.yaml, line 3, column 33: " in told


def test_several_worlds_need_one_symmetry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = "worlds: [{id: peripatos/Walker-v0}, {id: peripatos/WalkerHard-v0}]"
    assert said(tmp_path, SWINGUP.replace("world: {id: peripatos/CartpoleSwingup-v0}", two), capsys)[0] == 0
    two = f'worlds: [{{id: peripatos/Walker-v0}}, {{id: "{__name__}:Lopsided", options: {{max_episode_steps: 9}}}}]'
    code, told = said(tmp_path, SWINGUP.replace("world: {id: peripatos/CartpoleSwingup-v0}", two), capsys)
    assert code == 2
    assert "has another symmetry" in told


def test_a_critic_that_learns_ahead_still_knows_the_mirror_and_its_run_repeats_bit_for_bit(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, SWINGUP)
    runs = [peripatos.run(scenario, out=tmp_path / name) for name in ("one", "two")]
    files = [run.path / "checkpoints" / "000003" / "policy" / "policy.safetensors" for run in runs]
    one, two = map(load_file, files)
    assert all((one[name] == two[name]).all() for name in one)
    with WorldSource("peripatos/CartpoleSwingup-v0") as source:
        mirror = source.facts.symmetry.observation
        policy = ActorCritic(5, source.facts.action_space, hidden=(8,), mirror=mirror)
    policy.load(files[0].parent)
    seen = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    assert policy.value(seen) == pytest.approx(policy.value(mirror(seen)), abs=1e-6)
