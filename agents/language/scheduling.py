"""How many conversations take turns: in lockstep, or each independently of the others.

lockstep        all that wait are answered, then all worlds are stepped (in place, or where they compute elsewhere, in
                threads: also those that are seen to only when the first have been stepped), and so on. The same
                requests are in one batch every time, so a run repeats bit for bit.
independently   worlds are stepped in threads; whoever is answered goes on. No episode waits for another's tool, and
                one that hangs (see `Patience`) costs only itself. Which requests meet in a batch depends on the clock,
                and through rounding so do the last digits, in bf16 now and then a token: no repeating bit for bit.

Either way, the world of an episode that is cut from outside is told, so that what it holds ends with the episode.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ...envs.contained import Contained, is_ours, look
from ...envs.conversation.conversation_env import ConversationEnv
from ...envs.errors import UserError
from ...envs.lost_threads import in_thread, own_folder
from ...envs.open_worlds import called
from ...envs.reported import explained
from ...envs.user_code import broken, is_theirs
from ...envs.vocabulary import Reply, StopReason
from ..protocols import Completion, ContextFull, EngineDied, NoReply, PolicyNotFinite
from .asking import Answer, Start, step_world
from .running_conversation import Conversation
from .voices import granted_seconds

STEP_SECONDS = 60.0
EPISODE_SECONDS = 600.0
MOST_THREADS = 256
AWAKE = 1.0  # seconds: a signal that comes just before a thread falls asleep does not wake it, so nobody sleeps longer


@dataclass(frozen=True)
class Patience:
    """Seconds that a world may work before its episode has failed: for one step, and in one episode altogether.

    They are counted from when the world begins to work until it is done. Waiting for a thread, for the model or for
    other episodes is not the world's time, and neither is what its tools may take by limits of their own.
    """

    step: float = field(default_factory=lambda: STEP_SECONDS)
    episode: float = field(default_factory=lambda: EPISODE_SECONDS)


Ask = Callable[[Sequence[Conversation]], "list[Future[Completion] | None]"]
"""The next replies, asked for in one call; None for an episode that has reached a limit and was truncated."""


class WrongVersion(RuntimeError):
    """A reply came from other weights than those for which episodes are collected."""


def lockstep(conversations: Sequence[Conversation], ask: Ask, seconds: dict[str, float]) -> None:
    """Run `conversations` to their ends, a turn of all at a time."""
    _step_worlds(conversations, [conversation.start for conversation in conversations], seconds)
    while waiting := [conversation for conversation in conversations if not conversation.over]:
        look()
        started = time.perf_counter()
        replies = ask(waiting)
        owed = [reply for reply in replies if reply is not None]
        try:
            while wait(owed, timeout=AWAKE).not_done:
                look()
        finally:
            _cancel(owed)
        actions = [
            None if reply is None else _hear(conversation, reply)
            for conversation, reply in zip(waiting, replies, strict=True)
        ]
        _spend(seconds, "infer", started)
        _step_worlds(waiting, actions, seconds)


def _hear(conversation: Conversation, reply: Future[Completion]) -> Reply | None:
    """What the world of `conversation` is to be asked, now that its reply is there.

    Whatever comes instead of a reply is data, as it is with worlds, except a `UserError`: the episode has failed.
    """
    try:
        spoken = reply.result()
    except UserError:
        raise
    except ContextFull as problem:
        if conversation.turns:
            conversation.truncate(StopReason.CONTEXT_LIMIT)
        else:
            conversation.leave_unanswered(str(problem))
        return None
    except Exception as problem:
        if isinstance(problem.__cause__, PolicyNotFinite):
            raise problem.__cause__ from problem
        conversation.fail(
            str(problem)
            if isinstance(problem, EngineDied | NoReply)
            else broken(f"who replies in {called(conversation.world)}", problem)
        )
        return None
    if spoken.version != conversation.version:
        raise WrongVersion(
            f"a reply came from version {spoken.version} of the weights, and these episodes are for version "
            f"{conversation.version}; load them first"
        )
    try:
        return conversation.append_reply(spoken)
    except Exception as problem:
        if isinstance(problem, UserError) or not is_theirs(problem):
            raise
        conversation.fail(broken(called(conversation.world), problem))  # its `read`, which never should
        return None


def _cancel(replies: Iterable[Future[Completion]]) -> None:
    """Nobody waits for them any more. Those that are there already stay."""
    for reply in replies:
        reply.cancel()


def _step_worlds(
    conversations: Sequence[Conversation], actions: Sequence[Reply | Start | None], seconds: dict[str, float]
) -> None:
    """Ask the world of each of `conversations`, and let it hear the answer."""
    started = time.perf_counter()
    actions = _heard_together(conversations, actions)
    answers = _answers([conversation.world for conversation in conversations], actions)
    for conversation, answer in zip(conversations, answers, strict=True):
        conversation.append_messages(answer)
    _spend(seconds, "simulate", started)


def _heard_together(
    conversations: Sequence[Conversation], actions: Sequence[Reply | Start | None]
) -> list[Reply | Start | None]:
    """The actions, once the worlds that judge whole groups have heard them; without those of groups where that fails,
    which have failed."""
    groups: dict[int, list[int]] = {}
    for place, (conversation, action) in enumerate(zip(conversations, actions, strict=True)):
        if conversation.world.judges_groups and isinstance(action, Reply):
            groups.setdefault(conversation.group, []).append(place)
    left = list(actions)
    if not groups:
        return left
    width = conversations[0].world.side_by_side
    with ThreadPoolExecutor(width, thread_name_prefix="world", initializer=own_folder) as pool:
        hear = [partial(_hear_group, [(conversations[n], actions[n]) for n in group]) for group in groups.values()]
        each = pool.map(lambda one: one(), hear) if width > 1 else (one() for one in hear)
        for group, failure in zip(groups.values(), each, strict=True):
            if failure is None:
                continue
            for place in group:
                conversations[place].fail(failure)
                left[place] = None
    return left


def _hear_group(members: Sequence[tuple[Conversation, Any]]) -> str | None:
    """Let the world of the first hear what all say; why that failed, in a sentence."""
    world = members[0][0].world
    try:
        with Contained(called(world)):
            world.hear_together([(conversation.world, reply) for conversation, reply in members])
    except BaseException as error:
        if is_ours(error):
            raise
        return explained(error, called(world))
    return None


def _answers(worlds: Sequence[ConversationEnv], actions: Sequence[Reply | Start | None]) -> Iterator[Answer]:
    """What each world says, in order: one after the other, and from when the first of them is known to bear it, so many
    at once."""
    left = deque(zip(worlds, actions, strict=True))
    while left and worlds[0].side_by_side == 1:
        yield step_world(*left.popleft())
    if left:
        with ThreadPoolExecutor(worlds[0].side_by_side, thread_name_prefix="world", initializer=own_folder) as pool:
            yield from pool.map(step_world, *zip(*left, strict=True))


def independently(
    conversations: Sequence[Conversation], ask: Ask, seconds: dict[str, float], patience: Patience | None = None
) -> None:
    """Run `conversations` to their ends, each at its own pace. Worlds that exhaust `patience` are given up."""
    steps = _Steps(conversations, patience or Patience())
    replies: dict[Future[Completion], int] = {}
    try:
        for key, conversation in enumerate(conversations):
            steps.send(key, conversation.start)
        while steps.running or replies:
            look()
            started = time.perf_counter()
            owed: set[Future[Any]] = {*steps.running, *replies}
            wait(owed, timeout=min(steps.shortest, AWAKE), return_when=FIRST_COMPLETED)
            _spend(seconds, "infer" if replies else "simulate", started)
            for reply in [reply for reply in replies if reply.done()]:
                key = replies.pop(reply)
                steps.send(key, _hear(conversations[key], reply))
            heard = [key for key in steps.answered() if not conversations[key].over]
            for key, asked in zip(heard, ask([conversations[key] for key in heard]), strict=True):
                if asked is None:
                    steps.send(key, None)
                else:
                    replies[asked] = key
    finally:
        _cancel(replies)
        steps.close()


@dataclass
class _Step:
    """One step of a world in a thread of its own. Its clock runs while the world works, and at no other time."""

    conversation: Conversation
    key: int
    action: Reply | Start | None
    limit: float  # seconds that the world may take, and with them those that its tools are granted in this step
    granted: float  # seconds that the tools of this episode, and the world's voices, were granted before
    began: float | None = None
    ended: float | None = None

    def run(self) -> Answer:
        """In the thread."""
        self.began = time.perf_counter()
        try:
            return step_world(self.conversation.world, self.action)
        finally:
            self.ended = time.perf_counter()

    @property
    def taken(self) -> float:
        """Seconds of the world's own so far: what its tools are granted by limits that they keep does not count, nor
        does what its voices take."""
        if self.began is None:
            return 0.0
        elapsed = (self.ended or time.perf_counter()) - self.began
        world = self.conversation.world
        granted = world.granted_seconds + granted_seconds(tuple(world.voices.values()))
        return max(0.0, elapsed - max(0.0, granted - self.granted))


class _Steps:
    """The steps of many worlds: so many at a time in threads, the others in a queue, which costs none of them time."""

    def __init__(self, conversations: Sequence[Conversation], patience: Patience) -> None:
        self._conversations, self._patience = conversations, patience
        self._queue: deque[_Step] = deque()
        self.running: dict[Future[Answer], _Step] = {}  # without those given up, whose threads are lost
        self._spent = [0.0] * len(conversations)  # seconds of the world's own, by episode

    def send(self, key: int, action: Reply | Start | None) -> None:
        """Ask the world of conversation `key`."""
        conversation = self._conversations[key]
        limit = min(self._patience.step, self._patience.episode - self._spent[key])
        granted = 0.0 if isinstance(action, Start) else conversation.world.granted_seconds
        granted += granted_seconds(tuple(conversation.world.voices.values()))
        self._queue.append(_Step(conversation, key, action, limit, granted))
        self._fill()

    @property
    def shortest(self) -> float:
        """Seconds until the first world exhausts its patience, if none answers before; infinite if none is at work."""
        return max(0.0, min((step.limit - step.taken for step in self.running.values()), default=math.inf))

    def answered(self) -> list[int]:
        """The conversations whose worlds have answered, or are given up now."""
        heard = []
        for future, step in list(self.running.items()):
            late = step.taken > step.limit
            if future.done() and not late:
                step.conversation.append_messages(future.result())
            elif late:
                _give_up(step.conversation, future, "the world did not answer in time")
            else:
                continue
            self._spent[step.key] += step.taken
            heard.append(step.key)
            del self.running[future]
        self._fill()
        return heard

    def close(self) -> None:
        """Begin nothing more. What is still at work, where all was broken off, is given up."""
        self._queue.clear()
        for future, step in self.running.items():
            _give_up(step.conversation, future, "nobody waits for the world any more")
        self.running.clear()

    def _fill(self) -> None:
        while self._queue and len(self.running) < MOST_THREADS:
            step = self._queue.popleft()
            self.running[in_thread(step.run, "world")] = step


def _give_up(conversation: Conversation, step: Future[Answer], reason: str) -> None:
    conversation.abandon(reason)
    step.add_done_callback(partial(_end_late, conversation))


def _end_late(conversation: Conversation, _: Future[Answer]) -> None:
    """In the thread that was stuck in the world: nobody else has that world any more."""
    step_world(conversation.world, None)


def _spend(seconds: dict[str, float], name: str, since: float) -> None:
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - since
