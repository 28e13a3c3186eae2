"""What episodes of several worlds say: each number for all of them, and under `WORLD/` for each.

Every world is measured by as many tasks as every other. A number of all is over all scored episodes; success is over
those of the worlds that say something about it. A world that has told of success once in a run tells of it from then
on: an episode of which it says nothing is none, as many worlds say `success` only where they mean yes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from ...envs.vocabulary import Episode
from .episode_statistics import NO_LISTS, Numbers, describe_collection, pass_rates, spell_evaluation, summarize

Number = TypeVar("Number", covariant=True)


class _Describe(Protocol[Number]):
    def __call__(self, episodes: Sequence[Episode], /, *, tells: bool) -> Mapping[str, Number]: ...


def by_world(episodes: Sequence[Episode]) -> dict[str, list[Episode]]:
    """The episodes of each world, by its name; of the only one, under no name."""
    parts: dict[str, list[Episode]] = {}
    for episode in episodes:
        parts.setdefault(episode.world, []).append(episode)
    return dict(sorted(parts.items()))


def summarize_worlds(
    episodes: Sequence[Episode], lists: Mapping[str, int | None] = NO_LISTS, told: Collection[str] = ()
) -> Numbers:
    """As `summarize`, of all and of each world. `told` are worlds that have told of success before."""
    result = summarize(episodes, lists)
    sure = summarize(telling(episodes, told), lists, tells=True)
    result |= {name: sure[name] for name in ("success_rate", "success_low", "success_high") if name in sure}
    return result | _apart(episodes, lambda own, *, tells: summarize(own, lists, tells=tells), told)


def describe_worlds(episodes: Sequence[Episode], *, running: int = 0, told: Collection[str] = ()) -> dict[str, float]:
    """As `describe_collection`, of all and of each world; `told` as in `summarize_worlds`."""
    row = describe_collection(episodes, running=running)
    sure = describe_collection(telling(episodes, told), tells=True)
    row |= {name: sure[name] for name in ("success/rate",) if name in sure}
    apart = _apart(episodes, describe_collection, told)
    return row | {name: value for name, value in apart.items() if not name.endswith("/episodes/running")}


def pass_rates_of_worlds(
    episodes: Sequence[Episode], k: int, lists: Mapping[str, int | None] = NO_LISTS, told: Collection[str] = ()
) -> Numbers:
    """As `pass_rates`, of all worlds that say something about success and of each; `told` as in `summarize_worlds`."""
    heard = telling(episodes, told)
    apart = _apart(heard, lambda own, *, tells: pass_rates(own, k, lists, tells=True))
    return pass_rates(heard, k, lists, tells=bool(heard)) | apart


def who_tells(episodes: Sequence[Episode]) -> set[str]:
    """The worlds, by name, that say of a scored episode whether it succeeded."""
    return {one.world for one in episodes if one.success is not None and one.reward is not None}


def telling(episodes: Sequence[Episode], told: Collection[str] = ()) -> list[Episode]:
    """The episodes of worlds that say something about success, or have `told` of it before."""
    tell = {*told, *who_tells(episodes)}
    return [episode for world, own in by_world(episodes).items() if world in tell for episode in own]


def _apart(episodes: Sequence[Episode], describe: _Describe[Number], told: Collection[str] = ()) -> dict[str, Number]:
    """What each world's own episodes say, under its name."""
    parts = {world: own for world, own in by_world(episodes).items() if world}
    return {
        f"{world}/{key}": x for world, own in parts.items() for key, x in describe(own, tells=world in told).items()
    }


def spell_worlds(result: Mapping[str, float | int | None]) -> str:
    """As `spell_evaluation`; behind it, in brackets, that of each world."""
    names = [key.removesuffix("/episodes") for key in result if key.endswith("/episodes")]
    apart = []
    for name in names:
        own = {key.partition("/")[2]: value for key, value in result.items() if key.startswith(f"{name}/")}
        apart.append(f"{name}: {spell_evaluation(own)}")
    whole = spell_evaluation(dict(result))
    return f"{whole} ({'; '.join(apart)})" if apart else whole
