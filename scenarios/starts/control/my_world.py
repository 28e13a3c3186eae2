"""A world of numbers: a Gymnasium environment as any other."""

import gymnasium
import numpy as np


class MyWorld(gymnasium.Env):
    """Push a cart on a line to the middle, and have it stay there."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)  # where it is, how fast it moves
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)  # the push
    steps = 100

    def reset(self, *, seed=None, options=None):
        """The cart stands somewhere. All chance comes from `self.np_random`."""
        super().reset(seed=seed)
        self.place, self.speed, self.left = self.np_random.uniform(-2.0, 2.0), 0.0, self.steps
        return self._seen(), {}

    def step(self, action):
        """Push for a twentieth of a second. The reward is 1 in the middle, and less further away."""
        self.speed += 0.05 * 4.0 * float(np.clip(action[0], -1.0, 1.0))
        self.place += 0.05 * self.speed
        self.left -= 1
        near, effort = float(np.exp(-(self.place**2))), 0.01 * float(action[0]) ** 2
        # "terminated" is an end after which nothing could come; a limit of time is "truncated"
        return self._seen(), near - effort, False, self.left == 0, {"reward_terms": {"near": near, "effort": -effort}}

    def _seen(self):
        return np.array([self.place, self.speed], np.float32)


gymnasium.register(id="my_world/MyWorld-v0", entry_point=MyWorld)
