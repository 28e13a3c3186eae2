"""What engines share that sample from a language policy in this process: its weights, its queue, its replies.

The weights are the policy's own, also in bf16: sampler and trainer multiply the same numbers. Of an fp32 policy an
engine of precision "bf16" keeps a rounded copy, which `load` brings up to date.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import numpy as np

from ....envs.seeding import generator
from ....envs.vocabulary import StopReason
from ...protocols import Completion, PolicyNotFinite, Request, Sampling, Weights
from ...weights import take_weights
from ..language_policy import LanguagePolicy, Precision
from ..low_precision import lower
from .threaded import ThreadedEngine


@dataclass
class PendingReply:
    """One reply that is being sampled."""

    ticket: int
    conversation: int
    prompt: tuple[int, ...]
    limit: int  # most tokens
    uniform: np.ndarray | None  # [limit]; its chance; None: greedy
    tokens: list[int] = field(default_factory=list)
    logp: list[float] = field(default_factory=list)

    def say(self, token: int, logp: float) -> None:
        """One token more. PolicyNotFinite if nobody can know how likely it was."""
        if not math.isfinite(logp):
            raise PolicyNotFinite(f"a log-probability of the model is {logp}")
        self.tokens.append(token)
        self.logp.append(logp)

    def completion(self, stop_ids: frozenset[int], version: int) -> Completion:
        """What was said, and why it ended."""
        reason = StopReason.STOP if self.tokens[-1] in stop_ids else StopReason.LENGTH
        return Completion(tuple(self.tokens), tuple(self.logp), reason, version)


class PolicyEngine(ThreadedEngine):
    """The parts of an engine that do not depend on how tokens are computed."""

    def __init__(self, policy: LanguagePolicy, *, stop_ids: Iterable[int], precision: Precision = "fp32") -> None:
        super().__init__(Sampling(policy.distribution, frozenset(stop_ids)))
        self._source = policy
        self._policy = policy
        self._context = policy.context  # most tokens of a conversation
        if precision == "bf16" and policy.precision != "bf16":
            self._policy = copy.deepcopy(policy).requires_grad_(False)
            self._policy.precision, self._policy.path = "bf16", replace(policy.path, autocast=True)
            lower(self._policy.model)
        self._version = 0
        self._queue: list[tuple[int, Request]] = []

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        """As `Engine.submit`."""
        for request in requests:
            if len(request.prompt) >= self._context:
                held = f"the context holds {self._context}"
                raise ValueError(f"a prompt of {len(request.prompt)} tokens leaves no room for a reply: {held}")
        return super().submit(requests)

    def adopt(self, weights: Weights) -> None:
        """Copy the policy's weights where this engine has its own."""
        take_weights(self._source, weights)
        self._version = weights.version
        if self._policy is not self._source:
            for mine, theirs in zip(self._policy.parameters(), self._source.parameters(), strict=True):
                mine.copy_(theirs)
            for mine, theirs in zip(self._policy.buffers(), self._source.buffers(), strict=True):
                mine.copy_(theirs)

    def admit(self, requests: Sequence[tuple[int, Request]]) -> None:
        """Queue them; the next step reads them."""
        self._queue += requests

    def drop(self, tickets: Sequence[int]) -> None:
        """Take them out of the queue."""
        unwanted = set(tickets)
        self._queue = [(ticket, request) for ticket, request in self._queue if ticket not in unwanted]

    def _reply(self, ticket: int, request: Request) -> PendingReply:
        limit = min(request.limit, self._context - len(request.prompt))
        uniform = None if request.greedy else generator(request.seed).random(limit, dtype=np.float32)
        return PendingReply(ticket, request.conversation, request.prompt, limit, uniform)
