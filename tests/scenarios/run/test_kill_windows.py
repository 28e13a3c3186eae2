"""A kill before or after any one call to the file system, while a checkpoint is written, replaced or removed."""

from __future__ import annotations

import os
import random
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gymnasium.spaces import Discrete
from scenarios_runs import TINY, command, progress, rows, write_scenario

from peripatos.agents.control.mlp import ActorCritic
from peripatos.scenarios.run.checkpoint import checkpoints, last_good, pointed_to, settle, write_checkpoint
from peripatos.scenarios.run.logs import number_of

pytestmark = pytest.mark.slow

CALLS = ("rename", "replace", "fsync", "unlink", "rmdir", "mkdir", "ftruncate")
KILLED = 99


def dying(at: int, *, after: bool) -> Callable[[], int]:
    """From now on, this process dies before (or after) its call number `at` to the file system; gives their count."""
    count = 0

    def wrapped(function: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal count
            number, count = count, count + 1
            if number == at and not after:
                os._exit(KILLED)
            try:
                return function(*given, **named)
            finally:
                if number == at:
                    os._exit(KILLED)

        return call

    for name in CALLS:
        setattr(os, name, wrapped(getattr(os, name)))
    return lambda: count


def in_a_child(do: Callable[[], None]) -> int:
    """The exit code of a forked process that does it: 0, or that of its death."""
    child = os.fork()
    if child == 0:
        try:
            do()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def save_four(folder: Path) -> None:
    """Checkpoints 5, 10, 10 again and 15, of which 5 is the best until 15; a line in `told` after each."""
    policy = ActorCritic(4, Discrete(2), hidden=(3,))
    for update, best_at, done in ((5, 5, 0), (10, 5, 0), (10, 5, 1), (15, 5, 0), (20, 5, 0), (25, 25, 0)):
        at = progress(update=update, best_at=best_at, state="done" if done else "new")
        write_checkpoint(folder, update=update, policy=policy, learner=None, actor_state={}, progress=at)
        with (folder.parent / "told").open("a") as file:
            file.write(f"{update} {best_at}\n")


@pytest.mark.parametrize("stride", [4, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_whatever_call_a_kill_hits_the_last_checkpoint_that_was_whole_stays_whole_and_the_best_is_known(
    stride: int, tmp_path: Path
) -> None:
    counted = tmp_path / "counted" / "checkpoints"
    counted.mkdir(parents=True)

    def count() -> None:
        calls = dying(-1, after=False)
        save_four(counted)
        (tmp_path / "calls").write_text(str(calls()))

    assert in_a_child(count) == 0
    calls = int((tmp_path / "calls").read_text())
    assert calls > 50
    for at in range(0, calls, stride):
        for after in (False, True):
            folder = tmp_path / f"{at}-{after}" / "checkpoints"
            folder.mkdir(parents=True)

            def die(folder: Path = folder, at: int = at, after: bool = after) -> None:
                dying(at, after=after)
                save_four(folder)

            assert in_a_child(die) == KILLED, (at, after)
            told = (folder.parent / "told").read_text().split() if (folder.parent / "told").exists() else ["0", "0"]
            newest = int(told[-2])
            seen = [number_of(path) for path in checkpoints(folder)]  # by who only reads, before anything is mended
            assert max(seen, default=0) >= newest, (at, after)
            settle(folder)
            good, problems = last_good(folder)
            assert not problems, (at, after)
            assert (0 if good is None else number_of(good)) >= newest, (at, after)
            assert pointed_to(folder, "last") == good
            if good is not None:
                best = pointed_to(folder, "best")
                assert best is not None, (at, after)
                assert number_of(best) == (25 if number_of(good) == 25 else 5), (at, after)
            assert not list(folder.glob(".*")), (at, after)


LITTLE = TINY.replace("updates: 12", "updates: 4").replace("every: 4", "every: 2").replace("[16]", "[4]")


def weights(run: Path) -> dict[str, bytes]:
    last = pointed_to(run / "checkpoints", "last")
    assert last is not None
    return {path.relative_to(last).as_posix(): path.read_bytes() for path in sorted(last.rglob("*.safetensors"))}


@pytest.mark.parametrize("share", [0.012, pytest.param(1.0, marks=pytest.mark.exhaustive)])
def test_a_run_killed_at_any_call_to_the_file_system_ends_as_one_that_was_not(share: float, tmp_path: Path) -> None:
    rng, scenario = random.Random(0), write_scenario(tmp_path, LITTLE)
    whole = tmp_path / "whole"

    def count() -> None:
        calls = dying(-1, after=False)
        command("run", scenario, "--out", whole, "-q")
        (tmp_path / "calls").write_text(str(calls()))

    assert in_a_child(count) == 0
    best = pointed_to(whole / "checkpoints", "best")
    assert best is not None
    calls = int((tmp_path / "calls").read_text())
    chosen = [(at, after) for at in range(calls) for after in (False, True) if rng.random() < share]
    for at, after in chosen:
        run = tmp_path / f"run-{at}-{after}"

        def die(run: Path = run, at: int = at, after: bool = after) -> None:
            dying(at, after=after)
            command("run", scenario, "--out", run, "-q")

        assert in_a_child(die) in (KILLED, 0)  # 0: what it writes at its end differs from time to time
        again = ("resume", run) if (run / "scenario.yaml").exists() else ("run", scenario, "--out", run)

        def go_on(again: tuple[object, ...] = again) -> None:
            assert command(*again, "-q") == 0

        assert in_a_child(go_on) == 0, (at, after)
        assert weights(run) == weights(whole), (at, after)
        assert [row["update"] for row in rows(run / "metrics.jsonl")] == [1, 2, 3, 4], (at, after)
        found = pointed_to(run / "checkpoints", "best")
        assert found is not None
        assert found.name == best.name, (at, after)
