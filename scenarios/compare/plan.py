"""Which runs a comparison makes: methods × scenarios × seeds, and the cold starts that methods share.

A method takes the place of the scenario's last method that learns from its own actions. It keeps the stage's
optimiser, collection and budget, starts from its row of the table without the scenario's overrides, and then gets
what the scenario's `variants` say about it, and what the comparison's file does (`contenders`). The stages before that
one, a cold start, are run once for each seed, and every method goes on from the agent that they leave. From there on no
goal ends a stage early: each method spends the whole budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from ...algorithms.methods import METHODS
from ...envs.errors import UserError
from ..assembly.checks import check_parts
from ..assembly.worlds import WorldSources
from ..config.agents import Origin
from ..config.loading import check_scenario, open_scenario, put, put_at, shipped
from ..config.schema import FROM, Scenario, Stage
from ..config.yaml_text import Source
from ..run.compared import spelled
from ..run.provenance import own_code, own_data
from ..run.reward_versions import one_version, scored_by
from ..run.run_directory import RunDirectory
from ..run.saved_agent import find_checkpoint
from ..run.sealed import read_sealed
from ..run.verified import trusted_scenario
from .contenders import COLD, Contender, Contenders, as_contenders, check_contenders, refuse_equal
from .fairness import refuse_edited, refuse_points, refuse_unequal, refuse_validation
from .idle import refuse_idle, refuse_idle_variants, refuse_overridden
from .reads import who_reads

MOST_TOLD = 5  # settings
WRITTEN = (".csv", ".json", ".png", ".svg", ".yaml")  # ends of the names of a comparison's and a sweep's own files
RESULT_SEEDS = 1000  # seeds below are for comparisons, those from here on for the sweeps that choose their settings


@dataclass(frozen=True)
class ComparisonJob:
    """One run of the comparison."""

    scenario: Scenario  # with the method put in and the seed set
    task: str  # the scenario's name
    method: str  # as the tables call it, or COLD
    path: Path
    cold: ComparisonJob | None = None  # the run whose agent it begins as
    reads: tuple[ComparisonJob, ...] = ()  # runs of other methods, whose agents play a role in it
    come_from: str = field(default="", compare=False)  # where the method's settings are from, see `_come_from`

    def __str__(self) -> str:
        return f"{self.task} {self.method} seed {self.scenario.seed}"

    @property
    def learns(self) -> Stage:
        """The stage in which methods differ; of a cold start its first."""
        return self.scenario.stages[0]

    @property
    def depth(self) -> int:
        """How many runs have to be made one after the other before it can be."""
        return max((1 + one.depth for one in (*self.reads, self.cold) if one is not None), default=0)

    def summary(self) -> dict[str, Any]:
        """What its run says of itself; empty before it has begun."""
        return RunDirectory(self.path).summary()


def plan(
    scenarios: Sequence[str],
    methods: Sequence[str] | Contenders,
    seeds: int,
    out: Path,
    sets: Sequence[str] = (),
    own: Mapping[str, Sequence[str]] | None = None,
) -> list[ComparisonJob]:
    """Every job of a method, checked; cold starts are theirs. `own` are further `sets` of single scenarios. UserError
    for what cannot run or be compared."""
    if seeds > RESULT_SEEDS:
        raise UserError(
            f"a comparison has {RESULT_SEEDS:,} seeds at most, and not {seeds:,}: the others are for sweeps"
        )
    jobs, contenders = [], as_contenders(methods)
    for scenario, first, given in open_scenarios(scenarios, contenders, sets, own):
        refuse_validation(scenario)
        changed = {name: with_method(scenario, one, name) for name, one in contenders.items()}
        for name, one in contenders.items():
            refuse_unequal(scenario, changed[name], first, one.method)
        refuse_equal(changed, first)
        reads = who_reads(changed, first)
        for name, one in contenders.items():
            said = _come_from(scenario, one, scenario.stages[first].name, given)
            made = (_job(changed, name, seed, first, out, reads) for seed in range(seeds))
            jobs += [replace(job, come_from=said) for job in made]
    check_existing(jobs)
    return jobs


def open_scenarios(
    scenarios: Sequence[str], contenders: Contenders, sets: Sequence[str], own: Mapping[str, Sequence[str]] | None
) -> Iterator[tuple[Scenario, int, list[str]]]:
    """Each scenario in which methods are to be put, checked, with the place of the stage that they take, and the
    dotted keys that were given over it. UserError for what cannot run, or would have no effect."""
    _check_methods(contenders, scenarios)
    rows = [one.method for one in contenders.values()]
    refuse_idle_variants(sets, rows)
    known: set[str] = set()
    for scenario_name in dict.fromkeys(scenarios):
        given = [*(own or {}).get(scenario_name, ()), *sets]
        refuse_overridden(given, rows)
        scenario, source = open_scenario(scenario_name, given)
        with check_parts(scenario, source) as sources:
            refuse_points(scenario, sources)
        if scenario.name in known:
            raise UserError(f"two of the scenarios are called {scenario.name!r}; each needs a name of its own")
        if Path(scenario.name).suffix.lower() in WRITTEN:
            raise UserError(
                f"{scenario_name}: name is {scenario.name!r}, as a comparison calls files that it writes beside the "
                f"folders of scenarios; give a name that does not end in {Path(scenario.name).suffix}"
            )
        known.add(scenario.name)
        first = replaced_stage(scenario)
        refuse_idle(scenario, source, first, rows)
        yield scenario, first, [text.partition("=")[0].strip() for text in given]


def replaced_stage(scenario: Scenario) -> int:
    """The place of the scenario's last stage that learns from its own actions. UserError if there is none."""
    own = [place for place, one in enumerate(scenario.stages) if one.method and METHODS[one.method].source == "own"]
    if not own:
        raise UserError(f"{scenario.name} has no stage that learns from its own actions, so no method to replace")
    return own[-1]


