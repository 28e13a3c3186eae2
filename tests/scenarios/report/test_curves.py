"""A run that is done and was stopped before its learning curve was drawn: that is said, and a resume draws it."""

from __future__ import annotations

import errno
import json
import signal
from pathlib import Path

import pytest
from scenarios_runs import TINY, command, finish, start, write_scenario

import peripatos
from peripatos.scenarios.commands import run as run_command
from peripatos.scenarios.report import curves
from peripatos.scenarios.run import signals
from peripatos.scenarios.run.signals import Stopped

SHORT = TINY.replace("updates: 12", "updates: 2")
IN_FIGURE = """
import os, signal
from peripatos.scenarios.report import curves
def stopped(run):
    os.kill(os.getpid(), signal.SIGNAL)
    raise ImportError("a library was cut off")
curves.draw_learning_curve = stopped
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was killed when only its curve was to be drawn; the temporary folder is the current one."""
    monkeypatch.chdir(tmp_path)
    assert command("run", write_scenario(tmp_path, SHORT), "--out", "run", "-q") == 0
    Path("run/curves.png").unlink()
    return Path("run")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_curve_is_drawn_says_that_the_run_is_done(number: signal.Signals, tmp_path: Path) -> None:
    process = start(
        *("run", write_scenario(tmp_path, SHORT), "--out", "run", "-q"),
        cwd=tmp_path,
        prelude=IN_FIGURE.replace("SIGNAL", number.name),
    )
    said = "stopped; the run is done, and only its learning curve is missing: peripatos resume run draws it\n"
    assert finish(process) == (128 + number, "", said)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "done"


@pytest.mark.parametrize("broken", [Stopped(15), ImportError("a library was cut off")])
def test_a_run_that_is_stopped_as_it_is_drawn_or_told_of_is_done(
    broken: BaseException, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*given: object) -> None:
        signals._asked_to_end.append(15)
        raise broken

    with monkeypatch.context() as patched:
        patched.setattr(curves, "draw_learning_curve", stopped)
        assert command("resume", run, "-q") == 143
    assert capsys.readouterr().err.endswith("only its learning curve is missing: peripatos resume run draws it\n")
    with monkeypatch.context() as patched:
        patched.setattr(run_command, "_report", stopped)
        assert command("resume", run, "-q") == 143
    assert capsys.readouterr().err.endswith("stopped; the run is done: peripatos resume run tells of it again\n")


def test_ctrl_c_from_python_while_the_curve_is_drawn_says_that_the_run_is_done(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(curves, "draw_learning_curve", stopped)
    with pytest.raises(Stopped, match="only its learning curve is missing"):
        peripatos.load_run(run).resume()


def test_a_mistake_while_the_curve_is_drawn_is_no_stop(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> None:
        raise KeyError("reward/mean")

    monkeypatch.setattr(curves, "draw_learning_curve", broken)
    with pytest.raises(KeyError):
        peripatos.load_run(run).resume()


@pytest.mark.parametrize("python", [False, True])
def test_a_resume_of_a_run_that_is_done_draws_the_curve_that_it_lacks_and_no_other(python: bool, run: Path) -> None:
    def resume() -> None:
        if python:
            peripatos.load_run(run).resume()
        else:
            assert command("resume", run) == 0

    resume()
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    (run / "curves.png").write_bytes(b"mine")
    resume()
    assert (run / "curves.png").read_bytes() == b"mine"


def test_a_curve_of_the_run_when_it_was_shorter_is_not_left_where_the_new_one_cannot_be_written(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (run / "curves.png").write_bytes(b"of two updates")
    with monkeypatch.context() as patched:
        patched.setattr(curves, "write_bytes", full)
        assert command("resume", run, "--set", "stages.learn.budget.updates=3") == 0
    assert "only its learning curve could not be written ([Errno 28]" in (err := capsys.readouterr().err)
    assert "peripatos resume run draws it" in err
    assert command("resume", run) == 0
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
