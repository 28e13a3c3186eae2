"""Pictures into features: what they are normalised by, that bytes stay bytes, and that both networks teach one."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from peripatos.agents.control.encoders import Encoder, PictureEncoder
from peripatos.agents.control.mlp import ActorCritic
from peripatos.agents.control.rollout_buffer import RolloutBuffer


class Worlds:
    """As much of a `WorldBatch` as a buffer asks for: two numbers, and a picture of 3 × 8 × 8."""

    def __init__(self, numbers: int = 2) -> None:
        self.pixels, self.action_space = 3 * 8 * 8, Discrete(2)

        self.observation_space = Box(-np.inf, np.inf, (numbers + self.pixels,), np.float32)


def _batch(seen_N_D: np.ndarray, numbers: int = 2):
    rows, steps = seen_N_D.shape[:2]
    buffer = RolloutBuffer(rows, steps, Worlds(numbers))  # type: ignore[arg-type]
    for t in range(steps):
        zeros = np.zeros(rows)
        buffer.store(np.arange(rows), t, seen_N_D[:, t], zeros.astype(np.int64), zeros, zeros, np.full(rows, t))
    return buffer.batch([(row, 0) for row in range(rows)], 0, values=True)


def _seen(rows: int, steps: int, numbers: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (rows, steps, 192))
    return np.concatenate([rng.normal(size=(rows, steps, numbers)), pixels], axis=-1).astype(np.float32)


@pytest.mark.parametrize("size", [(3, 7, 7), (1, 4, 9), (2, 12, 20), (3, 84, 84), (12, 36, 40), (3, 96, 96)])
def test_a_picture_of_every_size_is_256_finite_features(size) -> None:
    draw = torch.Generator().manual_seed(0)
    encoder = PictureEncoder(size, draw)
    pixels = torch.randint(0, 256, (2, 3, int(np.prod(size))), dtype=torch.uint8, generator=draw)
    assert encoder(pixels).shape == (2, 3, 256)
    assert encoder(pixels).isfinite().all()
    assert not torch.allclose(encoder(pixels)[0, 0], encoder(pixels)[1, 1])


def test_large_pictures_go_through_the_convolutions_of_mnih_and_others() -> None:
    layers = [x for x in PictureEncoder((4, 84, 84), torch.Generator()).layers if isinstance(x, torch.nn.Conv2d)]
    assert [(x.out_channels, x.kernel_size[0], x.stride[0]) for x in layers] == [(32, 8, 4), (64, 4, 2), (64, 3, 1)]


def test_bytes_are_bytes_in_the_batch_and_numbers_are_floats() -> None:
    seen = _seen(3, 4)
    inputs = _batch(seen).inputs
    assert inputs["pixels_B_T_P"].dtype == torch.uint8
    assert np.array_equal(inputs["pixels_B_T_P"].numpy(), seen[..., 2:].astype(np.uint8))
    assert np.array_equal(inputs["observation_B_T_D"].numpy(), seen[..., :2])
    units = _batch(seen).units()
    assert units.inputs["pixels_B_T_P"].shape == (12, 1, 192)


@pytest.mark.parametrize("numbers", [0, 2])
def test_acting_and_evaluating_see_one_picture(numbers) -> None:
    policy = ActorCritic(numbers, Discrete(2), pictures=[(3, 8, 8)], hidden=(16,), seed=1)
    seen = _seen(5, 2, numbers)
    batch = _batch(seen, numbers)
    policy.advance(batch)
    action, logp, value, _ = policy.act(seen[:, 1], policy.draw(np.random.default_rng(0), 5))
    inputs = {name: column[:, 1] for name, column in batch.inputs.items()}
    told = policy.score({**inputs, "action_B_T": torch.from_numpy(action)})
    torch.testing.assert_close(torch.from_numpy(logp), told[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.from_numpy(value), told[2], rtol=1e-5, atol=1e-5)
    assert np.allclose(value, policy.value(seen[:, 1]), atol=1e-5)


def test_what_is_seen_greedily_does_not_depend_on_how_many_others_look() -> None:
    policy = ActorCritic(2, Discrete(2), pictures=[(3, 8, 8)], hidden=(16,))
    seen = _seen(20, 1)[:, 0]
    assert np.array_equal(policy.act(seen)[2][:3], policy.act(seen[:3])[2])


def test_colours_are_normalised_by_their_own_statistics_which_move_in_advance_alone() -> None:
    encoder = Encoder(2, [(3, 8, 8)], torch.Generator().manual_seed(0))
    moments = encoder.pictures[0].colors
    assert moments.mean.tolist() == [127.5] * 3  # bytes are near ±2 before anything was seen
    rng = np.random.default_rng(0)
    colors = rng.normal((10, 100, 200), (1, 10, 5), (64, 8, 8, 3)).transpose(0, 3, 1, 2)
    seen = np.zeros((64, 194), np.float32)
    seen[:, 2:] = np.clip(np.rint(colors), 0, 255).reshape(64, -1)
    batch = _batch(seen.reshape(8, 8, -1))
    encoder.read(batch.inputs)
    assert moments.count == 1
    encoder.advance(batch)
    assert moments.count == 1 + 64 * 64
    assert moments.mean.numpy() == pytest.approx([10, 100, 200], abs=0.5)
    sums = seen[:, 2:].astype(np.float64).reshape(64, 3, 64).sum((0, 2))
    assert moments.mean.numpy() == pytest.approx((sums + 127.5) / (64 * 64 + 1), rel=1e-9)


def test_statistics_of_a_long_batch_are_taken_from_256_pictures() -> None:
    encoder = Encoder(0, [(3, 8, 8)], torch.Generator().manual_seed(0))
    encoder.advance(_batch(_seen(10, 100, 0), 0))
    assert encoder.pictures[0].colors.count == 1 + 250 * 64


def test_actor_and_critic_teach_one_encoder() -> None:
    policy = ActorCritic(2, Discrete(2), pictures=[(3, 8, 8)], hidden=(16,))
    batch = _batch(_seen(2, 3))
    scores = policy.score(batch.inputs)
    first = policy.encoder.pictures[0].layers[0].weight
    (by_actor,) = torch.autograd.grad(scores.logp_B_T.sum(), first, retain_graph=True)
    (by_critic,) = torch.autograd.grad(scores.value_B_T.sum(), first)
    assert by_actor.abs().sum() > 0
    assert by_critic.abs().sum() > 0


def test_a_policy_that_sees_other_pictures_is_refused(tmp_path) -> None:
    ActorCritic(2, Discrete(2), pictures=[(3, 8, 8)]).save(tmp_path)
    with pytest.raises(ValueError, match=r"pictures \[\[3, 8, 8\]\]; this one has \[\[3, 9, 9\]\]"):
        ActorCritic(2, Discrete(2), pictures=[(3, 9, 9)]).load(tmp_path)


def test_a_memory_stands_behind_pictures_as_behind_numbers():
    policy = ActorCritic(2, Discrete(3), pictures=[(3, 7, 7)], hidden=(8,), memory=5, seed=0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    rng, memory = np.random.default_rng(0), policy.begin(4)
    seen = np.concatenate([rng.normal(size=(4, 6, 2)), rng.integers(0, 256, (4, 6, 147))], axis=2).astype(np.float32)
    acts = []
    for t in range(6):
        memory = policy.begin(4) if t == 3 else memory
        acts.append(policy.act(seen[:, t], policy.draw(rng, 4), memory))
        memory = acts[-1].memory_N
    first = torch.zeros(4, 6, dtype=torch.bool)
    first[:, 3] = True
    scores = policy.score(
        {
            "observation_B_T_D": torch.from_numpy(seen[:, :, :2]),
            "pixels_B_T_P": torch.from_numpy(seen[:, :, 2:].astype(np.uint8)),
            "action_B_T": torch.from_numpy(np.stack([act.action for act in acts], axis=1)),
            "memory_B_H": torch.zeros(4, 5),
            "first_B_T": first,
        }
    )
    assert np.abs(scores.logp_B_T.detach().numpy() - np.stack([act.logp_N for act in acts], axis=1)).max() < 1e-5
    assert np.abs(scores.value_B_T.detach().numpy() - np.stack([act.value_N for act in acts], axis=1)).max() < 1e-5
