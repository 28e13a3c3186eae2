"""A real MCP server for tests: its first argument says how it behaves, its second the port, if it speaks HTTP."""

import json
import os
import sys
import threading
import time
from pathlib import Path

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202ered"
ANYTHING = {"type": "object", "properties": {}}
RESULTS = {  # what `talk` gives
    "result:fine": {"content": [{"type": "text", "text": "5"}], "structuredContent": {"n": 5}},
    "result:type": {"content": [{"type": "text", "text": "five"}], "structuredContent": {"n": "five\nwords"}},
    "result:none": {"content": [{"type": "text", "text": "five"}]},
    "result:nonsense": {"content": "five"},
    "result:image": {"content": [{"type": "image", "data": "aGk=", "mimeType": "image/png"}], "structuredContent": {}},
}


def misbehave(behaviour: str, number: int) -> None:
    """What stands in the place of an answer to call `number`, or before it."""
    text = {"type": "text", "text": "x"}
    content: object = {
        "message:long": [{"type": "text", "text": "x" * (5 << 20)}],
        "message:parts": [text] * 60_000,
        "message:deep": [{"type": "text", "text": "x", "_meta": None}],
    }.get(behaviour, [text])
    answer = json.dumps({"jsonrpc": "2.0", "id": number, "result": {"content": content}})
    if behaviour == "message:deep":
        answer = answer.replace("null", "[" * 5_000 + "]" * 5_000)
    if behaviour == "message:unnamed":  # does not say at its beginning what it answers
        answer = json.dumps({"result": {"content": [text] * 60_000}, "jsonrpc": "2.0", "id": number})
    if behaviour == "message:another id":
        answer = answer.replace(f'"id": {number}', '"id": 987654')
    if behaviour == "message:text id":
        answer = answer.replace(f'"id": {number}', '"id": "x"')
    if behaviour == "message:twice":
        answer = f"{answer}\n{answer}"
    if behaviour == "message:surrogate":
        answer = answer.replace('"x"', r'"\\ud83d\ude00 \ud800"')
    if behaviour == "message:pair":
        answer = answer.replace('"x"', r'"\ud83d\ude00 \\ud800"')
    if behaviour == "message:half":
        print(answer[: len(answer) // 2], end="", flush=True)
        os._exit(1)
    if behaviour == "message:garbage":
        os.write(1, b'\xff\xfe\x00 no message\n[1, 2]\n{\n\x1b[2J{}\nnull\n{"a": "\xff"}\n' * 100)
    if behaviour == "message:requests":
        for asked in ("sampling/createMessage", "roots/list", "elicitation/create", "ping", "no/such"):
            print(json.dumps({"jsonrpc": "2.0", "id": f"mine {asked}", "method": asked, "params": {}}), flush=True)
    if behaviour == "message:notes":
        note = {"method": "notifications/progress", "params": {"progressToken": 1, "progress": 0.5}}
        while True:
            print(json.dumps({"jsonrpc": "2.0", **note}), flush=True)
    if behaviour == "message:numbers":
        answer = answer.replace('"x"', '"x", "n": ' + "9" * 100_000)
    print(answer, flush=True)


def speak_by_hand(behaviour: str) -> None:
    """A server without the SDK, which keeps its own tools from writing to standard output."""
    tool: dict[str, object] = {"name": "talk", "inputSchema": ANYTHING}
    if behaviour.startswith("schema:"):
        tool["inputSchema"] = json.loads(behaviour.removeprefix("schema:"))
    if behaviour.startswith("output:"):
        tool["outputSchema"] = json.loads(behaviour.removeprefix("output:"))
    if behaviour in RESULTS:
        tool["outputSchema"] = {"type": "object", "properties": {"n": {"type": "integer"}}}
    tools = [tool]
    if behaviour == "crowd":
        tools = [{"name": f"t{n}", "description": "buy " * 8_000, "inputSchema": ANYTHING} for n in range(5)]
    if behaviour == "many":
        tools = [{"name": f"t{n}", "inputSchema": ANYTHING} for n in range(300)]
    if behaviour == "too many":
        tools = [{"name": f"t{n}", "inputSchema": ANYTHING} for n in range(30_000)]
    if behaviour.startswith("name:"):
        tool["name"] = behaviour.removeprefix("name:")
    if behaviour == "nothing":
        tools = []
    if behaviour == "escapes":
        tool["description"] = ESCAPES
    if behaviour == "last words":
        sys.exit(ESCAPES)
    if behaviour == "chatterbox":
        tool["description"] = "x" * 50_000
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request or "method" not in request:
            continue
        result: dict[str, object] = {}
        match request["method"]:
            case "initialize":
                version = request["params"]["protocolVersion"]
                info = {"name": "by hand", "version": "1"}
                result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
            case "tools/list":
                result = {"tools": [tool, tool] if behaviour == "twins" else tools}
                if behaviour == "endless":
                    result["nextCursor"] = f"{time.monotonic()}"
            case "tools/call" if behaviour.startswith("message:"):
                misbehave(behaviour, request["id"])
                continue
            case "tools/call" if behaviour == "flood":
                note = {"method": "notifications/message", "params": {"level": "info", "data": "x"}}
                print((json.dumps({"jsonrpc": "2.0", **note}) + "\n") * 20_000, flush=True)
                time.sleep(30)
            case "tools/call" if behaviour == "loud":
                os.write(2, b"word " * (1 << 22))
                result = {"content": [{"type": "text", "text": "said"}]}
            case "tools/call" if behaviour.startswith(("schema:", "name:")):
                result = {"content": [{"type": "text", "text": json.dumps(request["params"]["arguments"])}]}
            case "tools/call" if behaviour in ("escapes", "where"):
                text = ESCAPES if behaviour == "escapes" else str(Path.cwd())
                result = {"content": [{"type": "text", "text": text}]}
            case "tools/call" if behaviour.startswith("output:"):
                result = {"content": [{"type": "text", "text": "5"}], "structuredContent": {"a": "x"}}
            case "tools/call" if behaviour in RESULTS:
                result = RESULTS[behaviour]
            case "tools/call" if behaviour in ("drip", "gush"):
                while True:
                    sys.stdout.write("x" * 65_536)
                    time.sleep(0.01 if behaviour == "drip" else 0)
            case unknown:
                error = {"code": -32601, "message": f"no {unknown}"}
                print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}), flush=True)
                continue
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)


