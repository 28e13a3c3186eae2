"""A real MCP server for tests: its first argument says how it behaves, its second the port, if it speaks HTTP."""

import asyncio
import json
import os
import sys
import time

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError


def speak_by_hand(behaviour: str) -> None:
    """A server without the SDK, which keeps its own tools from writing to standard output."""
    schema = {"type": "object", "properties": {}}
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        result: dict[str, object] = {}
        match request["method"]:
            case "initialize":
                version = request["params"]["protocolVersion"]
                info = {"name": "by hand", "version": "1"}
                result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
            case "tools/list":
                result = {"tools": [{"name": "talk", "inputSchema": schema}]}
            case "tools/call" if behaviour == "flood":
                note = {"method": "notifications/message", "params": {"level": "info", "data": "x"}}
                print((json.dumps({"jsonrpc": "2.0", **note}) + "\n") * 20_000, flush=True)
                time.sleep(30)
            case "tools/call":
                while True:
                    sys.stdout.write("x" * 65_536)
                    time.sleep(0.01)
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
if behaviour in ("flood", "drip"):
    speak_by_hand(behaviour)

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


@server.tool()
def die() -> str:
    """End the server."""
    os._exit(3)


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
