"""Runs with workers end as runs without, whatever happens to the workers and to the run itself."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from scenarios_runs import PATIENCE, TINY, command, finish, in_row, rows, until, write_scenario

from peripatos.scenarios.run.checkpoint import checkpoints

pytestmark = pytest.mark.ray

CARTPOLE = ["stages.balance.budget={updates: 8}", "stages.balance.collect.tile=2", "evaluation.episodes=10"]
QUICKSTART = [
    "stages.imitate.budget.updates=3",
    "stages.imitate.collect={groups: 12, tile: 3}",
    "stages.reinforce.budget.updates=3",
    "stages.reinforce.collect={groups: 6, group_size: 4, tile: 2}",
    "evaluation.episodes=4",
]
HEARS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # where tests run in the background
MAIN = "from peripatos.__main__ import main; main()"


def flags(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def begin(*arguments: object, cwd: Path | None = None, prelude: str = "") -> subprocess.Popen[str]:
    """A command line in a session of its own, as a terminal would begin it; `prelude` is Python that runs first."""
    line = [sys.executable, "-c", f"{HEARS}\n{prelude}\n{MAIN}", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, cwd=cwd, start_new_session=True)


def final(run: Path) -> dict[str, str]:
    """Fingerprints of everything that the last checkpoint holds but the clock's readings."""
    last = checkpoints(run / "checkpoints")[-1]
    files = [path for path in sorted(last.rglob("*.safetensors")) if path.is_file()]
    assert files
    return {path.relative_to(last.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_ended_equal(one: Path, other: Path) -> None:
    assert final(one) == final(other)
    assert rows(one / "metrics.jsonl") == rows(other / "metrics.jsonl")
    assert rows(one / "evaluations.jsonl") == rows(other / "evaluations.jsonl")


def descendants(pid: int) -> dict[int, str]:
    """The processes that `pid` has started, and those have, with their command lines."""
    found: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(folder.name)] = parent, (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # it has ended
    family = {pid}
    while more := {child for child, (parent, _) in found.items() if parent in family} - family:
        family |= more
    return {child: found[child][1] for child in family - {pid} if child in found}


def alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def workers(pid: int) -> list[int]:
    return sorted(child for child, line in descendants(pid).items() if line.startswith("ray::RayRollout"))


HELD = 5  # the row in which a run waits for those who kill its workers


def held(row: int, until: Path) -> str:
    """Python that holds a run in a row until there is such a file."""
    return in_row(row, f"while not os.path.exists({str(until)!r}): time.sleep(0.01)")


def updates(run: Path) -> int:
    return len(rows(run / "metrics.jsonl"))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each scenario by one process."""
    runs = {name: tmp_path_factory.mktemp("one") / name for name in ("cartpole-ppo", "quickstart")}
    for name, settings in (("cartpole-ppo", CARTPOLE), ("quickstart", QUICKSTART)):
        assert command("run", name, *flags(*settings), "--out", runs[name], "-q") == 0
    return runs


def killed_at_random(process: subprocess.Popen[str], run: Path, times: int, chance: random.Random, go: Path) -> int:
    """Kill a worker somewhere in every other update, `times` times; how many were. Two make the file `go`."""
    kills = 0
    while process.poll() is None and kills < times:
        before = updates(run)
        time.sleep(chance.uniform(0.0, 0.5))
        there = workers(process.pid)
        if not there or not (run / "evaluations.jsonl").exists():
            continue
        os.kill(chance.choice(there), signal.SIGKILL)
        kills += 1
        if kills == 2:
            go.touch()
        while process.poll() is None and updates(run) < min(before + 2, HELD):
            time.sleep(0.01)
    return kills


@pytest.mark.parametrize("staleness", [1, 2])
def test_two_workers_that_collect_ahead_give_the_files_of_one_process(staleness: int, tmp_path: Path) -> None:
    settings = [*CARTPOLE, f"stages.balance.collect.staleness={staleness}"]
    assert command("run", "cartpole-ppo", "--out", tmp_path / "one", "-q", *flags(*settings)) == 0
    more = flags(*settings, "cluster.rollout.workers=2")
    assert command("run", "cartpole-ppo", "--out", tmp_path / "two", "-q", *more) == 0
    assert_ended_equal(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize(("name", "settings"), [("cartpole-ppo", CARTPOLE), ("quickstart", QUICKSTART)])
def test_two_workers_give_the_files_of_one_process(
    name: str, settings: list[str], one: dict[str, Path], tmp_path: Path
) -> None:
    process = begin("run", name, *flags(*settings, "cluster.rollout.workers=2"), "--out", tmp_path / "run", "--json")
    code, out, error = finish(process)
    assert code == 0, error
    assert out.startswith("{"), "Ray writes nothing where the data goes"
    assert "another collects" not in error
    assert_ended_equal(one[name], tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("cartpole-ppo", CARTPOLE, 3),
        pytest.param("quickstart", QUICKSTART, 2, marks=pytest.mark.exhaustive),
    ],
    ids=lambda x: str(x),
)
def test_workers_that_are_killed_at_random_change_nothing(
    name: str, settings: list[str], count: int, one: dict[str, Path], tmp_path: Path
) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    run, go = tmp_path / "run", tmp_path / "go"
    workers = f"cluster.rollout.workers={count}"
    process = begin("run", name, *flags(*settings, workers), "--out", run, "--json", prelude=held(HELD, go))
    kills: list[int] = []
    killer = threading.Thread(target=lambda: kills.append(killed_at_random(process, run, 3, random.Random(seed), go)))
    killer.start()
    code, out, error = finish(process)
    killer.join()
    assert code == 0, error
    assert kills[0] >= 2
    assert "collects groups" in error
    assert out.startswith("{")
    assert_ended_equal(one[name], run)


def test_a_killed_run_leaves_no_processes_and_goes_on_with_another_number_of_workers(
    one: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    settings = flags(*CARTPOLE, "checkpoint.every=2", "cluster.rollout.workers=2")
    process = begin("run", "cartpole-ppo", *settings, "--out", run, "-q")
    until(lambda: updates(run) >= 3)
    left = descendants(process.pid)
    assert len(left) >= 4, "Ray and two workers"
    process.kill()
    process.communicate()
    until(lambda: not [pid for pid in left if alive(pid) and "Agent" not in left[pid]])  # Ray's agents wait a minute
    code, _, error = finish(begin("resume", run, "-q", *flags("cluster.rollout.workers=3")))
    assert code == 0, error
    assert_ended_equal(one["cartpole-ppo"], run)


def test_ctrl_c_saves_stops_everything_and_the_run_goes_on_without_workers(
    one: dict[str, Path], tmp_path: Path
) -> None:
    run, go = tmp_path / "run", tmp_path / "go"
    settings = flags(*CARTPOLE, "cluster.rollout.workers=2")
    process = begin("run", "cartpole-ppo", *settings, "--out", run, prelude=held(2, go))
    until(lambda: updates(run) == 2)
    left = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of its processes
    go.touch()
    code, _, error = finish(process)
    assert code == 130, error
    assert "to go on: peripatos resume" in error
    assert not [pid for pid in left if alive(pid)]
    code, _, error = finish(begin("resume", run, "-q", *flags("cluster=null")))
    assert code == 0, error
    assert_ended_equal(one["cartpole-ppo"], run)


MORTAL = '''
import os, sys, time
from pathlib import Path
from gymnasium.envs.classic_control import CartPoleEnv

MARK = Path(__file__).with_name("mark")

class Slow(CartPoleEnv):
    """Hangs once, in a worker."""
    def step(self, action):
        if "default_worker.py" in sys.argv[0] and not MARK.exists():
            MARK.touch()
            time.sleep(10_000)
        return super().step(action)

class Mortal(CartPoleEnv):
    """Takes its worker with it, always."""
    def step(self, action):
        if "default_worker.py" in sys.argv[0]:
            os._exit(3)
        return super().step(action)

class Wrong(CartPoleEnv):
    """Cannot be made in a worker."""
    def __init__(self, **options):
        if "default_worker.py" in sys.argv[0]:
            raise ValueError("there is no gravity here")
        super().__init__(**options)
'''


def by_workers(folder: Path, world: str, *settings: str) -> subprocess.Popen[str]:
    (folder / "mortal_worlds.py").write_text(MORTAL)
    text = TINY.replace("CartPole-v1", f"mortal_worlds:{world}").replace("updates: 12", "updates: 3")
    path = write_scenario(folder, text)
    given = flags("cluster.rollout.workers=2", *settings)
    return begin("run", path, "--out", folder / "run", *given, cwd=folder)


@pytest.mark.exhaustive
def test_a_worker_that_does_not_answer_in_time_is_replaced(tmp_path: Path) -> None:
    code, _, error = finish(by_workers(tmp_path, "Slow", "cluster.rollout.seconds=30"))
    assert code == 0, error
    assert "did not answer within 30 s (cluster.rollout.seconds); another collects groups" in error
    tiles = flags("stages.learn.collect.tile=1")
    assert command("run", tmp_path / "tiny.yaml", "--out", tmp_path / "one", "-q", *tiles) == 0
    assert_ended_equal(tmp_path / "one", tmp_path / "run")


def test_ctrl_c_does_not_wait_for_a_worker_that_hangs(tmp_path: Path) -> None:
    process = by_workers(tmp_path, "Slow")
    until((tmp_path / "mark").exists)
    left = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    code, _, error = finish(process)
    assert code == 130, error
    assert "to go on: peripatos resume" in error
    assert not [pid for pid in left if alive(pid)]


def test_groups_that_are_lost_three_times_end_the_run(tmp_path: Path) -> None:
    code, _, error = finish(by_workers(tmp_path, "Mortal"))
    assert code == 1
    assert "were given to 3 workers, and each was lost with them; the last died: " in error
    assert "Traceback" not in error


def test_a_mistake_that_is_found_in_a_worker_ends_the_run_at_once(tmp_path: Path) -> None:
    code, _, error = finish(by_workers(tmp_path, "Wrong"))
    assert code != 0
    assert "there is no gravity here" in error
    assert "another collects" not in error


TWICE = """
import os, signal, peripatos
from peripatos.scenarios.cluster.ray_instance import ray
def state():
    environment = {name: value for name, value in os.environ.items() if name != "PERIPATOS_FOLDERS"}
    return environment, signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
few = {"stages.balance.budget": {"updates": 1}, "evaluation.episodes": 2, "cluster.rollout.workers": 2}
before = None
for name in "ab":
    peripatos.run("cartpole-ppo", few, out=name)
    assert before in (None, state())
    before = state()
ray.init(address="local", num_cpus=1, include_dashboard=False)
try:
    peripatos.run("cartpole-ppo", few, out="c")
except peripatos.scenarios.entrance.UserError as problem:
    print(problem)
"""


def test_two_runs_in_one_process_leave_it_as_it_was_and_a_third_is_refused_beside_another_ray(tmp_path: Path) -> None:
    line, home = (
        [sys.executable, "-c", TWICE],
        {**os.environ, "HOME": str(tmp_path)},
    )  # where the other Ray keeps a token
    done = subprocess.run(line, cwd=tmp_path, env=home, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert final(tmp_path / "a") == final(tmp_path / "b")
    assert "this process is connected to a Ray already" in done.stdout
    assert not (tmp_path / "c").exists()
