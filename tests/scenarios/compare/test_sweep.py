"""Sweeps: which runs they make, that no result is reported on what these see, and what they choose."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import TINY, command, write_scenario

import peripatos
from peripatos.envs.errors import UserError
from peripatos.scenarios.compare.comparison_file import ComparisonFile, find_comparison
from peripatos.scenarios.compare.contenders import Contender
from peripatos.scenarios.compare.findings import report
from peripatos.scenarios.compare.jobs import JobResult
from peripatos.scenarios.compare.origins import settings_told
from peripatos.scenarios.compare.plan import COLD, RESULT_SEEDS, ComparisonJob, plan
from peripatos.scenarios.compare.search_space import Range, read_search
from peripatos.scenarios.compare.sweep import cost_sentence, report_sweep, sweep, tables
from peripatos.scenarios.compare.trials import SweepBudget, Trial, plan_trials
from peripatos.scenarios.config.loading import check_scenario, dump_data, load_scenario
from peripatos.scenarios.config.yaml_text import Source

VARIED = TINY.replace("updates: 12", "env_steps: 64") + "variants: {grpo: {stages.learn.collect: {groups: 2}}}\n"
VARIED = VARIED.replace("{groups: 2}}}", "{groups: 2, group_size: 4}}}")
SUMS = """\
import os
from peripatos.envs.conversation.task_world import TaskWorld

class Sums(TaskWorld):
    def __init__(self):
        tasks = [{"prompt": f"{a}+{b}=", "answer": str(a + b)} for a in range(6) for b in range(6)]
        super().__init__(tasks=tasks, grader="exact")

    def opening(self, rng, split):
        begun = super().opening(rng, split)
        with open(os.environ["SEEN"], "a") as file:
            file.write(f"{split} {begun.messages[-1]['content']}\\n")
        return begun
"""
SPOKEN = """\
name: sums
world: {id: "sums_seen:Sums"}
agent: {kind: tiny_llama, hidden: 16, layers: 1}
sampling: {max_tokens: 2}
stages:
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 4}
    budget: {updates: 1}
  - {name: learn, method: grpo, collect: {groups: 2, group_size: 2}, budget: {updates: 1}}
evaluation: {every: 1, episodes: 8}
"""
FALLING = """\
import os
from gymnasium.envs.classic_control import CartPoleEnv

class Falls(CartPoleEnv):
    def reset(self, *, seed=None, options=None):
        with open(os.environ["SEEN"], "a") as file:
            file.write(f"{seed}\\n")
        return super().reset(seed=seed, options=options)
"""


def all_of(jobs: Iterable[ComparisonJob]) -> dict[Path, ComparisonJob]:
    return {one.path: one for job in jobs for one in (job.cold, job) if one is not None}


def play(jobs: Iterable[ComparisonJob], seen: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the worlds of all runs have begun, a line an episode."""
    seen.touch()
    monkeypatch.setenv("SEEN", str(seen))
    for path, job in all_of(jobs).items():
        peripatos.run(dump_data(job.scenario), out=path)
    return seen.read_text().splitlines()


def test_a_sweep_begins_no_task_and_no_seed_that_a_comparison_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SEEN", str(tmp_path / "searched"))
    (tmp_path / "sums_seen.py").write_text(SUMS)
    path = str(write_scenario(tmp_path, SPOKEN))
    trials = plan_trials([path], ["grpo"], read_search({}), SweepBudget(trials=1), tmp_path / "sweep")
    searched = play(trials, tmp_path / "searched", monkeypatch)
    reported = play(plan([path], ["grpo"], 1, tmp_path / "out"), tmp_path / "reported", monkeypatch)
    tested = {line.partition(" ")[2] for line in reported if line.startswith("test ")}
    assert len(tested) > 3
    assert not tested & {line.partition(" ")[2] for line in searched}
    assert {line.split()[0] for line in searched} == {"train", "validation"}


def test_no_seed_of_a_body_is_that_of_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SEEN", str(tmp_path / "searched"))
    (tmp_path / "falling_seen.py").write_text(FALLING)
    path = str(write_scenario(tmp_path, VARIED.replace("CartPole-v1", "falling_seen:Falls")))
    trials = plan_trials([path], ["ppo"], read_search({}), SweepBudget(trials=2), tmp_path / "sweep")
    searched = play(trials, tmp_path / "searched", monkeypatch)
    reported = play(plan([path], ["ppo"], 2, tmp_path / "out"), tmp_path / "reported", monkeypatch)
    looks = {"None", "0", "1", "2"}  # of the checks before a run, in which nobody acts
    assert len({*reported} - looks) > 6
    assert not ({*searched} & {*reported}) - looks


