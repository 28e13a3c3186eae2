"""The wheel holds everything: built, installed elsewhere, and run from outside of the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from harness import Zygote
from told_pages import Newcomer, pages

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]  # by way of the source distribution
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for layer in ("envs", "agents", "algorithms", "scenarios"):
        for path in (ROOT / layer).rglob("*"):
            if path.suffix in (".py", ".yaml", ".xml") and "__pycache__" not in path.parts:
                assert f"peripatos/{path.relative_to(ROOT).as_posix()}" in held
    assert not any(name.startswith(("tests/", "peripatos/tests/", "peripatos/benchmarks/")) for name in held)
    assert "peripatos/py.typed" in held


@pytest.mark.slow
def test_the_fourteen_questions_are_answered_by_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    packages, folder = tmp_path / "packages", tmp_path / "work"
    folder.mkdir()
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(packages), str(wheel)]
    subprocess.run(install, check=True, cwd=tmp_path)
    (folder / "where.py").write_text("import peripatos; print(peripatos.__file__)")
    with Zygote(PYTHONPATH=str(packages)) as zygote:
        page = pages()["questions"]
        newcomer = Newcomer(zygote, folder, page)
        newcomer.type(["where.py"], page[0])
        assert newcomer.said.startswith(str(packages))
        newcomer.come_to(page[-1])


@pytest.mark.slow
def test_the_quickstart_runs_from_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(wheel)]
    subprocess.run(install, check=True, cwd=tmp_path)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [str(python.parent / "peripatos"), "run", "quickstart", "--out", "run", "-q"]
    command += ["--set", "stages.reinforce.budget.updates=25"]  # of 120: enough to see that it learns
    subprocess.run(command, check=True, cwd=tmp_path, env=clean)
    stages = json.loads((tmp_path / "run" / "summary.json").read_text())["stages"]
    assert [stage["method"] for stage in stages] == ["sft", "grpo"]
    assert stages[0]["evaluation"]["after"]["success_rate"] >= 0.7
    assert stages[1]["evaluation"]["after"]["success_rate"] >= 0.85
