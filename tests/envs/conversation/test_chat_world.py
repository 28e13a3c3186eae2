"""Conversations that are written down: what opens, what is said, what the world answers, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import command, write_scenario

from peripatos.agents.language.authors import Oracle
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.envs.conversation.chat_world import ChatWorld, placed_rows, read_chat, reply_in
from peripatos.envs.errors import UserError
from peripatos.envs.registry import make_world
from peripatos.envs.vocabulary import Episode
from peripatos.scenarios.export_chat import export_demonstrations

ADD = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Add 1 and 2."},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "two calls",
            "tool_calls": [
                {"id": "x", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
                {"id": "y", "type": "function", "function": {"name": "add", "arguments": {"a": 2, "b": None}}},
            ],
        },
        {"role": "tool", "content": "1", "tool_call_id": "x"},
        {"role": "tool", "content": "3", "tool_call_id": "y"},
        {"role": "assistant", "content": "3"},
        {"role": "user", "content": "Thanks"},
    ],
    "tools": [ADD],
}


def said(world: Any) -> list[Episode]:
    actor = ConversationActor(lambda: world.another() or world, Oracle(), Renderer(tiny_tokenizer()), context=4096)
    return list(actor.collect(range(1), 1, seed=0, version=0).episodes)


def test_empty_replies_are_counted_before_anybody_learns_from_them() -> None:
    rows = [{"prompt": f"q{n}", "completion": "" if n in (1, 3) else "yes"} for n in range(5)]
    assert ChatWorld(rows).remarks == (
        "row 1: a reply is empty (in 2 of 5 conversations): who learns from it learns to say nothing",
    )
    assert ChatWorld([CHAT]).remarks == ()  # calls and thoughts are something


def test_a_chat_is_said_again_and_only_what_the_assistant_says_is_learned() -> None:
    (episode,) = said(ChatWorld([CHAT]))
    assert episode.failure is None
    assert (episode.turns, episode.terminated, episode.reward) == (3, True, 0.0)
    learned = "".join(
        tiny_tokenizer().decode([token for token, chosen in zip(part["tokens"], part["mask"], strict=True) if chosen])
        for part in episode.sequences()
    )
    for text in ("Hello.", "two calls", '"a": 1', '"a": 2', "3"):
        assert text in learned
    for text in ("Be brief", "Hi", "Add 1", "Thanks"):
        assert text not in learned
    tools = [message for message in episode.messages if message["role"] == "tool"]
    assert [message.get("tool_call_id") for message in tools] == ["call00000", "call00001"]
    assert episode.messages[-1]["content"] == "3"


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        {"messages": [{"from": "Human", "value": "a"}, {"from": "GPT", "value": "b"}]},
        {"conversations": [{"from": "user", "value": "a"}, {"from": "assistant", "value": "b"}], "system": ""},
        {"messages": None, "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        {"conversations": None, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {
            "messages": [
                {"role": None, "content": None, "from": "human", "value": "a"},
                {"role": "assistant", "content": "b", "from": None, "value": None},
            ],
            "prompt": None,
            "completion": None,
        },
        {"prompt": "a", "completion": "b"},
        {"prompt": "a", "completion": "b", "messages": None, "conversations": None, "logp": None, "system": None},
        {"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {"role": "assistant", "content": "b"},
            ]
        },
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": None}]},
    ],
    ids=lambda row: str(list(row)),
)
def test_chats_of_other_forms_are_the_same_conversation(row: dict[str, Any]) -> None:
    assert read_chat("row 0", row).messages == (
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    )


def test_what_export_writes_trains_on_the_tokens_that_the_oracle_gives(tmp_path: Path) -> None:
    rows = export_demonstrations("peripatos/Store-v0", 6).rows
    (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    world = ChatWorld(tmp_path / "chats.jsonl")
    assert len(world) == len(rows) == 6
    actor = ConversationActor(world.sibling, Oracle(), Renderer(tiny_tokenizer()), context=1 << 16)
    again = actor.collect(range(6), 1, seed=3, version=0).episodes
    store = make_world("peripatos/Store-v0").unwrapped
    first = ConversationActor(
        lambda: store.another() or make_world("peripatos/Store-v0"),  # type: ignore[attr-defined]
        Oracle(),
        Renderer(tiny_tokenizer()),
        context=1 << 16,
    )
    told = {tuple(e.tokens): e.mask for e in first.collect(range(6), 1, seed=_root(), version=0).episodes}
    for episode in again:
        assert told[tuple(episode.tokens)] == episode.mask


def _root() -> int:
    from peripatos.envs.seeding import derive_seed

    return derive_seed(0, "stage", 0)


def test_replies_of_weight_0_are_read_and_not_learned() -> None:
    turns = [("one", 0), ("two", 1), ("three", 0.0), ("four", None), ("five", 0)]
    messages = [
        message
        for text, weight in turns
        for message in (
            {"role": "user", "content": f"to {text}?"},
            {"role": "assistant", "content": text.upper(), "weight": weight},
        )
    ]
    (episode,) = said(ChatWorld([{"messages": messages}]))
    assert (episode.failure, episode.turns) == (None, 2)
    tokens = list(zip(episode.tokens, episode.mask, strict=True))
    read = tiny_tokenizer().decode([token for token, _ in tokens])
    learned = tiny_tokenizer().decode([token for token, chosen in tokens if chosen])
    assert [text.upper() in read for text, _ in turns] == [True, True, True, True, False]
    assert [text.upper() in learned for text, _ in turns] == [False, True, False, True, False]
    assert [message["content"] for message in episode.messages if message["role"] == "assistant"] == [
        "ONE",
        "TWO",
        "THREE",
        "FOUR",
    ]


def test_rows_of_weight_0_are_left_out_and_counted() -> None:
    chat = {"messages": [{"role": "user", "content": "2?"}, {"role": "assistant", "content": "b"}]}
    rows = [
        {"prompt": f"{n}?", "completion": completion, "weight": weight}
        for n, (completion, weight) in enumerate([("a", 0), ([{"role": "assistant", "content": "a"}], 0.0), ("a", 1)])
    ]
    world = ChatWorld([*rows, {**chat, "weight": 0}, {**chat, "weight": 1.0}, {**chat, "weight": None}])
    assert (len(world), world.remarks) == (3, ("3 of 6 conversations have weight 0, and are left out",))
    with pytest.raises(UserError, match="there is no conversation to learn from: all 2 have weight 0"):
        ChatWorld([rows[0], {**chat, "weight": 0}])


def test_of_a_prompt_no_reply_is_learned() -> None:
    ask, shot = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "SHOT"}
    real, more = {"role": "assistant", "content": "real"}, {"role": "assistant", "content": "more"}
    for completion in ("real", [real], [real, ask, more]):
        row = {"prompt": [ask, {**shot, "weight": 1}, ask], "completion": completion, "system": "Be brief."}
        (episode,) = said(ChatWorld([row]))
        learned = [token for token, chosen in zip(episode.tokens, episode.mask, strict=True) if chosen]
        text = tiny_tokenizer().decode(learned)
        assert ("SHOT" in text, "real" in text, "more" in text) == (False, True, len(completion) == 3)
        assert "SHOT" in tiny_tokenizer().decode(episode.tokens)


@pytest.mark.parametrize("name", ["train", "training", "loss"])
def test_replies_of_which_other_trainers_say_that_they_are_not_learned_are_not(name: str) -> None:
    ask = {"role": "user", "content": "Q"}
    first, last = ({"role": "assistant", "content": text, name: text == "new"} for text in ("old", "new"))
    for shown in (first, {**first, "weight": 0}):
        chat = read_chat("row 0", {"messages": [ask, shown, ask, last]})
        assert (chat.given, chat.messages[1]) == ({1}, {"role": "assistant", "content": "old"})


def test_tokens_of_a_reply_share_how_likely_it_was_and_are_certain_where_nobody_knows() -> None:
    noted = {"role": "assistant", "content": "four", "logp": -8}
    rows = [
        {"prompt": "a", "completion": "four", "logp": -8.0},
        {"messages": [{"role": "user", "content": "a"}, noted]},
        {"prompt": "a", "completion": "four"},
    ]
    shares = []
    for row in rows:
        (episode,) = said(ChatWorld([row]))
        logps = [logp for logp, chosen in zip(episode.behavior_logp, episode.mask, strict=True) if chosen]
        assert len(set(logps)) == 1
        shares.append(sum(logps))
    assert shares == pytest.approx([-8, -8, 0])


def test_replies_keep_their_calls_and_thoughts() -> None:
    reply = reply_in(read_chat("row 0", CHAT).messages[4])
    assert reply.thought == "two calls"
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("add", {"a": 1}), ("add", {"a": 2})]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_a_thought_is_read_by_each_of_its_names(name: str) -> None:
    for extra in ({}, {"reasoning": " so"}, {"thinking": ""}, {"reasoning_content": None}):
        reply = {"role": "assistant", "content": "b", **extra, name: "so"}
        message = read_chat("row 0", _with(reply)).messages[1]
        assert message == {"role": "assistant", "content": "b", "reasoning_content": message.get("reasoning_content")}
        assert reply_in(message).thought.strip() == "so"


def test_the_older_form_of_calls_is_read_as_calls() -> None:
    ask, call = {"role": "user", "content": "a"}, {"name": "add", "arguments": '{"a": 1}'}
    for content in ("", None):
        turns = [{"role": "assistant", "content": content, "function_call": call}]
        turns += [{"role": "function", "name": "add", "content": "1"}, {"role": "assistant", "content": "It is 1."}]
        chat = read_chat("row 0", {"messages": [ask, *turns], "functions": [ADD]})
        assert [message["role"] for message in chat.messages] == ["user", "assistant", "tool", "assistant"]
        assert [(one.name, one.arguments) for one in reply_in(chat.messages[1]).tool_calls] == [("add", {"a": 1})]
        assert [tool["function"]["name"] for tool in chat.tools] == ["add"]


@pytest.mark.parametrize("begun", [[], [{"from": "system", "value": "Be brief."}]])
def test_a_column_for_the_system_is_the_first_message(begun: list[Any]) -> None:
    row = {"conversations": [*begun, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    for system in ("Be brief.", *(["Be brief.\n", "", None] if begun else [])):
        read = read_chat("row 0", {"system": system, **row})
        assert [one["content"] for one in read.messages] == ["Be brief.", "a", "b"]


@pytest.mark.parametrize(
    "row",
    [
        CHAT,
        {"messages": CHAT["messages"]},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "id": 1},
        {"prompt": "a", "completion": "b", "tools": [ADD]},
    ],
)
def test_one_chat_may_be_the_one_object_of_a_file(tmp_path: Path, row: dict[str, Any]) -> None:
    (tmp_path / "one.json").write_text(json.dumps(row, indent=2))
    assert placed_rows(tmp_path / "one.json", None) == [(f"{tmp_path}/one.json, row 0", row)]
    assert len(ChatWorld(tmp_path / "one.json")) == 1
    (tmp_path / "all.json").write_text(json.dumps({"data": [{**row, "role": "nurse"}] * 2}))
    assert len(ChatWorld(tmp_path / "all.json")) == 2


def test_what_a_table_fills_with_null_is_no_part_of_a_tool_or_a_call(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    city = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Rome"]}}, "required": ["city"]}
    add = {"type": "object", "properties": {"x": {"type": "object", "properties": {"n": {"type": "integer"}}}}}
    asked = {"weather": (city, {"city": "Rome"}), "add": (add, {"x": {"n": 1}}), "sub": (add, {"x": {"m": 2}})}
    rows = [
        {
            "messages": [
                {"role": "user", "content": "a", "tool_calls": None},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"function": {"name": name, "arguments": arguments}}],
                },
            ],
            "tools": [{"type": "function", "function": {"name": name, "parameters": parameters}}],
        }
        for name, (parameters, arguments) in asked.items()
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "chats.parquet")
    read = [read_chat(place, row) for place, row in placed_rows(tmp_path / "chats.parquet", None)]
    assert [list(chat.tools) for chat in read] == [row["tools"] for row in rows]
    assert [reply_in(chat.messages[1]).tool_calls[0].arguments for chat in read] == [a for _, a in asked.values()]
    may_be_null = {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}
    tool = {"name": "add", "parameters": {"properties": {"a": may_be_null}}}
    assert read_chat("row 0", {**CHAT, "tools": [tool]}).tools[0]["function"] == tool


@pytest.mark.parametrize("name", ["log", "logs", "logo", "blog", "loop", "slop", "login", "logpath", "logic", "clog"])
def test_a_column_of_another_meaning_is_no_likelihood(name: str) -> None:
    assert len(read_chat("row 0", {"prompt": "a", "completion": "b", name: "x"}).messages) == 2


@pytest.mark.parametrize("name", ["score", "source", "labelled_by", "category", "preferences_file"])
def test_a_column_of_another_meaning_is_no_label(name: str) -> None:
    assert len(read_chat("row 0", {"prompt": "a", "completion": "b", name: "x", "label": None}).messages) == 2


def _with(message: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "a"}, message]}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"message": []}, r"row 7 has no list of messages; it has 'message'\. Give .* Did you mean 'message'\?"),
        (
            {"conversation": []},
            r"it has 'conversation'\. Give its messages as 'messages' or 'conversations' \(ShareGPT",
        ),
        ({"instruction": "a", "output": "b"}, "or two texts, 'prompt' and 'completion'"),
        (_with({"from": "function_call", "value": "x"}), "unknown role 'function_call'; .*; of ShareGPT human and gpt"),
        (
            _with({"from": "gpt", "text": "x"}),
            r"it has 'from', 'text', and a message is .*\{\"from\": \"human\", \"value\"",
        ),
        (
            {"messages": None, "prompt": None, "completion": "b"},
            r"row 7 has no list of messages; it has 'completion'\. Give",
        ),
        ({"messages": []}, "row 7 has no list of messages"),
        ({"messages": "text"}, "row 7: its messages are"),
        ("text", "row 7: a conversation is a mapping with messages, not the text 'text'"),
        (5, "row 7: a conversation is a mapping with messages, not 5"),
        (_with({"role": "user", "content": "b"}), "row 7: nobody replies in this conversation"),
        ({"messages": [{"role": "assistant", "content": "b"}]}, "row 7: this conversation begins with a reply"),
        (_with({"role": "asistant", "content": "b"}), r"row 7, message 1: unknown role 'asistant'.*'assistant'\?"),
        (_with({"role": "assistant", "content": 3}), "row 7, message 1: its content is 3"),
        (_with({"role": "assistant", "content": None}), "row 7, message 1: its content is None"),
        (_with({"role": "assistant", "tool_calls": "add"}), "row 7, message 1: tool_calls are 'add'"),
        (_with({"role": "assistant", "tool_calls": [{"a": 1}]}), r"message 1, call 0 is \{'a': 1\}; a call is"),
        (
            _with({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}),
            r"message 1, call 0: its arguments are no JSON: '\{'",
        ),
        (
            _with({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": [1]}}]}),
            r"message 1, call 0: its arguments are \[1\]",
        ),
        (
            _with({"role": "assistant", "content": "b", "logp": 0.5}),
            "message 1: its logp is 0.5; allowed is a number",
        ),
        (_with({"role": "assistant", "content": "b", "logp": [-1]}), r"message 1: its logp is \[-1\]"),
        ({"prompt": "a", "completion": "b", "logp": True}, "row 7, message 1: its logp is True"),
        *(
            (_with({"role": "assistant", "content": "b", name: -1.0}), f"message 1 has '{name}'.* its 'logp'")
            for name in ("logprob", "log_p", "Logp", "log_probs", "lopg", "log_probability", "logps", "logprobs")
        ),
        (_with({"from": "gpt", "value": "b", "logprob": -1.0}), "message 1 has 'logprob'.* its 'logp'"),
        ({"prompt": "a", "completion": "b", "log-p": -1.0}, "row 7 has 'log-p'.* its 'logp'"),
        *(
            (
                _with({"role": "assistant", "content": "b", "weight": weight}),
                "message 1: its weight is .*; allowed are 1",
            )
            for weight in (0.5, 2, -1, True, "0", [])
        ),
        (_with({"role": "assistant", "content": "b", "weight": 0}), "row 7: each reply .* has weight 0"),
        *(
            ({**row, "weight": weight}, "row 7: its weight is .*; allowed are 1")
            for row in (CHAT, {"prompt": "a", "completion": "b"})
            for weight in (0.1, 2, -1, True, "0")
        ),
        *(
            ({**row, name: False}, f"row 7 has '{name}', which nobody reads: what a row replies is imitated")
            for row in (CHAT, {"prompt": "a", "completion": "b"})
            for name in ("label", "Labels", "kto_tag", "is_desirable", "preference")
        ),
        (
            {"prompt": [*CHAT["messages"][:3]], "completion": [CHAT["messages"][3]]},
            "row 7: nobody replies in this completion",
        ),
        (
            _with({"role": "assistant", "content": "b", "reasoning": "x", "thinking": "y"}),
            "message 1 has 'reasoning' and 'thinking', which differ",
        ),
        (
            _with({"role": "assistant", "content": "b", "thinking": ["x"]}),
            r"message 1: its thinking is \['x'\]; allowed",
        ),
        (
            _with({"role": "assistant", "function_call": {"name": "f"}, "tool_calls": [{"function": {"name": "g"}}]}),
            "message 1 has 'tool_calls' and 'function_call', their older form",
        ),
        (_with({"role": "assistant", "function_call": "f"}), "message 1, call 0 is .*'f'.*; a call is"),
        (_with({"role": "assistant", "content": "b", "train": 0.5}), "message 1: its train is 0.5; allowed are true"),
        (
            _with({"role": "assistant", "content": "b", "train": False, "weight": 1}),
            "message 1: its train is false, and its weight 1; leave one out",
        ),
        ({**CHAT, "system": "Be long."}, "row 7 begins with a system message, and its column 'system' gives another"),
        ({**CHAT, "system": ["x"]}, r"row 7: 'system' is \['x'\] \(a list\); allowed is text, the first message"),
        ({**CHAT, "split": "tests"}, "row 7: unknown split 'tests'; .* Did you mean 'test'"),
        ({**CHAT, "logp": -1.0}, "row 7: logp stands beside a completion that is a text"),
        ({**CHAT, "tools": "no"}, "row 7: tools are no JSON: 'no'"),
        ({**CHAT, "tools": [{"description": "x"}]}, "row 7: a tool is .*, which has no name"),
    ],
)
def test_what_is_no_conversation_is_refused_with_its_row(row: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_chat("row 7", row)


def test_what_says_that_it_is_for_testing_is_held_out_and_counted() -> None:
    splits = ["train", "test", None, "validation", "test"]
    rows = [{"prompt": f"{n}?", "completion": "a", "split": split} for n, split in enumerate(splits)]
    world = ChatWorld(rows)
    asked = {world.reset(seed=0, options={"split": "train", "run": 0, "group": g})[0] for g in range(len(world))}
    assert asked == {"0?", "2?"}
    assert world.remarks == ('3 of 5 conversations say "split": "test" or "validation", and are held out',)
    with pytest.raises(UserError, match=r'all 2 conversations say "split": "test" or "validation".*FILE:test'):
        ChatWorld([rows[1], rows[3]])
    assert len(ChatWorld(rows, split="test")) == 2  # who names a split has chosen it


SCENARIO = """\
name: chats
world: {id: peripatos/ToolMaths-v0, options: {digits: 1}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
stages:
  - name: imitate
    method: sft
    demonstrations: {chats: FILE}
    collect: {groups: 8}
    optimizer: {lr: 1e-2}
    budget: {updates: 12}
evaluation: {episodes: 1}
"""


def test_a_scenario_learns_from_chats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = export_demonstrations("peripatos/ToolMaths-v0", 12, sets=["world.options.digits=1"]).rows
    (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = write_scenario(tmp_path, SCENARIO.replace("FILE", str(tmp_path / "chats.jsonl")))
    assert command("run", path, "--out", tmp_path / "run") == 0
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert metrics[-1]["policy/logp"] > metrics[0]["policy/logp"] + 0.3
    for change, words in (
        ("stages.imitate.demonstrations.chats=nothing.jsonl", "there is no such file"),
        (
            "stages.imitate.demonstrations.agent.kind=oracle",
            "have one of agent, chats, pairs and text, and here are agent and chats",
        ),
    ):
        assert command("run", path, "--dry-run", "--set", change) == 2
        assert words in capsys.readouterr().err
