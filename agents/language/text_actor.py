"""Collects plain text to learn from: no prompt, no reply, no world.

    text                t₀ t₁ t₂ t₃ t₄ t₅ t₆          windows of a context of 4:   t₀ t₁ t₂ t₃   t₃ t₄ t₅ t₆
    is learned              ✓  ✓  ✓  ✓  ✓  ✓                                          ✓  ✓  ✓      ✓  ✓  ✓

Every token behind the first is learned, once: a window begins with the token that ends the one before, and reads it
only. Where the tokenizer begins every text with a token of its own (BOS), that is the first. A group is a window.

Left out: several short texts in one window, of which the later would read the earlier; and a token behind a text that
ends it, for a window may end anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ...envs.conversation.written_texts import WrittenText
from ...envs.errors import UserError
from ...envs.seeding import shuffled
from ...envs.vocabulary import Collection, Episode, Message, StopReason
from ..protocols import Weights
from .asking import Start
from .chat_template import Renderer
from .packing import pack
from .sample import Sample


@dataclass(frozen=True)
class Window:
    """A part of a text, of two tokens or more."""

    place: str
    tokens: np.ndarray  # int32
    goes_on: bool  # whether the text does behind it


@dataclass(frozen=True)
class Windows:
    """All windows of some texts."""

    windows: Sequence[Window]
    too_short: Sequence[str] = ()  # where texts stand of which there is no token behind the first

    @property
    def learned(self) -> int:
        """Tokens that are learned in one pass."""
        return sum(len(window.tokens) - 1 for window in self.windows)


def cut_texts(texts: Sequence[WrittenText], renderer: Renderer, context: int) -> Windows:
    """The windows of all texts, of `context` tokens at most. `UserError` where no text has two tokens."""
    windows, too_short = list[Window](), list[str]()
    for one in texts:
        ids = np.array(renderer.plain(one.text), dtype=np.int32)
        step = context - 1
        cuts = range(0, len(ids) - 1, step)
        windows += [Window(one.place, ids[at : at + context], at + context < len(ids)) for at in cuts]
        too_short += [one.place] * (not cuts)
    if not windows:
        raise UserError(f"none of the {len(texts):,} texts has two tokens, and what is learned stands behind the first")
    return Windows(windows, too_short)


class TextActor:
    """An `Actor` of `windows`: group g of a run gets one, in the run's own order. Nobody acts."""

    def __init__(self, windows: Windows, renderer: Renderer) -> None:
        self._windows, self._renderer = windows.windows, renderer

    def collect(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Collection:
        """As `Actor.collect`; of a window there is one member. No world is stepped."""
        assert group_size == 1, "checked before: a window is learned once, whatever the size of groups"
        starts = [Start.of(seed, "train", group) for group in groups]
        order = len(self._windows)
        taken = [self._windows[int(shuffled(at.order, order)[at.group % order])] for at in starts]
        samples = [_sample(window) for window in taken]
        truncated = [window.goes_on for window in taken]
        episodes = [self._episode(*one, version) for one in zip(starts, taken, samples, strict=True)]
        names = [(group, 0) for group in groups]
        units = sum(episode.units for episode in episodes)
        return Collection(pack(samples, names, version, truncated), tuple(episodes), env_steps=0, action_units=units)

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Actor.evaluate`, of texts that are learned from: there are no others."""
        return list(self.collect(range(tasks), 1, seed=seed, version=version).episodes)

    def state(self) -> dict[str, Tensor]:
        """Nothing outlives a collection."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """Nothing to continue."""
        return 0

    def load(self, weights: Weights) -> None:
        """Nobody acts by them."""

    def close(self) -> None:
        """Nothing is open."""

    def _episode(self, start: Start, window: Window, sample: Sample, version: int) -> Episode:
        """The record of a window, for reading: all of it is said by the one who learns it."""
        return Episode(
            start.group,
            0,
            start.seed,
            version,
            start.split,
            0.0,
            turns=1,
            units=sum(sample.chosen),
            terminated=not window.goes_on,
            truncated=window.goes_on,
            stop_reason=StopReason.CONTEXT_LIMIT if window.goes_on else StopReason.STOP,
            task=window.place,
            messages=(Message(role="assistant", content=self._renderer.spell(sample.tokens)),),
            turn_rewards=(0.0,),
            tokens=tuple(sample.tokens),
            mask=tuple(sample.chosen),
            behavior_logp=tuple(sample.logp),
        )


def _sample(window: Window) -> Sample:
    """The first token is read, the others are learned; nobody knows how likely they were."""
    first, *rest = window.tokens.tolist()
    sample = Sample([first])
    sample.extend(rest, 0, (0.0,) * len(rest))
    return sample
