"""Tools from an MCP server: a process that is started here (stdio), or one at an address (streamable HTTP).

    with McpServer.stdio("python", "my_server.py") as server:
        box = ToolBox(server.tools)

The connection lives in an event loop of its own, in a thread of its own, so that tools can be called from any thread.
A server is a stranger, and each of its failings has one outcome:

    it cannot be started, or lists nonsense           UserError, with its last words
    a schema is none, or points outside of itself     UserError that names the tool
    a schema asks for too much work, or the tools     UserError
    describe themselves at too great length
    arguments break the schema that it declares       a message for the agent (Fault.ARGUMENTS); it is not called
    a tool fails, or its result breaks its schema     a message for the agent (Fault.RAISED)
    a tool does not answer in time                    a message for the agent (Fault.TIMEOUT)
    one message is too large, too deep, or holds      a message for the agent (Fault.RAISED), or WorldFailure where it
    too many values                                   does not say at its beginning which call it answers (stdio only)
    it dies, or floods us with messages               WorldFailure: the episode is not scored; the next call reconnects

A schema that says less or other than what the server wants is contradicted by the server, in its own words. Left out:
resources, prompts, sampling and elicitation; what a result holds besides text is named and not shown. Control
characters in what a server says are spelled out. Whatever it says is text of a stranger that your agent reads.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import json
import logging
import math
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from ..errors import UserError
from ..visible_text import visible, without_controls
from ..vocabulary import WorldFailure
from . import mcp_relay
from .mcp_schemas import errors_of, validated, validator_of
from .tool import HangingToolError, Tool, Toolkit, ToolResult, checked_timeout

if TYPE_CHECKING:
    from jsonschema.protocols import Validator
    from mcp import Client
    from mcp_types import CallToolResult

_MAX_TOOLS = 256
_MAX_PAGES = 64
_MAX_SCHEMA = 32_768  # characters of one tool's schema and description
_MAX_SCHEMAS = 131_072  # of all its tools together: they stand in every prompt
_MAX_MESSAGES = 5_000  # that nobody asked for, since a call was last answered
_MAX_LAST_WORDS = 500  # bytes of what a failing server wrote to its standard error
_MAX_LOG = 1 << 20  # bytes of the same that are kept on disk
_CLOSING = 10.0  # seconds that a server may take to end


class McpServer(Toolkit):
    """One MCP server and its tools. Made with `stdio` or `http`; closed with `close` or as a context.

    In a world, `*server.tools` stands for a server that serves all its episodes, and the server itself for one that is
    started for the episode and ends with it.
    """

    def __init__(self, open_client: Callable[[IO[str]], Client], what: str, timeout: float) -> None:
        self._open_client, self._what, self._timeout = open_client, what, checked_timeout(timeout)
        self._lock = threading.Lock()
        self._link: _Link | None = None
        self._closed = False
        try:
            self._tools = tuple(self._tool(listed) for listed in self._connected().listed)
            if not self._tools:
                raise UserError(f"the MCP server {what} lists no tools")
        except UserError:
            self.close()
            raise

    @property
    def tools(self) -> Sequence[Tool]:
        """The tools as the server lists them."""
        return self._tools

    @classmethod
    def stdio(
        cls,
        command: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout: float = 30.0,
    ) -> Self:
        """Start `command` in the folder `cwd` and talk over its standard input and output. `timeout` is for each
        answer, in seconds.

        Raises:
            UserError: the package `mcp` is missing, the server does not start in time, or lists nonsense.
        """
        mcp = _sdk()
        relayed = ["-I", "-S", mcp_relay.__file__, command, *args]
        parameters = mcp.StdioServerParameters(command=sys.executable, args=relayed, env=dict(env or {}), cwd=cwd)
        return cls(lambda log: mcp.Client(mcp.stdio_client(parameters, errlog=log)), f"{command} …", timeout)

    @classmethod
    def http(cls, url: str, *, timeout: float = 30.0) -> Self:
        """Talk to the server at `url` over streamable HTTP. Raises as `stdio` does."""
        mcp = _sdk()
        return cls(lambda _: mcp.Client(url), url, timeout)

    def close(self) -> None:
        """End the connection, and the server where it was started here; closing twice is harmless."""
        with self._lock:
            self._closed = True
            link, self._link = self._link, None
        if link is not None:
            link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connected(self) -> _Link:
        """The connection, made anew where the last one is gone."""
        with self._lock:
            if self._closed:
                raise WorldFailure(f"the MCP server {self._what} was closed")
            if self._link is None or self._link.gone:
                self._link = _Link(self._open_client, self._what, self._timeout)
            return self._link

    def _tool(self, listed: _Listed) -> Tool:
        name, description, schema = listed
        call = functools.partial(self._call, name)
        validate = functools.partial(validated, validator_of(name, schema))
        try:
            return Tool(name, description, schema, validate, call, own_limit=self._timeout)
        except UserError as error:
            raise UserError(f"the MCP server {self._what}: {error}") from error

    def _call(self, name: str, /, **arguments: object) -> ToolResult:
        try:
            link = self._connected()
        except UserError as error:  # it could be started once, so this is no mistake of the user's
            raise WorldFailure(str(error)) from error
        return link.call(name, arguments)


_Listed = tuple[str, str, dict[str, Any]]  # name, description, schema


class ServerError(Exception):
    """The server's own words about a call that failed."""

    def __init__(self, words: str) -> None:
        super().__init__(without_controls(words))


