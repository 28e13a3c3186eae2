"""An agent as a graph: it does what the agent does, in every kind of space, and gives what the world takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple

from peripatos.agents.control.mlp import ActorCritic
from peripatos.agents.control.onnx_agent import ACTION, OBSERVATION, OnnxAgent, open_session, sealed
from peripatos.agents.control.onnx_graph import agent_graph
from peripatos.envs.control.flat_spaces import Actions
from peripatos.envs.control.world_batch import checked_action
from peripatos.envs.errors import UserError

TWO = Box(-1.0, 1.0, (2,), np.float32)
DONE: dict[str, Space] = {
    "numbers": Box(np.array([-0.1, -2.0, -np.inf], np.float32), np.array([0.1, 0.05, np.inf], np.float32)),
    "doubles": Box(-0.1, 0.1, (2, 2), np.float64),
    "a choice": Discrete(5),
    "a choice from -2": Discrete(5, start=-2),
    "choices": MultiDiscrete([2, 7, 3], start=[0, -3, 10]),
    "switches": MultiBinary(3),
    "whole numbers": Box(-2, 3, (2,), np.int64),
    "both": Dict({"b": Box(-1, 1, (2,), np.float64), "c": Discrete(3, start=-1), "t": Tuple((MultiBinary(2), TWO))}),
}


def agent(space: Space, numbers: int = 4, **more: object) -> tuple[ActorCritic, Actions]:
    """One whose statistics have seen something, and whose last layer decides."""
    actions = Actions(space)
    policy = ActorCritic(numbers, actions.stored, hidden=[16, 8], seed=3, **more)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        policy.actor[-1].weight *= 50.0
        if numbers:
            policy.observations.update(
                torch.randn(100, numbers, generator=torch.Generator().manual_seed(0)) * 3.0 + 1.0
            )
    return policy, actions


def twin(policy: ActorCritic, actions: Actions) -> OnnxAgent:
    model = agent_graph(policy, actions)
    return OnnxAgent(open_session(sealed(model.SerializeToString())), actions)


def observations(rng: np.random.Generator, policy: ActorCritic, pixels: int = 0) -> np.ndarray:
    """1,000 of them, some of which normalisation clips."""
    numbers = 10.0 * rng.standard_normal((1000, len(policy.observations.mean)))
    return np.concatenate([numbers, rng.integers(0, 256, (1000, pixels))], axis=1).astype(np.float32)


@pytest.mark.parametrize("kind", DONE)
def test_a_graph_does_what_the_agent_does(kind: str) -> None:
    policy, actions = agent(DONE[kind])
    seen = observations(np.random.default_rng(0), policy)
    mine, theirs = policy.act(seen).action, twin(policy, actions).act(seen).action
    assert theirs.shape == mine.shape
    assert theirs.dtype == mine.dtype
    took = [checked_action(action, 1000, actions.stored) for action in (mine, theirs)]
    np.testing.assert_allclose(took[0], took[1], atol=1e-5, rtol=0)
    assert len(np.unique(mine, axis=0)) > 1


@pytest.mark.parametrize("kind", DONE)
def test_what_a_graph_gives_is_what_the_world_takes(kind: str) -> None:
    policy, actions = agent(DONE[kind])
    seen = observations(np.random.default_rng(1), policy)
    session = open_session(agent_graph(policy, actions).SerializeToString())
    given = np.asarray(session.run([ACTION], {OBSERVATION: seen})[0])
    taken = checked_action(policy.act(seen).action, 1000, actions.stored)
    for row, stored in zip(given[:50], taken[:50], strict=True):
        own = actions.own(stored)
        parts = [own["b"], *own["t"][1:], [own["c"]], own["t"][0]] if kind == "both" else [own]
        flat = np.concatenate([np.ravel(part) for part in parts])  # numbers, then choices
        np.testing.assert_allclose(np.ravel(row), flat, atol=1e-5, rtol=0)


WHOLE: dict[str, tuple[Space, list[str]]] = {  # the numbers last
    "bytes": (Box(0, 255, (20,), np.uint8), ["Round"]),
    "signed": (Box(-1000, 1001, (3,), np.int16), ["Round"]),
    "wide": (Box(-(2**31), 2**31 - 1, (2,), np.int32), ["Round"]),
    "endless": (Box(-(2**63), 2**63 - 1, (2,), np.int64), ["Round"]),
    "beside floats": (Tuple((Box(-1, 1, (2,), np.float64), Box(0, 9999, (2,), np.int64))), ["Round", "Where"]),
    "beside choices": (Tuple((MultiBinary(2), Box(0, 9999, (2,), np.int64))), ["Round"]),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_numbers_come_out_of_a_graph_as_the_world_gets_them(kind: str) -> None:
    space, operations = WHOLE[kind]
    policy, actions = agent(space)
    model, real = agent_graph(policy, actions), policy.head.real
    assert [node.op_type for node in model.graph.node if node.op_type in ("Round", "Where")] == operations
    seen = observations(np.random.default_rng(4), policy)
    (given,) = open_session(sealed(model.SerializeToString())).run([ACTION], {OBSERVATION: seen})
    numbers = np.asarray(given)[:, :real].astype(np.float64)
    own = [actions.own(row) for row in checked_action(policy.act(seen).action, 1000, actions.stored)]
    parts = [one if isinstance(one, tuple) else (one,) for one in own]
    taken = np.stack([np.concatenate([np.ravel(part) for part in one])[-real:].astype(np.float64) for one in parts])
    rounded = numbers[:, actions.whole]
    assert np.array_equal(rounded, np.rint(rounded))
    assert len(np.unique(rounded)) > (1 if kind == "endless" else 30)
    apart, digit = np.abs(numbers - taken), 1e-5 * max(1.0, np.abs(taken).max())
    assert (apart <= digit).mean() > 0.99  # the others are so near to a half that the last digit of float32 decides
    assert apart.max() <= max(1.0, digit)


def test_halves_are_rounded_to_even_and_only_within_the_bounds() -> None:
    policy, actions = agent(Box(0, 255, (7,), np.uint8), numbers=1)
    wanted, nothing = np.array([0.5, 1.5, 2.5, 254.5, 255.4, 300.0, -3.0], np.float32), np.zeros((1, 1), np.float32)
    with torch.no_grad():
        policy.actor[-1].weight *= 0.0
        policy.actor[-1].bias[:7] = torch.from_numpy((wanted - 127.5) / 127.5)
    (given,) = open_session(agent_graph(policy, actions).SerializeToString()).run([ACTION], {OBSERVATION: nothing})
    taken = actions.own(checked_action(policy.act(nothing).action, 1, actions.stored)[0])
    assert np.asarray(given)[0].tolist() == taken.tolist() == [0, 2, 2, 254, 255, 255, 0]


@pytest.mark.parametrize("size", [(3, 7, 7), (1, 20, 16), (4, 40, 36)])
@pytest.mark.parametrize("numbers", [0, 4])
def test_pictures_are_looked_at_in_the_graph(size: tuple[int, int, int], numbers: int) -> None:
    policy, actions = agent(TWO, numbers, pictures=[size, (3, 7, 7)])
    policy.encoder.pictures[0].colors.mean += 20.0  # pyright: ignore (a buffer)
    seen = observations(np.random.default_rng(2), policy, int(np.prod(size)) + 147)[:64]
    mine, theirs = policy.act(seen).action, twin(policy, actions).act(seen).action
    np.testing.assert_allclose(np.clip(mine, -1, 1), theirs, atol=1e-5, rtol=0)
    assert np.std(mine, axis=0).min() > 1e-3


@pytest.mark.parametrize("kind", ["numbers", "choices"])
def test_an_agent_that_remembers_gives_its_memory_back(kind: str) -> None:
    policy, actions = agent(DONE[kind], memory=6)
    with torch.no_grad():
        assert policy.memory is not None
        for bias in (policy.memory.cell.bias_ih, policy.memory.cell.bias_hh):
            bias.uniform_(-1.0, 1.0, generator=torch.Generator().manual_seed(1))
    other, rng = twin(policy, actions), np.random.default_rng(3)
    mine, theirs = policy.begin(8), other.begin(8)
    assert theirs.shape == (8, 6)
    for _ in range(20):
        seen = rng.standard_normal((8, 4)).astype(np.float32)
        ours, found = policy.act(seen, None, mine), other.act(seen, None, theirs)
        np.testing.assert_allclose(
            *(checked_action(one.action, 8, actions.stored) for one in (ours, found)), atol=1e-5, rtol=0
        )
        np.testing.assert_allclose(ours.memory_N, found.memory_N, atol=1e-5)
        mine, theirs = ours.memory_N, found.memory_N
    assert np.abs(mine).max() > 0.1


def test_a_graph_is_checked_by_onnx_and_read_by_it_with_its_seal() -> None:
    import onnx

    policy, actions = agent(TWO)
    model = agent_graph(policy, actions)
    read = onnx.load_from_string(sealed(model.SerializeToString()))
    assert [entry.key for entry in read.metadata_props] == ["peripatos_sha256"]
    assert read.graph == model.graph
    assert [one.name for one in read.graph.input] == [OBSERVATION]


def test_what_onnxruntime_cannot_read_is_said() -> None:
    with pytest.raises(UserError, match=r"onnxruntime [\d.]+ cannot read the agent's graph: "):
        open_session(b"no graph")
