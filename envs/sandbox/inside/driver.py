"""Runs one program and answers for it. It never says "passed": it sends values, and the host compares them.

Everything here shares a process with the untrusted program, which may read, replace or break all of it. That is
accepted: a forged answer gains nothing over a computed one, because either must equal what the host expects.

Kinds of job, each a process of its own:
    function   calls one function on a list of inputs and sends the results in order
    stdio      runs the program with the input on descriptor 0 and the output on descriptor 1
    candidate  loads the program and then serves calls by value (`candidate.py`)
    examiner   runs test code against a stand-in whose calls the host carries to the candidate (`examiner.py`)
"""

from __future__ import annotations

import atexit
import gc
import inspect
import random
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .candidate import run_candidate
from .codec import Channel, Unsupported, Wire, decode, encode
from .examiner import run_examiner
from .program import Ended, Job, describe, entry_of, kind_of, load, names_of, settled

# Audit events that have no place in a program which merely computes. Hints, not evidence: they are counted in the
# program's own process. Real evidence is the signal with which a filter kills.
_PROBES = """
    ctypes.dlopen gc.get_objects gc.get_referrers os.exec os.fork os.forkpty os.kill os.killpg os.posix_spawn
    os.system socket.__new__ socket.connect subprocess.Popen
"""


def _answer(target: Callable[..., object], arguments: Sequence[object]) -> dict[str, Wire]:
    """One call's outcome as a message: `{"v": value}`, or `{"k": kind, "m": message}` and what was raised."""
    try:
        value = target(*arguments)
        if inspect.iscoroutine(value) or inspect.isasyncgen(value):
            value = settled(value)
        return {"v": encode(value)}
    except Unsupported as error:
        return {"k": "wrong_answer", "m": f"the answer cannot be compared: {error}"}
    except BaseException as error:
        return {"k": kind_of(error), "m": describe(error), "raised": names_of(error)}


def run_function(job: Job, channel: Channel) -> None:
    """`{"code", "entry", "inputs": [[argument, …], …]}` → a numbered answer to each input, in order.

    A class may be asked to do several things: `["Stack", "push", "pop"], [[], [1], []]`, as tasks of LeetCode write it.
    """
    target = entry_of(load(job["code"], "program"), job["entry"])
    for i, wire in enumerate(job["inputs"]):
        arguments = decode(wire)
        is_steps = isinstance(target, type) and _are_steps(job["entry"], arguments)
        message = _answer(partial(steps_of, target) if is_steps else target, arguments)
        try:
            channel.send({"i": i, **message})
        except (ValueError, MemoryError) as error:
            channel.send({"i": i, "k": "output_limit", "m": describe(error)})


def _are_steps(entry: str, arguments: Sequence[Any]) -> bool:
    if len(arguments) != 2 or not all(isinstance(argument, list) for argument in arguments):
        return False
    names, given = arguments
    return names[:1] == [entry] and len(names) == len(given)


def steps_of(kind: Callable[..., Any], names: Sequence[str], arguments: Sequence[Sequence[object]]) -> list[object]:
    """What an object of a class gives in each step, of which the first makes it."""
    made = kind(*arguments[0])
    return [None, *(getattr(made, name)(*given) for name, given in zip(names[1:], arguments[1:]))]  # noqa: B905


def run_stdio(job: Job, channel: Channel) -> None:
    """`{"code"}` → nothing but what the program writes; it ends as an interpreter would end."""
    try:
        load(job["code"], "__main__")
    except SystemExit as error:
        if error.code not in (None, 0):
            raise Ended("runtime_error", describe(error)) from None
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()  # fast-output idioms write at exit
    sys.stdout.flush()


KINDS = {
    "function": run_function,
    "stdio": run_stdio,
    "candidate": run_candidate,
    "examiner": run_examiner,
}


def run(job: Job, channel: Channel) -> int:
    """Do one job; the exit status of the process. Called last, in a process that is already confined."""
    probes: set[str] = set()
    listed = frozenset(_PROBES.split())
    sys.addaudithook(lambda event, _: probes.add(event) if event in listed else None)
    gc.enable()
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)  # the limits on time are limit enough
    random.seed(0)  # a program must not be judged differently the next time
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    status = 0
    try:
        KINDS[job["kind"]](job, channel)
    except Ended as end:
        status = 1
        channel.send({"x": end.kind, "m": end.message})
    except SystemExit as error:
        status = 1
        channel.send({"x": "no_answer", "m": describe(error)})
    except EOFError:
        return status  # the host needs no more calls
    if probes:
        channel.send({"probes": [*sorted(probes)]})
    return status
