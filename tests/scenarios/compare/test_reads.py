"""What a method of a comparison reads of another's run is refused beforehand where it will not be there."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios_runs import TINY, command, write_scenario

from peripatos.envs.errors import UserError
from peripatos.scenarios.compare.plan import ComparisonJob, plan
from peripatos.scenarios.compare.trials import SweepBudget, plan_trials
from peripatos.scenarios.config.loading import dump_scenario
from peripatos.scenarios.run.roles import check_models

TAUGHT = """\
name: tiny
world: {id: CartPole-v1}
agent: {kind: mlp, hidden: [4]}
stages: [{name: learn, method: grpo, collect: {groups: 2, group_size: 2}, budget: {BUDGET}}]
evaluation: {episodes: 2EVERY}
checkpoint: {every: 20}
variants: {on_policy_distillation: {stages.learn.models: {teacher: {run: RUN, checkpoint: WHICH}}}}
"""
BOTH = ["grpo", "on_policy_distillation"]


def taught(folder: Path, which: str, run: str = "grpo", budget: str = "updates: 50", every: str = "") -> str:
    text = TAUGHT.replace("WHICH", which).replace("RUN", run).replace("BUDGET", budget).replace("EVERY", every)
    return str(write_scenario(folder, text))


@pytest.mark.parametrize("which", ["best", "last", "50", "000050", "'40'"])
def test_a_checkpoint_that_the_other_run_will_have_is_read(tmp_path: Path, which: str) -> None:
    reader = plan([taught(tmp_path, which)], BOTH, 1, tmp_path / "out")[1]
    assert [one.method for one in reader.reads] == ["grpo"]


@pytest.mark.parametrize(
    ("which", "more", "there"),
    [
        ("99", {}, r"best, last, 000040, 000050\.$"),
        ("20", {}, r"best, last, 000040, 000050\.$"),  # pruned by then
        ("lst", {}, r"best, last, 000040, 000050\. Did you mean 'last'\?"),
        ("'-1'", {}, "best, last, 000040, 000050"),
        ("40", {"every": ", every: 5"}, r"best, last, 000050\.$"),  # a new best one may have taken its place
        ("50", {"budget": "env_steps: 500"}, "best, last; its budget does not say which numbers there will be"),
        ("50", {"budget": "updates: 50, env_steps: 500"}, "best, last; its budget does not say"),
    ],
)
def test_one_that_it_will_not_have_is_refused_with_those_that_it_will(
    tmp_path: Path, which: str, more: dict[str, str], there: str
) -> None:
    asked = which.strip("'")
    words = (
        f"reads checkpoint '{asked}' of grpo as its teacher, and the run that this comparison makes will have {there}"
    )
    with pytest.raises(UserError, match=words):
        plan([taught(tmp_path, which, **more)], BOTH, 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_a_run_on_disk_has_not_is_refused_by_a_comparison_and_by_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("run", write_scenario(tmp_path, TINY), "--out", "made") == 0
    path = taught(tmp_path, "99", run="made")
    with pytest.raises(UserError, match=r"made has no checkpoint '99'; it has best, last, 0000"):
        plan([path], BOTH, 1, tmp_path / "out")
    with pytest.raises(UserError, match=r"made has no checkpoint '99'"):
        plan_trials([path], ["on_policy_distillation"], {}, SweepBudget(trials=1), tmp_path / "out")
    plan([taught(tmp_path, "last", run="made")], BOTH, 1, tmp_path / "out")


def begun(job: ComparisonJob) -> None:
    """As a run that has noted its scenario; the numbers of what it reads it knows by then."""
    job.path.mkdir(parents=True)
    (job.path / "scenario.yaml").write_text(dump_scenario(check_models(job.scenario)))


def test_another_run_or_checkpoint_to_begin_from_or_to_read_is_another_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = TINY.replace("updates: 12", "updates: 4").replace("hidden: [16]", "hidden: [4]")
    for folder in ("made/tiny/ppo/seed-0", "other/tiny/ppo/seed-0"):  # whose last names are equal
        assert command("run", write_scenario(tmp_path, tiny), "--out", folder) == 0

    def planned(origin: str, teacher: str, which: str, out: str = "out") -> list[ComparisonJob]:
        flags = [f"agent.origin={{run: {origin}/tiny/ppo/seed-0}}"]
        path = taught(tmp_path, which, run=f"{teacher}/tiny/ppo/seed-0")
        return plan([path], ["on_policy_distillation"], 1, Path(out), flags if origin else [])

    begun(planned("made", "made", "last")[0])
    planned("made", "made", "last")
    planned("made", "made", "4")  # the same one by its number
    for changed, words in (
        (("other", "made", "last"), "agent.origin.run .*made/tiny/ppo/seed-0 → .*other/tiny"),
        (("made", "other", "last"), "teacher.run made/tiny/ppo/seed-0 → other/tiny/ppo/seed-0"),
        (("made", "made", "2"), "teacher.checkpoint 000004 → 000002"),
        (("", "made", "last"), "agent.origin .* → nothing"),
    ):
        with pytest.raises(UserError, match=f"holds a run with other settings .*{words}"):
            planned(*changed)


def test_what_a_comparison_has_made_itself_is_known_wherever_it_was_moved(tmp_path: Path) -> None:
    path = taught(tmp_path, "last")
    begun_in, reader = tmp_path / "out", plan([path], BOTH, 1, tmp_path / "out")[1]
    reader.path.mkdir(parents=True)
    (reader.path / "scenario.yaml").write_text(dump_scenario(reader.scenario))
    plan([path], BOTH, 1, begun_in.rename(tmp_path / "moved"))
