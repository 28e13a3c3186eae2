"""`world.step_seconds` and `world.episode_seconds`: what is refused, and that they reach the world."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from scenarios_runs import command, write_scenario

from peripatos.envs.errors import UserError
from peripatos.envs.tools import ToolWorld
from peripatos.scenarios.assembly.checks import check_parts
from peripatos.scenarios.config.loading import open_scenario

SCENARIO = """\
name: slow-bell
world: {id: "test_world_limits:SlowBell"}
agent: {kind: oracle}
stages: [{name: look}]
evaluation: {episodes: 3}
"""


class Bell:
    """A tool that answers at once."""

    def __init__(self, task: dict[str, object]) -> None:
        self.task = task

    def ring(self) -> str:
        """Ring it."""
        return "ding"


class SlowBell(ToolWorld):
    """Its check takes a third of a second."""

    def __init__(self) -> None:
        tasks = [{"prompt": f"t{n}", "oracle": "Done."} for n in range(40)]
        super().__init__(tasks, Bell, self._slowly)

    def _slowly(self, bell: Bell, task: object, reply: object) -> bool:
        time.sleep(0.3)
        return True


@pytest.mark.parametrize(("limit", "code"), [("step_seconds", 1), ("episode_seconds", 1), (None, 0)])
def test_the_limits_of_a_scenario_are_those_of_its_worlds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], limit: str | None, code: int
) -> None:
    monkeypatch.setenv("CI", "1")
    path = write_scenario(tmp_path, SCENARIO)
    sets = () if limit is None else ("--set", f"world.{limit}=0.1")
    assert command("run", path, "--out", tmp_path / "out", *sets) == code
    assert ("the world did not answer in time" in capsys.readouterr().err) == (limit is not None)


@pytest.mark.parametrize("name", ["step_seconds", "episode_seconds"])
@pytest.mark.parametrize("value", ["0", "-1", ".inf", ".nan", "soon"])
def test_a_limit_that_is_no_time_is_named_with_its_line(tmp_path: Path, name: str, value: str) -> None:
    text = SCENARIO.replace('SlowBell"}', f'SlowBell", {name}: {value}}}')
    with pytest.raises(UserError, match=rf"line 2, column \d+: world\.{name} is"):
        check_parts(*open_scenario(str(write_scenario(tmp_path, text)), ()))


@pytest.mark.parametrize("world", ["CartPole-v1", "peripatos/Arithmetic-v0"])
def test_a_limit_for_a_world_that_is_stepped_in_place_is_refused(tmp_path: Path, world: str) -> None:
    text = SCENARIO.replace('"test_world_limits:SlowBell"', f"{world}, step_seconds: 5").replace("oracle", "random")
    with pytest.raises(UserError, match=r"line 2, column \d+: world\.step_seconds is for worlds that wait"):
        check_parts(*open_scenario(str(write_scenario(tmp_path, text)), ()))
