"""Which device `auto` is."""

from __future__ import annotations

import pytest
import torch

from peripatos.scenarios.assembly import settings
from peripatos.scenarios.assembly.settings import choose_device, explain_device, explain_precision
from peripatos.scenarios.config.agents import MlpAgentSpec, TinyLlamaAgentSpec

SMALL, WIDE = MlpAgentSpec(kind="mlp", hidden=[64, 64]), MlpAgentSpec(kind="mlp", hidden=[64, 4096])
LLAMA = TinyLlamaAgentSpec(kind="tiny_llama")


@pytest.mark.parametrize(("agent", "expected"), [(SMALL, "cpu"), (WIDE, "cuda"), (LLAMA, "cuda")])
def test_auto_is_cuda_where_it_is_but_not_for_a_small_control_policy(
    agent: MlpAgentSpec | TinyLlamaAgentSpec, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto", agent) == expected
    assert choose_device("cpu", agent) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto", agent) == "cpu"


def test_it_is_said_why_a_gpu_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert explain_device("auto", SMALL) == ""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert "faster" in explain_device("auto", SMALL)
    assert explain_device("cpu", SMALL) == explain_device("auto", WIDE) == ""


def test_a_cpu_that_multiplies_bf16_number_by_number_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {torch.float32: 1e-4, torch.bfloat16: 5e-3}
    monkeypatch.setattr(settings, "_product_seconds", seconds.__getitem__)
    assert explain_precision("fp32", "cpu") is explain_precision("bf16", "cuda") is None
    assert "50 times slower than in fp32; try --set precision=fp32" in str(explain_precision("bf16", "cpu"))
    seconds[torch.bfloat16] = 2e-4  # so it is where bf16 is cast on the way
    assert explain_precision("bf16", "cpu") is None
