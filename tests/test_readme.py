"""What the README shows, works: its worlds keep the contract and train, its scenarios are valid, its files exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scenarios_runs import PATIENCE

from peripatos.envs.check import check_world
from peripatos.scenarios.assembly.checks import check_parts
from peripatos.scenarios.compare import comparison_file
from peripatos.scenarios.config.loading import load_scenario, shipped

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORLDS = 1  # blocks of Python before those that define worlds
SHORT = (
    "stages.imitate.budget.updates=3",
    "stages.imitate.collect.groups=4",
    "stages.reinforce.budget.updates=2",
    "stages.reinforce.collect.groups=2",
    "evaluation.episodes=4",
)


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)[number]


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for number, name in enumerate(("my_world.py", "my_tools.py")):
        (tmp_path / name).write_text(block("python", WORLDS + number))
    own, worlds, tools = (block("yaml", number) for number in range(3))
    (tmp_path / "my-scenario.yaml").write_text(own)
    (tmp_path / "my-tools.yaml").write_text(tools)
    lines = [line for line in own.splitlines() if not line.startswith("world:")]
    (tmp_path / "my-worlds.yaml").write_text("\n".join([*lines, worlds]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("my_world", "my_tools"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def peripatos(*arguments: str) -> str:
    """What the command writes to stdout, in a process of its own and with one thread."""
    command = [sys.executable, "-m", "peripatos", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def last_evaluations(run: Path) -> dict[str, dict[str, float]]:
    """The last of each stage."""
    lines = (run / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["stage"]: row for row in map(json.loads, lines)}


@pytest.mark.usefixtures("newcomer")
@pytest.mark.parametrize(("number", "world"), [(0, "my_world:GuessTheNumber"), (1, "my_tools:errands")])
def test_the_worlds_of_the_readme_are_short_and_keep_the_contract(number: int, world: str) -> None:
    assert len(block("python", WORLDS + number).splitlines()) < 30
    findings = check_world(world)
    assert not [finding for finding in findings if not finding.passed]


@pytest.mark.parametrize("name", ["my-scenario.yaml", "my-tools.yaml", "my-worlds.yaml"])
def test_the_scenarios_of_the_readme_are_valid(newcomer: Path, name: str) -> None:
    check_parts(load_scenario(str(newcomer / name), []))


def test_the_world_of_tools_is_run_and_its_expert_exported_as_the_readme_says(newcomer: Path) -> None:
    peripatos("run", "my-tools.yaml", *(word for pair in SHORT for word in ("--set", pair)))
    evaluations = last_evaluations(newcomer / "runs" / "my-tools-0")
    assert [evaluations[stage]["update"] for stage in ("imitate", "reinforce")] == [3, 5]
    rows = [json.loads(line) for line in peripatos("export", "my-tools.yaml", "--episodes", "20").splitlines()]
    calls = [
        [call["function"]["name"] for turn in row["messages"] for call in turn.get("tool_calls", ())] for row in rows
    ]
    assert calls
    assert all(names == ["find", "take"] for names in calls)


@pytest.mark.slow
def test_the_world_of_tools_trains_as_the_readme_says(newcomer: Path) -> None:
    peripatos("run", "my-tools.yaml", "--quiet")
    evaluations = last_evaluations(newcomer / "runs" / "my-tools-0")
    assert evaluations["imitate"]["success_rate"] <= 0.3
    assert evaluations["reinforce"]["success_rate"] >= 0.8


def test_every_file_and_scenario_that_the_readme_names_exists() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
    for name in re.findall(r"peripatos (?:run|compare) ([a-z0-9-]+)(?![a-z0-9.-])", README):
        assert name in {**shipped(), **comparison_file.shipped()}, name


PAPERS = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/control.md", "benchmarks/README.md"]


@pytest.mark.parametrize("paper", PAPERS)
def test_the_files_that_papers_name_exist(paper: str) -> None:
    text = (ROOT / paper).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / paper).parent / link).exists(), link
    for name in re.findall(r"`((?:envs|agents|algorithms|scenarios|tests|docs|benchmarks)/[a-z_/.]+)`", text):
        assert (ROOT / name).exists(), name


def test_the_architecture_is_one_page() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100


def test_every_benchmark_is_named_with_what_it_measures() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    for program in (ROOT / "benchmarks").glob("*.py"):
        assert f"{program.name}" in text, program.name


def test_the_entrance_from_python_works_as_it_stands(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block("python")], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    status, played = done.stdout.splitlines()
    assert status.startswith("done ")
    assert len(json.loads(played)) == 3
    assert (tmp_path / "runs" / "cartpole-ppo-0" / "summary.json").exists()
