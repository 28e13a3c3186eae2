"""Which constants of a method do nothing beside the others, and which exclude each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields

from .credit import Credit
from .method_row import Method
from .weighting import Weighting

Idle = tuple[str, str, object, str]  # column, name, the value that means nothing (`...`: none does), and why
_SMALL_EPS = 1e-3  # beside a spread of returns, which a larger one may be comparable to


def spelled(value: object) -> str:
    """A constant as a scenario spells it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def idle_constants(row: Method) -> Iterator[Idle]:
    """Constants that do nothing beside the others of `row`.

    A constant that has no value which means nothing is idle only if somebody wrote it down.
    """
    if row.judges:
        yield from _of_reward_models()
    yield from _of_rewards(row)
    yield from _of_credit(row)
    yield from _of_ratios(row.weighting)
    yield from _of_signs(row)
    yield from _of_penalties(row.weighting)
    yield from _of_preferences(row)
    if row.source != "own":
        why = f"the log-probabilities of {row.source} are unknown"
        yield "rewards", "teacher", None, why
        yield "rewards", "model", None, f"{row.source} are learned from, whatever they are worth"
        yield "update", "imitation_coefficient", 0.0, f"{row.source} are all that is learned from"
        for name in ("correction", "gap", "stale_sequence"):
            yield "weighting", name, None, why
        if row.source == "pairs":
            yield "weighting", "ratio", None, why
        yield "weighting", "kl_to", "reference", why
        yield "weighting", "kl_in", "loss", why
    yield from _of_updates(row)


def _of_preferences(row: Method) -> Iterator[Idle]:
    kind = row.preference.kind
    if kind is None:
        yield "preference", "beta", ..., "preference.kind is null; allowed are dpo, ipo, dpop"
    if kind != "dpo":
        yield "preference", "label_smoothing", 0.0, f"preference.kind is {spelled(kind)}, not 'dpo'"
    if kind != "dpop":
        yield "preference", "dpop_lambda", 0.0, f"preference.kind is {spelled(kind)}, not 'dpop'"
    if kind is not None:
        why = f"preference.kind is {spelled(kind)}: the loss of pairs is all that is learned from"
        for name in ("ratio", "gap", "stale_sequence", "kl", "correction"):
            yield "weighting", name, None, why
        yield "weighting", "entropy_share", 1.0, why
        yield "update", "cut_replies", "keep", f"preference.kind is {spelled(kind)}, and a pair has both of its sides"
        yield "update", "flat_groups", "keep", "groups in which all earned the same make no pair"
    if row.source == "pairs" and not row.judges:
        for name in ("teacher", "scale", "overlong_buffer", "overlong_share"):
            yield "rewards", name, None, "somebody has compared the replies of pairs, and nobody pays for them"
        yield "update", "flat_groups", "keep", "the replies of pairs differ"
        yield "update", "observation_coefficient", 0.0, "nothing is said after the replies of pairs"


def _of_reward_models() -> Iterator[Idle]:
    """All but how often a batch is gone through, and in how many parts."""
    row, why = Method("", ""), "a reward model learns the order of replies, and nobody acts or pays"
    for column in ("rewards", "credit", "preference", "weighting"):
        for one in fields(getattr(row, column)):
            yield column, one.name, one.default, why
    for one in fields(row.update):
        if one.name not in ("epochs", "minibatches", "minibatch_units", "flat_groups"):
            yield "update", one.name, one.default, why
    yield "update", "flat_groups", "leave_out", "rankings of equal ranks have no pair"


