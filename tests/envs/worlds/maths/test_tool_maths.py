"""Arithmetic with a calculator: the shortest conversation in which a tool pays."""

import pytest

from peripatos.envs.check import check_world
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Reply, ToolCall
from peripatos.envs.worlds.maths.arithmetic import Problem
from peripatos.envs.worlds.maths.tool_maths import ToolMaths, steps


def play(world: ToolMaths, *replies: Reply | str) -> list[tuple]:
    world.reset(seed=1)
    return [world.step(reply) for reply in replies]


def factors(world: ToolMaths) -> tuple[str, int]:
    question, _ = world.reset(seed=1)
    a, b = map(int, question.removesuffix("=").split("*"))
    return f"{a}*{b}", a * b


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"operators": "+-*/", "terms": 4, "digits": 4},
        {"prompt": "plain", "reply_format": "hermes"},
        {"operators": "+-*", "terms": 4, "one_operation": True, "weights": {"progress": 1.0}},
    ],
    ids=str,
)
def test_it_keeps_the_contract(options):
    assert not [finding for finding in check_world("peripatos/ToolMaths-v0", **options) if not finding.passed]


def test_a_call_a_result_and_an_answer():
    world = ToolMaths(weights={"called": 0.5})
    expression, product = factors(world)
    called, answered = play(world, f"<tool_call>{expression}</tool_call>", f"<answer>{product}</answer>")
    assert called[:4] == (str(product), 0.0, False, False)
    assert called[4]["messages"] == [
        {"role": "tool", "name": "calculator", "content": str(product), "tool_call_id": "call00000"}
    ]
    assert answered[1:4] == (pytest.approx(1.6), True, False)
    assert answered[4]["success"] is True


def test_the_oracle_calls_once_and_recovers_from_nonsense():
    world = ToolMaths()
    expression, product = factors(world)
    assert world.oracle() == f"<tool_call>{expression}</tool_call>"
    play(world, "<tool_call>2*2</tool_call>", "<tool_call>")
    assert world.oracle() == f"<tool_call>{expression}</tool_call>"
    world.step(world.oracle())
    assert world.oracle() == f"<answer>{product}</answer>"


def test_an_oracle_may_call_in_a_share_of_the_tasks():
    world = ToolMaths(oracle_calls=0.3)
    called = 0
    for seed in range(300):
        world.reset(seed=seed)
        called += "<tool_call>" in (first := world.oracle())
        _, _, terminated, _, info = world.step(first)
        assert terminated == ("<answer>" in first) == (info["success"] is True)
    assert 60 < called < 120


def test_an_answer_beside_a_call_is_not_yet_an_answer():
    world = ToolMaths()
    expression, product = factors(world)
    ((text, reward, terminated, _, _),) = play(world, f"<answer>{product}</answer><tool_call>{expression}</tool_call>")
    assert (text, reward, terminated) == (str(product), 0.0, False)


def test_wrong_calls_are_messages_and_costs():
    world = ToolMaths(weights={"malformed": 0.1, "tool_error": 0.2, "tool_call": 0.01})
    zero, unknown, malformed = play(
        world, "<tool_call>1/0</tool_call>", Reply("", tool_calls=(ToolCall("calculate", {}),)), "<tool_call>1+1"
    )
    assert zero[0] == "calculator failed: ZeroDivisionError: division by zero"
    assert zero[1] == pytest.approx(-0.21)
    assert "Did you mean 'calculator'" in unknown[0]
    assert malformed[1] == pytest.approx(-0.1)


def test_limits_of_calls_and_turns_truncate():
    world = ToolMaths(max_calls=2)
    steps = play(world, *["<tool_call>1+1</tool_call>"] * 3)
    assert [step[3] for step in steps] == [False, False, True]
    steps = play(world, *["<tool_call>"] * 8)
    assert [step[3] for step in steps] == [False] * 7 + [True]
    assert steps[-1][4]["success"] is False