def test_what_a_trial_reports_is_its_validation_played_once(tmp_path: Path) -> None:
    (trial,) = plan_trials(
        [str(write_scenario(tmp_path, VARIED))], ["ppo"], {}, SweepBudget(trials=1), tmp_path / "out"
    )
    assert check_scenario(dump_data(trial.scenario), Source("the trial")) == trial.scenario
    run = peripatos.run(dump_data(trial.scenario), out=trial.path)
    assert [(row["set"], row["update"]) for row in run.evaluations] == [("validation", 0), ("validation", 1)]
    told = run.summary["stages"][-1]["evaluation"]
    scores = [row["return_mean"] for row in run.evaluations]
    assert [told[when]["return_mean"] for when in ("before", "after")] == scores


def test_every_method_has_the_same_trials_whatever_the_order_of_names(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path, VARIED))
    budget = SweepBudget(trials=3, seeds=2)
    one, other = (plan_trials([path], m, {}, budget, tmp_path / "out") for m in (["ppo", "grpo"], ["grpo", "ppo"]))
    assert {job.path: job.scenario for job in one} == {job.path: job.scenario for job in other}
    assert len(one) == len(all_of(one)) == 2 * 3 * 2
    tried = {method: [dict(job.settings) for job in one if job.method == method] for method in ("ppo", "grpo")}
    assert tried["ppo"] == tried["grpo"]
    assert {job.scenario.seed for job in one} == {RESULT_SEEDS, RESULT_SEEDS + 1}
    assert {job.scenario.stages[0].optimizer["lr"] for job in one} == {
        job.settings["stages.learn.optimizer.lr"] for job in one
    }
    assert one[0].path == tmp_path / "out" / "tiny" / "ppo" / "trial-1" / "seed-1000"
    assert plan_trials([path], ["ppo"], {}, SweepBudget(2, 2), tmp_path / "out") == [
        job for job in one if job.method == "ppo" and job.number <= 2
    ]


def test_cold_starts_are_shared_by_all_trials_and_leave_the_test_alone(tmp_path: Path) -> None:
    text = SPOKEN.replace('"sums_seen:Sums"', "peripatos/Arithmetic-v0, options: {digits: 1}")
    trials = plan_trials([str(write_scenario(tmp_path, text))], ["grpo"], {}, SweepBudget(3), tmp_path / "out")
    (cold,) = {job.cold.path: job.cold for job in trials if job.cold is not None}.values()
    assert cold.path == tmp_path / "out" / "sums" / COLD / "seed-1000"
    assert {job.scenario.evaluation.split for job in (cold, *trials)} == {"validation"}


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("seed", [0, 1], "the search of ppo changes the world, the evaluation or the seed.*leave it out of `search`"),
        ("budget", [{"env_steps": 64}, {"env_steps": 640}], "gives stage 'learn' the budget env_steps 640"),
        ("evaluation.episodes", [3, 4], "changes the world, the evaluation or the seed"),
        ("evaluation.split", ["test", "validation"], "changes the world, the evaluation or the seed"),
        ("world.id", ["CartPole-v1", "Acrobot-v1"], "changes the world, the evaluation or the seed"),
        ("method", ["ppo", "ppo_kl"], "puts ppo_kl into stage 'learn'"),
        ("name", ["tiny", "other"], "changes name, which is one for all methods"),
    ],
)
def test_a_search_that_would_make_trials_unequal_is_refused(
    tmp_path: Path, key: str, values: list[Any], words: str
) -> None:
    search = {"": {key: Range("choice", tuple(values))}}
    with pytest.raises(UserError, match=words):
        plan_trials([str(write_scenario(tmp_path, VARIED))], ["ppo"], search, SweepBudget(1), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_results_have_seeds_and_tasks_of_their_own(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path, VARIED))
    with pytest.raises(
        UserError, match="a comparison has 1,000 seeds at most, and not 1,001: the others are for sweeps"
    ):
        plan([path], ["ppo"], RESULT_SEEDS + 1, tmp_path / "out")
    with pytest.raises(UserError, match=r"tiny reports its validation \(evaluation.split\)"):
        plan([path], ["ppo"], 1, tmp_path / "out", ["evaluation.split=validation"])


