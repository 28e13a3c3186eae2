"""Worlds in processes of their own: the same episodes, one lost where a process is, and nothing left behind."""

from __future__ import annotations

import ctypes
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from processes import lives, soon

from peripatos.envs.control.worker_worlds import STEP_SECONDS, WorkerWorlds, fitting_workers
from peripatos.envs.control.world_batch import ListOfWorlds, WorldBatch
from peripatos.envs.errors import UserError
from peripatos.envs.registry import make_world
from peripatos.envs.world_source import WorldSource

FOLDER = str(Path(__file__).parent)
CRASHING = "crashing_world:Crashing"


@pytest.fixture(autouse=True)
def _world_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def here(n: int, name: str = CRASHING, **options) -> ListOfWorlds:
    return ListOfWorlds(name, n, lambda: make_world(name, **options))


def in_processes(n: int, workers: int, name: str = CRASHING, **options) -> WorkerWorlds:
    return WorkerWorlds(WorldSource(name, options), n, workers)


def played(worlds: WorldBatch, seeds: list[int], steps: int) -> list[np.ndarray | dict]:
    """All numbers of an episode in each world, of which every second one pauses in every third step."""
    rng, rows = np.random.default_rng(0), np.arange(len(seeds))
    found: list[np.ndarray | dict] = [worlds.reset(rows, seeds)]
    for t in range(steps):
        ids = rows[::2] if t % 3 == 2 else rows
        result = worlds.step(ids, rng.uniform(-1.5, 1.5, (len(ids), 1)))
        assert result.success is not None
        found += [result.observation, result.reward, result.terminated, result.truncated, result.success]
        found += [*result.terms.values(), *result.metrics.values(), dict(result.failure)]
    worlds.close()
    return found


def same(one: list[np.ndarray | dict], other: list[np.ndarray | dict]) -> bool:
    return len(one) == len(other) and all(
        a == b if isinstance(a, dict) else a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")  # type: ignore[union-attr]
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_episodes_are_the_same_bits_from_any_number_of_processes(workers: int):
    assert same(played(in_processes(5, workers), [5, 6, 7, 8, 9], 6), played(here(5), [5, 6, 7, 8, 9], 6))


def test_the_spaces_and_mistakes_are_those_of_worlds_that_are_stepped_here():
    ours, theirs = here(2, "CartPole-v1"), in_processes(2, 2, "CartPole-v1")
    assert (ours.observation_space, ours.action_space) == (theirs.observation_space, theirs.action_space)
    assert np.array_equal(ours.reset(np.arange(2), [3, 4]), theirs.reset(np.arange(2), [3, 4]))
    for worlds in (ours, theirs):
        with pytest.raises(ValueError, match=r"actions lie in \[0, 2\]; allowed are 0 to 1"):
            worlds.step(np.arange(2), np.array([0, 2]))
        worlds.close()
        worlds.close()
    with pytest.raises(UserError, match=r"unknown option 'wath'.*Did you mean 'what'"):
        in_processes(2, 2, wath=1)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("segfault", "failed in step: its process was ended by SIGSEGV"),
        ("kill", "failed in step: its process was ended by SIGKILL"),
        ("really exit", "failed in step: its process ended by itself, with exit code 4"),
        ("hang", "failed in step: it has not come back for 2 s, and its process was ended"),
        ("hang in C", "failed in step: it has not come back for 2 s, and its process was ended"),
        ("die beside a child", "failed in step: its process was ended by SIGKILL"),
        ("close all", "failed in step: its process ended by itself, with exit code 0"),
        ("exit", r"it called os._exit\(3\)"),
        ("interrupt", "KeyboardInterrupt"),
        ("raise", "ValueError: the knee broke"),
    ],
)
def test_what_ends_a_process_costs_the_episode_of_the_world_that_did_it_and_no_other(what: str, told: str):
    seeds, options = [11, 12, 13, 14, 15, 16], {"what": what, "at": 3, "seeds": [13]}
    worlds = WorkerWorlds(WorldSource(CRASHING, options), 6, 2)  # worlds 0, 2 and 4 share a process
    rows, calm, rng = np.arange(6), here(6), np.random.default_rng(1)
    assert np.array_equal(worlds.reset(rows, seeds), calm.reset(rows, seeds))
    for t in range(6):
        action = rng.uniform(-1, 1, (6, 1)).astype(np.float32)
        worlds._seconds = 2.0 if t == 2 and "hang" in what else STEP_SECONDS  # for others may be paused for as long
        result, expected = worlds.step(rows, action), calm.step(rows, action)
        others = rows[rows != 2]
        assert np.array_equal(result.observation[others], expected.observation[others])
        assert np.array_equal(result.reward[others], expected.reward[others])
        assert list(result.failure) == ([2] if t >= 2 else [])
    assert re.search(told, result.failure[2]), result.failure  # the first cause, until the world is begun again
    assert np.array_equal(worlds.reset(rows[2:3], [99]), calm.reset(rows[2:3], [99]))
    assert not worlds.step(rows[2:3], action[2:3]).failure
    worlds.close()


