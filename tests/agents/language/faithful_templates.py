"""Small chat templates, each with one habit of a well-known model, in the built-in alphabet."""

from transformers import PreTrainedTokenizerFast

from peripatos.agents.language.tiny_llama import END, tiny_tokenizer

_INVITE = "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
_CHATML = "<|{{ m.role }}|>\n{{ m.content }}" + END + "\n"

# a system message of its own where there is none, as SmolLM2 and Qwen2.5 put in
DEFAULT_SYSTEM = (
    "{% if messages[0].role != 'system' %}<|system|>\nYou are helpful." + END + "\n{% endif %}"
    "{% for m in messages %}" + _CHATML + "{% endfor %}" + _INVITE
)
# thoughts are dropped from replies before the last user message and kept after it; tool calls as in Hermes (Qwen3)
DROPS_THOUGHTS = (
    "{% if tools %}<|system|>\n{% for t in tools %}{{ t.function.name }}{% endfor %}"
    "Write <tool_call></tool_call>." + END + "\n{% endif %}"
    "{% set seen = namespace(last=0) %}"
    "{% for m in messages %}{% if m.role == 'user' %}{% set seen.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}{% if m.role == 'assistant' %}<|assistant|>\n"
    "{% if loop.index0 > seen.last %}"
    "{% if loop.last and '</think>' not in m.content %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}"
    "{% else %}{{ m.content.split('</think>')[-1].lstrip('\n') }}{% endif %}"
    "{% for c in m.tool_calls or [] %}<tool_call>\n"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    "\n</tool_call>{% endfor %}" + END + "\n"
    "{% else %}" + _CHATML + "{% endif %}{% endfor %}" + _INVITE
)
# an empty thought is put before every earlier reply that has none, so that each turn rewrites the one before (GLM-4.5)
EMPTY_THOUGHTS = (
    "{% for m in messages %}{% if m.role == 'assistant' and '</think>' not in m.content %}<|assistant|>\n"
    "<think></think>{{ m.content }}" + END + "\n{% else %}" + _CHATML + "{% endif %}{% endfor %}" + _INVITE
)
# old thoughts are put in front of an empty <think></think> (the fault of a training template for Qwen3.5)
MOVES_THOUGHTS = (
    "{% for m in messages %}{% if m.role == 'assistant' and '</think>' in m.content %}<|assistant|>\n"
    "{{ m.content.split('</think>')[0].replace('<think>', '') }}<think></think>{{ m.content.split('</think>')[1] }}"
    + END
    + "\n{% else %}"
    + _CHATML
    + "{% endif %}{% endfor %}"
    + _INVITE
)
# bare JSON calls with "parameters", and no newline after the end of a message (Llama 3)
LLAMA3 = (
    "{% for m in messages %}<|{{ m.role }}|>\n\n{% if m.tool_calls %}"
    '{"name": "{{ m.tool_calls[0].function.name }}", "parameters": {{ m.tool_calls[0].function.arguments | tojson }}}'
    "{% else %}{{ m.content | trim }}{% endif %}" + END + "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n\n{% endif %}"
)
# a list of Python calls (Llama 4)
PYTHONIC = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.tool_calls %}[{% for c in m.tool_calls %}{{ c.function.name }}("
    "{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}){% endfor %}]"
    "{% else %}{{ m.content }}{% endif %}" + END + "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# neither a system role nor a tool role (Gemma 2)
REFUSES = (
    "{% for m in messages %}"
    "{% if m.role not in ('user', 'assistant') %}{{ raise_exception('no ' + m.role) }}{% endif %}"
    + _CHATML
    + "{% endfor %}"
    + _INVITE
)
# closes a reply with something else than the tokenizer's end token
OTHER_STOP = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|pad|>{% endfor %}" + _INVITE
# ends a reply with no token at all
ENDLESS = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}\n{% endfor %}" + _INVITE


def tokenizer_of(template: str | None) -> PreTrainedTokenizerFast:
    """The built-in tokenizer with another template."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer
