"""Which device `auto` is."""

from __future__ import annotations

import pytest
import torch

from peripatos.scenarios.assembly.settings import choose_device, explain_device
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
