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
