"""The folder of a run that could not begin is afterwards as it was before."""

from __future__ import annotations

import signal
from pathlib import Path
from unittest.mock import Mock

import pytest
from scenarios_runs import TINY, command, write_scenario

from peripatos.scenarios.run import runner
from peripatos.scenarios.run.signals import Stopped


@pytest.mark.parametrize("place", ["new", "a folder", "a link"])
def test_who_is_stopped_before_the_first_summary_leaves_the_place_as_it_was(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, out = write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 1")), tmp_path / "out"
    theirs = {"new": None, "a folder": out, "a link": tmp_path / "theirs"}[place]
    if theirs is not None:
        theirs.mkdir()
    if place == "a link":
        out.symlink_to(theirs)

    def stopped(*given: object) -> None:
        assert (out / "scenario.yaml").exists()
        raise Stopped(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(runner, "make_policy", stopped)
        assert command("run", scenario, "--out", out, "-q") == 130
    assert "resume" not in capsys.readouterr().err
    assert (out.exists(), out.is_symlink()) == (theirs is not None, place == "a link")
    assert theirs is None or [*theirs.iterdir()] == []
    assert command("run", scenario, "--out", out, "-q") == 0
    assert (out / "summary.json").exists()


def test_who_is_stopped_before_the_first_summary_gives_back_the_name_of_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 1"))
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(runner, "make_policy", Mock(side_effect=Stopped(signal.SIGINT)))
        assert command("run", scenario, "-q") == 130
    assert [*(tmp_path / "runs").iterdir()] == []