class _Link:
    """One connection: a thread, its event loop, and the client in it."""

    def __init__(self, open_client: Callable[[IO[str]], Client], what: str, timeout: float) -> None:
        self._open_client, self._what, self._timeout = open_client, what, timeout
        self._ready: concurrent.futures.Future[list[_Listed]] = concurrent.futures.Future()
        self._unasked = 0
        self._flooded = False
        self._refused = ""  # what of a message was too large
        self._last_words = ""
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed by the thread)
        self._thread = threading.Thread(target=self._run, name=f"mcp {what}", daemon=True)
        self._thread.start()
        try:
            self.listed = self._ready.result(timeout + 2 * _CLOSING)  # the thread itself keeps the time
        except UserError:
            raise
        except Exception as error:
            words = "no answer in time" if isinstance(error, TimeoutError) else _told(error)
            raise UserError(f"the MCP server {what} cannot be used: {words}{self._last_words}") from error

    @property
    def gone(self) -> bool:
        """No call can be made any more."""
        return not self._thread.is_alive() or self._stop.is_set()

    def call(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        """What a tool gave."""
        asked = self._asked(name, dict(arguments))
        try:
            pending = asyncio.run_coroutine_threadsafe(asked, self._loop)
        except RuntimeError:  # the loop was closed a moment ago
            asked.close()
            raise self._failure() from None
        try:
            return pending.result(self._timeout)
        except TimeoutError:
            pending.cancel()
            with suppress(RuntimeError):  # as above
                self._loop.call_soon_threadsafe(self._look_after)
            raise HangingToolError(f"{self._timeout:g} s") from None
        except concurrent.futures.CancelledError:
            raise self._failure() from None

    def close(self) -> None:
        """End the thread; a server that does not end is left to the operating system."""
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_CLOSING)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # an ExceptionGroup, a cancellation: whoever waits for the start is told
            if not self._ready.done():
                self._last_words = self._read_log()
                self._ready.set_exception(error if isinstance(error, Exception) else RuntimeError(_told(error)))
        finally:
            self._refused = self._refusal()
            self._log.close()

    async def _serve(self) -> None:
        import anyio

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        client = self._open_client(self._log)
        client.message_handler = self._count
        with anyio.move_on_after(self._timeout) as start:
            async with client:
                self._client = client
                listed, self._outputs = await _list_tools(client)
                # the SDK compares results with what a server declares, without any limit of work
                client.session.validate_tool_result = self._compare
                start.deadline = math.inf
                self._ready.set_result(listed)
                while not self._stop.is_set():
                    with anyio.move_on_after(1.0):
                        await self._stop.wait()
                    self._trim_log()
        if start.cancelled_caught:
            raise TimeoutError

    async def _asked(self, name: str, arguments: dict[str, object]) -> ToolResult:
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED

        try:
            result = await self._client.call_tool(name, arguments)
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                self._refused = self._refusal()
                self._stop.set()
                raise self._failure() from error
            raise ServerError(str(error)) from error
        except ValidationError as error:  # this is no result at all
            raise ServerError(_told(error)) from error
        except RuntimeError as error:  # the SDK has compared the result with the schema that the server declares
            raise ServerError(str(error).partition("\n")[0]) from error
        self._unasked = 0
        return _given(result)

    async def _compare(self, name: str, result: CallToolResult) -> None:
        """Raises RuntimeError for a result that is not as the tool declares it."""
        if name not in self._outputs:
            return
        if result.structured_content is None and "structured_content" not in result.model_fields_set:
            raise RuntimeError(f"Tool {name} has an output schema but did not return structured content")
        try:
            errors = errors_of(self._outputs[name], result.structured_content)
        except ValueError as error:
            raise RuntimeError(f"the result of {name} cannot be compared with its schema: {error}") from error
        if errors:
            raise RuntimeError(f"Invalid structured content returned by tool {name}: {errors[0]}")

    async def _count(self, message: object) -> None:
        """Messages that nobody asked for are ignored, up to a number."""
        self._unasked += 1
        if self._unasked > _MAX_MESSAGES:
            self._flooded = True
            self._stop.set()

    def _look_after(self) -> None:
        """After a call that took too long: a server that no longer answers anything is given up."""
        self._check = self._loop.create_task(self._still_there())

    async def _still_there(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._client.list_tools(cache_mode="refresh")
        except Exception:  # any failure means the same: it is of no more use
            self._stop.set()

    def _failure(self) -> WorldFailure:
        reason = "sent too many messages that nobody asked for" if self._flooded else "is gone"
        return WorldFailure(f"the MCP server {self._what} {reason}{self._refused}")

    def _refusal(self) -> str:
        """ ": it sent a message of …", where the relay ended the connection for it."""
        last = self._log_ends().rpartition("\n")[2]
        return f": {last}" if last.startswith(mcp_relay.REFUSED) else ""

    def _trim_log(self) -> None:
        """Forget what a talkative server wrote to its standard error; the hole that is left takes no space."""
        if os.fstat(self._log.fileno()).st_blocks * 512 > _MAX_LOG:
            os.ftruncate(self._log.fileno(), 0)

    def _read_log(self) -> str:
        words = self._log_ends()
        return f"\nIts last words: {words}" if words else ""

    def _log_ends(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        last = os.pread(self._log.fileno(), _MAX_LAST_WORDS, max(0, size - _MAX_LAST_WORDS))
        return visible(last.decode("utf-8", "replace").replace("\0", "").strip())


async def _list_tools(client: Client) -> tuple[list[_Listed], dict[str, Validator]]:
    """The tools, and what compares their results where they declare one."""
    listed: list[_Listed] = []
    outputs: dict[str, Validator] = {}
    total = 0
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            size = len(json.dumps(tool.input_schema)) + len(tool.description or "")
            if size > _MAX_SCHEMA:
                raise UserError(f"an MCP tool describes itself in {size} characters; {_MAX_SCHEMA} are allowed")
            total += size
            if total > _MAX_SCHEMAS:
                raise UserError(
                    f"the tools of an MCP server describe themselves in more than {_MAX_SCHEMAS} characters"
                )
            if tool.input_schema.get("type") != "object":
                raise UserError(f"the MCP tool {tool.name!r:.80} claims arguments that are no object")
            if tool.output_schema is not None:
                outputs[tool.name] = validator_of(tool.name, tool.output_schema)
            listed.append((tool.name, without_controls(tool.description or ""), tool.input_schema))
        if len(listed) > _MAX_TOOLS:
            break
        if (cursor := page.next_cursor) is None:
            return listed, outputs
    raise UserError(f"an MCP server lists more than {_MAX_TOOLS} tools, or {_MAX_PAGES} pages of them")


def _given(result: CallToolResult) -> ToolResult:
    """The text of a result, and its value: what is structured in it, without the object that SDKs put around it."""
    parts = [block.text if block.type == "text" else f"[{block.type}]" for block in result.content]
    text = "\n".join(parts)
    if not parts and result.structured_content is not None:
        text = json.dumps(result.structured_content, ensure_ascii=False)
    text = without_controls(text)
    if result.is_error:
        raise ServerError(text)
    structured = result.structured_content
    if structured is None:
        return ToolResult(text, value=text)
    bare = isinstance(structured, dict) and structured.keys() == {"result"}
    return ToolResult(text, value=structured["result"] if bare else structured)


def _told(error: BaseException) -> str:
    """The words of an error, or of the first in a group of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {error}"


def _sdk() -> Any:  # the module: it is optional, and only known here
    try:
        import mcp
    except ImportError:
        raise UserError("tools from an MCP server need the package mcp (pip install peripatos[mcp])") from None
    # each line that is no message would print a traceback; what a server does wrong is told where it matters
    logging.getLogger("mcp.client.stdio").setLevel(logging.CRITICAL)
    return mcp
