"""The same small search for every method in every scenario, and what it chooses.

    trials.csv    a row a run: settings, score and counters; the same after a sweep that was killed went on
    costs.csv     a row a run, cold starts too: seconds and memory
    sweep.json    all of it in numbers, with the ranges, what was chosen and what all of it has cost
    chosen.yaml   a comparison with the chosen settings as `variants`, which say where they are from

Of each method the trial with the highest score is chosen, of equal ones the first. A trial of which a run failed has no
score. The settings that a scenario ships are no trial: they may have been searched by more runs than these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import JsonValue

from ...envs.errors import UserError
from ..config.loading import find_scenario, open_scenario
from ..config.schema import FROM, Stage
from ..config.yaml_text import parse_value, write_yaml
from ..run.disk import write_json, write_text
from .comparison_file import ComparisonFile, find_comparison
from .conclusions import SHARES, told
from .contenders import named
from .fairness import Ran, unfair
from .findings import cost_row, csv_text, refuse_two_versions, run_row, with_cold_starts
from .jobs import JobResult, refuse_a_run, run_jobs
from .quasi_random import check_library
from .scores import COUNTERS, alike, are_shares, cost, final_score, grouped, scores_told
from .search_space import read_search
from .trials import SweepBudget, Trial, plan_trials

CHOSEN = "chosen.yaml"
Row = dict[str, Any]


def sweep(
    names: Sequence[str],
    methods: Sequence[str] | None,
    budget: SweepBudget,
    out: Path,
    *,
    sets: Sequence[str] = (),
    limit: int | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Run every trial that is not done yet under `out`, choose, and give `sweep.json`'s content. UserError, before
    anything runs, for what cannot run or be searched."""
    check_library()
    refuse_a_run(out)
    found = find_comparison(names)
    if found is None and methods is None:
        for name in names:
            find_scenario(name)
        raise UserError("Missing option --methods of peripatos sweep: whose settings, as in --methods ppo,grpo")
    file = found or ComparisonFile.model_construct(methods={}, scenarios={name: {} for name in names})
    if methods is not None:
        file = file.model_copy(update={"methods": named(methods, file.methods)})
    search = read_search(file.search)
    trials = plan_trials(list(file.scenarios), file.methods, search, budget, out, sets, file.sets())
    outcomes = run_jobs(trials, out, limit, quiet=quiet)
    return report_sweep(list(zip(trials, outcomes, strict=True)), file, sets, budget, out)


def report_sweep(
    runs: Sequence[tuple[Trial, JobResult]],
    file: ComparisonFile,
    sets: Sequence[str],
    budget: SweepBudget,
    out: Path,
) -> dict[str, Any]:
    """Choose, and write the files under `out`: of the runs of `file`, whose scenarios were changed by `sets`. UserError
    as `refuse_two_versions`."""
    outcomes = alike([outcome for _, outcome in runs])
    runs = [(trial, outcome) for (trial, _), outcome in zip(runs, outcomes, strict=True)]
    write_text(out / "trials.csv", csv_text([_trial_run(*one) for one in runs]))
    refuse_two_versions(outcomes)
    everything = with_cold_starts(outcomes)
    write_text(out / "costs.csv", csv_text([{"trial": _number(one), **cost_row(one)} for one in everything]))
    rows = _trial_rows(runs)
    day = f"sweep of {_day_of(outcomes)}"
    come_from = {trial.task: f"{day}, {budget.told(trial.learns)}" for trial, _ in runs}
    chosen = [{**row, FROM: come_from[row["scenario"]]} for row in _chosen(rows)]
    write_text(out / CHOSEN, _as_comparison(file, sets, chosen, f"With the settings of a {day}."))
    found = {
        "budget": {"trials": budget.trials, "seeds": list(budget.run_seeds), "seed": budget.seed},
        "space": _spaces(runs),
        "trials": rows,
        "chosen": chosen,
        "sentences": [_sentence(row, rows, budget) for row in _each_method(rows)]
        + _unequal(runs)
        + scores_told(grouped(outcomes)),
        "costs": {"runs": sum(bool(one.summary or one.failure) for one in everything), **_costs(everything)},
        "failures": [f"FAILED {one.job}: {one.failure}" for one in outcomes if one.failure],
        "files": [str(out / name) for name in ("trials.csv", "costs.csv", "sweep.json", CHOSEN)],
    }
    write_json(out / "sweep.json", found)
    return found


def _trial_run(trial: Trial, outcome: JobResult) -> Row:
    row = run_row(outcome)
    where = {name: row.pop(name) for name in ("scenario", "method")}
    return {**where, "trial": trial.number, "settings": json.dumps(trial.settings), **row}


def _number(outcome: JobResult) -> int | str:
    return outcome.job.number if isinstance(outcome.job, Trial) else ""


def _trial_rows(runs: Sequence[tuple[Trial, JobResult]]) -> list[Row]:
    """A row for each trial: the mean score over its seeds, None where one has none, and what its runs have cost, those
    that failed as well."""
    groups: dict[tuple[str, str, int], list[tuple[Trial, JobResult]]] = {}
    for trial, outcome in runs:
        groups.setdefault((trial.task, trial.method, trial.number), []).append((trial, outcome))
    rows = []
    for (task, method, number), group in groups.items():
        outcomes = [outcome for _, outcome in group]
        scores = [final_score(outcome) for outcome in outcomes]
        known = [value for value in scores if value is not None]
        rows.append(
            {
                "scenario": task,
                "method": method,
                "trial": number,
                "settings": dict(group[0][0].settings),
                "measure": SHARES if are_shares(outcomes) else "return_mean",
                "scores": scores,
                "score": fmean(known) if len(known) == len(scores) else None,
                "failed": sum(outcome.failure is not None for outcome in outcomes),
                "costs": _costs(outcomes),
            }
        )
    return rows


