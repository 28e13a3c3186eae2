"""Which number a reply gives: one that is declared, else its last; two are none, and so is a part of something else."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction as F

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peripatos.envs.conversation.said_number import number_in, spelled_number


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("So Tom has 18 apples.", 18),
        ("3 bags of 6 are 18.\n#### 18", 18),
        ("#### 17 ... no, 18\n#### 18", 18),
        ("18 is not it, it is 19", 19),
        ("1018", 1018),
        ("$1,018.00", 1018),
        ("It costs 1,018 dollars", 1018),
        ("x = -3", -3),
        ("x = −3", -3),
        ("x = – 3", -3),
        ("-3", -3),
        ("3", 3),
        ("1/2", F("1/2")),
        (".5", F("1/2")),
        ("It is 50%.", 50),
        ("1000", 1000),
        ("1e3", 1000),
        ("**18**", 18),
        ("\\boxed{18}", 18),
        ("+5", 5),
        ("5 km²", 5),
        ("5 km^2", 5),
        ("5 km^{2}", 5),
        ("5km", 5),
        ("5 m/s", 5),
        ("5 m/s^2", 5),
        ("5\\text{ km}^2", 5),
        ("5 \\text{ cm}^{3}", 5),
        ("5 ½", F("11/2")),
        ("5½", F("11/2")),
        ("½", F("1/2")),
        ("5 1/2", F("11/2")),
        ("-5 1/2", F("-11/2")),
        ("5\\frac{1}{2}", F("11/2")),
        ("\\frac{1}{2}", F("1/2")),
        ("-\\frac{3}{4}", F("-3/4")),
        ("\\dfrac12", F("1/2")),
        ("12 1/2", F("25/2")),
        ("The answer is 5, not 6", 5),
        ("The answer is 18, which is 3 more than 15.", 18),
        ("The answer is 18. That is 3 more than 15.", 18),
        ("The answer is 5 + 6 = 11", 11),
        ("The answer is 5 + 6 = 11.", 11),
        ("Answer: 5", 5),
        ("Final answer: 6. (not 5)", 6),
        ("Answer: 5\nFinal answer: 6", 6),
        ("The answer is 5. No wait, 6.", 6),
        ("The answer is 5. So the answer is 6.", 6),
        ("It is 6, not 5", 6),
        ("It is 6 rather than 5", 6),
        ("5 is wrong, it is 6", 6),
        ("It is 6, 5 is wrong", 6),
        ("The answer is x = 5", 5),
        ("The answer is that Tom has 5 apples.", 5),
        ("\\boxed{x = 5}", 5),
        ("\\boxed{12} first. So \\boxed{18}", 18),
        ("1 234", 1234),
        ("1\u202f234", 1234),
        ("1\\,234", 1234),
        ("1{,}234", 1234),
        ("12,34,567", 1234567),
        ("1'234", 1234),
        ("1,234.5", F("2469/2")),
        ("５", 5),
        ("٥", 5),
        ("1５7", 157),
        ("5.", 5),
        ("5!", 5),
        ("5?", 5),
        ("(5)", 5),
        ("5.0", 5),
        ("5 percent", 5),
        ("5 %", 5),
        ("5\\%", 5),
        ("€5", 5),
        ("5€", 5),
        ("£5.50", F("11/2")),
        ("-$5", -5),
        ("$-5$", -5),
        ("5 million", 5000000),
        ("2.5 thousand", 2500),
        ("5 and a half", F("11/2")),
        ("3 × 10^8", 300000000),
        ("3·10⁸", 300000000),
        ("3 x 10^8", 300000000),
        ("3 \\times 10^{8}", 300000000),
        ("so -> 42", 42),
        ("17-25=-8", -8),
        ("17 + 25 = 42", 42),
        ("H2O weighs 18", 18),
        ("18 H2O", 18),
        ("In 2020, 5 apples were left.", 5),
        ("Of the 12, 5 are left.", 5),
        ("7 are not broken", 7),
        ("So 5 are not sold.", 5),
        ("5°", 5),
        ("5^\\circ", 5),
        ("5 minutes", 5),
        ("5min", 5),
        ("$5/hour", 5),
        ("5 kg/m^3", 5),
        ("The total is 3 + 4 = 7", 7),
        ("<answer>5</answer>", 5),
        ('{"answer": 5}', 5),
        ("~5", 5),
        ("≈5", 5),
        ("about 5", 5),
        ("#### Step 1\nadd 3\n#### Answer\n5", 5),
        ("Answer:\n\n5", 5),
        ("I have 2 answers: 3", 3),
        ("5 to", 5),
        ("00005", 5),
        ("`5`", 5),
        ("*5*", 5),
        ("5\n\n5", 5),
        ("3 + 2 = 5\n5", 5),
        ("1,000,000", 1000000),
        ("0.1e2", 10),
        ("+5.5", F("11/2")),
        ("＋5", 5),
        ("＝5", 5),
        ("５００", 500),
        ("The answer is: 5 apples and 3 pears", 5),
        ("2 out of 5", 2),
        ("100 %", 100),
        ("Step 1: 2. Step 2: 5. Result 7", 7),
        ("It takes 5 hours, i.e. 300 minutes", 300),
        ("minus 7", -7),
        ("The answer is negative 7.", -7),
        ("The answer is - 7.", -7),
        ("\\boxed{- 7}", -7),
        ("#### - 7", -7),
        ("\\boxed{\\text{minus } 7}", -7),
        ("It rang 18 times.", 18),
        ("Is it 18? No, 17.", 17),
        ("It is 18. That is right.", 18),
        ("none other than 5", 5),
        ("<final>5</final>", 5),
        ("<number>5</number>", 5),
        ("5<br>", 5),
        ("5</s>", 5),
        ("5<|im_end|>", 5),
        ("> 5", 5),
        ("<think>2 + 3 = 6</think>5", 5),
        ("<think>The answer is 4.</think>\n\n5", 5),
        ("2 + 2 = 4, so</think>5", 5),
        ("#### [5]", 5),
        ("- 5", 5),  # an item
        ("* 5", 5),
        ("- **5**", 5),
        ("_5_", 5),
        ("The answer is _5_.", 5),
        ("\\textcolor{red}{5}", 5),
        ("That is 300 minutes, or 5 hours.", 5),
        ("The price dropped from 20 to 5.", 5),
        ("١٨٫٥", F("37/2")),
        ("١٬٠١٨", 1018),
        ("The answer is 18 (9 eggs at $2 each)", 18),
        ("The answer is 18 because 3*6=18", 18),
        ("The answer is 18 because 2*3=6 and 6*3=18", 18),
        ("#### 18 because 3*6=18", 18),
        ("Answer: 18 (20 - 2 = 18)", 18),
        ("Answer: 18 [3 bags * 6 apples = 18 apples]", 18),
        ("Answer: 18 dollars ($20 - $2 = $18)", 18),
        ("Answer: 18 (3 times 6 is 18)", 18),
        ("Answer: 3\n2+1=3", 3),
        ("Answer: 18\n16-3-4=9\n9*2=18", 18),
        ("Answer: 18 (= 20 - 2)", 18),
        ("Answer: 18 (3 x 6)", 18),
        ("Answer: 3\n2+1=3\n4-1=3", 3),
        ("The answer is $3$ because $2+1=3$", 3),
        ("The answer is Rs. 18", 18),
        ("#### US$18\n(not 3)", 18),
    ],
)
def test_a_number_is_read_however_it_is_spelled(reply: str, number: int | F) -> None:
    assert number_in(reply, "") == number


@pytest.mark.parametrize(
    "money",
    ["US$18", "HK$18", "A$18", "R$18", "CN¥18", "₩18", "EUR18", "CHF18", "Rs18", "Rs.18", "18kr", "18CHF", "18US$"],
)
def test_a_currency_may_be_written_to_a_number(money: str) -> None:
    assert number_in(f"The answer is {money}", "") == spelled_number(money) == 18


@pytest.mark.parametrize(
    "reply",
    [
        "84/12",
        "14/2",
        "nothing",
        "",
        "40 + 2",
        "3 5",
        "3 5/2",
        "5 or 6",
        "5, 6",
        "5 and 6",
        "between 5 and 6",
        "5 to 6",
        "5-6",
        "5–6",
        "x = 3 or x = 5",
        "±5",
        "3; 5",
        "3/5/7",
        "1\n2\n3",
        "1 2 3 4 5 6 7",
        "It is 5 km or 6 km",
        "The answer is 5 or 6",
        "The answers are 3, 5.",
        "The answer is 3 5",
        "17 or 18 because 3*6=18",
        "Answer: 17\n3*6=18",
        "18 or 17 because 20-3=17",
        "17kr 18kr",
        "Answer: 17 (= 18)",
        "Answer: 18\n20-3=17",
        "Answer: 5\nAnswer: 6",
        "The answer is not 5",
        "not 5",
        "\\boxed{5} or \\boxed{6}",
        "\\boxed{5, 6}",
        "1,5",
        "1.234,5",
        "5k",
        "5x",
        "5 x",
        "5x^2",
        "2^10",
        "2^{10}",
        "5²",
        "2 * 21",
        "5 - x",
        "x < 5",
        "\\sqrt{16}",
        "sqrt(16)",
        "f(5)",
        "3:30",
        "5 dollars and 50 cents",
        "7 = 3 + 4",
        "The answer is five",
        "99,9",
        "1.2.3",
        "COVID-19",
        "x_1",
        "1st",
        "2*3",
        "10/5",
        "\\boxed{(5, 6)}",
        "\\boxed{5!}",
        "\\boxed{x \\leq 5}",
        "\\boxed{5 \\ge x}",
        "5 < 6",
        "[4, 5]",
        "(4, 5).",
        "The answer is 4.\n#### [4, 5]",
        "4, 5 :)",
        "4, 5 ok?",
        "4, 5 - done",
        '"4", "5"',
        "(4), (5)",
        "[1, 2, 3, 4, 5]",
        "<answer>(4,5)</answer>",
        "5 plus 3",
        "⁻5",
        "5 apples plus 3 apples",
        "10 minus 7",
        "5 times 3",
        "plus or minus 5",
        "Is it 18? No.",
        "18? No",
        "18. That is wrong.",
        "It is 18. That's not it.",
        "anything but 18",
        "The answer is anything but 18",
        "The final answer is not 5",
    ],
)
def test_no_number_two_numbers_and_what_is_to_be_computed_are_none(reply: str) -> None:
    assert number_in(reply, "") is None


TWICE_DECLARED = """
17 is the answer. 18 is the answer. | 17 is my answer. 18 is my answer. | 17 is the answer, 18 is the answer
17 is the right answer; 18 is the right answer | 17 is correct and 18 is correct | 17 is the answer. The answer is 18.
The answer is 17. 18 is the answer. | 17 is correct. The answer is 18. | 17 is it. 18 is it. | 17 works. 18 works.
17 would be the answer. 18 would be the answer. | 17 is the result. 18 is the result.
17 eggs is the answer. 18 eggs is the answer
So 17 is the answer. And 18 is the answer. | 17: the answer. 18: the answer. | 17 - my answer. 18 - my answer.
17 was the answer. 18 was the answer. | 17 answers the question. 18 answers the question. | 17 is right. 18 is right.
17 dollars is correct. 18 dollars is correct. | 17 is what we want. 18 is what we want.
**17** is my answer. **18** is my answer.
"""
DECLARED = """
18 is the answer. Each bag holds 6. | 18 is the correct answer, not 17. | So 18 is the answer to the question.
6 is the answer to the first part. The total is 18. | 6 is the answer to 2 times 3. So 18 in total.
12 is right for Monday. In total 18 | 17 is not the answer. 18 is the answer. | The answer is 18. 18 is the answer.
17 is the answer. Wait, 18 is the answer. | 17 is wrong; 18 is the answer | Is 17 the answer? No, 18 is the answer.
2 is prime. 3 is prime. 2 × 3 × 3 = 18 | 12 is the first. 6 is the second. Total: 18
17 answers were right, so 18 points
"""
CLAUSES = """
After losing 2 marbles, 18 remain. | Out of 20 marbles, 18 remain. | Because 2 were lost, 18 remain.
Subtracting 2, 18 remain.
After he ate 2, 18 were left. | Since 2 are bad, 18 are good. | With 2 gone, 18 remain.
So after losing 2 marbles, 18 remain.
From 20 eggs, 18 are left. | Having lost 2 coins, 18 remain. | If 2 are lost, 18 remain. | When 2 leave, 18 stay.
18 because each bag holds 6 | 18 because there are 3 bags of 6 | Tom has 18 apples because each bag holds 6.
**18** because each bag holds 6.
It is 18 since each of the 3 bags holds 6. | 18, because each bag holds 6 | He lost 2 because of 1 hole, so 18 remain.
We subtract 2 because 2 broke, leaving 18. | We divide by 2 because each pair has 2 shoes, so 36/2 = 18.
Since Tom ate 2 of the 20, 18 remain. | Because each of the 3 bags holds 6, there are 18.
He lost 2 because he fell. 18 remain.
"""


def phrases(table: str) -> list[str]:
    return [phrase.strip() for line in table.strip().split("\n") for phrase in line.split("|")]


@pytest.mark.parametrize("said", [*phrases(TWICE_DECLARED), "17 is the answer\n18 is the answer"])
def test_two_that_are_declared_behind_themselves_are_none(said: str) -> None:
    assert number_in(said, "18") is None


@pytest.mark.parametrize("said", phrases(DECLARED))
def test_one_that_is_declared_behind_itself_wins(said: str) -> None:
    assert number_in(said, "18") == 18


@pytest.mark.parametrize("said", phrases(CLAUSES))
def test_a_number_of_a_clause_beside_the_answer_is_no_second_answer(said: str) -> None:
    assert number_in(said, "18") == 18


@pytest.mark.parametrize(
    "said", ["Guessing 17 apples, 18 apples.", "Guessing 17, 18", "Using 17, 18", "After 17 or 18"]
)
def test_two_numbers_in_no_clause_are_none(said: str) -> None:
    assert number_in(said, "18") is None


def test_a_fraction_that_is_not_in_lowest_terms_counts_where_the_answer_is_spelled_so() -> None:
    assert number_in("84/12", "84/12") == 7
    assert number_in("84/12", "7") is None


@pytest.mark.parametrize("frame", ["{}", "The answer is {}", "Answer: {}.", r"\boxed{{{}}}", "#### {}"])
@pytest.mark.parametrize("between", [" ", ", ", " or ", " and ", "; ", "-", "–", " to ", " | "])
def test_a_list_of_numbers_is_never_paid(between: str, frame: str) -> None:
    for many in (2, 3, 4):
        for numbers in itertools.permutations(["7", "-2", "15", "4"], many):
            assert number_in(frame.format(between.join(numbers)), "") is None, numbers


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**6))
def test_what_is_spelled_is_read(above: int, below: int) -> None:
    value = F(above, below)
    assert number_in(f"It is {value}.", "") == value
    assert spelled_number(str(value)) == value
    if value.denominator == 1:
        assert number_in(f"The answer is ${above // below:,} in all.", "") == value
        assert spelled_number(f"{above // below:,}") == value


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("$1,018", 1018),
        ("US$18", 18),
        ("EUR 18", 18),
        ("18kr", 18),
        ("5 km²", 5),
        ("50%", 50),
        ("5 ½", F("11/2")),
        ("84/12", 7),
        ("3 or 5", None),
        ("many", None),
    ],
)
def test_an_answer_is_a_number_and_nothing_beside_it_but_a_unit(text: str, number: int | F | None) -> None:
    assert spelled_number(text) == number


NO_SINGLE_NUMBER = """
5 hours 30 minutes|2 hours thirty minutes|6 ft 2 in|6ft2in|5h30|5 lb 3 oz|1 year and a day|2 thirds|1 half cup|3 tenths
7 twentieths|3 sqrt 2|3 sqrt2|3 pi|3 sin x|5 squared|3 May 2021|14 of July|5 pm|5 p.m.|5 in the morning|12 noon
5 out of 8|3 out of five|3 degrees below zero|5 more than x|2 dozen|2 score|3 k|5 quintillion|$18m|$5B|5 or more
"""
UNITS = """
apples|red apples|dollars per day|km/h|m/s|m/s^2|km²|cm3|%|percent|months|months old|seconds|baths|times a day|a day
in total|in|kg|l|h|boys and girls|square feet|feet per second|degrees Celsius|more|kilowatt hours|H2O
"""


def test_an_answer_of_two_quantities_a_fraction_a_date_or_a_time_is_no_number() -> None:
    texts = [text for line in NO_SINGLE_NUMBER.split("\n") for text in line.split("|") if text]
    assert [text for text in texts if spelled_number(text) is not None] == []


def test_an_answer_may_have_a_unit_or_what_is_counted_behind_it() -> None:
    units = [unit for line in UNITS.split("\n") for unit in line.split("|") if unit]
    assert [unit for unit in units if spelled_number(f"18 {unit}") != 18] == []


@pytest.mark.parametrize(
    "again", ["5 ", "5, ", "answer is 5 + 6 = ", "1/", "1,", "1 2/3 ", r"\frac{", "9", "½", "- ", "(5", "5\n "]
)
def test_a_long_reply_is_read_in_seconds(again: str) -> None:
    began = time.thread_time()
    number_in(again * (65_536 // len(again)), "")
    assert time.thread_time() - began < 30
