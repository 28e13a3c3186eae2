"""Which runs a comparison makes: methods × scenarios × seeds, and the cold starts that methods share.

A method takes the place of the scenario's last method that learns from its own actions. It keeps the stage's
optimiser, collection and budget, starts from its row of the table without the scenario's overrides, and then gets
what the scenario's `variants` say about it. The stages before that one, a cold start, are run once for each seed, and
every method goes on from the agent that they leave. From there on no goal ends a stage early: each method spends the
whole budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...algorithms.methods import METHODS
from ...envs.errors import UserError, unknown
from ..assembly.checks import check_parts
from ..assembly.worlds import WorldSources
from ..config.agents import Origin
from ..config.loading import check_scenario, open_scenario, put, shipped
from ..config.schema import FROM, Scenario, Stage
from ..config.yaml_text import Source
from ..run.provenance import own_code, own_data
from ..run.reward_versions import one_version, scored_by
from ..run.run_directory import RunDirectory
from ..run.sealed import read_sealed
from ..run.verified import trusted_scenario
from .fairness import refuse_edited, refuse_unequal
from .idle import refuse_idle, refuse_overridden

COLD = "cold-start"  # in the place of a method: what comes before it
RESULT_SEEDS = 1000  # seeds below are for comparisons, those from here on for the sweeps that choose their settings


@dataclass(frozen=True)
class ComparisonJob:
    """One run of the comparison."""

    scenario: Scenario  # with the method put in and the seed set
    task: str  # the scenario's name
    method: str  # or COLD
    path: Path
    cold: ComparisonJob | None = None  # the run whose agent it begins as
    come_from: str | None = None  # where the method's settings are from, if its variant says so

    def __str__(self) -> str:
        return f"{self.task} {self.method} seed {self.scenario.seed}"

    @property
    def learns(self) -> Stage:
        """The stage in which methods differ; of a cold start its first."""
        return self.scenario.stages[0]

    def summary(self) -> dict[str, Any]:
        """What its run says of itself; empty before it has begun."""
        return RunDirectory(self.path).summary()


def plan(
    scenarios: Sequence[str],
    methods: Sequence[str],
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
    jobs = []
    for scenario, first in open_scenarios(scenarios, methods, sets, own):
        if scenario.evaluation.split != "test":
            raise UserError(
                f"{scenario.name} reports its validation (evaluation.split), by which goals and checkpoints are judged "
                "already; methods are compared by the test: leave it out"
            )
        for name in dict.fromkeys(methods):
            changed = with_method(scenario, name)
            refuse_unequal(scenario, changed, first, name)
            come_from = scenario.variants.get(name, {}).get(FROM)
            said = None if come_from is None else str(come_from)
            jobs += [replace(job_of(changed, name, seed, first, out), come_from=said) for seed in range(seeds)]
    check_existing(jobs)
    return jobs


def open_scenarios(
    scenarios: Sequence[str], methods: Sequence[str], sets: Sequence[str], own: Mapping[str, Sequence[str]] | None
) -> Iterator[tuple[Scenario, int]]:
    """Each scenario in which `methods` are to be put, checked, with the place of the stage that they take. UserError
    for what cannot run, or would have no effect."""
    _check_methods(methods, scenarios)
    known: set[str] = set()
    for scenario_name in dict.fromkeys(scenarios):
        given = [*(own or {}).get(scenario_name, ()), *sets]
        refuse_overridden(given, methods)
        scenario, source = open_scenario(scenario_name, given)
        check_parts(scenario, source).close()
        if scenario.name in known:
            raise UserError(f"two of the scenarios are called {scenario.name!r}; each needs a name of its own")
        known.add(scenario.name)
        first = replaced_stage(scenario)
        refuse_idle(scenario, source, first, methods)
        yield scenario, first


def replaced_stage(scenario: Scenario) -> int:
    """The place of the scenario's last stage that learns from its own actions. UserError if there is none."""
    own = [place for place, one in enumerate(scenario.stages) if one.method and METHODS[one.method].source == "own"]
    if not own:
        raise UserError(f"{scenario.name} has no stage that learns from its own actions, so no method to replace")
    return own[-1]


def with_method(scenario: Scenario, name: str) -> Scenario:
    """`scenario` with the method `name` in its last stage that learns from its own actions, and with its variant. The
    method that stands there keeps its overrides."""
    stage, variant = scenario.stages[replaced_stage(scenario)], scenario.changes(name)
    if stage.method == name and not variant:
        return scenario
    data: dict[str, Any] = scenario.model_dump(mode="json", exclude_none=True)
    if stage.method != name:
        data = put(put(data, f"stages.{stage.name}.method", name), f"stages.{stage.name}.overrides", {})
    for key, value in variant.items():
        data = put(data, key, value)
    try:
        changed = check_scenario(data, Source(f"{scenario.name} with {name}"))
        check_parts(changed).close()
    except UserError as problem:
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


def _with_stages(scenario: Scenario, stages: Sequence[Stage]) -> Scenario:
    """`scenario` with these stages alone; where none has a goal, no validation is cut short by one (`first`)."""
    evaluation = scenario.evaluation
    if not any(stage.stop for stage in stages):
        evaluation = evaluation.model_copy(update={"first": None})
    return scenario.model_copy(update={"stages": [*stages], "evaluation": evaluation})


def _check_methods(methods: Sequence[str], scenarios: Sequence[str]) -> None:
    if not scenarios:
        raise UserError("no scenario is named; give some, such as cartpole-ppo")
    if not methods:
        raise UserError("--methods names no method; give some, as in --methods ppo,grpo")
    for name in methods:
        if name not in METHODS:
            raise UserError(unknown("method", name, METHODS))
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
    if _begun_as(trusted_scenario(RunDirectory.open(job.path))) != _begun_as(job.scenario):
        raise UserError(f"{job.path} holds a run with other settings; choose another --out")
    sessions = read_sealed(noted).get("sessions", []) if (noted := job.path / "environment.json").exists() else []
    refuse_edited(job.path, sessions, {"code": own_code(job.scenario), "data": own_data(job.scenario)})
    if "scored_by" in (summary := job.summary()):
        with WorldSources.of(job.scenario) as sources:
            one_version([(str(job.path), summary["scored_by"]), ("what is run now", scored_by(sources))])


def _begun_as(scenario: Scenario) -> dict[str, Any]:
    """What a run is: but for the folder of its cold start, which may have been moved with it, for the day, and for
    words about it."""
    data = scenario.model_dump(mode="json", exclude={"description", "scores", "variants"})
    for key in ("origin", "today"):
        data["agent"].pop(key, None)
    return data
