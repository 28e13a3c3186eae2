"""Odd coding tasks: every kind of entry, argument, result and test, each with a right program and a wrong one."""

# ruff: noqa: E501 (tables: one task a line)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from peripatos.envs.sandbox import AnyOrder, Judge, Limits, Raises, SandboxUnavailable

pytestmark = pytest.mark.sandbox


@dataclass(frozen=True)
class Odd:
    """A task of the kind function (tests are pairs) or assertions (a text), a right program and what makes it wrong."""

    name: str
    right: str
    tests: Any
    wrong: tuple[str, str]  # a piece of the right program, and what stands there in a wrong one
    entry: str = "f"
    options: dict[str, Any] = field(default_factory=dict)


JSON = {"tuples_as_lists": True}
STACK = """
class Empty(Exception):
    def __init__(self, depth): super().__init__(f"empty at {depth}"); self.depth = depth
class Stack:
    limit = 3
    def __init__(self, items=()): self.items = list(items)
    def push(self, item): self.items.append(item); return self
    def pop(self):
        if not self.items: raise Empty(7)
        return self.items.pop()
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
    def __getitem__(self, i): return self.items[i]
    def __setitem__(self, i, item): self.items[i] = item
    def __str__(self): return f"Stack of {len(self.items)}"
    def __enter__(self): return self
    def __exit__(self, *error): self.items.clear()
    @property
    def top(self): return self.items[-1]
    @classmethod
    def of(cls, *items): return cls(items)
    @staticmethod
    def twice(x): return 2 * x
"""
VECTOR = """
class Vector:
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, o): return Vector(self.x + o.x, self.y + o.y)
    def __mul__(self, k): return Vector(self.x * k, self.y * k)
    __rmul__ = __mul__
    def __neg__(self): return Vector(-self.x, -self.y)
    def __matmul__(self, o): return self.x * o.x + self.y * o.y
    def __lt__(self, o): return self @ self < o @ o
    def __eq__(self, o): return (self.x, self.y) == (o.x, o.y)
    def __hash__(self): return hash((self.x, self.y))
    def __contains__(self, k): return k in (self.x, self.y)
"""
POINT = "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n    y: int = 0\n"
NODE = """
class Node:
    def __init__(self, value, next=None): self.value, self.next = value, next
"""
BIG = 1_000_000

