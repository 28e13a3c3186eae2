"""A linear schedule spends the whole budget on steps that move the policy, whatever the budget is counted in."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from scenarios_runs import TINY, command, rows, write_scenario

LINEAR = TINY.replace(
    "    budget: {updates: 12}", "    optimizer: {lr: 1e-3, schedule: linear}\n    budget: {updates: 4}"
)
WORDS = """\
name: words
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 4}
stages:
  - name: learn
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 8}
    optimizer: {lr: 1e-3, schedule: linear}
    budget: {updates: 4}
evaluation: {episodes: 4}
log: {episodes: 0}
"""


def step_sizes(folder: Path, text: str, budget: str) -> list[float]:
    folder.mkdir(exist_ok=True)
    path = write_scenario(folder, text.replace("{updates: 4}", budget))
    assert command("run", path, "--out", folder / "run", "-q") == 0
    return [row["optimizer/lr"] for row in rows(folder / "run" / "metrics.jsonl")]


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        (LINEAR, "{updates: 4}"),
        (LINEAR, "{env_steps: 256}"),
        (LINEAR, "{action_units: 256}"),
        (LINEAR, "{updates: 4, env_steps: 1000}"),
        (WORDS, "{updates: 4}"),
        (WORDS, "{env_steps: 32}"),
    ],
)
def test_equal_budgets_give_equal_steps_in_equal_parts(tmp_path: Path, text: str, budget: str) -> None:
    assert step_sizes(tmp_path, text, budget) == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])


@pytest.mark.parametrize("budget", ["{updates: 1}", "{env_steps: 1}", "{env_steps: 64}", "{action_units: 64}"])
def test_a_budget_of_one_batch_is_one_whole_step(tmp_path: Path, budget: str) -> None:
    assert step_sizes(tmp_path, LINEAR, budget) == [1e-3]


@pytest.mark.parametrize("budget", ["{env_steps: 250}", "{action_units: 193}", "{seconds: 0.3}", "{seconds: 0.000001}"])
def test_the_steps_shrink_and_end_above_zero_where_the_budget_is_no_multiple(tmp_path: Path, budget: str) -> None:
    sizes = step_sizes(tmp_path, LINEAR, budget)
    assert sizes
    assert sizes[-1] > 0
    assert all(one >= other for one, other in itertools.pairwise(sizes))
    assert sizes[0] == 1e-3
