"""Takes an agent out of a run directory, to measure it or to watch it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...agents.protocols import Policy, Weights
from ...envs.errors import UserError, nearest
from ...envs.seeding import derive_seed
from ..assembly.actors import make_stage
from ..assembly.checks import check_parts
from ..assembly.engines import check_engine
from ..assembly.policies import make_policy
from ..assembly.rehearsal import is_silent_about_success
from ..assembly.settings import choose_device, judging_stage
from ..assembly.sizes import check_evaluation
from ..assembly.worlds import WorldSources
from ..config.agents import Origin
from ..config.loading import apply_sets, check_scenario, dump_data
from ..config.mistakes import WrongPart, at
from ..config.schema import Scenario, Stage
from ..config.yaml_text import Source
from .checkpoint import BadCheckpoint, checkpoints, pointed_to, verify
from .disk import RunFailed
from .episode_statistics import NO_SUCCESS, Numbers, told_in
from .failed_episodes import first_causes, judge_evaluation
from .logs import EVALUATIONS, number_of
from .noticed import notice
from .provenance import edited_since, where_it_was_begun
from .reward_versions import other_reward
from .run_directory import RunDirectory
from .several_worlds import pass_rates_of_worlds, summarize_worlds
from .verified import read_log, trusted_scenario

FROM = ("agent", "from")
_FLAGS = {  # what is asked for by a flag of its own
    "evaluation": "; for another number of tasks give --episodes",
    "seed": "; for other tasks give --seed",
    "device": "; for another device give --device",
}


@dataclass(frozen=True)
class OpenedAgent:
    """An agent out of a run, and where it lives."""

    run: RunDirectory
    scenario: Scenario
    sources: WorldSources  # of the scenario's worlds; closed by who opened the agent
    policy: Policy | None


def open_agent(path: Path, checkpoint: str, device: str | None = None, sets: Sequence[str] = ()) -> OpenedAgent:
    """The agent of the run at `path`, as it stood at `checkpoint` (best, last or a number). `sets` are `--set` flags
    for the world.

    UserError if there is no such run or checkpoint, or the agent cannot live there; BadCheckpoint if the checkpoint is
    damaged.
    """
    run = RunDirectory.open(path)
    with where_it_was_begun(run):
        scenario, sources = _elsewhere(run, sets) if sets else _as_it_was(run)
    try:
        with where_it_was_begun(run):
            policy = make_policy(scenario, _device(device, scenario), sources.first)
        if policy is not None:
            _load(policy, find_checkpoint(run, checkpoint), run, sources, sets)
    except BaseException:
        sources.close()
        raise
    return OpenedAgent(run, scenario, sources, policy)


def begin_from(policy: Policy, origin: Origin) -> Path:
    """Make `policy` what another run's agent was, statistics and all, and give the checkpoint that it was read from. A
    critic is taken over where both have one. UserError if that run is not there or its agent does not fit.
    """
    folder = _origin_folder(origin) / "policy"
    try:
        policy.load(folder)
    except (ValueError, OSError):
        try:
            policy.load(folder, critic_too=False)
        except ValueError as problem:
            raise WrongPart(
                FROM, f"agent.from is {origin.run!r}, whose agent does not fit here: {problem}"
            ) from problem
    return folder


def check_origin(scenario: Scenario) -> None:
    """UserError if the run that the agent is to begin from cannot be read, has no such checkpoint, or has made a reward
    model, while this one begins with acting."""
    origin = getattr(scenario.agent, "origin", None)
    if origin is None:
        return
    _origin_folder(origin)
    judges = judging_stage(trusted_scenario(RunDirectory.open(Path(origin.run)))) is not None
    if judges and judging_stage(scenario) is not scenario.stages[0]:
        raise WrongPart(
            FROM,
            f"agent.from is {origin.run!r}, whose agent is a reward model: it scores replies, and has forgotten how to "
            f"act; name the run that it began from, or let it judge: models: {{reward: {origin.run}}}",
        )


def _origin_folder(origin: Origin) -> Path:
    with at(*FROM):
        run = RunDirectory.open(Path(origin.run))
    with at("agent", "checkpoint"):
        return find_checkpoint(run, origin.checkpoint)


def find_checkpoint(run: RunDirectory, name: str) -> Path:
    """The folder of a checkpoint, verified."""
    there = {number_of(path): path for path in checkpoints(run.checkpoints)}
    if not there:
        lost = run.lost_checkpoints()
        raise UserError(f"{lost}: put one back" if lost else f"{run.path} has no checkpoint yet")
    by_number = there.get(int(name)) if name.isdecimal() else None
    folder = pointed_to(run.checkpoints, name) if name in ("best", "last") else by_number
    if folder is None:
        pointers = [one for one in ("best", "last") if one != name and pointed_to(run.checkpoints, one) is not None]
        names = [*pointers, *(f"{number:06d}" for number in there)]
        raise UserError(f"{run.path} has no checkpoint {name!r}; it has {', '.join(names)}.{nearest(name, pointers)}")
    try:
        verify(folder)
    except BadCheckpoint as problem:
        others = [number for number, other in there.items() if other != folder]
        hint = f"; try --checkpoint {others[-1]:06d}" if others else ""
        raise BadCheckpoint(f"{problem}{hint}") from problem
    return folder


@dataclass(frozen=True)
class Examination:
    """How a saved agent is measured. By default greedily, on the test tasks of the run's own evaluations."""

    episodes: int | None = None  # tasks; default: as many as in the run's evaluations
    seed: int | None = None  # other tasks than the run's own
    sample: bool = False  # draw actions as in training
    k: int = 1  # episodes of each task; more than one are drawn, and give pass@k
    sets: Sequence[str] = ()  # `--set` flags for the world, the sampling and the engine


