"""A method in words: its row of the table, its formulas, and the page of the documentation.

    peripatos list methods                the table
    peripatos list methods --show NAME    one row: every constant, the objective as formula and in words, the paper
    docs/methods.md                       `document()`, which a test compares with the file

Formulas are put together from those of the columns, so that what is printed is what is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from ..envs.errors import UserError, unknown
from .idle_constants import idle_constants, spelled
from .method_row import Method
from .methods import METHODS
from .rewards import Rewards
from .weighting import Weighting

_COLUMNS = ("rewards", "credit", "preference", "weighting", "update")


def method_table() -> list[dict[str, str]]:
    """One dictionary per method, its constants as words: what `peripatos list methods` prints."""
    return [_row_as_words(row) for row in METHODS.values()]


def show_method(name: str) -> list[str]:
    """Everything about one row, line by line. `UserError` names the nearest method."""
    if name not in METHODS:
        raise UserError(unknown("method", name, METHODS))
    row = METHODS[name]
    lines = [f"{row.name}: {row.summary}", *([f"source     {row.paper}"] if row.paper else [])]
    lines += [f"parent     {row.parent}; differs in {_differences(row) or 'nothing'}"] if row.parent else []
    lines += ["", *(f"    {line}" for line in formulas(row)), "", *in_words(row)]
    lines += ["", "Elsewhere: " + row.elsewhere] if row.elsewhere else []
    return [*lines, "", *(f"{place} = {spelled(value)}" for place, value in constants(row))]


def document() -> str:
    """The page docs/methods.md."""
    return _HEAD + "\n".join(_section(row) for row in METHODS.values())


def constants(row: Method) -> Iterator[tuple[str, Any]]:
    """Each constant of `row` that does something: its place as an override spells it, and its value."""
    idle = {(column, name) for column, name, _, _ in idle_constants(row)}
    for column in _COLUMNS:
        values = getattr(row, column)
        for one in fields(values):
            if (column, one.name) not in idle:
                yield f"{column}.{one.name}", getattr(values, one.name)


def formulas(row: Method) -> list[str]:
    """The effective objective: R, A, w and L, a line each."""
    if row.judges:
        return list(_PREFIXES if row.learns == "process" else _SCORES)
    if row.compares:
        w = " · ".join(["π(v)·A", *_selected(row.weighting)])
        return ["A = log ν(v) − log π(v), for every v that might have been chosen", f"w = {w}", _loss(row)]
    weighting = row.weighting
    factors = [weighting.clip.formula if weighting.ratio is not None else "A"]
    factors = factors if row.preference.kind is None else [row.preference.formula]
    factors += [part.formula for part in (weighting.gap_trust, weighting.stale_trust) if part is not None]
    factors += [] if weighting.importance_correction is None else [weighting.importance_correction.formula]
    factors += _selected(weighting)
    w = factors[0]
    if len(factors) > 1:  # behind a `, s = …` of the first there is no room for a factor
        first, comma, rest = w.partition(",   ")
        w = " · ".join([first, *factors[1:]]) + comma + rest
    if weighting.penalty is not None:
        w = f"{w} − {weighting.beta:g}·{weighting.penalty.formula}"
    lines = [f"A = {_advantage(row)}", f"w = {w}"]
    if row.needs_teacher:
        lines.append("r = log ν − log μ, of the unit")
    if row.needs_judge:
        lines.append(f"R = {_judged(row.rewards)}")
    if weighting.kl_in == "reward":
        lines.append(f"r ← r − {weighting.beta:g}·log(π_old/π_ref), at each unit")
    if row.preference.kind is not None:
        lines.append(
            "d = Σ (log π⁺ − log π⁺_ref) − Σ (log π⁻ − log π⁻_ref), over the units of the better and the worse"
        )
    if weighting.ratio is not None:
        to = "π/μ" if row.source == "demonstrations" else "π/π_old"
        lines.append(f"ρ = {_RATIOS[weighting.ratio].replace('π/π_old', to)}")
    return [*lines, _loss(row)]


def _selected(weighting: Weighting) -> list[str]:
    share = weighting.entropy_share
    return [] if share == 1 else [f"1[H among the highest {100 * share:g} %]"]


def _loss(row: Method) -> str:
    """L, with all terms that the row has."""
    update, penalty = row.update, row.weighting.penalty
    mean = _MEANS[update.aggregation if row.preference.kind is None else "pairs"]
    terms = ["w·log π"]
    if row.compares:  # what else a unit weighs is of what was chosen
        terms = ["Σ_v w·log π(v)"]
        terms += [] if penalty is None else [f"− {row.weighting.beta:g}·{penalty.formula}·log π"]
    if update.entropy_target is not None:
        terms.append("+ c·H")
    elif update.entropy_coefficient:
        terms.append(f"+ {update.entropy_coefficient:g}·H")
    loss = f"L = −{mean} ({' '.join(terms)})" if len(terms) > 1 else f"L = −{mean} {terms[0]}"
    if row.needs_critic:
        loss += f" + {update.value_coefficient:g}·{_value_error(row)}"
    if update.observation_coefficient:
        loss += f" − {update.observation_coefficient:g}·mean over observed units of log π"
    if update.imitation_coefficient:
        loss += f" − {update.imitation_coefficient:g}·mean over units of demonstrations of log π"
    return loss


_MEANS = {
    "unit_mean": "mean over all units of",
    "sequence_mean": "mean over sequences of the mean over units of",
    "sequence_sum": "mean over sequences of the sum over units of",
    "constant_length": "mean over sequences of 1/L times the sum over units of",
    "pairs": "mean over pairs of the sum over units of",
}
_SCORES = (
    "s = V of the state behind the last unit of a reply",
    "L = mean over groups of the mean over pairs of −log σ(s of the better − s of the worse)",
)
_PREFIXES = (
    "s_k = V of the state behind the last unit of turn k; of the last turn, once there is no other",
    "L = mean over groups of the mean over pairs and their turns k of −log σ(s_k of the better − s_k of the worse)",
)
_SCORED = {"policy": "nothing", "reward": "ends", "process": "each turn"}
_STEPS = {"trajectory": "trajectories", "turn": "turns", "unit": "units"}
_SUBTRACTED = {
    None: "",
    "batch_mean": " − mean_batch(R)",
    "group_mean": " − mean_group(R)",
    "leave_one_out": " − mean_others(R)",
    "optimal": " − Σ_group W·R / Σ_group W,   W = Σ ‖∂ log π/∂ logits‖² up to its step",
}
_EXTREMES = "1 for the best of the group, −1 for the worst, 0 for the others"
_RATIOS = {
    "unit": "π/π_old of the unit",
    "turn": "exp(mean over the turn of log π/π_old)",
    "sequence": "exp(mean over the sequence of log π/π_old)",
    "product": "Π over the sequence of π/π_old",
}


def _advantage(row: Method) -> str:
    credit = row.credit
    if credit.transform == "one":
        return "1"
    if credit.transform == "best_worst":
        return "1 for the better reply, −1 for the worse" if row.source == "pairs" else _EXTREMES
    if credit.transform == "best":
        return "1 for the best of the group, 0 for the others"
    R = "R" if credit.granularity == "trajectory" else "Σ γᵏ r, from its step on" if credit.gamma else "r"
    if credit.transform == "verdict":
        wrong = f"−{credit.wrong:g}" if credit.wrong else "0"
        return f"{credit.right:g} where R ≥ {credit.threshold:g}, else {wrong}"
    if credit.baseline == "critic":
        A = f"GAE(γ = {credit.gamma:g}, λ = {credit.lam:g})"
    else:
        A = f"({R})" if credit.granularity != "trajectory" and credit.baseline is not None else R
        A += _SUBTRACTED[credit.baseline]
        if credit.scale is not None:
            members = "batch" if credit.baseline == "batch_mean" else "group"
            A = f"({A}) / ({credit.scale}_{members}(R) + {credit.eps:g})"
        A = f"Σ over terms of {A}" if credit.each_term else A
    A = f"1[{A} > 0]" if credit.transform == "positive" else A
    over = {"batch": "batch", "minibatch": "minibatch", "steps": _STEPS[credit.granularity] + " of the batch"}
    return f"({A} − mean) / (std + 1e-08) over the {over[credit.whiten]}" if credit.whiten else A


def _value_error(row: Method) -> str:
    """Half the squared error of the critic; with a clip the worse of two."""
    clip = row.update.value_clip
    error = "(V − (GAE + V_old))²"
    return f"½{error}" if clip is None else f"½·max({error}, (clip(V − V_old, ±{clip:g}) − GAE)²)"


def in_words(row: Method) -> list[str]:
    """What the row does, in sentences."""
    credit, update = row.credit, row.update
    said = [_SOURCES[row.source]]
    if row.source == "demonstrations" and row.weighting.ratio is not None:
        said.append("Where nobody has noted how likely it was (`logp` of a reply in a file), μ is 1.")
    if row.needs_judge:
        when = "at its last unit" if row.rewards.model_at == "end" else "by its turns, as each has changed it"
        said.append(f"A reward model says what each episode is worth, which is earned {when}.")
        said.append(_SCALES[row.rewards.model_scale])
    if row.weighting.kl_in == "reward":
        said.append("Each unit pays for leaving the policy as it began, so that it answers for what follows as well.")
    if row.rewards.teacher is not None:
        said.append(_TEACHERS[row.rewards.teacher])
    if row.compares:
        said.append(_ALL)
    if row.rewards.scale is not None:
        said.append(
            f"Rewards are divided by the running spread of returns, and cut at ±{row.rewards.clip or float('inf'):g}."
        )
    if row.rewards.overlong_share is not None:
        share = f"{100 * row.rewards.overlong_share:g} %"
        said.append(f"A reply loses up to 1 in the last {share} before its limit.")
    if row.preference.kind is not None:
        said.append("A frozen copy of the policy as it began is the reference.")
    if credit.ranks and row.source == "own":
        what = "make no pair" if credit.transform == "best_worst" else "have no best"
        said.append(f"Groups in which all earned the same {what}.")
    if credit.transform not in ("one", "verdict") and not credit.ranks and not row.judges and not row.compares:
        said.append(_BASELINES[credit.baseline])
    if credit.scale == "std":
        said.append(f"Differences are divided by the group's standard deviation (ddof {credit.ddof}).")
    if credit.granularity != "trajectory" and not row.compares:
        said.append(f"What counts as one decision is a {credit.granularity}.")
    if update.flat_groups == "leave_out" and not row.judges:
        said.append("Groups in which all earned the same count in no mean.")
    if row.weighting.kl_target is not None:
        said.append(f"β doubles or halves as the KL of an update is far from {row.weighting.kl_target:g}.")
    if update.observation_coefficient:
        said.append("What the world says after the first reply is learned by cross-entropy; the prompt is not.")
    if update.imitation_coefficient:
        said.append("Demonstrations are imitated beside that, as many episodes as there are groups.")
    if update.entropy_target is not None:
        step, goal = update.entropy_step, update.entropy_target
        said.append(f"c grows by {step:g} while the entropy is below {goal:g}, falls above it, and counts only below.")
    steps = update.epochs * update.minibatches
    one = "One step is made on each batch"
    has_ratios = row.preference.kind is None and row.source == "own" and not row.compares
    one += ", before which every ratio is 1 (up to age and precision of the sampler)." if has_ratios else "."
    said.append(
        one if steps == 1 else f"Each batch is gone through {update.epochs} × in {update.minibatches} minibatches."
    )
    return [" ".join(said)]


_SOURCES = {
    "own": "It learns from what the policy itself did.",
    "demonstrations": "It learns from what somebody else did.",
    "pairs": "It learns from replies that somebody has compared.",
}
_SCALES = {
    "start": "Its scores have mean 0 on the first batch.",
    "batch": "Its scores are brought to mean 0 and deviation 1 (of the population) on each batch.",
}
_TEACHERS = {
    "model": "Another model pays for each unit, in the place of the world.",
    "self": "The policy pays itself for each unit, in the place of the world: as it began, and shown what the world's "
    "expert does.",
}
_ALL = (
    "It is paid for all that might have been chosen, as often as it would be, so that chance is in the states that are "
    "visited and nowhere else."
)
_BASELINES = {
    None: "Returns count as they are.",
    "batch_mean": "Each return is compared with the mean of the batch.",
    "group_mean": "Each return is compared with the mean of its group, which began alike.",
    "leave_one_out": "Each return is compared with the mean of the others in its group, which began alike.",
    "optimal": "Each return is compared with that mean of its group, which began alike, with which the gradient varies "
    "least.",
    "critic": "A critic says what was to be expected, and bootstraps episodes that were cut.",
}


def _differences(row: Method) -> str:
    """The constants that `row` has otherwise than its parent, as an override would spell them."""
    if row.parent is None:
        return ""
    parent = dict(_all_constants(METHODS[row.parent]))
    own, working = dict(_all_constants(row)), {place for place, _ in constants(row)}
    changed = [place for place, value in own.items() if value != parent[place]]
    ways = [f"actions {spelled(row.source)}"] if row.source != METHODS[row.parent].source else []
    ways += [f"what is scored is {_SCORED[row.learns]}"] if row.learns != METHODS[row.parent].learns else []
    ways += [f"{place} {spelled(own[place])}" for place in changed if place in working or own[place] is None]
    return ", ".join(ways)


def _all_constants(row: Method) -> Iterator[tuple[str, Any]]:
    for column in _COLUMNS:
        values = getattr(row, column)
        assert is_dataclass(values), "columns are rows themselves"
        yield from ((f"{column}.{one.name}", getattr(values, one.name)) for one in fields(values))


def _row_as_words(row: Method) -> dict[str, str]:
    credit, weighting, update = row.credit, row.weighting, row.update
    scale = "—"
    if credit.scale == "std":
        scale = f"std (ddof {credit.ddof}) + {credit.eps:g}"
    elif credit.scale == "mean":
        scale = f"mean + {credit.eps:g}"
    clip = "—"
    if weighting.clip_low is not None or weighting.clip_high is not None:
        low = "" if weighting.clip_low is None else f"from 1 − {weighting.clip_low:g} "
        clip = f"{low}to 1 + {weighting.clip_high:g}" if weighting.clip_high is not None else low.strip()
    if weighting.ratio is not None and weighting.clip_kind != "silence":
        clip = f"{weighting.clip_kind} {clip}".removesuffix(" —")
    return {
        "method": row.name,
        "what": row.summary,
        "differs": f"{row.parent}, but {_differences(row)}" if row.parent else "—",
        "actions": row.source,
        "rewards": _rewards(row),
        "baseline": credit.baseline or "—" if credit.transform != "one" else "—",
        "granularity": credit.granularity if credit.transform != "one" else "—",
        "scale": scale,
        "weight": _weight(row),
        "γ, λ": f"{credit.gamma:g}, {credit.lam:g}" if credit.baseline == "critic" else f"{credit.gamma:g}, —",
        "whiten": credit.whiten or "—",
        "ratio": weighting.ratio or "—",
        "clip": clip,
        "KL": "—" if weighting.kl is None else _kl(weighting),
        "aggregation": update.aggregation,
        "epochs × minibatches": f"{update.epochs} × {update.minibatches}",
        "paper": row.paper or "—",
    }


def _rewards(row: Method) -> str:
    if row.needs_teacher:
        return "log ν − log π, of all" if row.compares else "log ν − log μ"
    if row.needs_judge:
        return _judged(row.rewards)
    return "—" if row.rewards.scale is None else f"/ std(R), ±{row.rewards.clip or float('inf'):g}"


def _judged(rewards: Rewards) -> str:
    """What is learned from, of what the world pays and what a reward model says."""
    said = "(s − mean of the first batch)" if rewards.model_scale == "start" else "(s − mean) / std over the batch"
    said = said if rewards.model_clip is None else f"clip({said}, ±{rewards.model_clip:g})"
    parts = [(rewards.world, "R"), (rewards.model or 0.0, said)]
    return " + ".join(text if weight == 1 else f"{weight:g}·{text}" for weight, text in parts if weight)


def _kl(weighting: Weighting) -> str:
    where = ", in the reward" if weighting.kl_in == "reward" else ""
    return f"{weighting.beta:g} × {weighting.kl} to {weighting.kl_to}{where}"


def _weight(row: Method) -> str:
    credit = row.credit
    if row.judges:
        return "scores, no actions"
    if row.preference.kind is not None:
        return row.preference.formula
    verdict = f"{credit.right:g}·1[right] − {credit.wrong:g}·1[wrong]"
    weights = {
        "advantage": "A",
        "positive": "1[A > 0]",
        "verdict": verdict,
        "best": "1[best]",
        "best_worst": "±1",
        "one": "1",
    }
    return weights[credit.transform]


_HEAD = """# Methods

