"""Mistakes in files of tasks: each is one sentence with the file and the line."""

from __future__ import annotations

import gzip
import json
import re

import pytest

from peripatos.envs.conversation import TaskWorld, load_tasks
from peripatos.envs.conversation.chat_world import ChatWorld
from peripatos.envs.conversation.pair_world import PairWorld
from peripatos.envs.conversation.written_texts import WrittenTexts
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


def folder_of(at, *names):
    """A folder of files, each with a row of its own, that says its name."""
    for name in names:
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        raw = json.dumps({"prompt": name, "answer": "1"}).encode()
        (at / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return at


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train1", "test1"),
        ("train2024", "test2024"),
        ("trainset", "testset"),
        ("TrainSet", "TestSet"),
        ("TRAINSET", "TESTSET"),
        ("traindata/a", "testdata/a"),
        ("gsm8kTrain", "gsm8kTest"),
        ("trainv2", "testv2"),
        ("training", "testing"),
        ("train", "eval"),
        ("train", "evaluation"),
        ("train", "holdout"),
        ("train", "held-out"),
        ("train", "HeldOut"),
        ("train", "train_holdout"),
        ("human_eval_train", "human_eval_test"),
    ],
)
def test_a_split_in_a_name_is_read_however_it_is_joined_to_it(tmp_path, train, test):
    rows = load_tasks(folder_of(tmp_path, f"{train}.jsonl", f"{test}.jsonl"))
    assert {row["split"]: row["prompt"] for row in rows} == {"train": f"{train}.jsonl", "test": f"{test}.jsonl"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("data.jsonl", "testing.jsonl"), r"train, validation or test by their names, but for .*data\.jsonl"),
        (("data.jsonl", "eval.jsonl"), r"train, validation or test by their names, but for .*data\.jsonl"),
        (("mathtrain.jsonl", "mathtest.jsonl"), r"mathtest\.jsonl seem to be for training and for testing"),
        (("a/mathtrain.jsonl", "b/matheval.jsonl"), r"matheval\.jsonl seem to be for training and for testing"),
        (("data.jsonl", "data.jsonl.gz"), r"data\.jsonl lies beside data\.jsonl\.gz, and the one is the other, packed"),
    ],
)
def test_a_folder_of_which_nobody_knows_what_to_learn_from_is_refused(tmp_path, names, words):
    with pytest.raises(UserError, match=words):
        load_tasks(folder_of(tmp_path, *names))


def test_names_that_only_hold_the_letters_of_a_split_say_none(tmp_path):
    names = ["latest.jsonl", "contest.jsonl", "retrieval.jsonl", "strain/medieval.jsonl", "data.jsonl", "more.jsonl.gz"]
    rows = load_tasks(folder_of(tmp_path, *names))
    assert [sorted(row["prompt"] for row in rows), {"split"} & set(rows[0])] == [sorted(names), set()]


@pytest.mark.parametrize(
    ("names", "count"), [(("train.jsonl", "train.csv"), 20), (("data.jsonl", "copy/data.jsonl"), 20), (("d.jsonl",), 0)]
)
def test_rows_that_are_there_twice_are_counted_in_one_remark(tmp_path, names, count):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        table = "prompt,answer,note\n" + "".join(f"What is {n} + 1?,{n + 1},\n" for n in range(20))
        rows = [{"prompt": f"What is {n} + 1?", "answer": n + 1} for n in range(20)]
        (tmp_path / name).write_bytes(table.encode() if name.endswith(".csv") else lines(rows=rows))
    said = [remark for remark in TaskWorld(str(tmp_path), grader="number").remarks if "repeat" in remark]
    assert len(said) == bool(count)
    if count:
        assert re.fullmatch(
            r"20 of 40 tasks repeat an earlier one, and count as often as they are there: \S+:\d+ has what \S+:\d has",
            said[0],
        )
    alike = [{"prompt": "q", "answer": 1}, {"prompt": "r", "answer": 2}]  # other answers, keys and prompts are others
    others = [*alike, {"prompt": "r", "answer": 2, "note": "x"}, {"prompt": "s", "answer": 2}]
    assert "repeat" not in str(TaskWorld(others, grader="number").remarks)


def test_conversations_pairs_and_texts_that_are_there_twice_are_told_of_too():
    chat = {"prompt": "1 + 1 =", "completion": "2"}
    pair = {"prompt": "q", "chosen": "a", "rejected": "b"}
    told = [ChatWorld([chat, chat]), PairWorld([pair, pair]), WrittenTexts(["a text", "b", "a text"])]
    for world, what in zip(told, ("1 of 2 conversations", "1 of 2 rows", "1 of 3 texts"), strict=True):
        (remark,) = world.remarks
        assert remark.startswith(f"{what} repeat an earlier one")
