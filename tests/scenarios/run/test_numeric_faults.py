"""Settings that no arithmetic survives: each ends in a sentence that names a key, never in silence or a traceback."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from scenarios_runs import TINY, command, write_scenario

from peripatos.scenarios.run.checkpoint import write_checkpoint
from peripatos.scenarios.run.sound_files import find_unsound_file

PPO = TINY.replace("updates: 12", "updates: 6").replace("every: 4, episodes: 3", "episodes: 1")
GRPO = PPO.replace("method: ppo", "method: grpo").replace("{groups: 2, horizon: 32}", "{groups: 2, group_size: 4}")
PENDULUM = PPO.replace("CartPole-v1", "Pendulum-v1, options: {max_episode_steps: 8}")
SUMS = """\
name: sums
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare, answer_tag: answer}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 4}
stages:
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 4}
    overrides: {}
    budget: {updates: 6}
evaluation: {episodes: 1}
"""
SFT = SUMS.replace("method: grpo", "method: sft\n    demonstrations: {agent: {kind: oracle}}").replace(
    ", group_size: 4", ""
)
FAST = {  # what is set, and what has to be said; None where the result is right
    "lr 1e30": (PPO, ["stages.learn.optimizer.lr=1e30"], "stages.learn.optimizer.lr"),
    "weight decay 1e30": (PPO, ["stages.learn.optimizer.weight_decay=1e30"], "stages.learn.optimizer.weight_decay"),
    "lr 1e-30": (PPO, ["stages.learn.optimizer.lr=1e-30"], "stages.learn.optimizer.lr"),
    "norm 1e-30": (PPO, ["stages.learn.optimizer.max_grad_norm=1e-30"], "stages.learn.optimizer.max_grad_norm"),
    "imitation 1e308": (
        SUMS.replace("overrides: {}", "demonstrations: {agent: {kind: oracle}}"),
        ["stages.learn.overrides.update.imitation_coefficient=1e308"],
        "update.imitation_coefficient is 1e+308; allowed is a number, 0 or greater; 3.4e+38 is the largest there is",
    ),
    "lr 1e38, language": (SFT, ["stages.learn.optimizer.lr=1e38"], "optimizer.lr"),
}
SLOW = {
    "lr 1e3, pendulum": (PENDULUM, ["stages.learn.optimizer.lr=1e3"], "stages.learn.optimizer.lr"),
    "lr 1e30, grpo": (GRPO, ["stages.learn.optimizer.lr=1e30"], "stages.learn.optimizer.lr"),
    "lr 1e200": (PPO, ["stages.learn.optimizer.lr=1e200"], "stages.learn.optimizer.lr"),
    "eps 1e30": (PPO, ["stages.learn.optimizer.eps=1e30"], "stages.learn.optimizer.eps"),
    "warm-up": (PPO, ["stages.learn.optimizer.warmup=1000000"], "stages.learn.optimizer.warmup"),
    "value 1e39": (PPO, ["stages.learn.overrides.update.value_coefficient=1e39"], "update.value_coefficient"),
    "entropy 1e38": (PPO, ["stages.learn.overrides.update.entropy_coefficient=1e38"], "update.entropy_coefficient"),
    "gamma and lambda 1": (PPO, ["stages.learn.overrides.credit.gamma=1", "stages.learn.overrides.credit.lam=1"], None),
    "eps of credit 0": (GRPO, ["stages.learn.overrides.credit.eps=0"], None),
    "clip 0": (
        PPO,
        ["stages.learn.overrides.weighting.clip_low=0", "stages.learn.overrides.weighting.clip_high=0"],
        None,
    ),
    "imitation 3e38": (
        SUMS.replace("overrides: {}", "demonstrations: {agent: {kind: oracle}}"),
        ["stages.learn.overrides.update.imitation_coefficient=3e38"],
        "begin anew with less of stages.learn.overrides.update.imitation_coefficient (3e+38)",
    ),
    "observation 3e38": (
        SUMS.replace("answer_tag: answer", "answer_tag: answer, attempts: 3"),
        ["stages.learn.overrides.update.observation_coefficient=3e38"],
        "begin anew with less of stages.learn.overrides.update.observation_coefficient (3e+38)",
    ),
    "wrong 3e38": (
        SUMS.replace("method: grpo", "method: nsr"),
        ["stages.learn.overrides.credit.wrong=3e38"],
        "begin anew with less of stages.learn.overrides.credit.wrong (3e+38)",
    ),
    "KL 1e38": (
        SUMS,
        ["stages.learn.overrides.weighting.kl=k3", "stages.learn.overrides.weighting.beta=1e38"],
        None,  # it stays at its reference, as was asked
    ),
    "temperature 1e-320": (SUMS, ["sampling.temperature=1e-320"], "temperature"),
    "temperature 1e30": (SUMS, ["sampling.temperature=1e30"], "sampling.temperature"),
    "top-p 1e-30": (SUMS, ["sampling.top_p=1e-30"], "top_p"),
}


def said(folder: Path, text: str, sets: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    flags = [word for one in sets for word in ("--set", one)]
    code = command("run", write_scenario(folder, text), "--out", folder / "run", *flags)
    return code, capsys.readouterr().err


@pytest.mark.parametrize("fault", [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_numeric_fault_is_said_with_the_key_to_change(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, sets, key = (FAST | SLOW)[fault]
    code, told = said(tmp_path, text, sets, capsys)
    assert "Traceback" not in told
    assert code in (0, 1, 2)
    assert key is None or key in told
    for folder in (tmp_path / "run" / "checkpoints").glob("0*"):
        assert find_unsound_file(folder) is None


def test_a_refused_run_says_so_again_when_it_is_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(tmp_path, PPO, ["stages.learn.optimizer.lr=1e30"], capsys)
    assert command("resume", tmp_path / "run") == 1
    told = capsys.readouterr().err
    assert "was refused before" in told
    assert told.count("begin anew with less of stages.learn.optimizer.lr (1e+30)") >= 2  # as it was refused, and now


def test_a_checkpoint_that_is_not_finite_is_stepped_over_by_resume_and_refused_by_evaluate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(tmp_path, PPO, [], capsys)[0] == 0
    folder = tmp_path / "run" / "checkpoints"

    class Broken:
        """A policy as an older version may have saved it."""

        def save(self, place: Path) -> None:
            for path in (folder / "000006" / "policy").iterdir():
                (place / path.name).write_bytes(path.read_bytes())
            tensors = load_file(place / "policy.safetensors")
            tensors["actor.0.weight"][0, 0] = math.nan
            save_file(tensors, place / "policy.safetensors")

    progress = {**json.loads((folder / "000006" / "progress.json").read_text()), "update": 7}
    actor = {"nothing": torch.zeros(1)}
    write_checkpoint(
        folder,
        update=7,
        policy=Broken(),  # type: ignore[arg-type]
        learner=None,
        actor_state=actor,
        progress=progress,
    )
    assert command("evaluate", tmp_path / "run", "--checkpoint", "last", "--episodes", "1") == 2
    assert "numbers that are not finite (actor.0.weight)" in capsys.readouterr().err
    assert command("resume", tmp_path / "run", "--set", "stages.learn.budget.updates=7") == 0
    assert "going on from the one before" in capsys.readouterr().err


WORLD = '''
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Shy(gymnasium.Env):
    """Measures `luck` in its first twelve episodes alone."""

    observation_space, action_space = Box(-1.0, 1.0, (1,)), Discrete(2)
    begun = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        Shy.begun += 1
        return np.zeros(1, np.float32), {}

    def step(self, action):
        metrics = {"luck": 1.0} if Shy.begun <= 12 else {}
        return np.zeros(1, np.float32), float(action), True, False, {"metrics": metrics}
'''


def test_a_goal_whose_number_no_validation_has_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shy_worlds.py").write_text(WORLD)
    monkeypatch.syspath_prepend(tmp_path)
    text = (
        TINY.replace("id: CartPole-v1", "id: 'shy_worlds:Shy', options: {max_episode_steps: 9}")
        .replace("    budget:", "    stop: {world/luck_mean: 2}\n    budget:")
        .replace("every: 4, episodes: 3", "every: 2, episodes: 1")
    )
    code, told = said(tmp_path, text, [], capsys)
    assert code == 0
    assert told.count("the goal stages.learn.stop.world/luck_mean cannot be reached") == 1
    warnings = json.loads((tmp_path / "run" / "summary.json").read_text())["warnings"]
    assert "goal_unseen" in {warning["sign"] for warning in warnings}
