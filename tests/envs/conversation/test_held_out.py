"""Who learns from what: where rows say train and test alone, something else decides."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from peripatos.envs.conversation import TaskWorld
from peripatos.envs.conversation.held_out import divide
from peripatos.envs.conversation.task_source import split_of


def met(world: TaskWorld, split: str) -> set[str]:
    """The prompts that a run meets in a split."""
    return {
        world.reset(seed=0, options={"split": split, "run": 0, "group": group})[0]
        for group in range(2 * (world.tasks_in(split) or 0))  # type: ignore[arg-type]
    }


def test_of_train_and_test_alone_a_share_of_train_is_set_aside_and_never_learned_from(tmp_path: Path) -> None:
    with (tmp_path / "p.csv").open("w") as file:
        table = csv.writer(file)
        table.writerow(["prompt", "answer", "split"])
        table.writerows([[f"q{n}", n, "train" if n < 30 else "test"] for n in range(40)])
    world = TaskWorld(str(tmp_path / "p.csv"), grader="number")
    train, validation, test = (met(world, split) for split in ("train", "validation", "test"))
    aside = {f"q{n}" for n in range(30) if split_of(f"q{n}", 5) == "validation"}
    assert validation == aside
    assert 0 < len(aside) < 15
    assert train == {f"q{n}" for n in range(30)} - aside
    assert test == {f"q{n}" for n in range(30, 40)}
    paid = TaskWorld(str(tmp_path / "p.csv"), lambda reply, task: task["split"] == "train")
    for split, reward in (("train", 1.0), ("validation", 0.0), ("test", 0.0)):
        paid.reset(seed=0, options={"split": split})
        assert paid.step("")[1] == reward
    assert world.remarks == (
        f"no tasks say that they are for validation: {len(aside)} of 30 train tasks, by a hash of their prompts, are "
        "set aside for it, and never learned from",
    )


@pytest.mark.parametrize("few", [1, 5, 9])
def test_where_train_is_too_small_it_stands_in_and_this_is_said(few: int) -> None:
    rows = [{"prompt": f"q{n}", "answer": "1", "split": "train" if n < few else "test"} for n in range(few + 3)]
    world = TaskWorld(rows, grader="exact")
    assert met(world, "validation") <= met(world, "train") == {f"q{n}" for n in range(few)}
    (said,) = world.remarks
    assert said.startswith("no tasks are for validation, and those for training are too few to set some aside")


def test_rows_that_say_validation_and_rows_without_test_are_left_as_they_are() -> None:
    said = [(f"q{n}", n, "train") for n in range(30)]
    for more in ([("v", 30, "validation"), ("t", 31, "test")], []):
        division = divide([*said, *more])  # type: ignore[list-item]
        assert (division.rows["train"], division.remarks) == ([*range(30)], ())


def test_what_training_has_lost_to_testing_is_counted_before_anything_is_set_aside() -> None:
    placed = [(f"q{n}", n, "train") for n in range(30)] + [(f"q{n}", n, "test") for n in range(5)]
    division = divide(placed, "rows")  # type: ignore[arg-type]
    assert division.remarks[0] == "5 of 30 train rows ask what test rows ask, and are left out of train"
    assert sorted([*division.rows["train"], *division.rows["validation"]]) == [*range(5, 30)]
    assert "of 25 train rows, by a hash" in division.remarks[1]
