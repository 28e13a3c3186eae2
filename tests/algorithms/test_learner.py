"""One update: what may not change it, what must stop it, and that it can be continued."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch
from torch import Tensor

from peripatos.agents.protocols import Scores
from peripatos.algorithms.learner import Learner, StaleBatch, UpdateRefused
from peripatos.algorithms.methods import METHODS, Method, method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.vocabulary import Batch

SETTINGS = OptimizerSettings(lr=0.05, max_grad_norm=1e9)


def row_of(name: str) -> Method:
    return method(name, {"update": {"length": 9}} if name == "dr_grpo" else {})


def after(row: Method, batch: Batch, settings: OptimizerSettings = SETTINGS, **policy: bool) -> torch.Tensor:
    learner = Learner(TabularPolicy(0, **policy), row, settings, seed=0, reference=TabularPolicy(5))
    learner.update(batch)
    return torch.cat([p.detach().flatten() for p in learner.policy.module().parameters()])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_updates_and_micro_batches_change_nothing_but_memory(name: str) -> None:
    row, batch = row_of(name), random_batch(0)
    whole = after(row, batch)
    assert not torch.equal(whole, torch.cat([p.detach().flatten() for p in TabularPolicy(0).parameters()]))
    micro = after(row, batch, replace(SETTINGS, micro_batch=18))  # two rows at a time
    torch.testing.assert_close(whole, micro, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("name", METHODS)
def test_observations_and_padding_change_no_bit_of_an_update(name: str) -> None:
    batch = random_batch(3)
    junk = torch.where(batch.mask_B_T, 0.0, 1e6).double()
    spoiled = replace(
        batch,
        reward_B_T=batch.reward_B_T + junk,
        value_B_T=batch.value_B_T + junk,
        behavior_logp_B_T=batch.behavior_logp_B_T - junk,
        bootstrap_B_T=batch.bootstrap_B_T + junk,
        end_B_T=batch.end_B_T | ~batch.mask_B_T,
    )
    assert torch.equal(after(row_of(name), batch), after(row_of(name), spoiled))


@pytest.mark.parametrize("name", ["reinforce", "grpo", "dr_grpo", "ppo"])
def test_units_drawn_one_by_one_add_up_to_whole_rows(name: str) -> None:
    """A memoryless policy's minibatches are over units; with one minibatch both ways are one gradient."""
    row = row_of(name)
    row = replace(row, update=replace(row.update, epochs=2, minibatches=1))
    batch = random_batch(4)
    torch.testing.assert_close(after(row, batch, memoryless=True), after(row, batch), atol=1e-9, rtol=1e-7)


def test_rows_without_advantage_are_not_computed_but_still_count() -> None:
    """The second group's rewards are all equal: its rows teach nothing, and the mean is over all rows."""
    batch = random_batch(6)
    reward = torch.where(batch.group_B[:, None] == 1, 0.0, batch.reward_B_T)
    batch = replace(batch, reward_B_T=reward)
    seen: list[int] = []

    class Counting(TabularPolicy):
        def score(self, inputs):
            seen.append(len(inputs["state_B_T"]))
            return super().score(inputs)

    settings = OptimizerSettings(lr=1.0, max_grad_norm=1e9)
    row = replace(row_of("rloo"))
    learner = Learner(Counting(0), row, settings, seed=0)
    metrics = learner.update(batch).metrics
    assert seen == [4]
    kept = Learner(TabularPolicy(0), method("rloo", {"update": {"entropy_coefficient": 1e-30}}), settings, seed=0)
    want = kept.update(batch).metrics  # an entropy bonus makes every row count, and this one weighs nothing
    assert metrics["gradient/norm"] == pytest.approx(want["gradient/norm"], rel=1e-9)


def test_minibatches_of_so_many_units_follow_the_size_of_the_batch() -> None:
    """40 units by about 12 are three minibatches, each of 13 or 14 single units, in each of two epochs."""
    batch = random_batch(2, rows=8, length=5)
    full = torch.ones_like(batch.mask_B_T)
    end = torch.zeros_like(full)
    end[:, -1] = True
    batch = replace(batch, mask_B_T=full, end_B_T=end)
    seen: list[int] = []

    class Counting(TabularPolicy):
        def score(self, inputs):
            seen.append(inputs["state_B_T"].numel())
            return super().score(inputs)

    overrides = {"update": {"epochs": 2, "minibatch_units": 12}, "credit": {"whiten": "batch"}}
    Learner(Counting(0, memoryless=True), method("reinforce", overrides), SETTINGS, seed=0).update(batch)
    assert sorted(seen) == [13, 13, 13, 13, 14, 14]


