"""The engine for any decoder: the model's own `generate`, with a draw of ours in the place of its own.

A batch of waiting prompts is sampled from its first token to its last before the next one begins. What `generate` keeps
between two tokens (keys and values, windows, recurrent states, convolutions) is its own affair, so nothing has to be
known of the architecture. Nothing is remembered between turns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from ...protocols import Completion, Distribution
from ..distribution import draw, log_probabilities
from .policy_engine import PendingReply, PolicyEngine

MAX_ROWS = 128  # in one batch; the others queue


class PlainEngine(PolicyEngine):
    """An `Engine` with `policy`'s voice, at its temperature and top-p, by `generate`."""

    @property
    def busy(self) -> bool:
        """Whether a reply is still owed."""
        return bool(self._queue)

    def forget(self, conversations: Sequence[int]) -> None:
        """Nothing is remembered of any."""

    def step(self) -> list[tuple[int, Completion]]:
        """The replies of one batch, all of them."""
        replies = self._next_batch()
        sampling, path = self.sampling, self._policy.path
        P, limit = max(len(reply.prompt) for reply in replies), max(reply.limit for reply in replies)
        ids = torch.zeros(len(replies), P, dtype=torch.long)
        for row, reply in enumerate(replies):
            ids[row, P - len(reply.prompt) :] = torch.tensor(reply.prompt)
        length_N = torch.tensor([len(reply.prompt) for reply in replies])
        mask = torch.arange(P) >= P - length_N[:, None]
        said = _Draw(replies, limit, sampling.distribution, self._policy.device)
        settings = GenerationConfig(
            max_new_tokens=limit, do_sample=False, use_cache=path.own_cache, pad_token_id=0, eos_token_id=None
        )
        with _nothing_of_its_own(self._policy.model), self._policy.autocast():
            self._policy.model.generate(  # type: ignore[operator]
                input_ids=ids.to(self._policy.device),
                attention_mask=mask.long().to(self._policy.device),
                generation_config=settings,
                logits_processor=LogitsProcessorList([said]),
                stopping_criteria=StoppingCriteriaList([_Done(self, replies, said)]),
            )
        said.tell(replies, sampling.stop_ids)
        return [(reply.ticket, reply.completion(sampling.stop_ids, self._version)) for reply in replies if reply.tokens]

    def _next_batch(self) -> list[PendingReply]:
        """Those who wait longest; where prompts of different lengths must not be padded, those as long as the first."""
        alike = self._queue
        if not self._policy.path.ragged:
            alike = [item for item in alike if len(item[1].prompt) == len(self._queue[0][1].prompt)]
        taken = alike[:MAX_ROWS]
        chosen = {ticket for ticket, _ in taken}
        self._queue = [item for item in self._queue if item[0] not in chosen]
        return [self._reply(ticket, request) for ticket, request in taken]


class _Draw(LogitsProcessor):
    """Draws the next token of each row, notes it and its log-probability, and leaves `generate` no other choice."""

    def __init__(
        self, replies: Sequence[PendingReply], limit: int, distribution: Distribution, device: torch.device
    ) -> None:
        chance = np.zeros((len(replies), limit), np.float32)
        for row, reply in enumerate(replies):
            if reply.uniform is not None:
                chance[row, : reply.limit] = reply.uniform
        self._chance_N_T = torch.from_numpy(chance).to(device)
        self._greedy_N = torch.tensor([reply.uniform is None for reply in replies], device=device)
        self._distribution = distribution
        self.tokens: list[Tensor] = []  # [N] each
        self.logp: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # type: ignore[override]
        """[N, V]: zero for what was drawn, −inf elsewhere."""
        logp_N_V = log_probabilities(scores, self._distribution)
        drawn_N = draw(logp_N_V, self._chance_N_T[:, len(self.tokens)])
        token_N = torch.where(self._greedy_N, logp_N_V.argmax(dim=-1), drawn_N)
        self.tokens.append(token_N)
        self.logp.append(logp_N_V.gather(-1, token_N[:, None])[:, 0])
        return torch.full_like(scores, -torch.inf).scatter_(1, token_N[:, None], 0.0)

    def tell(self, replies: Sequence[PendingReply], stop_ids: frozenset[int]) -> None:
        """Give each reply its tokens, up to its stop token or its limit."""
        tokens, logp = torch.stack(self.tokens, dim=1).tolist(), torch.stack(self.logp, dim=1).tolist()
        for reply, said, sure in zip(replies, tokens, logp, strict=True):
            end = next((at for at, token in enumerate(said[: reply.limit]) if token in stop_ids), reply.limit - 1) + 1
            for token, one in zip(said[:end], sure[:end], strict=True):
                reply.say(token, one)


class _Done(StoppingCriteria):
    """Which rows have said what they will."""

    def __init__(self, engine: PlainEngine, replies: Sequence[PendingReply], said: _Draw) -> None:
        self._engine, self._replies, self._said = engine, replies, said
        device = engine._policy.device
        self._stop = torch.tensor(sorted(engine.sampling.stop_ids), device=device)
        self._limit_N = torch.tensor([reply.limit for reply in replies], device=device)
        self._done_N = torch.zeros(len(replies), dtype=torch.bool, device=device)

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:  # type: ignore[override]
        """[N] bool."""
        self._done_N = self._done_N | torch.isin(self._said.tokens[-1], self._stop)
        unwanted = self._engine.unwanted([reply.ticket for reply in self._replies])
        return self._done_N | (len(self._said.tokens) >= self._limit_N) | torch.tensor(unwanted).to(self._done_N)


@contextmanager
def _nothing_of_its_own(model: PreTrainedModel) -> Iterator[None]:
    """While this holds, `generate` adds no penalty or ban that the model's folder asks for: a trainer knows of none."""
    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own
