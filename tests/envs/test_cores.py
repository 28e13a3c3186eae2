"""How many threads a simulation's pool takes for itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from peripatos.envs.cores import allowed_threads, usable_cores


@pytest.mark.parametrize("said", [None, "", "0", "-1", "many", "100000", "1.5"])
def test_without_a_usable_word_there_is_a_thread_for_each_core(
    monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert allowed_threads() == usable_cores() >= 1


@pytest.mark.parametrize("said", ["1", " 1 ", "1,4"])
def test_omp_num_threads_is_kept_to(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert allowed_threads() == 1


POOL = """
import os, sys
import numpy as np
from peripatos.envs.world_source import WorldSource
def stepped(n, threads):
    before = len(os.listdir("/proc/self/task"))
    worlds = WorldSource("peripatos/Walker-v0").make_batch(n, threads=threads)
    worlds.reset(np.arange(n), list(range(n)))
    worlds.step(np.arange(n), np.zeros((n, 6), np.float32))
    kept.append(worlds)
    return len(os.listdir("/proc/self/task")) - before
kept = []
stepped(2, 1)
print(stepped(64, None), stepped(64, 1), stepped(64, 2))
"""


@pytest.mark.skipif(
    sys.platform != "linux" or usable_cores() < 2, reason="counts threads in /proc, and needs two cores"
)
@pytest.mark.parametrize("said", ["1", "2"])
def test_the_pool_of_a_simulation_has_the_threads_that_it_may(said: str) -> None:
    command = ["env", f"OMP_NUM_THREADS={said}", sys.executable, "-c", POOL]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    by_environment, one, two = map(int, told)
    assert by_environment == (one if said == "1" else two)
    assert two == one + 1 or two == one + 2  # a pool of one may need no thread besides the caller