def evaluate_run(path: Path, checkpoint: str, how: Examination, *, device: str | None = None) -> Numbers:
    """The agent of a run, measured. UserError for a world in which it cannot live, and for flags that are not about
    the world, the sampling or the engine."""
    run = RunDirectory.open(path)
    scenario, sources = _elsewhere(run, how.sets)
    with ExitStack() as stack:
        stack.enter_context(where_it_was_begun(run))
        stack.enter_context(sources)
        if judging_stage(scenario) is not None:
            _check_judgement(how)
        count = how.episodes or sources.evaluated(scenario, "test")
        check_evaluation(scenario, count, how.k)
        if how.k > 1 and is_silent_about_success(scenario, sources):
            raise UserError(f"--k {how.k}: {NO_SUCCESS}")
        policy = make_policy(scenario, _device(device, scenario), sources.first)
        if policy is not None:
            _load(policy, find_checkpoint(run, checkpoint), run, sources, how.sets)
        parts = make_stage(scenario, judging_stage(scenario) or Stage(name="evaluate"), policy, sources)
        stack.callback(parts.close)
        parts.evaluator.load(Weights(0))
        _tell_what_is_other(run, scenario, sources, elsewhere=bool(how.sets))
        root = derive_seed(scenario.seed if how.seed is None else how.seed, "evaluation")
        greedy = not how.sample and how.k == 1
        episodes = parts.evaluator.evaluate(count, seed=root, version=0, greedy=greedy, each=how.k)
        if why := judge_evaluation(episodes, scenario.failures.max_share):
            raise RunFailed(why)
        for told in first_causes(episodes).values():
            notice(told)
        lists = sources.lists("test") if judging_stage(scenario) is None else {}
        told = () if how.sets else {name for row in read_log(run, EVALUATIONS) for name in told_in(row)}
        return summarize_worlds(episodes, lists, told) | (
            pass_rates_of_worlds(episodes, how.k, lists, told) if how.k > 1 else {}
        )


def _tell_what_is_other(run: RunDirectory, scenario: Scenario, sources: WorldSources, *, elsewhere: bool) -> None:
    """A notice where these numbers are not to be set beside those of the run; of another world nobody expects it."""
    if edited := edited_since(run, scenario):
        has = "has" if len(edited) == 1 else "have"
        notice(f"{', '.join(edited)} {has} changed since the run: its own numbers are of what was there before")
    elif not elsewhere and (other := other_reward(run, sources)):
        notice(f"{other}: the run's own numbers are not comparable with these")


