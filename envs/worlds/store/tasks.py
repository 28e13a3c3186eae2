"""Tasks for the store: a customer, one or two requests, and three levels.

level 1   one request that the policy allows; the customer tells everything at once
level 2   one request, which the policy may forbid; the customer tells facts when asked
level 3   two requests of different families, the second after the first; facts when asked

Half of the requests that the policy may forbid are forbidden in training, and 65 in 100 in the held-out tasks: who
never asks the policy fails most of them.

What is held out is the customer, with their name, numbers and goods: one task in ten for testing and one for
validation, by a hash of families, customer and orders. The ten families and what may happen in them are the same in
all splits, so success on held-out tasks says that a skill carries over to new customers, and not that it carries over
to new kinds of request. For that, train with some `families` and evaluate with others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...conversation.conversation_env import Split
from ...conversation.task_source import split_of
from ...vocabulary import ToolCall
from .customer import Clue
from .database import FIRST_NAMES, LAST_NAMES, STREETS, Edit
from .families import FAMILIES, NEVER_FORBIDDEN, Draw, Wish, shuffled_goods
from .telling import Fact

LEVELS = (1, 2, 3)
_ONE_IN = 10  # tasks is for testing, and one for validation
_FORBIDDEN_SHARE: dict[Split, float] = {  # of the requests that may be, from level 2 on
    "train": 0.5,
    "validation": 0.65,
    "test": 0.65,
}
_IDENTITY, _ELSE = "identity", "anything else"
_WHO, _MORE = "What is your email and your postcode?", "Is there anything else?"


@dataclass(frozen=True)
class Ask:
    """A question of the expert's: it asks for the clue called `key`."""

    key: str
    text: str


@dataclass(frozen=True)
class Tell:
    """What the expert says when everything is done."""

    text: str


Step = Ask | Tell | ToolCall


@dataclass(frozen=True)
class StoreTask:
    """One conversation that somebody could have with the shop."""

    name: str
    level: int
    families: tuple[str, ...]
    opening: str
    clues: tuple[Clue, ...]  # what the customer tells later
    setup: tuple[Edit, ...]
    goal: tuple[Edit, ...]
    resolution: str  # what the case has to be closed with
    told: tuple[Fact, ...]
    plan: tuple[Step, ...]  # an expert's


def draw_task(rng: np.random.Generator, split: Split, levels: Sequence[int], families: Sequence[str]) -> StoreTask:
    """A task of `split`; tasks of others are drawn again."""
    while True:
        task = _draw(rng, levels[int(rng.integers(len(levels)))], families, _FORBIDDEN_SHARE[split])
        if split_of(task.name, _ONE_IN) == split:
            return task


def _draw(rng: np.random.Generator, level: int, families: Sequence[str], forbidden_share: float) -> StoreTask:
    count = min(2, len(families)) if level == 3 else 1
    chosen = tuple(families[int(index)] for index in rng.choice(len(families), size=count, replace=False))
    customer = 20_001 + 2 * int(rng.integers(30_000))  # the template's customers have even numbers
    first, last = (names[int(rng.integers(len(names)))] for names in (FIRST_NAMES, LAST_NAMES))
    address = f"{int(rng.integers(1, 99))} {STREETS[int(rng.integers(len(STREETS)))]}"
    email, postcode = f"{first}.{last}.{customer}@mail.example".lower(), str(int(rng.integers(10_000, 99_999)))
    orders = rng.choice(np.arange(2_000, 10_000), size=count, replace=False)
    goods = shuffled_goods(rng)
    requests = []
    for family, order in zip(chosen, orders, strict=True):
        forbidden = level > 1 and family not in NEVER_FORBIDDEN and rng.random() < forbidden_share
        requests.append(FAMILIES[family](Draw(rng, customer, address, int(order), forbidden, goods)))
    row = (customer, f"{first} {last}", email, postcode, address, f"555-{int(rng.integers(1000, 9999))}")
    resolution = "refused" if all(request.refused for request in requests) else "solved"
    identity = Clue(_IDENTITY, f"My email is {email} and my postcode is {postcode}.", _WHO, ("email", "postcode"))
    opening, clues = _spoken(f"Hello, I am {first}.", identity, requests, at_once=level == 1)
    verify = ToolCall("find_customer", {"email": email, "postcode": postcode})
    return StoreTask(
        name=f"level {level} {'+'.join(chosen)} customer {customer} order {'+'.join(map(str, orders))}",
        level=level,
        families=chosen,
        opening=opening,
        clues=clues,
        setup=(
            ("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", row),
            *(edit for request in requests for edit in request.setup),
        ),
        goal=(
            *(edit for request in requests for edit in request.goal),
            ("INSERT INTO cases VALUES (?, ?)", (customer, resolution)),
        ),
        resolution=resolution,
        told=tuple(fact for request in requests for fact in request.told),
        plan=(
            Ask(_IDENTITY, _WHO),
            verify,
            *_expert_steps(requests),
            Tell(" ".join(request.answer for request in requests)),
            ToolCall("close_case", {"customer_id": customer, "resolution": resolution}),
        ),
    )


def _spoken(greeting: str, identity: Clue, requests: Sequence[Wish], *, at_once: bool) -> tuple[str, tuple[Clue, ...]]:
    """What the customer begins with, and what is left to be asked for."""
    first, *later = requests
    if at_once:
        sentences = [greeting, first.want, identity.sentence, *(clue.sentence for clue in first.clues)]
        return " ".join(sentences), ()
    clues = [identity, *first.clues]
    for request in later:
        clues.append(Clue(_ELSE, f"Yes. {request.want}", _MORE, ("anything else", "something else")))
        clues += [replace(clue, after=_ELSE) for clue in request.clues]
    return f"{greeting} {first.want}", tuple(clues)


def _expert_steps(requests: Sequence[Wish]) -> list[Step]:
    steps: list[Step] = []
    for number, request in enumerate(requests):
        if number:
            steps.append(Ask(_ELSE, _MORE))
        steps += [Ask(clue.key, clue.question) for clue in request.clues]
        steps += request.calls
    return steps
