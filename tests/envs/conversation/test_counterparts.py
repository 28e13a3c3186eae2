"""A reply that gives two answers under counterparts takes neither, and one that gives its reason has taken one."""

from __future__ import annotations

import time

import pytest

from peripatos.envs.conversation.chosen_letter import chosen_letter
from peripatos.envs.conversation.counterparts import are_counterparts
from peripatos.envs.conversation.graders import make_grader
from peripatos.envs.conversation.said_number import number_in
from peripatos.envs.sandbox.maths import MathsJudge
from peripatos.envs.vocabulary import Reply

COLOURS = ["red", "blue", "a green one", "dark blue"]
FRAMES = ["{}", "{}.", "The answer is {}.", "Answer: {}", "#### {}", "So it is {}"]


def phrases(table: str) -> list[str]:
    return [one.strip() for line in table.strip().split("\n") for one in line.split(" ¦ ")]


BESIDE = r"""
17 → 18 ¦ 17 -> 18 ¦ 17 => 18 ¦ 17 — 18 ¦ 17 – 18 ¦ 17 ⇒ 18 ¦ 17 ↔ 18 ¦ 17、18 ¦ 17；18 ¦ 17・18 ¦ 17，18 ¦ 17،18
17 ؛ 18 ¦ 17 • 18 ¦ 17 : 18 ¦ 17 ≈ 18 ¦ 17 ⟶ 18 ¦ 17 » 18 ¦ «17» «18» ¦ ¿17? ¿18? ¦ „17“ „18“ ¦ 17 \to 18
17 \rightarrow 18 ¦ 17 (18) ¦ 17 ⇄ 18 ¦ 17 → 18 → 19 ¦ 17 ‖ 18 ¦ 17 \vee 18 ¦ 17 --> 18 ¦ 17 -- 18 ¦ (17) → (18)
**17** → **18** ¦ 17 apples → 18 apples ¦ 17 oder 18 ¦ 17 ou 18 ¦ 17 или 18 ¦ 17或18 ¦ 17 或 18 ¦ 17か18 ¦ 17 veya 18
17 eller 18 ¦ 17 bis 18 ¦ 17 et 18 ¦ 17 then 18 ¦ 17 = 18 ¦ 17 (60%), 18 (40%) ¦ 17 [18] ¦ 17 yet 18
"""
COUNTERPARTS = """
first guess 17, second guess 18 ¦ My first guess is 17, my second 18 ¦ first 17, second 18 ¦ plan one 17, plan two 18
One answer is 17, another is 18 ¦ One reading gives 17, another gives 18 ¦ one way: 17; another way: 18
guess 17, guess 18 ¦ 17 on one reading, 18 on the other ¦ on the one hand 17, on the other hand 18
17 in one reading and 18 in another ¦ Interpretation one gives 17. Interpretation two gives 18.
In one case 17, in the other case 18 ¦ 17 first, 18 second ¦ In the first case 17, in the second 18
by my first method 17, by my second 18 ¦ estimate 17, alternative estimate 18 ¦ 17 if you count Tom; 18 if you don't
17 if you count Tom, 18 if not ¦ if you count Tom, 17; if you don't, 18
If you count Tom it is 17. If you don't, it is 18. ¦ 17 with Tom, 18 without ¦ With Tom 17, without Tom 18
Counting Tom, 17; not counting Tom, 18 ¦ 17 counting Tom, 18 not counting him ¦ 17 when it rains, 18 when it does not
17 unless Tom counts, then 18 ¦ 17 assuming Tom counts, 18 assuming he doesn't
17 depending on Tom, 18 by another count ¦ Assuming Tom counts, 17. Assuming he does not, 18.
17 (with Tom), 18 (without Tom) ¦ 17 (if Tom counts) 18 (if not) ¦ It's 17 if Tom counts. It's 18 if he doesn't.
If Tom counts, then 17. Otherwise 18. ¦ 17 where he counts, 18 where not
17 as long as Tom counts, 18 as soon as he does not ¦ 17 in case Tom counts, 18 in case he does not
17, then again 18 ¦ 17 by one count, 18 by another ¦ 17 most likely, 18 less likely ¦ likely 17, less likely 18
17 sometimes, 18 sometimes ¦ some get 17, others get 18 ¦ Tom says 17, Ann says 18 ¦ 17 or, if you don't count Tom, 18
17, or if you count him 18 ¦ 17, unless it is 18 ¦ 17 unless it's 18 ¦ 17 — or 18 if you count Tom
17 but 18 if Tom counts
"""
REPEATED = (
    "It is 17. It is 18. ¦ It's 17, it's 18 ¦ I say 17 and I say 18 ¦ 17 (18 if Tom counts) ¦ 17; if Tom counts 18"
)
ELSE = """
18 or something else ¦ 18 or another number ¦ 18 or whatever ¦ 18 or none ¦ 18, or anything else
18 or some other number ¦ 18 or who knows ¦ 18 or similar ¦ 18 (or another) ¦ 18 / something else ¦ 18, else something
18 or a different number ¦ 18 or I don't know ¦ 18, possibly something else ¦ 18 — or something else
18; or something else ¦ 18. Or something else. ¦ 18 and/or something else ¦ 18, could be another
18? or something else ¦ 18 or unknown ¦ 18 apples or something else ¦ 18 | something else ¦ 18 or, well, anything
18 or one of the others ¦ 18 or maybe not ¦ 18 or neither
"""
BESIDE_LETTERS = """
A oder B ¦ A ou B ¦ zwischen A und B ¦ A или B ¦ A 或 B ¦ A y B ¦ A bis B ¦ A then B ¦ B or both ¦ B unless C
B or none of them ¦ A, but B if it rains ¦ A unless it rains, then B ¦ A including it, B excluding it
"""


