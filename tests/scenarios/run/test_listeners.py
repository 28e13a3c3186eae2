"""Listeners hear everything, and whatever they do, the run is the same bit for bit."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import PATIENCE, rows, write_scenario

import peripatos
from peripatos.scenarios.run import listeners
from peripatos.scenarios.run.checkpoint import checkpoints
from peripatos.scenarios.run.listeners import Aside, Silence

SHORT = {"stages.learn.budget.updates": 6}


class Hearing(Silence):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def began(self, path: Path, scenario: Mapping[str, Any]) -> None:
        self.heard.append(("began", (path, scenario["name"])))

    def row(self, row: Mapping[str, Any]) -> None:
        self.heard.append(("row", row))

    def evaluated(self, row: Mapping[str, Any]) -> None:
        self.heard.append(("evaluated", row))

    def episodes(self, name: str, episodes: Sequence[Mapping[str, Any]]) -> None:
        self.heard.append(("episodes", (name, len(episodes))))

    def saved(self, checkpoint: Path) -> None:
        self.heard.append(("saved", checkpoint.name))

    def ended(self, summary: Mapping[str, Any]) -> None:
        self.heard.append(("ended", summary["status"]))

    def all(self, kind: str) -> list[Any]:
        return [value for name, value in self.heard if name == kind]


class Raising(Silence):
    def row(self, row: Mapping[str, Any]) -> None:
        raise OSError("the tracker's server is gone")


class Leaving(Silence):
    def row(self, row: Mapping[str, Any]) -> None:
        raise SystemExit(3)


class Hanging(Silence):
    def row(self, row: Mapping[str, Any]) -> None:
        threading.Event().wait()


class Slow(Silence):
    def row(self, row: Mapping[str, Any]) -> None:
        time.sleep(0.2)


class Meddling(Silence):
    """Changes whatever it is given."""

    def row(self, row: Any) -> None:
        row.clear()

    def evaluated(self, row: Any) -> None:
        row["return_mean"] = 1e9

    def episodes(self, name: str, episodes: Any) -> None:
        for episode in episodes:
            episode["actions"].clear()


def weights(path: Path) -> list[str]:
    folder = checkpoints(path / "checkpoints")[-1]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.rglob("*.safetensors"))]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    return peripatos.run(write_scenario(folder), SHORT, out=folder / "run").path


def test_a_listener_hears_what_the_run_directory_holds(tmp_path: Path) -> None:
    ear = Hearing()
    run = peripatos.run(write_scenario(tmp_path), SHORT, out=tmp_path / "run", listeners=[ear])
    assert ear.all("began") == [(run.path, "tiny")]
    assert [json.loads(json.dumps(row)) for row in ear.all("row")] == run.metrics
    assert [json.loads(json.dumps(row)) for row in ear.all("evaluated")] == run.evaluations
    assert ("000006-test", 3) in ear.all("episodes")
    assert ear.all("saved")[-1] == "000006"
    assert ear.heard[-1] == ("ended", "done")


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (Raising, "listener Raising raised OSError: the tracker's server is gone: it is told nothing more"),
        (Leaving, "listener Leaving raised SystemExit: 3: it is told nothing more"),
        (Hanging, "listener Hanging has not come to its end in 0.5 s: it is told nothing more"),
        (Slow, None),
        (Meddling, None),
    ],
)
def test_whatever_a_listener_does_one_line_is_said_and_the_run_is_the_same(
    make: Callable[[], Any],
    complaint: str | None,
    plain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    limits = {"waiting": 1000, "patience": 0.5 if make is Hanging else PATIENCE}
    monkeypatch.setattr(listeners.Aside.__init__, "__kwdefaults__", limits)
    run = peripatos.run(write_scenario(tmp_path), SHORT, out=tmp_path / "run", listeners=[make()], quiet=False)
    assert weights(run.path) == weights(plain)
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        assert rows(run.path / name) == rows(plain / name)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("listener")]
    assert len(said) == (complaint is not None)
    assert complaint is None or said[0].startswith(complaint)


def test_one_that_is_too_far_behind_is_given_up() -> None:
    said: list[str] = []
    aside = Aside(Hanging(), said.append, waiting=3, patience=0.1)
    for _ in range(50):
        aside.tell("row", {})
    aside.close()
    assert said == ["listener Hanging is 3 messages behind: it is told nothing more; the run goes on"]