def test_the_comparison_of_the_page_is_searched_as_it_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "compare.md").read_text(encoding="utf-8")
    (path := tmp_path / "cart.yaml").write_text(page.partition("```yaml\nmethods")[2].partition("```")[0])
    path.write_text("methods" + path.read_text())
    file = find_comparison([str(path)])
    assert file is not None
    search, names = read_search(file.search), list(file.scenarios)
    trials = plan_trials(names, file.methods, search, SweepBudget(trials=4), tmp_path / "out", (), file.sets())
    assert [str(job) for job in trials] == [
        f"cartpole-ppo {method} trial {number} seed 1000" for method in file.methods for number in (1, 2, 3, 4)
    ]
    assert "overrides.credit.lam 0.974" in page
    assert trials[1].settings["stages.balance.overrides.credit.lam"] == pytest.approx(0.974, abs=5e-4)


@pytest.mark.parametrize("wrong", [{"trials": 0}, {"trials": True}, {"seeds": 0}, {"seed": -1}, {"trials": 2.5}])
def test_a_budget_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="allowed is a whole number"):
        SweepBudget(**wrong)


def test_a_sweep_of_scenarios_asks_for_methods(tmp_path: Path) -> None:
    for methods, words in ((None, "Missing option --methods of peripatos sweep"), ([], "--methods names no method")):
        with pytest.raises(UserError, match=words):
            sweep(["cartpole-ppo"], methods, SweepBudget(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


LONGER = ["stages.learn.budget={env_steps: 128}"]


def fake(folder: Path, scores: dict[str, list[list[float | None]]]) -> list[tuple[Trial, JobResult]]:
    """Runs of trials as if they had had these scores, by method, trial and seed."""
    seeds = len(next(iter(scores.values()))[0])
    path = str(write_scenario(folder, VARIED))
    budget = SweepBudget(len(next(iter(scores.values()))), seeds)
    runs = []
    for trial in plan_trials([path], list(scores), {}, budget, folder / "out", LONGER):
        value = scores[trial.method][trial.number - 1][trial.scenario.seed - RESULT_SEEDS]
        after = {"return_mean": value, "episodes": 3}
        done = {"stages": [{"evaluation": {"after": after}}], "env_steps": 64, "wall_s": 1.5}
        runs.append((trial, JobResult(trial, {}, "it broke") if value is None else JobResult(trial, done)))
    return runs


def reported(folder: Path, scores: dict[str, list[list[float | None]]]) -> dict[str, Any]:
    runs = fake(folder, scores)
    (folder / "out").mkdir()
    file = ComparisonFile(methods=list(scores), scenarios={str(folder / "tiny.yaml"): {}}, search={})
    budget = SweepBudget(len(next(iter(scores.values()))), len(next(iter(scores.values()))[0]))
    return report_sweep(runs, file, LONGER, budget, folder / "out")


def test_the_highest_mean_over_seeds_is_chosen_and_the_first_of_equals(tmp_path: Path) -> None:
    found = reported(tmp_path, {"ppo": [[1, 9], [7, 5], [4, 8]], "grpo": [[30, None], [2, 4], [1, 1]]})
    assert [(row["method"], row["trial"], row["score"]) for row in found["chosen"]] == [("ppo", 2, 6), ("grpo", 2, 3)]
    assert [row["score"] for row in found["trials"]] == [5, 6, 6, None, 3, 1]
    assert found["costs"] == {"runs": 12, "updates": 0, "env_steps": 11 * 64, "action_units": 0, "wall_s": 16.5}
    assert found["failures"] == ["FAILED tiny grpo trial 1 seed 1001: it broke"]
    assert json.loads((tmp_path / "out" / "sweep.json").read_text()) == found
    with (tmp_path / "out" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["trial"], row["seed"], row["score"]) for row in rows[:3]] == [
        ("1", "1000", "1.0"),
        ("1", "1001", "9.0"),
        ("2", "1000", "7.0"),
    ]
    assert json.loads(rows[2]["settings"]) == found["chosen"][0]["settings"]
    assert "wall_s" not in rows[0]
    assert tables(found)["trials"][3]["score"] == "—"
    assert "ppo: optimizer.lr" in found["sentences"][0]
    assert "trial 2 of 3, 6 of return" in found["sentences"][0]


def test_what_is_chosen_is_a_comparison_that_says_where_its_settings_are_from(tmp_path: Path) -> None:
    found = reported(tmp_path, {"ppo": [[1], [2]], "grpo": [[2], [1]]})
    rates = {row["method"]: row["settings"]["stages.learn.optimizer.lr"] for row in found["chosen"]}
    file = find_comparison([str(tmp_path / "out" / "chosen.yaml")])
    assert file is not None
    jobs = plan(list(file.scenarios), file.methods, 1, tmp_path / "again", (), file.sets())
    for job in jobs:
        assert job.scenario.stages[0].optimizer["lr"] == rates[job.method]
        assert job.scenario.stages[0].budget.limits() == {"env_steps": 128}  # pyright: ignore[reportOptionalMemberAccess]
        assert job.scenario.evaluation.split == "test"
    assert jobs[1].scenario.stages[0].collect.group_size == 4  # pyright: ignore  (what the scenario's variant has)
    (told,) = settings_told(jobs)
    assert told.startswith("tiny: settings of ppo and grpo: sweep of 20")
    assert told.endswith("2 trials of env_steps 128, seed 1000, tasks of validation.")


def test_a_method_without_a_score_keeps_the_scenarios_settings_and_the_comparison_says_so(tmp_path: Path) -> None:
    found = reported(tmp_path, {"ppo": [[1], [2]], "grpo": [[None], [None]]})
    assert "settings of grpo: none is chosen" in found["sentences"][1]
    file = find_comparison([str(tmp_path / "out" / "chosen.yaml")])
    assert file is not None
    jobs = plan(list(file.scenarios), file.methods, 1, tmp_path / "again", (), file.sets())
    told = settings_told(jobs)
    assert told[1] == "tiny: settings of grpo: as the scenario has them, and no search is named."
    assert "are not from one search" in told[2]
    (tmp_path / "again").mkdir()
    assert report([JobResult(job, {}, "broken") for job in jobs], tmp_path / "again")["settings"] == told


@pytest.mark.parametrize(
    ("said", "words"), [("3", "from is 3"), ("' '", "from is ' '"), ("{a: 1}", "from is {'a': 1}")]
)
def test_a_scenario_ships_variants_with_where_they_are_from(tmp_path: Path, said: str, words: str) -> None:
    text = VARIED.replace("grpo: {", "grpo: {from: the table of a paper, ")
    jobs = plan([str(write_scenario(tmp_path, text))], ["grpo"], 1, tmp_path / "out")
    assert settings_told(jobs) == ["tiny: settings of grpo: the table of a paper."]
    with pytest.raises(UserError, match=rf"line 12, .*{words}; it says in words where"):
        load_scenario(str(write_scenario(tmp_path, VARIED.replace("grpo: {", f"grpo: {{from: {said}, "))))


def test_what_a_comparison_puts_over_settings_is_not_from_where_they_are(tmp_path: Path) -> None:
    text = VARIED.replace("grpo: {", "grpo: {from: sweep of X, ")
    near = Contender(method="grpo", optimizer={"lr": 0.5}, overrides={"weighting": {"clip_low": 0.1}})
    methods = {"near": near, "grpo": Contender(method="grpo")}
    told = settings_told(plan([str(write_scenario(tmp_path, text))], methods, 1, tmp_path / "out"))
    assert told[:2] == [
        "tiny: settings of near: sweep of X, but for overrides.weighting.clip_low, optimizer.lr.",
        "tiny: settings of grpo: sweep of X.",
    ]
    assert "are not from one search" in told[2]


def test_settings_that_a_comparison_puts_over_a_scenario_are_not_as_the_scenario_has_them(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path, VARIED))
    slow = {"slow": Contender(method="ppo", optimizer={"lr": 1.0}), "ppo": Contender(method="ppo")}
    told = settings_told(plan([path], slow, 1, tmp_path / "out"))
    assert told[:2] == [
        "tiny: settings of slow: as the scenario has them, but for optimizer.lr, and no search is named.",
        "tiny: settings of ppo: as the scenario has them, and no search is named.",
    ]
    given = ["stages.learn.optimizer.lr=0.5", "stages.learn.budget.env_steps=64", "variants.ppo={agent.hidden: [8]}"]
    (told,) = settings_told(plan([path], ["ppo"], 1, tmp_path / "out", given))
    assert "as the scenario has them, but for optimizer.lr, agent.hidden, and no search is named." in told


