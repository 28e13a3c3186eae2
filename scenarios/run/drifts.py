"""Drifts: signs that a number of a row goes where it should not, while something is learned still.

    far from the start · far from who acted · few samples carry all · nothing to compare · ever longer · out of form

Bounds are wide on purpose: a run in good health says nothing, and what is said looks back at what has happened already.
"""

from __future__ import annotations

from .sign import Facts, Row, Sign, not_solved, number, own

_FAR = 3.0  # nats a unit from the reference: e³ = 20 times as likely, on average


def _percent(row: Row, name: str) -> str:
    return f"{100 * number(row, name):.0f} %"


def _has_ratio(facts: Facts) -> bool:
    """Whether weights follow a ratio that is to stay near 1; that of a long sequence's product never does."""
    return own(facts) and facts.method.weighting.ratio in ("unit", "turn", "sequence")


def _more_penalty(facts: Facts) -> str:
    weighting = facts.method.weighting
    if weighting.kl is None or weighting.kl_to != "reference":
        return f"lower {facts.key('optimizer.lr')} (it is {facts.settings.lr:g})"
    return f"raise {facts.key('overrides.weighting.beta')} (it is {weighting.beta:g})"


def _fewer_steps(facts: Facts) -> str:
    update = facts.method.update
    return (
        f"take fewer {facts.key('overrides.update.epochs')} or minibatches (they are {update.epochs} and "
        f"{update.minibatches})"
    )


def _why_none_taken(facts: Facts) -> str:
    flat = facts.method.update.flat_groups == "leave_out"
    if not facts.gated:
        return (
            "in each all episodes earned the same; give tasks that are neither too easy nor too hard, or raise "
            f"{facts.key('collect.group_size')}"
        )
    differs = ", and a difference in what was earned" if flat else ""
    return (
        f"none had a share of successes within {facts.key('collect.gate')}{differs}; give wider bounds, or tasks that "
        "are neither too easy nor too hard"
    )


DRIFTS = (
    Sign(
        "far_from_start",
        lambda row, facts: own(facts) and number(row, "kl/reference") > _FAR,
        lambda row, facts: (
            f"the policy has gone {number(row, 'kl/reference'):.3g} nats a unit from its reference, five times in a "
            f"row: little is left of what it began with; {_more_penalty(facts)}"
        ),
    ),
    Sign(
        "ratios_extreme",
        lambda row, facts: _has_ratio(facts) and number(row, "policy/ratio_extreme") > 0.05,
        lambda row, facts: (
            f"{_percent(row, 'policy/ratio_extreme')} of what is learned from has become ten times more or less likely "
            f"than when it was done, three times in a row; {facts.lr(row)}, or {_fewer_steps(facts)}"
        ),
        updates=3,
    ),
    Sign(
        "few_samples",
        lambda row, facts: _has_ratio(facts) and number(row, "policy/effective_share") < 0.1,
        lambda row, facts: (
            f"the ratios make {_percent(row, 'policy/effective_share')} of the units count for all of them (effective "
            f"sample size, three times in a row): what is learned is noise; {facts.lr(row)}, or {_fewer_steps(facts)}"
        ),
        updates=3,
    ),
    Sign(
        "sampler_gap",
        lambda row, facts: (
            own(facts) and facts.method.weighting.correction is None and number(row, "kl/sampler_gap") > 0.5
        ),
        lambda row, facts: (
            f"who acts gives other log-probabilities than who learns (by {number(row, 'kl/sampler_gap'):.3g} nats a "
            "unit, five times in a row), and nothing corrects that; give overrides: {weighting: {correction: 2}}, less "
            f"{facts.key('collect.staleness')}, or an engine of the trainer's precision"
        ),
    ),
    Sign(
        "groups_flat",
        lambda row, facts: (
            own(facts) and facts.method.needs_groups and 0.9 < number(row, "groups/flat") < 1.0 and not_solved(row)
        ),
        lambda row, facts: (
            f"{_percent(row, 'groups/flat')} of the groups earned the same throughout and teach nothing, ten times "
            f"in a row; raise {facts.key('collect.group_size')}, give tasks that are neither too easy nor too hard, "
            f"keep to those that are neither ({facts.key('collect.curriculum')}), or sample such groups again "
            f"({facts.key('collect.refill')} with update.flat_groups: leave_out)"
        ),
        updates=10,
    ),
    Sign(
        "curriculum_collapsed",
        lambda row, facts: number(row, "curriculum/distinct") < 0.5,
        lambda row, facts: (
            f"the curriculum has collapsed: ten times in a row a batch had {_percent(row, 'curriculum/distinct')} of "
            f"the different tasks that it has room for, the same few again and again (an effective "
            f"{number(row, 'curriculum/effective'):.3g} tasks); raise {facts.key('collect.curriculum.uniform')}, lower "
            f"its half_life, or give more tasks that are neither too easy nor too hard"
        ),
        updates=10,
    ),
    Sign(
        "gate_closed",
        lambda row, facts: number(row, "groups/taken") == 0.0,
        lambda row, facts: (
            "nothing was learned from what was played in five updates, for no group was taken: "
            f"{_why_none_taken(facts)}"
        ),
    ),
    Sign(
        "replies_grow",
        lambda row, facts: (
            own(facts) and 0.5 < number(row, "episodes/cut") < 1.0 and number(facts.first, "episodes/cut") < 0.1
        ),
        lambda row, facts: (
            f"{_percent(row, 'episodes/cut')} of the replies are cut at their limit of tokens, and "
            f"{_percent(facts.first, 'episodes/cut')} were at first: they grow towards it; raise sampling.max_tokens, "
            f"or give {facts.key('overrides.rewards.overlong_share')} a part of it, such as 0.2"
        ),
    ),
    Sign(
        "form_lost",
        lambda row, facts: (
            own(facts)
            and number(row, "episodes/malformed") > 0.5
            and number(row, "episodes/malformed") > 2 * number(facts.first, "episodes/malformed")
        ),
        lambda row, facts: (
            f"{_percent(row, 'episodes/malformed')} of the episodes have a tool call that nobody can read, and "
            f"{_percent(facts.first, 'episodes/malformed')} had at first: the form is being lost; {facts.lr(row)}, or "
            "imitate calls that are well formed first (a stage with method: sft)"
        ),
    ),
)
