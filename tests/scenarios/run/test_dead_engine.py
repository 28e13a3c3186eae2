"""A run whose engine dies: it ends, says why, and leaves no thread."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from scenarios_runs import command, write_scenario

from peripatos.agents.language.engines.transformers_engine import TransformersEngine

SCENARIO = """\
name: doomed
world: {id: peripatos/Arithmetic-v0, options: {digits: 1}}
agent: {kind: tiny_llama, hidden: 32, layers: 1}
sampling: {max_tokens: 4}
stages:
  - name: learn
    method: grpo
    collect: {groups: 4, group_size: 2}
    budget: {updates: 3}
evaluation: {episodes: 4}
failures: {max_share: SHARE}
"""


@pytest.mark.parametrize(("share", "steps"), [(1.0, 6), (0.1, 6), (0.1, 0)])
def test_a_dead_engine_ends_the_run_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], share: float, steps: int
) -> None:
    step, left = TransformersEngine.step, [steps]

    def breaks(self: TransformersEngine) -> object:
        left[0] -= bool(self.sampling.stop_ids)  # without: the engine that tries the model when it is loaded
        if left[0] < 0:
            raise MemoryError("no room for keys and values")
        return step(self)

    monkeypatch.setattr(TransformersEngine, "step", breaks)
    before = set(threading.enumerate())
    path = write_scenario(tmp_path, SCENARIO.replace("SHARE", str(share)))
    assert command("run", path, "--out", tmp_path / "out", "-q") == 1
    assert "the run failed" in (said := capsys.readouterr().err)
    assert "the engine has died" in said
    assert "no room for keys and values" in said
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "engine"]
