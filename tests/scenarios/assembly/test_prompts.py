"""Prompts that are too long for the model are told before the first step, by `run` and by `--dry-run`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from scenarios_runs import PATIENCE, command, rows, write_scenario

from peripatos.agents.language import chat_template
from peripatos.envs.conversation import ConversationEnv, Outcome, TaskWorld
from peripatos.envs.tools import ToolWorld
from peripatos.scenarios.assembly import prompts as prompt_lengths

SCENARIO = """\
name: overlong
world: {id: "test_prompts:WORLD", options: {lengths: LENGTHS}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 4}
stages:
  - name: learn
    method: reinforce
    collect: {groups: 4}
    budget: {updates: 1}
evaluation: {episodes: 4}
"""


def prompts(lengths: Sequence[int]) -> list[dict[str, str]]:
    asked = [
        {"prompt": f"{split} {n} ".ljust(length, "x"), "split": split}
        for split in ("train", "test")
        for n, length in enumerate(lengths)
    ]
    return [*asked, {"prompt": "validation", "split": "validation"}]  # or some for training would be set aside


def longer(reply: object, task: object) -> float:
    return float(len(reply.text))  # type: ignore[attr-defined]


class Letters(TaskWorld):
    """Tasks with prompts of so many letters."""

    def __init__(self, lengths: Sequence[int]) -> None:
        super().__init__(prompts(lengths), longer)


class Host:
    def __init__(self, task: object) -> None:
        self.task = task

    def look(self) -> str:
        """Look."""
        return "nothing"


class Tooled(ToolWorld):
    """The same, behind a system message of tools that takes 300 letters or more."""

    def __init__(self, lengths: Sequence[int]) -> None:
        super().__init__(prompts(lengths), Host, lambda host, task, reply: 1.0, timeout=None, tools_in_prompt=True)


class Unlisted(ConversationEnv):
    """A world that cannot say what it asks."""

    weights = {"reward": 1.0}  # noqa: RUF012

    def __init__(self, lengths: Sequence[int]) -> None:
        super().__init__()
        self.lengths = lengths

    def opening(self, rng: object, split: str) -> str:
        return "x" * self.lengths[0]

    def respond(self, reply: object) -> Outcome:
        return Outcome(terms={"reward": 1.0}, terminated=True)


def scenario(tmp_path: Path, world: str, lengths: Sequence[int]) -> Path:
    return write_scenario(tmp_path, SCENARIO.replace("WORLD", world).replace("LENGTHS", str([*lengths])))


def test_where_no_prompt_fits_nothing_is_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scenario(tmp_path, "Letters", [600, 700, 800, 900])
    for more in (("--dry-run",), ("--out", tmp_path / "out")):
        assert command("run", path, *more) == 2
        said = capsys.readouterr().err
        assert "none of the 4 train prompts fits into the model's context of 512 tokens: the shortest has 603" in said
        assert "Give shorter prompts, or a model with a longer context" in said
        assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_where_some_do_not_fit_it_is_said_how_many_and_what_becomes_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scenario(tmp_path, "Letters", [10, 508, 700, 9000])
    note = (
        "2 of 4 test prompts do not fit into the model's context of 512 tokens (the longest has 9,003): their episodes "
        "end before the first reply, are counted as episodes/unanswered, and are part of no update and no mean"
    )
    tight = (
        "1 of 4 test prompts leave less room in the model's context of 512 tokens than the 4 of sampling.max_tokens: "
        "their replies are cut where the context ends"
    )
    assert command("run", path, "--dry-run") == 0
    dry = capsys.readouterr().err
    assert command("run", path, "--out", tmp_path / "out", "-q") == 0
    for said in (dry, capsys.readouterr().err):
        for text in (note, tight, note.replace("test", "train"), tight.replace("test", "train")):
            assert said.count(text) == 1, said
    (row,) = rows(tmp_path / "out" / "metrics.jsonl")
    assert row["episodes/unanswered"] == 2


@pytest.mark.parametrize("letters", [1, 505])
def test_of_prompts_that_fit_nothing_is_said(letters: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", scenario(tmp_path, "Letters", [letters] * 4), "--dry-run") == 0
    assert "context" not in capsys.readouterr().err


def test_what_a_tool_world_puts_before_a_prompt_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", scenario(tmp_path, "Tooled", [400] * 4), "--dry-run") == 2
    assert "none of the 4 train prompts fits" in capsys.readouterr().err


def test_of_a_world_that_cannot_list_its_tasks_some_are_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scenario(tmp_path, "Unlisted", [600])
    for flags in (["--dry-run"], ["--out", tmp_path / "out", "-q"]):
        assert command("run", path, *flags) == 2
        assert "none of the 16 train prompts that were tried fits" in capsys.readouterr().err


def test_of_many_prompts_only_those_that_may_be_too_long_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    render = chat_template.render

    def counted(tokenizer: object, messages: Sequence[dict[str, str]], *rest: object, **more: object) -> str:
        asked.append(len(messages[0]["content"]))
        return render(tokenizer, messages, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(chat_template, "render", counted)
    monkeypatch.setattr(prompt_lengths, "SECONDS", PATIENCE)  # all are counted, however slow the machine is
    begun = time.process_time()
    assert command("run", scenario(tmp_path, "Letters", [100] * 5000 + [200_000] * 20), "--dry-run") == 0
    assert "20 of 5,020 train prompts do not fit" in capsys.readouterr().err
    assert len(asked) < 100
    assert sum(length > 5000 for length in asked) == 2  # the longest of each split, for the message
    assert time.process_time() - begun < 30
