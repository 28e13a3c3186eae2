"""Who holds the actors of a run, and the pool that holds them right here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol

from torch import Tensor

from ...agents.protocols import Policy, Weights
from ...envs.vocabulary import Collection, Episode
from ..assembly.actors import StageParts, make_stage
from ..assembly.policies import make_twin
from ..assembly.worlds import WorldSources
from ..config.schema import Scenario


class Pool(Protocol):
    """Lets the agent of a run act, stage by stage. What comes back does not depend on who acted where."""

    def enter(self, index: int) -> None:
        """Stage `index` begins: its actors are made, and those of the stage before are gone."""
        ...

    @property
    def segments(self) -> bool:
        """Whether groups are rows that go on from one collection to the next, and not tasks."""
        ...

    def load(self, weights: Weights) -> None:
        """Whoever acts has these weights before the next `submit`."""
        ...

    def submit(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Future[Collection]:
        """As `Actor.collect`, in the future. A pool may raise its mistakes here or in the future."""
        ...

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Actor.evaluate`."""
        ...

    def state(self) -> dict[str, Tensor]:
        """As `Actor.state`, of all that collect. Equal tiles give equal states, whatever the pool."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """Go on from what `state` gave in this stage, with this pool or another. Gives as `Actor.load_state`, as far as
        that is known yet."""
        ...

    def close(self) -> None:
        """Free everything; closing twice is harmless."""
        ...


class LocalPool:
    """A `Pool` of one process, this one. A collection is there when `submit` returns.

    In a stage that collects while it learns, who acts is a twin of the policy, which has the weights that `load` was
    given as tensors.
    """

    def __init__(self, scenario: Scenario, policy: Policy | None, sources: WorldSources) -> None:
        self._scenario, self._policy, self._sources = scenario, policy, sources
        self._entered: StageParts | None = None
        self._before: dict[str, Tensor] | None = None  # the state before a collection that was broken off

    def enter(self, index: int) -> None:
        """As `Pool.enter`."""
        self.close()
        self._before = None
        stage, acting = self._scenario.stages[index], self._policy
        if acting is not None and stage.collect is not None and stage.collect.staleness:
            acting = make_twin(acting)
        self._entered = make_stage(self._scenario, stage, acting, self._sources)

    @property
    def segments(self) -> bool:
        """As `Pool.segments`."""
        return self._parts.segments

    def load(self, weights: Weights) -> None:
        """As `Pool.load`."""
        actors = (self._parts.collector, self._parts.evaluator)
        for actor in {id(actor): actor for actor in actors}.values():
            actor.load(weights)

    def submit(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Future[Collection]:
        """As `Pool.submit`."""
        done: Future[Collection] = Future()
        self._before = self._parts.collector.state()
        done.set_result(self._parts.collector.collect(groups, group_size, seed=seed, version=version))
        self._before = None
        return done

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Pool.evaluate`."""
        evaluator = self._parts.evaluator
        return evaluator.evaluate(tasks, seed=seed, version=version, greedy=greedy, split=split, each=each)

    def state(self) -> dict[str, Tensor]:
        """As `Pool.state`; after a collection that was broken off, as it was before."""
        return self._parts.collector.state() if self._before is None else self._before

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """As `Pool.load_state`."""
        return self._parts.collector.load_state(state)

    def close(self) -> None:
        """As `Pool.close`."""
        if self._entered is not None:
            self._entered.close()
        self._entered = None

    @property
    def _parts(self) -> StageParts:
        assert self._entered is not None, "a stage is entered first"
        return self._entered
