"""Generators of reasoning-gym as worlds: own options and verifiers, splits that share nothing, text that is not run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytest.importorskip("reasoning_gym", reason="the extra peripatos[reasoning] is not installed")

from peripatos.envs.check import check_world
from peripatos.envs.errors import UserError
from peripatos.envs.registry import make_world
from peripatos.envs.world_source import WorldSource
from peripatos.envs.worlds.reasoning.generator import shared_generator

WITHOUT_ANSWER = {"boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"}
CONFIGURED = {"composite": {"datasets": [{"name": "chain_sum", "weight": 1, "config": {}}]}}


def generators() -> list[str]:
    from reasoning_gym.factory import DATASETS

    return sorted(DATASETS)


def replied(world, text: str, seed: int = 0) -> tuple[float, bool | None]:
    world.reset(seed=seed)
    _, reward, terminated, _, info = world.step(text)
    assert terminated
    return reward, info["success"]


def test_a_generator_is_a_world_with_its_own_options_and_verifier() -> None:
    world = make_world("reasoning_gym:chain_sum", min_terms=2, max_terms=2, min_digits=1, max_digits=1)
    text, info = world.reset(seed=3)
    assert info["task"].startswith("chain_sum ")
    assert text.endswith("Give the final answer between <answer> and </answer>.")
    sum_ = text.split(":")[1].split("=")[0].strip()
    first, sign, second = sum_.split()
    right = int(first) + int(second) if sign == "+" else int(first) - int(second)
    assert world.unwrapped.oracle() == f"<answer>{right}</answer>"  # type: ignore[attr-defined]
    assert replied(world, f"so <answer>{right}</answer>", 3) == (1.0, True)
    assert replied(world, f"<answer>{right + 1}</answer>", 3)[1] is False
    assert replied(world, f"{right}", 3) == (0.0, False)
    assert replied(world, f"<answer>{right + 1}</answer><answer>{right}</answer>", 3) == (0.0, False)


def test_a_generator_keeps_the_contract() -> None:
    assert not [finding for finding in check_world("reasoning_gym:chain_sum") if not finding.passed]


def test_no_question_is_in_two_splits_and_worlds_repeat() -> None:
    with WorldSource("reasoning_gym:coin_flip", {"size": 200}) as source:
        worlds = source.make(), source.make()
        seen = {
            split: {worlds[0].reset(seed=seed, options={"split": split})[0] for seed in range(40)}
            for split in ("train", "validation", "test")
        }
        assert all(seen.values())
        assert not seen["train"] & seen["test"]
        assert not seen["validation"] & (seen["train"] | seen["test"])
        assert worlds[1].reset(seed=7)[0] == worlds[0].reset(seed=7)[0]


@pytest.mark.parametrize(
    ("name", "hostile"),
    [
        ("spiral_matrix", "__import__('pathlib').Path('FILE').write_text('x') and [1]"),
        ("n_queens", "open('FILE', 'w')"),
        ("simple_integration", "__import__('pathlib').Path('FILE').write_text('x')"),
        pytest.param("countdown", "exec(chr(112))", marks=pytest.mark.slow),
        pytest.param("polynomial_multiplication", "x.__class__", marks=pytest.mark.slow),
    ],
)
def test_what_is_answered_is_never_run(tmp_path: Path, name: str, hostile: str) -> None:
    world = make_world(f"reasoning_gym:{name}", size=50)
    assert replied(world, f"<answer>{hostile.replace('FILE', str(tmp_path / 'file'))}</answer>")[0] <= 0.1
    assert not list(tmp_path.iterdir())
    world.reset(seed=0)
    assert world.step(world.unwrapped.oracle())[1] == 1.0  # type: ignore[attr-defined]


@pytest.mark.slow
def test_an_answer_that_takes_for_ever_is_wrong_and_the_next_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peripatos.envs.worlds.reasoning.generator.SCORE_S", 1.0)
    world = make_world("reasoning_gym:simple_integration", size=50)
    began = time.perf_counter()
    assert replied(world, f"<answer>9**9**9**9 + {'(x+1)' * 5}</answer>") == (0.0, False)
    assert time.perf_counter() - began < 30
    monkeypatch.setattr("peripatos.envs.worlds.reasoning.generator.SCORE_S", 30.0)
    world.reset(seed=0)
    assert world.step(world.unwrapped.oracle())[1] == 1.0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("chain_sun", {}, r"unknown generator of reasoning-gym 'chain_sun'; .*Did you mean 'chain_sum'\?"),
        ("chain_sum", {"min_term": 2}, r"unknown option 'min_term'; .*Did you mean 'min_terms'\?"),
        ("chain_sum", {"min_terms": -2}, "cannot be made: AssertionError: min_terms must be positive"),
        ("chain_sum", {"size": 0}, "size is 0; allowed is a whole number, 1 or greater"),
        ("chain_sum", {"name": "x"}, "unknown option 'name'"),
        ("composite", {}, "cannot be made: AssertionError: Must specify at least one dataset"),
    ],
)
def test_a_generator_that_cannot_be_made_says_why(name: str, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_world(f"reasoning_gym:{name}", **options)


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs reasoning-gym: pip install 'peripatos\[reasoning\]'"):
        make_world("reasoning_gym:leg_counting")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", generators())
def test_every_generator_begins_and_scores_its_own_answer_with_one(name: str) -> None:
    world = make_world(f"reasoning_gym:{name}", size=60, **CONFIGURED.get(name, {}))
    try:
        world.reset(seed=0)
        answer = world.unwrapped.oracle()  # type: ignore[attr-defined]
        assert (answer is None) == (name in WITHOUT_ANSWER)
        _, reward, _, _, info = world.step("<answer>nonsense</answer>" if answer is None else answer)
        assert (reward, info["success"]) == (1.0, True) if answer else reward < 1
    finally:
        shared_generator.cache_clear()
        world.unwrapped._generator.close()  # type: ignore[attr-defined]