def test_a_process_that_dies_in_a_reset_is_reported_at_the_next_step_as_elsewhere():
    worlds = in_processes(2, 1, what="kill", at=0, seeds=[7])
    assert worlds.reset(np.arange(2), [7, 8])[0].tolist() == [0, 0, 0]
    result = worlds.step(np.arange(2), np.zeros((2, 1)))
    assert list(result.failure) == [0]
    assert "failed in reset: its process was ended by SIGKILL" in result.failure[0]
    worlds.close()


def test_a_world_that_does_not_do_again_what_it_did_is_lost_with_the_process_and_says_so():
    worlds = in_processes(3, 1, what="kill", at=1, seeds=[7], forgets=True)
    worlds.reset(np.arange(3), [7, 8, 9])
    result = worlds.step(np.arange(3), np.zeros((3, 1)))
    assert sorted(result.failure) == [0, 1, 2]
    assert "does not do again what it did" in result.failure[2]
    worlds.close()


def test_what_worlds_print_never_reaches_stdout(capfd: pytest.CaptureFixture[str]):
    worlds = in_processes(1, 1, what="print", at=1, seeds=[1])
    worlds.reset(np.zeros(1, int), [1])
    assert not worlds.step(np.zeros(1, int), np.zeros((1, 1))).failure
    worlds.close()
    out, err = capfd.readouterr()
    assert out == ""
    assert all(line in err for line in ("printed by a world", "said by a child of a world", "written by a world"))


def test_a_step_that_is_interrupted_leaves_worlds_that_can_be_begun_again():
    worlds = in_processes(2, 2, what="hang", at=1, seeds=[1])
    worlds.reset(np.arange(2), [1, 2])
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012  # a pause may let it come before the step has begun
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            worlds.step(np.arange(2), np.zeros((2, 1)))
    finally:
        signal.signal(signal.SIGALRM, before)
    calm = here(2)
    assert np.array_equal(worlds.reset(np.arange(2), [3, 4]), calm.reset(np.arange(2), [3, 4]))
    assert not worlds.step(np.arange(2), np.zeros((2, 1))).failure
    worlds.close()


ORPHANS = """
import sys, numpy as np
sys.path.insert(0, {folder!r})
from peripatos.envs.world_source import WorldSource
options = {{"what": {what!r}, "at": 1, "seeds": [1], "mark": {mark!r}}}
worlds = WorldSource({world!r}, options, workers=2).make_batch(4)
worlds.reset(np.arange(4), [1, 1, 1, 1])
print("ready", flush=True)
worlds.step(np.arange(4), np.zeros((4, 1)))
"""


