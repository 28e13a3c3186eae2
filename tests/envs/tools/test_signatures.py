"""Schemas of signatures, against schemas written by hand; what reaches the function; and the same in words."""

import dataclasses
import enum
import json
import math
import threading
import typing
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, Union

import pydantic.dataclasses
import pytest
import typing_extensions
from annotated_types import Ge
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json

from peripatos.envs.errors import UserError
from peripatos.envs.tools.docstrings import described
from peripatos.envs.tools.prompt_words import described_tools
from peripatos.envs.tools.signatures import signature_of
from peripatos.envs.tools.tool import Tool, ToolBox
from peripatos.envs.vocabulary import ToolCall


class Side(enum.Enum):
    BUY = "buy"
    SELL = "sell"


class Size(enum.IntEnum):
    S = 1
    L = 2


class Old(typing.TypedDict):
    x: int
    y: NotRequired[list["Older"]]


class Older(typing.TypedDict, total=False):
    z: float


class New(typing_extensions.TypedDict):
    x: Annotated[int, Field(description="to the right")]


@dataclasses.dataclass
class Place:
    town: str
    zip: int = 0


class Item(BaseModel):
    """What is bought."""

    name: str = Field(description="its name")
    title: str = "none"


class Cart(BaseModel):
    items: list[Item]
    gift: Item | None = None


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]
    barks: bool


class Pair(NamedTuple):
    a: int
    b: str = "x"


def one(annotation: Any, *default: Any) -> tuple[dict[str, Any], list[str]]:
    """The schema of the only parameter, with this annotation and default, and the names that are required."""

    def tool(x) -> object:
        return x

    tool.__annotations__ = {"x": annotation}
    tool.__defaults__ = default or None
    parameters = Tool.from_function(tool, timeout=None).parameters
    assert parameters["additionalProperties"] is False
    return parameters["properties"]["x"], parameters.get("required", [])


ITEM = {
    "type": "object",
    "description": "What is bought.",
    "properties": {
        "name": {"type": "string", "description": "its name"},
        "title": {"type": "string", "default": "none"},
    },
    "required": ["name"],
}
CAT = {"const": "cat", "type": "string"}
NULL = {"type": "null"}
INTEGER = {"type": "integer"}
CLOSED = {"type": "object", "additionalProperties": False}
OLDER = {**CLOSED, "properties": {"z": {"type": "number"}}}
PLACE = {
    **CLOSED,
    "properties": {"town": {"type": "string"}, "zip": {"type": "integer", "default": 0}},
    "required": ["town"],
}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, INTEGER),
        (Any, {}),
        (object, {}),
        (int | None, {"anyOf": [INTEGER, NULL]}),
        (Optional[int], {"anyOf": [INTEGER, NULL]}),  # noqa: UP045
        (Union[int, str], {"anyOf": [INTEGER, {"type": "string"}]}),  # noqa: UP007
        (Literal["a", 2], {"enum": ["a", 2]}),
        (Side, {"enum": ["buy", "sell"], "type": "string"}),
        (Size, {"enum": [1, 2], "type": "integer"}),
        (list[Side], {"type": "array", "items": {"enum": ["buy", "sell"], "type": "string"}}),
        (dict[str, int], {"type": "object", "additionalProperties": INTEGER}),
        (
            tuple[int, str],
            {"type": "array", "prefixItems": [INTEGER, {"type": "string"}], "minItems": 2, "maxItems": 2},
        ),
        (set[int], {"type": "array", "items": INTEGER, "uniqueItems": True}),
        (date, {"type": "string", "format": "date"}),
        (
            Annotated[int, Field(description="one to five", ge=1, le=5)],
            {"type": "integer", "description": "one to five", "minimum": 1, "maximum": 5},
        ),
        (Annotated[int, Ge(0)], {"type": "integer", "minimum": 0}),
        (Annotated[int | None, Field(description="how many")], {"anyOf": [INTEGER, NULL], "description": "how many"}),
        (Place, PLACE),
        (Annotated[Place, Field(description="where")], {**PLACE, "description": "where"}),
        (list[Place | None], {"type": "array", "items": {"anyOf": [PLACE, NULL]}}),
        (Item, ITEM),
        (
            Cart,
            {
                "type": "object",
                "properties": {
                    "items": {"type": "array", "items": ITEM},
                    "gift": {"anyOf": [ITEM, NULL], "default": None},
                },
                "required": ["items"],
            },
        ),
        (
            Old,
            {**CLOSED, "properties": {"x": INTEGER, "y": {"type": "array", "items": OLDER}}, "required": ["x"]},
        ),
        (
            dict[str, list[Older]],
            {"type": "object", "additionalProperties": {"type": "array", "items": OLDER}},
        ),
        (Older | None, {"anyOf": [OLDER, NULL]}),
        (New, {**CLOSED, "properties": {"x": {**INTEGER, "description": "to the right"}}, "required": ["x"]}),
        (
            Annotated[Cat | Dog, Field(discriminator="kind")],
            {
                "oneOf": [
                    {"type": "object", "properties": {"kind": CAT}, "required": ["kind"]},
                    {
                        "type": "object",
                        "properties": {"kind": {**CAT, "const": "dog"}, "barks": {"type": "boolean"}},
                        "required": ["kind", "barks"],
                    },
                ]
            },
        ),
    ],
    ids=str,
)  # fmt: skip
def test_every_annotation_gives_its_schema(annotation: Any, schema: dict[str, Any]) -> None:
    assert one(annotation) == (schema, ["x"])


