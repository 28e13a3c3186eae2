"""Null that a table filled in is no part of a call; null that somebody wrote, and may write, is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from peripatos.envs.conversation.chat_rows import read_chat, reply_in
from peripatos.envs.conversation.chat_world import ChatWorld
from peripatos.envs.conversation.filled_nulls import schema_without_fillers
from peripatos.envs.errors import UserError

INTEGER, NULL = {"type": "integer"}, {"type": "null"}
NAMED = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"enum": ["x", None]}}}
AROUND = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}}


def parameters(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


def row(arguments: Any, schema: Any) -> dict[str, Any]:
    call = {"function": {"name": "find", "arguments": arguments}}
    return {
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [call]}],
        "tools": [{"type": "function", "function": {"name": "find", "parameters": schema}}] if schema else None,
    }


def called(arguments: Any, schema: Any) -> Any:
    return reply_in(read_chat("row 0", row(arguments, schema)).messages[1]).tool_calls[0].arguments


@pytest.mark.parametrize(
    "schema",
    [
        parameters({"anyOf": [INTEGER, NULL], "default": 3}),
        parameters({"oneOf": [NULL, INTEGER]}),
        parameters({"anyOf": [INTEGER, {"anyOf": [INTEGER, NULL]}]}),
        parameters({"type": ["integer", "null"]}),
        parameters({"enum": ["x", None]}),
        parameters({"type": "integer", "nullable": True}),
        parameters({"description": "Anything."}),
        parameters(True),
        NAMED,
        {"type": "object", "additionalProperties": {"anyOf": [INTEGER, NULL]}},
        {"type": "object", "additionalProperties": True},
    ],
)
def test_null_is_an_argument_where_the_schema_allows_it(schema: Any) -> None:
    assert called({"a": None}, schema) == {"a": None}


@pytest.mark.parametrize(
    "schema",
    [
        parameters(INTEGER),
        parameters({"type": ["integer", "string"]}),
        parameters({"enum": ["x", "y"]}),
        parameters({"anyOf": [INTEGER, {"type": "string"}]}),
        {"type": "object", "properties": {"b": INTEGER}},
        {"type": "object", "additionalProperties": INTEGER},
        AROUND,
        None,
    ],
)
def test_null_is_no_argument_where_the_schema_does_not_allow_it(schema: Any) -> None:
    assert called({"a": None, "b": 1}, schema) == {"b": 1}


def test_null_inside_of_an_argument_is_kept_and_left_out_by_its_own_schema() -> None:
    point = {"type": "object", "properties": {"x": {"anyOf": [INTEGER, NULL]}, "y": INTEGER}}
    value = {"a": [{"x": None, "y": None}, {"x": 1, "y": 2}, None]}
    for schema in (point, {"anyOf": [point, NULL]}):
        listed = parameters({"type": "array", "items": schema})
        assert called(value, listed) == {"a": [{"x": None}, {"x": 1, "y": 2}, None]}
    assert called(value, parameters({})) == value


def test_arguments_that_are_a_text_stay_as_they_were_written() -> None:
    for schema in (parameters(INTEGER), None):
        assert called('{"a": null, "b": {"c": null}}', schema) == {"a": None, "b": {"c": None}}


def test_a_call_with_null_is_learned_with_it() -> None:
    world = ChatWorld([row({"a": None}, parameters({"anyOf": [INTEGER, NULL]}))])
    world.reset(seed=0, options={"split": "train", "run": 0, "group": 0})
    written = world.write(world.oracle())
    assert json.loads(written.split("\n")[1]) == {"name": "find", "arguments": {"a": None}}


def test_a_schema_keeps_null_as_the_default_of_what_may_be_null() -> None:
    filled = {"enum": None, "default": None, "description": None}
    for schema in ({"anyOf": [INTEGER, NULL]}, {"type": ["integer", "null"]}, {"enum": ["x", None]}):
        assert schema_without_fillers({**filled, **schema}) == {"default": None, **schema}
    for schema in (INTEGER, {}, {"properties": {"a": INTEGER}}):
        assert schema_without_fillers({**filled, **schema}) == schema


def test_definitions_that_refer_to_one_another_twice_are_each_read_once() -> None:
    many = 200  # to which there are 2 ** 200 ways
    one_more = {f"A{n}": {"anyOf": [{"$ref": f"#/$defs/A{n + 1}"}] * 2} for n in range(many)}
    for last, kept in (({"type": "string"}, {}), (NULL, {"a": None})):
        assert (
            called({"a": None}, {**parameters({"$ref": "#/$defs/A0"}), "$defs": one_more | {f"A{many}": last}}) == kept
        )


@pytest.mark.parametrize("deep", ["arguments", "schema"])
def test_what_is_nested_too_deeply_is_refused_in_a_sentence(deep: str) -> None:
    inner: dict[str, Any] = {"a": 1}
    for _ in range(5000):
        inner = {"a": inner}
    given = (inner, parameters({})) if deep == "arguments" else ({"a": None}, inner)
    with pytest.raises(UserError, match="row 0: a call or a tool of this conversation is nested too deeply to be read"):
        read_chat("row 0", row(*given))
