"""A symmetry that a world declares: what its mirror image sees and does.

    M s = σ ∘ s[π],    M M s = s          π swaps pairs, σ are signs

It says that a mirrored state under a mirrored action gives the mirrored next state and the same reward:

    P(Ms' | Ms, Ma) = P(s' | s, a),    r(Ms, Ma) = r(s, a)    ⇒    V*(Ms) = V*(s)

Any Gymnasium environment or wrapper may declare one, as an attribute `symmetry` (van der Pol et al. 2020, arXiv
2006.16908, "MDP homomorphic networks"). Left out: groups of more than two, and pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, Protocol, SupportsIndex, runtime_checkable

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete

from ..errors import UserError
from ..time_limits import OWN_WRAPPERS
from .flat_spaces import Actions, Observations

_SIGNS = (-1, 1)


@dataclass(frozen=True)
class Mirror:
    """M of rows of numbers: entry i of the image is `signs[i]` times entry `order[i]`; lists and arrays are taken too.
    `UserError` where order is no permutation, a sign is neither 1 nor −1, or the image of the image is another."""

    order: tuple[int, ...]
    signs: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("order", "signs"):
            object.__setattr__(self, name, _whole(f"the {name} of a mirror", getattr(self, name)))
        size = len(self.order)
        if sorted(self.order) != list(range(size)):
            raise UserError(f"the order of a mirror is {list(self.order)}, which is no permutation of 0 to {size - 1}")
        if len(self.signs) != size or not set(self.signs) <= set(_SIGNS):
            raise UserError(f"the signs of a mirror are {list(self.signs)}; allowed are {size} of 1 and -1")
        for i, j in enumerate(self.order):
            if self.order[j] != i or self.signs[j] != self.signs[i]:
                raise UserError(
                    f"mirrored twice, number {i} is not itself: swap pairs, and give both of a pair the same sign"
                )

    @classmethod
    def of(cls, size: int, *, swapped: Sequence[tuple[int, int]] = (), negated: Sequence[int] = ()) -> Mirror:
        """That of `size` numbers in which these pairs change places and these change their signs."""
        try:
            size, pairs = index(size), [(index(one), index(other)) for one, other in swapped]
            turned = [index(number) for number in negated]
        except (TypeError, ValueError):
            given = f"size {size!r:.40}, swapped {swapped!r:.80}, negated {negated!r:.80}"
            allowed = "a whole number, pairs of them as in [(0, 1)], and a list of them as in [2]"
            raise UserError(f"a mirror of {given}; allowed are {allowed}") from None
        order, signs = list(range(size)), [1] * size
        for number in (*(one for pair in pairs for one in pair), *turned):
            if not 0 <= number < size:
                raise UserError(f"a mirror names number {number}; there are 0 to {size - 1}")
        for one, other in pairs:
            order[one], order[other] = other, one
        for number in turned:
            signs[number] = -1
        return cls(tuple(order), tuple(signs))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The image of rows [..., size], in their own type."""
        return x[..., list(self.order)] * np.asarray(self.signs, x.dtype)


@dataclass(frozen=True)
class Symmetry:
    """The mirrors of what is seen (flat, as agents see it) and done: of the numbers of a Box, or of the choices of a
    Discrete space counted from zero, which have no signs."""

    observation: Mirror
    action: Mirror

    def __post_init__(self) -> None:
        for name in ("observation", "action"):
            if not isinstance(given := getattr(self, name), Mirror):
                wanted = "a Mirror, as Mirror.of(3, swapped=[(0, 1)], negated=[2])"
                raise UserError(f"the {name} of a Symmetry is {given!r:.80}; give {wanted}")


@runtime_checkable
class Symmetric(Protocol):
    """A world that may have a symmetry."""

    symmetry: Symmetry | None


@runtime_checkable
class Mirrorable(Protocol):
    """A world whose state can be set."""

    def broken_numbers(self) -> np.ndarray | None:
        """Which numbers of what is seen a mirrored step does not keep, D standing for the reward; None where that
        cannot be told."""
        ...


def declared_symmetry(name: str, world: gym.Env[Any, Any]) -> Symmetry | None:
    """What `world` declares, or the outermost wrapper that does; None where a wrapper that says nothing of it stands
    before whoever does, for it may have changed what is seen. UserError where it does not fit the world's spaces."""
    inside: gym.Env[Any, Any] = world
    while not isinstance(inside, Symmetric) and isinstance(inside, gym.Wrapper):
        if type(inside) not in OWN_WRAPPERS:
            return None
        inside = inside.env
    symmetry = inside.symmetry if isinstance(inside, Symmetric) else None
    if symmetry is not None:
        _check_fits(f"world {name!r}", symmetry, world)
    return symmetry


def _check_fits(name: str, symmetry: Symmetry, world: gym.Env[Any, Any]) -> None:
    if not isinstance(symmetry, Symmetry):
        wanted = f"{Symmetry.__module__}.{Symmetry.__name__}"
        raise UserError(f"{name} declares the symmetry {symmetry!r:.80}; give a {wanted}, or None")
    seen, done, mirror = Observations(world.observation_space), world.action_space, symmetry.action
    if seen.pictures or seen.size != len(symmetry.observation.order):
        what = "pictures" if seen.pictures else f"{seen.size} numbers"
        raise UserError(
            f"{name} declares a symmetry of {len(symmetry.observation.order)} numbers that are seen, and shows {what}"
        )
    if isinstance(done, Discrete):
        choices, fits = int(done.n), set(mirror.signs) == {1}
    elif isinstance(done, Box):
        choices = Actions(done).size
        fits = choices == len(mirror.order) and _keeps(mirror, done.low.ravel(), done.high.ravel())
    else:
        raise UserError(f"{name} declares a symmetry, and its actions are {done}; allowed are Box and Discrete")
    if choices != len(mirror.order) or not fits:
        raise UserError(f"{name} declares a symmetry of {len(mirror.order)} actions, whose images {done} does not hold")


def _whole(what: str, given: Iterable[SupportsIndex]) -> tuple[int, ...]:
    """Whole numbers in a row. `UserError` where there is something else."""
    try:
        return tuple(map(index, given))
    except TypeError:
        raise UserError(f"{what} is {given!r:.80}; allowed are whole numbers in a row") from None


def _keeps(mirror: Mirror, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether the image of what lies between the bounds is all that lies between them."""
    corners = mirror(low), mirror(high)
    return np.array_equal(np.minimum(*corners), low) and np.array_equal(np.maximum(*corners), high)
