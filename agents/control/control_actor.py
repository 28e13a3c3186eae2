"""Lets a control agent act in N worlds at once, and brings back batches.

*Segments* (for methods with a critic): N rows of T steps. Worlds go on from one call to the next; a row may hold
several episodes. Where an episode is truncated, or the row is cut, the successor's value stands in for the rest:

    bootstrap = 0 if terminated,   V(s') if truncated or cut

Steps of an episode that has failed teach nothing. Where more episodes have lately failed than ended well, neither do
the pieces that still run at a segment's end in those rows: they would train before anybody knows that they fail.

*Episodes* (for methods without): each row is one whole episode; the members of a group start from one state;
a world that has ended is not stepped again; rows are padded to the longest. They carry no values, and nothing stands
in for what a limit cut off, even where the policy has a critic: it belongs to another stage.

All chance is derived from (seed, group, member, …), never from the order of worlds. A running episode's state is
its reset seed and the actions since, which `load_state` repeats, and what the agent remembers of it. Left out:
asynchronous stepping.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...envs.contained import look
from ...envs.control.world_batch import WorldBatch, action_layout
from ...envs.seeding import derive_seed, stream
from ...envs.vocabulary import Collection, Episode
from ...envs.world_source import WorldSource
from ..protocols import Behaviour, Policy, Weights
from ..threads import torch_threads
from ..weights import take_weights
from .rollout_buffer import RolloutBuffer
from .running_episodes import RunningEpisodes
from .scripted import RandomAgent
from .whole_episodes import EVALUATED_AT_ONCE, Play, Step, ended, finite, play_episodes, task_seed, tasks_to_play

_SAME = 1e-3  # relative and absolute: what a replay on another machine may come to see
_DISTRUST = -2  # episodes that failed, less those that ended well


class ControlActor:
    """An `Actor` for control worlds.

    Args:
        policy: whoever acts; segments need one with a critic.
        source: makes the worlds.
        mode: "segments" or "episodes", as above.
        horizon: steps in a segment; or the most steps of an episode (None: the world's own limit).
        threads: of the simulation, where it has a pool (None: one for each core).
        threads_to_evaluate: the same for evaluations, during which nobody learns.
        at_once: the most objects of the world that are open for whole episodes, evaluations too (None: no limit);
            further episodes wait for them. Segments have one for each row, and a pool is one for all.
    """

    def __init__(
        self,
        policy: Behaviour,
        source: WorldSource,
        *,
        mode: Literal["segments", "episodes"],
        horizon: int | None = None,
        threads: int | None = None,
        threads_to_evaluate: int | None = None,
        at_once: int | None = None,
    ) -> None:
        if mode == "segments" and not policy.has_critic:
            raise ValueError("segments are cut before episodes end, so their policy needs a critic")
        if (mode == "segments" and horizon is None) or (horizon is not None and horizon < 1):
            raise ValueError(f"horizon is {horizon}; segments need at least 1 step")
        self._policy, self._source = policy, source
        self._mode, self._horizon, self._at_once = mode, horizon, at_once
        self._threads = {"train": threads, "evaluate": threads_to_evaluate}
        self._pools: dict[str, WorldBatch] = {}
        self._asked: dict[str, int] = {}  # how many were asked for
        # Of segments: the running episodes, how many each row has begun, what each row sees and remembers.
        self._running: RunningEpisodes | None = None
        self._begun = np.zeros(0, np.int64)
        self._parted = np.zeros(0, np.int64)  # rows whose episode could not be replayed
        self._observation = np.zeros((0, 0), np.float32)
        self._memory = policy.begin(0)
        self._segment = 0
        self._trust = np.zeros(0, np.int64)  # in each row: +1 for an episode that ended well, −1 for one that failed

    # --- the protocol -----------------------------------------------------------------------------------

    def collect(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Collection:
        """As `Actor.collect`. Segments read (group, member) as the name of a row."""
        names = [(group, member) for group in groups for member in range(group_size)]
        with torch_threads(1):
            if self._mode == "segments":
                return self._collect_segments(names, seed, version)
            n = self._worlds("train", len(names), self._at_once).n
            parts = [names[start : start + n] for start in range(0, len(names), n)]
            return Collection.join([self._collect_episodes(part, seed, version) for part in parts])

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Actor.evaluate`: the likeliest action, in worlds apart from those of `collect`. A random agent has none,
        and draws."""
        greedy = greedy and not isinstance(self._policy, RandomAgent)
        plays = tasks_to_play(tasks, seed=seed, split=split, greedy=greedy, each=each)
        with torch_threads(1):
            n = self._worlds(split, min(len(plays), EVALUATED_AT_ONCE), self._at_once).n
            parts = [plays[start : start + n] for start in range(0, len(plays), n)]
            return [episode for part in parts for episode in self._play(part, split, version)[1]]

    def state(self) -> dict[str, Tensor]:
        """The running episodes as reset seeds and actions; empty between whole episodes. What is remembered of them
        cannot be found again, for policies that have moved on have read it."""
        if self._running is None:
            return {}
        remembered = {"memory": torch.from_numpy(self._memory.copy())} if self._memory.shape[1] else {}
        return remembered | {
            "seed": torch.from_numpy(self._running.seed.copy()),
            "age": torch.from_numpy(self._running.age.copy()),
            "actions": torch.from_numpy(self._running.history()),
            "observation": torch.from_numpy(self._observation.copy()),
            "begun": torch.from_numpy(self._begun.copy()),
            "segment": torch.tensor(self._segment),
            "trust": torch.from_numpy(self._trust.copy()),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """Reset every world with its seed and repeat its actions.

        Where a world fails or ends on the way, or comes to see something else, the next collection begins the row's
        next episode: the world has chance of its own, fails now and then, or is another than it was.
        """
        if not state:
            return 0
        age, actions = state["age"].numpy(), state["actions"].numpy()
        rows = np.arange(len(age))
        worlds = self._worlds("train", len(rows))
        self._begun, self._segment = state["begun"].numpy().copy(), int(state["segment"])
        self._trust = state["trust"].numpy().copy()
        self._running = running = self._new_episodes(worlds)
        running.begin(rows, state["seed"].numpy())
        self._memory = state["memory"].numpy().copy() if "memory" in state else self._policy.begin(len(rows))
        self._observation = worlds.reset(rows, state["seed"].tolist())
        parted = np.zeros(len(rows), bool)
        for t in range(int(age.max(initial=0))):
            ids = rows[(age > t) & ~parted]
            if not len(ids):
                break
            result = worlds.step(ids, actions[ids, t])
            parted[ended(ids, result)] = True
            running.add(ids, actions[ids, t], result)
            self._observation[ids] = result.observation
        same = np.isclose(self._observation, state["observation"].numpy(), rtol=_SAME, atol=_SAME, equal_nan=True)
        self._parted = np.flatnonzero(parted | ~same.all(axis=1))
        return len(self._parted)

    def load(self, weights: Weights) -> None:
        """The policy itself acts, and so takes what comes from elsewhere."""
        if isinstance(self._policy, Policy):
            take_weights(self._policy, weights)

    def close(self) -> None:
        """Close all worlds."""
        for worlds in self._pools.values():
            worlds.close()
        self._pools, self._asked = {}, {}

    # --- segments ---------------------------------------------------------------------------------------

    def _collect_segments(self, names: list[tuple[int, int]], seed: int, version: int) -> Collection:
        horizon, rows = self._horizon, np.arange(len(names))
        assert horizon is not None
        worlds, seconds = self._worlds("train", len(rows)), defaultdict[str, float](float)
        if self._running is None:
            self._running, self._begun = self._new_episodes(worlds), np.zeros(len(rows), np.int64)
            self._trust = np.zeros(len(rows), np.int64)
            self._observation = np.zeros((len(rows), *worlds.observation_space.shape), np.float32)
            self._memory = self._policy.begin(len(rows))
            self._begin(worlds, names, rows, seed)
        if len(self._begun) != len(names):
            raise ValueError(f"{len(names)} rows were asked for, but {len(self._begun)} episodes are running")
        if len(self._parted):
            self._begin(worlds, names, self._parted, seed)
            self._parted = self._parted[:0]
        noise = np.stack(
            [self._policy.draw(stream(seed, "act", *name, self._segment), horizon) for name in names], axis=1
        )
        running, buffer = self._running, RolloutBuffer(len(names), horizon, worlds, self._memory)
        episodes: list[Episode] = []
        started_at = np.zeros(len(rows), np.int64)  # where in this segment each running episode began
        for t in range(horizon):
            look()
            clock = time.perf_counter()
            action, logp, value, memory = finite(self._policy.act(self._observation, noise[t], self._memory))
            self._memory = memory.copy()
            seconds["infer"] += time.perf_counter() - clock
            buffer.store(rows, t, self._observation, action, logp, value, running.age)
            clock = time.perf_counter()
            result = worlds.step(rows, action)
            seconds["simulate"] += time.perf_counter() - clock
            running.add(rows, action, result)
            buffer.reward[:, t] = result.reward
            self._observation = result.observation
            over = ended(rows, result)
            if len(over):
                for row in over:
                    group, index = names[row]
                    episodes.append(running.close(row, row, result, group, index, version, "train"))
                buffer.finish(over, t, result, started_at, memory)
                started_at[over] = t + 1
                failed = np.isin(over, list(result.failure))
                self._trust[over] = np.clip(self._trust[over] + np.where(failed, -1, 1), -2, 1)
                clock = time.perf_counter()
                self._begin(worlds, names, over, seed)
                seconds["simulate"] += time.perf_counter() - clock
        buffer.end_all(self._observation, self._memory)
        if self._trust.sum() <= _DISTRUST:
            buffer.leave_out(np.flatnonzero(self._trust < 0), started_at)
        buffer.fill_bootstrap(self._policy)
        self._segment += 1
        batch = buffer.batch(names, version, values=True) if buffer.mask.any() else None
        units = horizon * len(rows)
        failed = sum(episode.failure is not None for episode in episodes)
        return Collection(batch, tuple(episodes), units - failed, units, len(rows), dict(seconds))

    def _begin(self, worlds: WorldBatch, names: list[tuple[int, int]], rows: np.ndarray, seed: int) -> None:
        """The next episode of each of `rows`."""
        assert self._running is not None
        seeds = [derive_seed(seed, "episode", *names[row], int(self._begun[row])) for row in rows]
        self._begun[rows] += 1
        self._running.begin(rows, np.asarray(seeds))
        self._memory[rows] = self._policy.begin(len(rows))
        self._observation[rows] = worlds.reset(rows, seeds)

    # --- episodes ---------------------------------------------------------------------------------------

    def _collect_episodes(self, names: list[tuple[int, int]], seed: int, version: int) -> Collection:
        plays = [
            Play(group, index, task_seed(seed, "train", group), stream(seed, "act", group, index, version))
            for group, index in names
        ]
        seconds = defaultdict[str, float](float)
        steps, episodes = self._play(plays, "train", version, kept=True, seconds=seconds)
        units = sum(len(step.ids) for step in steps)
        kept = np.flatnonzero([episode.failure is None for episode in episodes])
        lost = len(episodes) - len(kept)
        if not len(kept):
            return Collection(None, tuple(episodes), units - lost, units, seconds=dict(seconds))
        row_of = np.full(len(plays), -1)
        row_of[kept] = np.arange(len(kept))
        buffer = RolloutBuffer(len(kept), max(episodes[i].turns for i in kept), self._pools["train"])
        buffer.mask[:] = False
        for t, step in enumerate(steps):
            scored = row_of[step.ids] >= 0
            rows = row_of[step.ids[scored]]
            columns = (step.observation, step.action, step.logp, step.value)
            buffer.store(rows, t, *(column[scored] for column in columns), age=np.full(len(plays), t))
            buffer.reward[rows, t] = step.reward[scored]
            buffer.mask[rows, t] = True
        last = np.asarray([episodes[i].turns - 1 for i in kept])
        buffer.end[np.arange(len(kept)), last] = True
        batch = buffer.batch([(plays[i].group, plays[i].index) for i in kept], version, values=False)
        return Collection(batch, tuple(episodes), units - lost, units, seconds=dict(seconds))

    def _play(
        self,
        plays: list[Play],
        split: str,
        version: int,
        *,
        kept: bool = False,
        seconds: defaultdict[str, float] | None = None,
    ) -> tuple[list[Step], list[Episode]]:
        """As `play_episodes`, in worlds for this split."""
        worlds, limit = self._worlds(split, len(plays), self._at_once), None
        if self._mode == "episodes":
            limit = self._horizon
        endless = self._source.id if limit is None and self._source.facts.longest_episode is None else None
        how = {"version": version, "limit": limit, "endless": endless, "kept": kept, "seconds": seconds}
        return play_episodes(self._policy, worlds, plays, split, **how)

    # --- worlds -----------------------------------------------------------------------------------------

    def _worlds(self, split: str, n: int, at_once: int | None = None) -> WorldBatch:
        """At least `n` worlds for this split, or as many as may be open; those of evaluation are never those of
        training."""
        use = "train" if split == "train" else "evaluate"
        if self._asked.get(use, 0) < n:
            if use in self._pools:
                self._pools.pop(use).close()
            self._pools[use] = self._source.make_batch(n, threads=self._threads[use], at_once=at_once)
            self._asked[use] = n
        return self._pools[use]

    def _new_episodes(self, worlds: WorldBatch) -> RunningEpisodes:
        return RunningEpisodes(worlds.n, *action_layout(worlds.action_space))
