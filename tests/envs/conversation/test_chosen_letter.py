"""Which choice a reply makes: one that is declared, else the only one that it names; two are none."""

from __future__ import annotations

import itertools
import time

import pytest

from peripatos.envs.conversation.chosen_letter import chosen_letter

COLOURS = ["red", "blue", "a green one", "dark blue"]


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("Option B is wrong, so A", "A"),
        ("It is not A, it is B", "B"),
        ("It's not A but B", "B"),
        ("B, not A", "B"),
        ("B rather than A", "B"),
        ("I would choose B over A", "B"),
        ("A is wrong, B is right", "B"),
        ("The answer is (B).", "B"),
        ("the answer is b", "B"),
        ("b", "B"),
        ("(b)", "B"),
        ("b)", "B"),
        ("b.", "B"),
        ("B", "B"),
        ("**B**", "B"),
        ("$B$", "B"),
        ("\\boxed{B}", "B"),
        ("\\boxed{\\text{B}}", "B"),
        ("\\boxed{\\textbf{(B)}}", "B"),
        ("I think A good one is hard. The answer is B", "B"),
        ("A good answer is B", "B"),
        ("I think it is B.", "B"),
        ("A", "A"),
        ("a", "A"),
        ("A. red\nB. blue\nC. a green one\nD. dark blue\n\nB", "B"),
        ("A. red\nB. blue\nC. a green one\nD. dark blue\nThe answer is B.", "B"),
        ("The options are A) red, B) blue. I choose B.", "B"),
        ("Answer: A\nFinal answer: B", "B"),
        ("The answer is A. No wait, the answer is B.", "B"),
        ("The answer is A. No wait, B.", "B"),
        ("I first thought the answer is A. But the answer is B.", "B"),
        ("A? No, B.", "B"),
        ("Is it A? No. It is B.", "B"),
        ("Probably B", "B"),
        ("Maybe the answer is A. The answer is B.", "B"),
        ("Neither A nor C, so B", "B"),
        ("A, C and D are wrong, so B", "B"),
        ("The answer is A, B is wrong", "A"),
        ("The answer is B, as A is wrong", "B"),
        ("The answer is B and A is wrong", "B"),
        ("A: false\nB: true\nC: false\nD: false", "B"),
        ("The answer is blue", "B"),
        ("Blue", "B"),
        ("blue.", "B"),
        ("dark blue", "D"),
        ("The answer is dark blue.", "D"),
        ("The answer is B) blue", "B"),
        ("B: blue", "B"),
        ("B - blue", "B"),
        ("First (A), no. So (B) it is.", "B"),
        ("Some thought.\nB", "B"),
        ("B\n\nBecause A is red and C is green.", "B"),
        ("B\n\nA says red. C says green.", "B"),
        ("B because A is wrong", "B"),
        ("A blue thing. The answer is A", "A"),
        ("Thus \\boxed{B}", "B"),
        ("\\boxed{A} no, \\boxed{B}", "B"),
        ("Ａ", "A"),
        ("Ⓑ", "B"),
        ("~~A~~ B", "B"),
        ("#### B", "B"),
        ("<answer>B</answer>", "B"),
        ('{"answer": "B"}', "B"),
        ("Answer → B", "B"),
        ("Answer – B", "B"),
        ("Final Answer: **B**", "B"),
        ("The correct option is b.", "B"),
        ("option b is correct", "B"),
        ("Option A is correct", "A"),
        ("The answer is A because it is red", "A"),
        ("Wrong answers: A, C. Right answer: B", "B"),
        ("✅ B", "B"),
        ("A ❌\nB ✅", "B"),
        ("It must be B!", "B"),
        ("It must be B?", "B"),
        ("Hm.\nB?", "B"),
        ("Unlike A, B fits.", "B"),
        ("There is no doubt it is B", "B"),
        ("It can't be A, so it's B", "B"),
        ("Eliminate A and C. It must be B or D. D is wrong. So B.", "B"),
        ("I would say B.", "B"),
        ("My choice: B", "B"),
        ("The answer: B, and not A", "B"),
        ("The answer isn't B, it's C", "C"),
        ("Between A and B, I choose B", "B"),
        ("If the answer were A, it would be red. So the answer is B.", "B"),
        ("The question is whether the answer is A or B. It is B.", "B"),
        ("Vitamin C is in fruit. So the answer is B.", "B"),
        ("B is not wrong", "B"),
        ("B? No, A.", "A"),
        ("none other than B", "B"),
        ("The answer is B. That is right.", "B"),
        ("<think>The answer is A.</think>B", "B"),
        ("<think>A? No. C? No.</think>B", "B"),
        ("The answer is A.</think>\n\nB", "B"),
        ("> B", "B"),
        ("B</s>", "B"),
        ("<final>B</final>", "B"),
        ("e.g. this. B", "B"),
        ("I: B", "B"),
        ("**A**\nIt is red.\n**B**\nIt is blue.\nThe answer is B", "B"),
        ("Answer: B (not A)", "B"),
        ("Answer: B\n\nExplanation: A is red. C is a green one.", "B"),
        ("The answer is B. Not A, C, or D.", "B"),
        ("Answer is definitely D", "D"),
        ("It's D", "D"),
        ("that's D", "D"),
        ("D it is", "D"),
        ("so, D.", "D"),
        ("I'd go with option d", "D"),
        ("i choose b", "B"),
        ("answer b", "B"),
        ("Answer:\n\nB", "B"),
        ("Answer:\nB) blue", "B"),
        ("The best answer would be B", "B"),
        ("Only B is true.", "B"),
        ("B is the correct answer; A is a distractor.", "B"),
    ],
)
def test_a_choice_is_read_however_it_is_said(reply: str, letter: str) -> None:
    assert chosen_letter(reply, "ABCD", COLOURS) == letter


