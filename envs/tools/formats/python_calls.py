"""Calls that are written as Python calls, in one list. They are taken apart and never evaluated."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence

from ...vocabulary import ToolCall
from .guarded import Guarded, Malformed

MAX_PYTHON = 16_384  # characters of Python, whose parser needs more memory for each
_PYTHON_TAG = "<|python_tag|>"
_START, _END = "<|tool_call_start|>", "<|tool_call_end|>"


class PythonCalls(Guarded):
    """A reply that begins with `[` and a name is a list of calls with literal arguments."""

    reads = (_PYTHON_TAG,)

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        body = text.strip().removeprefix(_PYTHON_TAG).strip()
        inside = body[1:].lstrip()
        if not body.startswith("[") or not (inside[:1].isalpha() or inside.startswith("_")):
            return text, []
        return "", _calls(body)

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """Text beside calls has no place in this format and is left out."""
        return _written(calls) if calls else text

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        return "To call a tool, reply with nothing but [the_tool(the_argument=value)]."


class Lfm(Guarded):
    """The same list between tokens of its own, with words before and after it."""

    reads = (_START, _END)

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        said, *parts = text.split(_START)
        calls: list[ToolCall] = []
        for part in parts:
            body, closed, after = part.partition(_END)
            if not closed:
                raise Malformed(f"a tool call is not closed: {_END} is missing")
            calls += _calls(body.strip())
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


def _calls(body: str) -> list[ToolCall]:
    if len(body) > MAX_PYTHON:
        raise Malformed(f"the calls have {len(body)} characters; {MAX_PYTHON} are allowed")
    try:
        tree = ast.parse(body, mode="eval").body
    except (SyntaxError, ValueError, MemoryError) as error:
        words = error.msg if isinstance(error, SyntaxError) else "nested too deeply, or not text"
        raise Malformed(f"the list of tool calls is not Python: {words}") from None
    if not isinstance(tree, ast.List):
        raise Malformed("tool calls are written as one list: [name(argument=value)]")
    return [_call_of(node) for node in tree.elts]


def _call_of(node: ast.expr) -> ToolCall:
    """The call that a piece of syntax spells: a plain name, and arguments by name."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise Malformed("each entry of the list must be a call: name(argument=value)")
    if node.args or any(keyword.arg is None for keyword in node.keywords):
        raise Malformed(f"every argument of {node.func.id[:64]!r} must be named: argument=value")
    arguments = {}
    for keyword in node.keywords:
        try:
            value = ast.literal_eval(_as_python(keyword.value))
            json.dumps(value, allow_nan=False)
        except (ValueError, TypeError, MemoryError, SyntaxError):
            raise Malformed(f"the value of {keyword.arg!r:.64} is no plain value") from None
        arguments[str(keyword.arg)] = value
    return ToolCall(node.func.id, arguments)


class _Json(ast.NodeTransformer):
    """The words of JSON for true, false and nothing, which models write as often as Python's."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        words = {"true": True, "false": False, "null": None}
        return ast.copy_location(ast.Constant(words[node.id]), node) if node.id in words else node


def _as_python(node: ast.expr) -> ast.expr:
    return _Json().visit(node)


def _written(calls: Sequence[ToolCall]) -> str:
    return f"[{', '.join(map(_python_of, calls))}]"


def _python_of(call: ToolCall) -> str:
    return f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"