@pytest.mark.parametrize("minibatches", [1, 3])
def test_a_batch_without_any_advantage_teaches_nothing_and_is_no_error(minibatches: int) -> None:
    batch = random_batch(6)
    batch = replace(batch, reward_B_T=torch.zeros_like(batch.reward_B_T))
    policy = TabularPolicy(0)
    learner = Learner(policy, method("grpo", {"update": {"minibatches": minibatches}}), SETTINGS, seed=0)
    metrics = learner.update(batch).metrics
    assert metrics["advantage/magnitude"] == 0.0
    assert torch.equal(policy.logits, TabularPolicy(0).logits)
    assert learner.version == 1


def test_a_kl_penalty_pulls_towards_the_reference() -> None:
    batch = replace(random_batch(0), reward_B_T=torch.zeros_like(random_batch(0).reward_B_T))
    policy, reference = TabularPolicy(0), TabularPolicy(5)
    row = method("grpo", {"weighting": {"kl": "k2", "beta": 1.0}})
    learner = Learner(policy, row, SETTINGS, seed=0, reference=reference)
    distances = []
    for _ in range(30):
        logp = policy.score(batch.inputs)[0].detach()
        metrics = learner.update(
            replace(batch, behavior_logp_B_T=logp, version_B=torch.full((8,), learner.version))
        ).metrics
        distances.append(metrics["kl/reference"])
    assert distances[-1] < 0.2 * distances[0]


def test_a_batch_of_another_version_is_refused() -> None:
    learner = Learner(TabularPolicy(0), METHODS["reinforce"], SETTINGS, seed=0)
    with pytest.raises(StaleBatch, match="version 3 acted, but version 0"):
        learner.update(replace(random_batch(0), version_B=torch.full((8,), 3)))


def test_a_loss_that_is_not_finite_leaves_the_policy_as_it_was() -> None:
    policy = TabularPolicy(0)
    before = policy.logits.detach().clone()
    learner = Learner(policy, METHODS["reinforce"], SETTINGS, seed=0)
    batch = random_batch(0)
    batch.reward_B_T[0, 0] = float("nan")
    with pytest.raises(UpdateRefused, match="nan"):
        learner.update(batch)
    assert torch.equal(policy.logits, before)
    assert learner.version == 0


def test_a_continued_learner_ends_bit_for_bit_where_an_unbroken_one_does(tmp_path: Path) -> None:
    def train(learner: Learner, versions: range) -> None:
        for version in versions:
            batch = random_batch(version)
            learner.update(replace(batch, version_B=torch.full((8,), version)), progress=version / 6)

    settings = OptimizerSettings(lr=0.01, schedule="adaptive_kl")
    unbroken = Learner(TabularPolicy(0), METHODS["ppo"], settings, seed=0)
    train(unbroken, range(6))
    first = Learner(TabularPolicy(0), METHODS["ppo"], settings, seed=0)
    train(first, range(3))
    first.save(tmp_path)
    first.policy.save(tmp_path)
    second = Learner(TabularPolicy(9), METHODS["ppo"], settings, seed=0)
    second.policy.load(tmp_path)
    second.load(tmp_path)
    train(second, range(3, 6))
    assert torch.equal(unbroken.policy.module().logits, second.policy.module().logits)
    assert unbroken.lr == second.lr != settings.lr


class Narrow(TabularPolicy):
    """Has no memory for more than so many units."""

    most = 36

    def score(self, inputs: Mapping[str, Tensor]) -> Scores:
        if torch.is_grad_enabled() and inputs["state_B_T"].numel() > self.most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return super().score(inputs)


def test_an_update_without_enough_memory_is_cut_in_halves_once_and_then_says_what_to_change(tmp_path: Path) -> None:
    batch = random_batch(0)
    assert batch.mask_B_T.numel() == 72
    learner = Learner(Narrow(0), METHODS["reinforce"], SETTINGS, seed=0)
    learner.update(batch)
    assert learner.micro_batch == 36
    learned = torch.cat([p.detach().flatten() for p in learner.policy.module().parameters()])
    whole = after(METHODS["reinforce"], batch)
    torch.testing.assert_close(learned, whole, atol=1e-9, rtol=1e-7)
    learner.save(tmp_path)
    again = Learner(Narrow(0), METHODS["reinforce"], SETTINGS, seed=0, token_budget=1000)
    again.load(tmp_path)
    assert again.micro_batch == 36  # a run that goes on cuts as before
    learner.policy.most = 18  # type: ignore[attr-defined]
    with pytest.raises(MemoryError, match=r"no memory for a pass of 36 units; give less of optimizer\.micro_batch"):
        learner.update(replace(batch, version_B=torch.full((8,), 1)))


def test_another_failure_is_no_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(inputs: object) -> Scores:
        raise RuntimeError("shapes differ")

    learner = Learner(TabularPolicy(0), METHODS["reinforce"], SETTINGS, seed=0)
    monkeypatch.setattr(learner.policy, "score", fails)
    with pytest.raises(RuntimeError, match="shapes differ"):
        learner.update(random_batch(0))


