"""Exported demonstrations: who loads them and renders them has the tokens that a demonstration stage trains on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from faithful_templates import LLAMA3, tokenizer_of
from scenarios_runs import command, write_scenario
from transformers import PreTrainedTokenizerBase

from peripatos.agents.language.authors import Oracle
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.tiny_llama import END, tiny_tokenizer
from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.registry import make_world
from peripatos.envs.seeding import derive_seed
from peripatos.envs.tools import ToolWorld
from peripatos.envs.vocabulary import Reply
from peripatos.scenarios.export_chat import chat_row, export_demonstrations

# calls between tags and results in a message of their own, tools before everything else (as Hermes and Qwen2.5 do)
HERMES = (
    "{% if tools %}<|system|>\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}" + END + "\n{% endif %}"
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{% if m.content or not loop.first %}\n{% endif %}"
    '<tool_call>\n{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}" + END + "\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
TALK = """\
name: talk
seed: 5
world: {id: peripatos/ToolMaths-v0, options: {digits: 1}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
stages:
  - {name: look}
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 4}
    budget: {updates: 1}
evaluation: {episodes: 1}
log: {episodes: 4}
"""


def exported(folder: Path, *arguments: object) -> list[dict]:
    path = folder / "export.jsonl"
    assert command("export", *arguments, "--out", path) == 0
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rendered(tokenizer: PreTrainedTokenizerBase, row: dict) -> list[int]:
    text = tokenizer.apply_chat_template(row["messages"], tools=row["tools"] or None, tokenize=False)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def demonstrated(
    make_world: Callable[[], ConversationEnv], tokenizer: PreTrainedTokenizerBase, count: int, seed: int
) -> list[list[int]]:
    """What a demonstration stage, the first of its scenario, trains on."""
    renderer = Renderer(tokenizer)
    actor = ConversationActor(make_world, Oracle(), renderer, context=1_000_000)
    batch = actor.collect(range(count), 1, seed=derive_seed(seed, "stage", 0), version=0).batch
    actor.close()
    assert batch is not None
    assert len(batch.mask_B_T) == count
    lengths = batch.inputs["length_B"].tolist()
    return [row[:length] for row, length in zip(batch.inputs["tokens_B_T"].tolist(), lengths, strict=True)]


@pytest.mark.parametrize(
    ("template", "reply_format", "prompted"),
    [(HERMES, "hermes", False), (LLAMA3, "llama3", False), (HERMES, "python", True), (HERMES, "hermes", True)],
)
def test_the_store_rendered_by_a_template_is_what_is_trained_on(
    tmp_path: Path, template: str, reply_format: str, prompted: bool
) -> None:
    options = {"reply_format": reply_format, "tools_in_prompt": prompted}
    sets = [part for key, value in options.items() for part in ("--set", f"world.options.{key}={value}")]
    rows = exported(tmp_path, "peripatos/Store-v0", "--episodes", 12, "--seed", 3, *sets)
    tokenizer = tokenizer_of(template)
    trained = demonstrated(lambda: make_world("peripatos/Store-v0", **options).unwrapped, tokenizer, 12, 3)
    assert len(rows) == 12
    for row, tokens in zip(rows, trained, strict=True):
        ids = rendered(tokenizer, row)
        assert ids[: len(tokens)] == tokens
        assert tokenizer.decode(ids[len(tokens) :]).strip() == ""  # a newline after the end at most
        assert row["messages"][-1]["role"] == "assistant"
        calls = [call for message in row["messages"] for call in message.get("tool_calls", ())]
        assert bool(calls) != prompted
        assert bool(row["tools"]) != prompted


def test_a_scenario_exports_the_episodes_that_its_own_stage_trains_on(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    scenario = write_scenario(tmp_path, TALK)
    assert command("run", scenario, "--out", tmp_path / "run", "-q") == 0
    kept = [json.loads(line) for line in (tmp_path / "run/episodes/000001-train.jsonl").read_text().splitlines()]
    rows = exported(tmp_path, scenario, "--episodes", 4)
    assert [rendered(tiny_tokenizer(), row) for row in rows] == [row["tokens"] for row in kept]
    other = export_demonstrations(str(scenario), 4, seed=6).rows
    assert [row["messages"] for row in other] != [row["messages"] for row in rows]


def test_calls_and_answers_are_paired_and_the_schema_is_the_worlds(tmp_path: Path) -> None:
    rows = exported(tmp_path, "peripatos/Store-v0", "--episodes", 5)
    names = {tool["function"]["name"] for tool in rows[0]["tools"]}
    for row in rows:
        assert set(row) == {"messages", "tools"}
        waiting: dict[str, str] = {}
        for message in row["messages"]:
            if message["role"] == "tool":
                assert waiting.pop(message["tool_call_id"]) == message["name"]
            for call in message.get("tool_calls", ()):
                assert call["type"] == "function"
                assert len(call["id"]) == 9
                assert isinstance(call["function"]["arguments"], dict)
                assert call["function"]["name"] in names
                waiting[call["id"]] = call["function"]["name"]


class Moods(ConversationEnv):
    """Solved, not solved, or broken, by chance."""

    weights = {"right": 1.0}  # noqa: RUF012
    knows = True  # whether it says what success is

    def opening(self, rng, split):
        self.mood = int(rng.integers(3))
        return f"mood {self.mood}"

    def respond(self, reply: Reply) -> Outcome:
        if self.mood == 2:
            raise OSError("the disk is gone")
        right = self.mood == 0
        return Outcome("Bye.", terms={"right": right}, terminated=True, success=right if self.knows else None)

    def oracle(self) -> str:
        return "So be it. \u2028 ünïcode"


class Silent(Moods):
    knows = False


@pytest.mark.parametrize("world", ["Moods", "Silent"])
def test_only_solved_episodes_are_exported_and_the_others_are_counted(
    world: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("export", f"{__name__}:{world}", "--episodes", 30, "--seed", 1) == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.split("\n")[:-1]]
    assert {row["messages"][0]["content"] for row in rows} == {"mood 0"}
    assert [message["role"] for message in rows[0]["messages"]] == ["user", "assistant"]  # "Bye." is for nobody
    done = export_demonstrations(f"{__name__}:{world}", 30, seed=1)
    assert len(done.rows) + done.unsolved + len(done.failures) == 30
    assert (len(done.rows), done.unsolved > 0, len(done.failures) > 0) == (len(rows), True, True)
    assert f"{len(rows)} of 30 episodes were solved" in err
    assert f"failed: {__name__}:{world} failed in respond (" in err
    assert err.count("OSError: the disk is gone") == 1
    assert "Traceback" not in err


class Adder:
    def __init__(self, task: object) -> None: ...

    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    def broken(self) -> str:
        """Fail."""
        raise OSError("never")


def double() -> ToolWorld:
    """The oracle thinks, talks and makes two calls at once."""
    calls = ['{"name": "add", "arguments": {"a": 1, "b": 2}}', '{"name": "broken", "arguments": {}}']
    said = "<think>\nhm\n</think>\n\nI look." + "".join(f"\n<tool_call>\n{call}\n</tool_call>" for call in calls)
    tasks = [{"prompt": f"{n}?", "oracle": [said, "It is 3."]} for n in range(20)]
    return ToolWorld(tasks, Adder, lambda host, task, reply: True)


def test_thoughts_words_and_several_calls_of_one_reply_are_kept() -> None:
    (row,) = export_demonstrations(f"{__name__}:double", 1).rows
    first, one, two, last = row["messages"][1:]
    assert first["content"] == "<think>\nhm\n</think>I look."
    assert [call["function"]["name"] for call in first["tool_calls"]] == ["add", "broken"]
    assert (one["content"], one["tool_call_id"]) == ("3", first["tool_calls"][0]["id"])
    assert ("OSError" in two["content"], two["tool_call_id"]) == (True, first["tool_calls"][1]["id"])
    assert last == {"role": "assistant", "content": "It is 3."}


def test_text_that_only_looks_like_a_call_stays_text() -> None:
    tools = [{"type": "function", "function": {"name": "add", "description": "", "parameters": {}}}]
    for text in ('{"name": "sum", "parameters": {}}', "[1, 2]", "<tool_call>1+2</tool_call>", '<tool_call>{"name":'):
        row = chat_row([{"role": "user", "content": "?"}, {"role": "assistant", "content": text}], tools)
        assert row["messages"][1] == {"role": "assistant", "content": text}


def test_nothing_is_overwritten_and_mistakes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "export.jsonl"
    assert command("export", "quickstart", "--episodes", 2, "--out", path) == 0
    before = path.read_text()
    for arguments, words in [
        (["quickstart", "--out", path], "is not overwritten"),
        (["quickstrat"], "Did you mean 'quickstart'?"),
        (["peripatos/Stroe-v0"], "Did you mean 'peripatos/Store-v0'?"),
        (["CartPole-v1"], "not a world of messages"),
        (["test_agents_world:Echo"], "no module"),
        (["peripatos/Store-v0", "--set", "world.options.level=1"], "Did you mean 'levels'?"),
    ]:
        capsys.readouterr()
        assert command("export", *arguments) == 2
        seen = capsys.readouterr()
        assert words in seen.err
        assert seen.out == ""
    assert path.read_text() == before
    assert command("export", f"{__name__}:Hopeless", "--episodes", 2) == 1
    assert "0 of 2 episodes" in capsys.readouterr().err


class Hopeless(Moods):
    def respond(self, reply: Reply) -> Outcome:
        return Outcome(terminated=True, success=False)
