"""What a scenario may say of a cluster, and that Ray is imported for one only."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest
from scenarios_runs import TINY, command, finish, start, write_scenario

import peripatos
from peripatos.scenarios.config.loading import dump_scenario, load_scenario

BLOCKED = "import sys; sys.modules['ray'] = None"  # importing it raises
ROOT = Path(peripatos.__file__).parent
LAYERS = ("envs", "agents", "algorithms", "scenarios")


def test_tiles_are_spelled_out_in_the_resolved_scenario(tmp_path: Path) -> None:
    scenario = load_scenario("cartpole-ppo", ["cluster.rollout.workers=3"])
    collect = scenario.stages[0].collect
    assert collect is not None
    assert collect.tile == 2
    path = tmp_path / "resolved.yaml"
    path.write_text(dump_scenario(scenario))
    other = load_scenario(str(path), ["cluster.rollout.workers=2"])
    assert other.stages == scenario.stages, "the number of workers changes no tile that is there"


WRONG = {
    "cluster.rollout.workers=0": "cluster.rollout.workers is 0: input should be greater than 0",
    "cluster.rollout.workers=3": "cluster.rollout.workers is 3, and stage 'learn' has only 2 groups to share",
    "cluster={}": "'cluster.rollout' is missing",
    "cluster={rollout: {}}": "'cluster.rollout.workers' is missing",
    "cluster={rollout: {worker: 2}}": "unknown key 'cluster.rollout.worker'; allowed here: cpus, seconds, workers",
    "cluster={address: auto, rollout: {workers: 2}}": "cluster.address is 'auto'; allowed: local",
}


@pytest.mark.parametrize("flag", WRONG)
def test_what_is_wrong_with_a_cluster_is_said(flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", write_scenario(tmp_path), "--dry-run", "--set", flag) == 2
    assert WRONG[flag] in capsys.readouterr().err


def test_a_tile_that_does_not_divide_or_leaves_a_worker_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scenario(tmp_path, TINY.replace("groups: 2", "groups: 6"))
    assert command("run", path, "--dry-run", "--set", "stages.learn.collect.tile=4") == 2
    assert "tile is 4, which does not divide the 6 groups; 1, 2, 3, 6 would" in capsys.readouterr().err
    flags = ("--set", "stages.learn.collect.tile=3", "--set", "cluster.rollout.workers=3")
    assert command("run", path, "--dry-run", *flags) == 2
    error = capsys.readouterr().err
    assert "cluster.rollout.workers is 3, and stage 'learn' has only 2 tiles of 3 groups to share" in error


def test_an_agent_that_does_not_learn_has_no_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "random.yaml"
    path.write_text("name: r\nworld: {id: CartPole-v1}\nagent: {kind: random}\nstages: [{name: look}]\n")
    assert command("run", path, "--dry-run", "--set", "cluster.rollout.workers=2") == 2
    assert "a cluster is for agents that learn, and one of kind 'random' does not" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("ray") is not None, reason="ray is installed")
@pytest.mark.parametrize("command_", [("run", "--dry-run"), ("run",)])
def test_a_cluster_without_ray_is_refused_with_the_line_that_installs_it(
    command_: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--set", "cluster.rollout.workers=2", "--out", tmp_path / "run")
    assert command(*command_, write_scenario(tmp_path), *flags) == 2
    assert "a cluster needs a package: pip install 'peripatos[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_nothing_imports_ray_but_the_two_files_that_are_about_it() -> None:
    found = set()
    for path in (path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(name.partition(".")[0] == "ray" for name in names):
                found.add(path.relative_to(ROOT).as_posix())
    assert found == {"scenarios/cluster/ray_instance.py"}


def test_a_local_run_works_where_ray_cannot_be_imported(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 1"))
    prelude = f"{BLOCKED}; import peripatos"
    code, _, error = finish(start("run", path, "--out", tmp_path / "run", "-q", prelude=prelude))
    assert code == 0, error


def test_a_run_with_workers_goes_on_without_them(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 2"))
    assert command("run", path, "--out", tmp_path / "run", "-q", "--set", "stages.learn.collect.tile=1") == 0
    more = ("--set", "stages.learn.budget.updates=3", "--set", "cluster.rollout.workers=2", "--set", "cluster=null")
    assert command("resume", tmp_path / "run", "-q", *more) == 0
