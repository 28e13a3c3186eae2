"""Every format reads the arguments that it writes, whatever types a tool gives them."""

from __future__ import annotations

import datetime
import json
from typing import Any, Literal

import pytest

from peripatos.envs.tools import ToolBox
from peripatos.envs.tools.call_formats import MODEL_FORMATS, reply_format
from peripatos.envs.tools.formats.fitting import fits
from peripatos.envs.vocabulary import ToolCall


def find(
    plain: str = "",
    maybe: str | None = None,
    several: str | list[str] = "",
    listed: Literal["1", "null", None] = None,
    mixed: Literal["1", 1, True] = 1,
    either: str | int = "",
    day: datetime.date | None = None,
    anything: Any = None,
    number: float | None = None,
    table: dict[str, Any] | None = None,
) -> str:
    """Find."""
    return repr((plain, maybe))


SCHEMAS = ToolBox.of([find]).schemas
WORDS = ["12345", "true", "True", "null", "None", "{}", "1e5", "-0", "[1]", '["a"]', '"quoted"', '"null"', '"\\"7\\""']
WORDS += ["", " ", " 7 ", "\n", "null\n", "a\nb", '"', "NaN", "é水", "007", "{a:1}", '{"a": 1}']
VALUES: dict[str, list[Any]] = {
    "plain": WORDS,
    "maybe": [*WORDS, None],
    "several": [*WORDS, [], ["1", "null"]],
    "listed": ["1", "null", None],
    "mixed": ["1", 1, True],
    "either": [*WORDS, 7, 0, -3, 10**20],
    "day": ["2026-01-01", None],
    "anything": [*WORDS, None, True, 1.5, 7, [], {}, ["1", None], {"a": "null"}],
    "number": [1e22, -0.0, 1.0, 0.1, 10**20, None],
    "table": [{}, {"x": ["1", None]}, None],
}


@pytest.mark.parametrize("name", MODEL_FORMATS)
def test_a_format_reads_back_each_value_of_each_type(name: str) -> None:
    form = reply_format(name, SCHEMAS)
    for argument, values in VALUES.items():
        for value in values:
            written = form.write("", [ToolCall("find", {argument: value})])
            reply = form.parse(written)
            assert reply.parse_error is None, written
            (call,) = reply.tool_calls
            assert json.dumps(dict(call.arguments)) == json.dumps({argument: value}), written


@pytest.mark.parametrize(
    ("argument", "text", "value"),
    [
        ("maybe", "12345", "12345"),
        ("maybe", "true", "true"),
        ("maybe", "{}", "{}"),
        ("maybe", "1e5", "1e5"),
        ("maybe", "null", None),  # a model that means the text may quote it
        ("maybe", '"null"', "null"),
        ("maybe", '"quoted"', '"quoted"'),
        ("several", "7", "7"),
        ("several", "[7]", "[7]"),
        ("several", '["7"]', ["7"]),
        ("listed", "1", "1"),
        ("mixed", "1", 1),
        ("either", "7", 7),
        ("number", "7", 7),
        ("unknown", "7", 7),
    ],
)
def test_bare_text_stays_text_where_the_tool_takes_text_and_nothing_else_of_what_it_says(
    argument: str, text: str, value: object
) -> None:
    for name, written in (
        ("qwen3.5", f"<tool_call><function=find><parameter={argument}>{text}</parameter></function></tool_call>"),
        ("glm", f"<tool_call>find<arg_key>{argument}</arg_key><arg_value>{text}</arg_value></tool_call>"),
    ):
        (call,) = reply_format(name, SCHEMAS).parse(written).tool_calls
        assert dict(call.arguments) == {argument: value}


@pytest.mark.parametrize(
    ("schema", "fit", "unfit"),
    [
        ({}, [1, "x", None], []),
        (False, [], [1]),
        ({"type": ["string", "null"]}, ["x", None], [1, True]),
        ({"type": "integer"}, [1, 1.0], [True, 1.5, "1"]),
        ({"const": "a"}, ["a"], ["b", 1]),
        ({"enum": [1, "2"]}, [1, "2"], [True, "1", 2]),
        ({"oneOf": [{"type": "null"}, {"type": "array", "items": {"type": "string"}}]}, [None, ["a"]], [[1], "a"]),
        ({"allOf": [{"type": "string"}, {"enum": ["a", 1]}]}, ["a"], [1, "b"]),
        ({"$ref": "#/$defs/Text"}, ["a"], [1]),
        ({"$ref": "#/$defs/Endless"}, ["a", 1], []),
        (
            {"type": "object", "required": ["a"], "properties": {"a": {"type": "null"}}, "additionalProperties": False},
            [{"a": None}],
            [{}, {"a": 1}, {"a": None, "b": 1}],
        ),
    ],
)
def test_a_value_fits_a_schema_by_its_kind(schema: Any, fit: list[object], unfit: list[object]) -> None:
    named = {"Text": {"type": "string"}, "Endless": {"anyOf": [{"$ref": "#/$defs/Endless"}]}}
    assert all(fits(schema, value, named) for value in fit)
    assert not any(fits(schema, value, named) for value in unfit)
