"""Health: signs in a row of metrics that nothing is learned any more, or that what was learned is being lost.

    sign      a name, a condition on the row of one update, for how many updates in a row it has to hold, a sentence

Each sign is said once in a stage, in one line that ends with the key to change. What is not finite is no sign: the
learner refuses it. Here are the signs that learning has ended; `drifts` has those of a number that goes too far.
"""

from __future__ import annotations

from collections.abc import Collection

from .drifts import DRIFTS
from .sign import Facts, Row, Sign, not_solved, number, own


def _still_to_learn(row: Row, facts: Facts) -> bool:
    """Whether a gradient of zero is a fault: something is compared, or imitated and not known by heart."""
    if facts.method.compares:  # an advantage of everything that might have been chosen is none of a unit
        return number(row, "kl/teacher") > 1e-3
    if own(facts):
        return number(row, "advantage/magnitude") > 0 and number(row, "policy/weighted") != 0
    return number(row, "policy/logp") < -1e-3


def _still_to_learn_from(row: Row, facts: Facts) -> bool:
    taken = number(row, "groups/taken") != 0  # what is not taken has advantages, and no weight
    return own(facts) and taken and number(row, "advantage/magnitude") > 0


def _why_zero(facts: Facts) -> str:
    """Why a method gives no advantage to anything that was done."""
    credit = facts.method.credit
    if credit.transform == "verdict" and credit.wrong == 0:
        return f"nothing earned {credit.threshold:g} (credit.threshold), and right replies alone are learned from"
    if credit.transform == "verdict" and credit.right == 0:
        return f"everything earned {credit.threshold:g} or more, and wrong replies alone are learned from"
    if credit.scale == "mean":
        return "no group earned more than 0 on average with differences in it"
    return "what is compared earned the same"


def _more_advantage(facts: Facts) -> str:
    if facts.method.credit.transform == "verdict":
        return f"give another {facts.key('overrides.credit.threshold')}"
    return f"raise {facts.key('collect.group_size')}"


def _why_weightless(row: Row, facts: Facts) -> str:
    """Why nothing is left of advantages, and what to change."""
    method = facts.method
    if method.credit.whiten == "minibatch" and not method.needs_critic:
        change = "lower {}minibatches" if method.update.minibatch_units is None else "raise {}minibatch_units"
        why = "all of a minibatch had one advantage, of which whitening (credit.whiten) leaves nothing"
        return f"{why}; {change.format(facts.key('overrides.update.'))}"
    why = "clips, trust regions or corrections leave nothing to learn from"
    return f"{why}; {facts.lr(row)}, or widen {facts.key('overrides.weighting')}"


def _clipped(row: Row, facts: Facts) -> float:
    """The gradient's norm, as the optimiser gets it."""
    return min(number(row, "gradient/norm"), facts.settings.max_grad_norm)


def _fell_asleep(row: Row, facts: Facts) -> bool:
    lr, warming = number(row, "optimizer/lr"), facts.settings.warmup > 0
    return lr < 1e-9 or (warming and facts.settings.schedule == "constant" and lr < 1e-3 * facts.settings.lr)


def _lr_advice(row: Row, facts: Facts) -> str:
    if facts.settings.warmup > 1 and facts.settings.lr >= 1e-9:
        return f"lower {facts.key('optimizer.warmup')} (it is {facts.settings.warmup} updates)"
    return f"raise {facts.key('optimizer.lr')} (it is {facts.settings.lr:g})"


