"""Comparisons: which runs they make, and what they make of their scores."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scenarios_runs import TINY, command, finish, rows, start, until, write_scenario

import peripatos
from peripatos.envs.cores import usable_cores
from peripatos.envs.errors import UserError
from peripatos.scenarios.commands.app import gone_on_with
from peripatos.scenarios.compare import interval, pictures
from peripatos.scenarios.compare.contenders import COLD, Contender
from peripatos.scenarios.compare.fairness import refuse_edited, refuse_unequal
from peripatos.scenarios.compare.findings import report, tables
from peripatos.scenarios.compare.idle import refuse_idle
from peripatos.scenarios.compare.jobs import JobResult
from peripatos.scenarios.compare.plan import ComparisonJob, plan, with_method
from peripatos.scenarios.compare.scores import alike, grouped, improvements, scores_told
from peripatos.scenarios.config.collect import Collect
from peripatos.scenarios.config.loading import apply_sets, load_scenario, open_scenario, put
from peripatos.scenarios.config.schema import Anchors, Budget, SharedWorld
from peripatos.scenarios.config.yaml_text import Source
from peripatos.scenarios.run import signals
from peripatos.scenarios.run.lock import writing
from peripatos.scenarios.run.provenance import own_code
from peripatos.scenarios.run.signals import Stopped

VARIED = TINY + "variants: {grpo: {stages.learn.collect: {groups: 2, group_size: 4}}}\n"


def outcome(folder: Path, method: str, seed: int, score: float | None, **more: Any) -> JobResult:
    scenario = load_scenario(str(write_scenario(folder))).model_copy(update={"seed": seed, **more.pop("scenario", {})})
    job = ComparisonJob(scenario, scenario.name, method, folder / scenario.name / f"{method}-{seed}")
    if score is None:
        return JobResult(job, {}, "exit code 1: it broke")
    after = {"return_mean": score, "episodes": 3, **more.pop("after", {})}
    return JobResult(job, {"stages": [{"evaluation": {"after": after}}], "env_steps": 10, "wall_s": 1.5, **more})


def test_two_methods_on_equal_seeds_are_compared_seed_by_seed(tmp_path: Path) -> None:
    scores = {"ppo": [10.0, 50.0, 90.0], "grpo": [12.0, 53.0, 92.0]}
    outcomes = [outcome(tmp_path, name, seed, score) for name, row in scores.items() for seed, score in enumerate(row)]
    found = report(outcomes, tmp_path)
    (difference,) = found["differences"]
    low, high = interval([2.0, 3.0, 2.0])
    assert (difference["method"], difference["other"], difference["seeds"]) == ("grpo", "ppo", 3)
    assert (difference["difference"], difference["low"], difference["high"]) == (pytest.approx(7 / 3), low, high)
    assert found["conclusions"][0].startswith("tiny: grpo beats ppo by 2.33 of return (95 % interval 0.")
    assert found["methods"][1]["low"] < 0 < low  # side by side the two could not be told apart


def test_one_seed_and_equal_seeds_claim_no_width(tmp_path: Path) -> None:
    one = report([outcome(tmp_path, "ppo", 0, 500.0)], tmp_path)
    equal = report([outcome(tmp_path, "ppo", seed, 500.0) for seed in range(3)], tmp_path)
    for found in (one, equal):
        assert [found["methods"][0][name] for name in ("mean", "low", "high")] == [500.0, None, None]
        assert not re.search(r"\b(nan|inf)\b", f"{tables(found)} {found}")


def test_failed_seeds_are_shown_never_averaged_away_and_nothing_is_concluded(tmp_path: Path) -> None:
    outcomes = [outcome(tmp_path, "ppo", seed, score) for seed, score in enumerate([10.0, None, 20.0])]
    outcomes += [outcome(tmp_path, "grpo", seed, score) for seed, score in enumerate([90.0, 91.0, 92.0])]
    found = report(outcomes, tmp_path)
    assert [found["methods"][0][name] for name in ("mean", "seeds", "failed")] == [15.0, 3, 1]
    assert tables(found)["scores"][0]["seeds"] == "3, 1 failed"
    assert found["failures"] == ["FAILED tiny ppo seed 1: exit code 1: it broke"]
    assert "nothing is concluded of grpo and ppo: not every run of ppo came to its end" in found["conclusions"][0]
    with (tmp_path / "runs.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [row["score"] for row in written[:3]] == ["10.0", "", "20.0"]
    assert [row["status"] for row in written[:3]] == ["done", "failed", "done"]


def test_no_column_holds_a_return_beside_success_rates(tmp_path: Path) -> None:
    """Where a world says `success` only if it means yes, a failed test has the rate 0 in all that is made of it."""
    tests = {"ppo": [None, None, 1.0, None, 1.0], "grpo": [None] * 5}
    outcomes = [
        outcome(tmp_path, m, n, 9.0 if rate is None else 1.0, after={} if rate is None else {"success_rate": rate})
        for m, row in tests.items()
        for n, rate in enumerate(row)
    ]
    for one in outcomes:
        one.job.path.mkdir(parents=True, exist_ok=True)
        seen = {**one.summary["stages"][-1]["evaluation"]["after"], "set": "validation"}
        lines = [json.dumps({**seen, "env_steps": steps, "update": steps, "stage": "learn"}) for steps in (0, 9)]
        (one.job.path / "evaluations.jsonl").write_text("\n".join(lines) + "\n")
    found = report(outcomes, tmp_path)
    assert [one["values"] for one in found["methods"]] == [[0.0, 0.0, 1.0, 0.0, 1.0], [0.0] * 5]
    assert {one["measure"] for one in found["methods"]} == {"success_rate"}
    with (tmp_path / "runs.csv").open() as file:
        assert [row["score"] for row in csv.DictReader(file)] == [*map(str, [0.0, 0.0, 1.0, 0.0, 1.0]), *["0.0"] * 5]
    assert [value for one in alike(outcomes) for _, value in pictures.learning_curve(one)][:6] == [
        0.0,
        0.0,
        0.0,
        0.0,
        1.0,
        1.0,
    ]


def test_a_name_that_begins_with_an_underscore_stands_in_the_legend(tmp_path: Path) -> None:
    figure = pictures.draw_profiles({"_near": np.ones((3, 2)), "far": np.zeros((3, 2))}, tmp_path / "profiles")
    assert {"<!-- _near -->", "<!-- far -->"} <= set(re.findall("<!-- .* -->", figure[1].read_text()))


def test_what_a_comparison_finds_stands_in_its_files(tmp_path: Path) -> None:
    found = report([outcome(tmp_path, m, seed, 5.0 + seed) for m in ("ppo", "grpo") for seed in range(3)], tmp_path)
    assert json.loads((tmp_path / "comparison.json").read_text()) == found
    with (tmp_path / "differences.csv").open() as file:
        (difference,) = csv.DictReader(file)
    assert [difference["sentence"]] == found["conclusions"]
    known = {name: "" if value is None else str(value) for name, value in found["differences"][0].items()}
    assert {name: difference[name] for name in known} == known  # plain numbers, and nothing where nothing is known
    with (tmp_path / "costs.csv").open() as file:
        assert [(row["wall_s"], row["env_steps"]) for row in csv.DictReader(file)] == [("1.5", "10")] * 6
    report([outcome(tmp_path, "ppo", 0, 5.0)], tmp_path)
    assert (tmp_path / "differences.csv").read_text() == ",".join(difference) + "\n"  # of one method: the heading
    assert "wall_s" not in (tmp_path / "runs.csv").read_text()  # no clock: equal after a kill
    assert all(Path(file).stat().st_size for file in found["files"])
    assert {Path(file).name for file in found["files"]} >= {"curves.png", "curves.svg"}


def test_scores_of_several_worlds_are_normalised_by_what_their_scenarios_say(tmp_path: Path) -> None:
    def runs(name: str, random: float, reference: float, best: float) -> list[JobResult]:
        said = {"name": name, "scores": Anchors(random=random, reference=reference)}
        values = {"ppo": [random, (random + best) / 2], "grpo": [best, best]}
        return [outcome(tmp_path, m, n, v, scenario=said) for m, row in values.items() for n, v in enumerate(row)]

    found = report([*runs("a", 20.0, 120.0, 120.0), *runs("b", -10.0, 10.0, 0.0)], tmp_path)
    # a: ppo 0 and 0.5, grpo 1 and 1; b: ppo 0 and 0.25, grpo 0.5 and 0.5
    assert [(one["method"], one["statistic"], one["value"]) for one in found["overall"]] == [
        ("ppo", "mean", pytest.approx((0 + 0.5 + 0 + 0.25) / 4)),
        ("grpo", "mean", pytest.approx(0.75)),
    ]
    assert found["improvements"] == [{"method": "ppo", "than": "grpo", "probability": 0.0, "low": None, "high": None}]
    assert (tmp_path / "profiles.svg").exists()
    alone = report(runs("a", 20.0, 120.0, 120.0), tmp_path)
    assert [path.name for path in tmp_path.glob("profiles.*")] == []  # of a comparison that had some
    assert (alone["overall"], alone["methods"][0]["normalised"]) == ([], pytest.approx(0.25))


def test_of_several_worlds_it_is_told_of_which_the_score_is(tmp_path: Path) -> None:
    def notes(after: dict[str, float]) -> list[str]:
        worlds = [SharedWorld(id="CartPole-v1", name=name) for name in ("coin", "silent", "mute")]
        runs = [outcome(tmp_path, m, 0, 9.0, after=after, scenario={"worlds": worlds}) for m in ("ppo", "grpo")]
        return scores_told(grouped(runs))

    assert notes({}) == notes({f"{name}/success_rate": 0.5 for name in ("coin", "silent", "mute")}) == []
    (told,) = notes({"coin/success_rate": 0.5, "success_rate": 0.5})
    assert told.startswith("tiny: the score is the success rate of coin; silent, mute say nothing of success")
    assert "silent/return_mean" in told


def test_equal_returns_have_no_interval_even_between_zero_and_one(tmp_path: Path) -> None:
    (found,) = report([outcome(tmp_path, "ppo", seed, 0.5) for seed in range(5)], tmp_path)["methods"]
    assert (found["mean"], found["low"], found["high"]) == (0.5, None, None)
    rates = [outcome(tmp_path, "ppo", seed, 0.5, after={"success_rate": 0.9 + seed / 10}) for seed in range(2)]
    (found,) = report(rates, tmp_path)["methods"]
    assert 0 <= found["low"] < found["high"] == 1


def test_the_probability_of_improvement_claims_no_width_of_zero() -> None:
    (found,) = improvements({"ppo": np.zeros((10, 2)), "grpo": np.ones((10, 2))})
    assert (found["probability"], found["low"], found["high"]) == (0.0, 0.0, pytest.approx(1 - 0.025**0.1))


def test_runs_of_two_versions_of_a_reward_never_stand_in_one_table(tmp_path: Path) -> None:
    runs = [outcome(tmp_path, "ppo", seed, 1.0, scored_by=f"grader {seed}") for seed in range(2)]
    with pytest.raises(UserError, match=r"scored by grader 0, and .* by grader 1"):
        report(runs, tmp_path)


def test_a_folder_with_a_run_of_another_format_or_other_settings_is_refused(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path))
    run = plan([path], ["ppo"], 1, tmp_path / "out")[0].path
    run.mkdir(parents=True)
    (run / "scenario.yaml").write_text(TINY.replace("updates: 12", "updates: 13"))
    with pytest.raises(
        UserError, match=r"settings \(there → now\): stages\.learn\.budget\.updates 13 → 12; choose another"
    ):
        plan([path], ["ppo"], 1, tmp_path / "out")
    (run / "environment.json").write_text('{"format": 1}')
    with pytest.raises(UserError, match="is a run directory of format 1"):
        plan([path], ["ppo"], 1, tmp_path / "out")


def test_runs_of_a_world_that_was_edited_since_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    code = "from gymnasium.envs.classic_control import CartPoleEnv\nclass World(CartPoleEnv): ...\n"
    (module := tmp_path / "edited_between.py").write_text(code)
    path = str(write_scenario(tmp_path, TINY.replace("CartPole-v1", "edited_between:World")))
    (job,) = plan([path], ["ppo"], 1, tmp_path / "out")
    sessions = [{"code": own_code(job.scenario), "data": {}}]
    assert set(sessions[0]["code"]) == {"edited_between"}
    refuse_edited(job.path, sessions, {"code": own_code(job.scenario), "data": {}})
    module.write_text(code + "# pays twice\n")
    with pytest.raises(UserError, match="was made before edited_between changed"):
        refuse_edited(job.path, sessions, {"code": own_code(job.scenario), "data": {}})


def test_methods_that_spent_or_were_tested_unequally_are_marked(tmp_path: Path) -> None:
    def said(stage: dict[str, Any], more: dict[str, Any]) -> str:
        base = load_scenario(str(write_scenario(tmp_path))).stages[0]
        ppo = {"stages": [base.model_copy(update={"budget": stage.get("budget", base.budget)})]}
        grpo = {"stages": [ppo["stages"][0].model_copy(update=stage)]}
        runs = [outcome(tmp_path, "ppo", seed, 1.0 + seed, scenario=ppo) for seed in range(3)]
        runs += [outcome(tmp_path, "grpo", seed, 90.0 + 2 * seed, scenario=grpo, **more) for seed in range(3)]
        return report(runs, tmp_path)["conclusions"][0]

    episodes = Collect(groups=2, group_size=4)
    assert "grpo beats ppo" in said({}, {})
    assert "the budget counts updates, and they collect different amounts" in said({"collect": episodes}, {})
    beside = {"budget": Budget(updates=2, seconds=3600), "collect": episodes}
    assert "the budget counts updates, and they collect different amounts" in said(beside, {})
    steps = {"budget": Budget(env_steps=10), "collect": episodes}
    assert "grpo beats ppo" in said(steps, {"env_steps": 11})
    epochs = Budget(epochs=2)
    of_one, of_many = Collect(groups=8), Collect(groups=8, group_size=16)
    assert "grpo beats ppo" in said({"budget": epochs}, {"updates": 0})
    assert "the budget counts epochs, and they collect different" in said({"budget": epochs, "collect": of_many}, {})
    both = {"budget": Budget(epochs=2, env_steps=10), "collect": of_many}
    assert "the budget counts epochs, and they collect different" in said(both, {})
    assert "went through different numbers of tasks" in said({"budget": epochs, "collect": of_one}, {"updates": 7})
    assert "they spent different amounts of env_steps" in said(steps, {"env_steps": 12})
    clock = {"budget": Budget(seconds=1), "collect": episodes}
    assert "grpo beats ppo" in said(clock, {"wall_s": 1.6})
    assert "they spent different amounts of seconds" in said(clock, {"wall_s": 9.0})
    learned = {"stages": [{"seconds": 1.7, "evaluation": {"after": {"return_mean": 9.0, "episodes": 3}}}]}
    assert "they spent different amounts of seconds" in said(clock, learned)
    assert "grpo beats ppo" in said({}, {"wall_s": 9.0})  # no limit
    assert "different numbers of tasks" in said({}, {"after": {"episodes": 3, "failed": 1}})


@pytest.mark.parametrize("budget", [{"updates": 3}, {"epochs": 1}])
def test_groups_that_are_sampled_again_make_more_of_an_update(tmp_path: Path, budget: dict[str, float]) -> None:
    def said(refills: tuple[int, int], spent: tuple[int, int], limits: dict[str, float] = budget) -> str:
        stage = load_scenario(str(write_scenario(tmp_path))).stages[0]
        runs = []
        for place, name in enumerate(("grpo", "dapo")):
            collect = Collect(groups=8, group_size=4, refill=refills[place])
            of = {"stages": [stage.model_copy(update={"budget": Budget(**limits), "collect": collect})]}
            scores = (1.0 + seed + place * (90 + seed) for seed in range(3))
            runs += [
                outcome(tmp_path, name, seed, score, scenario=of, env_steps=spent[place], updates=3)
                for seed, score in enumerate(scores)
            ]
        return report(runs, tmp_path)["conclusions"][0]

    assert "dapo beats grpo" in said((0, 0), (96, 96))
    assert "they collect different amounts in each; give it in env_steps" in said((0, 8), (96, 184))
    assert "dapo beats grpo" in said((8, 8), (184, 180))
    assert "(collect.refill) they spent different amounts of env_steps" in said((8, 8), (96, 184))
    assert "dapo beats grpo" in said((0, 8), (184, 190), {"env_steps": 180})


def test_what_was_spent_is_compared_seed_by_seed(tmp_path: Path) -> None:
    budget = load_scenario(str(write_scenario(tmp_path))).stages[0].model_copy(update={"budget": Budget(env_steps=20)})
    runs = [
        outcome(tmp_path, method, seed, 10.0 * place + seed, scenario={"stages": [budget]}, env_steps=steps)
        for place, (method, spent) in enumerate({"ppo": [10, 20, 30], "grpo": [30, 20, 10]}.items())
        for seed, steps in enumerate(spent)  # 20 each on the average
    ]
    assert "spent different amounts of env_steps" in report(runs, tmp_path)["conclusions"][0]


def test_a_stage_that_a_variant_adds_is_refused(tmp_path: Path) -> None:
    scenario = load_scenario(str(write_scenario(tmp_path)))
    changed = scenario.model_copy(update={"stages": [*scenario.stages, scenario.stages[0].model_copy()]})
    with pytest.raises(UserError, match="has the stages learn, learn, and the other methods have learn"):
        refuse_unequal(scenario, changed, 0, "ppo")


def test_the_variant_of_the_method_that_stands_there_is_put_in_as_well(tmp_path: Path) -> None:
    text = TINY + "variants: {ppo: {stages.learn.optimizer.lr: 0.125}}\n"
    scenario = load_scenario(str(write_scenario(tmp_path, text)))
    stage = with_method(scenario, Contender(method="ppo")).stages[0]
    assert (stage.optimizer["lr"], stage.overrides) == (0.125, scenario.stages[0].overrides)


def test_another_method_keeps_budget_and_optimiser_and_gets_its_variant(tmp_path: Path) -> None:
    scenario = load_scenario(str(write_scenario(tmp_path, VARIED)))
    changed = with_method(scenario, Contender(method="grpo")).stages[0]
    assert (changed.method, changed.overrides, changed.budget) == ("grpo", {}, scenario.stages[0].budget)
    assert changed.collect is not None
    assert (changed.collect.groups, changed.collect.group_size, changed.collect.horizon) == (2, 4, None)
    assert with_method(scenario, Contender(method="ppo")) == scenario


def test_a_method_that_the_scenario_is_not_ready_for_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path))
    with pytest.raises(UserError, match=r"tiny cannot be run with rloo: .*horizon[\s\S]*variants: rloo"):
        plan([path], ["ppo", "rloo"], 2, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_scenario_named_twice_runs_once_and_a_method_twice_is_refused(
    tmp_path: Path,
) -> None:
    path = str(write_scenario(tmp_path))
    assert len(plan([path, path], ["ppo"], 2, tmp_path / "out")) == 2
    with pytest.raises(UserError, match="ppo is named twice; leave one out"):
        plan([path], ["ppo", "grpo", "ppo"], 1, tmp_path / "out")
    (other := tmp_path / "other.yaml").write_text(TINY)
    with pytest.raises(UserError, match="two of the scenarios are called 'tiny'"):
        plan([path, str(other)], ["ppo"], 1, tmp_path / "out")


@pytest.mark.parametrize("name", ["runs.csv", "sweep.json", "Curves.PNG", "chosen.yaml", "tiny.svg"])
def test_a_scenario_named_as_a_file_of_the_comparison_is_refused_before_anything_runs(
    tmp_path: Path, name: str
) -> None:
    path = str(write_scenario(tmp_path, TINY.replace("name: tiny", f"name: {name}")))
    with pytest.raises(UserError, match=f"name is '{name}', as a comparison calls files that it writes"):
        plan([path], ["ppo"], 1, tmp_path / "out")
    fine = str(write_scenario(tmp_path, TINY.replace("name: tiny", "name: tiny 2.5+x")))
    assert plan([fine], ["ppo"], 1, tmp_path / "out")


def test_a_scenario_whose_own_method_is_compared_is_checked_as_well(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path, TINY.replace("CartPole-v1", "CartPol-v1")))
    with pytest.raises(UserError, match=r"line 2, column \d+: unknown world 'CartPol-v1'"):
        plan([path], ["ppo"], 1, tmp_path / "out")


COLD_START = """\
name: tiny
world: {id: peripatos/Arithmetic-v0, options: {digits: 1, prompt: bare, answer_tag: answer}}
agent: {kind: tiny_llama, hidden: 16, layers: 1}
sampling: {max_tokens: 4}
stages:
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 8}
    budget: {updates: 2}
    stop: {success_rate: 0.9}
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 4}
    budget: {updates: 2}
    stop: {success_rate: 0.9}
