"""Prompts that are read once for their rows: what their rows teach them is summed in one order."""

from __future__ import annotations

from dataclasses import replace

import torch
from model_families import VOCABULARY, family_policy

from peripatos.agents.language.model_path import SHORT
from peripatos.agents.threads import torch_threads


def test_the_gradient_is_the_same_bit_for_bit_whichever_thread_is_first() -> None:
    """64 rows behind two prompts: two heads of 24 keys of 16 numbers for each row are more than torch gives to one
    thread."""
    policy = family_policy("llama")
    policy.path = replace(SHORT, trees=False)
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(7, VOCABULARY, (64, 30), generator=draw)
    tokens[:, :24] = tokens[:2, :24].repeat_interleave(32, dim=0)
    place = torch.arange(30)
    inputs = {
        "tokens_B_T": tokens,
        "first_B": torch.full((64,), 24),
        "length_B": torch.full((64,), 29),
        "chosen_B_T": ((place >= 24) & (place < 29)).expand(64, -1),
    }
    gradients = set()
    with torch_threads(4):
        for _ in range(8):
            policy.zero_grad()
            policy.score(inputs).logp_B_T.sum().backward()
            whole = torch.cat([p.grad.flatten() for p in policy.model.parameters() if p.grad is not None])
            gradients.add(whole.numpy().tobytes())
    assert len(gradients) == 1