@pytest.mark.parametrize(
    ("annotation", "default", "schema"),
    [
        (int, 3, {"type": "integer", "default": 3}),
        (int | None, None, {"anyOf": [INTEGER, NULL], "default": None}),
        (int, None, {"anyOf": [INTEGER, NULL], "default": None}),
        (
            Annotated[int, Field(description="n", ge=1)],
            None,
            {"anyOf": [{**INTEGER, "minimum": 1}, NULL], "default": None, "description": "n"},
        ),
        (list[str], ["a"], {"type": "array", "items": {"type": "string"}, "default": ["a"]}),
        (Side, Side.SELL, {"enum": ["buy", "sell"], "type": "string", "default": "sell"}),
        (Place, Place("Ulm"), {**PLACE, "default": {"town": "Ulm", "zip": 0}}),
        (date, date(2026, 1, 2), {"type": "string", "format": "date", "default": "2026-01-02"}),
        (dict[str, int], {"title": 1}, {"type": "object", "additionalProperties": INTEGER, "default": {"title": 1}}),
        (int, Field(3, description="n"), {"type": "integer", "default": 3, "description": "n"}),
        (Any, object(), {}),
    ],
    ids=str,
)  # fmt: skip
def test_every_default_stands_in_the_schema(annotation: Any, default: Any, schema: dict[str, Any]) -> None:
    assert one(annotation, default) == (schema, [])


class Reach(enum.Enum):
    NEAR = 1.0
    FAR = math.inf


@dataclasses.dataclass
class Span:
    end: float = math.inf


NUMBER, CLOSED = {"type": "number"}, {"additionalProperties": False}


@pytest.mark.parametrize(
    ("annotation", "default", "schema"),
    [
        (float, math.inf, NUMBER),
        (float | None, math.nan, {"anyOf": [NUMBER, {"type": "null"}]}),
        (list[float], [1.0, -math.inf], {"type": "array", "items": NUMBER}),
        (dict[str, float], {"a": math.nan}, {"type": "object", "additionalProperties": NUMBER}),
        (
            Annotated[float, Field(gt=math.nan, le=math.inf, examples=[1.0, math.inf])],
            0.5,
            {"default": 0.5, "examples": [1.0], **NUMBER},
        ),
        (Reach, Reach.FAR, {"enum": [1.0], **NUMBER}),
        (
            Span | int,
            1,
            {"anyOf": [{"type": "object", "properties": {"end": NUMBER}, **CLOSED}, {"type": "integer"}], "default": 1},
        ),
    ],
)
def test_a_schema_is_json_where_an_author_has_written_infinity(annotation: Any, default: Any, schema: Any) -> None:
    def tool(x=default): ...

    tool.__annotations__["x"] = annotation
    made = signature_of(tool, "tool", bound=False)
    json.dumps(made.schema, allow_nan=False)
    assert made.schema["properties"]["x"] == schema
    assert made.validated({}) == ({"x": default} if isinstance(default, list | dict) else {})


