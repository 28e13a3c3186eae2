"""Distributions of actions against torch's own, and of what is drawn against what is claimed."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from torch.distributions import Categorical, Normal, kl_divergence

from peripatos.agents.control.action_head import ActionHead
from peripatos.agents.control.mlp import ActorCritic
from peripatos.envs.control.flat_spaces import Actions

SEVERAL = Actions(MultiDiscrete([2, 5, 1])).stored
BOTH = Actions(Dict({"b": Box(-1, 1, (2,)), "c": Discrete(3), "d": Discrete(2)})).stored
SPACES = {"several": SEVERAL, "both": BOTH, "one": Discrete(4), "real": Box(-1, 1, (2,))}


@pytest.mark.parametrize("seed", [0, 1])
def test_several_choices_agree_with_torch_distributions(seed) -> None:
    rng = torch.Generator().manual_seed(seed)
    numbers = torch.randn(5, 7, 8, generator=rng)
    action = torch.stack([torch.randint(n, (5, 7), generator=rng) for n in (2, 5, 1)], -1)
    logp, entropy = ActionHead(SEVERAL).logp_entropy(numbers, None, action)
    parts = [Categorical(logits=one) for one in numbers.split([2, 5, 1], -1)]
    torch.testing.assert_close(logp, sum(one.log_prob(action[..., k]) for k, one in enumerate(parts)))
    torch.testing.assert_close(entropy, sum(one.entropy() for one in parts))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_gaussian_beside_choices_agrees_with_torch_distributions(seed) -> None:
    rng = torch.Generator().manual_seed(seed)
    numbers, log_std = torch.randn(6, 7, generator=rng), torch.tensor([-0.5, 0.3])
    chosen = torch.stack([torch.randint(n, (6,), generator=rng) for n in (3, 2)], -1)
    real = torch.randn(6, 2, generator=rng)
    logp, entropy = ActionHead(BOTH).logp_entropy(numbers, log_std, torch.cat([real, chosen.float()], -1))
    normal = Normal(numbers[:, :2], log_std.exp().expand(6, 2))
    parts = [Categorical(logits=one) for one in numbers[:, 2:].split([3, 2], -1)]
    torch.testing.assert_close(
        logp, normal.log_prob(real).sum(-1) + sum(one.log_prob(chosen[:, k]) for k, one in enumerate(parts))
    )
    torch.testing.assert_close(entropy, normal.entropy().sum(-1) + sum(one.entropy() for one in parts))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", SPACES)
def test_how_far_two_heads_are_apart_agrees_with_torch_distributions(name: str, seed: int) -> None:
    rng, head = torch.Generator().manual_seed(seed), ActionHead(SPACES[name])
    own, other = torch.randn(2, 5, 6, head.outputs, generator=rng)
    own.requires_grad_()
    log_std, other_log_std = torch.randn(2, head.real, generator=rng).requires_grad_() if head.real else (None, None)
    got = head.divergence(own, log_std, other, other_log_std)
    ends = [head.real + sum(head.choices[:k]) for k in range(len(head.choices))]
    cuts = [slice(end, end + n) for end, n in zip(ends, head.choices, strict=True)]
    parts = [kl_divergence(Categorical(logits=own[..., cut]), Categorical(logits=other[..., cut])) for cut in cuts]
    if log_std is not None and other_log_std is not None:
        real = slice(head.real)
        scales = (x.exp().expand(5, 6, -1) for x in (log_std, other_log_std))
        normals = [Normal(x[..., real], scale) for x, scale in zip((own, other), scales, strict=True)]
        parts.append(kl_divergence(*normals).sum(-1))
    want = sum(parts)
    torch.testing.assert_close(got, want)
    learned = [own] if log_std is None else [own, log_std]
    slopes = (torch.autograd.grad(x.sum(), learned, retain_graph=True) for x in (got, want))
    for mine, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, theirs)
    if other_log_std is not None:
        taught = torch.autograd.grad(got.sum(), other_log_std, allow_unused=True)
        assert taught == (None,), "a teacher does not learn"


def test_what_is_drawn_has_the_distribution_that_is_claimed() -> None:
    n, head, log_std = 20_000, ActionHead(BOTH), torch.tensor([-0.5, 0.0])
    numbers = torch.tensor([[0.2, -1.0, 0.0, 1.0, -1.0, 0.7, 0.0]]).expand(n, -1)
    action = head.choose(numbers, log_std, torch.from_numpy(head.draw(np.random.default_rng(0), n)))
    assert action.dtype == torch.float32
    assert action[:, :2].mean(0).numpy() == pytest.approx([0.2, -1.0], abs=0.02)
    assert action[:, :2].std(0).numpy() == pytest.approx(log_std.exp().numpy(), rel=0.03)
    for column, logits in ((2, numbers[0, 2:5]), (3, numbers[0, 5:])):
        share = np.bincount(action[:, column].long().numpy(), minlength=len(logits)) / n
        assert share == pytest.approx(logits.softmax(-1).numpy(), abs=0.015)
    together = np.corrcoef(action.T.numpy())
    assert np.abs(together - np.eye(4)).max() < 0.03  # each by itself
    assert head.choose(numbers[:1], log_std, None).tolist() == [pytest.approx([0.2, -1.0, 1.0, 0.0])]


@pytest.mark.parametrize("kind", ["numbers", "both"])
def test_a_gaussian_is_in_the_units_of_the_actions_bounds(kind) -> None:
    low, high = np.array([-500, 10, 10], np.float32), np.array([500, 20, np.inf], np.float32)
    space = Box(low, high) if kind == "numbers" else Actions(Dict({"b": Box(low, high), "c": Discrete(2)})).stored
    head, log_std = ActionHead(space), torch.tensor([-0.5, 0.2, 0.0])
    numbers = torch.tensor([[0.1, -0.4, 0.3] + [0.7, 0.0] * (kind == "both")]).expand(20_000, -1)
    normal = Normal(torch.tensor([50.0, 13.0, 10.3]), torch.tensor([500.0, 5.0, 1.0]) * log_std.exp())
    action = head.choose(numbers, log_std, torch.from_numpy(head.draw(np.random.default_rng(0), 20_000)))
    torch.testing.assert_close(action[:, :3].mean(0), normal.mean, rtol=0.03, atol=5.0)
    torch.testing.assert_close(action[:, :3].std(0), normal.stddev, rtol=0.03, atol=0.0)
    likeliest = head.choose(numbers[:1], log_std, None)[0, :3]
    torch.testing.assert_close(likeliest, normal.mean)
    logp, entropy = head.logp_entropy(numbers, log_std, action)
    choice = Categorical(logits=torch.tensor([0.7, 0.0]))
    more = choice.log_prob(action[:, 3]) if kind == "both" else torch.zeros(20_000)
    torch.testing.assert_close(logp, normal.log_prob(action[:, :3]).sum(-1) + more)
    most = choice.entropy() if kind == "both" else 0.0
    torch.testing.assert_close(entropy[0], normal.entropy().sum() + most)


def test_chance_of_zero_is_a_number_too() -> None:
    head = ActionHead(BOTH)
    assert head.choose(torch.zeros(1, 7), torch.zeros(2), torch.zeros(1, 4, dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_acting_and_evaluating_tell_one_log_probability_whatever_the_action(space) -> None:
    policy = ActorCritic(6, space, seed=1)
    seen = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    parts = [policy.draw(np.random.default_rng(1), 9), policy.draw(np.random.default_rng(1), 4)]
    assert np.array_equal(parts[0][:4], parts[1])
    action, logp, value, _ = policy.act(seen, parts[0])
    name = "action_B_T" if isinstance(space, Discrete) else "action_B_T_A"
    told = policy.score({"observation_B_T_D": torch.from_numpy(seen), name: torch.from_numpy(action)})
    torch.testing.assert_close(torch.from_numpy(logp), told[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.from_numpy(value), told[2], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_policy_that_was_saved_is_read_by_its_like_and_by_no_other(space, tmp_path) -> None:
    ActorCritic(6, space, seed=1).save(tmp_path)
    twin = ActorCritic(6, space, seed=2)
    twin.load(tmp_path)
    assert torch.equal(twin.actor[-1].weight, ActorCritic(6, space, seed=1).actor[-1].weight)
    for other in SPACES.values():
        if other is not space:
            with pytest.raises(ValueError, match="holds a policy with"):
                ActorCritic(6, other).load(tmp_path)
