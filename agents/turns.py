"""How many conversations take turns: together, or each as it comes.

in_turns       all that wait are answered, then all worlds are stepped in place, and so on. The same requests are
               in one batch every time, so a run repeats bit for bit.
as_they_come   worlds are stepped in threads; whoever is answered goes on. No episode waits for another's tool, and
               one that hangs costs only itself. What is sampled depends on the others only through rounding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from ..envs.vocabulary import Reply
from .conversation import Answer, Conversation, ask_world
from .speakers import Request, Speaker, Spoken

STEP_SECONDS = 60.0  # that a world may take for one step
EPISODE_SECONDS = 600.0  # that an episode may take in all
MOST_THREADS = 256

Ask = Callable[[Conversation], Request | None]


def in_turns(
    talks: Sequence[Conversation], speaker: Speaker, ask: Ask, greedy: bool, seconds: dict[str, float]
) -> None:
    """Run `talks` to their ends, a turn of all at a time."""
    started = time.perf_counter()
    for talk in talks:
        talk.hear(ask_world(talk.world, talk.seed, talk.split))
    _spend(seconds, "simulate", started)
    while True:
        started = time.perf_counter()
        waiting = {key: talk for key, talk in enumerate(talks) if not talk.over}
        for key, talk in waiting.items():
            request = ask(talk)
            if request is not None:
                speaker.admit(key, request)
        if not speaker.busy:
            return
        spoken: dict[int, Spoken] = {}
        while speaker.busy:
            spoken |= dict(speaker.step(greedy=greedy))
        _spend(seconds, "infer", started)
        started = time.perf_counter()
        for key in sorted(spoken):
            talk = waiting[key]
            talk.hear(ask_world(talk.world, talk.say(spoken[key]), talk.split))
        _spend(seconds, "simulate", started)


def as_they_come(
    talks: Sequence[Conversation], speaker: Speaker, ask: Ask, greedy: bool, seconds: dict[str, float]
) -> None:
    """Run `talks` to their ends, each at its own pace."""
    began = time.perf_counter()
    pool = ThreadPoolExecutor(min(MOST_THREADS, len(talks)), thread_name_prefix="world")
    stepping: dict[Future[Answer], tuple[int, float]] = {}  # the talk's number and when its patience ends

    def send(key: int, action: Reply | int) -> None:
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
                request = None if talks[key].over else ask(talks[key])
                if request is not None:
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
            talks[key].abandon("the world did not answer in time")
        else:
            continue
        heard.append(key)
        del stepping[future]
    return heard


def _spend(seconds: dict[str, float], name: str, since: float) -> None:
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - since
