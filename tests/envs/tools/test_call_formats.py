"""Tool calls in text: what is understood, and what a malformed call is told."""

import json
import random
import time

import pytest
from hostile_texts import hostile_texts, seconds

from peripatos.envs.errors import UserError
from peripatos.envs.tools import Tool
from peripatos.envs.tools.call_formats import FORMATS, MAX_REPLY, reply_format
from peripatos.envs.tools.formats.nested import nested
from peripatos.envs.vocabulary import ToolCall


def calculator(expression: str) -> str:
    """Work it out."""
    return expression


SCHEMA = [Tool.from_function(calculator).schema]
CALL_F = '<tool_call>{"name":"f"}</tool_call>'
CALCULATE_1, CALCULATE_NOTHING = (("calculator", {"expression": text}) for text in ("1", ""))
ADD = ToolCall("add", {"a": 1, "b": [2.5, None, "x"]})
TWICE = ToolCall("add", {"a": nested(ADD), "b": [{"c": nested(ToolCall("g", {}))}]})
SEND = ToolCall("send", {"text": 'a "quoted" </tool_call> 水'})


@pytest.mark.parametrize(
    ("name", "text", "said", "calls"),
    [
        ("hermes", '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>', "", [("f", {"a": 1})]),
        ("hermes", 'I look. <tool_call>{"name": "f", "arguments": {}}</tool_call> ok', "I look.  ok", [("f", {})]),
        (
            "hermes",
            '<tool_call>{"name":"f"}</tool_call><tool_call>{"name":"g"}</tool_call>',
            "",
            [("f", {}), ("g", {})],
        ),
        ("hermes", '<tool_call>{"name":"f","parameters":{"x":2}}</tool_call>', "", [("f", {"x": 2})]),
        ("hermes", '<tool_call>{"name":"f","arguments":"{\\"x\\":2}"}</tool_call>', "", [("f", {"x": 2})]),
        (
            "hermes",
            '<tool_call>{"name":"f","arguments":{"t":"</tool_call>"}}</tool_call>',
            "",
            [("f", {"t": "</tool_call>"})],
        ),
        ("hermes", '<think>{"a" <tool_call></think>No.', "No.", []),
        ("hermes", "<think>what if <tool_call>", "", []),
        ("hermes", "no call at all {}", "no call at all {}", []),
        ("llama3", '{"name": "f", "parameters": {"a": 1}}', "", [("f", {"a": 1})]),
        (
            "llama3",
            '<|python_tag|>{"name": "f"}; {"name": "g", "arguments": {"b": 2}}',
            "",
            [("f", {}), ("g", {"b": 2})],
        ),
        ("llama3", "It is {not} a call", "It is {not} a call", []),
        ("python", "[f(a=1, b=[-2.5, None]), g()]", "", [("f", {"a": 1, "b": [-2.5, None]}), ("g", {})]),
        ("python", "[1, 2] are numbers", "[1, 2] are numbers", []),
        ("python", "[calculator('1+1'), g()]", "", [("calculator", {"expression": "1+1"}), ("g", {})]),
        ("python", "[f(a=g(b=1))]", "", [("f", {"a": {"$call": "g", "arguments": {"b": 1}}})]),
        (
            "python",
            "[f(a=[1, {'k': calculator(g())}])]",
            "",
            [("f", {"a": [1, {"k": nested(ToolCall("calculator", {"expression": nested(ToolCall("g", {}))}))}]})],
        ),
        ("lfm", "<|tool_call_start|>[calculator('7')]<|tool_call_end|>", "", [("calculator", {"expression": "7"})]),
        ("python", "No call.", "No call.", []),
        ("compact", "<tool_call>7*8</tool_call>", "", [("calculator", {"expression": "7*8"})]),
        (
            "compact",
            "a<tool_call>1</tool_call><tool_call></tool_call>b",
            "ab",
            [("calculator", {"expression": e}) for e in ("1", "")],
        ),
    ],
)
def test_what_is_said_and_what_is_called(name, text, said, calls):
    reply = reply_format(name, SCHEMA).parse(text)
    assert reply.parse_error is None
    assert (reply.text, [(call.name, dict(call.arguments)) for call in reply.tool_calls]) == (said, calls)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("hermes", '<tool_call>{"name": "f", "arguments": {"a": 1}', "the JSON is not finished"),
        ("hermes", '<tool_call>{"name": "f"}', "</tool_call> is missing"),
        ("hermes", '<tool_call>{"name": "f"} extra</tool_call>', "</tool_call> is missing"),
        ("hermes", '{"name": "f"}</tool_call>', "without <tool_call>"),
        ("hermes", "<tool_call>{'name': 'f'}</tool_call>", "not JSON"),
        ("hermes", '<tool_call>{"name":"f", <tool_call>{"name":"g"}</tool_call></tool_call>', "inside another"),
        ("hermes", '<tool_call><tool_call>{"name":"g"}</tool_call></tool_call>', "inside another"),
        ("hermes", "<tool_call>[1]</tool_call>", 'an object with "name"'),
        ("hermes", '<tool_call>{"name": 3}</tool_call>', 'an object with "name"'),
        ("hermes", '<tool_call>{"name":"f","arguments":[1]}</tool_call>', "must be an object, not [1]"),
        ("hermes", '<tool_call>{"name":"f","arguments":{"x":NaN}}</tool_call>', "NaN is not JSON"),
        ("hermes", '<tool_call>{"name":"f","arguments":{"x":-1e400}}</tool_call>', "-1e400 is too large for a number"),
        ("gemma", "<|tool_call>call:f{x:1e400}<tool_call|>", "1e400 is too large for a number"),
        ("hermes", f'<tool_call>{{"name":"f","arguments":{{"x":{"9" * 5000}}}}}</tool_call>', "not JSON"),
        ("hermes", "<tool_call>" + "[" * 100_000, "nested too deeply"),
        ("llama3", '{"name": "f"', "not finished"),
        ("llama3", '{"name": "f"} and so on', "unexpected text"),
        ("llama3", "<|python_tag|>print(1)", "JSON object is expected"),
        ("python", "[f(1)]", "unknown tool 'f'; allowed: calculator"),
        ("python", "[calculater(1)]", "Did you mean 'calculator'?"),
        ("python", "[calculator('1', '2')]", "calculator takes at most 1 arguments, and 2 are given"),
        ("python", "[calculator('1', expression='2')]", "calculator: 'expression' is given twice"),
        ("python", "[calculator(*['1'])]", "must be named"),
        ("python", "[calculator(f(g))]", "unknown tool 'f'; allowed: calculator"),
        ("python", "[calculator({'a': [f(1, 2)]})]", "unknown tool 'f'"),
        ("python", "[calculator({1: f()})]", "no plain value"),
        ("python", "[calculator(1 + f())]", "no plain value"),
        ("python", "[calculator(**{'a': 1})]", "must be named"),
        ("python", "[f(a=__import__('os').abort())]", "no plain value"),
        ("python", "[f(a=b'x')]", "no plain value"),
        ("python", "[f(a=9**9**9)]", "no plain value"),
        ("python", "[os.abort()]", "must be a call: name"),
        ("python", "[f(a=1)", "not Python"),
        ("python", "[f(a=1)] + [g()]", "one list"),
        ("python", "[f(a=" + "(" * 5_000, "not Python"),
        ("python", "[f(a=" + "-" * 10_000 + "1)]", ""),
        ("python", "[f(a='" + "x" * 20_000 + "')]", "are allowed"),
        ("python", "[f(a='\x00')]", "not Python"),
        ("compact", "<tool_call>7*8", "</tool_call> is missing"),
        ("compact", "7*8</tool_call>", "without <tool_call>"),
        ("compact", "<tool_call>7<tool_call>8</tool_call></tool_call>", "is missing"),
    ],
    ids=lambda value: value[:40],
)
def test_a_malformed_call_calls_nothing_and_says_what_was_wrong(name, text, words):
    reply = reply_format(name, SCHEMA).parse(text)
    assert not reply.tool_calls
    assert reply.parse_error
    assert words in reply.parse_error
    assert len(reply.parse_error) < 300


