"""Runs that collect the next batches while they learn (`collect.staleness`), in both worlds."""

from __future__ import annotations

import random
import signal
import threading
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

from peripatos.scenarios.run.checkpoint import checkpoints

WORDS = """\
name: words
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare, answer_tag: number}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 4}
stages:
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 4, staleness: 0}
    budget: {updates: 9}
evaluation: {every: 4, episodes: 4}
checkpoint: {every: 3}
"""
MOVES = TINY.replace("horizon: 32}", "horizon: 32, staleness: 0}").replace("updates: 12", "updates: 9")
WHOLE_EPISODES = """\
name: whole
world: {id: CartPole-v1}
agent: {kind: mlp, hidden: [16]}
stages:
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 3, staleness: 0}
    budget: {updates: 6}
evaluation: {episodes: 3}
checkpoint: {every: 2}
"""


def ahead(text: str, staleness: int) -> str:
    return text.replace("staleness: 0", f"staleness: {staleness}")


def lags(run: Path) -> list[float]:
    return [row["batch/staleness"] for row in rows(run / "metrics.jsonl")]


@pytest.mark.parametrize(
    ("text", "staleness", "seed"),
    [
        (MOVES, 2, 0),
        pytest.param(WORDS, 1, 1, marks=pytest.mark.slow),
        pytest.param(MOVES, 1, 2, marks=pytest.mark.slow),
        pytest.param(WORDS, 2, 3, marks=pytest.mark.slow),
        pytest.param(WHOLE_EPISODES, 2, 4, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_collects_ahead_ends_bit_for_bit_as_one_that_was_killed(
    text: str, staleness: int, seed: int, tmp_path: Path
) -> None:
    path, rng = write_scenario(tmp_path, ahead(text, staleness)), random.Random(seed)
    torch.set_num_threads(1)  # as in the other process: sums in another order are other sums
    assert command("run", path, "--out", tmp_path / "whole", "-q") == 0
    process = start("run", path, "--out", tmp_path / "run", "-q")
    wait_for_rows(tmp_path / "run" / "metrics.jsonl", moment := rng.randint(4, 6))
    time.sleep(rng.random() * 0.03)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert command("resume", tmp_path / "run", "-q") == 0, f"seed {seed}, killed after row {moment}"
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert lags(tmp_path / "run") == [float(min(update, staleness)) for update in range(len(lags(tmp_path / "run")))]


@pytest.mark.parametrize("text", [MOVES, WORDS], ids=["moves", "words"])
def test_a_checkpoint_knows_the_weights_that_are_still_to_act(text: str, tmp_path: Path) -> None:
    assert command("run", write_scenario(tmp_path, ahead(text, 2)), "--out", tmp_path / "run", "-q") == 0
    for folder in checkpoints(tmp_path / "run" / "checkpoints"):
        behind = sorted(int(file.stem) for file in (folder / "ahead").glob("*.safetensors"))
        update = int(folder.name)
        assert behind == [version for version in range(update - 2, update) if version >= 0], folder


def test_a_stage_that_ended_goes_on_as_one_that_had_the_larger_budget(tmp_path: Path) -> None:
    text = ahead(MOVES, 2)
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "whole", "-q") == 0
    shorter = write_scenario(tmp_path, text.replace("updates: 9", "updates: 5"))
    assert command("run", shorter, "--out", tmp_path / "run", "-q") == 0
    scenario = tmp_path / "run" / "scenario.yaml"
    scenario.write_text(scenario.read_text().replace("updates: 5", "updates: 9"))
    assert command("resume", tmp_path / "run", "-q") == 0
    mine, theirs = (rows(tmp_path / run / "metrics.jsonl") for run in ("run", "whole"))
    assert mine == theirs


def test_a_collection_in_flight_that_fails_ends_the_run_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = "{id: 'faulty_worlds:Control', options: {field: raises, value: ValueError}}"
    text = ahead(MOVES, 1).replace("{id: CartPole-v1}", world)
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 1
    error = capsys.readouterr().err
    assert "the run failed" in error
    assert "Traceback" not in error
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


@pytest.mark.slow
def test_ctrl_c_in_flight_saves_and_a_resume_ends_as_the_whole_run(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, ahead(WHOLE_EPISODES, 1))
    torch.set_num_threads(1)
    assert command("run", path, "--out", tmp_path / "whole", "-q") == 0
    stops = in_row(3, "os.kill(os.getpid(), signal.SIGINT)")
    code, _, err = finish(start("run", path, "--out", tmp_path / "run", "-q", prelude=stops))
    assert code == 130, err
    assert len(rows(tmp_path / "run" / "metrics.jsonl")) == 3
    assert command("resume", tmp_path / "run", "-q") == 0
    assert rows(tmp_path / "run" / "metrics.jsonl") == rows(tmp_path / "whole" / "metrics.jsonl")


@pytest.mark.parametrize("staleness", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_what_was_collected_whole_while_a_world_swallowed_ctrl_c_is_not_lost(staleness: int, tmp_path: Path) -> None:
    (tmp_path / f"swallows_{staleness}.py").write_text(f"""
import os, pathlib, signal, time
import gymnasium
ROWS = pathlib.Path({str(tmp_path / "run" / "metrics.jsonl")!r})
heard = []
class World(gymnasium.Wrapper):
    def __init__(self):
        super().__init__(gymnasium.make("CartPole-v1"))
    def step(self, action):
        if not heard and ROWS.exists() and ROWS.read_text().count("\\n") >= 3:
            heard.append(True)
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)
            except BaseException:
                pass
        return super().step(action)
""")
    text = ahead(MOVES, staleness).replace("CartPole-v1", f"'swallows_{staleness}:World'").replace("every: 4, ", "")
    path = write_scenario(tmp_path, text.replace("updates: 9", "updates: 6"))
    assert command("run", path, "--out", tmp_path / "whole", "-q") == 0
    assert command("run", path, "--out", tmp_path / "run", "-q") == 130
    assert command("resume", tmp_path / "run", "-q") == 0
    assert rows(tmp_path / "run" / "metrics.jsonl") == rows(tmp_path / "whole" / "metrics.jsonl")
