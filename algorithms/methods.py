"""The table of methods. A method is a row of constants; the update never asks for its name.

    peripatos list methods

prints this table, with every constant that frameworks disagree on. A row says whose actions are learned from,
how credit is assigned, how advantages become weights, and how often the batch is gone through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal

from pydantic import TypeAdapter, ValidationError

from ..envs.errors import UserError, WrongKey, nearest
from ..envs.quantities import Count, NotNegative, Positive, shown, whole
from ..envs.wrong_values import Slot, wrong_value
from .aggregate import Mode
from .credit import Credit
from .rewards import Rewards
from .weights import Weighting


@dataclass(frozen=True)
class Update:
    """How a batch becomes steps of the optimiser."""

    epochs: Annotated[int, whole(1, 10_000)] = 1  # passes over the batch; 1 with 1 minibatch is strictly on-policy
    minibatches: Count = 1  # steps per pass
    minibatch_units: Count | None = None
    """Units that a minibatch should have, in the place of a number of minibatches: for whole episodes that grow
    longer as they learn, of which a fixed number of minibatches first makes too many and then too few."""
    aggregation: Mode = "unit_mean"
    length: Count | None = None  # L of "constant_length"; None: the most units that an episode can have
    cut_replies: Literal["keep", "leave_out"] = "keep"
    """Whether replies that ended because they had no tokens left are trained on (overlong filtering of DAPO: Yu et al.
    2025, arXiv:2503.14476). They count in no mean of the loss either, but their rewards are compared with others'."""
    value_coefficient: NotNegative = 0.5
    value_clip: Positive | None = None
    entropy_coefficient: NotNegative = 0.0

    def steps_per_pass(self, units: float) -> int:
        """How many minibatches a batch of so many units makes."""
        if self.minibatch_units is None:
            return self.minibatches
        return max(1, round(units / self.minibatch_units))


@dataclass(frozen=True)
class Method:
    """One row."""

    name: str
    summary: str  # with the paper
    source: Literal["own", "demonstrations"] = "own"  # whose actions
    rewards: Rewards = field(default_factory=Rewards)
    credit: Credit = field(default_factory=Credit)
    weighting: Weighting = field(default_factory=Weighting)
    update: Update = field(default_factory=Update)

    @property
    def needs_critic(self) -> bool:
        """A critic bootstraps, so episodes may be cut; without one, every row is a whole episode."""
        return self.credit.baseline == "critic"

    @property
    def needs_groups(self) -> bool:
        """Whether episodes are compared with others that started alike."""
        return self.credit.baseline in ("group_mean", "leave_one_out")

    @property
    def needs_reference(self) -> bool:
        """Whether a frozen copy of the starting policy is kept."""
        return self.weighting.kl is not None


_ROWS = (
    Method(
        "sft",
        "supervised fine-tuning: w = 1 on somebody else's actions",
        source="demonstrations",
        credit=Credit(transform="one"),
    ),
    Method(
        "rejection_sampling",
        "keep what beats its group's mean, and imitate it (expert iteration, RAFT: arXiv:2304.06767)",
        credit=Credit(baseline="group_mean", transform="positive"),
    ),
    Method(
        "reinforce",
        "w = return (Williams 1992)",
        credit=Credit(),
        update=Update(aggregation="sequence_sum"),
    ),
    Method(
        "reinforce_baseline",
        "w = return − mean return of the batch (Williams 1992)",
        credit=Credit(baseline="batch_mean"),
        update=Update(aggregation="sequence_sum"),
    ),
    Method(
        "rloo",
        "w = return − mean return of the others in the group (arXiv:2402.14740)",
        credit=Credit(baseline="leave_one_out"),
        update=Update(aggregation="sequence_sum"),
    ),
    Method(
        "ppo",
        "clipped ratio × GAE from a critic (arXiv:1707.06347)",
        rewards=Rewards(scale="return", clip=10.0),
        credit=Credit(baseline="critic", granularity="unit", gamma=0.99, lam=0.95, whiten="minibatch"),
        weighting=Weighting(ratio="unit", clip_low=0.2, clip_high=0.2),
        update=Update(epochs=4, minibatches=4),
    ),
    Method(
        "grpo",
        "clipped ratio × (return − group mean) / group std, mean over sequences (arXiv:2402.03300)",
        credit=Credit(baseline="group_mean", scale="std", ddof=1, eps=1e-6),
        weighting=Weighting(ratio="unit", clip_low=0.2, clip_high=0.2),
        update=Update(aggregation="sequence_mean"),
    ),
    Method(
        "dr_grpo",
        "GRPO without its two biases: no std, constant length (arXiv:2503.20783)",
        credit=Credit(baseline="group_mean"),
        weighting=Weighting(ratio="unit", clip_low=0.2, clip_high=0.2),
        update=Update(aggregation="constant_length"),
    ),
)

