"""What a worker holds: an agent and its actors, made from the scenario's words in a process of its own.

A worker knows nothing but what it is told: each order says in which stage, from which state and with which weights it
is carried out, and everything that the next order depends on goes back with the answer. So another worker can go on
where one was lost, and the groups of the lost one are collected again as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...agents.protocols import Policy, Weights
from ...agents.weights import moving_tensors
from ...envs.vocabulary import Collection
from ..assembly.actors import StageParts, make_stage
from ..assembly.policies import make_policy
from ..assembly.worlds import WorldSources
from ..config.schema import Scenario


class Shipment(NamedTuple):
    """The weights of one version on their way, statistics of observations too: by their names in a module's
    `state_dict`, on the CPU."""

    version: int
    tensors: dict[str, Tensor]


def pack_weights(policy: Policy, weights: Weights) -> Shipment:
    """`weights`, out of the module of `policy` where they are nowhere else; without what nobody trains, which workers
    have (the base of an adapter). ValueError for those in a folder."""
    if weights.folder is not None:
        raise ValueError(f"weights in a folder ({weights.folder}) are not shipped to workers")
    moving = moving_tensors(policy)
    given = moving.items() if weights.tensors is None else weights.tensors()
    return Shipment(weights.version, {name: tensor.detach().cpu() for name, tensor in given if name in moving})


@dataclass(frozen=True)
class Order:
    """What a worker is asked: the arguments of `Actor.collect`, and where it begins."""

    stage: int
    groups: tuple[int, ...]
    group_size: int
    seed: int
    version: int
    state: Mapping[str, Tensor] | None = None  # of the actor before; None: as the order before left it
    threads: int | None = None  # of torch; None: as many as the worker began with


class Answer(NamedTuple):
    """What came of an order, and the actor's state behind it."""

    collection: Collection
    state: dict[str, Tensor]


class Rollout:
    """A worker.

    Args:
        scenario: as JSON.
        threads: of torch, as many as the process has that asks: sums are rounded by it.
    """

    def __init__(self, scenario: Mapping[str, Any], *, threads: int) -> None:
        self._words = scenario
        self._stage: int | None = None
        self._parts: StageParts | None = None
        torch.set_num_threads(threads)

    def collect(self, order: Order, shipment: Shipment) -> Answer:
        """Carry out an order. RuntimeError for weights of another version than it asks for, or a stage that was not
        entered."""
        if shipment.version != order.version:
            raise RuntimeError(f"version {order.version} was asked for, and the weights are version {shipment.version}")
        if order.threads is not None:
            torch.set_num_threads(order.threads)
        if order.state is not None:
            self._enter(order.stage, order.state)
        if self._parts is None or self._stage != order.stage:
            raise RuntimeError(f"stage {order.stage} goes on, and this worker is in stage {self._stage}")
        collector = self._parts.collector
        collector.load(Weights(shipment.version, tensors=shipment.tensors.items))
        collection = collector.collect(order.groups, order.group_size, seed=order.seed, version=order.version)
        return Answer(collection, collector.state())

    def close(self) -> None:
        """Free the worlds; closing twice is harmless."""
        self._leave()
        if "_agent" in self.__dict__:
            self._agent[2].close()

    @cached_property
    def _agent(self) -> tuple[Scenario, Policy, WorldSources]:
        """Made at the first order, whose answer can say what is wrong with it."""
        from ..commands.app import load_plugins

        load_plugins()
        scenario = Scenario.model_validate(self._words)
        sources = WorldSources.of(scenario)
        policy = make_policy(scenario, "cpu", sources.first)
        assert policy is not None, "the schema gives workers to agents that learn"
        return scenario, policy, sources

    def _enter(self, stage: int, state: Mapping[str, Tensor]) -> None:
        self._leave()
        scenario, policy, sources = self._agent
        self._parts, self._stage = make_stage(scenario, scenario.stages[stage], policy, sources), stage
        self._parts.collector.load_state(state)

    def _leave(self) -> None:
        if self._parts is not None:
            self._parts.close()
        self._parts = self._stage = None
