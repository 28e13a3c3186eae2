"""What this house asks of a language model before anything runs, each question answered by trying.

A check says `UserError` where the answer is no, and names the model's kind and what is missing. An architecture may
raise whatever it likes while it is tried: that is a no as well, never a traceback.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import torch
from transformers.cache_utils import DynamicLayer

from ...envs.errors import UserError
from .language_policy import LanguagePolicy

Check = Callable[[LanguagePolicy], None]


def _refusing(check: Check) -> Check:
    """`check`, without gradients, with everything that the architecture raises turned into a refusal."""

    @wraps(check)
    @torch.no_grad()
    def refuse(policy: LanguagePolicy) -> None:
        try:
            check(policy)
        except UserError:
            raise
        except Exception as error:
            words = " ".join(str(error).split())
            raise UserError(
                f"{_kind(policy)} fails when it is tried ({type(error).__name__}: {words}); not supported yet"
            ) from error

    return refuse


def _kind(policy: LanguagePolicy) -> str:
    return type(policy.model).__name__


def check_model(policy: LanguagePolicy) -> None:
    """All that a run needs. Left to the doctor: whether a checkpoint can be read back, which writes to the disk."""
    check_context(policy)
    check_head(policy)
    check_cache(policy)
    check_padding(policy)


@_refusing
def check_context(policy: LanguagePolicy) -> None:
    """`UserError` if the configuration does not say how many tokens a sequence can have."""
    if policy.context < 2:
        raise UserError(f"{_kind(policy)} has a context of {policy.context} tokens, which holds no reply")


@_refusing
def check_head(policy: LanguagePolicy) -> None:
    """`UserError` if the model does more between its last hidden state and its logits than one matrix product
    (soft caps, scales), because this policy computes logits from chosen hidden states only."""
    if policy.model.get_output_embeddings() is None or policy.backbone is policy.model:
        raise UserError(f"{_kind(policy)} has no backbone apart from an output layer; not supported yet")
    tokens = torch.arange(1, 9, device=policy.device)[None]
    hidden = policy.backbone(input_ids=tokens, use_cache=False).last_hidden_state
    ours, theirs = policy.logits(hidden[0]), policy.model(input_ids=tokens, use_cache=False).logits[0].float()
    if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3):
        raise UserError(f"{_kind(policy)} changes its logits after the output layer; such models are not supported yet")


@_refusing
def check_cache(policy: LanguagePolicy) -> None:
    """`UserError` if a layer keeps anything but one key and one value for each token (sliding windows, recurrent
    states), because shared prompts and remembered turns are put together from those."""
    prompt = (1, 2, 3, 4, 5)
    layers = policy.read_prompts([prompt])[1].layers
    plain = [layer for layer in layers if type(layer) is DynamicLayer]  # a sliding window is a subclass
    kind = _kind(policy)
    if len(plain) < len(layers):
        strange = next(type(layer).__name__ for layer in layers if type(layer) is not DynamicLayer)
        count = len(layers) - len(plain)
        raise UserError(f"{kind}: {count} of {len(layers)} layers keep a {strange}; not supported yet")
    lengths = {layer.keys.shape[-2] for layer in plain if layer.keys is not None}
    if lengths != {len(prompt)}:
        raise UserError(f"{kind}: {len(prompt)} tokens left {sorted(lengths)} keys; not supported yet")


@_refusing
def check_padding(policy: LanguagePolicy) -> None:
    """`UserError` if a token means something else where padding lies before it or between it and what was remembered
    (positions that count columns, attention to what comes later)."""
    began, went_on = ((1, 2, 3, 4, 5), (3, 1)), ((6,), (7, 8, 9, 2))
    _, cache, seen = policy.read_prompts(began)
    last_N_H = policy.read_prompts(went_on, cache, seen)[0]
    for row, tokens in enumerate(zip(began, went_on, strict=True)):
        ids = torch.tensor([[*tokens[0], *tokens[1]]], device=policy.device)
        plain = policy.backbone(input_ids=ids, use_cache=False).last_hidden_state[0, -1]
        ours, theirs = (torch.log_softmax(policy.logits(hidden[None]), dim=-1) for hidden in (last_N_H[row], plain))
        if (gap := float((ours - theirs).abs().max())) > 0.01:
            words = f"padding changes its log-probabilities (by {gap:.2g})"
            raise UserError(f"{_kind(policy)}: {words}; such models are not supported yet")


@_refusing
def check_checkpoint(policy: LanguagePolicy) -> None:
    """`UserError` if what `save` writes does not come back through `load` exactly. Takes the disk and the memory of
    the model once more; a policy that fails is left without its weights."""
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        policy.save(Path(folder))
        for parameter in policy.parameters():
            parameter.zero_()
        policy.load(Path(folder))
    for name, tensor in policy.state_dict().items():
        if not torch.equal(tensor, before[name]):
            raise UserError(f"{_kind(policy)}: {name} is not read back as it was written; such a run could not resume")