class Part(BaseModel):
    size: float
    sizes: list[float | None] = []
    most: float = math.inf


@pydantic.dataclasses.dataclass
class Plank:
    length: float = math.inf


class Open(BaseModel):
    model_config = ConfigDict(allow_inf_nan=True)
    most: float


@pytest.mark.parametrize(
    ("annotation", "given", "place"),
    [
        *[(float, odd, "x") for odd in ("nan", "-inf", "1e400", "Infinity", math.inf)],
        (float | None, "nan", "x"),
        (list[float], [1, "nan"], "x.1"),
        (dict[str, float], {"a": "inf"}, "x.a"),
        (Span, {"end": "nan"}, "x.end"),
        (Plank, {"length": "inf"}, "x.length"),
        (list[Part], [{"size": 1}, {"size": "nan"}], "x.1.size"),
        (Part | int, {"size": 1, "sizes": [None, "-inf"]}, "x.sizes.1"),
    ],
)
def test_no_agent_gives_a_number_that_is_none(annotation: Any, given: Any, place: str) -> None:
    def tool(x): ...

    tool.__annotations__["x"] = annotation
    result = Tool.from_function(tool).run({"x": given})
    assert result.fault == "arguments"
    assert result.text.startswith(f"tool: {place}: Input should be a finite number")


@pytest.mark.parametrize(
    ("annotation", "given"),
    [(Part, {"size": 1}), (Plank, {}), (Open, {"most": "inf"}), (Annotated[float, Field(allow_inf_nan=True)], "inf")],
)
def test_what_an_author_made_infinite_or_allows_to_be_is_left(annotation: Any, given: Any) -> None:
    def tool(x): ...

    tool.__annotations__["x"] = annotation
    assert Tool.from_function(tool).run({"x": given}).fault is None


def test_a_default_may_be_a_model_that_holds_infinity() -> None:
    def tool(x: Part = Part(size=math.inf)): ...  # noqa: B008

    assert Tool.from_function(tool).run({}).fault is None


def test_a_type_that_holds_itself_keeps_its_name() -> None:
    parameters = Tool.from_function(depth).parameters
    reference = {"$ref": "#/$defs/Tree"}
    assert parameters["properties"]["tree"] == reference
    assert parameters["$defs"] == {
        "Tree": {
            "type": "object",
            "properties": {"value": INTEGER, "children": {"type": "array", "items": reference, "default": []}},
            "required": ["value"],
        }
    }
    tree = {"value": 1, "children": [{"value": 2}]}
    assert ToolBox([Tool.from_function(depth)]).run(ToolCall("depth", {"tree": tree})).text == "2"


def depth(tree: Tree) -> int:
    """How deep it is."""
    return 1 + max(map(depth, tree.children), default=0)


def test_the_function_gets_what_its_annotations_say_and_keeps_its_own_defaults() -> None:
    def tool(
        side: Side,
        place: Place,
        *,
        old: Old,
        pair: Pair,
        json: str = "j",
        n: int = Field(4, ge=1),
        sign: Any = tool_sign,
    ) -> object:
        got.append((side, place, old, pair, json, n, sign))

    got: list[tuple[object, ...]] = []
    box = ToolBox([Tool.from_function(tool)])
    arguments = {"side": "buy", "place": {"town": "Ulm"}, "old": {"x": "1"}, "pair": [1]}
    assert box.run(ToolCall("tool", arguments)).fault is None
    assert got == [(Side.BUY, Place("Ulm"), {"x": 1}, Pair(1, "x"), "j", 4, tool_sign)]
    assert "n: Input should be greater than" in box.run(ToolCall("tool", {**arguments, "n": 0})).text
    assert "argument_0: Extra inputs" in box.run(ToolCall("tool", {**arguments, "argument_0": 0})).text
    assert (
        "place.zip: Input should be a valid integer"
        in box.run(ToolCall("tool", {**arguments, "place": {"town": "Ulm", "zip": "x"}})).text
    )


