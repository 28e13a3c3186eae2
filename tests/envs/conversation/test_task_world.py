"""Worlds from lists, generators and files of tasks."""

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from peripatos.envs.conversation import ConversationEnv, Outcome, TaskWorld, load_tasks
from peripatos.envs.conversation.chat_world import ChatWorld
from peripatos.envs.conversation.conversation_env import SPLITS
from peripatos.envs.conversation.task_source import split_of
from peripatos.envs.errors import UserError
from peripatos.envs.reported import BadReport
from peripatos.envs.vocabulary import Reply

CAPITALS = [{"prompt": f"Capital of country {n}?", "answer": f"city {n}", "oracle": f"city {n}"} for n in range(60)]


def score(reply, task):
    return reply.text == task["answer"]


def prompts(world: TaskWorld, split: str, episodes: int = 200) -> set[str]:
    return {world.reset(seed=seed, options={"split": split})[0] for seed in range(episodes)}


def test_a_list_and_a_function_make_a_world():
    world = TaskWorld(CAPITALS, score)
    check_env(world)
    world.reset(seed=1)
    _, reward, terminated, truncated, info = world.step(world.oracle())
    assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)
    world.reset(seed=1)
    assert world.step("no")[4]["success"] is False


def test_a_prompt_is_always_in_the_same_split():
    world = TaskWorld(CAPITALS, score)
    train, test = prompts(world, "train"), prompts(world, "test")
    assert train
    assert test
    assert not train & test
    assert {split_of(prompt, 5) for prompt in test} == {"test"}
    fewer = TaskWorld(CAPITALS[:40], score)
    assert prompts(fewer, "test") <= test


def test_a_task_may_say_its_split_and_a_prompt_in_both_is_for_testing_only():
    tasks = [{"prompt": "a", "split": "train"}, {"prompt": "b", "split": "test"}, {"prompt": "b", "split": "train"}]
    world = TaskWorld(tasks, lambda reply, task: 0.0)
    assert (prompts(world, "train", 20), prompts(world, "test", 20)) == ({"a"}, {"b"})


def test_validation_tasks_are_apart_from_those_for_training_and_those_for_testing():
    world = TaskWorld(CAPITALS, score)
    train, validation, test = (prompts(world, split) for split in ("train", "validation", "test"))
    assert validation
    assert not validation & train
    assert not validation & test
    assert len(train | validation | test) == len(CAPITALS)


def test_training_tasks_stand_in_where_none_is_for_validation_and_tests_never_do():
    tasks = [{"prompt": name, "split": split} for name, split in (("a", "train"), ("b", "test"))]
    assert prompts(TaskWorld(tasks, lambda reply, task: 0.0), "validation", 20) == {"a"}

    class Old(ConversationEnv):
        def opening(self, rng, split):
            return {"train": "to learn", "test": "to report"}[split]

        def respond(self, reply):
            return Outcome(terminated=True)

    _, info = Old().reset(options={"split": "validation"})
    assert (info["task"], info["split"]) == ("to learn", "validation")


def test_a_generator_of_tasks_is_divided_by_the_same_hash():
    world = TaskWorld(lambda rng: f"Say {rng.integers(1000)}", lambda reply, task: reply.text in task["prompt"])
    assert not prompts(world, "train") & prompts(world, "test")
    assert world.reset(seed=5)[0] == world.reset(seed=5)[0]


def test_a_generator_without_test_tasks_is_a_clear_error():
    world = TaskWorld(lambda rng: {"prompt": "one", "split": "train"}, score)
    with pytest.raises(UserError, match="drew no test task"):
        world.reset(options={"split": "test"})


@pytest.mark.parametrize(
    ("verdict", "reward", "success"),
    [
        (0.25, 0.25, None),
        (True, 1.0, True),
        (np.bool_(False), 0.0, False),
        ({"reward": 2, "style": 1}, 2.5, None),
        (Outcome(terms={"style": 1.0}, terminated=True, success=False), 0.5, False),
    ],
    ids=str,
)
def test_a_reward_function_may_return_a_number_a_bool_terms_or_an_outcome(verdict, reward, success):
    world = TaskWorld(["x"], lambda reply, task: verdict, weights={"reward": 1.0, "style": 0.5})
    split = split_of("x", 5)
    world.reset(options={"split": split})
    _, got, terminated, _, info = world.step(Reply("y"))
    assert (got, terminated, info["success"]) == (reward, True, success)


def test_tasks_are_read_from_jsonl(tmp_path):
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(json.dumps({"question": f"q{n}\u2028?", "id": n}) for n in range(20)) + "\n\n", "utf-8")
    assert len(load_tasks(path)) == 20
    world = TaskWorld(str(path), lambda reply, task: 0.0, prompt="question")
    assert world.reset(seed=0)[1]["task"].isdigit()


