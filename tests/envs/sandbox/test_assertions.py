"""Test code questions a candidate in another process, by value: exact types, exceptions, state and mutation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from peripatos.envs.sandbox import Judge, Limits

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(workers=1, limits=Limits(wall_s=1.5, cpu_s=1)) as judge:
        yield judge


@pytest.mark.parametrize(
    ("code", "test_code"),
    [
        ("def f(a, b): return a + b", "assert f(1, 2) == 3\nassert f('a', 'b') == 'ab'"),
        ("def f(a, b): return a + b", "def check(candidate):\n    assert candidate(1, 2) == 3"),
        ("def f(a, b): return a + b", "def check(candidate):\n    assert candidate(1, 2) == 3\ncheck(f)"),
        ("def f(a, *, k=1): return a * k", "assert f(2, k=3) == 6 and f(2) == 2"),
        (
            "def f(x): return x",
            "for v in (1, True, 1.5, float('inf'), 2**99, 1j, 'ä', b'\\xff', [1, (2,)], {1: {2}}, None, -0.0, "
            "frozenset((1,)), {(1, 2): [3]}):\n    assert f(v) == v and type(f(v)) is type(v), v\n"
            "import math\nassert math.isnan(f(float('nan')))",
        ),
        (
            "n = 0\ndef f():\n    global n\n    n += 1\n    return n",
            "assert [f() for _ in range(400)] == list(range(1, 401))",
        ),
        ("def f(xs): xs.sort(); xs.append(9)", "a = [3, 1]\nassert f(a) is None\nassert a == [1, 3, 9]"),
        (
            "def f(d): d['in'].append(1); d['in'][0][0] = 7; d['s'].add(2)",
            "inner = [0]\nlst = [inner]\nd = {'in': lst, 's': {1}}\nf(d)\n"
            "assert d == {'in': [[7], 1], 's': {1, 2}}\nassert lst == [[7], 1] and inner == [7]",
        ),
        (
            "class Bad(ValueError): pass\ndef f(x):\n    if x < 0: raise Bad('negative')\n    return x",
            "try:\n    f(-1)\n    raise RuntimeError('nothing raised')\nexcept ValueError as e:\n"
            "    assert 'negative' in str(e)\nassert f(1) == 1",
        ),
        ("def f(x): return {}[x]", "try: f(1); assert 0\nexcept KeyError: pass"),
        (
            "class Odd(Exception): pass\ndef f(x): raise Odd('x')",
            "try:\n    f(1)\n    raise RuntimeError\nexcept Exception as e:\n"
            "    assert type(e).__name__ == 'CandidateError'",
        ),
        ("def f(x):\n    print('noise', x)\n    return x", "assert f(3) == 3"),
        (
            "def f(x): return (i for i in range(x))",
            "try:\n    f(3)\n    raise RuntimeError\nexcept TypeError as e:\n    assert 'generator' in str(e)",
        ),
    ],
)
def test_a_right_candidate_passes(judge: Judge, code: str, test_code: str) -> None:
    verdict = judge.assertions(code, entry="f", test_code=test_code)
    assert (verdict.status, verdict.reward) == ("passed", 1.0), verdict


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("def f(x): return 0", "wrong_answer"),
        ("def f(x): raise AssertionError('mine')", "wrong_answer"),
        ("def f(x): return 1 / 0", "runtime_error"),
        ("def g(x): return x", "no_answer"),
        ("import os\ndef f(x): os._exit(0)", "no_answer"),
        ("import os\nos._exit(0)", "no_answer"),
        ("def f(x): raise SystemExit(0)", "no_answer"),
        ("def f(x):\n    while True: pass", "time_limit"),
        ("def f(x) return", "compile_error"),
        ("class Yes(int):\n    def __eq__(self, o): return True\ndef f(x): return Yes(1)", "wrong_answer"),
        ("import os\ndef f(x): os.write(3, b'\\xff' * 99); return x", "protocol_error"),
        # An answer that looks like the examiner's word for success is carried as an answer, and is none.
        (
            "import json, os, struct\nb = json.dumps({'done': 5}).encode()\n"
            "def f(x): os.write(3, struct.pack('!I', len(b)) + b)",
            "runtime_error",
        ),
        (
            "import json, os, struct\nb = json.dumps({'done': 5}).encode()\n"
            "os.write(3, struct.pack('!I', len(b)) + b)\ndef f(x): return 0",
            "protocol_error",
        ),
        # The test code is in another process: there is nothing to find and nothing to patch.
        (
            "import gc, sys\ndef f(x):\n    for o in gc.get_objects():\n"
            "        if isinstance(o, dict) and callable(o.get('check')): o['check'] = lambda c: None\n"
            "    sys.modules['tests'] = None\n    return 0",
            "wrong_answer",
        ),
    ],
)
def test_a_wrong_or_hostile_candidate_fails(judge: Judge, code: str, status: str) -> None:
    verdict = judge.assertions(code, entry="f", test_code="def check(candidate):\n    assert candidate(41) == 41\n")
    assert (verdict.status, verdict.reward) == (status, 0.0), verdict


def test_test_code_that_never_calls_the_candidate_is_no_evidence(judge: Judge) -> None:
    verdict = judge.assertions("def f(x): return x", entry="f", test_code="def test_f():\n    assert f(1) == 1\n")
    assert (verdict.status, verdict.reward) == ("no_answer", 0.0)


def test_the_candidate_cannot_read_the_assertions_from_its_memory(judge: Judge) -> None:
    code = """
import gc, sys
def f(x):
    mark = '1688-KRAM'[::-1]
    lists = [o for o in gc.get_objects() if type(o) is list]
    return any(mark in o for o in lists) or mark in str(sys._getframe(1).f_locals)
"""
    verdict = judge.assertions(code, entry="f", test_code="secret = 'MARK-8861'\nassert f(1) is False")
    assert verdict.status == "passed", verdict


def test_test_code_that_runs_wild_is_not_held_against_the_sandbox(judge: Judge) -> None:
    verdict = judge.assertions("def f(x): return x", entry="f", test_code="f(1)\nwhile True: pass")
    assert verdict.status == "time_limit"
