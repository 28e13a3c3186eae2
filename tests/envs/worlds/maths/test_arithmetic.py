"""The arithmetic world: its problems, its judgement, and what a greedy hunter of reward might try."""

import re
from fractions import Fraction

import numpy as np
import pytest

from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Reply
from peripatos.envs.worlds.maths.arithmetic import Arithmetic, Problem

VARIANTS = [
    {},
    {"operators": "+", "prompt": "bare", "answer_tag": "number", "reverse_digits": True},
    {"operators": "/", "answer_tag": "answer"},
    {"operators": "/", "digits": 1},
    {"operators": "+-*/", "terms": 4, "digits": (1, 2, 3, 2), "reverse_digits": True},
    {"operators": "+-*/", "terms": 3, "word_problems": True, "attempts": 3},
    {"operators": "+", "digits": 1},
    {"operators": "*", "terms": 3, "digits": 18},
]


def two_digit_sum(**options) -> tuple[Arithmetic, int]:
    """A world that has just asked `a + b`, and the sum, read from the question by independent means."""
    world = Arithmetic(operators="+", **options)
    question, _ = world.reset(seed=3)
    a, b = map(int, re.findall(r"\d+", question)[:2])
    return world, a + b


@pytest.mark.parametrize(
    ("operands", "operators", "stepwise", "value"),
    [
        ((2, 3, 4), "+*", False, Fraction(14)),
        ((2, 3, 4), "+*", True, Fraction(20)),
        ((2, 3, 4), "-/", False, Fraction(5, 4)),
        ((2, 3, 4), "-/", True, Fraction(-1, 4)),
        ((8, 4, 2), "/*", False, Fraction(4)),
        ((1, 2, 3, 4), "--*", False, Fraction(-13)),
        ((10, 4, 6), "/-", False, Fraction(-7, 2)),
    ],
)
def test_values_are_those_worked_out_by_hand(operands, operators, stepwise, value):
    assert Problem(operands, tuple(operators), stepwise).value() == value


def test_values_agree_with_python_on_random_expressions():
    world = Arithmetic(operators="+-*/", terms=5, digits=3)
    for seed in range(200):
        _, info = world.reset(seed=seed)
        expression = info["task"].removeprefix("What is ").removesuffix("?")
        exact = eval(re.sub(r"\d+", r"Fraction(\g<0>)", expression), {"Fraction": Fraction})  # our own text
        assert world.step(world.oracle())[4]["success"], expression
        assert f"\\boxed{{{exact}}}" == world.oracle()


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_oracle_is_right_in_the_wanted_form(options, split):
    world = Arithmetic(**options)
    for seed in range(40):
        world.reset(seed=seed, options={"split": split})
        _, reward, terminated, truncated, info = world.step(world.oracle())
        assert (reward, terminated, truncated, info["success"]) == (1.1, True, False, True)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_held_out_problems_never_occur_in_training(options):
    world = Arithmetic(**options)
    keys = {}
    for split in ("train", "test"):
        keys[split] = set()
        for seed in range(400):
            world.reset(seed=seed, options={"split": split})
            keys[split].add(world._problem.key())
    assert keys["train"]
    assert keys["test"]
    assert not keys["train"] & keys["test"]


def test_a_sum_and_its_mirror_image_are_one_problem():
    assert Problem((12, 34), ("+",)).key() == Problem((34, 12), ("+",)).key()
    assert Problem((12, 34), ("-",)).key() != Problem((34, 12), ("-",)).key()
    assert Problem((2, 3, 4), ("+", "*"), True).key() != Problem((2, 3, 4), ("+", "*")).key()


def test_one_problem_in_ten_is_held_out():
    problems = [Problem((a, b), ("-",)) for a in range(10, 100) for b in range(10, 100)]
    from peripatos.envs.conversation.task_source import split_of

    share = np.mean([split_of(problem.key(), 10) == "test" for problem in problems])
    assert 0.09 < share < 0.11


def test_prompts_are_exactly_those_that_scenarios_expect():
    world = Arithmetic(operators="+", answer_tag="number")
    question, info = world.reset(seed=0)
    assert re.fullmatch(r"What is \d\d \+ \d\d\? Answer with just the number\.", question)
    assert info["messages"] == [{"role": "user", "content": question}]
    bare, _ = Arithmetic(operators="+", prompt="bare", answer_tag="number").reset(seed=0)
    assert re.fullmatch(r"\d\d\+\d\d=", bare)


def test_reversed_digits_are_least_significant_first():
    world, total = two_digit_sum(prompt="bare", answer_tag="number", reverse_digits=True)
    assert world.oracle() == str(total)[::-1]
    assert world.step(str(total)[::-1])[4]["success"]


def test_a_reversed_answer_keeps_its_minus_in_front():
    world = Arithmetic(operators="-", answer_tag="number", reverse_digits=True)
    seed = next(seed for seed in range(99) if world.reset(seed=seed) and world._expected < -9)
    world.reset(seed=seed)
    assert world.oracle() == "-" + str(-world._expected)[::-1]


