"""One step of sampling, for every row at once and without a word to the host: feed a token, draw the next.

    token_S ─▶ embedding ─▶ layers (keys and values into the slots) ─▶ output layer ─▶ draw ─▶ token_S
    position_S + 1,   drawn_S + 1,   going_S off at a stop token or at the limit

All that a step reads and writes stands in tensors with one entry for each slot, so on a GPU a step of a given size is
always the same kernels on the same memory: they are recorded once as a CUDA graph, and started with one call. Which
rows go on is decided there; the host reads the tokens when it likes. A row that no longer goes feeds its last token
again and again to the place where it belongs: the keys and values that a later turn would find there are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..distribution import draw, log_probabilities
from ..language_policy import LanguagePolicy
from .alike import Alike, alike_of
from .graphs import Graphs
from .slots import Slots, Step, bucket

LEAST_ROWS, LEAST_LENGTH = 8, 64  # slots and places for which memory is taken and steps are recorded
STATE = ("_token_S", "_position_S", "_drawn_S", "_limit_S", "_greedy_S", "_going_S", "_logp_S", "_uniform_S_T")


@dataclass(frozen=True)
class Opening:
    """A row that begins. The first token that it feeds is the last one of its prompt."""

    slot: int
    token: int
    position: int  # of that token
    limit: int
    uniform: np.ndarray | None  # [limit], its chance; None: greedy


class Going(NamedTuple):
    """A row that takes part in a step."""

    slot: int
    group: int  # a number of those whose prompt was read once for all
    alike: int  # in how many places its slot is still as theirs


@dataclass(frozen=True)
class Said:
    """What a step drew, on its way to the host."""

    token_R: Tensor
    logp_R: Tensor
    ready: torch.cuda.Event | None

    def lists(self) -> tuple[list[int], list[float]]:
        """Tokens and log-probabilities, slot by slot; waits until they are there."""
        if self.ready is not None:
            self.ready.synchronize()
        return self.token_R.tolist(), self.logp_R.tolist()


class SlotStep:
    """The state of all slots, and steps of `voice` over them."""

    def __init__(self, voice: LanguagePolicy, slots: Slots, stop_ids: Iterable[int]) -> None:
        self._voice, self._slots = voice, slots
        self._stop_K = torch.tensor(sorted(stop_ids), dtype=torch.long, device=voice.device)
        self._whole = voice.device.type == "cuda"  # steps go over all of the first slots, not over the rows that go
        self.graphs = Graphs(type(voice.model).__name__, on=self._whole)
        self._make_state(0, 0)

    @property
    def rows(self) -> int:
        """Slots that are there."""
        return len(self._slot_S)

    def _make_state(self, S: int, T: int) -> None:
        """A place for each of S rows, with T uniform numbers; the rows that were there stay."""
        old = {name: getattr(self, name, None) for name in STATE}

        def zeros(dtype: torch.dtype, *shape: int) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=self._voice.device)

        self._slot_S, self._chosen_S = torch.arange(S, device=self._voice.device), zeros(torch.long, S)
        self._token_S, self._position_S, self._drawn_S, self._limit_S = (zeros(torch.long, S) for _ in range(4))
        self._greedy_S, self._going_S = zeros(torch.bool, S), zeros(torch.bool, S)
        self._logp_S, self._uniform_S_T = zeros(torch.float32, S), zeros(torch.float32, S, T)
        for name, before in old.items():
            if before is not None:
                getattr(self, name)[tuple(slice(n) for n in before.shape)] = before

    def reserve(self, rows: int, length: int, tokens: int = 1) -> None:
        """Have at least so many slots, places in each, and uniform numbers for each reply. What was recorded before
        is void if anything moves."""
        rows, length = bucket(rows, LEAST_ROWS), bucket(length, LEAST_LENGTH)
        S, T = self._uniform_S_T.shape
        wider = rows > S or tokens > T
        if wider:
            self._make_state(max(S, rows), max(T, bucket(tokens, LEAST_LENGTH)))
        if self._slots.reserve(rows, length) or wider:
            self.graphs.drop()

    def free(self) -> None:
        """Give all memory back; no row may be going."""
        self.graphs.drop()
        self._slots.free()
        for name in STATE:
            delattr(self, name)
        self._make_state(0, 0)

    def begin(self, openings: Sequence[Opening]) -> None:
        """Set the state of these rows."""
        T = max(len(opening.uniform) if opening.uniform is not None else 1 for opening in openings)
        uniform = np.zeros((len(openings), T), np.float32)
        for row, opening in enumerate(openings):
            if opening.uniform is not None:
                uniform[row, : len(opening.uniform)] = opening.uniform
        columns = [(one.slot, one.token, one.position, one.limit, one.uniform is None) for one in openings]
        slot, token, position, limit, greedy = self.sent(np.array(columns, np.int64).T)
        self._token_S[slot], self._position_S[slot], self._limit_S[slot] = token, position, limit
        self._greedy_S[slot], self._going_S[slot], self._drawn_S[slot] = greedy.bool(), True, 0
        self._uniform_S_T[slot, :T] = self.sent(uniform)

    def end(self, slots: Sequence[int]) -> None:
        """These rows go no further."""
        self._going_S[self.sent(np.array(slots, np.int64))] = False

    def sent(self, array: np.ndarray) -> Tensor:
        """On the device. From pinned memory, since otherwise the host would wait until the device has nothing to do."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self._voice.device.type != "cuda":
            return tensor.to(self._voice.device)
        return tensor.pin_memory().to(self._voice.device, non_blocking=True)

    def advance(self, going: Sequence[Going], length: int, greedy: bool) -> Said:
        """One token for each of these rows, of which none has more than `length` places then; `greedy`: whether any
        of them is."""
        slots = [row.slot for row in going]
        R, N = max(slots) + 1, len(slots)
        if self._whole:
            self._advance_by_size(slots, length, greedy)
        else:
            rows = slice(R) if N == R else torch.tensor(sorted(slots), device=self._voice.device)
            alike = alike_of(going) if self._voice.device.type == "cpu" else None
            self._compute(rows, R if 2 * N > R else None, length, greedy, alike)
        token_R, logp_R = self._token_S[:R], self._logp_S[:R]
        if self._voice.device.type != "cuda":
            return Said(token_R.cpu().clone(), logp_R.cpu().clone(), None)
        token_R, logp_R = token_R.to("cpu", non_blocking=True), logp_R.to("cpu", non_blocking=True)  # pinned memory
        ready = torch.cuda.Event()
        ready.record()
        return Said(token_R, logp_R, ready)

    def _advance_by_size(self, slots: Sequence[int], length: int, greedy: bool) -> None:
        """In one of a few sizes, on a GPU: all of the first slots, idle ones too, or where few of them go, those; a
        slot that stands there twice is computed twice, and the same."""
        rows, few = bucket(max(slots) + 1, LEAST_ROWS), bucket(len(slots), LEAST_ROWS)
        gathered = 2 * few <= rows
        size = few if gathered else rows, min(bucket(length, LEAST_LENGTH), self._slots.length), (greedy, gathered)
        rows, length, _ = key = self.graphs.fitting(size)
        if gathered:
            chosen = np.resize(np.array(slots, np.int64), rows)  # again from the first one
            self._chosen_S[:rows].copy_(self.sent(chosen))
        which = self._chosen_S[:rows] if gathered else slice(rows)
        self.graphs.run(key, lambda: self._compute(which, None if gathered else rows, length, greedy))

    def _compute(
        self, rows: slice | Tensor, region: int | None, length: int, greedy: bool, alike: Alike | None = None
    ) -> None:
        """The step itself, of the slots `rows`; the rest as `Step` says."""
        voice, slot_N = self._voice, self._slot_S[rows]
        token_N, position_N, drawn_N, going_N = (
            state[rows] for state in (self._token_S, self._position_S, self._drawn_S, self._going_S)
        )
        work = Step(
            position_N_P=position_N[:, None],
            slot_N=slot_N,
            position_S=self._position_S,
            region=region,
            length=length,
            alike=alike,
        )
        hidden_N_H = self._slots.run(voice, work, token_N[:, None])[:, -1]
        logp_N_V = log_probabilities(voice.logits(hidden_N_H), voice.distribution)
        uniform_N = self._uniform_S_T[slot_N, drawn_N.clamp(max=self._uniform_S_T.shape[1] - 1)]
        next_N = draw(logp_N_V, uniform_N)
        if greedy:
            next_N = torch.where(self._greedy_S[rows], logp_N_V.argmax(dim=-1), next_N)
        drawn_N = drawn_N + going_N
        stops_N = (next_N[:, None] == self._stop_K).any(dim=-1) | (drawn_N >= self._limit_S[rows])
        self._logp_S[rows] = logp_N_V.gather(-1, next_N[:, None])[:, 0]
        self._token_S[rows] = torch.where(going_N, next_N, token_N)
        self._position_S[rows] = position_N + going_N
        self._drawn_S[rows], self._going_S[rows] = drawn_N, going_N & ~stops_N
