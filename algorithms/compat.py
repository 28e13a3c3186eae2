"""What other frameworks call and do for the same method, where that is not what a row does: dated facts.

    peripatos list methods --show NAME --compat trl|verl|prime-rl

A fact stands beside the constant of ours that it is about. It was read in released code and papers in the month that
stands with it, and is no promise about what those frameworks do today. What was not read is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..envs.errors import UserError, unknown
from .idle_constants import spelled
from .method_row import Method
from .methods import METHODS

READ = "2026-11"  # year and month
FRAMEWORKS = {"trl": "TRL", "verl": "verl", "prime-rl": "prime-rl"}


@dataclass(frozen=True)
class Fact:
    """One constant elsewhere."""

    framework: str
    place: str  # ours, such as `credit.eps`
    there: str  # theirs, in words
    holds: Callable[[Method], bool]  # of which rows
    read: str = READ  # when


def _named(*names: str) -> Callable[[Method], bool]:
    return lambda row: row.name in names


_GRPO_TRAINER = _named(
    *("grpo", "dr_grpo", "dapo", "gspo", "cispo", "gmpo", "sapo", "vespo", "gdpo", "deepseek_v32", "high_entropy")
)
"""Rows that are settings of TRL's GRPOTrainer; others have a trainer of their own there, or none."""

_ACTOR = _named(
    *("ppo", "ppo_dual_clip", "rlhf_ppo", "reinforce_pp", "rloo", "optimal_baseline", "grpo", "dr_grpo", "dapo"),
    *("gspo", "cispo", "gmpo", "sapo", "dppo", "gdpo", "high_entropy", "deepseek_v32"),
)
"""Rows that are settings of verl's actor; it has no others, and nothing is said of those."""


def _deviation(row: Method) -> bool:
    return row.credit.scale == "std"


def _critic(row: Method) -> bool:
    return _ACTOR(row) and row.needs_critic


def _clipped(row: Method) -> bool:
    return row.weighting.ratio == "unit" and row.weighting.clip_kind == "silence"


def _of_groups(row: Method) -> bool:
    return row.needs_groups and row.credit.transform == "advantage"


FACTS = (
    Fact("trl", "credit.ddof", "1", lambda row: _GRPO_TRAINER(row) and _deviation(row)),
    Fact("trl", "credit.eps", "1e-4", lambda row: _GRPO_TRAINER(row) and _deviation(row)),
    Fact("trl", "weighting.clip_high", "absolute: unset, a weight is at most ε = 0.2", _named("cispo")),
    Fact("trl", "weighting.clip_high", "0.2 on both sides, unless told", _named("gspo")),
    Fact("trl", "weighting.clip_dual", "delta, which is off", lambda row: _GRPO_TRAINER(row) and _clipped(row)),
    Fact("trl", "weighting.kl", "none: β is 0", _GRPO_TRAINER),
    Fact("trl", "weighting.kl_ratio", "true wherever β > 0", _GRPO_TRAINER),
    Fact("trl", "weighting.correction", "Π π/μ of the sequence, left out above C = 3 (sequence_mask)", _GRPO_TRAINER),
    Fact("trl", "weighting.kl", "k1 with β = 0.05", _named("rloo")),
    Fact("trl", "weighting.kl_in", "reward", _named("rloo")),
    Fact("trl", "weighting.stale_sequence", "δ = 0.5 is suggested", _named("deepseek_v32")),
    Fact("trl", "weighting.ratio", "log ρ of a unit within ±20, of a sequence within log 1e-8 and 20", _named("vespo")),
    Fact("trl", "update.aggregation", "loss dapo: one mean over the batch's tokens", _named("grpo")),
    Fact("trl", "update.flat_groups", "kept, and not sampled again", _named("dapo")),
    Fact("trl", "credit.whiten", "over the rollouts of the batch", _named("gdpo")),
    Fact("trl", "preference.beta", "0.1", _named("dpo")),
    Fact("trl", "preference.kind", "the mean log-probability over a reply's tokens, not the sum", _named("ipo")),
    Fact("verl", "credit.ddof", "1", lambda row: _ACTOR(row) and _deviation(row)),
    Fact("verl", "credit.eps", "1e-6", lambda row: _ACTOR(row) and _deviation(row)),
    Fact("verl", "credit.gamma", "1", _critic),
    Fact("verl", "credit.lam", "1", _critic),
    Fact("verl", "credit.whiten", "over the tokens of the batch", _named("gdpo")),
    Fact(
        "verl",
        "weighting.clip_dual",
        "vanilla clips dually at 3 without saying",
        lambda row: _ACTOR(row) and _clipped(row),
    ),
    Fact("verl", "weighting.clip_high", "1 ± ε, that is 0.8 to 1.2", _named("cispo")),
    Fact("verl", "weighting.clip_high", "clip_ratio bounds log ρ", _named("gmpo")),
    Fact("verl", "weighting.gap", "dppo_tv reads ε from clip_ratio (0.2), and caps the ratio at 20", _named("dppo")),
    Fact("verl", "weighting.correction", "off; min(π/μ, C) with C = 2 once on", _ACTOR),
    Fact("verl", "update.value_clip", "0.5", _critic),
    Fact(
        "verl",
        "update.aggregation",
        "seq-mean-token-sum-norm does not divide by the number of sequences",
        lambda row: _ACTOR(row) and row.update.aggregation == "constant_length",
        read="2026-01",
    ),
    Fact("verl", "update.flat_groups", "left out, and sampled again until a batch is full", _named("dapo")),
    Fact("prime-rl", "credit.scale", "(R − mean)/mean, and 0 where the mean is not positive", _named("max_rl")),
    Fact("prime-rl", "weighting.gap", "its default loss, called IPO: |p − q| ≤ 0.3, plain ρ, no KL", _of_groups),
    Fact("prime-rl", "weighting.gap", "until August 2026: |p − q| > 0.2 masked by the sign of A", _named("dppo")),
    Fact("prime-rl", "update.observation_coefficient", "one for each role of message", _named("echo")),
)


def compat(name: str, framework: str) -> list[str]:
    """The facts about row `name` in `framework`, line by line: our constant and its value, and what is there.
    `UserError` names the nearest method or framework."""
    if name not in METHODS:
        raise UserError(unknown("method", name, METHODS))
    if framework not in FRAMEWORKS:
        raise UserError(unknown("framework", framework, FRAMEWORKS))
    row = METHODS[name]
    facts = [fact for fact in FACTS if fact.framework == framework and fact.holds(row)]
    if not facts:
        return [f"Nothing was read about {name} in {FRAMEWORKS[framework]} (up to {READ})."]
    here = [f"{fact.place} = {spelled(_value(row, fact.place))}" for fact in facts]
    width = max(map(len, here))
    lines = [f"{fact.read}   {ours:<{width}}   there: {fact.there}" for ours, fact in zip(here, facts, strict=True)]
    return [f"In {FRAMEWORKS[framework]}, with the month in which it was read:", *lines]


def _value(row: Method, place: str) -> object:
    column, constant = place.split(".")
    return getattr(getattr(row, column), constant)
