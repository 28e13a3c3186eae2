"""Arithmetic too hard for the head, with a calculator at hand: the smallest world in which calling a tool pays.

    user       734*846=
    assistant  <tool_call>734*846</tool_call>
    tool       620964
    assistant  <answer>620964</answer>

    r = w_correct · [right] + w_format · [exactly one answer, spelled as wanted] + w_called · [the calculator was used]
        + the costs of calls (see `tool_world.COSTS`)

The problems, their splits and the judgement are those of `Arithmetic`. Prompt, call and result are as short as can be,
so that a tiny model of characters can learn all three; a larger one takes `prompt="plain"` and its own reply format.
Nothing asks for the tool: an answer from the head counts as much, if it is right. With `oracle_calls` below one, the
expert answers some tasks at once: who imitates it learns both habits, and only reward tells which of them pays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, Self

import numpy as np

from ...conversation.conversation_env import Opening, Outcome, Split
from ...tools import call_formats
from ...tools.call_desk import COSTS, CallDesk, checked_limit, checked_share
from ...tools.tool import Tool, ToolBox
from ...vocabulary import Message, Reply, ToolCall
from .answers import spell, wrap
from .arithmetic import Arithmetic
from .calculator import calculate


def calculator(expression: str) -> str:
    """Work out an expression of whole numbers, + - * / and brackets, exactly."""
    return spell(calculate(expression))


class ToolMaths(Arithmetic):
    """Arithmetic too hard for the head, with an exact calculator as a tool.

    Args:
        operators: which of + - * / occur.
        digits: of each operand: one number for all, or one for each.
        terms: operands in a problem.
        prompt: "bare" is only `734*846=`; "plain" is a question that explains the tool and the wanted form.
        reply_format: how calls are written, see `call_formats`.
        max_calls: calls in an episode; one more truncates it.
        oracle_calls: share of the tasks in which the oracle uses the calculator.
        weights: of `correct`, `format`, `length`, `called`, `malformed`, `tool_error` and `tool_call`.

    Raises:
        UserError: an option outside what is allowed.
    """

    weights = {"correct": 1.0, "format": 0.1, "length": 0.0, "called": 0.0, **COSTS}  # noqa: RUF012 (read only)
    max_turns = 8
    reward_version = "2"

    def __init__(
        self,
        *,
        operators: Sequence[str] = ("*",),
        digits: int | Sequence[int] = 3,
        terms: int = 2,
        prompt: Literal["plain", "bare"] = "bare",
        reply_format: str = "compact",
        max_calls: int = 4,
        oracle_calls: float = 1.0,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(
            operators=operators, digits=digits, terms=terms, prompt=prompt, answer_tag="answer", weights=weights
        )
        self._max_calls = checked_limit("max_calls", max_calls)
        self._oracle_calls = checked_share("oracle_calls", oracle_calls)
        self._box = ToolBox([Tool.from_function(calculator, timeout=None)])
        self._form = call_formats.reply_format(reply_format, self._box.schemas)

    def another(self) -> Self | None:
        """A sibling with the same calculator; None for a subclass with a constructor of its own."""
        return self.sibling() if self._is_built_by(ToolMaths) else None

    def opening(self, rng: np.random.Generator, split: Split) -> Opening:
        self._desk = CallDesk(self._box, self._form, self._max_calls)
        self._calculated = self._known = False
        begun = super().opening(rng, split)
        self._from_the_head = bool(rng.random() >= self._oracle_calls)
        if self.prompt == "plain":
            question = Message(role="user", content=f"{begun.messages} {self._form.explain()}")
            begun = replace(begun, messages=[question])
        return replace(begun, tools=self._box.schemas)

    def respond(self, reply: Reply) -> Outcome:
        handled = self._desk.take(reply)
        good = [result.text for _, result in handled.results if result.fault is None]
        self._calculated |= bool(good)
        self._known |= spell(self._expected) in good
        if not handled.final:
            terms = {**handled.terms, "length": 0.0 - (reply.units or 0)}
            metrics, reason = self._desk.metrics, handled.stop_reason
            return Outcome(handled.messages, terms, truncated=handled.over_limit, metrics=metrics, stop_reason=reason)
        outcome = super().respond(handled.reply)
        terms = {**outcome.terms, "called": float(self._calculated)}
        return replace(outcome, terms=terms, metrics={**outcome.metrics, **self._desk.metrics})

    def read(self, text: str) -> Reply:
        return self._form.parse(text)

    def write(self, reply: Reply) -> str:
        return self._form.write(reply.text, reply.tool_calls) if reply.tool_calls else reply.text

    def oracle(self) -> str:
        """The call, and then the answer; or the answer at once."""
        if self._known or self._from_the_head:
            return wrap(spell(self._expected), self.answer_tag)
        return self._form.write("", [ToolCall("calculator", {"expression": self._problem.text(space="")})])
