"""Runs one program and answers for it. It never says "passed": it sends values, and the host compares them.

Everything here shares a process with the untrusted program, which may read, replace or break all of it. That is
accepted: a forged answer gains nothing over a computed one, because either must equal what the host expects.

Kinds of job, each a process of its own:
    function   calls one function on a list of inputs and sends the results in order
    stdio      runs the program with the input on descriptor 0 and the output on descriptor 1
    candidate  loads the program and then serves calls by value
    examiner   runs test code against a stand-in whose calls the host carries to the candidate
"""

from __future__ import annotations

import atexit
import builtins
import gc
import random
import sys
import threading
import types
from collections.abc import Callable, Sequence
from typing import Any

from .codec import Channel, Unsupported, Wire, decode, encode

FILE = "<program>"
_MAX_MESSAGE = 300

# Audit events that have no place in a program which merely computes. Hints, not evidence: they are counted in the
# program's own process. Real evidence is the signal with which a filter kills.
_PROBES = """
    ctypes.dlopen gc.get_objects gc.get_referrers os.exec os.fork os.forkpty os.kill os.killpg os.posix_spawn
    os.system socket.__new__ socket.connect subprocess.Popen
"""


Job = dict[str, Any]  # JSON from the host: each kind of job documents its keys


class _Ended(Exception):
    """The program is over: what happened, in a word of the verdicts, and a message for the reader."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


def describe(error: BaseException) -> str:
    """`ZeroDivisionError: division by zero (line 3)`, whatever the exception's own methods do."""
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException:  # the program's __str__ may raise anything
        text = type(error).__name__
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return text[:_MAX_MESSAGE] + (f" (line {line})" if line is not None else "")


