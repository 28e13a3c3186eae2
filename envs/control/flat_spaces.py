"""Any Gymnasium space as numbers in a row: what agents see, what they choose, and what batches hold.

    Observations(space)   seen → vector [D + P]: D numbers as `gymnasium.spaces.flatten` makes them, then P pixels
    Actions(space)        stored action → the world's own, and back

A part of an observation is a *picture* where it is of unsigned bytes and has two sides (see `picture_of`); it goes to
the end of the vector, channels first. Parts that nothing can flatten (texts, sequences, graphs) are left out, and
`left_out` names them. An action consists of real numbers and of choices among a few, stored as one of

    Box [A] float32 · Discrete [] · MultiDiscrete [K], both int64 · Tuple(Box, MultiDiscrete) [A + K] float32

in the order in which a nested space holds them. Whole numbers within bounds are choices; where there are too many of
them they are real numbers, rounded. Left out: `OneOf` actions, and floats as pictures.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text, Tuple
from gymnasium.spaces.utils import flatdim, flatten, unflatten

from ..errors import UnsupportedWorld
from ..reported import BadReport, observed
from .pictures import Picture, picture_of

Path: TypeAlias = tuple[str | int, ...]
StoredActions: TypeAlias = Box | Discrete | MultiDiscrete | Tuple
_MOST_CHOICES = 1024  # in all, of one part with whole numbers; beyond, a number is drawn and rounded
EXACT = 2.0**53  # whole numbers up to here are floats


@dataclass(frozen=True)
class _Part:
    """A space inside of a nested one, and the keys that lead to it."""

    path: Path
    space: Space[Any]

    @property
    def name(self) -> str:
        return "/".join(map(str, self.path))


def _parts(space: Space[Any], path: Path = ()) -> Iterator[_Part]:
    """What is inside of dictionaries and tuples, in their order."""
    if isinstance(space, Dict | Tuple):
        inside = space.spaces.items() if isinstance(space, Dict) else enumerate(space.spaces)
        for key, one in inside:
            yield from _parts(one, (*path, key))
    else:
        yield _Part(path, space)


def _can_be_flattened(space: Space[Any]) -> bool:
    """Not texts: Gymnasium would make numbers of their letters."""
    try:
        return space.is_np_flattenable and flatdim(space) >= 0 and not isinstance(space, Text)
    except (NotImplementedError, ValueError):  # a class of somebody's own, of which Gymnasium knows nothing
        return False


class Observations:
    """Observations of a `space` as float32 vectors [size]: `numbers` of any kind, then `pixels`."""

    def __init__(self, space: Space[Any]) -> None:
        self._all = parts = list(_parts(space))
        seen = [(part, picture_of(part.space)) for part in parts if _can_be_flattened(part.space)]
        self._vectors = [part for part, picture in seen if picture is None]
        self._seen = [(part, picture) for part, picture in seen if picture is not None]
        self._space = space
        self._is_box = isinstance(space, Box) and bool(self._vectors)
        self.pictures = [picture.size for _, picture in self._seen]  # channels, height, width of each
        self.left_out = {part.name: part.space for part in parts if not _can_be_flattened(part.space)}
        self.numbers = sum(flatdim(part.space) for part in self._vectors)
        self.pixels = sum(math.prod(size) for size in self.pictures)
        self.size = self.numbers + self.pixels

    @property
    def box(self) -> Box:
        """The space of the vectors; it knows no bounds, for nobody asks."""
        return Box(-np.inf, np.inf, (self.size,), np.float32)

    def named_pictures(self) -> dict[str, tuple[int, int, int]]:
        """The pictures by their names inside of the observation; "" where it is nothing else."""
        return {part.name: picture.size for part, picture in self._seen}

    def named_numbers(self) -> dict[str, Space[Any]]:
        """The other parts by their names."""
        return {part.name: part.space for part in self._vectors}

    def flat(self, seen: Any) -> np.ndarray:
        """`seen` as a vector [size] float32. BadReport where it is not of the space."""
        if self._is_box:
            return observed(seen, self._space.shape or (), "it").ravel()
        vectors = [_flat_numbers(part, _at(seen, part)) for part in self._vectors]
        pictures = [_flat_pixels(part, picture, _at(seen, part)) for part, picture in self._seen]
        return np.concatenate([np.zeros(0, np.float32), *vectors, *pictures])

    def misfit(self, seen: Any) -> str | None:
        """What of `seen` is not as its space says, or not as agents see it; None if all is. BadReport as of `flat`."""
        self.flat(seen)
        if _is_in(self._space, seen):
            return next(filter(None, (_merged(part, _at(seen, part)) for part in self._vectors)), None)
        for part in self._all:
            value = _at(seen, part)
            if not _is_in(part.space, value):
                return f"it observed {_unlike(part.space, value)}{_inside(part)}; its space says {part.space}"
        return f"it observed {seen!r:.120}, which has other parts than its space {self._space}"

    def own(self, vector: np.ndarray) -> Any:
        """A vector as the world gave it, without what is left out; a Box that is no picture stays a vector."""
        if self._is_box:
            return vector
        found: dict[Path, Any] = {}
        at = 0
        for part in self._vectors:
            size = flatdim(part.space)
            found[part.path] = unflatten(part.space, vector[at : at + size])
            at += size
        for part, picture in self._seen:
            size = math.prod(picture.shape)
            turned = vector[at : at + size].reshape([picture.shape[axis] for axis in picture.order])
            found[part.path] = turned.transpose(np.argsort(picture.order)).astype(np.uint8)
            at += size
        return _nested(self._space, found)


class Actions:
    """Actions of a `space` as batches store them; `stored` is the space of those.

    Raises:
        UnsupportedWorld: a part is of a kind in which nobody can act; the message names it.
    """

    def __init__(self, space: Space[Any]) -> None:
        self._space, self._all = space, list(_parts(space))
        self._choices: dict[Path, np.ndarray] = {}  # of each part that consists of them: how many
        self._boxes: dict[Path, Box] = {}  # the others
        for part in self._all:
            if (counts := _choices(part.space)) is not None:
                self._choices[part.path] = counts
            elif isinstance(part.space, Box):
                self._boxes[part.path] = part.space
            else:
                inside = f" at {part.name!r}" if part.path else ""
                raise UnsupportedWorld(
                    f"actions {part.space}{inside}; supported are Box, Discrete, MultiDiscrete, MultiBinary, and "
                    "dictionaries and tuples of them"
                )
        self.stored: StoredActions = self._stored()

    @property
    def real(self) -> bool:
        """Whether a part of an action is real numbers."""
        return bool(self._boxes)

    @property
    def chosen(self) -> bool:
        """Whether a part of an action is one of a few, each with a probability of its own."""
        return bool(self._choices)

    @property
    def size(self) -> int:
        """Numbers in a stored action."""
        return sum(math.prod(part.space.shape or ()) for part in self._all)

    @property
    def whole(self) -> np.ndarray:
        """Which of the real numbers in a stored action the world gets rounded [A] bool."""
        rounded = [np.full(math.prod(box.shape), box.dtype.kind != "f") for box in self._boxes.values()]
        return np.concatenate([np.zeros(0, bool), *rounded])

    @property
    def is_one(self) -> bool:
        """Whether there is nothing to decide."""
        equal = all(bool((box.low == box.high).all()) for box in self._boxes.values())
        return equal and all(bool((counts == 1).all()) for counts in self._choices.values())

    @property
    def first(self) -> np.ndarray:
        """What the choice 0 stands for in the world, for each of the choices in a stored action [K]."""
        counted = [part for part in self._all if part.path in self._choices]
        firsts = [np.broadcast_to(_first(part.space), part.space.shape or (1,)).ravel() for part in counted]
        return np.concatenate([np.zeros(0, np.int64), *firsts]).astype(np.int64)

    def _stored(self) -> StoredActions:
        boxes = list(self._boxes.values())
        counts = [count for counts in self._choices.values() for count in counts]
        if isinstance(self._space, Discrete):
            return Discrete(int(self._space.n), start=int(self._space.start))
        if not counts and len(boxes) == 1 and boxes[0].low.dtype.kind == "f":  # in the type of its own
            return _flat_box(boxes, boxes[0].low.dtype)
        real, choices = _flat_box(boxes, np.dtype(np.float32)), MultiDiscrete(np.asarray(counts, np.int64))
        return real if not counts else choices if not boxes else Tuple((real, choices))

    def own(self, stored: np.ndarray) -> Any:
        """An action of the world's own, out of one that is of the stored space."""
        if isinstance(self._space, Discrete):
            return stored
        if isinstance(self.stored, Box) and isinstance(self._space, Box) and self._space.dtype.kind == "f":
            return stored.reshape(self._space.shape)
        found, real, chosen = {}, 0, sum(math.prod(box.shape) for box in self._boxes.values())
        for part in self._all:
            if part.path in self._choices:
                end = chosen + len(self._choices[part.path])
                found[part.path] = _chosen(part.space, np.asarray(stored[chosen:end], np.int64))
                chosen = end
            else:
                box = self._boxes[part.path]
                end = real + math.prod(box.shape)
                found[part.path] = _in_box(box, stored[real:end])
                real = end
        return _nested(self._space, found)

    def store(self, own: Any) -> np.ndarray:
        """An action of the world's own as a batch holds it. BadReport where it is not of the space; what is beyond the
        bounds of a Box is, for it is clipped."""
        if isinstance(self._space, Discrete):
            return _index(_Part((), self._space), own)[0]
        chosen = [_index(part, _at(own, part)) for part in self._all if part.path in self._choices]
        real = [_given(part, _at(own, part)) for part in self._all if part.path in self._boxes]
        if not real:
            return np.concatenate(chosen)
        return np.concatenate([*real, *chosen]).astype(np.float32)