def test_trials_that_would_have_unequal_budgets_are_refused(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path, VARIED.replace("env_steps: 64", "updates: 3")))
    search = read_search({"collect.groups": {"choice": [4, 64]}})
    with pytest.raises(UserError, match="how much an update collects, and the budget counts updates"):
        plan_trials([path], ["ppo"], search, SweepBudget(trials=2), tmp_path / "out")


@pytest.mark.parametrize(
    ("budget", "method", "key", "values", "counted"),
    [
        ("epochs: 2", "grpo", "collect.group_size", [2, 16], "epoch"),
        ("{epochs: 2, env_steps: 900}", "grpo", "collect.group_size", [2, 16], "epoch"),
        ("epochs: 2", "dapo", "collect.refill", [0, 8], "epoch"),
        ("updates: 2", "dapo", "collect.refill", [0, 8], "update"),
        ("updates: 2", "grpo", "collect.group_size", [2, 16], "update"),
        ("epochs: 2", "grpo", "collect.groups", [2, 3], None),
        ("env_steps: 99", "dapo", "collect.refill", [0, 8], None),
        ("updates: 2", "grpo", "collect.tile", [1, 2], None),
    ],
)
def test_trials_of_a_list_of_tasks_collect_as_much_in_each_pass(
    tmp_path: Path, budget: str, method: str, key: str, values: list[int], counted: str | None
) -> None:
    tasks = [json.dumps({"question": f"{n} + 1", "answer": str(n + 1)}) for n in range(20)]
    (tmp_path / "sums.jsonl").write_text("\n".join(tasks))
    options = f"{{tasks: {tmp_path / 'sums.jsonl'}, prompt: '{{question}} =', grader: number}}"
    text = (
        f"name: sums\nworld: {{id: peripatos/Tasks-v0, options: {options}}}\n"
        "agent: {kind: tiny_llama, hidden: 8, layers: 1}\nsampling: {max_tokens: 2}\n"
        "evaluation: {every: null, episodes: all}\nstages:\n"
        f"  - {{name: learn, method: {method}, collect: {{groups: 2, group_size: 4}}, "
        f"budget: {budget if budget.startswith('{') else f'{{{budget}}}'}}}\n"
    )
    search = read_search({key: {"choice": values}})
    path = str(write_scenario(tmp_path, text))
    if counted is None:
        assert plan_trials([path], [method], search, SweepBudget(trials=2), tmp_path / "out")
    else:
        with pytest.raises(UserError, match=f"how much an {counted} collects, and the budget counts {counted}s"):
            plan_trials([path], [method], search, SweepBudget(trials=2), tmp_path / "out")


