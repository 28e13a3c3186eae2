"""The model of a run, for `transformers`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

import peripatos
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.envs.errors import UserError
from peripatos.scenarios.export_model import export_model
from peripatos.scenarios.run.disk import RunFailed
from peripatos.scenarios.run.saved_agent import open_agent


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    for part in tiny_llama(seed=0, hidden=16, layers=1, heads=2):
        part.save_pretrained(folder)
    return folder


def trained(base: Path, out: Path, precision: str = "fp32", lora: dict[str, Any] | None = None) -> Path:
    scenario = {
        "name": "sums",
        "precision": precision,
        "world": {"id": "peripatos/Arithmetic-v0", "options": {"digits": 1}},
        "agent": {"kind": "causal_lm", "model": str(base)} | ({"lora": lora} if lora else {}),
        "sampling": {"max_tokens": 4},
        "stages": [{
            "name": "learn", "method": "sft", "collect": {"groups": 2, "group_size": 2},
            "demonstrations": {"agent": {"kind": "oracle"}}, "budget": {"updates": 2}, "optimizer": {"lr": 0.05},
        }],
        "evaluation": {"every": 2, "episodes": 2},
    }  # fmt: skip
    return peripatos.run(scenario, out=out).path


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_adapter_is_merged_into_a_folder_that_transformers_reads(base: Path, precision: str, tmp_path: Path) -> None:
    run = trained(base, tmp_path / "run", precision, {"rank": 2, "alpha": 4})
    said = export_model(run, None, checkpoint="last", merged=True)
    assert "whose logits in fp32 are the agent's" in said
    read = AutoModelForCausalLM.from_pretrained(run / "model", dtype=torch.float32)
    assert not any("lora" in name for name in read.state_dict())
    policy: Any = open_agent(run, "last", "cpu").policy
    ids = torch.arange(3, 23)[None]
    with torch.no_grad():
        agent, merged = policy.model(input_ids=ids).logits, read(input_ids=ids).logits
        plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)(input_ids=ids).logits
    close = 1e-5 if precision == "fp32" else 0.1  # of logits up to 2, rounded layer by layer
    assert float((agent - merged).abs().max()) <= close < float((plain - merged).abs().max())
    with pytest.raises(UserError, match="is there already and is not overwritten; use another --to"):
        export_model(run, None, merged=True)
    with pytest.raises(
        UserError, match=r"m.gguf ends in .gguf, and what is written is a folder, .*write --to \S*/m; ll"
    ):
        export_model(run, tmp_path / "m.gguf", merged=True)
    assert not (tmp_path / "m.gguf").exists()
    export_model(run, tmp_path / "adapter", checkpoint="last")
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()


def test_a_model_without_an_adapter_is_copied(base: Path, tmp_path: Path) -> None:
    run = trained(base, tmp_path / "run")
    export_model(run, tmp_path / "deep" / "model", checkpoint="last", merged=True)
    read = AutoModelForCausalLM.from_pretrained(tmp_path / "deep" / "model", dtype=torch.float32).state_dict()
    policy: Any = open_agent(run, "last", "cpu").policy
    assert all(torch.equal(read[name], x) for name, x in policy.model.state_dict().items())


def test_what_does_not_say_what_the_agent_says_is_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(base, tmp_path / "run", lora={"rank": 2, "alpha": 4})
    monkeypatch.setattr("peripatos.scenarios.export_model.PARITY", -1.0)
    with pytest.raises(RunFailed, match="the merged model is not the agent: its logits are off by"):
        export_model(run, tmp_path / "model", checkpoint="last", merged=True)
    assert not (tmp_path / "model").exists()