@pytest.mark.parametrize(
    ("content", "words"),
    [('{"prompt": "a"}\n{"prompt"', r"tasks.jsonl:2: this line is not JSON"), ("[1]", r":1: a row is a JSON object")],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path, content, words):
    path = tmp_path / "tasks.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=words):
        load_tasks(path)


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([], "at least one task"),
        ([{"prmpt": "a"}], "has no 'prompt', the prompt; .*Did you mean 'prmpt'"),
        ([{"prompt": "a", "split": "tset"}], "Did you mean 'test'"),
        ([3], "a mapping or a string, not 3"),
        ("nowhere.jsonl", "cannot read nowhere.jsonl"),
    ],
    ids=str,
)
def test_wrong_tasks_are_a_clear_error(tasks, words):
    with pytest.raises(UserError, match=words):
        TaskWorld(tasks, score)


def test_a_split_without_tasks_is_a_clear_error():
    world = TaskWorld([{"prompt": "a", "split": "train"}], score)
    with pytest.raises(UserError, match="there is no test task"):
        world.reset(options={"split": "test"})


def test_a_reward_function_may_be_named(tmp_path, monkeypatch):
    (tmp_path / "my_scores.py").write_text("def zero(reply, task):\n    return 0.0\n")
    monkeypatch.chdir(tmp_path)
    world = TaskWorld(CAPITALS, "my_scores:zero")
    world.reset()
    assert world.step("x")[1] == 0.0
    with pytest.raises(UserError, match="Did you mean 'zero'"):
        TaskWorld(CAPITALS, "my_scores:zeroo")
    with pytest.raises(UserError, match="reward is 3; allowed are a function"):
        TaskWorld(CAPITALS, 3)


def test_a_missing_datasets_package_gives_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(UserError, match=r"needs the package datasets: pip install 'peripatos\[data\]'"):
        load_tasks("owner/name")


def test_a_folder_of_files_keeps_the_splits_that_their_names_say(tmp_path):
    for split, rows in (("train", 5), ("test", 3)):
        lines = (json.dumps({"question": f"{split} {n}", "answer": str(n)}) for n in range(rows))
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    tasks = load_tasks(str(tmp_path))
    assert [task["split"] for task in tasks] == ["train"] * 5 + ["test"] * 3
    world = TaskWorld(str(tmp_path), score, prompt="question")
    assert prompts(world, "test") == {f"test {n}" for n in range(3)}
    with pytest.raises(UserError, match=r"no file or folder '.*nothing'"):
        load_tasks(str(tmp_path / "nothing"))


def test_a_reward_of_none_leaves_the_episode_unscored():
    world = TaskWorld(CAPITALS, lambda reply, task: None)
    world.reset(seed=1)
    _, reward, terminated, _, info = world.step("x")
    assert (np.isnan(reward), terminated, info["success"]) == (True, True, None)
    assert info["unscored"] == "the reward function '<lambda>' returned None"


@pytest.mark.parametrize(
    "verdict", ["1", (1.0, True), 10**400, [1.0], b"1", float("nan"), (x for x in (1.0,)), 1j], ids=type
)
def test_a_reward_that_is_no_number_costs_the_episode_and_names_the_function(verdict):
    def judge(reply, task):
        return verdict

    world = TaskWorld(CAPITALS, judge)
    world.reset(seed=1)
    with pytest.raises(BadReport, match=r"^the reward that the reward function 'judge' gave (is \S+|100)"):
        world.step("x")


def test_a_reward_function_whose_call_gives_no_value_is_refused_when_the_world_is_made():
    def drips(reply, task):
        yield 1.0

    async def both(reply, task):
        yield 1.0

    for reward, words in (
        (drips, r"'drips' is a generator"),
        (partial(drips), r"'partial' is a generator"),
        (both, r"'both' is an `async def`"),
    ):
        with pytest.raises(UserError, match=words):
            TaskWorld(CAPITALS, reward)


def test_the_maths_grader_takes_the_place_of_a_reward_function():
    pytest.importorskip("math_verify", reason="the extra peripatos[maths] is not installed")
    tasks = [
        {"prompt": "Simplify $84/12 + x$ for x = 1.", "answer": 8, "split": "train"},
        {"prompt": "How far?", "answer": r"5\text{ km}", "split": "test"},
    ]
    world = TaskWorld(tasks, grader="maths")

    def graded(split, reply):
        world.reset(seed=0, options={"split": split})
        _, reward, terminated, _, info = world.step(reply)
        assert terminated
        return None if "unscored" in info else reward

    assert graded("train", r"so \boxed{8.0}") == 1.0
    assert graded("train", r"\boxed{8} or \boxed{9}") == 0.0
    assert graded("train", r"\boxed{84/12 + x}") == 0.0
    assert graded("train", "8") == 0.0
    assert graded("test", r"\boxed{5000 m}") == 1.0
    assert graded("test", r"\boxed{5\text{ miles}}") == 0.0
    assert graded("test", r"\boxed{5}") is None
    world.reset(seed=0)
    assert world.step(world.oracle())[1] == 1.0