def with_method(scenario: Scenario, contender: Contender, called: str = "") -> Scenario:
    """`scenario` with a method in its last stage that learns from its own actions, with its variant, and with what is
    its own in this comparison, where it is `called` so. The method that stands there keeps its overrides."""
    stage, name = scenario.stages[replaced_stage(scenario)], contender.method
    changes = _written(scenario, contender, stage.name, called or name)
    if stage.method == name and not changes:
        return scenario
    # without variants: they have done their part, and would have none where imitation has taken the stage
    data: dict[str, Any] = scenario.model_dump(mode="json", exclude_none=True, exclude={"variants"})
    if stage.method != name:
        data = put(put(data, f"stages.{stage.name}.method", name), f"stages.{stage.name}.overrides", {})
    # what has no effect was refused where it was read; a flag that shortens the comparison is no mistake of its file
    source = Source(f"{scenario.name} with {name}", recorded=True)
    for place, key, value in changes:
        try:
            data, path = put_at(data, key, value)
        except UserError as problem:
            raise UserError(f"{place}: {problem}") from problem
        around = {path[:depth]: source.name for depth in range(len(path))}  # not to be blamed for what stands beside it
        source.places = {**around, **source.places, path: place}
    try:
        changed = check_scenario(data, source)
        check_parts(changed, source).close()
    except UserError as problem:
        if any(str(problem).startswith(place) for place, _, _ in changes):
            raise
        example = {
            "own": "collect: {groups: 8, group_size: 8}",
            "demonstrations": "demonstrations: {agent: {kind: oracle}}",
            "pairs": "demonstrations: {pairs: FILE}",
        }[METHODS[name].source]
        raise UserError(
            f"{scenario.name} cannot be run with {name}: {problem}\nSay what it needs under `variants: {name}:` "
            f"of the scenario, e.g. `stages.{stage.name}.{example}`"
        ) from problem
    return changed


def _written(scenario: Scenario, contender: Contender, stage: str, called: str) -> list[tuple[str, str, JsonValue]]:
    """What is laid upon the stage: where the user wrote it, its dotted key, and the value."""
    name, ahead = contender.method, f"stages.{stage}."
    variant = [(f"variants.{name}, {key}, of {scenario.name}", key, x) for key, x in scenario.changes(name).items()]
    own = contender.changes(stage).items()
    return variant + [(f"methods.{called}.{key.removeprefix(ahead)} of the comparison", key, x) for key, x in own]


def _come_from(scenario: Scenario, one: Contender, stage: str, given: Sequence[str]) -> str:
    """Where the settings of a method are from, by its variant or as the scenario has them; what the comparison has put
    over them, in the method, in its variant or by a `given` dotted key, is not."""
    variant, ahead, own = scenario.variants.get(one.method, {}), f"stages.{stage}.", [*one.changes(stage)]
    come_from, tail = variant.get(FROM), ""
    if come_from is None:
        come_from, tail = "as the scenario has them", ", and no search is named"
        settings = tuple(f"{ahead}{part}" for part in ("optimizer", "collect", "overrides"))
        own += [key for key in given if key.startswith(settings)]
        if any(key == "variants" or key.startswith(f"variants.{one.method}") for key in given):
            own += scenario.changes(one.method)
    but = ", ".join(dict.fromkeys(key.removeprefix(ahead) for key in own))
    return f"{come_from}, but for {but}{tail}" if own else f"{come_from}{tail}"


def _job(
    changed: Mapping[str, Scenario], method: str, seed: int, first: int, out: Path, reads: Mapping[str, list[str]]
) -> ComparisonJob:
    """The run of a method with one seed, which reads the runs of others."""
    others = {name: _job(changed, name, seed, first, out, reads) for name in reads[method]}
    scenario = changed[method]
    stages = list(scenario.stages)
    stages[first] = _reading(stages[first], others)
    job = job_of(scenario.model_copy(update={"stages": stages}), method, seed, first, out)
    return replace(job, reads=tuple(others.values()))


