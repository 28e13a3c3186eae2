"""A control agent as one ONNX graph: what the world shows in, what it is to be given out, and nothing to add outside.

    observation [N, D + P] ── normalise, clip ──┐
                         └─ pictures ── convolve ┴─ [GRU] ── actor ── likeliest action ── units, bounds ── action [N, …]

The graph is written node by node: a few dozen of them, in names that one reads in a viewer, need no tracer and no
package besides `onnx`. (`torch.onnx.export` of torch 2.13 asks for `onnxscript` and decides itself what the nodes are.)
Of what an actor knows, σ and the critic stay behind, for the action is the likeliest one. An agent that remembers has a
second input and output, `memory` and `next_memory` [N, H], which begin at zero.

    Box             action [N, A] float32, within the bounds, and whole where the world's numbers are
    Discrete        action [N] int64, as the world counts them
    MultiDiscrete   action [N, K] int64, likewise
    both            action [N, A + K] float32: the numbers, then the choices
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.spaces import Box, Discrete, Tuple
from torch import Tensor, nn

from ...envs.control.flat_spaces import EXACT, Actions, StoredActions
from ..running_moments import RunningMoments
from .encoders import CLIP, PictureEncoder
from .memory import GatedMemory
from .mlp import ActorCritic
from .onnx_agent import ACTION, MEMORY, NEXT_MEMORY, OBSERVATION

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_OPSET, _IR = 17, 8  # of 2022: old enough for the runtimes on robots, and new enough for a GRU


class _Graph:
    """Nodes and constants, in the order in which they are added; what adds one gives the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, value: Tensor | np.ndarray | Iterable[int], name: str) -> str:
        """A tensor of the weights, or whole numbers that say a shape."""
        from onnx.numpy_helper import from_array

        if isinstance(value, Tensor):
            value = value.detach().cpu().numpy()
        array = value if isinstance(value, np.ndarray) else np.asarray(list(value), np.int64)
        name = f"{name}.{len(self.constants)}"
        self.constants.append(from_array(array, name))
        return name

    def node(self, kind: str, *inputs: str, result: str | None = None, **attributes: Any) -> str:
        """One operation with one result, which is called `result`."""
        return self.split(kind, 1, *inputs, result=result, **attributes)[0]

    def split(self, kind: str, results: int, *inputs: str, result: str | None = None, **attributes: Any) -> list[str]:
        """One operation with several results."""
        from onnx.helper import make_node

        stem = f"{kind}.{len(self.nodes)}"
        names = [stem if results == 1 else f"{stem}.{k}" for k in range(results)] if result is None else [result]
        self.nodes.append(make_node(kind, inputs, names, name=stem, **attributes))
        return names

    def parts(self, x: str, sizes: Iterable[int], *, axis: int = 1) -> list[str]:
        """`x` cut into pieces of these sizes along an axis, without those of size zero."""
        ends = np.cumsum([0, *sizes])
        pieces = [(int(start), int(end)) for start, end in pairwise(ends) if end > start]
        if len(pieces) == 1:
            return [x]
        lengths = self.constant((end - start for start, end in pieces), "sizes")
        return self.split("Split", len(pieces), x, lengths, axis=axis)

    def joined(self, parts: list[str]) -> str:
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=1)


def agent_graph(policy: ActorCritic, actions: Actions) -> ModelProto:
    """The likeliest action of `policy` in a world with these `actions`."""
    from onnx import TensorProto, checker, helper

    graph = _Graph()
    numbers, pictures = len(policy.observations.mean), policy.encoder.pictures
    pixels = [math.prod(one.size) for one in pictures if isinstance(one, PictureEncoder)]
    seen = _features(graph, policy, [numbers, *pixels])
    kinds = {"float": TensorProto.FLOAT, "int64": TensorProto.INT64}
    inputs = [helper.make_tensor_value_info(OBSERVATION, kinds["float"], ["N", numbers + sum(pixels)])]
    outputs = [_action_info(actions.stored, policy, kinds)]
    if policy.memory is not None:
        remembered = _remembered(graph, policy.memory, seen)
        seen = graph.joined([seen, remembered])
        size = ["N", policy.memory.size]
        inputs.append(helper.make_tensor_value_info(MEMORY, kinds["float"], size))
        outputs.append(helper.make_tensor_value_info(NEXT_MEMORY, kinds["float"], size))
    _action(graph, policy, _layers(graph, policy.actor, seen), actions)
    made = helper.make_graph(graph.nodes, "agent", inputs, outputs, graph.constants)
    opset = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(made, opset_imports=opset, ir_version=_IR, producer_name="peripatos")
    checker.check_model(model, full_check=True)
    return model


def numbers_in(space: StoredActions) -> Box:
    """The numbers in an action that has some."""
    box = space.spaces[0] if isinstance(space, Tuple) else space
    assert isinstance(box, Box)
    return box


def _action_info(space: StoredActions, policy: ActorCritic, kinds: Mapping[str, int]) -> Any:
    """Type and shape of the action."""
    from onnx.helper import make_tensor_value_info

    if isinstance(space, Discrete):
        return make_tensor_value_info(ACTION, kinds["int64"], ["N"])
    width = policy.head.real + len(policy.head.choices)
    return make_tensor_value_info(ACTION, kinds["float" if policy.head.real else "int64"], ["N", width])


