"""What a sweep may search, how it is drawn, and what is said of what cannot be."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scenarios_runs import TINY, write_scenario
from scipy.stats import qmc

from peripatos.envs.errors import UserError
from peripatos.envs.seeding import derive_seed
from peripatos.scenarios.compare import quasi_random
from peripatos.scenarios.compare.comparison_file import find_comparison
from peripatos.scenarios.compare.quasi_random import draw
from peripatos.scenarios.compare.search_space import Range, probed, read_search, space_of
from peripatos.scenarios.config.loading import load_scenario
from peripatos.scenarios.config.schema import Scenario

FILE = """\
methods: [ppo, grpo]
scenarios: {tiny.yaml: {}}
search:
  optimizer.lr: {log: [1e-4, 1e-2]}
  ppo:
    overrides.credit.lam: {uniform: [0.9, 1]}
"""
RATE = Range("log", (1e-4, 1e-2))


def tiny(folder: Path) -> Scenario:
    return load_scenario(str(write_scenario(folder)))


def probe(folder: Path, said: dict[str, object], method: str = "ppo") -> list[Scenario]:
    base = tiny(folder)
    return list(probed(space_of(read_search(said), method, base, 0), base, "whose"))  # pyright: ignore[reportArgumentType]


def test_ranges_of_all_methods_and_of_one_stand_in_the_file_of_a_comparison(tmp_path: Path) -> None:
    (path := tmp_path / "mine.yaml").write_text(FILE)
    base = tiny(tmp_path)
    file = find_comparison([str(path)])
    assert file is not None
    search = read_search(file.search)
    assert search == {"": {"optimizer.lr": RATE}, "ppo": {"overrides.credit.lam": Range("uniform", (0.9, 1.0))}}
    assert list(space_of(search, "ppo", base, 0)) == ["stages.learn.optimizer.lr", "stages.learn.overrides.credit.lam"]
    assert space_of(search, "grpo", base, 0) == {"stages.learn.optimizer.lr": RATE}


def test_where_nothing_is_declared_the_learning_rate_is_searched_a_decade_to_each_side(tmp_path: Path) -> None:
    ((key, one),) = space_of(read_search({}), "ppo", tiny(tmp_path), 0).items()
    assert (key, one.kind, one.bounds) == ("stages.learn.optimizer.lr", "log", pytest.approx((3e-5, 3e-3)))
    text = TINY.replace("overrides:", "optimizer: {lr: 0.02}\n    overrides:")
    ((_, one),) = space_of(read_search({}), "ppo", load_scenario(str(write_scenario(tmp_path, text))), 0).items()
    assert one.bounds == pytest.approx((2e-3, 0.2))


def test_a_key_may_be_one_of_the_stage_or_a_scenarios_from_its_top(tmp_path: Path) -> None:
    said = {"collect.groups": {"choice": [2, 4]}, "agent.hidden": {"choice": [[16], [32, 32]]}}
    changed = probe(tmp_path, said)  # type: ignore[arg-type]
    assert [(one.stages[0].collect.groups, one.agent.hidden) for one in changed] == [  # pyright: ignore
        (2, [16]),
        (4, [16]),
        (2, [16]),
        (2, [32, 32]),
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "{log: [1e-4, 1e-2]}",
            "{log: [1e-2, 1e-4]}",
            r"line 4, .*begins at 0\.01 and ends at 0\.0001; write \[0\.0001",
        ),
        ("{log: [1e-4, 1e-2]}", "{log: [1e-2, 1e-2]}", "between equal bounds there is nothing to search"),
        ("{log: [1e-4, 1e-2]}", "{log: [0, 1e-2]}", "begins at 0, which has no logarithm"),
        ("{log: [1e-4, 1e-2]}", "{uniform: [0, .inf]}", "allowed are two numbers"),
        ("{log: [1e-4, 1e-2]}", "{uniform: [low, 1]}", "allowed are two numbers"),
        ("{log: [1e-4, 1e-2]}", "{uniform: [true, 3]}", "allowed are two numbers"),
        ("{log: [1e-4, 1e-2]}", "{uniform: [1]}", "allowed are two numbers"),
        ("{log: [1e-4, 1e-2]}", "{uniform: 3}", "is 3, and not a list"),
        ("{log: [1e-4, 1e-2]}", "{lgo: [1e-4, 1e-2]}", "has the range 'lgo'; allowed are log.*Did you mean 'log'"),
        ("{log: [1e-4, 1e-2]}", "[1e-4, 1e-2]", "give one range, such as"),
        ("{log: [1e-4, 1e-2]}", "{log: [1, 2], choice: [1, 2]}", "give one range, such as"),
        ("{log: [1e-4, 1e-2]}", "{choice: [1]}", "a choice is between two values or more"),
        ("{log: [1e-4, 1e-2]}", "{choice: [1, 2, 1]}", "has 1 twice"),
        ("  ppo:\n", "  pppo:\n", r"line 5, .*Did you mean 'ppo'"),
        ("  ppo:\n", "  rloo:\n", r"line 5, .*search has rloo, and this comparison has the methods ppo, grpo"),
        ("\n    overrides.credit.lam: {uniform: [0.9, 1]}", " 3", r"search\.ppo is 3; a method has keys"),
    ],
)
def test_what_is_no_range_is_said_with_its_place(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in FILE
    (path := tmp_path / "mine.yaml").write_text(FILE.replace(old, new))
    with pytest.raises(UserError, match=words):
        find_comparison([str(path)])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"optimzer.lr": {"log": [1e-4, 1e-2]}}, "unknown key 'optimzer.lr'.*Did you mean 'optimizer'"),
        ({"learning_rate": {"log": [1e-4, 1e-2]}}, r"unknown key 'learning_rate'.*Did you mean 'optimizer\.lr'"),
        ({"lr": {"log": [1e-4, 1e-2]}}, r"unknown key 'lr'.*optimizer\.lr"),
        ({"optimizer.lrr": {"log": [1e-4, 1e-2]}}, "unknown key 'lrr'.*Did you mean 'lr'"),
        ({"optimizer.lr": {"uniform": [-1, 1]}}, r"lr is -1; allowed is a number greater than 0"),
        ({"optimizer.lr": {"choice": ["fast", 1e-3]}}, "lr is 'fast'; allowed is a number"),
        ({"collect.groups": {"uniform": [2, 8]}}, r"groups is 4\.29.*\n.*whole ones are a choice"),
        ({"overrides.credit.gama": {"uniform": [0.9, 1]}}, "Did you mean 'gamma'"),
        ({"stop": {"choice": [{}, {"return_mean": 9}]}}, "has no effect on ppo in tiny: each method spends"),
        ({"log.episodes": {"choice": [1, 2]}}, "no score depends on log"),
        ({"device": {"choice": ["cpu", "cuda"]}}, "no score depends on device"),
        ({"failures.max_share": {"choice": [0.1, 0.2]}}, "no score depends on failures"),
        ({"world.at_once": {"choice": [1, 2]}}, "at_once says how a world is played, and not what"),
        (
            {"optimizer.lr": {"log": [1e-4, 1e-2]}, "stages.learn.optimizer": {"choice": [{"lr": 1e-3}, {}]}},
            "search.optimizer.lr and search.stages.learn.optimizer say two things of one key",
        ),
        ({"grpo": {"optimizer.lr": {"log": [1e-4, 1e-2]}}}, "nothing is searched for ppo in tiny"),
    ],
)
def test_what_a_scenario_cannot_be_given_is_refused(tmp_path: Path, said: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        probe(tmp_path, said)


def test_a_constant_that_the_method_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"overrides\.weighting\.clip_dual in the search for whose"):
        probe(tmp_path, {"overrides.weighting.clip_dual": {"uniform": [-3, -2]}})
    with pytest.raises(UserError, match=r"would have no effect: .*nothing is compared within a group"):
        probe(tmp_path, {"overrides.credit.scale": {"choice": ["std", "mean"]}})


def test_what_is_drawn_is_a_sobol_sequence_over_the_ranges() -> None:
    space = {"a": Range("log", (1e-4, 1e-2)), "b": Range("uniform", (0.9, 1.0)), "c": Range("choice", ("x", [1], None))}
    drawn = draw(space, 8, seed=3)
    points = qmc.Sobol(3, seed=derive_seed(3, "sweep")).random(8)
    assert [one["a"] for one in drawn] == pytest.approx([1e-4 * 100**x for x in points[:, 0]], rel=1e-9)
    assert [one["b"] for one in drawn] == pytest.approx([0.9 + 0.1 * x for x in points[:, 1]], rel=1e-9)
    assert [one["c"] for one in drawn] == [("x", [1], None)[int(3 * x)] for x in points[:, 2]]
    eighths = [math.floor(4 * math.log10(float(str(one["a"])) / 1e-4)) for one in drawn]  # of its two decades
    assert sorted(eighths) == list(range(8))
    assert Counter(np.floor(2 * points[:, 1])) == {0.0: 4, 1.0: 4}


def test_more_trials_go_on_from_fewer_and_another_seed_draws_others() -> None:
    space = {"a": RATE}
    assert draw(space, 8, seed=0)[:3] == draw(space, 3, seed=0)
    assert draw(space, 3, seed=1) != draw(space, 3, seed=0)
    assert draw(space, 1, seed=2**62)  # any seed that the command takes


def test_optuna_says_nothing_and_is_left_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    draw({"a": RATE, "b": Range("choice", (1, 2))}, 3, seed=0)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_without_optuna_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quasi_random, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'peripatos\[sweep\]'"):
        draw({"a": RATE}, 3, seed=0)