@pytest.mark.parametrize("name", ["hermes", "llama3", "python"])
@pytest.mark.parametrize("calls", [(), (ADD,), (SEND, ADD), (TWICE, ADD, SEND)], ids=len)
def test_what_is_written_is_read_back(name, calls):
    format_ = reply_format(name)
    reply = format_.parse(format_.write("" if calls else "Hello.", calls))
    assert (reply.text, reply.tool_calls, reply.parse_error) == ("" if calls else "Hello.", calls, None)


def test_the_compact_form_is_read_back():
    format_ = reply_format("compact", SCHEMA)
    call = ToolCall("calculator", {"expression": "12+(3)"})
    assert format_.parse(format_.write("so:", [call])).tool_calls == (call,)


@pytest.mark.parametrize("name", FORMATS)
def test_any_text_gives_a_reply_quickly(name):
    format_ = reply_format(name, SCHEMA)
    rng = random.Random(7)
    good = format_.write("", [ToolCall("calculator", {"expression": "1+1"})])
    pieces = [*good, "<tool_call>", "</tool_call>", "<think>", "</think>", "{", "}", '"', "\\", "[", "]", "\ud800"]
    begun = time.perf_counter()
    for _ in range(500):
        format_.parse("".join(rng.choices(pieces, k=rng.randrange(80))))
    for hostile in ("<tool_call>" * 11_000, "{" * MAX_REPLY, "[a" * 60_000, " " * MAX_REPLY, good * 3_000):
        format_.parse(hostile[:MAX_REPLY])
    assert time.perf_counter() - begun < 10
    assert "are allowed" in str(format_.parse("x" * (MAX_REPLY + 1)).parse_error)


