"""Calls whose arguments stand between tags, each by itself."""

from __future__ import annotations

from collections.abc import Sequence

from ...vocabulary import ToolCall
from .guarded import CLOSE, OPEN, Malformed, Typed, between, joined, skip_space


class QwenXml(Typed):
    """Qwen3.5, Qwen3-Coder: `<tool_call><function=add><parameter=a>1</parameter></function></tool_call>`."""

    reads = (OPEN, CLOSE, "<function=")

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        said, calls, position = [], [], 0
        while (found := text.find("<function=", position)) >= 0:
            said.append(text[position:found].rstrip().removesuffix(OPEN))
            body, position = between(text, "<function=", "</function>", found, "a tool call")
            calls.append(self._call(body))
            after = skip_space(text, position)
            position = after + len(CLOSE) if text.startswith(CLOSE, after) else position
        said.append(text[position:])
        if any(OPEN in part or CLOSE in part for part in said):
            raise Malformed(f"between {OPEN} and {CLOSE} stands <function=NAME>…</function>")
        return "".join(said), calls

    def _call(self, body: str) -> ToolCall:
        name, opened, rest = body.partition(">")
        name, arguments, position = name.strip(), {}, 0
        if not opened or not name:
            raise Malformed(f"<function= is followed by the tool's name and >, not by {body[:40]!r}")
        while (position := skip_space(rest, position)) < len(rest):
            piece, position = between(rest, "<parameter=", "</parameter>", position, f"an argument of {name[:64]!r}")
            argument, opened, value = piece.partition(">")
            if not opened:
                raise Malformed(f"<parameter= is followed by the argument's name and >, not by {piece[:40]!r}")
            arguments[argument.strip()] = self._value(name, argument.strip(), _one_line_less(value))
        return ToolCall(name, arguments)

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """See `ReplyFormat.write`."""
        return joined(text, [self._written(call) for call in calls], between="\n\n" if text else "\n")

    def _written(self, call: ToolCall) -> str:
        arguments = "".join(
            f"<parameter={name}>\n{self._bare(call.name, name, value)}\n</parameter>\n"
            for name, value in call.arguments.items()
        )
        return f"{OPEN}\n<function={call.name}>\n{arguments}</function>\n{CLOSE}"

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        return (
            f"To call a tool, write {OPEN}<function=the tool><parameter=the argument>its value</parameter></function>"
            f"{CLOSE}."
        )


class Glm(Typed):
    """GLM: `<tool_call>add<arg_key>a</arg_key><arg_value>1</arg_value></tool_call>`."""

    reads = (OPEN, CLOSE, "<arg_key>")

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        said, calls, position = [], [], 0
        while (found := text.find(OPEN, position)) >= 0:
            said.append(text[position:found])
            body, position = between(text, OPEN, CLOSE, found, "a tool call")
            calls.append(self._call(body))
        said.append(text[position:])
        if any(CLOSE in part for part in said):
            raise Malformed(f"{CLOSE} without {OPEN} before it")
        return "".join(said), calls

    def _call(self, body: str) -> ToolCall:
        name, key, _ = body.partition("<arg_key>")
        position, name, arguments = len(name), name.strip(), {}
        if not name or "<" in name or "{" in name:
            raise Malformed(f"{OPEN} is followed by the tool's name, not by {body[:40]!r}")
        while key and (position := skip_space(body, position)) < len(body):
            what = f"an argument of {name[:64]!r}"
            argument, position = between(body, "<arg_key>", "</arg_key>", position, what)
            value, position = between(body, "<arg_value>", "</arg_value>", skip_space(body, position), what)
            arguments[argument.strip()] = self._value(name, argument.strip(), value)
        return ToolCall(name, arguments)

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """See `ReplyFormat.write`."""
        return joined(text, [self._written(call) for call in calls])

    def _written(self, call: ToolCall) -> str:
        arguments = "".join(
            f"<arg_key>{name}</arg_key>\n<arg_value>{self._bare(call.name, name, value)}</arg_value>\n"
            for name, value in call.arguments.items()
        )
        return f"{OPEN}{call.name}\n{arguments}{CLOSE}"

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        example = "the tool<arg_key>the argument</arg_key><arg_value>its value</arg_value>"
        return f"To call a tool, write {OPEN}{example}{CLOSE}."


def _one_line_less(value: str) -> str:
    """Without the line breaks that stand at both ends for looks."""
    return value.removeprefix("\n").removesuffix("\n")