def test_a_tiny_tokenizer_writes_the_whole_conversation_in_few_tokens():
    from peripatos.agents.language.tiny_llama import tiny_tokenizer

    tokenizer, world = tiny_tokenizer(), ToolMaths()
    world.reset(seed=1)
    call = world.oracle()
    tokens = tokenizer(call, add_special_tokens=False)["input_ids"]
    assert len(tokens) == len("734*846") + 2
    assert tokenizer.decode(tokens) == call


def test_wrong_options_are_named():
    with pytest.raises(UserError, match="Did you mean 'compact'"):
        ToolMaths(reply_format="compcat")
    with pytest.raises(UserError, match="max_calls"):
        ToolMaths(max_calls=0)
    with pytest.raises(UserError, match="allowed is a share from 0 to 1"):
        ToolMaths(oracle_calls=1.5)


@pytest.mark.parametrize(
    ("operands", "operators", "wanted"),
    [
        ((4, 7), "+", ["4+7"]),
        ((4, 7, 2), "+*", ["7*2", "4+14"]),
        ((1, 2, 3, 4), "--+", ["1-2", "-1-3", "-4+4"]),
        ((2, 3, 4, 5, 6), "*-**", ["2*3", "4*5", "20*6", "6-120"]),
    ],
)
def test_a_problem_is_made_of_operations_in_the_order_in_which_they_are_done(operands, operators, wanted):
    assert steps(Problem(operands, tuple(operators))) == wanted


def test_a_call_of_one_operation_makes_a_turn_of_each_and_pays_each_step_once():
    world = ToolMaths(operators="+-*", digits=1, terms=4, one_operation=True, weights={"progress": 0.6})
    for seed in range(30):
        world.reset(seed=seed)
        turns = []
        for turn in range(4):
            reply = world.oracle()
            assert ("<tool_call>" in reply) == (turn < 3)
            turns.append(world.step(reply))
        assert [reward for _, reward, *_ in turns] == pytest.approx([0.2, 0.2, 0.2, 1.1])
        assert [(terminated, info["success"]) for *_, terminated, _, info in turns[3:]] == [(True, True)]


def test_two_operations_in_a_call_are_refused_and_no_step_is_paid_twice_or_out_of_turn():
    world = ToolMaths(operators="+", digits=1, terms=3, one_operation=True, weights={"progress": 1.0}, max_calls=8)
    question, _ = world.reset(seed=3)
    a, b, c = map(int, question.removesuffix("=").split("+"))
    sent = [f"{a}+{b}+{c}", f"{b}+{c}", f"{a}+{b}", f"{a}+{b}", f"{a + b}+{c}", f"{a + b}+{c}"]
    steps_made = [world.step(f"<tool_call>{expression}</tool_call>") for expression in sent]
    assert steps_made[0][0] == "calculator failed: ValueError: the expression has 2 operations; one call does 1"
    assert [reward for _, reward, *_ in steps_made] == [0.0, 0.0, 0.5, 0.0, 0.5, 0.0]
    assert world.oracle() == f"<answer>{a + b + c}</answer>"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"operators": "*/"}, "leave / out of operators"),
        ({"operators": "+", "terms": 6}, "6 operands take 5 calls and 6 turns; max_calls is 4, and an episode has 8"),
        ({"operators": "+", "terms": 9, "max_calls": 9}, "9 operands take 8 calls and 9 turns; max_calls is 9"),
    ],
)
def test_one_operation_a_call_is_refused_where_an_expert_could_not_come_to_the_end(options, words):
    with pytest.raises(UserError, match=words):
        ToolMaths(one_operation=True, **options)


def test_a_question_in_words_says_that_a_call_does_one_operation():
    question, _ = ToolMaths(operators="+", prompt="plain", one_operation=True).reset(seed=1)
    assert question.endswith("A call does one operation.")
