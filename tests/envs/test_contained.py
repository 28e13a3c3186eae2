"""A world that sleeps is named, is broken off where time is up, and leaves no thread and no handler behind."""

from __future__ import annotations

import builtins
import contextlib
import signal
import sys
import threading
import time

import pytest

from peripatos.envs import contained
from peripatos.envs.contained import Contained, TimeIsUp, busy, look, watch


def test_a_world_is_named_after_ten_seconds() -> None:
    assert contained.PATIENCE == 10.0


def test_a_world_that_sleeps_is_named_once_and_one_that_is_quick_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contained, "PATIENCE", 0.5)
    said: list[str] = []
    with watch(said.append):
        for _ in range(8):
            with Contained("quick"):
                time.sleep(0.1)
        assert not said
        with Contained("sleeper"):
            time.sleep(1.5)
    assert len(said) == 1
    assert said[0].startswith("waiting for sleeper since ")


def test_a_world_that_sleeps_in_another_thread_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contained, "PATIENCE", 0.3)
    said: list[str] = []

    def work() -> None:
        with Contained("elsewhere"):
            time.sleep(1.0)

    with watch(said.append):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert [text.partition(" since")[0] for text in said] == ["waiting for elsewhere"]


def test_of_two_watches_the_inner_one_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contained, "PATIENCE", 0.3)
    outer: list[str] = []
    inner: list[str] = []
    with watch(outer.append), watch(inner.append), Contained("sleeper"):
        time.sleep(1.0)
    assert not outer
    assert len(inner) == 1


def test_a_world_that_sleeps_when_time_is_up_is_broken_off() -> None:
    begun = time.monotonic()
    with pytest.raises(TimeIsUp), watch(deadline=lambda: begun + 0.5), Contained("sleeper"):
        time.sleep(60)
    assert time.monotonic() - begun < 10
    assert busy() is None


def test_what_is_no_world_is_not_broken_off_and_a_look_between_steps_is() -> None:
    begun = time.monotonic()
    with watch(deadline=lambda: begun + 0.2):
        time.sleep(1.0)  # such as an update, which is paid for
        with pytest.raises(TimeIsUp):
            look()
    look()  # outside there is no deadline


def test_no_thread_and_no_handler_is_left_however_it_ends() -> None:
    threads, handler = threading.active_count(), signal.getsignal(signal.SIGUSR2)
    for error in (None, ValueError, TimeIsUp, KeyboardInterrupt):
        watched = watch(lambda text: None, deadline=lambda: None)
        with contextlib.suppress(ValueError, TimeIsUp, KeyboardInterrupt), watched:
            assert threading.active_count() == threads + 1
            if error is not None:
                raise error
        assert threading.active_count() == threads
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
