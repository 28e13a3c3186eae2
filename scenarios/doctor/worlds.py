"""Checks on worlds, and on the agent as it acts in them: what is observed, and whether a seed says all of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from ...envs.check_play import READ, STEPS, Broken, Env, Episode, Step, identical, play_together, require, seen_amiss
from ...envs.contained import Contained
from ...envs.played_elsewhere import NotThere, digests, played_elsewhere
from ...envs.registry import stand_in
from ...envs.reported import BadReport, number
from ...envs.vocabulary import Batch
from ...envs.world_source import WorldSource
from .measures import Measured, columns, same, unequal
from .patient import WAITS, DoesNotApply, Patient

_SEEDS = range(3)
_SLOWER = 10  # times as long as here another process may take


def check_values(patient: Patient) -> Measured:
    """Whether all that is observed and earned in a few random episodes is finite and in the declared space."""
    seen, wrong = 0, list[str]()
    for name, source in patient.sources.items():
        world = _made(source)
        try:
            for seed in _SEEDS:
                ((first, _, steps),) = _played(source, [world], [seed])
                seen += 1 + len(steps)
                wrong += [f"{name}: {words}" if name else words for words in _wrong(world, seed, first, steps)]
        finally:
            world.close()
    found = f"{seen:,} observations of the first {STEPS} steps of {len(_SEEDS)} random episodes"
    return Measured(len(wrong), wrong[0] if wrong else found)


def check_seeding(patient: Patient) -> Measured:
    """Whether equal seeds give equal episodes: of a world that plays on, of a new one, of worlds that take their steps
    by turns, of one in another process, and of the agent in new ones."""
    differ, compared, absent = 0, 0, ""
    for source in patient.sources.values():
        begun, worlds = time.monotonic(), [_made(source) for _ in _SEEDS]
        try:
            episodes = [_played(source, worlds[:1], [seed])[0] for seed in _SEEDS]
            again = [_played(source, [world], [seed])[0] for world in worlds[:2] for seed in _SEEDS]
            again += _played(source, worlds, _SEEDS)
            differ += sum(map(_apart, episodes * 3, again))
            moments = sum(1 + len(steps) for _, _, steps in episodes)
            compared += 3 * moments
            if not differ:
                try:
                    compared += _compared_elsewhere(source, episodes, time.monotonic() - begun)
                except NotThere as why:
                    absent = f"; they are not compared in another process, where {why}"
        finally:
            for world in worlds:
                world.close()
    if differ:
        return Measured(differ, f"{differ:,} of {compared:,} moments of a world differ when its seed is given again")
    if patient.waits:
        return Measured(
            0, f"{compared:,} moments of worlds are equal; the agent's are not compared, for {WAITS}{absent}"
        )
    found = unequal(patient.batch, _again(patient))
    return Measured(
        found.figure, f"{compared:,} moments of worlds are equal; of the agent in them {found.detail}{absent}"
    )


def check_joined(patient: Patient) -> Measured:
    """Whether the rows of two halves that are collected apart are those of the whole that is played in two tiles and
    joined. How many numbers of a half are others there; units that only the whole has count as well."""
    if patient.waits:
        raise DoesNotApply(WAITS)
    groups = patient.groups(patient.acting)
    half = len(groups) // 2
    whole = patient.collect(patient.acting, tile=half).batch
    halves = [patient.collect(patient.acting, groups=part).batch for part in (groups[:half], groups[half:])]
    parts = [part for part in halves if part is not None]
    require(whole is not None and len(parts) == 2, "no episode of one half has come to its end with a reward")
    assert whole is not None, "it was required"
    differ, compared = abs(int(whole.mask_B_T.sum()) - sum(int(part.mask_B_T.sum()) for part in parts)), 0
    for part in parts:
        theirs = dict(columns(whole.rows(torch.isin(whole.episode_B, part.episode_B))))
        for name, ours in columns(part):
            joined = theirs[name][:, : ours.shape[1]] if "_B_T" in name else theirs[name]
            compared += ours.numel()
            differ += int((~same(ours, joined)).sum()) if ours.shape == joined.shape else ours.numel()
    return Measured(differ, f"{differ:,} of {compared:,} values of {len(whole.mask_B_T)} rows differ")


def _compared_elsewhere(source: WorldSource, episodes: Sequence[Episode], seconds: float) -> int:
    """How many moments of these episodes are the same in another process; `seconds` is what all of them took here.
    Broken where one is not; NotThere where the world cannot be made there."""
    here = [digests(episode) for episode in episodes]
    there = played_elsewhere(source, list(_SEEDS), seconds=_SLOWER * seconds)
    pairs = [pair for both in zip(here, there, strict=True) for pair in itertools.zip_longest(*both)]
    differ = sum(one != other for one, other in pairs)
    require(
        not differ,
        f"{differ:,} of {len(pairs):,} moments of {source.id} differ in another process with the same seed: it depends "
        "on the process, such as on its number, on the order of a set (PYTHONHASHSEED), or on when it was imported",
    )
    return len(pairs)


def _again(patient: Patient) -> Batch:
    batch = patient.collect(patient.acting).batch
    if batch is None:
        raise Broken("episodes came to their end, and with the same seed again none did")
    return batch.to(patient.device)


def _made(source: WorldSource) -> Env:
    """A world in which whoever else speaks says a few words, always the same."""
    return source.make(dict.fromkeys(source.facts.voices, stand_in))


def _played(source: WorldSource, worlds: Sequence[Env], seeds: Sequence[int]) -> list[Episode]:
    """An episode in each world, step by step by turns."""
    with Contained(source.id):
        return play_together([(world, seed, seed) for world, seed in zip(worlds, seeds, strict=True)])


def _wrong(world: Env, seed: int, first: object, steps: list[Step]) -> Iterator[str]:
    """What is not as it is declared, in words."""
    for count, seen in enumerate((first, *(step.observation for step in steps))):
        place = f"seed {seed}, after {count} steps"
        if not _is_finite(seen):
            yield f"{place}: {seen!r:.120} is not finite"
        elif (amiss := seen_amiss(world, seen)) is not None:
            yield f"{place}: {amiss}"
    for count, step in enumerate(steps, start=1):
        try:
            number(step.reward, "the reward")
        except BadReport as problem:
            yield f"seed {seed}, step {count}: {problem}"


def _is_finite(value: object) -> bool:
    """Whether all numbers in an observation of whatever form are."""
    if isinstance(value, Mapping | list | tuple):
        return all(map(_is_finite, value.values() if isinstance(value, Mapping) else value))
    array = np.asarray(value)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _apart(one: Episode, other: Episode) -> int:
    """At how many moments two episodes differ; moments that only one of them has count."""
    moments = [[(first, 0.0, False, False, {}), *map(_told, steps)] for first, _, steps in (one, other)]
    equal = sum(map(identical, *moments))
    return max(map(len, moments)) - equal


def _told(step: Step) -> tuple[object, ...]:
    """What of a step is learned from or scored."""
    info = {key: step.info[key] for key in READ if key in step.info} if isinstance(step.info, Mapping) else {}
    return step.observation, step.reward, step.terminated, step.truncated, info