@pytest.mark.parametrize(
    "reply",
    [
        "A or B",
        "Is it B? No.",
        "B? No",
        "It is B. That's wrong.",
        "anything but B",
        "Any colour but blue",
        "A+B",
        "A + B",
        "C++",
        "A B C D",
        "A, B, C, D",
        "A. B. C. D.",
        "A\nB\nC\nD",
        "A/B",
        "A & B",
        "ABCD",
        "A.B.C.D",
        "Not A",
        "I don't know",
        "A thing",
        "A. red\nB. blue\nC. a green one\nD. dark blue",
        "A) red B) blue C) a green one D) dark blue",
        "The answer is A or B",
        "The answer is either A or B.",
        "The answer is A... or B.",
        "The answer is A, or maybe B",
        "Answer: A B C D",
        "Answer: A\nAnswer: B",
        "Answer: A. B. C. D.",
        "Maybe A, maybe B",
        "Neither A nor B",
        "A, C and D are wrong",
        "A or B is right",
        "Both A and B",
        "A and B are both correct",
        "The answer is blue or red",
        "The answer is A) blue",
        "A: blue",
        "\\boxed{A} or \\boxed{B}",
        "The answer is \\boxed{A or B}",
        "I doubt it is A",
        "It can't be A",
        "The answer is not B",
        "All of A, B, C and D",
        "The answer is A. The answer is B. The answer is C. The answer is D.",
        "The answer is B.\nA",
        "",
        "?",
        "The answer is A. Hmm, A is wrong.",
        "B or not B",
        "A / B / C / D",
        "(A) (B) (C) (D)",
        "The answer is (A) (B)",
        "A, B",
        "A and C",
    ],
)
def test_no_choice_and_two_choices_are_none(reply: str) -> None:
    assert chosen_letter(reply, "ABCD", COLOURS) is None


