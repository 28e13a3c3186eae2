"""Thoughts: a field of the reply in every world, known also where the prompt opened them, and never obeyed."""

from __future__ import annotations

import pytest
from agents_worlds import Echo
from hostile_texts import hostile_texts, seconds
from model_templates import FAMILIES

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.talk import Talk
from peripatos.envs.thoughts import MARKS, split_thought
from peripatos.envs.tools.call_formats import reply_format
from peripatos.envs.vocabulary import Reply, StopReason

CALL = '<tool_call>{"name": "pay", "arguments": {"sum": 9}}</tool_call>'
XML = "<tool_call>\n<function=pay>\n<parameter=sum>\n9\n</parameter>\n</function>\n</tool_call>"
THINK = MARKS[0]


@pytest.mark.parametrize(
    ("text", "opened", "thought", "said"),
    [
        ("<think>\na\n</think>\n\n42", None, "a", "42"),
        ("a\n</think>\n\n42", THINK, "a", "42"),
        ("a</think>42", None, "a", "42"),
        ("a " + CALL, THINK, "a " + CALL, ""),
        ("<think>a " + CALL, None, "a " + CALL, ""),
        ("42", None, "", "42"),
        ("", THINK, "", ""),
        ("  42 \n", None, "", "  42 \n"),
        ("<think></think>42", None, "", "42"),
        ("[THINK]a[/THINK]42", None, "a", "42"),
        ("<|channel>thought\na\n<channel|>42", None, "a", "42"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>42", None, "a", "42"),
        ("<|channel|>analysis<|message|>a " + CALL, None, "a " + CALL, ""),
        ("<|channel|>final<|message|>42", None, "", "42"),
        ("<think>a</think>x<think>b</think>42", None, "axb", "42"),
        ("<think>a</think>42<think>b", None, "ab", "42"),
    ],
)
def test_a_thought_is_told_from_speech(text: str, opened: tuple[str, str] | None, thought: str, said: str) -> None:
    found, spoken = split_thought(text, opened=opened)
    assert (found.strip(), spoken) == (thought, said)


@pytest.mark.parametrize("before", ["", "<|channel|>final<|message|>hi<|end|>", "<|channel|>", "<think>"])
def test_no_long_text_takes_more_than_a_moment(before: str) -> None:
    for unit, text in hostile_texts(65_536, before):
        assert seconds(split_thought, text) < 2, unit


def reply_of(name: str, text: str, *, stopped: bool = True) -> tuple[Reply, Talk]:
    renderer = Renderer(FAMILIES[name].tokenizer(), today="2026-02-03")
    talk = Talk(renderer, reply_format(renderer.reply_format or "hermes").parse)
    talk.begin([{"role": "user", "content": "?"}], [])
    ids = renderer.encode_reply(text)
    return talk.take(ids if stopped else ids[:-1], StopReason.STOP if stopped else StopReason.LENGTH), talk


@pytest.mark.parametrize(
    ("name", "call"), [("Qwen3.5", XML), ("Qwen3.5", CALL), ("R1-distill", CALL), ("DeepSeek-V3", CALL)]
)
def test_a_reply_that_is_cut_in_a_thought_which_the_prompt_opened_says_and_calls_nothing(name: str, call: str) -> None:
    reply, talk = reply_of(name, f"I could {call}", stopped=False)
    assert (reply.text, reply.tool_calls, reply.parse_error) == ("", (), None)
    assert reply.thought == f"I could {call}"
    assert talk.messages[-1]["content"] == ""


def test_a_thought_which_the_prompt_opened_ends_where_its_mark_stands() -> None:
    reply, _ = reply_of("Qwen3.5", f"I could {XML}\n</think>\n\nNo.")
    assert (reply.text, reply.tool_calls, reply.thought) == ("No.", (), f"I could {XML}")
    called, _ = reply_of("Qwen3.5", f"I will\n</think>\n\n{XML}")
    assert [(call.name, call.arguments) for call in called.tool_calls] == [("pay", {"sum": 9})]


def test_a_prompt_that_closes_its_thought_opens_none() -> None:
    renderer = Renderer(FAMILIES["Qwen3"].tokenizer(), variables={"enable_thinking": False})
    prompt = renderer.prompt([{"role": "user", "content": "?"}])
    assert prompt.endswith("<think>\n\n</think>\n\n")
    assert renderer.opened(prompt) is None


@pytest.mark.parametrize("name", ["Qwen3.5", "R1-distill", "gpt-oss"])
def test_a_demonstration_is_speech_also_where_a_prompt_opens_a_thought_or_a_channel(name: str) -> None:
    renderer = Renderer(FAMILIES[name].tokenizer(), today="2026-02-03")
    talk = Talk(renderer, Reply)
    talk.begin([{"role": "user", "content": "?"}], [])
    assert talk.take(talk.write("42"), StopReason.STOP).text == "42"


def test_a_world_that_is_given_text_takes_the_thought_out_of_it() -> None:
    world = Echo()
    world.reset(seed=0)
    assert world.step("<think>long and winding</think>42")[4]["reward_terms"] == {"length": 0.2}
    assert world.step("42")[4]["reward_terms"] == {"length": 0.2}
