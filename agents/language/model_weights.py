"""Whether a model that was loaded is what its files say: no tensor missing or left over, and every number finite."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ...envs.errors import UserError


def check_loaded(name: str, model: PreTrainedModel, report: Mapping[str, Any]) -> None:
    """`UserError` where the files lack tensors of the model, have them in another shape, or have more layers than it;
    `report` is what `from_pretrained` gives with `output_loading_info`."""
    mismatched: list[Any] = sorted(report.get("mismatched_keys") or [])
    if mismatched:
        tensor, theirs, ours = mismatched[0]
        raise UserError(
            f"the model {name!r}: its config.json does not fit its weights: {tensor} has the shape "
            f"{tuple(theirs)} in the file, and {tuple(ours)} by config.json{_more(mismatched)}"
        )
    if missing := sorted(report.get("missing_keys") or ()):
        raise UserError(
            f"the model {name!r} lacks weights that a {type(model).__name__} has: {missing[0]}{_more(missing)}; "
            "random numbers would stand in. Is it another kind of model, or is config.json of another?"
        )
    known = {re.sub(r"\d+", "0", key) for key in model.state_dict()}
    beyond = [key for key in sorted(report.get("unexpected_keys") or ()) if re.sub(r"\d+", "0", key) in known]
    if beyond:
        raise UserError(
            f"the model {name!r} has weights of more layers than its config.json says: {beyond[0]}{_more(beyond)}"
        )


@torch.no_grad()
def check_finite(name: str, model: PreTrainedModel) -> None:
    """`UserError` if a weight is NaN or infinite, with the tensor that has it. Reads each weight once, and copies
    none."""
    bad = []
    for key, tensor in model.named_parameters():
        if tensor.numel() and tensor.is_floating_point() and not all(map(torch.isfinite, tensor.aminmax())):
            bad.append(key)
    if bad:
        raise UserError(
            f"the weights of the model {name!r} are not finite (NaN or infinite): {bad[0]}{_more(bad)}; get its files "
            "anew, or go back to an earlier checkpoint"
        )


def check_tokens(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """`UserError` if the tokenizer has tokens that the model does not know."""
    rows = int(cast("torch.nn.Embedding", model.get_input_embeddings()).weight.shape[0])
    beyond = sorted((number, token) for token, number in tokenizer.get_vocab().items() if number >= rows)
    if beyond:
        raise UserError(
            f"the tokenizer of the model {name!r} has more tokens than the model, {len(beyond)} beyond its {rows}: "
            f"{beyond[0][1]!r} is number {beyond[0][0]}. Take the tokenizer that belongs to the model, or give the "
            "model more rows (resize_token_embeddings) and save it"
        )


def _more(found: Collection[object]) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""
