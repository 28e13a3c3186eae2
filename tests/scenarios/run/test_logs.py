"""Logs that only grow: what a checkpoint knows of them, and what is said when they are not so any more."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from scenarios_runs import TINY, command, write_scenario

from peripatos.envs.errors import UserError
from peripatos.scenarios.entrance import load_run
from peripatos.scenarios.report.curves import draw_learning_curve
from peripatos.scenarios.run.logs import (
    EVALUATIONS,
    METRICS,
    GrowingFiles,
    KnownLog,
    cut,
    end_whole_line,
    find_damage,
    mend,
    read_jsonl,
)
from peripatos.scenarios.run.run_directory import FILES, RunDirectory

CHECKPOINT = Path("000015")


def row(update: int) -> str:
    return json.dumps({"update": update, "env_steps": update * 10, "stage": "learn", "reward/mean": update / 3}) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / METRICS
    path.write_text("".join(row(update) for update in range(1, 16)))
    return path


def known(log: Path) -> KnownLog:
    return KnownLog.of(GrowingFiles(log.parent).known(), METRICS)


def test_what_is_known_grows_with_the_file_and_is_that_of_the_whole(log: Path) -> None:
    files = GrowingFiles(log.parent)
    files.known()
    with log.open("a") as file:
        file.write(row(16))
    assert files.known() == GrowingFiles(log.parent).known()
    assert known(log).rows == 16


def test_rows_after_what_is_known_are_cut_and_no_damage(log: Path) -> None:
    before, then = known(log), log.read_bytes()
    with log.open("a") as file:
        file.write(row(16) + '{"upd')
    assert find_damage(log, before, CHECKPOINT) is None
    cut(log, before)
    assert log.read_bytes() == then


def test_each_flipped_bit_of_a_known_row_is_noticed(log: Path) -> None:
    before, whole, rng = known(log), log.read_bytes(), random.Random(0)
    for _ in range(100):
        at = rng.randrange(len(whole))
        log.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
        assert find_damage(log, before, CHECKPOINT) is not None


def test_a_log_that_lost_its_end_says_how_many_rows_are_left_and_never_gets_one_behind_half_a_row(log: Path) -> None:
    before = known(log)
    log.write_bytes(log.read_bytes()[: before.bytes - len(row(15)) - 20])  # in the middle of row 14
    assert find_damage(log, before, CHECKPOINT) == f"{log} holds 13 of the 15 rows that checkpoint 000015 knows"
    assert mend(
        log, before, CHECKPOINT
    ) == "2 rows (those of the updates 14 to 15) are lost; the damaged file is kept as " + ("metrics.jsonl.damaged")
    with log.open("a") as file:
        file.write(row(16))
    assert [one["update"] for one in read_jsonl(log)[0]] == [*range(1, 14), 16]
    assert mend(log, before, CHECKPOINT).endswith("the damaged file is kept as metrics.jsonl.damaged.2")
    assert log.with_name("metrics.jsonl.damaged").exists()


@pytest.mark.parametrize("name", [METRICS, EVALUATIONS])
def test_a_row_that_stands_twice_costs_no_other_its_place(name: str, tmp_path: Path) -> None:
    log, ends = tmp_path / name, '"stage": "learn"' if name == METRICS else '"stage": "learn", "set": "test"'
    lines = [row(update).replace('"stage": "learn"', ends) for update in range(1, 16)]
    log.write_text("".join(lines))
    before = KnownLog.of(GrowingFiles(tmp_path).known(), name)
    log.write_text("".join([*lines[:2], *lines[1:], row(16).replace('"stage": "learn"', ends)]))
    damage = find_damage(log, before, CHECKPOINT)
    assert damage == f"{log} holds 1 row (of update 2) more than once, which checkpoint 000015 knows once"
    assert mend(log, before, CHECKPOINT) == (
        f"1 row (of update 2) stood there again, and was left out; the damaged file is kept as {name}.damaged"
    )
    assert log.read_text() == "".join(lines)
    assert find_damage(log, before, CHECKPOINT) is None


def test_rows_that_contradict_each_other_are_all_kept_and_told(log: Path) -> None:
    before, lines = known(log), log.read_text().splitlines(keepends=True)
    log.write_text("".join([*lines[:3], lines[2].replace("30", "31"), *lines[3:14]]))
    assert mend(log, before, CHECKPOINT) == (
        "1 row contradicts another of the same update, and all are kept, 1 row (of update 15) is lost; "
        "the damaged file is kept as metrics.jsonl.damaged"
    )
    assert [one["update"] for one in read_jsonl(log)[0]] == [1, 2, 3, 3, *range(4, 15)]


@pytest.mark.parametrize(("old", "new"), [(b"\n", b"\r\n"), (b"\n", b"\n\n"), (b"}\n{", b"}\n \r\n{")])
def test_other_ends_of_lines_and_blank_lines_are_no_damage(old: bytes, new: bytes, log: Path) -> None:
    before, whole = known(log), log.read_bytes()
    log.write_bytes((whole + row(16).encode()).replace(old, new))
    assert find_damage(log, before, CHECKPOINT) is None
    assert (len(read_jsonl(log)[0]), read_jsonl(log)[1]) == (16, 0)
    cut(log, before)
    assert log.read_bytes() == whole
    assert not list(log.parent.glob(".*"))


@pytest.mark.parametrize(
    "line", ["[]", "null", "5", '{"update": 3}', '{"update": "x", "env_steps": 1, "stage": "a"}', "\x00"]
)
def test_a_line_that_is_no_row_is_counted_and_left_out(line: str, log: Path) -> None:
    lines = log.read_text().splitlines()
    lines[6] = line
    log.write_text("\n".join(lines) + "\n")
    rows, unreadable = read_jsonl(log)
    assert (len(rows), unreadable) == (14, 1)


def test_bytes_that_are_no_text_cost_their_line_alone(log: Path) -> None:
    log.write_bytes(log.read_bytes()[:-1] + b"\n\xff\xfe{}\n")
    assert [len(read_jsonl(log)[0]), read_jsonl(log)[1]] == [15, 1]


def test_half_a_line_at_the_end_is_cut_off(log: Path) -> None:
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"half')
    end_whole_line(log)
    assert log.read_bytes() == whole


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a pipe, whose end never comes"])
@pytest.mark.parametrize("name", [name for name in FILES if name != "scenario.yaml"])
def test_what_stands_in_the_place_of_a_file_is_refused_by_name(name: str, make: object, tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text("name: x")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    make(tmp_path / name)  # type: ignore[operator]  # parametrize hides its type
    with pytest.raises(UserError, match=rf"{name} is (no|neither a) file.*; move it away"):
        RunDirectory.open(tmp_path)


def test_a_row_that_was_written_again_is_read_once_as_it_was_written_last(tmp_path: Path) -> None:
    """By `metrics` from Python, by what `compare` draws and tabulates, and by the learning curve of a run."""
    run = tmp_path / "run"
    assert command("run", write_scenario(tmp_path, TINY), "--out", run, "-q") == 0
    for name in (METRICS, EVALUATIONS):
        (run / name).write_text(_with_the_second_row_doubled((run / name).read_text()))
    found = load_run(run)
    for rows in (found.metrics, found.evaluations):
        keys = [(row["update"], row["stage"], row.get("set")) for row in rows]
        assert len(keys) == len(set(keys))
        assert [row["env_steps"] for row in rows] == sorted(row["env_steps"] for row in rows)
    drawn, before = run / "curves.png", (run / "curves.png").read_bytes()
    assert draw_learning_curve(RunDirectory.open(run)) == drawn
    assert drawn.read_bytes() == before


def _with_the_second_row_doubled(text: str) -> str:
    first, second, *rest = text.splitlines()
    torn = json.dumps(json.loads(second) | {"reward/mean": 9e9, "return_mean": 9e9})
    return "\n".join([first, torn, second, *rest]) + "\n"