tool_sign = object()


@dataclasses.dataclass
class Basket:
    items: list[int] = dataclasses.field(default_factory=list)


def test_what_a_call_writes_into_a_default_no_other_call_sees() -> None:
    nested, pair, basket = {"a": [0]}, ([0], "x"), Basket()

    class Host:
        def add(
            self,
            x: int,
            seen: list[int] = [],  # noqa: B006 (it is what an author writes)
            more: dict[str, list[int]] = nested,
            both: tuple[list[int], str] = pair,
            bought: Basket = basket,
            filled: list[int] = Field([]),  # noqa: B008
            *,
            kept: set[int] = set(),  # noqa: B006
        ) -> list[object]:
            for values in (seen, more["a"], both[0], bought.items, filled):
                values.append(x)
            kept.add(x)
            return [seen, more, both, bought, filled, kept]

    for host in (Host(), Host()):  # an episode each
        box = ToolBox.of(host)
        for x in (1, 2):
            heard = json.loads(box.run(ToolCall("add", {"x": x})).text)
            assert heard == [[x], {"a": [0, x]}, [[0, x], "x"], {"items": [x]}, [x], [x]]
        assert json.loads(box.run(ToolCall("add", {"x": 3, "seen": [7]})).text)[0] == [7, 3]
    assert (nested, pair, basket) == ({"a": [0]}, ([0], "x"), Basket())


def test_a_default_that_cannot_be_copied_is_refused_with_what_to_write() -> None:
    def add(x: list[int] = [threading.Lock()]) -> int:  # type: ignore[list-item]  # noqa: B006, B008
        return len(x)

    with pytest.raises(
        UserError, match=r"'add': the default of 'x' cannot be copied .*; write None, and make it in the"
    ):
        Tool.from_function(add)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Annotated[int, Field(ge=5, le=1)], "x is at least 5 and at most 1: no number is both"),
        (Annotated[float, Field(gt=1, lt=1)], "x is above 1 and below 1"),
        (Annotated[float, Field(gt=1, le=1)], "x is above 1 and at most 1"),
        (Annotated[int, Field(gt=1, lt=2)], "x is above 1 and below 2: no whole number is both"),
        (Annotated[int, Field(ge=1, le=5, multiple_of=7)], "no multiple of 7 is both"),
        (Annotated[list[Annotated[int, Field(ge=5, le=1)]], Field(min_length=1)], r"x\[\] is at least 5"),
        (Annotated[str, Field(min_length=3, max_length=2)], "x has at least 3 characters and at most 2: nothing has"),
        (Annotated[list[int], Field(min_length=3, max_length=2)], "x has at least 3 items and at most 2"),
        (Annotated[dict[str, int], Field(min_length=3, max_length=2)], "x has at least 3 keys and at most 2"),
        (enum.Enum("Nothing", []), "x is one of no values"),
        (Literal[()], "tool 'tool': pydantic cannot read its arguments: literal .* cannot be empty"),
        (Annotated[str, Field(pattern="(")], "pydantic cannot read its arguments: regex parse error"),
        (Annotated[int, Field(multiple_of=0)], "'multiple_of' must be a finite number greater than 0"),
        (Annotated[str, Field(ge=3)], "x has the limit ge 3, which is none for string"),
        (Annotated[int, Field(min_length=3)], "x has the limit minLength 3, which is none for integer"),
        (Annotated[int | str, Field(ge=3)], "x has the limit ge 3, which is none for its type"),
    ],
)
def test_limits_that_no_value_keeps_are_refused_when_the_tool_is_made(annotation: Any, words: str) -> None:
    def tool(x): ...

    tool.__annotations__["x"] = annotation
    with pytest.raises(UserError, match=words):
        Tool.from_function(tool)


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[int | float, Field(ge=1)],
        Annotated[Literal[1, 2], Field(ge=2)],
        Annotated[Any, Field(ge=2)],
        Annotated[bool, Field(ge=0)],
        Annotated[int, Field(ge=5, le=1)] | None,  # null fits
        Annotated[int, Field(ge=5, le=1)] | str,
        list[Annotated[int, Field(gt=1, lt=2)]],  # and so does the empty list
        dict[str, Annotated[Decimal, Field(ge=5, le=1)]],
        Annotated[float, Field(ge=0.3, le=0.3, multiple_of=0.1)],
        Annotated[float, Field(ge=0.55, le=0.6, multiple_of=0.1)],
        Annotated[int, Field(ge=0, le=10**400)],
    ],
)
def test_a_tool_that_some_call_fits_is_made(annotation: Any) -> None:
    def tool(x): ...

    tool.__annotations__["x"] = annotation
    Tool.from_function(tool)