METHODS: dict[str, Method] = {row.name: row for row in _ROWS}


def method(name: str, overrides: Mapping[str, Any] | None = None) -> Method:
    """The row `name` with some constants changed, e.g. `{"credit": {"gamma": 0.97}}`.

    `UserError` names an unknown method or constant and the nearest one, a value of the wrong kind, or a constant that
    would have no effect beside the others.
    """
    if name not in METHODS:
        raise UserError(f"unknown method {name!r}; methods are {', '.join(METHODS)}.{nearest(name, METHODS)}")
    overrides = overrides or {}
    row = _override(METHODS[name], overrides, ())
    _refuse_idle(row, overrides)
    return row


def _idle(row: Method) -> Iterator[tuple[str, str, object, str]]:
    """Constants that do nothing beside the others of `row`: column, name, the value that means nothing, and why.

    A constant that has no such value (`...`) is idle only if somebody wrote it down.
    """
    credit, weighting, update = row.credit, row.weighting, row.update
    if row.rewards.scale is None:
        yield "rewards", "clip", None, "rewards.scale is null; allowed is 'return'"
    if row.rewards.overlong_buffer is None:
        yield "rewards", "overlong_limit", None, "rewards.overlong_buffer is not given"
    imitates = credit.transform == "one"
    if imitates:
        for name in ("baseline", "granularity", "scale", "ddof", "eps", "gamma", "lam", "whiten"):
            yield "credit", name, ..., "credit.transform is 'one': every weight is 1"
    if not row.needs_critic:
        why = f"credit.baseline is {_word(credit.baseline)}, and there is no critic"
        yield "credit", "lam", ..., why
        yield "update", "value_coefficient", ..., why
        yield "update", "value_clip", None, why
        if credit.granularity == "trajectory" and not imitates:
            yield "credit", "gamma", 1.0, "credit.granularity is 'trajectory': a whole trajectory is one step"
    if credit.baseline in (None, "critic") and not imitates:
        yield (
            "credit",
            "scale",
            None,
            f"credit.baseline is {_word(credit.baseline)}: nothing is compared within a group",
        )
    if credit.scale is None:
        yield "credit", "eps", ..., "credit.scale is null"
    if credit.scale != "std":
        yield "credit", "ddof", ..., f"credit.scale is {_word(credit.scale)}"
    if weighting.ratio is None:
        yield "weighting", "clip_low", None, "weighting.ratio is null: there is nothing to clip"
        yield "weighting", "clip_high", None, "weighting.ratio is null: there is nothing to clip"
    if weighting.kl is None:
        yield "weighting", "beta", 0.0, "weighting.kl is null; allowed are k1, k2, k3"
        yield "weighting", "kl_ratio", False, "weighting.kl is null; allowed are k1, k2, k3"
    if weighting.correction is None:
        yield "weighting", "correction_level", "unit", "weighting.correction is null; give its bound, such as 2"
        yield "weighting", "correction_kind", "truncate", "weighting.correction is null; give its bound, such as 2"
    if weighting.beta == 0.0:
        yield "weighting", "kl", None, "weighting.beta is 0; give one above 0"
    if row.source == "demonstrations":
        why = "the log-probabilities of demonstrations are unknown"
        yield "weighting", "ratio", None, why
        yield "weighting", "correction", None, why
    if update.aggregation != "constant_length":
        yield "update", "length", None, f"update.aggregation is {update.aggregation!r}, not 'constant_length'"
    if update.minibatch_units is not None:
        yield "update", "minibatches", ..., "update.minibatch_units says how many there are"


