"""What a scenario may say: the grammar of the YAML files, and nothing about how they are read or run.

    scenario = world + agent + stages, run in order on the same agent, with one seed

Every key that is not named here is refused. What belongs to an algorithm (the constants of a method, the
settings of an optimiser) is not repeated here: those keys are checked against the algorithms' own tables.
Left out on purpose: schedules of anything but the learning rate, conditions between stages, loops.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from ...envs.errors import WrongWithin, nearest
from ...envs.quantities import Count, NoNumber, Seconds, Share, meant_by, read_number, real, shown, whole
from .agents import Agent, CausalLMAgentSpec, Demonstrator, MlpAgentSpec, TinyLlamaAgentSpec
from .collect import MANY, Collect, Many
from .engine import Engine
from .roles import Models
from .voices import MinP, Part, Temperature, TopP, VoiceSpec

Workers = Annotated[int, whole(1, 1000)]


def _are_workers(given: object) -> object:
    if given != "auto" and not (isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= 1000):
        hint = nearest(str(given), ["auto"])
        raise ValueError(f"{shown(given)} is no number of processes; allowed are auto and 1 to 1000.{hint}")
    return given


WorldWorkers = Annotated[int | Literal["auto"], BeforeValidator(_are_workers)]


class Wrapping(Part):
    """A wrapper around a world: a name in `gymnasium.wrappers`, or `module:Class`, and its options."""

    id: str
    options: dict[str, JsonValue] = {}


class WorldSpec(Part):
    """Where the agent acts: a Gymnasium id (ours or any other) or `module:Class`, its options, and what is wrapped
    around it, from the inside out; and who speaks where the world talks to somebody else (a customer, a judge), by the
    names that it has for them.

    The limits of seconds are for worlds of messages that wait for tools or servers: the world's own work, without what
    its tools may take by limits of their own. Bodies that are simulated on a pool of threads have `threads`; of other
    bodies, each of which is an object that may hold a simulator or a licence, `at_once` are open for whole episodes: so
    many to learn, and so many to be evaluated. These are stepped in so many processes as `workers` says (auto: one for
    each core, where a step takes a millisecond or longer): the same episodes, and one that crashes, or takes longer
    than `step_seconds` for a step, costs its episode alone. By default they are stepped in the run's own process.
    """

    id: str
    options: dict[str, JsonValue] = {}
    wrappers: list[Wrapping] = []
    threads: Workers | None = None  # default: one for each core, or what OMP_NUM_THREADS says
    at_once: Many | None = None  # default: as many as the stage collects, 8 where it does not
    workers: WorldWorkers | None = None
    voices: dict[str, VoiceSpec] = {}
    step_seconds: Seconds | None = None  # for one step; default 60
    episode_seconds: Seconds | None = None  # for all steps of an episode; default 600


class SharedWorld(WorldSpec):
    """One of several worlds in which the agent lives at once."""

    name: Annotated[str, Field(pattern=r"^[\w-]{1,100}$")] | None = None  # before its numbers; default: from the id
    share: Annotated[float, real(above=0, most=1e6)] = 1.0
    """Of the groups of each collection, in proportion to those of the others."""
    overrides: dict[str, dict[str, dict[str, JsonValue]]] = {}  # by stage: its `credit` and `rewards` here

    @property
    def called(self) -> str:
        """`name`, or what the id says: "peripatos/Arithmetic-v0" is "arithmetic"."""
        last = re.split(r"[/:.]", self.id)[-1]
        return self.name or re.sub(r"\W", "-", re.sub(r"-v\d+$", "", last)).lower()


class Sampling(Part):
    """How a language agent draws tokens while it learns."""

    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    top_k: Many | None = None
    min_p: MinP = 0.0
    max_tokens: Many = 32


class Demonstrations(Part):
    """Who shows what to imitate, alone or beside reinforcement (`update.imitation_coefficient`): an agent, or
    conversations in a file or a data set (see `ChatWorld`), or plain text (see `WrittenTexts`); or what to prefer:
    pairs of replies in one (see `PairWorld`)."""

    agent: Demonstrator | None = None
    chats: str | None = None
    pairs: str | None = None
    text: str | None = None

    @property
    def written(self) -> str | None:
        """Which of `chats`, `pairs` and `text` is given."""
        return next((name for name in ("chats", "pairs", "text") if getattr(self, name) is not None), None)

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Demonstrations:
        given = [name for name in ("agent", "chats", "pairs", "text") if getattr(self, name) is not None]
        if len(given) != 1:
            words = (
                f"demonstrations have one of agent, chats, pairs and text, and here are "
                f"{' and '.join(given) or 'none'}: {{agent: {{kind: oracle}}}}, {{chats: chats.jsonl}}, "
                "{pairs: pairs.jsonl} or {text: corpus.txt}"
            )
            raise WrongWithin(given[1:2], words)
        return self


class Budget(Part):
    """What a stage may spend; the first limit that is reached ends it.

    An epoch is a pass over the training tasks of a list, or over the chats or pairs of `demonstrations` where these are
    all that is learned from; its last round is filled from the beginning of the next. Seconds are those of the clock,
    evaluations within the stage included, and count across resumes. How many updates they are worth, and with
    `schedule: linear` how long each step is, differs from run to run.
    """

    updates: Count | None = None
    action_units: Count | None = None
    env_steps: Count | None = None
    epochs: Annotated[float, real(above=0)] | None = None
    seconds: Seconds | None = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> Budget:
        if not self.limits():
            words = "a budget needs at least one of updates, action_units, env_steps, epochs, seconds"
            raise WrongWithin(sorted(self.model_fields_set)[:1], words)
        return self

    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


def read_goal(goal: object) -> tuple[Literal["≥", "≤"], float]:
    """Which side of which number a goal is: 250 and ">= 250" are reached from below, "<= 10" from above.

    `ValueError` for anything else.
    """
    text = str(goal).strip() if isinstance(goal, int | float | str) and not isinstance(goal, bool) else ""
    said = re.fullmatch(r"(<=|>=|≤|≥)?\s*(\S+)", text)
    number = read_number(said[2]) if said else None
    if number is None or not abs(number) < 1e300:
        meant = meant_by(said[2]) if said else None
        hint = "" if meant is None else f"; write {meant:g}"
        raise ValueError(
            f"{shown(goal)} is no goal: give a number that is to be reached, or '<= NUMBER' for a cost{hint}"
        )
    return "≤" if said and said[1] in ("<=", "≤") else "≥", number


def _as_given(goal: object) -> object:
    read_goal(goal)
    return goal


Stop = dict[str, Annotated[float | str, BeforeValidator(_as_given)]]
"""A stage ends early once one evaluation reaches all of these: numbers of `evaluations.jsonl`, by name."""


class Stage(Part):
    """One method with its budget. Without a method the stage only evaluates."""

    name: Annotated[str, Field(pattern=r"^\w[\w+-]{0,99}$")]  # no dots: `--set stages.NAME.key=value`
    method: str | None = None
    overrides: dict[str, JsonValue] = {}  # onto the method's row, nested as the row is
    optimizer: dict[str, JsonValue] = {}  # fields of the learner's OptimizerSettings
    collect: Collect | None = None
    demonstrations: Demonstrations | None = None
    models: Models | None = None  # that the method reads beside the agent, by role
    budget: Budget | None = None
    stop: Stop = {}

    @model_validator(mode="after")
    def _a_method_needs_experience_and_a_limit(self) -> Stage:
        if self.method is None:
            idle = ("overrides", "optimizer", "collect", "demonstrations", "models", "budget", "stop")
            if given := [name for name in idle if getattr(self, name)]:
                raise WrongWithin(
                    ["method"] if "method" in self.model_fields_set else [],
                    f"stage {self.name!r} has no method, so that {', '.join(given)} would have no effect: give "
                    "method, such as ppo or grpo",
                )
            return self
        missing = [name for name in ("collect", "budget") if getattr(self, name) is None]
        if missing:
            what = " and ".join(missing)
            raise WrongWithin(missing[:1], f"stage {self.name!r} learns by {self.method!r} and so needs {what}")
        return self


class RolloutSpec(Part):
    """The processes that collect: each plays its share of the tiles on `cpus` cores, never on a GPU. One that dies, or
    takes longer than `seconds` for its share of an update, is replaced.
    """

    workers: Workers
    cpus: Workers = 1
    seconds: Seconds = 3600.0


class ClusterSpec(Part):
    """Where a run's processes are: on this machine, held by a Ray of its own."""

    address: Literal["local"] = "local"
    rollout: RolloutSpec


