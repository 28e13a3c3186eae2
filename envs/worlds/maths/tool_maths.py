"""Arithmetic too hard for the head, with a calculator at hand: the smallest world in which calling a tool pays.

    user       734*846=
    assistant  <tool_call>734*846</tool_call>
    tool       620964
    assistant  <answer>620964</answer>

    r = w_correct · [right] + w_format · [exactly one answer, spelled as wanted] + w_called · [the calculator was used]
        + w_progress · (share of the steps that this turn has done) + the costs of calls (see `call_desk.COSTS`)

The problems, their splits and the judgement are those of `Arithmetic`. Prompt, call and result are as short as can be,
so that a tiny model of characters can learn all three; a larger one takes `prompt="plain"` and its own reply format.
Nothing asks for the tool: an answer from the head counts as much, if it is right. With `oracle_calls` below one, the
expert answers some tasks at once: who imitates it learns both habits, and only reward tells which of them pays.

With `one_operation` a call does one operation, so that a problem takes a turn for each, and one more for the answer:

    user  4+7*2=      assistant  7*2      tool  14      assistant  4+14      tool  18      assistant  18

A step is done by the call that the expert would make next, with a result that is right; each is paid once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, Self

import numpy as np

from ...conversation.conversation_env import Opening, Outcome, Split
from ...errors import UserError
from ...tools import call_formats
from ...tools.call_desk import COSTS, CallDesk, checked_limit, checked_share
from ...tools.tool import Tool, ToolBox, ToolResult
from ...vocabulary import Message, Reply, ToolCall
from .answers import spell, wrap
from .arithmetic import Arithmetic, Problem
from .calculator import calculate


def calculator(expression: str) -> str:
    """Work out an expression of whole numbers, + - * / and brackets, exactly."""
    return spell(calculate(expression))


def calculator_of_one_operation(expression: str) -> str:
    """Work out one operation of two whole numbers, + - or *, exactly."""
    return spell(calculate(expression, operations=1))


def steps(problem: Problem) -> list[str]:
    """The operations of a problem without quotients in their order: products first, then sums, from the left."""
    numbers, signs, done = list(problem.operands), list(problem.operators), []
    while signs:
        at = signs.index("*") if "*" in signs else 0
        done.append(f"{numbers[at]}{signs[at]}{numbers[at + 1]}")
        numbers[at : at + 2] = [int(calculate(done[-1]))]
        del signs[at]
    return done


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
        one_operation: a call does one operation; not for quotients, which have to stay whole.
        weights: of `correct`, `format`, `length`, `called`, `progress`, `malformed`, `tool_error` and `tool_call`.

    Raises:
        UserError: an option outside what is allowed.
    """

    weights = {  # noqa: RUF012 (read only)
        "correct": 1.0,
        "format": 0.1,
        "length": 0.0,
        "called": 0.0,
        "progress": 0.0,
        **COSTS,
    }
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
        one_operation: bool = False,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(
            operators=operators, digits=digits, terms=terms, prompt=prompt, answer_tag="answer", weights=weights
        )
        self._max_calls = checked_limit("max_calls", max_calls)
        self._oracle_calls = checked_share("oracle_calls", oracle_calls)
        if one_operation:
            self._check_steps(len(self.digits))
        self._one_operation = one_operation
        function = calculator_of_one_operation if one_operation else calculator
        self._box = ToolBox([replace(Tool.from_function(function, timeout=None), name="calculator")])
        self._form = call_formats.reply_format(reply_format, self._box.schemas)

    def another(self) -> Self | None:
        """A sibling with the same calculator; None for a subclass with a constructor of its own."""
        return self.sibling() if self._is_built_by(ToolMaths) else None

    def opening(self, rng: np.random.Generator, split: Split) -> Opening:
        self._desk = CallDesk(self._box, self._form, self._max_calls)
        self._calculated = self._known = False
        begun = super().opening(rng, split)
        self._steps, self._done = steps(self._problem) if self._one_operation else [self._problem.text(space="")], 0
        self._from_the_head = bool(rng.random() >= self._oracle_calls)
        if self.prompt == "plain":
            limit = " A call does one operation." if self._one_operation else ""
            question = Message(role="user", content=f"{begun.messages} {self._form.explain()}{limit}")
            begun = replace(begun, messages=[question])
        return replace(begun, tools=self._box.schemas)

    def respond(self, reply: Reply) -> Outcome:
        handled = self._desk.take(reply)
        good = [result.text for _, result in handled.results if result.fault is None]
        self._calculated |= bool(good)
        self._known |= spell(self._expected) in good
        done = self._count_steps(handled.results)
        if not handled.final:
            terms = {**handled.terms, "progress": done / len(self._steps), "length": 0.0 - (reply.units or 0)}
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
        """The call, or one for each step, and then the answer; or the answer at once."""
        known = self._done == len(self._steps) if self._one_operation else self._known
        if known or self._from_the_head:
            return wrap(spell(self._expected), self.answer_tag)
        return self._form.write("", [ToolCall("calculator", {"expression": self._steps[self._done]})])

    def _check_steps(self, terms: int) -> None:
        """UserError where an expert could not take a problem apart, or come to its end."""
        if "/" in self.operators:
            raise UserError("one_operation needs results that are whole numbers: leave / out of operators")
        if terms - 1 > self._max_calls or terms > self.turn_limit:
            raise UserError(
                f"with one_operation {terms} operands take {terms - 1} calls and {terms} turns; max_calls is "
                f"{self._max_calls}, and an episode has {self.turn_limit} turns"
            )

    def _count_steps(self, results: Sequence[tuple[ToolCall, ToolResult]]) -> int:
        """How many steps these calls have done, which are done from now on."""
        before = self._done
        for call, result in results:
            said = str(call.arguments.get("expression", "")).replace(" ", "")
            if result.fault is None and self._done < len(self._steps) and said == self._steps[self._done]:
                self._done += 1
        return self._done - before
