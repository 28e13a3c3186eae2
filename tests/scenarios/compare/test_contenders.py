"""Who is compared: methods with some of their constants changed, and methods that read what others have made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import TINY, write_scenario

from peripatos.algorithms.methods import METHODS
from peripatos.envs.errors import UserError
from peripatos.scenarios.compare import jobs
from peripatos.scenarios.compare.comparison_file import ComparisonFile
from peripatos.scenarios.compare.contenders import Contender, named
from peripatos.scenarios.compare.jobs import JobResult
from peripatos.scenarios.compare.plan import ComparisonJob, plan
from peripatos.scenarios.compare.processes import Processes
from peripatos.scenarios.compare.trials import SweepBudget, plan_trials

BY_TURN: dict[str, Any] = {"overrides": {"credit": {"granularity": "turn"}}}
PLAIN, OF_ROW = {"method": "ppo"}, METHODS["ppo"].credit.gamma
TAUGHT = """\
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
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 4}
    budget: {env_steps: 16}
evaluation: {episodes: 3}
variants:
  sft: {stages.learn.collect: {groups: 8}, stages.learn.demonstrations: {agent: {kind: oracle}}}
  on_policy_distillation: {stages.learn.models: {teacher: {run: sft, checkpoint: last}}}
"""


def methods(given: object) -> dict[str, Contender]:
    """As a comparison's file reads them."""
    return ComparisonFile.model_validate({"methods": given, "scenarios": {"cartpole-ppo": {}}}).methods


def test_a_method_may_stand_in_a_table_several_times_with_other_constants(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path))
    given = {"plain": {"method": "ppo"}, "far": {"method": "ppo", "overrides": {"credit": {"gamma": 0.9}}}}
    plain, far = plan([path], methods(given), 1, tmp_path / "out")
    assert [(job.method, job.learns.method) for job in (plain, far)] == [("plain", "ppo"), ("far", "ppo")]
    assert plain.path.parts[-2:] == ("plain", "seed-0")
    assert far.learns.overrides == {**plain.learns.overrides, "credit": {"gamma": 0.9}}
    assert plain.scenario.model_copy(update={"stages": []}) == far.scenario.model_copy(update={"stages": []})


