"""PPO of other projects on the walker: what `walker_learning.py` compares with. Needs `pip install -e '.[bench]'`.

Each peer is a generator: it trains, stops now and then, and yields its steps so far and its likeliest action, so that
one loop evaluates all of them alike. Networks, discount and λ are ours. The rest are each project's own defaults,
except where those are meant for another size of batch: then they are what learned fastest here.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from rsl_rl.env import VecEnv as RslVecEnv
from rsl_rl.runners import OnPolicyRunner
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize
from tensordict import TensorDict

from peripatos.envs.control.mujoco_vector import MujocoVectorEnv

Act = Callable[[np.ndarray], np.ndarray]
Trained = Iterator[tuple[int, Act]]

WORLD, GAMMA, LAMBDA, HIDDEN = "peripatos/Walker-v0", 0.99, 0.95, [64, 64]


def stable_baselines3(seed: int, every: int) -> Trained:
    """As its users run it: eight worlds in turn, normalised."""
    return _stable_baselines3(DummyVecEnv([lambda: gym.make(WORLD)] * 8), 1024, seed, every)


def stable_baselines3_on_ours(seed: int, every: int) -> Trained:
    """The same on 64 worlds of our batch."""
    return _stable_baselines3(_ForStableBaselines(_walkers(64)), 128, seed, every)


def _stable_baselines3(worlds: VecEnv, steps: int, seed: int, every: int) -> Trained:
    """8192 steps an update, 8 minibatches, 10 epochs, lr 3e-4."""
    env = VecNormalize(worlds, gamma=GAMMA)
    kwargs = {"net_arch": HIDDEN, "activation_fn": torch.nn.Tanh, "log_std_init": -0.5}
    model = PPO("MlpPolicy", env, n_steps=steps, batch_size=1024, n_epochs=10, seed=seed, policy_kwargs=kwargs)

    def act(observation: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(env.normalize_obs(observation), deterministic=True)[0])

    while True:
        model.learn(every, reset_num_timesteps=False)
        yield model.num_timesteps, act


def rsl_rl_on_ours(seed: int, every: int) -> Trained:
    """rsl-rl on 128 worlds of our batch: 32 steps an update, 4 minibatches, 5 epochs, lr by a KL of 0.01."""
    torch.manual_seed(seed)
    env, steps = _ForRslRl(_walkers(128), seed), 32
    network = {"class_name": "MLPModel", "hidden_dims": HIDDEN, "activation": "elu", "obs_normalization": True}
    gaussian = {"class_name": "GaussianDistribution", "init_std": 0.6, "std_type": "log"}
    ppo = {"class_name": "PPO", "gamma": GAMMA, "lam": LAMBDA, "entropy_coef": 0.0}
    config = {
        "num_steps_per_env": steps,
        "save_interval": 10**9,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": {**network, "distribution_cfg": gaussian},
        "critic": network,
        "algorithm": ppo,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        runner = OnPolicyRunner(env, config, log_dir=None)

    @torch.no_grad()
    def act(observation: np.ndarray) -> np.ndarray:
        seen = TensorDict({"policy": torch.from_numpy(observation)}, batch_size=[len(observation)])
        return runner.get_inference_policy()(seen).numpy()

    while True:
        with contextlib.redirect_stdout(io.StringIO()):
            runner.learn(every // (steps * env.num_envs))
        yield env.steps, act


PEERS = {
    "stable-baselines3, its own worlds": stable_baselines3,
    "stable-baselines3, our worlds": stable_baselines3_on_ours,
    "rsl-rl, our worlds": rsl_rl_on_ours,
}


def _walkers(n: int) -> MujocoVectorEnv:
    env = gym.make_vec(WORLD, num_envs=n, vectorization_mode="vector_entry_point")
    assert isinstance(env.unwrapped, MujocoVectorEnv)
    return env.unwrapped


class _ForStableBaselines(VecEnv):
    """Our batch as a stable-baselines3 `VecEnv`."""

    def __init__(self, env: MujocoVectorEnv) -> None:
        self.env = env
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> np.ndarray:
        return self.env.reset(seed=self._seeds[0])[0]

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        observation, reward, terminated, truncated, infos = self.env.step(self._actions)
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(terminated | truncated):
            told[i] = {"terminal_observation": infos["final_obs"][i], "TimeLimit.truncated": bool(truncated[i])}
        return observation, reward.astype(np.float32), terminated | truncated, told

    def close(self) -> None:
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.env, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError(attr_name)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        raise NotImplementedError(method_name)

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class _ForRslRl(RslVecEnv):
    """Our batch as an rsl-rl `VecEnv`."""

    def __init__(self, env: MujocoVectorEnv, seed: int) -> None:
        self.env, self.num_envs, self.num_actions, self.max_episode_length = env, env.num_envs, 6, 400
        self.device, self.cfg, self.steps = "cpu", {}, 0
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long)
        self._observation = env.reset(seed=seed)[0]

    def get_observations(self) -> TensorDict:
        return TensorDict({"policy": torch.from_numpy(self._observation.copy())}, batch_size=[self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        self._observation, reward, terminated, truncated, _ = self.env.step(actions.numpy())
        self.steps += self.num_envs
        over = torch.from_numpy(terminated | truncated)
        self.episode_length_buf = torch.where(over, 0, self.episode_length_buf + 1)
        extras = {"time_outs": torch.from_numpy(truncated)}
        return self.get_observations(), torch.from_numpy(reward.astype(np.float32)), over.long(), extras
