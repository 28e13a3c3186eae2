"""What assembly asks of the scenario's worlds: of their sources, which construct as few as they can."""

from __future__ import annotations

from ...envs.conversation.chat_world import ChatWorld, WrittenWorld
from ...envs.conversation.conversation_env import Split
from ...envs.conversation.pair_world import HeldOutPairs, PairWorld
from ...envs.conversation.task_world import TaskWorld
from ...envs.errors import UserError
from ...envs.time_limits import REMEDY
from ...envs.world_source import WorldSource
from ..config.schema import Sampling, Scenario, Stage, WorldSpec


class WorldSources(dict[str, WorldSource]):
    """Where the worlds of a scenario come from, by their names; those of its only one, under no name. A run has one of
    this, from its checks to its last evaluation."""

    @classmethod
    def of(cls, scenario: Scenario) -> WorldSources:
        """Nothing is constructed yet."""
        return cls({name: source_of(one.world) for name, one in scenario.alone().items()})

    @property
    def first(self) -> WorldSource:
        """That of the first world, or the only one."""
        return next(iter(self.values()))

    def remarks(self) -> list[str]:
        """What is to be said of the worlds before anybody acts in them."""
        return [remark for source in self.values() for remark in (*source.facts.remarks, *source.noticed)]

    def decided(self) -> list[str]:
        """What `workers: auto` has come to, for each world where it stood."""
        return [
            f"{source.id!r} is stepped in {f'{workers} processes' if workers else 'the process of the run'}: {why}"
            for workers, why, source in ((*source.workers, source) for source in self.values())
            if why
        ]

    def endless(self) -> list[str]:
        """What is to be said of the worlds in which nothing limits an episode."""
        return [
            f"nothing limits an episode of {source.id!r}, and one that goes on for very long ends the run: {REMEDY}"
            for source in self.values()
            if source.facts.longest_episode is None and not _ends_by_itself(source)
        ]

    def evaluated(self, scenario: Scenario, split: Split) -> int:
        """How many episodes an evaluation of a split plays in each world.

        UserError where it is to play all tasks, and nobody knows how many there are.
        """
        asked = scenario.evaluation.episodes
        if asked != "all":
            return asked
        if len(self) > 1:
            raise UserError("evaluation.episodes is all, which is for one world; of several, give a number")
        there = self.first.facts.tasks.get(split)
        if there is None:
            raise UserError(
                f"evaluation.episodes is all, and the tasks of {self.first.id!r} are no list that has an end; "
                "give a number, such as 100"
            )
        return max(there, 1)

    def lists(self, split: Split) -> dict[str, int | None]:
        """How many tasks of a split each world has, by its name; None where they have no end."""
        return {name: source.facts.tasks.get(split) for name, source in self.items()}

    def epoch(self, stage: Stage) -> float | None:
        """How many updates of a stage are a pass over its tasks; None where nobody knows how many there are."""
        if stage.collect is None or len(self) > 1:
            return None
        from .settings import learns_from_shown  # with torch, which `play` does without

        written = written_down(stage) if learns_from_shown(stage) else None
        tasks = self.first.facts.tasks.get("train") if written is None else len(written)
        return tasks / stage.collect.groups if tasks else None

    def close(self) -> None:
        """As `WorldSource.close`, for all."""
        for source in self.values():
            source.close()

    def __enter__(self) -> WorldSources:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


def written_down(stage: Stage) -> WrittenWorld | None:
    """The conversations or pairs that a stage learns from; None where it learns from what somebody does, or from text
    (see `texts`). UserError for a source that cannot be read."""
    shown = stage.demonstrations
    if shown is None or shown.written in (None, "text"):
        return None
    if shown.chats is not None:
        return ChatWorld(shown.chats)
    from .settings import stage_method  # with torch, which `play` does without

    is_measured = stage.method is not None and stage_method(stage).judges  # on rows that are held out
    return (HeldOutPairs if is_measured else PairWorld)(shown.pairs or "")


def remarks_on_written(scenario: Scenario) -> list[str]:
    """What is to be said of the conversations and pairs that stages learn from, a sentence each."""
    written = [(stage, world) for stage in scenario.stages if (world := written_down(stage)) is not None]
    return [f"{stage.name}: {remark}" for stage, world in written for remark in world.remarks]


def source_of(world: WorldSpec) -> WorldSource:
    """Where worlds of one kind come from; nothing is constructed yet."""
    wrappers = [wrapper.model_dump() for wrapper in world.wrappers]
    limit = {} if world.step_seconds is None else {"step_seconds": world.step_seconds}
    return WorldSource(world.id, world.options, wrappers, workers=world.workers, **limit)


def _ends_by_itself(source: WorldSource) -> bool:
    """Whether a body truncates its episodes itself; whether the first reply ends an episode of tasks, as it does
    wherever a reward function gives a number. Asked where no limit is known."""
    return source.limits_itself() if source.facts.kind == "control" else ends_with_first_reply(source)


def ends_with_first_reply(source: WorldSource) -> bool:
    """Whether an episode of a conversation is one turn, as far as that can be known without an agent."""
    if source.facts.longest_episode is not None:
        return source.facts.longest_episode == 1
    if source.facts.waits or source.facts.voices:
        return False
    world = source.make()
    try:
        if not isinstance(world.unwrapped, TaskWorld):
            return False
        world.reset(seed=0, options={"split": "train"})
        return bool(world.step("")[2])
    except Exception:  # of a stranger's world: its episodes will say
        return False
    finally:
        world.close()


def longest_episode(scenario: Scenario, source: WorldSource) -> int:
    """The most units that an episode can have."""
    turns = source.facts.longest_episode
    if source.facts.kind == "conversation":
        return (turns or 1) * (scenario.sampling or Sampling()).max_tokens
    if turns is None:
        raise UserError(f"{source.id!r} has no limit of steps; give overrides.update.length")
    return turns