def _all_or_many(value: object) -> object:
    try:
        return value if value == "all" else MANY.func(value)  # pyright: ignore[reportCallIssue]
    except NoNumber as problem:
        raise NoNumber(
            str(problem).replace("allowed is a whole", "allowed are all (held-out tasks) and a whole")
        ) from None


class Evaluation(Part):
    """Greedy episodes that nobody trains on: so many, or one of each held-out task of a list (`all`).

    Those of the test tasks are reported, before and after each stage. Those of the validation tasks are played every so
    many updates, if asked, and decide when a goal is reached and which checkpoint is the best. `first`: a validation
    ends with so many of its tasks where these miss the stage's goal; where they reach it, the others follow and decide.
    With `split: validation` the tasks of validation are reported as well, and no test task is ever begun: for whoever
    chooses settings by what is reported, as `peripatos sweep` does.
    """

    every: Count | None = None
    episodes: Annotated[int | Literal["all"], BeforeValidator(_all_or_many)] = 100
    first: Count | None = None
    split: Literal["test", "validation"] = "test"


class Checkpoints(Part):
    """A checkpoint every so many updates; stages, new best scores and Ctrl-C make one as well."""

    every: Count = 20


class Failures(Part):
    """Failed episodes are recorded and never train; above this share the run stops with the first cause."""

    max_share: Share = 0.1


