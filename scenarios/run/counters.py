"""Where a run stands: the counters that a checkpoint keeps, and nothing that can be computed from others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ...envs.vocabulary import Collection, Episode
from ..config.schema import Stage
from .episode_statistics import Numbers, reached, told_in
from .several_worlds import who_tells

AXES = ("update", "env_steps", "action_units")


@dataclass
class StageResult:
    """What a finished stage did."""

    name: str
    method: str | None
    ended_by: str
    updates: int
    episodes: int
    failed: int
    before: Numbers
    after: Numbers
    seconds: float | None = None  # of its budget; None: a run of before they were kept

    def to_json(self) -> dict[str, Any]:
        """As it stands in summary.json."""
        row = asdict(self)
        evaluation = {"before": row.pop("before"), "after": row.pop("after")}
        return {**row, "evaluation": evaluation}


@dataclass
class Progress:
    """Counters over the whole run, where the current stage began, and its latest validation."""

    stage: int = 0
    state: Literal["new", "learning", "done"] = "new"  # of that stage: not begun, begun, finished
    update: int = 0
    env_steps: int = 0
    action_units: int = 0
    seconds: float = 0.0
    episodes: int = 0
    failed: int = 0
    unanswered: int = 0
    best: list[float] | None = None  # the rank of the best validation
    told: list[str] = field(default_factory=list)  # the worlds that have told of success, in whatever episode
    best_at: int | None = None  # the update of the checkpoint that is the best
    looked: bool = True  # whether what is due after this update has been evaluated
    begun: dict[str, float] = field(default_factory=dict)  # the counters when the stage began
    before: Numbers = field(default_factory=dict)  # the test before the stage, once it has begun
    latest: Numbers | None = None  # the latest validation, with the update at which it was made
    first_failure: str | None = None
    first_row: dict[str, float] = field(default_factory=dict)  # of the stage: what later ones are compared with
    streaks: dict[str, int] = field(default_factory=dict)  # for how many updates signs of ill health have held there
    warnings: list[dict[str, Any]] = field(default_factory=list)  # what was said of the run's health, once a stage
    results: list[StageResult] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Progress:
        """What `to_json` gave."""
        if "told" not in data:  # a checkpoint of before it was noted, whose rank had the return in the place of no rate
            told, best = sorted(told_in(data["latest"] or {})), data["best"]
            data = {**data, "told": told, "best": best if told or best is None else [0.0, best[1]]}
        return cls(**{**data, "results": [StageResult(**result) for result in data["results"]]})

    def enter_stage(self, index: int) -> None:
        """Stage `index` is the current one; nothing happens if it was already."""
        if index != self.stage:
            self.stage, self.state, self.before = index, "new", {}

    def next_stage(self) -> int:
        """The first stage that is not done."""
        return self.stage + (self.state == "done")

    def begin_stage(self, before: Numbers, seconds: float, epoch: float | None = None) -> None:
        """The stage has been tested and learns now: its budget is counted from here. `epoch`: updates in a pass over
        its tasks, where they are a list."""
        self.state, self.before, self.first_row, self.streaks = "learning", before, {}, {}
        counters = {name: float(getattr(self, name)) for name in (*AXES, "episodes", "failed")}
        self.begun = {**counters, "seconds": seconds} | ({} if epoch is None else {"epoch": epoch})

    def hear(self, episodes: Sequence[Episode]) -> None:
        """Note which worlds tell of success. What was the best so far had none in those that tell only now: they share
        in its rank as zeros, as in `score`."""
        told = sorted({*self.told, *who_tells(episodes)})
        if self.best is not None and told:
            self.best[0] *= len(self.told) / len(told)
        self.told = told

    def count(self, collection: Collection) -> None:
        """Add what a collection brought."""
        self.hear(collection.episodes)
        self.env_steps += collection.env_steps
        self.action_units += collection.action_units
        self.episodes += len(collection.episodes)
        failures = [episode for episode in collection.episodes if episode.failure is not None]
        self.failed += len(failures)
        self.unanswered += sum(episode.unanswered is not None for episode in collection.episodes)
        if failures and self.first_failure is None:
            self.first_failure = failures[0].failure

    def warn(self, stage: str, sign: str, text: str) -> None:
        """Keep what was said of the health of `stage`."""
        self.warnings.append({"stage": stage, "update": self.update, "sign": sign, "text": text})

    def warned(self, stage: str) -> set[str]:
        """The signs that were said of `stage`."""
        return {warning["sign"] for warning in self.warnings if warning["stage"] == stage}

    def in_stage(self, name: str) -> int:
        """A counter since the stage began."""
        return int(getattr(self, name) - self.begun[name])

    def spent(self, stage: Stage, seconds: float) -> tuple[float, str | None]:
        """The spent share of the stage's budget, and the limit that is reached, in words.

        Nothing is spent before the first update, so that the smallest budget buys one.
        """
        assert stage.budget is not None, "the schema asks for it where there is a method"
        if self.update == self.begun["update"]:
            return 0.0, None
        now = self.spent_by_name(seconds)
        limits = stage.budget.limits()
        shares = {name: now.get(name, 0.0) / limit for name, limit in limits.items()}
        name = max(shares, key=lambda key: shares[key])
        return shares[name], f"budget of {limits[name]:g} {name}" if shares[name] >= 1 else None

    def spent_by_name(self, seconds: float) -> dict[str, float]:
        """What the stage has spent of all that a budget may limit."""
        updates = self.update - self.begun["update"]
        now = {"updates": updates, "seconds": seconds - self.begun["seconds"]}
        if "epoch" in self.begun:
            now["epochs"] = updates / self.begun["epoch"]
        return now | {name: getattr(self, name) - self.begun[name] for name in ("env_steps", "action_units")}

    def may_go_on(self, stages: Sequence[Stage]) -> bool:
        """Whether the stage that is done would not be, by what `stages` say now: its budget or its goal was raised."""
        stage = stages[self.stage] if self.stage < len(stages) else None
        if self.state != "done" or stage is None or stage.method is None or not self.results:
            return False
        return self.spent(stage, self.seconds)[1] is None and not reached(self.latest or {}, stage.stop, checked=True)

    def go_on(self) -> None:
        """The stage that was done learns again, from where it ended."""
        result = self.results.pop()
        self.state, self.before = "learning", result.before

    def finish_stage(self, result: StageResult) -> None:
        """The stage is over."""
        self.results.append(result)
        self.state = "done"