def _refuse_idle(row: Method, overrides: Mapping[str, Any]) -> None:
    idle = list(_idle(row))
    for column, name, nothing, why in idle:
        value = getattr(getattr(row, column), name)
        written = name in overrides.get(column, {})
        if (written and value != nothing) or (nothing is not ... and value != nothing):
            place, remedy = (column, name), ""
            if not written:  # a constant of the row's own, which another that was written has made idle
                place = next(((c, n) for c in overrides for n in overrides[c] if f"{c}.{n}" in why), (column,))
                alike = {n: none for c, n, none, reason in idle if c == column and reason == why and none is not ...}
                words = ", ".join(
                    f"{n}: {_word(none)}" for n, none in alike.items() if n not in overrides.get(column, {})
                )
                remedy = f"; write {column}: {{{words}}} as well"
            raise WrongKey(
                place, f"method {row.name}.{column}.{name} is {_word(value)} and would have no effect: {why}{remedy}"
            )


def _word(value: object) -> str:
    """A constant as a scenario spells it."""
    return "null" if value is None else repr(value)


def _override(row: Any, changes: Mapping[str, Any], path: tuple[str, ...], name: str = "") -> Any:
    """`row` with `changes` applied field by field, nested rows included, and every type checked."""
    name = name or row.name
    where = ".".join((f"method {name}", *path))
    names = [f.name for f in fields(row) if f.name not in ("name", "summary")]
    values: dict[str, Any] = {f.name: getattr(row, f.name) for f in fields(row)}
    for key, value in changes.items():
        if key not in names:
            raise WrongKey((*path, key), f"{where} has no {key!r}; it has {', '.join(names)}.{_instead(key, names)}")
        if is_dataclass(values[key]):
            if not isinstance(value, Mapping):
                inside = ", ".join(f.name for f in fields(values[key]))
                what = f"is {shown(value)}, not a mapping of keys to values; its keys are {inside}"
                raise WrongKey((*path, key), f"{where}.{key} {what}")
            value = _override(values[key], value, (*path, key), name)
        values[key] = value
    try:
        return TypeAdapter(type(row)).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        at = (*path, *map(str, first["loc"][:1]))
        hint = "; how strong it is, beta says" if at[-1] == "kl" and isinstance(first["input"], float | int) else ""
        raise WrongKey(
            at, f"{'.'.join((f'method {name}', *at))} {wrong_value(first, Slot.of(type(row), at[-1]))}{hint}"
        ) from None


def columns_of(key: str) -> list[str]:
    """The columns of the table that have a constant of this name: those of "gamma" are "credit"."""
    row = next(iter(METHODS.values()))
    columns = {f.name: getattr(row, f.name) for f in fields(row) if is_dataclass(getattr(row, f.name))}
    return [name for name, column in columns.items() if key in {f.name for f in fields(column)}]


def _instead(key: str, names: list[str]) -> str:
    """Where a constant belongs that stands elsewhere, or the nearest name."""
    columns = columns_of(key)
    return f" {key!r} belongs in {columns[0]}: {{{columns[0]}: {{{key}: …}}}}" if columns else nearest(key, names)


def method_table() -> list[dict[str, str]]:
    """One dictionary per method, its constants as words: what `peripatos list methods` prints."""
    return [_row_as_words(row) for row in METHODS.values()]


def _row_as_words(row: Method) -> dict[str, str]:
    credit, weighting, update = row.credit, row.weighting, row.update
    scale = "—"
    if credit.scale == "std":
        scale = f"std (ddof {credit.ddof}) + {credit.eps:g}"
    elif credit.scale == "mean":
        scale = f"mean + {credit.eps:g}"
    clip = "—"
    if weighting.clip_low is not None or weighting.clip_high is not None:
        clip = f"1 − {weighting.clip_low or 0:g} … 1 + {weighting.clip_high or float('inf'):g}"
    return {
        "method": row.name,
        "actions": row.source,
        "rewards": "—" if row.rewards.scale is None else f"/ std(R), ±{row.rewards.clip or float('inf'):g}",
        "baseline": credit.baseline or "—" if credit.transform != "one" else "—",
        "granularity": credit.granularity if credit.transform != "one" else "—",
        "scale": scale,
        "weight": {"advantage": "A", "positive": "1[A > 0]", "one": "1"}[credit.transform],
        "γ, λ": f"{credit.gamma:g}, {credit.lam:g}" if credit.baseline == "critic" else f"{credit.gamma:g}, —",
        "whiten": credit.whiten or "—",
        "ratio": weighting.ratio or "—",
        "clip": clip,
        "KL": "—" if weighting.kl is None else f"{weighting.beta:g} × {weighting.kl}",
        "aggregation": update.aggregation,
        "epochs × minibatches": f"{update.epochs} × {update.minibatches}",
        "what": row.summary,
    }
