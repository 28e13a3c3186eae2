"""A generator of reasoning-gym, asked in a process that can be killed: its verifiers read what models write."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import UserError, unknown
from ...vocabulary import WorldFailure

START_S = 120.0  # the library takes seconds to import, more on a busy machine; some generators make all at first
ENTRY_S = 60.0
SCORE_S = 10.0
_PROCESS = Path(__file__).with_name("generator_process.py")
_SANDBOX = Path(__file__).parents[2] / "sandbox"


class Entry(NamedTuple):
    """A question, and the answer that the generator knows; None where it only knows how to verify one."""

    question: str
    answer: str | None


class _Late(Exception):
    """No answer came in time, or the process has ended."""


class Generator:
    """Entries 0 … size − 1 of a generator, and scores of answers to them. May be asked from any thread.

    Raises:
        UserError: reasoning-gym is not installed; there is no such generator, it has no such option, or refuses one.
    """

    def __init__(self, name: str, options: Mapping[str, Any], *, size: int, seed: int) -> None:
        if importlib.util.find_spec("reasoning_gym") is None:
            raise UserError(f"world 'reasoning_gym:{name}' needs reasoning-gym: pip install 'peripatos[reasoning]'")
        self._asked = {"name": name, "options": dict(options), "size": size, "seed": seed, "sandbox": str(_SANDBOX)}
        self._name, self._lock = name, threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._entries: dict[int, Entry] = {}
        with self._lock:
            self._start()

    def entry(self, index: int) -> Entry:
        """One question. `WorldFailure` where the generator fails."""
        if index not in self._entries:
            self._entries[index] = Entry(*self._ask({"index": index}, ENTRY_S))
        return self._entries[index]

    def score(self, index: int, said: str | None) -> float:
        """What the generator's own verifier gives for an answer, from 0 to 1; 0 where it takes for ever to read."""
        try:
            return float(self._ask({"index": index, "said": said}, SCORE_S))
        except _Late:
            return 0.0

    def close(self) -> None:
        """End the process; the next question starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _ask(self, request: Mapping[str, Any], seconds: float) -> Any:
        with self._lock:
            try:
                word, told = self._exchange(request, seconds)
            except _Late:
                self.close()
                if "said" in request:
                    raise
                raise WorldFailure(f"{self._name!r} of reasoning-gym made no question in {seconds:g} s") from None
        if word == "failed":
            raise WorldFailure(f"{self._name!r} of reasoning-gym failed: {told}")
        return told

    def _exchange(self, request: Mapping[str, Any], seconds: float) -> tuple[str, Any]:
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        except OSError:
            raise _Late from None
        return _read(process, seconds)

    def _start(self) -> subprocess.Popen[str]:
        """A process that is ready. What it makes depends on no chance of Python's own."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-P", str(_PROCESS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**kept, "PYTHONHASHSEED": "0"},
        )
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(self._asked) + "\n")
            self._process.stdin.flush()
            word, told = _read(self._process, START_S)
        except (_Late, OSError):
            self.close()
            raise UserError(f"{self._name!r} of reasoning-gym does not begin") from None
        if word == "ready":
            return self._process
        self.close()
        where = f"world 'reasoning_gym:{self._name}'"
        if word == "unknown":
            raise UserError(f"{unknown('generator of reasoning-gym', self._name, told)}")
        if word == "option":
            raise UserError(f"{where}: {unknown('option', told[0], told[1:])}")
        raise UserError(f"{where} cannot be made: {told}")


def _read(process: subprocess.Popen[str], seconds: float) -> tuple[str, Any]:
    assert process.stdout is not None
    until = time.monotonic() + seconds
    ready, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
    line = process.stdout.readline() if ready else ""
    if not line:
        raise _Late
    word, told = json.loads(line)
    return word, told


@functools.cache
def shared_generator(name: str, options: str, size: int, seed: int) -> Generator:
    """The generator of every world in this process that asks for the same (`options` as JSON)."""
    made = Generator(name, json.loads(options), size=size, seed=seed)
    atexit.register(made.close)
    return made
