"""The coding world: hidden tests decide, examples only help, and a broken sandbox is no reward of zero."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from peripatos.agents.language.authors import Oracle
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.envs.errors import UserError
from peripatos.envs.sandbox import Judge
from peripatos.envs.sandbox.launch import Program
from peripatos.envs.seeding import generator
from peripatos.envs.vocabulary import Episode, Reply, WorldFailure
from peripatos.envs.worlds.coding.replies import find_program, find_programs
from peripatos.envs.worlds.coding.task_file import read_tasks
from peripatos.envs.worlds.coding.tasks import FAMILIES, generate
from peripatos.envs.worlds.coding.world import Coding

PATIENT: dict[str, Any] = {"wall_s": 60, "cpu_s": 20}  # nothing here hangs, and any process may be paused


def block(program: str) -> str:
    return f"Here it is.\n```python\n{program}\n```\n"


@pytest.fixture(scope="module")
def world() -> Coding:
    return Coding(**PATIENT)


@pytest.mark.sandbox
def test_the_world_is_registered_and_conforms_to_gymnasium() -> None:
    env = gymnasium.make("peripatos/Coding-v0", disable_env_checker=True, **PATIENT)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()
    env.close()


@pytest.mark.sandbox
def test_there_are_enough_families_and_each_right_program_passes_its_hidden_tests() -> None:
    assert len(FAMILIES) >= 12
    for name in FAMILIES:
        world = Coding(families=[name], **PATIENT)
        for seed in (1, 2):
            world.reset(seed=seed, options={"split": "test" if seed == 2 else "train"})
            reply = world.oracle()
            assert reply is not None
            _, reward, terminated, truncated, info = world.step(reply)
            assert (reward, terminated, truncated, info["success"]) == (pytest.approx(1.1), True, False, True), name


@pytest.mark.parametrize("name", FAMILIES)
def test_no_hidden_input_is_shown_and_no_constant_is_right(name: str) -> None:
    for seed in range(20):
        task = generate(np.random.default_rng(seed), "train", [name], public=3, hidden=8)
        assert len(task.public) == 3
        assert len(task.hidden) == 8
        shown = {repr(given) for given, _ in task.public}
        assert not shown & {repr(given) for given, _ in task.hidden}
        assert len({repr(expected) for _, expected in task.hidden}) > 1


def test_the_splits_share_no_task_and_seeds_give_different_tasks_of_many_families() -> None:
    drawn = {
        split: [generate(np.random.default_rng(seed), split, list(FAMILIES), 2, 8) for seed in range(300)]
        for split in ("train", "test")
    }
    assert not {task.id for task in drawn["train"]} & {task.id for task in drawn["test"]}
    for tasks in drawn.values():
        assert len(Counter(task.id.split()[0] for task in tasks)) >= 12
    assert len({task.id for task in drawn["train"]}) > 150


@pytest.mark.sandbox
def test_a_seed_gives_the_same_episode(world: Coding) -> None:
    assert world.reset(seed=5) == world.reset(seed=5)
    assert world.reset(seed=5)[0] != world.reset(seed=6)[0]


@pytest.mark.sandbox
def test_a_failed_example_is_told_and_a_revised_program_is_paid(world: Coding) -> None:
    world.reset(seed=3)
    text, reward, terminated, _, info = world.step(block("def solve(*a): return 'wrong'"))
    assert (reward, terminated, info["success"]) == (0.0, False, None)
    assert "should be" in text
    assert "but it is 'wrong'" in text
    text, *_ = world.step(block("def solve(*a): return nothing"))
    assert "NameError" in text
    reply = world.oracle()
    assert reply is not None
    _, reward, terminated, _, info = world.step(reply)
    assert (reward, terminated, info["success"]) == (pytest.approx(1.1), True, True)
    assert info["metrics"]["attempts"] == 3


@pytest.mark.sandbox
def test_the_last_attempt_ends_the_episode_whatever_it_is(world: Coding) -> None:
    world.reset(seed=3)
    for reply in ("", "no program"):
        text, reward, terminated, _, _ = world.step(reply)
        assert (reward, terminated) == (0.0, False)
        assert "no program" in text
    _, reward, terminated, truncated, info = world.step("\0 \udcff ```")
    assert (reward, terminated, truncated, info["success"]) == (0.0, True, False, False)
    assert info["metrics"]["no_program"] == 1


@pytest.mark.sandbox
def test_examples_learnt_by_heart_earn_nothing() -> None:
    world = Coding(**PATIENT)
    for seed in range(8):
        world.reset(seed=seed)
        table = {repr(tuple(given)): expected for given, expected in world._task.public}
        world_reply = block(f"def solve(*a): return {table!r}.get(repr(a))")
        _, reward, terminated, _, info = world.step(world_reply)
        assert (reward, terminated, info["success"]) == (pytest.approx(0.1), True, False)


@pytest.mark.sandbox
def test_partial_credit_is_the_fraction_of_hidden_tests() -> None:
    world = Coding(attempts=1, partial_credit=True, hidden_tests=8, **PATIENT)
    world.reset(seed=0)
    known = {repr(tuple(given)): expected for given, expected in world._task.hidden[:2]}
    _, reward, _, _, info = world.step(block(f"def solve(*a): return {known!r}.get(repr(a), 'no')"))
    assert info["reward_terms"] == {"correct": pytest.approx(0.25), "format": pytest.approx(0.1)}
    assert reward == pytest.approx(0.35)


@pytest.mark.sandbox
def test_several_blocks_cost_the_format_and_the_last_is_judged() -> None:
    world = Coding(attempts=1, **PATIENT)
    world.reset(seed=0)
    right = world.oracle()
    _, reward, _, _, info = world.step(block("def solve(*a): return 0") + str(right))
    assert (reward, info["success"]) == (pytest.approx(1.0), True)


@pytest.mark.sandbox
def test_worlds_that_are_judged_side_by_side_give_the_same_episodes_as_one_after_another() -> None:
    renderer = Renderer(tiny_tokenizer())

    class Varied(Oracle):
        def reply(self, messages: Any, tools: Any, world: Any, seed: int, *, greedy: bool) -> Reply:
            draw = generator(seed).random()
            if draw < 0.03:
                return Reply(block("def solve(*a):\n    while True: pass"))
            if draw < 0.5:
                return super().reply(messages, tools, world, seed, greedy=greedy)
            return Reply(block(f"import os\ndef solve(*a): return {int(20 * draw)}"))

    def collected(workers: int) -> list[Episode]:
        def make() -> Coding:
            return Coding(workers=workers, wall_s=300, cpu_s=0.2, partial_credit=True)

        assert make().side_by_side == workers
        actor = ConversationActor(make, Varied(), renderer, context=100_000)
        episodes = actor.collect(range(10), 2, seed=0, version=0).episodes
        timed = {"judge_cpu_s"}
        return [replace(e, metrics={k: v for k, v in e.metrics.items() if k not in timed}) for e in episodes]

    one, many = collected(1), collected(4)
    assert one == many
    assert {episode.success for episode in one} == {True, False}
    assert any("failed" in str(message) for episode in one for message in episode.messages)


@pytest.mark.sandbox
def test_a_cheat_is_counted_as_a_suspicion() -> None:
    world = Coding(attempts=1, **PATIENT)
    world.reset(seed=0)
    _, _, _, _, info = world.step(block("import os\ndef solve(*a): os._exit(0)"))
    assert info["metrics"]["suspicions"] == 1


@pytest.mark.parametrize(
    ("reply", "programs"),
    [
        ("```python\nx\n```", ["x\n"]),
        ("```\nx\n```", ["x\n"]),
        ("```Python3\nx\n``` and ```py\ny\n```", ["x\n", "y\n"]),
        ("```json\n{}\n```", []),
        ("x", []),
        ("``````", []),
        ("```python\nx", ["x"]),
        ("````python\nx = '```'\n```\ny\n````", ["x = '```'\n```\ny\n"]),
        ("~~~python\nx\n```\n~~~", ["x\n```\n"]),
        ("- a list:\n   ```python\n   x\n   ```\n", ["   x\n"]),
        ('```python\ndef f():\n"""\n```\n>>> f()\n```\n"""\n```\n', ['def f():\n"""\n```\n>>> f()\n```\n"""\n']),
        ('```python\nx = "\\"\\"\\""  # it\'s """\n```\n', ['x = "\\"\\"\\""  # it\'s """\n']),
        ('```python\nx = """\n```\n```python\ny\n```', ['x = """\n', "y\n"]),
        ("```python title=a.py\nx\n```", ["x\n"]),
        ("```python\n" * 30_000, []),
    ],
)
def test_code_blocks_are_found(reply: str, programs: list[str]) -> None:
    assert find_programs(reply) == programs


