"""Tools: typed Python functions that an agent may call, with every way of failing turned into a message.

    def add(a: int, b: int) -> int:
        \"\"\"Add two numbers.\"\"\"

    box = ToolBox([Tool.from_function(add)])
    box.call(ToolCall("add", {"a": 1, "b": 2}))     →  {"role": "tool", "name": "add", "content": "3"}

The schema comes from the signature and the docstring (the function-calling form that chat templates take, see
`signatures`), and pydantic validates the arguments. A call that goes wrong is data: the agent reads what was wrong, and
`Fault` counts it. Only a `WorldFailure` gets through, because it says that the world itself is broken. So it is with a
result that cannot be told in JSON (see `results`): that is a mistake of the tool's author, and not the agent's.

A tool with a timeout runs in a thread of its own, and a coroutine in an event loop of its own as well. A thread cannot
be killed: a tool that hangs is left behind, and whatever it still does happens after the agent was told otherwise.
Isolation of processes is left out here.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, cast

from pydantic import BaseModel

from ..contained import is_ours
from ..errors import UserError, unknown
from ..reported import BadReport
from ..user_code import described
from ..vocabulary import Message, ToolCall, WorldFailure
from .impossible import impossible
from .results import JsonValue, Unsayable, as_json, as_text
from .signatures import signature_of

MAX_ARGUMENTS = 65_536  # characters of all arguments of one call, written as JSON
MAX_RESULT = 16_384  # characters of a result; the rest is cut, and the agent is told so
_MAX_ERROR = 500  # characters of an error's own words
_LONGEST = 1e9  # seconds; a thread can be waited for a few times as long
_GRACE = 0.1  # seconds in which a coroutine that was cancelled may clean up
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")  # what MCP allows
_NOT_THE_AUTHORS = {*sys.stdlib_module_names, "pydantic"}  # packages whose methods a host inherits, and are no tools


class Fault(StrEnum):
    """Why a tool call gave no result."""

    MALFORMED = "malformed"
    """The reply could not be parsed into calls."""
    UNKNOWN = "unknown"
    """There is no tool of this name."""
    ARGUMENTS = "arguments"
    """The arguments do not fit the schema, or are too long."""
    RAISED = "raised"
    """The tool raised an error."""
    TIMEOUT = "timeout"
    """The tool did not answer in time."""


class HangingToolError(Exception):
    """A tool did not answer in time; the message is the time that it had. A tool that waits by itself may raise it."""


@dataclass(frozen=True)
class ToolResult:
    """What one call gave: text for the agent, and what went wrong, if anything did. A function may return one,
    where its text is not its value as JSON."""

    text: str
    fault: Fault | None = None
    value: JsonValue = field(default=None, compare=False)  # what `text` says, where the call gave a result


@dataclass(frozen=True)
class Tool:
    """One tool. `Tool.from_function` makes one from a typed function or method."""

    name: str
    description: str
    parameters: Mapping[str, Any]  # JSON schema of the arguments, an object
    validate: Callable[[Mapping[str, Any]], Mapping[str, Any]]  # raises ValueError with words for the agent
    function: Callable[..., object]
    timeout: float | None = None  # seconds; None: runs where it is called, and is trusted to end
    own_limit: float = 0.0  # seconds after which the function itself gives up, where it does and `timeout` is None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(f"a tool's name has up to 128 letters, digits, _, - and ., and is not {self.name!r:.200}")
        if self.timeout is not None:
            checked_timeout(self.timeout)
        if (why := impossible(self.parameters)) is not None:
            raise UserError(f"the tool {self.name!r} can never be called: {why}")

    @classmethod
    def from_function(cls, function: Callable[..., object], *, timeout: float | None = 10.0) -> Tool:
        """The tool that `function` is; its docstring describes it and its parameters to the agent.

        Raises:
            UserError: a parameter without a name or a type, or of a type that JSON cannot carry.
        """
        name = getattr(function, "__name__", type(function).__name__)
        if not inspect.isroutine(function):
            raise UserError(f"{function!r:.80} is called like a function and is none: write a `def` that calls it")
        plain = function.__func__ if inspect.ismethod(function) else function
        signature = signature_of(plain, name, bound=plain is not function)
        if timeout is None and inspect.iscoroutinefunction(function):
            raise UserError(f"tool {name!r} is async and needs a timeout")
        return cls(name, signature.description, signature.schema, signature.validated, function, timeout)

    @property
    def schema(self) -> dict[str, Any]:
        """The function-calling form that chat templates take."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}

    @property
    def longest(self) -> float:
        """Seconds after which a call is answered in any case; zero where nobody sees to that."""
        return self.own_limit if self.timeout is None else self.timeout + _GRACE

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Validate, call, and write the result as text. WorldFailure for a result that cannot be told."""
        try:
            length = len(json.dumps(dict(arguments), default=str))
        except (TypeError, ValueError, RecursionError):
            return ToolResult(f"{self.name}: the arguments are not JSON", Fault.ARGUMENTS)
        if length > MAX_ARGUMENTS:
            detail = f"{length} characters of arguments, but {MAX_ARGUMENTS} are allowed"
            return ToolResult(f"{self.name}: {detail}", Fault.ARGUMENTS)
        try:
            valid = self.validate(arguments)
            json.dumps(dict(arguments), default=str, allow_nan=False)  # a ValueError names the number that is none
        except ValueError as error:
            return ToolResult(f"{self.name}: {_clean(str(error), _MAX_ERROR)}", Fault.ARGUMENTS)
        try:
            result = self._bounded(valid) if self.timeout is not None else self._told(self.function(**valid))
        except WorldFailure:
            raise
        except HangingToolError as error:
            return ToolResult(f"{self.name} did not answer within {error}", Fault.TIMEOUT)
        except BaseException as error:  # whatever a tool raises is for the agent to read
            if _holds_ours(error):
                raise
            words = _clean(_in_words(error), _MAX_ERROR)
            return ToolResult(f"{self.name} failed: {words}", Fault.RAISED)
        return replace(result, text=_clean(result.text, MAX_RESULT))

    def _bounded(self, arguments: Mapping[str, Any]) -> ToolResult:
        """The result of the function, from a thread that is waited for no longer than the timeout."""
        results: list[ToolResult] = []
        errors: list[BaseException] = []

        def target() -> None:
            try:
                value = self.function(**arguments)
                results.append(self._told(asyncio.run(self._awaited(value)) if inspect.isawaitable(value) else value))
            except BaseException as error:  # raised again below, in the thread that called
                errors.append(error)

        thread = threading.Thread(target=target, name=f"tool {self.name}", daemon=True)
        thread.start()
        thread.join(cast(float, self.timeout) + _GRACE)
        if errors:
            raise errors[0]
        if not results:
            raise HangingToolError(f"{self.timeout:g} s")
        return results[0]

    async def _awaited(self, value: Awaitable[object]) -> object:
        limit = asyncio.timeout(self.timeout)
        try:
            async with limit:
                return await value
        except TimeoutError:
            if limit.expired():
                raise HangingToolError(f"{self.timeout:g} s") from None
            raise  # the tool's own

    def _told(self, value: object) -> ToolResult:
        """The value as JSON, and as text, unless the function says both. BadReport where that cannot be."""
        try:
            if isinstance(value, ToolResult):
                return replace(value, value=as_json(value.value))
            told = as_json(value)
            return ToolResult(as_text(told), value=told)
        except Unsayable as error:
            raise BadReport(f"the tool {self.name!r} returned {error}") from error
        except Exception as error:
            raise BadReport(f"what the tool {self.name!r} returned cannot be told: {described(error)}") from error


def checked_timeout(seconds: float) -> float:
    """`seconds`, if somebody can wait so long; `UserError` otherwise."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST:
        raise UserError(f"timeout is {seconds!r:.80}; allowed are seconds above 0, up to {_LONGEST:g}")
    return seconds


