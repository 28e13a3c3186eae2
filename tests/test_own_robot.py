"""The robot of docs/own-robot.md: its files are short, it keeps the contract, has a gait, and learns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gymnasium.wrappers import TimeLimit

import peripatos
from peripatos.envs.check import check_world
from peripatos.envs.check_play import Broken, Untested
from peripatos.envs.control import Mirror, MujocoWorld, Symmetry
from peripatos.envs.control.symmetry_check import keeps_symmetry
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


SIDES = [(5, 7), (6, 8), (9, 11), (10, 12), (19, 21), (20, 22), (23, 25), (24, 26)]
ENDS = [(5, 9), (6, 10), (7, 11), (8, 12), (19, 23), (20, 24), (21, 25), (22, 26)]
CROSSED = [(5, 8), (6, 7), (9, 11), (10, 12), (19, 22), (20, 21), (23, 25), (24, 26)]
TURNED, MOTORS = (
    [0, 2, 4, 14, 16, 18],
    [(0, 2), (1, 3), (4, 6), (5, 7)],
)  # y, roll, yaw and their speeds
of = Mirror.of
RIGHT = Symmetry(of(27, swapped=SIDES, negated=TURNED), of(8, swapped=MOTORS))
WRONG = {
    "yaw": (Symmetry(of(27, swapped=SIDES, negated=[0, 2, 14, 16, 18]), RIGHT.action), "number 4"),
    "the rate of yaw": (Symmetry(of(27, swapped=SIDES, negated=[0, 2, 4, 14, 16]), RIGHT.action), "number"),
    "no motor": (Symmetry(RIGHT.observation, of(8)), "number 0, number 1, number 2"),
    "signs": (Symmetry(RIGHT.observation, of(8, swapped=MOTORS, negated=range(8))), "number 0"),
    "hip and knee": (Symmetry(of(27, swapped=CROSSED, negated=TURNED), RIGHT.action), "number"),
    "front and back": (
        Symmetry(of(27, swapped=ENDS, negated=TURNED), of(8, swapped=[(0, 4), (1, 5), (2, 6), (3, 7)])),
        "number",
    ),
    "all signs": (Symmetry(of(27, negated=range(27)), of(8, negated=range(8))), "number"),
}


def mirrored(symmetry: Symmetry) -> MujocoWorld:
    import dog  # pyright: ignore[reportMissingImports]

    world = dog.Dog()
    world.symmetry = symmetry
    return world


def test_its_left_and_right_are_a_symmetry(dog: Path) -> None:
    said = keeps_symmetry(TimeLimit(mirrored(RIGHT), 300))
    assert said == "mirrored states lead to mirrored ones, in every number and for the same reward"
    assert not isinstance(said, Untested)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_mirror_of_it_that_is_wrong_is_found(wrong: str, dog: Path) -> None:
    symmetry, number = WRONG[wrong]
    with pytest.raises(Broken, match=f"does not lead to the mirrored next one: {number}"):
        keeps_symmetry(mirrored(symmetry))


@pytest.mark.slow
def test_it_learns(dog: Path) -> None:
    run = peripatos.run("dog.yaml", {"stages.walk.budget.env_steps": 120_000}, out=dog / "run")
    tested = [row for row in run.evaluations if row["set"] == "test"]
    assert tested[-1]["return_mean"] > tested[0]["return_mean"] + 10.0
    assert tested[-1]["world/distance_mean"] > tested[0]["world/distance_mean"] + 0.3