def _flat_numbers(part: _Part, value: Any) -> np.ndarray:
    if isinstance(part.space, Box):
        return observed(value, part.space.shape, f"it, at {part.name!r},").ravel()
    if not _is_in(part.space, value):
        raise BadReport(f"it observed {value!r:.60}{_inside(part)}, which is not in {part.space}")
    return np.asarray(flatten(part.space, value), np.float32)


def _is_in(space: Space[Any], value: Any) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gymnasium's, of a list in the place of an array
            return bool(space.contains(value))
    except Exception:  # of what is of another kind altogether
        return False


def _unlike(space: Space[Any], value: Any) -> str:
    """What tells a value from those of its space, in few words."""
    if not isinstance(space, Box):
        return f"{value!r:.60}"
    given = np.asarray(value)
    out = np.argwhere((given < space.low) | (given > space.high))
    if np.can_cast(given.dtype, space.dtype) and len(out):
        place = tuple(map(int, out[0]))
        return f"{given[place]:g} at {place}, beyond its bounds {space.low[place]:g} and {space.high[place]:g}"
    return f"numbers of type {given.dtype}"


def loses(space: Space[Any]) -> bool:
    """Whether float32 rounds some of the numbers of a space."""
    return isinstance(space, Box) and space.dtype.itemsize >= 4 and space.dtype != np.float32