behaviour = sys.argv[1]
if behaviour == "dead":
    sys.exit("I was never alive")
if behaviour == "silent":
    time.sleep(60)
if behaviour == "noise":
    sys.stdout.write("this is not JSON\n" * 50)
    sys.stdout.flush()
if behaviour not in ("good", "noise", "liar", "nonsense"):
    speak_by_hand(behaviour)
    sys.exit()

import asyncio  # noqa: E402 (what is written by hand starts without them)

from mcp.server.mcpserver import MCPServer  # noqa: E402
from mcp.server.mcpserver.exceptions import ToolError  # noqa: E402

server = MCPServer("test")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail(words: str) -> str:
    """Fail with words."""
    raise ToolError(words)


@server.tool()
async def sleep(seconds: float) -> str:
    """Sleep."""
    await asyncio.sleep(seconds)
    return "slept"


waiting = asyncio.Barrier(8)


@server.tool()
async def meet() -> str:
    """Come back when eight have come."""
    await waiting.wait()
    return "met"


@server.tool()
def die() -> str:
    """End the server."""
    os._exit(3)


@server.tool()
def die_soon() -> str:
    """Answer, and end the server a moment later."""
    threading.Timer(0.2, os._exit, [3]).start()
    return f"farewell of {os.getpid()}"


@server.tool()
def big(length: int) -> str:
    """Many characters."""
    return "x" * length


if behaviour == "liar":
    tool = server._tool_manager.get_tool("add")
    tool.parameters = {"type": "object", "properties": {"c": {"type": "string"}}, "required": ["c"]}
if behaviour == "nonsense":
    server._tool_manager.get_tool("add").name = "no name at all!"

if len(sys.argv) > 2:
    server.run("streamable-http", port=int(sys.argv[2]))
else:
    server.run("stdio")
