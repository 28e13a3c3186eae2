"""Calls that are written as Python calls, in one list. They are taken apart and never evaluated.

    [find(parcel="A"), take(find("A"))]

Arguments have names, or the tool's schema says which they are. One that is a call itself is carried as `nested` writes
it, and whoever executes the calls puts its result there (`CallDesk`).
"""

from __future__ import annotations

import ast
import json
import keyword
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import UserError, unknown
from ...vocabulary import ToolCall
from .guarded import Guarded, Malformed
from .nested import nested, nested_call

MAX_PYTHON = 16_384  # characters of Python, whose parser needs more memory for each
_PYTHON_TAG = "<|python_tag|>"
_START, _END = "<|tool_call_start|>", "<|tool_call_end|>"


class _Calls(Guarded):
    """A list of calls with literal arguments, or calls in the place of them. `UserError` for tools that cannot be
    called so: get-weather is no name in Python, and what stands before = is a name too."""

    def __init__(self, tools: Sequence[Mapping[str, Any]] = ()) -> None:
        functions = [tool.get("function", tool) for tool in tools]
        self._order = {
            str(function.get("name")): tuple((function.get("parameters") or {}).get("properties", {}))
            for function in functions
        }
        for tool, arguments in self._order.items():
            if (odd := next((name for name in (tool, *arguments) if not _is_name(name)), None)) is not None:
                what = "the tool" if odd == tool else f"an argument of {tool!r:.80},"
                raise UserError(
                    f"the reply formats 'python' and 'lfm' write calls as Python does, which has no such name as "
                    f"{what} {odd!r:.80}; use another reply_format, such as 'hermes', or name it otherwise"
                )

    def _calls(self, body: str) -> list[ToolCall]:
        if len(body) > MAX_PYTHON:
            raise Malformed(f"the calls have {len(body)} characters; {MAX_PYTHON} are allowed")
        try:
            tree = ast.parse(body, mode="eval").body
        except (SyntaxError, ValueError, MemoryError) as error:
            words = error.msg if isinstance(error, SyntaxError) else "nested too deeply, or not text"
            raise Malformed(f"the list of tool calls is not Python: {words}") from None
        if not isinstance(tree, ast.List):
            raise Malformed("tool calls are written as one list: [name(argument=value)]")
        return [self._call(node) for node in tree.elts]

    def _call(self, node: ast.expr) -> ToolCall:
        """The call that a piece of syntax spells: a plain name and its arguments."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise Malformed("each entry of the list must be a call: name(argument=value)")
        tool = node.func.id
        arguments: dict[str, Any] = {}
        for name, value in (*self._in_order(tool, node.args), *((word.arg, word.value) for word in node.keywords)):
            if name is None and self._order and tool not in self._order:
                raise Malformed(unknown("tool", tool[:64], self._order))
            if name is None:
                raise Malformed(f"every argument of {tool[:64]!r} must be named: argument=value")
            if name in arguments:
                raise Malformed(f"{tool[:64]}: {name!r:.64} is given twice")
            arguments[name] = self._value(name, value)
        return ToolCall(tool, arguments)

    def _in_order(self, tool: str, given: Sequence[ast.expr]) -> list[tuple[str | None, ast.expr]]:
        """The arguments that are given without a name, with theirs; None where nobody knows it."""
        names = self._order.get(tool)
        if names is None or any(isinstance(value, ast.Starred) for value in given):
            return [(None, value) for value in given]
        if len(given) > len(names):
            raise Malformed(f"{tool[:64]} takes at most {len(names)} arguments, and {len(given)} are given")
        return [*zip(names, given, strict=False)]

    def _value(self, name: str, node: ast.expr) -> Any:
        """A literal, or a call in the place of one, or of a part of one."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return nested(self._call(node))
        if not any(isinstance(part, ast.Call) for part in ast.walk(node)):
            return self._literal(name, node)
        if isinstance(node, ast.List | ast.Tuple):
            return [self._value(name, part) for part in node.elts]
        if isinstance(node, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
            if all(isinstance(key, str) for key in keys):
                return dict(zip(keys, (self._value(name, part) for part in node.values), strict=True))
        raise Malformed(f"the value of {name!r:.64} is no plain value")

    def _literal(self, name: str, node: ast.expr) -> Any:
        try:
            value = ast.literal_eval(_as_python(node))
            json.dumps(value, allow_nan=False)
        except (ValueError, TypeError, MemoryError, SyntaxError):
            raise Malformed(f"the value of {name!r:.64} is no plain value") from None
        return value


class PythonCalls(_Calls):
    """A reply that begins with `[` and a name is a list of calls."""

    reads = (_PYTHON_TAG,)

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        body = text.strip().removeprefix(_PYTHON_TAG).strip()
        inside = body[1:].lstrip()
        if not body.startswith("[") or not (inside[:1].isalpha() or inside.startswith("_")):
            return text, []
        return "", self._calls(body)

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """Text beside calls has no place in this format and is left out."""
        return _written(calls) if calls else text

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        return "To call a tool, reply with nothing but [the_tool(the_argument=value)]."


class Lfm(_Calls):
    """The same list between tokens of its own, with words before and after it."""

    reads = (_START, _END)

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        said, *parts = text.split(_START)
        calls: list[ToolCall] = []
        for part in parts:
            body, closed, after = part.partition(_END)
            if not closed:
                raise Malformed(f"a tool call is not closed: {_END} is missing")
            calls += self._calls(body.strip())
            said += after
        if _END in said:
            raise Malformed(f"{_END} without {_START} before it")
        return said, calls

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """See `ReplyFormat.write`."""
        return text + (f"{_START}{_written(calls)}{_END}" if calls else "")

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        return f"To call a tool, write {_START}[the_tool(the_argument=value)]{_END}."


class _Json(ast.NodeTransformer):
    """The words of JSON for true, false and nothing, which models write as often as Python's."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        words = {"true": True, "false": False, "null": None}
        return ast.copy_location(ast.Constant(words[node.id]), node) if node.id in words else node


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _as_python(node: ast.expr) -> ast.expr:
    return _Json().visit(node)


def _written(calls: Sequence[ToolCall]) -> str:
    return f"[{', '.join(map(_python_of, calls))}]"


def _python_of(call: ToolCall) -> str:
    return f"{call.name}({', '.join(f'{name}={_value_of(value)}' for name, value in call.arguments.items())})"


def _value_of(value: object) -> str:
    if (call := nested_call(value)) is not None:
        return _python_of(call)
    if isinstance(value, list):
        return f"[{', '.join(map(_value_of, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_value_of(part)}" for key, part in value.items()) + "}"
    return repr(value)
