"""What a method of a comparison reads of another's run is refused beforehand where it will not be there."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios_runs import TINY, command, write_scenario

from peripatos.envs.errors import UserError
from peripatos.scenarios.compare.plan import plan
from peripatos.scenarios.compare.trials import SweepBudget, plan_trials

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
