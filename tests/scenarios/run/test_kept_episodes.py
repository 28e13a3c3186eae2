"""Kept episodes are read back as they were written; a damaged file ends in a sentence that names the line."""

from __future__ import annotations

import copy
import json
import math
import random
import re
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from scenarios_runs import command, write_scenario

from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Episode, Seen, StopReason
from peripatos.scenarios.run import disk, kept_episodes
from peripatos.scenarios.run.disk import to_json
from peripatos.scenarios.run.kept_episodes import read_episodes
from peripatos.scenarios.run.run_directory import episode_row

TALK = """\
name: talk
world: {id: peripatos/Arithmetic-v0, options: {digits: 1}}
agent: {kind: oracle}
stages: [{name: look}]
evaluation: {episodes: 2}
log: {episodes: 2}
"""


def whole() -> Episode:
    return Episode(
        group=1,
        index=2,
        seed=2**63,
        version=0,
        split="test",
        reward=0.5,
        reward_terms={"reward": 0.5},
        turns=1,
        units=2,
        terminated=True,
        success=True,
        stop_reason=StopReason.LENGTH,
        task="a task",
        messages=({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}),
        turn_rewards=(0.5,),
        tokens=(1, 2, 3),
        mask=(False, True, True),
        behavior_logp=(0.0, -1.0, -2.0),
        earlier=(Seen(tokens=[1], mask=[True], behavior_logp=[-1.0]),),
        learned=({"advantage": (None,)}, {"advantage": (None, 1.0, 1.0)}),
    )


def test_an_episode_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(to_json(episode_row(whole())) + "\n")
    (back,) = read_episodes(tmp_path / "e.jsonl")
    assert to_json(episode_row(back)) == to_json(episode_row(whole()))
    assert back.stop_reason is StopReason.LENGTH


def test_to_show_one_of_many_episodes_no_other_one_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[object] = []
    validate = kept_episodes._Row.model_validate
    monkeypatch.setattr(kept_episodes._Row, "model_validate", lambda row: parsed.append(row) or validate(row))
    assert (
        command(
            "run",
            write_scenario(tmp_path, TALK.replace("episodes: 2", "episodes: 500")),
            "--out",
            tmp_path / "run",
            "-q",
        )
        == 0
    )
    assert command("show", tmp_path / "run", "--episode", "400") == 0
    assert len(parsed) == 1
    assert command("show", tmp_path / "run", "--episode", "500") == 2
    assert len(parsed) == 1


def test_json_of_many_numbers_is_written_without_looking_at_each_and_stays_strict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[object] = []
    finite = disk.finite
    monkeypatch.setattr(disk, "finite", lambda value: looked.append(value) or finite(value))
    assert to_json({"tokens": [*range(100_000)], "logp": [0.5] * 100_000}).endswith("0.5]}")
    assert not looked
    assert to_json({"a": [math.nan, (math.inf, 1.0)], "b": MappingProxyType({"c": -math.inf})}) == (
        '{"a": [null, [null, 1.0]], "b": {"c": null}}'
    )


DAMAGED = ["{", "[1]", "[" * 100_000, '{"group": ' + "9" * 5000 + "}", "\ud800"]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_line_that_is_no_episode_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "e.jsonl").write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(UserError, match=r"line 1 is no episode|cannot be read"):
        read_episodes(tmp_path / "e.jsonl")


FALSE: list[tuple[str, Any]] = [
    ("tokens", [1, 2]),
    ("tokens", [1, 2, -3]),
    ("tokens", [1, 2, 2**40]),
    ("mask", ["x", 1, 2]),
    ("messages", "hello"),
    ("messages", [{"role": "user"}]),
    ("messages", [{"role": 1, "content": "a"}]),
    ("messages", [{"role": "user", "content": None}]),
    ("stop_reason", "bored"),
    ("reward", "high"),
    ("reward_terms", {"a": "b"}),
    ("turns", -1),
    ("split", "../../x"),
    ("learned", [{}]),
    ("learned", [{}, {"advantage": [1.0]}]),
    ("earlier", [{"tokens": [1], "mask": [], "behavior_logp": []}]),
    ("unheard_of", 1),
]


@pytest.mark.parametrize(("key", "value"), FALSE)
def test_a_value_of_another_type_or_length_is_refused(tmp_path: Path, key: str, value: object) -> None:
    row = episode_row(whole()) | {key: value}
    (tmp_path / "e.jsonl").write_text(f"{to_json(episode_row(whole()))}\n{json.dumps(row)}\n")
    with pytest.raises(UserError, match=r"line 2 is no episode") as refused:
        read_episodes(tmp_path / "e.jsonl")
    assert not re.search(r"_[A-Z]\w+|<class|[Ii]nput should|Field required", str(refused.value))


def test_a_file_with_more_episodes_than_were_kept_is_counted_in_whole_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert command("run", write_scenario(tmp_path, TALK), "--out", run, "-q") == 0
    file = run / "episodes" / "000000-test.jsonl"
    file.write_bytes(file.read_bytes() + file.read_bytes())
    capsys.readouterr()
    assert command("show", run) == 0
    assert "it has 4 episodes that can be read, and 2 were kept" in capsys.readouterr().err


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(1, 20))])
def test_show_never_ends_in_a_traceback_whatever_the_file_holds(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """200 random damages to a kept file: shown, or refused with a sentence."""
    assert command("run", write_scenario(tmp_path, TALK), "--out", tmp_path / "run", "-q") == 0
    file = tmp_path / "run" / "episodes" / "000000-test.jsonl"
    good = [json.loads(line) for line in file.read_text().splitlines()]
    rng = random.Random(seed)
    values = [None, True, -1, 2**70, 0.5, "", "x", [], {}, [[]], [None], [{}], {"a": None}, [1] * 5, ["a"], [True]]
    for number in range(200):
        rows = copy.deepcopy(good)
        for _ in range(rng.randint(1, 2)):
            _damage(rows[0], rng, values)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        by = rng.choice(["advantage", "gap", "logp", "entropy"])
        code = command("show", tmp_path / "run", "--by", by)
        assert code in (0, 2), number
        capsys.readouterr()


def _damage(row: dict[str, Any], rng: random.Random, values: list[Any]) -> None:
    """Another value somewhere in the row, or a key less."""
    where: Any = row
    while True:
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))
        if not keys:
            return
        key = rng.choice(keys)
        inner = where[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.5:
            where = inner
            continue
        if isinstance(where, dict) and rng.random() < 0.2:
            del where[key]
        else:
            where[key] = copy.deepcopy(rng.choice(values))  # a second damage may be within it
        return
