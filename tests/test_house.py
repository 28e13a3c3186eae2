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
STARTS = ROOT / "scenarios" / "starts"  # packages of their own, which a user goes on with
SOURCES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py") if not path.is_relative_to(STARTS))


def module_of(path: Path) -> tuple[str, ...]:
    parts = ("peripatos", *path.relative_to(ROOT).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


FILES = {module_of(path): path for path in SOURCES}


def imports(path: Path, text: str | None = None) -> Iterator[tuple[Path, int]]:
    """Each of our files that a file imports, at any depth of its code and under TYPE_CHECKING too, and where."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path)[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8") if text is None else text)):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = (*base, *(node.module.split(".") if node.module else ()))
            names = [(*stem, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        else:
            continue
        for name in names:
            found = FILES.get(name) or FILES.get(name[:-1])  # a module, or something in one
            if found is not None:
                yield found, node.lineno


def folder(path: Path, depth: int) -> str:
    return "/".join(path.relative_to(ROOT).parts[:depth])


GRAPH = {path: [found for found, _ in imports(path)] for path in SOURCES}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    allowed = BELOW.get(folder(path, 1), set(LAYERS))
    wrong = [
        f"line {line} imports {folder(found, 9)}" for found, line in imports(path) if folder(found, 1) not in allowed
    ]
    assert not wrong


def circle(graph: dict[Path, list[Path]]) -> list[Path]:
    """Files that import each other, the first again at the end; empty if there are none."""
    done: set[Path] = set()

    def walk(path: Path, way: list[Path]) -> list[Path]:
        if path in way:
            return [*way[way.index(path) :], path]
        if path not in done:
            for found in graph[path]:
                if way_round := walk(found, [*way, path]):
                    return way_round
            done.add(path)
        return []

    return next((way for path in graph if (way := walk(path, []))), [])


def test_no_files_import_each_other() -> None:
    assert not [str(path.relative_to(ROOT)) for path in circle(GRAPH)]


def test_a_circle_is_found_also_where_a_part_of_it_is_for_type_checkers_only() -> None:
    runner, stage = ROOT / "scenarios/run/runner.py", ROOT / "scenarios/run/stage.py"
    text = "if TYPE_CHECKING:\n    from .runner import Runner\n"
    back = [found for found, _ in imports(stage, text)]
    assert back == [runner]
    assert circle({**GRAPH, stage: back}) in ([runner, stage, runner], [stage, runner, stage])


def test_no_shelf_of_worlds_imports_another() -> None:
    for path in (ROOT / "envs" / "worlds").rglob("*/*.py"):
        for found, line in imports(path):
            if folder(found, 2) == "envs/worlds":
                assert folder(found, 3) == folder(path, 3), f"{folder(path, 9)}, line {line}"


def test_a_run_imports_nothing_of_its_reports() -> None:
    for path in (ROOT / "scenarios" / "run").rglob("*.py"):
        for found, line in imports(path):
            assert folder(found, 2) != "scenarios/report", f"{folder(path, 9)}, line {line}"


def test_the_walk_over_imports_sees_every_layer_that_a_file_imports() -> None:
    seen = {folder(found, 1) for found, _ in imports(ROOT / "scenarios" / "run" / "stage.py")}
    assert seen == set(LAYERS)


def test_algorithms_know_protocols_and_no_concrete_agent() -> None:
    known = {"agents/protocols.py", "agents/threads.py", "agents/running_moments.py"}
    for path in (ROOT / "algorithms").rglob("*.py"):
        for found, line in imports(path):
            if folder(found, 1) == "agents":
                assert folder(found, 9) in known, f"{path.name}, line {line}"


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
    if path.parent.name == "inside":  # runs in the sandbox, where running text is the purpose
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec"), f"line {node.lineno}"
        if isinstance(node, ast.Import):
            assert not {alias.name for alias in node.names} & {"pickle", "dill", "cloudpickle", "shelve"}
