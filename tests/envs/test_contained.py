"""A world that sleeps is named, is broken off where time is up, and leaves no thread and no handler behind."""

from __future__ import annotations

import builtins
import contextlib
import signal
import sys
import threading
import time
from collections import Counter

import pytest
from processes import soon

from peripatos.envs import contained
from peripatos.envs.contained import Contained, TimeIsUp, busy, look, watch


def test_a_world_is_named_after_ten_seconds() -> None:
    assert contained.PATIENCE == 10.0


class Clock:
    """Seconds that pass when a test says so, and not before every watch has looked at them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.looks: Counter[int] = Counter()

    def monotonic(self) -> float:
        if threading.current_thread().name == "watch":
            self.looks[threading.get_ident()] += 1
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds
        before, watches = Counter(self.looks), [t.ident for t in threading.enumerate() if t.name == "watch"]
        # a look may have begun before: the one that counts is the next
        assert soon(lambda: all(self.looks[watch] > before[watch] + 1 for watch in watches if watch is not None))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(contained, "time", clock)
    monkeypatch.setattr(contained, "_LOOKS", 0.01)
    return clock


def test_a_world_that_sleeps_is_named_once_and_one_that_is_quick_is_not(clock: Clock) -> None:
    said: list[str] = []
    with watch(said.append):
        for _ in range(8):
            with Contained("quick"):
                clock.passes(9.0)
        assert not said
        with Contained("sleeper"):
            for _ in range(4):
                clock.passes(11.0)
    assert said == ["waiting for sleeper since 11 s"]


def test_a_world_that_sleeps_in_another_thread_is_named_too(clock: Clock) -> None:
    said: list[str] = []

    def work() -> None:
        with Contained("elsewhere"):
            clock.passes(11.0)

    with watch(said.append):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert said == ["waiting for elsewhere since 11 s"]


def test_of_two_watches_the_inner_one_speaks(clock: Clock) -> None:
    outer: list[str] = []
    inner: list[str] = []
    with watch(outer.append), watch(inner.append), Contained("sleeper"):
        clock.passes(11.0)
    assert not outer
    assert len(inner) == 1


def test_a_world_that_sleeps_when_time_is_up_is_broken_off() -> None:
    begun = time.monotonic()
    with pytest.raises(TimeIsUp), watch(deadline=lambda: begun + 0.5), Contained("sleeper"):
        time.sleep(60)
    assert time.monotonic() - begun < 50
    assert busy() is None


def test_what_is_no_world_is_not_broken_off_and_a_look_between_steps_is() -> None:
    begun = time.monotonic()
    with watch(deadline=lambda: begun + 0.2):
        time.sleep(1.0)  # such as an update, which is paid for
        with pytest.raises(TimeIsUp):
            look()
    look()  # outside there is no deadline


def test_no_thread_and_no_handler_is_left_however_it_ends() -> None:
    threads, handler = set(threading.enumerate()), signal.getsignal(signal.SIGUSR2)
    for error in (None, ValueError, TimeIsUp, KeyboardInterrupt):
        watched = watch(lambda text: None, deadline=lambda: None)
        with contextlib.suppress(ValueError, TimeIsUp, KeyboardInterrupt), watched:
            assert len(set(threading.enumerate()) - threads) == 1
            if error is not None:
                raise error
        assert not set(threading.enumerate()) - threads
        assert signal.getsignal(signal.SIGUSR2) is handler


@pytest.mark.parametrize("kept", [list, tuple], ids=["emptied", "replaced"])
def test_what_a_world_took_from_the_path_and_its_open_are_put_back_and_what_it_added_stays(
    kept: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    before, opens = list(sys.path), builtins.open
    with Contained("greedy"):
        sys.path = kept(())
        builtins.open = lambda *given, **named: opens(*given, **named)
    assert (sys.path, builtins.open) == (before, opens)
    with Contained("its modules lie elsewhere"):
        sys.path.append("elsewhere")
    assert sys.path == [*before, "elsewhere"]