SIGNS = (
    Sign(
        "advantages_zero",
        lambda row, facts: own(facts) and not facts.method.compares and number(row, "advantage/magnitude") == 0.0,
        lambda row, facts: (
            f"every advantage of 5 updates was 0, because {_why_zero(facts)}: nothing was learned. `peripatos show` "
            "shows what is done and what it earns; change the world's tasks or its reward, or "
            f"{_more_advantage(facts)}"
        ),
    ),
    Sign(
        "weights_zero",
        lambda row, facts: number(row, "policy/weighted") == 0.0 and _still_to_learn_from(row, facts),
        lambda row, facts: (
            f"every weight of 5 updates was 0, although advantages were not: {_why_weightless(row, facts)}"
        ),
    ),
    Sign(
        "gradient_zero",
        lambda row, facts: number(row, "gradient/norm") == 0.0 and _still_to_learn(row, facts),
        lambda row, facts: (
            "the gradient of 5 updates was exactly 0, although there is something to learn from: the policy is "
            f"saturated, and moves no more; begin anew and {facts.lr(row)}"
        ),
    ),
    Sign(
        "entropy_collapsed",
        lambda row, facts: (
            own(facts)
            and 0.0 <= number(row, "policy/entropy") < 1e-4
            and number(row, "advantage/magnitude") > 0
            and not_solved(row)
        ),
        lambda row, facts: (
            f"the policy's entropy is {number(row, 'policy/entropy'):.2g}: it does the same in every state and tries "
            f"nothing else any more; begin anew and {facts.lr(row)}, or raise "
            f"{facts.key('overrides.update.entropy_coefficient')} (it is {facts.method.update.entropy_coefficient:g})"
        ),
    ),
    Sign(
        "critic_dead",
        lambda row, facts: (
            number(row, "value/explained_variance") < -1.0
            and number(row, "value/loss") > 2 * number(facts.first, "value/loss")  # where all returns are alike, < −1
        ),
        lambda row, facts: (
            f"the critic is worse than a constant (explained variance {number(row, 'value/explained_variance'):.3g} "
            f"for 10 updates): advantages are noise; {facts.lr(row)}, or lower "
            f"{facts.key('overrides.update.value_coefficient')} (it is {facts.method.update.value_coefficient:g})"
        ),
        updates=10,
    ),
    Sign(
        "kl_exploded",
        lambda row, facts: number(row, "kl/old") > 1.0,
        lambda row, facts: (
            f"an update takes the policy far from the one that acted (a KL of {number(row, 'kl/old'):.3g} nats a "
            f"unit, three times in a row): what it learns from says little of it; {facts.lr(row)}, or take fewer "
            f"{facts.key('overrides.update.epochs')} (it is {facts.method.update.epochs})"
        ),
        updates=3,
    ),
    Sign(
        "all_clipped",
        lambda row, facts: number(row, "policy/clipped") > 0.4,
        lambda row, facts: (
            f"{100 * number(row, 'policy/clipped'):.0f} % of what was learned from is clipped, three times in a row, "
            f"and moves nothing; {facts.lr(row)}, or widen {facts.key('overrides.weighting.clip_low')} and clip_high "
            f"(they are {facts.method.weighting.clip_low} and {facts.method.weighting.clip_high})"
        ),
        updates=3,
    ),
    Sign(
        "steps_vanish",
        lambda row, facts: 0 < _clipped(row, facts) < 0.01 * facts.settings.eps,
        lambda row, facts: (
            f"the steps are nothing: the gradient is cut to {_clipped(row, facts):.2g}, and divided by at least "
            f"{facts.settings.eps:g}; lower {facts.key('optimizer.eps')}, or raise "
            f"{facts.key('optimizer.max_grad_norm')} (it is {facts.settings.max_grad_norm:g})"
        ),
    ),
    Sign(
        "step_size_zero",
        lambda row, facts: _fell_asleep(row, facts),
        lambda row, facts: (
            f"the step size is {number(row, 'optimizer/lr'):.2g}, with which nothing moves; {_lr_advice(row, facts)}"
        ),
    ),
    Sign(
        "imitation_lost",
        lambda row, facts: not own(facts) and number(row, "policy/logp") < 2 * number(facts.first, "policy/logp") - 1.0,
        lambda row, facts: (
            f"what is imitated has become less likely (log-probability {number(row, 'policy/logp'):.3g} a unit, "
            f"{number(facts.first, 'policy/logp'):.3g} at first): begin anew and {facts.lr(row)}"
        ),
    ),
    Sign(
        "replies_cut",
        lambda row, facts: own(facts) and number(row, "episodes/cut") == 1.0 and not number(row, "success/rate") > 0,
        lambda row, facts: (
            "every reply of 5 updates was cut at its limit of tokens, and none was right; raise sampling.max_tokens, "
            "or imitate replies that end first (a stage with method: sft)"
        ),
    ),
    Sign(
        "replies_empty",
        lambda row, facts: own(facts) and number(row, "episodes/silent") == 1.0,
        lambda row, facts: (
            "every reply of 5 updates was empty (the stop token alone); begin anew and "
            f"{facts.lr(row)}, or imitate replies first (a stage with method: sft)"
        ),
    ),
)


def see(row: Row, facts: Facts, streaks: dict[str, int], said: Collection[str]) -> dict[str, str]:
    """What is to be said with this row, by the sign's name: signs that have held long enough and are not in `said`.

    `streaks`, for how many updates each sign has held, is counted on in place: plain data, for a checkpoint to keep.
    """
    found = {}
    for sign in (*SIGNS, *DRIFTS):
        streaks[sign.name] = streaks.get(sign.name, 0) + 1 if sign.holds(row, facts) else 0
        if streaks[sign.name] >= sign.updates and sign.name not in said:
            found[sign.name] = sign.says(row, facts)
    return found


_MULTIPLIED = (  # constants by which a part of the loss is multiplied, and beyond what that is far from usual
    ("rewards", "model", 1e3),
    ("rewards", "world", 1e3),
    ("credit", "right", 1e3),
    ("credit", "wrong", 1e3),
    ("preference", "beta", 1e3),
    ("preference", "dpop_lambda", 1e4),
    ("weighting", "beta", 1e3),
    ("update", "value_coefficient", 1e3),
    ("update", "entropy_coefficient", 10.0),
    ("update", "observation_coefficient", 1e3),
    ("update", "imitation_coefficient", 1e3),
)


def suspects(facts: Facts) -> str:
    """The settings that are far from what is usual, with their values; the step size if none is."""
    settings, method = facts.settings, facts.method
    unusual = [
        ("optimizer.lr", settings.lr, settings.lr > 0.1),
        ("optimizer.weight_decay", settings.weight_decay, settings.weight_decay > 1),
        ("optimizer.max_grad_norm", settings.max_grad_norm, settings.max_grad_norm > 1e4),
        ("optimizer.eps", settings.eps, settings.eps < 1e-15),
        ("overrides.credit.eps", method.credit.eps, method.credit.scale is not None and method.credit.eps < 1e-12),
    ]
    for column, name, usual in _MULTIPLIED:
        value = getattr(getattr(method, column), name) or 0.0  # null: by nothing
        unusual.append((f"overrides.{column}.{name}", value, value > usual))
    named = [f"{facts.key(name)} ({value:g})" for name, value, far in unusual if far]
    return " and ".join(named or [f"{facts.key('optimizer.lr')} ({settings.lr:g})"])
