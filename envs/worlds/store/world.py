"""Customer service as a world: a customer who reveals facts over turns, tools over a real database, a policy to keep.

    r = w_state · [the database is as it should be] + w_told · (share of the facts that the customer was told)
        − w_policy · [the policy was broken]                      all three once, at the end of the conversation
        + w_progress · (Φ(s′) − Φ(s)) + the costs of calls                     in every turn

Φ is the share of what has to be done that is done: rows of the database that are as they should be, and facts told. It
is a potential (Ng, Harada & Russell 1999, "Policy invariance under reward transformations"), so that with γ = 1 the
rewards of turns sum to the Φ of the end, whatever the way. Its weight is zero unless `turn_rewards` is set.

Where nothing but the case itself has to change (a question, a refusal), the answer is the work: there the state counts
only if the customer was told everything. A case that is closed with the wrong resolution breaks the policy. `telling`
says what counts as told.

A reply without calls goes to the customer; so does what is said beside calls, but then the results come first. The
episode terminates when the case is closed or the customer has lost patience. Every episode has a database of its own.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from ...conversation.conversation_env import SPLITS, ConversationEnv, Opening, Outcome, Split
from ...errors import UserError, unknown
from ...tools import call_formats
from ...tools.call_desk import COSTS, CallDesk, checked_limit, checked_share, describe_tools
from ...tools.tool import ToolBox
from ...vocabulary import Message, Reply, ToolCall
from .customer import Customer
from .database import Snapshot, apply, distance, open_copy, snapshot
from .families import FAMILIES
from .shop import POLICY, Shop
from .tasks import LEVELS, Ask, Step, Tell, draw_task
from .telling import Listener

_PROGRESS = 0.5  # weight of Φ with `turn_rewards`


class Store(ConversationEnv):
    """Customer service with a real database, a policy and a customer who answers when asked.

    Args:
        levels: of difficulty, 1 to 3; see `tasks`.
        families: kinds of request that occur; None for all ten.
        reply_format: how calls are written, see `call_formats`; None: as the agent's model writes them, else "hermes".
        tools_in_prompt: describe the tools in the system message, for models whose chat template does not.
        turn_rewards: pay progress in the turn that made it (the weight of `progress` becomes 0.5).
        max_calls: calls in an episode; one more truncates it.
        oracle_tells: share of the tasks in which the oracle tells the customer what was done before it closes the case.
        weights: of `state`, `told`, `policy`, `progress`, `malformed`, `tool_error` and `tool_call`.

    Raises:
        UserError: an option outside what is allowed.
    """

    weights = {"state": 0.6, "told": 0.4, "policy": 0.5, "progress": 0.0, **COSTS}  # noqa: RUF012 (read only)
    max_turns = 40
    has_success = True
    reward_version = "1"
    splits = SPLITS

    def __init__(
        self,
        *,
        levels: Sequence[int] = LEVELS,
        families: Sequence[str] | None = None,
        reply_format: str | None = None,
        tools_in_prompt: bool = False,
        turn_rewards: bool = False,
        max_calls: int = 24,
        oracle_tells: float = 1.0,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(weights={**({"progress": _PROGRESS} if turn_rewards else {}), **(weights or {})})
        self.levels = _checked_levels(levels)
        self.families = _checked_families(families)
        self._format_name = reply_format
        call_formats.reply_format(reply_format or "hermes")  # is there such a one?
        self.tools_in_prompt = tools_in_prompt
        self._max_calls = checked_limit("max_calls", max_calls)
        self._oracle_tells = checked_share("oracle_tells", oracle_tells)
        self._db: sqlite3.Connection | None = None

    def another(self) -> Self | None:
        """A sibling without a database, which each episode opens; None for a subclass with a constructor of its own,
        and in the middle of an episode.
        """
        return self.sibling() if self._is_built_by(Store) and self._db is None else None

    def opening(self, rng: np.random.Generator, split: Split) -> Opening:
        self._task = draw_task(rng, split, self.levels, self.families)
        self._db = open_copy()
        with self._db:
            apply(self._db, self._task.setup)
        self._goal = self._goal_of(self._db)
        self._away = distance(self._goal, snapshot(self._db))
        self._shop = Shop(self._db)
        box = ToolBox.of(self._shop, timeout=None)
        form = call_formats.reply_format(self._format_name or self.agent_format or "hermes", box.schemas)
        self._desk = CallDesk(box, form, self._max_calls)
        self._customer = Customer(self._task.clues)
        self._listener = Listener(self._task.told, self._known)
        self._said: set[str] = set()
        self._called: set[str] = set()
        self._phi = 0.0
        self._oracle_is_silent = bool(rng.random() >= self._oracle_tells)
        system = f"{POLICY}\n{describe_tools(box, form)}" if self.tools_in_prompt else POLICY
        messages = [Message(role="system", content=system), Message(role="user", content=self._task.opening)]
        return Opening(messages, task=self._task.name, tools=() if self.tools_in_prompt else box.schemas)

    def respond(self, reply: Reply) -> Outcome:
        handled = self._desk.take(reply)
        self._called.update(_key(call) for call, _ in handled.results)
        if handled.reply.parse_error is None:  # what is said beside calls was said before their results were known
            self._said.add(handled.reply.text)
            self._listener.hear(handled.reply.text)
        for call, result in handled.results:
            if result.fault is None:
                self._listener.shown(call.name, f"{json.dumps(dict(call.arguments), default=str)}\n{result.text}")
        messages, left = handled.messages, False
        if handled.final:
            answer = self._customer.answer(handled.reply.text)
            left = answer is None
            messages = () if answer is None else (Message(role="user", content=answer),)
        terms = dict(handled.terms)
        terminated = self._shop.resolution is not None or left
        success = None
        if self.weights["progress"]:
            phi = self._potential()
            terms["progress"], self._phi = phi - self._phi, phi
        if terminated:
            success, judged = self._judgement()
            terms |= judged
        truncated = handled.over_limit and not terminated
        metrics = {
            **self._desk.metrics,
            "violations": float(len(self._shop.violations)),
            "level": float(self._task.level),
        }
        return Outcome(messages, terms, terminated, truncated, success, metrics, handled.stop_reason)

    def read(self, text: str) -> Reply:
        return self._desk.form.parse(text)

    def write(self, reply: Reply) -> str:
        return self._desk.form.write(reply.text, reply.tool_calls) if reply.tool_calls else reply.text

    def oracle(self) -> str | None:
        """What an expert says next: the first step of the plan that nobody has taken yet."""
        if self._db is None:
            return None
        for step in self._task.plan:
            if not self._done(step) and not (self._oracle_is_silent and isinstance(step, Tell)):
                if isinstance(step, ToolCall):
                    return self._desk.form.write("", [step])
                return step.text
        return None

    def end(self) -> None:
        """Close the episode's database."""
        super().end()
        if self._db is not None:
            self._db.close()
            self._db = None

    def _goal_of(self, db: sqlite3.Connection) -> Snapshot:
        """The state that the database should end in; the database itself stays as it is."""
        db.execute("BEGIN")
        try:
            apply(db, self._task.goal)
            return snapshot(db)
        finally:
            db.rollback()

    def _judgement(self) -> tuple[bool, dict[str, float]]:
        assert self._db is not None
        state = distance(self._goal, snapshot(self._db)) == 0
        told = len(self._listener.told) / len(self._task.told)
        broken = bool(self._shop.violations) or self._shop.resolution not in (None, self._task.resolution)
        worked = self._away > 1 or told == 1.0  # one row is the case
        terms = {"state": float(state and worked), "told": told, "policy": 0.0 - broken}
        return state and told == 1.0 and not broken, terms

    def _potential(self) -> float:
        """Φ: the share of rows and facts that are as they should be; never below zero."""
        assert self._db is not None
        wrong = min(distance(self._goal, snapshot(self._db)), self._away)
        needed = self._away + len(self._task.told)
        return (self._away - wrong + len(self._listener.told)) / needed

    def _known(self) -> str:
        """All that the customer has said."""
        said = (clue.sentence for clue in self._task.clues if clue.key in self._customer.told)
        return " ".join((self._task.opening, *said))

    def _done(self, step: Step) -> bool:
        match step:
            case Ask(key=key):
                return key in self._customer.told or key not in {clue.key for clue in self._task.clues}
            case Tell(text=text):
                return self._listener.told.issuperset(self._task.told) or text in self._said
            case _:
                return _key(step) in self._called


def _key(call: ToolCall) -> str:
    return f"{call.name} {json.dumps(dict(call.arguments), sort_keys=True, default=str)}"


def _checked_levels(levels: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(levels, Sequence) or isinstance(levels, str) or not levels:
        raise UserError(f"levels is {levels!r:.80}; allowed is a list of {', '.join(map(str, LEVELS))}")
    for level in levels:
        if level not in LEVELS or isinstance(level, bool):
            raise UserError(unknown("level", str(level), map(str, LEVELS)))
    return tuple(levels)


def _checked_families(families: Sequence[str] | None) -> tuple[str, ...]:
    if families is None:
        return tuple(FAMILIES)
    if not isinstance(families, Sequence) or isinstance(families, str) or not families:
        raise UserError(f"families is {families!r:.80}; allowed is a list of {', '.join(FAMILIES)}")
    for family in families:
        if family not in FAMILIES:
            raise UserError(unknown("family of requests", str(family), FAMILIES))
    return tuple(dict.fromkeys(families))
