"""A world that `peripatos init` has written is tested, checked, learned in, and listed where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scenarios_runs import finish, start

from peripatos.envs.errors import UserError
from peripatos.scenarios.start import begin, kinds


def ran(folder: Path, *command: str, **more: str) -> str:
    """What a command said that ended well."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, env={**os.environ, **more}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", kinds())
def test_what_is_written_passes_its_own_tests_and_the_check(kind: str, tmp_path: Path) -> None:
    made = begin("word_games", kind, tmp_path)
    folder = tmp_path / "word_games"
    assert {"word_games.py", "test_word_games.py", "scenario.yaml", "README.md"} <= {path.name for path in made}
    assert not any("my_world" in path.read_text() or "MyWorld" in path.read_text() for path in made)
    ran(folder, "pytest", "-q", "-p", "no:cacheprovider")
    ran(folder, "peripatos", "check", "word_games:WordGames")
    ran(folder, "peripatos", "run", "scenario.yaml", "--dry-run")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["control", "dataset"])
def test_its_scenario_learns(kind: str, tmp_path: Path) -> None:
    begin("word_games", kind, tmp_path)
    ran(tmp_path / "word_games", "peripatos", "run", "scenario.yaml", "--out", "run", "--quiet", OMP_NUM_THREADS="1")
    rows = [json.loads(line) for line in (tmp_path / "word_games/run/evaluations.jsonl").read_text().splitlines()]
    tested = [row["return_mean"] for row in rows if row["set"] == "test"]
    assert tested[-1] > tested[0] + (20 if kind == "control" else 0.2)


@pytest.mark.parametrize(("kind", "listed"), [("tool", "conversation"), ("control", "control")])
def test_where_it_is_installed_it_is_listed(kind: str, listed: str, tmp_path: Path) -> None:
    begin("word_games", kind, tmp_path)
    packages = tmp_path / "packages"
    told = packages / "word_games-0.1.0.dist-info"  # what an installer leaves
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: word_games\nVersion: 0.1.0\n")
    (told / "entry_points.txt").write_text("[peripatos]\nword_games = word_games\n")
    (packages / "word_games.py").write_bytes((tmp_path / "word_games/word_games.py").read_bytes())
    table = json.loads(ran(tmp_path, "peripatos", "list", "worlds", "--json", PYTHONPATH=str(packages)))
    assert {row["world"]: row["kind"] for row in table}["word_games/WordGames-v0"] == listed


@pytest.mark.parametrize("name", ["Word", "word games", "../word", "1word", "", "w" * 61, "wört", "class"])
def test_a_name_that_is_no_package_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no name of a package|is Python's"):
        begin(name, "language", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["random", "numpy", "peripatos"])
def test_a_name_that_another_package_has_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another package's name"):
        begin(name, "language", tmp_path)


def test_a_folder_that_cannot_be_written_is_said_and_half_a_world_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="word_games cannot be written"):
        begin("word_games", "language", tmp_path / "nowhere")
    write = Path.write_text

    def full(path: Path, text: str, **how: str) -> int:
        if path.name == "scenario.yaml":
            raise OSError(28, "No space left on device")
        return write(path, text, **how)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="No space left on device"):
        begin("word_games", "language", tmp_path)
    assert not list(tmp_path.iterdir())


STOPPED = """
import os, pathlib, signal
write, begun = pathlib.Path.write_text, []
def stopped(path, text, **how):
    begun.append(path)
    written = write(path, text, **how)
    if len(begun) == 2:
        os.kill(os.getpid(), signal.SIGTERM)
    return written
pathlib.Path.write_text = stopped
"""


def test_who_is_stopped_as_a_world_is_written_begins_again_with_the_same_command(tmp_path: Path) -> None:
    code, _, err = finish(start("init", "word_games", cwd=tmp_path, prelude=STOPPED))
    assert (code, err) == (143, "stopped; the same command begins again\n")
    assert not list(tmp_path.iterdir())
    (tmp_path / ".unfinished-1" / "word_games").mkdir(parents=True)  # left by a kill
    code, out, _ = finish(start("init", "word_games", cwd=tmp_path))
    assert (code, all(Path(tmp_path, line).is_file() for line in out.splitlines()[:-1])) == (0, True)
    assert finish(start("init", "word_games", cwd=tmp_path))[0] == 2


def test_who_is_stopped_as_a_world_that_is_written_is_told_of_hears_that_it_is_written(tmp_path: Path) -> None:
    prelude = """
import os, signal
from peripatos.scenarios.commands import init
init._class_of = lambda made: os.kill(os.getpid(), signal.SIGTERM)
"""
    code, _, err = finish(start("init", "word_games", cwd=tmp_path, prelude=prelude))
    assert (code, err) == (143, "stopped; word_games is written all the same\n")
    assert (tmp_path / "word_games" / "README.md").is_file()


def test_nothing_is_overwritten_and_the_nearest_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "word_games").mkdir()
    with pytest.raises(UserError, match="is there already"):
        begin("word_games", "language", tmp_path)
    with pytest.raises(UserError, match="Did you mean 'dataset'"):
        begin("other_games", "dataset_", tmp_path)
