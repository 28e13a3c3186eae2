"""The processes of a comparison's runs: begun, waited for, and, when it is stopped, asked to save themselves."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO

PATIENCE = 120.0  # seconds in which a run that was stopped ends its update and saves itself


class Processes:
    """The runs that are going on, so that Ctrl-C can ask each of them to save itself."""

    def __init__(self) -> None:
        self._lock, self.stopped = threading.Lock(), False
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, command: Sequence[str], log: IO[str], environment: Mapping[str, str]) -> int:
        """The exit code of a process, away from the terminal's own Ctrl-C: it is told once, by `stop`. Its standard
        input ends when this process does, however that may be, and then it ends too.
        """
        with self._lock:
            if self.stopped:
                return -signal.SIGINT
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
            self._running.append(process)
        try:
            return process.wait()
        finally:
            assert process.stdin is not None
            process.stdin.close()

    def stop(self) -> None:
        """Let none begin, ask every process to save itself and end, and kill those that have not in time; at once,
        when Ctrl-C comes again.
        """
        with self._lock:
            self.stopped = True
        self._signal(signal.SIGINT)
        until = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < until and any(process.poll() is None for process in self._running):
                time.sleep(0.05)
        finally:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running:
            if process.poll() is None:
                process.send_signal(number)
