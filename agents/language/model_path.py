"""How a language model is read: by the short path where that gives its own numbers, else by the plain one.

    plain   right-padded rows through the model's own forward, and its own `generate` with its own cache: any decoder
    short   a group's prompt is read once: keys and values of each token alone
    trees   and in training whatever rows begin with alike is: every layer looks at what its mask says, and at all of it
    slots   sampled with keys and values in slots: of a conversation only what is new is read

Both mean the same distribution. Which one a model takes is found by trying (`model_checks.find_path`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast


@dataclass(frozen=True)
class ModelPath:
    """Which short cuts are right for a model, and what its plain sampling may do."""

    shared_prompts: bool = True  # a prompt is read once for all rows that begin with it
    slots: bool = True  # sampled in slots, where keys and values stay between the turns of a conversation
    linear_head: bool = True  # logits are one matrix product of the last hidden state
    own_cache: bool = True  # plain sampling keeps the model's own cache; without, it reads every row anew
    ragged: bool = True  # plain sampling takes prompts of different lengths in one batch
    autocast: bool = False  # in bf16 some of its layers meet fp32, and are cast
    masked: bool = True  # rows that are padded on the right need a mask
    trees: bool = False  # a mask of [N, N] and places say what a token sees, and nothing else does

    def __str__(self) -> str:
        """In words."""
        words = ["short: prompts shared within a group" if self.shared_prompts else "plain: right-padded rows"]
        if self.trees:
            words.append("common beginnings trained once")
        if self.slots:
            words.append("sampled in slots, turns remembered")
        else:
            words += [
                "sampled by its own generate",
                "any prompts" if self.ragged else "prompts of one length at a time",
            ]
            words.append("its own cache" if self.own_cache else "without a cache")
        return ", ".join([*words, "logits by one product" if self.linear_head else "logits by its own forward"])


SHORT = ModelPath()
PLAIN = ModelPath(shared_prompts=False, slots=False, linear_head=False)


_NEAR = ("sliding_window", "window_size", "attention_window_size", "attention_chunk_size", "index_topk")


def sees_all(model: PreTrainedModel) -> bool:
    """Whether every layer of this configuration looks at all earlier tokens, through an attention that takes any mask:
    a trial on a few tokens could not tell."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    near = any(isinstance(getattr(config, name, None), int) for name in _NEAR)
    return kinds == {"full_attention"} and not near and config._attn_implementation in ("sdpa", "eager")


def takes_bools(model: PreTrainedModel) -> bool:
    """Whether a mask of its attention may say yes and no, instead of being added."""
    return model.config.get_text_config()._attn_implementation == "sdpa"


def backbone_of(model: PreTrainedModel) -> nn.Module:
    """The transformer without its output layer; the model itself if nothing lies behind it."""
    base = model.base_model
    inner = getattr(model, "model", None)
    return inner if base is model and isinstance(inner, nn.Module) else base


class _States(BaseModelOutputWithPast):
    """A backbone's output that has hidden states and answers None to everything else it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


@contextmanager
def _saying(model: PreTrainedModel, hidden_B_T_H: Tensor) -> Iterator[None]:
    """While this holds, the model's backbone says `hidden_B_T_H` whatever it is given: also the decoder within it,
    which some architectures (OPT) ask directly."""
    asked = {backbone_of(model), model.get_decoder()} - {model}
    before = [(vars(module), vars(module).get("forward")) for module in asked]  # hooks of other libraries stand there
    for own, _ in before:
        own["forward"] = lambda *_, **__: _States(last_hidden_state=hidden_B_T_H)
    try:
        yield
    finally:
        for own, forward in before:
            del own["forward"]
            if forward is not None:
                own["forward"] = forward


def own_logits(model: PreTrainedModel, hidden_N_H: Tensor) -> Tensor:
    """[N, V] float32: what the model itself makes of these last hidden states, with its scales and soft caps.

    Its own forward runs around a backbone that says them, so nothing has to be known of the architecture.
    """
    with _saying(model, hidden_N_H[None]):
        ids = torch.zeros(1, len(hidden_N_H), dtype=torch.long, device=hidden_N_H.device)
        return model(input_ids=ids, use_cache=False).logits[0].float()
