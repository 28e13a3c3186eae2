"""Runs that are killed, stopped, cut off from the disk or refused, and what they leave behind."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from scenarios_runs import (
    TINY,
    assert_same_run,
    command,
    finish,
    in_row,
    rows,
    start,
    wait_for_rows,
    write_scenario,
)

from peripatos.scenarios.run.checkpoint import checkpoints, pointed_to

LONG = TINY.replace("updates: 12", "updates: 100000")


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert command("run", write_scenario(folder), "--out", folder / "run", "-q") == 0
    return folder / "run"


@pytest.mark.parametrize("seed", [0])
def test_a_run_killed_three_times_ends_bit_for_bit_as_one_that_was_not(
    seed: int, whole_run: Path, tmp_path: Path
) -> None:
    run, rng = tmp_path / "run", random.Random(seed)
    moments = sorted(rng.sample(range(1, 12), 3))
    arguments: tuple[object, ...] = ("run", write_scenario(tmp_path), "--out", run, "-q")
    for moment in moments:
        process = start(*arguments)
        wait_for_rows(run / "metrics.jsonl", moment)
        time.sleep(rng.random() * 0.03)
        process.send_signal(signal.SIGKILL)
        finish(process)
        arguments = ("resume", run, "-q")
    assert command(*arguments) == 0
    assert_same_run(run, whole_run)


def test_a_language_run_goes_on_bit_for_bit_across_stages_and_a_reference(tmp_path: Path) -> None:
    text = """\
name: words
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare, answer_tag: number}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 4}
stages:
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 8}
    budget: {updates: 2}
  - name: learn
    method: grpo
    overrides: {weighting: {kl: k2, beta: 0.1}}
    collect: {groups: 2, group_size: 4}
    budget: {updates: 5}
evaluation: {episodes: 4}
checkpoint: {every: 2}
"""
    path = write_scenario(tmp_path, text)
    torch.set_num_threads(1)  # as in the other process: sums in another order are other sums
    assert command("run", path, "--out", tmp_path / "whole", "-q") == 0
    process = start("run", path, "--out", tmp_path / "run", "-q")
    wait_for_rows(tmp_path / "run" / "metrics.jsonl", 5)
    process.kill()
    finish(process)
    assert command("resume", tmp_path / "run", "-q") == 0
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert "kl/reference" in rows(tmp_path / "run" / "metrics.jsonl")[-1]


def test_ctrl_c_saves_says_how_to_resume_and_exits_with_130(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start("run", write_scenario(tmp_path, LONG), "--out", run)
    wait_for_rows(run / "metrics.jsonl", 3)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    assert f"peripatos resume {run}" in err
    assert "Traceback" not in err
    last = pointed_to(run / "checkpoints", "last")
    assert last is not None
    assert int(last.name) == len(rows(run / "metrics.jsonl"))


def test_a_truncated_checkpoint_is_named_and_the_one_before_is_used(
    whole_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    path = write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 10"))
    assert command("run", path, "--out", run, "-q") == 0
    (run / "scenario.yaml").write_text((whole_run / "scenario.yaml").read_text())
    (run / "summary.json").unlink()
    last = pointed_to(run / "checkpoints", "last")
    assert last is not None
    weights = next((last / "policy").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-7])
    capsys.readouterr()
    assert command("evaluate", run, "--checkpoint", "last") == 2
    told = capsys.readouterr().err
    assert "is damaged" in told
    assert weights.name in told
    assert "--checkpoint" in told
    assert command("resume", run) == 0
    assert "going on from the one before" in capsys.readouterr().err
    assert_same_run(run, whole_run)


def test_a_foreign_folder_is_no_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert command("run", write_scenario(tmp_path), "--out", run, "--set", "stages.0.budget.updates=1", "-q") == 0
    for folder in checkpoints(run / "checkpoints"):
        (folder / "manifest.json").write_text('{"weights": 3}')
    (run / "summary.json").unlink()
    capsys.readouterr()
    assert command("resume", run) == 2
    assert "is not a checkpoint of Peripatos" in capsys.readouterr().err


def limited(size: int) -> str:
    """Python that makes every write beyond `size` bytes of a file fail, much as on a full disk."""
    return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"


def test_a_full_disk_is_told_clearly_and_loses_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    scenario, dies = write_scenario(tmp_path, LONG), in_row(5, "os.kill(os.getpid(), signal.SIGKILL)")
    assert finish(start("run", scenario, "--out", run, "-q", prelude=dies))[0] == -signal.SIGKILL
    saved = [folder.name for folder in checkpoints(run / "checkpoints")]
    code, _, err = finish(start("resume", run, prelude=limited(1500)))
    assert code == 1
    assert "a file has reached the size that this process may write" in err
    assert f"peripatos resume {run}" in err
    assert "Traceback" not in err
    assert [folder.name for folder in checkpoints(run / "checkpoints")] == saved
    (run / "scenario.yaml").write_text((run / "scenario.yaml").read_text().replace("updates: 100000", "updates: 20"))
    assert command("resume", run, "-q") == 0
    assert len(rows(run / "metrics.jsonl")) == 20


def test_weights_that_do_not_fit_on_the_disk_are_told_clearly_and_leave_no_half_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    path = write_scenario(tmp_path, TINY.replace("[16]", "[256, 256]"))
    code, _, err = finish(start("run", path, "--out", run, prelude=limited(60_000)))
    assert code == 1
    assert "a file has reached the size that this process may write" in err
    assert not list((run / "checkpoints").iterdir())


def test_a_finished_run_is_not_run_again(whole_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (whole_run / "metrics.jsonl").read_bytes()
    capsys.readouterr()
    assert command("resume", whole_run, "--json") == 0
    seen = capsys.readouterr()
    assert "finished already" in seen.err
    assert '"status": "done"' in seen.out
    assert (whole_run / "metrics.jsonl").read_bytes() == before


def test_only_the_newest_two_checkpoints_and_the_best_stay(whole_run: Path) -> None:
    folder = whole_run / "checkpoints"
    kept = {path.name for path in checkpoints(folder)}
    best = pointed_to(folder, "best")
    assert best is not None
    assert kept == {"000010", "000012", best.name}


def test_runs_and_checkpoints_of_version_0_1_are_refused_with_the_version_that_reads_them(
    whole_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "old"
    shutil.copytree(whole_run, run)
    for manifest in (run / "checkpoints").glob("*/manifest.json"):
        manifest.write_text(manifest.read_text().replace("checkpoint 2", "checkpoint 1"))
    assert command("evaluate", run) == 2
    assert "a checkpoint of format 1: it was written by Peripatos 0.1, which reads it" in capsys.readouterr().err
    environment = json.loads((run / "environment.json").read_text())
    assert environment.pop("format") == 2
    (run / "environment.json").write_text(json.dumps(environment))
    for name in ("resume", "evaluate", "record", "show"):
        assert command(name, run) == 2
        assert "is a run directory of format 1: it was written by Peripatos 0.1" in capsys.readouterr().err
