"""How a stage gets what it learns from: which groups come next, who collects them and when, and what of it is taken.

curriculum, or in turn  ─▶  pool, or `ahead` of the learner  ─▶  gate, refill  ─▶  what is learned from
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from torch import Tensor

from ...agents.protocols import Policy, Weights
from ...envs.vocabulary import Collection, Episode
from ..assembly.settings import stage_method
from ..assembly.several import batch_groups
from ..assembly.worlds import WorldSources
from ..cluster.pool import Pool
from ..config.collect import Collect
from ..config.schema import Scenario
from .ahead import make_ahead
from .checkpoint import read_actor_state
from .curriculum import make_curriculum
from .gate import gated, taken_share
from .refill import FAR, Behind, More, collected


class Collecting:
    """That of stage `index`, which `pool` has entered. A context that holds the thread of what is collected ahead."""

    def __init__(
        self, scenario: Scenario, index: int, pool: Pool, policy: Policy | None, sources: WorldSources, seed: int
    ) -> None:
        self._scenario, self._pool, self._seed, self._held = scenario, pool, seed, ExitStack()
        self._stage = scenario.stages[index]
        self._curriculum = make_curriculum(scenario, index, sources, seed)
        self._tasks = sources.first.facts.tasks.get("train") or 1
        self._ahead = make_ahead(scenario, index, pool, policy, self._groups, seed)

    def __enter__(self) -> Self:
        if self._ahead is not None:
            self._held.enter_context(self._ahead)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def load(self, weights: Weights) -> None:
        """The policy is this version now, which has learned from what was taken."""
        (self._ahead or self._pool).load(weights)

    def take(self, batch: int) -> Collection:
        """The collection that update `batch` learns from. Whatever the collecting raised comes out here."""
        if self._ahead is not None:
            return gated(self._ahead.take(batch), self._collect.gate)
        flat = stage_method(self._stage).update.flat_groups == "leave_out"
        groups, more = self._groups(batch), self._more(batch)
        return collected(self._pool, self._collect, groups, more, seed=self._seed, version=batch, leave_out_flat=flat)

    def learned(self, collection: Collection) -> dict[str, float]:
        """The next version has learned from `collection`. Gives what a row says of which groups come and are taken."""
        row = {} if self._curriculum is None else self._curriculum.saw(collection.episodes)
        if self._collect.gate is not None or self._collect.refill:
            row["groups/taken"] = taken_share(collection)
        return row

    def drop(self) -> None:
        """What is in flight is not wanted any more."""
        if self._ahead is not None:
            self._ahead.drop()

    def evaluate(self, tasks: int, *, seed: int, version: int, split: str) -> list[Episode]:
        """As `Pool.evaluate`, by the newest weights."""
        return (self._ahead or self._pool).evaluate(tasks, seed=seed, version=version, split=split)

    def state(self) -> dict[str, Tensor]:
        """As `Pool.state`, before the oldest batch that nobody has learned from."""
        return (self._ahead or self._pool).state()

    def files(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint holds besides `state`, by the names of its files."""
        behind = {} if self._ahead is None else self._ahead.behind()
        return behind | ({} if self._curriculum is None else self._curriculum.files())

    def restore(self, checkpoint: Path, version: int) -> int:
        """Go on from what `state` and `files` gave, when the learner was `version`. Gives as `Pool.load_state`."""
        if self._ahead is not None:
            self._ahead.load_behind(checkpoint, version)
        if self._curriculum is not None:
            self._curriculum.load(checkpoint, version)
        return (self._ahead or self._pool).load_state(read_actor_state(checkpoint))

    @property
    def _collect(self) -> Collect:
        assert self._stage.collect is not None, "the schema asks for it where something is learned"
        return self._stage.collect

    def _groups(self, batch: int) -> Sequence[int]:
        """Those of a batch by its number: as the curriculum draws them, or in turn."""
        if self._curriculum is not None:
            return self._curriculum.groups(batch)
        return batch_groups(self._scenario, self._collect, batch, segments=self._pool.segments)

    def _more(self, batch: int) -> More:
        """Those of the refills of a batch: as the curriculum draws them, or those behind it."""
        if (curriculum := self._curriculum) is not None:
            return lambda k, taken: curriculum.groups(batch + k * FAR)[: self._collect.groups - len(taken)]
        return Behind(self._collect, self._tasks, batch)
