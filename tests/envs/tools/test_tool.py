"""Tools: schemas from signatures, and a defined answer to every way of failing."""

import asyncio
import functools
import signal
import threading
import time
from abc import ABC
from collections.abc import Iterator
from typing import Literal, cast

import pytest
from pydantic import BaseModel, computed_field, field_validator

from peripatos.envs.contained import TimeIsUp
from peripatos.envs.errors import UserError
from peripatos.envs.tools import Tool, ToolBox, Toolkit
from peripatos.envs.tools.tool import MAX_ARGUMENTS, MAX_RESULT, Fault, ToolResult
from peripatos.envs.vocabulary import ToolCall, WorldFailure


def refund(order: int, amount: float, reason: Literal["late", "broken"] = "late") -> str:
    """Pay money back.

    Further words that only people read.

    Args:
        order: its number.
        amount: in euros.
    """
    return f"{order} {amount:.2f} {reason}"


def result_of(function, timeout: float | None = 10.0, **arguments):
    tool = Tool.from_function(function, timeout=timeout)
    return ToolBox([tool]).run(ToolCall(tool.name, arguments))


def test_the_schema_comes_from_the_signature_and_the_docstring():
    assert Tool.from_function(refund).schema == {
        "type": "function",
        "function": {
            "name": "refund",
            "description": "Pay money back.",
            "parameters": {
                "type": "object",
                "properties": {
                    "order": {"type": "integer", "description": "its number."},
                    "amount": {"type": "number", "description": "in euros."},
                    "reason": {"type": "string", "enum": ["late", "broken"], "default": "late"},
                },
                "required": ["order", "amount"],
                "additionalProperties": False,
            },
        },
    }