Printed by the code (`peripatos list methods`, `--show NAME` for every constant, and with that `--compat trl`, `verl` or
`prime-rl` for what stands there, each fact with the month in which it was read). A method is a row of constants,
and each is a weighted log-likelihood: the gradient of L below is that of the textbook objective, which a test checks by
autograd for every row. Any constant is changed by a scenario, `overrides: {weighting: {clip_high: 0.28}}`; what would
have no effect is refused. Settings of whole papers, as stages: `peripatos list presets`.

A is an advantage, R an episode's return, ρ a ratio to the policy that acted (or, with `weighting.correction`, to the
policy before the update), H an entropy in nats, μ who acted, ν a teacher, p and q the probabilities under π and μ. σ in
formulas is the logistic function.

Rows of metrics have `policy/clipped` (the share of units that the clip silences or cuts), `policy/distrusted` (that a
trust region leaves out), `policy/weighted` (whose weight is not 0), `policy/ratio_extreme` (whose ratio is beyond ten
or a tenth), `policy/effective_share` ((Σρ)² / (n·Σρ²), the effective sample size as a share), `observation/logp` (what
the world says, where that is learned), `imitation/loss` (−log π of demonstrations that are imitated beside, with
`update: {imitation_coefficient: …}` of any method on own actions: PPO-ptx), `groups/flat` (groups in which all earned
the same), and, where they move,
`kl/beta` and `policy/entropy_coefficient`. What goes wrong with these numbers is said once, in a line. With
`collect: {refill: 8}` groups in which all earned the same are sampled again, up to eight times for an update. Which
tasks come next (`collect.curriculum`) and which groups are taken (`collect.gate`): see docs/data.md.

"""


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a formula."""
    return text if text[1] == " " else text[0].upper() + text[1:]


def _section(row: Method) -> str:
    like = f"As [{row.parent}](#{row.parent}), but {_differences(row)}." if row.parent else ""
    paper = f" ({row.paper})" if row.paper else ""
    parts = [f"## {row.name}", f"{_sentence(row.summary)}{paper}. {like}".strip()]
    parts += ["```text\n" + "\n".join(formulas(row)) + "\n```", *in_words(row)]
    parts += [f"*Elsewhere.* {row.elsewhere}"] if row.elsewhere else []
    return "\n\n".join(parts) + "\n"
