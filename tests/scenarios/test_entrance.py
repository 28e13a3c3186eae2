"""The entrance from Python: runs without a command line, and what they left as plain data."""

from __future__ import annotations

import pydoc
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scenarios_runs import PATIENCE, TINY, command, rows, write_scenario

import peripatos
from peripatos.envs.errors import UserError

FEW = {"stages.learn.budget.updates": 3}


def test_a_run_from_python_is_that_of_the_command(tmp_path: Path) -> None:
    path, typed = write_scenario(tmp_path), tmp_path / "typed"
    run = peripatos.run(path, FEW, seed=5, out=tmp_path / "python")
    assert command("run", path, "--set", "stages.learn.budget.updates=3", "--seed", 5, "--out", typed, "-q") == 0
    assert rows(run.path / "metrics.jsonl") == rows(typed / "metrics.jsonl")
    assert run.summary["status"] == "done"
    assert [row["update"] for row in run.metrics] == [1, 2, 3]
    assert run.column("kl/old").shape == (3,)
    assert {row["set"] for row in run.evaluations} == {"validation", "test"}
    assert run.episodes()[0]["split"] == "test"
    again = peripatos.load_run(run.path)
    assert again.summary == run.summary
    assert again.scenario.seed == 5


def test_a_scenario_may_be_a_mapping_and_two_runs_do_not_disturb_each_other(tmp_path: Path) -> None:
    data = yaml.safe_load(TINY)
    first = peripatos.run(data, FEW, out=tmp_path / "first")
    peripatos.run(data, {**FEW, "seed": 9}, out=tmp_path / "between")
    second = peripatos.run(data, FEW, out=tmp_path / "second")
    assert rows(first.path / "metrics.jsonl") == rows(second.path / "metrics.jsonl")
    assert data == yaml.safe_load(TINY)


def test_threads_random_states_and_signal_handlers_are_left_as_they_were(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    states = torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002
    try:
        peripatos.run(write_scenario(tmp_path), FEW, out=tmp_path / "run")
        assert torch.get_num_threads() == 2
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
        assert torch.equal(torch.get_rng_state(), states[0])
        assert str(np.random.get_state(legacy=False)) == str(states[1])  # noqa: NPY002
        assert random.getstate() == states[2]
    finally:
        torch.set_num_threads(threads)


def test_a_run_goes_on_from_python_with_a_larger_budget(tmp_path: Path) -> None:
    path = write_scenario(tmp_path)
    long = peripatos.run(path, {"stages.learn.budget.updates": 5}, out=tmp_path / "long")
    short = peripatos.run(path, FEW, out=tmp_path / "short")
    assert short.resume().summary["updates"] == 3  # it has nothing more to do
    assert short.resume({"stages.learn.budget.updates": 5}).summary["updates"] == 5
    assert [row["kl/old"] for row in short.metrics] == [row["kl/old"] for row in long.metrics]
    with pytest.raises(UserError, match=r"world\.id is what the run is made of"):
        short.resume({"world.id": "Pendulum-v1"})


def test_the_saved_agent_acts_and_plays(tmp_path: Path) -> None:
    run = peripatos.run(write_scenario(tmp_path), FEW, out=tmp_path / "run")
    with run.agent("last") as agent:
        assert agent.act(np.zeros(4)).shape == ()
        assert agent.act(np.zeros((5, 4))).shape == (5,)
        played = agent.play(2, seed=1)
        assert [episode.reward for episode in played] == [episode.turns for episode in played]
        assert [e.reward for e in agent.play(2, seed=1)] == [e.reward for e in played]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda out: peripatos.run("cartpole", out=out), "cartpole-ppo"),
        (lambda out: peripatos.run("cartpole-ppo", {"stages.balanse.budget.updates": 1}, out=out), "balanse"),
        (lambda out: peripatos.run({"name": "x"}, out=out), "world"),
        (lambda out: peripatos.run("cartpole-ppo", {3: 4}, out=out), "the key 3 of the overrides is no dotted key"),
        (lambda out: peripatos.load_run(out), "is not a run directory"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    call: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        call(tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_cartpole_is_learned_and_the_run_ends_when_it_is(tmp_path: Path) -> None:
    run = peripatos.run("cartpole-ppo", out=tmp_path / "run")
    (stage,) = run.summary["stages"]
    assert "return_mean 500" in stage["ended_by"]
    assert stage["evaluation"]["after"]["return_mean"] >= 495  # of tasks that did not decide it
    assert run.summary["env_steps"] <= 25_600  # half of its budget


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    run = peripatos.run(write_scenario(tmp_path), FEW, out=tmp_path / "run")
    with pytest.raises(UserError, match=r"Did you mean 'kl/old'\?"):
        run.column("kl/odl")
    with pytest.raises(UserError, match="it has 00"):
        run.episodes(99)
    with pytest.raises(AttributeError, match="load_run, run"):
        _ = peripatos.rum


def test_help_fits_a_screen_and_the_import_is_light() -> None:
    lines = pydoc.render_doc(peripatos, renderer=pydoc.plaintext).splitlines()
    assert len(lines) <= (60 if sys.version_info < (3, 13) else 80)  # which prints a parameter a line
    code = "import peripatos, sys; print([m for m in ('torch', 'numpy', 'yaml', 'ray') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_run_in_a_body_does_not_wait_for_the_libraries_of_language_models(tmp_path: Path) -> None:
    script = (
        "import peripatos, sys\n"
        f"peripatos.run({str(write_scenario(tmp_path))!r}, {{'stages.learn.budget.updates': 1}}, out='run')\n"
        "print([name for name in ('transformers', 'tokenizers') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.stdout == "[]\n", done.stderr