BEFORE_AND_AFTER = {
    "harmony": ("Let me look. ", "<|start|>assistant to=functions.calculator<|message|>{}"),
    "hermes": ('<tool_call>{"name":"calculator","arguments":{"expression":', "}}</tool_call>"),
    "glm": ("<tool_call>calculator<arg_key>expression</arg_key><arg_value>", "</arg_value></tool_call>"),
    "qwen3.5": ("<tool_call><function=calculator><parameter=expression>", "</parameter></function></tool_call>"),
    "gemma": ("<|tool_call>call:calculator{", "}<tool_call|>"),
    "python": ("[calculator(", ")]"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_no_long_text_takes_a_format_more_than_a_moment(name):
    format_ = reply_format(name, SCHEMA)
    for before, after in {("", ""), BEFORE_AND_AFTER.get(name, ("I see. ", ""))}:
        for unit, text in hostile_texts(MAX_REPLY // 2, before, after):
            assert seconds(format_.parse, text) < 2, (unit, before)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("I look.\n<|start|>assistant ", "I look."),
        ("I look.<|start|>assistant<|channel|>commentary ", "I look."),
        ("I look. <|channel|> commentary ", "I look."),
        ("My commentary ", "My commentary"),
    ],
)
def test_the_header_of_a_message_to_a_tool_is_not_said(before, said):
    assert reply_format("harmony").parse(f"{before}to=functions.f<|message|>{{}}").text == said


@pytest.mark.parametrize("name", ["hermes", "llama3", "python"])
def test_the_example_in_the_explanation_can_be_parsed(name):
    format_ = reply_format(name)
    example = format_.explain().removeprefix("To call a tool, ").partition(" ")[2].removeprefix("with nothing but ")
    example = example.removesuffix(".")
    if name == "python":
        example = example.replace("the_value", "1").replace("=value", "=1")
    assert len(format_.parse(example).tool_calls) == 1, json.dumps(example)


def test_an_unknown_format_is_named_with_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'hermes'"):
        reply_format("hermse")
    with pytest.raises(UserError, match="one tool with one required argument"):
        reply_format("compact", [])
