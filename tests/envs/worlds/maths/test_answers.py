"""Finding an answer in a reply and reading it as an exact rational."""

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peripatos.envs.worlds.maths.answers import (
    ANSWER_TAGS,
    AnswerTag,
    find_answer,
    parse_rational,
    reverse_digits,
    spell,
    wrap,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Fraction(0)),
        ("157", Fraction(157)),
        ("-12", Fraction(-12)),
        ("1,234,567", Fraction(1234567)),
        ("3/4", Fraction(3, 4)),
        ("-3/4", Fraction(-3, 4)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"-\dfrac{3}{4}", Fraction(-3, 4)),
    ],
)
def test_well_spelled_numbers_are_read(text, value):
    assert parse_rational(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-", "+5", "--5", "5-", "007", "-0", "-0/5", "0/5", "1e3", "3.50", "3.", "1_000", "0x1F", "1,23"),
        *("12/8", "5/1", "5/0", "0/0", "5//2", "5/-2", "1/2/3", r"\frac{2}{4}", r"\frac{1}{0}", "2+2", "84 / 12"),
        *("١٥٧", "１５７", "1５7", "²", "½", "−5", "5\n", "nan", "inf", "9" * 161, "1/" + "9" * 200),
    ],
)
def test_misspelled_numbers_are_no_answer(text):
    assert parse_rational(text) is None


@given(st.fractions(min_value=-(10**30), max_value=10**30, max_denominator=10**60))  # at most 152 characters
def test_what_is_spelled_is_read_back(value):
    assert parse_rational(spell(value)) == value
    assert parse_rational(reverse_digits(spell(value, reverse=True))) == value


@given(st.text(alphabet="0123456789-/,.{}\\fracd eE", max_size=30))
@settings(max_examples=500)
def test_what_is_read_agrees_with_fraction_and_has_one_spelling(text):
    value = parse_rational(text)
    if value is not None and "frac" not in text:
        assert Fraction(text.replace(",", "")) == value
        assert text.replace(",", "") == str(value)


@given(st.text(max_size=200), st.sampled_from(ANSWER_TAGS))
@settings(max_examples=500)
def test_no_text_breaks_the_finder_or_the_parser(text, tag):
    found = find_answer(text, tag)
    assert found.count >= 0
    if found.text is not None:
        parse_rational(found.text)
        parse_rational(reverse_digits(found.text))


@given(st.text(max_size=50), st.fractions(), st.sampled_from(ANSWER_TAGS))
def test_an_answer_after_other_words_is_found(words, value, tag):
    found = find_answer(f"{words} = {wrap(spell(value), tag)}", tag)
    assert parse_rational(found.text or "") == value


@pytest.mark.parametrize(
    ("reply", "tag", "text", "count"),
    [
        (r"so \boxed{42}.", "boxed", "42", 1),
        (r"\boxed{\frac{3}{4}}", "boxed", r"\frac{3}{4}", 1),
        (r"\boxed{1} no, \boxed{2}", "boxed", "2", 2),
        (r"\boxed{\boxed{5}}", "boxed", "5", 2),
        (r"\boxed{42", "boxed", None, 1),
        (r"\boxed 42", "boxed", None, 0),
        ("42", "boxed", None, 0),
        ("<answer> 42 </answer>", "answer", "42", 1),
        ("<answer>1</answer><answer>2</answer>", "answer", "2", 2),
        ("<answer>42", "answer", None, 1),
        ("42</answer>", "answer", None, 1),
        ("</answer>42<answer>", "answer", None, 1),
        ("17 + 25 = 42", "number", "42", 1),
        ("The answer is **42**.", "number", "42", 1),
        ("17-25=-8", "number", "-8", 1),
        ("it is 1,234.", "number", "1,234", 1),
        ("42 or 1e3", "number", "1e3", 1),
        ("42 then 1５7", "number", "1５7", 1),
        ("no number", "number", None, 0),
    ],
)
def test_the_last_answer_is_found_and_all_are_counted(reply, tag, text, count):
    found = find_answer(reply, tag)
    assert (found.text, found.count) == (text, count)


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("\u22125", -5),
        ("The answer is \u22125.", -5),
        (r"\frac{1}{2}", Fraction(1, 2)),
        (r"It is $-\frac{3}{4}$.", Fraction(-3, 4)),
        ("72 clips, altogether.", 72),
        ("**42** apples", 42),
        ("The answer is 42!", 42),
        ("answer:42", 42),
        (r"\boxed{42}", 42),
        ("so -> 42", 42),
    ],
)
def test_the_last_number_keeps_its_sign_and_its_fraction(reply, value):
    assert parse_rational(find_answer(reply, "number").text or "") == value


@pytest.mark.parametrize(
    "reply",
    [
        *(
            "- 5",
            "2^10",
            "2^{10}",
            "1 234",
            r"1\,234",
            "1{,}234",
            "40 + 2",
            "2 * 21",
            "5 - x",
            r"3 \cdot 10",
            "5%",
            r"5\%",
        ),
        *("5 million", "x < 5", r"\sqrt{16}", "sqrt(16)", "f(5)", "3:30", "12 1/2", "3 \u00d7 10^8", "5\u00b2"),
    ],
)
def test_a_number_that_is_part_of_something_else_is_no_answer(reply):
    assert parse_rational(find_answer(reply, "number").text or "") is None


@pytest.mark.parametrize("tag", ANSWER_TAGS)
@pytest.mark.parametrize(
    "reply",
    [
        *("9" * 100_000, "\\boxed{" * 1_000_000, "<answer>" * 8_000, "-" * 65_000 + "9", "{" * 65_000, "1," * 32_000),
        *("x" * 10_000_000, "\\boxed{" + "9" * 65_000 + "}", "1/" * 32_000, "\\boxed{" * 9_000, "٣" * 65_000),
    ],
    ids=lambda reply: f"{reply[:8]}…{len(reply)}",
)
def test_hostile_replies_cost_milliseconds(reply, tag):
    begun = time.thread_time()
    found = find_answer(reply, tag)
    parse_rational(found.text or "")
    assert time.thread_time() - begun < 0.5  # measured: under 0.01


@pytest.mark.parametrize(
    ("reply", "tag", "count"),
    [
        (r"\boxed {8} or \boxed{7}", "boxed", 2),
        (r"\fbox{8} \boxed{7}", "boxed", 2),
        (r"\boxed 8, \Boxed{8}, \boxed{7}", "boxed", 3),
        (r"\boxedx{8} \boxed{7}", "boxed", 1),
        (r"\fbox{7}", "boxed", 0),
        ("<Answer>8</Answer><answer>7</answer>", "answer", 2),
        ("<answer >8< /answer><answer>7</answer>", "answer", 2),
        ("<answers>8</answers><answer>7</answer>", "answer", 1),
    ],
)
def test_a_second_answer_counts_however_it_is_spelled(reply: str, tag: AnswerTag, count: int) -> None:
    found = find_answer(reply, tag)
    assert (found.count, found.text) == (count, "7" if count else None)
