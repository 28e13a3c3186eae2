"""What of a row is asked and expected: columns, templates, messages, rules for answers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from peripatos.envs.conversation import TaskWorld
from peripatos.envs.conversation.task_columns import Columns
from peripatos.envs.errors import UserError

GSM8K = {"question": "Tom has 3 bags of 6.", "answer": "3 * 6 = <<3*6=18>>18.\n#### 1,018"}
MATH = {"problem": "What is $x$?", "level": "Level 5", "solution": r"So $x=\frac12$ is \boxed{\frac{1}{2}}."}
MMLU = {"question": "Which?", "choices": ["red", "blue"], "answer": 1}
ARC = {"question": "Which?", "choices": {"text": ["red", "blue"], "label": ["1", "2"]}, "answerKey": "2"}
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


def columns(row: dict[str, Any], prompt: Any = None, answer: Any = None, system: Any = None) -> Columns:
    return Columns.of(prompt, answer, system, row)


def asked(row: dict[str, Any], **options: Any) -> list[dict[str, str]]:
    return [dict(message) for message in columns(row, **options).messages("row 0", row)]


def expected(row: dict[str, Any], **options: Any) -> Any:
    return columns(row, **options).expected("row 0", row)


def test_a_prompt_is_a_column_a_template_or_messages() -> None:
    user = {"role": "user", "content": "Tom has 3 bags of 6."}
    assert asked(GSM8K) == asked(GSM8K, prompt="question") == [user]
    assert asked(GSM8K, prompt="Q: {question}\n{{A}}") == [{"role": "user", "content": "Q: Tom has 3 bags of 6.\n{A}"}]
    assert asked(MMLU, prompt="{question}\n{choices}")[0]["content"] == "Which?\nA. red\nB. blue"
    assert asked(ARC, prompt="{question}\n{choices}")[0]["content"] == "Which?\n1. red\n2. blue"
    medqa = {"question": "Which?", "options": {"A": "red", "C": "blue"}, "sizes": [3, 4.5, 5.0]}
    assert asked(medqa, prompt="{question}\n{options}")[0]["content"] == "Which?\nA. red\nC. blue"
    assert asked(medqa, prompt="{question}\n{sizes}")[0]["content"] == "Which?\nA. 3\nB. 4.5\nC. 5"
    assert asked({"prompt": CHAT}) == CHAT
    assert asked({"messages": CHAT[1:]}, prompt="messages", system="You.") == [{**CHAT[0], "content": "You."}, CHAT[1]]
    assert asked(GSM8K, system="Be {{brief}}.")[0] == {"role": "system", "content": "Be {brief}."}
    assert asked(MATH, system="A {level} problem.")[0] == {"role": "system", "content": "A Level 5 problem."}
    parts = [{"role": "user", "content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}], "name": None}]
    assert asked({"prompt": parts}) == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("system", "shown"),
    [
        (r"In \boxed{{}}.", r"In \boxed{}."),
        (r"In \boxed{}.", r"In \boxed{}."),  # no template, and as it stands
        (r"In \boxed{} or {{}}.", r"In \boxed{} or {{}}."),
        ('Say {{"a": {{"b": 1}}}}.', 'Say {"a": {"b": 1}}.'),
        (r"{{question}} is {question}", r"{question} is Tom has 3 bags of 6."),
        ("A brace { alone", "A brace { alone"),
        ("A brace }} alone {", "A brace }} alone {"),
    ],
)
def test_a_doubled_brace_is_a_brace_with_and_without_a_field(system: str, shown: str) -> None:
    assert asked(GSM8K, system=system)[0]["content"] == shown


def test_a_prompt_of_doubled_braces_says_how_a_column_is_written() -> None:
    with pytest.raises(UserError, match=r"has no '{{question}}', .* doubled are no field: write {question}"):
        asked(GSM8K, prompt="{{question}}")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"system": r"Put it within \boxed{answer}."}, "'answer'"),
        ({"prompt": "{question}\nAnswer: {answer}"}, "'answer'"),
        ({"prompt": "answer"}, "'answer'"),
        ({"prompt": "{question} ({meta.gold})", "answer": "meta.gold"}, "'meta.gold'"),
        ({"prompt": "{question} {one} {two}", "answer": "{one}{two}"}, "'one' and 'two'"),
        ({"prompt": "{question} {one}", "answer": "{one}{two}"}, ""),
        ({"system": r"Put it within \boxed{{answer}}."}, ""),
        ({"system": r"Put it within \boxed{}."}, ""),
        ({"prompt": "{question}"}, ""),
    ],
)
def test_it_is_said_that_the_answer_stands_in_what_is_asked(options: dict[str, Any], names: str) -> None:
    def row(n: int) -> dict[str, Any]:
        return {"question": f"q{n}", "answer": f"{n}", "meta": {"gold": n}, "one": 1, "two": n}

    listed = TaskWorld([row(n) for n in range(20)], grader="number", **{"prompt": "question", **options})
    drawn = TaskWorld(lambda rng: row(int(rng.integers(99))), grader="number", **{"prompt": "question", **options})
    for world in (listed, drawn):
        said = [remark for remark in world.remarks if remark.startswith("what is asked shows")]
        assert said == [
            f"what is asked shows {names}, which is the answer; where no column is meant, "
            "write {{ or }} for a brace"
        ] * bool(names)


def test_a_column_of_null_is_an_absent_one() -> None:
    assert asked({"prompt": None, "question": "Hi"}) == [CHAT[1]]
    with pytest.raises(UserError, match=r"row 0 has no 'prompt', the prompt; it has 'ask'"):
        asked({"question": None, "ask": "Hi"})


def test_a_column_for_the_system_is_the_first_message_unless_a_key_says_another_or_the_prompt_has_it() -> None:
    row, user = {"prompt": "Hi", "system": "Be brief."}, CHAT[1]
    assert asked(row) == asked({**row, "prompt": CHAT[1:]}) == asked({**row, "prompt": CHAT}) == CHAT
    assert asked({**row, "system": None}) == asked({**row, "system": " "}) == [user]
    assert (
        asked(row, system="You.")
        == asked({**row, "system": 3}, system="You.")
        == [{**CHAT[0], "content": "You."}, user]
    )
    assert asked(row, prompt="{system} {prompt}") == [{**user, "content": "Be brief. Hi"}]
    tasks = [{"prompt": f"{n}?", "answer": n, "system": f"You are {n % 2}."} for n in range(20)]
    world = TaskWorld(tasks, grader="number")
    assert not world.prompts("train")  # they begin in different ways
    _, info = world.reset(seed=0, options={"split": "train"})
    system, question = (message["content"] for message in info["messages"])
    assert system == f"You are {int(question[:-1]) % 2}."


def test_messages_may_be_those_of_sharegpt() -> None:
    row = {
        "conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "2 + 2?"}],
        "answer": 4,
    }
    assert asked(row, prompt="conversations") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2 + 2?"},
    ]
    world = TaskWorld([{**row, "prompt": [{"from": "human", "value": f"{n}?"}]} for n in range(9)], grader="number")
    world.reset(seed=0)
    assert world.step("4")[1] == 1.0


def test_an_answer_is_a_column_a_template_or_what_a_rule_finds_in_one() -> None:
    assert expected(GSM8K) == expected(GSM8K, answer={"column": "answer", "after": "#### "}) == "1,018"
    assert expected(MATH) == expected(MATH, answer={"column": "solution", "tag": "boxed"}) == r"\frac{1}{2}"
    assert expected({**MATH, "answer": "7"}) == "7"
    assert expected(MMLU) == 1
    assert expected(MMLU, answer="{answer} of {question}") == "1 of Which?"
    assert expected({"a": "x <answer> y </answer>"}, answer={"column": "a", "tag": "answer"}) == "y"


def test_what_nobody_has_said_is_remarked_upon() -> None:
    assert columns(GSM8K).guessed == (
        "the prompt is the column 'question', and the answer is what stands behind '####' in 'answer'"
    )
    assert columns(GSM8K, prompt="question", answer="answer").guessed == ""
    assert columns({"prompt": "x", "answer": "y"}).guessed == ""


@pytest.mark.parametrize(
    ("row", "options", "words"),
    [
        (GSM8K, {"prompt": "quesiton"}, r"row 0 has no 'quesiton', the prompt; .*Did you mean 'question'\?"),
        (GSM8K, {"prompt": "{quesiton}?"}, r"row 0 has no 'quesiton', which '{quesiton}\?' asks for.*'question'\?"),
        (GSM8K, {"prompt": "{question!r}"}, r"has {question!r}; a field is the name of a column and no more"),
        (GSM8K, {"prompt": "{question.__class__}"}, r"row 0 has no 'question.__class__'"),
        (GSM8K, {"prompt": " "}, r"prompt is ' '; allowed is a column, or a template"),
        (GSM8K, {"prompt": 3}, r"prompt is 3; allowed is a column"),
        (GSM8K, {"system": ""}, r"system is ''; allowed is a column, or a template"),
        ({"question": "x", "n": None}, {"prompt": "{question} {n}"}, r"row 0: 'n' is null; a template takes text"),
        (
            {"question": "x", "n": [None]},
            {"prompt": "{question} {n}"},
            r"row 0: 'n' is \[None\] \(a list\); a template takes",
        ),
        ({"prompt": CHAT}, {"system": "You."}, r"row 0: 'prompt' has a system message of its own, and `system` gives"),
        ({"prompt": CHAT, "system": "You."}, {}, r"system message of its own, and the column 'system' gives another"),
        ({"prompt": "a", "system": ["You."]}, {}, r"row 0: 'system' is \['You.'\] \(a list\); allowed is text"),
        (
            {"conversations": [{"from": "human", "value": "x"}], "answer": "1"},
            {},
            r"has no 'prompt', .*asked by `prompt: conversations`, .* `demonstrations: \{chats: FILE\}`",
        ),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "answer": "1"},
            {"prompt": "messages"},
            r"ends with a message of the assistant; .* demonstrations: \{chats: FILE\}",
        ),
        ({"prompt": [{"role": "user", "content": 3}]}, {}, r"'prompt', message 0: its content is 3; allowed is text"),
        (
            {"prompt": [{"role": "user", "content": [{"type": "image"}]}]},
            {},
            r"'prompt', message 0: its content is \[\{'type': 'image'\}\]",
        ),
    ],
)
def test_what_cannot_be_asked_is_named_with_its_row(row: dict[str, Any], options: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        asked(row, **options)


@pytest.mark.parametrize(
    ("row", "answer", "words"),
    [
        (GSM8K, "anwser", r"row 0: there is no 'anwser', the answer; it has .*Did you mean 'answer'\?"),
        ({"answer": None}, "answer", r"row 0: 'answer' is null"),
        ({"answer": " "}, "answer", r"row 0: 'answer' is empty"),
        ({"answer": 3}, {"column": "answer", "after": "#"}, r"row 0: 'answer' is 3, no text in which to look"),
        (
            {"answer": "so 3"},
            {"column": "answer", "after": "####"},
            r"row 0: 'answer' has nothing behind '####': 'so 3'",
        ),
        ({"answer": "3 ####"}, {"column": "answer", "after": "####"}, r"row 0: 'answer' has nothing behind '####'"),
        (
            {"answer": "3"},
            {"column": "answer", "tag": "boxed"},
            r"row 0: 'answer' has no answer in the form 'boxed': '3'",
        ),
        ({"answer": "3"}, {"column": "answer", "tag": "box"}, r"answer.tag: unknown tag 'box'.*Did you mean 'boxed'\?"),
        ({"answer": "3"}, {"colum": "answer"}, r"answer: unknown key 'colum'.*Did you mean 'column'"),
        ({"answer": "3"}, {"column": "answer", "befor": "x"}, r"answer: unknown key 'befor'"),
        ({"answer": "3"}, {"column": "answer", "after": 4}, r"answer.after is 4; allowed is text"),
        ({"answer": "3"}, 7, r"answer is 7; allowed are a column and"),
    ],
)
def test_what_cannot_be_expected_is_named_with_its_row(row: dict[str, Any], answer: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        expected(row, answer=answer)


def test_a_row_late_in_a_file_is_refused_before_anything_is_played() -> None:
    rows = [GSM8K | {"question": f"q{n}"} for n in range(40)] + [{"question": "last", "answer": "18"}]
    with pytest.raises(UserError, match=r"task 40: 'answer' has nothing behind '####': '18'"):
        TaskWorld(rows, grader="number")


def test_messages_open_the_episode_and_tell_tasks_apart() -> None:
    rows = [{"prompt": [CHAT[0], {"role": "user", "content": f"q{n}"}], "answer": str(n)} for n in range(30)]
    world = TaskWorld(rows, grader="exact")
    text, info = world.reset(seed=0)
    assert info["messages"] == [CHAT[0], {"role": "user", "content": text}]
    assert info["task"] == f"system: Be brief.\n\nuser: {text}"
    assert len({*world.prompts("train"), *world.prompts("test"), *world.prompts("validation")}) == 30
    assert world.step(world.oracle() or "")[1] == 1.0


def test_a_form_that_is_wanted_is_said_behind_the_last_message() -> None:
    rows = [{"prompt": [CHAT[0], {"role": "user", "content": f"q{n}"}], "answer": str(n)} for n in range(30)]
    world = TaskWorld(rows, grader="exact", answer_tag="answer")
    _, info = world.reset(seed=0)
    assert info["messages"][0] == CHAT[0]
    assert info["messages"][1]["content"].endswith("\n\nGive the final answer between <answer> and </answer>.")
    assert rows[0]["prompt"][1]["content"] == "q0"


VERL = {
    "data_source": "sums",
    "prompt": CHAT,
    "reward_model": {"style": "rule", "ground_truth": "5"},
    "n": {"m": {"o": 7}},
}


def test_a_dot_leads_into_a_mapping_wherever_a_column_is_named() -> None:
    assert expected(VERL, answer="reward_model.ground_truth") == "5"
    assert expected(VERL, answer="{reward_model.ground_truth}") == "5"
    assert expected(VERL, answer={"column": "n.m.o"}) == 7
    assert expected({**VERL, "n.m.o": 8}, answer="n.m.o") == 8  # a column of that very name
    (message,) = asked(VERL, prompt="{reward_model.style}: {n.m.o}?", system="{data_source}")[1:]
    assert message["content"] == "rule: 7?"
    assert asked({"extra": {"question": "Which?"}}, prompt="extra.question") == [{"role": "user", "content": "Which?"}]
    rows = [{**VERL, "prompt": f"{n} + 1", "reward_model": {"ground_truth": str(n + 1)}} for n in range(30)]
    world = TaskWorld(rows, grader="number", answer="reward_model.ground_truth")
    world.reset(seed=0)
    assert world.step(world.oracle() or "")[1] == 1.0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("reward_model.ground_truht", "Did you mean 'reward_model.ground_truth'?"),
        ("{reward_model[ground_truth]}", "Did you mean 'reward_model.ground_truth'?"),
        ("reward_model", "named by a dot: answer: reward_model.style or reward_model.ground_truth"),
        ("data_source.x", "there is no 'data_source.x'"),
        ("n.m.o.p", "there is no 'n.m.o.p'"),
    ],
)
def test_a_path_that_leads_nowhere_and_a_mapping_as_an_answer_name_what_is_meant(answer: str, words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        TaskWorld([VERL], grader="number", answer=answer)
