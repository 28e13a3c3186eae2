"""Tools from real MCP servers, good and bad."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("mcp")

from peripatos.envs.errors import UserError
from peripatos.envs.mcp_tools import McpServer
from peripatos.envs.tools import MAX_RESULT, Fault, ToolBox, ToolResult
from peripatos.envs.vocabulary import ToolCall, WorldFailure

SERVER = str(Path(__file__).parent / "mcp_server.py")


def started(behaviour: str = "good", timeout: float = 30.0) -> McpServer:
    return McpServer.stdio(sys.executable, SERVER, behaviour, timeout=timeout)


def run(server: McpServer, name: str, **arguments: object) -> ToolResult:
    return ToolBox(server.tools).run(ToolCall(name, arguments))


@pytest.fixture(scope="module")
def good():
    with started() as server:
        yield server


def test_tools_are_listed_with_their_schemas(good):
    schema = ToolBox(good.tools).schemas[0]["function"]
    assert (schema["name"], schema["description"]) == ("add", "Add two numbers.")
    assert schema["parameters"]["required"] == ["a", "b"]


def test_a_call_gives_the_text_of_the_result(good):
    assert run(good, "add", a=2, b=3) == ToolResult("5")


def test_what_fails_over_there_is_a_message(good):
    failed = run(good, "fail", words="not today")
    assert failed.fault is Fault.RAISED
    assert "not today" in failed.text
    wrong = run(good, "add", a="two", b=3)
    assert wrong.fault is Fault.RAISED
    assert "valid integer" in wrong.text


def test_a_long_result_is_cut(good):
    assert len(run(good, "big", length=10**6).text) < MAX_RESULT + 50


def test_calls_from_many_threads_do_not_wait_for_one_another(good):
    begun, results = time.perf_counter(), []
    threads = [threading.Thread(target=lambda: results.append(run(good, "sleep", seconds=0.5))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.text for result in results] == ["slept"] * 8
    assert time.perf_counter() - begun < 3


def test_a_hanging_call_costs_itself_and_a_dead_server_its_episode():
    with started(timeout=8.0) as server:
        server._link._timeout = 0.3
        assert run(server, "sleep", seconds=20).fault is Fault.TIMEOUT
        server._link._timeout = 8.0
        assert run(server, "add", a=1, b=1).text == "2"
        with pytest.raises(WorldFailure, match="is gone"):
            run(server, "die")
        assert run(server, "add", a=1, b=2).text == "3"  # a new process
    with pytest.raises(WorldFailure, match="was closed"):
        run(server, "add", a=1, b=1)
    server.close()


def test_a_flood_ends_the_connection():
    with started("flood", timeout=15.0) as server:
        first = server._link
        with pytest.raises(WorldFailure, match="too many messages"):
            run(server, "talk")
        assert first.gone
        with pytest.raises(WorldFailure, match="too many messages"):
            run(server, "talk")
        assert server._link is not first  # a new process, and no better


def test_a_line_that_never_ends_is_given_up():
    with started("drip", timeout=8.0) as server:
        server._link._timeout = 0.5
        assert run(server, "talk").fault is Fault.TIMEOUT
        server._link._thread.join(10)
        assert server._link.gone


def test_lines_that_are_no_messages_are_passed_over():
    with started("noise") as server:
        assert run(server, "add", a=1, b=2).text == "3"


def test_a_server_that_lies_about_its_schema_is_contradicted_by_itself():
    with started("liar") as server:
        assert server.tools[0].parameters["required"] == ["c"]
        result = run(server, "add", c="x")
        assert result.fault is Fault.RAISED
        assert "a" in result.text


@pytest.mark.parametrize(
    ("behaviour", "timeout", "words"),
    [
        ("dead", 20.0, "I was never alive"),
        ("silent", 0.5, "no answer in time"),
        ("nonsense", 20.0, "a tool's name"),
    ],
)
def test_a_server_that_cannot_be_used_is_the_users_to_mend(behaviour, timeout, words):
    with pytest.raises(UserError, match=words):
        started(behaviour, timeout)


def test_a_command_that_is_not_there_is_named():
    with pytest.raises(UserError, match="no-such-command"):
        McpServer.stdio("no-such-command")


def test_tools_over_http():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, SERVER, "good", str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        with McpServer.http(f"http://127.0.0.1:{port}/mcp", timeout=10.0) as server:
            assert run(server, "add", a=2, b=3).text == "5"
            assert "not now" in run(server, "fail", words="not now").text
            with pytest.raises(WorldFailure):
                run(server, "die")
    finally:
        process.kill()
        process.wait()
    with pytest.raises(UserError, match="cannot be used"):
        McpServer.http(f"http://127.0.0.1:{port}/mcp", timeout=5.0)
