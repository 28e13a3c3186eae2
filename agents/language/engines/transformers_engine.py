"""The engine in this process: samples replies from a language policy, many at once, with continuous batching.

    admit ─▶ read of each prompt what is new ─▶ join the running batch
    step  ─▶ one token for every row; a row that is done leaves at once, and is remembered

Prompts that are equal (a group's) are read once, and of a conversation that goes on only what came after its latest
reply, because the keys and values of the rest are remembered under its number until `release`. Every reply has its own
random stream and spends one uniform number for each token, so in fp32 what is sampled does not depend on who else
is in the batch, but for the rounding of sums; in bf16 the rounding is coarse enough that now and then another batch
gives another token. The thread in which all this happens is `threaded`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from ...protocols import Completion, Weights
from ..distribution import draw, log_probabilities
from ..language_policy import LanguagePolicy, Precision
from .policy_engine import PendingReply, PolicyEngine

MAX_ROWS = 512  # in the running batch; the others queue
MEMORY_BYTES = 4 << 30  # of keys and values between turns; the oldest are dropped and read again


@dataclass
class _Rows:
    """The running batch: N rows, of which the last L positions are in the cache (left-padded)."""

    replies: list[PendingReply]
    hidden_N_H: Tensor  # the state from which the next token is drawn
    cache: DynamicCache
    mask_N_L: Tensor
    position_N: Tensor  # of the next token

    def memory(self, row: int) -> _Memory:
        """What one row has read and said. Its last token was never fed, so it is not among them."""
        reply, column_n = self.replies[row], self.mask_N_L[row].nonzero()[:, 0]
        layers = [(layer.keys[row][:, column_n], layer.values[row][:, column_n]) for layer in _layers(self.cache)]
        return _Memory((*reply.prompt, *reply.tokens[:-1]), layers)

    def keep(self, kept: Tensor) -> None:
        """Drop the other rows, and the columns that are padding in all that remain."""
        self.replies = [self.replies[index] for index in kept.tolist()]
        self.cache.batch_select_indices(kept)
        mask = self.mask_N_L[kept]
        unused = int((mask.cumsum(dim=1).sum(dim=0) == 0).sum())
        for layer in _layers(self.cache):
            layer.keys, layer.values = layer.keys[:, :, unused:], layer.values[:, :, unused:]
        self.mask_N_L, self.position_N = mask[:, unused:], self.position_N[kept]
        self.hidden_N_H = self.hidden_N_H[kept]

    def join(self, other: _Rows) -> None:
        """Add the rows of `other` below these, both left-padded to one length."""
        length = max(self.mask_N_L.shape[1], other.mask_N_L.shape[1])

        def padded(tensor: Tensor, dimension: int) -> Tensor:
            missing = length - tensor.shape[dimension]
            return torch.nn.functional.pad(tensor, (0, 0) * (tensor.ndim - 1 - dimension) + (missing, 0))

        for mine, theirs in zip(_layers(self.cache), _layers(other.cache), strict=True):
            mine.keys = torch.cat([padded(mine.keys, 2), padded(theirs.keys, 2)])
            mine.values = torch.cat([padded(mine.values, 2), padded(theirs.values, 2)])
        self.mask_N_L = torch.cat([padded(self.mask_N_L, 1), padded(other.mask_N_L, 1)])
        self.hidden_N_H = torch.cat([self.hidden_N_H, other.hidden_N_H])
        self.position_N = torch.cat([self.position_N, other.position_N])
        self.replies += other.replies


@dataclass(frozen=True)
class _Memory:
    """What one conversation has read and said: n tokens, and for each layer their keys and values, [heads, n, size]."""

    tokens: tuple[int, ...]
    layers: list[tuple[Tensor, Tensor]]

    def begins(self, prompt: tuple[int, ...]) -> bool:
        """Whether `prompt` goes on where this ends."""
        n = len(self.tokens)
        return len(prompt) > n and prompt[:n] == self.tokens

    @property
    def bytes(self) -> int:
        """What it takes: all layers of a supported model are of one size."""
        keys, values = self.layers[0]
        return len(self.layers) * (keys.nbytes + values.nbytes)


def _remembered(memories: Sequence[_Memory]) -> tuple[DynamicCache, Tensor]:
    """A cache with a row for each, left-padded, and its mask [N, S]."""

    def stacked(part: Sequence[Tensor]) -> Tensor:
        return pad_sequence([row.transpose(0, 1) for row in part], batch_first=True, padding_side="left").transpose(
            1, 2
        )

    layers = zip(*(memory.layers for memory in memories), strict=True)
    cache = DynamicCache([tuple(map(stacked, zip(*layer, strict=True))) for layer in layers])
    ones = [torch.ones(len(memory.tokens), dtype=torch.bool) for memory in memories]
    mask = pad_sequence(ones, batch_first=True, padding_side="left")
    return cache, mask.to(memories[0].layers[0][0].device)


class _Layer(Protocol):
    """Keys and values of one layer, [N, heads, L, size]."""

    keys: Tensor
    values: Tensor


def _layers(cache: DynamicCache) -> list[_Layer]:
    """The layers of a cache that holds one key and one value for each token, which is all that `read_prompts` makes."""
    return cast(list[_Layer], cache.layers)


class TransformersEngine(PolicyEngine):
    """An `Engine` with `policy`'s voice, at its temperature and top-p. It samples from the policy's own module, or in
    bf16 from a copy; weights that are loaded as tensors or from a folder are read into the policy first."""

    def __init__(self, policy: LanguagePolicy, *, stop_ids: Iterable[int], precision: Precision = "fp32") -> None:
        super().__init__(policy, stop_ids=stop_ids, precision=precision)
        self._rows: _Rows | None = None
        self._memories: dict[int, _Memory] = {}  # of the conversations that wait for their worlds, oldest first

    def adopt(self, weights: Weights) -> None:
        """Take the weights, and drop what the old ones computed."""
        super().adopt(weights)
        self._memories.clear()

    def forget(self, conversations: Sequence[int]) -> None:
        """Drop what is remembered of them between turns."""
        for conversation in conversations:
            self._memories.pop(conversation, None)

    def drop(self, tickets: Sequence[int]) -> None:
        """Take them out of the queue or out of the running batch."""
        super().drop(tickets)
        unwanted = set(tickets)
        if self._rows is not None:
            going = [n for n, reply in enumerate(self._rows.replies) if reply.ticket not in unwanted]
            if not going:
                self._rows = None
            elif len(going) < len(self._rows.replies):
                self._rows.keep(torch.tensor(going, dtype=torch.long, device=self._rows.hidden_N_H.device))

    @property
    def busy(self) -> bool:
        """Whether a reply is still owed."""
        return bool(self._queue) or self._rows is not None

    def step(self) -> list[tuple[int, Completion]]:
        """One token for every row, after reading what was admitted; the replies that are done."""
        self._read_queue()
        rows = self._rows
        if rows is None:
            return []
        logits, sampling = self._policy.logits(rows.hidden_N_H), self.sampling
        logp_N_V = log_probabilities(logits, temperature=sampling.temperature, top_p=sampling.top_p, kept_N=None)
        token_N = _choose(rows.replies, logp_N_V)
        logp_N = logp_N_V.gather(-1, token_N[:, None])[:, 0]
        done, going, gone = [], [], []
        for index, (reply, token, logp) in enumerate(zip(rows.replies, token_N.tolist(), logp_N.tolist(), strict=True)):
            reply.say(token, logp)
            if token not in sampling.stop_ids and len(reply.tokens) < reply.limit:
                going.append(index)
                continue
            done.append((reply.ticket, reply.completion(sampling.stop_ids, self._version)))
            gone.append(index)
        self._remember(rows, gone)
        self._advance_rows(rows, token_N, torch.tensor(going, dtype=torch.long, device=token_N.device))
        return done

    def _advance_rows(self, rows: _Rows, token_N: Tensor, going: Tensor) -> None:
        """Feed the drawn tokens of the rows that go on."""
        if not len(going):
            self._rows = None
            return
        if len(going) < len(token_N):
            rows.keep(going)
            token_N = token_N[going]
        rows.mask_N_L = torch.cat([rows.mask_N_L, rows.mask_N_L.new_ones(len(going), 1)], dim=1)
        with self._policy.autocast():
            output = self._policy.backbone(
                input_ids=token_N[:, None],
                attention_mask=rows.mask_N_L,
                position_ids=rows.position_N[:, None],
                past_key_values=rows.cache,
                use_cache=True,
            )
        rows.hidden_N_H = output.last_hidden_state[:, -1]
        rows.position_N = rows.position_N + 1

    def _remember(self, rows: _Rows, gone: list[int]) -> None:
        """Keep what the rows that leave have read, as far as there is room."""
        for row in gone if self._policy.path.remembered_turns else ():
            self._memories[rows.replies[row].conversation] = rows.memory(row)
        excess = sum(memory.bytes for memory in self._memories.values()) - MEMORY_BYTES
        while excess > 0:
            excess -= self._memories.pop(next(iter(self._memories))).bytes

    def _read_queue(self) -> None:
        """Read the prompts of waiting requests and let them join, as far as there is room."""
        room = MAX_ROWS - (len(self._rows.replies) if self._rows else 0)
        taken, self._queue = self._queue[:room], self._queue[room:]
        begun: list[PendingReply] = []
        going_on: list[tuple[PendingReply, _Memory]] = []
        for ticket, request in taken:
            reply, memory = self._reply(ticket, request), self._memories.pop(request.conversation, None)
            if memory is not None and memory.begins(reply.prompt):
                going_on.append((reply, memory))
            else:
                begun.append(reply)
        if begun:
            self._join(self._begin(begun))
        if going_on:
            self._join(self._go_on(going_on))

    def _join(self, new: _Rows) -> None:
        if self._rows is None:
            self._rows = new
        else:
            self._rows.join(new)

    def _begin(self, replies: list[PendingReply]) -> _Rows:
        """Read whole prompts, each of them once."""
        prompts = [reply.prompt for reply in replies]
        number = {prompt: index for index, prompt in enumerate(dict.fromkeys(prompts))}
        hidden, cache, mask = self._policy.read_prompts(list(number))
        which = torch.tensor([number[prompt] for prompt in prompts], device=hidden.device)
        cache.batch_select_indices(which)
        return _Rows(replies, hidden[which], cache, mask[which].long(), mask.sum(dim=1)[which])

    def _go_on(self, remembered: list[tuple[PendingReply, _Memory]]) -> _Rows:
        """Read what came after the latest reply of each conversation."""
        new = [reply.prompt[len(memory.tokens) :] for reply, memory in remembered]
        cache, seen = _remembered([memory for _, memory in remembered])
        hidden, cache, mask = self._policy.read_prompts(new, cache, seen)
        return _Rows([reply for reply, _ in remembered], hidden, cache, mask.long(), mask.sum(dim=1))


def _choose(replies: Sequence[PendingReply], logp_N_V: Tensor) -> Tensor:
    """The next token of each row [N]: drawn with its own chance, or the likeliest where the reply is greedy."""
    chance = [None if reply.uniform is None else reply.uniform[len(reply.tokens)] for reply in replies]
    if all(value is None for value in chance):
        return logp_N_V.argmax(dim=-1)
    uniform_N = torch.tensor(np.array([0.0 if value is None else value for value in chance], np.float32))
    token_N = draw(logp_N_V, uniform_N.to(logp_N_V.device))
    if any(value is None for value in chance):
        greedy_N = torch.tensor([value is None for value in chance], device=logp_N_V.device)
        token_N = torch.where(greedy_N, logp_N_V.argmax(dim=-1), token_N)
    return token_N
