"""Comparisons as files: what they say, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from peripatos import run
from peripatos.algorithms.methods import METHODS
from peripatos.envs.errors import UserError
from peripatos.scenarios.assembly.settings import stage_method
from peripatos.scenarios.compare.comparison_file import find_comparison, shipped
from peripatos.scenarios.compare.contenders import as_they_are
from peripatos.scenarios.compare.findings import report
from peripatos.scenarios.compare.jobs import compare
from peripatos.scenarios.compare.plan import ComparisonJob, plan
from peripatos.scenarios.config.loading import check_scenario, dump_data, dump_scenario, load_scenario
from peripatos.scenarios.config.yaml_text import Source

MINE = """\
name: mine
methods: [ppo, grpo]
scenarios:
  cartpole-ppo: {stages.balance.budget: {env_steps: 2000}, evaluation.episodes: 5}
  walker-ppo: {}
"""


def write(folder: Path, text: str = MINE) -> str:
    (path := folder / "mine.yaml").write_text(text)
    return str(path)


def test_a_file_names_methods_seeds_and_what_is_overridden_in_each_scenario(tmp_path: Path) -> None:
    file = find_comparison([write(tmp_path)])
    assert file is not None
    assert file.methods == as_they_are(["ppo", "grpo"])
    assert (file.seeds, list(file.scenarios)) == (3, ["cartpole-ppo", "walker-ppo"])
    jobs = plan(["cartpole-ppo"], ["ppo"], 2, tmp_path / "out", (), file.sets())
    assert len(jobs) == 2
    assert jobs[0].learns.budget is not None
    assert jobs[0].learns.budget.limits() == {"env_steps": 2000}
    assert jobs[0].scenario.evaluation.episodes == 5


def test_scenarios_are_no_comparison(tmp_path: Path) -> None:
    (path := tmp_path / "scenario.yaml").write_text("name: mine\n")
    assert find_comparison(["cartpole-ppo", "walker-ppo"]) is None
    assert find_comparison([str(path)]) is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: mine", "nmae: mine", r"line 1, .*unknown key 'nmae'; a comparison has name.*Did you mean 'name'\?"),
        ("methods: [ppo, grpo]\n", "", r"a comparison needs methods"),
        ("[ppo, grpo]", "[]", r"line 2, .*methods is empty; at least one is needed"),
        ("name: mine", "seeds: none", r"line 1, .*seeds is 'none'; allowed is a whole number"),
        ("walker-ppo: {}", "walker-ppo: 3", r"scenarios\.walker-ppo is 3, not a mapping"),
        ("[ppo, grpo]", "ppo", r"line 2, .*methods is 'ppo'; allowed are a list of names, such as \[ppo, grpo\]"),
        ("[ppo, grpo]", "{a: ppo}", r"line 2, .*methods\.a is 'ppo', not a mapping"),
        ("[ppo, grpo]", "{a: {overrides: {}}}", r"line 2, .*the method 'a' of a comparison needs method"),
        (
            "[ppo, grpo]",
            "{a: {method: ppo, overides: {}}}",
            r"line 2, .*unknown key 'overides'; the method 'a' of a comparison has .*Did you mean 'overrides'\?",
        ),
        ("name: mine", "against: sac", r"line 1, .*against is 'sac'; the methods compared are ppo, grpo"),
        (
            "name: mine\nmethods: [ppo, grpo]",
            "against: ppo\nmethods: [ppo]",
            "against is 'ppo'; the methods compared are two or more",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        find_comparison([write(tmp_path, MINE.replace(old, new))])


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("seed: 4", "seed of cartpole-ppo in the comparison has no effect: a comparison runs the seeds"),
        ("stages.balance.stop: {return_mean: 9}", "in the comparison has no effect: from stage 'balance' on"),
        ("stages.balance.method: grpo", "in the comparison: the methods of a comparison are those of"),
        ("stages.balance.overrides: {}", "in the comparison would reach ppo alone"),
        ("stages.balance.bugdet: {}", "stages.balance.bugdet of cartpole-ppo in the comparison: unknown key"),
    ],
)
def test_a_file_may_say_no_more_than_flags(tmp_path: Path, key: str, words: str) -> None:
    file = find_comparison([write(tmp_path, MINE.replace("evaluation.episodes: 5", key))])
    assert file is not None
    with pytest.raises(UserError, match=words):
        plan(list(file.scenarios), file.methods, 1, tmp_path / "out", (), file.sets())


def test_the_method_that_others_are_compared_against_cannot_be_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, MINE.replace("name: mine", "against: grpo"))
    with pytest.raises(UserError, match="the comparison is against 'grpo', which --methods leaves out: add it"):
        compare([path], ["ppo", "rloo"], 1, tmp_path / "out")


def test_a_comparison_stands_alone_and_its_misspelled_name_is_understood(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a comparison, which names its scenarios itself"):
        find_comparison([write(tmp_path), "cartpole-ppo"])
    with pytest.raises(UserError, match="Did you mean 'compare-quick'"):
        find_comparison(["compare-quik"])
    missing = str(Path(write(tmp_path)).with_name("mined.yaml"))
    near = Path(write(tmp_path)).name.removesuffix(".yaml")
    for methods in (None, ["ppo"]):
        with pytest.raises(UserError, match=rf"there is no file '.*mined\.yaml'.* Did you mean '.*/{near}\.yaml'"):
            compare([missing], methods, 1, tmp_path / "out")
    with pytest.raises(UserError, match=r"there is no file 'compare-quik\.yaml'.* Did you mean 'compare-quick'"):
        compare(["compare-quik.yaml"], None, 1, tmp_path / "out")
    with pytest.raises(UserError, match=r"there is no scenario 'cartpol'.* Did you mean"):
        compare(["cartpol"], None, 1, tmp_path / "out")
    with pytest.raises(UserError, match="Missing option --methods"):
        compare(["cartpole-ppo"], None, 1, tmp_path / "out")


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_comparison_has_budgets_that_are_equal_for_all(name: str) -> None:
    file = find_comparison([name])
    assert file is not None
    assert file.description
    assert {one.method for one in file.methods.values()} <= METHODS.keys()
    for scenario, sets in file.sets().items():
        loaded = load_scenario(scenario, sets)
        assert loaded.scores is not None
        budget = loaded.stages[-1].budget
        assert budget is not None
        assert budget.limits().keys() == {"env_steps"}


def test_what_a_job_is_given_can_be_read_by_its_process(tmp_path: Path) -> None:
    (job,) = plan(["walker-ppo"], ["ppo"], 1, tmp_path / "out")  # with a goal, and validations that one cuts short
    assert check_scenario(dump_data(job.scenario), Source("the job")) == job.scenario
    assert job.scenario.evaluation.first is None


@pytest.mark.slow  # some seconds, because each part of each of its runs is checked
def test_the_quick_comparison_can_be_run_as_it_stands(tmp_path: Path) -> None:
    jobs = planned("compare-quick", tmp_path)
    assert len(jobs) == 4 * 4 * 3
    assert len({job.cold.path for job in jobs if job.cold is not None}) == 2 * 3


def planned(name: str, folder: Path, seeds: int | None = None, sets: Sequence[str] = ()) -> list[ComparisonJob]:
    """The jobs of a shipped comparison."""
    file = find_comparison([name])
    assert file is not None
    return plan(list(file.scenarios), file.methods, seeds or file.seeds, folder / "out", sets, file.sets())


def test_imitation_is_compared_with_what_goes_on_from_it_at_equal_updates_and_steps(tmp_path: Path) -> None:
    jobs = planned("compare-imitation", tmp_path, seeds=1)
    collects = [job.learns.collect for job in jobs]
    assert {one.groups * one.group_size for one in collects if one is not None} == {128}
    rows = [stage_method(job.learns) for job in jobs]
    assert {row.update.epochs * row.update.minibatches for row in rows} == {1}
    assert {row.source for row in rows} == {"own", "demonstrations"}
    assert len({job.cold.path for job in jobs if job.cold is not None}) == 1
    (taught,) = [job for job in jobs if job.reads]
    assert (taught.method, taught.reads[0].method) == ("on_policy_distillation", "sft")


def test_credit_is_all_that_differs_in_the_comparison_of_credit(tmp_path: Path) -> None:
    jobs = planned("compare-credit", tmp_path, seeds=1)
    rows = [stage_method(job.learns) for job in jobs]
    assert [(row.credit.baseline, row.credit.granularity) for row in rows] == [
        ("leave_one_out", "trajectory"),
        ("leave_one_out", "turn"),
        ("leave_one_out", "unit"),
        ("critic", "unit"),
    ]
    assert len({(row.weighting, row.update, row.rewards) for row in rows}) == 1
    assert (
        len({dump_scenario(job.scenario.model_copy(update={"stages": job.scenario.stages[1:]})) for job in jobs}) == 1
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["compare-imitation", "compare-credit"])
def test_each_method_of_a_shipped_comparison_learns_and_stands_in_its_tables(tmp_path: Path, name: str) -> None:
    sets = [
        "stages.imitate.budget={updates: 2}",
        "stages.imitate.collect={groups: 8}",
        "evaluation={every: 1, episodes: 4}",
    ]
    sets += [f"stages.{stage}.optimizer={{lr: 1e-3}}" for stage in ("imitate", "reinforce")]
    sets += ["stages.reinforce.budget={env_steps: 256}", "agent={kind: tiny_llama, hidden: 16, layers: 1}"]
    jobs = planned(name, tmp_path, seeds=1, sets=sets)
    runs = {one.path: one for job in jobs for one in (job.cold, job) if one is not None}
    for one in sorted(runs.values(), key=lambda job: job.depth):
        run(dump_data(one.scenario), out=one.path)
    compared = compare([name], None, 1, tmp_path / "out", sets=sets, quiet=True)  # finds that all runs are done
    found = report(compared.results, tmp_path / "out", compared.against)
    assert not found["failures"]
    assert [row["method"] for row in found["methods"]] == [job.method for job in jobs]
    assert len(found["differences"]) == len(jobs) - 1  # from one of them
    assert all("one seed says nothing about others" in sentence for sentence in found["conclusions"])


@pytest.mark.parametrize(
    ("methods", "scenarios", "words"),
    [
        ("[ppo, grpo, ppo]", "{cartpole-ppo: {}}", "line 1, column 22: ppo is named twice; leave one out"),
        (
            "[ppo, 3]",
            "{cartpole-ppo: {}}",
            "line 1, column 16: a method is named by a text, such as ppo, and this is 3",
        ),
        ("[ppo, [grpo]]", "{cartpole-ppo: {}}", r"a method is named by a text, such as ppo, and this is \['grpo'\]"),
        ("[ppo, grpo]", "[cartpole-ppo, walker-ppo]", r"write \{cartpole-ppo: \{\}, walker-ppo: \{\}\}"),
        ("[ppo, grpo]", "cartpole-ppo", r"scenarios is 'cartpole-ppo'; write \{cartpole-ppo: \{\}\}"),
    ],
)
def test_lists_in_a_comparison_are_read_or_refused_item_by_item(
    tmp_path: Path, methods: str, scenarios: str, words: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"methods: {methods}\nscenarios: {scenarios}\n")
    with pytest.raises(UserError, match=words):
        find_comparison([str(path)])


def test_a_scenarios_file_is_looked_for_beside_the_comparison_and_then_in_the_shells_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()

    def found(name: str) -> list[str]:
        (tmp_path / "a" / "mine.yaml").write_text(f"methods: [ppo]\nscenarios: {{{name}: {{seed: 3}}}}\n")
        file = find_comparison(["a/mine.yaml"])
        return [] if file is None else [one for one in file.scenarios if file.sets()[one] == ["seed=3"]]

    (tmp_path / "s.yaml").write_text("name: shells\n")
    assert found("s.yaml") == ["s.yaml"]
    (tmp_path / "a" / "s.yaml").write_text("name: beside\n")
    assert found("s.yaml") == ["a/s.yaml"]
    assert found("cartpole-ppo") == ["cartpole-ppo"]
    with pytest.raises(UserError, match=rf"line 2.* no file 'z.yaml' in {tmp_path}/a nor in {tmp_path}\."):
        found("z.yaml")
    with pytest.raises(UserError, match=r"no file 'ss.yaml' in .*Did you mean 's.yaml'\?"):
        found("ss.yaml")
