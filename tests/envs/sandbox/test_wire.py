"""Values keep their exact types across the border, and the comparison tells types apart."""

from __future__ import annotations

import collections
import json
import math
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peripatos.envs.sandbox.expected import AnyOrder, expected_wire
from peripatos.envs.sandbox.inside.codec import Unsupported, decode, encode, frame, loads
from peripatos.envs.sandbox.same_value import as_json, same, same_output, show

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5)
)
keys = st.integers() | st.text(max_size=3) | st.tuples(st.integers(), st.booleans())
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=3)
        | st.sets(keys, max_size=3)
        | st.frozensets(keys, max_size=3)
    ),
    max_leaves=12,
)


def _typed(value: object, *, signed: bool = True) -> str:
    """A text that tells True from 1 and 1 from 1.0, at any depth; and 0.0 from -0.0, if signed."""
    if not signed and isinstance(value, float):
        value += 0.0  # which takes the sign of a zero
    if isinstance(value, dict):
        return "dict" + str(sorted((_typed(k, signed=signed), _typed(v, signed=signed)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return type(value).__name__ + str([_typed(item, signed=signed) for item in value])
    if isinstance(value, (set, frozenset)):
        return type(value).__name__ + str(sorted(_typed(item, signed=signed) for item in value))
    return f"{type(value).__name__}:{value!r}"


@given(values)
@settings(max_examples=150)
def test_a_value_comes_back_with_its_exact_types_and_equals_itself(value: object) -> None:
    wire = loads(frame(encode(value))[4:])
    assert _typed(decode(wire)) == _typed(value)
    assert same(wire, encode(value))


@given(values, values)
@settings(max_examples=150)
def test_two_values_are_the_same_exactly_when_types_and_contents_are(a: object, b: object) -> None:
    alike = _typed(a, signed=False) == _typed(b, signed=False)
    assert same(encode(a), encode(b)) == alike


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (True, 1),
        (1, 1.0),
        ((1, 2), [1, 2]),
        ({1}, frozenset({1})),
        ({1: "a"}, {True: "a"}),
        ("1", 1),
        (b"a", "a"),
        (None, 0),
        ([1, 2], [1, 2, 3]),
        ([], [1]),
        (math.inf, 1e308),
        (math.nan, 0.0),
        (0j, 0),
        (2**70, 2**70 + 1),
    ],
)
def test_lookalikes_are_told_apart(answer: object, expected: object) -> None:
    assert not same(encode(answer), encode(expected), tolerance=1e-6)
    assert not same(encode(expected), encode(answer), tolerance=1e-6)


def test_tolerance_is_relative_to_the_expected_value_and_never_admits_infinity() -> None:
    assert same(encode([1.0 + 9e-7]), encode([1.0]), tolerance=1e-6)
    assert not same(encode([1.0 + 2e-6]), encode([1.0]), tolerance=1e-6)
    assert same(encode({"a": 2e6 + 1}), encode({"a": 2e6}), tolerance=1e-6)
    assert not same(encode(math.inf), encode(1e300), tolerance=1.0)
    assert same(encode(math.inf), encode(math.inf))
    assert same(-0.0, 0.0)
    assert not same(encode(1), encode(1.0), tolerance=1.0)


class Liar(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __int__(self) -> int:
        return 99

    def __index__(self) -> int:
        return 99


def test_subclasses_travel_as_what_they_extend_and_their_methods_do_not_run() -> None:
    assert encode(Liar(1)) == 1
    assert encode(collections.Counter("aa")) == {"d": [["a", 2]]}
    point = encode(collections.namedtuple("P", "x y")(1, 2))
    assert point == {"n": ["P", ["x", "y"], [1, 2]]}
    assert same(point, encode((1, 2)))
    assert same(encode((1, 2)), point)
    assert encode([range(3), iter("ab"), {"a": 1}.keys()]) == [[0, 1, 2], ["a", "b"], ["a"]]


RARE = [
    Decimal("1.50"),
    Fraction(-1, 2**70),
    date(2026, 11, 26),
    datetime(2026, 11, 26, 1, 2, 3, 4, UTC),
    time_of_day(1, 2),
    timedelta(days=-1, microseconds=3),
    collections.deque([1, (2,)]),
]


@pytest.mark.parametrize("value", RARE, ids=lambda value: type(value).__name__)
def test_rarer_values_come_back_and_differ_from_what_looks_like_them(value: object) -> None:
    wire = loads(frame(encode([value]))[4:])
    assert decode(wire) == [value]
    assert type(decode(wire)[0]) is type(value)
    assert same(wire, encode([value]))
    others = [str(value), 1.5, [1, (2,)], *RARE]
    assert not any(same(wire, encode([other])) for other in others if other is not value)


def test_numbers_of_other_kinds_are_equal_by_their_values_where_json_has_one_kind() -> None:
    for a, b in ((Decimal("1.50"), Decimal("1.5")), (Decimal("-0"), Decimal(0))):
        assert same(encode(a), encode(b))
    for a, b in ((Decimal("0.5"), 0.5), (Fraction(1, 2), 0.5), (2, Fraction(4, 2)), (Fraction(1, 2), Decimal("0.50"))):
        assert same(encode(a), encode(b), as_json=True)
        assert same(encode(b), encode(a), as_json=True)
        assert not same(encode(a), encode(b))
    assert same(encode(Fraction(1, 3)), encode(0.333), tolerance=1e-2, as_json=True)
    assert not same(encode(Decimal("NaN")), encode(Decimal(1)), tolerance=1.0, as_json=True)
    assert not same({"m": "1E+999999999"}, encode(1.0), tolerance=1.0, as_json=True)
    assert not same({"r": [1, 0]}, encode(1.0), as_json=True)


def test_any_order_pairs_each_item_with_one_of_its_own() -> None:
    def right(answer: object, *items: object, tolerance: float = 0.0) -> bool:
        return same(encode(answer), expected_wire(AnyOrder(items)), tolerance=tolerance)

    for answer in ([3, 1, 1], (1, 3, 1), collections.deque([1, 1, 3]), iter([1, 1, 3])):
        assert right(answer, 1, 1, 3)
    assert right({1, 3}, 3, 1)
    for answer in ([1, 3, 3], [1, 1], [1, 1, 3, 3], {1, 3}, [1, 1, True], [1.0, 1, 3], "113", None, 113):
        assert not right(answer, 1, 1, 3)
    assert right([["b", "a"], ["c"]], AnyOrder(["c"]), AnyOrder(["a", "b"]))
    assert not right([["b", "b"], ["c"]], AnyOrder(["c"]), AnyOrder(["a", "b"]))
    assert right([2.0001, 1.0001], 1.0, 2.0, tolerance=1e-3)
    assert not right([1.0001, 1.0002], 1.0, 2.0, tolerance=1e-3)
    assert right(list(range(10_000)), *reversed(range(10_000)))
    assert not right(list(range(10_000)), *range(1, 10_001))


@pytest.mark.parametrize("value", [object(), len, Liar, NotImplemented])
def test_other_types_do_not_cross(value: object) -> None:
    with pytest.raises(Unsupported, match=type(value).__name__):
        encode([value])


def test_cycles_and_deep_nesting_are_errors() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(Unsupported, match="deep"):
        encode(cycle)
    with pytest.raises(ValueError, match="deep"):
        loads(b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize(
    "wire",
    [
        {"t": 5},
        {"d": [[1]]},
        {"d": [[[1], 2]]},
        {"q": 5},
        {"m": "x"},
        {"r": [1, 0]},
        {"r": ["a", "b"]},
        {"e": ["date", "2026"]},
        {"e": ["system", "x"]},
        {"n": ["P", ["x"], [1, 2]]},
        {"n": ["P", ["not a name"], [9]]},
        {"n": ["import os", ["x"], [9]]},
        {"y": ["object", [1]]},
        {"o": ["object", 1]},
        {"t": [], "s": []},
        {},
        {"f": "1e9"},
        {"c": [1.0]},
        {"b": "zz"},
        {"i": "ten"},
        {"s": [[1]]},
    ],
)
def test_malformed_wire_is_refused_and_equals_nothing(wire: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # several messages
        decode(wire)
    for value in (1, (1,), {1: 2}, {1}, 1j, 2**70, b"a"):
        assert not same(wire, encode(value))


@pytest.mark.parametrize("text", [b"NaN", b"[Infinity]", b"9" * 5000, b"{", b"\xff"])
def test_json_is_parsed_strictly(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # several messages
        loads(text)


def test_colliding_integers_cannot_slow_the_comparison() -> None:
    prime = (1 << 61) - 1
    crafted = [{"i": hex(i * prime)} for i in range(9, 20_009)]
    expected = encode(set(range(20_000)))
    began = time.thread_time()
    assert not same({"s": crafted}, expected)
    assert time.thread_time() - began < 2.0


def test_the_deepest_wire_that_is_let_through_can_be_walked() -> None:
    deepest = loads(b"[" * 200 + b"]" * 200)
    assert not same(deepest, encode([[1]]))
    assert as_json(deepest) == deepest
    assert show(deepest).startswith("[[[")
    with pytest.raises(ValueError, match="deep"):
        loads(b"[" * 201 + b"]" * 201)


def test_a_way_through_json_makes_lists_of_tuples_and_texts_of_keys_everywhere() -> None:
    assert as_json(encode([(1, (2,)), {3: (4,)}])) == encode([[1, [2]], {"3": [4]}])


def test_output_is_compared_whole_and_by_tokens() -> None:
    assert same_output("1  2\n3", "1 2 3\n")
    assert not same_output("1 2 3 4", "1 2 3")
    assert not same_output("1 2", "1 2 3")
    assert not same_output("", "1")


def test_answers_are_shown_as_python_writes_them_and_cut() -> None:
    for value in (1, "a", [1, 2], (1,), {"a": (1, 2)}, {1}, True, None, 1.5):
        assert show(encode(value)) == repr(value)
    assert len(show(encode(list(range(100_000))))) == 200
    assert len(show({"i": "0x" + "f" * 500_000})) <= 200
    assert show(json.loads('{"zz": {"a": [1]}}')) == "?"
