"""The model of a run as a plain folder, which `transformers` reads without this package and without peft.

    W + (alpha / rank) · B A     in fp32, of weights as they acted: rounded, where the run was in bf16

Of a run with LoRA a checkpoint holds the adapter alone; `merged` adds it to its base. What is written is read back, and
refused where its logits are others than those of the agent.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..envs.errors import UserError
from .assembly.policies import make_policy
from .assembly.worlds import WorldSources
from .run.disk import RunFailed, disk_errors, make_folder
from .run.provenance import where_it_was_begun
from .run.run_directory import RunDirectory
from .run.saved_agent import find_checkpoint
from .run.verified import trusted_scenario

if TYPE_CHECKING:
    from ..agents.language.language_policy import LanguagePolicy

_FILES = (".gguf", ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".zip", ".tar", ".gz")
PARITY = 1e-5  # of the largest logit: what the order of fp32 sums may change


def export_model(path: Path, to: Path | None, *, checkpoint: str = "best", merged: bool = False) -> str:
    """Write the model of the run at `path` to the new folder `to` (default: `RUN/model`); gives what was done, in a
    sentence.

    UserError for a run without a language model, and for a folder that is there already. RunFailed where what was
    written does not say what the agent says.
    """
    run = RunDirectory.open(path)
    scenario = trusted_scenario(run)
    if not scenario.speaks:
        hint = "; its agent in a body is written by --to onnx" if scenario.learns else ""
        raise UserError(f"{path} is a run of kind {scenario.agent.kind!r}, which has no language model to export{hint}")
    folder, to = find_checkpoint(run, checkpoint), to or path / "model"
    if to.exists() or to.is_symlink():
        raise UserError(f"{to} is there already and is not overwritten; use another --to")
    if to.suffix.lower() in _FILES:
        made_of = "; llama.cpp's convert_hf_to_gguf.py makes a GGUF file of it" if to.suffix.lower() == ".gguf" else ""
        raise UserError(
            f"--to: {to} ends in {to.suffix}, and what is written is a folder, with its weights as safetensors; write "
            f"--to {to.with_suffix('')}{made_of}"
        )
    lora = getattr(scenario.agent, "lora", None) is not None
    make_folder(to.parent)
    with (
        disk_errors(to, into_run=False),
        tempfile.TemporaryDirectory(dir=to.parent, prefix=".unfinished-") as unfinished,
    ):
        made = Path(unfinished) / "model"
        if not (lora and merged):
            shutil.copytree(folder / "policy", made)
            made.rename(to)
            what = "an adapter; with --merged, a model" if lora else "a model"
            return f"checkpoint {folder.name} is in {to}: {what} for transformers"
        plain = scenario.model_copy(update={"precision": "fp32"})
        with WorldSources.of(scenario) as sources, where_it_was_begun(run):
            policy = cast("LanguagePolicy", make_policy(plain, "cpu", sources.first))
        policy.load(folder / "policy", critic_too=False)
        off = _merge(policy, made, rounded=scenario.precision == "bf16")
        made.rename(to)
    agrees = f"whose logits in fp32 are the agent's to {off:.1g}"
    return f"checkpoint {folder.name} is in {to}: a model for transformers, {agrees}"


def _merge(policy: LanguagePolicy, folder: Path, *, rounded: bool) -> float:
    """Write the merged model; gives how far its logits are from the agent's, as a share of the largest one."""
    import torch
    from transformers import AutoModelForCausalLM

    from ..agents.language.lora import merge_adapter
    from ..agents.language.low_precision import round_matrices

    if rounded:
        round_matrices(policy.model)
    V = int(policy.model.config.get_text_config().vocab_size)
    ids = torch.arange(min(32, policy.context))[None] * 7 % V
    with torch.no_grad():
        before = policy.model(input_ids=ids, use_cache=False).logits
        merge_adapter(policy.model)
        policy.model.save_pretrained(folder)
        policy.tokenizer.save_pretrained(folder)
        read: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
        after = read.eval()(input_ids=ids, use_cache=False).logits
    off = float((before - after).abs().max() / before.abs().max())
    if not off <= PARITY:
        raise RunFailed(f"the merged model is not the agent: its logits are off by {off:.2g}, allowed is {PARITY:g}")
    return off
