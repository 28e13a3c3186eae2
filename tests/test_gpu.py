"""On a real CUDA device: whole updates in both worlds, sampling, going on, the choice of device, a picture by EGL."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from agents_worlds import Echo
from transformers import Qwen2Config, Qwen2ForCausalLM
from whole_updates import UPDATES

import peripatos
from peripatos.agents.language import compiled
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy, Precision
from peripatos.agents.language.model_checks import check_model, check_precision
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.agents.protocols import Policy
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import Method, method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.vocabulary import Batch

pytestmark = pytest.mark.gpu
if not torch.cuda.is_available():
    pytest.skip("torch sees no CUDA device", allow_module_level=True)


def updated(policy: Policy, batch: Batch, row: Method) -> dict[str, float]:
    """What an update of `policy` says of itself. With a large eps a step is smooth in the gradient."""
    reference = copy.deepcopy(policy) if row.needs_reference else None
    learner = Learner(policy, row, OptimizerSettings(lr=1.0, eps=1.0), seed=0, reference=reference)
    return dict(learner.update(batch).metrics)


@pytest.mark.parametrize("name", UPDATES)
def test_an_update_on_the_gpu_is_that_on_the_cpu(name: str) -> None:
    make, options, row = UPDATES[name]
    policy, batch = make(**options)
    twin = copy.deepcopy(policy)
    twin.module().cuda()
    here, there = updated(policy, batch, row), updated(twin, batch, row)
    assert here.keys() == there.keys()
    if row.weighting.entropy_share < 1:  # nearly equal entropies of a fresh model: rounding decides which are chosen
        assert here["policy/entropy"] == pytest.approx(there["policy/entropy"], abs=1e-4)
        return
    for value, other in zip(policy.module().state_dict().values(), twin.module().state_dict().values(), strict=True):
        assert other.device.type == "cuda"
        torch.testing.assert_close(value, other.cpu(), atol=1e-4, rtol=1e-3)


def qwen(precision: Precision) -> LanguagePolicy:
    """Grouped heads and tied embeddings, four layers of 256, random weights."""
    tokenizer = tiny_tokenizer()
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    return LanguagePolicy(Qwen2ForCausalLM(config), tokenizer, precision=precision).cuda()


@pytest.mark.parametrize(("precision", "most"), [("fp32", 1e-4), ("bf16", 1e-2)])
def test_the_trainer_reads_what_the_sampler_said(precision: Precision, most: float) -> None:
    policy = qwen(precision)
    renderer = Renderer(policy.tokenizer)
    engine = TransformersEngine(policy, stop_ids=[renderer.stop_id], precision=precision)
    actor = ConversationActor(Echo, engine, renderer, max_tokens=64, context=512)
    batch = actor.collect(range(16), 4, seed=0, version=0).batch
    actor.close()
    assert batch is not None
    learner = Learner(policy, method("grpo", {}), OptimizerSettings(lr=0.0, micro_batch=4096), seed=0)
    assert learner.update(batch).metrics["kl/sampler_gap"] <= most


@pytest.mark.filterwarnings("error:.*is not compiled")
def test_what_is_compiled_means_what_the_sampler_means(monkeypatch: pytest.MonkeyPatch) -> None:
    model = qwen("fp32")
    policy = LanguagePolicy(model.model, model.tokenizer, precision="bf16", path=check_model(model))
    check_precision(policy)
    assert policy.path.trees
    renderer = Renderer(policy.tokenizer)
    engine = TransformersEngine(policy, stop_ids=[renderer.stop_id], precision="bf16")
    actor = ConversationActor(Echo, engine, renderer, max_tokens=64, context=512)
    batch = actor.collect(range(16), 4, seed=0, version=0).batch
    actor.close()
    assert batch is not None
    plain = updated(copy.deepcopy(policy), batch, method("grpo", {}))
    monkeypatch.setattr(compiled, "_LARGE_MODEL", 0)
    monkeypatch.setattr(compiled, "_LARGE_MATRIX", 0)
    assert compiled.compiles(policy.model)
    fast = updated(copy.deepcopy(policy), batch, method("grpo", {}))
    assert fast["kl/sampler_gap"] <= 1e-2
    assert fast["gradient/norm"] == pytest.approx(plain["gradient/norm"], rel=0.02)


def test_a_model_that_is_on_the_gpu_is_checked_there() -> None:
    policy = qwen("fp32")
    path = check_model(policy)
    assert path.slots
    assert path.trees
    assert path == check_model(copy.deepcopy(policy).cpu())


@pytest.mark.parametrize(
    ("scenario", "sets"),
    [
        ("cartpole-ppo", {"stages.balance.budget.env_steps": 4096, "evaluation.episodes": 10}),
        (
            "quickstart",
            {
                "stages.imitate.budget.updates": 3,
                "stages.reinforce.budget.updates": 3,
                "evaluation": {"every": 3, "episodes": 8},
            },
        ),
    ],
)
def test_a_run_on_the_gpu_ends_and_can_be_gone_on_with(scenario: str, sets: dict[str, object], tmp_path: Path) -> None:
    run = peripatos.run(scenario, {**sets, "checkpoint.every": 2}, out=tmp_path / "run", device="cuda")
    assert run.summary["status"] == "done"
    last = run.metrics[-1]["update"]
    stage = "balance" if scenario == "cartpole-ppo" else "reinforce"
    unit, more = ("env_steps", 8192) if scenario == "cartpole-ppo" else ("updates", 5)
    command = [
        sys.executable,
        "-m",
        "peripatos",
        "resume",
        str(run.path),
        "--set",
        f"stages.{stage}.budget.{unit}={more}",
    ]
    subprocess.run(command, check=True, cwd=tmp_path)
    assert peripatos.load_run(run.path).metrics[-1]["update"] > last


def test_auto_leaves_small_control_policies_on_the_cpu(tmp_path: Path) -> None:
    from peripatos.scenarios.assembly.settings import choose_device
    from peripatos.scenarios.config.agents import MlpAgentSpec, TinyLlamaAgentSpec

    assert choose_device("auto", MlpAgentSpec(kind="mlp", hidden=[64, 64])) == "cpu"
    assert choose_device("auto", TinyLlamaAgentSpec(kind="tiny_llama")) == "cuda"


def test_a_picture_is_drawn_by_egl() -> None:
    draw = (
        "import gymnasium, peripatos.envs; env = gymnasium.make('peripatos/Walker-v0', render_mode='rgb_array');"
        "env.reset(seed=0); image = env.render(); print(image.shape, image.std() > 10); env.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", draw], env={**os.environ, "MUJOCO_GL": "egl"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "True"
