"""A hedge is paid for nothing, and whoever says one answer is paid, however politely."""

from __future__ import annotations

import pytest

from peripatos.envs.conversation.chosen_letter import chosen_letter
from peripatos.envs.conversation.said_number import number_in

FRAMES = ["{}", "{}.", "The answer is {}.", "So it is {}", "Answer: {}", "#### {}", "<answer>{}</answer>", "**{}**"]

BOUNDS = """
less than 18 | fewer than 18 apples | more than 18 | greater than or equal to 18 | at least 18 | at most 18 | over 18
no more than 18 | no fewer than 18 | not less than 18 | up to 18 | as many as 18 | just over 18 | under 18 | above 18
a bit below 18 | upwards of 18 | within 18 | a maximum of 18 | 18 or more | 18 or fewer | 18 apples or more
18 and above | 18 and up | 18 at most | 18 apples at least | 18, at most | 18, if not more | 18+ | 18 plus | >= 18
≤ 18 | bigger than 18 | at the very least 18 | 18 km or higher | max. 18 | exceeding 18 | well over 18 | not over 18
min 18 | min. 18 | He ran over 18 km | He drove over 18 miles | It flew over 18
18 (+/- 5) | 18 (at least) | 18 (or more) | 18 (minimum) | 18 (max) | (at least) 18 | at least: 18 | ≧ 18 | ≦18 | ≳18
at least eighteen (18) | 18 or a bit more | 18 and possibly more | a lower bound of 18 | capped at 18 | from 18 upwards
"""
RANGES = """
17 to 18 | 17-18 | 17–18 apples | 17 through 18 | from 17 up to 18 | 17..18 | 17...18 | between 17 and 18 | 17 ± 1
17, give or take 1 | 17 +/- 1 | somewhere between 17 and 18 | anywhere from 17 to 18 | [17, 18] | 17 < x < 18 | 17~18
"""
ALTERNATIVES = """
17 or 18 | either 17 or 18 | 17, maybe 18 | 17 (maybe 18) | 17. Maybe 18 | maybe 17, maybe 18 | 17, perhaps 18
17 || 18 | 17, possibly 18 | 17 apples (possibly 18) | 17, alternatively 18 | 17. Alternatively, 18 | 17, otherwise 18
17, else 18 | 17, if not 18 | 17 apples, if not 18 apples | 17 or else 18 | 17 and/or 18 | 17 as well as 18
17. Also 18 | 17. Or 18 | 17, though 18 is possible | 17 (18 is also possible) | 17. 18 is also possible
17, but it might be 18 | 17 vs. 18 | 17. It could also be 18 | 17 if you count Tom, 18 otherwise | 18 or nineteen
seventeen or 18 | 18 or something else | 18 or seventeen
"""
LISTS = """
4, 5, or so | 17, 18, or so | 17, 18 or something | 17, 18, etc. | 17, 18, ... | 17, 18, I guess | one of 17, 18, 19
17, 18 | 17; 18 | 17 & 18 | 17? 18? 19? | 17! 18! | 17 apples. 18 apples | x = 17, x = 18 | x_1 = 17, x_2 = 18
"""
WHOLE = [
    "18 is possible",
    "18 is still plausible.",
    "A fool would say 18",
    "Only an idiot picks 18.",
    "Answer 1: 17 / Answer 2: 18",
    "Answer 1: 17\nAnswer 2: 18",
    "Answer (1): 17\nAnswer (2): 18",
    "Answer #1 is 17. Answer #2 is 18.",
    "Option 1: 17. Option 2: 18.",
    "Candidate A = 17, candidate B = 18",
    "Solution 1: x = 17; solution 2: x = 18",
    "First guess: 17. Second guess: 18.",
    "My first answer is 17; my second answer is 18.",
    "Answer: 17\nOther possible answer: 18",
    "1. 17\n2. 18",
    "At least, 18",
    "at a minimum, 18",
    "&gt; 18",
    "Case 1: 17\nCase 2: 18",
    "Scenario 1: 17; Scenario 2: 18",
    "Interpretation A: 17. Interpretation B: 18.",
    "• 17\n• 18",
    "17〜18",
    "17 otherwise 18",
    "17 is the answer, and so is 18",
    "Some say 17, some say 18.",
    "1) 17 2) 18",
    "(a) 17 (b) 18",
    "17 apples\n18 apples",
    "It could be 17. It could also be 18.",
    "Could be 17, could be 18.",
    "It might be 17, but it might be 18",
    "I would say 17, but 18 is also plausible.",
    "It's 17. Or is it 18?",
    "\\boxed{17} or maybe \\boxed{18}",
    "\\boxed{17}\n\nAlternatively: \\boxed{18}",
    "\\boxed{\\text{at least } 18}",
    "\\boxed{\\geq 18}",
    "17 \\lor 18",
    "The answer is 17, though 18 is possible",
]
ONE_OF_SOME = """
18 unless Tom is counted | 18, unless he pays | 18 apples unless not | 18 as long as Tom pays | 18 so long as it rains
18 only if Tom pays | 18 only when it rains | 18 in case it rains | 18 on condition that he pays | 18, depending on Tom
18 is one possible answer | 18 is one of the possible answers | 18 is a possible answer | 18 is a possibility
18 would be one option | 18 is just one option | 18 is a candidate | 18 is among the possible answers
"""
BESIDE = """
The answer is 18 with probability 0.5 and 17 with probability 0.5 | 18 with a 50% chance, 17 with a 50% chance
One possible answer is 18 | A possible answer is 18 | One of the answers is 18 | One option is 18
17 equals 18 | first 17, then 18 | First 17; then 18.
17 today, 18 tomorrow | Others say 17, a fool 18
"""
DENIED = """
not 18 | not exactly 18 | It isn't quite 18 | far from 18 | nowhere near 18 | 18 is unlikely | 18 is too high
It is unlikely to be 18 | It couldn't possibly be 18 | I'm not sure it's 18 | I doubt it is 18
"""