def test_trials_that_spent_unequally_are_marked(tmp_path: Path) -> None:
    runs = fake(tmp_path, {"ppo": [[1], [2]]})
    runs[1][1].summary["env_steps"] = 640
    (tmp_path / "out").mkdir()
    file = ComparisonFile(methods=["ppo"], scenarios={str(tmp_path / "tiny.yaml"): {}}, search={})
    found = report_sweep(runs, file, LONGER, SweepBudget(2), tmp_path / "out")
    assert "tiny: trials of ppo are not equal" in found["sentences"][1]
    assert "different amounts of env_steps" in found["sentences"][1]


def test_what_a_failed_trial_took_is_part_of_the_cost(tmp_path: Path) -> None:
    runs = fake(tmp_path, {"ppo": [[1, 2], [3, None], [None, None]]})
    taken = {"env_steps": 48, "action_units": 50, "updates": 1, "wall_s": 0.5}
    runs = [(trial, replace(one, summary=taken) if one.failure else one) for trial, one in runs]
    runs[-1] = runs[-1][0], replace(runs[-1][1], summary={})  # it never began
    (tmp_path / "out").mkdir()
    file = ComparisonFile(methods=["ppo"], scenarios={str(tmp_path / "tiny.yaml"): {}}, search={})
    found = report_sweep(runs, file, LONGER, SweepBudget(3, 2), tmp_path / "out")
    assert [row["costs"]["env_steps"] for row in found["trials"]] == [128, 64 + 48, 48]
    assert [row["world steps"] for row in tables(found)["trials"]] == ["128", "112", "48"]
    whole = {"runs": 6, "updates": 2, "env_steps": 3 * 64 + 2 * 48, "action_units": 100, "wall_s": 5.5}
    assert found["costs"] == whole
    assert json.loads((tmp_path / "out" / "sweep.json").read_text())["costs"] == whole
    assert cost_sentence(found) == "Cost: 6 runs (3 failed), 288 world steps, 6 s of runs."


