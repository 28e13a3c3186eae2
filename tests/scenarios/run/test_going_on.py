"""A finished run goes on with a larger budget, and another begins as what it has learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from scenarios_runs import TINY, command, rows, write_scenario

from peripatos.scenarios.run.checkpoint import checkpoints

PLAIN = TINY.replace("budget: {updates: 12}", "optimizer: {schedule: constant}\n    budget: {updates: 12}")
TWO = """\
name: two
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 4}
stages:
  - {name: imitate, method: sft, demonstrations: {agent: {kind: oracle}}, collect: {groups: 8}, budget: {updates: 3}}
  - {name: learn, method: grpo, collect: {groups: 2, group_size: 4}, budget: {updates: 2}}
evaluation: {episodes: 4}
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert command("run", write_scenario(folder, PLAIN), "--out", folder / "run", "-q") == 0
    return folder / "run"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    assert command("run", write_scenario(folder, TWO), "--out", folder / "run", "-q") == 0
    return folder / "run"


def last(run: Path) -> Path:
    return checkpoints(run / "checkpoints")[-1]


@pytest.mark.parametrize("by", ["flag", "file"])
def test_a_finished_run_goes_on_to_the_same_end_as_one_that_had_the_budget_from_the_beginning(
    by: str, whole: Path, tmp_path: Path
) -> None:
    path, run = write_scenario(tmp_path, PLAIN), tmp_path / "run"
    assert command("run", path, "--set", "stages.learn.budget.updates=6", "--out", run, "-q") == 0
    if by == "flag":
        assert command("resume", run, "--set", "stages.learn.budget.updates=12", "-q") == 0
    else:
        kept = run / "scenario.yaml"
        kept.write_text(kept.read_text().replace("updates: 6", "updates: 12"))
        assert command("resume", run, "-q") == 0
    assert (last(run).name, last(whole).name) == ("000012", "000012")
    for name in ("policy/policy.safetensors", "learner/optimizer.safetensors", "actor.safetensors"):
        assert (last(run) / name).read_bytes() == (last(whole) / name).read_bytes()
    assert [row["update"] for row in rows(run / "metrics.jsonl")] == list(range(1, 13))
    (stage,) = json.loads((run / "summary.json").read_text())["stages"]
    assert (stage["updates"], stage["ended_by"]) == (12, "budget of 12 updates")


def test_a_finished_run_with_nothing_more_to_do_says_so(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (whole / "metrics.jsonl").read_bytes()
    assert command("resume", whole) == 0
    assert "is finished already" in capsys.readouterr().err
    assert (whole / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("seed=3", "seed is what the run is made of"),
        ("agent.hidden=[8]", "agent.hidden is what the run is made of"),
        ("world.id=Acrobot-v1", "world.id is what the run is made of"),
        ("stages.learn.collect.groups=4", "stages.learn.collect.groups is what the run is made of"),
        ("stages.learn.bugdet.updates=4", "bugdet"),
    ],
)
def test_what_would_make_it_another_run_is_refused(
    flag: str, words: str, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (whole / "scenario.yaml").read_bytes()
    assert command("resume", whole, "--set", flag) == 2
    assert words in capsys.readouterr().err
    assert (whole / "scenario.yaml").read_bytes() == before


def test_a_stage_that_others_have_followed_is_over(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("resume", two, "--set", "stages.imitate.budget.updates=9") == 2
    assert "stage 'imitate' is over, and others have come after it" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["ppo", "reinforce"])
def test_a_control_agent_begins_as_anothers_with_its_statistics(whole: Path, method: str, tmp_path: Path) -> None:
    data = {**yaml.safe_load(PLAIN), "agent": {"from": str(whole), "checkpoint": "last"}}
    stage = data["stages"][0] | {"budget": {"updates": 1}}
    if method == "reinforce":
        stage |= {"method": method, "collect": {"groups": 4}, "overrides": {}}
    path = write_scenario(tmp_path, yaml.safe_dump({**data, "stages": [stage]}))
    assert command("run", path, "--out", tmp_path / "run", "-q") == 0
    mine = load_file(tmp_path / "run" / "checkpoints" / "000000" / "policy" / "policy.safetensors")
    theirs = load_file(last(whole) / "policy" / "policy.safetensors")
    assert all(bool((mine[name] == theirs[name]).all()) for name in mine)
    assert ("critic.0.weight" in mine) == (method == "ppo")
    kept = yaml.safe_load((tmp_path / "run" / "scenario.yaml").read_text())["agent"]
    assert kept["origin"] == {"run": str(whole), "checkpoint": "last"}
    first = rows(tmp_path / "run" / "evaluations.jsonl")[0]
    assert first["return_mean"] == rows(whole / "evaluations.jsonl")[-1]["return_mean"]


def test_a_language_agent_begins_as_anothers_also_with_a_critic_that_it_had_not(two: Path, tmp_path: Path) -> None:
    data = {**yaml.safe_load(TWO), "agent": {"from": str(two), "checkpoint": "last"}}
    stage = {"name": "learn", "method": "ppo", "collect": {"groups": 4}, "budget": {"updates": 1}}
    path = write_scenario(tmp_path, yaml.safe_dump({**data, "stages": [stage]}))
    assert command("run", path, "--out", tmp_path / "run", "-q") == 0
    mine = load_file(tmp_path / "run" / "checkpoints" / "000000" / "policy" / "model.safetensors")
    theirs = load_file(last(two) / "policy" / "model.safetensors")
    assert all(bool((mine[name] == theirs[name]).all()) for name in theirs)


@pytest.mark.parametrize(
    ("agent", "world", "words"),
    [
        ({"from": "nowhere"}, "CartPole-v1", "nowhere is not a run directory"),
        ({"from": "WHOLE", "hidden": [8]}, "CartPole-v1", "'hidden' cannot be given beside `from`"),
        ({"from": "WHOLE", "checkpoint": "77"}, "CartPole-v1", "has no checkpoint '77'"),
        ({"from": "WHOLE"}, "Acrobot-v1", "holds a policy with observation_size 4; this one has 6"),
        ({"from": "TWO"}, "CartPole-v1", "an agent of kind 'tiny_llama' cannot live in 'CartPole-v1'"),
    ],
)
def test_an_origin_that_does_not_fit_is_refused_with_the_reason(
    agent: dict, world: str, words: str, whole: Path, two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = {**agent, "from": {"WHOLE": str(whole), "TWO": str(two)}.get(agent["from"], agent["from"])}
    data = {**yaml.safe_load(PLAIN), "agent": agent, "world": {"id": world}}
    path = write_scenario(tmp_path, yaml.safe_dump(data))
    if world != "Acrobot-v1":  # whether weights fit is seen when they are read
        assert command("run", path, "--dry-run") == 2
        assert words in capsys.readouterr().err
    assert command("run", path, "--out", tmp_path / "run", "-q") == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
