"""Runs command lines in children forked from a process that has everything imported: 0.1 seconds each instead of 3.

Reads one JSON object a line from stdin, {"argv", "cwd", "said", "seconds", "memory"}, and answers one: {"exit",
"seconds", "worked"}, by the clock and by the processor. `argv` is what follows `peripatos`; where its first word is a
file of Python, that is run in its place. What the command wrote is in files "stdout" and "stderr" of the folder named
"said".
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any

WANTED = (
    "peripatos.scenarios.cli",
    "peripatos.scenarios.assembly.actors",
    "peripatos.scenarios.assembly.checks",
    "peripatos.scenarios.assembly.learners",
    "peripatos.scenarios.run.runner",
    "peripatos.scenarios.run.saved_agent",
    "peripatos.scenarios.report.transcript",
    "peripatos.scenarios.export_chat",
    "peripatos.agents.control.control_actor",
    "peripatos.agents.language.conversation_actor",
    "peripatos.agents.language.language_policy",
    "peripatos.agents.language.model_files",
    "peripatos.agents.language.tiny_llama",
    "peripatos.envs.check",
    "gymnasium.envs.classic_control.cartpole",
    "scipy.stats",
    "transformers.models.auto.modeling_auto",
)


def main() -> None:
    """Answer until stdin ends."""
    for name in WANTED:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)
    os._exit(0)  # at once: to take down all that was imported takes seconds


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        _become(asked)
    code, used = None, None
    while code is None and time.perf_counter() - began < asked["seconds"]:
        done, status, used = os.wait4(child, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if done else None
        time.sleep(0.002)
    if code is None:
        os.killpg(child, signal.SIGKILL)
        _, _, used = os.wait4(child, 0)
    worked = used.ru_utime + used.ru_stime if used else 0.0
    return {"exit": code, "seconds": time.perf_counter() - began, "worked": worked}


def _become(asked: dict[str, Any]) -> None:
    """This process is that command; it does not come back."""
    code = 1
    try:
        os.setsid()
        os.chdir(asked["cwd"])
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(Path(asked["said"]) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_AS, (asked["memory"], asked["memory"]))
        if asked["argv"] and asked["argv"][0].endswith(".py"):
            sys.path[0], sys.argv = asked["cwd"], asked["argv"]
            runpy.run_path(asked["argv"][0], run_name="__main__")
        else:
            sys.argv = ["peripatos", *asked["argv"]]
            importlib.import_module("peripatos.scenarios.cli").main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
