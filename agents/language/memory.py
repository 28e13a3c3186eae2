"""How many tokens fit into memory on their way forward and back: measured on the model, not reckoned from its sizes.

    budget = 2^⌊log₂ (share · free − owed) / b⌋

b, the bytes that a token leaves for the way back: what autograd keeps of a longer row less what it keeps of a shorter
one, for each token of the difference. owed: what is not there yet and will be, a gradient and AdamW's two moments of
each weight that learns, an fp32 master of one in bf16, copies of it that are kept to act, and the pieces of logits. A
power of two, so that a run that goes on beside other work cuts its batches as before.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...envs.memory_limits import left_memory
from .distribution import piece_of
from .language_policy import LanguagePolicy

SHARE = 0.5  # of what is free: the rest is for the sampler's cache, the batch and others
MOST = {"cpu": 5 << 28}  # bytes on the way back: on a CPU more tokens at once are no faster
_SHORT, _LONG = 16, 48  # tokens of the two rows


def token_budget(policy: LanguagePolicy, *, copies: int = 0) -> int:
    """Most tokens in one pass forward and back, where so many copies of what learns are still to be made."""
    free = free_memory(policy.device)
    learning = [p for p in policy.parameters() if p.requires_grad]
    owed = sum(((3 if p.dtype == torch.float32 else 4) * 4 + copies * p.dtype.itemsize) * p.numel() for p in learning)
    owed += 3 * 4 * piece_of(policy.device)
    room = max(1.0, SHARE * free - owed)
    room = min(room, MOST.get(policy.device.type, room))
    return 1 << max(0, math.floor(math.log2(room / bytes_per_token(policy))))


def bytes_per_token(policy: LanguagePolicy) -> float:
    """What autograd keeps of each further token of a row."""
    long = max(4, min(_LONG, policy.context))
    short = min(_SHORT, long // 2)
    return max(1.0, (_kept(policy, long) - _kept(policy, short)) / (long - short))


def _kept(policy: LanguagePolicy, length: int) -> int:
    """Bytes that autograd keeps of one row of so many tokens, weights left out."""
    own = {tensor.untyped_storage().data_ptr() for tensor in [*policy.parameters(), *policy.buffers()]}
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    device = policy.device
    place = torch.arange(length + 1, device=device)[None]
    inputs = {
        "tokens_B_T": place % int(policy.model.config.get_text_config().vocab_size),
        "first_B": torch.tensor([1], device=device),
        "length_B": torch.tensor([length], device=device),
        "chosen_B_T": (place > 0) & (place < length),
    }
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        scores = policy.score(inputs)
    del scores
    return sum(seen.values())


def free_memory(device: torch.device) -> int:
    """Bytes that can still be taken on `device`."""
    if device.type != "cuda":
        return left_memory()
    free, total = torch.cuda.mem_get_info(device)
    mine = torch.cuda.get_per_process_memory_fraction(device) * total - torch.cuda.memory_allocated(device)
    return max(0, int(min(free, mine)))