evaluation: {every: 1, episodes: 3}
"""


def test_what_comes_before_the_method_is_run_once_for_each_seed_and_shared(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path, COLD_START))
    jobs = plan([path], ["grpo", "rloo"], 2, tmp_path / "out")
    assert [(job.method, job.scenario.seed) for job in jobs] == [(m, n) for m in ("grpo", "rloo") for n in (0, 1)]
    shared = {job.cold.path for job in jobs if job.cold is not None}
    assert shared == {tmp_path / "out" / "tiny" / COLD / f"seed-{seed}" for seed in range(2)}
    cold, job = jobs[0].cold, jobs[0]
    assert cold is not None
    assert [[stage.name for stage in one.scenario.stages] for one in (cold, job)] == [["imitate"], ["learn"]]
    assert job.scenario.agent.origin.run == str(cold.path.absolute())  # pyright: ignore[reportAttributeAccessIssue]
    assert cold.scenario.stages[0].stop  # it is judged by the validation, and ends for all methods alike
    assert not job.learns.stop  # and from there on everybody spends the whole budget


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("stages.learn.budget: {updates: 9}", "the budget updates 9, and the other methods have updates 2"),
        ("stages.imitate.budget: {updates: 9}", "changes what comes before stage 'learn'"),
        ("agent.hidden: 32", "changes what comes before stage 'learn'"),
        ("evaluation.episodes: 5", "scores on other tasks are not comparable"),
        ("world.options.digits: 2", "scores on other tasks are not comparable"),
        ("seed: 4", "scores on other tasks are not comparable"),
        ("stages.learn.method: reinforce", "puts reinforce into stage 'learn', and the table would call it rloo"),
        ("scores: {random: 0, reference: 1}", "changes scores, which is one for all methods"),
        ("name: other", "changes name, which is one for all methods"),
        ("stages.learn.name: other", "has the stages imitate, other, and the other methods have imitate, learn"),
    ],
)
def test_a_variant_that_would_make_a_comparison_unfair_is_refused(tmp_path: Path, variant: str, words: str) -> None:
    path = write_scenario(tmp_path, COLD_START)
    key, value = yaml.safe_load(f"{{{variant}}}").popitem()
    changed = load_scenario(str(path), ["stages.learn.method=rloo", f"{key}={json.dumps(value)}"])
    with pytest.raises(UserError, match="the variant of rloo") as refusal:
        refuse_unequal(load_scenario(str(path)), changed, 1, "rloo")
    assert words in str(refusal.value)


def test_unfair_variants_are_refused_before_anything_runs(tmp_path: Path) -> None:
    text = VARIED.replace("{groups: 2, group_size: 4}", "{groups: 2, group_size: 4}, evaluation.episodes: 4")
    with pytest.raises(UserError, match="the variant of grpo changes the world, the evaluation or the seed"):
        plan([str(write_scenario(tmp_path, text))], ["ppo", "grpo"], 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", ["stages.learn.stop.success_rate=0.5", "stages.1.stop={success_rate: 0.5}"])
def test_a_goal_where_every_method_spends_its_whole_budget_is_refused(tmp_path: Path, key: str) -> None:
    path = str(write_scenario(tmp_path, COLD_START))
    with pytest.raises(UserError, match=r"has no effect: from stage 'learn' on, each method spends its whole budget"):
        plan([path], ["grpo"], 1, tmp_path / "out", [key])
    scenario, source = open_scenario(path, ["stages.imitate.stop.success_rate=0.5"])
    refuse_idle(scenario, source, 1, ["grpo"])


@pytest.mark.parametrize(
    "key",
    [
        "stages.learn={name: learn, method: rloo, collect: {groups: 2, group_size: 4}, budget: {updates: 3}}",
        "stages=[{name: learn, method: rloo, collect: {groups: 2, group_size: 4}, budget: {updates: 3}}]",
        "stages.0. method=rloo",
    ],
)
def test_a_method_inside_of_a_whole_stage_is_refused_as_it_is_alone(tmp_path: Path, key: str) -> None:
    path = str(write_scenario(tmp_path, VARIED))
    with pytest.raises(UserError, match=r"the methods of a comparison are those of --methods ppo,grpo"):
        plan([path], ["ppo", "grpo"], 1, tmp_path / "out", [key])


@pytest.mark.parametrize("flag", ["variants.gspo={stages.learn.optimizer.lr: 1}", "variants={gspo: {}, ppo: {}}"])
def test_a_variant_of_a_method_that_is_not_compared_is_refused(tmp_path: Path, flag: str) -> None:
    path = str(write_scenario(tmp_path, VARIED))
    words = r"has no effect: gspo is not compared; the methods compared are ppo, grpo\. Did you mean 'grpo'\?"
    with pytest.raises(UserError, match=words):
        plan([path], ["ppo", "grpo"], 1, tmp_path / "out", [flag])
    plan([path], ["ppo", "grpo"], 1, tmp_path / "out", ["variants.ppo={stages.learn.optimizer.lr: 1}"])


WHOLE = "{name: learn, method: ppo, collect: {groups: 2, horizon: 32}, budget: {updates: 3}, %s}"


@pytest.mark.parametrize(
    "key",
    [
        "stages.learn.overrides={credit: {gamma: 0.9}}",
        "stages.-1.overrides.credit.gamma=0.9",
        f"stages.learn={WHOLE % 'overrides: {credit: {gamma: 0.9}}'}",
        f"stages=[{WHOLE % 'overrides: {credit: {gamma: 0.9}}'}]",
    ],
)
def test_overrides_that_would_reach_one_method_alone_are_refused_with_the_way_out(tmp_path: Path, key: str) -> None:
    scenario, source = open_scenario(str(write_scenario(tmp_path)), [key])
    with pytest.raises(UserError, match="would reach ppo alone") as refusal:
        refuse_idle(scenario, source, 0, ["ppo", "grpo"])
    way = str(refusal.value).rpartition("--set ")[2].strip("'")
    assert way.startswith("variants.grpo={stages.learn.overrides")
    (said,) = apply_sets({}, [way], Source("way"))["variants"]["grpo"].items()
    assert put({}, *said)["stages"]["learn"]["overrides"]["credit"]["gamma"] == 0.9
    refuse_idle(scenario, source, 0, ["ppo"])


@pytest.mark.parametrize(
    "key", [f"stages.0={WHOLE % 'stop: {return_mean: 9}'}", f"stages=[{WHOLE % 'stop: {return_mean: 9}'}]"]
)
def test_a_goal_inside_of_a_whole_stage_is_seen(tmp_path: Path, key: str) -> None:
    path = str(write_scenario(tmp_path))
    with pytest.raises(UserError, match="has no effect on stop: from stage 'learn' on"):
        refuse_idle(*open_scenario(path, [key]), 0, ["ppo"])
    refuse_idle(*open_scenario(path, [f"stages.0={WHOLE % 'overrides: {}'}"]), 0, ["ppo", "grpo"])


@pytest.mark.parametrize("key", ["evaluation.first=2", "evaluation={every: 4, episodes: 3, first: 2}"])
def test_first_tasks_where_no_goal_is_looked_at_are_refused(tmp_path: Path, key: str) -> None:
    text = TINY.replace("budget: {updates: 12}", "budget: {updates: 12}\n    stop: {return_mean: 9}")
    with pytest.raises(UserError, match=r"has no effect on evaluation\.first: from stage 'learn' on"):
        plan([str(write_scenario(tmp_path, text))], ["ppo"], 1, tmp_path / "out", [key])
    cold, source = open_scenario(str(write_scenario(tmp_path, COLD_START)), [key])
    refuse_idle(cold, source, 1, ["grpo"])  # the cold start has a goal


def test_a_flag_that_shortens_the_evaluation_of_a_file_is_no_mistake_of_a_methods(tmp_path: Path) -> None:
    keys = ["evaluation.episodes=2", "stages.balance.budget={updates: 1}"]  # `first` is 16 and `every` 5 in the file
    assert len(plan(["cartpole-ppo"], ["ppo", "reinforce_baseline"], 1, tmp_path / "out", keys)) == 2


def test_who_plays_and_on_how_many_threads_is_no_part_of_the_tasks(tmp_path: Path) -> None:
    text = VARIED.replace("{groups: 2, group_size: 4}", "{groups: 2, group_size: 4}, world.at_once: 3")
    assert len(plan([str(write_scenario(tmp_path, text))], ["ppo", "grpo"], 1, tmp_path / "out")) == 2


@pytest.mark.parametrize(("random", "reference"), [(3, 3), (500, 0)])
def test_a_reference_that_is_no_better_than_chance_is_refused(tmp_path: Path, random: int, reference: int) -> None:
    path = write_scenario(tmp_path, TINY + f"scores: {{random: {random}, reference: {reference}}}\n")
    with pytest.raises(UserError, match=f"scores has random {random}, reference {reference}; the reference is better"):
        load_scenario(str(path))


def test_scores_in_points_are_refused_where_success_is_scored(tmp_path: Path) -> None:
    points = "scores: {random: 5, reference: 100}\n"
    path = write_scenario(tmp_path, COLD_START + points)
    with pytest.raises(UserError, match=r"from 0 to 1: 5 % is written 0\.05"):
        plan([str(path)], ["grpo"], 1, tmp_path / "out")
    plan([str(write_scenario(tmp_path, TINY + points))], ["ppo"], 1, tmp_path / "out")  # of a return
    said = {"scores": Anchors(random=5, reference=100)}  # nobody could tell before
    runs = [outcome(tmp_path, "ppo", seed, 9.0, scenario=said, after={"success_rate": 0.5}) for seed in (0, 1)]
    found = report(runs, tmp_path)
    assert found["methods"][0]["normalised"] is None
    assert "its `scores` are not in [0, 1]: nothing of it is normalised." in found["notes"][0]


def test_the_entrance_from_python_refuses_as_the_command_does(tmp_path: Path) -> None:
    path = write_scenario(tmp_path)
    with pytest.raises(UserError, match="seeds is 0; allowed is a whole number"):
        peripatos.compare(path, ["ppo"], seeds=0, out=tmp_path / "out")
    for wrong in ({"seeds": True}, {"limit": 0}, {"limit": -1}):
        with pytest.raises(UserError, match="allowed is a whole number, 1 or more"):
            peripatos.compare(path, ["ppo"], out=tmp_path / "out", **wrong)
    with pytest.raises(UserError, match="no scenario is named"):
        peripatos.compare([], ["ppo"], out=tmp_path / "out")
    with pytest.raises(UserError, match="Did you mean 'ppo'"):
        peripatos.compare([path], ["pppo"], out=tmp_path / "out")
    with pytest.raises(UserError, match="override 'seed' has no effect"):
        peripatos.compare(path, "ppo", {"seed": 4}, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_ctrl_c_ends_a_comparison_and_saves_its_runs(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 1000000"))
    process = start("compare", path, "--methods", "ppo", "--seeds", 3, "--limit", 1, "--out", tmp_path / "out")
    run = tmp_path / "out" / "tiny" / "ppo" / "seed-0"
    until((run / "metrics.jsonl").exists)
    process.send_signal(signal.SIGINT)
    code, _, told = finish(process)
    assert code == 130
    assert "the same command goes on" in told
    assert json.loads((run / "summary.json").read_text())["status"] == "interrupted"
    assert not run.with_name("seed-1").exists()


@pytest.mark.slow
def test_a_comparison_runs_shows_failures_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("compare", write_scenario(tmp_path, VARIED), "--methods", "ppo,grpo", "--seeds", 2)
    assert command(*arguments, "--out", tmp_path / "out") == 0
    first = capsys.readouterr()
    assert "4/4" in first.err
    assert "nothing is concluded of" in first.out  # its budget is in updates, of which both make another use
    runs = (tmp_path / "out" / "runs.csv").read_bytes()
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("metrics.jsonl")}
    assert len(stamps) == 4
    assert command(*arguments, "--out", tmp_path / "out") == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert capsys.readouterr().out == first.out
    assert (tmp_path / "out" / "runs.csv").read_bytes() == runs
    assert command(*arguments, "--out", tmp_path / "out", "--set", "stages.0.budget.updates=3") == 2


FALLS = """\
import os
import sys
from gymnasium.envs.classic_control import CartPoleEnv

