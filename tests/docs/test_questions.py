"""The fourteen questions for which a new user of version 0.1 needed the source are answered by docs/questions.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from harness import Zygote
from told_pages import DOCS, Newcomer, pages

from peripatos.algorithms.methods import METHODS

PAGE = pages()["questions"]
QUESTIONS = {  # what was looked for in the source → how it is asked
    "a control scenario": "How do I write a scenario for a body?",
    "keys of overrides": "Which keys do `overrides` have?",
    "variants for compare": "How do I compare methods?",
    "wrapping and options of a third-party world": "How do I wrap a world, or give it options?",
    "oracle() of a ConversationEnv": "How do I show an expert?",
    "Opening(task=…)": "How do I name a task that the agent must not see?",
    "TaskWorld": "How does a data set become a world?",
    "a check that returns an Outcome which goes on": "How does a user talk in a world of tools?",
    "tools_in_prompt": "The model's chat template shows no tools. What now?",
    "waits": "My judge is slow. Does each episode wait for the others?",
    "the format of coding tasks": "In which format are coding tasks?",
    "evaluation without training": "How do I evaluate without training?",
    "loading a trained control policy": "How do I load what was trained, in Python?",
    "random, scripted and oracle agents": "What is a bound from below, and from above?",
}


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Who has read the page to its end."""
    with Zygote() as zygote:
        reader = Newcomer(zygote, tmp_path_factory.mktemp("questions"), PAGE)
        reader.come_to(PAGE[-1])
        yield reader


def evaluation(folder: Path, run: str) -> dict[str, float]:
    """The last one of a run."""
    return json.loads((folder / "runs" / run / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()[-1])


def test_each_of_the_fourteen_has_an_answer_that_is_typed() -> None:
    assert len(QUESTIONS) == 14
    answered = {block.heading for block in PAGE if block.typed}
    assert answered == set(QUESTIONS.values())


def test_the_page_is_on_the_site_and_sends_nobody_to_the_source() -> None:
    listed = "\n".join(block.text for block in pages()["index"] if block.language == "{toctree}")
    assert "questions" in listed.split()
    page = (DOCS / "questions.md").read_text(encoding="utf-8")
    assert not re.findall(r"\b(?:envs|agents|algorithms|scenarios|tests)/\w+|\.py#|/blob/|/tree/", page)
    for linked, anchor in re.findall(r"\]\(([\w-]+)\.md#([\w-]+)\)", page):
        headings = re.findall(r"^#+ (.+)$", (DOCS / f"{linked}.md").read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


@pytest.mark.slow  # what the fast tests of pages type block by block, and what comes of it
def test_the_answers_do_what_was_asked(newcomer: Newcomer) -> None:
    folder = newcomer.folder
    assert json.loads((folder / "runs/cart-0/summary.json").read_text())["status"] == "done"
    for run in ("my-coding-0", "table-0", "wordle-oracle"):  # experts
        assert evaluation(folder, run)["success_rate"] == 1.0
    assert evaluation(folder, "zeroshot-0")["update"] == 0
    assert evaluation(folder, "balance-0")["return_mean"] > evaluation(folder, "balance-random")["return_mean"]
    table = (folder / "runs/table-0/episodes/000000-test.jsonl").read_text(encoding="utf-8")
    assert "- book(guests: integer): Book a table." in table  # what `tools_in_prompt` says
    assert "is asked; the name is" in newcomer.said


def test_the_table_of_overrides_names_every_key_of_a_method() -> None:
    row = next(iter(METHODS.values()))
    page = (DOCS / "questions.md").read_text(encoding="utf-8")
    for group in fields(row):
        value = getattr(row, group.name)
        if is_dataclass(value):
            keys = ", ".join(f"`{key.name}`" for key in fields(value))
            assert f"| `{group.name}` | {keys} |" in page
