"""Numbers of a method so far from the usual that the reward hardly counts: each is said, with its key, before the first
step. They are allowed, because somebody may want to see what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ...algorithms.methods import Method
from ...envs.vocabulary import Episode
from ..config.schema import Stage


@dataclass(frozen=True)
class _Unusual:
    """A constant of a method, when it is out of all proportion, what that does, and what is usual."""

    column: str
    name: str
    holds: Callable[[float, Method], bool]
    does: str
    usual: str


def _many_steps(row: Method) -> bool:
    return row.update.minibatch_units is not None or row.update.epochs * row.update.minibatches > 1


_TABLE = (
    _Unusual(
        *("update", "entropy_coefficient", lambda x, _: x > 1.0),
        "the entropy counts for more than the reward, and the policy is drawn towards chance",
        "0 to 0.1",
    ),
    _Unusual(
        *("update", "value_coefficient", lambda x, row: row.needs_critic and x > 100.0),
        "the critic's gradient drowns that of the policy, for both are cut by one optimizer.max_grad_norm",
        "0.25 to 1",
    ),
    _Unusual(
        *("update", "imitation_coefficient", lambda x, row: row.imitates_beside and x > 1e3),
        "what is imitated counts for more than what is earned, which changes next to nothing",
        "0.1 to 30",
    ),
    _Unusual(
        *("update", "observation_coefficient", lambda x, _: x > 10.0),
        "what the world says counts for more than what is earned, which changes next to nothing",
        "0.01 to 1",
    ),
    _Unusual(
        *("update", "value_clip", lambda x, row: row.needs_critic and x < 1e-3),
        "the critic hardly moves",
        "0.1 to 10",
    ),
    _Unusual(
        *("weighting", "beta", lambda x, row: row.weighting.kl is not None and x > 10.0),
        "the penalty for leaving the reference counts for more than the reward, and the policy stays where it is",
        "0.001 to 1",
    ),
    *(
        _Unusual(
            *("weighting", name, lambda x, row: x < 1e-3 and _many_steps(row)),
            "after the first step on a batch hardly anything of it is learned from",
            "0.1 to 0.3",
        )
        for name in ("clip_low", "clip_high")
    ),
    _Unusual(
        *("weighting", "entropy_share", lambda x, _: x < 1e-3),
        "hardly a unit is learned from",
        "0.1 to 1",
    ),
    _Unusual(
        *("weighting", "correction", lambda x, row: x < 1e-2 and row.weighting.correction_kind == "truncate"),
        "every weight is cut to next to nothing",
        "1 to 10",
    ),
    _Unusual(
        *("weighting", "correction", lambda x, row: x < 1.0 and row.weighting.correction_kind != "truncate"),
        "hardly a unit, or none, is learned from",
        "1 to 10",
    ),
    _Unusual(
        *("rewards", "clip", lambda x, row: row.rewards.scale is not None and x < 1e-2),
        "every reward is cut to next to nothing",
        "5 to 10",
    ),
    _Unusual(
        *(
            "credit",
            "gamma",
            lambda x, row: row.credit.granularity != "trajectory" and x < 0.5 and not row.needs_teacher,
        ),
        "a reward that comes later than the action that earned it hardly counts",
        "0.9 to 1",
    ),
    _Unusual(
        *("credit", "eps", lambda x, row: row.credit.scale is not None and x > 1.0),
        "advantages are divided by it, and hardly count",
        "1e-8 to 1e-4",
    ),
)


def unusual(stage: Stage, row: Method) -> Iterator[str]:
    """A sentence for each."""
    for one in _TABLE:
        value = getattr(getattr(row, one.column), one.name)
        if value is not None and one.holds(float(value), row):
            yield (
                f"stage {stage.name!r}: {one.column}.{one.name} is {value:g}, so that {one.does}; usual is {one.usual} "
                f"(stages.{stage.name}.overrides.{one.column}.{one.name})"
            )


def seen_at_first(stage: Stage, row: Method, episodes: Sequence[Episode]) -> Iterator[str]:
    """What is to be said of a stage once it has learned from its first `episodes`, a sentence each."""
    if (why := _explain_surrogate(stage, row)) is not None:
        yield why
    if row.needs_judge and row.rewards.model_at == "turn" and all(episode.turns <= 1 for episode in episodes):
        yield (
            f"{stage.name}: rewards.model_at is 'turn', and each of the first {len(episodes)} episodes has one turn, "
            "which earns all that the model says, as with 'end'"
        )


def _explain_surrogate(stage: Stage, row: Method) -> str | None:
    """Why the surrogate of a method that takes one step on what it has just collected tells nothing; None elsewhere."""
    steps = row.update.epochs * row.update.minibatches
    if row.preference.kind is not None:  # it has no surrogate
        return None
    if row.source != "own" or steps > 1 or row.update.minibatch_units or (stage.collect and stage.collect.staleness):
        return None
    watched = "kl/teacher" if row.needs_teacher else "the reward"
    return (
        f"{stage.name}: {row.name} is strictly on-policy here, so its surrogate stays near zero. That is expected: "
        f"watch {watched}"
    )
