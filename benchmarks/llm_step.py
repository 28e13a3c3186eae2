"""What a language model costs on this device: sampled tokens/s, and an update's tokens/s, MFU and memory.

    python benchmarks/llm_step.py [--sizes 0.5B 1.5B] [--batches 64 256 1024] [--lengths 1024 4096] [--profile]
    python benchmarks/llm_step.py --device cpu --sizes 135M --batches --lengths 70 --prompt 46 --rows 16
    python benchmarks/llm_step.py --sizes 0.5B --batches --lengths 256 --rows 128 --lora 16 --memory 24

The models have the sizes of Qwen2.5 (135M: of SmolLM2) and random weights: speed does not depend on what they say, and
the lengths of replies are fixed. What runs is the project's own engine and its own learner, in bf16.

    MFU = tokens · (6 P + 6 L H T) / (seconds · peak)        P parameters, L layers of width H, rows of T tokens

With LoRA 4 P, for weights that stand still have no gradient.
(Chowdhery et al. 2022, arXiv:2204.02311, appendix B, with causal attention counted once.) The peak is what a large
product of bf16 matrices reaches on this device just before.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.lora import Lora, add_adapter
from peripatos.agents.language.memory import token_budget
from peripatos.agents.language.model_checks import check_model, check_precision
from peripatos.agents.language.packing import pack
from peripatos.agents.language.sample import Sample
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.agents.protocols import Request
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.vocabulary import Batch

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "135M": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9},
    "0.5B": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14},
    "1.5B": {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12},
}
VOCABULARIES = {"tiny": 1024, "135M": 49_152}  # of the others:
VOCABULARY = 151_936
GROUP = 8  # replies to each prompt


def make_policy(size: str, device: str, rank: int | None = None) -> LanguagePolicy:
    """A policy of this size with random weights, as bf16 runs make it; with adapters of `rank`, if that is given."""
    config = Qwen2Config(
        **SIZES[size],
        num_key_value_heads=3 if size == "135M" else 2,
        vocab_size=VOCABULARIES.get(size, VOCABULARY),
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    with torch.device(device):
        model = Qwen2ForCausalLM(config)
    if rank is not None:
        add_adapter(model, Lora(rank, 2 * rank), seed=0)
    path = check_model(LanguagePolicy(model, tiny_tokenizer()))
    policy = LanguagePolicy(model, tiny_tokenizer(), precision="bf16", path=path).to(device)
    check_precision(policy)
    return policy


def wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def peak_tflops(device: str, n: int = 8192) -> float:
    """10¹² operations a second of an n × n × n product in bf16, of random numbers."""
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    wait(device)
    begun = time.perf_counter()
    for _ in range(10):
        a @ b
    wait(device)
    return 10 * 2 * n**3 / (time.perf_counter() - begun) / 1e12


def prompts(rows: int, length: int, vocabulary: int) -> list[tuple[int, ...]]:
    """Prompts of groups: GROUP rows have each."""
    rng = np.random.default_rng(0)
    own = [tuple(rng.integers(1, vocabulary, length).tolist()) for _ in range(-(-rows // GROUP))]
    return [own[row // GROUP] for row in range(rows)]


def sample(policy: LanguagePolicy, rows: int, prompt: int, tokens: int) -> Callable[[], int]:
    """One call samples `tokens` tokens for each of `rows` rows; how many that are."""
    engine = TransformersEngine(policy, stop_ids=[], precision="bf16")
    asked = prompts(rows, prompt, policy.model.config.vocab_size)
    requests = [Request(row, prompt, tokens, seed=row, greedy=False) for row, prompt in enumerate(asked)]

    def once() -> int:
        given = sum(len(future.result().tokens) for future in engine.submit(requests))
        engine.release(range(rows))
        return given

    return once


def batch(rows: int, prompt: int, length: int, vocabulary: int) -> Batch:
    """Rows of `length` tokens, of which all but the prompt were sampled; half of them with reward 1."""
    rng, samples = np.random.default_rng(1), []
    for asked in prompts(rows, prompt, vocabulary):
        row = Sample(list(asked))
        said = rng.integers(1, vocabulary, length - prompt).tolist()
        row.extend(said, 0, (-11.9,) * len(said))
        row.reward[len(row.tokens) - 1] = float(rng.random() < 0.5)
        samples.append(row)
    return pack(samples, [(n // GROUP, n % GROUP) for n in range(rows)], 0, [False] * rows)


def train(policy: LanguagePolicy, rows: int, prompt: int, length: int, micro: int | None) -> Callable[[], int]:
    """One call is an update by REINFORCE of `rows` rows, at most `micro` tokens in one pass (None: as many as a run
    takes in the memory that is free); the tokens of the rows."""
    settings, budget = OptimizerSettings(lr=1e-6, micro_batch=micro), None if micro else token_budget(policy)
    row = method("reinforce", {})
    learner = Learner(policy, row, settings, seed=0, max_staleness=1_000_000, token_budget=budget)
    print(json.dumps({"tokens_in_a_pass": learner.micro_batch}), flush=True)
    rows_of = batch(rows, prompt, length, policy.model.config.vocab_size)
    rows_of.reward_B_T[rows_of.end_B_T] += 0.5  # so that no row is left out for having no gradient

    def once() -> int:
        learner.update(rows_of)
        return rows * length

    return once


def measure(device: str, once: Callable[[], int], repeats: int) -> dict[str, float]:
    """Median tokens/s after a warm-up, and peak memory."""
    once()
    wait(device)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    rates = []
    for _ in range(repeats):
        begun = time.perf_counter()
        tokens = once()
        wait(device)
        rates.append(tokens / (time.perf_counter() - begun))
    peak = torch.cuda.max_memory_allocated() / 2**30 if device != "cpu" else float("nan")
    return {"tokens_per_second": statistics.median(rates), "peak_gib": peak}


def profile(device: str, once: Callable[[], int]) -> str:
    """Where the time goes: the busiest kernels, the share of time in which the device works, how often a host waits."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device != "cpu" else [])
    with record(activities=kinds) as seen:
        begun = time.perf_counter()
        once()
        wait(device)
        wall = time.perf_counter() - begun
    on_cpu, events = device == "cpu", seen.key_averages()
    waits = sum(event.count for event in events if "Synchronize" in event.key)
    if not on_cpu:  # what starts a kernel is said to have spent its time as well
        events = [event for event in events if event.device_type == DeviceType.CUDA]
    busy = sum(event.self_device_time_total for event in events) / 1e6

    def spent(event: Any) -> float:
        return (event.self_cpu_time_total if on_cpu else event.self_device_time_total) / 1e3

    lines = [f"wall {1e3 * wall:.0f} ms, device busy {1e3 * busy:.0f} ms, {waits} waits"]
    for event in sorted(events, key=spent, reverse=True)[:14]:
        lines.append(f"  {spent(event):8.1f} ms {event.count:6d} × {event.key[:90]}")
    return "\n".join(lines)