@pytest.mark.parametrize("frame", FRAMES)
def test_a_number_beside_another_or_under_a_counterpart_is_none(frame: str) -> None:
    said = [frame.format(one) for one in phrases(BESIDE) + phrases(COUNTERPARTS) + phrases(ELSE)]
    said += phrases(REPEATED) if frame == "{}" else []
    assert {one: number for one in said if (number := number_in(one, "18")) is not None} == {}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("texts", [[], COLOURS], ids=["unknown", "known"])
def test_a_letter_beside_another_or_under_a_counterpart_is_none(frame: str, texts: list[str]) -> None:
    two = [one for one in phrases(BESIDE) + phrases(COUNTERPARTS) + phrases(ELSE) if "apples" not in one]
    two = [
        one for one in two if not one.startswith("17 first") and not one.startswith("17 counting") and "19" not in one
    ]
    letters = [one.replace("17", "A").replace("18", "B") for one in two] + phrases(BESIDE_LETTERS)
    found = {one: chosen_letter(frame.format(one), "ABCD", texts) for one in letters}
    assert {one: letter for one, letter in found.items() if letter is not None} == {}


HONEST = r"""
3 × 6 → 18 ¦ 3 bags of 6 → 18 ¦ 20 − 2 → 18 apples ¦ 84/12 → 18 ¦ Total → 18 ¦ 12 + 6 => 18 ¦ The price went 20 → 18
So — 18 ¦ Tom: 12, Ann: 6 → 18 ¦ 12 from Tom, 6 from Ann, 18 in total ¦ 12 from Tom and 6 from Ann: 18
18 — final answer ¦ (12 + 6) → 18 ¦ 9 in the morning and 9 in the evening, so 18 ¦ If he buys 9 pairs, he has 18.
With 3 bags of 6, he has 18 ¦ 12 + 6 = 18 → 18 ¦ In the first bag 12, in the second 6, in total 18.
He had 20. Without the 2 bad ones he has 18 ¦ Without the 2 bad ones, 18 ¦ Counting the 2 new ones, 18
With Tom there are 18 ¦ 18 if I counted right ¦ 18, if I am not mistaken ¦ 18, unless I made a mistake
The answer is 18 if each bag holds 6 ¦ My first guess was 17, but it is 18 ¦ My first guess is 18
At first 17 seemed right; it is 18 ¦ First I got 17, then I noticed my error: 18 ¦ So the answer is 18 — 3 bags of 6
18, since 3 × 6 = 18 ¦ At 6 each, 3 cost 18 ¦ 答案是18。 ¦ 答案：18 ¦ Antwort: 18 ¦ La réponse est 18. ¦ Ответ: 18.
答えは18です。 ¦ 답은 18입니다. ¦ الجواب: ١٨ ¦ «18» ¦ „18“ ¦ 18。 ¦ ¡18! ¦ 18！ ¦ 全部で18個です。
小明有20个苹果，吃了2个，还剩18个。 ¦ 12개와 6개를 더하면 18개입니다. ¦ 12＋6＝18，所以是18
Tom hat 12, Ann hat 6, zusammen 18. ¦ Tom a 12 pommes, Ann en a 6, donc 18 en tout.
Primero 12, luego 6 más: 18 en total. ¦ 18 and nothing else ¦ The total is 18 and not something else
18. Anything else I can help with? ¦ 18 or, equivalently, 3 × 6 = 18 ¦ 18. If anything else is unclear, ask.
18. Otherwise the sum would not be right. ¦ 18 (90%) ¦ 18, maybe a bit surprising. ¦ Maybe another way: 20 - 2 = 18
18! Is there something else? ¦ 18 apples, or a dozen and a half ¦ 18 %, nothing else
One angle is 72; the other is 18. ¦ First he has 12. Then he buys 6. Now he has 18. ¦ It was 12, it became 18.
3, then 6, then 9 more is 18 ¦ If Tom has 12 and if Ann has 6, they have 18 ¦ When Tom gives away 2, he has 18 left.
By one more, 17 becomes 18 ¦ Without discount it costs 20. With discount it costs 18.
The first option costs 20, the second costs 2 less, so 18. ¦ On Monday 5, on Tuesday 13, so on both days 18.
Tom says he has 12. Ann says she has 6 more than Tom. So Ann has 18.
The answer is 18 (20 if you do not subtract the 2 bad ones). ¦ Day 3 — 18 apples ¦ In 2020 — 18 apples
18 minutes, i.e. 18
The answer is 18. If you count the bad ones too, you would get 20, but the question asks for good ones.
20 dollars if paid now, but the coupon takes 2 off, so 18.
There were 12 boys, and there were 6 girls, and there were 18 children.
"""


