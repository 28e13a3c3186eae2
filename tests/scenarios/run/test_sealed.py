"""JSON files that carry their own digest."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from safetensors.numpy import save_file
from scenarios_runs import progress

from peripatos.scenarios.run.checkpoint import BadCheckpoint, verify, write_manifest
from peripatos.scenarios.run.disk import write_json
from peripatos.scenarios.run.sealed import BrokenSeal, read_sealed, sealed

VALUE = {"status": "done", "numbers": [1, 0.1, 1e300, None], "words": "é \ud83d\ude00", "inside": {"b": 1, "a": (2, 3)}}


def test_what_was_sealed_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", sealed(VALUE))
    assert read_sealed(tmp_path / "a.json") == json.loads(json.dumps(VALUE))


def test_each_changed_value_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, sealed(VALUE))
    whole, rng, equal = path.read_bytes(), random.Random(0), 0
    for _ in range(200):
        at = rng.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
        try:
            assert read_sealed(path) == json.loads(json.dumps(VALUE))  # a space became a tab
            equal += 1
        except BrokenSeal:
            pass
    assert equal < 100


@pytest.mark.parametrize("text", ["", "[]", "null", "5", '"x"', "{}", '{"status": "done"}', "[" * 100_000, "\x00"])
def test_what_is_no_such_file_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BrokenSeal, match="is damaged"):
        read_sealed(tmp_path / "a.json")


@pytest.mark.parametrize(
    "text",
    [
        '{"format": "peripatos checkpoint 2", "files": []}',
        '{"format": "peripatos checkpoint 2", "files": {"progress.json": "x"}}',
        '{"format": "peripatos checkpoint 2", "files": {}}',
        '{"format": 2, "files": {}}',
        "[]",
        "null",
    ],
)
def test_a_manifest_of_another_shape_is_no_manifest(text: str, tmp_path: Path) -> None:
    write_json(tmp_path / "progress.json", progress())
    save_file({}, tmp_path / "actor.safetensors")
    write_manifest(tmp_path)
    verify(tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BadCheckpoint):
        verify(tmp_path)
