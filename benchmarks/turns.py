"""A conversation of eight turns with tools, eight members of a group: sampled and learned from, against flat rows.

    python benchmarks/turns.py [--size 135M] [--turns 8] [--repeats 3] [--threads 2] [--json]

The prompt (a system text and the tools) is one for all members. In every turn a model says 24 tokens, of which its
template keeps the last 8 in later turns, as templates do that drop thoughts, and a tool answers 40. So a turn is a row
of its own, and begins as the turn before it did. Tokens and weights are random: speed does not depend on what they say.

    sampling   ours: the engine, which reads what is new in a turn; flat: `generate`, which reads the conversation
    update     ours: REINFORCE on trees of what rows share; flat: on right-padded rows, each by itself

Ours and flat take turns in one process, and medians are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from llm_step import make_policy
from sampling import product_rate, timed
from transformers import GenerationConfig

from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.packing import pack
from peripatos.agents.language.sample import Sample
from peripatos.agents.protocols import Request
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.vocabulary import Batch

MEMBERS, PROMPT, SAID, KEPT, ANSWERED = 8, 300, 24, 8, 40
MICRO = 4096  # positions in one pass of either way


def conversations(turns: int, vocabulary: int) -> list[list[tuple[list[int], list[int]]]]:
    """For each turn what each member is given, and what it said: tokens."""
    rng = np.random.default_rng(0)

    def some(count: int) -> list[int]:
        return rng.integers(1, vocabulary, count).tolist()

    given = [some(PROMPT)] * MEMBERS
    seen = []
    for _ in range(turns):
        said = [some(SAID) for _ in given]
        seen.append(list(zip(given, said, strict=True)))
        given = [before + words[-KEPT:] + some(ANSWERED) for before, words in seen[-1]]
    return seen


@torch.no_grad()
def sampling(policy: LanguagePolicy, turns: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Ours and flat: every turn of every member. What they draw is thrown away, so that both read the same texts."""
    model, seen = policy.model, conversations(turns, policy.model.config.vocab_size)
    engine = TransformersEngine(policy, stop_ids=[], precision="bf16")
    asked = GenerationConfig(max_new_tokens=SAID, do_sample=True, top_k=0, pad_token_id=0, eos_token_id=None)

    def ours() -> None:
        for turn in seen:
            rows = [Request(row, tuple(given), SAID, seed=row, greedy=False) for row, (given, _) in enumerate(turn)]
            for future in engine.submit(rows):
                future.result()
        engine.release(range(MEMBERS))

    @torch.no_grad()
    def flat() -> None:
        for turn in seen:
            ids = torch.tensor([given for given, _ in turn])
            model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=asked)  # type: ignore[operator]

    return ours, flat


def rows_of(turns: int, vocabulary: int) -> Batch:
    """A row for each turn of each member; half of the members with reward 1.5, half with 0.5 at their last unit."""
    samples, names, cut = [], [], []
    for turn, members in enumerate(conversations(turns, vocabulary)):
        for member, (given, said) in enumerate(members):
            row = Sample(list(given))
            row.extend(said, turn, (-11.9,) * SAID)
            row.reward[len(row.tokens) - 1] = 0.5 + member % 2
            samples.append(row)
            names.append((0, member))
            cut.append(False)
    return pack(samples, names, 0, cut)


def updates(policy: LanguagePolicy, turns: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Ours and flat: an update each."""
    batch = rows_of(turns, policy.model.config.vocab_size)
    settings = OptimizerSettings(lr=1e-6, micro_batch=MICRO)
    learner = Learner(policy, method("reinforce", {}), settings, seed=0, max_staleness=1_000_000)
    trees, rows = policy.path, replace(policy.path, trees=False, shared_prompts=False)

    def by(path: object) -> Callable[[], object]:
        def once() -> None:
            policy.path = path  # type: ignore[assignment]
            learner.update(batch)
            policy.path = trees

        return once

    return by(trees), by(rows)


def compared(what: str, ways: tuple[Callable[[], object], Callable[[], object]], repeats: int) -> dict[str, object]:
    """Median seconds of both; the first turn does not count."""
    ours, flat = ways
    spent = [(timed(ours), timed(flat)) for _ in range(repeats + 1)][1:]
    mine, theirs = (statistics.median(column) for column in zip(*spent, strict=True))
    ratios = sorted(b / a for a, b in spent)
    known = {"ours_seconds": mine, "flat_seconds": theirs, "times_as_fast": statistics.median(ratios)}
    return {"what": what, **{key: round(value, 3) for key, value in known.items()}, "range": [ratios[0], ratios[-1]]}


def main() -> None:
    """Print the two lines of the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="135M")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rate, policy = product_rate(), make_policy(asked.size, "cpu")
    seen = [
        compared("sampling", sampling(policy, asked.turns), asked.repeats),
        compared("update", updates(policy, asked.turns), asked.repeats),
    ]
    if asked.json:
        print(json.dumps({"bf16_product_gflops": round(rate), "threads": asked.threads, "figures": seen}))
        return
    print(f"a product of 2,048³ in bf16: {rate:.0f} GFLOP/s, {asked.threads} threads\n")
    print("| | ours | flat | |\n|---|---|---|---|")
    for row in seen:
        print(f"| {row['what']} | {row['ours_seconds']} s | {row['flat_seconds']} s | {row['times_as_fast']} × |")


if __name__ == "__main__":
    main()
