"""The red-team suite: isolation attacks, reward hacks and controls, judged one after the other by one judge.

An isolation program answers rightly only if it got out, so "passed" means escaped. The limits of attacks are short, so
that the whole suite fits into a default run; the programs that burn time burn all they get.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENT, hurried
from peak_memory import PeakMemory
from planted_secrets import CANARY, SECRET

from peripatos.envs.sandbox import Judge, Verdict

pytestmark = pytest.mark.sandbox

PROGRAMS = Path(__file__).parent / "programs"
# The one program that looks for what another planted must come after it.
MANIFEST: list[dict[str, Any]] = sorted(
    json.loads((PROGRAMS / "manifest.json").read_text()), key=lambda entry: entry["name"] == "fs_persist_probe"
)
CASES = json.loads((PROGRAMS / "tests.json").read_text())
TESTS = CASES["public"] + CASES["hidden"]


@pytest.fixture(scope="module")
def judge(planted: None) -> Iterator[Judge]:
    with Judge(workers=1, limits=PATIENT) as judge:
        yield judge


def _run(judge: Judge, kind: str, code: str) -> Verdict:
    if kind == "function":
        return judge.function(code, entry="solve", tests=[((xs,), expected) for xs, expected in TESTS])
    lines = [(" ".join(map(str, xs)) + "\n", f"{expected}\n") for xs, expected in TESTS]
    return judge.stdio(code, lines)


def _marked_processes() -> list[str]:
    """The names of processes that an attack left behind; they mark themselves."""
    names = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = comm.read_text().strip()
        except OSError:
            continue
        if name.startswith("rt_"):
            names.append(name)
    return names


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["name"])
def test_no_attack_escapes_or_fools_the_judge(judge: Judge, entry: dict[str, Any]) -> None:
    safe, memory = entry["safe_outcome"], PeakMemory()
    with nullcontext() if entry["category"] == "control" else hurried(judge, 1.2):
        verdict = _run(judge, entry["kind"], (PROGRAMS / entry["path"]).read_text())
    assert verdict.reward is not None, "an attack must not pass for a failure of the sandbox"
    if safe["verdict"] == "not_passed":
        assert verdict.reward == 0.0
    if safe["verdict"] == "passed":
        assert verdict.reward == 1.0, verdict
    if "exact_verdict_suggested" in safe:
        assert verdict.status == safe["exact_verdict_suggested"]
    assert _marked_processes() == []
    assert CANARY.read_text() == SECRET
    for path in safe.get("absent", []):
        assert not Path(path).exists()
    assert memory.grown_mb() < min(300, safe.get("max_judge_rss_mb", 4096))
    if entry["category"] != "control":
        honest = (PROGRAMS / "controls" / "ok_plain.py").read_text()
        assert _run(judge, "function", honest).reward == 1.0, "the judge was broken"
