"""Test code questions a candidate in another process, by value: exact types, exceptions, state and mutation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from patience import PATIENT, hurried

from peripatos.envs.sandbox import Judge

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(workers=1, limits=PATIENT) as judge:
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
            "import math\nassert math.isinf(f(-math.inf))",
        ),
        (
            "n = 0\ndef f():\n    global n\n    n += 1\n    return n",
            "assert [f() for _ in range(400)] == list(range(1, 401))",
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
            "import threading\ndef f(x): return [threading.Lock() for _ in range(x)]",
            "assert len(f(3)) == 3 and f(1) != [1]",
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
    test_code = "def check(candidate):\n    assert candidate(41) == 41\n"
    with hurried(judge) if status == "time_limit" else nullcontext():
        verdict = judge.assertions(code, entry="f", test_code=test_code)
    assert (verdict.status, verdict.reward) == (status, 0.0), verdict


@pytest.mark.parametrize(
    ("code", "test_code"),
    [
        ("def f(xs): xs.sort(); xs.append(9)", "a = [3, 1]\nassert f(a) is None\nassert a == [1, 3, 9]"),
        (
            "def f(d): d['in'].append(1); d['in'][0][0] = 7; d['s'].add(2)",
            "inner = [0]\nlst = [inner]\nd = {'in': lst, 's': {1}}\nf(d)\n"
            "assert d == {'in': [[7], 1], 's': {1, 2}}\nassert lst == [[7], 1] and inner == [7]",
        ),
    ],
)
def test_changed_arguments_are_seen_only_where_the_test_asks_for_it(judge: Judge, code: str, test_code: str) -> None:
    assert judge.assertions(code, entry="f", test_code=test_code, in_place=True).reward == 1.0
    assert judge.assertions(code, entry="f", test_code=test_code).reward == 0.0


def test_an_answer_with_nan_is_wrong_unless_the_test_deals_with_it(judge: Judge) -> None:
    close = "got = f(2.0)\nassert not abs(got - 4.0) > 1e-6"
    for answer in ("float('nan')", "[1.0, {'a': float('nan')}]"):
        verdict = judge.assertions(f"def f(x): return {answer}", entry="f", test_code=f"{close}\nassert f(1) or 1")
        assert verdict.status == "wrong_answer", verdict
        assert "NaN" in verdict.message
    code, test = "def f(x): return x", "import math\nassert math.isnan(f(float('nan')))"
    assert judge.assertions(code, entry="f", test_code=test, nan=True).reward == 1.0


SQUARES = "INPUTS = [[1, 2, 3, 4], [10], [2, 2], [6, -4, 3], [0, 8, 9, -10]]\n" + (
    "def ref(xs):\n    return sum(x * x for x in xs if x % 2 == 0)\n"
)
STYLES = {  # of tests that look at every answer
    "reference after": "for xs in INPUTS: assert candidate(xs) == ref(xs)",
    "reference first": "for xs in INPUTS:\n    want = ref(xs)\n    assert candidate(xs) == want",
    "shallow copies": "for xs in INPUTS:\n    old = list(xs)\n    assert candidate(xs) == ref(xs) and xs == old",
    "zip of maps": "for got, want in zip(map(candidate, INPUTS), map(ref, INPUTS)): assert got == want",
    "zip of a map": "for xs, got in zip(INPUTS, map(candidate, INPUTS)): assert got == ref(xs)",
    "all of a map": "assert all(map(lambda xs: candidate(xs) == ref(xs), INPUTS))",
    "lists of maps": "assert list(map(candidate, INPUTS)) == list(map(ref, INPUTS))",
    "loop over a map": "for i, got in enumerate(map(candidate, INPUTS)): assert got == ref(INPUTS[i])",
    "filter": "for xs in filter(lambda xs: candidate(xs) != ref(xs), INPUTS): assert False",
    "comprehension": "assert [candidate(xs) for xs in INPUTS] == [ref(xs) for xs in INPUTS]",
    "distance": "for xs in INPUTS: assert not abs(candidate(xs) - ref(xs)) > 1e-6",
    "greatest distance": "assert max(abs(candidate(xs) - ref(xs)) for xs in INPUTS) < 1e-6",
    "by hand": "assert candidate([1, 2]) == 4\nassert candidate([2, 2]) == 8\nassert candidate([10]) == 100",
    "keyword": "for xs in INPUTS: assert candidate(xs=xs) == ref(xs)",
    "iterator": "it = iter(lambda: candidate([2]), 4)\nassert list(it) == []\nassert candidate([10]) == 100",
    "generator": "def each():\n    for xs in INPUTS:\n        yield candidate(xs) == ref(xs)\nassert all(each())",
    "next": "got = next(map(candidate, INPUTS), 20)\nassert got == 20 and candidate([10]) == 100",
}
WRONG = {
    "clears": "xs.clear()\n    return 0",
    "zeroes": "xs[:] = [0] * len(xs)\n    return 0",
    "pops": "while xs: xs.pop()\n    return 0",
    "stops": "raise StopIteration",
    "stops async": "raise StopAsyncIteration",
    "stops in disguise": "raise type('E', (StopIteration, ValueError), {})('x')",
    "stops by a child": "raise type('E', (StopIteration,), {})(1)",
    "generator exit": "raise GeneratorExit",
    "next of nothing": "return next(iter(()))",
    "nan": "return float('nan')",
    "exit": "raise SystemExit(0)",
    "interrupt": "raise KeyboardInterrupt",
    "equal to all": "return type('E', (int,), {'__eq__': lambda s, o: True, '__ne__': lambda s, o: False})(0)",
    "nothing": "return None",
    "true": "return True",
}


@pytest.mark.parametrize("style", STYLES)
def test_no_wrong_program_passes_a_test_that_looks_at_every_answer(judge: Judge, style: str) -> None:
    body = "\n".join(f"    {line}" for line in STYLES[style].splitlines())
    test_code = f"{SQUARES}def check(candidate):\n{body}"
    for name, wrong in WRONG.items():
        with hurried(judge):  # a wrong answer may keep a loop of the test's from ending
            verdict = judge.assertions(f"def f(xs):\n    {wrong}", entry="f", test_code=test_code)
        assert verdict.reward == 0.0, (style, name, verdict)
    right = "def f(xs): return sum(x * x for x in xs if x % 2 == 0)"
    assert judge.assertions(right, entry="f", test_code=test_code).status == "passed"


@pytest.mark.parametrize(
    "test_code",
    [
        "import numpy_that_nobody_has\nassert f(1) == 1",
        "def check(candidate):\n    import numpy_that_nobody_has as np\n    assert candidate(1) == 1",
        "assert np.allclose(f(1), 1)",
        "x = 1 / 0\nassert f(1) == 1",
        "assert undefined_table[0] == f(1)",
        "def test_f():\n    assert f(1) == 1\n",
        "import unittest\nclass T(unittest.TestCase):\n    def helper(self): self.assertEqual(f(1), 1)",
        "f(2) == 4",
        "print(f(2) == 4)",
        "f(2)\nassert True\nassert 'it ran'",
        "assert (f(2) == 4, 'of two')\nassert f(1) == 1",
        "def check(candidate):\n    candidate(2)",
        "import atexit\natexit.register(lambda: print(f(2) == 4))",
        "import doctest\ndef g():\n    '>>> f(2)\\n4'\ndoctest.testmod()",
        "import sys\nsys.exit(0)\nassert f(1) == 1",
        "raise SystemExit(1)",
    ],
)
def test_a_test_that_is_broken_by_itself_is_named_so_and_scores_nobody(judge: Judge, test_code: str) -> None:
    for code in ("def f(x): return x", "def f(x): return 0", "import os\ndef f(x): os._exit(0)"):
        verdict = judge.assertions(code, entry="f", test_code=test_code)
        assert (verdict.status, verdict.reward) == ("broken_test", None), verdict


CASE = """
import unittest
class T(unittest.TestCase):
    def test_two(self): self.assertEqual(f(2), 4)
    def test_parts(self):
        for n in range(3):
            with self.subTest(n): self.assertEqual(f(n), n * n)