def phrases(*tables: str) -> list[str]:
    return [one.strip() for table in tables for line in table.strip().split("\n") for one in line.split(" | ")]


@pytest.mark.parametrize("frame", FRAMES)
def test_a_number_that_is_hedged_is_none(frame: str) -> None:
    said = [*phrases(BOUNDS, RANGES, ALTERNATIVES, LISTS, ONE_OF_SOME), "17 | 18"]
    assert {one: number for one in said if (number := number_in(frame.format(one), "18")) is not None} == {}


def test_numbers_that_are_listed_item_by_item_or_denied_are_none() -> None:
    assert {
        one: number for one in [*WHOLE, *phrases(DENIED, BESIDE)] if (number := number_in(one, "18")) is not None
    } == {}


@pytest.mark.parametrize("said", phrases("17 of 18 | 17 of the 18 | 17 out of 18 | 17 apples out of 18"))
def test_what_a_number_is_a_part_of_is_not_what_is_said(said: str) -> None:
    assert number_in(said, "18") == 17


NAMED = """
18 | 18. | $18 | €18 | 18 € | 18 EUR | USD 18 | 18 dollars | 18 km/h | 18 m² | 18% | 18°C | `18` | **18** | # 18
= 18 | 18.0 | (18) | "18" | \\boxed{18} | \\boxed{18 \\text{ apples}} | $18$ | \\(18\\) | #### 18 apples
<answer>18</answer> | x equals 18 | Answer: \\$18 | **Answer:** 18 | ### Answer: 18 | {"answer": 18} | 18 (eighteen)
18 (3 × 6) | 18 to be exact | 18 in total | about 18 | around 18 apples | roughly 18 | ≈ 18 | ~18 | 18 or so
18, give or take | 18 more or less | approximately 18 km | Probably 18 | He may have 18. | So, he may sell 18.
With $9 she could buy 18 apples. | I think it is 18. | That adds up to 18. | It sums up to 18 | He counted up to 18.
The maximum is 18. | The minimum: 18 | The largest is 18 | 18 apples left over. | There are 18 left over
He needs 18 more. | 18 more apples | 18 fewer | 18 at a time | Answer 1: 18 | It is 18, which is more than 17.
The answer is 18 (less than 20). | It is 18, not 17. | It's not 17, maybe 18 | 17 is too low, so 18 | Not 17 but 18.
Could be 17? No, it's 18. | Maybe 17. No, wait: 18. | 17... no, 18. | He needs at least 17, so the answer is 18.
In 2020, 18 apples were left. | After 3 days, 18 are left. | Option 2 is right: 18
First, 3 + 4 = 7. Then 7 + 11 = 18. | Tom has 12, Ann has 6, together 18 | Day 1: 5. Day 2: 13. In total: 18.
Tom has 18 apples. I hope this helps! | If he buys 9 pairs, he has 18. | Over 3 days he ate 6 each, so 18.
3 bags of 6 make 18. | 18 min | The answer is 18 min. | **18 min** | He ran 5 km in 18 min | \\boxed{18\\ \\text{min}}
He had 20 apples. He ate 2 apples. 18 apples are left. | The store had 50 books. It sold 32 books. 18 books remain.
Each costs 2 dollars. 18 dollars in total.
The answer is 18 apples. 2 apples are spoiled. | He ate 2 apples. 18 apples.
Of the 20 apples, 2 are bad and the other 18 are good. | He ate 2 and the other 18 are left.
2 are red and another 18 are blue. | 2 are red. Also 18 are blue. | a_1 = 2, a_2 = 6, a_3 = 18
f(1) = 2, f(2) = 6, f(3) = 18 | The first number is 12 and the second number is 18.
Value = 20, value = 18 after the discount. | He jumps over 18 hurdles. | The car drove over 18 bridges.
He hid it under 18 blankets. | So, 18 at least in theory. | It's 18 at the most recent count. | He has 18 at most times.
18 or eighteen | It is 18, or eighteen in words. | eighteen or 18
18 of the 20 | 18 of the 20 are red | 18 out of 20 | 18 apples out of the 20 | 18 (of 20) | 1/3 of 54 is 18 | R18 | R 18
18p | It costs 18p. | 18 is the only possible answer | 18 is the one possible answer | 18 unless I am mistaken
18 with certainty | The answer is 18 with probability 0.9 | 17 + 1 equals 18 | Half of 36 equals 18 | 36/2 equals 18
First 3, then 6, so 18 | He ate 12 today, 6 tomorrow, so 18 | First 12, then 6. In total 18
The rope is 18, as long as a bus
He says 12, his brother 6, together 18 | He dropped 18 coins. | He skipped 18 stones. | They removed 18
He avoided 18 holes
"""
STEPS = [
    "12 apples\n6 apples\n18 apples in total",
    "1. 3 bags of 6 are 18.\n2. So he has 18.",
    "1. There are 3 bags.\n2. Each has 6.\n3. So 18.",
    "Step 1: 3 + 4 = 7\nStep 2: 7 + 11 = 18",
    "- Tom: 12\n- Ann: 6\n- Total: 18",
    "18\n\nExplanation: three bags hold six each.",
    "He sells 16 - 3 - 4 = 9 eggs.\nSo he makes 9 * 2 = $18 every day.",
    "\\[ 3 \\times 6 = \\boxed{18} \\]",
]


