"""Four-turn conversations with the chat templates of well-known models: with tools (a call, a call, two calls, an
answer) and with a user. Every prompt is the template's own rendering, no row ends without need, and every reply is
trained once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from agents_engines import Told
from model_templates import FAMILIES, Family

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.protocols import Distribution, Sampling
from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.tools import ToolWorld
from peripatos.envs.tools.call_formats import reply_format
from peripatos.envs.vocabulary import Reply, ToolCall

TODAY = "2026-02-03"
ASKED = "Light the hall."


class Tools:
    def __init__(self, task: object) -> None: ...

    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    def shout(self, word: str) -> str:
        """Say a word louder."""
        return word.upper()


CALLS = (
    (ToolCall("add", {"a": 1, "b": 2}),),
    (ToolCall("shout", {"word": "hey"}),),
    (ToolCall("add", {"a": 2, "b": 3}), ToolCall("shout", {"word": "12"})),
    (),
)


class User(ConversationEnv):
    weights = {"words": 1.0}  # noqa: RUF012
    max_turns = 4

    def opening(self, rng: object, split: object) -> str:
        self.heard: list[Reply] = []
        return ASKED

    def respond(self, reply: Reply) -> Outcome:
        self.heard.append(reply)
        return Outcome(f"more {len(self.heard)}", terms={"words": 1.0})


@dataclass
class Played:
    """One conversation: what the model saw and said, and the same as messages that a template takes."""

    family: Family
    with_tools: bool
    renderer: Renderer = field(init=False)
    said: list[list[int]] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    structured: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tokenizer = self.family.tokenizer()
        self.renderer = Renderer(self.tokenizer, today=TODAY)
        self.engine = Told(self._say, self.renderer.stop_id)
        self.engine.sampling = Sampling(Distribution(), frozenset(self.renderer.stop_ids))
        self.worlds: list[ConversationEnv] = []
        actor = ConversationActor(self._world, self.engine, self.renderer, context=100_000)
        collection = actor.collect([0], 1, seed=0, version=0)
        assert collection.batch is not None
        self.batch, self.episode = collection.batch, collection.episodes[0]
        assert self.episode.failure is None

    def _world(self) -> ConversationEnv:
        tasks = [{"prompt": f"{ASKED} {n}"} for n in range(4)]
        shown = self.renderer.habits.tools
        options: dict[str, Any] = {"timeout": None, "tools_in_prompt": not shown}
        world = ToolWorld(tasks, Tools, lambda host, task, reply: True, **options) if self.with_tools else User()
        self.worlds.append(world)
        return world

    def calls(self, turn: int) -> Sequence[ToolCall]:
        """What is called in a turn."""
        return (CALLS[turn] if self.family.several else CALLS[turn][:1]) if self.with_tools else ()

    def _say(self, turn: int) -> list[int]:
        prompt = str(self.tokenizer.decode(self.engine.seen[-1]))
        self.prompts.append(prompt)
        number = sum(len(self.calls(before)) for before in range(turn))
        calls = [
            ToolCall(call.name, call.arguments, f"call{number + n:05d}" if self.family.format == "mistral" else "")
            for n, call in enumerate(self.calls(turn))
        ]
        thought = self.family.thought.format(f"because {turn}")
        if prompt.rstrip().endswith("<think>"):
            thought = thought.removeprefix("<think>\n")
        form = reply_format(self.renderer.reply_format or "hermes")
        words = f"said {turn}" if not calls else ""
        spoken = form.write(words, calls) if calls or self.family.format == "harmony" else words
        stop = (self.family.call_stop if calls else None) or self.family.stop
        ids = list(self.tokenizer(thought + spoken + stop, add_special_tokens=False)["input_ids"])
        self.said.append(ids)
        return ids

    def row(self, b: int) -> list[int]:
        return self.batch.inputs["tokens_B_T"][b, : int(self.batch.inputs["length_B"][b])].tolist()

    def rendered(self, turn: int) -> str:
        """The template's own rendering of the conversation up to the reply of a turn, from structured messages."""
        replies = [n for n, message in enumerate(self.episode.messages) if message["role"] == "assistant"]
        messages: list[dict[str, Any]] = []
        for message in self.episode.messages[: replies[turn]]:
            messages.append(self._structured(dict(message), messages))
        messages = [
            {key: value for key, value in message.items() if key != "joined"} for message in messages if message
        ]
        tools = None
        if self.with_tools and self.renderer.habits.tools:
            tools = self.worlds[0].reset(seed=0)[1]["tools"]
        text = self.tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=True, tokenize=False)
        return str(text)

    def _structured(self, message: dict[str, Any], before: list[dict[str, Any]]) -> dict[str, Any]:
        written = message.pop("written", message["content"])
        if message["role"] == "assistant" and message.get("tool_calls") and self.family.format is None:
            inline = written if self.family.file == "smollm3" else written.rpartition("</think>")[2].lstrip()
            return {"role": "assistant", "content": inline}
        if message["role"] == "assistant" and self.family.file == "smollm3":
            return {"role": "assistant", "content": written}
        if message.get("tool_calls") and self.family.format == "deepseek":
            made = [call["function"] for call in message["tool_calls"]]
            texts = [{**function, "arguments": json.dumps(function["arguments"])} for function in made]
            message["tool_calls"] = [
                {**call, "function": text} for call, text in zip(message["tool_calls"], texts, strict=True)
            ]
        if message["role"] == "tool" and not self.family.tool_role:
            words = f"{message['name']}: {message['content']}"
            if before[-1].get("joined"):
                before[-1]["content"] += "\n" + words
                return {}
            return {"role": "user", "content": words, "joined": True}
        return message


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.mark.parametrize("with_tools", [True, False], ids=["tools", "user"])
def test_a_conversation_is_exact_in_every_token(
    family: Family, with_tools: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stop_the_clock(monkeypatch)
    played = Played(family, with_tools)
    episode, rows = played.episode, [played.row(b) for b in range(len(played.batch.mask_B_T))]
    assert episode.turns == len(played.said) == 4
    for turn, (prompt, seen, reply) in enumerate(zip(played.prompts, played.engine.seen, played.said, strict=True)):
        assert prompt == played.rendered(turn)
        assert any(row[: len(seen) + len(reply)] == [*seen, *reply] for row in rows)
    assert len(rows) == family.rows[not with_tools]
    assert int(played.batch.mask_B_T.sum()) == sum(map(len, played.said))
    replies = [message for message in episode.messages if message["role"] == "assistant"]
    for turn, message in enumerate(replies):
        made = [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls", [])]
        assert made == [(call.name, call.arguments) for call in played.calls(turn)]
        assert message.get("reasoning_content", "") == (f"because {turn}" if family.thought else "")
        assert message["content"] == ("" if made else f"said {turn}")
    if not with_tools:
        assert [reply.text for reply in played.worlds[0].heard] == [f"said {n}" for n in range(4)]  # type: ignore[attr-defined]
        assert {reply.thought != "" for reply in played.worlds[0].heard} == {bool(family.thought)}  # type: ignore[attr-defined]


def test_what_ends_a_reply_and_how_calls_are_written_is_found(family: Family) -> None:
    tokenizer = family.tokenizer()
    renderer = Renderer(tokenizer)
    assert tokenizer.convert_ids_to_tokens(renderer.stop_id) == family.stop
    assert tokenizer.convert_ids_to_tokens(renderer.call_stop_id) == (family.call_stop or family.stop)
    assert tokenizer.eos_token_id in renderer.stop_ids
    assert renderer.habits.calls == (family.format is not None)
    if family.format is not None:
        assert renderer.reply_format == family.format


def _stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers, asked directly, tells templates the day that the renderer was told."""
    from datetime import datetime

    from transformers.utils import chat_template_utils

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.fromisoformat(TODAY)

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
