"""Plain text is learned from alone, by `sft`, and beside reinforcement: whole runs, and what is refused."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from scenarios_runs import command, rows, write_scenario

from peripatos.agents.language.chat_template import Renderer

ALONE = """\
name: read
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
sampling: {max_tokens: 3}
stages:
  - name: read
    method: sft
    demonstrations: {text: FILE}
    collect: {groups: 2}
    optimizer: {lr: 1e-2}
    budget: {epochs: 2}
evaluation: {episodes: 4}
log: {episodes: 2}
"""
BESIDE = """\
name: beside
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
sampling: {max_tokens: 3}
stages:
  - name: learn
    method: grpo
    demonstrations: {text: FILE}
    collect: {groups: 4, group_size: 2}
    overrides: {update: {imitation_coefficient: 1.0, minibatches: 2}}
    optimizer: {lr: 1e-2}
    budget: {updates: 4}
evaluation: {episodes: 4}
checkpoint: {every: 2}
"""
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away"]


def book(path: Path, words: int = 300) -> Path:
    draw = random.Random(0)
    path.write_text(" ".join(draw.choice(WORDS) for _ in range(words)))
    return path


def refused(path: Path, change: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert command("run", path, "--dry-run", "--set", change) == 2
    return " ".join(capsys.readouterr().err.split())


def test_a_text_is_read_in_windows_as_often_as_there_are_epochs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = book(tmp_path / "book.txt")
    tokens = len(text.read_text())  # one for each character
    windows = -(-(tokens - 1) // 511)
    path, run = write_scenario(tmp_path, ALONE.replace("FILE", str(text))), tmp_path / "run"
    assert command("run", path, "--out", run) == 0
    said = capsys.readouterr().err
    assert f"read: 1 text in {windows} windows of up to 512 tokens, of which {tokens - 1:,} are learned in one" in said
    seen = rows(run / "metrics.jsonl")
    assert len(seen) == windows  # two passes, two windows an update
    assert seen[-1]["action_units"] == 2 * (tokens - 1)
    assert seen[-1]["env_steps"] == 0
    assert seen[-1]["policy/logp"] > seen[0]["policy/logp"] + 0.5
    kept = [json.loads(line) for line in next(run.glob("episodes/*-train.jsonl")).read_text().splitlines()]
    assert all(episode["messages"][0]["content"] in text.read_text() for episode in kept)


def test_texts_are_imitated_beside_and_a_resume_changes_no_bit(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": f"{a} {b} {a}"}) + "\n" for a in WORDS for b in WORDS))
    path, whole, parted = (
        write_scenario(tmp_path, BESIDE.replace("FILE", str(corpus))),
        tmp_path / "whole",
        tmp_path / "parted",
    )
    assert command("run", path, "--out", whole, "-q") == 0
    assert command("run", path, "--out", parted, "-q", "--set", "stages.learn.budget.updates=2") == 0
    assert command("resume", parted, "-q", "--set", "stages.learn.budget.updates=4") == 0
    seen = rows(whole / "metrics.jsonl")
    assert seen[-1]["imitation/loss"] < seen[0]["imitation/loss"] - 0.5
    assert (seen[0]["env_steps"], seen[0]["batch/rows"]) == (4 * 2, 4 * 2)  # a text is a step of no world
    assert rows(parted / "metrics.jsonl") == seen
    saved = [run / "checkpoints" / "000004" / "policy" / "model.safetensors" for run in (whole, parted)]
    assert saved[0].read_bytes() == saved[1].read_bytes()


def test_texts_in_which_nothing_is_learned_are_counted_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"text": "a"}\n{"text": "one"}\n{"text": ""}\n')
    path = write_scenario(tmp_path, ALONE.replace("FILE", str(corpus)))
    assert command("run", path, "--dry-run") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"2 of 3 texts have no token behind the first, and are left out; the first is {corpus}:1" in said
    corpus.write_text('{"text": "a"}\n')
    assert command("run", path, "--dry-run") == 2
    assert "none of the 1 texts has two tokens" in " ".join(capsys.readouterr().err.split())


def test_a_run_encodes_a_text_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded, plain = list[str](), Renderer.plain
    monkeypatch.setattr(Renderer, "plain", lambda self, text: encoded.append(text) or plain(self, text))
    text = book(tmp_path / "book.txt", 20)
    short = ALONE.replace("FILE", str(text)).replace("groups: 2", "groups: 1").replace("epochs: 2", "epochs: 1")
    assert command("run", write_scenario(tmp_path, short), "--out", tmp_path / "run", "-q") == 0
    assert encoded == [text.read_text()]


def test_what_changes_how_a_text_is_learned_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "book.txt"
    text.write_text("x" * 97 + "\u4e2d\u6587\u4e2d")  # 99 tokens behind the first, of which 3 are unknown
    for scenario in (ALONE, BESIDE):
        path = write_scenario(tmp_path, scenario.replace("FILE", str(text)))
        assert command("run", path, "--dry-run") == 0
        plain = " ".join(capsys.readouterr().err.split())
        changes = ["--set", "sampling.temperature=0.1", "--set", "sampling.top_p=0.9"]
        assert command("run", path, "--dry-run", *changes) == 0
        said = " ".join(capsys.readouterr().err.split())
        assert "3 of 99 (3.0%) of the tokens that are learned are <|unknown|>" in plain
        assert "(sampling.temperature 0.1, sampling.top_p 0.9); pre-training is at temperature 1" in said
        assert "pre-training" not in plain
        assert ("an update learns 2 windows (collect.groups), each of the 1 about 2 times" in plain) == (
            scenario is ALONE
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("collect.group_size=2", "reads what is written, each part once, and collect.group_size is 2; leave it out"),
        ("budget={env_steps: 10}", "budget.env_steps counts steps of a world, of which it makes none; give updates"),
        ("demonstrations.text=none.txt", "demonstrations.text: cannot read none.txt: there is no such file"),
        ("demonstrations.chats=x.jsonl", "have one of agent, chats, pairs and text, and here are chats and text"),
        ("method=reward_model", "compares replies, and demonstrations.text has no replies; write demonstrations"),
        ("collect.staleness=2", "(sft) reads what is written, which has no age; leave it out"),
        ("overrides.update.minibatches=3", "update.minibatches is 3, and a batch has at most 2 windows"),
        ("overrides.update.observation_coefficient=1", "is for what a world answers, and a text is learned as a whole"),
    ],
)
def test_what_a_text_cannot_be_is_refused_when_the_scenario_is_read(
    change: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scenario(tmp_path, ALONE.replace("FILE", str(book(tmp_path / "book.txt", 10))))
    assert words in refused(path, f"stages.read.{change}", capsys)


def test_a_body_and_several_worlds_read_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_scenario(tmp_path, ALONE.replace("FILE", str(book(tmp_path / "book.txt", 10))))
    body = ["--set", "world={id: CartPole-v1}", "--set", "agent={kind: mlp}", "--set", "sampling=null"]
    assert command("run", path, "--dry-run", *body) == 2
    assert "texts are for agents that speak" in " ".join(capsys.readouterr().err.split())
    two = path.read_text().replace("world: {", "worlds:\n  - {").replace("bare}}", "bare}}\n  - {id: X}", 1)
    two = two.replace("{id: X}", "{id: peripatos/Arithmetic-v0, name: other}")
    path.write_text(two.replace("epochs: 2", "updates: 2"))
    assert command("run", path, "--dry-run") == 2
    assert "texts are of no world" in " ".join(capsys.readouterr().err.split())


def test_conversations_are_learned_once_an_update_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chats = tmp_path / "chats.jsonl"
    chats.write_text(json.dumps({"prompt": "1+1=", "completion": "2"}) + "\n")
    path = write_scenario(tmp_path, ALONE.replace("text: FILE", f"chats: {chats}"))
    said = refused(path, "stages.read.collect.group_size=4", capsys)
    assert "each part once, and collect.group_size is 4; leave it out (collect.groups is how many conversations" in said
    beside = write_scenario(tmp_path, BESIDE.replace("text: FILE", f"chats: {chats}"))
    assert command("run", beside, "--dry-run") == 0  # there it is of the agent's own episodes


def test_a_curriculum_gives_texts_no_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_scenario(tmp_path, BESIDE.replace("FILE", str(book(tmp_path / "book.txt", 10))))
    said = refused(path, "stages.learn.collect.curriculum={}", capsys)
    assert "demonstrations.text come in turn, by the numbers of groups, and a curriculum gives other numbers" in said