@pytest.mark.parametrize("said", [*phrases(NAMED), *STEPS])
def test_a_number_that_is_named_with_an_estimate_or_a_story_is_paid(said: str) -> None:
    assert number_in(said, "18") == 18


@pytest.mark.parametrize("said", ["1,018", "1 018", "$1,018.00", "1'018", "1018 km", "about 1,018. Thanks!", "1.018e3"])
def test_thousands_are_read_beside_other_words(said: str) -> None:
    assert number_in(said, "1018") == 1018


LETTERS = """
A or B | A, maybe B | A. Maybe B. | A (or B) | A. Or B. | A. Alternatively, B. | A. Alternatively, it is B. | A vs B
A & B | A. It could also be B. | A, though B is possible | A, but B is also possible | A, if not B | A if not B
A, else B | A, perhaps B | A. Also B. | A as well as B | A to C | A through C | between A and B | A, B
A, maybe C, perhaps D | B unless it rains | B as long as it rains | B, only if it rains | B is one possible answer
B is a possibility | B with probability 0.5 and A with probability 0.5
"""
UNCHOSEN = """
Avoid B | Definitely avoid B | Avoid choosing B | I'd avoid option B | Skip B | I would skip B | Cross out B
Cross B out
Rule out B | Rule B out | Strike B | Strike out B | Scratch B | Scrap B | Drop B | Forget B | Ignore B | Omit B
Remove B
Leave out B | Throw out B | Toss B | Stay away from B | Stay clear of B | Steer clear of B | Beware of B
I refuse to pick B. | I refuse to say B | I decline to choose B | I hesitate to pick B | B should be avoided
B can be ruled out | B could be ruled out | B has been ruled out | B gets ruled out | We can rule B out
B can be eliminated
B can safely be excluded | B must be eliminated | B can be crossed out | The one that is wrong is B | The wrong one is B
The one that's incorrect is B | The worst choice is B | The worst is B | The least likely is B | The weakest option is B
B is the only wrong one | B is the only incorrect one | B is the only one that is wrong | B is the one that is wrong
It is B that is wrong | It's B which is incorrect | B is the worst choice | B is the worst | B is the least likely
B is least likely | B is a trap | B (a trap) | B is a bad choice | B is a poor choice | B is the odd one out
B is misleading
A wise man would say B, a fool A. | I say B, my brother A | A today, B tomorrow | The answer is A today, B tomorrow
"""


