"""Messages to tokens with faithful small templates: what was sampled is never rendered again."""

import pytest
from transformers import PreTrainedTokenizerFast

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.talk import Talk
from peripatos.agents.language.tiny_llama import END, tiny_tokenizer
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Message, Reply, StopReason

# ChatML as SmolLM2 and Qwen write it: a newline after the end of a message, which no sampler ever produces
CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}" + END + "\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
# strips thoughts from every assistant turn but the last, as Qwen3 does
STRIPS = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.role == 'assistant' and not loop.last %}-{% else %}{{ m.content }}{% endif %}" + END + "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
USER: list[Message] = [{"role": "user", "content": "1+1="}]
AGAIN: list[Message] = [{"role": "user", "content": "no"}]


def tokenizer_with(template: str | None) -> PreTrainedTokenizerFast:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def continued(renderer: Renderer, *, stopped: bool = True, text: str = "3") -> tuple[list[int], list[int], bool]:
    """The tokens of `1+1=` and a reply, those behind it when the world says `no`, and whether they are a new row's."""
    talk = Talk(renderer, Reply)
    ids = talk.begin(USER, [])
    reply = renderer.encode_reply(text)
    reply = reply if stopped else reply[:-1]
    talk.take(reply, StopReason.STOP if stopped else StopReason.LENGTH)
    following, rewritten = talk.go_on(AGAIN)
    return ids + reply, following, rewritten


@pytest.mark.parametrize("template", [tiny_tokenizer().chat_template, CHATML])
def test_opening_reply_and_delta_are_exactly_what_the_template_renders(template: str) -> None:
    tokenizer = tokenizer_with(template)
    before, delta, rewritten = continued(Renderer(tokenizer))
    whole = tokenizer.apply_chat_template(
        [*USER, {"role": "assistant", "content": "3"}, *AGAIN], add_generation_prompt=True, tokenize=False
    )
    assert not rewritten
    assert before + delta == tokenizer(whole, add_special_tokens=False)["input_ids"]


def test_a_reply_that_was_cut_is_closed_by_an_observed_stop_token() -> None:
    renderer = Renderer(tiny_tokenizer())
    (_, stopped, _), (_, cut, _) = continued(renderer), continued(renderer, stopped=False)
    assert cut == [renderer.stop_id, *stopped]


def test_a_template_that_rewrites_earlier_turns_begins_a_new_row_with_its_own_rendering() -> None:
    tokenizer = tokenizer_with(STRIPS)
    _, ids, rewritten = continued(Renderer(tokenizer))
    assert rewritten
    assert tokenizer.decode(ids) == "<|user|>1+1=<|end|><|assistant|>-<|end|><|user|>no<|end|><|assistant|>"


def test_the_stop_token_is_part_of_a_reply_and_not_of_its_text() -> None:
    renderer = Renderer(tiny_tokenizer())
    ids = renderer.encode_reply("<answer>42</answer>")
    assert ids[-1] == renderer.stop_id
    assert renderer.decode(ids) == "<answer>42</answer>"
    assert renderer.decode(ids[:-1]) == "<answer>42</answer>"
    assert renderer.decode([]) == ""


def test_a_tokenizer_without_template_is_refused() -> None:
    with pytest.raises(UserError, match="no chat template"):
        Renderer(tokenizer_with(None))


def test_a_template_that_refuses_a_role_says_so_to_the_user() -> None:
    refuses = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ m.content }}" + END + "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    renderer = Renderer(tokenizer_with(refuses))
    with pytest.raises(UserError, match="no system"):
        renderer.opening([{"role": "system", "content": "x"}])


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ messages[0].content + 1 }}", "fails on messages with roles ['user', 'assistant']: TypeError"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
        ("{{ strftime_now(3) }}", "TypeError"),
        ("{{ nothing.here.at_all }}", "'nothing' is undefined"),
        ("{% for m in messages %}", "refuses messages with roles ['user', 'assistant']: Unexpected end"),
        ("{{ messages | fold }}", "No filter named 'fold'"),
    ],
)
def test_a_template_that_raises_is_the_users_to_mend_whatever_it_raises(template: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        Renderer(tokenizer_with(template + END))
    assert words in str(caught.value)


def test_a_template_that_raises_in_the_middle_of_an_episode_says_so() -> None:
    """It takes an odd message only where it can be added to something."""
    careless = (
        "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'odd' %}{{ m.content + 1 }}{% endif %}{{ m.content }}"
        + END
        + "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    talk = Talk(Renderer(tokenizer_with(careless)), Reply)
    talk.begin(USER, [])
    talk.take([2], StopReason.STOP)
    with pytest.raises(UserError, match=r"fails on messages with roles .*'odd'.*TypeError"):
        talk.go_on([{"role": "odd", "content": "3"}])


def test_a_lone_surrogate_in_a_worlds_message_is_a_replaced_character() -> None:
    ids = Renderer(tiny_tokenizer()).opening([{"role": "user", "content": "a\ud800b"}])
    assert ids == Renderer(tiny_tokenizer()).opening([{"role": "user", "content": "a?b"}])


@pytest.mark.parametrize("end", ["<|pad|>", "<|system|>"])
def test_a_reply_ends_with_the_token_that_the_template_writes_whatever_the_tokenizer_calls_its_end(end: str) -> None:
    tokenizer = tokenizer_with(tiny_tokenizer().chat_template.replace(END, end))
    renderer = Renderer(tokenizer, more=[7, 2])
    ids = renderer.encode_reply("3")
    assert tokenizer.decode(ids) == "3" + end
    assert renderer.stop_ids == (tokenizer.convert_tokens_to_ids(end), tokenizer.eos_token_id, 7)
    for stop in renderer.stop_ids:
        assert renderer.decode([*ids[:-1], stop]) == "3"


def test_a_template_that_ends_no_reply_is_refused() -> None:
    with pytest.raises(UserError, match="behind a reply, which is no token that ends one"):
        Renderer(tokenizer_with("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"))
