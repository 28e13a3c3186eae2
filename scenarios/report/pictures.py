"""Pictures of a world while it is filmed; where it gives none, whose fault that is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np

from ...envs.contained import Contained, is_ours
from ...envs.errors import UserError
from ...envs.reported import explained
from ...envs.user_code import is_raised_there

_LEAST_SIDE = 16  # pixels
_WANTED = '[height, width, 3] of uint8 for render_mode "rgb_array"'


@contextmanager
def filmed(name: str) -> Iterator[None]:
    """Where code of the world `name` runs for a film: whatever it raises is a UserError that names it."""
    try:
        with Contained(name):
            yield
    except BaseException as error:
        if is_ours(error):
            raise
        raise UserError(explained(error, name)) from error


class Camera:
    """Takes pictures of `env`, the world `name`: all of one size.

    UserError for a class that draws nothing.
    """

    def __init__(self, name: str, env: gymnasium.Env[Any, Any]) -> None:
        self._name, self._env = name, env
        self._size: tuple[int, ...] = ()
        if type(env.unwrapped).render is gymnasium.Env.render:
            words = f"write one that gives a picture {_WANTED}"
            raise UserError(f"world {name!r} cannot be filmed, because its class has no method render: {words}")

    @property
    def fps(self) -> float:
        """Pictures a second, which are steps of the world, as the world's metadata say; 30 where they say nothing."""
        given = self._env.metadata.get("render_fps") or 30
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= 1000:
            allowed = "allowed is a number above 0, up to 1000"
            raise UserError(f'world {self._name!r}: metadata["render_fps"] is {given!r:.80}; {allowed}')
        return float(given)

    def picture(self) -> np.ndarray:
        """The world as it is now [height, width, 3 or 4] uint8. UserError says whether the world has failed, or the
        machine."""
        try:
            picture = self._env.render()
        except (gymnasium.error.DependencyNotInstalled, ImportError) as problem:
            raise _no_machine(problem) from problem
        except (RuntimeError, OSError, AttributeError) as problem:
            if is_raised_there(problem):
                raise
            raise _no_machine(problem) from problem
        if not isinstance(picture, np.ndarray):
            shown = picture if picture is None else f"a {type(picture).__name__}"
            raise UserError(f"render gives {shown}; what is filmed are pictures {_WANTED}")
        fits = picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] in (3, 4)
        if not fits or min(picture.shape[:2]) < _LEAST_SIDE:
            shown = f"{list(picture.shape)} of {picture.dtype}"
            wanted = f"{_WANTED}, with sides of {_LEAST_SIDE} or more"
            raise UserError(f"render gives a picture {shown}; what is filmed are pictures {wanted}")
        self._size = self._size or picture.shape
        if picture.shape != self._size:
            raise UserError(f"render gives a picture {list(picture.shape)} after one of {list(self._size)}")
        return np.ascontiguousarray(picture)


def _no_machine(problem: BaseException) -> UserError:
    return UserError(
        f"this machine cannot render it: {problem}. Without a display MuJoCo needs EGL or OSMesa "
        "(Debian: apt-get install libegl1, or libosmesa6 with MUJOCO_GL=osmesa); classic control needs pygame"
    )
