"""How many conversations take turns: together, or each as it comes.

in_turns       all that wait are answered, then all worlds are stepped (in place, or where they compute elsewhere, in
               threads), and so on. The same requests are in one batch every time, so a run repeats bit for bit.
as_they_come   worlds are stepped in threads; whoever is answered goes on. No episode waits for another's tool, and
               one that hangs costs only itself. What is sampled depends on the others only through rounding.

Either way, the world of an episode that is cut from outside is told, so that what it holds ends with the episode.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial

from ...envs.vocabulary import Reply
from ..protocols import Request, Speaker, Spoken
from .running_conversation import Answer, Conversation, ask_world

STEP_SECONDS = 60.0  # that a world may take for one step
EPISODE_SECONDS = 600.0  # that an episode may take in all
MOST_THREADS = 256

Ask = Callable[[Conversation], Request | None]


def in_turns(
    talks: Sequence[Conversation], speaker: Speaker, ask: Ask, greedy: bool, seconds: dict[str, float]
) -> None:
    """Run `talks` to their ends, a turn of all at a time."""
    with ExitStack() as stack:
        each: Callable[..., Iterable[Answer]] = map
        if talks and (threads := talks[0].world.side_by_side) > 1:
            each = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="world")).map
        _hear(talks, [talk.seed for talk in talks], each, seconds)
        while True:
            started = time.perf_counter()
            waiting = {key: talk for key, talk in enumerate(talks) if not talk.over}
            for key, talk in waiting.items():
                request = ask(talk)
                if request is not None:
                    speaker.admit(key, request)
            spoken: dict[int, Spoken] = {}
            while speaker.busy:
                spoken |= dict(speaker.step(greedy=greedy))
            actions = [talk.say(spoken[key]) if key in spoken else None for key, talk in waiting.items()]
            _spend(seconds, "infer", started)
            _hear(list(waiting.values()), actions, each, seconds)
            if not spoken:
                return


def _hear(
    talks: Sequence[Conversation],
    actions: Sequence[Reply | int | None],
    each: Callable[..., Iterable[Answer]],
    seconds: dict[str, float],
) -> None:
    """Ask the world of each of `talks`, and let it hear the answer."""
    started = time.perf_counter()
    answers = each(lambda talk, action: ask_world(talk.world, action, talk.split), talks, actions)
    for talk, answer in zip(talks, answers, strict=True):
        talk.hear(answer)
    _spend(seconds, "simulate", started)


def as_they_come(
    talks: Sequence[Conversation], speaker: Speaker, ask: Ask, greedy: bool, seconds: dict[str, float]
) -> None:
    """Run `talks` to their ends, each at its own pace."""
    began = time.perf_counter()
    pool = ThreadPoolExecutor(min(MOST_THREADS, len(talks)), thread_name_prefix="world")
    stepping: dict[Future[Answer], tuple[int, float]] = {}  # the talk's number and when its patience ends

    def send(key: int, action: Reply | int | None) -> None:
        talk = talks[key]
        future = pool.submit(ask_world, talk.world, action, talk.split)
        deadline = min(time.perf_counter() + STEP_SECONDS, began + EPISODE_SECONDS)
        stepping[future] = (key, deadline)

    try:
        for key, talk in enumerate(talks):
            send(key, talk.seed)
        while stepping or speaker.busy:
            started = time.perf_counter()
            for key, spoken in speaker.step(greedy=greedy) if speaker.busy else ():
                send(key, talks[key].say(spoken))
            _spend(seconds, "infer", started)
            started = time.perf_counter()
            for key in _answered(talks, stepping, block=not speaker.busy):
                if talks[key].over:
                    continue
                request = ask(talks[key])
                if request is None:
                    send(key, None)
                else:
                    speaker.admit(key, request)
            _spend(seconds, "simulate", started)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _answered(
    talks: Sequence[Conversation], stepping: dict[Future[Answer], tuple[int, float]], *, block: bool
) -> list[int]:
    """The talks whose worlds have answered or have been given up; waits for the first one where `block`."""
    if not stepping:
        return []
    patience = min(deadline for _, deadline in stepping.values()) - time.perf_counter()
    done, _ = wait(stepping, timeout=max(0.0, patience) if block else 0.0, return_when=FIRST_COMPLETED)
    now = time.perf_counter()
    heard = []
    for future, (key, deadline) in list(stepping.items()):
        if future in done:
            talks[key].hear(future.result())
        elif now >= deadline:
            talk = talks[key]
            talk.abandon("the world did not answer in time")
            future.add_done_callback(partial(_end_late, talk))
        else:
            continue
        heard.append(key)
        del stepping[future]
    return heard


def _end_late(talk: Conversation, _: Future[Answer]) -> None:
    """In the thread that was stuck in the world: nobody else has that world any more."""
    ask_world(talk.world, None, talk.split)


def _spend(seconds: dict[str, float], name: str, since: float) -> None:
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - since
