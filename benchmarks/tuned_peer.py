"""PPO of stable-baselines3 with the settings of its zoo: what `tuned.py` compares with.

The settings are those of RL Baselines3 Zoo, hyperparams/ppo.yml at commit 208b6fd
(https://github.com/DLR-RM/rl-baselines3-zoo/blob/208b6fdf3a9aa24de44b2e068c6e5f6a07d97fcc/hyperparams/ppo.yml), but
for the number of steps. Where it has an older version of a world (LunarLander-v2, HalfCheetah-v4, Hopper-v4) that one's
are taken, for MiniGrid-Empty-5x5 those of Empty-Random-5x5. FrozenLake and Taxi are not in it: they get the
defaults of `PPO`, which sees a state of these as a one-hot vector.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

Make = Callable[[], gym.Env[Any, Any]]


def _falling(start: float) -> Callable[[float], float]:
    """Linearly to zero: the zoo's `lin_…`."""
    return lambda left: left * start


@dataclass(frozen=True)
class Setting:
    """So many worlds in turn, whether observations and rewards are normalised, a wrapper, and PPO's own."""

    worlds: int
    normalize: bool
    wrapper: str | None
    ppo: dict[str, Any]


def _setting(worlds: int = 1, *, normalize: bool = False, wrapper: str | None = None, **ppo: Any) -> Setting:
    return Setting(worlds, normalize, wrapper, ppo)


_WIDE = {  # the zoo's network for MuJoCo
    "log_std_init": -2,
    "ortho_init": False,
    "activation_fn": torch.nn.ReLU,
    "net_arch": {"pi": [256, 256], "vf": [256, 256]},
}
ZOO = {
    "cartpole": _setting(
        8,
        n_steps=32,
        batch_size=256,
        gae_lambda=0.8,
        gamma=0.98,
        n_epochs=20,
        learning_rate=_falling(1e-3),
        clip_range=_falling(0.2),
    ),
    "acrobot": _setting(16, normalize=True, n_steps=256, gae_lambda=0.94, gamma=0.99, n_epochs=4),
    "mountaincar-continuous": _setting(
        normalize=True,
        n_steps=8,
        batch_size=256,
        gae_lambda=0.9,
        gamma=0.9999,
        n_epochs=10,
        learning_rate=7.77e-5,
        clip_range=0.1,
        ent_coef=0.00429,
        vf_coef=0.19,
        max_grad_norm=5,
        use_sde=True,
        policy_kwargs={"log_std_init": -3.29, "ortho_init": False},
    ),
    "pendulum": _setting(
        4,
        n_steps=1024,
        gae_lambda=0.95,
        gamma=0.9,
        n_epochs=10,
        learning_rate=1e-3,
        use_sde=True,
        sde_sample_freq=4,
    ),
    "lunarlander": _setting(16, n_steps=1024, gae_lambda=0.98, gamma=0.999, n_epochs=4, ent_coef=0.01),
    "frozenlake": _setting(),
    "taxi": _setting(),
    "minigrid-empty": _setting(
        8,
        normalize=True,
        wrapper="minigrid.wrappers:FlatObsWrapper",
        n_steps=128,
        batch_size=64,
        gae_lambda=0.95,
        gamma=0.99,
        n_epochs=10,
        learning_rate=2.5e-4,
    ),
    "halfcheetah": _setting(
        normalize=True,
        n_steps=512,
        batch_size=64,
        gae_lambda=0.92,
        gamma=0.98,
        n_epochs=20,
        learning_rate=2.0633e-5,
        clip_range=0.1,
        ent_coef=0.000401762,
        vf_coef=0.58096,
        max_grad_norm=0.8,
        policy_kwargs=_WIDE,
    ),
    "hopper": _setting(
        normalize=True,
        n_steps=512,
        batch_size=32,
        gae_lambda=0.99,
        gamma=0.999,
        n_epochs=5,
        learning_rate=9.80828e-5,
        ent_coef=0.00229519,
        vf_coef=0.835671,
        max_grad_norm=0.7,
        policy_kwargs=_WIDE,
    ),
}


class _Watch(BaseCallback):
    """Notes how each training episode ended, and when each update did, in seconds of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[tuple[int, float]] = []
        self.ended: list[tuple[int, float]] = []

    def _on_rollout_start(self) -> None:
        self.marks.append((self.num_timesteps, time.process_time()))

    def _on_training_end(self) -> None:
        self._on_rollout_start()

    def _on_step(self) -> bool:
        said = [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        self.ended += [(self.num_timesteps, float(total)) for total in said]
        return True


def train(setting: Setting, make: Make, seed: int, steps: int, held_out: Iterable[int]) -> dict[str, Any]:
    """Learn for `steps` and play an episode, greedily, from each of the seeds `held_out`."""
    worlds: Any = DummyVecEnv([lambda: Monitor(make())] * setting.worlds)
    if setting.normalize:
        worlds = VecNormalize(worlds, gamma=setting.ppo["gamma"])
    watch, model = _Watch(), PPO("MlpPolicy", worlds, seed=seed, device="cpu", **setting.ppo)
    model.learn(steps, callback=watch)

    def act(observation: np.ndarray) -> np.ndarray:
        seen = worlds.normalize_obs(observation) if setting.normalize else observation
        return np.asarray(model.predict(seen, deterministic=True)[0])

    returns = play(make, held_out, act)
    return {"steps": model.num_timesteps, "returns": returns, "ended": watch.ended, "marks": watch.marks}


def play(make: Make, seeds: Iterable[int], act: Callable[[np.ndarray], np.ndarray]) -> list[float]:
    """The return of one episode from each seed, all stepped side by side."""
    worlds = [make() for _ in seeds]
    seen = [world.reset(seed=seed)[0] for world, seed in zip(worlds, seeds, strict=True)]
    returns, live = np.zeros(len(worlds)), list(range(len(worlds)))
    while live:
        going = []
        for i, action in zip(live, act(np.stack([seen[i] for i in live])), strict=True):
            seen[i], reward, terminated, truncated, _ = worlds[i].step(action)
            returns[i] += float(reward)
            if not (terminated or truncated):
                going.append(i)
        live = going
    for world in worlds:
        world.close()
    return returns.tolist()
