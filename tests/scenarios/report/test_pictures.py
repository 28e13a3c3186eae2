"""Where a film cannot be made: a sentence that says whether the world is to be mended, or the machine."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from peripatos.envs.errors import UserError
from peripatos.scenarios.report.pictures import Camera
from peripatos.scenarios.report.shots import ActsAtRandom, Shot, film_episode
from peripatos.scenarios.run.display import make_display

GREY = np.full((40, 60, 3), 100, np.uint8)
ANSWER = (np.zeros(2, np.float32), 1.0, False, False, {})


class Silent(gymnasium.Env[Any, Any]):
    """Three steps, and nothing to be seen."""

    observation_space, action_space = Box(-1, 1, (2,), np.float32), Discrete(2)
    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, answer: Callable[[int], Any] = lambda age: (*ANSWER[:2], age == 3, *ANSWER[3:])) -> None:
        self.answer, self.age = answer, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.age = 0
        return ANSWER[0], {}

    def step(self, action: Any) -> Any:
        self.age += 1
        return self.answer(self.age)


class Draws(Silent):
    def __init__(self, draw: Callable[[int], Any], **more: Any) -> None:
        super().__init__(**more)
        self.draw = draw

    def render(self) -> Any:
        return self.draw(self.age)


def film(world: Silent) -> list[Shot]:
    act, display = ActsAtRandom(world.action_space, 0), make_display(quiet=True)
    return list(film_episode("mine:World", world, act, Camera("mine:World", world), seed=0, most=9, display=display))


def raises(error: BaseException) -> Callable[[int], Any]:
    def broken(age: int) -> Any:
        raise error

    return broken


FAULTS = {
    "no render": (Silent(), "'mine:World' cannot be filmed, because its class has no method render: write one that"),
    "None": (Draws(lambda age: None), "mine:World: render gives None; what is filmed are pictures [height, width, 3]"),
    "a list": (Draws(lambda age: [GREY]), "mine:World: render gives a list; what"),
    "floats": (Draws(lambda age: GREY / 255.0), "gives a picture [40, 60, 3] of float64"),
    "integers": (Draws(lambda age: GREY.astype(np.int64)), "gives a picture [40, 60, 3] of int64"),
    "grey": (Draws(lambda age: GREY[..., 0]), "gives a picture [40, 60] of uint8"),
    "channels first": (Draws(lambda age: GREY.transpose(2, 0, 1)), "gives a picture [3, 40, 60] of uint8"),
    "nothing": (Draws(lambda age: GREY[:0]), "gives a picture [0, 60, 3] of uint8"),
    "one pixel": (Draws(lambda age: GREY[:1, :1]), "with sides of 16 or more"),
    "growing": (Draws(lambda age: np.repeat(GREY, age, 0)), "gives a picture [80, 60, 3] after one of [40, 60, 3]"),
    "a bug": (Draws(lambda age: 1 / 0), "mine:World failed in render ("),
    "no attribute": (Draws(raises(AttributeError("no lamp"))), "mine:World failed in render"),
    "a message": (Draws(raises(RuntimeError("my window is closed"))), "RuntimeError: my window is closed"),
    "the end": (Draws(raises(SystemExit(3))), "it ends the program (sys.exit(3))"),
    "step": (Draws(lambda age: GREY, answer=raises(KeyError("x"))), "mine:World failed in step"),
    "four values": (Draws(lambda age: GREY, answer=lambda age: ANSWER[:4]), "mine:World: step gave 4 values"),
    "no reward": (Draws(lambda age: GREY, answer=lambda age: (ANSWER[0], None, *ANSWER[2:])), "the reward is None"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_world_that_cannot_be_filmed_is_named_with_its_fault(name: str) -> None:
    world, words = FAULTS[name]
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        film(world)
    assert "this machine" not in str(caught.value)


@pytest.mark.parametrize(
    "draw",
    [
        lambda age: ctypes.CDLL("libno_such_thing_at_all.so"),
        raises(ImportError("No module named 'pygame'")),
        raises(gymnasium.error.DependencyNotInstalled("pygame is not installed")),
    ],
)
def test_a_library_that_is_missing_or_has_no_display_is_the_machines_fault(draw: Callable[[int], Any]) -> None:
    with pytest.raises(UserError, match=r"mine:World: this machine cannot render it: .*EGL or OSMesa"):
        film(Draws(draw))


def test_what_can_be_filmed_is_and_a_world_without_a_rate_has_thirty_pictures_a_second() -> None:
    world = Draws(lambda age: np.dstack([GREY, GREY[..., 0]]))
    assert [shot.total for shot in film(world)] == [1.0, 2.0, 3.0]
    for given, fps in {10: 10, None: 30, 0: 30, 0.2: 0.2, 29.97: 29.97}.items():
        world.metadata = {"render_fps": given}
        assert Camera("w", world).fps == fps
    for given in ("thirty", -1, float("nan"), 10**6, True):
        world.metadata = {"render_fps": given}
        with pytest.raises(UserError, match=r'metadata\["render_fps"\] is .*; allowed is a number above 0'):
            _ = Camera("w", world).fps
