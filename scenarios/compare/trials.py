"""Which runs a sweep makes: scenarios × methods × trials × seeds, each a run as a comparison makes them.

No result is reported on what they see. Their seeds are those from `RESULT_SEEDS` on, which a comparison refuses; and
they are scored on the tasks of validation, while those of the test are never begun (`evaluation.split`). Cold starts
are run once for each seed, and shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...envs.errors import UserError
from ..config.loading import as_given, open_scenario
from ..config.schema import Stage
from .contenders import Contender, Contenders, as_contenders
from .fairness import refuse_unequal, refuse_unequal_amounts, refuse_validation, spelled_limits
from .idle import refuse_searched
from .plan import RESULT_SEEDS, ComparisonJob, check_existing, job_of, open_scenarios, with_method
from .quasi_random import different, draw
from .reads import names_read
from .search_space import Range, Settings, probed, space_of, with_settings

UNREPORTED = "evaluation.split=validation"  # of every scenario, from its checks on: nobody begins a test task


@dataclass(frozen=True)
class SweepBudget:
    """What every method may search with, in every scenario. UserError for numbers below 1."""

    trials: int = 8
    seeds: int = 1  # of each trial, whose score is their mean
    seed: int = 0  # of the settings that are drawn

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("seeds", 1), ("seed", 0)):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                raise UserError(f"{name} is {number!r}; allowed is a whole number, {least} or more")

    @property
    def run_seeds(self) -> range:
        """The seeds of the runs."""
        return range(RESULT_SEEDS, RESULT_SEEDS + self.seeds)

    def told(self, of: Stage) -> str:
        """In words, of runs that learn in a stage."""
        first, last = self.run_seeds[0], self.run_seeds[-1]
        each = f"seed {first}" if first == last else f"seeds {first}–{last}"
        trials = f"{self.trials} trial{'s' if self.trials > 1 else ''} of {spelled_limits(of)}"
        return f"{trials}, {each}, tasks of validation"


@dataclass(frozen=True)
class Trial(ComparisonJob):
    """One run of a sweep."""

    number: int = 1
    settings: Settings = field(default_factory=dict)
    space: Mapping[str, Range] = field(default_factory=dict)  # of which they were drawn

    def __str__(self) -> str:
        return f"{self.task} {self.method} trial {self.number} seed {self.scenario.seed}"


def plan_trials(
    scenarios: Sequence[str],
    methods: Sequence[str] | Contenders,
    search: Mapping[str, Mapping[str, Range]],
    budget: SweepBudget,
    out: Path,
    sets: Sequence[str] = (),
    own: Mapping[str, Sequence[str]] | None = None,
) -> list[Trial]:
    """Every run of a trial, checked; cold starts are theirs. `own` are further `sets` of single scenarios. UserError
    for what cannot run, be compared or be searched."""
    trials, contenders = [], as_contenders(methods)
    for method, one in contenders.items():
        if one != Contender(method=method):
            rows = ",".join(dict.fromkeys(each.method for each in contenders.values()))
            how = " with settings of its own" if one != Contender(method=one.method) else " by another name"
            raise UserError(
                f"{method!r} is {one.method}{how}, and a sweep chooses those of methods of the table: --methods {rows}"
            )
    _refuse_splits(scenarios, sets, own or {})
    for scenario, first, _ in open_scenarios(scenarios, contenders, [*sets, UNREPORTED], own):
        bases = {method: with_method(scenario, one) for method, one in contenders.items()}
        for method in bases:
            if read := names_read(method, bases, first):
                words = "which a sweep does not make: leave it out by --methods"
                raise UserError(f"{method} reads the run of {read[0]}, {words}")
        for method, base in bases.items():
            refuse_unequal(scenario, base, first, method)
            space, whose = space_of(search, method, base, first), f"{method} in {base.name}"
            if any(search.values()):
                refuse_searched(sets, base, space, method)
            for changed in probed(space, base, whose):
                refuse_unequal(scenario, changed, first, method, "search")
                refuse_unequal_amounts(base.stages[first], changed.stages[first], whose)
            if (most := different(space)) < budget.trials:
                raise UserError(
                    f"{budget.trials} trials of {whose}, and there are only {most} different settings to try: give "
                    f"--trials {most}, or search more"
                )
            for number, settings in enumerate(draw(space, budget.trials, budget.seed), start=1):
                changed = with_settings(base, settings, whose)
                jobs = (job_of(changed, method, seed, first, out, f"trial-{number}") for seed in budget.run_seeds)
                trials += [Trial(**vars(job), number=number, settings=settings, space=space) for job in jobs]
    check_existing(trials)
    return trials


def _refuse_splits(scenarios: Sequence[str], sets: Sequence[str], own: Mapping[str, Sequence[str]]) -> None:
    """UserError where it is said by which tasks runs are scored: a sweep says that, and what it chooses is compared."""
    for name in scenarios:
        given = [*own.get(name, ()), *sets]
        for text in given:
            if text.partition("=")[0].strip() == UNREPORTED.partition("=")[0]:
                raise UserError(f"{as_given(text)} has no effect: a sweep is scored by the tasks of validation")
        refuse_validation(open_scenario(name, given)[0])