def _of_rewards(row: Method) -> Iterator[Idle]:
    rewards = row.rewards
    if rewards.model is None:
        why = "rewards.model is null; give the weight of what a reward model says, such as 1"
        yield "rewards", "model_scale", "start", why
        yield "rewards", "model_at", "end", why
        yield "rewards", "model_clip", None, why
        yield "rewards", "world", 1.0, why
    else:
        yield from _of_weighed_models(row)
    if rewards.model is not None and row.credit.granularity == "trajectory":
        why = "credit.granularity is 'trajectory': a whole trajectory is one step, whenever it was paid"
        yield "rewards", "model_at", "end", f"{why}; give turn or unit"
    if rewards.teacher is not None:
        yield "rewards", "model", None, "rewards.teacher pays, in the place of all others"
        yield "update", "flat_groups", "keep", "rewards.teacher pays, whatever all of a group have earned"
        if row.compares:
            yield from _of_comparisons()
    else:
        yield "rewards", "teacher_pays", "chosen", "rewards.teacher is null; allowed are model, self"
    if rewards.scale is None:
        yield "rewards", "clip", None, "rewards.scale is null; allowed is 'return'"
    if rewards.clip is None and (why := _forgets_scale(row)):
        yield "rewards", "scale", None, f"{why}, unless rewards.clip cuts some"
    if rewards.overlong_buffer is None and rewards.overlong_share is None:
        yield "rewards", "overlong_limit", None, "rewards.overlong_buffer is not given"
    if rewards.overlong_buffer is not None:
        yield "rewards", "overlong_share", None, "rewards.overlong_buffer says how long the buffer is"


def _forgets_scale(row: Method) -> str:
    """Why returns of c times the size, c > 0, lead to the same advantages; nothing where they do not."""
    credit = row.credit
    if row.needs_critic or row.weighting.kl_in == "reward" or credit.transform in ("verdict", "one"):
        return ""
    if credit.transform == "positive" or credit.ranks:
        return f"credit.transform is {spelled(credit.transform)}, which asks for the order of returns alone"
    if credit.scale is not None and credit.baseline is not None and credit.eps <= _SMALL_EPS:
        return f"credit.scale is {spelled(credit.scale)}, behind which a factor of all returns cancels"
    if credit.whiten is not None:
        return f"credit.whiten is {spelled(credit.whiten)}, behind which a factor of all returns cancels"
    return ""


def _of_comparisons() -> Iterator[Idle]:
    """What is for actions that are paid for one by one."""
    why = "rewards.teacher_pays is 'all': the distance to the teacher is all that is learned from"
    for name in ("scale", "overlong_buffer", "overlong_share"):
        yield "rewards", name, None, why
    for name in ("baseline", "whiten"):
        yield "credit", name, None, why
    for name in ("granularity", "gamma"):
        yield "credit", name, ..., why
    yield "credit", "transform", "advantage", why
    for name in ("clip_low", "clip_high", "clip_dual", "gap", "stale_sequence", "correction"):
        yield "weighting", name, None, why
    yield "weighting", "ratio", ..., why
    yield "weighting", "kl_in", "loss", f"{why}, and no unit is paid"


def _of_weighed_models(row: Method) -> Iterator[Idle]:
    """Weights of what a reward model says that cancel."""
    rewards, credit = row.rewards, row.credit
    if credit.each_term:
        why = "credit.each_term normalises each term by itself, so that its weight cancels"
        if rewards.world:
            yield "rewards", "world", 1.0, f"{why}; 0 leaves the world's terms out"
    elif rewards.world or rewards.overlong_buffer is not None or rewards.overlong_share is not None:
        return
    elif rewards.scale is not None:
        why = "rewards.scale is 'return', and what the model says is all that is earned"
    elif why := _forgets_scale(row):
        why = f"{why}, and what the model says is all that is earned"
    else:
        return
    yield "rewards", "model", 1.0, why
    shifts = credit.baseline is not None or credit.ranks or credit.whiten is not None  # cancels what all earn
    shifts = shifts and credit.granularity == "trajectory" and credit.scale != "mean" and rewards.scale is None
    if rewards.model_clip is None and (credit.each_term or shifts):
        yield "rewards", "model_scale", "start", why


