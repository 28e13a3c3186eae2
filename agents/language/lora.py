"""LoRA: a model whose weights stand still, and small matrices beside its linear layers that learn (Hu et al. 2021,
arXiv:2106.09685).

    W x  becomes  W x + (alpha / rank) · B A x,    A [rank, in] drawn, B [out, rank] zero

so the model begins as its base. `peft` puts the matrices in; checkpoints hold them alone, in peft's own form.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ...envs.errors import UserError, nearest

_PREFIX = "base_model.model."  # before each name, in peft's files
_FILE, _BASE = "adapter_model.safetensors", "base.json"
_LOOKED_AT = 1024  # numbers of each tensor


@dataclass(frozen=True)
class Lora:
    """What is beside which layers: `targets` are the last parts of names of linear layers; none means all of them but
    the output layer."""

    rank: int
    alpha: int
    targets: tuple[str, ...] = ()


def add_adapter(model: PreTrainedModel, lora: Lora, *, seed: int) -> None:
    """Put the matrices in and let nothing else learn; `seed` draws A. UserError without peft, where a target is no
    linear layer, or where the rank is above the width of all of them."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise UserError(f"agent.lora needs the extra: pip install 'peripatos[lora]' ({error})") from None
    linear, called, kind = _linear_layers(model), _called(model), type(model).__name__
    usable = [name for name in linear if name in called and _takes_adapter(model, name, len(linear[name]))]
    allowed = ", ".join(sorted(usable))
    for target in lora.targets:
        if target not in usable:
            what = "beside which no adapter would act" if target in linear else "which is no linear layer"
            hint = nearest(target, usable)
            raise UserError(f"agent.lora.targets names {target!r}, {what} in {kind}; allowed: {allowed}.{hint}")
    if not usable:
        raise UserError(
            f"agent.lora puts matrices beside linear layers, and {kind} has none beside which they would act"
        )
    targets = list(lora.targets or usable)
    width = max(max(linear[target]) for target in targets)  # a router of experts may be narrower than the rank
    if lora.rank > width:
        raise UserError(f"agent.lora.rank is {lora.rank}; allowed is at most {width}, the width of the widest target")
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=targets,
        lora_dropout=0.0,
        fan_in_fan_out=_is_transposed(model),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)


def _linear_layers(model: PreTrainedModel) -> dict[str, list[int]]:
    """The last parts of the names of linear layers, without the output layer; of each of them the inputs or the
    outputs, whichever are fewer."""
    head, found = model.get_output_embeddings(), dict[str, list[int]]()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head:
            found.setdefault(name.rpartition(".")[2], []).append(min(module.weight.shape))
    return found


def _is_transposed(model: PreTrainedModel) -> bool:
    """Whether weights are [in, out], as GPT-2 has them."""
    return any(isinstance(module, Conv1D) for module in model.modules())


@torch.no_grad()
def _called(model: PreTrainedModel) -> set[str]:
    """The last parts of the names of the layers that the model calls. Of others it reads the weights itself, past any
    adapter: Mamba its `dt_proj`."""
    found: set[str] = set()

    def noting(last: str) -> Callable[[object, object], None]:
        return lambda module, given: found.add(last)

    hooks = [
        module.register_forward_pre_hook(noting(name.rpartition(".")[2]))
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
    ]
    try:
        model(input_ids=torch.arange(4, device=model.device)[None])
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _takes_adapter(model: PreTrainedModel, name: str, count: int) -> bool:
    """Whether peft puts matrices beside all `count` layers of that name and beside nothing else, tried on a twin
    without weights. In some mixtures it takes `gate_proj` and its like for parts of fused experts; in a Mamba it
    refuses layers whose weights are read past the layer."""
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    with torch.device("meta"):
        twin = type(model)(model.config)
    try:
        inject_adapter_in_model(
            LoraConfig(r=1, target_modules=[name], fan_in_fan_out=_is_transposed(model)), twin, low_cpu_mem_usage=True
        )
    except ValueError:
        return False
    beside = [module.get_base_layer() for module in twin.modules() if isinstance(module, LoraLayer)]
    return len(beside) == count and all(isinstance(layer, torch.nn.Linear | Conv1D) for layer in beside)