PROGRAM = "def solve(x):\n    return x + 1\n"
RIGHT_BLOCK = f"```python\n{PROGRAM}```\n"


@pytest.mark.parametrize(
    "reply",
    [
        RIGHT_BLOCK + "Output:\n```\n2\n```",
        RIGHT_BLOCK + "For example:\n```python\nprint(solve(1))\n```",
        RIGHT_BLOCK + "Run it:\n```bash\npython solve.py\n```",
        RIGHT_BLOCK + "Then\n```text\n2\n```\nand\n```json\n{}\n```\nand\n```\nTrue\n```",
        "First try:\n```python\ndef solve(x):\n    return x\n```\nBetter:\n" + RIGHT_BLOCK,
        "Tests:\n```python\nassert solve(1) == 2\n```\n" + RIGHT_BLOCK,
        f"```\n{PROGRAM}```\nprints\n```\n2\n```",
        f"````python\n{PROGRAM}````\n```python\nsolve(1)\n```",
        f"```py\n{PROGRAM}```\n```pycon\n>>> solve(1)\n2\n```",
        RIGHT_BLOCK + "```python\nimport unittest\nclass T(unittest.TestCase):\n    def test(self): solve(1)\n```",
    ],
)
def test_the_program_is_the_block_that_defines_what_was_asked_for(reply: str) -> None:
    assert find_program(reply, "solve") == PROGRAM


