"""The same episodes in a process of their own, whose hashes are others and which imports the world at another time.

    there = played_elsewhere(source, seeds)       digests of every moment: [episode][moment]
    here  = [digests(episode) for episode in …]

What differs between the two depends on the process and not on the seed: on its number, on the order of a set of texts,
on the clock as a module was imported.

    python -c "… main()"  ◀─ a line of JSON: which world, which seeds, sys.path  ─▶  a line of JSON: digests, or why not

The process ends with its parent.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from .check_play import READ, Broken, Episode, play_together
from .contained import Contained, no_exit
from .control.world_process import end_with
from .errors import UserError
from .plugins import import_plugins
from .registry import stand_in
from .user_code import described
from .world_source import WorldSource

_CODE = (
    "import json, sys; given = json.loads(sys.stdin.readline()); sys.path[:] = given['path']; "
    "from peripatos.envs.played_elsewhere import main; main(given)"
)
_SECONDS = 120.0  # for it to begin, besides what its episodes may take


class NotThere(Exception):
    """The world cannot be made in another process; the message says why."""


def played_elsewhere(source: WorldSource, seeds: Sequence[int], *, seconds: float) -> list[list[str]]:
    """The digests of an episode of random actions with each seed; `seconds` is what they may take there.

    NotThere where the world is not found there; Broken where it fails, dies or does not come back.
    """
    given = {**source.to_json(), "path": sys.path, "seeds": list(seeds), "parent": os.getpid()}
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    with subprocess.Popen(
        [sys.executable, "-c", _CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # a terminal's Ctrl-C is for whoever asks, who ends this
        env={**os.environ, "PYTHONHASHSEED": other},
    ) as process:
        try:
            said, _ = process.communicate(json.dumps(given) + "\n", timeout=_SECONDS + seconds)
        except subprocess.TimeoutExpired:
            raise Broken(f"{source.id} has not come back in another process for {_SECONDS + seconds:.0f} s") from None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    if not said.strip():
        code = process.returncode
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        raise Broken(f"{source.id} ends another process in which it is played, {how}")
    found = json.loads(said.strip().split("\n")[-1])
    if "absent" in found:
        raise NotThere(found["absent"])
    if "broken" in found:
        raise Broken(f"{source.id} fails in another process: {found['broken']}")
    return found["digests"]


def main(given: Mapping[str, Any]) -> None:
    """Play what is asked for, and say it on stdout; whatever the world prints goes to stderr."""
    end_with(given["parent"])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with no_exit():
        print(json.dumps(_answer(given)), file=out, flush=True)


def _answer(given: Mapping[str, Any]) -> dict[str, Any]:
    import_plugins()
    source = WorldSource(given["id"], given["options"], given["wrappers"])
    try:
        world = source.make(dict.fromkeys(source.facts.voices, stand_in))
    except UserError as problem:
        return {"absent": str(problem).split("\n")[0]}
    try:
        with Contained(source.id):
            episodes = [play_together([(world, seed, seed)])[0] for seed in given["seeds"]]
    except Exception as error:
        return {"broken": described(error).split("\n")[0]}
    return {"digests": [digests(episode) for episode in episodes]}


def digests(episode: Episode) -> list[str]:
    """Of what is learned from or scored, a digest of each moment: equal where `check_play.identical` says so."""
    first, _, steps = episode
    told: list[tuple[object, ...]] = [(first, 0.0, False, False, {})]
    for step in steps:
        info = {key: step.info[key] for key in READ if key in step.info} if isinstance(step.info, Mapping) else {}
        told.append((step.observation, step.reward, step.terminated, step.truncated, info))
    return [hashlib.sha256(repr(_plain(moment)).encode()).hexdigest()[:16] for moment in told]


def _plain(value: object) -> object:
    """A value as texts, numbers and tuples that say no address and no order of a hash."""
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        return str(array.dtype), array.shape, array.tobytes() if array.dtype != object else _plain(array.tolist())
    if isinstance(value, Mapping):
        return "{}", sorted(((repr(_plain(key)), _plain(one)) for key, one in value.items()), key=lambda item: item[0])
    if isinstance(value, set | frozenset):
        return "set", sorted(repr(_plain(one)) for one in value)
    if isinstance(value, list | tuple):
        return "[]", [_plain(one) for one in value]
    if isinstance(value, str | bytes | int | float | complex | bool | None):
        return value
    return type(value).__name__, _plain(getattr(value, "__dict__", {}))
