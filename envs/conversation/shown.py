"""A demonstration before a conversation, as if somebody had just been through the same.

    opening ▸ what the expert does ▸ opening once more

So a teacher is shown what its student is not (`self_distillation`), and so a world may show it to whoever acts:

    wrappers: [{id: "peripatos.envs.conversation.shown:Shown", options: {share: 0.5}}]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import gymnasium

from ..errors import UserError
from ..seeding import stream
from ..vocabulary import Message, Reply
from .conversation_env import ConversationEnv


def shown(demonstration: Sequence[Message], messages: Sequence[Message]) -> list[Message]:
    """A conversation in which `messages` come once more, after `demonstration`, a whole episode that opened alike. What
    the world says last in it is left out, unless a tool answers; so is what the system says a second time."""
    before = list(demonstration)
    while before and before[-1]["role"] not in ("assistant", "tool"):
        before.pop()
    return [*before, *(message for message in messages if message["role"] != "system" or not before)]


class Shown(gymnasium.Wrapper[str, Reply | str, str, Reply | str]):
    """A conversation world that opens with what its own oracle would reply first, in so large a `share` of the tasks to
    learn from, and in none of those that are for measuring."""

    def __init__(self, env: gymnasium.Env[str, Reply | str], share: float = 0.5) -> None:
        super().__init__(env)
        if not 0 <= share <= 1:
            raise UserError(f"share is {share:g}; allowed is a number between 0 and 1")
        self.share = share

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """As the world's own; which tasks are shown derives from the seed."""
        text, info = super().reset(seed=seed, options=options)
        world = cast(ConversationEnv, self.unwrapped)
        if info["split"] == "train" and stream(seed or 0, "shown").random() < self.share:
            reply = world.oracle()
            if reply is None:
                raise UserError(f"{type(world).__name__} has no oracle, so there is nothing to show")
            said: Message = {"role": "assistant", "content": reply if isinstance(reply, str) else world.write(reply)}
            info = {**info, "messages": shown([*info["messages"], said], info["messages"])}
        return text, info