def save_adapter(model: PreTrainedModel, folder: Path, lora: Lora) -> None:
    """`adapter_config.json` and `adapter_model.safetensors`, as peft writes them."""
    from peft import LoraConfig

    base = model.config.name_or_path or None
    targets: Sequence[str] = sorted(lora.targets or _adapted(model))
    LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=list(targets),
        lora_dropout=0.0,
        base_model_name_or_path=base,
        fan_in_fan_out=_is_transposed(model),
        task_type="CAUSAL_LM",
        inference_mode=True,
    ).save_pretrained(str(folder))
    path = folder / "adapter_config.json"  # peft writes a set, in another order in each process
    written = json.loads(path.read_text(encoding="utf-8")) | {"target_modules": list(targets)}
    path.write_text(json.dumps(written, indent=2, sort_keys=True), encoding="utf-8")
    save_file(_tensors(model), folder / _FILE, metadata={"format": "pt"})
    (folder / _BASE).write_text(json.dumps({"sha256": _digest_of_base(model)}), encoding="utf-8")


def load_adapter(model: PreTrainedModel, folder: Path) -> None:
    """Read what `save_adapter` wrote. ValueError where it does not fit, with the base that it wants."""
    if not (folder / _FILE).is_file():
        raise ValueError(f"there is no {_FILE}: they are no adapter, and this agent has agent.lora")
    mine, given = _tensors(model), load_file(folder / _FILE)
    wanted = f"; the adapter is of {_base_of(folder)}, and this model is {model.config.name_or_path!r}"
    for name in sorted(mine.keys() ^ given.keys()):
        raise ValueError(f"{name!r} does not fit: it is {'missing' if name in mine else 'unknown here'}{wanted}")
    for name, tensor in mine.items():
        if given[name].shape != tensor.shape:
            raise ValueError(f"{name!r} has the shape {tuple(given[name].shape)}, not {tuple(tensor.shape)}{wanted}")
    _check_base(model, folder)
    for name, tensor in mine.items():
        tensor.copy_(given[name])


def _digest_of_base(model: PreTrainedModel) -> str:
    """SHA-256 of some numbers of every tensor that does not learn, rounded to bf16: of another model it is another, and
    the same in both precisions."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        if "lora_" not in name:
            flat = parameter.detach().flatten()
            some = flat[:: max(1, len(flat) // _LOOKED_AT)].to(torch.bfloat16).view(torch.int16)
            digest.update(name.encode() + some.cpu().numpy().tobytes())
    return digest.hexdigest()


def _check_base(model: PreTrainedModel, folder: Path) -> None:
    """ValueError where the adapter has learned beside other weights."""
    try:
        known = json.loads((folder / _BASE).read_text(encoding="utf-8"))["sha256"]
    except FileNotFoundError:  # peft writes none
        return
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
        raise ValueError(f"{_BASE} does not say beside which weights they learned ({problem!r})") from problem
    if known != _digest_of_base(model):
        raise ValueError(
            f"the adapter is of {_base_of(folder)} as it was then, and the weights of {model.config.name_or_path!r} "
            "are others now"
        )


def _base_of(folder: Path) -> str:
    """The name of the model beside which an adapter learned."""
    try:
        return repr(json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "a base that its adapter_config.json does not name"


def _tensors(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The matrices themselves, by peft's names."""
    return {
        _PREFIX + name.replace(".default.", "."): parameter.data
        for name, parameter in model.named_parameters()
        if "lora_" in name
    }


def _adapted(model: PreTrainedModel) -> set[str]:
    """The last parts of the names of the layers that have matrices beside them."""
    return {name.partition(".lora_")[0].rpartition(".")[2] for name, _ in model.named_parameters() if ".lora_" in name}


def merge_adapter(model: PreTrainedModel) -> None:
    """Add the matrices to the weights beside which they stand, and take them out: W + (alpha / rank) · B A."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, module.get_base_layer())
