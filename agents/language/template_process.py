"""What a chat template makes of messages, in a process that can be killed.

A template comes with a model, and is a program. Jinja's sandbox keeps it from reaching anything, and not from looping
or growing. So it is rendered by transformers in another process, which has a limit on memory; what takes too long, or
is too long, ends with a `TemplateFailed` and costs that process. All tokenizers of a process share one.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

RENDER_S = 10.0  # for one rendering
START_S = 60.0  # imports take a second, more on a busy machine
MAX_TEMPLATE = 1 << 20  # characters; those of known models have some thousands
MAX_TEXT = 1 << 24  # characters of a rendered conversation
_WORKER = Path(__file__).with_name("template_worker.py")


class TemplateFailed(Exception):
    """No text came of it. `refused`: by the template's own words."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


def render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] = (),
    *,
    prompt: bool = False,
    variables: Mapping[str, Any] | None = None,
    today: str | None = None,
) -> str:
    """The text of a conversation by the tokenizer's own template, as `apply_chat_template` gives it; with `prompt` what
    invites a reply stands at its end. `variables` are the template's own; a template that asks for the date is told
    `today` ("2026-11-26"), or what the clock says. `TemplateFailed` where no text comes, whatever the reason.
    """
    listed = [dict(tool) for tool in tools] or None
    try:
        template = tokenizer.get_chat_template(tools=listed)  # pyright: ignore[reportArgumentType]
    except ValueError as error:
        raise TemplateFailed(f"{error}") from error
    if len(template) > MAX_TEMPLATE:
        raise TemplateFailed(f"it has {len(template)} characters; at most {MAX_TEMPLATE} are rendered")
    task = {
        "template": template,
        "messages": [{key: value for key, value in message.items() if value is not None} for message in messages],
        "tools": listed,
        "prompt": prompt,
        "names": {**tokenizer.special_tokens_map, **(variables or {})},
        "today": today,
    }
    return _process(os.getpid()).render(json.dumps(task) + "\n")


class _Process:
    """One process, started when it is first asked; one caller at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: subprocess.Popen[str] | None = None

    def render(self, task: str) -> str:
        with self._lock:
            try:
                self._running = self._running or self._start()
                assert self._running.stdin is not None, "it was made with pipes"
                self._running.stdin.write(task)
                self._running.stdin.flush()
                word, text = self._read(RENDER_S)
            except (OSError, ValueError) as error:
                self._end()
                raise TemplateFailed("the process that renders it ended") from error
            except BaseException:
                self._end()
                raise
        if word != "text":
            raise TemplateFailed(text, refused=word == "refused")
        if len(text) > MAX_TEXT:
            raise TemplateFailed(f"it renders {len(text)} characters; at most {MAX_TEXT} are allowed")
        return text

    def _start(self) -> subprocess.Popen[str]:
        self._running = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        self._read(START_S)
        return self._running

    def _read(self, seconds: float) -> tuple[str, str]:
        assert self._running is not None
        assert self._running.stdout is not None, "it was made with pipes"
        if os.name == "posix" and not select.select([self._running.stdout], [], [], seconds)[0]:
            raise TemplateFailed(f"it was not rendered within {seconds:g} s")
        line = self._running.stdout.readline()
        if not line:
            raise TemplateFailed("the process that renders it ended: it takes too much memory or time")
        word, text = json.loads(line)
        return word, text

    def _end(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.communicate()
            self._running = None

    def close(self) -> None:
        """End the process; the next task starts another."""
        with self._lock:
            self._end()


@cache
def _process(pid: int) -> _Process:
    """That of this process: one that was forked from it shares none."""
    process = _Process()
    atexit.register(process.close)
    return process
