"""The command line: exit codes, streams, and how light it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scenarios_runs import PATIENCE, command, write_scenario

from peripatos.envs.errors import UserError
from peripatos.scenarios.config.loading import load_scenario
from peripatos.scenarios.report.tables import table
from peripatos.scenarios.run.display import Plain


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['peripatos', '--help']\n"
        "from peripatos.scenarios.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'transformers', 'mujoco', 'gymnasium', 'numpy', 'pydantic', 'scipy', 'matplotlib'}\n"
        "sys.exit(str(heavy & sys.modules.keys()) if heavy & sys.modules.keys() else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "compare" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "quickstrat"], "Did you mean 'quickstart'?"),
        (["run", "quickstart", "--set", "sede=3"], "Did you mean 'seed'?"),
        (["list", "wrlds"], "Did you mean 'worlds'?"),
        (["resume", "nowhere"], "not a run directory"),
        (["evaluate", "nowhere"], "not a run directory"),
        (["check", "CartPol-v1"], "Did you mean 'CartPole-v1'?"),
        (["run"], "Missing argument"),
        (["fly"], "No such command 'fly'"),
        (["run", "quickstart", "--sed", "3"], "--seed"),
        (["compare", "cartpole-ppo", "--methods", "ppo,grop"], "Did you mean 'grpo'?"),
    ],
)
def test_a_users_mistake_is_one_message_and_exit_code_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*arguments) == 2
    seen = capsys.readouterr()
    assert expected in seen.err
    assert seen.out == ""
    assert "Traceback" not in seen.err


def test_a_dry_run_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("run", "cartpole-ppo", "--dry-run") == 0
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""


def test_the_printed_configuration_is_a_scenario_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", "cartpole-ppo", "--print-config", "--set", "seed=4") == 0
    path = tmp_path / "printed.yaml"
    path.write_text(capsys.readouterr().out)
    assert "seed: 4" in path.read_text()
    assert command("run", path, "--dry-run") == 0


@pytest.mark.parametrize("what", ["worlds", "methods", "scenarios"])
def test_tables_come_from_the_code_and_as_json(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list", what, "--json") == 0
    text = capsys.readouterr().out
    names = {next(iter(row.values())) for row in json.loads(text)}
    assert names >= {"worlds": {"peripatos/Walker-v0"}, "methods": {"ppo", "grpo"}, "scenarios": {"quickstart"}}[what]
    assert command("list", what) == 0
    assert "json" not in capsys.readouterr().out


def test_data_goes_to_stdout_and_progress_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", write_scenario(tmp_path), "--out", tmp_path / "run", "--json") == 0
    seen = capsys.readouterr()
    assert json.loads(seen.out)["status"] == "done"
    assert "learn, update 12" in seen.err
    assert command("evaluate", tmp_path / "run", "--json", "--episodes", 3, "--checkpoint", "last") == 0
    again = json.loads(capsys.readouterr().out)
    last = json.loads((tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()[-1])
    assert again["return_mean"] == last["return_mean"]


def test_check_tells_what_a_world_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unseeded.py").write_text(
        "import gymnasium, numpy as np\n"
        "class World(gymnasium.Env):\n"
        "    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)\n"
        "    action_space = gymnasium.spaces.Discrete(2)\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        return np.random.default_rng().random(1, np.float32), {}\n"
        "    def step(self, action):\n"
        "        return np.zeros(1, np.float32), 0.0, True, False, {}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert command("check", "unseeded:World", "--json") == 1
    results = json.loads(capsys.readouterr().out)
    assert any(row["result"] == "FAILED" and "seed" in row["check"] for row in results)


def test_check_plays_the_worlds_of_a_scenario_with_their_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"question": f"What is {n} + 1?", "answer": str(n + 1)}) + "\n" for n in range(60))
    )
    stage = "stages: [{name: look}]\nagent: {kind: tiny_llama}\nname: rows\n"
    options = f"{{tasks: {tmp_path / 'rows.jsonl'}, grader: number}}"
    (tmp_path / "s.yaml").write_text(stage + f"world: {{id: peripatos/Tasks-v0, options: {options}}}\n")
    assert command("check", tmp_path / "s.yaml", "--json") == 0
    assert {row["result"] for row in json.loads(capsys.readouterr().out)} == {"passed"}
    assert command("check", tmp_path / "s.yaml", "--set", "world.options.grader=numbr") == 2
    assert "Did you mean 'number'" in capsys.readouterr().err
    (tmp_path / "two.yaml").write_text(
        stage + "worlds: [{id: peripatos/Arithmetic-v0, share: 1},"
        f" {{id: peripatos/Tasks-v0, name: rows, options: {options}}}]\n"
    )
    assert command("check", tmp_path / "two.yaml", "--json") == 0
    assert {row["world"] for row in json.loads(capsys.readouterr().out)} == {"arithmetic", "rows"}


@pytest.mark.parametrize("width", [60, 100, 400])
@pytest.mark.parametrize("what", ["worlds", "methods", "scenarios"])
def test_a_table_breaks_no_name_and_loses_no_constant_at_any_width(
    width: int, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert command("list", what) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= width
    packed = "".join(text.split())
    for row in table(what):
        name, *others = row.values()
        assert name in text
        if width == 60 or what != "scenarios":  # there the last column is folded between the lines of its neighbours
            assert all("".join(value.split()) in packed for value in others)


def test_a_stream_that_cannot_hold_a_character_or_is_closed_is_no_error() -> None:
    code = "from peripatos.scenarios.cli import main; main()"
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = [sys.executable, "-c", code, "list", "methods"]
    done = subprocess.run(run, capture_output=True, text=True, check=False, env=ascii_only)
    assert done.returncode == 0, done.stderr
    assert "\\u03b3" in done.stdout
    closed = f"import os; os.close(1)\nimport subprocess, sys\nsys.exit(subprocess.call({run!r}))"
    done = subprocess.run([sys.executable, "-c", closed], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


ENDS = """
import atexit, sys, threading, time
from peripatos import __main__ as program
from peripatos.scenarios import cli, streams
streams._LATE, sys.argv = 0.1, ["peripatos", "fly"]
"""
CALLED = """
try:
    cli.main()
except SystemExit:
    atexit.register(time.sleep, 1)
"""
LEAVES = """
threading.Thread(target=time.sleep, args=(100_000,), name="left").start()
program.main()
"""


def test_what_is_left_behind_is_cut_off_where_the_process_is_the_commands_and_nowhere_else() -> None:
    done = [
        subprocess.run([sys.executable, "-c", ENDS + code], capture_output=True, text=True, timeout=PATIENCE)
        for code in (CALLED, LEAVES)
    ]
    assert [one.returncode for one in done] == [0, 2]
    assert ["the process ends without them" in one.stderr for one in done] == [False, True]


def test_progress_never_passes_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    Plain().move("learn", 1.31, {})
    assert "learn 100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "scenarios"],
        ["run", "cartpole-ppo", "--dry-run"],
        ["check", "CartPole-v1"],
        ["init", "word_games"],
        ["compare", "cartpole-ppo", "--methods", "ppo"],
        ["show", "runs/cart"],
    ],
)
def test_a_current_folder_that_is_gone_is_said(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert command(*arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith("error: the current folder is gone"), err.count("\n")) == ("", True, 1)
    assert command(arguments[0], "--help") == 0
    with pytest.raises(UserError, match="the current folder is gone"):
        load_scenario("cartpole-ppo")
