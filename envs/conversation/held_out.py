"""Which rows are of which split: no prompt is in two, and there is something to decide by that nobody learns from.

    rows of train, validation and test     a prompt that is in several is kept in the last of them only
    rows of train and test alone           of train, those that a hash of the prompt (`split_of`) calls validation are
                                           set aside: goals (`stop`) and the best checkpoint are decided on them

Left out: setting aside a share of fewer than `FEW` different prompts. Those for training then stand in, and it is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from .conversation_env import SPLITS, Split
from .task_source import split_of

FEW = 10  # different prompts, which may well all fall into the same split
_ONE_IN = 5  # of training prompts is set aside
Row = TypeVar("Row")


@dataclass(frozen=True)
class Division(Generic[Row]):
    """Rows by their split, and what was done to them unasked."""

    rows: Mapping[Split, list[Row]]
    left_out: Mapping[Split, int]  # rows whose prompt a later split has too
    why: Mapping[Split, str]  # a sentence for each split that has lost rows so
    remarks: tuple[str, ...]  # those sentences, and one on what decides, where no row is for validation

    def later(self, split: Split) -> str:
        """The splits behind it that have rows."""
        return " or ".join(other for other in SPLITS[SPLITS.index(split) + 1 :] if self.rows[other])


def divide(
    placed: Sequence[tuple[str, Row, Split]], what: str = "tasks", *, aside: Callable[[Row], Row] = lambda row: row
) -> Division[Row]:
    """Rows, each with what it asks and the split that it says, as they are learned from and held out. `aside` makes of
    a row that is set aside one that says so: who is paid by its split is not paid for training."""
    rows: dict[Split, list[tuple[str, Row]]] = {split: [] for split in SPLITS}
    left_out: dict[Split, int] = {}
    why: dict[Split, str] = {}
    later: dict[str, None] = {}  # splits behind the one that is filled
    prompts: set[str] = set()  # of those
    for split in reversed(SPLITS):
        mine = [(asked, row) for asked, row, its in placed if its == split]
        rows[split] = [(asked, row) for asked, row in mine if asked not in prompts]
        left_out[split] = len(mine) - len(rows[split])
        if left_out[split]:
            others = " or ".join(reversed(later))
            lost = f"{left_out[split]:,} of {len(mine):,} {split} {what} ask what {others} {what} ask"
            why[split] = f"{lost}, and are left out of {split}"
        later |= {split: None} if rows[split] else {}
        prompts |= {asked for asked, _ in mine}
    rows, said = _set_aside(rows, what, aside)
    return Division(
        {split: [row for _, row in mine] for split, mine in rows.items()},
        left_out,
        why,
        (*why.values(), *([said] if said else [])),
    )


def _set_aside(
    rows: dict[Split, list[tuple[str, Row]]], what: str, mark: Callable[[Row], Row]
) -> tuple[dict[Split, list[tuple[str, Row]]], str | None]:
    """Rows with some of those for training set aside where none is for validation, and the sentence that says it."""
    train = rows["train"]
    if rows["validation"] or not train or not rows["test"]:
        return rows, None
    aside = [(asked, mark(row)) for asked, row in train if split_of(asked, _ONE_IN) == "validation"]
    kept = [one for one in train if split_of(one[0], _ONE_IN) != "validation"]
    if len({asked for asked, _ in train}) < FEW or not aside or not kept:
        return rows, (
            f"no {what} are for validation, and those for training are too few to set some aside: they stand in, and "
            "goals (stop) and the best checkpoint are decided on what is learned from"
        )
    return {**rows, "train": kept, "validation": aside}, (
        f"no {what} say that they are for validation: {len(aside):,} of {len(train):,} train {what}, by a hash of "
        "their prompts, are set aside for it, and never learned from"
    )
