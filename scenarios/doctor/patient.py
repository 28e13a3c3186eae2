"""Whom the checks look at: an agent in its worlds, as a scenario or a run has them, at a scale of seconds.

The scenario is the user's own but for how much is collected: a few groups, a few steps, short replies. Every collection
is made by actors and worlds of its own, so that nothing but its arguments can have made it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from ...agents.protocols import Policy, Weights
from ...envs.check_play import require
from ...envs.contained import Contained
from ...envs.errors import UserError
from ...envs.time_limits import REMEDY, tried
from ...envs.vocabulary import Batch, Collection
from ..assembly.actors import make_stage
from ..assembly.checks import check_parts
from ..assembly.policies import make_policy
from ..assembly.settings import choose_device, stage_method
from ..assembly.several import batch_groups
from ..assembly.worlds import WorldSources
from ..config.agents import OpenAIAgentSpec, Origin
from ..config.collect import Collect
from ..config.loading import open_scenario
from ..config.mistakes import placed
from ..config.schema import Sampling, Scenario, Stage
from ..run.roles import check_models
from ..run.saved_agent import begin_from, check_origin, open_agent

GROUPS, SIZE, STEPS, TOKENS = 2, 2, 32, 16  # of a collection: groups of each world, members, steps of a row, of a reply

WAITS = "episodes go on in the order in which tools, servers or an engine answer: nothing is promised bit for bit"


class DoesNotApply(Exception):
    """A check has nothing to look at here; the message says why."""


class Patient:
    """An agent and its worlds.

    Args:
        scenario: of which it is; `scenario` is that at a small scale.
        sources: of its worlds.
        policy: the agent as it stands; None where it is one that cannot learn.
        device: where the policy is.
    """

    def __init__(self, scenario: Scenario, sources: WorldSources, policy: Policy | None, device: str) -> None:
        self.sources, self.device = sources, device
        self._policy = policy
        sampling = scenario.sampling or Sampling()
        short = sampling.model_copy(update={"max_tokens": min(sampling.max_tokens, TOKENS)})
        self.scenario = scenario.model_copy(update={"sampling": short}) if scenario.speaks else scenario
        self.seconds = 0.0  # that the first collection took

    @property
    def policy(self) -> Policy:
        """The agent that learns."""
        if self._policy is None:
            raise DoesNotApply(f"an agent of kind {self.scenario.agent.kind!r} learns nothing")
        return self._policy

    @property
    def talks(self) -> bool:
        """Whether the worlds are conversations."""
        return self.sources.first.facts.kind == "conversation"

    @property
    def waits(self) -> bool:
        """Whether episodes go on in the order of answers of tools or servers, so that nothing is equal bit for bit."""
        return any(source.facts.waits for source in self.sources.values()) or self.scenario.engine is not None

    @property
    def precision(self) -> str:
        """The coarser one of who acts and who learns."""
        engine = self.scenario.engine
        return self.scenario.precision if engine is None else engine.vllm.dtype or self.scenario.precision

    @cached_property
    def learning(self) -> Stage:
        """The last stage that learns from what the agent does; the last that learns at all, where none does."""
        stages = [stage for stage in self.scenario.stages if stage.method is not None]
        if not stages:
            raise DoesNotApply("no stage of the scenario learns")
        own = [stage for stage in stages if stage_method(stage).source == "own"]
        return self._small((own or stages)[-1])

    @cached_property
    def acting(self) -> Stage:
        """A stage in which the agent itself acts, and as that in which it learns, where it learns from that."""
        learns = self.scenario.learns and any(stage.method is not None for stage in self.scenario.stages)
        if learns and self.learning.demonstrations is None:
            return self.learning
        return Stage(name="act").model_copy(update={"collect": Collect(groups=self._groups, group_size=SIZE)})

    @cached_property
    def collection(self) -> Collection:
        """What the agent does, with something to learn from in it. `UserError` where no episode has a reward."""
        begun = time.monotonic()
        found = self.collect(self.acting)
        self.seconds = time.monotonic() - begun
        return found

    @property
    def batch(self) -> Batch:
        """That of `collection`, where the policy is."""
        return self._scored(self.collection).to(self.device)

    @property
    def lesson(self) -> Batch:
        """What a stage learns from: what the agent does, or what is shown to it."""
        return self.batch if self.acting is self.learning else self._scored(self.collect(self.learning)).to(self.device)

    def groups(self, stage: Stage) -> list[int]:
        """Those of a stage's first collection."""
        assert stage.collect is not None, "both stages collect"
        return batch_groups(self.scenario, stage.collect, 0, segments=False)

    def collect(
        self, stage: Stage, *, seed: int = 0, groups: Sequence[int] | None = None, tile: int | None = None
    ) -> Collection:
        """What is done in `stage`, by actors and in worlds that are made for it; of its `groups` all, unless given.

        DoesNotApply where a server acts, whose chance is its own; Broken where whole episodes would have no end.
        """
        if isinstance(self.scenario.agent, OpenAIAgentSpec):
            raise DoesNotApply("a server replies, and its chance is its own")
        assert stage.collect is not None, "both stages collect"
        if stage.collect.horizon is None:
            self.require_ends()
        stage = stage.model_copy(update={"collect": stage.collect.model_copy(update={"tile": tile})})
        parts = make_stage(self.scenario, stage, self._policy, self.sources)
        try:
            parts.collector.load(Weights(0))
            numbers = self.groups(stage) if groups is None else groups
            size = stage.collect.group_size if stage.collect is not None else 1
            return parts.collector.collect(numbers, size, seed=seed, version=0)
        finally:
            parts.close()

    def require_ends(self) -> None:
        """Broken where nothing limits the episodes of a body's world, and of random actions none has ended."""
        require(not self._endless, self._endless)

    @cached_property
    def _endless(self) -> str:
        for source in self.sources.values():
            if source.facts.kind != "control" or source.facts.longest_episode is not None:
                continue
            world = source.make()
            try:
                with Contained(source.id):
                    trial = tried(world)
            finally:
                world.close()
            if trial.cut is None and not trial.ended:
                return f"{source.id}: an episode has not ended after {trial.steps:,} random steps; {REMEDY}"
        return ""

    def _small(self, stage: Stage) -> Stage:
        """`stage` with little to collect."""
        collect = stage.collect
        assert collect is not None, "the schema asks for it where there is a method"
        less = {
            "groups": self._groups if collect.horizon is None else self._groups * SIZE,
            "group_size": min(collect.group_size, SIZE),
            "horizon": None if collect.horizon is None else min(collect.horizon, STEPS),
            "tile": None,
            "curriculum": None,
            "gate": None,
            "refill": 0,
        }
        return stage.model_copy(update={"collect": collect.model_copy(update=less)})

    @property
    def _groups(self) -> int:
        return GROUPS * len(self.sources)

    @staticmethod
    def _scored(collection: Collection) -> Batch:
        if collection.batch is not None:
            return collection.batch
        causes = [(one.failure, one.unanswered, one.unscored) for one in collection.episodes]
        why = next((cause for each in causes for cause in each if cause is not None), "none has come to its end")
        raise UserError(f"no episode gave anything to look at: {why}")


@contextmanager
def of_scenario(name: str) -> Iterator[Patient]:
    """The agent of a scenario as it begins. UserError for all that a run of it would refuse."""
    scenario, source = open_scenario(name, [])
    with placed(source), check_parts(scenario, source) as sources:
        check_origin(scenario)
        scenario = check_models(scenario)
        device = choose_device(scenario.device, scenario.agent)
        policy = make_policy(scenario, device, sources.first)
        origin = getattr(scenario.agent, "origin", None)
        if policy is not None and origin is not None:
            begin_from(policy, origin)
        yield Patient(scenario, sources, policy, device)


@contextmanager
def of_run(path: Path, checkpoint: str) -> Iterator[Patient]:
    """The agent of a run as `checkpoint` has it (best, last or a number). UserError where there is none, or it is
    damaged."""
    opened = open_agent(path, checkpoint)
    scenario = opened.scenario
    with opened.sources:
        device = choose_device(scenario.device, scenario.agent)
        if opened.policy is not None:
            origin = Origin(run=str(path.absolute()), checkpoint=checkpoint)
            scenario = scenario.model_copy(update={"agent": scenario.agent.model_copy(update={"origin": origin})})
        yield Patient(scenario, opened.sources, opened.policy, device)
