"""Settings that would do nothing: more minibatches than a batch has parts are refused, an idle clip is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from scenarios_runs import TINY, command, write_scenario

from peripatos.scenarios.assembly.no_effect import remarks_on
from peripatos.scenarios.config.loading import check_scenario
from peripatos.scenarios.config.yaml_text import Source

TALK = """\
name: talk
world: {id: peripatos/Arithmetic-v0, options: {digits: 1}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
stages:
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 4}
    overrides: {OVERRIDES}
    budget: {updates: 1}
"""


def dry(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = command("run", write_scenario(tmp_path, text), "--dry-run")
    return code, capsys.readouterr().err


@pytest.mark.parametrize(("minibatches", "code"), [(64, 0), (65, 2)])
def test_more_minibatches_than_a_segment_has_units_are_refused(
    minibatches: int, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TINY.replace("minibatches: 2", f"minibatches: {minibatches}")
    found, said = dry(tmp_path, text, capsys)
    assert found == code, said
    if code:
        assert "tiny.yaml, line 8, column " in said
        assert "update.minibatches is 65, and a batch has at most 64 units" in said
        assert "allowed are 1 to 64" in said


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            "evaluation: {every: 99, episodes: 4}",
            "evaluation.every is 99, and no stage has a budget of more than 1 update",
        ),
        (
            "failures: {max_share: 0.001}",
            "failures.max_share is 0.001, and an evaluation has 100 episodes: one of them",
        ),
        ("failures: {max_share: 0.1}", ""),
        ("checkpoint: {every: 99}", "checkpoint.every is 99, and the budget has 1 update"),
    ],
)
def test_a_setting_that_comes_to_nothing_here_is_told(
    setting: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = dry(tmp_path, TALK.replace("OVERRIDES", "") + f"{setting}\n", capsys)
    assert code == 0, said
    assert told in said
    assert ("failures.max_share" in said) == ("failures.max_share" in told)


@pytest.mark.parametrize(("minibatches", "code"), [(8, 0), (9, 2)])
def test_more_minibatches_than_there_are_replies_are_refused(
    minibatches: int, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, said = dry(tmp_path, TALK.replace("OVERRIDES", f"update: {{minibatches: {minibatches}}}"), capsys)
    assert found == code, said
    assert ("a batch has at most 8 replies" in said) == (code == 2)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [("update: {epochs: 1}", True), ("weighting: {correction: 2}", False)],
)
def test_a_learning_rate_that_would_count_the_age_of_the_weights_is_told(
    overrides: str, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TALK.replace("OVERRIDES", overrides)
    text = re.sub(
        r"( +)collect: \{([^}]*)\}", r"\1optimizer: {schedule: adaptive_kl}\n\1collect: {\2, staleness: 1}", text
    )
    code, said = dry(tmp_path, text, capsys)
    assert code == 0, said
    assert ("adaptive_kl measures the KL from the policy that acted" in said) == told


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ("weighting: {clip_high: 0.1}", True),
        ("weighting: {clip_high: 0.1}, update: {epochs: 2}", False),
        ("weighting: {clip_low: 0.1}, update: {minibatches: 2}", False),
        ("weighting: {gap: 0.1}", True),
        ("weighting: {stale_sequence: 0.1}", True),
        ("update: {epochs: 1}", False),
    ],
)
def test_a_clip_that_somebody_wrote_and_that_cannot_bind_is_told_and_not_refused(
    overrides: str, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = dry(tmp_path, TALK.replace("OVERRIDES", overrides), capsys)
    assert code == 0
    assert said.count("has nothing to cut") == told


@pytest.mark.parametrize(
    ("at_once", "rest", "most"),
    [
        (9, "", None),  # 9 of the 10 that are evaluated
        (10, "", None),
        (11, "", "10 open at once (4 to learn, 10 to be evaluated)"),
        (129, "evaluation: {episodes: 500}", "128 open at once (4 to learn, 128 to be evaluated)"),
        (100, "evaluation: {episodes: 3}", "4 open at once (4 to learn, 3 to be evaluated)"),
    ],
)
def test_more_worlds_at_once_than_are_ever_played_are_told(at_once: int, rest: str, most: str | None) -> None:
    collect = "collect: {groups: 4, horizon: 8}"
    data = yaml.safe_load(
        "{name: s, agent: {kind: mlp}, evaluation: {episodes: 10}, stages: [{name: learn, method: ppo, "
        f"{collect}, budget: {{updates: 1}}}}], world: {{id: CartPole-v1, at_once: {at_once}}}}}"
    )
    scenario = check_scenario(data | yaml.safe_load(rest or "{}"), Source("s"))
    told = [remark for remark in remarks_on(scenario) if "at_once" in remark]
    said = f"world.at_once of 'CartPole-v1' is {at_once}, and this run has at most {most}: the others are never made"
    assert told == ([] if most is None else [said])
