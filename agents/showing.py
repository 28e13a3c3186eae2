"""An actor that brings demonstrations beside what it does itself, to be imitated beside reinforcement.

    group g     what the agent does in task g:  `batch`        what somebody shows of task g:  `shown`

One demonstration comes with each group of a collection. Where groups are rows that go on from one collection to the
next, and so have the same numbers in each, another task is shown every time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from ..envs.seeding import derive_seed
from ..envs.vocabulary import Collection, Episode
from .protocols import Actor, Weights


class ShowingActor:
    """An `Actor` made of two: `own` acts, is evaluated and continued; `expert` plays whole episodes and has nothing to
    continue. `rows_go_on`: groups are rows, and not tasks."""

    def __init__(self, own: Actor, expert: Actor, *, rows_go_on: bool) -> None:
        self._own, self._expert, self._rows_go_on = own, expert, rows_go_on

    def collect(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Collection:
        """As `Actor.collect`. Steps of the expert's worlds count; its episodes are nobody's success, and none of
        `episodes`."""
        other = derive_seed(seed, "shown", version) if self._rows_go_on else seed
        shown = self._expert.collect(groups, 1, seed=other, version=version)
        done = self._own.collect(groups, group_size, seed=seed, version=version)
        return replace(done, shown=shown.batch, env_steps=done.env_steps + shown.env_steps)

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Actor.evaluate`."""
        return self._own.evaluate(tasks, seed=seed, version=version, greedy=greedy, split=split, each=each)

    def state(self) -> dict[str, Tensor]:
        """As `Actor.state`, of who acts."""
        return self._own.state()

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """As `Actor.load_state`."""
        return self._own.load_state(state)

    def load(self, weights: Weights) -> None:
        """As `Actor.load`, for both: in the expert's worlds others may speak by these weights."""
        self._own.load(weights)
        self._expert.load(weights)

    def close(self) -> None:
        """Close both."""
        self._own.close()
        self._expert.close()
