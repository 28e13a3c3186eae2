"""`agent.log_std`: the noise of actions begins where it is told to, and is refused where nothing is drawn from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file
from scenarios_runs import command, write_scenario

import peripatos

TINY = """\
name: tiny
world: {id: Pendulum-v1}
agent: {kind: mlp, hidden: [8], log_std: -2}
stages:
  - {name: learn, method: ppo, collect: {groups: 1, horizon: 16}, budget: {updates: 1}, optimizer: {lr: 1e-9}}
evaluation: {episodes: 1}
"""


def test_the_noise_begins_where_it_is_told_to(tmp_path: Path) -> None:
    run = peripatos.run(write_scenario(tmp_path, TINY), out=tmp_path / "run")
    weights = load_file(run.path / "checkpoints" / "000001" / "policy" / "policy.safetensors")
    assert weights["log_std"].tolist() == pytest.approx([-2.0], abs=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Pendulum-v1", "CartPole-v1", "those of 'CartPole-v1' are choices"),
        ("log_std: -2", "log_std: -4", "allowed is a number from -3 to 2"),
        ("log_std: -2", "log_std: 2.5", "allowed is a number from -3 to 2"),
        ("log_std: -2", "log_std: .nan", "allowed is a number from -3 to 2"),
        ("log_std: -2", "log_std: true", "allowed is a number from -3 to 2"),
        ("log_std: -2", "log_sd: -2", "log_std"),
        ("log_std: -2", "log_std: small", "allowed is a number from -3 to 2"),
    ],
)
def test_where_it_cannot_begin_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
) -> None:
    assert command("run", write_scenario(tmp_path, TINY.replace(old, new)), "--dry-run") == 2
    assert words in capsys.readouterr().err
