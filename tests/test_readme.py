"""What the README shows, works: its world keeps the contract, its scenario is valid, its files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from peripatos.envs.check import check_world
from peripatos.scenarios.build import check_parts
from peripatos.scenarios.loading import load_scenario, shipped

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return next(re.finditer(rf"```{language}\n(.*?)```", README, re.DOTALL)).group(1)


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_world.py").write_text(block("python"))
    (tmp_path / "my-scenario.yaml").write_text(block("yaml"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("newcomer")
def test_the_world_of_the_readme_is_short_and_keeps_the_contract() -> None:
    assert len(block("python").splitlines()) < 30
    findings = check_world("my_world:GuessTheNumber")
    assert not [finding for finding in findings if not finding.passed]


def test_the_scenario_of_the_readme_is_valid(newcomer: Path) -> None:
    check_parts(load_scenario(str(newcomer / "my-scenario.yaml"), []))


def test_every_file_and_scenario_that_the_readme_names_exists() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
    for name in re.findall(r"peripatos (?:run|compare) ([a-z0-9-]+)", README):
        assert name in shipped(), name
