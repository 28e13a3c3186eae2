"""Keys and values in slots: a row keeps its place in preallocated memory from its first token to its last.

    keys_S_K_L_D, values_S_K_L_D     S slots, K heads of keys, L places, D numbers; one pair for each layer

A pass of the model is either a `Reading` (texts are read into their slots) or a `Step` (each row feeds one token). It
reaches the layers by transformers' own two seams: a cache whose `update` writes into the slots and gives back what is
to be attended to, and an attention function with a name, which only the engine's own copy of the model's configuration
speaks of. Heads that share keys (Ainslie et al. 2023, arXiv:2305.13245) are computed as several queries of one head, so
keys are read once and never repeated.

What a row may look at follows from its position alone: a place at or before it, within the layer's window. So nothing
has to be cleared when a slot changes hands.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, Cache, DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from ..language_policy import LanguagePolicy
from .alike import Alike, Part, fits_part, merged, weigh_part

ATTENTION = "peripatos_slots"  # the attention function's name in transformers' table
_here = threading.local()  # `.current`: the pass that this thread is in


def bucket(n: int, least: int) -> int:
    """The smallest of least · {1, 1½, 2, 3, 4, 6, 8, …} that is at least n: sizes for which memory is taken, and
    kernels recorded, once and not for every length."""
    size = least
    while size < n:
        size = size * 3 // 2 if size * 3 // 2 >= n else size * 2
    return size


def with_slots(policy: LanguagePolicy) -> LanguagePolicy:
    """A copy of `policy` that attends in slots: modules and configuration of its own, so that whoever trains the policy
    meanwhile sees no change, with the same tensors in them, so that it always speaks with the weights of now."""
    shared = [policy.tokenizer, *policy.parameters(), *policy.buffers()]
    voice = copy.deepcopy(policy, {id(one): one for one in shared})
    for module in voice.model.modules():
        if isinstance(config := getattr(module, "config", None), PreTrainedConfig):
            config._attn_implementation = ATTENTION
    return voice


class SlotLayer(DynamicLayer):
    """One layer's keys and values."""

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self._slots = slots

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Zeros: what was never written is weighed with 0, and 0 · NaN would be NaN."""
        S, L = self._slots.rows, self._slots.length
        self.keys = key_states.new_zeros(S, key_states.shape[1], L, key_states.shape[3])
        self.values = value_states.new_zeros(S, value_states.shape[1], L, value_states.shape[3])
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write what the pass computed, [N, K, P, D], and say what it attends to."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        _here.current.written += 1
        return _here.current.take(self, key_states, value_states)

    def get_seq_length(self, *_: Any) -> int:
        """Rows have places of their own, which the positions say."""
        return 0


class Slots:
    """All layers of one model. `rows` slots of `length` places each are there; `reserve` makes more of them."""

    def __init__(self, policy: LanguagePolicy) -> None:
        config = policy.model.config.get_text_config()
        layers = DynamicCache(config=config).layers
        windows = [layer.sliding_window if isinstance(layer, DynamicSlidingWindowLayer) else None for layer in layers]
        self._context = policy.context
        self._windows = [None if window is None or window >= self._context else window for window in windows]
        self.rows = self.length = 0
        self.layers = [SlotLayer(self) for _ in layers]
        self.cache = Cache(layers=list(self.layers))

    @property
    def bytes_of_a_place(self) -> int:
        """What one token takes in all layers; 0 before the first was read."""
        used = [part for layer in self.layers if layer.is_initialized for part in (layer.keys, layer.values)]
        return sum(part.shape[1] * part.shape[3] * part.element_size() for part in used if part is not None)

    def reserve(self, rows: int, length: int) -> bool:
        """Have at least so many slots and places; whether anything moved in memory. One layer after another is copied,
        so that no more than one is there twice."""
        if rows <= self.rows and length <= self.length:
            return False
        self.rows, self.length = max(rows, self.rows), max(length, self.length)
        for layer in self.layers:
            if layer.is_initialized:
                layer.keys, layer.values = self._grown(layer.keys), self._grown(layer.values)
        return True

    def _grown(self, old_S_K_L_D: Tensor | None) -> Tensor:
        assert old_S_K_L_D is not None
        S, K, L, D = old_S_K_L_D.shape
        new = old_S_K_L_D.new_zeros(self.rows, K, self.length, D)
        new[:S, :, :L] = old_S_K_L_D
        return new

    def free(self) -> None:
        """Give all memory back."""
        self.rows = self.length = 0
        for layer in self.layers:
            layer.keys = layer.values = None
            layer.is_initialized = False

    def run(self, voice: LanguagePolicy, work: Pass, tokens_N_P: Tensor) -> Tensor:
        """One pass of the model: its last hidden states, [N, P, H]. ValueError if it attends by other ways than this,
        or looks back through a window of which its attention is not told."""
        work.windows, work.context = self._windows, self._context
        _here.current = work
        try:
            with voice.autocast():
                hidden = voice.backbone(
                    input_ids=tokens_N_P, position_ids=work.position_N_P, past_key_values=self.cache, use_cache=True
                ).last_hidden_state
        finally:
            _here.current = None
        if not 0 < work.written <= work.attended:
            raise ValueError(
                f"{type(voice.backbone).__name__} does not attend through transformers' attention functions"
            )
        return hidden


@dataclass(kw_only=True)
class Pass:
    """One pass through all layers."""

    position_N_P: Tensor  # of each token in its own row
    written: int = 0  # layers that wrote
    attended: int = 0
    windows: Sequence[int | None] = ()  # of each layer: how far its tokens look back, where that is not everything
    context: int = 0
    _bias: dict[int | None, Tensor] = field(default_factory=dict)

    def take(self, layer: SlotLayer, key_N_K_P_D: Tensor, value_N_K_P_D: Tensor) -> tuple[Tensor, Tensor]:
        """Write keys and values of one layer into the slots; those that are attended to."""
        raise NotImplementedError

    def attend(self, query_N_H_P_D: Tensor, keys: Tensor, values: Tensor, manner: Manner) -> Tensor:
        """[N, P, H, D]."""
        raise NotImplementedError

    def seen(self, window: int | None) -> Tensor:
        """bool [N, P, L]: which places each token looks at."""
        raise NotImplementedError

    def bias(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """[N, 1, P, L]: 0 where a token looks, else −inf; made once for all layers that look alike."""
        if window not in self._bias:
            seen = self.seen(window)
            self._bias[window] = torch.zeros_like(seen, dtype=dtype).masked_fill_(~seen, -torch.inf)
        return self._bias[window][:, None]


@dataclass(frozen=True)
class Manner:
    """How one layer attends."""

    scale: float
    window: int | None = None
    cap: float | None = None  # cap · tanh(score / cap)
    sink_H: Tensor | None = None  # the score of looking at nothing

    @property
    def plain(self) -> bool:
        """Whether it is softmax(scale · q·k) v over all that went before."""
        return self.window is None and self.cap is None and self.sink_H is None


@dataclass(kw_only=True)
class Step(Pass):
    """One token for each of N rows, which looks at the first `length` places of its slot.

    Where most of the first `region` slots are asked, keys are looked at where they lie, and the queries take their
    slots' places. Where few are (the others wait for their worlds), `region` is None, and their keys are gathered.
    Places that rows have `alike` are looked at once for all of them, and only the rest in each row's own slot.
    """

    slot_N: Tensor
    position_S: Tensor  # of every slot
    region: int | None
    length: int
    alike: Alike | None = None

    def take(self, layer: SlotLayer, key_N_K_P_D: Tensor, value_N_K_P_D: Tensor) -> tuple[Tensor, Tensor]:
        """Each row's token goes to its place. All keys and values there are: `attend` knows which of them."""
        at = (self.slot_N, slice(None), self.position_N_P[:, 0])
        layer.keys[at], layer.values[at] = key_N_K_P_D[:, :, 0], value_N_K_P_D[:, :, 0]  # type: ignore[index]
        return layer.keys, layer.values  # type: ignore[return-value]

    def seen(self, window: int | None) -> Tensor:
        """bool [R, 1, L], of the slots that are looked at."""
        position_R = self.position_N_P if self.region is None else self.position_S[: self.region, None]
        place_L = torch.arange(self.length, device=self.slot_N.device)
        seen_R_L = place_L <= position_R
        return (seen_R_L if window is None else seen_R_L & (place_L > position_R - window))[:, None]

    def attend(self, query_N_H_P_D: Tensor, keys: Tensor, values: Tensor, manner: Manner) -> Tensor:
        """Heads that share keys are queries of one head."""
        N, H, _, D = query_N_H_P_D.shape
        K = keys.shape[1]
        query = query_N_K_G_D = query_N_H_P_D.reshape(N, K, H // K, D)
        alike = self.alike if manner.plain and fits_part(query, keys, values) else None
        which = self.slot_N if self.region is None else slice(self.region)
        part = (which, slice(None), slice(alike.length if alike else 0, self.length))
        own_keys, own_values = keys[part], values[part]
        R = len(own_keys)
        if N < R:
            query = query.new_zeros(R, K, H // K, D).index_copy_(0, self.slot_N, query)
        bias = self.bias(manner.window, torch.float32 if query.is_cuda else query.dtype)[..., part[2]]
        if alike is None:
            said_R = weigh(query, own_keys, own_values, bias, manner, few=True)
            return self._asked(said_R).reshape(N, 1, H, -1)
        own = weigh_part(query, own_keys, own_values, bias, manner.scale)
        common = alike.weigh(query_N_K_G_D, keys, values, manner.scale)
        return merged(common, Part(*map(self._asked, own))).to(values.dtype).reshape(N, 1, H, -1)

    def _asked(self, of_R: Tensor) -> Tensor:
        """What belongs to the N rows, in their order, of what belongs to the slots that were looked at."""
        return of_R if len(of_R) == len(self.slot_N) else of_R.index_select(0, self.slot_N)


def weigh(query_N_K_G_D: Tensor, keys: Tensor, values: Tensor, bias: Tensor, manner: Manner, *, few: bool) -> Tensor:
    """softmax(scale · q·k + bias) v, [N, K, G, D]; G queries share their keys [N, K, L, D], bias is [N, 1, 1 or G, L].

    torch's fused kernel is as fast as memory on a CPU, and keeps no scores. For `few` queries it is slow on a GPU, and
    two batched products are not: their sums are kept in fp32 as the kernel's are.
    """
    N, K, G = query_N_K_G_D.shape[:3]
    if manner.cap is None and manner.sink_H is None and not (few and query_N_K_G_D.is_cuda):
        return scaled_dot_product_attention(query_N_K_G_D, keys, values, attn_mask=bias, scale=manner.scale)
    queries, keys, values = query_N_K_G_D.flatten(0, 1), keys.flatten(0, 1), values.flatten(0, 1)
    if queries.is_cuda and queries.dtype == torch.bfloat16:
        scores = torch.bmm(queries, keys.transpose(1, 2), out_dtype=torch.float32)
    else:
        scores = torch.bmm(queries, keys.transpose(1, 2)).float()
    scores = scores.view(N, K, G, -1)
    if manner.cap is not None:
        scores = manner.cap / manner.scale * torch.tanh(scores * (manner.scale / manner.cap))
    scores = torch.add(bias, scores, alpha=manner.scale)
    if manner.sink_H is None:
        weight = scores.softmax(dim=-1)
    else:
        heads = len(manner.sink_H) // K  # the queries of one head stand together: G = heads · P
        sink = manner.sink_H.float().view(K, heads).repeat_interleave(G // heads, dim=1).expand(N, K, G)[..., None]
        weight = torch.cat([scores, sink], dim=-1).softmax(dim=-1)[..., :-1]
    weight = weight.to(values.dtype).flatten(0, 1)
    return torch.bmm(weight, values).view(N, K, G, -1)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """The attention function of `ATTENTION`: queries [N, H, P, D], said [N, P, H, D]. What else a model tells it would
    be left out: whether that matters is found by trying (`model_checks`), windows excepted, which are longer than what
    is tried."""
    work: Pass | None = getattr(_here, "current", None)
    if work is None or attention_mask is not None:
        raise ValueError(f"{type(module).__name__} masks its attention in a way of its own")
    window = sliding_window if sliding_window is not None and sliding_window < work.context else None
    index = getattr(module, "layer_idx", None)
    due = work.windows[index] if isinstance(index, int) and index < len(work.windows) else None
    if due is not None and due != window:
        raise ValueError(f"{type(module).__name__} looks back {due} tokens, and does not tell its attention function")
    work.attended += 1
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return work.attend(query, key, value, Manner(scale, window, softcap, s_aux)).contiguous(), None


AttentionInterface.register(ATTENTION, _attention)
