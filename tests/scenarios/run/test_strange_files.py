"""Run directories from strangers: links out of them, pipes and devices, files without an end, text for the terminal."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from scenarios_runs import TINY, command, write_scenario

from peripatos.envs.errors import UserError
from peripatos.scenarios.run.checkpoint import write_manifest
from peripatos.scenarios.run.run_directory import RunDirectory
from peripatos.scenarios.run.sealed import sealed
from peripatos.scenarios.run.strange_files import MAX_LOG, MAX_SETTINGS

HOSTILE = "a\x1b[2J\x1b]0;owned\x07\x9b31m\u202ered\r\x08b"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    command("run", str(write_scenario(folder, TINY)), "--out", str(folder / "run"), "-q")
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def entries(run: Path) -> list[str]:
    return sorted(path.relative_to(run).as_posix() for path in run.rglob("*"))


def test_a_link_that_leads_out_of_a_run_is_refused_wherever_it_is(run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious\n")
    for name in entries(run):
        path, kept = run / name, tmp_path / "kept"
        target = outside if path.is_dir() else outside / "precious"
        path.rename(kept)
        path.symlink_to(target)
        with pytest.raises(UserError, match=r"is a link to .* outside of the run|is not a run") as caught:
            RunDirectory.open(run)
        assert path.name in str(caught.value)
        path.unlink()
        kept.rename(path)
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_text() == "precious\n"


def test_a_link_that_climbs_out_by_its_name_or_by_another_link_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (run / "notes").symlink_to("../outside")
    with pytest.raises(UserError, match="outside of the run"):
        RunDirectory.open(run)
    (run / "notes").unlink()
    (run / "inner").symlink_to("inner2")
    (run / "inner2").symlink_to(tmp_path / "not yet there")  # what is written there would be made
    with pytest.raises(UserError, match="outside of the run"):
        RunDirectory.open(run)


def test_links_within_a_run_and_a_link_to_a_run_are_nothing_strange(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "newest").symlink_to("checkpoints")
    (tmp_path / "link").symlink_to(run)
    RunDirectory.open(tmp_path / "link")
    (run / "data").symlink_to(tmp_path)
    with pytest.raises(UserError, match="PERIPATOS_TRUST=1"):
        RunDirectory.open(run)
    monkeypatch.setenv("PERIPATOS_TRUST", "1")
    RunDirectory.open(run)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_in_the_place_of_any_file_is_refused(
    kind: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERIPATOS_TRUST", "1")
    for name in [name for name in entries(run) if (run / name).is_file()]:
        path, kept = run / name, tmp_path / "kept"
        path.rename(kept)
        os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
        with pytest.raises(UserError, match=r"neither a file nor a folder|is not a run"):
            RunDirectory.open(run)
        path.unlink()
        kept.rename(path)


def test_a_file_that_is_too_long_to_be_read_is_refused(run: Path) -> None:
    for name in [name for name in entries(run) if name.endswith((".jsonl", ".json", ".yaml"))]:
        path = run / name
        size = path.stat().st_size
        os.truncate(path, 1 + (MAX_LOG if name.endswith(".jsonl") else MAX_SETTINGS))
        with pytest.raises(UserError, match="are read of such a file"):
            RunDirectory.open(run)
        os.truncate(path, size)
    RunDirectory.open(run)


@pytest.mark.parametrize("name", ["progress.json", "policy/policy.json", "learner/learner.json", "manifest.json"])
def test_json_that_is_nested_without_end_is_a_damaged_checkpoint(
    name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for checkpoint in (run / "checkpoints").glob("0*"):
        (checkpoint / name).write_text("[" * 100_000 + "]" * 100_000)
        if name != "manifest.json":
            write_manifest(checkpoint)
    assert command("evaluate", str(run), "--episodes", "1") == 2
    assert "Traceback" not in "".join(capsys.readouterr())


def hostile(value: object) -> object:
    if isinstance(value, dict):
        return {f"{key}{HOSTILE}": hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


def test_no_text_of_a_forged_run_reaches_the_terminal_as_a_control_character(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for log in (run / "metrics.jsonl", run / "evaluations.jsonl"):
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        log.write_text("".join(json.dumps({**row, f"x{HOSTILE}": 1.0, "stage": HOSTILE}) + "\n" for row in rows))
    for file in (run / "environment.json", run / "summary.json"):
        found = json.loads(file.read_text())
        found.pop("sha256", None)
        kept = {name: found[name] for name in ("format", "status") if name in found}
        file.write_text(json.dumps(sealed({**{name: hostile(item) for name, item in found.items()}, **kept})))
    for checkpoint in (run / "checkpoints").glob("0*"):
        progress = json.loads((checkpoint / "progress.json").read_text())
        (checkpoint / "progress.json").write_text(json.dumps({**progress, "state": HOSTILE, "first_failure": HOSTILE}))
        write_manifest(checkpoint)
    (run / "checkpoints" / f"000009{HOSTILE}").mkdir()
    (run / f"x{HOSTILE}").symlink_to("metrics.jsonl")
    for words in (("evaluate", "--episodes", "1"), ("show",), ("resume",), ("rescore",)):
        command(words[0], str(run), *words[1:])
    shown = "".join(capsys.readouterr())
    assert shown
    assert not {sign for sign in shown if unicodedata.category(sign) in ("Cc", "Cf") and sign not in "\n\t"}
    assert "Traceback" not in shown
