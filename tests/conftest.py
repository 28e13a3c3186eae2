"""Tests marked `sandbox` are skipped, with the reason, where no bubblewrap isolates. Chance is that of every run."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import HealthCheck, settings

from peripatos.envs.sandbox import SandboxUnavailable
from peripatos.envs.sandbox.bubblewrap import choose

# Whoever changes nothing sees the same examples again, and a machine that stops for a second has not found a mistake.
settings.register_profile("peripatos", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("peripatos")


@cache
def _lacking() -> str:
    try:
        choose()
    except SandboxUnavailable as error:
        return str(error)
    return ""


@pytest.hookimpl(tryfirst=True)  # before any fixture that would start a sandbox
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("sandbox") and _lacking():
        pytest.skip(_lacking())


@pytest.fixture(autouse=True)
def _names_are_not_kept_to_folders_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a scenario may name is kept in the environment, for processes that are started."""
    for name in ("PERIPATOS_FOLDERS", "PERIPATOS_TRUST"):
        monkeypatch.setenv(name, "")  # so that what a test sets is taken back
