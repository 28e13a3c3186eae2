"""Gymnasium's vector environment over a `MujocoBatch`: what ends begins again in the same step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .mujoco_batch import MujocoBatch
from .mujoco_task import MujocoTask


class MujocoVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Gymnasium's vector environment over a `MujocoBatch`: a world that ends begins again in the same step.

    Where any world ended, `infos["final_obs"]` and `infos["final_info"]` hold what it last saw and reported, with the
    masks `_final_obs` and `_final_info`. A failed simulation counts as truncated with reward 0, is marked in
    `infos["failed"]`, and its final observation is zeros.
    """

    def __init__(
        self, task: MujocoTask, num_envs: int, *, threads: int | None = None, max_episode_steps: int | None = None
    ) -> None:
        self.worlds = MujocoBatch(task, num_envs, threads=threads, max_episode_steps=max_episode_steps)
        self.num_envs = num_envs
        seconds = task.frame_skip * self.worlds.model.opt.timestep
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_fps": round(1.0 / seconds, 9)}
        self.single_observation_space = self.worlds.observation_space
        self.single_action_space = self.worlds.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._all = np.arange(num_envs)
        self._streams: list[np.random.Generator] = []
        self._drawn = np.zeros(num_envs, bool)  # whose next episode is

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin everywhere, or where `options["reset_mask"]` [n] is true. World i takes `seed + i`, or `seed[i]`;
        without a seed each stream goes on."""
        if isinstance(seed, int):
            seed = [seed + i for i in range(self.num_envs)]
        if seed is not None and len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds were given for {self.num_envs} worlds")
        if not self._streams:
            self._streams = [np_random(None if seed is None else seed[i])[0] for i in range(self.num_envs)]
        mask = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, bool)))
        if mask.shape != (self.num_envs,) or mask.dtype != bool:
            raise ValueError(f"reset_mask is {mask.dtype}{list(mask.shape)}; expected bool[{self.num_envs}]")
        for i in self._all[mask]:
            if seed is not None and seed[i] is not None:
                self._streams[i], self._drawn[i] = np_random(seed[i])[0], False
        if mask.all():
            self._observation = self._begin(self._all)
        else:
            self._observation[mask] = self._begin(self._all[mask])
        return self._observation.copy(), self._metrics(mask, {})

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of every world, with new episodes where one ended."""
        if not self._streams:
            raise ValueError("reset the worlds before they are stepped")
        result = self.worlds.step(self._all, actions)
        observation, truncated = result.observation, result.truncated
        if result.failure:
            truncated = truncated | np.isin(self._all, list(result.failure))
        over = result.terminated | truncated
        reported: dict[str, Any] = {"reward_terms": result.terms, "metrics": result.metrics}
        if result.failure:
            reported["failed"] = np.isin(self._all, list(result.failure))
        infos = _masked(reported, ~over)
        if over.any():
            final = np.full(self.num_envs, None, dtype=object)
            for i in self._all[over]:
                final[i] = observation[i].copy()
            infos |= {
                "final_obs": final,
                "_final_obs": over,
                "final_info": _masked(reported, over),
                "_final_info": over,
            }
            observation[over] = self._begin(self._all[over])
            infos |= self._metrics(over, infos["metrics"])
        self._observation = observation
        return observation.copy(), result.reward, result.terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...]:
        """A picture of each world."""
        return tuple(self.worlds.render(i) for i in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Close what draws."""
        self.worlds.close()

    def _metrics(self, mask: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What the worlds in `mask` report after their reset, beside what is `known` of the others."""
        merged: dict[str, np.ndarray] = {}
        for name, values in self.worlds.first_metrics(self._all[mask]).items():
            merged[name] = known[name].copy() if known else np.zeros(self.num_envs, values.dtype)
            merged[name][mask] = values
        told = mask if not known else np.ones(self.num_envs, bool)
        return _masked({"metrics": merged}, told)

    def _begin(self, ids: np.ndarray) -> np.ndarray:
        """The next episodes of `ids`. Where one has to be drawn, all are that nobody has drawn yet: an array operation
        over many worlds costs what one over a single world does."""
        if not self._drawn[ids].all():
            missing = self._all[~self._drawn]
            self.worlds.prepare(missing, [self._streams[i] for i in missing])
            self._drawn[missing] = True
        self._drawn[ids] = False
        return self.worlds.start(ids)


def _masked(values: Mapping[str, Any], mask: np.ndarray) -> dict[str, Any]:
    """Gymnasium's form of `info` for many worlds: each array, zero where nothing is reported, beside its mask."""
    every, out = bool(mask.all()), dict[str, Any]()
    for name, value in values.items():
        if isinstance(value, Mapping):
            out[name] = _masked(value, mask)
        else:
            out[name] = value if every else np.where(mask, value, np.zeros((), value.dtype))
        out[f"_{name}"] = mask
    return out
