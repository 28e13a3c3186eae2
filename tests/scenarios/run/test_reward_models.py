"""Reward models: learned from rankings, measured on those that are held out, saved and measured again as any agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import command, rows, write_scenario

SCENARIO = """\
name: judge
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
sampling: {max_tokens: 3}
stages:
  - name: rank
    method: reward_model
    demonstrations: {pairs: FILE}
    collect: {groups: 16}
    optimizer: {lr: 1e-2}
    budget: {updates: 12}
evaluation: {every: 6, episodes: 1000}
checkpoint: {every: 6}
"""


def ranked(count: int) -> list[dict[str, object]]:
    """The larger digit is better."""
    return [{"prompt": f"{n}:", "answers": [str(9 - n % 3), str(5 - n % 2), str(n % 3)]} for n in range(count)]


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    (tmp_path / "ranked.jsonl").write_text("\n".join(map(json.dumps, ranked(60))))
    return write_scenario(tmp_path, SCENARIO.replace("FILE", str(tmp_path / "ranked.jsonl")))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ended_alike(one: Path, other: Path, update: int, *files: str) -> None:
    """Bit for bit, in the rows of every update and in these files of the last checkpoint."""
    assert rows(one / "metrics.jsonl") == rows(other / "metrics.jsonl")
    for name in files:
        ends = [run / "checkpoints" / f"{update:06d}" / name for run in (one, other)]
        assert ends[0].read_bytes() == ends[1].read_bytes(), name


def test_a_reward_model_learns_an_order_of_replies_and_is_measured_on_those_that_are_held_out(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert command("run", scenario, "--out", run) == 0
    metrics, evaluations = lines(run / "metrics.jsonl"), lines(run / "evaluations.jsonl")
    assert metrics[0]["batch/rows"] == 16 * 3
    assert metrics[0]["judgement/margin"] == 0.0  # the head begins at zero
    assert metrics[-1]["judgement/accuracy"] > 0.9
    assert evaluations[0]["success_rate"] == 0.5  # all scores are equal
    assert metrics[0]["judgement/accuracy"] == 0.5
    assert evaluations[-1]["success_rate"] > 0.9
    assert evaluations[-1]["episodes"] % 3 == 0  # three pairs of each ranking
    assert evaluations[-1]["episodes"] < 3 * 30
    assert evaluations[-1]["world/margin_mean"] > 0
    capsys.readouterr()
    assert command("evaluate", run, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["success_rate"] == pytest.approx(evaluations[-1]["success_rate"])


def test_a_run_of_a_reward_model_that_is_resumed_ends_as_one_that_was_not(scenario: Path, tmp_path: Path) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert command("run", scenario, "--out", whole) == 0
    assert command("run", scenario, "--out", parted, "--set", "stages.rank.budget.updates=6") == 0
    assert command("resume", parted, "--set", "stages.rank.budget.updates=12") == 0
    ended_alike(parted, whole, 12, "policy/model.safetensors", "policy/value_head.safetensors")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["stages.rank.collect.group_size=2"], "collect.group_size has no meaning"),
        (["stages.rank.collect.staleness=1"], "reads what is written, which has no age"),
        (["stages.rank.demonstrations={agent: {kind: oracle}}"], "compares replies, and demonstrations.agent shows"),
        (["stages.rank.demonstrations=null"], "needs `demonstrations`"),
        (["stages.rank.overrides.source=own", "stages.rank.demonstrations=null"], "allowed is pairs, got 'own'"),
        (["stages.rank.overrides.learns=policy"], "has no 'learns'"),
        (["stages.rank.overrides.credit.gamma=0.9"], "learns the order of replies, and nobody acts or pays"),
        (["stages.rank.overrides.weighting.kl=k3"], "learns the order of replies"),
        (["stages.rank.overrides.update.aggregation=sequence_mean"], "learns the order of replies"),
        (["world={id: CartPole-v1}", "agent={kind: mlp}", "sampling=null"], "nobody speaks here"),
    ],
)
def test_what_a_reward_model_cannot_be_is_refused_when_the_scenario_is_read(
    scenario: Path, changes: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [part for change in changes for part in ("--set", change)]
    assert command("run", scenario, "--dry-run", *sets) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_judge_is_what_the_last_stage_makes(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = scenario.read_text().replace("evaluation:", "  - name: look\nevaluation:")
    assert command("run", write_scenario(tmp_path, text), "--dry-run") == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "makes the agent a judge, and 'look' comes after it: let it be the last stage" in shown


@pytest.mark.parametrize("goal", ["success_rate", "world/margin_mean", "return_mean"])
def test_a_goal_may_be_any_number_that_a_judge_is_measured_by(scenario: Path, goal: str) -> None:
    assert command("run", scenario, "--dry-run", "--set", f"stages.rank.stop={{{goal}: 0.9}}") == 0


def test_a_goal_that_no_judge_is_measured_by_is_refused(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", scenario, "--dry-run", "--set", "stages.rank.stop={world/correct_mean: 0.9}") == 2
    assert "have success_rate, return_mean, turns_mean, units_mean, world/margin_mean" in " ".join(
        capsys.readouterr().err.split()
    )


def test_flags_about_who_acts_are_refused_of_a_judge(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert command("run", scenario, "--out", run, "--set", "stages.rank.budget.updates=1", "-q") == 0
    for flags in (["--k", "2"], ["--sample"], ["--set", "sampling.top_p=0.5"], ["--seed", "3"]):
        assert command("evaluate", run, *flags) == 2
        assert f"{flags[0]} is for agents that act, and this one is a reward model" in capsys.readouterr().err
    assert command("rescore", run) == 2
    assert "has made a reward model: what it kept are rankings" in " ".join(capsys.readouterr().err.split())


PIPELINE = """\
name: digits
world: {id: "peripatos.envs.worlds.maths.digits:Digits"}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
sampling: {max_tokens: 3}
stages:
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 64}
    optimizer: {lr: 2e-2}
    budget: {updates: 60}
  - name: please
    method: rlhf_ppo
    models: {reward: RUN}
    collect: {groups: 128}
    overrides: {update: {minibatches: 4}}
    optimizer: {lr: 1e-2}
    budget: {updates: 30}
