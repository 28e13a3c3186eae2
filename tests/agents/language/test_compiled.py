"""What is compiled, when, and what happens where there is no compiler. That it means the same: `test_gpu`."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch._inductor.exc import InductorError
from transformers import LlamaConfig, LlamaForCausalLM

from peripatos.agents.language import compiled, plain_rows


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    compiled._compiled.cache_clear()
    yield
    compiled._compiled.cache_clear()


def double(x: Tensor) -> Tensor:
    return 2 * x


def test_nothing_is_compiled_on_a_cpu_and_nothing_small() -> None:
    assert compiled.kernel(double, torch.zeros(10_001, 10_000, device="meta")) is double
    assert not compiled.compiles(torch.nn.Linear(2, 2))


def test_what_cannot_be_compiled_runs_as_it_is_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: object, **__: object) -> Tensor:
        raise InductorError(RuntimeError("Failed to find a C compiler"), None)

    monkeypatch.setattr(torch, "compile", lambda *_, **__: no_compiler)
    run = compiled._compiled(double)
    with pytest.warns(UserWarning, match="double is not compiled, which takes longer: .*Failed to find a C compiler"):
        assert run(torch.ones(2)).tolist() == [2, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(torch.ones(2)).tolist() == [2, 2]


def test_what_fails_by_itself_is_no_fault_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: full)
    with pytest.raises(torch.OutOfMemoryError):
        compiled._compiled(double)(torch.ones(2))


@pytest.mark.parametrize("again", [False, True])
def test_compiled_layers_have_the_states_and_the_gradient_of_plain_ones(
    again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def traced(function: object, **_: object) -> object:
        calls.append(function)
        return compile_(function, backend="eager", dynamic=True)

    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", traced)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=31, hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2
    )
    backbone = LlamaForCausalLM(config).model
    tokens, length = torch.randint(31, (3, 9)), torch.tensor([9, 5, 7])
    read = functools.partial(plain_rows.states, backbone, tokens, length, torch.arange(1, 10).expand(3, -1), 9)
    plain = read()
    plain.square().mean().backward()
    gradient = {name: weight.grad.clone() for name, weight in backbone.named_parameters() if weight.grad is not None}
    backbone.zero_grad()
    with plain_rows.layers_by(backbone, compiled.compiled_forward):
        if again:
            with plain_rows.layers_by(backbone, plain_rows.recomputed):
                fast = read()
        else:
            fast = read()
    fast.square().mean().backward()
    assert len(calls) == 1  # once for all layers
    torch.testing.assert_close(fast, plain)
    for name, weight in backbone.named_parameters():
        if name in gradient:
            torch.testing.assert_close(weight.grad, gradient[name])
    assert all("forward" not in vars(layer) for layer in backbone.layers)
