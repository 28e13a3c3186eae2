"""What hangs in a thread keeps nobody waiting."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from peripatos.envs.contained import Contained
from peripatos.envs.lost_threads import in_thread, own_folder

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all threads share one folder")

HANGS = """
import threading, time
from peripatos.envs.lost_threads import in_thread
in_thread(threading.Event().wait, "lost")
print("over")
"""


def test_a_process_ends_although_a_thread_hangs() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "over\n")


def test_what_was_done_and_what_was_raised_come_out_of_the_future() -> None:
    assert in_thread(lambda: 6 * 7, "work").result(60) == 42
    with pytest.raises(ZeroDivisionError):
        in_thread(lambda: 1 // 0, "work").result(60)


@linux
def test_a_world_that_comes_back_late_leaves_the_folder_to_which_others_have_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ends = threading.Event(), threading.Event()

    def late() -> str:
        with Contained("late"):
            begun.set()
            ends.wait(60)
        return os.getcwd()  # noqa: PTH109 (as `Contained` asks)

    before, world = os.getcwd(), in_thread(late, "late")  # noqa: PTH109
    assert begun.wait(60)
    monkeypatch.chdir(tmp_path)
    ends.set()
    assert world.result(60) == before
    assert Path.cwd() == tmp_path


@linux
def test_worlds_side_by_side_do_not_move_each_other_nor_whoever_waits_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    together = threading.Barrier(4)
    for name in "abcd":
        (tmp_path / name).mkdir()

    def world(name: str) -> tuple[Path, Path]:
        with Contained(name):
            os.chdir(name)
            together.wait(60)  # all have gone somewhere else
            inside = Path.cwd()
        return inside, Path.cwd()

    with ThreadPoolExecutor(4, initializer=own_folder) as pool:
        assert list(pool.map(world, "abcd")) == [(tmp_path / name, tmp_path) for name in "abcd"]
    assert Path.cwd() == tmp_path
