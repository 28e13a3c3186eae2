"""The control agent against torch's own distributions, and its statistics against time."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from torch.distributions import Categorical, Normal

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.mlp import ActorCritic
from peripatos.agents.protocols import Policy
from peripatos.envs.control.symmetry import Mirror
from peripatos.envs.world_source import WorldSource

_BOX, _DISCRETE = Box(-1.0, 1.0, (3,), np.float32), Discrete(4)


def _inputs(space, seed=0, shape=(5, 7)):
    rng = torch.Generator().manual_seed(seed)
    observation = torch.randn(*shape, 6, generator=rng)
    if isinstance(space, Discrete):
        return {"observation_B_T_D": observation, "action_B_T": torch.randint(4, shape, generator=rng)}
    return {"observation_B_T_D": observation, "action_B_T_A": torch.randn(*shape, 3, generator=rng)}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_gaussian_agrees_with_torch_distributions(seed):
    policy = ActorCritic(6, _BOX, seed=seed, log_std=-0.3)
    inputs = _inputs(_BOX, seed)
    logp, entropy, _ = policy.score(inputs)
    assert policy.log_std is not None
    expected = Normal(policy.actor(inputs["observation_B_T_D"]), policy.log_std.exp().expand(5, 7, 3))
    torch.testing.assert_close(logp, expected.log_prob(inputs["action_B_T_A"]).sum(-1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(entropy, expected.entropy().sum(-1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_categorical_agrees_with_torch_distributions(seed):
    policy = ActorCritic(6, _DISCRETE, seed=seed)
    inputs = _inputs(_DISCRETE, seed)
    logp, entropy, _ = policy.score(inputs)
    expected = Categorical(logits=policy.actor(inputs["observation_B_T_D"]))
    torch.testing.assert_close(logp, expected.log_prob(inputs["action_B_T"]))
    torch.testing.assert_close(entropy, expected.entropy())


@pytest.mark.parametrize("space", [_BOX, _DISCRETE])
def test_acting_and_evaluating_tell_one_log_probability_and_value(space):
    policy = ActorCritic(6, space, seed=1)
    seen = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    policy.observations.update(torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) * 3 + 1)
    action, logp, value, _ = policy.act(seen, policy.draw(np.random.default_rng(1), 9))
    name = "action_B_T" if policy.discrete else "action_B_T_A"
    told = policy.score({"observation_B_T_D": torch.from_numpy(seen), name: torch.from_numpy(action)})
    torch.testing.assert_close(torch.from_numpy(logp), told[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.from_numpy(value), told[2], rtol=1e-5, atol=1e-5)
    assert np.array_equal(value, policy.value(seen))


def test_drawn_actions_have_the_distribution_that_is_claimed():
    n = 20_000
    seen = np.tile(np.random.default_rng(3).normal(size=6).astype(np.float32), (n, 1))
    gaussian = ActorCritic(6, _BOX, log_std=-0.5)
    action, _, _, _ = gaussian.act(seen, gaussian.draw(np.random.default_rng(4), n))
    mean, _, _, _ = gaussian.act(seen[:1])
    assert action.mean(0) == pytest.approx(mean[0], abs=0.02)
    assert action.std(0) == pytest.approx(np.full(3, np.exp(-0.5)), rel=0.03)
    categorical = ActorCritic(6, _DISCRETE)
    with torch.no_grad():
        categorical.actor[-1].bias.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5]))
        expected = categorical.actor(torch.from_numpy(seen[:1])).softmax(-1)[0]
    action, _, _, _ = categorical.act(seen, categorical.draw(np.random.default_rng(4), n))
    assert np.bincount(action, minlength=4) / n == pytest.approx(expected.numpy(), abs=0.015)
    assert categorical.act(seen[:1])[0][0] == 1


@pytest.mark.parametrize("space", [_BOX, _DISCRETE])
def test_chance_drawn_in_parts_is_the_chance_drawn_at_once(space):
    policy = ActorCritic(6, space)
    one, two = np.random.default_rng(5), np.random.default_rng(5)
    parts = np.concatenate([policy.draw(one, 3), policy.draw(one, 4)])
    assert np.array_equal(parts, policy.draw(two, 7))


def test_it_is_a_policy_with_the_documented_initialisation():
    policy = ActorCritic(6, _BOX, hidden=(16, 16))
    assert isinstance(policy, Policy)
    weight = policy.actor[0].weight
    torch.testing.assert_close(weight.T @ weight, 2.0 * torch.eye(6), rtol=1e-5, atol=1e-5)
    last = policy.actor[-1].weight
    torch.testing.assert_close(last @ last.T, 1e-4 * torch.eye(3), rtol=1e-5, atol=1e-9)
    twin, other = ActorCritic(6, _BOX, hidden=(16, 16)), ActorCritic(6, _BOX, hidden=(16, 16), seed=1)
    assert torch.equal(twin.actor[0].weight, weight)
    assert not torch.equal(other.actor[0].weight, weight)


def test_without_a_critic_values_are_zero():
    policy = ActorCritic(6, _BOX, critic=False)
    assert not policy.has_critic
    assert policy.score(_inputs(_BOX))[2].abs().max() == 0.0
    assert policy.value(np.ones((2, 6), np.float32)).tolist() == [0.0, 0.0]


def test_statistics_stand_still_while_acting_and_evaluating_and_move_in_advance():
    policy = ActorCritic(3, Box(-2.0, 2.0, (1,), np.float32))
    actor = ControlActor(policy, WorldSource("Pendulum-v1"), mode="segments", horizon=8)
    batch = actor.collect(range(3), 1, seed=0, version=0).batch
    assert batch is not None
    before = policy.observations.count.clone()
    policy.score(batch.inputs)
    actor.evaluate(1, seed=0, version=0)
    assert policy.observations.count == before == 0
    policy.advance(batch)
    assert policy.observations.count == 24
    seen = batch.inputs["observation_B_T_D"].reshape(-1, 3).double()
    torch.testing.assert_close(policy.observations.mean, seen.mean(0))
    actor.close()


@pytest.mark.parametrize("space", [_BOX, _DISCRETE])
def test_saving_and_loading_keeps_every_weight_and_statistic(space, tmp_path):
    one, two = ActorCritic(6, space, seed=1), ActorCritic(6, space, seed=2)
    one.observations.update(torch.randn(10, 6, generator=torch.Generator().manual_seed(0)))
    one.save(tmp_path)
    two.load(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_a_policy_of_another_shape_or_a_damaged_file_is_refused_with_the_reason(tmp_path):
    ActorCritic(6, _BOX).save(tmp_path)
    with pytest.raises(ValueError, match="observation_size 6; this one has 7"):
        ActorCritic(7, _BOX).load(tmp_path)
    with pytest.raises(ValueError, match="action box; this one has discrete"):
        ActorCritic(6, _DISCRETE).load(tmp_path)
    weights = tmp_path / "policy.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read"):
        ActorCritic(6, _BOX).load(tmp_path)


_MIRROR = Mirror.of(6, swapped=[(1, 2), (3, 4)], negated=[0, 3, 4])


def _symmetric(seed=0):
    policy = ActorCritic(6, _BOX, hidden=(8,), mirror=_MIRROR, seed=seed)
    inputs = _inputs(_BOX, seed)
    policy.observations.update(torch.cat([x := inputs["observation_B_T_D"].flatten(0, 1), policy.mirror(x)]))
    return policy, inputs


@pytest.mark.parametrize("seed", [0, 1])
def test_a_critic_that_knows_the_mirror_gives_a_state_and_its_image_one_value_and_the_actor_does_not(seed):
    policy, inputs = _symmetric(seed)
    x = inputs["observation_B_T_D"]
    image = torch.from_numpy(_MIRROR(x.numpy()))
    score, mirrored = policy.score(inputs), policy.score({**inputs, "observation_B_T_D": image})
    torch.testing.assert_close(score.value_B_T, mirrored.value_B_T, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(score.logp_B_T, mirrored.logp_B_T)
    policy.double()
    read = [policy.critic((y - policy.observations.mean) / policy.observations.std()) for y in (x.double(), image)]
    torch.testing.assert_close(score.value_B_T.double(), 0.5 * (read[0] + read[1])[..., 0], rtol=1e-5, atol=1e-5)


def test_statistics_take_in_images_too_and_so_are_their_own_image():
    source = WorldSource("peripatos/CartpoleSwingup-v0")
    mirror = source.facts.symmetry.observation
    policy = ActorCritic(5, source.facts.action_space, mirror=mirror)
    batch = ControlActor(policy, source, mode="segments", horizon=20).collect(range(3), 1, seed=0, version=0).batch
    policy.advance(batch)
    mean, std = policy.observations.mean.numpy(), policy.observations.std().numpy()
    assert mirror(mean) == pytest.approx(mean, abs=1e-12)
    assert np.abs(mirror(std)) == pytest.approx(std, abs=1e-12)
    x = batch.inputs["observation_B_T_D"].double().flatten(0, 1).numpy()
    assert mean == pytest.approx(np.concatenate([x, mirror(x)]).mean(0), abs=1e-12)


def test_a_mirror_has_nothing_to_save_and_is_part_of_what_a_file_fits(tmp_path):
    with_mirror, without = ActorCritic(6, _BOX, mirror=_MIRROR), ActorCritic(6, _BOX)
    assert with_mirror.state_dict().keys() == without.state_dict().keys()
    with_mirror.save(tmp_path)
    with pytest.raises(ValueError, match="a policy with symmetry critic; this one has None"):
        without.load(tmp_path)
    without.load(tmp_path, critic_too=False)
    ActorCritic(6, _BOX, mirror=_MIRROR, seed=3).load(tmp_path)


def test_the_energy_of_an_action_is_that_of_the_numbers_it_is_drawn_from():
    """Box: Σ ((a − μ)/σ²)². Discrete: 1 − 2π(a) + Σπ²."""
    seen = torch.randn(5, 1, 3, generator=torch.Generator().manual_seed(0))
    box = ActorCritic(3, Box(-1, 1, (2,)), hidden=[4], critic=False)
    action = torch.randn(5, 1, 2, generator=torch.Generator().manual_seed(1))
    inputs = {"observation_B_T_D": seen, "action_B_T_A": action}
    with torch.no_grad():
        mean, variance = box.actor(box.encoder.read(inputs)), (2 * box.log_std).exp()
    torch.testing.assert_close(box.energy(inputs), (((action - mean) / variance) ** 2).sum(-1))
    choice = ActorCritic(3, Discrete(4), hidden=[4], critic=False)
    inputs = {"observation_B_T_D": seen, "action_B_T": torch.tensor([0, 1, 2, 3, 0])[:, None]}
    with torch.no_grad():
        p = choice.actor(choice.encoder.read(inputs)).softmax(-1)
    want = 1 - 2 * p.gather(-1, inputs["action_B_T"][..., None])[..., 0] + (p**2).sum(-1)
    torch.testing.assert_close(choice.energy(inputs), want)
    assert not choice.energy(inputs).requires_grad
    assert all(parameter.grad is None for parameter in choice.parameters())
