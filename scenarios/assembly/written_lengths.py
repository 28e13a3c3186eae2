"""Conversations and pairs that are written down and too long for the model, told before the first step.

Each is said once as a stage would say it, for its tokens are those of the chat template in all its turns. What cannot
be said in time is left out, and the message says of how many it speaks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ...agents.protocols import Policy
from ...envs.conversation.chat_world import WrittenWorld
from ...envs.conversation.pair_world import PairWorld
from ...envs.errors import UserError
from ...envs.vocabulary import Episode
from ..config.mistakes import at
from ..config.schema import Scenario
from .rendering import context_of, make_renderer
from .worlds import written_down

SECONDS = 8.0  # for all that a stage learns from
_AT_ONCE = 16  # that are said at once
_ENDLESS = 1 << 40  # tokens of a context in which everything fits


@dataclass(frozen=True)
class _Length:
    """Of one conversation, or of the longest of those that are compared, in tokens."""

    place: str
    whole: int
    first_reply: int  # up to its end: with less room nothing is learned from it


def check_written(scenario: Scenario, policy: Policy) -> list[str]:
    """What is to be said of conversations and pairs that are too long for the model, a sentence for each stage.

    UserError where none of a stage's pairs fits, or not one first reply of its conversations.
    """
    notes: list[str] = []
    for number, stage in enumerate(scenario.stages):
        world = written_down(stage)
        if world is None:
            continue
        kind = "pairs" if isinstance(world, PairWorld) else "chats"
        with at("stages", number, "demonstrations", kind):
            note = _check(world, scenario, policy)
        notes += [f"{stage.name}: {note}"] if note else []
    return notes


def _check(world: WrittenWorld, scenario: Scenario, policy: Policy) -> str | None:
    from ...agents.language.authors import Oracle
    from ...agents.language.conversation_actor import ConversationActor
    from ...agents.language.language_policy import LanguagePolicy

    assert isinstance(policy, LanguagePolicy), "checked before: what is written down is for agents that speak"
    context, renderer = context_of(policy, scenario), make_renderer(policy, scenario)
    sides: dict[str, WrittenWorld] = {"": world}
    if isinstance(world, PairWorld):
        names = ("chosen", "rejected") if world.size == 2 else [f"answer {n}" for n in range(world.size)]
        sides = {f", {name}": world.on_side(side) for side, name in enumerate(names)}
    actors = {side: ConversationActor(one.sibling, Oracle(), renderer, context=_ENDLESS) for side, one in sides.items()}
    lengths: list[_Length] = []
    until = time.monotonic() + SECONDS
    for begin in range(0, len(world), _AT_ONCE):
        if lengths and time.monotonic() > until:
            break
        groups = range(begin, min(begin + _AT_ONCE, len(world)))
        told = {side: actor.collect(groups, 1, seed=0, version=0).episodes for side, actor in actors.items()}
        lengths += [_longer({side: episodes[n] for side, episodes in told.items()}) for n in range(len(groups))]
    for actor in actors.values():
        actor.close()
    return _note(lengths, len(world), context, "pairs" if len(sides) > 1 else "conversations")


def _longer(sides: Mapping[str, Episode]) -> _Length:
    """The length of the longest reply that is compared, or of the only one."""
    return max((_length(episode, side) for side, episode in sides.items()), key=lambda length: length.whole)


def _length(episode: Episode, side: str) -> _Length:
    rows = [*((seen["tokens"], seen["mask"]) for seen in episode.earlier), (episode.tokens, episode.mask)]
    mask = next((mask for _, mask in rows if any(mask)), ())
    chosen = mask.index(True) if mask else 0
    first = next((n for n in range(chosen, len(mask)) if not mask[n]), len(mask))
    return _Length(f"{episode.task}{side}", max(len(tokens) for tokens, _ in rows), first)


def _note(lengths: list[_Length], there: int, context: int, what: str) -> str | None:
    """What is said of those that are too long; None where all fit. UserError where nothing is left."""
    over = [one for one in lengths if one.whole > context]
    if not over:
        return None
    lost = [one for one in over if what == "pairs" or one.first_reply > context]
    if len(lost) == there:
        shortest = min(lost, key=lambda one: one.whole)
        raise UserError(
            f"none of the {what} ({there:,}) fits into the model's context of {context:,} tokens: the shortest, "
            f"{shortest.place}, has {shortest.whole:,}. Give shorter {what}, or a model with a longer context"
        )
    some = "" if len(lengths) == there else f"{len(lengths):,} (those that were counted in {SECONDS:g} s) of "
    longest = max(over, key=lambda one: one.whole)
    left = "these pairs are" if what == "pairs" else "what goes beyond it is"
    return (
        f"{len(over):,} of {some}{there:,} {what} do not fit into the model's context of {context:,} tokens (the "
        f"longest, {longest.place}, has {longest.whole:,}): {left} left out"
    )