def _check_judgement(how: Examination) -> None:
    """UserError for flags that are about who acts, where the agent is a reward model."""
    flags = {"--k": how.k > 1, "--sample": how.sample, "--set": bool(how.sets), "--seed": how.seed is not None}
    for flag, given in flags.items():
        if given:
            raise UserError(
                f"{flag} is for agents that act, and this one is a reward model: it is measured on the rankings that "
                "its run held out"
            )


def _load(policy: Policy, folder: Path, run: RunDirectory, sources: WorldSources, sets: Sequence[str]) -> None:
    """Make `policy` the one of a checkpoint of the run. UserError where it does not fit the world with `sets`."""
    try:
        policy.load(folder / "policy")
    except ValueError as problem:
        other = _other_spaces(run, sources, sets) if sets else ""
        raise UserError(f"the agent of {run.path} does not fit {sources.first.id!r}: {other}{problem}") from problem


def _other_spaces(run: RunDirectory, sources: WorldSources, sets: Sequence[str]) -> str:
    """How the world as `sets` have it differs from the one in which the run's agent learned; nothing where that one
    cannot be made any more."""
    try:
        with _as_it_was(run)[1] as learned_in:
            was, now = learned_in.first.facts, sources.first.facts
    except UserError:
        return ""
    spaces = (("shows", was.observation_space, now.observation_space), ("takes", was.action_space, now.action_space))
    changed = [(does, there, here) for does, there, here in spaces if here != there]
    told = [f"{does} {here}, and {does} {there} where the agent learned" for does, there, here in changed]
    return f"with {', '.join(sets)} it {'; it '.join(told)}; " if told else ""


def _as_it_was(run: RunDirectory) -> tuple[Scenario, WorldSources]:
    """The run's own scenario, and the source of its worlds."""
    scenario = trusted_scenario(run)
    return scenario, WorldSources.of(scenario)


def _device(asked: str | None, scenario: Scenario) -> str:
    """The device that was asked for, or the scenario's."""
    try:
        return choose_device(asked or scenario.device, scenario.agent)
    except UserError as problem:
        place = f"--device {asked}" if asked else "the run's scenario"
        raise UserError(f"{place}: {problem}") from problem


def _elsewhere(run: RunDirectory, sets: Sequence[str]) -> tuple[Scenario, WorldSources]:
    """The run's scenario with another world, sampling or engine, and the source of its worlds."""
    if not sets:
        scenario, sources = _as_it_was(run)
        _check_engine(scenario)
        return scenario, sources
    for text in sets:
        head = text.partition("=")[0].strip().partition(".")[0]
        if head not in ("world", "worlds", "sampling", "engine"):
            raise UserError(
                f"--set {text}: a saved agent is looked at in another world, with other sampling or by another engine; "
                f"its {head or 'scenario'} cannot change{_FLAGS.get(head, '')}"
            )
    data: dict[str, Any] = dump_data(trusted_scenario(run))
    source = Source(str(run.path / "scenario.yaml"))
    if "worlds" in data and any(text.partition("=")[0].strip() in ("world", "world.id") for text in sets):
        data = {"world": {}, **{key: value for key, value in data.items() if key != "worlds"}}
    elif "worlds" in data and any(text.strip().startswith("world.") for text in sets):
        raise UserError(f"{run.path} was played in several worlds: give --world, or --set worlds.NUMBER.options.…")
    for stage in data["stages"]:
        stage.pop("stop", None)  # a goal may be about a world that is not this one
    scenario = check_scenario(apply_sets(data, sets, source), source)
    _check_engine(scenario)
    return scenario, check_parts(scenario, source)


def _check_engine(scenario: Scenario) -> None:
    """UserError where the engine of the run needs a package that is not here; every agent can speak without it."""
    try:
        check_engine(scenario)
    except UserError as problem:
        raise UserError(f"{problem}; to measure without it: --set engine=transformers") from None
