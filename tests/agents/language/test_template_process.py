"""A chat template is a program of a stranger's: it is rendered as transformers does, and it is bounded."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import faithful_templates
import pytest
from faithful_templates import tokenizer_of

from peripatos.agents.language import template_process
from peripatos.agents.language.template_process import MAX_TEMPLATE, TemplateFailed, render
from peripatos.agents.language.tiny_llama import tiny_tokenizer

TEMPLATES = [value for value in vars(faithful_templates).values() if isinstance(value, str) and "{%" in value]
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": "a {{ b }} \ud800 ü"},
    {"role": "assistant", "content": "<think>c</think>d"},
    {"role": "user", "content": "e", "name": None},
]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
LONG = "{% set ns = namespace(x='aaaaaaaa') %}"
BOMBS = {
    "a loop of loops": "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
    "a loop only where there is a user": "{% for m in messages %}{% for a in range(99999) %}{% for b in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}",
    "a text that doubles": LONG + "{% for a in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
    "a text that is multiplied": "{{ 'a' * 10**11 }}",
    "a number that is multiplied": "{{ 9 ** (9 ** 9) }}",
    "a width": "{{ 'a'|center(10**11) }}",
    "a format": "{{ '%99999999999d'|format(1) }}",
    "an indent": "{{ ('a\n' * 10**6)|indent(10**6) }}",
    "a replacement": "{{ ('a' * 10**6)|replace('a', 'b' * 10**6) }}",
    "a list that doubles": "{% set ns = namespace(x=[1]) %}"
    "{% for a in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "a macro without end": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "macros that double": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "a page that is too long": "{% for a in range(200) %}{{ 'a' * 100000 }}{% endfor %}",
    "lipsum": "{{ lipsum(n=10**7) }}",
}


@pytest.mark.parametrize("template", [None, *TEMPLATES])
@pytest.mark.parametrize("tools", [None, TOOLS])
@pytest.mark.parametrize("prompt", [False, True])
def test_a_template_is_rendered_as_transformers_does(template: str | None, tools: Any, prompt: bool) -> None:
    tokenizer = tokenizer_of(template) if template else tiny_tokenizer()
    try:
        wanted = tokenizer.apply_chat_template(MESSAGES, tools=tools, add_generation_prompt=prompt, tokenize=False)
    except Exception:
        with pytest.raises(TemplateFailed):
            render(tokenizer, MESSAGES, tools or (), prompt=prompt)
        return
    assert render(tokenizer, MESSAGES, tools or (), prompt=prompt) == wanted


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_template_that_loops_or_grows_is_ended(bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    render(tiny_tokenizer(), MESSAGES)  # the process is there: how long it takes to begin is no time of the template's
    monkeypatch.setattr(template_process, "RENDER_S", 1.5)
    before = _resident_mb()
    began = time.monotonic()
    with pytest.raises(TemplateFailed):
        render(tokenizer_of(BOMBS[bomb] + "x<|end|>"), MESSAGES)
    assert time.monotonic() - began < 60
    assert _resident_mb() - before < 300
    monkeypatch.undo()
    assert "<|end|>" in render(tiny_tokenizer(), MESSAGES)


def test_a_template_is_not_rendered_that_is_too_long() -> None:
    with pytest.raises(TemplateFailed, match="at most"):
        render(tokenizer_of("a" * (MAX_TEMPLATE + 1)), MESSAGES)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.getpid() }}",
        "{% set n = namespace() %}{% set n.__class__ = 1 %}",
        "{{ messages.append(1) }}",
        "{{ raise_exception('no') }}",
        "{% include 'x' %}",
        "{% if %}",
    ],
)
def test_a_template_that_reaches_for_more_is_refused(template: str) -> None:
    with pytest.raises(TemplateFailed):
        render(tokenizer_of(template), MESSAGES)


def _resident_mb() -> float:
    pages = Path(f"/proc/{os.getpid()}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
