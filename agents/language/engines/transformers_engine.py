"""The engine in this process: samples replies from a language policy, many at once, with continuous batching.

    admit ─▶ find each conversation a slot, read into it what of the prompt is new
    step  ─▶ one token for every row that goes; a row that is done leaves its slot as it is

Prompts that are equal (a group's) are read once, and of a conversation that goes on only what is new since its latest
reply, or since what its template rewrites: its keys and values wait in their slot until `release`, or until somebody
else needs the slot. Every reply has its own random stream and spends one uniform number for each token, so in fp32 what
is sampled does not depend on who else is in the batch, but for the rounding of sums; in bf16 the rounding is coarse
enough that now and then another batch gives another token. The thread in which all this happens is `threaded`'s.

On a GPU the host is one step behind: it reads the tokens of the last step while the device works on the next one.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from ...protocols import Completion, Weights
from ..language_policy import LanguagePolicy, Precision
from .policy_engine import PendingReply, PolicyEngine
from .reading import Text, in_parts, reading
from .slots import Slots, bucket, with_slots
from .step import LEAST_LENGTH, LEAST_ROWS, Going, Opening, Said, SlotStep

MAX_ROWS = {"cuda": 1024}  # that are sampled at once; the others queue
FEWER_ROWS = 512  # where more would not be faster, and logits take memory
MEMORY_BYTES = 4 << 30  # of keys and values between turns; the oldest are dropped and read again
READ_TOKENS = {"cpu": 4096}  # in one pass over prompts, padding included
MANY_READ_TOKENS = 32_768  # where a kernel wants much to do


@dataclass(eq=False)
class _Row:
    """A reply that is being sampled, and its slot."""

    reply: PendingReply
    slot: int
    group: int  # a number of those that began with one prompt
    alike: int  # in how many places its slot is as theirs
    steps: int = 0  # in which it has taken part; the host may not have read the last one yet
    done: bool = False

    @property
    def places(self) -> int:
        """How many it has filled after its next step."""
        return len(self.reply.prompt) + self.steps

    @property
    def going(self) -> Going:
        """How a step knows it."""
        return Going(self.slot, self.group, self.alike)


@dataclass(frozen=True)
class _Waiting:
    """A conversation between two turns: what it has read and said, but for the last token, which was never fed."""

    slot: int
    tokens: tuple[int, ...]
    group: int
    alike: int  # as of a row

    def shared(self, prompt: tuple[int, ...]) -> int:
        """How many of the tokens that `prompt` is read by, which are all but its last, are there already. None, where
        they are less than half: a group that begins anew reads its prompt once for all."""
        pairs = enumerate(zip(self.tokens, prompt[:-1], strict=False))
        end = min(len(self.tokens), len(prompt) - 1)
        n = next((at for at, (one, other) in pairs if one != other), end)
        return n if 2 * n >= len(prompt) - 1 else 0


class TransformersEngine(PolicyEngine):
    """An `Engine` with `policy`'s voice, at its temperature and top-p. It samples with the policy's own weights, or in
    bf16 with a copy; weights that are loaded as tensors or from a folder are read into the policy first."""

    def __init__(self, policy: LanguagePolicy, *, stop_ids: Iterable[int], precision: Precision = "fp32") -> None:
        super().__init__(policy, stop_ids=stop_ids, precision=precision)
        self._voice = with_slots(self._policy)
        self._slots = Slots(self._voice)
        self._step = SlotStep(self._voice, self._slots, self.sampling.stop_ids)
        self._rows: list[_Row] = []
        self._free: list[int] = []  # slots, a heap: the lowest is taken first, since steps go over the first ones
        self._waiting: dict[int, _Waiting] = {}  # by conversation; who waits longest is first
        self._under_way: deque[tuple[Said, list[_Row]]] = deque()  # steps whose tokens the host has not read
        self._lag = 1 if self._voice.device.type == "cuda" else 0  # most of them while there is more to do
        self._numbers = itertools.count()  # of groups
        self._most = MAX_ROWS.get(self._voice.device.type, FEWER_ROWS)

    def adopt(self, weights: Weights) -> None:
        """Take the weights, and drop what the old ones computed. Memory that is no more than the budget stays taken,
        with the steps that were recorded over it."""
        super().adopt(weights)
        self.forget(list(self._waiting))
        if self._slots.bytes_of_a_place * self._slots.rows * self._slots.length > MEMORY_BYTES:
            self._step.free()
            self._free.clear()

    def forget(self, conversations: Sequence[int]) -> None:
        """Drop what is remembered of them between turns."""
        for conversation in conversations:
            if (waiting := self._waiting.pop(conversation, None)) is not None:
                heappush(self._free, waiting.slot)

    def drop(self, tickets: Sequence[int]) -> None:
        """Take them out of the queue, or out of their slots."""
        super().drop(tickets)
        unwanted = set(tickets)
        if gone := [row for row in self._rows if row.reply.ticket in unwanted]:
            self._step.end([row.slot for row in gone])
            for row in gone:
                row.done = True
                heappush(self._free, row.slot)
            self._rows = [row for row in self._rows if not row.done]

    @property
    def busy(self) -> bool:
        """Whether a reply is still owed."""
        return bool(self._queue or self._rows)

    def step(self) -> list[tuple[int, Completion]]:
        """One token for every row, after reading what was admitted; the replies that are known to be done."""
        self._read_queue()
        going = [row for row in self._rows if row.steps < row.reply.limit]
        if going:
            length = max(row.places for row in going)
            self._step.reserve(self._step.rows, length + 1)  # a row that ends feeds its last token once more
            greedy = any(row.reply.uniform is None for row in going)
            said = self._step.advance([row.going for row in going], length, greedy)
            for row in going:
                row.steps += 1
            self._under_way.append((said, going))
        done: list[tuple[int, Completion]] = []
        while len(self._under_way) > (self._lag if going else 0):
            done += self._hear(*self._under_way.popleft())
        return done

    def _hear(self, said: Said, rows: Sequence[_Row]) -> list[tuple[int, Completion]]:
        """Take down what a step drew; the replies that are done with it."""
        token_R, logp_R = said.lists()
        done: list[tuple[int, Completion]] = []
        for row in rows:
            if row.done:
                continue
            reply, token = row.reply, token_R[row.slot]
            reply.say(token, logp_R[row.slot])
            if token in self.sampling.stop_ids or len(reply.tokens) == reply.limit:
                row.done = True
                done.append((reply.ticket, reply.completion(self.sampling.stop_ids, self._version)))
                self.forget([reply.conversation])
                tokens = (*reply.prompt, *reply.tokens[:-1])
                self._waiting[reply.conversation] = _Waiting(row.slot, tokens, row.group, row.alike)
        if done:
            self._rows = [row for row in self._rows if not row.done]
            self._forget_oldest()
        return done

    def _forget_oldest(self) -> None:
        """Let no more conversations wait than there is memory for."""
        places = sum(len(waiting.tokens) for waiting in self._waiting.values())
        while self._waiting and places * self._slots.bytes_of_a_place > MEMORY_BYTES:
            oldest = next(iter(self._waiting))
            places -= len(self._waiting[oldest].tokens)
            self.forget([oldest])

    def _read_queue(self) -> None:
        """Give waiting requests their slots, and read what is new of their prompts, as far as there is room."""
        room = self._most - len(self._rows)
        taken, self._queue = self._queue[:room], self._queue[room:]
        if not taken:
            return
        replies = [self._reply(ticket, request) for ticket, request in taken]
        texts: list[Text] = []
        alike: dict[tuple[int, ...], list[PendingReply]] = {}  # by prompt
        rows: list[_Row] = []
        for reply in replies:
            waiting = self._waiting.get(reply.conversation)
            if waiting is not None and (n := waiting.shared(reply.prompt)):
                del self._waiting[reply.conversation]
                rows.append(_Row(reply, waiting.slot, waiting.group, min(waiting.alike, n)))
                texts.append(Text(reply.prompt[n:-1], n, [waiting.slot]))
            else:
                self.forget([reply.conversation])
                alike.setdefault(reply.prompt, []).append(reply)
        slots = iter(self._take(sum(map(len, alike.values()))))
        for prompt, group in alike.items():
            number = next(self._numbers)
            begun = [_Row(reply, next(slots), number, len(prompt) - 1) for reply in group]
            rows += begun
            texts.append(Text(prompt[:-1], 0, [row.slot for row in begun]))
        self._make_room(rows)
        self._read(texts)
        self._make_room(rows)
        self._step.begin(
            [
                Opening(row.slot, row.reply.prompt[-1], row.places - 1, row.reply.limit, row.reply.uniform)
                for row in rows
            ]
        )
        self._rows += rows

    def _take(self, n: int) -> list[int]:
        """So many slots: free ones; else new ones, as long as all of them fit the memory; else those of the
        conversations that wait longest."""
        while len(self._free) < n:
            before = self._step.rows
            more = bucket(before + n - len(self._free), LEAST_ROWS)
            size = self._slots.bytes_of_a_place * self._slots.length * more
            if self._waiting and (size > MEMORY_BYTES or before >= self._most):
                self.forget([next(iter(self._waiting))])
                continue
            self._step.reserve(more, self._slots.length)
            for slot in range(before, self._step.rows):
                heappush(self._free, slot)
        return [heappop(self._free) for _ in range(n)]

    def _make_room(self, rows: Sequence[_Row]) -> None:
        """Places for these rows: for all that they may say if the memory allows, else for what they begin with."""
        longest = max(row.places for row in rows) + 1
        ahead = max(row.places + row.reply.limit for row in rows)
        size = self._slots.bytes_of_a_place * self._step.rows * bucket(ahead, LEAST_LENGTH)
        length = ahead if 0 < size <= MEMORY_BYTES else longest
        self._step.reserve(self._step.rows, length, max(row.reply.limit for row in rows))

    def _read(self, texts: Sequence[Text]) -> None:
        """Read them into their slots, those of like length together."""
        most = READ_TOKENS.get(self._voice.device.type, MANY_READ_TOKENS)
        for part in in_parts([text for text in texts if text.tokens], most):
            tokens, work = reading(part, self._step.sent)
            self._slots.run(self._voice, work, tokens)
