"""Runs whose stages read another model, or the agent itself in another context."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from scenarios_runs import assert_same_run, command, finish, rows, start, wait_for_rows

import peripatos
from peripatos.agents.language.demonstrated import Demonstrated
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.lora import Lora, add_adapter
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.scenarios.assembly.policies import make_reference
from peripatos.scenarios.config.loading import find_scenario
from peripatos.scenarios.run.roles import spell_memory

SUMS: dict[str, Any] = {
    "name": "sums",
    "world": {"id": "peripatos/Arithmetic-v0", "options": {"operators": ["+"], "digits": 1, "prompt": "bare"}},
    "agent": {"kind": "tiny_llama", "hidden": 16, "layers": 1, "heads": 2},
    "sampling": {"max_tokens": 4},
    "stages": [{"name": "learn"}],
    "evaluation": {"episodes": 4},
    "checkpoint": {"every": 2},
}
IMITATE = {
    "name": "imitate",
    "method": "sft",
    "demonstrations": {"agent": {"kind": "oracle"}},
    "collect": {"groups": 16},
    "optimizer": {"lr": 1e-2},
    "budget": {"updates": 4},
}


def distil(method: str, updates: int = 3, **more: Any) -> dict[str, Any]:
    collect = {"groups": 8, "group_size": 4}
    stage = {"name": "distil", "method": method, "collect": collect, "optimizer": {"lr": 1e-2}}
    return {**stage, "budget": {"updates": updates}, **more}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "run"
    peripatos.run({**SUMS, "stages": [IMITATE]}, out=folder)
    return folder


@pytest.mark.parametrize("method", ["on_policy_distillation", "gkd"])
def test_a_student_comes_nearer_to_the_agent_of_another_run(method: str, teacher: Path, tmp_path: Path) -> None:
    stage = distil(method, updates=16, models={"teacher": str(teacher)})
    run = peripatos.run({**SUMS, "seed": 1, "stages": [{**stage, "optimizer": {"lr": 5e-3}}]}, out=tmp_path / "run")
    kl = run.column("kl/teacher")
    assert kl[-4:].mean() < 0.75 * kl[:3].mean()
    said = yaml.safe_load((run.path / "scenario.yaml").read_text())["stages"][0]["models"]
    assert said == {"teacher": {"run": str(teacher), "checkpoint": "000004"}}, "the best may be another one tomorrow"


@pytest.mark.slow
def test_a_teacher_may_be_a_model_by_name(teacher: Path, tmp_path: Path) -> None:
    """The same weights, given as a folder of a model and as a run, teach the same, bit for bit."""
    folder = tmp_path / "model"
    shutil.copytree(teacher / "checkpoints" / "000004" / "policy", folder)
    runs = [
        peripatos.run({**SUMS, "stages": [distil("on_policy_distillation", models={"teacher": str(one)})]}, out=out)
        for one, out in ((teacher, tmp_path / "a"), (folder, tmp_path / "b"))
    ]
    assert rows(runs[0].path / "metrics.jsonl") == rows(runs[1].path / "metrics.jsonl")


def test_a_reference_may_be_another_run_s_agent(teacher: Path, tmp_path: Path) -> None:
    stage = distil("grpo", models={"reference": str(teacher)}, overrides={"weighting": {"kl": "k3", "beta": 0.1}})
    run = peripatos.run({**SUMS, "seed": 1, "stages": [stage]}, out=tmp_path / "run")
    assert run.column("kl/reference")[0] > 0.01, "it is not the policy as the stage began"
    assert not (run.path / "checkpoints" / "reference-0").exists(), "nothing is kept of what another run has"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["on_policy_distillation", "gkd"])
def test_a_walker_may_be_taught_by_another(method: str, tmp_path: Path) -> None:
    base = {"name": "poles", "world": {"id": "CartPole-v1"}, "agent": {"kind": "mlp", "hidden": [16]}}
    base["evaluation"] = {"episodes": 2}
    learn = {"name": "learn", "method": "ppo", "collect": {"groups": 4, "horizon": 64}, "budget": {"updates": 6}}
    first = peripatos.run({**base, "stages": [{**learn, "optimizer": {"lr": 1e-2}}]}, out=tmp_path / "first")
    stage = distil(method, updates=15, models={"teacher": str(first.path)})
    run = peripatos.run({**base, "seed": 1, "stages": [stage]}, out=tmp_path / "run")
    kl = run.column("kl/teacher")
    assert kl[-3:].mean() < 0.5 * kl[:2].mean()


def test_a_run_that_teaches_itself_goes_on_bit_for_bit(tmp_path: Path) -> None:
    text = yaml.safe_dump({**SUMS, "stages": [IMITATE, distil("self_distillation", updates=5)]})
    (tmp_path / "s.yaml").write_text(text)
    torch.set_num_threads(1)  # as in the other process: sums in another order are other sums
    assert command("run", tmp_path / "s.yaml", "--out", tmp_path / "whole", "-q") == 0
    process = start("run", tmp_path / "s.yaml", "--out", tmp_path / "run", "-q")
    wait_for_rows(tmp_path / "run" / "metrics.jsonl", 7)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert command("resume", tmp_path / "run", "-q") == 0
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert all("kl/teacher" in row for row in rows(tmp_path / "run" / "metrics.jsonl")[4:])
    assert (tmp_path / "run" / "checkpoints" / "reference-1" / "manifest.json").is_file(), "it teaches as it began"


def test_a_run_that_is_taught_goes_on_bit_for_bit(teacher: Path, tmp_path: Path) -> None:
    """Although the other run has learned more meanwhile: a checkpoint is named by its number."""
    other = tmp_path / "teacher"
    shutil.copytree(teacher, other)
    stage = distil("on_policy_distillation", updates=2, models={"teacher": str(other)})
    run = peripatos.run({**SUMS, "stages": [stage]}, out=tmp_path / "run")
    whole = peripatos.run({**SUMS, "stages": [{**stage, "budget": {"updates": 4}}]}, out=tmp_path / "whole")
    peripatos.load_run(other).resume({"stages.imitate.budget.updates": 6})
    run.resume({"stages.distil.budget.updates": 4})
    assert rows(run.path / "metrics.jsonl") == rows(whole.path / "metrics.jsonl")


def test_a_world_that_shows_what_to_do_shows_it_to_learners_alone() -> None:
    from peripatos.scenarios.assembly.worlds import WorldSources
    from peripatos.scenarios.config.loading import check_scenario
    from peripatos.scenarios.config.yaml_text import Source

    data: dict[str, Any] = yaml.safe_load(find_scenario("quickstart").read_text())
    data["world"]["wrappers"] = [{"id": "peripatos.envs.conversation.shown:Shown", "options": {"share": 0.5}}]
    with WorldSources.of(check_scenario(data, Source("x.yaml"))) as sources:
        world = sources.first.make()
        opened = {}
        for split in ("train", "test"):
            infos = [world.reset(seed=seed, options={"split": split})[1] for seed in range(100)]
            opened[split] = [[message["role"] for message in info["messages"]] for info in infos]
        world.close()
    assert all(roles == ["user"] for roles in opened["test"])
    several = [roles for roles in opened["train"] if len(roles) > 1]
    assert 30 < len(several) < 70
    assert all(roles == ["user", "assistant", "user"] for roles in several)


def test_who_teaches_itself_holds_a_copy_of_its_weights_and_with_lora_of_its_small_matrices_alone() -> None:
    def held(lora: Lora | None) -> str | None:
        model, tokenizer = tiny_llama(seed=0, hidden=64, layers=2)
        if lora is not None:
            add_adapter(model, lora, seed=0)
        policy = LanguagePolicy(model, tokenizer, lora=lora)
        own = make_reference(policy)
        return spell_memory(policy, {"teacher": Demonstrated(own), "reference": own})  # one, in two roles

    assert held(None) == "teacher 0.5 MB"  # 120,640 numbers of four bytes
    assert held(Lora(16, 32)) == "teacher 0.2 MB"  # 40,960