def test_a_call_is_answered_by_a_message_that_refers_to_it():
    message = ToolBox([Tool.from_function(refund)]).call(ToolCall("refund", {"order": "7", "amount": 3}, id="c1"))
    assert message == {"role": "tool", "name": "refund", "content": "7 3.00 late", "tool_call_id": "c1"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"order": "seven", "amount": 1}, "order: Input should be a valid integer"),
        ({"order": 7}, "amount: Field required"),
        ({"order": 7, "amount": 1, "resaon": "late"}, "resaon: Extra inputs"),
        ({"order": 7, "amount": 1, "reason": "x" * 500}, "'late' or 'broken'"),
        ({"order": 7, "amount": 1, "reason": "x" * MAX_ARGUMENTS}, "characters of arguments"),
        ({"order": [[[]]], "amount": {}}, "order: Input"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_wrong_arguments_are_named(arguments, words):
    result = result_of(refund, **arguments)
    assert result.fault is Fault.ARGUMENTS
    assert words in result.text
    assert len(result.text) < 600


def test_an_unknown_tool_is_answered_with_the_nearest_name():
    box = ToolBox([Tool.from_function(refund)])
    result = box.run(ToolCall("refnud", {}))
    assert (result.fault, "Did you mean 'refund'?" in result.text) == (Fault.UNKNOWN, True)
    assert len(box.run(ToolCall("x" * 10**6, {})).text) < 300
    assert box.run(ToolCall("refund", [1, 2])).fault is Fault.ARGUMENTS  # pyright: ignore[reportArgumentType]


def test_arguments_that_are_not_json_or_nested_too_deeply_are_refused():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert result_of(refund, order=deep, amount=1).fault is Fault.ARGUMENTS


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_a_tool_that_raises_is_a_message(timeout):
    def fails() -> str:
        raise KeyError("no such\ud800 thing")

    def leaves() -> str:
        raise SystemExit(3)

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def mutters() -> str:
        raise Mute

    muttered = result_of(mutters, timeout)
    assert (muttered.fault, muttered.text) == (
        Fault.RAISED,
        "mutters failed: Mute, whose text cannot be read (RuntimeError)",
    )
    assert result_of(fails, timeout).fault is Fault.RAISED
    assert "KeyError" in result_of(fails, timeout).text
    result_of(fails, timeout).text.encode()
    assert result_of(leaves, timeout).fault is Fault.RAISED


async def cancels() -> str:
    raise asyncio.CancelledError("by itself")


async def cancels_its_task() -> str:
    cast(asyncio.Task, asyncio.current_task()).cancel()
    await asyncio.sleep(60)
    return "late"


async def raises_a_group() -> str:
    raise BaseExceptionGroup("both", [SystemExit(1), ValueError("one")])


def ends_a_generator() -> str:
    raise GeneratorExit


@pytest.mark.parametrize("tool", [cancels, cancels_its_task, raises_a_group, ends_a_generator])
def test_what_is_no_exception_is_a_message_too(tool):
    result = result_of(tool, 5.0)
    assert result.fault is Fault.RAISED
    assert result.text.startswith(f"{tool.__name__} failed: ")


@pytest.fixture
def with_interrupts() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where whoever has started the tests ignores it, as a shell's `&` does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("timeout", [None, 5.0])
@pytest.mark.parametrize("error", [TimeIsUp(), KeyboardInterrupt(), BaseExceptionGroup("", [KeyboardInterrupt()])])
def test_whoever_wants_to_stop_gets_through_a_tool(timeout, error, with_interrupts):
    def stops() -> str:
        raise error

    with pytest.raises(type(error)):
        result_of(stops, timeout)


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_a_broken_world_gets_through(timeout):
    def breaks() -> str:
        raise WorldFailure("the disk is gone")

    with pytest.raises(WorldFailure, match="disk"):
        result_of(breaks, timeout)


def test_a_tool_that_hangs_is_left_behind():
    released = threading.Event()

    def hangs() -> str:
        released.wait(100)
        return "late"

    begun = time.perf_counter()
    result = result_of(hangs, 0.05)
    assert (result.fault, time.perf_counter() - begun < 50) == (Fault.TIMEOUT, True)
    assert "within 0.05 s" in result.text
    released.set()


def test_a_coroutine_is_awaited_and_cancelled_when_it_hangs():
    cleaned = threading.Event()

    async def quick(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    async def hangs() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            cleaned.set()

    async def own_timeout() -> None:
        raise TimeoutError("the server said so")

    assert result_of(quick, x=1).text == "2"
    assert result_of(hangs, 0.05).fault is Fault.TIMEOUT
    assert cleaned.wait(60)
    assert result_of(own_timeout).fault is Fault.RAISED


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_results_become_text_and_what_cannot_is_the_mistake_of_the_tools_author(timeout):
    def gives() -> object:
        return value

    for value, text in (("a \ud800 b", "a ? b"), ({"stock": [1, None, True]}, '{"stock": [1, null, true]}')):
        assert result_of(gives, timeout) == ToolResult(text, None, value)
    value = "x" * (MAX_RESULT + 5)
    assert "(5 more characters)" in result_of(gives, timeout).text
    value = object()
    with pytest.raises(
        WorldFailure, match="the tool 'gives' returned an object of the type object, of which JSON can say nothing"
    ):
        result_of(gives, timeout)


def test_the_public_methods_of_an_object_are_its_tools():
    class Lamp:
        limit = 3

        def __init__(self) -> None:
            self.on = False

        def switch(self, on: bool) -> str:
            """Switch the lamp."""
            self.on = on
            return "done"

        @staticmethod
        def help() -> str:
            """Say what this is."""
            return "a lamp"

        @property
        def secret(self) -> int:
            return 7

        def _internal(self) -> None: ...

    lamp = Lamp()
    box = ToolBox.of(lamp)
    assert [schema["function"]["name"] for schema in box.schemas] == ["help", "switch"]
    assert box.run(ToolCall("switch", {"on": True})).text == "done"
    assert lamp.on


def test_objects_toolkits_and_single_tools_make_one_box():
    class Lamp:
        def switch(self, on: bool) -> str:
            """Switch the lamp."""
            return f"{on}"

    class Kit(Toolkit):
        @property
        def tools(self):
            return [Tool.from_function(calculate, timeout=None)]

        def no_tool(self, untyped):
            raise AssertionError

    def calculate(n: int) -> int:
        """Calculate."""
        return 2 * n

    box = ToolBox.of([Lamp(), Kit(), Tool.from_function(refund)])
    assert [schema["function"]["name"] for schema in box.schemas] == ["switch", "calculate", "refund"]
    assert box.run(ToolCall("calculate", {"n": 4})).text == "8"
    with pytest.raises(UserError, match="two tools are called 'switch'"):
        ToolBox.of([Lamp(), Lamp()])


def test_functions_are_tools_beside_objects_and_what_has_no_tool_is_a_clear_error():
    class Lamp:
        def switch(self, on: bool) -> bool:
            """Switch the lamp."""
            return on

    class Mute:
        state = 1

    box = ToolBox.of([refund, Lamp(), Mute()])
    assert [schema["function"]["name"] for schema in box.schemas] == ["refund", "switch"]
    assert box.run(ToolCall("refund", {"order": 4, "amount": 2})).text == "4 2.00 late"
    for host, words in ((Mute(), "no public method"), ([], "there is no tool"), ([Lamp], r"give Lamp\(…\)")):
        with pytest.raises(UserError, match=words):
            ToolBox.of(host)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x, "a tool's name|has no type"),
        (lambda *rest: rest, "no name by which"),
        (max, "tool 'max': nobody can say what it takes"),
    ],
)
def test_a_function_that_is_no_tool_is_a_clear_error(function, words):
    with pytest.raises(UserError, match=words):
        Tool.from_function(function)