@pytest.mark.parametrize(
    ("reply", "letter", "letters", "texts"),
    [
        ("The answer is 2", "2", "1234", []),
        ("2", "2", "1234", []),
        ("1 or 2", None, "1234", []),
        ("1. red\n2. blue\n2", "2", "12", ["red", "blue"]),
        ("12", None, "12", []),
        ("1.5", None, "12", []),
        ("I think B", "B", "ABCDEFGHIJ", []),
        ("I have no idea", None, "ABCDEFGHIJ", []),
        ("I", "I", "ABCDEFGHIJ", []),
        ("The answer is I.", "I", "ABCDEFGHIJ", []),
        ("A. one\nB. two\nC. three", None, "ABCDEFGHIJ", []),
        ("A. one\nB. two\nC. three\nB", "B", "ABCDEFGHIJ", []),
        ("A. one is red and B. two is blue", None, "ABCDEFGHIJ", []),
        ("B", "b", "ab", ["x", "y"]),
        ("b", "b", "ab", ["x", "y"]),
        ("the answer is a", "a", "ab", ["x", "y"]),
        ("a or b", None, "ab", ["x", "y"]),
        ("a good one", None, "ab", ["x", "y"]),
        ("(a)", "a", "ab", ["x", "y"]),
        ("(a) or (b)", None, "ab", ["x", "y"]),
        ("a, b", None, "ab", ["x", "y"]),
        ("a b c d", None, "abcd", []),
        ("b because of a", "b", "abcd", []),
        ("4", "B", "AB", ["3", "4"]),
        ("A: 4", None, "AB", ["3", "4"]),
        ("B: 4", "B", "AB", ["3", "4"]),
        ("B: 42", "B", "AB", ["3", "4"]),
        ("The answer is 4", "B", "AB", ["3", "4"]),
        ("The answer is 42", None, "AB", ["3", "4"]),
        ("3 or 4", None, "AB", ["3", "4"]),
        ("3 + 1 = 4", None, "AB", ["3", "4"]),
        ("yes", "A", "AB", ["yes", "no"]),
        ("No.", "B", "AB", ["yes", "no"]),
        ("The answer is no", "B", "AB", ["yes", "no"]),
        ("Answer: Yes", "A", "AB", ["yes", "no"]),
        ("the answer is (b) or (c)", None, "ABCD", []),
        ("E.g. this", None, "ABCDE", []),
        ("Plan D is best", "D", "ABCD", []),
        ("B\r\n", "B", "ABCD", []),
        ("Answer: B\r\nB", "B", "ABCD", []),
        ('"B"', "B", "ABCD", []),
        ("[B]", "B", "ABCD", []),
        ("{B}", "B", "ABCD", []),
        ("<b>B</b>", "B", "ABCD", []),
        ("`B`", "B", "ABCD", []),
        ("- B", "B", "ABCD", []),
        ("B.)", "B", "ABCD", []),
        ("B,", "B", "ABCD", []),
        ("# B", "B", "ABCD", []),
        ("\\(B\\)", "B", "ABCD", []),
        ("$\\mathbf{B}$", "B", "ABCD", []),
        ("$$\\boxed{\\mathrm{B}}$$", "B", "ABCD", []),
        ("The answer is none of A, B, C", None, "ABCD", []),
        ("Either A or B, probably B", None, "ABCD", []),
        ("Could be A or B, but I choose B", "B", "ABCD", []),
        ("not a, b", None, "ABCD", []),
        ("Answer: A/B/C/D", None, "ABCD", []),
        ("Answer: [A, B]", None, "ABCD", []),
        ("Answer:A", "A", "ABCD", []),
        ("ANSWER: B", "B", "ABCD", []),
        ("The answer's B", "B", "ABCD", []),
        ("The answer is: (B)", "B", "ABCD", []),
        ("B is my answer", "B", "ABCD", []),
        ("B is my final answer", "B", "ABCD", []),
        ("I am going with B", "B", "ABCD", []),
        ("I pick (C).", "C", "ABCD", []),
        ("I'll take C", "C", "ABCD", []),
        ("C seems right; A does not.", "C", "ABCD", []),
        ("A might be right, B is certainly right", "B", "ABCD", []),
        ("The answer cannot be A, B or C.", None, "ABCD", []),
        ("The answer cannot be A, B or C, so it must be D.", "D", "ABCD", []),
        ("All except B", None, "ABCD", []),
        ("B? C? D?", None, "ABCD", []),
        ("Answer: B?", "B", "ABCD", []),
        ("I refuse to choose between A and B", None, "ABCD", []),
        ("My first guess was A but the answer is C", "C", "ABCD", []),
        ("I guess A. Sorry, I mean C.", "C", "ABCD", []),
        ("Correct answer: B. Incorrect: A, C, D.", "B", "ABCD", []),
        ("The answer is B) because A) is wrong, C) is wrong and D) is wrong", "B", "ABCD", []),
        ("Answer: B | A", None, "ABCD", []),
    ],
)
def test_labels_may_be_small_or_digits_and_texts_unknown(
    reply: str, letter: str | None, letters: str, texts: list[str]
) -> None:
    assert chosen_letter(reply, [*letters], texts) == letter


