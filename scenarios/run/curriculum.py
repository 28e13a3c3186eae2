"""A stage's curriculum (`collect.curriculum`): which tasks the groups of each batch are.

    task m of M,  the t-th group of the stage:   group = t·M + m,   and a world of M tasks plays task  group mod M

So a group's number alone says which task it is, to any actor, worker or world, and no two groups of a stage have one
number. Of several worlds each is a task here (M worlds, group mod M, see `agents.mixture`).

    batch k is drawn from what had been seen of the batches before  max(0, k − s),     s: `collect.staleness`

which are those that the version that collects it has learned from. It is decided by counting and never by the clock,
and a checkpoint holds what was seen up to each version that a batch may still ask for, so that a resumed run draws what
it would have drawn. A scored episode of which its world does not say that it succeeded has failed, whatever the others
of its batch say. Evaluations and demonstrations are not seen. Each stage begins with nothing known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from ...algorithms.curriculum import chances, draw, effective_number, learnability
from ...envs.errors import UserError
from ...envs.seeding import stream
from ...envs.vocabulary import Episode
from ..assembly.curricula import MOST_GROUPS, too_many_groups
from ..assembly.worlds import WorldSources
from ..config.collect import Collect
from ..config.schema import Scenario
from .provenance import own_data
from .refill import FAR

FILE = "curriculum.safetensors"  # in a checkpoint
MIDDLE = 0.2, 0.8  # shares of successes


class Curriculum:
    """Over `tasks` tasks, or worlds (`of_worlds`), for a stage with the seed `seed` that collects as `collect` says.
    `data` are the digests of the files that the tasks are from."""

    def __init__(
        self, collect: Collect, tasks: int, *, seed: int, of_worlds: bool = False, data: Iterable[str] = ()
    ) -> None:
        assert collect.curriculum is not None, "whoever calls has seen it"
        self._how, self._collect, self._tasks, self._seed = collect.curriculum, collect, tasks, seed
        self._of_worlds = of_worlds
        digest = hashlib.sha256("\n".join(data).encode()).digest()
        self._data = torch.frombuffer(bytearray(digest), dtype=torch.uint8)
        self._version = 0
        self._seen = {0: np.zeros((3, tasks))}  # by version, as far as they count: successes, scored and unscored ones

    def groups(self, batch: int) -> list[int]:
        """Those of a batch by its number, or of a refill of it, see `collected`; a function of what was seen."""
        again, k = divmod(batch, FAR)
        first = (k * (self._collect.refill + 1) + again) * self._collect.groups
        if (first + self._collect.groups) * self._tasks > MOST_GROUPS:
            raise UserError(too_many_groups(self._collect, self._tasks))
        chance_M = self._chances(max(0, k - self._collect.staleness))
        tasks = draw(chance_M, self._collect.groups, stream(self._seed, "curriculum", k, again))
        return [(first + place) * self._tasks + task for place, task in enumerate(tasks.tolist())]

    def saw(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """What the version that comes next has learned from. Gives the numbers of the curriculum for a row."""
        seen = self._seen[self._version] * 0.5 ** (1 / self._how.half_life)
        for episode in episodes:
            scored = episode.reward is not None
            seen[:, episode.group % self._tasks] += scored and episode.success is True, scored, not scored
        self._version += 1
        self._seen[self._version] = seen
        oldest = self._version - self._collect.staleness
        self._seen = {version: one for version, one in self._seen.items() if version >= oldest}
        return self._numbers(episodes)

    def _numbers(self, episodes: Sequence[Episode]) -> dict[str, float]:
        solved, tried, unscored = self._seen[self._version]
        share = solved[tried > 0] / tried[tried > 0]
        row = {
            "curriculum/tried": float(np.mean(tried + unscored > 0)),
            "curriculum/middle": float(np.mean((share >= MIDDLE[0]) & (share <= MIDDLE[1]))) if len(share) else 0.0,
            "curriculum/effective": effective_number(self._chances(self._version)),
        }
        if self._of_worlds:  # a world that comes again is no task that does
            return row
        groups = {episode.group for episode in episodes}
        met = {group % self._tasks for group in groups}
        room = max(1, min(len(groups), self._collect.groups, self._tasks))  # of one draw: a refill may draw them again
        return {**row, "curriculum/distinct": min(1.0, len(met) / room)}

    def _chances(self, version: int) -> np.ndarray:
        return chances(learnability(*self._seen[version]), uniform=self._how.uniform)

    # --- checkpoints ------------------------------------------------------------------------------------

    def files(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint holds, by the name of its file: the counts by version, and whose they are (`data`)."""
        return {FILE: {"data": self._data} | {f"{v:06d}": torch.from_numpy(seen) for v, seen in self._seen.items()}}

    def load(self, checkpoint: Path, version: int) -> None:
        """Go on from what `files` gave, when the learner was `version`. UserError for counts of other tasks, or of
        other versions."""
        saved = load_file(checkpoint / FILE)
        found = {int(name): counts.numpy() for name, counts in saved.items() if name.isdecimal()}
        there = {counts.shape[-1] for counts in found.values() if counts.ndim}
        if there and there != {self._tasks}:
            raise UserError(
                f"{checkpoint / FILE} knows {max(there)} tasks to learn from, and there are {self._tasks} now: a "
                "curriculum goes on over the tasks that it began with; put them back, or start a new run"
            )
        wanted = set(range(max(0, version - self._collect.staleness), version + 1))
        if set(found) != wanted or not all(map(self._are_counts, found.values())):
            raise UserError(f"{checkpoint / FILE} is not what a run of this scenario has seen after {version} updates")
        if "data" not in saved or not torch.equal(saved["data"], self._data):
            raise UserError(
                f"{checkpoint / FILE} has counts of the tasks that were in the world's files before, and these have "
                "changed: nobody knows which count is of which task now; put them back, or start a new run"
            )
        self._seen, self._version = found, version

    def _are_counts(self, seen: np.ndarray) -> bool:
        return seen.shape == (3, self._tasks) and bool((seen >= 0).all() and (seen[0] <= seen[1]).all())


def make_curriculum(scenario: Scenario, index: int, sources: WorldSources, seed: int) -> Curriculum | None:
    """That of stage `index`, where it asks for one."""
    collect = scenario.stages[index].collect
    if collect is None or collect.curriculum is None:
        return None
    tasks = len(scenario.worlds) or sources.first.facts.tasks.get("train")
    assert tasks, "checked before"
    data = own_data(scenario).values()
    return Curriculum(collect, tasks, seed=seed, of_worlds=bool(scenario.worlds), data=data)