def _kind(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "memory_limit"
    return "no_answer" if isinstance(error, (SystemExit, KeyboardInterrupt)) else "runtime_error"


def load(code: str, name: str) -> types.ModuleType:
    """Compile and run the program as the module `name`.

    Raises _Ended when it does not come through, and lets SystemExit pass.
    """
    try:
        compiled = compile(code, FILE, "exec", dont_inherit=True)
    except Exception as error:
        raise _Ended("compile_error", describe(error)) from None
    module = types.ModuleType(name)
    sys.modules[name] = module
    try:
        exec(compiled, module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        raise _Ended(_kind(error), describe(error)) from None
    return module


def _entry(module: types.ModuleType, entry: str) -> Callable[..., object]:
    target = module.__dict__.get(entry)
    if not callable(target):
        raise _Ended("no_answer", f"the program defines no function {entry!r}")
    return target


def _answer(target: Callable[..., object], arguments: Sequence[object]) -> dict[str, Wire]:
    """One call's outcome as a message: `{"v": value}`, or `{"k": kind, "m": message}`."""
    try:
        return {"v": encode(target(*arguments))}
    except Unsupported as error:
        return {"k": "wrong_answer", "m": f"the answer cannot be compared: {error}"}
    except BaseException as error:
        return {"k": _kind(error), "m": describe(error)}


def run_function(job: Job, channel: Channel) -> None:
    """`{"code", "entry", "inputs": [[argument, …], …]}` → a numbered answer to each input, in order."""
    target = _entry(load(job["code"], "program"), job["entry"])
    for i, arguments in enumerate(job["inputs"]):
        message = _answer(target, decode(arguments))
        try:
            channel.send({"i": i, **message})
        except (ValueError, MemoryError) as error:
            channel.send({"i": i, "k": "output_limit", "m": describe(error)})


def run_stdio(job: Job, channel: Channel) -> None:
    """`{"code"}` → nothing but what the program writes; it ends as an interpreter would end."""
    try:
        load(job["code"], "__main__")
    except SystemExit as error:
        if error.code not in (None, 0):
            raise _Ended("runtime_error", describe(error)) from None
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()  # fast-output idioms write at exit
    sys.stdout.flush()


def _names(error: BaseException) -> list[Wire]:
    """The names of an exception's class and its bases, nearest first: enough to raise its like elsewhere."""
    return [base.__name__ for base in type(error).__mro__]


def run_candidate(job: Job, channel: Channel) -> None:
    """`{"code", "entry"}` → `{"ready"}`, then an answer to every `{"call", "named"}` until the host hangs up.

    With each answer go the arguments as the call left them, for candidates that change them in place.
    """
    target = _entry(load(job["code"], "program"), job["entry"])
    channel.send({"ready": True})
    while True:
        message = channel.receive()
        positional, named = decode(message["call"]), decode(message["named"])
        try:
            answer: dict[str, Wire] = {"v": encode(target(*positional, **named))}
        except Unsupported as error:
            answer = {"raised": ["TypeError"], "m": f"the candidate returned {error}"}
        except Exception as error:
            answer = {"raised": _names(error), "m": describe(error)}
        except BaseException as error:
            raise _Ended("no_answer", describe(error)) from None
        try:
            channel.send({**answer, "after": encode([positional, named])})
        except (Unsupported, ValueError) as error:
            channel.send({"raised": ["TypeError"], "m": f"the call left {error}", "after": None})


def _graft(old: object, new: object) -> None:
    """Give the mutable `old` the contents of `new`, in place, as the candidate's own call would have."""
    if isinstance(old, list) and isinstance(new, list):
        common = min(len(old), len(new))
        for i in range(common):
            if type(old[i]) is type(new[i]) and isinstance(new[i], (list, dict, set)):
                _graft(old[i], new[i])
            else:
                old[i] = new[i]
        old[common:] = new[common:]
    elif isinstance(old, tuple) and isinstance(new, tuple):
        for before, after in zip(old, new):  # noqa: B905  # Python 3.9 has no strict zip
            _graft(before, after)
    elif isinstance(old, dict) and isinstance(new, dict):
        for key, before in list(old.items()):
            if key in new and type(before) is type(new[key]) and isinstance(before, (list, dict, set)):
                _graft(before, new[key])
                new[key] = before
        old.clear()
        old.update(new)
    elif isinstance(old, set) and isinstance(new, set):
        old.clear()
        old.update(new)


class CandidateError(Exception):
    """The candidate raised an exception of its own making, which has no built-in ancestor but Exception."""


def _raise_like(names: list[str], message: str) -> None:
    for name in names:
        known = getattr(builtins, name, None)
        if isinstance(known, type) and issubclass(known, Exception) and known is not Exception:
            try:
                error = known(message)
            except TypeError:  # a Unicode error, for one, wants more than a message
                continue
            raise error
    raise CandidateError(message)


def run_examiner(job: Job, channel: Channel) -> None:
    """`{"code", "entry"}`: run test code against a stand-in for the candidate → `{"done": number of calls}`.

    If the test code defines `check`, it is called with the stand-in, which also bears the entry's name.
    """
    calls = 0

    def candidate(*positional: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        try:
            channel.send({"call": encode(list(positional)), "named": encode(named)})
        except Unsupported as error:
            raise TypeError(f"the candidate cannot be called with {error}") from None
        answer = channel.receive()
        if answer.get("after") is not None:
            after = decode(answer["after"])
            _graft(positional, tuple(after[0]))
            for name, value in named.items():
                _graft(value, after[1].get(name))
        if "raised" in answer:
            _raise_like(answer["raised"], answer["m"])
        return decode(answer["v"])

    candidate.__name__ = job["entry"]
    module = types.ModuleType("tests")
    sys.modules["tests"] = module
    module.__dict__.update({job["entry"]: candidate, "candidate": candidate})
    try:
        compiled = compile(job["code"], FILE, "exec", dont_inherit=True)
    except Exception as error:
        raise _Ended("broken_test", describe(error)) from None
    try:
        exec(compiled, module.__dict__)
        check = module.__dict__.get("check")
        if callable(check):
            check(candidate)
    except BaseException as error:
        kind = "wrong_answer" if isinstance(error, AssertionError) else _kind(error)
        raise _Ended(kind, describe(error)) from None
    channel.send({"done": calls})


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
    random.seed(0)  # a program must not be judged differently the next time
    status = 0
    try:
        KINDS[job["kind"]](job, channel)
    except _Ended as end:
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
