"""What a world reports is checked once, here, before anybody reckons with it.

    parts(value, "step", "reward", …)   a tuple of so many
    begin(world, seed, split)          what a reset gave
    number(value, "the reward")        a real number that float32 holds; true and false are 1 and 0
    flag(value, "terminated")          true or false; 0 and 1 are taken for them
    terms(mapping, reward)             numbers by name, which sum to the reward
    observed(value, shape, name)       an array of numbers, finite in float32

Everything that is wrong is a `BadReport`, a sentence that says what was given; it costs the episode. Text is no number,
even where Python would make one of it: `float("1.0")` and `bool("False")` hide mistakes.

The `info` of a world by somebody else may use our words for things of its own. `foreign` takes from it what has our
form and says what was left out.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import UserError
from .user_code import broken
from .vocabulary import Message, WorldFailure

if TYPE_CHECKING:
    import gymnasium

LARGEST = float(np.finfo(np.float32).max)
RESET = ("observation", "info")  # what a Gymnasium world gives, see `parts`
STEP = ("observation", "reward", "terminated", "truncated", "info")
_TOLERANCE = 1e-4  # of the sum of terms, relative to their sizes: worlds add in float32, and in half of that
_LEAST = 1e-9  # of the same, where everything is tiny
_SHOWN = 60  # characters of a value


class BadReport(WorldFailure):
    """A world reported what is not of the form that it has to have."""


def explained(error: BaseException, world: str) -> str:
    """Why an episode failed, in a sentence: `world` broke its contract, says itself why it cannot go on, or its code
    broke, which is told with lines of its author's and none of ours."""
    if isinstance(error, WorldFailure | UserError):
        return f"{world}: {error}"
    return broken(world, error)


@dataclass(frozen=True)
class Reported:
    """What was of use in an `info`, and the first thing that was not."""

    terms: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    success: bool | None = None
    left_out: str | None = None


def number(value: Any, what: str) -> float:
    """`value` as a float. BadReport for what is no real number, is not finite, or is too large for float32."""
    found = _real(value, what)
    if abs(found) <= LARGEST:
        return found
    if isinstance(value, int | Decimal | Fraction) or math.isfinite(found):
        raise BadReport(f"{what} {_shown(value)} does not fit into float32, whose largest number is {LARGEST:.3g}")
    raise BadReport(f"{what} is {found}, not a finite number")


def metric(value: Any, what: str) -> float:
    """As `number`, for what nobody learns from: it may be infinite or NaN, which means unknown."""
    found = _real(value, what)
    return found if math.isfinite(found) else math.nan


def flag(value: Any, what: str) -> bool:
    """`value` as a bool. BadReport for everything but true, false, 0 and 1."""
    try:
        found = _real(value, what)
    except BadReport:
        found = math.nan
    if found not in (0.0, 1.0):
        raise BadReport(f"{what} is {_shown(value)}, neither true nor false")
    return bool(found)


def named(value: Any, what: str) -> str:
    """A name that somebody may have thought of. BadReport for what is no text, or empty."""
    if not isinstance(value, str) or not value:
        raise BadReport(f"{what} has the name {_shown(value)}; names are texts")
    return str(value)


def parts(given: Any, method: str, *names: str) -> tuple[Any, ...]:
    """What `reset` or `step` of a Gymnasium world gave. BadReport where it has not as many parts as `names`."""
    if isinstance(given, tuple | list) and len(given) == len(names):
        return tuple(given)
    found = f"{len(given)} values" if isinstance(given, tuple | list) else _shown(given)
    old = "; the done of the old gym is terminated or truncated" if method == "step" and found == "4 values" else ""
    raise BadReport(f"{method} gave {found}; it gives {', '.join(names)}{old}")


def begin(world: gymnasium.Env[Any, Any], seed: int, split: str = "train") -> tuple[Any, Any]:
    """Observation and info of a new episode, begun as every run begins one. BadReport as of `parts`; what else a reset
    raises gets a note of what it was given."""
    options = {"split": split}
    try:
        begun = world.reset(seed=seed, options=dict(options))
    except Exception as error:
        error.add_note(f"reset was given seed={seed}, options={options}")
        raise
    observation, info = parts(begun, "reset", *RESET)
    return observation, info


def terms(given: Mapping[Any, Any], reward: float) -> dict[str, float]:
    """The weighted terms of `reward`. BadReport where they do not sum to it."""
    found = {named(key, "a reward term"): number(value, f"the reward term {key!r}") for key, value in given.items()}
    total, size = math.fsum(found.values()), math.fsum(map(abs, found.values()))
    if abs(total - reward) > max(_LEAST, _TOLERANCE * max(size, abs(reward))):
        raise BadReport(f"the reward terms {_shown(found)} sum to {total:.6g}, and the reward is {reward:.6g}")
    return found