def _of_credit(row: Method) -> Iterator[Idle]:
    credit = row.credit
    judges, imitates = credit.transform == "verdict", credit.transform == "one"
    if credit.ranks:
        for name in ("baseline", "scale", "whiten"):
            yield (
                "credit",
                name,
                None,
                f"credit.transform is {spelled(credit.transform)}, which compares returns as they are",
            )
    if imitates:
        for name in ("baseline", "granularity", "scale", "ddof", "eps", "gamma", "lam", "whiten"):
            yield "credit", name, ..., "credit.transform is 'one': every weight is 1"
        for name in ("teacher", "model", "scale", "overlong_buffer", "overlong_share"):
            yield "rewards", name, None, "credit.transform is 'one': every weight is 1, whatever was earned"
        yield "update", "flat_groups", "keep", "credit.transform is 'one': every weight is 1, and no group is flat"
    if credit.transform == "positive":
        yield "credit", "scale", None, "credit.transform is 'positive', which asks for the sign alone"
    if credit.each_term or imitates:
        why = "credit.each_term compares named terms" if credit.each_term else "credit.transform is 'one'"
        yield "weighting", "kl_in", "loss", f"{why}, and rewards of units count for nothing"
    if credit.each_term:
        for name in ("teacher", "scale", "overlong_buffer", "overlong_share"):
            yield "rewards", name, None, "credit.each_term compares the terms that the world names, and this is none"
    if judges:
        for name in ("baseline", "scale"):
            yield "credit", name, None, "credit.transform is 'verdict', which judges returns as they are"
    else:
        for name in ("threshold", "right", "wrong"):
            yield "credit", name, ..., f"credit.transform is {spelled(credit.transform)}, not 'verdict'"
    if not row.needs_critic:
        why = f"credit.baseline is {spelled(credit.baseline)}, and there is no critic"
        yield "credit", "lam", ..., why
        yield "update", "value_coefficient", ..., why
        yield "update", "value_clip", None, why
        if credit.granularity == "trajectory" and not imitates:
            yield "credit", "gamma", 1.0, "credit.granularity is 'trajectory': a whole trajectory is one step"
    yield from _of_groups(credit, imitates)


def _of_groups(credit: Credit, imitates: bool) -> Iterator[Idle]:
    why = f"credit.baseline is {spelled(credit.baseline)}: nothing is compared within a group"
    if credit.baseline in (None, "critic") and not imitates:
        yield "credit", "scale", None, why
    if credit.baseline in (None, "critic", "batch_mean") or imitates:
        yield "credit", "each_term", False, why
    if credit.baseline == "optimal":
        yield "credit", "scale", None, "credit.baseline is 'optimal', whose differences are divided by nothing"
    if credit.scale is None:
        yield "credit", "eps", ..., "credit.scale is null"
    if credit.scale != "std":
        yield "credit", "ddof", ..., f"credit.scale is {spelled(credit.scale)}"


def _of_ratios(weighting: Weighting) -> Iterator[Idle]:
    kind = weighting.clip_kind
    if weighting.ratio is None:
        for name in ("clip_low", "clip_high", "clip_dual"):
            yield "weighting", name, None, "weighting.ratio is null: there is nothing to clip"
        yield "weighting", "clip_kind", "silence", "weighting.ratio is null: there is nothing to clip"
    why = f"weighting.clip_kind is {spelled(kind)}"
    if kind != "silence":
        yield "weighting", "clip_dual", None, f"{why}, not 'silence'"
    if kind in ("soft", "kernel"):
        yield "weighting", "clip_low", None, f"{why}, which fades instead"
        yield "weighting", "clip_high", None, f"{why}, which fades instead"
    for name in ("soft_up", "soft_down") if kind != "soft" else ():
        yield "weighting", name, ..., f"{why}, not 'soft'"
    for name in ("kernel_up_k", "kernel_up_rate", "kernel_down_k", "kernel_down_rate") if kind != "kernel" else ():
        yield "weighting", name, ..., f"{why}, not 'kernel'"
    if weighting.clip_low == 1:
        yield "weighting", "clip_low", None, "no ratio is below 1 − 1 = 0; give less than 1"
    if weighting.gap == 1:
        yield "weighting", "gap", None, "no two probabilities are farther apart than 1; give less"
    if _silences_the_stale(weighting):
        why = "weighting.clip_low silences such sequences already where weighting.ratio is 'sequence'"
        yield "weighting", "stale_sequence", None, why
    if weighting.gap is None:
        yield "weighting", "gap_sides", "towards", "weighting.gap is null; give its bound, such as 0.15"