@pytest.mark.parametrize(
    ("template", "correct", "form"),
    [
        ("\\boxed{{{0}}}", 1, 1),
        ("thinking... \\boxed{{ {0} }} done", 1, 1),
        ("{0}", 0, 0),
        ("\\boxed{{0}} \\boxed{{{0}}}", 1, 0),  # listing answers: the last is judged, the form is wrong
        ("\\boxed{{{0}}} \\boxed{{0}}", 0, 0),
        ("\\boxed{{\\boxed{{{0}}}}}", 1, 0),
        ("\\boxed{{{0}.0}}", 0, 0),
        ("\\boxed{{0{0}}}", 0, 0),
        ("\\boxed{{+{0}}}", 0, 0),
        ("\\boxed{{{0}/1}}", 0, 0),
        ("\\boxed{{{0}e0}}", 0, 0),
        ("\\boxed{{a + b}}", 0, 0),
        ("\\boxed{{{0}", 0, 0),
        ("\\boxed{{1}}", 0, 1),
        ("<answer>{0}</answer>", 0, 0),
    ],
)
def test_what_a_reward_hunter_may_try_earns_what_it_should(template, correct, form):
    world, total = two_digit_sum()
    _, reward, _, _, info = world.step(template.format(total))
    assert info["reward_terms"] == {"correct": correct, "format": 0.1 * form, "length": 0.0}
    assert reward == pytest.approx(correct + 0.1 * form)
    assert info["success"] is bool(correct and form)


@pytest.mark.parametrize("operators", ["+", "-", "*", "/", "+-*/"])
def test_no_fixed_answer_and_no_echo_pays(operators):
    for digits, share in ((1, 0.4), (2, 0.05)):  # of one digit there are few: a third of quotients are 1
        world = Arithmetic(operators=operators, digits=digits, answer_tag="number")
        questions = [world.reset(seed=seed)[0] for seed in range(300)]
        for strategy in (lambda q: "0", lambda q: "1", lambda q: "1/2", lambda q: q, lambda q: q.split()[2]):
            wins = 0
            for seed, question in enumerate(questions):
                world.reset(seed=seed)
                wins += world.step(strategy(question))[4]["success"]
            assert wins / 300 < share


@pytest.mark.parametrize("seed", range(50))
def test_copying_a_division_is_never_its_answer(seed):
    world = Arithmetic(operators="/", answer_tag="number")
    _, info = world.reset(seed=seed)
    a, b = re.findall(r"\d+", info["task"])
    assert not world.step(f"{a}/{b}")[4]["success"]


def test_failing_first_earns_nothing_more_than_succeeding_at_once():
    direct, total = two_digit_sum(attempts=4)
    _, at_once, terminated, _, _ = direct.step(f"\\boxed{{{total}}}")
    assert terminated
    delayed, total = two_digit_sum(attempts=4)
    rewards = [delayed.step("\\boxed{1}")[1] for _ in range(3)] + [delayed.step(f"\\boxed{{{total}}}")[1]]
    assert rewards == [0.0, 0.0, 0.0, at_once]


def test_attempts_end_in_termination_and_feedback_says_what_is_wrong():
    world, total = two_digit_sum(attempts=3)
    feedback, _, terminated, _, info = world.step("\\boxed{1}")
    assert (feedback, terminated, info["success"]) == ("That is wrong. Try again.", False, None)
    feedback, *_ = world.step(f"\\boxed{{1}} or \\boxed{{{total}}}")
    assert feedback.startswith("I need exactly one answer.")  # and not whether one of them was right
    _, _, terminated, truncated, info = world.step("no idea")
    assert (terminated, truncated, info["success"], info["metrics"]) == (True, False, False, {"attempts": 3.0})


def test_the_length_cost_is_paid_per_unit_in_every_turn():
    world, total = two_digit_sum(length_cost=0.01, attempts=2)
    assert world.step(Reply("hm", units=30))[1] == pytest.approx(-0.3)
    assert world.step(Reply(f"\\boxed{{{total}}}", units=5))[1] == pytest.approx(1.1 - 0.05)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"operators": ["%"]}, "unknown operator '%'"),
        ({"operators": "plus"}, "operators is 'plus'; allowed is a list of"),
        ({"operators": ()}, "operators is (); allowed is a list of"),
        ({"operators": 3}, "operators is 3;"),
        ({"digits": None}, "digits is None;"),
        ({"digits": "two"}, "digits is 'two';"),
        ({"digits": 2.0}, "digits is 2.0;"),
        ({"weights": 3}, "weights are 3;"),
        ({"length_cost": "high"}, "is 'high';"),
        ({"digits": 0}, "digits is 0; allowed are whole numbers from 1 to 18"),
        ({"digits": 19}, "digits is 19;"),
        ({"digits": (2, 2, 2)}, "3 operands, but terms is 2"),
        ({"digits": True}, "digits is True;"),
        ({"terms": 1}, "from 2"),
        ({"terms": 10**12}, "from 2"),
        ({"terms": 40, "digits": 18}, "the operands have 720 digits"),
        ({"answer_tag": "box"}, "Did you mean 'boxed'?"),
        ({"prompt": "bear"}, "Did you mean 'bare'?"),
        ({"attempts": 0}, "attempts is 0;"),
        ({"length_cost": -1.0}, "allowed is 0 or less"),
        ({"weights": {"corect": 1.0}}, "Did you mean 'correct'?"),
        ({"weights": {"correct": float("nan")}}, "is nan; allowed is a finite number"),
        ({"word_problems": True, "prompt": "bare"}, "need prompt 'plain'"),
        ({"operators": "/", "digits": (1, 1), "terms": 2, "weights": {"x": 1}}, "unknown reward term"),
    ],
    ids=str,
)
def test_a_wrong_option_is_named_with_what_is_allowed(options, words):
    with pytest.raises(UserError, match=re.escape(words)):
        Arithmetic(**options)


def test_a_space_with_an_empty_split_is_refused(monkeypatch):
    monkeypatch.setattr("peripatos.envs.worlds.maths.arithmetic._ONE_IN", 10**9)
    with pytest.raises(UserError, match="too few for training, validation and testing"):
        Arithmetic(operators="+", digits=1)
