"""Prompts that are too long for the model, told before the first step where a world can list its tasks.

To count the tokens of everything would take long. A token holds at least a byte, so that a prompt with few bytes fits
and is not counted; and of one that is far too long its beginning is enough. What cannot be counted in time is left out,
and the message says of how many it speaks.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...agents.protocols import Policy
from ...envs.conversation.conversation_env import Split
from ...envs.errors import UserError
from ...envs.first_episodes import Openings
from ...envs.vocabulary import Message
from ..config.schema import Sampling, Scenario
from .rendering import context_of, make_renderer
from .worlds import WorldSources

Tokens = Callable[[Sequence[Message], Sequence[Mapping[str, Any]]], Sequence[int]]  # of messages, with tools
SECONDS = 8.0  # for all that is counted
_TRIED = 16  # prompts of a world that cannot list its own
_PATIENCE = 5.0  # seconds for a world to begin one episode
_CHARACTERS = 8  # of a prompt, for each token of the context, are counted before all of it is
_MOST = 1 << 20  # characters of a prompt that are counted at all


@dataclass
class Counted:
    """What was seen of the prompts of one split."""

    split: str
    world: str
    prompts: int  # that there are
    seen: int = 0  # that are known to fit, or were counted
    over: int = 0  # without room for one token of a reply
    tight: int = 0  # with less room than a reply may need
    shortest: int = 0  # tokens, of those that are over
    longest: int = 0  # tokens
    tried: bool = False  # whether nobody knows how many there are, and these are some of them

    def take(self, length: int, context: int, most: int) -> None:
        """Count a prompt of so many tokens."""
        self.seen += 1
        self.longest = max(self.longest, length)
        if length >= context:
            self.over += 1
            self.shortest = min(self.shortest or length, length)
        elif length + most > context:
            self.tight += 1

    @property
    def of(self) -> str:
        """`of 80 train prompts of 'sums'`"""
        where = f" of {self.world!r}" if self.world else ""
        some = "" if self.seen == self.prompts else f"{self.seen:,} (those that were counted in {SECONDS:g} s) of "
        return f"of {some}{self.prompts:,} {self.split} prompts{where}"


def check_prompts(scenario: Scenario, policy: Policy, sources: WorldSources) -> list[str]:
    """What is to be said of prompts that are too long for the model, a sentence each.

    UserError where not one prompt of a split leaves room for a reply, or where the chat template refuses one.
    """
    from ...agents.language.language_policy import LanguagePolicy

    assert isinstance(policy, LanguagePolicy), "asked only of scenarios whose agent speaks"
    renderer, context = make_renderer(policy, scenario), context_of(policy, scenario)
    most = (scenario.sampling or Sampling()).max_tokens
    until = time.monotonic() + SECONDS
    notes: list[str] = []
    for split in _splits(scenario):
        counted: list[Counted | None] = []
        for name, source in sources.items():
            opened = source.openings(split, seconds=_PATIENCE)
            if opened is not None:
                counted.append(_count(split, name, opened, renderer.opening, context, most, until))
            else:
                some = source.beginnings(split, _TRIED, seconds=_PATIENCE)
                counted.append(_count_some(split, name, some, renderer.opening, context, most))
        _refuse_if_none_fits(split, counted, context)
        notes += [note for one in counted if one and not one.tried for note in _notes(one, context, most)]
    return notes


def _splits(scenario: Scenario) -> list[Split]:
    """The splits whose tasks this scenario asks for."""
    learns = any(stage.method for stage in scenario.stages)
    decides = learns and scenario.evaluation.every is not None
    splits: dict[Split, bool] = {"train": learns, "validation": decides, "test": False}
    splits[scenario.evaluation.split] = True
    return [split for split, asked in splits.items() if asked]


def _count(
    split: str, world: str, opened: Openings, tokens_of: Tokens, context: int, most: int, until: float
) -> Counted:
    counted = Counted(split, world, len(opened.prompts))

    def tokens(prompt: str) -> int:
        return len(tokens_of(opened.messages_of(prompt), opened.tools))

    frame = tokens("a")
    left = [prompt for prompt in opened.prompts if _may_be_long(prompt, context - most - frame)]
    counted.seen = len(opened.prompts) - len(left)
    random.Random(0).shuffle(left)  # so that those that are counted in time are like the others
    longest = max(left, key=len, default="")
    for prompt in [longest] * bool(left) + [other for other in left if other is not longest]:
        if time.monotonic() > until and counted.seen:
            break
        begun = prompt[: _MOST if prompt is longest else _CHARACTERS * context]
        length = tokens(begun)
        if length < context and len(begun) < len(prompt):
            length = tokens(prompt)
        counted.take(length, context, most)
    return counted


def _count_some(
    split: str, world: str, some: Sequence[Openings], tokens_of: Tokens, context: int, most: int
) -> Counted | None:
    """As `_count`, of a world that cannot list its prompts; None where none was tried."""
    counted = Counted(split, world, len(some), tried=True)
    for opened in some:
        counted.take(len(tokens_of(opened.messages, opened.tools)), context, most)
    return counted if some else None


def _may_be_long(prompt: str, room: int) -> bool:
    """Whether a prompt has more bytes than there is `room` for tokens."""
    return len(prompt) > room or len(prompt.encode(errors="replace")) > room


def _refuse_if_none_fits(split: str, counted: Sequence[Counted | None], context: int) -> None:
    known = [one for one in counted if one is not None]
    total = sum(one.prompts for one in known)
    if not total or len(known) < len(counted) or sum(one.over for one in known) < total:
        return
    shortest = min(one.shortest for one in known)
    tried = " that were tried" if any(one.tried for one in known) else ""
    raise UserError(
        f"none of the {total:,} {split} prompts{tried} fits into the model's context of {context:,} tokens: the "
        f"shortest has {shortest:,}, and a reply needs at least one more. Give shorter prompts, or a "
        "model with a longer context"
    )


def _notes(counted: Counted, context: int, most: int) -> list[str]:
    notes = []
    if counted.over:
        notes.append(
            f"{counted.over:,} {counted.of} do not fit into the model's context of {context:,} tokens (the longest has "
            f"{counted.longest:,}): their episodes end before the first reply, are counted as episodes/unanswered, and "
            "are part of no update and no mean"
        )
    if counted.tight:
        notes.append(
            f"{counted.tight:,} {counted.of} leave less room in the model's context of {context:,} tokens than the "
            f"{most:,} of sampling.max_tokens: their replies are cut where the context ends"
        )
    return notes