class Exact(BaseModel, strict=True):
    count: int
    day: date | None = None


class Whole(BaseModel, strict=True):
    count: int
    parts: list[float]


NO_CLASS = "is a class, and JSON has none; take its name"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (type[int], f"x {NO_CLASS}"),
        (type[int] | None, f"x {NO_CLASS}"),
        (dict[str, tuple[type[int], int]], f"x {NO_CLASS}"),
        (typing.Callable[[int], int], "JSON cannot carry its arguments"),
        (Annotated[date, Field(strict=True)], "x is strict, and nothing in JSON is strictly a date; leave strict out"),
        (Annotated[set[int], Field(strict=True)], "x is strict, and nothing in JSON is strictly a set"),
        (list[Exact], r"x.day is strict, and nothing in JSON is strictly a date"),
        (
            Annotated[Literal["a"], Field(strict=True)],
            "Unable to apply constraint 'strict' to schema of type 'lit",
        ),
    ],
)
def test_what_json_has_no_value_of_is_refused_when_the_tool_is_made(annotation: Any, words: str) -> None:
    def tool(x): ...

    tool.__annotations__["x"] = annotation
    with pytest.raises(UserError, match=words):
        Tool.from_function(tool)


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        (Annotated[type[int], BeforeValidator(lambda name: {"int": int, "bool": bool}[name])], "bool"),
        (Annotated[int, Field(strict=True)], 3),
        (Annotated[list[date], Field(strict=True)], ["2020-02-03"]),
        (Whole, {"count": 1, "parts": [1.5]}),
        (Json[list[int]], "[1]"),
        (typing.Final[int], 3),
    ],
)
def test_what_json_can_carry_after_all_is_taken(annotation: Any, given: Any) -> None:
    def tool(x):
        return f"got {x!r}"

    tool.__annotations__["x"] = annotation
    assert "got" in ToolBox([Tool.from_function(tool)]).run(ToolCall("tool", {"x": given})).text


@pytest.mark.parametrize(
    "annotation",
    [
        typing.Final,
        typing.Final[int],
        typing.ClassVar[int],
        Annotated[typing.Final[int], Field(ge=1)],
        Annotated[typing.ClassVar[int], "n"],
    ],
)
def test_a_parameter_that_pydantic_passes_over_is_refused(annotation: Any) -> None:
    def tool(n: int, times=1): ...

    tool.__annotations__["times"] = annotation
    with pytest.raises(UserError, match=r"tool 'tool': .times: .* Final and ClassVar are of attributes"):
        Tool.from_function(tool)


def test_an_impossible_argument_that_may_be_left_out_and_keywords_of_null_are_taken() -> None:
    impossible = {"type": "integer", "minimum": 2, "maximum": 1}
    for schema in ({"properties": None}, {"$defs": None}, {"properties": {"x": impossible}}):
        Tool("a", "b", {"type": "object", **schema}, lambda given: given, lambda: 0)
    with pytest.raises(UserError, match="x is at least 2"):
        Tool("a", "b", {"properties": {"x": impossible}, "required": ["x"]}, lambda given: given, lambda: 0)