def of_one_size(size: str, peak: float, asked: argparse.Namespace) -> None:
    """All measurements of one model."""
    policy = make_policy(size, asked.device, asked.lora)
    config, parameters = policy.model.config, sum(p.numel() for p in policy.parameters())

    def say(what: str, once: Callable[[], int], rows: int, length: int = 0) -> None:
        seen = measure(asked.device, once, asked.repeats)
        if length:
            work = (
                6 if asked.lora is None else 4
            ) * parameters + 6 * config.num_hidden_layers * config.hidden_size * length
            seen["mfu"] = seen["tokens_per_second"] * work / peak / 1e12
        known = {"what": what, "size": size, "rows": rows} | ({"length": length} if length else {})
        print(json.dumps(known | {key: round(value, 3) for key, value in seen.items()}), flush=True)
        if asked.profile and length in (0, asked.lengths[0]):
            short = (
                once if length else sample(policy, rows, asked.prompt, 16)
            )  # of a long one there is too much to tell
            for _ in range(2):  # until every step is recorded
                short()
            print(profile(asked.device, short), flush=True)

    for rows in asked.batches:
        say("sample", sample(policy, rows, asked.prompt, asked.tokens), rows)
    for length in asked.lengths:
        rows = max(GROUP, asked.rows * min(asked.lengths) // length)
        say("train", train(policy, rows, asked.prompt, length, asked.micro and max(asked.micro, length)), rows, length)


def main() -> None:
    """Print a line for each measurement, as JSON, and the profiles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sizes", nargs="*", default=["0.5B", "1.5B"])
    parser.add_argument("--batches", nargs="*", type=int, default=[64, 256, 1024])
    parser.add_argument("--lengths", nargs="*", type=int, default=[1024, 4096])
    parser.add_argument("--tokens", type=int, default=128, help="sampled for each row")
    parser.add_argument("--prompt", type=int, default=128, help="tokens of the prompt, which each eight rows share")
    parser.add_argument("--rows", type=int, default=64, help="of an update at the shortest length")
    parser.add_argument("--micro", type=int, help="tokens in one pass of the learner; default: as a run would")
    parser.add_argument(
        "--lora", type=int, metavar="RANK", help="adapters of this rank, beside weights that stand still"
    )
    parser.add_argument("--memory", type=float, metavar="GIB", help="of the GPU, that may be taken; default: all")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    if asked.memory is not None and asked.device != "cpu":
        torch.cuda.set_per_process_memory_fraction(asked.memory * 2**30 / torch.cuda.mem_get_info()[1])
    peak = peak_tflops(asked.device, 8192 if asked.device != "cpu" else 2048)
    name = torch.cuda.get_device_name() if asked.device != "cpu" else "cpu"
    print(json.dumps({"device": name, "torch": torch.__version__, "peak_tflops": round(peak, 1)}), flush=True)
    for size in asked.sizes:
        of_one_size(size, peak, asked)


if __name__ == "__main__":
    main()
