"""Our own attacks, each judged once; see `attacks.py` for why they fail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from attacks import ATTACKS, Attack
from patience import PATIENT, hurried
from peak_memory import PeakMemory

from peripatos.envs.sandbox import Judge

pytestmark = pytest.mark.sandbox

TESTS = [(([1, 2, 3, 4],), 20), (([10],), 100), (([123456, 2],), 15241383940)]
HONEST = "def solve(xs): return sum(x * x for x in xs if x % 2 == 0)"


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(workers=1, limits=PATIENT) as judge:
        yield judge


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_our_own_attack_fails_and_leaves_the_judge_well(
    judge: Judge, attack: Attack, caplog: pytest.LogCaptureFixture
) -> None:
    began, memory = time.monotonic(), PeakMemory()
    with hurried(judge) if "time_limit" in attack.statuses else nullcontext():
        verdict = judge.function(attack.code, entry="solve", tests=TESTS)
    assert verdict.reward == 0.0, f"fooled, or dodged the judgement: {verdict}"
    assert verdict.status in attack.statuses, verdict
    assert time.monotonic() - began < 40  # those that hang would do so for longer
    if attack.suspicion:
        assert attack.suspicion in verdict.suspicions
    assert judge.function(HONEST, entry="solve", tests=TESTS).reward == 1.0
    assert not caplog.records, "who was waiting for it was killed"
    assert memory.grown_mb() < 300
