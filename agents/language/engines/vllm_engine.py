"""vLLM as an `Engine`: token ids in and out, in our thread, with the weights of the policy that learns in this process.

    load ─▶ the policy's module ─▶ checkpoint names ─▶ vLLM's weight transfer (`vllm_plugins`)
    submit ─▶ add_request;  step, step, … ─▶ futures

Log-probabilities are vLLM's "processed" ones: of the distribution at the policy's temperature and top-p. Keys and
values of a prompt's beginning are remembered by their tokens and by the version of the weights, so nothing has to be
forgotten. How close sampler and trainer are is in the run's rows: vLLM has kernels of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ....envs.seeding import generator
from ...protocols import Completion, Request, Weights
from ..language_policy import LanguagePolicy, Precision
from .policy_engine import PendingReply, PolicyEngine
from .vllm_library import Vllm, checkpoint_tensors

GIB = 1 << 30
MEMORY = 2.0  # GiB of keys and values
DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


class VllmEngine(PolicyEngine):
    """An `Engine` with `policy`'s voice, at its temperature and top-p. vLLM itself is made by the first order that
    needs it, best by `load`, which waits for it: half a minute for the first of a process.

    `memory`: GiB of keys and values. `context`: most tokens of a conversation; default: the model's. UserError, out of
    `load`, where vLLM does not take the model.
    """

    def __init__(
        self,
        policy: LanguagePolicy,
        *,
        stop_ids: Iterable[int],
        precision: Precision = "fp32",
        context: int | None = None,
        memory: float = MEMORY,
    ) -> None:
        super().__init__(policy, stop_ids=stop_ids)
        self._precision, self._memory = precision, memory
        self._context = min(context or self._context, self._context)
        self._vllm: Vllm | None = None
        self._running: dict[str, PendingReply] = {}

    @property
    def busy(self) -> bool:
        """Whether a reply is still owed."""
        return bool(self._queue or self._running)

    def step(self) -> list[tuple[int, Completion]]:
        """One token of each reply."""
        vllm = self._ready()
        queue, self._queue = self._queue, []
        for ticket, request in queue:
            self._begin(vllm, self._reply(ticket, request), request)
        done = []
        for said in vllm.step():
            reply = self._running.pop(said.name)
            for token, logp in zip(said.tokens, said.logp, strict=True):
                reply.say(token, min(logp, 0.0))  # a rounding may put a sure one above 0
            done.append((reply.ticket, reply.completion(self.sampling.stop_ids, self._version)))
        return done

    def drop(self, tickets: Sequence[int]) -> None:
        """Take them out of the queue, and out of vLLM."""
        super().drop(tickets)
        names = [str(ticket) for ticket in tickets if str(ticket) in self._running]
        if names and self._vllm is not None:
            self._vllm.abort(names)
        for name in names:
            del self._running[name]

    def forget(self, conversations: Sequence[int]) -> None:
        """vLLM forgets by itself what was not asked for longest."""

    def adopt(self, weights: Weights) -> None:
        """Take them into the policy, and give them to vLLM."""
        super().adopt(weights)
        if self._vllm is None:
            self._ready()
        else:
            self._vllm.load(checkpoint_tensors(self._policy.model))

    def close(self) -> None:
        """As `Engine.close`; vLLM's memory is given back."""
        super().close()  # the thread has ended
        if self._vllm is not None:
            self._vllm.close()
            self._vllm = None

    def _ready(self) -> Vllm:
        """vLLM, with the policy's weights."""
        if self._vllm is None:
            own = self.sampling.temperature != 1 or self.sampling.top_p < 1
            vllm = Vllm(
                self._policy.model,
                dtype=DTYPES[self._precision],
                context=self._context,
                memory=int(self._memory * GIB),
                own_greedy=own,
                eager=self._policy.device.type == "cpu",
            )
            vllm.load(checkpoint_tensors(self._policy.model))
            self._vllm = vllm
        return self._vllm

    def _begin(self, vllm: Vllm, reply: PendingReply, request: Request) -> None:
        name = str(reply.ticket)
        self._running[name] = reply
        vllm.add(
            name,
            reply.prompt,
            salt=str(self._version),
            max_tokens=reply.limit,
            stop_token_ids=sorted(self.sampling.stop_ids),
            **self._chance(request),
        )

    def _chance(self, request: Request) -> dict[str, Any]:
        """How tokens are chosen. vLLM's seeds have 64 bits, and ours up to 128."""
        temperature, top_p = self.sampling.temperature, self.sampling.top_p
        if not request.greedy:
            seed = int(generator(request.seed).integers(1 << 62))
            return {"temperature": temperature, "top_p": top_p, "seed": seed}
        if temperature == 1 and top_p >= 1:
            return {"temperature": 0.0}
        return {"temperature": 0.0, "extra_args": {"greedy": {"temperature": temperature, "top_p": top_p}}}