def test_without_a_function_the_program_is_the_last_block_that_runs() -> None:
    program = "n = int(input())\nprint(n + 1)\n"
    for after in ("", "Output:\n```\n2\n```", "```bash\necho 1 | python a.py\n```", "```text\n2\n```"):
        assert find_program(f"```python\n{program}```\n{after}", None) == program
        assert find_program(f"```\n{program}```\n{after}", None) == program
    assert find_program("nothing", None) is None
    assert find_program("```python\nx\n```", "solve") == "x\n"


def test_finding_the_program_takes_time_in_line_with_the_reply() -> None:
    for line in (
        "```python\n",
        '"""\n```\n',
        "```py\n" + 3 * "'" + "\n",
        "```\n",
        "'",
        '"',
        "\\",
        "~~~a\n",
        "`",
        '```python\n"""\n```\n',
    ):
        began = time.thread_time()
        find_program(line * (65_000 // len(line)), "solve")
        assert time.thread_time() - began < 1.0, line


@pytest.mark.sandbox
def test_a_tolerance_is_used_for_what_a_program_prints(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    task = {"prompt": "A third.", "kind": "stdio", "hidden": [["", "0.333333\n"]], "split": "train"}
    for tolerance, success in (({}, False), ({"tolerance": 1e-5}, True)):
        path.write_text(json.dumps({**task, **tolerance}))
        world = Coding(tasks=path, attempts=1, **PATIENT)
        world.reset(seed=0)
        assert world.step(block("print(1 / 3)"))[4]["success"] is success


@pytest.mark.sandbox
def test_what_assertions_ask_for_is_in_the_task_and_a_broken_test_is_no_zero(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    task = {
        "prompt": "Sort.",
        "kind": "assertions",
        "split": "train",
        "hidden": "a = [2, 1]\nsolve(a)\nassert a == [1, 2]",
    }
    for asked, success in (({}, False), ({"in_place": True}, True)):
        path.write_text(json.dumps({**task, **asked}))
        world = Coding(tasks=path, attempts=1, **PATIENT)
        world.reset(seed=0)
        assert world.step(block("def solve(a): a.sort()"))[4]["success"] is success
    path.write_text(json.dumps({**task, "hidden": "import nowhere_at_all\nassert solve([]) is None"}))
    world = Coding(tasks=path, attempts=1, **PATIENT)
    world.reset(seed=0)
    with pytest.raises(WorldFailure, match=r"broken_test.*nowhere_at_all"):
        world.step(block("def solve(a): a.sort()"))


TASKS: list[dict[str, Any]] = [
    {"prompt": "add", "entry": "add", "public": [[[1, 2], 3]], "hidden": [[[5, 5], 10]], "split": "train", "id": "a"},
    {"prompt": "pair", "hidden": [[[1], [1, 1]]], "split": "train", "id": "b", "tolerance": 1e-6},
    {
        "prompt": "echo",
        "kind": "stdio",
        "public": [["1\n", "1\n"]],
        "hidden": [["2\n", "2"]],
        "split": "train",
        "id": "c",
    },
    {
        "prompt": "neg",
        "kind": "assertions",
        "entry": "neg",
        "public": "assert neg(1) == -1",
        "hidden": "def check(c):\n    assert c(5) == -5",
        "split": "train",
        "id": "d",
        "oracle": "def neg(x): return -x",
    },
]
RIGHT = {
    "a": "def add(a, b): return a + b",
    "b": "def solve(x): return (x, x)",
    "c": "print(input())",
    "d": "def neg(x): return -x",
}
WRONG = {
    "a": "def add(a, b): return 3",
    "b": "def solve(x): return 2",
    "c": "print(1)",
    "d": "def neg(x): return -1",
}


@pytest.mark.sandbox
def test_tasks_of_every_kind_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(json.dumps(task) for task in TASKS))
    world = Coding(tasks=path, attempts=2, **PATIENT)
    seen: dict[str, set[float]] = {}
    for seed in range(40):
        _, info = world.reset(seed=seed)
        name = info["task"]
        program = RIGHT[name] if len(seen.get(name, ())) == 0 else WRONG[name]
        _, reward, terminated, _, _ = world.step(block(program))
        assert terminated, "a program that satisfies the examples goes to the hidden tests"
        seen.setdefault(name, set()).add(round(reward, 3))
    assert seen == {name: {1.1, 0.1} for name in "abcd"}
    with pytest.raises(UserError, match="no test task"):
        world.reset(seed=0, options={"split": "test"})


@pytest.mark.sandbox
def test_an_example_of_each_kind_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(json.dumps(task) for task in TASKS))
    world = Coding(tasks=path, attempts=2, **PATIENT)
    wanted = {
        "a": "add(1, 2) should be 3, but it is 0",
        "c": "should be '1\\n', but it printed '0\\n'",
        "d": "AssertionError",
    }
    bad = {"a": "def add(a, b): return 0", "c": "print(0)", "d": "def neg(x): return 0"}
    for seed in range(30):
        _, info = world.reset(seed=seed)
        if info["task"] in bad:
            text, _, terminated, _, _ = world.step(block(bad[info["task"]]))
            assert not terminated
            assert wanted.pop(info["task"], "") in text
    assert not wanted


@pytest.mark.sandbox
def test_a_task_whose_answers_are_many_has_a_checker(tmp_path: Path) -> None:
    check = "def check(given, expected, output): return sum(map(int, output.split())) == int(given)"
    task = {"prompt": "Split n into two parts.", "kind": "stdio", "split": "train"}
    (tmp_path / "t.jsonl").write_text(json.dumps({**task, "hidden": [["7", "3 4"]], "checker": check}))
    env = Coding(tasks=tmp_path / "t.jsonl")
    for program, reward in (("print(1, int(input()) - 1)", 1.1), ("print(1, 1)", 0.1)):
        env.reset(seed=0)
        assert env.step(f"```python\n{program}\n```")[1] == pytest.approx(reward)
    env.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hiden": []}, "Did you mean 'hidden'"),
        ({"hidden": []}, "list of tests"),
        ({"hidden": [[1, 2]]}, "list of arguments"),
        ({"hidden": [[[1]]]}, "pair"),
        ({"kind": "stdin"}, "Did you mean 'stdio'"),
        ({"kind": "assertions"}, "test code"),
        ({"kind": "stdio"}, "two strings"),
        ({"prompt": " "}, "prompt"),
        ({"entry": "2"}, "entry"),
        ({"tolerance": "much"}, "tolerance"),
        ({"split": "dev"}, "split"),
        ({"in_place": True}, "in_place means nothing for the kind function"),
        ({"kind": "assertions", "hidden": "assert add(1, 1) == 2", "public": "", "tolerance": 1e-6}, "tolerance means"),
        (
            {"kind": "assertions", "hidden": "assert add(1, 1) == 2", "public": "", "nan": 1},
            "allowed are true and false",
        ),
        ({"checker": "x"}, "checker means nothing for the kind function"),
        ({"kind": "stdio", "public": "", "hidden": [["", "1"]], "compare": "line"}, "Did you mean 'lines'"),
        ({"kind": "stdio", "public": "", "hidden": [["", "1"]], "checker": "x = 1"}, "no function check"),
        ({"kind": "stdio", "public": "", "hidden": [["", "1"]], "compare": "exact", "tolerance": 1}, "can have one"),
    ],
)
def test_a_malformed_task_is_one_clear_error(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps(TASKS[0]) + "\n" + json.dumps({**TASKS[0], **change}))
    with pytest.raises(UserError, match=r"tasks\.jsonl:2: .*" + message):
        read_tasks(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"families": ["sum_multiple"]}, "Did you mean 'sum_multiples'"),
        ({"families": "linear"}, "list"),
        ({"attempts": 0}, "attempts"),
        ({"hidden_tests": 0}, "hidden_tests"),
        ({"wall_s": 0}, "wall_s"),
        ({"tasks": "nowhere.jsonl"}, "nowhere"),
    ],
)
def test_an_option_without_sense_is_one_clear_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Coding(**options)


@pytest.mark.sandbox
def test_a_program_that_nobody_could_judge_has_no_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Coding(attempts=1, **PATIENT)
    with Judge(workers=1) as judge:
        world._judge = judge
        world.reset(seed=0)
        judge._discard(judge._idle.get())  # its sandbox is gone,
        monkeypatch.setattr(judge, "program", Program("/nonexistent/bwrap", "system"))  # and no new one can be started
        with pytest.raises(WorldFailure, match="could not be judged"):
            world.step(block("def solve(x): return 1"))
