"""What episodes of several worlds say: each number for all of them, and under `WORLD/` for each.

Every world is measured by as many tasks as every other. A number of all is over all scored episodes; success is over
those of the worlds that say something about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from ...envs.vocabulary import Episode
from .episode_statistics import NO_LISTS, Numbers, describe_collection, pass_rates, spell_evaluation, summarize

Number = TypeVar("Number")


def by_world(episodes: Sequence[Episode]) -> dict[str, list[Episode]]:
    """The episodes of each world, by its name; of the only one, under no name."""
    parts: dict[str, list[Episode]] = {}
    for episode in episodes:
        parts.setdefault(episode.world, []).append(episode)
    return dict(sorted(parts.items()))


def summarize_worlds(episodes: Sequence[Episode], lists: Mapping[str, int | None] = NO_LISTS) -> Numbers:
    """As `summarize`, of all and of each world."""
    result = summarize(episodes, lists)
    told = summarize(telling(episodes), lists)
    result |= {name: told[name] for name in ("success_rate", "success_low", "success_high") if name in told}
    return result | _apart(episodes, partial(summarize, lists=lists))


def describe_worlds(episodes: Sequence[Episode], *, running: int = 0) -> dict[str, float]:
    """As `describe_collection`, of all and of each world."""
    row = describe_collection(episodes, running=running)
    told = describe_collection(telling(episodes))
    row |= {name: told[name] for name in ("success/rate",) if name in told}
    apart = _apart(episodes, describe_collection)
    return row | {name: value for name, value in apart.items() if not name.endswith("/episodes/running")}


def pass_rates_of_worlds(episodes: Sequence[Episode], k: int, lists: Mapping[str, int | None] = NO_LISTS) -> Numbers:
    """As `pass_rates`, of all worlds that say something about success and of each."""
    told = telling(episodes)
    return pass_rates(told or episodes, k, lists) | _apart(told, lambda own: pass_rates(own, k, lists))


def telling(episodes: Sequence[Episode]) -> list[Episode]:
    """The episodes of worlds that say something about success."""
    parts = by_world(episodes).values()
    return [episode for own in parts if any(e.success is not None for e in own) for episode in own]


def _apart(episodes: Sequence[Episode], describe: Callable[[list[Episode]], Mapping[str, Number]]) -> dict[str, Number]:
    """What each world's own episodes say, under its name."""
    parts = by_world(episodes)
    return {f"{world}/{key}": x for world, own in parts.items() if world for key, x in describe(own).items()}


def spell_worlds(result: Mapping[str, float | int | None]) -> str:
    """As `spell_evaluation`; behind it, in brackets, that of each world."""
    names = [key.removesuffix("/episodes") for key in result if key.endswith("/episodes")]
    apart = []
    for name in names:
        own = {key.partition("/")[2]: value for key, value in result.items() if key.startswith(f"{name}/")}
        apart.append(f"{name}: {spell_evaluation(own)}")
    whole = spell_evaluation(dict(result))
    return f"{whole} ({'; '.join(apart)})" if apart else whole
