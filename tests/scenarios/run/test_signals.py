"""Signals at any instant, to a run and to the commands that only look: one line, the right exit code, nothing lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from scenarios_runs import PATIENCE, TINY, command, finish, rows, start, until, wait_for_rows, write_scenario

from peripatos.scenarios.config.loading import load_scenario
from peripatos.scenarios.run import lock, signals
from peripatos.scenarios.run.disk import RunFailed
from peripatos.scenarios.run.run_directory import RunDirectory
from peripatos.scenarios.run.signals import Stopped
from peripatos.scenarios.run.stage import StageRun

LONG = TINY.replace("updates: 12", "updates: 100000").replace("every: 4", "every: 1000")
SLOW = LONG.replace("episodes: 3", "episodes: 1000000")
LOOKING = """\
name: looking
world: {id: CartPole-v1}
agent: {kind: random}
stages: [{name: look}]
evaluation: {episodes: 1000000}
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_run_saves_itself_at_a_job_systems_signal_and_at_a_closed_terminal(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    run = tmp_path / "a b"
    process = start("run", write_scenario(tmp_path, LONG), "--out", run)
    wait_for_rows(run / "metrics.jsonl", 3)
    if number == signal.SIGHUP:
        assert process.stderr is not None
        assert process.stdout is not None
        process.stderr.close()  # whoever closed the terminal reads no more
        process.stdout.close()
        process.send_signal(number)
        assert process.wait(PATIENCE) == code
    else:
        process.send_signal(number)
        found, _, err = finish(process)
        assert found == code
        assert f"stopped; to go on: peripatos resume '{run}'" in err
        assert "Traceback" not in err
    assert json.loads((run / "summary.json").read_text())["status"] == "interrupted"
    updates = len(rows(run / "metrics.jsonl"))
    assert (run / "checkpoints" / f"{updates:06d}").is_dir()


@pytest.mark.parametrize(
    "text", [pytest.param(SLOW, marks=pytest.mark.slow), LOOKING], ids=["before learning", "without a method"]
)
def test_ctrl_c_in_an_evaluation_stops_it_at_once(text: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start("run", write_scenario(tmp_path, text), "--out", run)
    until((run / "summary.json").exists)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130, err
    assert "stopped; to go on: peripatos resume" in err
    assert "Traceback" not in err
    assert json.loads((run / "summary.json").read_text())["status"] == "interrupted"


def test_ctrl_c_in_an_evaluation_on_the_way_saves_what_was_learned_and_evaluates_when_it_goes_on(
    tmp_path: Path,
) -> None:
    text = TINY.replace("updates: 12", "updates: 6")
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "whole", "-q") == 0
    run = tmp_path / "run"
    stops = """
import os, signal
from peripatos.scenarios.cluster.pool import LocalPool
evaluate = LocalPool.evaluate
def evaluate_stopped(self, *given, **named):
    if named["version"] == 4:
        os.kill(os.getpid(), signal.SIGINT)
    return evaluate(self, *given, **named)
LocalPool.evaluate = evaluate_stopped
"""
    code, _, err = finish(start("run", tmp_path / "tiny.yaml", "--out", run, "-q", prelude=stops))
    assert code == 130, err
    assert (run / "checkpoints" / "000004").is_dir()
    assert command("resume", run, "-q") == 0
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        assert rows(run / name) == rows(tmp_path / "whole" / name)


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once_and_the_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start("run", write_scenario(tmp_path, LONG), "--out", run)
    wait_for_rows(run / "metrics.jsonl", 3)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    code, _, err = finish(process)
    assert code in (130, 143)
    assert "Traceback" not in err
    assert command("resume", run, "--set", "stages.0.budget.updates=2", "-q") == 0


def test_ctrl_c_in_the_middle_of_an_import_waits_for_its_end(tmp_path: Path) -> None:
    """A library of C++ that is imported calls Python here and there, and ends the process where that raises."""
    lines = ["import os, signal, time", "os.kill(os.getpid(), signal.SIGINT)", "time.sleep(0.3)", "print('imported')"]
    lines += ["from gymnasium.envs.classic_control import CartPoleEnv as World", ""]
    (tmp_path / "slow_import.py").write_text("\n".join(lines))
    code = f"from peripatos.scenarios.run import signals; signals._PUT_OFF = {PATIENCE}\n"  # however slow it is here
    command = [sys.executable, "-c", code + "from peripatos.__main__ import main; main()", "check", "slow_import:World"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "imported" in done.stdout + done.stderr) == (130, True)
    assert done.stderr.strip().endswith((signals.BEFORE_ANYTHING, signals.DONE_BY_THEN))


def test_a_second_ctrl_c_in_an_import_does_not_wait_for_its_end(tmp_path: Path) -> None:
    lines = ["import os, signal, threading, time", "os.kill(os.getpid(), signal.SIGINT)", "time.sleep(1)"]
    lines += ["threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()", "time.sleep(300)"]
    (tmp_path / "slow_import.py").write_text("\n".join(lines))
    code = f"from peripatos.scenarios.run import signals; signals._PUT_OFF = {PATIENCE}\n"
    code += "with signals.ending_by_signals(): import slow_import"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (130, signals.BEFORE_ANYTHING)


def test_ctrl_c_behind_a_lock_that_was_just_taken_leaves_it_free(tmp_path: Path) -> None:
    """`subprocess` and `threading` call `acquire`, and only then begin the `try` that releases it."""
    code = """
import os, signal, subprocess, threading, time
from peripatos.scenarios.run.signals import ending_by_signals
lock = threading.Lock()
wait = ["def wait():", "  lock.acquire()", "  os.kill(os.getpid(), signal.SIGINT)"]
wait += ["  try: time.sleep(0.1)", "  finally: lock.release()"]
exec(compile(chr(10).join(wait), subprocess.__file__, "exec"))
try:
    with ending_by_signals():
        wait()
        time.sleep(20)
finally:
    print(lock.locked())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip(), done.stdout) == (130, signals.BEFORE_ANYTHING, "False\n")


@pytest.mark.parametrize("code", [0, 2])
def test_what_imports_to_its_end_is_done_and_says_that_it_was_asked_to_stop(code: int, tmp_path: Path) -> None:
    """A command may have nothing left to do when the import is over that Ctrl-C has met."""
    (tmp_path / "slow_import.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    lines = ["import sys", "from peripatos.scenarios.run.signals import ending_by_signals"]
    lines += ["with ending_by_signals():", "    import slow_import", f"    sys.exit({code})"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True)
    said = "" if code else signals.DONE_BY_THEN
    assert (done.returncode, done.stderr.strip()) == (code or 130, said)


def test_what_swallows_a_signal_and_ends_well_still_ends_by_it(tmp_path: Path) -> None:
    lines = ["import os, signal, sys", "from peripatos.scenarios.run.signals import ending_by_signals"]
    lines += ["class World:", "    def __del__(self):", "        os.kill(os.getpid(), signal.SIGTERM)"]
    lines += ["with ending_by_signals():", "    world = World()", "    del world", "    sys.exit(0)"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (143, signals.DONE_BY_THEN)


@pytest.mark.parametrize("end", ["sys.exit(0)", "sys.exit(2)", "pass"])
def test_a_signal_while_the_end_is_told_of_is_no_traceback(end: str, tmp_path: Path) -> None:
    """One that met an import comes again while that is told, and somebody presses Ctrl-C while the process leaves."""
    (tmp_path / "slow_import.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    code = f"""
import os, signal, sys
from peripatos.scenarios.run import signals
tell, clear = signals.tell, list.clear
def tell_and_hear(text):
    tell(text)
    os.kill(os.getpid(), signal.SIGINT)
signals.tell = tell_and_hear
class Asked(list):
    def clear(self):  # the last thing that is done
        os.kill(os.getpid(), signal.SIGINT)
        clear(self)
signals._asked_to_end = Asked()
with signals.ending_by_signals():
    import slow_import
    {end}
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    expected = {"sys.exit(0)": (130, signals.DONE_BY_THEN), "sys.exit(2)": (2, ""), "pass": (0, "")}
    assert (done.returncode, done.stderr.strip()) == expected[end]


TELLING = """\
# says when signals are heard
import signal
from contextlib import contextmanager
import peripatos.__main__ as program
signal.signal(signal.SIGINT, signal.default_int_handler)
hearing = program.ending_by_signals
@contextmanager
def telling(*given):
    with hearing(*given) as heard:
        print("heard", flush=True)
        yield heard
program.ending_by_signals = telling
program.main()
"""


@pytest.mark.parametrize("count", [4, pytest.param(40, marks=pytest.mark.exhaustive)])
def test_ctrl_c_at_any_instant_of_the_first_seconds_is_one_line(count: int, tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng, scenario = random.Random(seed), write_scenario(tmp_path, LONG)
    commands = [("run", str(scenario), "--out"), ("check", "CartPole-v1"), ("list", "worlds")]
    for number in range(count):
        words = list(commands[number % len(commands)])
        run = tmp_path / str(number)
        words += [str(run)] if words[0] == "run" else []
        process = subprocess.Popen(
            [sys.executable, "-c", TELLING, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(2.5 * rng.random())
        process.send_signal(signal.SIGINT)
        ended, _, err = finish(process)
        assert "Traceback" not in err, (seed, number, err)
        if ended == 0:
            continue  # it was done before
        if ended == -signal.SIGINT and not err:
            continue  # all was said and done: as the interpreter ends, the signal ends the process, a shell's 130
        assert ended == 130, (seed, number, ended, err)
        assert "stopped" in err, (seed, number, err)
        if "before anything was written" in err:
            assert not run.exists(), (seed, number)


def test_a_signal_that_was_swallowed_before_the_first_update_stops_the_run_all_the_same(tmp_path: Path) -> None:
    swallows = """
import os, signal
from peripatos.scenarios.run import runner
make_policy = runner.make_policy
class Finalised:
    def __del__(self):  # what is raised here reaches nobody
        os.kill(os.getpid(), signal.SIGINT)
def interrupted(*given):
    Finalised()
    return make_policy(*given)
runner.make_policy = interrupted
"""
    code, _, err = finish(start("run", write_scenario(tmp_path, LONG), "--out", tmp_path / "run", prelude=swallows))
    assert code == 130, err
    assert "stopped" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_terminal_that_hangs_up_on_a_run_that_ignores_it_does_not_stop_it(tmp_path: Path) -> None:
    ignores = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"  # as `nohup` does
    process = start("run", write_scenario(tmp_path), "--out", tmp_path / "run", prelude=ignores)
    wait_for_rows(tmp_path / "run" / "metrics.jsonl", 1)
    process.send_signal(signal.SIGHUP)
    assert finish(process)[0] == 0


@pytest.mark.parametrize(
    ("count", "made", "code", "status"),
    [
        (1, SystemError("a call returned a result with an exception set"), 130, "interrupted"),
        (2, RunFailed("every worker has died"), 130, "interrupted"),
        (1, RunFailed("the loss is nan"), 1, "failed"),
    ],
)
def test_what_a_library_makes_of_a_signal_is_a_stop_and_a_failure_of_the_runs_own_stays_one(
    count: int, made: Exception, code: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(stage: StageRun) -> None:
        for _ in range(count):
            with suppress(Stopped), nullcontext() if stage.context.stop.is_set() else stage.context.stop.at_once():
                stage.context.stop.hear(signal.SIGINT, None)
        raise made

    monkeypatch.setattr(StageRun, "go", interrupted)
    assert command("run", write_scenario(tmp_path, TINY), "--out", tmp_path / "run", "-q") == code
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == status


def test_who_is_stopped_as_the_folder_is_locked_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(folder: Path, command: Sequence[str]) -> None:
        assert folder.is_dir()
        raise Stopped(signal.SIGINT)

    monkeypatch.setattr(lock, "take", stopped)
    with pytest.raises(Stopped):
        RunDirectory.create(tmp_path / "run", load_scenario("cartpole-ppo"), [])
    assert not (tmp_path / "run").exists()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / lock.NAME).touch()
    with pytest.raises(Stopped):
        RunDirectory.create(tmp_path / "theirs", load_scenario("cartpole-ppo"), [])
    assert (tmp_path / "theirs" / lock.NAME).exists(), "a folder of somebody else's stays"