def _silences_the_stale(weighting: Weighting) -> bool:
    """Whether A < 0 and exp(mean log π/μ) < 1 − ε↓ holds wherever A < 0 and mean(log μ − log π) > δ does."""
    low, stale = weighting.clip_low, weighting.stale_sequence
    silences = weighting.ratio == "sequence" and weighting.clip_kind == "silence" and weighting.correction is None
    return silences and low is not None and stale is not None and math.exp(-stale) <= 1 - low


def _of_signs(row: Method) -> Iterator[Idle]:
    """What is for bad actions alone where there is none, and for good ones likewise; whitening makes both."""
    credit, kind = row.credit, row.weighting.clip_kind
    if credit.whiten is not None or row.source == "pairs":
        return
    judges = credit.transform == "verdict"
    if credit.transform in ("positive", "best", "one") or (judges and credit.wrong == 0):
        cause = "credit.wrong is 0" if judges else f"credit.transform is {spelled(credit.transform)}"
        why = f"{cause}: no advantage is below 0"
        yield "weighting", "stale_sequence", None, why
        for name in ("clip_low", "clip_dual") if kind == "silence" else ():
            yield "weighting", name, None, why
        for name in ("soft_down", "kernel_down_k", "kernel_down_rate"):
            yield "weighting", name, ..., why
    if judges and credit.right == 0:
        why = "credit.right is 0: no advantage is above 0"
        if kind == "silence":
            yield "weighting", "clip_high", None, why
        for name in ("soft_up", "kernel_up_k", "kernel_up_rate"):
            yield "weighting", name, ..., why


def _of_penalties(weighting: Weighting) -> Iterator[Idle]:
    if weighting.kl is None:
        why = "weighting.kl is null; allowed are k1, k2, k3"
        yield "weighting", "beta", 0.0, why
        yield "weighting", "kl_ratio", False, why
        yield "weighting", "kl_to", "reference", why
        yield "weighting", "kl_in", "loss", why
        yield "weighting", "kl_target", None, why
    if weighting.beta == 0.0:
        yield "weighting", "kl", None, "weighting.beta is 0; give one above 0"
    if weighting.kl_to == "reference":
        why = "weighting.kl_to is 'reference', and the target is one of the distance to the old policy"
        yield "weighting", "kl_target", None, why
    if weighting.correction is None:
        yield "weighting", "correction_level", "unit", "weighting.correction is null; give its bound, such as 2"
        yield "weighting", "correction_kind", "truncate", "weighting.correction is null; give its bound, such as 2"


def _of_updates(row: Method) -> Iterator[Idle]:
    update = row.update
    if update.aggregation != "constant_length":
        yield "update", "length", None, f"update.aggregation is {update.aggregation!r}, not 'constant_length'"
    if update.minibatch_units is not None:
        yield "update", "minibatches", ..., "update.minibatch_units says how many there are"
    if update.entropy_target is None:
        yield "update", "entropy_step", ..., "update.entropy_target is null, so that the coefficient stays"


