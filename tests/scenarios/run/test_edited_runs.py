"""A run whose scenario, world or surroundings were changed before it went on: followed and said, or refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import yaml
from scenarios_runs import TINY, command, finish, rows, start, wait_for_rows, write_scenario

from peripatos.envs.errors import UserError
from peripatos.scenarios.compare.fairness import refuse_edited
from peripatos.scenarios.config.loading import check_scenario
from peripatos.scenarios.config.yaml_text import parse_yaml
from peripatos.scenarios.run.checkpoint import checkpoints
from peripatos.scenarios.run.compared import differences
from peripatos.scenarios.run.counters import Progress
from peripatos.scenarios.run.provenance import own_code, own_data, what_changed

TWO = """\
name: two
world: {id: CartPole-v1}
agent: {kind: mlp, hidden: [8]}
stages:
  - {name: first, method: ppo, collect: {groups: 2, horizon: 8}, budget: {updates: 3}}
  - {name: second, method: ppo, collect: {groups: 2, horizon: 8}, budget: {updates: 3}}
evaluation: {episodes: 2}
checkpoint: {every: 1}
"""


@pytest.fixture(scope="module")
def halfway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that a stop has ended in its second stage."""
    folder = tmp_path_factory.mktemp("halfway")
    text = TWO.replace("name: second, method: ppo, collect: {groups: 2, horizon: 8}, budget: {updates: 3}", "LONG")
    text = text.replace("LONG", "name: second, method: ppo, collect: {groups: 2, horizon: 8}, budget: {updates: 99999}")
    process = start("run", write_scenario(folder, text), "--out", folder / "run", "-q")
    wait_for_rows(folder / "run" / "metrics.jsonl", 6)
    process.send_signal(signal.SIGTERM)
    finish(process)
    return folder / "run"


