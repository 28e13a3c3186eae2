"""HumanEval, MBPP and APPS by their own field names: their solutions pass, and wrong programs do not. Whatever stands
in a field of a task, of these and of our own format, the row is a task, or is refused with its place and the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from peripatos.envs.conversation.conversation_env import SPLITS
from peripatos.envs.errors import UserError
from peripatos.envs.worlds.coding.task_file import read_tasks
from peripatos.envs.worlds.coding.test_code import called_in
from peripatos.envs.worlds.coding.world import Coding

HUMANEVAL: dict[str, Any] = {
    "task_id": "HumanEval/53",
    "prompt": 'from typing import List\n\ndef add(x: int, y: int):\n    """Add two numbers x and y\n    """\n',
    "entry_point": "add",
    "canonical_solution": "    return x + y\n",
    "test": "METADATA = {}\ndef check(candidate):\n    assert candidate(0, 1) == 1\n    assert candidate(2, 3) == 5\n",
}
MBPP: dict[str, Any] = {
    "task_id": 8,
    "text": "Write a function to find squares of individual elements in a list.",
    "code": "def square_nums(nums):\n    return [num ** 2 for num in nums]",
    "test_list": ["assert square_nums([1, 2])==[1, 4]", "assert square_nums([10,20])==([100,400])"],
    "test_setup_code": "",
    "challenge_test_list": [],
}
SANITIZED: dict[str, Any] = {
    "source_file": "x.jsonl",
    "task_id": 82,
    "prompt": "Write a function to find the volume of a sphere.",
    "code": "import math\ndef volume_sphere(r):\n    return (4 / 3) * math.pi * r * r * r",
    "test_imports": ["import math"],
    "test_list": [
        "assert math.isclose(volume_sphere(10), 4188.790204786391, rel_tol=0.001)",
        "assert math.isclose(volume_sphere(25), 65449.84694978735, rel_tol=0.001)",
    ],
}
APPS: dict[str, Any] = {
    "problem_id": 0,
    "question": "Read n numbers and print their sum.\n",
    "solutions": json.dumps(["n = input()\nprint(sum(map(int, input().split())))"]),
    "input_output": json.dumps({"inputs": ["2\n1 2\n", ["3", "1 2 3"]], "outputs": ["3\n", ["6"]]}),
    "difficulty": "interview",
    "url": "https://example.org",
    "starter_code": "",
}
CALLED: dict[str, Any] = {
    **APPS,
    "problem_id": 1,
    "question": "Double it.",
    "solutions": json.dumps(["def double(n):\n    return n * 2"]),
    "input_output": json.dumps({"fn_name": "double", "inputs": [[2], [5]], "outputs": [[4], [10]]}),
}
WRONG = {
    "add": "def add(x, y):\n    return 1",
    "square_nums": "def square_nums(nums):\n    return [1, 4]",
    "volume_sphere": "def volume_sphere(r):\n    return 4188.790204786391",
    "solve": "print(3)",
    "double": "def double(n):\n    return 4",
}


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder / "rows.jsonl"


@pytest.mark.sandbox
@pytest.mark.parametrize("row", [HUMANEVAL, MBPP, SANITIZED, APPS, CALLED], ids=lambda row: str(row.get("task_id")))
def test_the_solution_that_comes_along_passes_and_what_the_example_shows_does_not(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    world = Coding(tasks=write(tmp_path, {**row, "split": "train"}), attempts=1, wall_s=60, cpu_s=20)
    text, info = world.reset(seed=0)
    assert info["task"] == str(row.get("task_id", row.get("problem_id")))
    (task,) = read_tasks(tmp_path / "rows.jsonl")
    assert task.entry == "solve" or task.entry in text
    assert world.step(world.oracle() or "")[4]["success"] is True
    world.reset(seed=0)
    assert world.step(f"```python\n{WRONG[task.entry]}\n```")[4]["success"] is False


def test_mbpp_shows_one_assertion_and_hides_the_others(tmp_path: Path) -> None:
    (task,) = read_tasks(write(tmp_path, SANITIZED))
    assert task.public == f"import math\n{SANITIZED['test_list'][0]}"
    assert task.hidden == f"import math\n{SANITIZED['test_list'][1]}"
    assert task.prompt.endswith(f"The function is called volume_sphere.\n\nFor example:\n{SANITIZED['test_list'][0]}")
    (alone,) = read_tasks(write(tmp_path, {**MBPP, "test_list": MBPP["test_list"][:1]}))
    assert (alone.public, alone.hidden) == ((), MBPP["test_list"][0])


def test_apps_has_programs_and_functions(tmp_path: Path) -> None:
    program, function = read_tasks(write(tmp_path, APPS, CALLED))
    assert (program.kind, program.hidden) == ("stdio", (("2\n1 2\n", "3\n"), ("3\n1 2 3", "6")))
    assert (function.kind, function.entry, function.hidden) == ("function", "double", (([2], 4), ([5], 10)))


@pytest.mark.sandbox
def test_what_a_later_split_asks_too_is_left_out_and_said() -> None:
    rows = [{**MBPP, "task_id": n, "text": f"q{n}", "split": "train"} for n in range(10)]
    rows += [{**MBPP, "task_id": n, "text": f"q{n}", "split": "validation"} for n in range(8, 11)]
    rows += [{**MBPP, "task_id": n, "text": f"q{n}", "split": "test"} for n in (0, 1, 2, 10)]
    world = Coding(tasks=rows)
    assert [world.tasks_in(split) for split in SPLITS] == [5, 2, 4]
    assert set(world.remarks) == {
        "5 of 10 train tasks ask what validation or test tasks ask, and are left out of train",
        "1 of 3 validation tasks ask what test tasks ask, and are left out of validation",
    }
    asked = {world.reset(seed=seed)[1]["task"] for seed in range(40)}
    assert asked == {"3", "4", "5", "6", "7"}
    assert not Coding(tasks=rows[:10]).remarks
    with pytest.raises(UserError, match="no train task in the file; 1 of 1 train tasks ask what test tasks ask"):
        Coding(tasks=[rows[0], rows[13]]).reset(seed=0)


def test_a_mapping_of_columns_is_no_mapping_of_splits_though_one_is_called_test() -> None:
    rows = [HUMANEVAL, {**HUMANEVAL, "task_id": "HumanEval/54"}]
    tasks = read_tasks({name: [row[name] for row in rows] for name in HUMANEVAL})
    assert [(task.id, task.hidden) for task in tasks] == [(row["task_id"], row["test"]) for row in rows]
    apps = {**CALLED, "input_output": json.loads(CALLED["input_output"])}  # a cell that is a mapping
    assert read_tasks({name: [value] for name, value in apps.items()}) == read_tasks([CALLED])
    assert [task.split for task in read_tasks({"train": [MBPP], "test": [SANITIZED]})] == ["train", "test"]


def test_a_text_alone_is_one_test_of_a_program_and_one_piece_of_code() -> None:
    alone = {"inputs": "5\n", "outputs": "6\n"}
    (program,) = read_tasks([{**APPS, "input_output": json.dumps(alone), "starter_code": ["x = 1", "y = 2"]}])
    assert (program.hidden, program.prompt.endswith("```python\nx = 1\ny = 2\n```")) == ((("5\n", "6\n"),), True)
    (imported,) = read_tasks([{**SANITIZED, "test_imports": "import math"}])
    assert imported.hidden == f"import math\n{SANITIZED['test_list'][1]}"
    (joined,) = read_tasks([{**MBPP, "test_setup_code": ["import math", "x = 1"]}])
    assert joined.hidden == f"import math\nx = 1\n{MBPP['test_list'][1]}"


def test_rows_of_a_table_with_cells_for_others_are_read() -> None:
    own = {"prompt": "x", "kind": "stdio", "hidden": [["1", "1"]], "tolerance": None, "entry": None}
    assert read_tasks([own])[0].kind == "stdio"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**HUMANEVAL, "test": ""}, "rows.jsonl:1: test is ''; allowed is text"),
        ({**HUMANEVAL, "entry_point": "a b"}, "rows.jsonl:1: entry_point is 'a b'"),
        ({**MBPP, "test_list": []}, r"rows.jsonl:1: test_list is \[\]; allowed is a list of assertions"),
        ({**MBPP, "test_list": ["assert 1"]}, "rows.jsonl:1: test_list calls no function"),
        ({**MBPP, "test_list": ["assert f("]}, "rows.jsonl:1: test_list: the test code 'assert f\\(' does not compile"),
        ({**APPS, "input_output": ""}, "rows.jsonl:1: input_output is no JSON: ''"),
        ({**APPS, "input_output": "{"}, "rows.jsonl:1: input_output is no JSON"),
        ({**APPS, "input_output": '{"inputs": ["1"], "outputs": []}'}, "without as many inputs as outputs"),
        ({**APPS, "question": " "}, "rows.jsonl:1: question is ' '"),
    ],
)
def test_a_row_that_cannot_be_judged_is_named_with_its_column(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_tasks(write(tmp_path, row))


@pytest.mark.parametrize(
    ("tests", "name"),
    [
        ("assert f(1) == 2", "f"),
        ("import math\nassert math.isclose(g(1), len([2]))", "g"),
        ("assert set(f(1)) == set(h(2))", "f"),
        ("assert sum([1, 2]) == 3", "sum"),
        ("def near(a, b):\n    return abs(a - b) < 1\nassert near(f(1), 2)", "f"),
        ("x = [1]\nassert x[0] == 1", None),
    ],
)
def test_the_function_that_is_judged_is_found_in_the_tests(tests: str, name: str | None) -> None:
    assert called_in(tests) == name


VALUES: list[Any] = [
    *(None, True, False, 0, 7, 2.5, -1, 10**400, float("inf"), "", " ", "x", "a b", "[", "7", "null"),
    *([], ["x"], ["x", "y"], [None], [7], [[]], [[1, 2]], [[[1], 2]], [{"a": 1}], [["1", None]]),
    *({}, {"a": 1}, {1: 2}, {"$set": 1}),
]
MORE = {"id": "a", "split": "train", "oracle": "x = 1", "public": None}
OWN: list[dict[str, Any]] = [
    {"prompt": "f", "kind": "function", "entry": "f", "hidden": [[[1], 1]], "tolerance": 0.1, **MORE},
    {"prompt": "f", "kind": "stdio", "hidden": [["1", "1"]], "compare": "lines", "checker": "", "tolerance": 0, **MORE},
    {"prompt": "f", "kind": "assertions", "entry": "f", "hidden": "assert f()", "in_place": True, "nan": False, **MORE},
]
KNOWN = [{**row, "split": "train"} for row in (HUMANEVAL, MBPP, SANITIZED, APPS, CALLED)]
FIELDS = [(row, field) for row in (*OWN, *KNOWN) for field in row]


def refusal(rows: Any) -> str:
    """What is said of a lone row that is no task; empty where it is one, of fields of the right types."""
    try:
        (task,) = read_tasks(rows)
    except UserError as error:
        return str(error)
    texts = [task.prompt, task.entry, task.id, task.oracle or "", task.checker]
    texts += [part for test in task.hidden for part in test] if task.kind == "stdio" else []
    assert all(isinstance(text, str) for text in texts)
    assert not [text for text in texts if "None" in text or "{'a'" in text]  # nothing is written as Python's repr
    return ""


@pytest.mark.parametrize(("row", "field"), FIELDS)
def test_what_a_field_cannot_hold_is_refused_with_the_row_and_the_field(row: dict[str, Any], field: str) -> None:
    for value in VALUES:
        said = refusal([{**row, field: value}])
        assert not said or (said.startswith("task 0: ") and field in said), (value, said)


@pytest.mark.parametrize("field", ["inputs", "outputs", "fn_name"])
@pytest.mark.parametrize("row", [APPS, CALLED])
def test_so_is_what_stands_in_the_json_of_apps(row: dict[str, Any], field: str) -> None:
    for value in VALUES:
        tests = {**json.loads(row["input_output"]), field: value}
        for given in (tests, json.dumps(tests)):
            said = refusal([{**row, "input_output": given}])
            assert not said or (said.startswith("task 0: input_output") and field in said), (value, said)


def test_so_is_a_row_that_is_none() -> None:
    for row in (None, 7, "x", ["x"], []):
        assert refusal([row]).startswith("task 0: a task is a mapping, not ")


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_what_is_nested_too_deeply_is_refused(depth: int, tmp_path: Path) -> None:
    deep = f"{'[' * depth}{']' * depth}"
    (tmp_path / "rows.jsonl").write_text(f'{{"prompt": "f", "hidden": [[[{deep}], 1]]}}')
    said = refusal(tmp_path / "rows.jsonl")
    assert not said or ("rows.jsonl:1: " in said and "nested too deeply" in said)  # how deep is too, Python says
    assert "checker" in refusal([{**OWN[1], "compare": None, "checker": "-" * depth + "1"}])


@pytest.mark.parametrize("written", ["1e999", "-1e999", "-0.5", "true", '"0.1"', "[0.1]", f"1{'0' * 400}"])
def test_a_tolerance_is_a_finite_number(written: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"prompt": "f", "hidden": [[[1], 2.5]], "tolerance": {written}}}')
    with pytest.raises(UserError, match=r"rows.jsonl:1: tolerance is .*; allowed is a finite number, 0 or greater"):
        read_tasks(path)