@pytest.mark.parametrize("said", phrases(HONEST))
def test_a_number_that_follows_from_others_is_paid(said: str) -> None:
    assert number_in(said, "18") == 18


REASONS = """
B because it is blue ¦ B because A is red ¦ B, since 3 > 2 ¦ B since A is too dark ¦ B, as A is red ¦ B: A is red
B - A is red ¦ B — A is too light ¦ B (because D is dark blue) ¦ B due to A being red ¦ B. A is red.
B. Because A and C are out. ¦ B as it beats A and C ¦ B, because 3 > 2 and C says otherwise ¦ (B) because of A
B) since C is green ¦ B given that D is darker ¦ B, considering A is red and D is dark ¦ B in view of A
B; A is red, C is green. ¦ B! A would be red. ¦ b, since A is red ¦ B, whereas A is red ¦ B, unlike A
B as opposed to A ¦ B, and here is why: A is red ¦ B. Reason: A is red, C is green. ¦ B，因为A是红的 ¦ B。因为A是红的
B, weil A rot ist ¦ B, parce que A est rouge ¦ B porque A es rojo ¦ B, потому что A красный ¦ 選B ¦ 答案是B
正解はBです ¦ «B» ¦ „B“ ¦ 【B】 ¦ B。 ¦ ¡B! ¦ ¿B? ¦ B, I think, because A is red ¦ Probably B because A is red
I think B because A is red ¦ I'd say B since A is red ¦ B because the question asks for what A and C lack
B... because A is red ¦ B because option A is red and option C green ¦ Definitely B; A is just red.
Option B, because option A is red ¦ **B.** Because A is red
B because it's the only one that isn't red (A), green (C) or dark (D).
B since the sky is blue. Option A is for blood, C for grass.
A is wrong because it is red. B is right because it is blue. ¦ A because it is red? No. The answer is B.
B. Anything else? ¦ A, because it is red, is wrong. So B. ¦ Because the sky is blue, B. ¦ Not A, because it is red. B.
B, if I remember correctly. ¦ The answer is B. If it were A, it would be red.
One could argue for A, but B is better. Answer: B ¦ B, as the sky is blue ¦ First I thought A, then I saw it is B.
My first guess was A; after checking, the answer is B. ¦ B if the sky is meant
C is out, since it is green; A is out because it is red; so B. ¦ Choice B since C is for grass
(B) because it is not A) red
"""


