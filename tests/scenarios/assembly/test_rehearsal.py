"""What a few random episodes tell before a run."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from peripatos.scenarios.assembly import rehearsal
from peripatos.scenarios.assembly.worlds import WorldSources
from peripatos.scenarios.config.loading import load_scenario


def test_nothing_is_imported_by_a_rehearsal_that_its_run_imports_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario, make, threads = load_scenario("cartpole-ppo"), rehearsal.make_stage, list[threading.Thread]()

    def noted(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return make(*given)

    monkeypatch.setattr(rehearsal, "make_stage", noted)
    with WorldSources.of(scenario) as sources:
        assert rehearsal.is_silent_about_success(scenario, sources)
    assert threads == [threading.current_thread()]
