"""vLLM as an `Engine`: token ids in and out, in our thread, with the weights of the policy that learns in this process.

    load ─▶ the policy's module ─▶ checkpoint names ─▶ vLLM's weight transfer (`vllm_plugins`)
    submit ─▶ add_request;  step, step, … ─▶ futures

Log-probabilities are vLLM's "processed" ones: of the distribution at the policy's temperature and top-p. Keys and
values of a prompt's beginning are remembered by their tokens and by the version of the weights, so nothing has to be
forgotten. How close sampler and trainer are is in the run's rows: vLLM has kernels of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from ....envs.errors import UserError
from ....envs.seeding import generator
from ...protocols import Completion, Distribution, EngineDied, Request, Weights
from ..language_policy import LanguagePolicy, Precision
from ..packing import pack
from ..sample import Sample
from .policy_engine import PendingReply, PolicyEngine
from .vllm_library import Said, Vllm, checkpoint_tensors
from .vllm_remote import VllmServer

GIB = 1 << 30
_ROWS, _LOOKED_AT, _SAID = 4, 12, 6  # rows, tokens of their prompts and of their replies, of a first comparison
_FAR = 0.5  # between log-probabilities on average; 0.04 is usual in bf16, and 4 where weights are wrong
MEMORY = 2.0  # GiB of keys and values
DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


class VllmEngine(PolicyEngine):
    """An `Engine` with `policy`'s voice, at its temperature and top-p. vLLM itself is made by the first order that
    needs it, best by `load`, which waits for it: half a minute for the first of a process.

    `memory`: GiB of keys and values. `context`: most tokens of a conversation; default: the model's. `sleeps`: whether
    it gives the GPU's memory to others when all conversations are released, until it is asked or loaded. `url`: of a
    server that draws instead, in a precision and a memory of its own. UserError, out of `load`, where vLLM does not
    take the model.
    """

    def __init__(
        self,
        policy: LanguagePolicy,
        *,
        stop_ids: Iterable[int],
        precision: Precision = "fp32",
        context: int | None = None,
        memory: float = MEMORY,
        sleeps: bool = False,
        url: str | None = None,
    ) -> None:
        super().__init__(policy, stop_ids=stop_ids)
        self._precision, self._memory, self._url = precision, memory, url
        self._context = min(context or self._context, self._context)
        self._vllm: Vllm | VllmServer | None = None
        self._running: dict[str, PendingReply] = {}
        self._sleeps, self._asleep = sleeps, False
        self._talking: set[int] = set()  # conversations that may ask again

    @property
    def busy(self) -> bool:
        """Whether a reply is still owed."""
        return bool(self._queue or self._running)

    def step(self) -> list[tuple[int, Completion]]:
        """One token of each reply."""
        vllm = self._ready()
        queue, self._queue = self._queue, []
        for ticket, request in queue:
            name, reply = str(ticket), self._reply(ticket, request)
            self._talking.add(request.conversation)
            self._running[name] = reply
            self._ask(vllm, name, reply.prompt, reply.limit, request, self.sampling.stop_ids)
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
        self._talking.difference_update(conversations)

    def release(self, conversations: Iterable[int]) -> None:
        """As `Engine.release`; where vLLM is to sleep now, it does when this returns, so that whoever counts or takes
        the free memory then finds it."""
        super().release(conversations)
        if not self._sleeps:
            return
        with suppress(EngineDied):  # of which whoever asks next will hear
            ticket, asleep = self._owe()
            self._send(lambda: self._rest(ticket))
            asleep.result()

    def _rest(self, ticket: int) -> None:
        """Sleep, if nobody is going to ask before the next order."""
        if isinstance(self._vllm, Vllm) and not (self.busy or self._talking or self._asleep):
            self._vllm.sleep()
            self._asleep = True
        self._settle(ticket, None)

    def adopt(self, weights: Weights) -> None:
        """Take them into the policy, and give them to vLLM."""
        super().adopt(weights)
        if self._vllm is None:
            self._ready()
        else:
            self._ready().load(checkpoint_tensors(self._policy.model))

    def close(self) -> None:
        """As `Engine.close`; vLLM's memory is given back."""
        super().close()  # the thread has ended
        if self._vllm is not None:
            self._ready().close()  # awake, as memory that is not there cannot be given back
            self._vllm = None

    def _ready(self) -> Vllm | VllmServer:
        """vLLM, awake, with the policy's weights."""
        if self._asleep and isinstance(self._vllm, Vllm):
            self._vllm.wake()
            self._asleep = False
        if self._vllm is None:
            if self._url is not None:
                vllm = VllmServer(self._url, context=self._context, vocabulary=self._vocabulary)
            else:
                vllm = Vllm(
                    self._policy.model,
                    dtype=DTYPES[self._precision],
                    context=self._context,
                    memory=int(self._memory * GIB),
                    own_greedy=self.sampling.distribution != Distribution(),
                    eager=self._policy.device.type == "cpu",
                    sleeps=self._sleeps,
                )
            vllm.load(checkpoint_tensors(self._policy.model))
            self._vllm = vllm
            self._compare(vllm)
        return self._vllm

    @property
    def _vocabulary(self) -> int:
        return int(self._policy.model.config.get_text_config().vocab_size)

    def _compare(self, vllm: Vllm | VllmServer) -> None:
        """UserError where vLLM reads the model in another way than whoever trains it: an architecture of its own, a
        weight that did not arrive."""
        V = self._vocabulary
        long = min(_LOOKED_AT, self._context - _SAID)
        prompts = [tuple((7 + 5 * row + 11 * t) % V for t in range(long)) for row in range(_ROWS)]
        samples = []
        for row, prompt in enumerate(prompts):
            self._ask(vllm, f"look {row}", prompt, _SAID, Request(row, prompt, _SAID, row, greedy=False), frozenset())
        try:
            replies: list[Said] = []
            while len(replies) < _ROWS:
                replies += vllm.step()
        except Exception as problem:  # of kernels that have no such shape
            raise vllm.refusal(self._policy.model, problem) from problem
        for said in sorted(replies, key=lambda said: said.name):
            sample = Sample(list(prompts[len(samples)]))
            sample.extend(said.tokens, 0, said.logp)
            samples.append(sample)
        batch = pack(samples, [(0, row) for row in range(_ROWS)], 0, [False] * _ROWS).to(str(self._policy.device))
        trained = self._policy.score(batch.inputs).logp_B_T
        gap = (trained - batch.behavior_logp_B_T.to(trained))[batch.mask_B_T].abs().mean()
        if not bool(gap <= _FAR):
            kind = type(self._policy.model).__name__
            raise UserError(
                f"vLLM reads {kind} in another way than the trainer: log-probabilities are apart by {float(gap):.2g}"
                f" on average, allowed is {_FAR}; use engine: transformers"
            )

    def _ask(
        self,
        vllm: Vllm | VllmServer,
        name: str,
        prompt: Sequence[int],
        limit: int,
        request: Request,
        stop_ids: frozenset[int],
    ) -> None:
        vllm.add(
            name,
            prompt,
            salt=str(self._version),
            max_tokens=limit,
            stop_token_ids=sorted(stop_ids),
            **self._chance(request),
        )

    def _chance(self, request: Request) -> dict[str, Any]:
        """How tokens are chosen. vLLM's seeds have 64 bits, and ours up to 128."""
        of = self.sampling.distribution
        if not request.greedy:
            seed = int(generator(request.seed).integers(1 << 62))
            return {**asdict(of), "top_k": of.top_k or 0, "seed": seed}
        if of == Distribution():
            return {"temperature": 0.0}
        return {"temperature": 0.0, "extra_args": {"greedy": asdict(of)}}
