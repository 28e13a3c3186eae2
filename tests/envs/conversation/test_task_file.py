"""Mistakes in files of tasks: each is one sentence with the file and the line."""

from __future__ import annotations

import json

import pytest

from peripatos.envs.conversation import TaskWorld, load_tasks
from peripatos.envs.errors import UserError

GOOD = [{"prompt": f"What is {n} + 1?", "answer": str(n + 1), "id": n} for n in range(40)]


def score(reply, task):
    return 0.0


def lines(*changed: object, rows=GOOD) -> bytes:
    return "\n".join(json.dumps(row) if isinstance(row, dict) else str(row) for row in [*rows, *changed]).encode()


MISTAKES = [
    (b"", "holds no rows"),
    (b"\n \n", "holds no rows"),
    (lines("{'prompt': 'x'}"), r"tasks\.jsonl:41: this line is not JSON.*double quotes"),
    (lines('{"prompt": "x"'), r"tasks\.jsonl:41: this line is not JSON"),
    (lines('[{"prompt": "x"}]'), r"tasks\.jsonl:41: a row is a JSON object, not the list.*one object a line"),
    (lines("7"), r"tasks\.jsonl:41: a row is a JSON object, not '7'"),
    (lines('{"prompt": "x", "answer": NaN}'), r"tasks\.jsonl:41: NaN is no number"),
    (lines('{"prompt": "x", "answer": -Infinity}'), r"tasks\.jsonl:41: -Infinity is no number"),
    (lines('{"prompt": "x", "prompt": "y"}'), r"tasks\.jsonl:41: the key 'prompt' stands twice"),
    (lines("[" * 100_000), r"tasks\.jsonl:41: "),
    (lines() + '\n{"prompt": "größe"}'.encode("latin-1"), r"tasks\.jsonl:41: the byte 0xf6 .*'ö'.*UTF-8"),
    ('{"prompt": "x"}'.encode("utf-16"), "is text in UTF-16.*save it as UTF-8"),
    (lines({"answer": "1"}), r"tasks\.jsonl:41 has no 'prompt', the prompt; it has 'answer'"),
    (lines({"prompt": None}), r"tasks\.jsonl:41: 'prompt' is null"),
    (lines({"prompt": 7}), r"tasks\.jsonl:41: 'prompt' is 7 \(a number\); allowed is text"),
    (lines({"prompt": " "}), r"tasks\.jsonl:41: 'prompt' is empty"),
    (lines({"prompt": {"text": "x"}}), r"tasks\.jsonl:41: 'prompt' is .* \(a mapping\)"),
    (lines({"prompt": [{"role": "usr", "content": "x"}]}), r"tasks\.jsonl:41: 'prompt', message 0: unknown role 'usr'"),
    (lines({"prompt": ["x"]}), r"tasks\.jsonl:41: 'prompt', message 0 is 'x'; a message is a mapping"),
    (lines({"prompt": []}), r"tasks\.jsonl:41: 'prompt' is an empty list"),
    (
        lines({"prompt": [{"role": "assistant", "content": "x"}]}),
        r"tasks\.jsonl:41: 'prompt' ends with .* the assistant",
    ),
    (lines({"prompt": "x", "split": "valid"}), r"tasks\.jsonl:41: unknown split of a task 'valid'.*'validation'"),
    (lines({"prompt": "x", "id": 3}), r"tasks\.jsonl:41: the id 3 is that of .*tasks\.jsonl:4 too"),
    (lines({"prompt": "x", "id": [3]}), r"tasks\.jsonl:41: the id is \[3\]"),
    (lines({"prompt": "x", "oracle": ["a", "b"]}), r"tasks\.jsonl:41: oracle is \['a', 'b'\]; allowed is text"),
    (lines({"prompt": "x", "oracle": 7}), r"tasks\.jsonl:41: oracle is 7; allowed is text"),
    (lines({"prompt": "x", "oracle": False}), r"tasks\.jsonl:41: oracle is False; allowed is text"),
    (lines(*[{"prompt": "x"}] * 40, rows=[]), r"all 40 tasks have the same prompt, 'x'"),
]


@pytest.mark.parametrize(("content", "words"), MISTAKES)
def test_a_mistake_in_a_file_is_named_with_its_line(tmp_path, content, words):
    file = tmp_path / "tasks.jsonl"
    file.write_bytes(content)
    with pytest.raises(UserError, match=words):
        TaskWorld(file, score)


def test_a_byte_order_mark_windows_ends_and_empty_lines_are_fine(tmp_path):
    file = tmp_path / "tasks.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + lines().replace(b"\n", b"\r\n\r\n"))
    assert len(TaskWorld(file, score).prompts("train")) > 10


@pytest.mark.parametrize(
    ("names", "split"), [(("training", "train"), "train"), (("dev", "validation", "val", "valid"), "validation")]
)
def test_lists_whose_names_mean_one_split_are_all_read(tmp_path, names, split):
    rows = {name: [{"prompt": f"{name} {n}"} for n in range(10)] for name in names}
    (tmp_path / "rows.json").write_text(json.dumps({"test": [{"prompt": "t"}], **rows}))
    read = [row["prompt"] for row in load_tasks(tmp_path / "rows.json", split)]
    assert read == [f"{name} {n}" for name in names for n in range(10)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("task.jsonl", r"there is no such file in .*Did you mean 'tasks\.jsonl'"),
        ("folder.jsonl", "it is a folder"),
        ("task.json", r"there is no such file in .*Did you mean 'tasks\.jsonl'"),
        ("tasks.csv", r"there is no such file in .*Did you mean 'tasks\.jsonl'"),
        ("tasks.xlsx", r"a file of rows ends in one of \.jsonl, .*\.csv.*\.parquet"),
    ],
)
def test_a_file_that_is_not_there_or_of_another_kind_is_answered_with_the_right_one(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks.jsonl").write_bytes(lines())
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(UserError, match=words):
        TaskWorld(name, score)


def test_a_column_that_differs_in_a_few_rows_is_remarked_upon(tmp_path):
    file = tmp_path / "tasks.jsonl"
    file.write_bytes(lines({"prompt": "x", "answer": None, "id": 40}, {"prompt": "y", "id": 41}))
    (remark,) = TaskWorld(file, score).remarks
    assert "tasks.jsonl:41: 'answer' is null, and is text in 40 of 42 tasks (and in 1 other task" in remark
    assert TaskWorld(GOOD, score).remarks == ()


@pytest.mark.parametrize("reward", [lambda reply: 0.0, lambda: 0.0, lambda reply, task, more: 0.0])
def test_a_reward_function_of_other_arguments_is_refused(reward):
    with pytest.raises(UserError, match=r"is called with \(reply, task\), and is defined with"):
        TaskWorld(GOOD, reward)
