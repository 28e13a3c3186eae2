"""The report on this machine: true, readable, without secrets, and never an error of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import Distribution, version
from pathlib import Path

import pytest
from scenarios_runs import PATIENCE

from peripatos.scenarios.doctor import machine
from peripatos.scenarios.doctor.machine import MachineFinding, _Hider

METADATA = """\
Metadata-Version: 2.4
Name: peripatos
Version: 1.0
Requires-Dist: numpy>=1
Requires-Dist: pip-that-nobody-has>=2
Requires-Dist: pytest<1
Provides-Extra: speech
Provides-Extra: test
Requires-Dist: voices-that-nobody-has>=1; extra == "speech"
Requires-Dist: pytest>=1; extra == "speech"
Requires-Dist: tests-that-nobody-has; extra == "test"
"""


class Described(Distribution):
    """A distribution that is nothing but its metadata."""

    def read_text(self, filename: str) -> str | None:
        return METADATA if filename == "METADATA" else None

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        return Path(path)


def doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "peripatos", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables})


def test_the_report_is_json_and_agrees_with_what_is_installed() -> None:
    done = doctor("--json")
    assert done.returncode == 0, done.stderr
    rows = {row["what"]: row for row in json.loads(done.stdout)}
    assert rows["peripatos"]["result"] == version("peripatos")
    assert rows["numpy"]["result"] == version("numpy")
    assert rows["Python"]["result"] == ".".join(map(str, sys.version_info[:3]))
    for what in ("sandbox", "drawing", "CUDA", "torch threads", "extra mcp", "processors"):
        assert rows[what]["result"]


def test_no_secret_and_no_name_of_a_user_home_or_host_is_in_it(tmp_path: Path) -> None:
    home = tmp_path / "home" / "ada.lovelace"
    home.mkdir(parents=True)
    secrets = {"HF_TOKEN": "hf_secret1", "WANDB_API_KEY": "secret2", "PERIPATOS_KEY": "secret3"}
    where = {"PERIPATOS_CACHE": f"{home}/cache", "MUJOCO_GL": "egl"}
    person = {"HOME": str(home), "USER": "lovelace", "LOGNAME": "lovelace", "LNAME": "lovelace"}
    for form in ((), ("--json",)):
        done = doctor(*form, **secrets, **where, **person)
        assert done.returncode == 0, done.stderr
        assert "~/cache" in done.stdout
        for hidden in ("secret", "lovelace", "WANDB", "HF_TOKEN"):
            assert hidden not in done.stdout
    assert '"PERIPATOS_KEY"' in done.stdout


def test_a_name_is_hidden_as_a_word_only() -> None:
    hide = _Hider(home="/home/max", user="max", host="jet")
    assert hide("/home/max/x on jet, maximum of /home/maxim") == "~/x on HOST, maximum of /home/maxim"
    assert hide("max said") == "USER said"


def test_what_is_missing_or_too_old_is_fatal_and_an_extra_says_how_it_is_installed() -> None:
    packages = {f.what: f for f in machine._packages(Described())}
    assert not packages["numpy"].fatal
    assert packages["pip-that-nobody-has"] == MachineFinding("pip-that-nobody-has", "missing", "needed: >=2", True)
    assert packages["pytest"].fatal
    (speech,) = machine._extras(Described(), "peripatos")
    assert speech.detail == "without voices-that-nobody-has: pip install 'peripatos[speech]'"
    (speech,) = machine._extras(Described(), "-c constraints.txt -e .")
    assert speech.detail.endswith(": pip install -c constraints.txt -e '.[speech]'")


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("import os; os.abort()", "signal 6"),
        ("import time; time.sleep(600)", "no picture after 1 s"),
        ("raise SystemExit('no EGL here')", "no EGL here; Debian: apt-get install libegl1"),
        ("print('egl', 480, 640, 3, 0)", "the picture is empty"),
    ],
)
def test_a_driver_that_crashes_hangs_fails_or_draws_nothing_is_a_row(code: str, detail: str) -> None:
    found = machine._drawing([sys.executable, "-c", code], seconds=1.0 if "sleep" in code else PATIENCE)
    assert found.result == "no"
    assert detail in found.detail


def test_a_picture_names_what_drew_it() -> None:
    found = machine._drawing([sys.executable, "-c", "print('egl', 480, 640, 3, 255)"], PATIENCE)
    assert found == MachineFinding("drawing", "egl", "640 × 480 pixels")


def test_a_revision_without_a_model_is_the_users_mistake() -> None:
    done = doctor("--revision", "main")
    assert done.returncode == 2
    assert "belongs to a model" in done.stderr
    assert "Traceback" not in done.stderr
