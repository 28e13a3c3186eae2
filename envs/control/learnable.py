"""Whether there is anything to learn in a body: one rule for `check` and for `run`."""

from __future__ import annotations

from typing import Any

from gymnasium.spaces import Box, Space

from .flat_spaces import Actions, Observations


def unlearnable(observation_space: Space[Any], action_space: Space[Any]) -> str | None:
    """Why nothing can be learned in a world with these spaces, which holds where there is nothing to see, or nothing to
    decide; None if something can."""
    seen, acts = Observations(observation_space), Actions(action_space)
    sizes = {"observation_space": (observation_space, seen.size), "action_space": (action_space, acts.size)}
    for what, (space, size) in sizes.items():
        if not size:
            shown = f"has the shape {space.shape}" if space.shape is not None else f"is {space}"
            return f"{what} {shown}, which holds no number"
    if acts.is_one:
        equal = ", whose bounds are equal" if isinstance(action_space, Box) else ""
        return f"action_space is {action_space}{equal}: one action, so that nothing can be learned"
    return None
