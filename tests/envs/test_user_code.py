"""What code of a user's raises is told in a sentence that names the place, with the user's lines and none of ours."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from gymnasium.spaces import Box

from peripatos.envs.conversation import Outcome
from peripatos.envs.reported import explained, number
from peripatos.envs.user_code import described, is_theirs

HERE = "test_user_code.py"


class Nasty(Exception):
    def __str__(self) -> str:
        raise RuntimeError("nothing to read")


def dig() -> float:
    return 1 / 0


def step() -> object:
    return dig()


def nasty() -> None:
    raise Nasty


def leave() -> None:
    raise SystemExit(3)


def interrupt() -> None:
    raise KeyboardInterrupt


def multiply() -> object:
    return np.zeros((2, 3)) @ np.zeros((2, 3))


def in_a_library() -> object:
    return Box(1.0, -1.0, (2,))


def in_ours() -> object:
    return Outcome("a", termz={})  # type: ignore[call-arg]


def evaluate() -> object:
    return eval("1 +")


def recurse() -> object:
    return recurse()


def chain() -> object:
    try:
        return dig()
    except ZeroDivisionError as error:
        raise ValueError("two\nlines") from error


def shout() -> None:
    raise RuntimeError("a" * 1_000_000)


def many() -> None:
    raise ExceptionGroup("both", [ValueError("one"), ValueError("two")])


def stop() -> None:
    raise StopIteration


def fail(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("it raises")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            step,
            r"my:Maze failed in step \(.*, line 25\): ZeroDivisionError: division by zero\n.*\n.*in dig: return 1 / 0",
        ),
        (nasty, r"failed in nasty \(.*\): Nasty: its text cannot be read \(RuntimeError\)"),
        (leave, r"failed in leave \(.*\): it ends the program \(sys\.exit\(3\)\)"),
        (interrupt, r"failed in interrupt \(.*\): KeyboardInterrupt\n"),
        (multiply, r"failed in multiply \(.*\): ValueError: matmul"),
        (in_a_library, r"failed in in_a_library \(.*, line 49\): ValueError"),
        (in_ours, r"failed in in_ours \(.*\): TypeError: .*termz"),
        (evaluate, r"failed in evaluate \(.*\): SyntaxError: invalid syntax"),
        (recurse, r"failed in recurse \(.*\): RecursionError"),
        (chain, r"failed in chain \(.*\): ValueError: two lines\n"),
        (shout, r"failed in shout \(.*\): RuntimeError: a{1999}…\n"),
        (many, r"failed in many \(.*\): ExceptionGroup: both \(2 sub-exceptions\)"),
        (stop, r"failed in stop \(.*\): StopIteration\n"),
        (lambda: number("good", "the reward"), r"^my:Maze: the reward is 'good', not a number$"),
    ],
)
def test_what_breaks_in_an_episode_names_the_world_the_callback_the_error_and_the_line(
    function: Callable[[], object], words: str
) -> None:
    error = fail(function)
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # as caught where the world was called
    told = explained(error, "my:Maze")
    assert re.search(words, told), told
    head, *lines = told.splitlines()
    assert all(HERE in line for line in lines), "lines of the user's, and of nobody else"
    assert len(lines) <= 3
    assert "Traceback" not in head


def test_an_error_of_ours_alone_is_not_the_users_and_shows_no_line_of_ours() -> None:
    error = fail(lambda: number("good", "the reward"))
    while error.__traceback__ and HERE in error.__traceback__.tb_frame.f_code.co_filename:
        error.__traceback__ = error.__traceback__.tb_next  # without this test's own frames
    assert not is_theirs(error)
    assert described(error) == "BadReport: the reward is 'good', not a number"


def test_the_name_of_a_world_that_nobody_closes_goes_with_it() -> None:
    import gc

    import gymnasium

    from peripatos.envs import open_worlds

    before = len(open_worlds._names)
    world = open_worlds.claim(gymnasium.Env(), "mine")
    assert open_worlds.called(world) == "mine"
    del world
    gc.collect()
    assert len(open_worlds._names) <= before