class LogSpec(Part):
    """How many episodes are kept for reading, of each evaluation and of the collection before it."""

    episodes: Annotated[int, whole(0, 1_000_000)] = 8


class Anchors(Part):
    """Scores by which those of other worlds can be set beside this one's: of acting at random, and of a reference."""

    random: Annotated[float, real()]
    reference: Annotated[float, real()]

    @model_validator(mode="after")
    def _reference_is_better(self) -> Anchors:
        if self.reference <= self.random:
            words = "the reference is better than acting at random, and more is better"
            raise WrongWithin(
                ["reference"], f"scores has random {self.random:g}, reference {self.reference:g}; {words}"
            )
        return self

    @property
    def are_shares(self) -> bool:
        """Whether both can be success rates."""
        return 0 <= self.random < self.reference <= 1


def _says_where_from(variant: dict[str, JsonValue]) -> dict[str, JsonValue]:
    said = variant.get(FROM, "here")
    if not isinstance(said, str) or not said.strip():
        raise WrongWithin([FROM], f"{FROM} is {shown(said)}; it says in words where a variant's settings are from")
    return variant


FROM = "from"  # the key of a variant that overrides nothing
Variant = Annotated[dict[str, JsonValue], AfterValidator(_says_where_from)]


class Scenario(Part):
    """One file of `scenarios/`, resolved and checked. Of several `worlds`, `world` is the first."""

    name: Annotated[str, Field(pattern=r"^\w[\w .+-]{0,99}$")]  # it names folders
    description: str = ""
    seed: Annotated[int, whole(0)] = 0
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    world: WorldSpec
    worlds: list[SharedWorld] = []  # in place of `world`: all of one kind, for one agent
    agent: Agent
    engine: Engine = None  # what draws the tokens of a language agent; None: `transformers`
    sampling: Sampling | None = None  # language agents only
    stages: Annotated[list[Stage], Field(min_length=1)]
    evaluation: Evaluation = Evaluation()
    checkpoint: Checkpoints = Checkpoints()
    failures: Failures = Failures()
    log: LogSpec = LogSpec()
    cluster: ClusterSpec | None = None  # the processes that collect; by default the run's own
    trackers: list[str] = []  # who hears of the run besides: tensorboard
    scores: Anchors | None = None  # `compare`: what 0 and 1 are, over several scenarios
    variants: dict[str, Variant] = {}  # `compare`: dotted overrides, by the method that it puts in; where `from`

    @model_validator(mode="before")
    @classmethod
    def _world_is_the_first(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "worlds" not in data:
            return data
        if "world" in data:
            raise WrongWithin(["worlds"], "give `world`, or several `worlds`, and not both")
        first = data["worlds"][0] if isinstance(data["worlds"], list) and data["worlds"] else None
        if not isinstance(first, dict):
            raise WrongWithin(["worlds"], "`worlds` is a list of worlds, each with an id")
        return {**data, "world": {key: first[key] for key in first if key in WorldSpec.model_fields}}

    @model_serializer(mode="wrap")
    def _without_what_stands_twice(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data = handler(self)
        del data["world" if self.worlds else "worlds"]
        return data

    def alone(self) -> dict[str, Scenario]:
        """The scenario in each of its worlds alone, by the world's name; in its only one, under no name."""
        if not self.worlds:
            return {"": self}
        return {world.called: self.model_copy(update={"world": world, "worlds": []}) for world in self.worlds}

    def changes(self, method: str) -> dict[str, JsonValue]:
        """The dotted overrides of a method's variant."""
        return {key: value for key, value in self.variants.get(method, {}).items() if key != FROM}

    @property
    def learns(self) -> bool:
        """Whether the agent has parameters."""
        return isinstance(self.agent, MlpAgentSpec | TinyLlamaAgentSpec | CausalLMAgentSpec)

    @property
    def speaks(self) -> bool:
        """Whether the agent is a language model."""
        return isinstance(self.agent, TinyLlamaAgentSpec | CausalLMAgentSpec)