def _merged(part: _Part, value: Any) -> str | None:
    """A whole number that float32 rounds, in words: it looks to an agent like those beside it. Of floats those below
    `EXACT` are meant, such as times; beyond, every one is whole."""
    if not loses(part.space):
        return None
    given = np.asarray(value)
    exact, held = given.astype(np.float64), given.astype(np.float32).astype(np.float64)
    rounded = (held != exact) & (exact == np.rint(exact))
    out = np.argwhere(rounded if given.dtype.kind != "f" else rounded & (np.abs(exact) < EXACT))
    if not len(out):
        return None
    place = tuple(map(int, out[0]))
    step = np.abs(np.spacing(np.float32(exact[place])))
    return (
        f"it observed {given[place]} at {place}{_inside(part)}, of which float32 keeps steps of {step:g}, so that what "
        "is nearer looks the same: let it show how far a number is from where it began, or several smaller ones"
    )


def _flat_pixels(part: _Part, picture: Picture, value: Any) -> np.ndarray:
    given = observed(value, picture.shape, f"it, at {part.name!r}," if part.path else "it")
    if np.asarray(value).dtype != np.uint8 and not ((given >= 0) & (given <= 255) & (given == np.rint(given))).all():
        raise BadReport(f"it observed a picture{_inside(part)} whose pixels are not the whole numbers 0 to 255")
    return given.transpose(picture.order).ravel()


def _at(nested: Any, part: _Part) -> Any:
    """What stands at a part's place. BadReport where there is nothing."""
    for depth, key in enumerate(part.path):
        try:
            nested = nested[key]
        except (KeyError, IndexError, TypeError) as problem:
            where = "/".join(map(str, part.path[: depth + 1]))
            raise BadReport(f"there is nothing at {where!r} of {nested!r:.60}") from problem
    return nested


def _nested(space: Space[Any], found: Mapping[Path, Any], path: Path = ()) -> Any:
    """`found` in the form of the space, without the parts that are not there."""
    if isinstance(space, Dict):
        return {k: _nested(one, found, (*path, k)) for k, one in space.spaces.items() if _has(found, (*path, k))}
    if isinstance(space, Tuple):
        inside = enumerate(space.spaces)
        return tuple(_nested(one, found, (*path, k)) for k, one in inside if _has(found, (*path, k)))
    return found[path]


