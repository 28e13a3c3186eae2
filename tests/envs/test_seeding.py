"""Random streams are functions of their names."""

import subprocess
import sys

import numpy as np

from peripatos.envs.seeding import derive_seed, stream


def test_equal_keys_give_equal_streams_in_any_order():
    first, second = stream(7, "collect", 1, 2), stream(7, "collect", 3, 2)
    again_second, again_first = stream(7, "collect", 3, 2), stream(7, "collect", 1, 2)
    assert np.array_equal(first.random(9), again_first.random(9))
    assert np.array_equal(second.random(9), again_second.random(9))


def test_every_part_of_a_name_matters():
    names = [(0,), (1,), (0, "a"), (0, "b"), (0, 1), (0, "1"), (0, "a", 1), (0, 1, "a"), (0, "a1"), (0, 11), (0, 1, 1)]
    seeds = [derive_seed(*name) for name in names]
    draws = [stream(*name).integers(2**63) for name in names]
    assert len(set(seeds)) == len(names)
    assert len(set(draws)) == len(names)


def test_streams_are_the_same_in_another_process():
    code = (
        "from peripatos.envs.seeding import *; print(derive_seed(3, 'task', 4), stream(3, 'task', 4).integers(10**9))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = f"{derive_seed(3, 'task', 4)} {stream(3, 'task', 4).integers(10**9)}"
    assert ran.stdout.strip() == expected


def test_seeds_fit_gymnasium_and_are_spread_evenly():
    seeds = np.array([derive_seed(0, "episode", n) for n in range(4_000)])
    assert seeds.min() >= 0
    assert seeds.max() < 2**31
    quarters = np.histogram(seeds, bins=4, range=(0, 2**31))[0]
    assert np.all(np.abs(quarters - 1_000) < 5 * np.sqrt(750))  # five standard deviations


def test_numpy_integers_name_the_same_stream_as_python_integers_as_the_seed():
    assert derive_seed(np.int64(5), "a") == derive_seed(5, "a")
