"""The formats in which models write calls: each reads what it writes, and calls the others' malformed."""

from __future__ import annotations

from typing import get_args

import pytest

from peripatos.envs.tools import ToolWorld
from peripatos.envs.tools.call_formats import MARKERS, MODEL_FORMATS, reply_format
from peripatos.envs.vocabulary import ToolCall
from peripatos.scenarios.config.agents import ReplyFormat

ADD, SHOUT = ToolCall("add", {"a": 1, "b": -2.5}), ToolCall("shout", {"word": "12", "loud": True, "to": ["x", None]})
SCHEMAS = [
    {
        "type": "function",
        "function": {"name": "shout", "parameters": {"type": "object", "properties": {"word": {"type": "string"}}}},
    }
]
NESTED = {"x": "a:{b}", "y": [1, {"z": None}]}
MARKED = ("hermes", "mistral", "qwen3.5", "deepseek", "harmony", "glm", "gemma", "lfm")


@pytest.mark.parametrize("name", MODEL_FORMATS)
@pytest.mark.parametrize("calls", [(ADD,), (SHOUT,), (ADD, SHOUT), (ToolCall("now", {}),)])
def test_a_format_reads_what_it_writes(name: str, calls: tuple[ToolCall, ...]) -> None:
    form = reply_format(name, SCHEMAS)
    reply = form.parse(form.write("", calls))
    assert (reply.parse_error, reply.text, reply.tool_calls) == (None, "", calls)


@pytest.mark.parametrize("name", [name for name in MARKED if name != "harmony"])
def test_what_is_said_before_a_call_is_said(name: str) -> None:
    form = reply_format(name)
    reply = form.parse(form.write("I add.", [ADD]))
    assert (reply.text, reply.tool_calls) == ("I add.", (ADD,))


@pytest.mark.parametrize("reader", MODEL_FORMATS)
@pytest.mark.parametrize("writer", MARKED)
def test_a_call_in_a_form_that_is_not_read_is_malformed_and_no_answer(reader: str, writer: str) -> None:
    if reader == writer:
        return
    reply = reply_format(reader).parse(reply_format(writer).write("", [ADD]))
    assert reply.tool_calls == ()
    assert reply.parse_error is not None


@pytest.mark.parametrize(
    ("name", "text", "calls"),
    [
        ("mistral", '[TOOL_CALLS][{"name": "add", "arguments": {"a": 1}, "id": "call00000"}]', [("add", {"a": 1})]),
        ("mistral", '[TOOL_CALLS]add[ARGS]{"a": 1}[TOOL_CALLS]f{}', [("add", {"a": 1}), ("f", {})]),
        ("deepseek", '<｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜>', [("add", {"a": 1})]),
        (
            "harmony",
            '<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 1}<|call|>',
            [("add", {"a": 1})],
        ),
        ("harmony", ' to=functions.add<|channel|>commentary json<|message|>{"a": 1}', [("add", {"a": 1})]),
        ("qwen3.5", "<function=add>\n<parameter=a>\n1\n</parameter>\n</function>", [("add", {"a": 1})]),
        ("glm", "<tool_call>add\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n</tool_call>", [("add", {"a": 1})]),
        ("lfm", "<|tool_call_start|>[add(a=1, b=true)]<|tool_call_end|>ok", [("add", {"a": 1, "b": True})]),
        ("gemma", '<|tool_call>call:f{x:<|"|>a:{b}<|"|>,y:[1,{z:null}]}<tool_call|>', [("f", NESTED)]),
    ],
)  # fmt: skip
def test_spellings_of_models_are_read(name: str, text: str, calls: list[tuple[str, object]]) -> None:
    reply = reply_format(name).parse(text)
    assert reply.parse_error is None
    assert [(call.name, dict(call.arguments)) for call in reply.tool_calls] == calls


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mistral", "[TOOL_CALLS]"),
        ("mistral", '[TOOL_CALLS][{"name": "add"'),
        ("deepseek", "<｜tool▁calls▁begin｜>"),
        ("deepseek", "<｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{}"),
        ("harmony", "to=functions.add"),
        ("qwen3.5", "<tool_call>\n<function=add>\n<parameter=a>1"),
        ("qwen3.5", "<tool_call>add</tool_call>"),
        ("glm", "<tool_call>add<arg_key>a</arg_key></tool_call>"),
        ("glm", '<tool_call>{"name": "add"}</tool_call>'),
        ("lfm", "<|tool_call_start|>[add(1)]<|tool_call_end|>"),
        ("lfm", "<|tool_call_start|>[add(a=1)]"),
        ("gemma", "<|tool_call>add{}<tool_call|>"),
        ("gemma", "<|tool_call>call:add{a:1}"),
    ],
)
def test_half_a_call_is_malformed(name: str, text: str) -> None:
    reply = reply_format(name).parse(text)
    assert reply.parse_error is not None
    assert reply.tool_calls == ()


def test_a_world_tells_the_agent_of_a_call_that_it_does_not_read() -> None:
    class Tools:
        def __init__(self, task: object) -> None: ...

        def add(self, a: int, b: int) -> int:
            """Add."""
            return a + b

    world = ToolWorld([{"prompt": f"{n}?"} for n in range(8)], Tools, lambda host, task, reply: True, timeout=None)
    world.reset(seed=0)
    _, _, terminated, _, info = world.step('[TOOL_CALLS][{"name": "add", "arguments": {"a": 1, "b": 2}}]')
    assert not terminated
    assert "[TOOL_CALLS] begins a tool call in a form that is not read here" in info["messages"][0]["content"]
    world.agent_format = "mistral"
    world.reset(seed=0)
    _, _, _, _, info = world.step('[TOOL_CALLS][{"name": "add", "arguments": {"a": 1, "b": 2}}]')
    assert info["messages"][0]["content"] == "3"


def test_scenarios_and_markers_name_formats_that_there_are() -> None:
    assert set(get_args(ReplyFormat)) == {"auto", *MODEL_FORMATS}
    assert set(MODEL_FORMATS) - set(MARKERS.values()) == {"python"}
