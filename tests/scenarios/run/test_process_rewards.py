"""Process reward models: learned from the outcomes of whole conversations, they say what each turn was worth."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import command, rows, write_scenario

from peripatos.agents.language.judgement import RewardModel
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.algorithms.judged_rewards import JudgedRewards
from peripatos.algorithms.rewards import Rewards
from peripatos.envs.vocabulary import Collection, Episode
from peripatos.envs.worlds.maths.digits import conversation
from peripatos.scenarios.assembly.policies import make_policy
from peripatos.scenarios.assembly.rendering import make_renderer
from peripatos.scenarios.assembly.worlds import WorldSources
from peripatos.scenarios.config.loading import load_scenario

TURNS, SIZE = 3, 6
JUDGE = """\
name: judge
world: {id: "peripatos.envs.worlds.maths.digits:Digits", options: {turns: 3}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
sampling: {max_tokens: 3}
stages:
  - name: judge
    method: process_reward_model
    demonstrations: {pairs: FILE}
    collect: {groups: 12}
    optimizer: {lr: 1e-2}
    budget: {updates: 24}
evaluation: {episodes: 1000}
"""
LEARNER = """\
name: pleased
world: {id: "peripatos.envs.worlds.maths.digits:Digits", options: {turns: 3}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
sampling: {max_tokens: 3}
stages:
  - name: please
    method: rlhf_ppo
    models: {reward: RUN}
    collect: {groups: 16}
    overrides: {rewards: {model_at: turn}, update: {minibatches: 2}}
    budget: {updates: 1}
evaluation: {episodes: 4}
log: {episodes: 16}
"""


def known(learned: int, held_out: int) -> list[dict[str, Any]]:
    """Rankings of six conversations, of which digits are worth what they are. To be learned from: by their sums,
    whatever was larger on the way. Held out: those of which the better one has the larger digit in each turn."""
    draw, written = random.Random(1), []
    for n in range(learned + held_out):
        turns = [draw.sample(range(10), SIZE) for _ in range(TURNS)]
        turns = turns if n < learned else [sorted(turn, reverse=True) for turn in turns]
        said = list(zip(*turns, strict=True))
        split, asked = ("train", n % 60) if n < learned else ("test", 60 + n)
        answers = [conversation(f"{asked}:", digits) for digits in said]
        written.append({"answers": answers, "ranks": [-sum(digits) for digits in said], "split": split})
    told = [row for row in written if len(set(row["ranks"])) > 1]
    asked = [conversation("60:", digits) for digits in said]
    return [*told, {**told[-1], "answers": asked, "split": "validation"}]  # else a share of train would be set aside


def write(path: Path, written: Sequence[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, written)))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge")
    path = write_scenario(folder, JUDGE.replace("FILE", str(write(folder / "pairs.jsonl", known(288, 10)))))
    assert command("run", path, "--out", folder / "run", "-q") == 0
    return folder / "run"


def test_outcomes_teach_the_order_of_beginnings_which_is_measured_by_depth_on_those_held_out(judge: Path) -> None:
    """Of two conversations the better one has the larger first digit in 72 % only."""
    before, after = lines(judge / "evaluations.jsonl")
    assert before["success_rate"] == 0.5
    assert before["episodes"] == after["episodes"] == 10 * TURNS * SIZE * (SIZE - 1) / 2
    assert after["success_rate"] >= 0.9
    depths = [after[f"world/depth_{k}_mean"] for k in range(1, TURNS + 1)]
    assert min(depths) >= 0.85
    assert sum(depths) / TURNS == pytest.approx(after["success_rate"])


def spoken(n: int, digits: Sequence[int]) -> Episode:
    messages = tuple(conversation(f"{n}:", digits))
    ends = {"turns": len(digits), "terminated": True, "turn_rewards": (0.0,) * len(digits)}
    return Episode(n, 0, n, 0, "train", 0.0, messages=messages, **ends)  # pyright: ignore[reportArgumentType]


def test_each_turn_is_paid_by_what_it_is_worth_and_the_turns_sum_to_the_score_of_the_end(judge: Path) -> None:
    scenario = load_scenario(str(judge / "scenario.yaml"))
    with WorldSources.of(scenario) as sources:
        policy = make_policy(scenario, "cpu", sources.first)
    assert isinstance(policy, LanguagePolicy)
    policy.load(judge / "checkpoints" / "000024" / "policy")
    model = RewardModel(policy, make_renderer(policy, scenario), context=200)
    draw, said = random.Random(5), []
    for n in range(60):  # two conversations that are one up to a turn, in which the first says the larger digit
        one, other = ([draw.randrange(10) for _ in range(TURNS)] for _ in range(2))
        k = n % TURNS
        other[:k], (other[k], one[k]) = one[:k], sorted(draw.sample(range(10), 2))
        said += [one, other]
    collection = Collection(None, tuple(spoken(n, digits) for n, digits in enumerate(said)), 0, 0)
    paid = JudgedRewards(model, Rewards(model=1.0, model_at="turn"))(collection).episodes
    ends = JudgedRewards(model, Rewards(model=1.0, model_at="end"))(collection).episodes
    for turned, ended in zip(paid, ends, strict=True):
        assert sum(turned.turn_rewards) == pytest.approx(ended.reward, abs=1e-5)
        assert ended.turn_rewards[:-1] == (0.0,) * (TURNS - 1)
    right = [paid[2 * n].turn_rewards[n % TURNS] > paid[2 * n + 1].turn_rewards[n % TURNS] for n in range(60)]
    assert sum(right) >= 0.8 * len(right)


def test_a_policy_in_a_world_of_turns_learns_from_what_each_is_said_to_be_worth(judge: Path, tmp_path: Path) -> None:
    path = write_scenario(tmp_path, LEARNER.replace("RUN", str(judge)))
    assert command("run", path, "--out", tmp_path / "run", "-q") == 0
    (row,) = lines(tmp_path / "run" / "metrics.jsonl")
    assert row["reward/mean"] == pytest.approx(row["term/reward_model"], abs=1e-5)
    for episode in lines(tmp_path / "run" / "episodes" / "000001-train.jsonl"):
        assert len(episode["turn_rewards"]) == TURNS
        assert sum(map(bool, episode["turn_rewards"])) == TURNS


def test_a_beginning_that_two_replies_share_is_compared_by_nobody_and_one_that_is_over_by_its_end(
    tmp_path: Path,
) -> None:
    written = [
        {"answers": [conversation(f"{n}:", digits) for digits in ([9, 8], [9, 1], [2])], "split": split}
        for n, split in enumerate(("train", "test"))
    ]
    path = write_scenario(tmp_path, JUDGE.replace("FILE", str(write(tmp_path / "ranked.jsonl", written))))
    sets = ["--set", "stages.judge.budget.updates=12", "--set", "stages.judge.collect.groups=1"]
    assert command("run", path, "--out", tmp_path / "run", "-q", *sets) == 0
    looked = lines(tmp_path / "run" / "evaluations.jsonl")[0]
    assert looked["episodes"] == 1 + 2 + 2  # [9, 8] and [9, 1] differ in their ends alone
    assert looked["world/margin_mean"] == 0.0
    assert lines(tmp_path / "run" / "metrics.jsonl")[-1]["judgement/accuracy"] == 1.0  # of five as well, and not of six


def test_a_depth_counts_all_turns_of_a_conversation_and_rows_may_hold_episodes_that_ended_early(tmp_path: Path) -> None:
    learned = [conversation("6:", digits) for digits in ([9, 8, 7], [9, 1, 1], [9])]
    held_out = [conversation("7:", digits) for digits in ([9, 8, 7], [9, 1, 1], [9, 1, 1])]
    written = [{"answers": learned, "split": "train"}, {"answers": held_out, "ranks": [1, 2, 2], "split": "test"}]
    path = write_scenario(tmp_path, JUDGE.replace("FILE", str(write(tmp_path / "ranked.jsonl", written))))
    sets = ["--set", "stages.judge.budget.updates=1", "--set", "stages.judge.collect.groups=1"]
    assert command("run", path, "--out", tmp_path / "run", "-q", *sets) == 0
    looked = lines(tmp_path / "run" / "evaluations.jsonl")[0]
    assert {name for name in looked if "depth" in name and name.endswith("_mean")} == {
        "world/depth_2_mean",
        "world/depth_3_mean",
    }


@pytest.mark.slow
def test_a_run_that_is_resumed_ends_as_one_that_was_not(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, JUDGE.replace("FILE", str(write(tmp_path / "pairs.jsonl", known(20, 4)))))
    whole, parted, two = tmp_path / "whole", tmp_path / "parted", ["--set", "stages.judge.budget.updates=2"]
    assert command("run", path, "--out", whole, "-q", *two) == 0
    assert command("run", path, "--out", parted, "-q", "--set", "stages.judge.budget.updates=1") == 0
    assert command("resume", parted, "-q", *two) == 0
    assert rows(parted / "metrics.jsonl") == rows(whole / "metrics.jsonl")
    heads = [run / "checkpoints" / "000002" / "policy" / "value_head.safetensors" for run in (whole, parted)]
    assert heads[0].read_bytes() == heads[1].read_bytes()


TASKS = {"tasks": "rows.jsonl", "grader": "number", "prompt": "{question}"}
ONE_TURN = {
    "a limit of one": '{id: "peripatos.envs.worlds.maths.digits:Digits"}',
    "a grader": f"{{id: peripatos/Tasks-v0, options: {json.dumps(TASKS)}}}",
}


@pytest.mark.parametrize("name", ONE_TURN)
def test_turns_are_not_paid_one_by_one_where_there_is_one(
    name: str, judge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rows.jsonl", [{"question": f"{n} + {n} =", "answer": str(n + n)} for n in range(40)])
    path = write_scenario(tmp_path, LEARNER.replace("RUN", str(judge)))
    assert command("run", path, "--dry-run", "--set", f"world={ONE_TURN[name]}") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "rewards.model_at is 'turn', and an episode ends here with the first reply, which earns all that" in said
    assert "write overrides: {rewards: {model_at: end}}" in said
    sets = ["--set", f"world={ONE_TURN[name]}", "--set", "stages.please.overrides.rewards={model_at: end}"]
    assert command("run", path, "--dry-run", *sets) == 0


SILENT = """\
from peripatos.envs.worlds.maths.digits import Digits

class Curt(Digits):
    @property
    def turn_limit(self):
        return None
"""


def test_that_episodes_had_one_turn_is_said_once_it_is_known(
    judge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "curt.py").write_text(SILENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = write_scenario(tmp_path, LEARNER.replace("RUN", str(judge)))
    assert command("run", path, "--out", tmp_path / "run", "--set", "world={id: 'curt:Curt'}") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "rewards.model_at is 'turn', and each of the first 16 episodes has one turn" in said


def test_who_has_learned_ends_alone_is_said_to_guess_at_turns(
    judge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = write_scenario(tmp_path, JUDGE.replace("FILE", str(write(tmp_path / "ranked.jsonl", known(20, 4)))))
    sets = ["--set", "stages.judge.method=reward_model", "--set", "stages.judge.budget.updates=1"]
    assert command("run", ends, "--out", tmp_path / "ends", "-q", *sets) == 0
    asks = write_scenario(tmp_path, LEARNER.replace("RUN", str(judge)))
    guess, heard = f"{tmp_path / 'ends'} has learned by reward_model what ends are worth", []
    for run, at in ((judge, "turn"), (tmp_path / "ends", "end"), (tmp_path / "ends", "turn")):
        overrides = ["--set", f"stages.please.overrides.rewards.model_at={at}"]
        assert command("run", asks, "--dry-run", "--set", f"stages.please.models.reward={run}", *overrides) == 0
        heard.append(guess in " ".join(capsys.readouterr().err.split()))
    assert heard == [False, False, True]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "demonstrations={pairs: peripatos/digits}",
            "compares replies turn by turn, and those of a row differ in one turn here; write",
        ),
        ("demonstrations={agent: {kind: oracle}}", "compares replies, and demonstrations.agent shows one of each"),
        ("overrides.credit.gamma=0.9", "learns the order of replies, and nobody acts or pays"),
        ("stop={world/depth_4_mean: 0.9}", "have success_rate, return_mean"),
    ],
)
def test_what_a_process_reward_model_cannot_be_is_refused_when_the_scenario_is_read(
    tmp_path: Path, change: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scenario(tmp_path, JUDGE.replace("FILE", "peripatos/digit-turns") + "\n")
    sets = ["--set", f"stages.judge.{change}", "--set", "evaluation.every=10"]
    assert command("run", path, "--dry-run", *sets) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_goal_may_be_what_is_right_of_a_depth(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, JUDGE.replace("FILE", "peripatos/digit-turns"))
    sets = ["--set", "stages.judge.stop={world/depth_3_mean: 0.9}", "--set", "evaluation.every=10"]
    assert command("run", path, "--dry-run", *sets) == 0