class Toolkit:
    """An object that makes its tools itself: they are what `tools` says, and its methods are none."""

    @property
    def tools(self) -> Sequence[Tool]:
        """The tools, in order."""
        raise NotImplementedError(f"{type(self).__name__} has to say what its tools are")


class ToolBox:
    """A set of tools with different names."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise UserError(f"two tools are called {tool.name!r}")
            self._tools[tool.name] = tool

    @classmethod
    def of(cls, host: object, *, timeout: float | None = 10.0) -> ToolBox:
        """The tools of `host`: of an object its public methods, sorted by name (`close` belongs to the world and is
        none, nor is what it inherits from Python's own classes or pydantic's), of a `Toolkit` what it says, a `Tool` as
        it is, a function as one, and of a list or tuple those of all its members. `timeout` is for methods and
        functions; the others have their own.

        Raises:
            UserError: something that has no tool, or two tools of one name.
        """
        parts = host if isinstance(host, list | tuple) else (host,)
        tools = [tool for part in parts for tool in _tools_of(part, timeout)]
        if not tools and isinstance(host, Toolkit):
            raise UserError(f"the {type(host).__name__} says that it has no tools")
        if not tools:
            raise UserError(f"{host!r:.80} has no public method, and so there is no tool")
        return cls(tools)

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """The schema of every tool, in order."""
        return [tool.schema for tool in self._tools.values()]

    def longest(self, call: ToolCall) -> float:
        """How long `call` may take by the limit that its tool keeps; zero where it keeps none."""
        tool = self._tools.get(call.name) if isinstance(call.name, str) else None
        return 0.0 if tool is None else tool.longest

    def run(self, call: ToolCall) -> ToolResult:
        """The result of one call; a call of a tool that is not there is answered with the nearest name."""
        tool = self._tools.get(call.name) if isinstance(call.name, str) else None
        if tool is None:
            return ToolResult(unknown("tool", _clean(str(call.name), 64), self._tools), Fault.UNKNOWN)
        if not isinstance(call.arguments, Mapping):
            return ToolResult(f"{tool.name}: the arguments must be an object with named values", Fault.ARGUMENTS)
        return tool.run(call.arguments)

    def call(self, call: ToolCall) -> Message:
        """The message that answers one call."""
        return tool_message(call, self.run(call))


def _tools_of(host: object, timeout: float | None) -> Iterator[Tool]:
    if isinstance(host, Tool):
        yield host
    elif isinstance(host, Toolkit):
        yield from host.tools
    elif inspect.isroutine(host):
        yield Tool.from_function(host, timeout=timeout)
    elif callable(host) and not isinstance(host, type) and not any(_methods_of(type(host))):
        yield Tool.from_function(host, timeout=timeout)  # which says why not
    elif isinstance(host, type):
        raise UserError(f"tools are methods of an object, and {host.__name__} is a class: give {host.__name__}(…)")
    else:
        for name in _methods_of(type(host)):
            yield Tool.from_function(getattr(host, name), timeout=timeout)


def _methods_of(kind: type) -> Iterator[str]:
    """The public methods of a class that its author wrote."""
    hooks = _hooks_of(kind) if issubclass(kind, BaseModel) else set()
    for name in dir(kind):
        if name.startswith("_") or name == "close" or name in hooks or not inspect.isroutine(getattr(kind, name)):
            continue
        writer = next((base for base in kind.__mro__ if name in vars(base)), kind)
        if writer is kind or writer.__module__.partition(".")[0] not in _NOT_THE_AUTHORS:
            yield name


def _hooks_of(kind: type[BaseModel]) -> set[str]:
    """What a model's author writes for pydantic to call: validators, serializers and methods of its own names."""
    decorators = kind.__pydantic_decorators__
    return {*dir(BaseModel), *(name for group in fields(decorators) for name in getattr(decorators, group.name))}


def tool_message(call: ToolCall, result: ToolResult) -> Message:
    """`result` as a chat message that refers to `call`."""
    message = Message(role="tool", name=_clean(str(call.name), 128), content=result.text)
    return {**message, "tool_call_id": call.id} if call.id else message


def _holds_ours(error: BaseException) -> bool:
    """Whether somebody wants to stop, and says so alone or in a group."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(_holds_ours, error.exceptions))
    return is_ours(error)


def _in_words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as worse:  # of an author's own __str__
        return f"{type(error).__name__}, whose text cannot be read ({type(worse).__name__})"


def _clean(text: str, limit: int) -> str:
    """Text that any tokenizer takes: no lone surrogates, and no more than `limit` characters."""
    cut = f" … ({len(text) - limit} more characters)" if len(text) > limit else ""
    return text[:limit].encode("utf-8", "replace").decode("utf-8") + cut
