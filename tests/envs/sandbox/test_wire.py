"""Values keep their exact types across the border, and the comparison tells types apart."""

from __future__ import annotations

import collections
import json
import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def _typed(value: object) -> str:
    """A text that tells True from 1 and 1 from 1.0, at any depth."""
    if isinstance(value, dict):
        return "dict" + str(sorted((_typed(k), _typed(v)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return type(value).__name__ + str([_typed(item) for item in value])
    if isinstance(value, (set, frozenset)):
        return type(value).__name__ + str(sorted(map(_typed, value)))
    return f"{type(value).__name__}:{value!r}"


@given(values)
@settings(max_examples=150, deadline=None)
def test_a_value_comes_back_with_its_exact_types_and_equals_itself(value: object) -> None:
    wire = loads(frame(encode(value))[4:])
    assert _typed(decode(wire)) == _typed(value)
    assert same(wire, encode(value))


@given(values, values)
@settings(max_examples=150, deadline=None)
def test_two_values_are_the_same_exactly_when_types_and_contents_are(a: object, b: object) -> None:
    alike = _typed(a).replace("-0.0", "0.0") == _typed(b).replace("-0.0", "0.0")
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


def test_subclasses_travel_as_what_they_extend_and_their_methods_do_not_run() -> None:
    class Liar(int):
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

        def __int__(self) -> int:
            return 99

        def __index__(self) -> int:
            return 99

    assert encode(Liar(1)) == 1
    assert encode(collections.Counter("aa")) == {"d": [["a", 2]]}
    assert encode(collections.namedtuple("P", "x y")(1, 2)) == {"t": [1, 2]}


@pytest.mark.parametrize("value", [object(), len, iter([]), range(3), bytearray(b"a"), collections.deque([1])])
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
        {"q": []},
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
    began = time.perf_counter()
    assert not same({"s": crafted}, expected)
    assert time.perf_counter() - began < 2.0


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
