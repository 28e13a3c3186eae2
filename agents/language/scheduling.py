"""How many conversations take turns: in lockstep, or each independently of the others.

lockstep        all that wait are answered, then all worlds are stepped (in place, or where they compute elsewhere, in
                threads), and so on. The same requests are in one batch every time, so a run repeats bit for bit.
independently   worlds are stepped in threads; whoever is answered goes on. No episode waits for another's tool, and
                one that hangs costs only itself. Which requests meet in a batch depends on the clock, and
                through rounding so do the last digits, in bf16 now and then a token: no repeating bit for bit.

Either way, the world of an episode that is cut from outside is told, so that what it holds ends with the episode.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial

from ...envs.vocabulary import Reply
from ..protocols import Completion, Engine, Request
from .running_conversation import Answer, Conversation, step_world

STEP_SECONDS = 60.0  # that a world may take for one step
EPISODE_SECONDS = 600.0  # that an episode may take in all
MOST_THREADS = 256

NextRequest = Callable[[Conversation], Request | None]


def lockstep(
    conversations: Sequence[Conversation], engine: Engine, ask: NextRequest, greedy: bool, seconds: dict[str, float]
) -> None:
    """Run `conversations` to their ends, a turn of all at a time."""
    with ExitStack() as stack:
        each: Callable[..., Iterable[Answer]] = map
        if conversations and (threads := conversations[0].world.side_by_side) > 1:
            each = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="world")).map
        _step_worlds(conversations, [conversation.seed for conversation in conversations], each, seconds)
        while True:
            started = time.perf_counter()
            waiting = {key: conversation for key, conversation in enumerate(conversations) if not conversation.over}
            for key, conversation in waiting.items():
                request = ask(conversation)
                if request is not None:
                    engine.submit(key, request)
            spoken: dict[int, Completion] = {}
            while engine.busy:
                spoken |= dict(engine.step(greedy=greedy))
            actions = [
                conversation.append_reply(spoken[key]) if key in spoken else None
                for key, conversation in waiting.items()
            ]
            _spend(seconds, "infer", started)
            _step_worlds(list(waiting.values()), actions, each, seconds)
            if not spoken:
                return


def _step_worlds(
    conversations: Sequence[Conversation],
    actions: Sequence[Reply | int | None],
    each: Callable[..., Iterable[Answer]],
    seconds: dict[str, float],
) -> None:
    """Ask the world of each of `conversations`, and let it hear the answer."""
    started = time.perf_counter()
    answers = each(
        lambda conversation, action: step_world(conversation.world, action, conversation.split), conversations, actions
    )
    for conversation, answer in zip(conversations, answers, strict=True):
        conversation.append_messages(answer)
    _spend(seconds, "simulate", started)


def independently(
    conversations: Sequence[Conversation], engine: Engine, ask: NextRequest, greedy: bool, seconds: dict[str, float]
) -> None:
    """Run `conversations` to their ends, each at its own pace."""
    began = time.perf_counter()
    pool = ThreadPoolExecutor(min(MOST_THREADS, len(conversations)), thread_name_prefix="world")
    stepping: dict[Future[Answer], tuple[int, float]] = {}  # the conversation's number and when its patience ends

    def send(key: int, action: Reply | int | None) -> None:
        conversation = conversations[key]
        future = pool.submit(step_world, conversation.world, action, conversation.split)
        deadline = min(time.perf_counter() + STEP_SECONDS, began + EPISODE_SECONDS)
        stepping[future] = (key, deadline)

    try:
        for key, conversation in enumerate(conversations):
            send(key, conversation.seed)
        while stepping or engine.busy:
            started = time.perf_counter()
            for key, spoken in engine.step(greedy=greedy) if engine.busy else ():
                send(key, conversations[key].append_reply(spoken))
            _spend(seconds, "infer", started)
            started = time.perf_counter()
            for key in _answered(conversations, stepping, block=not engine.busy):
                if conversations[key].over:
                    continue
                request = ask(conversations[key])
                if request is None:
                    send(key, None)
                else:
                    engine.submit(key, request)
            _spend(seconds, "simulate", started)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _answered(
    conversations: Sequence[Conversation], stepping: dict[Future[Answer], tuple[int, float]], *, block: bool
) -> list[int]:
    """The conversations whose worlds have answered or have been given up; waits for the first one where `block`."""
    if not stepping:
        return []
    patience = min(deadline for _, deadline in stepping.values()) - time.perf_counter()
    done, _ = wait(stepping, timeout=max(0.0, patience) if block else 0.0, return_when=FIRST_COMPLETED)
    now = time.perf_counter()
    heard = []
    for future, (key, deadline) in list(stepping.items()):
        if future in done:
            conversations[key].append_messages(future.result())
        elif now >= deadline:
            conversation = conversations[key]
            conversation.abandon("the world did not answer in time")
            future.add_done_callback(partial(_end_late, conversation))
        else:
            continue
        heard.append(key)
        del stepping[future]
    return heard


def _end_late(conversation: Conversation, _: Future[Answer]) -> None:
    """In the thread that was stuck in the world: nobody else has that world any more."""
    step_world(conversation.world, None, conversation.split)


def _spend(seconds: dict[str, float], name: str, since: float) -> None:
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - since