def observed(value: Any, shape: tuple[int, ...], world: str) -> np.ndarray:
    """An observation as float32, in the `shape` of its space."""
    given = np.asarray(value)
    if given.dtype.kind not in "biuf":
        raise BadReport(f"{world} observed {_shown(value)} of type {given.dtype}; an array of numbers is needed")
    if given.shape != shape:
        raise BadReport(f"{world} observed shape {given.shape}; its space says {shape}")
    with np.errstate(over="ignore"):
        observation = given.astype(np.float32)
    if not np.isfinite(observation).all():
        place = tuple(map(int, np.argwhere(~np.isfinite(observation))[0]))
        raise BadReport(
            f"{world} gave an observation that is not finite, or does not fit into float32: {given[place]} at {place}"
        )
    return observation


def foreign(info: Any, reward: float, *, wrapped: bool = False) -> Reported:
    """What has our form in the `info` of a world that need not know of us.

    BadReport where it plainly means to report the terms of its reward, and they do not sum to it. Where the world is
    `wrapped`, a wrapper may have changed the reward after them.
    """
    if not isinstance(info, Mapping):
        raise BadReport(f"step gave {_shown(info)} in the place of the info dict")
    left_out: list[str] = []
    given, found = info.get("reward_terms"), {"reward": reward}
    if isinstance(given, Mapping):
        try:
            found = terms(given, reward) if given else found
        except BadReport as problem:
            if not wrapped:
                raise
            left_out.append(str(problem))
    elif given is not None:
        left_out.append(f'info["reward_terms"] is {_shown(given)}, no mapping of names to numbers')
    return Reported(found, _metrics(info, left_out), _success(info, left_out), left_out[0] if left_out else None)


def metrics(given: Any) -> dict[str, float]:
    """Metrics by name, NaN where one is unknown. BadReport for anything else."""
    if not isinstance(given, Mapping):
        raise BadReport(f"metrics are {_shown(given)}, no mapping of names to numbers")
    return {named(key, "a metric"): metric(value, f"the metric {key!r}") for key, value in given.items()}


def success(value: Any) -> bool | None:
    """True, false, or None where nobody knows. BadReport for anything else."""
    if value is None:
        return None
    try:
        return flag(value, "success")
    except BadReport as problem:
        raise BadReport(f"{problem}; a share or a distance is a metric") from problem


def early_success(step: int | None, steps: int) -> str | None:
    """What is said of an episode of so many `steps` that reported a success at `step`, and none at its last one; None
    where it reported none at all."""
    if step is None:
        return None
    return f"a success at step {step} of {steps}: whether an episode is a success is what its last step reports"


def messages(given: Any, what: str) -> list[Message]:
    """A copy of chat messages that the caller may keep; a text that is not empty is one of the user's. BadReport for
    what is no message."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}] if given else []
    if isinstance(given, Mapping | bytes) or not isinstance(given, Iterable):
        raise BadReport(f"{what} gave {_shown(given)} in the place of a text or a list of messages")
    copied = copy.deepcopy(list(given))
    for message in copied:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise BadReport(f"{what} gave {_shown(message)}, which is no message: it has a role and a content")
        if not isinstance(message.get("content"), str):
            raise BadReport(f"{what} gave a message whose content is {_shown(message.get('content'))}, not a text")
    return copied


def _metrics(info: Mapping[str, Any], left_out: list[str]) -> dict[str, float]:
    given = info.get("metrics")
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        left_out.append(f'info["metrics"] is {_shown(given)}, no mapping of names to numbers')
        return {}
    found: dict[str, float] = {}
    for key, value in given.items():
        try:
            found[named(key, "a metric")] = metric(value, f"the metric {key!r}")
        except BadReport as problem:
            left_out.append(str(problem))
    return found


def _success(info: Mapping[str, Any], left_out: list[str]) -> bool | None:
    key = "success" if info.get("success") is not None else "is_success"
    value = info.get(key)
    if value is None:
        return None
    try:
        return flag(value, key)
    except BadReport as problem:
        left_out.append(f'{problem}: it is left out; a share or a distance belongs among info["metrics"]')
        return None


def _real(value: Any, what: str) -> float:
    """`value` as a float that may be infinite or NaN. An array or tensor of exactly one number is that number."""
    if type(value) in (float, bool):  # most are, and asking whether something is `Real` takes long
        return float(value)
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "biuf" or value.size != 1:
            raise BadReport(f"{what} is {_shown(value)}, not a number")
        return float(value.item())
    if not isinstance(value, Real | Decimal) and callable(getattr(value, "detach", None)):
        try:
            value = value.item()  # a tensor, with or without a gradient
        except (RuntimeError, ValueError) as problem:
            raise BadReport(f"{what} is {_shown(value)}, not a number") from problem
    if not isinstance(value, Real | Decimal):
        raise BadReport(f"{what} is {_shown(value)}, not a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf  # of either sign: it is out of all bounds
    except ValueError:  # a signalling NaN of Decimal
        return math.nan


def _shown(value: Any) -> str:
    """`value` in few words, whatever its author wrote into its `__repr__`."""
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