@pytest.mark.parametrize("timeout", [0, -1, 0.0, float("nan"), float("inf"), True, "5", 10**400])
def test_a_timeout_that_nobody_can_keep_is_refused(timeout):
    with pytest.raises(UserError, match=r"timeout is .*; allowed are seconds above 0"):
        Tool.from_function(refund, timeout=timeout)


def test_types_that_json_cannot_carry_and_equal_names_are_a_clear_error():
    class Opaque: ...

    def opaque(x: Opaque) -> str:
        return str(x)

    async def forever() -> None: ...

    with pytest.raises(UserError, match="JSON cannot carry"):
        Tool.from_function(opaque)
    with pytest.raises(UserError, match="needs a timeout"):
        Tool.from_function(forever, timeout=None)
    with pytest.raises(UserError, match="two tools are called 'refund'"):
        ToolBox([Tool.from_function(refund), Tool.from_function(refund)])


def test_a_host_has_no_tools_but_those_that_its_author_wrote():
    class Base(BaseModel):
        lit: list[str] = []

        def switch(self, room: str) -> int:
            """Switch a lamp on."""
            self.lit.append(room)
            return len(self.lit)

        def copy(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
            return "of pydantic's"

    class Lamps(Base):
        @field_validator("lit")
        @classmethod
        def known(cls, rooms):
            return rooms

        @computed_field
        def number(self) -> int:
            return len(self.lit)

        def model_post_init(self, context: object) -> None:
            self.lit.append("hall")

        def clear(self) -> None:
            """Switch all off."""
            self.lit.clear()

    class Notes(dict, ABC):
        def note(self, text: str) -> None:
            self[text] = 1

    box = ToolBox.of([Lamps(), Notes()])
    assert [schema["function"]["name"] for schema in box.schemas] == ["clear", "switch", "note"]
    assert box.run(ToolCall("switch", {"room": "attic"})).text == "2"


def test_a_toolkit_without_tools_is_named():
    class Empty(Toolkit):
        tools = ()

    with pytest.raises(UserError, match="the Empty says that it has no tools"):
        ToolBox.of(Empty())


@pytest.mark.parametrize("many", [False, True])
def test_what_is_called_like_a_function_and_is_none_is_refused_with_what_to_write(many):
    class Called:
        def __call__(self, a: int) -> int:
            return a

    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    for odd in (functools.partial(add, 1), Called()):
        with pytest.raises(UserError, match="is called like a function and is none: write a `def` that calls it"):
            ToolBox.of([add, odd] if many else odd)
        with pytest.raises(UserError, match="write a `def`"):
            Tool.from_function(odd)
