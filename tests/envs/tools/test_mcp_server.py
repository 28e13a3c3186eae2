"""Tools from real MCP servers, good and bad."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("mcp")

from processes import lives, soon

from peripatos.envs.errors import UserError
from peripatos.envs.tools import McpServer, ToolBox, ToolWorld
from peripatos.envs.tools.mcp_schemas import validated, validator_of
from peripatos.envs.tools.tool import MAX_RESULT, Fault, ToolResult
from peripatos.envs.vocabulary import Reply, ToolCall, WorldFailure

SERVER = str(Path(__file__).parent / "mcp_server.py")


def started(behaviour: str = "good", timeout: float = 60.0) -> McpServer:
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


def test_a_result_keeps_the_type_that_it_has_over_there(good):
    assert run(good, "add", a=2, b=3).value == 5
    with started("result:fine") as server:
        assert run(server, "talk").value == {"n": 5}


@pytest.mark.parametrize("odd", ["nan", "-1e400", float("nan"), float("inf")])
def test_no_server_is_sent_a_number_that_is_none(good, odd):
    result = run(good, "add", a=2, b=odd)
    assert result.fault is Fault.ARGUMENTS, result


@pytest.mark.parametrize("reply_format", ["python", "lfm"])
def test_a_call_in_the_place_of_an_argument_gives_it_the_value_and_not_the_text(good, reply_format):
    world = ToolWorld(["Go."], lambda task: good.tools, lambda *_: True, reply_format=reply_format)
    world.reset(seed=0)
    call = "[add(a=add(a=1, b=2), b=3)]"
    _, _, _, _, info = world.step(call if reply_format == "python" else f"<|tool_call_start|>{call}<|tool_call_end|>")
    assert [message["content"] for message in info["messages"]] == ["6"]


@pytest.mark.parametrize("name", ["fs.read", "9-lives", "a" * 128])
def test_a_tool_is_called_by_whatever_name_mcp_allows(name):
    with started(f"name:{name}") as server:
        for reply_format in ("hermes", "llama3", "mistral", "qwen3.5", "deepseek", "harmony", "glm", "gemma"):
            world = ToolWorld(["Go."], lambda task: server.tools, lambda *_: True, reply_format=reply_format)
            world.reset(seed=0)
            _, _, _, _, info = world.step(world.write(Reply("", (ToolCall(name, {}),))))
            (answer,) = info["messages"]
            assert answer["name"] == name
            assert answer["content"] == "{}"


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("name:with space", r"^the MCP server .*: a tool's name has up to 128 letters, .* and is not 'with space'"),
        ("nothing", r"^the MCP server .* lists no tools$"),
    ],
)
def test_a_server_whose_tools_cannot_be_called_is_named(behaviour, words):
    with pytest.raises(UserError, match=words):
        started(behaviour)


def test_what_fails_over_there_is_a_message(good):
    failed = run(good, "fail", words="not today")
    assert failed.fault is Fault.RAISED
    assert "not today" in failed.text


def test_arguments_that_break_the_declared_schema_are_named_and_nothing_is_called(good):
    wrong = run(good, "add", a="two", b=3)
    assert wrong == ToolResult("add: a: 'two' is not of type 'integer'", Fault.ARGUMENTS)
    both = run(good, "add", a=[1] * 9_000)
    assert both.fault is Fault.ARGUMENTS
    assert "is not as 'type' wants it: 'integer'; 'b' is a required property" in both.text
    assert len(both.text) < 300
    begun = time.perf_counter()
    assert run(good, "sleep", seconds="59").fault is Fault.ARGUMENTS
    assert run(good, "add", a="x" * 10**6, b=1).fault is Fault.ARGUMENTS
    assert time.perf_counter() - begun < 30


def test_a_long_result_is_cut(good):
    assert len(run(good, "big", length=10**6).text) < MAX_RESULT + 50


def test_calls_from_many_threads_do_not_wait_for_one_another(good):
    results: list[ToolResult] = []
    threads = [threading.Thread(target=lambda: results.append(run(good, "meet"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.text for result in results] == ["met"] * 8


def test_a_hanging_call_costs_itself_and_a_dead_server_its_episode():
    with started() as server:
        server._link._timeout = 1.5  # and as long to say that it is still there
        assert run(server, "sleep", seconds=200).fault is Fault.TIMEOUT
        server._link._timeout = 60.0
        assert run(server, "add", a=1, b=1).text == "2"
        with pytest.raises(WorldFailure, match="is gone"):
            run(server, "die")
        assert run(server, "add", a=1, b=2).text == "3"  # a new process
    with pytest.raises(WorldFailure, match="was closed"):
        run(server, "add", a=1, b=1)
    server.close()


def test_a_flood_ends_the_connection():
    with started("flood") as server:
        first = server._link
        with pytest.raises(WorldFailure, match="too many messages"):
            run(server, "talk")
        assert first.gone
        with pytest.raises(WorldFailure, match="too many messages"):
            run(server, "talk")
        assert server._link is not first  # a new process, and no better


def test_a_line_that_never_ends_is_given_up():
    with started("drip") as server:
        server._link._timeout = 0.5
        assert run(server, "talk").fault is Fault.TIMEOUT
        server._link._thread.join(60)
        assert server._link.gone


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("long", "more than 4,194,304 bytes"),
        ("parts", "values, where 20,000 are allowed"),
        ("deep", "levels, where 64 are allowed"),
        ("numbers", "more than 400 digits"),
        ("surrogate", "the server's answer cannot be read: it sent a message of what is no text"),
    ],
)
def test_a_message_that_is_too_large_or_no_text_costs_its_call_and_says_so(behaviour, words):
    with started(f"message:{behaviour}") as server:
        begun = time.perf_counter()
        result = run(server, "talk")
        assert time.perf_counter() - begun < 30
        assert words in result.text
        assert result.fault is Fault.RAISED
        assert not server._link.gone


def test_a_whole_pair_of_surrogates_and_the_letters_of_half_a_one_are_text():
    with started("message:pair") as server:
        assert run(server, "talk") == ToolResult("\U0001f600 \\ud800")


def test_a_large_message_that_does_not_say_what_it_answers_costs_the_episode():
    with started("message:unnamed") as server:
        for _ in range(2):
            with pytest.raises(
                WorldFailure, match=r"is gone: it sent a message of .* values, where 20,000 are allowed"
            ):
                run(server, "talk")


def test_a_server_that_dies_within_a_message_costs_the_episode():
    with started("message:half") as server, pytest.raises(WorldFailure, match="is gone"):
        run(server, "talk")


@pytest.mark.parametrize("behaviour", ["garbage", "requests", "twice"])
def test_what_nobody_asked_for_changes_no_answer(behaviour):
    with started(f"message:{behaviour}") as server:
        for _ in range(3):
            assert run(server, "talk") == ToolResult("x")


@pytest.mark.parametrize("behaviour", ["another id", "text id"])
def test_an_answer_to_another_call_is_no_answer(behaviour):
    with started(f"message:{behaviour}") as server:
        server._link._timeout = 0.5
        assert run(server, "talk").fault is Fault.TIMEOUT


def test_notes_without_end_cost_the_episode():
    with started("message:notes") as server, pytest.raises(WorldFailure, match="too many messages"):
        run(server, "talk")


def test_lines_that_are_no_messages_are_passed_over():
    with started("noise") as server:
        assert run(server, "add", a=1, b=2).text == "3"


def test_a_server_that_lies_about_its_schema_is_contradicted_by_itself():
    with started("liar") as server:
        assert server.tools[0].parameters["required"] == ["c"]
        result = run(server, "add", c="x")
        assert result.fault is Fault.RAISED
        assert "a" in result.text


NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"properties": {"a": {"type": "intger"}}}, "properties.a.type: 'intger'"),
        ({"minProperties": "a"}, "minProperties: 'a' is not of type 'integer'"),
        ({"properties": {"a": {"$ref": "http://example.org/a.json"}}}, "points to 'http://example.org/a.json'"),
        ({"properties": {"a": {"items": {"$ref": "#/$defs/nowhere"}}}}, "points to '/$defs/nowhere', which is not in"),
        ({"$ref": "#"}, "consists of itself"),
        ({"$schema": "http://example.org/dialect"}, "dialect 'http://example.org/dialect' is unknown"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["schema", "output"])
def test_a_schema_that_is_none_is_an_error_that_names_the_tool(kind, schema, words):
    with pytest.raises(UserError, match="'talk' declares a schema that cannot be used") as caught:
        started(f"{kind}:{json.dumps({'type': 'object', **schema})}")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"properties": {"a": {"type": "integer"}}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
        ({"$defs": {"node": NODE}, "$ref": "#/$defs/node"}, {"next": {"next": {}}}, {"next": {"next": 3}}),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "required": ["a"]}, {"a": None}, {}),
        ({"properties": {"a": {"enum": [1, "x"]}}}, {"a": "x"}, {"a": "y"}),
        ({"properties": {"a": {"anyOf": [{"type": "null"}, {"minimum": 2}]}}}, {"a": None}, {"a": 1}),
        ({"properties": {"a": {"multipleOf": 0.5}}}, {"a": 1.5}, {"a": 10**400}),
        # patterns are the server's: these would take for ever here
        ({"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}, {"a": "a" * 60 + "b"}, {"a": 1}),
        (
            {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False, "maxProperties": 1},
            {"a" * 60: 1},
            None,
        ),
        ({"properties": {"a": {"pattern": "\\p{L}", "maxLength": 1}}}, {"a": "1"}, {"a": "12"}),
    ],
    ids=str,
)
def test_arguments_are_compared_with_the_schema_in_its_own_dialect(schema, good, bad):
    tool = validator_of("talk", {"type": "object", **schema})
    assert validated(tool, good) == good
    if bad is not None:
        with pytest.raises(ValueError, match=r"."):
            validated(tool, bad)


def test_arguments_that_never_end_are_refused_by_a_schema_that_allows_them():
    tool = validator_of("talk", {"type": "object", "$defs": {"node": NODE}, "$ref": "#/$defs/node"})
    deep: dict[str, object] = {}
    for _ in range(5_000):
        deep = {"next": deep}
    with pytest.raises(ValueError, match="nested too deeply"):
        validated(tool, deep)


def test_what_passes_the_schema_reaches_the_server_as_it_was_given():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    with started(f"schema:{json.dumps(schema)}") as server:
        assert json.loads(run(server, "talk", a="ü", more=[1, None]).text) == {"a": "ü", "more": [1, None]}


@pytest.mark.parametrize(
    ("behaviour", "text", "fault"),
    [
        ("result:fine", "5", None),
        ("result:type", "'five\\nwords' is not of type 'integer'", Fault.RAISED),
        ("result:none", "did not return structured content", Fault.RAISED),
        ("result:nonsense", "content: Input should be a valid list", Fault.RAISED),
        ("result:image", "[image]", None),
        ("refuses", "no tools/call", Fault.RAISED),
    ],
)
def test_a_result_that_breaks_what_was_declared_is_a_message(behaviour, text, fault):
    with started(behaviour) as server:
        for _ in range(2):  # and the connection goes on
            result = run(server, "talk")
            assert (result.fault, text in result.text) == (fault, True), result


def test_a_server_that_dies_between_two_calls_costs_one_episode():
    with started() as server:
        words = run(server, "die_soon").text
        first = server._link
        assert words.startswith("farewell of ")
        assert soon(lambda: not lives(int(words.rpartition(" ")[2])))
        with pytest.raises(WorldFailure, match="is gone"):
            run(server, "add", a=1, b=2)
        assert run(server, "add", a=1, b=2).text == "3"
        assert server._link is not first


def test_words_on_standard_error_without_end_are_forgotten():
    with started("loud") as server:
        assert run(server, "talk").text == "said"
        log = server._link._log.fileno()
        assert soon(lambda: os.fstat(log).st_blocks * 512 <= 2 << 20)
        assert run(server, "talk").text == "said"


def test_two_tools_of_one_name_are_an_error_of_the_box():
    with started("twins") as server, pytest.raises(UserError, match="two tools are called 'talk'"):
        ToolBox.of([*server.tools])


class Notes:
    def __init__(self, task):
        self.total = None

    def note(self, total: int) -> str:
        """Note the total."""
        self.total = total
        return "noted"


@pytest.mark.parametrize("shared", [True, False])
def test_tools_of_a_server_stand_beside_those_of_a_world(good, shared):
    calls = [{"name": "add", "arguments": {"a": 2, "b": 3}}, {"name": "note", "arguments": {"total": 5}}, "Done."]
    tasks = [{"prompt": f"Task {n}: note 2 + 3.", "oracle": calls} for n in range(9)]
    servers = []

    def parts(task):
        if shared:
            return [Notes(task), *good.tools]
        servers.append(started())
        return [Notes(task), servers[-1]]

    world = ToolWorld(tasks, parts, lambda parts, task, reply: parts[0].total == 5)
    for seed in range(2):
        world.reset(seed=seed)
        while (step := world.oracle()) is not None:
            _, reward, terminated, _, info = world.step(step)
        assert (reward, terminated, info["success"]) == (1.0, True, True)
    world.close()
    assert all(server._closed for server in servers)
    assert run(good, "add", a=1, b=1).text == "2"


@pytest.mark.parametrize(
    ("behaviour", "timeout", "words"),
    [
        ("dead", 60.0, "I was never alive"),
        ("silent", 0.5, "no answer in time"),
        ("nonsense", 60.0, "a tool's name"),
        ("endless", 60.0, "64 pages"),
        ("many", 60.0, "more than 256 tools"),
        ("too many", 60.0, "values, where 20,000 are allowed"),
        ("chatterbox", 60.0, "50036 characters; 32768 are allowed"),
        ('schema:{"type": "array"}', 60.0, "tools.0.inputSchema.type: Input should be 'object'"),
    ],
)
def test_a_server_that_cannot_be_used_is_the_users_to_mend(behaviour, timeout, words):
    with pytest.raises(UserError, match=words):
        started(behaviour, timeout)


def test_a_command_that_is_not_there_is_named():
    with pytest.raises(UserError, match="no-such-command"):
        McpServer.stdio("no-such-command")


def serving() -> tuple[int, subprocess.Popen[bytes]]:
    """A server over HTTP, and its port. Another program may take a port that was free; then it is another one."""
    while True:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen([sys.executable, SERVER, "good", str(port)], stderr=subprocess.DEVNULL)
        assert soon(lambda: process.poll() is not None or is_open(port))  # noqa: B023  # called at once
        if process.poll() is None:
            return port, process


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_tools_over_http():
    port, process = serving()
    try:
        with McpServer.http(f"http://127.0.0.1:{port}/mcp", timeout=60.0) as server:
            assert run(server, "add", a=2, b=3).text == "5"
            assert "not now" in run(server, "fail", words="not now").text
            with pytest.raises(WorldFailure):
                run(server, "die")
    finally:
        process.kill()
        process.wait()
    with pytest.raises(UserError, match="cannot be used"):
        McpServer.http(f"http://127.0.0.1:{port}/mcp", timeout=5.0)


def doubled(depth: int, keyword: str, end: dict[str, object]) -> dict[str, object]:
    """Definitions a0, a1, … each of which asks twice for the next."""
    defs: dict[str, object] = {f"a{depth}": end}
    for n in range(depth):
        next_one = {"$ref": f"#/$defs/a{n + 1}"}
        both = [next_one, next_one]
        if keyword in ("if", "not"):
            defs[f"a{n}"] = {"if": next_one, "then": next_one} if keyword == "if" else {"not": next_one, "allOf": both}
        elif keyword == "dependentSchemas":
            defs[f"a{n}"] = {"dependentSchemas": {"x": next_one}, "allOf": [next_one]}
        elif keyword == "properties":  # of one level each, for values that go as deep
            defs[f"a{n}"] = {"allOf": [{"properties": {"x": next_one}}, {"properties": {"x": next_one}}]}
        else:
            defs[f"a{n}"] = {keyword: both}
    return defs


def words_about(schema: dict[str, object], *values: object) -> tuple[list[str], float]:
    """What is said about a schema and about values of `x`, and how long it took."""
    begun, said = time.thread_time(), []
    with suppress(UserError):
        tool = validator_of("talk", schema)
        for value in values:
            try:
                validated(tool, {"x": value})
            except ValueError as error:
                said.append(str(error))
    return said, time.thread_time() - begun


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas"])
@pytest.mark.parametrize("end", [{}, {"type": "object"}, {"type": "string"}], ids=str)
@pytest.mark.parametrize("hidden", [False, True])
def test_a_schema_that_doubles_its_work_is_given_up_soon(keyword, end, hidden):
    schema = {"type": "object", "$defs": doubled(28, keyword, end)}
    schema |= {"properties": {"x": {"$ref": "#/$defs/a0"}}} if hidden else {"allOf": [{"$ref": "#/$defs/a0"}]}
    said, seconds = words_about(schema, "a", {"x": {"x": {}}})
    assert seconds < 10  # 2²⁸ steps would take an hour
    assert all(len(words) < 1_000 for words in said)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$defs": doubled(28, "properties", {}), "allOf": [{"$ref": "#/$defs/a0"}]}, 28),
        ({"properties": {"x": {"uniqueItems": True}}}, [{"a": n} for n in range(8_000)]),
        ({"properties": {"x": {"items": {"enum": list(range(5_000))}}}}, [-1] * 20_000),
        ({"properties": {"x": {"items": {"anyOf": [{"const": n} for n in range(2_000)]}}}}, ["y" * 50] * 1_000),
        ({"properties": {"x": {"anyOf": [{"type": "integer"}] * 2_000}}}, "y" * 60_000),
        (
            {"properties": {"x": {"unevaluatedItems": False, "$ref": "#/$defs/a0"}}, "$defs": doubled(28, "allOf", {})},
            [1],
        ),
    ],
    ids=lambda thing: f"{thing!s:.40}",
)
def test_a_comparison_takes_a_number_of_steps_and_no_more(schema, value):
    if value == 28:
        value = {}
        for _ in range(28):
            value = {"x": value}
    said, seconds = words_about({"type": "object", **schema}, value)
    assert seconds < 10
    assert all(len(words) < 1_000 for words in said)


@pytest.mark.parametrize("place", ["properties", "$defs", "items"])
def test_a_dialect_in_the_middle_of_a_schema_cannot_bring_patterns_back(place):
    inner = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "string", "pattern": "^(a+)+$"}
    schema = {
        "properties": {"properties": {"x": inner}},
        "$defs": {"properties": {"x": {"$ref": "#/$defs/d"}}, "$defs": {"d": inner}},
        "items": {"properties": {"x": {"items": inner}}},
    }[place]
    with pytest.raises(UserError, match="names a dialect in its middle"):
        validator_of("talk", {"type": "object", **schema})


def test_a_dialect_at_the_root_does_not_bring_patterns_back():
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
    schema |= {"properties": {"x": {"$ref": "#/definitions/p"}, "y": {"$ref": "#"}}}
    schema["definitions"] = {"p": {"type": "string", "pattern": "^(a+)+$"}}
    tool = validator_of("talk", schema)
    begun = time.thread_time()
    assert validated(tool, {"y": {"x": "a" * 60 + "b"}})
    assert time.thread_time() - begun < 1


@pytest.mark.parametrize(("items", "alike"), [([1, 1.0], True), ([1, True], False), ([{"a": 1}, {"a": 1}], True)])
def test_items_that_have_to_differ_are_compared_as_json(items, alike):
    tool = validator_of("talk", {"type": "object", "properties": {"x": {"uniqueItems": True}}})
    if alike:
        with pytest.raises(ValueError, match="items that are equal"):
            validated(tool, {"x": items})
    else:
        assert validated(tool, {"x": items})


def test_an_output_schema_cannot_hang_the_connection():
    schema = {"type": "object", "$defs": doubled(28, "allOf", {"type": "string"})}
    with started(f"output:{json.dumps({**schema, 'properties': {'a': {'$ref': '#/$defs/a0'}}})}") as server:
        begun = time.perf_counter()
        result = run(server, "talk")
        assert (result.fault, "too much work" in result.text) == (Fault.RAISED, True)
        assert time.perf_counter() - begun < 50
        assert run(server, "talk").fault is Fault.RAISED


def test_tools_may_describe_themselves_at_a_length_in_sum():
    with pytest.raises(UserError, match="the tools of an MCP server describe themselves in more than"):
        started("crowd")


def test_control_characters_of_a_server_are_spelled_out():
    with started("escapes") as server:
        for text in (server.tools[0].description, run(server, "talk").text):
            assert text == "\\x1b[2J\\x1b]0;owned\\x07\\x9b31m\\u202ered"
    with pytest.raises(UserError, match="Its last words") as caught:
        started("last words")
    assert str(caught.value).isprintable() or "\x1b" not in str(caught.value)
    assert "\\x1b[2J" in str(caught.value)


def test_a_server_is_started_in_the_folder_that_is_asked_for(tmp_path):
    with McpServer.stdio(sys.executable, SERVER, "where", cwd=str(tmp_path)) as server:
        assert run(server, "talk").text == str(tmp_path)
    with pytest.raises(UserError, match="cannot be used"):
        McpServer.stdio(sys.executable, SERVER, "where", cwd=str(tmp_path / "nowhere"))