def _features(graph: _Graph, policy: ActorCritic, sizes: list[int]) -> str:
    """As `Encoder.look`."""
    pieces = graph.parts(OBSERVATION, sizes)
    seen = [_normalized(graph, policy.observations, pieces.pop(0), (-1,))] if sizes[0] else []
    for encoder, piece in zip(policy.encoder.pictures, pieces, strict=True):
        assert isinstance(encoder, PictureEncoder)
        picture = graph.node("Reshape", piece, graph.constant((-1, *encoder.size), "picture"))
        seen.append(_layers(graph, encoder.layers, _normalized(graph, encoder.colors, picture, (-1, 1, 1))))
    return graph.joined(seen)


def _normalized(graph: _Graph, moments: RunningMoments, x: str, shape: tuple[int, ...]) -> str:
    """As `RunningMoments.normalize`, in float32, with `shape` for the statistics."""
    mean, scale = (one.float().reshape(shape) for one in (moments.mean, moments.std().reciprocal()))
    away = graph.node("Sub", x, graph.constant(mean, "mean"))
    bounds = [graph.constant(np.asarray(bound, np.float32), "clip") for bound in (-CLIP, CLIP)]
    return graph.node("Clip", graph.node("Mul", away, graph.constant(scale, "scale")), *bounds)


def _remembered(graph: _Graph, memory: GatedMemory, seen: str) -> str:
    """As `GatedMemory.step`: what is remembered behind this one. ONNX has the gates z, r, n where torch has r, z, n."""

    def gates(tensor: Tensor) -> Tensor:
        r, z, n = tensor.chunk(3)
        return nn.utils.parameters_to_vector([z, r, n]).reshape(1, *tensor.shape)

    cell = memory.cell
    weights = [graph.constant(gates(one), name) for one, name in ((cell.weight_ih, "W"), (cell.weight_hh, "R"))]
    both = nn.utils.parameters_to_vector([gates(cell.bias_ih), gates(cell.bias_hh)])[None]
    time = graph.constant([0], "axis")
    step, before = (graph.node("Unsqueeze", one, time) for one in (seen, MEMORY))
    recurrent = graph.split(
        "GRU", 2, step, *weights, graph.constant(both, "B"), "", before, hidden_size=memory.size, linear_before_reset=1
    )
    return graph.node("Squeeze", recurrent[1], time, result=NEXT_MEMORY)


def _layers(graph: _Graph, layers: nn.Module, x: str) -> str:
    """The layers of a `Sequential`, one after the other."""
    for layer in layers.children():
        if isinstance(layer, nn.Linear):
            weight, bias = graph.constant(layer.weight, "weight"), graph.constant(layer.bias, "bias")
            x = graph.node("Gemm", x, weight, bias, transB=1)
        elif isinstance(layer, nn.Conv2d):
            weight, bias = graph.constant(layer.weight, "weight"), graph.constant(_bias(layer), "bias")
            x = graph.node("Conv", x, weight, bias, strides=list(layer.stride))
        else:
            x = graph.node({nn.Tanh: "Tanh", nn.ReLU: "Relu", nn.Flatten: "Flatten"}[type(layer)], x)
    return x


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _action(graph: _Graph, policy: ActorCritic, head: str, actions: Actions) -> None:
    """As `ActionHead.choose` without noise, and as the world takes it: numbers within their bounds and then rounded, as
    `Actions.own` has them, and choices counted as the world counts them."""
    from onnx import TensorProto

    real, choices = policy.head.real, policy.head.choices
    pieces = graph.parts(head, [real, *choices])
    done: list[str] = []
    if real:
        box, whole = numbers_in(actions.stored), actions.whole
        bounds = (bound.astype(np.float32).ravel() for bound in (box.low, box.high))
        low, high = (np.where(whole, np.clip(bound, -EXACT, EXACT), bound).astype(np.float32) for bound in bounds)
        numbers = pieces.pop(0)
        if policy.head.units is not None:
            middle, half = policy.head.units
            numbers = graph.node("Mul", numbers, graph.constant(half, "half"))
            numbers = graph.node("Add", numbers, graph.constant(middle, "middle"))
        above = graph.node("Max", numbers, graph.constant(low, "low"))
        numbers = graph.node("Min", above, graph.constant(high, "high"))
        if whole.any():  # half to even, as NumPy
            rounded = graph.node("Round", numbers)
            numbers = rounded if whole.all() else graph.node("Where", graph.constant(whole, "whole"), rounded, numbers)
        done.append(numbers)
    if choices:
        single = isinstance(actions.stored, Discrete)
        likeliest = [graph.node("ArgMax", one, axis=1, keepdims=int(not single)) for one in pieces]
        chosen = graph.node("Add", graph.joined(likeliest), graph.constant(actions.first, "first"))
        done.append(graph.node("Cast", chosen, to=TensorProto.FLOAT) if real else chosen)
    graph.node("Identity", graph.joined(done), result=ACTION)