@pytest.mark.parametrize("texts", [[], COLOURS], ids=["unknown", "known"])
@pytest.mark.parametrize(
    "frame", ["{}", "The answer is {}", "Answer: {}.", r"\boxed{{{}}}", "#### {}", "I choose {}", "So {}"]
)
@pytest.mark.parametrize("between", [" ", ", ", "/", " or ", " and ", "; ", ") (", "\n", ". ", " | "])
def test_a_list_of_letters_is_never_paid(between: str, frame: str, texts: list[str]) -> None:
    for many in (2, 3, 4):
        for letters in itertools.permutations("ABCD", many):
            assert chosen_letter(frame.format(between.join(letters)), "ABCD", texts) is None


TWICE_DECLARED = """
Answer: A (red) Answer: B (blue) | Answer: red Answer: blue | Answer: A Option: B | Answer: A Answer: B
Answer: A The answer is B
Answer: A Choice: B | Answer: A My answer: B | Answer: A Correct answer: B | Answer: A Guess: B | answer: a answer: b
Answer: red, Answer: blue | The answer is red, the answer is blue | Answer: red - Answer: blue
Best answer: red Best answer: blue
Answer: A Letter: B | Answer: red Answer: B | Answer: A) red Answer: B) blue | Answer: A Another answer: B
A fool would say B | Only a fool would say B. | An idiot would pick B | B is possible | Option B is still plausible.
"""
ONCE_DECLARED = """
Answer: B Answer: B | Answer: blue Answer: blue | Answer: blue (B) | Answer: blue Option: B | A guess: B
A good choice: B
A final answer would be B. | A choice is to be made. B | Answer: B Explanation: A is red.
A fool would say A, but it is B.
Only B is possible. | A is possible, but B is better, so B. | A careful reader would choose B.
Not even a fool would pick A. B
options a, c and d are out. option b | The answer is B because option A is red and option C is green.
"""


def phrases(table: str) -> list[str]:
    return [phrase.strip() for line in table.strip().split("\n") for phrase in line.split("|")]


@pytest.mark.parametrize("said", phrases(TWICE_DECLARED))
def test_two_that_are_declared_on_one_line_are_none(said: str) -> None:
    assert chosen_letter(said, "ABCD", COLOURS) is None


@pytest.mark.parametrize("said", phrases(ONCE_DECLARED))
def test_one_that_is_declared_is_chosen_whatever_is_said_beside_it(said: str) -> None:
    assert chosen_letter(said, "ABCD", COLOURS) == "B"


@pytest.mark.parametrize("tail", ["option", "foo", ""])
@pytest.mark.parametrize("again", ["option A ", "option a ", "answer: a "])
def test_letters_before_a_word_are_read_in_time_that_grows_as_the_reply(again: str, tail: str) -> None:
    began = time.thread_time()
    chosen_letter(again * (16_000 // len(again)) + tail, "ABC", ["red", "blue", "green"])
    assert time.thread_time() - began < 4


@pytest.mark.parametrize("right", "ABCD")
def test_a_declared_answer_wins_whatever_was_said_of_the_others(right: str) -> None:
    said = " ".join(f"Option {one} is tempting, as it is {text}." for one, text in zip("ABCD", COLOURS, strict=True))
    for last in (
        "The answer is {}.",
        "Final answer: ({})",
        r"\boxed{{{}}}",
        "So I choose {}.",
        "\n\n**{}**",
        "#### {}",
    ):
        assert chosen_letter(f"{said} {last.format(right)}", "ABCD", COLOURS) == right


@pytest.mark.parametrize(
    "again",
    ["A.", "A ", "\n", "\n ", "A or ", "(", "#### A ", r"\boxed{", "<answer>", "answer is ", "no ", "~~", "A) red "],
)
def test_a_long_reply_is_read_in_seconds(again: str) -> None:
    began = time.thread_time()
    chosen_letter("B " + again * 20_000 + "x", "ABCD", COLOURS)
    assert time.thread_time() - began < 30