def test_limits_that_some_value_keeps_are_taken() -> None:
    for limits in (
        {"ge": 1, "le": 1},
        {"gt": 1, "lt": 3},
        {"ge": 1, "le": 7, "multiple_of": 7},
    ):
        annotation = Annotated[int, Field(**limits)]

        def tool(x): ...

        tool.__annotations__["x"] = annotation
        Tool.from_function(tool)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda *rest: 0, r"parameter \*rest has no name .*; take a list in its place, such as rest: list\[str\]"),
        (lambda **more: 0, r"parameter \*\*more has no name .*; name each, or take a mapping"),
    ],
)
def test_parameters_without_names_are_refused_with_what_to_write(function: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Tool.from_function(function)


GOOGLE = """Rent a room
    for a night.

    More.

    Args:
        room (str): Which one: its name,
            in small letters.

            And more of it.
        n_1, n_2 (Optional[int], default: (1, 2)): How many.
        **rest: The rest.
        bare:
            On its own line.

    Returns:
        done: whether it was.
    """
NUMPY = """Rent a room for a night.

    Parameters
    ----------
    room : str
        Which one: its name,
        in small letters.

        And more of it.
    n_1, n_2 : int, optional
        How many.
    **rest
        The rest.
    bare
        On its own line.

    Returns
    -------
    done : bool
        whether it was.
    """
SPHINX = """
    Rent a room for a night.

    :param room: Which one: its name,
        in small letters.

        And more of it.
    :type room: str
    :param int n_1: How many.
    :param Optional[int] n_2: How many.
    :keyword rest: The rest.
    :arg bare:
        On its own line.
    :returns done: whether it was.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX, SPHINX.replace(":", "@", 1)], ids=lambda text: text[-60:-40])
def test_docstrings_are_read_in_every_style_with_all_their_lines(text: str) -> None:
    def tool() -> None: ...

    tool.__doc__ = text
    found = described(tool)
    assert found.summary == "Rent a room for a night."
    assert found.parameters == {
        "room": "Which one: its name, in small letters. And more of it.",
        "n_1": "How many.",
        "n_2": "How many.",
        "rest": "The rest.",
        "bare": "On its own line.",
    }


def test_a_docstring_of_arguments_alone_describes_no_function_and_a_field_wins_over_it() -> None:
    def tool(room: Annotated[str, Field(description="the field's")], bed: int = 1) -> None:
        """Args:
        room: the docstring's.
        bed: where to sleep.
        """

    made = Tool.from_function(tool)
    assert made.description == ""
    assert made.parameters["properties"]["room"]["description"] == "the field's"
    assert made.parameters["properties"]["bed"] == {"type": "integer", "default": 1, "description": "where to sleep."}


def order(
    side: Literal["Buy", "Sell"],
    place: Place,
    tags: list[str | None],
    at: tuple[int, str] = (1, "a"),
    price: Annotated[Decimal, Field(ge=1, lt=9)] = Decimal("2.5"),
    note: Annotated[str | None, Field(description="What to say.", max_length=5)] = None,
    more: dict[str, Item] = Field(default_factory=dict),  # noqa: B008
    tree: Tree | None = None,
    extra: Any = tool_sign,
) -> None:
    """Place an order.

    Args:
        side: What to do.
    """


def test_tools_in_words_tell_types_options_defaults_and_meanings() -> None:
    words = described_tools([Tool.from_function(order).schema], "Call them.")
    assert words.splitlines() == [
        "Tools:",
        '- order(side: "Buy" | "Sell", place: {town: string, zip: integer = 0}, tags: list of (string | null), '
        'at: [integer, string] = [1, "a"], price: number | string = "2.5", note: string | null = null, '
        'more?: object of {name: string, title: string = "none"}, tree: Tree | null = null, extra?: anything): '
        "Place an order.",
        "    side: What to do.",
        "    price: at least 1, less than 9",
        "    note: at most 5 characters. What to say.",
        "    more:",
        "        name: its name",
        "    Tree is {value: integer, children: list of Tree = []}",
        "Call them.",
    ]