def _has(found: Mapping[Path, Any], path: Path) -> bool:
    return any(one[: len(path)] == path for one in found)


def _inside(part: _Part) -> str:
    return f" at {part.name!r}" if part.path else ""


def _choices(space: Space[Any]) -> np.ndarray | None:
    """How many values each number of a space can take, flat; None where it is no choice among a few."""
    if isinstance(space, Discrete):
        return np.array([space.n], np.int64)
    if isinstance(space, MultiDiscrete):
        return np.asarray(space.nvec, np.int64).ravel()
    if isinstance(space, MultiBinary):
        return np.full(math.prod(space.shape), 2)
    if not isinstance(space, Box) or space.dtype.kind not in "iub":
        return None
    counts = space.high.ravel().astype(np.float64) - space.low.ravel().astype(np.float64) + 1.0
    return counts.astype(np.int64) if counts.sum() <= _MOST_CHOICES else None


def _first(space: Space[Any]) -> np.ndarray | int:
    """What the choice 0 stands for."""
    if isinstance(space, Discrete | MultiDiscrete):
        return np.asarray(space.start, np.int64)
    return np.asarray(space.low, np.int64) if isinstance(space, Box) else 0


def _chosen(space: Space[Any], index: np.ndarray) -> Any:
    """Choices as a value of the space."""
    if isinstance(space, Discrete):
        return np.int64(index[0] + space.start)
    return np.asarray(index.reshape(space.shape or ()) + _first(space), space.dtype)


def _in_box(space: Box, numbers: np.ndarray) -> np.ndarray:
    """Numbers as a value of a Box: within its bounds, and rounded where it has whole numbers."""
    given = np.asarray(numbers, np.float64).reshape(space.shape)
    if space.dtype.kind == "f":
        return np.asarray(np.clip(given, space.low, space.high), space.dtype)
    low, high = (np.clip(bound.astype(np.float64), -EXACT, EXACT) for bound in (space.low, space.high))
    return np.asarray(np.clip(np.rint(given), low, high), space.dtype)


def _index(part: _Part, own: Any) -> np.ndarray:
    """A value of a space of choices, counted from zero [K]."""
    given, counts = np.asarray(own), _choices(part.space)
    assert counts is not None
    fits = given.size == len(counts) and given.dtype.kind in "iubf" and bool(np.isfinite(given).all())
    index = (given.reshape(part.space.shape or ()) - _first(part.space)).ravel() if fits else given
    if not fits or not ((index >= 0) & (index < counts) & (index == np.rint(index))).all():
        raise BadReport(f"the action {own!r:.80}{_inside(part)}; {_allowed(part.space, counts)}")
    return index.astype(np.int64)


def _allowed(space: Space[Any], counts: Sequence[int] | np.ndarray) -> str:
    """What may be chosen, in words."""
    first = np.broadcast_to(_first(space), space.shape or ()).ravel()
    last = first + counts - 1
    if len(counts) == 1 and isinstance(space, Discrete):
        return f"allowed are the whole numbers {first[0]} to {last[0]}"
    return f"allowed are {len(counts)} whole numbers from {first.tolist()} to {last.tolist()}"[:200]


def _given(part: _Part, own: Any) -> np.ndarray:
    """The numbers of a Box, as they were given [A]."""
    given = np.asarray(own)
    shape = part.space.shape or ()
    if given.size != math.prod(shape) or given.dtype.kind not in "iubf" or not np.isfinite(given).all():
        raise BadReport(f"the action {own!r:.80}{_inside(part)}; needed are finite numbers of shape {shape}")
    return given.astype(np.float32).ravel()


def _flat_box(boxes: Sequence[Box], kind: np.dtype) -> Box:
    """Boxes side by side, as one vector of a type of floats. A bound that is too large for the type is its largest, and
    between two numbers of the type a bound is the inner one where numbers are whole: no rounding leads out again."""
    bounds, largest = [], float(np.finfo(kind).max)
    for which, inwards in (("low", np.inf), ("high", -np.inf)):
        sides = [getattr(box, which).astype(np.float64).ravel() for box in boxes]
        within = [np.where(np.isinf(side), side, np.clip(side, -largest, largest)).astype(kind) for side in sides]
        for k, (box, side) in enumerate(zip(boxes, sides, strict=True)):
            if box.dtype.kind != "f":
                out = within[k] < side if inwards > 0 else within[k] > side
                within[k] = np.where(out, np.nextafter(within[k], kind.type(inwards)), within[k])
        bounds.append(np.concatenate([np.zeros(0, kind), *within]))
    return Box(*bounds, dtype=kind.type)