"""
SUITE = "unittest.defaultTestLoader.loadTestsFromTestCase(T)"
POOL = "from concurrent.futures import ThreadPoolExecutor\ndef look(n):\n    if f(n) != n * n: raise ValueError(n)\n"
UNHEARD = {  # test code that fails, and ends as if it did not
    "runner": f"{CASE}unittest.TextTestRunner().run({SUITE})",
    "quiet result": f"{CASE}{SUITE}.run(unittest.TestResult())",
    "main of a module": f"{CASE}unittest.main(module='tests', argv=['x'], exit=False)",
    "main": f"{CASE}unittest.main()",
    "main, if it is": f"{CASE}if __name__ == '__main__': unittest.main()",
    "case": CASE,
    "case with assert": "from unittest import TestCase\nclass T(TestCase):\n    def test(self): assert f(2) == 4",
    "part": f"{CASE.replace('test_two', 'two')}unittest.main(exit=False)",
    "expected failure": f"{CASE}    @unittest.expectedFailure\n    def test_not(self): self.assertEqual(f(3), 8)\n",
    "exit": "import sys\nif f(2) != 4: sys.exit(1)",
    "exit with words": "import sys\nsys.exit(None if f(2) == 4 else 'wrong')",
    "atexit": "import atexit\n@atexit.register\ndef late():\n    if f(2) != 4: raise ValueError",
    "late assert": "from atexit import register\ndef late(n): assert f(n) == 4\nregister(late, n=2)",
    "map": f"{POOL}with ThreadPoolExecutor(2) as pool: pool.map(look, range(4))",
    "submit": f"{POOL}pool = ThreadPoolExecutor(2)\nfor n in range(4): pool.submit(look, n)",
    "thread": f"{POOL}import threading\nthreading.Thread(target=look, args=(2,)).start()",
}


@pytest.mark.parametrize("style", UNHEARD)
def test_a_failure_is_heard_however_the_test_code_is_written(judge: Judge, style: str) -> None:
    right = judge.assertions("def f(x): return x * x", entry="f", test_code=UNHEARD[style])
    assert (right.status, right.reward) == ("passed", 1.0), right
    for wrong in ("return 0", "return -x", "raise ValueError", "raise SystemExit(0)"):
        verdict = judge.assertions(f"def f(x): {wrong}", entry="f", test_code=UNHEARD[style])
        assert verdict.reward == 0.0, (wrong, verdict)


def test_a_failure_that_the_test_code_has_read_is_its_own_matter(judge: Judge) -> None:
    read = f"{POOL}with ThreadPoolExecutor(2) as pool: given = pool.map(look, range(4))\n" + (
        "try: list(given)\nexcept ValueError: pass\nassert f(1) == 2"
    )
    assert judge.assertions("def f(x): return 2 * x", entry="f", test_code=read).status == "passed"


@pytest.mark.parametrize(
    "end", ["import sys\nsys.exit(0)", "exit()", "raise SystemExit", "import sys\nsys.exit(False)"]
)
def test_a_test_may_end_with_an_exit(judge: Judge, end: str) -> None:
    test = f"assert f(1) == 1\n{end}"
    assert judge.assertions("def f(x): return x", entry="f", test_code=test).status == "passed"
    assert judge.assertions("def f(x): return 0", entry="f", test_code=test).status == "wrong_answer"
    own = judge.assertions("def f(x): raise SystemExit(0)", entry="f", test_code=test)
    assert (own.status, own.reward) == ("no_answer", 0.0)


@pytest.mark.parametrize(
    "test_code",
    ["assert f(1) == 1\nimport numpy_that_nobody_has", "x = f(1)\nassert x == 1\nassert np.allclose(x, 1)"],
)
def test_no_program_makes_a_test_break_once_it_was_called(judge: Judge, test_code: str) -> None:
    for code in ("def f(x): return x", "def f(x): raise ImportError('numpy')", "def np(): pass\ndef f(x): return 0"):
        assert judge.assertions(code, entry="f", test_code=test_code).reward == 0.0


POLY = "def poly(xs, x): return sum(c * x ** i for i, c in enumerate(xs))\n"
FIND = "def find_zero(xs):\n    a, b = -1e3, 1e3\n    for _ in range(200):\n        m = (a + b) / 2\n" + (
    "        if poly(xs, a) * poly(xs, m) <= 0: b = m\n        else: a = m\n    return a\n"
)
FIND_TEST = (
    "METADATA = {}\nimport math, random\ndef check(candidate):\n    rng = random.Random(42)\n"
    "    for _ in range(20):\n        coeffs = [rng.randint(1, 10), rng.randint(1, 10)]\n"
    "        solution = candidate(coeffs.copy())\n        assert math.fabs(poly(coeffs, solution)) < 1e-4\n"
)


def test_helpers_beside_the_candidate_can_be_called(judge: Judge) -> None:
    assert judge.assertions(POLY + FIND, entry="find_zero", test_code=FIND_TEST).status == "passed"
    shift = "def encode(s): return s[::-1]\ndef decode(s): return s[::-1]"
    round_trip = "def check(candidate):\n    for s in ('ab', 'xyz'):\n        assert candidate(encode(s)) == s"
    assert judge.assertions(shift, entry="decode", test_code=round_trip).status == "passed"
    # One that is not there is the program's fault, so that leaving it out does not make the test a broken one.
    missing = judge.assertions("def decode(s): return s[::-1]", entry="decode", test_code=round_trip)
    assert (missing.status, missing.reward) == ("no_answer", 0.0)
    # What the test defines itself, and what Python has, is never the program's.
    liar = "def f(x): return 0\ndef ref(x): return 0\ndef abs(x): return 0\ndef len(x): return 1"
    test = "def ref(x): return 2 * x\ndef check(c):\n    assert abs(c(3)) == ref(3)\n    assert len([1, 2]) == 2"
    assert judge.assertions(liar, entry="f", test_code=test).reward == 0.0


def test_a_failed_assertion_does_not_end_the_calls(judge: Judge) -> None:
    """What ends with the first wrong answer tells the program, by the number of calls, which one that was."""
    counting = "n = 0\ndef f(x):\n    global n\n    n += 1\n    if n == {last}: 1 / 0\n    return {answer}\n"
    for test in (
        "\n".join(f"assert f({i}) == {i}" for i in range(5)),
        "for i in range(5): assert f(i) == i, 'wrong'",
        "assert all(f(i) == i for i in range(5))",
        "assert f(0) == 0 and f(1) == 1 and f(2) == 2 and f(3) == 3 and f(4) == 4",
    ):
        wrong = judge.assertions(counting.format(last=99, answer="-1"), entry="f", test_code=test)
        assert wrong.status == "wrong_answer"
        after = test + "\ntry: f(9)\nexcept ZeroDivisionError: print('the sixth call')\nelse: 1 / 0"
        ended = judge.assertions(counting.format(last=6, answer="-1"), entry="f", test_code=after)
        assert ended.status == "wrong_answer", ended
        right = judge.assertions(counting.format(last=6, answer="x"), entry="f", test_code=after)
        assert right.status == "passed", right


def test_a_test_that_catches_its_own_assertions_means_what_it_says(judge: Judge) -> None:
    test = "try:\n    assert f(1) == 5\nexcept AssertionError:\n    pass\nelse:\n    raise ValueError\nassert f(2) == 2"
    assert judge.assertions("def f(x): return x", entry="f", test_code=test).status == "passed"
    assert judge.assertions("def f(x): return 5", entry="f", test_code=test).reward == 0.0
    walrus = "assert (n := f(3)) and n == 3\nassert n == 3"
    assert judge.assertions("def f(x): return x", entry="f", test_code=walrus).status == "passed"


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
    with hurried(judge):
        verdict = judge.assertions("def f(x): return x", entry="f", test_code="assert f(1)\nwhile True: pass")
    assert verdict.status == "time_limit"


FORGER = """
import json, os, struct
def frame(value):
    body = json.dumps(value).encode()
    os.write(3, struct.pack("!I", len(body)) + body)