class Falls(CartPoleEnv):
    def reset(self, **options):
        job = sys.argv[0].endswith("one_run.py") and any("rloo" in word for word in sys.argv)
        if os.environ.get("FALLS") and job:
            os.kill(os.getpid(), 9)
        return super().reset(**options)
"""
SHORT = (
    VARIED.replace("updates: 12", "updates: 2")
    .replace("CartPole-v1", "falls:Falls")
    .replace(
        "variants: {",
        """\
variants: {rloo: {stages.learn.collect: {groups: 2, group_size: 4}}, """,
    )
)


@pytest.mark.slow
def test_a_run_that_dies_is_one_failed_cell_and_goes_on_another_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "falls.py").write_text(FALLS)
    arguments = ("compare", write_scenario(tmp_path, SHORT), "--methods", "grpo,rloo", "--seeds", 1)
    monkeypatch.setenv("FALLS", "1")
    assert command(*arguments, "--out", tmp_path / "out") == 1
    told = capsys.readouterr().out
    assert "FAILED tiny rloo seed 0: exit code -9" in told
    assert "FAILED tiny grpo" not in told
    monkeypatch.delenv("FALLS")
    assert command(*arguments, "--out", tmp_path / "out") == 0
    assert "FAILED" not in capsys.readouterr().out


def processes(*words: str) -> list[int]:
    """Those of runs of a comparison whose command lines have all of `words`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            line = (folder / "cmdline").read_text(errors="replace")
            found += [int(folder.name)] if all(word in line for word in ("one_run", *words)) else []
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_run_outlives_its_comparison_and_each_is_saved(tmp_path: Path, how: signal.Signals) -> None:
    path = write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 1000000"))
    process = start("compare", path, "--methods", "ppo", "--seeds", 2, "--limit", 2, "--out", tmp_path / "out")
    runs = [tmp_path / "out" / "tiny" / "ppo" / f"seed-{seed}" for seed in range(2)]

    begun = [run / "metrics.jsonl" for run in runs][: min(2, usable_cores())]
    until(lambda: all(file.exists() for file in begun))
    assert processes(str(tmp_path))
    process.send_signal(how)
    finish(process)
    until(lambda: not processes(str(tmp_path)))
    for file in begun:
        assert json.loads((file.parent / "summary.json").read_text())["status"] == "interrupted"


TWO_STAGES = TINY.replace(
    "stages:", "stages:\n  - {name: before, method: ppo, collect: {groups: 2, horizon: 16}, budget: {updates: 9}}"
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_after_a_kill_the_same_comparison_ends_with_equal_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
        write_scenario(folder, TWO_STAGES)
    arguments = ("compare", "tiny.yaml", "--methods", "ppo", "--seeds", 1, "--out", "out")
    process = start(*arguments, cwd=folders[1])
    until((folders[1] / "out" / "tiny" / COLD / "seed-0" / "metrics.jsonl").exists)
    _kill_all(process, folders[1])
    assert not (folders[1] / "out" / "runs.csv").exists()
    for folder in folders:
        monkeypatch.chdir(folder)
        assert command(*arguments) == 0
    whole, killed = ((folder / "out" / "runs.csv").read_bytes() for folder in folders)
    assert killed == whole
    cold, job = (folders[0] / "out" / "tiny" / name / "seed-0" for name in (COLD, "ppo"))
    assert rows(job / "evaluations.jsonl")[0]["return_mean"] == rows(cold / "evaluations.jsonl")[-1]["return_mean"]
    costs = list(csv.DictReader((folders[0] / "out" / "costs.csv").read_text().splitlines()))
    assert [row["method"] for row in costs] == [COLD, "ppo"]
    assert all(float(row["peak_mib"]) > 50 and float(row["wall_s"]) > 0 for row in costs)


HOLDS = """\
import sys, time
from pathlib import Path
import gymnasium
class Holds(gymnasium.Wrapper):
    def __init__(self, **options):
        super().__init__(gymnasium.make("CartPole-v1", **options))
    def step(self, action):
        while "HELD" in sys.argv and Path("HELD/metrics.jsonl").exists() and Path("hold").exists():
            Path("holding").touch()
            time.sleep(0.01)
        return super().step(action)
"""


@pytest.mark.slow
def test_a_run_that_outlives_its_killed_comparison_is_waited_for(tmp_path: Path) -> None:
    held = f"out/tiny/{COLD}/seed-0"
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
        (folder / "holds.py").write_text(HOLDS.replace("HELD", held))
        write_scenario(folder, TWO_STAGES.replace("{id: CartPole-v1}", "{id: 'holds:Holds'}"))
    arguments = ("compare", "tiny.yaml", "--methods", "ppo", "--seeds", 1, "--out", "out")
    whole = start(*arguments, cwd=folders[0])
    (folders[1] / "hold").touch()  # its second update lasts as long as this file is there
    process = start(*arguments, cwd=folders[1])
    until(lambda: (folders[1] / "holding").exists() or process.poll() is not None)
    orphan = json.loads((folders[1] / held / ".lock").read_text())["process"]
    os.kill(orphan, signal.SIGSTOP)  # it hears nothing yet: a step that lasts would be broken off
    try:
        (folders[1] / "hold").unlink()
        process.kill()
        finish(process)
        again = start(*arguments, cwd=folders[1])
        assert again.stderr is not None
        said = next(line for line in again.stderr if "waiting" in line or "FAILED" in line)
        assert said.startswith(f"tiny {COLD} seed 0: waiting for process {orphan} on ")
        assert said.endswith(f", which still writes {held}\n")
    finally:
        os.kill(orphan, signal.SIGCONT)
    code, _, err = finish(again)
    assert (code, err.count("waiting"), err.count("FAILED")) == (0, 0, 0), err
    assert finish(whole)[0] == 0
    assert len({(folder / "out" / "runs.csv").read_bytes() for folder in folders}) == 1


@pytest.mark.slow
def test_who_waits_for_another_run_can_be_stopped_and_leaves_it_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "out" / "tiny" / "ppo" / "seed-0"
    out.mkdir(parents=True)
    with writing(out, ["peripatos", "resume"]):
        process = start(
            "compare", write_scenario(tmp_path), "--methods", "ppo", "--seeds", 1, "--out", tmp_path / "out"
        )
        assert process.stderr is not None
        assert f"waiting for process {os.getpid()} on " in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        code, _, err = finish(process)
        assert (code, err) == (130, "stopped; the same command goes on from here\n")
        assert out.is_dir()


def _kill_all(process: subprocess.Popen[str], folder: Path) -> None:
    """SIGKILL to a comparison that was typed in `folder`, and to its runs."""
    process.send_signal(signal.SIGSTOP)  # so that it begins no other run meanwhile
    for found in processes():
        with suppress(OSError):  # it has ended meanwhile
            if Path(f"/proc/{found}/cwd").readlink() == folder:
                os.kill(found, signal.SIGKILL)
    process.kill()
    finish(process)


SAID: dict[str, dict[str, Any]] = {
    r"override 'a.b' is np.float32\(0.5\); allowed are numbers": {"overrides": {"a.b": np.float32(0.5)}},
    r"override 'agent' is .*Path.*; allowed are numbers": {"overrides": {"agent": {"from": Path("x")}}},
    r"override 'a.b' is nan; allowed are numbers": {"overrides": {"a.b": float("nan")}},
    r"the key 'a=b' of the overrides is no dotted key": {"overrides": {"a=b": 3}},
    r"the key 'a..b' of the overrides is no dotted key": {"overrides": {"a..b": 3}},
    r"the key 3 of the overrides is no dotted key": {"overrides": {3: 3}},
    r"overrides is \['a=b'\]; allowed is a mapping": {"overrides": ["a=b"]},
    r"override 'seed' has no effect": {"overrides": {"seed": 3}},
    r"override 'stages.balance.method': the methods": {"overrides": {"stages.balance.method": "grpo"}},
    r"methods is \[1\]; allowed is a list of names": {"methods": [1]},
    r"ppo is named twice": {"methods": ["ppo", "ppo"]},
    r"scenarios is null; allowed are a name or a path": {"scenarios": None},
    r"scenarios is {'name': 'x'}; allowed are": {"scenarios": {"name": "x"}},
    r"out is null; allowed is a folder": {"out": None},
}


@pytest.mark.parametrize("words", SAID)
def test_from_python_a_mistake_is_one_sentence_that_names_no_flag(tmp_path: Path, words: str) -> None:
    given: dict[str, Any] = {"scenarios": "cartpole-ppo", "methods": ["ppo"], "out": tmp_path / "out", **SAID[words]}
    with pytest.raises(UserError, match=words) as refusal:
        peripatos.compare(**given)
    assert "--set" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("broken", [Stopped(15), ImportError("a library was cut off")])
def test_a_signal_while_the_report_is_written_says_that_the_command_goes_on(
    broken: BaseException, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "_asked_to_end", [15])
    with pytest.raises(SystemExit) as end, gone_on_with():
        raise broken
    assert (end.value.code, capsys.readouterr().err) == (143, "stopped; the same command goes on from here\n")