def test_a_grader_and_its_tasks_are_checked():
    for options, words in (
        ({}, "nobody says what a reply is worth"),
        ({"reward": score, "grader": "maths"}, "not both"),
        ({"grader": "math"}, "Did you mean 'maths'"),
        ({"grader": "maths", "answer": "anwser"}, "Did you mean 'answer'"),
        ({"grader": "maths", "answer_tag": "box"}, "Did you mean 'boxed'"),
    ):
        with pytest.raises(UserError, match=words):
            TaskWorld(CAPITALS, **options)
    with pytest.raises(UserError, match="Did you mean 'interval'"):
        TaskWorld([{"prompt": "a", "answer": "(1,2)", "kind": "intervall"}], grader="maths")


def in_order(world: TaskWorld, split: str, groups: int) -> list[str]:
    options = {"split": split, "run": 3}
    return [world.reset(seed=0, options={**options, "group": group})[0] for group in range(groups)]


def test_tasks_come_in_an_order_of_the_run_or_as_they_are_given_and_begin_again_at_the_end():
    rows = [{"prompt": f"q{n}", "split": "test" if n > 4 else "train"} for n in range(8)]
    shuffled = in_order(TaskWorld(rows, score), "train", 10)
    assert shuffled[:5] == shuffled[5:] != [f"q{n}" for n in range(5)]
    assert sorted(shuffled[:5]) == [f"q{n}" for n in range(5)]
    given = TaskWorld(rows, score, shuffle=False, repeats=2)
    assert in_order(given, "train", 12) == [f"q{n // 2 % 5}" for n in range(12)]
    assert in_order(given, "test", 3) == ["q5", "q6", "q7"]
    twice = in_order(TaskWorld(rows, score, repeats=2), "train", 10)
    assert twice[::2] == twice[1::2] == shuffled[:5]
    with pytest.raises(UserError, match="repeats is 0; allowed is a whole number, 1 or greater"):
        TaskWorld(rows, score, repeats=0)


def test_tasks_that_are_in_two_splits_are_counted_where_they_are_left_out() -> None:
    rows = [{"prompt": f"q{n}", "answer": "1", "split": "train"} for n in range(10)]
    rows += [{"prompt": f"q{n}", "answer": "1", "split": "validation"} for n in range(8, 11)]
    rows += [{"prompt": f"q{n}", "answer": "1", "split": "test"} for n in (0, 1, 2, 10)]
    world = TaskWorld(rows, grader="exact")
    assert [world.tasks_in(split) for split in ("train", "validation", "test")] == [5, 2, 4]
    assert set(world.remarks) == {
        "5 of 10 train tasks ask what validation or test tasks ask, and are left out of train",
        "1 of 3 validation tasks ask what test tasks ask, and are left out of validation",
    }
    assert not TaskWorld(rows[:10], grader="exact").remarks


