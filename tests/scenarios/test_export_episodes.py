"""What a run's agent said is exported by the file of its episodes: solved ones alone, and no reply that was cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scenarios_runs import command, write_scenario

TALK = """\
name: talk
seed: 5
world: {id: peripatos/ToolMaths-v0, options: {digits: 1}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
stages:
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 4}
    budget: {updates: 1}
evaluation: {episodes: 1}
sampling: {max_tokens: 60}
log: {episodes: 4}
"""


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talk")
    assert command("run", write_scenario(folder, TALK), "--out", folder / "run", "-q") == 0
    return folder / "run"


def test_kept_episodes_are_exported_as_the_oracles_are_and_failures_and_cut_replies_are_counted(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, out = run / "episodes" / "000001-train.jsonl", tmp_path / "chats.jsonl"
    assert command("export", kept, "--out", out) == 0
    assert command("export", run / "scenario.yaml", "--episodes", 4, "--out", tmp_path / "oracle.jsonl") == 0
    rows = lines(out)
    assert [row.pop("split") for row in rows] == ["train"] * 4
    assert rows == lines(tmp_path / "oracle.jsonl")  # tools included, which no episode holds
    assert rows[0]["tools"]
    episodes = lines(kept)
    episodes[0] |= {"success": False, "reward": 0.0}
    mask = episodes[1]["mask"]
    first = mask.index(True)
    cut = mask.index(False, first) - first  # tokens of the first reply, as many as there may be
    episodes[2]["messages"][0]["content"] = "another task"
    other = tmp_path / "other"
    assert command("run", run / "scenario.yaml", "--out", other, "-q", "--set", f"sampling.max_tokens={cut}") == 0
    (other / "episodes" / "000001-train.jsonl").write_text("\n".join(map(json.dumps, episodes)))
    capsys.readouterr()
    assert command("export", other / "episodes" / "000001-train.jsonl", "--out", tmp_path / "some.jsonl") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "2 of 4 episodes were solved and are exported; 1 were not solved; 1 left out: the run's world does not" in said
    )
    assert "cut at max_tokens have weight 0" in said
    weights = [message.get("weight") for message in lines(tmp_path / "some.jsonl")[0]["messages"]]
    assert weights[[message["role"] for message in rows[1]["messages"]].index("assistant")] == 0


def test_a_run_says_which_file_holds_its_episodes_and_that_file_is_no_demonstration(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("export", run, "--out", tmp_path / "c.jsonl") == 2
    kept = run / "episodes" / "000001-train.jsonl"
    assert f"Its episodes: peripatos export {kept} --out chats.jsonl" in " ".join(capsys.readouterr().err.split())
    assert command("export", kept, "--episodes", 3) == 2
    assert "--episodes is for what the oracle plays" in " ".join(capsys.readouterr().err.split())
    path = write_scenario(tmp_path, TALK.replace("{agent: {kind: oracle}}", f"{{chats: {kept}}}"))
    assert command("run", path, "--dry-run") == 2
    assert "is an episode that a run kept, whether it was solved or not; peripatos export FILE --out" in " ".join(
        capsys.readouterr().err.split()
    )
