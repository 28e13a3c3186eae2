"""A language model as somebody whom a world talks to besides the agent: a simulated customer, a judge.

    world.voices["customer"](messages, seed) ─▶ a request to an engine ─▶ text

Any engine will do, the agent's own too. It blocks the thread of the world and no other, so worlds with such a voice are
stepped in threads (`waits`). What the model takes is not the world's time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

from ...envs.vocabulary import Message, WorldFailure
from ..protocols import Engine, Request
from .chat_template import Renderer

VOICE_SECONDS = 120.0
_numbers = itertools.count(-1, -1)  # below those of an actor's conversations


class LanguageVoice:
    """A `Voice`, for one world. It draws, with chance from the seed alone; nothing is remembered between two calls.

    Args:
        context: most tokens of what it reads and says.
        max_tokens: most tokens of what it says.
        patience: seconds after which it has failed.
    """

    def __init__(
        self, engine: Engine, renderer: Renderer, *, context: int, max_tokens: int, patience: float = VOICE_SECONDS
    ) -> None:
        self._engine, self._renderer, self._context = engine, renderer, context
        self._max_tokens, self._patience = max_tokens, patience
        self.granted_seconds = 0.0  # as `ConversationEnv.granted_seconds`: so many are not the world's own

    def __call__(self, messages: Sequence[Message], seed: int) -> str:
        """What it says next. WorldFailure if there is no room for it or it takes too long; `EngineDied`."""
        number, begun = next(_numbers), time.perf_counter()
        prompt, told = self._renderer.begin(messages)
        room = self._context - len(prompt)
        if room < 1:
            raise WorldFailure(f"a voice was told {len(prompt)} tokens, and its model holds {self._context}")
        self.granted_seconds += self._patience
        (reply,) = self._engine.submit(
            [Request(number, tuple(prompt), min(room, self._max_tokens), seed, greedy=False)]
        )
        try:
            said = self._renderer.decode(reply.result(self._patience).tokens)
            return self._renderer.read(said, self._renderer.opened(told))[1]
        except TimeoutError as late:
            raise WorldFailure(f"a voice said nothing in {self._patience:g} s") from late
        finally:
            reply.cancel()
            self._engine.release([number])
            self.granted_seconds += min(time.perf_counter() - begun, self._patience) - self._patience


def granted_seconds(voices: Sequence[object]) -> float:
    """Seconds that those of them which think have been granted so far."""
    return sum(voice.granted_seconds for voice in voices if isinstance(voice, LanguageVoice))
