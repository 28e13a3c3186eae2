"""Replies to one prompt that somebody has compared, as a world whose expert says one of them: what `dpo` and
the reward models learn from.

    {"prompt": …, "chosen": …, "rejected": …}                texts, or lists of messages; "system" and "tools" beside
    {"chosen": [messages], "rejected": [messages]}            two whole conversations that begin alike
    {"prompt": …, "answers": [best, …, worst]}                a ranking of several; with "ranks": [1, 2, 2] if some tie

The first of the columns `prompt`, `question` and `problem` is the prompt. A list that begins with anything but a reply
is a whole conversation; what stands in a prompt beside it and not in it, a system message and earlier turns, comes
first, and a prompt that it contradicts is refused. An episode opens with all that the replies have in common up to one,
and ends with its own last; what is common is learned from in none. Who scores conversations reads as well those that
reply alike until one ends or is answered otherwise: they open before the last reply in common. A reply earns 1 for each
that it beats: of a pair the chosen side 1, the other 0.

Who learns from pairs reads a ranking as all its pairs of different rank, each as a row of its own: of three answers
three, of which none is left out. Who learns from whole rankings needs rows that rank equally many.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Self

import numpy as np

from ..errors import UserError, nearest
from ..vocabulary import Reply
from .chat_rows import Chat, read_chat, split_said, weight_said
from .chat_world import WrittenWorld, placed_rows
from .conversation_env import SPLITS, Opening, Outcome, Split
from .held_out import divide
from .task_columns import PROMPTS, read_message, role_of
from .task_rows import repeated
from .task_source import Picked, TaskSource, split_of

_SIDES = ("chosen", "rejected")
_ONE_IN = 5  # prompts is for testing, and one for validation, as of tasks
_ORDER = re.compile(  # the end of a name that says which reply is better
    r"(.*(?:[^A-Za-z]|[a-z](?=[A-Z])))?(?i:scores?|ratings?|ranks?|rankings?|labels?|rewards?|preferences?|preferred|"
    r"margins?|order|ordering|winner|best|better|grades?|(up)?votes?|stars|elo)"
)
_KEYS = (*_SIDES, *PROMPTS, "answers", "ranks", "system", "tools", "split")


@dataclass(frozen=True)
class Ranking:
    """Conversations with equal messages before number `asked`, which is a reply in all of them, and of these `prompt`
    that were given as such, or stand before the first reply."""

    chats: tuple[Chat, ...]
    ranks: tuple[float, ...]  # of each; smaller is better
    asked: int
    prompt: int
    split: Split | None = None  # None: nobody has said

    @property
    def earned(self) -> tuple[float, ...]:
        """How many others each reply beats."""
        return tuple(float(sum(rank < other for other in self.ranks)) for rank in self.ranks)

    @property
    def depths(self) -> range:
        """Which turns are compared, of the longest of the conversations: the first reply in it is turn 1."""
        said = [sum(m["role"] == "assistant" for m in chat.messages) for chat in self.chats]
        before = sum(m["role"] == "assistant" for m in self.chats[0].messages[: self.asked])
        return range(before + 1, max(said) + 1)

    def pairs(self) -> Iterator[Ranking]:
        """All pairs of different rank, the better reply first."""
        place = self.chats[0].place
        for pair in combinations(range(len(self.ranks)), 2):
            better, worse = sorted(pair, key=lambda n: self.ranks[n])
            if self.ranks[better] < self.ranks[worse]:
                chats = (self.chats[better], self.chats[worse])
                yield replace(self, chats=chats, ranks=(0.0, 1.0), asked=_parting(place, _SIDES, chats))


class PairWorld(WrittenWorld):
    """Pairs of a file, a data set or a list, of which the oracle says one side; of a ranking all that it has. Rows that
    say a split for testing or validation are held out.

    Args:
        pairs: see `task_source`; each row is in one of the forms of the module's docstring.
        split: as for `TaskWorld`: one split of them.

    Raises:
        UserError: a source that cannot be read, or the first row that ranks no replies.
    """

    weights: Mapping[str, float] = {"preferred": 1.0}
    side = 0  # which of the replies of a row
    size = 2  # replies of a row
    scored = False  # conversations are compared by scores, and not by how likely their replies are

    def __init__(self, pairs: TaskSource, split: Picked | None = None) -> None:
        super().__init__()
        placed = placed_rows(pairs, split)
        read = tuple(read_ranking(place, row, scored=self.scored) for place, row in placed)
        if not read:
            raise UserError("there is no pair to learn from")
        self.turns = max(len(ranking.depths) for ranking in read)  # the most that are compared in one conversation
        self.depths = sorted({depth for ranking in read for depth in ranking.depths})
        self._sort(read)
        self.remarks += tuple(repeated(placed, "rows"))
        self._written = tuple(self._rankings["train"])

    def _sort(self, read: Sequence[Ranking]) -> None:
        read = self._to_learn(read, "rows")
        pairs = [pair for ranking in read for pair in ranking.pairs()]
        if len(pairs) > len(read):
            self.remarks += (
                f"{len(read):,} rankings are {len(pairs):,} pairs of different rank, each a row of its own",
            )
        self._rankings: dict[Split, Sequence[Ranking]] = {"train": pairs}

    def on_side(self, side: int) -> Self:
        """A sibling that shares the rows, and whose oracle says that reply of each."""
        other = self.sibling()
        other.side = side
        return other

    def opening(self, rng: np.random.Generator, split: Split) -> Opening:
        self._ranking = self.pick(self._rankings[split], rng)
        return self.begin(self._ranking.chats[self.side], self._ranking.asked)

    def respond(self, reply: Reply) -> Outcome:
        outcome = super().respond(reply)
        earned = self._ranking.earned[self.side] if outcome.terminated else 0.0
        return Outcome(outcome.messages, terms={"preferred": earned}, terminated=outcome.terminated)


class HeldOutPairs(PairWorld):
    """Whole rankings, of which the oracle says one reply; divided as tasks are: by what rows say (`split`), else by a
    hash of their prompts; a prompt that is in several splits is kept in the last of them only. `UserError` where a row
    ranks fewer or more replies than others, and where nothing is left to learn from, or to test on."""

    splits = SPLITS
    scored = True

    def _sort(self, read: Sequence[Ranking]) -> None:
        self.size = len(read[0].chats)
        for ranking in read:
            if len(ranking.chats) != self.size:
                raise UserError(
                    f"{ranking.chats[0].place} ranks {len(ranking.chats)} replies, and {read[0].chats[0].place} "
                    f"{self.size}; all rows rank equally many"
                )
        division = divide([(_asked(one), one, _split_of(one)) for one in read], "rows")
        rows = division.rows
        self.remarks += division.remarks
        for split in ("train", "test"):
            if not rows[split]:
                raise UserError(
                    f"of {len(read)} rows none is for {'testing' if split == 'test' else 'training'}; they are divided "
                    f'by their prompts: mark some with "split": "{split}", or give more'
                )
        self._rankings = {**rows, "validation": rows["validation"] or rows["train"]}

    def rankings_in(self, split: Split) -> int:
        """How many rows are in a split."""
        return len(self._rankings[split])


def _split_of(ranking: Ranking) -> Split:
    return ranking.split or split_of(_asked(ranking), _ONE_IN)


def _asked(ranking: Ranking) -> str:
    """The prompt, as one text: it tells which task this is."""
    return json.dumps(ranking.chats[0].messages[: ranking.prompt])


def read_ranking(place: str, row: Mapping[str, Any] | str, *, scored: bool = False) -> Ranking:
    """The replies in a row, and their ranks; `scored` as of worlds. `UserError`, with its place, where nothing is
    compared."""
    if not isinstance(row, Mapping):
        text = "the text " if isinstance(row, str) else ""
        raise UserError(f"{place}: a pair is a mapping with chosen and rejected, not {text}{row!r:.60}")
    _check_order(place, row)
    named, ranks = _answers(place, row) if row.get("answers") is not None else (_sides(place, row), (0.0, 1.0))
    read = [_conversation(f"{place}, {name}", row, given, place) for name, given in named.items()]
    chats, prompt = [chat for chat, _ in read], min(asked for _, asked in read)
    names, numbers = list(named), combinations(range(len(chats)), 2)  # those of equal rank may be equal
    compared = [(a, b) for a, b in numbers if ranks[a] != ranks[b]]
    asked = min(_parting(place, (names[a], names[b]), (chats[a], chats[b]), scored=scored) for a, b in compared)
    if any(n >= prompt for chat in chats for n in chat.given) or not weight_said(place, row):
        raise UserError(f"{place}: a reply has weight 0, which is of conversations to imitate; of pairs leave it out")
    one_task = tuple(replace(chat, place=place) for chat in chats)
    return Ranking(one_task, ranks, asked, prompt, split_said(place, row))


def _check_order(place: str, row: Mapping[str, Any]) -> None:
    """UserError where another column than these says which reply is better, for nobody would read it. Those that speak
    of one side, as `score_chosen`, say no other order."""
    read = "ranks" if row.get("answers") is not None else ""
    for name in (str(key) for key, value in row.items() if value is not None and key != read):
        is_order = _ORDER.fullmatch(name) or sorted(name.lower()) == sorted("ranks")
        if is_order and not any(side in name.lower() for side in _SIDES):
            order = "answers stand with the best first, or 'ranks' says their order, the smallest for the best"
            order = order if read else "the better reply is 'chosen'"
            raise UserError(
                f"{place} has {name!r}, which nobody reads; {order}. A column of another meaning needs another name"
            )


def _sides(place: str, row: Mapping[str, Any]) -> dict[str, Any]:
    for side in _SIDES:
        if side in row and row[side] is None:
            raise UserError(f"{place}: {side!r} is null; a pair has two replies")
        if side not in row:
            raise UserError(f"{place} has no {side!r}; it has {_keys(row)}.{nearest(side, _others(row))}")
    return {side: row[side] for side in _SIDES}


def _answers(place: str, row: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[float, ...]]:
    """The answers of a ranking by their names, and their ranks."""
    answers, ranks = row["answers"], row.get("ranks")
    if not isinstance(answers, list | tuple) or len(answers) < 2:
        raise UserError(f"{place}: answers are {answers!r:.60}; allowed is a list of two or more, the best first")
    if ranks is None:
        ranks = range(len(answers))
    elif (
        not isinstance(ranks, list | tuple) or len(ranks) != len(answers) or not all(_is_number(rank) for rank in ranks)
    ):
        raise UserError(
            f"{place}: ranks are {ranks!r:.60}; allowed is a number for each of the {len(answers)} answers, the "
            "smallest for the best"
        )
    if len(set(ranks)) == 1:
        raise UserError(f"{place}: all answers have the rank {ranks[0]}, so that nothing is preferred")
    return {f"answer {n}": answer for n, answer in enumerate(answers)}, tuple(map(float, ranks))


def _is_number(rank: object) -> bool:
    return isinstance(rank, int | float) and not isinstance(rank, bool) and math.isfinite(rank)


def _parting(place: str, names: tuple[str, str], chats: tuple[Chat, Chat], *, scored: bool = False) -> int:
    """The number of the first message in which two conversations differ, which is a reply in both; where they are
    `scored` and reply alike until one ends or is answered otherwise, that of the last reply in common."""
    (one, other), both = (chat.messages for chat in chats), " and ".join(names)
    alike = next((n for n, (mine, theirs) in enumerate(zip(one, other, strict=False)) if mine != theirs), None)
    if alike is None and len(one) == len(other):
        raise UserError(f"{place}: {both} are equal, so that nothing is preferred")
    if alike is not None and one[alike]["role"] == other[alike]["role"] == "assistant":
        return alike
    shared = [n for n, message in enumerate(one[:alike]) if n < len(other) and message["role"] == "assistant"]
    if shared and scored:
        return shared[-1]
    if alike is None:
        raise UserError(f"{place}: one of {both} only goes on where the other ends; both reply to one prompt")
    why = "they were answered differently after equal replies" if shared else "their prompts differ"
    raise UserError(f"{place}: {both} differ in message {alike}, which is no reply: {why}")


def _conversation(where: str, row: Mapping[str, Any], given: Any, place: str) -> tuple[Chat, int]:
    """The prompt and one reply, and how many messages are the prompt: as a list of its own may hold replies too."""
    beside = {key: row[key] for key in ("system", "tools") if row.get(key) is not None}
    name = next((name for name in PROMPTS if row.get(name) is not None), None)
    prompt = [] if name is None else row[name]
    asked = list(prompt) if isinstance(prompt, list | tuple) else [{"role": "user", "content": prompt}]
    if isinstance(given, list | tuple) and not _begins_with_a_reply(given):
        begun, messages = _joined(where, f"{place}: {name!r}", asked, given)
        chat = read_chat(where, {"messages": messages, **beside})
        begun = max(begun, next(n for n, message in enumerate(messages) if role_of(message) == "assistant"))
    elif name is None:
        raise UserError(f"{place} has no 'prompt'; it has {_keys(row)}.{nearest('prompt', _others(row))}")
    else:
        chat, begun, messages = read_chat(where, {"prompt": prompt, "completion": given, **beside}), len(asked), asked
    is_added = chat.messages[0]["role"] == "system" != role_of(messages[0])  # of a column of its own
    return chat, begun + is_added


def _joined(where: str, what: str, asked: Sequence[Any], whole: Sequence[Any]) -> tuple[int, list[Any]]:
    """A whole conversation behind what of the prompt is not in it; and how many messages are the prompt, 0 where it
    stands further behind in the conversation. `UserError` where they contradict each other."""
    prompt = [_told(f"{what}, message {n}", message) for n, message in enumerate(asked)]
    if not whole or not any(text for _, text in prompt):
        return 0, list(whole)
    said = [_told(f"{where}, message {n}", message) for n, message in enumerate(whole)]
    mine, its = prompt[0][0] == "system", said[0][0] == "system"
    asks, goes = prompt[mine:], said[its:]
    alike = not (mine and its) or prompt[0] == said[0]
    ends = (n for n in range(max(1, len(asks))) if asks[n:] == goes[: len(asks) - n])  # from n on it is in both
    if alike and (both := next(ends, None)) is not None:
        system = [*asked[:mine]] or [*whole[:its]]
        return len(system) + len(asks), [*system, *asked[mine : mine + both], *whole[its:]]
    if alike and any(asks == goes[n : n + len(asks)] for n in range(len(goes))):
        return 0, [*asked[: mine and not its], *whole]
    raise UserError(
        f"{what} ends with {prompt[-1][1]!r:.60}, and {where} begins with {said[0][1]!r:.60}: a whole "
        "conversation holds the prompt, or goes on from its last messages; leave one of them out"
    )


def _told(what: str, given: object) -> tuple[str, str]:
    """Who speaks in a message, and its text."""
    message = read_message(what, given)
    return message["role"], message["content"].strip()


def _begins_with_a_reply(messages: list[Any] | tuple[Any, ...]) -> bool:
    return bool(messages) and role_of(messages[0]) == "assistant"


def _keys(row: Mapping[str, Any]) -> str:
    return ", ".join(repr(str(key)) for key, value in row.items() if value is not None) or "no key at all"


def _others(row: Mapping[str, Any]) -> list[str]:
    return [str(key) for key, value in row.items() if key not in _KEYS and value is not None]
