"""The thread that plays beside the main one."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest
from scenarios_runs import PATIENCE, until

from peripatos.envs import contained
from peripatos.envs.contained import TimeIsUp, look
from peripatos.scenarios.run.one_thread import OneThread


def started() -> OneThread:
    one = OneThread("ahead")
    one.start()
    return one


@pytest.mark.skipif(sys.platform != "linux", reason="a folder for each thread is Linux's")
def test_a_world_that_steps_into_another_folder_moves_nobody_else(tmp_path: Path) -> None:
    here, one = Path.cwd(), started()
    there, go = threading.Event(), threading.Event()

    def wander() -> Path:
        os.chdir(tmp_path)
        there.set()
        go.wait(PATIENCE)
        return Path.cwd()

    asked = one.submit(wander)
    assert there.wait(PATIENCE)
    assert Path.cwd() == here
    go.set()
    assert asked.result(PATIENCE) == tmp_path
    assert one.close(PATIENCE)


def test_a_thread_that_ends_late_leaves_nothing_that_would_end_another_of_its_number() -> None:
    one, began, go = started(), threading.Event(), threading.Event()
    asked = one.submit(lambda: (began.set(), go.wait(PATIENCE)))
    assert began.wait(PATIENCE)
    assert not one.close(0.05)
    go.set()
    asked.result(PATIENCE)
    one._thread.join(PATIENCE)
    assert one._thread.ident not in contained._unwanted


def test_what_is_given_behind_what_was_dropped_is_done() -> None:
    one = started()

    def forever() -> None:
        while True:
            time.sleep(0.001)
            look()

    running, waiting = one.submit(forever), one.submit(forever)
    until(running.running)
    one.drop()
    assert isinstance(running.exception(PATIENCE), TimeIsUp)
    assert waiting.cancelled()
    assert one.submit(lambda: 3).result(PATIENCE) == 3
    assert one.close(PATIENCE)
