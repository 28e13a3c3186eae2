"""What slow tools cost: 64 episodes of 6 turns, each step sleeping an exponential time (mean 0.5 s, at most 2 s).

    python benchmarks/rollout_latency.py

Episodes that each go on by themselves against a loop with a barrier at every turn, in one process, the same tiny model
and the same sleeps. The floor is the longest single episode: what its own sleeps add up to.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.vocabulary import Reply

TURNS = 6


class Sleeper(ConversationEnv):
    """Every step sleeps, for a time that the episode's seed decides."""

    weights = {}  # noqa: RUF012
    waits = True
    max_turns = TURNS

    def opening(self, rng: np.random.Generator, split: str) -> str:
        self.naps = list(np.minimum(rng.exponential(0.5, TURNS), 2.0))
        self.total = sum(self.naps)
        return "go on"

    def respond(self, reply: Reply) -> Outcome:
        time.sleep(self.naps.pop())
        return Outcome("go on", metrics={"slept": self.total})


class Barrier(Sleeper):
    """The same, stepped in turns; a turn sleeps as long as its slowest member, as parallel tools would."""

    waits = False
    naps_of_all: list[list[float]] = []  # noqa: RUF012

    def opening(self, rng: np.random.Generator, split: str) -> str:
        text = super().opening(rng, split)
        Barrier.naps_of_all.append(list(self.naps))
        self.first = len(Barrier.naps_of_all) == 1
        return text

    def respond(self, reply: Reply) -> Outcome:
        if self.first:
            time.sleep(max(naps[len(self.naps) - 1] for naps in Barrier.naps_of_all))
        self.naps.pop()
        return Outcome("go on", metrics={"slept": self.total})


def seconds(world: type[Sleeper], policy: LanguagePolicy, episodes: int, seed: int) -> tuple[float, float]:
    """Wall time of one collection, and the sleep of its longest episode."""
    Barrier.naps_of_all.clear()
    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(world, sampler, renderer, max_tokens=8, context=policy.context)
    started = time.perf_counter()
    collection = actor.collect(range(episodes), 1, seed=seed, version=0)
    wall = time.perf_counter() - started
    return wall, max(episode.metrics["slept"] for episode in collection.episodes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    policy = LanguagePolicy(*tiny_llama(seed=0))
    rows = []
    for repeat in range(asked.repeats):
        ours, floor = seconds(Sleeper, policy, asked.episodes, repeat)
        barrier, _ = seconds(Barrier, policy, asked.episodes, repeat)
        rows.append((ours / floor, barrier / floor, barrier / ours))
        print(f"longest episode {floor:.2f} s, each by itself {ours:.2f} s, barrier {barrier:.2f} s", flush=True)
    mine, theirs, ratio = (statistics.median(column) for column in zip(*rows, strict=True))
    print("\n| way | wall / longest episode (median) |\n|---|---|")
    print(f"| each episode by itself | {mine:.2f} |\n| a barrier at every turn | {theirs:.2f} |")
    print(f"\nbarrier / ours: {ratio:.2f}")


if __name__ == "__main__":
    main()
