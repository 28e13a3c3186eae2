"""Tests marked `sandbox` are skipped, with the reason, where no bubblewrap isolates."""

from __future__ import annotations

from functools import cache

import pytest

from peripatos.envs.sandbox import SandboxUnavailable
from peripatos.envs.sandbox.bubblewrap import choose


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