@pytest.mark.parametrize("what", ["hang", "hang in C"])
def test_no_process_outlives_a_parent_that_is_killed(what: str, tmp_path: Path):
    code = ORPHANS.format(folder=FOLDER, world=CRASHING, what=what, mark=str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        assert parent.stdout.readline() == "ready\n"
        time.sleep(0.2)  # they are in their step
        parent.kill()
    numbers = [int(file.name) for file in tmp_path.iterdir() if int(file.name) != parent.pid]
    assert len(numbers) == 2
    assert soon(lambda: not any(map(lives, numbers)))


def test_auto_is_a_process_for_each_core_where_a_step_is_slow_and_none_where_it_is_not(monkeypatch):
    monkeypatch.setattr("peripatos.envs.control.worker_worlds.allowed_threads", lambda: 3)
    quick = fitting_workers(WorldSource("CartPole-v1"))
    assert quick.workers == 0
    assert re.fullmatch(r"a step takes 0\.\d+ ms, and a process is worth it from 1 ms", quick.why)
    slow = fitting_workers(WorldSource("slow_world:Slow", {"seconds": 0.003}))
    assert slow.workers == 3
    assert re.fullmatch(r"a step takes \d+\.\d ms", slow.why)


@pytest.mark.parametrize(("at", "where"), [(0, "reset"), (2, "step")])
def test_auto_keeps_a_world_that_ends_its_process_out_of_that_of_the_run(at: int, where: str):
    fitting = fitting_workers(WorldSource(CRASHING, {"what": "kill", "at": at, "every": True}))
    assert fitting.workers > 0
    assert fitting.why == f"in a trial {CRASHING} failed in {where}: its process was ended by SIGKILL"


@pytest.mark.parametrize("how", ["raises", "dies"])
def test_worlds_that_cannot_be_made_again_cost_their_episodes_and_are_tried_once_more(how: str, tmp_path: Path):
    """World 0 ends the process that it shares with world 2; the first one that is made anew fails in a constructor."""
    options = {"what": "kill", "at": 2, "seeds": [7], "mark": str(tmp_path), "again": how}
    worlds, rows = WorkerWorlds(WorldSource(CRASHING, options), 4, 2), np.arange(4)
    worlds.reset(rows, [7, 8, 9, 10])
    for _ in range(2):
        result = worlds.step(rows, np.zeros((4, 1)))
    assert sorted(result.failure) == [0, 2]
    assert "failed in step: its process was ended by SIGKILL" in result.failure[0]
    assert ("OSError: no licence" if how == "raises" else "ended by itself, with exit code 5") in result.failure[2]
    (tmp_path / "again").unlink()
    worlds.reset(rows[[0, 2]], [11, 12])
    assert not worlds.step(rows, np.zeros((4, 1))).failure
    worlds.close()


def test_a_source_gives_worlds_in_processes_where_it_is_asked_for_and_travels_with_that():
    source = pickle.loads(pickle.dumps(WorldSource("CartPole-v1", {"sutton_barto_reward": True}, workers=2)))
    worlds = source.make_batch(4, at_once=3)
    assert isinstance(worlds, WorkerWorlds)
    assert worlds.n == 3
    worlds.close()
    assert isinstance(WorldSource("CartPole-v1", workers="auto").make_batch(2), ListOfWorlds)
    assert not isinstance(WorldSource("peripatos/Walker-v0", workers=2).make_batch(2), WorkerWorlds)
    source.close()


def test_wrappers_stand_around_worlds_in_processes_as_well():
    source = WorldSource(CRASHING, {}, [{"id": "FlattenObservation", "options": {}}], workers=2)
    assert same(played(source.make_batch(3), [5, 6, 7], 4), played(here(3), [5, 6, 7], 4))
    source.close()


def test_a_process_begins_in_the_folder_of_whoever_asks_for_it(tmp_path: Path):
    in_processes(1, 1).close()  # the thread that starts processes has a folder by now
    (tmp_path / "marks").mkdir()
    found: list[bool] = []

    def elsewhere() -> None:
        ctypes.CDLL(None).unshare(0x200)  # as in `OneThread`
        os.chdir(tmp_path)
        in_processes(1, 1, mark="marks").close()
        found.append(any((tmp_path / "marks").iterdir()))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [True]