def test_what_is_its_own_lies_upon_the_variant_of_its_method_and_keeps_the_rest(tmp_path: Path) -> None:
    variant = "{stages.learn.collect: {groups: 2, group_size: 4}, stages.learn.overrides: {update: {epochs: 2}}}"
    path = str(write_scenario(tmp_path, TINY + f"variants: {{rloo: {variant}}}\n"))
    own = {"method": "rloo", **BY_TURN, "optimizer": {"lr": 0.5}, "collect": {"groups": 3}}
    (job,) = plan([path], methods({"by turn": own}), 1, tmp_path / "out")
    assert job.learns.overrides == {"update": {"epochs": 2}, "credit": {"granularity": "turn"}}
    assert job.learns.optimizer["lr"] == 0.5
    assert job.learns.collect is not None
    assert (job.learns.collect.groups, job.learns.collect.group_size) == (3, 4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"a": {"method": "gppo"}}, "unknown method 'gppo'"),
        ({"grpo": {"method": "ppo"}}, "'grpo' is a method of its own, and here it would mean ppo"),
        ({"cold-start": {"method": "ppo"}}, "'cold-start' names no method of a comparison"),
        ({"../a": {"method": "ppo"}}, r"'\.\./a' names no method of a comparison"),
        ({"a": {"method": "ppo", "overrides": {"credit": {"gama": 1}}}}, "a: .*gama.*Did you mean 'gamma'"),
        ({"a": {"method": "ppo"}, "b": {"method": "ppo"}}, "nothing tells 'a' from 'b': both are ppo"),
        ({"ppo": {"method": "ppo"}, "b": {"method": "ppo"}}, "nothing tells 'ppo' from 'b'"),
        ({"a": PLAIN, "b": {**PLAIN, "overrides": {"credit": {}}}}, "nothing tells 'a' from 'b'"),
        ({"a": PLAIN, "b": {**PLAIN, "overrides": {"credit": {"gamma": OF_ROW}}}}, "nothing tells 'a' from 'b'"),
        ({"a": PLAIN, "b": {**PLAIN, "optimizer": {"weight_decay": 0}}}, "nothing tells 'a' from 'b'"),
        ({"a": PLAIN, "b": {**PLAIN, "collect": {"horizon": 32}}}, "nothing tells 'a' from 'b'"),
        (
            {"ab/c": PLAIN},
            "begins with a letter, a digit or _ and goes on with these, single spaces, '.', '[+]' and '-'",
        ),
        ({"a ": PLAIN}, "'a ' names no method of a comparison"),
        ({"a  b": PLAIN}, "'a  b' names no method of a comparison"),
    ],
)
def test_names_and_constants_without_a_meaning_are_refused(tmp_path: Path, given: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        plan([str(write_scenario(tmp_path))], methods(given), 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_of_a_comparison_some_methods_are_chosen_by_its_own_names_or_by_those_of_the_table() -> None:
    known = methods({"by turn": {"method": "rloo", **BY_TURN}, "grpo": {"method": "grpo", "optimizer": {"lr": 0.5}}})
    found = named(["ppo", "grpo", "by turn"], known)
    assert found == {"ppo": Contender(method="ppo"), "grpo": known["grpo"], "by turn": known["by turn"]}
    with pytest.raises(UserError, match=r"unknown method 'by turns'; the comparison has by turn, grpo, .*'by turn'\?"):
        named(["by turns"], known)


def test_a_method_reads_what_another_has_made_with_the_same_seed(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path, TAUGHT))
    planned = plan([path], ["on_policy_distillation", "sft"], 2, tmp_path / "out")
    for job, read in zip(planned[:2], planned[2:], strict=True):
        assert job.reads == (read,)
        assert read.depth < job.depth  # so that it is made before, in whatever order the methods are named
        assert job.learns.models is not None
        assert job.learns.models.teacher is not None
        assert job.learns.models.teacher.run == str(read.path.absolute())


@pytest.mark.parametrize(
    ("run", "compared", "words"),
    [
        ("sft", ["on_policy_distillation"], r"reads the run 'sft' as its teacher, and there is no such run, nor is it"),
        ("sff", ["sft", "on_policy_distillation"], r"this comparison \(sft, on_.*Did you mean 'sft'\?"),
        ("on_policy_distillation", ["on_policy_distillation"], "would read its own run"),
    ],
)
def test_a_run_that_nobody_makes_is_refused(tmp_path: Path, run: str, compared: list[str], words: str) -> None:
    path = str(write_scenario(tmp_path, TAUGHT.replace("run: sft", f"run: {run}")))
    with pytest.raises(UserError, match=words):
        plan([path], compared, 1, tmp_path / "out")


def test_two_methods_that_wait_for_each_other_are_refused(tmp_path: Path) -> None:
    back = "{reference: {run: on_policy_distillation}}, stages.learn.overrides: {weighting: {kl: k3, beta: 0.1}}"
    text = TAUGHT.replace("run: sft", "run: grpo") + f"  grpo: {{stages.learn.models: {back}}}\n"
    with pytest.raises(UserError, match="grpo reads the run of on_policy_distillation, which needs that of grpo first"):
        plan([str(write_scenario(tmp_path, text))], ["grpo", "on_policy_distillation"], 1, tmp_path / "out")


@pytest.mark.parametrize(
    ("compared", "words"),
    [
        ({"by turn": {"method": "grpo", **BY_TURN}}, "'by turn' is grpo with settings of its own, and a sweep"),
        ({"near": {"method": "grpo"}}, "'near' is grpo by another name, and a sweep .*: --methods grpo"),
        (["sft", "on_policy_distillation"], "on_policy_distillation reads the run of sft, which a sweep does not make"),
    ],
)
def test_what_a_sweep_cannot_choose_or_make_is_refused(tmp_path: Path, compared: object, words: str) -> None:
    path = str(write_scenario(tmp_path, TAUGHT))
    with pytest.raises(UserError, match=words):
        plan_trials([path], methods(compared), {}, SweepBudget(trials=1), tmp_path / "out")


@pytest.mark.parametrize("limit", [1, 2])
def test_who_reads_a_run_waits_for_it_and_fails_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    order: list[str] = []

    def run(job: ComparisonJob, processes: Processes, *, threads: int) -> JobResult:
        order.append(str(job))
        return JobResult(job, {}, "it broke" if str(job) == "tiny sft seed 1" else None)

    monkeypatch.setattr(jobs, "_run", run)
    compared = ["on_policy_distillation", "grpo", "sft"]
    results = jobs.compare(
        [str(write_scenario(tmp_path, TAUGHT))], compared, 2, tmp_path / "out", limit=limit, quiet=True
    ).results
    assert [(one.job.method, one.job.scenario.seed) for one in results] == [(m, n) for m in compared for n in (0, 1)]
    assert order.index("tiny sft seed 0") < order.index("tiny on_policy_distillation seed 0")
    assert "tiny on_policy_distillation seed 1" not in order  # whose teacher is not there
    assert results[1].failure == "sft, which it reads, failed: it broke"
    assert [one.failure for one in results if one.failure is None] == [None] * 4


@pytest.mark.parametrize(
    ("own", "place", "words"),
    [
        ({"collect": {"groups": 0}}, "methods.a.collect.groups of the comparison", "collect.groups is 0; allowed"),
        ({"collect": {"grops": 4}}, "methods.a.collect.grops of the comparison", "Did you mean 'groups'?"),
        ({"optimizer": {"lrr": 1}}, "methods.a.optimizer.lrr of the comparison", "Did you mean 'lr'?"),
        ({"optimizer": {"lr": -1}}, "methods.a.optimizer.lr of the comparison", "optimizer.lr is -1; allowed"),
        ({"collect": {"groups": "many"}}, "methods.a.collect.groups of the comparison", "'many'"),
    ],
)
def test_what_a_comparison_says_of_a_method_is_blamed_where_it_was_written(
    tmp_path: Path, own: dict[str, Any], place: str, words: str
) -> None:
    compared = methods({"a": {"method": "ppo", **own}, "b": {"method": "reinforce"}})
    with pytest.raises(UserError) as problem:
        plan([str(write_scenario(tmp_path))], compared, 1, tmp_path / "out")
    assert str(problem.value).startswith(f"{place}: ")
    assert words in str(problem.value)
    assert "variants" not in str(problem.value)


def test_what_the_scenario_lacks_for_a_method_is_not_blamed_on_what_a_comparison_says_beside_it(tmp_path: Path) -> None:
    compared = methods({"a": {"method": "grpo", "collect": {"group_size": 2}}, "b": {"method": "ppo"}})
    with pytest.raises(UserError, match=r"^tiny cannot be run with grpo: .*horizon.*\n.* under `variants: grpo:`"):
        plan([str(write_scenario(tmp_path))], compared, 1, tmp_path / "out")