@pytest.mark.parametrize("frame", [*FRAMES[:-1], "I choose {}"])
@pytest.mark.parametrize("texts", [[], ["red", "blue", "a green one", "dark blue"]], ids=["unknown", "known"])
def test_a_letter_that_is_hedged_is_none(frame: str, texts: list[str]) -> None:
    found = {one: chosen_letter(frame.format(one), "ABCD", texts) for one in phrases(LETTERS)}
    assert {one: letter for one, letter in found.items() if letter is not None} == {}


@pytest.mark.parametrize(
    "said",
    [
        "Answer 1: A / Answer 2: B",
        "First choice: A. Second choice: B",
        "My first guess is A; my second guess is B.",
        "1. A\n2. B",
        "\\boxed{A}, maybe B",
        "A\nMaybe B",
        "A is correct, and so is B",
        "A\n(or B)",
        "A is correct. B is also correct.",
        "The answer is red. Alternatively blue.",
        "The answer is A) red, maybe B) blue",
        *phrases("A is unlikely | unlikely A | It is unlikely to be A | I'm not sure it's A | far from A"),
    ],
)
def test_letters_that_are_listed_or_denied_are_none(said: str) -> None:
    assert chosen_letter(said, "ABCD", ["red", "blue", "a green one", "dark blue"]) is None


@pytest.mark.parametrize("texts", [[], ["red", "blue", "a green one", "dark blue"]], ids=["unknown", "known"])
def test_a_letter_that_is_advised_against_is_none(texts: list[str]) -> None:
    found = {one: chosen_letter(one, "ABCD", texts) for one in phrases(UNCHOSEN)}
    assert {one: letter for one, letter in found.items() if letter == "B"} == {}


CHOSEN = """
B for A is red | B, for A is red | The one that is right is B | B is the only right one | B is the best choice
Skip A, pick B | Avoid A. B is right | A can be ruled out, so B | Rule out A, so B | The one that is wrong is A, so B
Cross out A, C and D. B remains | I refuse to pick A. B | I refuse to believe it is A. B. | B. Forget A | B and ignore A
B is the least wrong | A is the worst choice, B the best | A wise man would say B. | Don't skip B: it is the answer
Definitely B | Eliminate A, C, D. So B | Ignore A; it is B | B is not the worst. B.
B is the only one that is not wrong
A is a trap, so B | B is correct with probability 1 | Skip to the answer: B | B is the one that is right
It is B, never A
"""


@pytest.mark.parametrize("said", phrases(CHOSEN))
def test_a_letter_that_is_chosen_while_others_are_advised_against_is_paid(said: str) -> None:
    assert chosen_letter(said, "ABCD", []) == "B"


@pytest.mark.parametrize(
    "said",
    [
        "Probably B.",
        "_B_",
        "The answer is B. While D is plausible, B is better.",
        "B, because D is too dark.",
        "B over D",
        "Between B and D, B fits better.",
        "All but B are wrong.",
        "Perhaps B",
        "I'm not sure, but B",
        "B, I guess",
        "I'm sure it is B",
        "Maybe A? No, it's B.",
        "It could be A, but the answer is B.",
        "A is possible, but B is better, so the answer is B.",
        "Though A is possible, the answer is B.",
        "The answer is B, as A may only be red.",
        "The answer is B. While A could be argued, it is red.",
        "The answer is B because option A is red and option C may be green.",
        "Between A and B, B is better. Answer: B",
        "1. A is wrong.\n2. B is right.",
        "Step 1: A is out.\nStep 2: C is out.\nAnswer: B",
        "**B.** blue",
        "B — blue",
        "The correct answer is **(B) blue**. I hope this helps!",
    ],
)
def test_a_letter_that_is_chosen_among_others_is_paid(said: str) -> None:
    assert chosen_letter(said, "ABCD", ["red", "blue", "a green one", "dark blue"]) == "B"
