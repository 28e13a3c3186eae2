"""A constructor that fails: told in a sentence where it is the first, and the cost of an episode where it is a later
one, whoever makes the worlds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scenarios_runs import command, write_scenario

from peripatos.envs.contained import no_exit
from peripatos.envs.control.worker_worlds import WorkerWorlds, fitting_workers
from peripatos.envs.control.world_batch import WorldBatch
from peripatos.envs.errors import UserError
from peripatos.envs.world_source import WorldSource

WORLD = '''\
import gymnasium, numpy as np, os, pathlib, signal, sys
from gymnasium.spaces import Box, Discrete

class World(gymnasium.Env):
    """Fails in those of its constructions, of all processes, that `at` numbers."""
    observation_space, action_space = Box(-1.0, 1.0, (2,), np.float32), Discrete(2)

    def __init__(self, how, at):
        with open("made", "a") as file:
            file.write("x")
        if pathlib.Path("made").stat().st_size in at:
            {"dies": lambda: os.kill(os.getpid(), signal.SIGSEGV), "exits": lambda: os._exit(4),
             "raises": lambda: 1 / 0, "leaves": lambda: sys.exit(3)}[how]()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 5
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(2, np.float32), 1.0, self.left == 0, False, {}
'''
RUN = """\
name: fragile
world: {id: "fragile:World", options: {how: dies, at: AT}, workers: 2}
agent: {kind: mlp, hidden: [4]}
stages: [{name: learn, method: ppo, collect: {groups: 2, horizon: 8}, budget: {updates: 1}}]
evaluation: {episodes: 2}
failures: {max_share: 1.0}
"""
TOLD = {
    "dies": "its process was ended by SIGSEGV",
    "exits": r"os\._exit\(4\)",
    "leaves": r"it ends the program \(sys\.exit\(3\)\)",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fragile.py").write_text(WORLD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CI", "1")
    return tmp_path


def source(how: str, *at: int, workers: int | None = 2) -> WorldSource:
    return WorldSource("fragile:World", {"how": how, "at": list(at)}, workers=workers)


def failures(worlds: WorldBatch) -> list[dict[int, str]]:
    """Of a step in each of two episodes."""
    ids, found = np.arange(worlds.n), []
    for seed in range(2):
        worlds.reset(ids, [seed] * worlds.n)
        found.append(dict(worlds.step(ids, np.zeros(worlds.n, int)).failure))
    worlds.close()
    return found


@pytest.mark.parametrize("how", TOLD)
def test_the_first_construction_that_fails_is_told_in_a_sentence(how: str) -> None:
    with no_exit(), pytest.raises(UserError, match=f"^world 'fragile:World' cannot be made: .*{TOLD[how]}") as told:
        _ = source(how, 1, 2).facts
    assert all(line.startswith("    ") for line in str(told.value).split("\n")[1:])  # lines of its author's, if any


@pytest.mark.parametrize(("how", "workers"), [("dies", 1), pytest.param("dies", 2, marks=pytest.mark.slow)])
def test_processes_that_die_as_their_worlds_are_made_cost_the_episodes_that_were_to_begin(
    how: str, workers: int
) -> None:
    known = source(how)
    assert known.facts.kind == "control"
    Path("made").unlink()
    twice = source(how, *range(1, 2 * workers + 1), workers=None)  # as the batch is made, and as its episodes begin
    first, second = failures(WorkerWorlds(twice, 3, workers, known=known._made))
    assert list(first) == [0, 1, 2]
    assert all("cannot be made" in why for why in first.values())
    assert second == {}
    Path("made").unlink()
    with pytest.raises(UserError, match="cannot be made"):  # of which nobody knows what they are
        WorkerWorlds(twice, 3, workers)


def test_a_process_that_says_why_it_cannot_make_its_worlds_is_heard_at_once() -> None:
    known = source("raises")
    assert known.facts.kind == "control"
    Path("made").unlink()
    with pytest.raises(UserError, match="cannot be made: ZeroDivisionError"):
        WorkerWorlds(source("raises", 1, workers=None), 3, 1, known=known._made)


def test_a_trial_that_cannot_make_its_world_a_second_time_is_a_reason_for_processes() -> None:
    made = source("dies")
    _ = made.facts
    Path("made").unlink()
    found = fitting_workers(source("dies", 1, 2)._here(), known=made._made)
    assert found.workers >= 1
    assert "cannot be made in a process of its own: its process was ended by SIGSEGV" in found.why


def test_a_run_whose_first_world_dies_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", write_scenario(home, RUN.replace("AT", "[1]")), "--out", "refused") == 2
    said = capsys.readouterr().err.strip()
    assert said.endswith("world 'fragile:World' cannot be made: its process was ended by SIGSEGV")
    assert len(said.splitlines()) == 1


@pytest.mark.slow
def test_a_run_whose_later_worlds_die_goes_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", write_scenario(home, RUN.replace("AT", "[3, 4, 5, 7]")), "--out", "out") == 0
    summary = json.loads((home / "out" / "summary.json").read_text())
    assert summary["status"] == "done"
    assert summary["failed_episodes"] >= 0
    assert "cannot be made in a process of its own: its process was ended by SIGSEGV" in capsys.readouterr().err
