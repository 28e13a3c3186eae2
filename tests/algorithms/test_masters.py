"""fp32 masters of bf16 parameters: what is too small to be seen in bf16 still adds up."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from whole_updates import talk

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import method
from peripatos.algorithms.optimizer import Masters, OptimizerSettings

SETTINGS = OptimizerSettings(lr=1e-4)


def parameters(dtype: torch.dtype) -> dict[str, nn.Parameter]:
    draw = torch.Generator().manual_seed(0)
    return {name: nn.Parameter(torch.randn(8, 8, generator=draw).to(dtype)) for name in ("a", "b")}


def stepped(masters: Masters, inputs: Tensor) -> None:
    with masters.gradient():
        for row in inputs:  # a pass each
            sum((p.float() @ row).square().sum() for p in masters.named.values()).backward()  # type: ignore[union-attr]
    masters.step(SETTINGS.lr)


def test_small_steps_add_up_as_they_do_in_fp32() -> None:
    low, high = Masters(parameters(torch.bfloat16), SETTINGS), Masters(parameters(torch.bfloat16), SETTINGS)
    exact = Masters({name: nn.Parameter(p.detach().float()) for name, p in high.named.items()}, SETTINGS)
    begun = low.named["a"].detach().clone()
    rows = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    stepped(low, rows)
    unmoved = float((low.named["a"] == begun).float().mean())
    assert unmoved > 0.8  # one step is below the last place of most numbers
    for _ in range(99):
        stepped(low, rows)
    for _ in range(100):
        stepped(exact, rows)
    for mine, theirs, seen in zip(low.tensors, exact.tensors, low.named.values(), strict=True):
        assert float((mine - theirs).abs().max()) < 1e-3  # of a way of 1e-2
        assert torch.equal(seen, mine.to(torch.bfloat16))


def test_gradients_of_many_passes_are_summed_in_fp32() -> None:
    masters = Masters({"w": nn.Parameter(torch.ones(1, dtype=torch.bfloat16))}, SETTINGS)
    with masters.gradient():
        for _ in range(1000):
            (masters.named["w"].float() * 1.0).sum().backward()
    assert masters.tensors[0].grad is not None
    assert float(masters.tensors[0].grad) == 1000.0  # in bf16 the sum would stay at 256
    assert masters.named["w"].grad is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_what_no_pass_of_a_step_reaches_has_a_gradient_of_zero_and_what_a_later_one_does_all_of_it(
    dtype: torch.dtype,
) -> None:
    masters = Masters(parameters(dtype), SETTINGS)
    a, b = masters.tensors
    for reached, of_a, of_b in ((("a", "b", "b"), 1.0, 2.0), (("b",), 0.0, 1.0), ((), 0.0, 0.0), (("a",), 1.0, 0.0)):
        with masters.gradient():
            for name in reached:
                masters.named[name].float().sum().backward()
        assert torch.equal(a.grad, torch.full_like(a, of_a))
        assert torch.equal(b.grad, torch.full_like(b, of_b))
        masters.step(SETTINGS.lr)
    # AdamW by hand: of b's gradients 2, 1, 0, 0 the first moment is 0.9³·0.2 + 0.9²·0.1
    moment = masters.moments()["the optimiser's exp_avg of b"]
    assert float(moment[0, 0]) == pytest.approx(0.9**3 * 0.2 + 0.9**2 * 0.1, rel=1e-6)


def test_a_step_sums_its_gradient_where_the_one_before_it_did() -> None:
    masters = Masters(parameters(torch.bfloat16), SETTINGS)
    places = []
    for _ in range(3):
        stepped(masters, torch.ones(2, 8))
        places.append([master.grad.data_ptr() for master in masters.tensors if master.grad is not None])
    assert places[0] == places[1] == places[2]
    assert len(places[0]) == 2


def test_fp32_parameters_are_their_own_masters() -> None:
    mine, plain = Masters(parameters(torch.float32), SETTINGS), parameters(torch.float32)
    adamw = torch.optim.AdamW(plain.values(), lr=SETTINGS.lr, eps=SETTINGS.eps, weight_decay=0.0, fused=True)
    rows = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    stepped(mine, rows)
    for row in rows:
        sum((p @ row).square().sum() for p in plain.values()).backward()  # type: ignore[union-attr]
    adamw.step()
    assert all(torch.equal(mine.named[name], p) for name, p in plain.items())


def test_weights_that_somebody_else_has_written_are_learned_from() -> None:
    masters = Masters(parameters(torch.bfloat16), SETTINGS)
    with torch.no_grad():
        masters.named["a"].zero_()
    stepped(masters, torch.zeros(1, 8))
    assert float(masters.named["a"].detach().abs().max()) == 0.0


@pytest.mark.parametrize("critic", [False, True])
def test_a_run_in_bf16_goes_on_bit_for_bit(critic: bool, tmp_path: Path) -> None:
    def fresh(seed: int) -> tuple[LanguagePolicy, Learner]:
        policy = LanguagePolicy(*tiny_llama(seed=seed, hidden=16, layers=1, heads=2), critic=critic, precision="bf16")
        row = method("ppo" if critic else "reinforce", {})
        return policy, Learner(policy, row, OptimizerSettings(lr=1e-4, micro_batch=64), seed=0, max_staleness=9)

    _, batch = talk(critic=critic)
    policy, learner = fresh(0)
    learner.update(batch)
    policy.save(tmp_path)
    learner.save(tmp_path)
    other, resumed = fresh(1)
    other.load(tmp_path)
    resumed.load(tmp_path)
    for one in (learner, resumed):
        one.update(batch)
    assert all(torch.equal(x, y) for x, y in zip(policy.parameters(), other.parameters(), strict=True))
    masters = zip(learner._optimizer.tensors, resumed._optimizer.tensors, strict=True)
    assert all(torch.equal(x, y) for x, y in masters)
    exact = LanguagePolicy(*tiny_llama(seed=0, hidden=16, layers=1, heads=2), critic=critic)
    with pytest.raises(ValueError, match="was written with another precision"):
        Learner(exact, learner.method, learner.settings, seed=0).load(tmp_path)
