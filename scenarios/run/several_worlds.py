"""What episodes of several worlds say: each number for all of them, and under `WORLD/` for each.

Every world is measured by as many tasks as every other, so a number of all is the mean of the worlds' numbers. Success
is the mean of those that say something about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...envs.vocabulary import Episode
from .episode_statistics import Numbers, describe_collection, spell_evaluation, summarize


def by_world(episodes: Sequence[Episode]) -> dict[str, list[Episode]]:
    """The episodes of each world, by its name; of the only one, under no name."""
    parts: dict[str, list[Episode]] = {}
    for episode in episodes:
        parts.setdefault(episode.world, []).append(episode)
    return dict(sorted(parts.items()))


def summarize_worlds(episodes: Sequence[Episode]) -> Numbers:
    """As `summarize`, of all and of each world."""
    parts = by_world(episodes)
    result = summarize(episodes)
    if len(parts) < 2:
        return result
    apart = {name: summarize(own) for name, own in parts.items()}
    tell = [name for name, numbers in apart.items() if numbers.get("success_rate") is not None]
    if tell:
        told = summarize([episode for name in tell for episode in parts[name]])
        result |= {name: told[name] for name in ("success_rate", "success_low", "success_high")}
    return result | {f"{name}/{key}": value for name, numbers in apart.items() for key, value in numbers.items()}


def describe_worlds(episodes: Sequence[Episode], *, running: int = 0) -> dict[str, float]:
    """As `describe_collection`, of all and of each world."""
    parts = by_world(episodes)
    row = describe_collection(episodes, running=running)
    if len(parts) < 2:
        return row
    return row | {
        f"{name}/{key}": value
        for name, own in parts.items()
        for key, value in describe_collection(own).items()
        if key != "episodes/running"
    }


def spell_worlds(result: Mapping[str, float | int | None]) -> str:
    """As `spell_evaluation`; behind it, in brackets, that of each world."""
    names = dict.fromkeys(key.partition("/")[0] for key in result if "/" in key)
    apart = []
    for name in names:
        own = {key.partition("/")[2]: value for key, value in result.items() if key.startswith(f"{name}/")}
        apart.append(f"{name}: {spell_evaluation(own)}")
    whole = spell_evaluation(dict(result))
    return f"{whole} ({'; '.join(apart)})" if apart else whole
