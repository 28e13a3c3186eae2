"""What TensorBoard's own reader finds in a run's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios_runs import TINY, command, rows, write_scenario


def test_the_numbers_of_a_run_are_read_back(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    text = TINY.replace("updates: 12", "updates: 5") + "trackers: [tensorboard]\n"
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    for name in ("kl/old", "policy/entropy"):
        told = [(event.step, event.value) for event in events.Scalars(name)]
        kept = [(row["update"], row[name]) for row in rows(tmp_path / "run" / "metrics.jsonl")]
        assert told == [(step, pytest.approx(value, rel=1e-6)) for step, value in kept]
    for split in ("validation", "test"):
        told = [event.value for event in events.Scalars(f"{split}/return_mean")]
        kept = [row["return_mean"] for row in rows(tmp_path / "run" / "evaluations.jsonl") if row["set"] == split]
        assert told == [pytest.approx(value, rel=1e-6) for value in kept]


def test_an_unknown_tracker_is_named_with_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_scenario(tmp_path, TINY + "trackers: [tensorbord]\n")
    assert command("run", path, "--dry-run") == 2
    told = capsys.readouterr().err
    assert "tracker 'tensorbord'" in told
    assert "Did you mean 'tensorboard'?" in told


def test_a_tracker_without_its_library_says_how_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert command("run", write_scenario(tmp_path, TINY + "trackers: [tensorboard]\n"), "--dry-run") == 2
    assert "pip install 'peripatos[tensorboard]'" in capsys.readouterr().err
