"""JSON files of a run that are valid, agree with their digests, and hold something of another form: each is named in a
sentence, and its checkpoint is stepped over like any damaged one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from damaged_runs import CONTROL, LANGUAGE, do
from scenarios_runs import write_scenario

import peripatos
from peripatos.envs.errors import UserError
from peripatos.scenarios.run.amend import prepare
from peripatos.scenarios.run.checkpoint import BadCheckpoint, verify, write_manifest
from peripatos.scenarios.run.noticed import Damaged
from peripatos.scenarios.run.run_directory import RunDirectory
from peripatos.scenarios.run.sealed import SEAL, read_sealed, sealed
from peripatos.scenarios.run.verified import find_standing, trusted_scenario

WHOLE = (None, {}, [], 3, "x")
FREE = {"generation_config.json", "tokenizer_config.json"}  # {} is a form of these
KINDS = {"control": CONTROL, "language": LANGUAGE}
MAY_CHANGE = {  # keys whose kind nobody needs, for the file is not read, or the library has a value of its own
    "config.json",
    "tokenizer.json",
    "generation_config.json",
    "tokenizer_config.json",
}


@pytest.fixture(scope="module", params=["control", pytest.param("language", marks=pytest.mark.slow)])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which the second checkpoint is forged, and the first is whole."""
    folder = tmp_path_factory.mktemp(request.param)
    done = peripatos.run(write_scenario(folder, KINDS[request.param]), out=folder / "run")
    return done.path


def forms(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Everything that a file is replaced with."""
    for value in WHOLE:
        yield json.dumps(value), value
    for key in found:
        yield f"no {key}", {name: value for name, value in found.items() if name != key}
        for other in (None, {"a": []}, "x", -1.5):
            if type(other) is not type(found[key]):
                yield f"{key}={other!r}", {**found, key: other}


def newest(run: Path) -> Path:
    return max((run / "checkpoints").glob("[0-9]*"))


def test_a_forged_file_of_a_checkpoint_is_named_and_stepped_over(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    folder = newest(copy)
    for path in sorted(folder.rglob("*.json")):
        name, text = path.relative_to(folder).as_posix(), path.read_text()
        if name == "manifest.json":
            continue
        for what, value in forms(json.loads(text)):
            if path.name in MAY_CHANGE and (
                "=" in what or what.startswith("no ") or (what == "{}" and path.name in FREE)
            ):
                continue
            if (name, what.partition("=")[0]) in OPTIONAL and what.endswith(("=None", "failure='x'")):
                continue
            if what == "no told":  # it is found out, as of a run of before it was noted
                continue
            path.write_text(json.dumps(value))
            write_manifest(folder)
            with pytest.raises(BadCheckpoint) as refused:
                verify(folder)
            assert name in str(refused.value), (name, what)
            assert "\n" not in str(refused.value)
            standing = find_standing(RunDirectory.open(copy))
            assert standing is not None
            assert standing.folder < folder, (name, what)
        path.write_text(text)
        write_manifest(folder)
    verify(folder)


OPTIONAL = {  # null is a value of these
    *(("progress.json", key) for key in ("best", "best_at", "latest", "first_failure")),
    ("learner/learner.json", "micro_batch"),
    ("policy/policy.json", "action_units"),
    ("policy/policy.json", "memory"),
    ("policy/policy.json", "symmetry"),
}


@pytest.mark.parametrize("name", ["manifest.json", "../../summary.json", "../../environment.json"])
def test_a_forged_file_beside_them_is_named_and_nothing_goes_on_with_it(run: Path, name: str, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    folder = newest(copy)
    path = (folder / name).resolve()
    text = path.read_text()
    whole = json.loads(text)
    for _, value in forms({key: part for key, part in whole.items() if key != SEAL}):
        forged = sealed(value) if isinstance(value, dict) and SEAL in whole else value
        path.write_text(json.dumps(forged))
        with pytest.warns(Damaged) if name.endswith("summary.json") else nullcontext():
            said = RunDirectory.open(copy).summary()
        with suppress(UserError):
            trusted_scenario(RunDirectory.open(copy))
            prepare(RunDirectory.open(copy))
        assert isinstance(said.get("status", ""), str)
    path.write_text(text)
    if SEAL in whole:
        read_sealed(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["progress.json", "learner/learner.json", "policy/policy.json", "policy/tokenizer.json"]
)
@pytest.mark.parametrize("value", WHOLE)
def test_every_command_says_so_without_a_traceback(run: Path, name: str, value: object, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    folder = newest(copy)
    if not (folder / name).exists():
        pytest.skip("the other kind of agent has it")
    (folder / name).write_text(json.dumps(value))
    write_manifest(folder)
    for command in ("evaluate", "show", "resume"):
        seen = do(copy, command, tmp_path)
        assert "Traceback" not in seen.err, seen.err[-2000:]
        assert seen.code in (0, 1, 2)
        assert seen.code == 0 or name in seen.err or command == "show", seen.err
