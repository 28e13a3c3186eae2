"""The process that renders chat templates: they are programs of strangers, and may loop or grow without end.

Run as a script by `template_process.py`. One JSON line in, `{"template", "messages", "tools", "prompt", "names",
"today"}`; one JSON line out, "text", "refused" (by the template's own words) or "failed", and the text or the reason.
It imports what renders and nothing else, has a limit on memory, and is ended by its own alarm where nobody else is left
to end it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from datetime import datetime

MEMORY = 2 << 30
ALARM_S = 30  # longer than anybody waits


def _confine() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, value in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        with suppress(ValueError, OSError):  # macOS has no limit on the address space
            resource.setrlimit(limit, (value, value))


def _clock(today: str | None) -> type[datetime]:
    """A clock that stands still on a day; without one, the real one."""
    if today is None:
        return datetime
    day = datetime.fromisoformat(today)
    return type("Clock", (datetime,), {"now": classmethod(lambda cls, tz=None: day)})


def main() -> None:
    """Serve until the input ends."""
    words = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print; the words have a descriptor of their own
    from jinja2 import TemplateError
    from transformers.utils import chat_template_utils

    _confine()
    print(json.dumps(["ready", ""]), file=words, flush=True)
    for line in sys.stdin:
        if hasattr(signal, "alarm"):
            signal.alarm(ALARM_S)
        task = json.loads(line)
        chat_template_utils.__dict__["datetime"] = _clock(
            task["today"]
        )  # what transformers tells templates of the date
        try:
            texts, _ = chat_template_utils.render_jinja_template(
                conversations=[task["messages"]],
                tools=task["tools"],
                chat_template=task["template"],
                add_generation_prompt=task["prompt"],
                **task["names"],
            )
            said = ["text", str(texts[0])]
        except TemplateError as error:
            said = ["refused", str(error)[:2000]]
        except Exception as error:  # a template may raise anything, MemoryError and RecursionError too
            said = ["failed", f"{type(error).__name__}: {error}"[:2000]]
        try:
            line = json.dumps(said)
        except MemoryError:
            line = json.dumps(["failed", "MemoryError: the text is too long"])
        print(line, file=words, flush=True)
        if hasattr(signal, "alarm"):
            signal.alarm(0)


if __name__ == "__main__":
    main()
