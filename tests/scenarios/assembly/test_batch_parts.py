"""Batches that have too few parts for their minibatches, or too few episodes to be compared, are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios_runs import command, write_scenario

TALK = """\
name: talk
world: {id: peripatos/Arithmetic-v0, options: {digits: 1}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
stages:
  - {name: learn, method: METHOD, collect: {COLLECT}, overrides: {OVERRIDES}, budget: {updates: 1}}
"""
TURNS = TALK.replace("Arithmetic-v0, options: {digits: 1}", "ToolMaths-v0")
BODY = """\
name: body
world: {id: CartPole-v1, options: {max_episode_steps: 10}}
agent: {kind: mlp, hidden: [8]}
stages:
  - {name: learn, method: METHOD, collect: {COLLECT}, overrides: {OVERRIDES}, budget: {updates: 1}}
"""
WHITENED = "credit: {whiten: minibatch}, "


def dry(tmp_path: Path, text: str, method: str, collect: str, overrides: str) -> int:
    text = text.replace("METHOD", method).replace("COLLECT", collect).replace("OVERRIDES", overrides)
    return command("run", write_scenario(tmp_path, text), "--dry-run")


@pytest.mark.parametrize(
    ("text", "method", "collect", "minibatches", "most", "parts"),
    [
        (TALK, "online_dpo", "groups: 4, group_size: 4", 4, 4, "pairs"),
        (TALK, "best_of_k", "groups: 4, group_size: 4", 4, 4, "replies that have a weight"),
        (TURNS, "best_of_k", "groups: 4, group_size: 4", 4, 4, "episodes that have a weight"),
        (TURNS, "grpo", "groups: 4, group_size: 4", 16, 16, "episodes"),
        (TALK, "grpo", "groups: 4, group_size: 4", 16, 16, "replies"),
        (BODY, "online_dpo", "groups: 4, group_size: 4", 4, 4, "pairs"),
        (BODY, "best_of_k", "groups: 4, group_size: 4", 40, 40, "units that have a weight"),
        (BODY, "grpo", "groups: 4, group_size: 4", 160, 160, "units"),
        (BODY, "gspo", "groups: 4, group_size: 4", 16, 16, "episodes"),
    ],
)
def test_more_minibatches_than_there_are_rows_with_a_weight_are_refused(
    text: str,
    method: str,
    collect: str,
    minibatches: int,
    most: int,
    parts: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dry(tmp_path, text, method, collect, f"update: {{minibatches: {minibatches}}}") == 0
    assert dry(tmp_path, text, method, collect, f"update: {{minibatches: {minibatches + 1}}}") == 2
    assert f"a batch has at most {most} {parts}, so that" in capsys.readouterr().err


def test_rows_without_a_weight_that_move_all_the_same_are_parts(tmp_path: Path) -> None:
    bonus = "update: {minibatches: 16, entropy_coefficient: 0.01}"
    assert dry(tmp_path, TALK, "best_of_k", "groups: 4, group_size: 4", bonus) == 0


@pytest.mark.parametrize(
    ("text", "collect", "more", "code"),
    [
        (TALK, "groups: 8", "{minibatches: 8}", 2),
        (TALK, "groups: 8", "{minibatches: 5}", 2),
        (TALK, "groups: 8", "{minibatches: 4}", 0),
        (TALK, "groups: 4, group_size: 2", "{minibatches: 8}", 2),
        (TALK, "groups: 4, group_size: 2", "{minibatches: 4}", 0),
        (TURNS, "groups: 8", "{minibatches: 8}", 2),
        (TALK, "groups: 8", "{minibatch_units: 8}", 0),
        (TALK, "groups: 1", "{minibatches: 1}", 2),
        (TALK, "groups: 2", "{minibatches: 1}", 0),
        (BODY, "groups: 8", "{minibatches: 8}", 0),  # of units of all episodes
    ],
)
def test_episodes_that_are_whitened_alone_are_refused(
    text: str, collect: str, more: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = dry(tmp_path, text, "reinforce", collect, f"{WHITENED}update: {more}")
    said = capsys.readouterr().err
    assert found == code, said
    assert ("credit.whiten is minibatch" in said) == (code == 2)


def test_turns_of_which_an_episode_has_several_are_whitened_among_themselves(tmp_path: Path) -> None:
    by_turn = "credit: {whiten: minibatch, granularity: turn}, update: {minibatches: 8}"
    assert dry(tmp_path, TURNS, "reinforce", "groups: 8", by_turn) == 0
    assert dry(tmp_path, TALK, "reinforce", "groups: 8", by_turn) == 2


@pytest.mark.parametrize("text", [TALK, TURNS, BODY])
@pytest.mark.parametrize(
    ("method", "overrides", "why"),
    [
        ("reinforce_baseline", "", "credit.baseline is batch_mean"),
        ("reinforce_baseline", "credit: {granularity: unit}", "credit.baseline is batch_mean"),
        ("reinforce_pp", "", "credit.whiten is batch"),
        ("reinforce", "credit: {whiten: steps}", "credit.whiten is steps"),
        ("reinforce", "credit: {whiten: batch, granularity: unit, gamma: 0.9}", ""),
        ("reinforce", "", ""),
    ],
)
def test_a_batch_of_one_episode_has_no_mean_to_be_compared_with(
    text: str, method: str, overrides: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dry(tmp_path, text, method, "groups: 1", overrides) == (2 if why else 0)
    said = " ".join(capsys.readouterr().err.split())
    assert why in said
    assert not why or "give collect.groups of 2 or more" in said
    for collect in ("groups: 2", "groups: 1, group_size: 2"):
        assert dry(tmp_path, text, method, collect, overrides) == 0


def test_each_of_several_worlds_needs_two_episodes_to_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worlds = "worlds: [{id: peripatos/Arithmetic-v0, name: a}, {id: peripatos/Arithmetic-v0, name: b}]"
    text = TALK.replace("world: {id: peripatos/Arithmetic-v0, options: {digits: 1}}", worlds)
    assert dry(tmp_path, text, "reinforce_baseline", "groups: 3", "") == 2
    assert "and there is one" in capsys.readouterr().err
    assert dry(tmp_path, text, "reinforce_baseline", "groups: 4", "") == 0


def test_a_critic_needs_no_company(tmp_path: Path) -> None:
    assert dry(tmp_path, BODY, "ppo", "groups: 1, horizon: 16", "update: {epochs: 2, minibatches: 16}") == 0
    assert dry(tmp_path, TALK, "ppo", "groups: 2", "rewards: {scale: null, clip: null}, update: {minibatches: 2}") == 0