FUNCTIONS = [
    Odd("plain", "def f(x): return x + 1", [((1,), 2)], ("+ 1", "+ 2")),
    Odd("default argument", "def f(x, y=5): return x + y", [((1,), 6), ((1, 2), 3)], ("=5", "=4")),
    Odd("recursion", "import sys\nsys.setrecursionlimit(9999)\ndef f(n): return n and 1 + f(n - 1)", [((5000,), 5000)], ("1 +", "2 +")),
    Odd("lambda", "f = lambda x: x * 2", [((2,), 4)], ("* 2", "* 3")),
    Odd("partial", "from functools import partial\nf = partial(max, 3)", [((2,), 3), ((5,), 5)], ("max", "min")),
    Odd("closure", "def make(k):\n    return lambda x: x + k\nf = make(3)", [((2,), 5)], ("make(3)", "make(4)")),
    Odd("callable object", "class F:\n    def __call__(self, x): return x\nf = F()", [((2,), 2)], ("return x", "return 0")),
    Odd("method of Solution by its name", "class Solution:\n    def f(self, x): return x", [((2,), 2)], ("return x", "pass")),
    Odd("Solution().f", "class Solution:\n    def f(self, x): return x", [((2,), 2)], ("return x", "pass"), "Solution().f"),
    Odd("Solution.f", "class Solution:\n    def f(self, x): return x", [((2,), 2)], ("return x", "pass"), "Solution.f"),
    Odd("static method", "class A:\n    @staticmethod\n    def f(x): return x", [((2,), 2)], ("return x", "pass"), "A.f"),
    Odd("class method", "class A:\n    k = 3\n    @classmethod\n    def f(cls, x): return x * cls.k", [((2,), 6)], ("k = 3", "k = 2"), "A.f"),
    Odd("method with state", "class A:\n    def __init__(self): self.n = 0\n    def f(self):\n        self.n += 1\n        return self.n", [((), 1), ((), 1)], ("+= 1", "+= 2"), "A().f"),
    Odd("async", "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x", [((2,), 2)], ("return x", "return 0")),
    Odd("gathered", "import asyncio\nasync def g(x): return x * x\nasync def f(xs): return await asyncio.gather(*map(g, xs))", [(([1, 2],), [1, 4])], ("x * x", "x")),
    Odd("generator", "def f(n):\n    for i in range(n): yield i", [((3,), [0, 1, 2])], ("yield i", "yield -i")),
    Odd("map", "def f(xs): return map(str, xs)", [(([1, 2],), ["1", "2"])], ("str", "float")),
    Odd("range", "def f(n): return range(n)", [((3,), [0, 1, 2])], ("(n)", "(1, n)")),
    Odd("asynchronous generator", "async def f(n):\n    for i in range(n): yield i", [((2,), [0, 1])], ("yield i", "yield 0")),
    Odd("steps of a class", "class Stack:\n    def __init__(self, most): self.most, self.items = most, []\n    def push(self, x):\n        if len(self.items) < self.most: self.items.append(x)\n    def pop(self): return self.items.pop()", [((["Stack", "push", "push", "pop"], [[1], [5], [6], []]), [None, None, None, 5])], ("pop()", "pop() + 1"), "Stack"),
    Odd("class that is given two lists", "class F:\n    def __new__(cls, a, b): return a + b", [(([1], [2]), [1, 2])], ("a + b", "b + a"), "F"),
    Odd("set", "def f(xs): return set(xs)", [(([1, 2, 2],), {1, 2})], ("set(xs)", "list(xs)")),
    Odd("frozenset", "def f(xs): return frozenset(xs)", [(([1],), frozenset({1}))], ("frozenset", "set")),
    Odd("Counter", "from collections import Counter\ndef f(s): return Counter(s)", [(("aab",), {"a": 2, "b": 1})], ("(s)", "(s[1:])")),
    Odd("OrderedDict", "from collections import OrderedDict\ndef f(): return OrderedDict(b=1, a=2)", [((), {"b": 1, "a": 2})], ("a=2", "a=3")),
    Odd("keys that are numbers", "def f(): return {1: 'a', 2: 'b'}", [((), {1: "a", 2: "b"})], ("1:", "'1':")),
    Odd("tuple", "def f(): return 1, 2", [((), (1, 2))], ("1, 2", "[1, 2]")),
    Odd("named tuple", "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)", [((), (1, 2))], ("(1, 2)", "(2, 1)")),
    Odd("complex", "def f(): return 1 + 2j", [((), 1 + 2j)], ("2j", "3j")),
    Odd("bytes", "def f(): return b'ab'", [((), b"ab")], ("b'ab'", "'ab'")),
    Odd("infinity", "def f(): return float('inf')", [((), float("inf"))], ("inf", "-inf")),
    Odd("not a number", "def f(): return float('nan')", [((), float("nan"))], ("nan", "inf")),
    Odd("large number", "def f(): return 3 ** 500", [((), 3**500)], ("500", "501")),
    Odd("decimal", "from decimal import Decimal\ndef f(x): return Decimal(x) / 4", [(("1.50",), Decimal("0.375"))], ("/ 4", "/ 5")),
    Odd("decimal for a float", "from decimal import Decimal\ndef f(): return Decimal('0.5')", [((), 0.5)], ("0.5", "0.6"), options=JSON),
    Odd("fraction", "from fractions import Fraction\ndef f(a, b): return Fraction(a, b)", [((2, 6), Fraction(1, 3))], ("Fraction(a, b)", "Fraction(b, a)")),
    Odd("date", "from datetime import date, timedelta\ndef f(d): return d + timedelta(1)", [((date(2026, 2, 28),), date(2026, 3, 1))], ("(1)", "(2)")),
    Odd("time delta", "def f(a, b): return b - a", [((date(2026, 1, 1), date(2026, 3, 1)), timedelta(59))], ("b - a", "a - b")),
    Odd("deque", "from collections import deque\ndef f(xs): return deque(xs)", [(([1, 2],), [1, 2])], ("deque(xs)", "deque(xs * 2)"), options=JSON),
    Odd("2 for 2.0", "def f(x): return x", [((2,), 2.0)], ("return x", "return x + 1"), options=JSON),
    Odd("2.0 for 2", "def f(x): return x / 1", [((2,), 2)], ("/ 1", "/ 2"), options=JSON),
    Odd("tolerance", "def f(): return 1 / 3", [((), 0.333333)], ("1 / 3", "1 / 4"), options={"tolerance": 1e-5}),
    Odd("tolerance within", "def f(): return [{'a': 1 / 3}]", [((), [{"a": 0.333333}])], ("1 / 3", "1 / 4"), options={"tolerance": 1e-5, **JSON}),
    Odd("numbers as keys, in JSON", "def f(): return {1: [2]}", [((), {"1": [2]})], ("1:", "2:"), options=JSON),
    Odd("any order", "def f(): return [3, 1, 2]", [((), AnyOrder([1, 2, 3]))], ("3, 1", "3, 3"), options=JSON),
    Odd("a set in any order", "def f(): return {3, 1, 2}", [((), AnyOrder([1, 2, 3]))], ("3, 1", "4, 1"), options=JSON),
    Odd("groups in any order", "def f(): return [['c'], ['b', 'a']]", [((), AnyOrder([AnyOrder(["a", "b"]), ["c"]]))], ("'b'", "'a'"), options=JSON),
    Odd("any order within", "def f(): return {'a': (2, 1)}", [((), {"a": AnyOrder([1, 2])})], ("2, 1", "2, 2")),
    Odd("raises", "def f(x):\n    if x < 0: raise ValueError('negative')\n    return x", [((-1,), Raises("ValueError")), ((1,), 1)], ("x < 0", "x < -1")),
    Odd("raises its own", "class Bad(ValueError): pass\ndef f(): raise Bad", [((), Raises("Bad"))], ("raise Bad", "raise ValueError")),
    Odd("raises an ancestor", "def f(): return {}[1]", [((), Raises("LookupError"))], ("{}[1]", "1 / 0")),
    Odd("a million numbers there", "def f(xs): return sum(xs)", [((list(range(BIG)),), BIG * (BIG - 1) // 2)], ("sum(xs)", "len(xs)")),
    Odd("a million numbers back", "def f(n): return list(range(n))", [((BIG,), list(range(BIG)))], ("range(n)", "range(1, n + 1)")),
    Odd("ten million letters", "def f(s): return s[::-1]", [(("ab" * 5 * BIG,), "ba" * 5 * BIG)], ("[::-1]", "")),
]  # fmt: skip

ASSERTIONS = [
    Odd("class", STACK, "s = Stack()\nassert len(s) == 0\ns.push(1).push(2)\nassert s.pop() == 2 and s.top == 1\nassert list(s) == [1] and 1 in s and 2 not in s", ("self.items.pop()", "self.items.pop(0)"), "Stack"),
    Odd("operators", VECTOR, "a, b = Vector(1, 2), Vector(3, 4)\nassert a + b == Vector(4, 6) and a * 2 == 2 * a == Vector(2, 4) and -a == Vector(-1, -2)\nassert a @ b == 11 and a < b and not b < a and sorted([b, a])[0] == a and sum([a, b], Vector(0, 0)) == Vector(4, 6)\nassert Vector(1.0, 2) == a and a != b and len({a, Vector(1, 2)}) == 1 and 2 in a and 3 not in a", ("self.x + o.x", "self.x - o.x"), "Vector"),
    Odd("operators of a neighbour", VECTOR + "def f(x): return Vector(x, 0)", "assert f(1) + f(2) == Vector(3, 0) and f(1) < f(2)", ("(x, 0)", "(0, x)")),
    Odd("context manager", "from contextlib import contextmanager\n@contextmanager\ndef f(log):\n    yield 'in'\n    log('out')", "log = []\nwith f(log.append) as x: assert x == 'in'\nassert log == ['out']", ("'out'", "'in'")),
    Odd("iterator class", "class Down:\n    def __init__(self, n): self.n = n\n    def __iter__(self): return self\n    def __next__(self):\n        if not self.n: raise StopIteration\n        self.n -= 1\n        return self.n", "assert list(Down(3)) == [2, 1, 0] and sum(x for x in Down(4)) == 6", ("return self.n", "return 0"), "Down"),
    Odd("enum of the test's", "import enum\nclass C(enum.Enum):\n    RED = 1\n    BLUE = 2\ndef f(c): return {C.RED: C.BLUE, C.BLUE: C.RED}[c]", "import enum\nclass C(enum.Enum):\n    RED = 1\n    BLUE = 2\nassert f(C.RED) == C.BLUE and f(C.RED) != C.RED", ("C.RED: C.BLUE,", "C.RED: C.RED,")),
    Odd("operators in place", "class V:\n    def __init__(self, x): self.x = x\n    def __iadd__(self, o):\n        self.x += o.x\n        return self", "a = V(1)\na += V(2)\nassert a.x == 3", ("+= o.x", "-= o.x"), "V"),
    Odd("asynchronous class", "class R:\n    async def __aenter__(self): return 5\n    async def __aexit__(self, *e): pass\n    async def go(self, x): return x + 1", "import asyncio\nasync def main():\n    async with R() as x: return x + await R().go(1)\nassert asyncio.run(main()) == 7", ("x + 1", "x"), "R"),
    Odd("error of the system", "def f(name): raise FileNotFoundError(2, 'no', name)", "try: f('a.txt')\nexcept OSError as e: assert (e.errno, e.filename) == (2, 'a.txt')\nelse: assert False", ("Error(2", "Error(3")),
    Odd("inheritance", "class Animal:\n    def speak(self): return self.sound() + '!'\nclass Dog(Animal):\n    def sound(self): return 'woof'", "d = Dog()\nassert d.speak() == 'woof!' and isinstance(d, Animal) and isinstance(d, Dog) and not isinstance(Animal(), Dog)\ntry: Animal().speak()\nexcept AttributeError: pass\nelse: assert False", ("'woof'", "'moo'"), "Dog"),
    Odd("threads in the test", "def f(x): return x * x", "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(8) as pool: assert list(pool.map(f, range(50))) == [x * x for x in range(50)]", ("x * x", "x")),
    Odd("class by check", STACK, "def check(candidate):\n    s = candidate([1, 2])\n    assert s.pop() == 2", ("list(items)", "list(items)[:1]"), "Stack"),
    Odd("constructors and constants", STACK, "assert Stack.of(1, 2).pop() == 2 and Stack.twice(3) == 6 and Stack.limit == 3\nassert Stack([5])[0] == 5", ("2 * x", "3 * x"), "Stack"),
    Odd("fields that are set", STACK, "s = Stack([1])\ns.items = [7, 8]\ns[0] = 6\nassert s.items == [6, 8] and str(s) == 'Stack of 2' and isinstance(s, Stack)", ("self.items[i] = item", "self.items[i] = 0"), "Stack"),
    Odd("with", STACK, "with Stack([1]) as s: assert s.pop() == 1\ns = Stack([1, 2])\nwith s: pass\nassert len(s) == 0", ("clear()", "pop()"), "Stack"),
    Odd("its own exception", STACK, "try: Stack().pop()\nexcept Empty as e: assert e.depth == 7 and str(e) == 'empty at 7'\nelse: assert False", ("Empty(7)", "Empty(8)"), "Stack"),
    Odd("its own exception not another", "class Bad(Exception): pass\nclass Worse(Bad): pass\ndef f(): raise Worse('x')", "try: f()\nexcept Bad: pass", ("raise Worse", "raise KeyError")),
    Odd("assertRaises", "class Bad(ValueError): pass\ndef f(x):\n    if x: raise Bad", "import unittest\nt = unittest.TestCase()\nt.assertRaises(Bad, f, 1)\nwith t.assertRaises(ValueError): f(2)\nassert f(0) is None", ("if x:", "if x == 1:")),
    Odd("built-in exception with its arguments", "def f(x): raise KeyError(x, 3)", "try: f('a')\nexcept KeyError as e: assert e.args == ('a', 3)\nelse: assert False", (", 3", ", 4")),
    Odd("Solution in the test", "class Solution:\n    def f(self, x): return x", "s = Solution()\nassert s.f(2) == 2 and Solution().f('a') == 'a'", ("return x", "return 2"), "Solution().f"),
    Odd("async", "import asyncio\nasync def f(x):\n    if x < 0: raise ValueError\n    return x", "import asyncio\nassert asyncio.run(f(2)) == 2\nasync def both(): return await asyncio.gather(f(1), f(3))\nassert asyncio.run(both()) == [1, 3]\ntry: asyncio.run(f(-1))\nexcept ValueError: pass\nelse: assert False", ("return x", "return 2")),
    Odd("asynchronous generator", "async def f(n):\n    for i in range(n): yield i", "import asyncio\nasync def got(): return [x async for x in f(3)]\nassert asyncio.run(got()) == [0, 1, 2]", ("yield i", "yield 0")),
    Odd("generator", "def f(n):\n    for i in range(n): yield i * i", "assert list(f(4)) == [0, 1, 4, 9]\ng = f(2)\nassert next(g) == 0 and next(g) == 1 and next(g, None) is None\nassert sum(f(1000)) == 332833500", ("i * i", "i")),
    Odd("endless generator", "def f():\n    n = 0\n    while True:\n        yield n\n        n += 2", "from itertools import islice\nassert list(islice(f(), 5)) == [0, 2, 4, 6, 8]", ("n += 2", "n += 1")),
    Odd("generator that fails", "def f():\n    yield 1\n    yield 2\n    raise ValueError('end')", "got = []\ntry:\n    for x in f(): got.append(x)\nexcept ValueError as e: got.append(str(e))\nassert got == [1, 2, 'end']", ("yield 2", "yield 3")),
    Odd("map", "def f(xs): return map(lambda x: x + 1, xs)", "assert list(f([1, 2])) == [2, 3] and sorted(f(range(3))) == [1, 2, 3]", ("+ 1", "+ 2")),
    Odd("closure", "def f(k):\n    def add(x): return x + k\n    return add", "add = f(3)\nassert add(4) == 7 and f(1)(1) == 2", ("x + k", "x")),
    Odd("counter in a closure", "def f():\n    n = 0\n    def count():\n        nonlocal n\n        n += 1\n        return n\n    return count", "a, b = f(), f()\nassert (a(), a(), b()) == (1, 2, 1)", ("n += 1", "n += 2")),
    Odd("decorator", "def f(g):\n    def twice(*a): return g(*a) * 2\n    return twice", "assert f(lambda x: x + 1)(3) == 8\n@f\ndef h(x): return x\nassert h('a') == 'aa'", ("* 2", "* 3")),
    Odd("function as an argument", "def f(g, xs): return [g(x) for x in xs]", "assert f(lambda x: x * x, [1, 2]) == [1, 4] and f(str, [1]) == ['1']\nseen = []\nf(seen.append, [5])\nassert seen == [5]", ("g(x) for", "x for")),
    Odd("key function that fails", "def f(g):\n    try: return g(0)\n    except ZeroDivisionError: return 'caught'", "assert f(lambda x: 1 / x) == 'caught'", ("'caught'", "'no'")),
    Odd("type as an argument", "def f(xs, kind): return [x for x in xs if isinstance(x, kind)]", "assert f([1, 'a', 2], str) == ['a'] and f([1, 'a'], (int, float)) == [1]", ("if isinstance", "if not isinstance")),
    Odd("iterator as an argument", "def f(xs): return next(iter(xs))", "assert f(iter([3, 4])) == 3 and f(x for x in (5,)) == 5 and f(range(7, 9)) == 7", ("next(iter(xs))", "list(xs)[-1]")),
    Odd("neighbour", "def encode(s): return s[::-1]\ndef f(s): return encode(s)", "assert f(encode('ab')) == 'ab'", ("return encode(s)", "return s")),
    Odd("neighbour's class", POINT + "def f(p): return Point(p.y, p.x)", "p = Point(1, 2)\nassert f(p) == Point(2, 1) and f(p) != p and f(p).x == 2", ("p.y, p.x", "p.x, p.y")),
    Odd("dataclass of the test's", POINT + "def f(x): return Point(x)", POINT + "assert f(3) == Point(3) and Point(3) == f(3) and [f(1)] == [Point(1)]\nassert f(3) != Point(4)", ("Point(x)", "Point(x + 1)")),
    Odd("node of the test's as an argument", NODE + "def f(n):\n    t = 0\n    while n: t, n = t + n.value, n.next\n    return t", NODE + "assert f(Node(1, Node(2))) == 3", ("t + n.value", "t + 1")),
    Odd("list of nodes back", NODE + "def f(xs):\n    n = None\n    for x in reversed(xs): n = Node(x, n)\n    return n", NODE + "assert f([1, 2]) == Node(1, Node(2))\nn = f([5, 6])\nassert n.value == 5 and n.next.value == 6 and n.next.next is None", ("reversed(xs)", "xs")),
    Odd("ring of nodes", NODE + "def f():\n    a = Node(1)\n    a.next = a\n    return a", "n = f()\nassert n.next.next.value == 1 and n.next == n", ("Node(1)", "Node(2)")),
    Odd("named tuple by field", "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)", "p = f()\nassert p.x == 1 and p.y == 2 and p == (1, 2) and p._asdict() == {'x': 1, 'y': 2}", ("(1, 2)", "(2, 1)")),
    Odd("enum", "import enum\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = 2\ndef f(x): return Color(x)", "assert f(1) == Color.RED and f(2) != Color.RED and f(2).name == 'BLUE' and f(2).value == 2", ("Color(x)", "Color.RED")),
    Odd("decimal", "from decimal import Decimal\ndef f(x): return Decimal(x) * 2", "from decimal import Decimal\nassert f('1.10') == Decimal('2.2') and str(f('1.10')) == '2.20'", ("* 2", "* 3")),
    Odd("fraction and date", "from fractions import Fraction\nfrom datetime import date\ndef f(y): return Fraction(1, y), date(y, 1, 1)", "a, b = f(2000)\nassert a * 2000 == 1 and b.year == 2000 and b.isoformat() == '2000-01-01'", ("(1, y)", "(2, y)")),
    Odd("stdout", "def f(x): print('x is', x)", "import io, contextlib\nout = io.StringIO()\nwith contextlib.redirect_stdout(out): f(3)\nassert out.getvalue() == 'x is 3\\n'", ("'x is'", "'x'")),
    Odd("changed arguments", "def f(xs): xs.append(1)", "xs = []\nf(xs)\nassert xs == [1]", ("append(1)", "append(2)"), options={"in_place": True}),
    Odd("thousands of calls", "def f(x): return x", "assert all(f(i) == i for i in range(1000))", ("return x", "return x and 1")),
    Odd("a million numbers there and back", "def f(xs): return [x + 1 for x in xs]", f"xs = list(range({BIG}))\nassert f(xs) == [x + 1 for x in xs]", ("x + 1", "x")),
    Odd("ten million letters", "def f(s): return s + '!'", f"s = 'a' * {10 * BIG}\nassert f(s) == s + '!'", ("'!'", "''")),
    Odd("keyword arguments", "def f(x, *, y=1, **more): return x + y + sum(more.values())", "assert f(1) == 2 and f(1, y=5) == 6 and f(x=1, y=2, z=3) == 6", ("y=1", "y=2")),
    Odd("METADATA and check", "def f(x): return x", "METADATA = {'author': 'jt', 'dataset': 'test'}\ndef check(candidate):\n    assert candidate(3) == 3", ("return x", "return 0")),
    Odd("helpers and imports of the test's", "def f(x): return x / 3", "import math\nfrom random import Random\ndef near(a, b): return math.isclose(a, b, rel_tol=1e-9)\nrng = Random(0)\nfor _ in range(9):\n    x = rng.random()\n    assert near(f(x), x / 3)", ("/ 3", "/ 4")),
    Odd("unittest", "def f(x): return x", "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(1), 1)\ndef check(candidate):\n    result = unittest.TestResult()\n    T('test').run(result)\n    assert result.wasSuccessful()", ("return x", "return 0")),
]  # fmt: skip


PRINTED = [
    Odd("blanks behind", "print(int(input()) * 2, '')", [("2\n", "4"), ("3 ", "6\n\n")], ("* 2", "* 3")),
    Odd("400 kB of input", "print(sum(map(int, input().split())))", [(" ".join(["123"] * 100_000), "12300000")], ("sum", "max")),
    Odd("__main__", "def main(): print(input()[::-1])\nif __name__ == '__main__': main()", [("ab", "ba")], ("[::-1]", "")),
    Odd("decimals within a tolerance", "print(1 / 3)", [("", "0.333333")], ("/ 3", "/ 4"), options={"tolerance": 1e-3}),
]  # fmt: skip

FOUND = {  # every kind of coding task that findings of version 0.1 name, by the name that it has above
    "entry": ["plain", "default argument", "keyword arguments", "recursion", "changed arguments", "class", "Solution().f", "Solution.f", "async", "generator", "map", "closure", "neighbour"],
    "arguments": ["a million numbers there", "ten million letters", "function as an argument"],
    "results": ["set", "frozenset", "Counter", "OrderedDict", "tuple", "keys that are numbers", "complex", "bytes", "infinity", "not a number", "large number", "decimal", "fraction", "date", "dataclass of the test's", "neighbour's class", "named tuple by field", "a million numbers back"],
    "tests": ["helpers and imports of the test's", "METADATA and check", "unittest", "built-in exception with its arguments", "thousands of calls", "its own exception", "stdout"],
    "values of JSON": ["2 for 2.0", "2.0 for 2", "tolerance", "numbers as keys, in JSON", "any order"],
    "printed": ["blanks behind", "400 kB of input", "__main__", "decimals within a tolerance"],
}  # fmt: skip


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(workers=1, limits=Limits(wall_s=20, cpu_s=10)) as judge:
        yield judge


@pytest.fixture(scope="module")
def brief() -> Iterator[Judge]:
    """For programs that never end."""
    with Judge(workers=1, limits=Limits(wall_s=1, cpu_s=1)) as judge:
        yield judge


@pytest.mark.parametrize("odd", FUNCTIONS, ids=lambda odd: odd.name)
def test_an_odd_function_is_judged_right(judge: Judge, odd: Odd) -> None:
    assert odd.wrong[0] in odd.right
    for code, reward in ((odd.right, 1.0), (odd.right.replace(*odd.wrong), 0.0)):
        verdict = judge.function(code, odd.entry, odd.tests, **odd.options)
        assert verdict.reward == reward, verdict


@pytest.mark.parametrize("odd", PRINTED, ids=lambda odd: odd.name)
def test_an_odd_program_is_judged_right_by_what_it_prints(judge: Judge, odd: Odd) -> None:
    assert odd.wrong[0] in odd.right
    for code, reward in ((odd.right, 1.0), (odd.right.replace(*odd.wrong), 0.0)):
        assert judge.stdio(code, odd.tests, **odd.options).reward == reward


def test_no_kind_of_task_that_was_found_wanting_is_left_out() -> None:
    judged = {odd.name for odd in (*FUNCTIONS, *ASSERTIONS, *PRINTED)}
    assert not {name for names in FOUND.values() for name in names} - judged
    assert len(judged) >= 100


@pytest.mark.parametrize("odd", ASSERTIONS, ids=lambda odd: odd.name)
def test_an_odd_test_is_judged_right(judge: Judge, odd: Odd) -> None:
    assert odd.wrong[0] in odd.right
    for code, reward in ((odd.right, 1.0), (odd.right.replace(*odd.wrong), 0.0)):
        verdict = judge.assertions(code, odd.entry, odd.tests, **odd.options)
        assert verdict.reward == reward, verdict


HOLDS_ALL = """
class Yes:
    def __init__(self, *a): self.value = 0
    def __eq__(self, o): return True
    def __ne__(self, o): return False
    def __lt__(self, o): return True
    __le__ = __gt__ = __ge__ = __contains__ = __lt__
    def __hash__(self): return 0
    def __bool__(self): return True
    def __len__(self): return 2
    def __iter__(self): return iter((Yes(), Yes()))
    def __getitem__(self, i): return Yes()
    def __getattr__(self, n):
        if n.startswith('__'): raise AttributeError(n)
        return Yes()
    def __call__(self, *a, **k): return Yes()
    def __sub__(self, o): return Yes()
    __rsub__ = __add__ = __radd__ = __mul__ = __truediv__ = __mod__ = __and__ = __or__ = __xor__ = __sub__
    def __abs__(self): return Yes()
    def __float__(self): return 0.0
    def __int__(self): return 0
    __index__ = __int__
    def __str__(self): return ''
def f(*a, **k): return Yes()
"""
LOOKS = [  # at the answer of a program that should be [3, 4], in every way that a lying object could answer
    "assert f(1) == [3, 4]",
    "assert [3, 4] == f(1)",
    "assert not f(1) != [3, 4]",
    "assert list(f(1)) == [3, 4]",
    "assert sorted(f(1)) == [3, 4]",
    "assert 3 in f(1)",
    "assert f(1)[0] == 3",
    "assert f(1)[0] in (3, 4)",
    "assert all(x in (3, 4) for x in f(1))",
    "assert abs(f(1)[0] - 3) < 1e-6",
    "assert not abs(f(1) - 3) > 1e-6",
    "assert f(1) < 5",
    "assert not f(1) > 5",
    "assert f(1).startswith('a')",
    "assert f(1).issubset({3, 4})",
    "assert f(1).count(3)",
    "assert f(1).equals([3, 4])",
    "assert (f(1) == [3, 4]).all()",
    "assert {3, 4} & f(1)",
    "assert not {3, 4} ^ f(1)",
    "import math\nassert math.isclose(f(1), 0.0)",
    "assert f'{f(1)}' == '[3, 4]'",
    "assert int(f(1)) == 0",
    "assert isinstance(f(1), list)",
    "assert f(1) is True or f(1) == True",
    "assert {f(1): 1} == {(3, 4): 1}",
    "assert max(f(1)) == 4",
    "assert f(1).value == 3",
    "assert f(1)() == 3",
]


@pytest.mark.parametrize("test", LOOKS)
def test_no_object_is_right_by_saying_so(judge: Judge, test: str) -> None:
    under_its_name = HOLDS_ALL.replace("def f(*a, **k): return Yes()", "").replace("Yes", "f")
    for code in (HOLDS_ALL, under_its_name):
        verdict = judge.assertions(code, "f", test)
        assert verdict.reward == 0.0, verdict


@pytest.mark.parametrize(
    "test",
    [
        test
        for test in LOOKS
        if not any(word in test for word in ("startswith", "issubset", "count", "3 in f", ").all", "equals"))
    ],
)
def test_nor_is_one_of_a_class_that_the_test_names(judge: Judge, test: str) -> None:
    verdict = judge.assertions(
        HOLDS_ALL.replace("def f(*a, **k): return Yes()", "    def f(*a): return Yes()"), "Yes", f"f = Yes().f\n{test}"
    )
    assert verdict.reward == 0.0, verdict


@pytest.mark.parametrize(
    ("code", "test"),
    [
        # Equality is not the program's to decide, nor are objects without anything in them equal.
        ("class P:\n    def __init__(self, *a): pass\n    def __eq__(self, o): return True\ndef f(x): return P()", POINT.replace("Point", "P") + "assert f(1) == P(1, 2)"),
        ("class P: pass\ndef f(x): return P()", "assert f(1) == P()"),
        ("class Q:\n    def __init__(self): self.x, self.y = 1, 2\ndef f(x): return Q()", POINT.replace("Point", "P") + "assert f(1) == P(1, 2)"),
        # What it answers about itself has to be plain.
        ("class S(str):\n    def __eq__(self, o): return True\n    __hash__ = str.__hash__\nclass P:\n    def __str__(self): return S('no')\ndef f(x): return P()", "assert str(f(1)) == 'yes'"),
        ("class P:\n    def __len__(self): return 1\ndef f(x): return P()", "assert len(f(1)) == 3"),
        # An exception is of the class that the test names, or not.
        ("class Bad(Exception): pass\ndef f(x): raise RuntimeError('Bad')", "try: f(1)\nexcept Bad: pass"),
        ("class Bad(Exception):\n    def __str__(self): return 'no'\ndef f(x): raise Bad", "try: f(1)\nexcept Bad as e: assert str(e) == 'yes'"),
        ("class Bad(StopIteration): pass\ndef f(x): raise Bad", "assert list(map(f, [1, 2])) == [1, 2]"),
        ("def f(g): g(float('nan'))", "got = []\nf(got.append)\nassert not abs(got[0] - 3) > 1e-6"),
        ("from decimal import Decimal\ndef f(x): return Decimal('NaN')", "assert not f(1) == 3 or True\nassert f(1) != 3"),
        ("def f(x):\n    raise ValueError(float('nan'))", "try: f(1)\nexcept ValueError as e: assert not abs(e.args[0] - 3) > 1e-6"),
        ("def f(g):\n    try: g(1)\n    except BaseException: pass\n    return 0", "def g(x): assert x == 2\nf(g)"),
        ("def f(g): return g(g)", "def h(x): return f(h)\nassert f(h) == 1"),
        ("def f():\n    while True: yield 1", "assert sum(f()) == 3"),
        ("def f(): return iter([])", "assert list(f()) == [1]"),
    ],
    ids=str,
)  # fmt: skip
def test_what_objects_exceptions_and_callbacks_open_opens_no_way_to_a_reward(
    judge: Judge, code: str, test: str
) -> None:
    with Judge(workers=1, limits=Limits(wall_s=3, cpu_s=2)) as strict:
        assert strict.assertions(code, "f", test).reward == 0.0


@pytest.mark.parametrize(
    "frame",
    [
        '{"v": {"o": ["object", 1]}}',
        '{"v": {"o": ["function", 0, "x"]}}',
        '{"v": {"o": ["builtin", "exit"]}}',
        '{"v": {"o": ["new", "Exam", {"d": []}]}}',
        '{"v": {"o": ["object", "x", ["y"]]}}',
        '{"v": {"o": ["object", 0, []]}}',
        '{"v": {"o": ["object", 99, ["int"]]}}',
        '{"v": {"o": []}}',
        '{"v": {"n": ["P", ["_x"], [4]]}}',
        '{"raised": 5, "m": 5}',
        '{"raised": ["AssertionError"], "m": "", "error": {"args": {"t": []}, "fields": {"d": [["__class__", 1]]}, "said": 5}}',
        '{"raised": [["x"]], "m": "", "error": 7}',
        '{"back": 0, "call": [], "named": {"d": []}}',
        '{"back": 10, "call": [1], "named": {"d": []}}',
        '{"back": "x", "call": 7}',
        '{"v": 0, "out": 7}',
        '{"v": 0, "after": [], "do": "call", "done": 1}',
    ],
)
def test_frames_that_a_candidate_forges_are_answers_or_failures_of_its_own(
    brief: Judge, judge: Judge, frame: str
) -> None:
    test = "def h(x): return 4\nassert f(h) == 4"
    verdict = brief.assertions(FORGER % frame, "f", test)
    assert (verdict.reward, verdict.status == "infra_error") == (0.0, False), verdict
    assert judge.assertions("def f(h): return h(1)", "f", test).reward == 1.0


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


def test_a_program_that_ends_the_test_code_is_no_failure_of_the_sandboxs(judge: Judge) -> None:
    large = "def f(x): return ['a' * 100 for _ in range(200_000)]"
    held = "held = [f(i) for i in range(40)]\nassert held == 0"
    leaves = "import os\ndef g(x): os._exit(0)\nf(g)"
    for code, test in (
        (large, held),
        ("def f(g): return g(1)", leaves),
        ("def f(g): return 0", "import os\nf(1)\nos._exit(3)"),
    ):
        verdict = judge.assertions(code, "f", test)
        assert (verdict.reward, verdict.status == "infra_error") == (0.0, False), verdict
    quits = "def g(x): raise SystemExit\nf(g)"
    assert judge.assertions("def f(g): return g(1)", "f", quits).reward == 0.0


def test_a_large_frame_of_many_parts_is_not_looked_into(judge: Judge) -> None:
    bomb = "def f(x): return [[] for _ in range(600_000)]"
    assert judge.assertions(bomb, "f", "assert f(1) == 3").status == "output_limit"
    assert judge.function(bomb, "f", [((1,), list(range(BIG)))]).status == "output_limit"


ARRAYS = [
    ("import numpy as np\ndef f(n): return np.arange(n) * 2.0", "import numpy as np\na = f(3)\nassert a.shape == (3,) and a.dtype == float and (a == np.array([0, 2, 4])).all()\nassert np.allclose(f(2), [0, 2])"),
    ("def f(a): return a.sum(axis=0)", "import numpy as np\nassert f(np.ones((2, 2))).tolist() == [2, 2]"),
]  # fmt: skip


def test_arrays_of_numpy_are_arguments_and_answers_where_it_is_allowed() -> None:
    try:
        judge = Judge(workers=1, limits=Limits(wall_s=20, cpu_s=10, memory_mb=2048), packages=["numpy"])
    except SandboxUnavailable as error:
        if "judged programs run on" not in str(error):
            raise
        pytest.skip(str(error))
    with judge:
        for code, test in ARRAYS:
            assert judge.assertions(code, "f", test).status == "passed"
            assert judge.assertions(code.replace("2.0", "3.0").replace("sum", "max"), "f", test).reward == 0.0
        assert judge.function(ARRAYS[0][0], "f", [((3,), [0, 2, 4])], tuples_as_lists=True).status == "passed"
        listed = "import numpy as np\ndef f(): return np.array([[1, 2]])"
        assert judge.function(listed, "f", [((), [[1, 2]])], tuples_as_lists=True).status == "passed"
        assert judge.function(listed, "f", [((), [[1, 2]])]).status == "wrong_answer"