def test_a_learner_of_another_method_is_not_loaded(tmp_path: Path) -> None:
    first = Learner(TabularPolicy(0), METHODS["ppo"], SETTINGS, seed=0)
    first.update(random_batch(0))
    first.save(tmp_path)
    with pytest.raises(ValueError, match="'ppo', not 'reinforce'"):
        Learner(TabularPolicy(0), METHODS["reinforce"], SETTINGS, seed=0).load(tmp_path)


def test_a_method_that_needs_a_critic_says_so() -> None:
    with pytest.raises(ValueError, match="needs a critic"):
        Learner(TabularPolicy(0, critic=False), METHODS["ppo"], SETTINGS, seed=0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "name", ["reinforce", "reinforce_baseline", "rloo", "ppo", "grpo", "dr_grpo", "rejection_sampling"]
)
def test_every_method_finds_the_better_arm(name: str, seed: int) -> None:
    """A bandit with an exact solution: the first action pays 1, the others nothing."""
    policy = TabularPolicy(seed)
    row = method(name, {"update": {"length": 1}} if name == "dr_grpo" else {})
    learner = Learner(policy, row, OptimizerSettings(lr=0.1, eps=1e-5), seed=seed)
    draw = torch.Generator().manual_seed(seed)
    for version in range(60):
        state = torch.zeros(32, 1, dtype=torch.long)
        p = torch.softmax(policy.logits[0].detach(), dim=-1)
        action = torch.multinomial(p, 32, replacement=True, generator=draw)[:, None]
        logp, _, value = (x.detach() for x in policy.score({"state_B_T": state, "action_B_T": action}))
        ones = torch.ones(32, 1, dtype=torch.bool)
        zero = torch.zeros(32, 1, dtype=torch.float64)
        learner.update(
            Batch(
                inputs={"state_B_T": state, "action_B_T": action},
                mask_B_T=ones,
                behavior_logp_B_T=logp,
                reward_B_T=(action == 0).double(),
                turn_B_T=zero.long(),
                end_B_T=ones,
                episode_B=torch.arange(32),
                group_B=torch.arange(32) // 8,
                version_B=torch.full((32,), version),
                bundle_B=torch.arange(32),
                value_B_T=value,
                bootstrap_B_T=zero,
            )
        )
    assert float(torch.softmax(policy.logits[0].detach(), dim=-1)[0]) > 0.95


def test_rows_within_the_staleness_that_is_allowed_are_learned_from_and_older_ones_are_refused() -> None:
    learner = Learner(TabularPolicy(0), METHODS["grpo"], SETTINGS, seed=0, max_staleness=1)
    learner.version = 2
    mixed = torch.tensor([1, 2, 1, 2, 2, 2, 1, 1])
    learner.update(replace(random_batch(0), version_B=mixed))
    with pytest.raises(StaleBatch, match=r"versions 1 to 3 acted, but version 3 .* staleness of 1"):
        learner.update(replace(random_batch(0), version_B=torch.where(mixed == 2, 3, 1)))
    with pytest.raises(StaleBatch, match="version 4 acted"):
        learner.update(replace(random_batch(0), version_B=torch.full((8,), 4)))


@pytest.mark.parametrize("flat", [False, True], ids=["some advantage", "no advantage at all"])
def test_how_many_steps_an_update_takes_is_the_methods_choice_and_never_the_datas(
    flat: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = method("grpo", {"update": {"epochs": 2, "minibatches": 50}})  # more than there are rows
    batch = random_batch(0)
    if flat:
        batch = replace(batch, reward_B_T=torch.zeros_like(batch.reward_B_T))
    learner, steps = Learner(TabularPolicy(0), row, SETTINGS, seed=0), []
    step = learner._optimizer.step
    monkeypatch.setattr(learner._optimizer, "step", lambda lr: (steps.append(1), step(lr)))
    learner.update(batch)
    assert len(steps) == 2 * 50


def test_extreme_ratios_the_effective_share_and_what_has_a_weight_are_counted() -> None:
    batch = random_batch(0)
    mask, logp = batch.mask_B_T, TabularPolicy(0).score(batch.inputs)[0].detach()
    log_ratio = torch.zeros_like(logp)
    log_ratio[:, 0] = torch.tensor([0.0, 3.0, -3.0, 0.5, 0.0, 0.0, 2.0, -2.0], dtype=torch.float64)
    batch = replace(batch, behavior_logp_B_T=logp - log_ratio)
    row = method("cispo", {"weighting": {"gap": 0.2, "gap_sides": "both"}})
    metrics = Learner(TabularPolicy(0), row, OptimizerSettings(), seed=0).update(batch).metrics
    rho, n = log_ratio.exp()[mask], float(mask.sum())
    assert metrics["policy/ratio_extreme"] == pytest.approx(2 / n)
    assert metrics["policy/effective_share"] == pytest.approx(float(rho.sum() ** 2 / (n * (rho**2).sum())))
    assert metrics["policy/weighted"] == pytest.approx(1 - metrics["policy/distrusted"])
    assert 0 < metrics["policy/weighted"] < 1
    assert "policy/ratio_squared" not in metrics