def impossible_constants(row: Method) -> Iterator[tuple[str, str, str]]:
    """Constants that exclude another: column, name, and why with what would fit."""
    credit, weighting = row.credit, row.weighting
    if credit.each_term and credit.granularity != "trajectory":
        why = f"and credit.granularity is {spelled(credit.granularity)}: terms are those of a whole trajectory"
        yield "credit", "each_term", f"{why}; write granularity: trajectory"
    if credit.transform == "verdict" and credit.right == credit.wrong == 0.0:
        yield "credit", "right", "and credit.wrong is 0 too: every weight is 0; give one of them above 0"
    if credit.ranks and credit.granularity != "trajectory":
        why = f"and credit.granularity is {spelled(credit.granularity)}: the best and the worst are whole trajectories"
        yield "credit", "transform", f"{why}; write granularity: trajectory"
    kind = row.preference.kind
    if kind is not None and credit.transform != "best_worst":
        why = f"and credit.transform is {spelled(credit.transform)}: a pair is the best and the worst of a group"
        yield "preference", "kind", f"{why}; write credit: {{transform: best_worst}}"
    if kind is not None and row.update.aggregation != "sequence_sum":
        why = f"and preference.kind is {spelled(kind)}: log π of a reply is the sum over its units"
        yield "update", "aggregation", f"{why}; write aggregation: sequence_sum"
    if weighting.clip_kind == "geometric" and weighting.ratio not in (None, "unit"):
        why = f"and weighting.ratio is {spelled(weighting.ratio)}: the mean is over ratios of units"
        yield "weighting", "clip_kind", f"{why}; write ratio: unit"
    if weighting.clip_kind == "geometric" and row.update.aggregation != "sequence_mean":
        why = "and weighting.clip_kind is 'geometric': a sequence has one such mean, however many units it has"
        yield "update", "aggregation", f"{why}; write aggregation: sequence_mean"
    if weighting.correction_kind == "band" and weighting.correction is not None and weighting.correction <= 1:
        why = f"and weighting.correction is {weighting.correction:g}: no ratio, or 1 alone, lies between 1/C and C"
        yield "weighting", "correction_kind", f"{why}; give a correction above 1"
    if weighting.kl_in == "reward" and credit.transform in ("verdict", "positive", "best", "best_worst"):
        why = f"and credit.transform is {spelled(credit.transform)}: right or better would be by R − β·Σ k1"
        yield "weighting", "kl_in", f"{why}, not by what was earned; write kl_in: loss"
    if weighting.kl_in == "reward":
        for name, fits in {"kl": "k1", "kl_to": "reference", "kl_ratio": False}.items():
            value, mean = getattr(weighting, name), "whose mean is the KL of what was sampled"
            if value != fits:
                why = f"and weighting.kl_in is 'reward': the penalty of a unit's reward is k1 to the reference, {mean}"
                yield "weighting", name, f"{why}; write {name}: {spelled(fits)}"
    if weighting.kl_to == "old" and weighting.kl_ratio:
        why = "and weighting.kl_to is 'old', whose own samples these are: their mean is the KL without a ratio"
        yield "weighting", "kl_ratio", f"{why}; write kl_ratio: false"


def unmoved_by_demonstrations(row: Method) -> str | None:
    """Why a row would learn nothing from somebody who does it right, whose episodes all earn the same; None where it
    would."""
    credit, alike = row.credit, "where all did it right, all earned the same, and nothing is learned"
    if row.judges or row.preference.kind is not None or credit.ranks:
        return f"this method compares replies: {alike}"
    if row.needs_critic:
        return "credit.baseline is 'critic', which says what is to be expected of the policy, and somebody else acts"
    if row.needs_teacher:
        return f"rewards.teacher is {spelled(row.rewards.teacher)}, who pays for what the policy itself does"
    if credit.transform == "one":
        return None
    if credit.transform == "verdict" and credit.right == 0:
        return "credit.right is 0: nothing is learned from what was done right"
    if credit.baseline is not None or credit.whiten is not None:
        name = "whiten" if credit.baseline is None else "baseline"
        return f"credit.{name} is {spelled(getattr(credit, name))}, which compares returns: {alike}"
    if row.update.flat_groups == "leave_out":
        return f"update.flat_groups is 'leave_out': {alike}"
    return None