def job_of(changed: Scenario, method: str, seed: int, first: int, out: Path, trial: str = "") -> ComparisonJob:
    """The run of a method with one seed, from stage `first` on, and the cold start that it shares with the others."""
    folder, seeded = out / changed.name, changed.model_copy(update={"seed": seed, "variants": {}})
    stages = [stage.model_copy(update={"stop": {}}) for stage in changed.stages[first:]]
    learns = _with_stages(seeded, stages)
    path = folder / method / trial / f"seed-{seed}"
    if not first:
        return ComparisonJob(learns, changed.name, method, path)
    before = _with_stages(seeded, changed.stages[:first])
    cold = ComparisonJob(before, changed.name, COLD, folder / COLD / f"seed-{seed}")
    origin = Origin(run=str(cold.path.absolute()), checkpoint="last")
    begins = learns.model_copy(update={"agent": learns.agent.model_copy(update={"origin": origin})})
    return ComparisonJob(begins, changed.name, method, path, cold)


def _reading(stage: Stage, others: Mapping[str, ComparisonJob]) -> Stage:
    """`stage` with the folders of the runs that it names by their methods."""
    if stage.models is None or not others:
        return stage
    found = {
        role: spec.model_copy(update={"run": str(others[spec.run].path.absolute())})
        for role, spec in stage.models.played().items()
        if spec.run is not None and spec.run in others
    }
    return stage.model_copy(update={"models": stage.models.model_copy(update=found)})


def _with_stages(scenario: Scenario, stages: Sequence[Stage]) -> Scenario:
    """`scenario` with these stages alone; where none has a goal, no validation is cut short by one (`first`)."""
    evaluation = scenario.evaluation
    if not any(stage.stop for stage in stages):
        evaluation = evaluation.model_copy(update={"first": None})
    return scenario.model_copy(update={"stages": [*stages], "evaluation": evaluation})


def _check_methods(methods: Contenders, scenarios: Sequence[str]) -> None:
    if not scenarios:
        raise UserError("no scenario is named; give some, such as cartpole-ppo")
    if not methods:
        raise UserError("--methods names no method; give some, as in --methods ppo,grpo")
    check_contenders(methods)
    if stray := [name for name in scenarios if name in METHODS and name not in shipped()]:
        together = ",".join([*methods, *stray])
        raise UserError(f"{stray[0]!r} is a method and no scenario; methods are joined by commas: --methods {together}")


def check_existing(jobs: Sequence[ComparisonJob]) -> None:
    """UserError if the folder of a job or of its cold start holds another run, or one that another version of the
    reward has scored."""
    for one in {one.path: one for job in jobs for one in (job.cold, job) if one is not None}.values():
        _check_folder(one)


def _check_folder(job: ComparisonJob) -> None:
    if not (job.path / "scenario.yaml").exists():
        return
    then, now = (_begun_as(one, job) for one in (trusted_scenario(RunDirectory.open(job.path)), job.scenario))
    if changed := [text for key in {**then, **now} for text in spelled(key, then.get(key), now.get(key))]:
        more = f" and {len(changed) - MOST_TOLD} more" if len(changed) > MOST_TOLD else ""
        told = "; ".join(changed[:MOST_TOLD])
        raise UserError(f"{job.path} holds a run with other settings (there → now): {told}{more}; choose another --out")
    sessions = read_sealed(noted).get("sessions", []) if (noted := job.path / "environment.json").exists() else []
    refuse_edited(job.path, sessions, {"code": own_code(job.scenario), "data": own_data(job.scenario)})
    if "scored_by" in (summary := job.summary()):
        with WorldSources.of(job.scenario) as sources:
            one_version([(str(job.path), summary["scored_by"]), ("what is run now", scored_by(sources))])


def _begun_as(scenario: Scenario, job: ComparisonJob) -> dict[str, Any]:
    """What a run is: but for the day, and for words about it. Runs of this comparison, its cold start and those that it
    reads, may have been moved with it, and are known by method and seed; checkpoints are known by their numbers, which
    a run notes when it begins."""
    data = scenario.model_dump(mode="json", exclude={"description", "scores", "variants"})
    data["agent"].pop("today", None)
    made = {one.path.parts[-3:]: one.path for one in (job.cold, *job.reads) if one is not None}
    if (origin := data["agent"].get("origin")) is not None and Path(origin["run"]).parts[-3:] in made:
        origin["run"] = "/".join(Path(origin["run"]).parts[-3:])
    for stage in data["stages"]:
        for spec in (stage["models"] or {}).values():
            if spec is not None and spec["run"] is not None:
                whose = Path(spec["run"]).parts[-3:]
                spec["checkpoint"] = _number(made.get(whose, Path(spec["run"]).expanduser()), spec["checkpoint"])
                spec["run"] = "/".join(whose) if whose in made else str(Path(spec["run"]))
    data["order"] = [stage["name"] for stage in data["stages"]]
    data["stages"] = dict(zip(data["order"], data["stages"], strict=True))
    return data


def _number(run: Path, checkpoint: str | None) -> str | None:
    """The number of a run's checkpoint; None of a run that is still to be made again."""
    if not (run / "scenario.yaml").exists():
        return None
    if checkpoint is not None and checkpoint.isdecimal():
        return f"{int(checkpoint):06d}"
    return find_checkpoint(RunDirectory.open(run), checkpoint or "best").name