def edited(halfway: Path, tmp_path: Path, edit: object) -> Path:
    run = tmp_path / "run"
    shutil.copytree(halfway, run)
    data = yaml.safe_load((run / "scenario.yaml").read_text())
    edit(data)  # type: ignore[operator]
    (run / "scenario.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return run


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d.update(seed=7), "seed 0 → 7"),
        (lambda d: d["agent"].update(hidden=[9]), "agent.hidden [8] → [9]"),
        (lambda d: d["world"].update(id="Acrobot-v1"), "world.id CartPole-v1 → Acrobot-v1"),
        (lambda d: d["stages"][1].update(optimizer={"lr": 0.5}), "stages.second.optimizer.lr nothing → 0.5"),
        (lambda d: d["stages"][1].update(method="a2c"), "stages.second.method ppo → a2c"),
        (lambda d: d["stages"][1]["collect"].update(horizon=16), "stages.second.collect.horizon 8 → 16"),
        (lambda d: d["stages"][0]["budget"].update(updates=9), "stage 'first' is over, and others have come after it"),
        (lambda d: d["stages"].pop(0), "stage 2 of first, second; scenario.yaml now has second"),
        (lambda d: d["stages"].reverse(), "stage 2 of first, second; scenario.yaml now has second, first"),
        (lambda d: d["stages"][1].update(name="other"), "scenario.yaml now has first, other"),
        (lambda d: d["stages"].insert(0, {**d["stages"][0], "name": "zero"}), "now has zero, first, second"),
    ],
)
def test_an_edit_that_would_mix_two_runs_is_refused_with_both_values(
    edit: object, words: str, halfway: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = edited(halfway, tmp_path, edit)
    before = (run / "metrics.jsonl").read_bytes()
    assert command("resume", run) == 2
    assert words in capsys.readouterr().err
    assert (run / "metrics.jsonl").read_bytes() == before


def test_an_edit_that_may_be_made_is_followed_and_said(
    halfway: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def edit(data: dict) -> None:
        data["evaluation"]["episodes"] = 1
        data["stages"][1]["budget"]["updates"] = 2

    assert command("resume", edited(halfway, tmp_path, edit)) == 0
    told = capsys.readouterr().err
    assert "scenario.yaml has changed, and is followed from here on" in told
    assert "evaluation.episodes 2 → 1" in told
    assert "stages.second.budget.updates 99999 → 2" in told


def test_a_stage_that_has_not_begun_may_learn_otherwise(tmp_path: Path) -> None:
    before = check_scenario(*parse_yaml(TWO, "two"))
    after = check_scenario(*parse_yaml(TWO.replace("name: second,", "name: second, optimizer: {lr: 0.5},"), "two"))
    assert differences(before, after, Progress(stage=0, state="learning")).followed
    assert differences(before, after, Progress(stage=1, state="learning")).refused


def test_another_scenario_beside_the_weights_is_not_the_one_that_they_are_measured_in(
    halfway: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("evaluate", halfway, "--episodes", 2, "--json") == 0
    right = capsys.readouterr().out
    run = edited(halfway, tmp_path, lambda data: data.update(seed=7))
    assert command("evaluate", run, "--episodes", 2, "--json") == 0
    seen = capsys.readouterr()
    assert seen.out == right
    assert "is not the scenario that checkpoint" in seen.err
    (run / "scenario.yaml").unlink()
    assert command("evaluate", run, "--episodes", 2, "--json") == 0
    assert capsys.readouterr().out == right


def test_a_world_whose_code_or_data_has_changed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "a_world_that_changes.py"
    module.write_text(
        "from gymnasium.envs.classic_control.cartpole import CartPoleEnv\n"
        "class World(CartPoleEnv):\n"
        "    def __init__(self, data='', render_mode=None):\n"
        "        super().__init__(render_mode=render_mode)\n"
    )
    (tmp_path / "data.txt").write_text("one")
    world = "world: {id: 'a_world_that_changes:World', options: {data: data.txt, max_episode_steps: 50}}"
    path = write_scenario(
        tmp_path, TINY.replace("world: {id: CartPole-v1}", world).replace("updates: 12", "updates: 2")
    )
    assert command("run", path, "--out", "run", "-q") == 0
    (session,) = json.loads((tmp_path / "run" / "environment.json").read_text())["sessions"]
    assert session["cwd"] == str(tmp_path)
    assert session["command"][:2] == ["peripatos", "run"]
    assert set(session["code"]) == {"a_world_that_changes"}
    assert set(session["data"]) == {"data.txt"}
    module.write_text(module.read_text() + "\n")
    (tmp_path / "data.txt").write_text("two")
    capsys.readouterr()
    assert command("resume", "run", "--set", "stages.learn.budget.updates=4") == 0
    told = capsys.readouterr().err
    assert "the module a_world_that_changes has changed since" in told
    assert "the file data.txt has changed since" in told
    assert len(json.loads((tmp_path / "run" / "environment.json").read_text())["sessions"]) == 2
    for text, said in (("\n# again\n", True), ("", False)):  # and by an evaluation of what was last gone on with
        (tmp_path / "data.txt").write_text(f"two{text}")
        assert command("evaluate", "run") == 0
        told = capsys.readouterr().err
        note = "note: data.txt has changed since the run: its own numbers are of what was there before"
        assert (note in told) == said == ("changed" in told)
    module.write_text(module.read_text() + "\n")
    assert command("evaluate", "run", "--set", "world.options.max_episode_steps=20") == 0
    assert "note: a_world_that_changes has changed since the run" in capsys.readouterr().err
    assert [row["update"] for row in rows(tmp_path / "run" / "metrics.jsonl")] == [1, 2, 3, 4]


def test_other_versions_and_another_machine_are_said(halfway: Path) -> None:
    folder = checkpoints(halfway / "checkpoints")[-1]
    then = json.loads((folder / "progress.json").read_text())["known"]["session"]
    packages = {**then["packages"], "torch": "1.0"}
    (versions,) = what_changed({**then, "packages": packages}, then)
    assert versions.startswith("other versions than before: torch 1.0 → ")
    (threads,) = what_changed({**then, "torch_threads": 64}, {**then, "torch_threads": 1})
    assert threads == "another number of threads than before: 64 → 1"
    assert not what_changed(then, then)


DEMONSTRATED = """\
name: shown
world: {id: peripatos/Arithmetic-v0}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
stages:
  - {name: shown, method: METHOD, demonstrations: SHOWN, collect: {groups: 1}, budget: {updates: 1}}
evaluation: {episodes: 1}
"""


@pytest.mark.parametrize(
    ("method", "shown", "file"),
    [
        ("sft", "{chats: chats.jsonl}", "chats.jsonl"),
        ("dpo", "{pairs: pairs.jsonl}", "pairs.jsonl"),
        ("process_reward_model", "{pairs: 'pairs.jsonl:test'}", "pairs.jsonl"),
        ("sft", "{text: book.txt}", "book.txt"),
        ("sft", "{text: books}", "books/one.txt"),
    ],
)
def test_a_file_of_demonstrations_that_has_changed_is_said(
    method: str, shown: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("one")
    text = DEMONSTRATED.replace("METHOD", method).replace("SHOWN", shown)
    scenario = check_scenario(*parse_yaml(text, "shown"))
    session = {"packages": {}, "python": "3", "machine": "", "gpu": None, "torch_threads": 1, "code": {}}
    then = {**session, "data": own_data(scenario)}
    assert set(then["data"]) == {file}
    (tmp_path / file).write_text("two")
    now = {**session, "data": own_data(scenario)}
    (told,) = what_changed(then, now)
    assert told == f"the file {file} has changed since: the rest of the run is made from other data"
    with pytest.raises(UserError, match=f"was made before {file} changed"):
        refuse_edited(tmp_path / "run", [then], {"code": {}, "data": now["data"]})


def test_a_pipe_among_demonstrations_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "books").mkdir()
    (tmp_path / "books/one.txt").write_text("one")
    os.mkfifo(tmp_path / "books/two.txt")  # opened, it would wait for somebody who writes, for ever
    text = DEMONSTRATED.replace("METHOD", "sft").replace("SHOWN", "{text: books}")
    assert set(own_data(check_scenario(*parse_yaml(text, "shown")))) == {"books/one.txt"}


def test_worlds_of_others_need_no_digests() -> None:
    scenario = check_scenario(*parse_yaml(TWO, "two"))
    assert own_code(scenario) == {}
    assert own_data(scenario) == {}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six updates that kept the checkpoints 4 and 6."""
    folder = tmp_path_factory.mktemp("finished")
    text = TINY.replace("updates: 12", "updates: 6")
    assert command("run", write_scenario(folder, text), "--out", folder / "run", "-q") == 0
    return folder / "run"


def copied(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def test_a_copy_of_a_checkpoint_under_a_higher_number_is_named_and_stepped_over(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(finished, tmp_path)
    for name in ("000998", "000999"):
        shutil.copytree(run / "checkpoints" / "000006", run / "checkpoints" / name)
    assert command("evaluate", run, "--checkpoint", "last", "--episodes", "1") == 2
    assert "000999 is no checkpoint of this run: its name says update 999, its progress.json update 6" in (
        capsys.readouterr().err
    )
    assert command("resume", run, "--set", "stages.learn.budget.updates=8") == 0
    assert f"resumed from {run / 'checkpoints' / '000006'}" in capsys.readouterr().err
    assert {"000006", "000008", "000998", "000999"} <= {path.name for path in (run / "checkpoints").iterdir()}
    assert [row["update"] for row in rows(run / "metrics.jsonl")] == list(range(1, 9))


@pytest.mark.parametrize("link", [False, True])
def test_an_older_checkpoint_in_the_place_of_a_newer_one_is_named_and_stepped_over(
    link: bool, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(finished, tmp_path)
    old, new = run / "checkpoints" / "000004", run / "checkpoints" / "000006"
    shutil.rmtree(new)
    new.symlink_to("000004") if link else shutil.copytree(old, new)
    assert command("resume", run) == 0
    err = capsys.readouterr().err
    assert (
        f"{new} is no checkpoint of this run: {'it is a link to 000004' if link else 'its name says update 6'}" in err
    )
    assert f"resumed from {old}" in err
    assert not new.is_symlink()
    assert json.loads((new / "progress.json").read_text())["update"] == 6
    assert [row["update"] for row in rows(run / "metrics.jsonl")] == list(range(1, 7))


def test_a_resume_says_of_a_lost_summary_that_it_writes_it_itself(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(finished, tmp_path)
    (run / "summary.json").unlink()
    assert command("evaluate", run) == 0
    assert f"summary.json is missing; `peripatos resume {run}` writes it again" in capsys.readouterr().err
    assert command("resume", run, "-q") == 0
    assert "summary.json is missing; this writes it again" in capsys.readouterr().err
    assert (run / "summary.json").exists()


def test_a_run_that_lost_all_its_checkpoints_keeps_its_logs_and_is_not_begun_again(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(finished, tmp_path)
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    logs = [(run / name).read_bytes() for name in ("metrics.jsonl", "evaluations.jsonl")]
    for sets in ((), ("--set", "stages.learn.budget.updates=8")):
        assert command("resume", run, *sets) == 2
        assert (
            f"the logs of {run} have 6 updates, and no checkpoint is left in {run / 'checkpoints'} to go on from: put "
            f"one back, or run again into another folder: peripatos run {run}/scenario.yaml --out ANOTHER"
        ) in capsys.readouterr().err
    for look in (("evaluate", run), ("doctor", "--run", run)):
        assert command(*look) == 2
        assert f"have 6 updates, and no checkpoint is left in {run / 'checkpoints'}: put one" in capsys.readouterr().err
    assert [(run / name).read_bytes() for name in ("metrics.jsonl", "evaluations.jsonl")] == logs
    (run / "metrics.jsonl").unlink()
    (run / "summary.json").unlink()
    assert command("resume", run, "-q") == 0  # nothing is known of any update: it begins