def f(*a): return 0
frame({"ready": True})
while True:
    (length,) = struct.unpack("!I", os.read(3, 4))
    while length: length -= len(os.read(3, length))
    frame(%s)
"""


@pytest.mark.parametrize(
    ("answer", "test"),
    [
        ('{"v": 0, "after": [[[]], {"d": []}]}', "xs = [1, 2]\nassert f(xs) == sum(xs)"),
        ('{"raised": ["ValueError"], "m": "", "after": [[[]], {"d": []}]}',
         "xs = [1, 2]\ntry: f(xs)\nexcept ValueError: pass\nassert xs == []"),
        ('{"v": {"c": [{"c": [{"f": "inf"}, 0]}, {"c": [0, {"f": "inf"}]}]}}', "assert not abs(f(1) - 2.0) > 1e-6"),
        ('{"v": {"c": [1, 0]}}', "assert f(1)"),
        ('{"v": 5, "x2": 1, "call": [], "done": 1}', "assert f(1) == 4"),
        ('{"done": 1}', "assert f(1) == 4"),
    ],
)  # fmt: skip
def test_a_candidate_that_writes_its_own_frames_can_say_no_more_than_an_answer(
    judge: Judge, answer: str, test: str
) -> None:
    """Its process is the program's: what changes arguments, or makes NaN of infinities, has to be refused elsewhere."""
    with hurried(judge):
        verdict = judge.assertions(FORGER % answer, entry="f", test_code=test)
    assert verdict.reward == 0.0, verdict
