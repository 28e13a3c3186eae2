"""Plays an agent out of a file of ONNX in the world that the file names: as `evaluate` plays that of a run, without
torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..agents.control.onnx_agent import AgentFile, OnnxAgent
from ..agents.control.whole_episodes import EVALUATED_AT_ONCE, play_episodes, tasks_to_play
from ..envs.control.flat_spaces import Actions
from ..envs.errors import UserError
from ..envs.named_objects import keep_to_folder
from ..envs.seeding import derive_seed
from ..envs.vocabulary import Episode
from .agent_file import About, Home, Spaces
from .assembly.worlds import source_of
from .run.disk import RunFailed
from .run.failed_episodes import first_causes, judge_evaluation
from .run.noticed import notice

_AT_ONCE = 8  # worlds that are open, where the scenario did not say


@dataclass(frozen=True)
class Played:
    """What was played, and how it went."""

    about: About
    episodes: list[Episode]


def play_file(path: Path, *, episodes: int | None = None, seed: int | None = None) -> Played:
    """The agent in the file, greedily, in so many held-out episodes of each of its worlds; by default, those of its
    run's evaluations.

    UserError for a file that is no such thing, and for a world that is not here or is another one by now. RunFailed
    where every episode failed.
    """
    keep_to_folder(path.parent)
    file = AgentFile.read(path)
    about = About.read(file.about, path)
    root = derive_seed(about.seed if seed is None else seed, "evaluation")
    count, played = episodes or about.episodes, []
    for name, home in about.homes.items():
        own = derive_seed(root, "world", name) if name else root
        played += [replace(one, world=name) for one in _at_home(path, file, home, count, own)]
    if why := judge_evaluation(played, 1.0):
        raise RunFailed(why)
    for told in first_causes(played).values():
        notice(told)
    return Played(about, played)


def _at_home(path: Path, file: AgentFile, home: Home, count: int, seed: int) -> Iterator[Episode]:
    """The episodes of one world."""
    with source_of(home.world) as source:
        facts = source.facts
        here = Spaces.of(facts.observation_space, facts.action_space)
        if here != home.spaces:
            what = "observation" if here.observation != home.spaces.observation else "action"
            then, now = getattr(home.spaces, what), getattr(here, what)
            raise UserError(
                f"{path} was made for {home.world.id!r} with the {what} space {then}, and here it has {now}: it is "
                "another version of that world, or has other options"
            )
        agent = OnnxAgent(file.session, Actions(facts.action_space))
        plays = tasks_to_play(count, seed=seed, split="test")
        worlds = source.make_batch(min(count, EVALUATED_AT_ONCE), at_once=home.world.at_once or _AT_ONCE)
        endless = source.id if facts.longest_episode is None else None
        try:
            for start in range(0, count, worlds.n):
                yield from play_episodes(agent, worlds, plays[start : start + worlds.n], "test", endless=endless)[1]
        finally:
            worlds.close()


def episode_rows(played: Played) -> list[dict[str, Any]]:
    """What is to be known of each episode, in order."""
    return [
        {
            **({"world": episode.world} if episode.world else {}),
            "episode": episode.group,
            "seed": episode.seed,
            "return": episode.reward,
            "steps": episode.turns,
            "ended": "failed" if episode.failure else "terminated" if episode.terminated else "truncated",
            **({"success": episode.success} if episode.success is not None else {}),
            "metrics": dict(episode.metrics),
        }
        for episode in played.episodes
    ]
