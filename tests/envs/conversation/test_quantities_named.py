"""A number that is part of another quantity is no answer, and what is counted leaves a number as it is."""

from __future__ import annotations

import pytest

from peripatos.envs.conversation.said_number import number_in

PARTS = r"""
18 dozen | 18 dozen eggs | 18-dozen | 18 half-dozens | 18 gross | 18 lakh | 18 crores | \boxed{18 \text{ dozen}}
18 score
\boxed{18\,\text{dozen}} | 18 **dozen** | 18 bn | 18 k | 18 quadrillion | twice 18 | triple 18 | double 18 | half 18
twice the number 18 | five times the number 18 | 18 squared | 18 cubed | 18 factorial | 18 doubled | 18 halved
18 times itself | 18 times two | 18 minus two | 18 divided by two | 18 over two | 18 modulo five | 18 increased by two
18 to the third power | 18 to the power of two | ten to the power of 18 | 10 to the 18 | 18 point five | 18 pi | 18 \pi
half of 18 | one tenth of 18 | two thirds of 18 | 1/2 of 18 | 10% of 18 | ten percent of 18 | 18% of ten | a third of 18
18 sevenths | 18 halves | 18 hundredths | 18 tenths | 18 trillionths | the square root of 18 | the cube of 18
the reciprocal of 18 | the opposite of 18 | the additive inverse of 18 | minus the number 18 | the negative of 18
a multiple of 18 | the number after 18 | the integer before 18 | two subtracted from 18 | the sum of ten and 18
1 followed by 18 zeros | a 1 with 18 zeros | 18 and a quarter | 18 and two thirds | 18 and three-quarters
18 eggs and a half | 18 hours and a quarter | 18 thousand five hundred | 18 hours and thirty minutes | a hundred and 18
18 hours thirty minutes | 18 dollars and fifty cents | one hour and 18 minutes | a year and 18 days | six feet 18 inches
a dozen and 18 | 18 more than ten | half past 18 | 18 below zero
"""
ALONE = r"""
18 eggs | 18 dollars | 18% | 18 % of the class | 18 percent of the students | 18 quarters | 18 fifth graders | 18 points
18 gross profit | a score of 18 | It rang 18 times. | 18 times a day | 18 hours a day | 18 miles an hour
18 dollars a day
18 metres squared | 18 square metres | 18 half-pound burgers | 18 K | 18 N | 18 J | 18 i think | 18 and counting
18 pies
18 people and half of them are boys | 18 over two days | 18 hours and two breaks | 18 boys and a teacher
18 in base ten
In the second half 18 points were scored. | He ran 18 miles in an hour. | After one hour, 18 minutes remain. | 18 zeros
half of 36 is 18 | twice 9 is 18 | Double 9 = 18 | Half of 36 → 18 | 10% of 180 is 18 | The square root of 324 is 18.
The answer is half of 36, which is 18. | The answer is 10% of 180 = 18
The answer is 18 dollars, which is half of 36 dollars.
The answer is 18, twice 9. | The number after 17 is 18. | The opposite of -18 is 18 | The sum of 12 and 6 is 18.
1 dozen and 6 is 18 | 20 minus 2 equals 18. | 20 minus 2 is 18 | 20 minus 2 leaves 18. | 9 times 2 equals 18
20 dollars minus 2 dollars equals 18 dollars. | 20 minus 2 equals \boxed{18} | increases by a factor of 18
"""


def phrases(table: str) -> list[str]:
    return [phrase.strip() for line in table.strip().split("\n") for phrase in line.split("|")]


@pytest.mark.parametrize("frame", ["{}", "{}.", "The answer is {}.", "So it is {}", "Answer: {}", "#### {}"])
def test_a_number_that_is_part_of_another_quantity_is_none(frame: str) -> None:
    found = {said: number_in(frame.format(said), "18") for said in phrases(PARTS)}
    assert {said: number for said, number in found.items() if number == 18} == {}


@pytest.mark.parametrize(
    "said",
    [
        "7 sevenths",
        "7 halves",
        "the reciprocal of 7",
        "the opposite of 7",
        "minus the number 7",
        "1 followed by 7 zeros",
    ],
)
def test_what_is_made_of_a_number_is_not_the_number(said: str) -> None:
    assert number_in(said, "7") is None


@pytest.mark.parametrize("said", phrases(ALONE))
def test_what_is_counted_and_what_is_computed_leave_a_number_as_it_is(said: str) -> None:
    assert number_in(said, "18") == 18