def test_no_setting_is_run_twice(tmp_path: Path) -> None:
    path, search = str(write_scenario(tmp_path, VARIED)), read_search({"collect.groups": {"choice": [8, 16]}})
    trials = plan_trials([path], ["ppo"], search, SweepBudget(trials=2), tmp_path / "out")
    assert {job.settings["stages.learn.collect.groups"] for job in trials} == {8, 16}
    with pytest.raises(UserError, match=r"8 trials of ppo in tiny, and there are only 2 different .* give --trials 2"):
        plan_trials([path], ["ppo"], search, SweepBudget(), tmp_path / "out")


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (
            ["evaluation.split=test"],
            "has no effect: a sweep is scored by the tasks of validation",
        ),
        (["evaluation.split=validation"], "has no effect"),
        (["evaluation={episodes: 2, split: validation}"], "tiny reports its validation"),
    ],
)
def test_by_which_tasks_a_sweep_is_scored_is_its_own(tmp_path: Path, sets: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        plan_trials([str(write_scenario(tmp_path, VARIED))], ["ppo"], {}, SweepBudget(), tmp_path / "out", sets)


DIES = FALLING.replace(
    "        with open",
    """\
        if os.environ.get("DIES") and any("trial-2" in word for word in sys.argv):
            os.kill(os.getpid(), 9)
        with open""",
).replace("import os\n", "import os\nimport sys\n")


@pytest.mark.slow
def test_a_trial_that_dies_is_one_failed_cell_and_the_same_sweep_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    (tmp_path / "dies.py").write_text(DIES)
    path = write_scenario(tmp_path, VARIED.replace("CartPole-v1", "dies:Falls"))
    arguments = ("sweep", path, "--methods", "ppo", "--trials", 2, "--out", tmp_path / "out")
    monkeypatch.setenv("DIES", "1")
    assert command(*arguments) == 1
    told = capsys.readouterr()
    assert "FAILED tiny ppo trial 2 seed 1000: exit code -9" in told.out
    assert "trial 1 of 2" in told.out
    monkeypatch.delenv("DIES")
    assert command(*arguments) == 0
    whole = {name: (tmp_path / "out" / name).read_bytes() for name in ("trials.csv", "chosen.yaml")}
    assert b"failed" not in whole["trials.csv"]
    assert command(*arguments) == 0  # nothing is run again
    assert {name: (tmp_path / "out" / name).read_bytes() for name in whole} == whole
    capsys.readouterr()
    assert command("compare", tmp_path / "out" / "chosen.yaml", "--seeds", 1, "--out", tmp_path / "compared") == 0
    assert "settings of ppo: sweep of 20" in capsys.readouterr().out


LEARNS_LESS = "stages.learn={name: learn, method: ppo, collect: {groups: 2, horizon: 32}, budget: {env_steps: 32}}"
LEARN = "{name: learn, method: ppo, collect: {groups: 2, horizon: 32}, budget: {env_steps: 64}, optimizer: {lr: 1}}"


@pytest.mark.parametrize(
    "flag",
    [
        "stages.learn.optimizer.lr=1",
        "stages.-1.optimizer={lr: 1}",
        f"stages.learn={LEARN}",
        f"stages=[{LEARN}]",
        "variants.ppo={stages.learn.optimizer.lr: 1}",
        "variants={ppo: {stages.learn.optimizer: {lr: 1}}}",
    ],
)
def test_a_flag_for_what_is_searched_is_refused(tmp_path: Path, flag: str) -> None:
    path = str(write_scenario(tmp_path, VARIED))

    def planned(*sets: str, search: dict[str, Any]) -> list[Trial]:
        return plan_trials([path], ["ppo"], read_search(search), SweepBudget(trials=1), tmp_path / "out", sets)

    declared = {"optimizer.lr": {"log": [1e-4, 1e-2]}}
    with pytest.raises(UserError, match=r"optimizer\.lr is searched for ppo; leave out one of the two"):
        planned(flag, search=declared)
    assert planned(LEARNS_LESS, search=declared)
    (trial,) = planned(flag, search={})  # around what is said
    assert 0.1 <= trial.learns.optimizer["lr"] <= 10