evaluation: {episodes: 8}
"""


@pytest.mark.slow
def test_a_policy_that_pleases_a_judge_of_nine_in_ten_pairs_earns_more_of_the_true_reward(
    judge: Path, tmp_path: Path
) -> None:
    assert lines(judge / "evaluations.jsonl")[-1]["success_rate"] >= 0.9
    path = write_scenario(tmp_path, PIPELINE.replace("RUN", str(judge)))
    assert command("run", path, "--out", tmp_path / "run", "-q") == 0
    pleased = [row for row in lines(tmp_path / "run" / "metrics.jsonl") if row["stage"] == "please"]
    assert 0.4 < pleased[0]["world/reward"] < 0.6  # any digit
    assert pleased[-1]["world/reward"] > 0.7
    assert pleased[-1]["world/reward_model"] > pleased[0]["world/reward_model"]


LEARNER = """\
name: judged
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare, attempts: 2}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
sampling: {max_tokens: 3}
stages:
  - name: please
    method: rlhf_ppo
    models: {reward: RUN}
    collect: {groups: 32}
    overrides: {update: {minibatches: 2}}
    optimizer: {lr: 3e-3}
    budget: {updates: 4}
evaluation: {episodes: 4}
checkpoint: {every: 2}
log: {episodes: 32}
"""


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned to like large digits."""
    folder = tmp_path_factory.mktemp("judge")
    (folder / "ranked.jsonl").write_text("\n".join(map(json.dumps, ranked(60))))
    path = write_scenario(folder, SCENARIO.replace("FILE", str(folder / "ranked.jsonl")))
    assert command("run", path, "--out", folder / "run", "-q") == 0
    return folder / "run"