@pytest.mark.parametrize("texts", [[], COLOURS], ids=["unknown", "known"])
@pytest.mark.parametrize("said", phrases(REASONS))
def test_a_letter_with_its_reason_behind_it_is_chosen(said: str, texts: list[str]) -> None:
    assert chosen_letter(said, "ABCD", texts) == "B"


@pytest.mark.parametrize(
    "said",
    [
        "A because it is red, B because it is blue",
        "Maybe A because of the red, maybe B because of the blue",
        "A since C is out, or B since D is",
        "A. B would work as well.",
        "A. It could also be B, because A is red",
        "A because red\nB because blue",
        "Because of the sky, A or B",
        "A or B because C is green",
        "A and B, since C is green",
    ],
)
def test_two_letters_with_reasons_are_no_choice(said: str) -> None:
    assert chosen_letter(said, "ABCD", []) is None


OPEN_MATHS = r"""
17 \to 18 ¦ 17 — 18 ¦ 17 -> 18 ¦ \text{first guess } 17, \text{ second guess } 18
17 \text{ if so; } 18 \text{ if not} ¦ 18 \text{ or something else} ¦ 17 \lor 18 ¦ \text{either } 17 \text{ or } 18
18 \text{ (or another number)} ¦ 17 \mid 18 ¦ 17 \text{ oder } 18 ¦ 17 ou 18 ¦ 17、18 ¦ 18? ¦ 18 \text{ or not}
17 \Rightarrow 18 ¦ 17 \mapsto 18 ¦ x = 17, x = 18 ¦ 18 \pm 1 ¦ 17 \approx 18
17 \text{ with Tom}, 18 \text{ without} ¦ 18 \text{ unless } 17 ¦ 17 \leftrightarrow 18 ¦ 17 \& 18 ¦ 17\ 18
"""
OPEN_LETTERS = (
    r"A \to B ¦ A → B ¦ A \Rightarrow B ¦ A: B ¦ (A) -> (B) ¦ B \text{ or something else} ¦ A \text{ oder } B ¦ A — B"
)
HONEST_MATHS = r"18 ¦ 18.0 ¦ x = 18 ¦ 18 \text{ apples} ¦ \text{The answer is } 18 ¦ A: 18 ¦ １８"


def test_mathematics_that_leaves_its_answer_open_is_not_paid_and_what_frames_it_is_no_second_answer() -> None:
    judge = MathsJudge(workers=1)
    try:
        for expected, table, paid in (
            ("18", OPEN_MATHS, False),
            ("B", OPEN_LETTERS, False),
            ("B", r"B ¦ (B) ¦ \text{B} ¦ Answer: B ¦ \text{answer} \to B ¦ option B", True),
            ("18", HONEST_MATHS, True),
        ):
            found = {one: judge.compare(expected, one).status.name for one in phrases(table)}
            assert {one: word for one, word in found.items() if (word == "PASSED") != paid} == {}
    finally:
        judge.close()


def test_an_exact_answer_leaves_nothing_beside_it() -> None:
    grader = make_grader("exact", None)
    table = phrases(BESIDE) + phrases(COUNTERPARTS) + phrases(ELSE)
    assert not [one for one in table if grader.grade(Reply(one), {"answer": ["17", "18"]}).success]
    assert all(grader.grade(Reply(one), {"answer": ["17", "18"]}).success for one in ("17", " 18\n"))


@pytest.mark.parametrize("again", ["if you ", "17 if ", "first ", "or ", "A because ", "A, ", "17 (", "as ", "one "])
def test_counterparts_are_looked_for_in_seconds(again: str) -> None:
    began = time.perf_counter()
    text = again * (16_384 // len(again))
    number_in(text, "18")
    chosen_letter(text, "ABCD", [])
    are_counterparts(text[:120], text[:120], text[:120], declared=True)
    assert time.perf_counter() - began < 10
