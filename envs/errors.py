"""The errors that a user can mend.

A `UserError` carries one clear message: the value, what is allowed, and the nearest allowed thing. The
command line prints that message alone, without a traceback, and exits with code 2. Everything else that is
raised is either a `WorldFailure` (see the glossary; recorded as data) or a programming error (it propagates).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class UserError(ValueError):
    """A mistake of the user's: the message says what was given, what is allowed, what may have been meant."""


class NeverEnds(UserError):
    """An episode went on and on, and nothing limits it."""


class UnknownWorld(UserError):
    """No world has this name."""


class UnsupportedWorld(UserError):
    """A Gymnasium environment whose spaces no agent here can live in."""


class WrongWithin(ValueError):
    """What a model of several keys says of itself; `path` leads to the key that should change, from the model."""

    def __init__(self, path: Sequence[str | int], message: str) -> None:
        super().__init__(message)
        self.path = tuple(path)


class WrongKey(UserError):
    """A mistake at one key of nested settings; `path` leads to it from where they were given."""

    def __init__(self, path: Sequence[str | int], message: str) -> None:
        super().__init__(message)
        self.path = tuple(path)


def nearest(name: str, allowed: Iterable[str], least: float = 0.6) -> str:
    """`" Did you mean 'x'?"` with the allowed name most like `name`, or `""` when none is like it.

    The leading space lets a caller append the result to a finished sentence. Case is ignored. `least` is how like two
    names must be, from 0 to 1 (equal). Of several the one of the same letters is meant: 'gpro' is 'grpo', not 'gspo'.
    """
    by_lower = {candidate.lower(): candidate for candidate in allowed}
    close = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=least)
    close.sort(key=lambda one: sorted(one) != sorted(name.lower()))
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""


def unknown(what: str, name: str, allowed: Iterable[str]) -> str:
    """The usual sentence: `unknown option 'x'; allowed: a, b. Did you mean 'a'?`"""
    names = sorted(allowed)
    listing = f"allowed: {', '.join(names)}." if names else "none is allowed."
    return f"unknown {what} {name!r}; {listing}{nearest(name, names)}"
