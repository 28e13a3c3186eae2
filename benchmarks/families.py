"""Is every family of decoder-only models read right? `python benchmarks/families.py [KIND …] [--json]` prints a table.

Tiny models of each family, with random weights that are large enough for a wrong position or a wrong expert to show.
For each of them: on which path it is read (`model_checks.find_path`), and over three ragged conversations of two turns

    sampler   largest |log p sampled with − log p trained with|, at temperatures 1, 0.7 and top-p 1, 0.9
    trainer   largest |log p trained with − log p of the model's own forward, row by row|
    gradient  ‖∇ on this path − ∇ on the plain path‖ / ‖∇ on the plain path‖, of Σ log p of all that was said
    saved     whether a checkpoint is read back exactly

Each family in a process of its own, which may take 120 s.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "agents" / "language"))

import torch
from model_families import FAMILIES, FURTHER, family_policy
from torch import Tensor
from transformers.utils import logging

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.model_checks import check_checkpoint, find_path, small_conversation
from peripatos.agents.language.model_path import PLAIN, ModelPath
from peripatos.agents.language.packing import pack
from peripatos.envs.errors import UserError

SAMPLINGS = ((1.0, 1.0), (0.7, 1.0), (0.7, 0.9))
SECONDS = 120


def sampler_gap(policy: LanguagePolicy, temperature: float, top_p: float) -> float:
    """Between what the policy's engine says of its tokens and what its trainer says."""
    probe = LanguagePolicy(policy.model, policy.tokenizer, temperature=temperature, top_p=top_p, path=policy.path)
    samples = small_conversation(probe)
    batch = pack(samples, [(0, index) for index in range(len(samples))], 0, [False] * len(samples))
    with torch.no_grad():
        logp_B_T = probe.score(batch.inputs).logp_B_T
    return float((logp_B_T - batch.behavior_logp_B_T.to(logp_B_T))[batch.mask_B_T].abs().max())


def gradient(policy: LanguagePolicy, path: ModelPath, inputs: dict[str, Tensor]) -> Tensor:
    """Of Σ log p of what was said, all parameters in one row."""
    probe = LanguagePolicy(policy.model, policy.tokenizer, path=path)
    policy.model.zero_grad()
    probe.score(inputs).logp_B_T.sum().backward()
    parts = [p.grad.flatten() for p in policy.model.parameters() if p.grad is not None]
    return torch.cat(parts)


def gradient_gap(policy: LanguagePolicy) -> float:
    """Between the policy's path and the plain one, relative."""
    samples = small_conversation(policy)
    batch = pack(samples, [(0, index) for index in range(len(samples))], 0, [False] * len(samples))
    inputs = dict(batch.inputs)
    mine, plain = gradient(policy, policy.path, inputs), gradient(policy, PLAIN, inputs)
    return float((mine - plain).norm() / plain.norm())


def examine(kind: str) -> dict[str, Any]:
    """One row of the table."""
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    begun = time.monotonic()
    try:
        policy = family_policy(kind)
        tried = find_path(policy)[-1]
        policy.path = tried.path
        row: dict[str, Any] = {"family": kind, "path": str(policy.path), "trainer": tried.trainer, "why": tried.why}
        if tried.why:
            return row
        row["sampler"] = max(sampler_gap(policy, temperature, top_p) for temperature, top_p in SAMPLINGS)
        row["gradient"] = gradient_gap(policy)
        try:
            check_checkpoint(policy)
            row["saved"] = "yes"
        except UserError as problem:
            row["saved"], row["why"] = "no", str(problem)
    except Exception as problem:  # of any architecture: it is a row of the table
        return {"family": kind, "why": f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"}
    return {**row, "seconds": time.monotonic() - begun}


def shown(row: dict[str, Any]) -> str:
    """A line of the table in Markdown."""
    numbers = [f"{row[name]:.0e}" if name in row else "" for name in ("sampler", "trainer", "gradient")]
    cells = [row["family"], row.get("path", ""), *numbers, row.get("saved", ""), row["why"]]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=[*FAMILIES, *FURTHER], metavar="KIND")
    parser.add_argument("--json", action="store_true", help="a list of rows instead of the table")
    asked = parser.parse_args()
    rows = []
    if not asked.json:
        print("| family | path | sampler | trainer | gradient | saved | why not |\n|---|---|---|---|---|---|---|")
    for kind in asked.kinds:
        with multiprocessing.get_context("fork").Pool(1) as pool:
            try:
                row = pool.apply_async(examine, (kind,)).get(SECONDS)
            except multiprocessing.TimeoutError:
                row = {"family": kind, "why": f"took more than {SECONDS} s"}
        rows.append(row)
        if not asked.json:
            print(shown(row), flush=True)
    if asked.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