def test_a_policy_learns_from_what_the_model_says_and_each_term_stands_by_itself(
    judge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, run = write_scenario(tmp_path, LEARNER.replace("RUN", str(judge))), tmp_path / "run"
    sets = ["--set", "stages.please.overrides.rewards={world: 0.5, model_clip: 2, model_at: turn}"]
    assert command("run", path, "--out", run, *sets) == 0
    assert "please: held beside the agent, and not learning: reference 0.1 MB, reward 0.1 MB" in capsys.readouterr().err
    metrics = lines(run / "metrics.jsonl")
    assert metrics[0]["reward/mean"] == pytest.approx(metrics[0]["term/reward_model"] + metrics[0]["term/correct"])
    assert metrics[-1]["world/reward_model"] != metrics[0]["world/reward_model"]  # as it was said
    assert metrics[0]["time/judge"] > 0
    kept = lines(run / "episodes" / "000004-train.jsonl")
    for episode in kept:
        assert episode["reward"] == pytest.approx(sum(episode["reward_terms"].values()), abs=1e-6)
        assert abs(episode["reward_terms"]["reward_model"]) <= 2
    assert "reward_model" not in lines(run / "episodes" / "000004-test.jsonl")[0]["reward_terms"]


def test_a_run_with_a_judge_that_is_resumed_ends_as_one_that_was_not(judge: Path, tmp_path: Path) -> None:
    path = write_scenario(tmp_path, LEARNER.replace("RUN", str(judge)))
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert command("run", path, "--out", whole, "-q") == 0
    assert command("run", path, "--out", parted, "-q", "--set", "stages.please.budget.updates=2") == 0
    assert command("resume", parted, "-q", "--set", "stages.please.budget.updates=4") == 0
    ended_alike(parted, whole, 4, "policy/model.safetensors", "learner/rewards.safetensors")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["stages.please.models=null"], "needs a reward; write such as models: {reward: runs/NAME-0}"),
        (["stages.please.models.reward=runs/nothing"], "there is no run 'runs/nothing'; a reward model is a run of"),
        (["stages.please.method=ppo"], "models.reward is read by nobody: rewards.model, how much its score counts, is"),
        (["stages.please.overrides.rewards.model=null"], "rewards.world is 0.0 and would have no effect"),
        (["stages.please.overrides.rewards.model=0"], "rewards.model is 0; allowed is a number greater than 0"),
        (["stages.please.overrides.weighting.kl=k3"], "the penalty of a unit's reward is k1 to the reference"),
        (["stages.please.overrides.weighting.kl_to=old"], "write kl_to: 'reference'"),
        (["stages.please.overrides.rewards.model_scale=mean"], "rewards.model_scale"),
        (
            ["world={id: CartPole-v1}", "agent={kind: mlp}", "sampling=null", "stages.please.collect.horizon=4"],
            "rewards.model is for replies, and nobody speaks here",
        ),
        (
            [
                "stages.please.method=dapo",
                "stages.please.overrides={rewards: {model: 1}}",
                "stages.please.collect={groups: 4, group_size: 4, refill: 2}",
            ],
            "a reward model is asked (rewards.model) when all groups are there; leave refill out",
        ),
    ],
)
def test_a_judge_that_is_not_there_or_not_asked_is_refused_when_the_scenario_is_read(
    judge: Path, tmp_path: Path, changes: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scenario(tmp_path, LEARNER.replace("RUN", str(judge)))
    sets = [part for change in changes for part in ("--set", change)]
    assert command("run", path, "--dry-run", *sets) == 2
    assert words in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("critic", [pytest.param("{self: start}", marks=pytest.mark.slow), "RUN"])
def test_four_models_learn_and_judge_and_go_on_bit_for_bit(critic: str, judge: Path, tmp_path: Path) -> None:
    """Policy, critic, reference and reward (InstructGPT, whose critic begins as the reward model)."""
    text = LEARNER.replace("{reward: RUN}", f"{{reward: RUN, critic: {critic}}}").replace("RUN", str(judge))
    path, whole, parted = write_scenario(tmp_path, text), tmp_path / "whole", tmp_path / "parted"
    assert command("run", path, "--out", whole, "-q") == 0
    assert command("run", path, "--out", parted, "-q", "--set", "stages.please.budget.updates=2") == 0
    assert command("resume", parted, "-q", "--set", "stages.please.budget.updates=4") == 0
    ended_alike(parted, whole, 4, "policy/model.safetensors", "learner/critic.safetensors")
    metrics = lines(whole / "metrics.jsonl")
    assert metrics[0]["gradient/critic_norm"] > 0
    assert not (whole / "checkpoints" / "000004" / "policy" / "value_head.safetensors").exists()
    explained = metrics[0].get("value/explained_variance")
    assert (explained == 0.0) == (critic != "RUN"), "a head that begins at zero explains nothing"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            ["method=reinforce", "models={critic: {self: start}}", "overrides={}"],
            "models.critic is read by nobody: methods",
        ),
        (["models.critic={self: demonstration}"], "models.critic.self is 'demonstration'; it is a run of a model with"),
        (["models.critic=package:x"], "models.critic is 'package:x', which is no run; it is a run of a model with a"),
    ],
)
def test_a_critic_that_nobody_reads_or_that_says_no_values_is_refused(
    judge: Path, tmp_path: Path, changes: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scenario(tmp_path, LEARNER.replace("RUN", str(judge)))
    sets = [part for change in changes for part in ("--set", f"stages.please.{change}")]
    assert command("run", path, "--dry-run", *sets) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_who_acts_in_a_body_has_no_critic_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", write_scenario(tmp_path), "--dry-run", "--set", "stages.learn.models.critic.self=start") == 2
    assert "models.critic is for agents that speak" in " ".join(capsys.readouterr().err.split())


def test_an_agent_that_acts_is_no_judge(judge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_scenario(tmp_path, LEARNER.replace("RUN", str(judge)))
    assert command("run", path, "--out", tmp_path / "run", "-q", "--set", "stages.please.budget.updates=1") == 0
    capsys.readouterr()
    assert command("run", path, "--dry-run", "--set", f"stages.please.models.reward={tmp_path / 'run'}") == 2
    assert "acts, and scores nothing; a reward model is a run of" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            ["method=on_policy_distillation", "models={teacher: RUN}", "overrides={}"],
            "a teacher is a run that learns to",
        ),
        (["models={reward: RUN, reference: RUN}"], "a reference is a run that learns to act"),
    ],
)
def test_a_judge_plays_no_other_role(
    judge: Path, tmp_path: Path, changes: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scenario(tmp_path, LEARNER.replace("RUN", str(judge)))
    sets = [part for change in changes for part in ("--set", f"stages.please.{change.replace('RUN', str(judge))}")]
    assert command("run", path, "--dry-run", *sets) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "is a reward model: it scores replies" in said
    assert words in said


def test_who_acts_begins_as_no_judge_and_a_judge_goes_on_as_one(
    judge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begins = f"agent={{from: {judge}}}"
    acts = write_scenario(tmp_path, LEARNER.replace("RUN", str(judge)))
    assert command("run", acts, "--dry-run", "--set", begins) == 2
    assert "whose agent is a reward model: it scores replies" in " ".join(capsys.readouterr().err.split())
    judges = write_scenario(tmp_path, SCENARIO.replace("FILE", str(judge.parent / "ranked.jsonl")))
    assert command("run", judges, "--dry-run", "--set", begins) == 0
