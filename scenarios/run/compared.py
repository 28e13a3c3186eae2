"""A run's scenario as it was when a checkpoint was made, and as it is now: what is followed, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config.schema import Scenario, Stage
from .counters import Progress

MAY_CHANGE = (
    *("evaluation", "checkpoint", "failures", "log", "trackers", "cluster"),
    *("variants", "scores", "description", "name", "device"),
)
MAY_CHANGE_IN_A_STAGE = ("budget", "stop")  # once it has begun; before, all but its name
SHOWN = 60  # characters of a value


@dataclass(frozen=True)
class Differences:
    """Keys with their values, old → new."""

    followed: tuple[str, ...]
    refused: tuple[str, ...]
    over: str | None = None  # a stage that has ended, others have followed, and whose keys were changed


def differences(then: Scenario, now: Scenario, progress: Progress | None) -> Differences:
    """Between two scenarios of a run that stands where `progress` says; None: it has not begun."""
    old, new = then.model_dump(mode="json"), now.model_dump(mode="json")
    stages_then, stages_now = old.pop("stages"), new.pop("stages")
    followed, refused = [], []
    followed += spelled("world.workers", *(one.get("world", {}).pop("workers", None) for one in (old, new)))
    for key in {**old, **new}:
        changed = spelled(key, old.get(key), new.get(key))
        (followed if key in MAY_CHANGE else refused).extend(changed)
    names = [[stage.name for stage in scenario.stages] for scenario in (then, now)]
    if names[0] != names[1]:
        refused.append(f"stages: {', '.join(names[0])} → {', '.join(names[1])}")
        return Differences(tuple(followed), tuple(refused))
    over = None
    for index, (one, other) in enumerate(zip(stages_then, stages_now, strict=True)):
        where = f"stages.{one['name']}"
        for key in one:
            changed = spelled(f"{where}.{key}", one[key], other[key])
            may = _may_change(index, key, then.stages, progress)
            (followed if may else refused).extend(changed)
            if changed and progress is not None and index < progress.stage:
                over = one["name"]
    return Differences(tuple(followed), tuple(refused), over)


def _may_change(index: int, key: str, stages: Sequence[Stage], progress: Progress | None) -> bool:
    if progress is None or index > progress.stage or (index == progress.stage and progress.state == "new"):
        return True
    return index == progress.stage and key in MAY_CHANGE_IN_A_STAGE


def spelled(key: str, old: Any, new: Any) -> list[str]:
    """`optimizer.lr 0.001 → 0.01`, for each key below `key` whose value is another."""
    if old == new:
        return []
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return [text for name in {**old, **new} for text in spelled(f"{key}.{name}", old.get(name), new.get(name))]
    return [f"{key} {_value(old)} → {_value(new)}"]


def _value(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
