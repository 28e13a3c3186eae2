"""Graders by name: which replies are right, and which answers a grader cannot take."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hostile_texts import seconds

from peripatos.envs.conversation import TaskWorld
from peripatos.envs.conversation.graders import make_grader
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Reply, WorldFailure

COLOURS = {"choices": ["red", "blue", "a green one", "dark blue"]}
ARC = {"choices": {"text": ["red", "blue"], "label": ["1", "2"]}}


def right(name: str, answer: Any, reply: str, tag: Any = None, tolerance: float = 0.0, **row: Any) -> bool:
    grader = make_grader(name, tag, tolerance)
    task = {"prompt": "What is 84/12?", "answer": answer, **row}
    grader.check(task)
    outcome = grader.grade(Reply(reply), task)
    assert (outcome.terms, outcome.terminated) == ({"reward": float(bool(outcome.success))}, True)
    return bool(outcome.success)


@pytest.mark.parametrize(
    ("answer", "reply", "is_right"),
    [
        ("Paris", " Paris\n", True),
        ("Paris", "paris", False),
        ("Paris", "It is Paris", False),
        (42, "42", True),
        (42.0, "42", True),
        (["NYC", "New York"], "New York", True),
        (["NYC", "New York"], "York", False),
    ],
)
def test_exact_wants_the_whole_reply(answer: Any, reply: str, is_right: bool) -> None:
    assert right("exact", answer, reply) is is_right


@pytest.mark.parametrize(
    ("answer", "reply", "is_right"),
    [
        ("18", "So Tom has 18 apples.", True),
        ("18", "3 bags of 6 are 18.\n#### 18", True),
        ("18", "#### 17 ... no, 18\n#### 18", True),
        ("18", "18 is not it, it is 19", False),
        ("1,018", "1018", True),
        (1018, "$1,018.00", True),
        ("$1,018", "It costs 1,018 dollars", True),
        ("-3", "x = -3", True),
        ("-3", "x = −3", True),
        ("-3", "3", False),
        ("3", "-3", False),
        ("0.5", "1/2", True),
        ("0.5", ".5", True),
        ("50%", "It is 50%.", True),
        ("7", "84/12", False),
        ("7", "14/2", False),
        ("84/12", "84/12", True),
        ("1e3", "1000", True),
        ("18", "**18**", True),
        ("18", r"\boxed{18}", True),
        ("18", "nothing", False),
        ("18", "", False),
        ("18", "one " * 20_000 + "18", True),
        ("42", "40 + 2", False),
        ("18", "The answer is 18, which is 3 more than 15.", True),
        ("6", "5 or 6", False),
        ("5", "5 km²", True),
        ("5.5", "5 ½", True),
        ("12 apples", "12", True),
        (42.0, "42", True),
        (2**80 + 1, str(2**80 + 1), True),
        (2**80 + 1, str(2**80), False),
    ],
)
def test_number_wants_the_last_number(answer: Any, reply: str, is_right: bool) -> None:
    assert right("number", answer, reply) is is_right


def test_a_number_may_be_away_by_the_tolerance_of_the_task_or_the_world() -> None:
    assert not right("number", "3.1416", "3.14")
    assert right("number", "3.1416", "3.14", tolerance=0.01)
    assert right("number", "5", "5.01", tolerance=0.1)
    grader = make_grader("number", None, tolerance=0.1)
    assert grader.grade(Reply("5.01"), {"answer": "5", "tolerance": 0}).success is False  # a row's 0 counts
    grader = make_grader("number", None)
    task = {"prompt": "pi?", "answer": "3.1416", "tolerance": 0.002}
    grader.check(task)
    assert grader.grade(Reply("3.14"), task).success is True
    assert grader.grade(Reply("3.13"), task).success is False


@pytest.mark.parametrize(
    ("answer", "reply", "is_right"),
    [
        ("B", "B", True),
        ("B", "(B)", True),
        ("B", "B.", True),
        ("B", "**B**", True),
        *[
            ("B", f"{before}B{mark}", True)
            for before in ("", "It must be ", "Hm.\n")
            for mark in ("!", "?", ".", "!!", ";")
        ],
        ("B", "B) blue", True),
        ("B", "The answer is B.", True),
        ("B", "The answer is (B).", True),
        ("B", "the Answer: B", True),
        ("B", r"Thus \boxed{B}", True),
        ("B", r"Thus \boxed{\text{B}}", True),
        ("B", "First (A), no. So (B) it is.", True),
        ("B", "Some thought.\nB", True),
        ("B", "Answer: A", False),
        ("B", "A blue thing. The answer is A", False),
        ("B", "I think A good one is hard. The answer is B", True),
        ("B", "", False),
        ("B", "ABCD", False),
        ("B", "A or B", False),
        ("A", "Option B is wrong, so A", True),
        ("B", "Option B is wrong, so A", False),
        ("B", "A B C D", False),
        ("B", "blue", True),
        ("B", "dark blue", False),
        ("D", "dark blue", True),
        (1, "B", True),
        (1, "A", False),
        (1.0, "B", True),
        ("blue", "B", True),
        ("(B)", "B", True),
    ],
)
def test_choice_wants_the_letter_that_is_chosen(answer: Any, reply: str, is_right: bool) -> None:
    assert right("choice", answer, reply, **COLOURS) is is_right


def test_choices_may_have_labels_of_their_own_or_stand_in_the_prompt_alone() -> None:
    assert right("choice", "2", "The answer is 2", **ARC)
    assert not right("choice", "2", "1", **ARC)
    assert right("choice", "C", "The answer is C")
    assert right("choice", "3", "3")
    assert right("choice", "B", "B", options=["x", "y"])
    assert right("choice", "b", "B", options=["x", "y"])
    assert right("choice", "y", "The answer is B", choices={"A": "x", "B": "y"})
    assert right("choice", "B", "4", choices=[3, 4])


@pytest.mark.parametrize(
    ("answer", "choices", "reply", "is_right"),
    [
        ("Co", ["CO", "Co", "C"], "Co", True),
        ("Co", ["CO", "Co", "C"], "CO", False),
        ("Co", ["CO", "Co", "C"], "The answer is Co.", True),
        ("CO", ["CO", "Co", "C"], "The answer is Co.", False),
        ("Co", ["CO", "Co", "C"], "co", False),
        ("Co", ["CO", "Co", "C"], "B) Co", True),
        ("U.S.", ["U.S", "U.S."], "U.S.", True),
        ("K", None, "The answer is K", True),
        ("z", None, "Z", True),
        ("B", None, "B and K", False),
        (26, [f"t{n}x" for n in range(40)], "t26x", True),
        (27, [f"t{n}x" for n in range(40)], "t26x", False),
        (1, ["1", "1"], "B", True),
        (1, {"text": ["x", "y"], "label": ["1", "2"]}, "x", True),
    ],
)
def test_each_choice_is_paid_by_its_own_text_alone(answer: Any, choices: Any, reply: str, is_right: bool) -> None:
    assert right("choice", answer, reply, **({} if choices is None else {"choices": choices})) is is_right


@pytest.mark.parametrize(("name", "answer"), [("number", "18"), ("choice", "B"), ("exact", "18")])
@pytest.mark.parametrize(
    "unit", ["a", "é", "USD", "or", "x²", "a1", ";", ".. ", "! ", "\u066b", " ", "\n", "(", "=", "**"]
)
def test_no_long_reply_takes_a_grader_more_than_a_moment(name: str, answer: str, unit: str) -> None:
    for length in (16_000, 64_000):
        text = unit * (length // len(unit))
        assert seconds(lambda reply: right(name, answer, reply, **COLOURS), text) < 2


@pytest.mark.parametrize("name", ["number", "choice"])
@pytest.mark.parametrize("dress", ["<final>{}</final>", "> {}", "{}</s>", "{}<|im_end|>", "so</think>{}"])
def test_tags_and_thoughts_are_no_part_of_a_reply(name: str, dress: str) -> None:
    good, other = ("5", "6") if name == "number" else ("B", "C")
    for thought in ("", f"<think>\nThe answer is {other}.\n</think>\n\n"):
        assert right(name, good, thought + dress.format(good))
        assert not right(name, good, thought + dress.format(other))


def test_a_table_of_text_may_hold_its_choices_as_a_list(tmp_path: Path) -> None:
    table = tmp_path / "tasks.csv"
    lines = [f'q{n},"[""red"", ""blue""]",blue' for n in range(20)]
    table.write_text("\n".join(["question,choices,answer", *lines]))
    world = TaskWorld(str(table), grader="choice", prompt="{question}\n{choices}")
    text, _ = world.reset(seed=0)
    assert text.endswith("A. red\nB. blue")
    assert world.step("B")[1] == 1.0
    table.write_text("\n".join(["question,choices,answer", *lines, "last,red or blue,1"]))
    with pytest.raises(
        UserError, match=r"tasks\.csv:22: the answer is '1', and the choices are 'red or blue', no list"
    ):
        TaskWorld(str(table), grader="choice")


def test_regex_wants_the_pattern_somewhere() -> None:
    assert right("regex", r"\b(yes|yep)\b", "Well, yes.")
    assert not right("regex", r"\b(yes|yep)\b", "yesterday")
    assert right("regex", r"^\d+$", "12")
    task = {"prompt": "x", "answer": r"(a|aa)+$"}
    began = time.perf_counter()
    with pytest.raises(WorldFailure, match="took more than 2 s"):
        make_grader("regex", None).grade(Reply("a" * 60 + "b"), {**task, "answer": r"^(a|aa)+$|(b|bb)+c"})
    assert time.perf_counter() - began < 60


@pytest.mark.parametrize(
    ("name", "tag", "answer", "reply", "is_right"),
    [
        ("exact", "boxed", "x", r"so \boxed{x}", True),
        ("exact", "boxed", "x", "x", False),
        ("exact", "answer", "x", "<answer>x</answer>", True),
        ("exact", "answer", "x", "<answer>y</answer><answer>x</answer>", False),
        ("number", "boxed", "1018", r"12 or \boxed{1,018} or 13", True),
        ("choice", "answer", "B", "A <answer>B</answer> C", True),
    ],
)
def test_a_tag_says_where_the_answer_stands(name: str, tag: Any, answer: str, reply: str, is_right: bool) -> None:
    assert right(name, answer, reply, tag) is is_right


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("number", {"answer": "many"}, "the answer is 'many', and the grader 'number' wants a number"),
        ("number", {"answer": [1]}, "wants a number"),
        ("number", {"answer": "1", "tolerance": "x"}, "tolerance is 'x'"),
        *[
            ("number", {"answer": "1", "tolerance": odd}, "tolerance is .*; allowed is a number, 0 or greater")
            for odd in (-1, "-1", "5%", "5 km", True, "1e999")
        ],
        *[
            ("choice", {"answer": 1, "choices": odd}, "the answer is 1, and the choices are .*, no list of texts")
            for odd in ("A) x B) y", [], [["x"], ["y"]], 3)
        ],
        (
            "choice",
            {"answer": 2, "choices": ["1", "2", "3", "4"]},
            r"2 may be the choice C \('3'\) or .* give its letter",
        ),
        (
            "choice",
            {"answer": "B", "choices": ["B", "A", "C"]},
            r"B may be the choice B \('A'\) or .* its index, from 0",
        ),
        ("choice", {"answer": "b", "choices": ["B", "A", "C"]}, "or the text of the choice A"),
        ("choice", {"answer": "E", **COLOURS}, "wants one of A, B, C, D, its text or its index"),
        ("choice", {"answer": 4, **COLOURS}, "the answer is 4, and there are 4 choices, from 0"),
        ("choice", {"answer": "blue"}, "wants a capital letter"),
        ("choice", {"answer": "red", "choices": ["red", "red"]}, "the answer is 'red', and two choices are"),
        ("choice", {"answer": "A", "choices": {"text": ["x", "y"], "label": ["A", "A"]}}, "two choices have the label"),
        ("choice", {"answer": "C", "choices": {"A": "x", "B": "y"}}, "wants one of A, B, its text or its index"),
        ("choice", {"answer": "C", "choices": [3, 4]}, "wants one of A, B, its text or its index"),
        ("exact", {"answer": {"a": 1}}, "wants a text, or a list of texts"),
        *[("exact", {"answer": odd}, "an empty reply would be right") for odd in (["", "x"], ["x", " "], [""])],
        *[
            ("exact", {"answer": odd}, "(true|false), which is no text .*in quotes")
            for odd in (True, False, ["x", True])
        ],
        ("regex", {"answer": "("}, r"the answer '\(' is no pattern"),
        ("regex", {"answer": 3}, "wants a pattern"),
    ],
)
def test_an_answer_of_another_kind_is_refused_with_its_row(name: str, row: dict[str, Any], words: str) -> None:
    good = {"number": "1", "choice": "A", "exact": "x", "regex": "x"}[name]
    rows = [{"prompt": f"q{n}", "answer": good, "choices": ["x", "y"]} for n in range(5)]
    with pytest.raises(UserError, match=f"task 5: .*{words}"):
        TaskWorld([*rows, {"prompt": "last", **row}], grader=name)


def test_an_answer_that_a_template_leaves_empty_or_takes_from_true_or_false_is_refused() -> None:
    rows = [{"prompt": f"q{n}", "a": "x", "b": "y"} for n in range(5)]
    for a, words in (("", "task 5: '{a}{b}' is empty"), (True, "task 5: 'a' is true, which is no text; .* in quotes")):
        with pytest.raises(UserError, match=words):
            TaskWorld([*rows, {"prompt": "last", "a": a, "b": " "}], grader="exact", answer="{a}{b}")
    boxed = [{"prompt": "p", "s": "\\boxed{1}"}, {"prompt": "q", "s": "\\boxed{ }"}]
    with pytest.raises(UserError, match="task 1: 's' has no answer in the form 'boxed'"):
        TaskWorld(boxed, grader="exact", answer={"column": "s", "tag": "boxed"})


def test_a_pattern_that_is_found_in_nothing_is_said() -> None:
    rows = [{"prompt": f"q{n}", "answer": answer} for n, answer in enumerate(["x+", "x*", ".*"])]
    (remark,) = TaskWorld(rows, grader="regex").remarks
    assert remark == "task 1: the pattern 'x*' is found in the empty text (in 2 of 3 tasks): a reply of nothing is paid"
    assert not TaskWorld(rows[:1], grader="regex").remarks


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"grader": "nubmer"}, r"unknown grader 'nubmer'; .*Did you mean 'number'\?"),
        ({"grader": "number", "answer_tag": "box"}, r"Did you mean 'boxed'\?"),
        ({"grader": "number", "tolerance": -1}, "tolerance is -1; allowed is a number, 0 or greater"),
        ({"grader": "exact", "tolerance": 1}, "tolerance is for the grader 'number', and this one is 'exact'"),
        ({"grader": "python", "answer_tag": "boxed"}, "answer_tag is for answers"),
        ({"grader": "exact", "deadline": 3}, "are for reward functions"),
        ({"grader": "their_module:score"}, "no module 'their_module'"),
        ({"grader": "exact", "reward": lambda reply, task: 0}, "not both"),
    ],
)
def test_a_grader_that_there_is_not_is_refused(options: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        TaskWorld([{"prompt": "x", "answer": "1"}], **options)


@pytest.mark.parametrize("name", ["exact", "number", "choice"])
@pytest.mark.parametrize("tag", [None, "boxed", "answer"])
def test_the_answer_is_what_an_expert_says(name: str, tag: Any) -> None:
    world = TaskWorld([{"prompt": f"q{n}", "answer": n % 4, **COLOURS} for n in range(20)], grader=name, answer_tag=tag)
    world.reset(seed=1)
    assert world.step(world.oracle() or "")[1] == 1.0
    assert world.has_success


def test_graders_say_their_version() -> None:
    rows = [{"prompt": f"q{n}", "answer": str(n)} for n in range(20)]
    assert TaskWorld(rows, grader="number", tolerance=0.1).scored_by == "TaskWorld 1, number 7 within 0.1"
    assert TaskWorld(rows, grader="exact", answer_tag="boxed").scored_by == "TaskWorld 1, exact 1 in boxed"


@pytest.mark.sandbox
def test_python_judges_the_program_by_the_tests_of_the_row() -> None:
    rows = [
        {"text": f"Write add{n}.", "test_list": [f"assert add{n}(1, 2) == {n}", f"assert add{n}(0, 0) == {n}"]}
        for n in range(10)
    ]
    world = TaskWorld(rows, grader="python", prompt="text", answer="test_list")
    text, _ = world.reset(seed=3)
    number = text.split("add")[1].split(".")[0]
    assert "```python" in text
    assert world.step(f"```python\ndef add{number}(a, b):\n    return {number}\n```")[1] == 1.0
    world.reset(seed=3)
    assert world.step(f"```python\ndef add{number}(a, b):\n    return -1\n```")[1] == 0.0
    world.reset(seed=3)
    assert world.step("no program")[1] == 0.0
    with pytest.raises(UserError, match=r"task 1: the test code 'assert \(' does not compile"):
        TaskWorld(
            [rows[0], {"text": "x", "test_list": ["assert ("]}], grader="python", prompt="text", answer="test_list"
        )
    with pytest.raises(UserError, match=r"task 1: the test code 'x = 1' calls no function; name .* 'entry'"):
        TaskWorld([rows[0], {"text": "x", "test_list": ["x = 1"]}], grader="python", prompt="text", answer="test_list")
