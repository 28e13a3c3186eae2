"""Conversations and pairs that are too long for the model are counted before the first step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import command, write_scenario

SCENARIO = """\
name: written
world: {id: peripatos/Arithmetic-v0}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
stages:
  - name: imitate
    method: METHOD
    demonstrations: {KIND: rows.jsonl}
    collect: {groups: 2}
    budget: {updates: 1}
evaluation: {episodes: 4}
"""
LONG, SHORT = "x" * 600, "y"  # the context holds 512 bytes


def pair(prompt: str, chosen: str, rejected: str) -> dict[str, str]:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def turns(*said: str) -> dict[str, Any]:
    return {"messages": [{"role": ("user", "assistant")[n % 2], "content": one} for n, one in enumerate(said)]}


def rehearse(folder: Path, kind: str, rows: list[dict[str, Any]]) -> int:
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    text = SCENARIO.replace("KIND", kind).replace("METHOD", {"pairs": "dpo", "chats": "sft"}[kind])
    return command("run", write_scenario(folder, text), "--dry-run")


@pytest.fixture(autouse=True)
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("kind", "rows", "words"),
    [
        (
            "pairs",
            [pair("a", LONG, SHORT), pair("b", SHORT, LONG + "x"), pair(LONG, SHORT, "z"), pair("c", SHORT, "z")],
            "imitate: 3 of 4 pairs do not fit into the model's context of 512 tokens",
        ),
        (
            "chats",
            [turns("a", SHORT, "b", LONG), turns(LONG, SHORT), turns("c", SHORT)],
            "imitate: 2 of 3 conversations do not fit into the model's context of 512 tokens",
        ),
    ],
)
def test_what_is_too_long_is_counted_and_the_longest_named(
    kind: str, rows: list[dict[str, Any]], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rehearse(tmp_path, kind, rows) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert words in said
    longest = "rows.jsonl:2, rejected, has 6" if kind == "pairs" else "rows.jsonl:1, has 6"
    assert f"(the longest, {longest}" in said
    assert said.count("left out") == 1


@pytest.mark.parametrize(
    ("kind", "rows", "words"),
    [
        ("pairs", [pair("a", LONG, SHORT), pair("b", SHORT, LONG)], "none of the pairs (2) fits into"),
        ("chats", [turns(LONG, SHORT)], "none of the conversations (1) fits into"),
    ],
)
def test_where_nothing_is_left_the_file_is_refused(
    kind: str, rows: list[dict[str, Any]], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rehearse(tmp_path, kind, rows) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert words in said
    assert "tiny.yaml, line 7, column 22" in said
    assert "rows.jsonl:1" in said


@pytest.mark.parametrize(
    ("kind", "rows"), [("pairs", [pair("a", SHORT, "z")]), ("chats", [turns("a", SHORT, "b", SHORT)])]
)
def test_of_what_fits_nothing_is_said(
    kind: str, rows: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rehearse(tmp_path, kind, rows) == 0
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "rows", "words"),
    [
        ("pairs", [pair("a", SHORT, "z"), {"prompt": "a", "chosen": "b"}], "pairs: rows.jsonl:2 has no 'rejected'"),
        ("pairs", [pair("a", SHORT, SHORT)], "pairs: rows.jsonl:1: chosen and rejected are equal"),
        ("chats", [turns("a", SHORT), turns("a")], "chats: rows.jsonl:2: nobody replies"),
        ("chats", [], "chats: rows.jsonl holds no rows"),
    ],
)
def test_a_row_that_is_none_is_said_with_its_line_and_the_key_that_names_the_file(
    kind: str, rows: list[dict[str, Any]], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rehearse(tmp_path, kind, rows) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"tiny.yaml, line 7, column 22: demonstrations.{words}" in said
    assert "task" not in said
