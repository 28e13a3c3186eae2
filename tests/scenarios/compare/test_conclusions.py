"""Conclusions: what a table of scores allows to say, and that each sentence says nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from peripatos.scenarios.compare.conclusions import (
    SHARES,
    Cell,
    Difference,
    between,
    conclude,
    number,
    sentence,
    spelled,
)
from peripatos.scenarios.compare.significance import LEVEL, equal_seeds_to_show, power

ROOT = Path(__file__).parents[3]
SEED, TABLES = 20261127, 200


def cells(scores: Mapping[tuple[str, str], Sequence[float]], measure: str = SHARES) -> list[Cell]:
    return [Cell(*key, measure, dict(enumerate(row)), len(row)) for key, row in scores.items()]


def only(found: list[Difference]) -> Difference:
    assert len(found) == 1
    return found[0]


Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
EQUAL: dict[str, Draw] = {
    "normal": lambda rng, size: rng.normal(200.0, 30.0, size),
    "exponential": lambda rng, size: rng.exponential(50.0, size),
    "of 20 tasks": lambda rng, size: rng.binomial(20, 0.8, size) / 20,
    "of 500 tasks, nearly all solved": lambda rng, size: rng.binomial(500, 0.99, size) / 500,
    "solved or not": lambda rng, size: rng.binomial(1, 0.5, size).astype(float),
    "mostly at the most that can be earned": lambda rng, size: np.minimum(rng.normal(500.0, 60.0, size), 500.0),
}


@pytest.mark.parametrize("name", EQUAL)
def test_tables_of_equal_methods_hardly_ever_say_that_one_beats_another(name: str) -> None:
    wrong = []
    for seeds in (2, 3, 5, 10):
        tables = EQUAL[name](
            np.random.default_rng((SEED, seeds)), (TABLES, 2, 3, seeds)
        )  # two scenarios, three methods
        for table in tables:
            scores = {(f"s{s}", f"m{m}"): table[s, m].tolist() for s in range(2) for m in range(3)}
            measure = SHARES if tables.max() <= 1 and tables.min() >= 0 else "return_mean"
            wrong.append(any(found.verdict == "beats" for found in conclude(cells(scores, measure))))
    print(f"seed {SEED}: {name}: {sum(wrong)} of {len(wrong)}")
    assert sum(wrong) <= 0.05 * len(wrong)


def numbers(text: str, names: Sequence[str]) -> list[str]:
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, " ")
    return re.findall(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?", text)


@pytest.mark.parametrize("measure", [SHARES, "return_mean"])
def test_every_number_of_a_sentence_stands_in_the_table_as_it_is_printed(measure: str) -> None:
    rng, seen = np.random.default_rng(SEED), set()
    scale = 1 if measure == SHARES else 5000.0
    for seeds in (1, 2, 3, 5, 10):
        for gap in (0.0, 0.02, 0.3):
            scores = {
                ("walker-2", "grpo"): rng.random(seeds) * 0.2,
                ("walker-2", "k2-ppo"): rng.random(seeds) * 0.2 + gap,
            }
            found = only(conclude(cells({key: (scale * row).tolist() for key, row in scores.items()}, measure)))
            text, row = sentence(found), spelled(found)
            seen.add(found.verdict)
            known = {"95", *numbers(" ".join(row.values()), ())}
            assert row["scenario"] in text
            assert set(numbers(text, ["walker-2", "grpo", "k2-ppo"])) <= known, text
    assert seen == {"beats", "none shown", "not concluded"}


def test_the_better_method_comes_first_and_the_numbers_are_those_of_the_seeds() -> None:
    found = only(conclude(cells({("maths", "ppo"): [0.50, 0.52, 0.54], ("maths", "grpo"): [0.70, 0.71, 0.75]})))
    # differences 0.20, 0.19, 0.21: s = 0.01, half-width (1 + 1/3)·4.302653·0.01/√3 = 0.033122
    assert sentence(found).startswith("maths: grpo beats ppo by 20 points (95 % interval 16.7 to 23.3, 3 seeds")
    assert found.improvement == 1.0


def test_a_difference_that_was_not_shown_says_what_more_seeds_would_show() -> None:
    found = only(
        conclude(
            cells({("walker", "ppo"): [210.0, 190.0, 230.0], ("walker", "grpo"): [200.0, 205.0, 218.0]}, "return_mean")
        )
    )
    assert found.verdict == "none shown"
    assert (found.more_seeds, found.seeds) == (5, 3)
    spread = float(np.std([10.0, -15.0, 12.0], ddof=1))
    assert power(found.would_show or 0, spread, 8, LEVEL) == pytest.approx(0.8, abs=5e-3)
    assert re.search(r"5 more seeds would show one of [\d.]+ of return\.$", sentence(found))


def test_the_whole_table_is_corrected_at_once() -> None:
    scores = {("a", "ppo"): [0.0, 0.0, 0.0], ("a", "grpo"): [0.4, 0.35, 0.45]}
    alone = only(conclude(cells(scores)))
    rng = np.random.default_rng(SEED)
    others = {(f"b{n}", method): rng.random(3).tolist() for n in range(20) for method in ("ppo", "grpo")}
    beside = conclude(cells({**scores, **others}))[0]
    assert alone.verdict == "beats"
    assert beside.p == pytest.approx(min(1.0, 21 * (alone.p or 0)))
    assert beside.verdict == "none shown"
    assert "between grpo and ppo was shown beside the other pairs: 40 points (95 % interval 23" in sentence(beside)


def test_equal_seeds_say_how_many_more_would_show_it_by_markov() -> None:
    """2·2⁻⁵ = 0.0625 and 2·2⁻⁶ = 0.031; of two pairs half the level: 2·2⁻⁷ = 0.0156 < 0.025."""
    solved, failed = {("a", "x"): [1.0] * 5}, {("a", "y"): [0.0] * 5}
    found = only(conclude(cells({**solved, **failed})))
    assert (found.verdict, found.more_seeds, found.would_show) == ("none shown", 1, 1.0)
    assert sentence(found).endswith("corrected p 0.0625); 1 more seed would show one of 100 points.")
    assert [one.more_seeds for one in conclude(cells({**solved, **failed, ("a", "z"): [0.0] * 5}))] == [2, 2, None]
    assert equal_seeds_to_show(0.5) == 10  # 1.5⁹ = 38.4, 1.5¹⁰ = 57.7
    assert equal_seeds_to_show(0.0) is equal_seeds_to_show(1e-5) is None
    assert only(conclude(cells({("a", "x"): [9.0] * 5, ("a", "y"): [1.0] * 5}, "return_mean"))).more_seeds is None


def test_rounding_is_no_difference_and_names_nobody_first() -> None:
    one, other = [0.7, 0.1, 0.4], [0.6, 0.3, 0.3]
    for names in (("a", "b"), ("b", "a")):
        for measure, scale in ((SHARES, 1.0), ("return_mean", 1e6)):
            scores = dict(zip(names, ([scale * x for x in one], [scale * x for x in other]), strict=True))
            found = only(conclude(cells({("w", name): row for name, row in scores.items()}, measure)))
            assert (found.method, found.difference) == (names[0], 0.0)
            assert ": 0 " in sentence(found)
    assert only(conclude(cells({("w", "a"): [1e-9] * 3, ("w", "b"): [0.0, 1e-9, 1e-9]}))).difference == pytest.approx(
        1e-9 / 3
    )


def test_a_p_value_is_printed_on_its_side_of_the_level() -> None:
    row = Difference("w", "a", "b", SHARES, 3, 0.1, 0.01, 0.2, 1.0)
    for p, text in ((0.04996, "0.04996"), (0.049999999, "0.049999999"), (0.0500001, "0.05"), (0.0123456, "0.0123")):
        assert spelled(replace(row, p=p))["p, corrected"] == text
        assert (float(text) < LEVEL) == (replace(row, p=p).verdict == "beats")


def test_the_documents_tell_what_was_not_shown_as_the_command_does() -> None:
    """Of a sentence all follows from its numbers: beside which pairs a difference was not shown, by its interval."""
    pages = [page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md"))]
    quoted = [" ".join(one.split()) for page in pages for one in re.findall(r"^- \*(.*?)\*$", page, re.M | re.S)]
    not_shown = [one for one in quoted if "no difference between" in one]
    assert len(not_shown) > 5
    for one in not_shown:
        (low,) = re.findall(r"interval (\S+) to", one)
        assert ("shown beside the other pairs:" in one) == (float(low) > 0), one


def test_methods_that_are_compared_against_one_are_corrected_for_no_other_pairs() -> None:
    scores = {("a", "w"): [0.2, 0.21, 0.22], ("a", "x"): [0.5, 0.51, 0.48], ("a", "y"): [0.4, 0.3, 0.2]}
    found = conclude(cells(scores), against="w")
    assert [(one.method, one.other) for one in found] == [("x", "w"), ("y", "w")]
    alone = only(conclude(cells({key: scores[key] for key in (("a", "w"), ("a", "x"))})))
    assert found[0].p == pytest.approx(2 * (alone.p or 0))  # of two pairs, and not of three


def test_where_seeds_failed_or_there_is_one_nothing_is_concluded_and_nothing_is_corrected_for() -> None:
    better, worse = dict(enumerate([0.9, 0.91, 0.92])), dict(enumerate([0.1, 0.11, 0.13]))
    failed = Cell("a", "grpo", SHARES, {0: 0.9, 1: 0.91}, 3, failed=1)
    lost = Cell("b", "grpo", SHARES, {0: 0.9, 1: 0.91}, 3)
    whole = [Cell(task, "ppo", SHARES, worse, 3) for task in "abc"]
    found = conclude([failed, lost, Cell("c", "grpo", SHARES, better, 3), *whole])
    assert [one.verdict for one in found] == ["not concluded", "not concluded", "beats"]
    assert found[2].p == only(conclude([Cell("c", "grpo", SHARES, better, 3), whole[2]])).p
    assert "not every run of grpo came to its end" in sentence(found[0])
    assert "not every run of grpo has a score" in sentence(found[1])
    one = only(conclude([Cell("a", "ppo", SHARES, {0: 0.1}, 1), Cell("a", "grpo", SHARES, {0: 0.9}, 1)]))
    assert sentence(one) == "a: nothing is concluded of grpo and ppo: one seed says nothing about others; give --seeds."


def test_what_was_not_fair_is_told_with_its_reason() -> None:
    row = cells({("a", "ppo"): [0.1, 0.11, 0.12], ("a", "grpo"): [0.9, 0.91, 0.93]})
    found = only(conclude(row, {("a", "ppo", "grpo"): "their budgets are not equal"}))
    assert found.verdict == "not concluded"
    assert sentence(found) == "a: nothing is concluded of grpo and ppo: their budgets are not equal."


STUCK = 200, 4  # tables of four equal methods, half of whose runs get stuck


@pytest.mark.parametrize(("seeds", "most"), [(2, 0.0), (3, 0.2), (4, 0.1), (5, 0.05)])
def test_what_luck_can_do_where_half_of_all_runs_get_stuck(seeds: int, most: float) -> None:
    rng = np.random.default_rng((SEED, seeds))
    tables = np.where(rng.random((*STUCK, seeds)) < 0.5, 9.4, 480.0) + rng.normal(0, 8, (*STUCK, seeds))
    found = [cells({("a", f"m{m}"): table[m].tolist() for m in range(4)}, "return_mean") for table in tables]
    share = sum(any(one.verdict == "beats" for one in conclude(row)) for row in found) / len(found)
    print(f"seed {SEED}: {seeds} seeds: {share:.3f}")
    assert share <= most


def test_two_seeds_conclude_nothing() -> None:
    found = only(conclude(cells({("a", "ppo"): [0.90, 0.91], ("a", "grpo"): [0.10, 0.11]})))
    assert sentence(found).endswith(": two seeds cannot tell a method from luck; give three or more by --seeds.")


def test_a_method_whose_runs_all_failed_says_so_whatever_it_spent() -> None:
    row = [Cell("a", "ppo", SHARES, {0: 0.1, 1: 0.2, 2: 0.3}, 3), Cell("a", "grpo", "return_mean", {}, 3, failed=3)]
    found = only(conclude(row, {("a", "ppo", "grpo"): "they spent different amounts"}))
    assert sentence(found) == "a: nothing is concluded of ppo and grpo: no run of grpo came to its end."


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (999.6, "1,000"),
        (-999.6, "-1,000"),
        (999.4, "999"),
        (0.0123456, "0.0123"),
        (12345.6, "12,346"),
        (999.5, "1,000"),
    ],
)
def test_numbers_are_rounded_before_their_form_is_chosen(value: float, words: str) -> None:
    assert number(value) == words


def test_more_seeds_show_no_difference_that_two_shares_cannot_have() -> None:
    rates = {("maths", "ppo"): [0.0, 1.0, 0.1], ("maths", "rloo"): [1.0, 0.0, 1.0]}
    found = only(conclude(cells(rates)))  # differences of ±1: 5 more seeds would show one of 1.4
    assert (found.more_seeds, found.would_show, spelled(found)["would show"]) == (5, None, "none")
    assert sentence(found).endswith("; 5 more seeds would show none.")
    shown = only(conclude(cells(rates, "return_mean")))
    assert (shown.would_show or 0) > 1
    assert "5 more seeds would show one of 1." in sentence(shown)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (99.99972, 100.00074, "99.9997 to 100.0007"),  # a width of 0.001, of which three digits show nothing
        (100.49, 100.51, "100.490 to 100.510"),
        (1e6, 1e6 + 0.25, "1,000,000.00 to 1,000,000.25"),
        (-23.14, 53.51, "-23.1 to 53.5"),
        (1266.7, 1606.2, "1,267 to 1,606"),
        (0.0, 0.0004, "0 to 0.0004"),
        (-1e-9, 1e-9, "-1e-09 to 1e-09"),
        (5.0, 5.0, "5 to 5"),
    ],
)
def test_bounds_have_as_many_digits_as_it_takes_for_the_width_to_be_seen(low: float, high: float, words: str) -> None:
    assert between(low, high) == words


def test_a_narrow_interval_is_seen_in_the_sentence() -> None:
    scores = {("a", "ppo"): [100.0004, 100.0001, 100.0002], ("a", "grpo"): [0.0, 0.0, 0.0]}
    # s = 0.00015275, half-width (1 + 1/3)·4.302653·s/√3 = 0.000506 around 100.000233
    assert "95 % interval 99.9997 to 100.0007, 3" in sentence(only(conclude(cells(scores, "return_mean"))))


def test_two_measures_are_never_set_against_each_other() -> None:
    row = [Cell("a", "ppo", SHARES, {0: 0.1, 1: 0.2}, 2), Cell("a", "grpo", "return_mean", {0: 8.0, 1: 9.0}, 2)]
    assert "measured by" in sentence(only(conclude(row)))
