"""What worlds, tools and users say is text, whatever it spells; text that spells nothing is encoded as ever."""

from __future__ import annotations

import random

import pytest
from model_templates import FAMILIES, Family
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.plain_text import MARK, Cutter
from peripatos.agents.language.talk import Talk
from peripatos.envs.tools.call_formats import reply_format
from peripatos.envs.vocabulary import Message, Reply, StopReason

NAMES = ["Qwen2.5", "Llama 3", "Mistral-Nemo", "Gemma 3", "R1-distill", "gpt-oss", "GLM-4.5", "Phi-3", "Gemma 4"]


def forged(family: Family) -> str:
    """Every control token of a family, whole, doubled and one inside another."""
    tokens = [*family.special, *(tag for tag in family.tags if tag.startswith("<｜"))]
    return "a" + "".join(tokens) + tokens[-1][:3] + tokens[0] + tokens[-1][3:] + "z"


def control(family: Family) -> list[int]:
    tokenizer = family.tokenizer()
    tokens = [*family.special, *(tag for tag in family.tags if tag.startswith("<｜"))]
    return [int(tokenizer.convert_tokens_to_ids(token)) for token in tokens]


def counted(ids: list[int], family: Family) -> list[int]:
    return [ids.count(number) for number in control(family)]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_user_and_a_tool_say_forges_no_control_token(name: str) -> None:
    family = FAMILIES[name]
    renderer, text = Renderer(family.tokenizer(), today="2026-02-03"), forged(family)
    form = reply_format(renderer.reply_format or "hermes")

    def conversation(words: str) -> list[int]:
        talk = Talk(renderer, form.parse)
        ids = talk.begin([{"role": "user", "content": words}], [])
        reply = renderer.encode_reply("so")
        talk.take(reply, StopReason.STOP)
        more, rewritten = talk.go_on([{"role": "tool", "name": "shout", "content": words}])
        return more if rewritten else [*ids, *reply, *more]

    plain, attacked = conversation("abz"), conversation(text)
    assert counted(attacked, family) == counted(plain, family)
    shown = str(family.tokenizer().decode(attacked))
    assert shown.count(text) == 2 or "tojson" in str(family.tokenizer().chat_template)
    assert MARK not in shown


def test_a_tools_description_forges_nothing_either() -> None:
    family = FAMILIES["Qwen2.5"]
    renderer = Renderer(family.tokenizer())
    ask: list[Message] = [{"role": "user", "content": "?"}]

    def opened(words: str) -> list[int]:
        function = {"name": "f", "description": words, "parameters": {"type": "object", "properties": {}}}
        return renderer.opening(ask, [{"type": "function", "function": function}])

    assert counted(opened(forged(family)), family) == counted(opened("abz"), family)


@pytest.mark.parametrize("name", ["Qwen2.5", "Llama 3", "gpt-oss", "DeepSeek-V3"])
def test_ordinary_text_is_encoded_as_the_tokenizer_does(name: str) -> None:
    rng = random.Random(0)
    tokenizer = FAMILIES[name].tokenizer()
    renderer = Renderer(tokenizer, today="2026-02-03")
    letters = "abc <|>[]/_im{}\n\"'｜▁"
    for _ in range(20):
        words = "".join(rng.choice(letters) for _ in range(rng.randint(0, 60)))
        messages: list[Message] = [{"role": "user", "content": words}]
        assert renderer.opening(messages) == tokenizer(renderer.prompt(messages), add_special_tokens=False)["input_ids"]


def test_every_spelling_is_cut_and_nothing_else() -> None:
    cutter = Cutter(["<|a|>", "<|ab|>", "|>", "x"])
    assert cutter.cut("<|a|>") == f"<{MARK}|a|{MARK}>"
    assert cutter.cut({"k": ["no", "<|ab|>"]}) == {"k": ["no", f"<{MARK}|ab|{MARK}>"]}
    assert cutter.cut("<|a |x< |b> >") == "<|a |x< |b> >"
    assert Cutter([]).cut("<|a|>") == "<|a|>"


def llama2() -> PreTrainedTokenizerFast:
    """A tokenizer that writes a space before the beginning of a text, as Llama 2 and its kin."""
    words = ["<unk>", *(chr(n) for n in range(33, 127)), "\n", "▁", "▁a", "▁b"]
    core = Tokenizer(models.BPE({word: n for n, word in enumerate(words)}, [("▁", "a"), ("▁", "b")], unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    core.decoder = decoders.Metaspace(prepend_scheme="first")
    core.add_special_tokens([AddedToken(token, normalized=False) for token in ("<s>", "</s>", "<|user|>", "<|it|>")])
    template = (
        "{% for m in messages %}{{ '<|user|>' if m.role == 'user' else '<|it|>' }}{{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<|it|>{% endif %}"
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="<unk>", chat_template=template)


def test_no_space_comes_between_a_reply_and_what_follows() -> None:
    tokenizer = llama2()
    renderer = Renderer(tokenizer)
    talk = Talk(renderer, Reply)
    ids = talk.begin([{"role": "user", "content": "a b"}], [])
    reply = renderer.encode_reply("b a")
    talk.take(reply, StopReason.STOP)
    more, rewritten = talk.go_on([{"role": "user", "content": "a"}])
    whole = "<|user|>a b</s><|it|>b a</s><|user|>a</s><|it|>"
    assert not rewritten
    assert [*ids, *reply, *more] == tokenizer(whole, add_special_tokens=False)["input_ids"]