def test_prompts_with_different_answers_are_counted_and_said() -> None:
    rows = [{"prompt": f"q{n % 8}", "answer": str(n // 8)} for n in range(10)]  # q0 and q1 are asked twice
    (remark,) = TaskWorld(rows, grader="exact").remarks
    assert remark == (
        "2 prompts are asked with different answers, and a reply that is right in one task is wrong in another: 'q0' "
        "expects '0' (task 0) and '1' (task 8)"
    )
    assert TaskWorld([*rows[:8], rows[8]], grader="exact").remarks[0].startswith("1 prompt is asked with different")
    same = [{"prompt": f"q{n % 8}", "answer": f"because {n}\n#### 7"} for n in range(10)]  # another way to one answer
    assert "different answers" not in " ".join(TaskWorld(same, grader="number").remarks)
    assert TaskWorld(rows, lambda reply, task: 1.0).remarks == ()  # a function may take any


def test_two_spellings_of_one_answer_contradict_nothing() -> None:
    rows = [{"prompt": f"q{n % 2}", "answer": ("1", "2,000", "1.0", "2000")[n]} for n in range(4)]
    assert "different answers" not in " ".join(TaskWorld(rows, grader="number").remarks)
    assert "different answers" in " ".join(TaskWorld(rows, grader="exact").remarks)
    chosen = [{"prompt": f"q{n % 2}: red or blue", "answer": ("A", "B", "red", "B")[n]} for n in range(4)]
    chosen = [{**row, "choices": ["red", "blue"]} for row in chosen]
    assert "different answers" not in " ".join(TaskWorld(chosen, grader="choice").remarks)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\x00b", "'\\x00', a NUL"),
        ("a\ufffdb", "'\ufffd', what stands for a byte that could not be read"),
        ("\x1b[0m", "'\\x1b', a control character"),
        ("half \ud800 pair", "'\\ud800', half of a pair of surrogates"),
        ("\udc80", "'\\udc80', half of a pair of surrogates"),
        ("caf\x82", "'\\x82', a control character"),
    ],
)
def test_characters_that_nobody_types_are_counted_and_said(text: str, words: str) -> None:
    typed = "a tab\t, a line\r\n, é ü 数"
    rows = [{"prompt": f"{text if n in (3, 5) else typed} {n}", "answer": "1"} for n in range(9)]
    assert TaskWorld(rows, grader="exact").remarks == (
        f"task 3: its text has {words} (in 2 of 9 tasks), which a model is shown as it is",
    )
    chats = [
        {"prompt": text, "completion": "x"},
        {"prompt": "q", "completion": text},
        {"prompt": "q", "completion": "x"},
    ]
    (remark,) = ChatWorld(chats).remarks
    assert remark == f"row 0: its text has {words} (in 2 of 3 conversations), which a model is shown as it is"


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        ("['red', \"blue's\"]", "blue's"),
        ('["red", "blue\'s"]', "B"),
        ("{'A': 'red', 'B': \"blue's\"}", "B"),
        ("['red', \"blue's\"]", "1"),
        (["red", "blue's"], "1"),
        ({"A": "red", "B": "blue's", "C": None}, "blue's"),
    ],
)
def test_choices_are_read_as_tables_write_them(tmp_path: Path, choices: Any, answer: str) -> None:
    rows = [{"question": f"Which of {n}?", "choices": choices, "answer": answer} for n in range(9)]
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.DictWriter(file, list(rows[0])).writeheader()
        csv.DictWriter(file, list(rows[0])).writerows(rows)
    for source in (rows, tmp_path / "rows.csv") if isinstance(choices, str) else (rows,):
        world = TaskWorld(source, grader="choice", prompt="{question}\n{choices}")
        assert world.remarks == ()
        for reply, reward in (("blue's", 1.0), ("B", 1.0), ("red", 0.0)):
            text, _ = world.reset(seed=0)
            assert text.endswith("\nA. red\nB. blue's")
            assert world.step(reply)[1] == reward


@pytest.mark.parametrize("choices", ["['red' 'blue']", "['red'\n 'blue']", "[red, blue]", "{'text': array(['red'])}"])
def test_choices_that_only_look_like_a_list_are_refused(choices: str) -> None:
    rows = [{"prompt": f"Which of {n}?", "choices": choices, "answer": "B"} for n in range(9)]
    with pytest.raises(UserError, match=r"task 0: 'choices' is .*, a text that is no list; write the choices as JSON"):
        TaskWorld(rows, grader="choice")


def test_choices_that_the_prompt_does_not_show_are_said() -> None:
    rows = [{"prompt": f"Which of {n}?", "answer": 0, "choices": ["red", "blue"]} for n in range(10)]
    (remark,) = TaskWorld(rows, grader="choice").remarks
    assert remark == (
        "task 0: the agent is not shown the choices that it is to choose between (in 10 of 10 tasks); a template shows "
        'them, prompt: "{question}\\n{choices}"'
    )
    assert TaskWorld(rows, grader="choice", prompt="{prompt}\n{choices}").remarks == ()
    shown = [{**row, "prompt": f"{row['prompt']} red or blue", "split": SPLITS[n % 3]} for n, row in enumerate(rows)]
    assert TaskWorld(shown, grader="choice").remarks == ()
    assert TaskWorld([{"prompt": f"q{n}", "answer": "A"} for n in range(10)], grader="choice").remarks == ()


def test_a_weight_of_another_name_is_not_suggested_again() -> None:
    world = TaskWorld([{"prompt": f"q{n}", "answer": "1"} for n in range(10)], grader="exact", weights={"rewrd": 2})
    world.reset(seed=0)
    said = world.misweighed() or ""
    assert said.endswith("weights name rewrd. Give weights: {reward: 2.0}, in the place of 'rewrd'")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nobody says what a reply is worth: give a grader .*choice, exact"),
        ({"grader": "exact", "group_reward": "m:f"}, "grader and group_reward are given, and one of them judges"),
        ({"grader": "exact", "split": "trian"}, "the rows: unknown split 'trian': its rows say none"),
        ({"grader": "exact", "answer": {"colum": "answer"}}, "answer: unknown key 'colum'.*Did you mean 'column'"),
        ({"grader": "exact", "prompt": {"question": None}}, "in YAML a template stands in quotes"),
    ],
)
def test_options_that_cannot_be_are_told_with_what_can(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        TaskWorld([{"prompt": f"q{n}", "answer": "1"} for n in range(9)], **options)
