"""The rules of the house: who imports whom, how long things are, and that the wheel will hold every module."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("envs", "agents", "algorithms", "scenarios")  # each may import those to its left
BELOW = {"envs": {"envs"}, "agents": {"envs", "agents"}, "algorithms": {"envs", "agents", "algorithms"}}
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
SOURCES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def imported_layers(path: Path) -> Iterator[tuple[str, int]]:
    """Which of our packages a file imports, at any depth of its code, and where."""
    package = ("peripatos", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = (*base, *(node.module.split(".") if node.module else ()))
            names = [(*stem, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "peripatos" and len(name) > 1 and name[1] in LAYERS:
                yield name[1], node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    allowed = BELOW.get(layer, set(LAYERS))
    wrong = [f"line {line} imports {name}" for name, line in imported_layers(path) if name not in allowed]
    assert not wrong


def test_the_walk_over_imports_sees_an_import_that_goes_the_wrong_way(tmp_path: Path) -> None:
    seen = set(imported_layers(ROOT / "scenarios" / "build.py"))
    assert {name for name, _ in seen} == set(LAYERS)


def test_algorithms_know_protocols_and_no_concrete_agent() -> None:
    for path in (ROOT / "algorithms").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("agents"):
                assert node.module in ("agents.protocols", "agents.threads"), f"{path.name}, line {node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


def test_no_module_is_named_after_one_of_the_standard_library() -> None:
    assert not [str(path) for path in SOURCES if path.stem in sys.stdlib_module_names]


def test_every_package_is_listed_for_the_wheel() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    present = {".".join(("peripatos", *path.relative_to(ROOT).parent.parts)) for path in SOURCES}
    assert present <= listed


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert path.name == "__init__.py" or ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_evaluates_text_or_unpickles(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec"), f"line {node.lineno}"
        if isinstance(node, ast.Import):
            assert not {alias.name for alias in node.names} & {"pickle", "dill", "cloudpickle", "shelve"}
