"""What hangs in a thread keeps nobody waiting."""

from __future__ import annotations

import subprocess
import sys

import pytest

from peripatos.envs.lost_threads import in_thread

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
    assert in_thread(lambda: 6 * 7, "work").result(10) == 42
    with pytest.raises(ZeroDivisionError):
        in_thread(lambda: 1 // 0, "work").result(10)