def _costs(outcomes: Sequence[JobResult]) -> dict[str, float]:
    """What runs have cost together, as far as each came."""
    each = [cost(outcome) for outcome in outcomes]
    return {name: sum(one.get(name, 0.0) for one in each) for name in (*COUNTERS, "wall_s")}


def _each_method(rows: Sequence[Row]) -> list[Row]:
    """Of each method in each scenario the first row."""
    return list({(row["scenario"], row["method"]): row for row in reversed(rows)}.values())[::-1]


def _chosen(rows: Sequence[Row]) -> list[Row]:
    """Of each method in each scenario the trial with the highest score; none where no trial has one."""
    best: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row["scenario"], row["method"]
        if row["score"] is not None and (key not in best or row["score"] > best[key]["score"]):
            best[key] = row
    return list(best.values())


def _sentence(of: Row, rows: Sequence[Row], budget: SweepBudget) -> str:
    """What was chosen for the method in the scenario of a row."""
    mine = [row for row in rows if (row["scenario"], row["method"]) == (of["scenario"], of["method"])]
    whose = f"{of['scenario']}: settings of {of['method']}"
    if not (best := _chosen(mine)):
        return f"{whose}: none is chosen, for no trial has a score; chosen.yaml leaves them as the scenario has them."
    (row,) = best
    score = told(row["score"], row["measure"])
    return f"{whose}: {spelled(row['settings'])}; trial {row['trial']} of {budget.trials}, {score}."


def _unequal(runs: Sequence[tuple[Trial, JobResult]]) -> list[str]:
    """A sentence for each method in each scenario whose trials did not have the same budget or the same test."""
    trials: dict[tuple[str, str], dict[int, tuple[Stage, dict[int, Row]]]] = {}
    for trial, outcome in runs:
        _, done = trials.setdefault((trial.task, trial.method), {}).setdefault(trial.number, (trial.learns, {}))
        if outcome.failure is None:
            done[trial.scenario.seed] = outcome.summary
    told = []
    for (task, method), each in trials.items():
        why = next(
            filter(None, (unfair(Ran(*one), Ran(*other)) for one, other in combinations(each.values(), 2))), None
        )
        if why is not None:
            told.append(f"{task}: trials of {method} are not equal, and the chosen one may be so by that: {why}.")
    return told


def spelled(settings: Mapping[str, JsonValue]) -> str:
    """Settings in a line: keys without the stage, numbers with three digits."""
    parts = []
    for key, value in settings.items():
        short = key.split(".", 2)[2] if key.startswith("stages.") else key
        parts.append(f"{short} {value:.3g}" if isinstance(value, float) else f"{short} {json.dumps(value)}")
    return ", ".join(parts)


def tables(found: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """What a sweep found as a person reads it: tables by their headings."""
    rows = [
        {
            "scenario": row["scenario"],
            "method": row["method"],
            "trial": str(row["trial"]),
            "score": "—" if row["score"] is None else told(row["score"], row["measure"]),
            "world steps": f"{row['costs']['env_steps']:,.0f}",
            "s": f"{row['costs']['wall_s']:,.0f}",
            "settings": spelled(row["settings"]),
        }
        for row in found["trials"]
    ]
    return {"trials": rows}


def cost_sentence(found: Mapping[str, Any]) -> str:
    """What all of it has taken."""
    costs = found["costs"]
    runs = f"{costs['runs']} run{'' if costs['runs'] == 1 else 's'}"
    failed = sum(row["failed"] for row in found["trials"])
    runs += f" ({failed} failed)" if failed else ""
    return f"Cost: {runs}, {costs['env_steps']:,.0f} world steps, {costs['wall_s']:,.0f} s of runs."


def _spaces(runs: Sequence[tuple[Trial, JobResult]]) -> list[Row]:
    """What was searched, of each method in each scenario."""
    first = {(trial.task, trial.method): trial for trial, _ in reversed(runs)}
    return [
        {
            "scenario": task,
            "method": method,
            "ranges": {key: {one.kind: list(one.values)} for key, one in trial.space.items()},
        }
        for (task, method), trial in reversed(first.items())
    ]


def _day_of(outcomes: Sequence[JobResult]) -> date:
    """When the last run ended, so that a sweep that is looked at again says the same; today, where none has begun."""
    files = [outcome.job.path / "summary.json" for outcome in outcomes]
    ended = [file.stat().st_mtime for file in files if file.exists()]
    return date.fromtimestamp(max(ended)) if ended else date.today()


def _as_comparison(file: ComparisonFile, sets: Sequence[str], chosen: Sequence[Row], description: str) -> str:
    """A comparison of the same methods and scenarios with what was chosen."""
    scenarios = {}
    for name, keys in file.scenarios.items():
        scenario, _ = open_scenario(name, [*file.sets()[name], *sets])
        said = dict(keys)
        for text in sets:
            key, _, value = text.partition("=")
            said.pop(key.strip(), None)  # the later one holds, and stands behind the others
            said[key.strip()] = parse_value(value, text, tuple(key.strip().split(".")))
        for row in chosen:
            if row["scenario"] == scenario.name:
                kept = {k: v for k, v in scenario.changes(row["method"]).items() if k not in row["settings"]}
                said.pop(f"variants.{row['method']}", None)
                said[f"variants.{row['method']}"] = {FROM: row[FROM], **kept, **row["settings"]}
        scenarios[name] = said
    data = {
        "name": file.name or "chosen",
        "description": description,
        "methods": list(file.methods),
        **({"against": file.against} if file.against in file.methods else {}),
        "seeds": file.seeds,
        "scenarios": scenarios,
    }
    return write_yaml(data, width=100)
