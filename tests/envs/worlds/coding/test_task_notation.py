"""Task files: values that JSON does not have, entries that are methods, and every example of docs/coding.md."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Any

import pytest

from peripatos.envs.errors import UserError
from peripatos.envs.sandbox import AnyOrder, Raises
from peripatos.envs.worlds.coding.notation import value_of
from peripatos.envs.worlds.coding.replies import find_program
from peripatos.envs.worlds.coding.task_file import read_tasks
from peripatos.envs.worlds.coding.world import Coding

PAGE = (Path(__file__).parents[4] / "docs" / "coding.md").read_text(encoding="utf-8")
EXAMPLES = [line for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ({"$set": [1, {"$tuple": [2]}]}, {1, (2,)}),
        ({"$dict": [[1, {"$date": "2026-01-02"}], [{"$tuple": [2, 3]}, "b"]]}, {1: date(2026, 1, 2), (2, 3): "b"}),
        ([{"$decimal": "1.50"}, {"$fraction": "1/3"}, {"$complex": [1, 2]}], [Decimal("1.5"), Fraction(1, 3), 1 + 2j]),
        ({"$datetime": "2026-11-26T12:00:00"}, datetime(2026, 11, 26, 12)),
        ({"a": {"$float": "inf"}, "b": {"$bytes": "6162"}}, {"a": inf, "b": b"ab"}),
        ({"$any_order": [{"$any_order": [1]}, 2]}, AnyOrder([AnyOrder([1]), 2])),
        ({"$raises": "ValueError"}, Raises("ValueError")),
        ({"$dict": [["$set", 1]]}, {"$set": 1}),
        ({"$a": 1, "b": 2}, {"$a": 1, "b": 2}),
    ],
    ids=str,
)
def test_what_json_does_not_have_is_written_with_a_dollar(written: Any, value: object) -> None:
    assert value_of(written, "here", expected=True) == value


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"$sett": [1]}, r"here: unknown notation '\$sett'.*Did you mean '\$set'\?"),
        ({"$decimal": "x"}, r"here: \{'\$decimal': 'x'\} is none"),
        ({"$fraction": "1/0"}, r"\{'\$fraction': '1/0'\} is none"),
        ({"$set": [[1]]}, "is none: unhashable"),
        ({"$dict": [[1]]}, "is none"),
        ({"$any_order": [1]}, r"unknown notation '\$any_order'.*, which only a result may be"),
    ],
    ids=str,
)
def test_a_notation_that_is_none_is_named_with_its_place(written: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        value_of([written], "here")
    for wrong in ({"$any_order": "ab"}, {"$raises": 7}, {"$raises": "not a name"}):
        with pytest.raises(UserError, match="is none: it takes"):
            value_of(wrong, "here", expected=True)


@pytest.mark.parametrize("entry", ["Solution().f", "Solution.f", "Stack", "f"])
def test_an_entry_may_be_a_function_a_class_or_a_method(entry: str, tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps({"prompt": "f", "entry": entry, "hidden": [[[1], 1]]}), encoding="utf-8")
    assert read_tasks(path)[0].entry == entry
    right = {"f": "def f(x): return x", "Stack": "class Stack: pass"}.get(entry, "class Solution:\n    pass")
    assert find_program(f"```python\n{right}\n```\nUse it:\n```python\nprint(1)\n```", entry) == f"{right}\n"


@pytest.mark.parametrize("entry", ["f(1)", "a b", "Solution()()", "f.", "", "1f", 7])
def test_an_entry_that_names_nothing_is_refused(entry: object, tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps({"prompt": "f", "entry": entry, "hidden": [[[1], 1]]}), encoding="utf-8")
    with pytest.raises(UserError, match=r"tasks\.jsonl:1: entry is .*; allowed is the name of a function or a class"):
        read_tasks(path)


@pytest.mark.sandbox
@pytest.mark.parametrize("line", EXAMPLES, ids=lambda line: json.loads(line)["prompt"])
def test_every_example_of_the_page_is_a_task_that_its_oracle_solves(line: str, tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps({**json.loads(line), "split": "train"}), encoding="utf-8")
    world = Coding(tasks=path)
    world.attempts = 1
    for reply, success in ((world.oracle, True), (lambda: "```python\ndef nothing(): pass\n```", False)):
        world.reset(seed=0)
        assert world.step(reply())[4]["success"] is success


@pytest.mark.sandbox
def test_an_example_that_should_raise_is_told_so(tmp_path: Path) -> None:
    task = {
        "prompt": "f",
        "entry": "f",
        "public": [[[1], {"$raises": "KeyError"}]],
        "hidden": [[[2], {"$raises": "KeyError"}]],
    }
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps({**task, "split": "train"}), encoding="utf-8")
    world = Coding(tasks=path)
    world.reset(seed=0)
    assert "f(1) should raise KeyError, but it is 5." in world.step("```python\ndef f(x): return 5\n```")[0]
    assert world.step("```python\ndef f(x): raise KeyError(x)\n```")[4]["success"] is True
