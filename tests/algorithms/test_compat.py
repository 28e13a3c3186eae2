"""What stands in other frameworks, beside our constants."""

from __future__ import annotations

import re

import pytest

from peripatos.algorithms.compat import FACTS, FRAMEWORKS, READ, Fact, compat
from peripatos.algorithms.methods import METHODS
from peripatos.envs.errors import UserError


def test_the_facts_about_a_row_stand_beside_its_own_constants() -> None:
    lines = compat("grpo", "trl")
    assert lines[0] == "In TRL, with the month in which it was read:"
    said = [re.fullmatch(r"(20\d\d-[01]\d)   (.*?) +there: (.*)", line) for line in lines[1:]]
    found = {one[2]: one[3] for one in said if one}
    assert len(found) == len(lines) - 1
    assert found["credit.eps = 1e-06"] == "1e-4"
    assert found["weighting.kl = null"] == "none: β is 0"
    assert found["update.aggregation = 'sequence_mean'"] == "loss dapo: one mean over the batch's tokens"


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"{fact.framework} {fact.place} {fact.there[:12]}")
def test_every_fact_is_about_a_framework_a_row_and_a_constant_that_there_are(fact: Fact) -> None:
    column, constant = fact.place.split(".")
    rows = [row for row in METHODS.values() if fact.holds(row)]
    assert fact.framework in FRAMEWORKS
    assert rows
    assert hasattr(getattr(rows[0], column), constant)


def test_what_a_trainer_does_is_said_of_its_own_rows_alone() -> None:
    of_grpo = ("β is 0", "C = 3", "β > 0", "1e-4", "delta")
    for name in ("rloo", "max_rl", "optimal_baseline", "reinforce", "psr", "ppo", "rlhf_ppo", "on_policy_distillation"):
        assert not [line for line in compat(name, "trl") if any(words in line for words in of_grpo)], name
    for name in ("grpo", "dr_grpo", "dapo", "gspo", "cispo", "gmpo", "sapo"):
        assert "Π π/μ of the sequence, left out above C = 3" in "\n".join(compat(name, "trl"))
    of_rloo = [line.split("   there: ")[1] for line in compat("rloo", "trl")[1:]]
    assert of_rloo == ["k1 with β = 0.05", "reward"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", METHODS)
def test_every_row_has_an_answer_in_every_framework_and_says_no_constant_twice(name: str, framework: str) -> None:
    lines = compat(name, framework)
    assert all(READ in line or re.match(r"20\d\d-\d\d   ", line) for line in lines[len(lines) > 1 :])
    assert len(set(lines)) == len(lines)


def test_of_rows_that_verl_has_not_nothing_is_said_of_it() -> None:
    for name in ("sft", "psr", "nsr", "ppo_kl", "max_rl", "echo", "vespo", "skywork_or1", "probability_gap", "dpo"):
        assert compat(name, "verl") == [f"Nothing was read about {name} in verl (up to {READ})."]
    assert "there: off; min(π/μ, C) with C = 2 once on" in "\n".join(compat("rlhf_ppo", "verl"))


def test_each_fact_has_the_month_in_which_it_was_read() -> None:
    (old,) = [line for line in compat("dr_grpo", "verl") if "seq-mean" in line]
    assert old.startswith("2026-01   update.aggregation = ")


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown framework 'tlr'.*Did you mean 'trl'"):
        compat("grpo", "tlr")
    with pytest.raises(UserError, match="Did you mean 'grpo'"):
        compat("gpro", "trl")


def test_a_row_of_which_nothing_was_read_says_so() -> None:
    assert compat("nsr", "prime-rl") == [f"Nothing was read about nsr in prime-rl (up to {READ})."]
