"""Other runs whose agents cannot play a role here: all of it is said before a run has a folder, and in a rehearsal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from scenarios_runs import command, write_scenario

import peripatos
from peripatos.envs.errors import UserError

ONCE = {"update": {"epochs": 1, "minibatches": 1}}
STEPS = {"groups": 2, "horizon": 16}
PPO = {"name": "learn", "method": "ppo", "collect": STEPS, "overrides": ONCE, "budget": {"updates": 1}}
SEGMENTS = {"collect": STEPS, "overrides": {"credit": {"baseline": "critic"}}}
MEMORY: dict[str, Any] = {"memory": {"size": 4}}


def walker(stage: dict[str, Any], world: str = "CartPole-v1", **agent: Any) -> dict[str, Any]:
    spec = {"kind": "mlp", "hidden": [8], **agent}
    return {"name": "poles", "world": {"id": world}, "agent": spec, "stages": [stage], "evaluation": {"episodes": 2}}


def taught(teacher: Path, **more: Any) -> dict[str, Any]:
    models = {"teacher": str(teacher)}
    base = {"name": "distil", "method": "on_policy_distillation", "collect": {"groups": 2}, "budget": {"updates": 1}}
    return {**base, "models": models, **more}


def refused(scenario: dict[str, Any], folder: Path, words: str) -> None:
    with pytest.raises(UserError, match=words):
        peripatos.run(scenario, out=folder / "run")
    assert not (folder / "run").exists(), "what is left would stand in the way of the next run"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return peripatos.run(walker(PPO), out=tmp_path_factory.mktemp("plain") / "run").path


@pytest.fixture(scope="module")
def remembering(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return peripatos.run(walker(PPO, **MEMORY), out=tmp_path_factory.mktemp("remembering") / "run").path


@pytest.mark.parametrize("student", [{}, MEMORY, {"memory": {"size": 6}}], ids=["none", "as-large", "larger"])
def test_a_teacher_with_a_memory_reads_no_segments(student: dict[str, Any], remembering: Path, tmp_path: Path) -> None:
    refused(walker(taught(remembering, **SEGMENTS), **student), tmp_path, "has a memory, and reads segments here")


def test_a_reference_with_a_memory_reads_no_segments(remembering: Path, tmp_path: Path) -> None:
    near = {"overrides": {**ONCE, "weighting": {"kl": "k3", "beta": 0.1}}, "models": {"reference": str(remembering)}}
    refused(walker({**PPO, **near}), tmp_path, "has a memory, and reads segments here.*name a reference without")


def test_a_teacher_with_a_memory_reads_whole_episodes_with_a_memory_of_its_own(
    remembering: Path, tmp_path: Path
) -> None:
    run = peripatos.run(walker(taught(remembering), memory={"size": 6}), out=tmp_path / "run")
    assert abs(run.column("kl/teacher")[0]) < 1.0


def test_a_teacher_without_a_memory_reads_segments_of_an_agent_with_one(plain: Path, tmp_path: Path) -> None:
    run = peripatos.run(walker(taught(plain, **SEGMENTS), **MEMORY), out=tmp_path / "run")
    assert abs(run.column("kl/teacher")[0]) < 1.0


@pytest.mark.parametrize("world", ["Acrobot-v1", "Pendulum-v1"])
def test_a_teacher_of_another_body_is_refused_before_there_is_a_folder(world: str, plain: Path, tmp_path: Path) -> None:
    words = f"the agent of .* does not fit '{world}'.*observation_size 4"
    refused(walker(taught(plain), world), tmp_path, words)


def test_a_rehearsal_says_that_a_teacher_is_of_another_body(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scenario(tmp_path, yaml.safe_dump(walker(taught(plain), "Acrobot-v1")))
    assert command("run", path, "--dry-run") == 2
    assert "observation_size 4; this one has 6" in " ".join(capsys.readouterr().err.split())
