"""A conversation world together with the Gymnasium wrappers around it, as one world.

Whoever plays conversations asks a world more than a wrapper passes on (whether it waits, what its oracle says, to end
in the middle), and so would have to take the wrappers off. Here they stay on: `reset` and `step` go through them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat, cast

import gymnasium

from ..reported import STEP, BadReport, number, parts, terms
from ..time_limits import least, time_limit
from ..vocabulary import Reply
from .conversation_env import ConversationEnv


class WrappedConversation(ConversationEnv):
    """Wrappers around a `ConversationEnv`. Where one of them ends an episode, the world inside is told."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        inside = env.unwrapped
        assert isinstance(inside, ConversationEnv)
        super().__init__()
        self._env, self._inside = env, inside
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self.weights, self.has_success, self.voices = inside.weights, inside.has_success, inside.voices
        self.judges_groups = inside.judges_groups
        self.waits = inside.waits  # pyright: ignore[reportAttributeAccessIssue]
        self.metadata, self.render_mode, self.spec = env.metadata, env.render_mode, env.spec

    @property
    def granted_seconds(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the world inside."""
        return self._inside.granted_seconds

    @property
    def side_by_side(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the world inside."""
        return self._inside.side_by_side

    @property
    def turn_limit(self) -> int | None:
        """The least of the world's own and those of the wrappers."""
        return least(self._inside.turn_limit, time_limit(self._env))

    @property
    def scored_by(self) -> str:
        """Of the world inside: what a wrapper makes of its rewards has no version."""
        return self._inside.scored_by

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """As `ConversationEnv.reset`, through the wrappers."""
        return self._env.reset(seed=seed, options=options)

    def step(self, action: Reply | str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """As `ConversationEnv.step`, through the wrappers. What one of them cuts has not succeeded, where the world
        has a notion of success."""
        text, reward, terminated, truncated, info = parts(self._env.step(action), "step", *STEP)
        if terminated or truncated:
            self._inside.end()
            if not terminated and self.has_success and info.get("success") is None:
                info = {**info, "success": False}
        if info.get("unscored") is None and not _sum_to(info.get("reward_terms"), reward):
            info = {**info, "reward_terms": {"reward": reward}}  # a wrapper has changed it: nobody knows its terms
        return text, cast(float, reward), terminated, truncated, info

    def hear_together(self, members: Sequence[tuple[ConversationEnv, Reply]]) -> None:
        """Through the worlds inside."""
        inside = [(world._inside, reply) for world, reply in members if isinstance(world, WrappedConversation)]
        self._inside.hear_together(inside)

    def oracle(self) -> str | Reply | None:
        """What the world's own says."""
        return self._inside.oracle()

    def end(self) -> None:
        """End the episode in the world inside."""
        self._inside.end()

    def close(self) -> None:
        """Close the wrappers, and through them the world."""
        self._env.close()


def _sum_to(given: Any, reward: SupportsFloat) -> bool:
    try:
        return bool(given) and bool(terms(given, number(reward, "the reward")))
    except BadReport:
        return False
