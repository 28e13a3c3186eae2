"""The robot of docs/own-robot.md: its files are short, it keeps the contract, has a gait, and learns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import peripatos
from peripatos.envs.check import check_world
from peripatos.envs.registry import make_world

PAGE = Path(__file__).parents[1] / "docs" / "own-robot.md"
FILES = {"dog.xml": "xml", "dog.py": "python", "dog.yaml": "yaml"}


def written(name: str) -> str:
    found = re.search(rf"```{FILES[name]}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def dog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in FILES:
        (tmp_path / name).write_text(written(name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_robot_and_task_are_less_than_sixty_lines_and_as_many_as_the_page_says() -> None:
    lines = [line for name in ("dog.xml", "dog.py") for line in written(name).splitlines() if line.strip()]
    assert len(lines) < 60
    assert f"{len(lines)} lines" in PAGE.read_text()


def test_it_keeps_the_contract_and_stands_on_four_feet(dog: Path) -> None:
    assert [found.check for found in check_world("dog:Dog", max_episode_steps=20) if not found.passed] == []
    world = make_world("dog:Dog", render_mode="rgb_array")
    world.reset(seed=0)
    for _ in range(60):
        *_, info = world.step(world.action_space.low * 0.0)
    feet = {name: value for name, value in info["signals"].items() if name.startswith("contact/")}
    assert list(feet) == [f"contact/{end} {side}" for end in ("front", "back") for side in ("left", "right")]
    assert sum(feet.values()) == pytest.approx(1.0, abs=0.05)
    assert min(feet.values()) > 0.1


@pytest.mark.slow
def test_it_learns(dog: Path) -> None:
    run = peripatos.run("dog.yaml", {"stages.walk.budget.env_steps": 120_000}, out=dog / "run")
    tested = [row for row in run.evaluations if row["set"] == "test"]
    assert tested[-1]["return_mean"] > tested[0]["return_mean"] + 10.0
    assert tested[-1]["world/distance_mean"] > tested[0]["world/distance_mean"] + 0.3
