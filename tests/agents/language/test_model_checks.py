"""Models that cannot be trained here are refused in words, whatever their architecture raises when it is tried."""

import re

import pytest
import torch
from model_families import family_policy

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.model_checks import check_cache, check_context, check_head, check_model, check_padding
from peripatos.envs.errors import UserError
from peripatos.scenarios.doctor import examine_model

_NO_LIMIT = {"max_position_embeddings": None}
_MPT = {"d_model": 64, "n_layers": 2, "n_heads": 4, "max_seq_len": 64}
STRANGE: dict[str, dict[str, object]] = {
    "bloom": {"n_layer": 2, "n_head": 4, **_NO_LIMIT},
    "mpt": {**_MPT, **_NO_LIMIT},
    "mamba": {"state_size": 4, **_NO_LIMIT},
    "llama4_text": {"num_local_experts": 2, "intermediate_size_mlp": 64, "head_dim": 16},
    "bert": {},
    "bert-generation": {},
    "rwkv": {"attention_hidden_size": 64, **_NO_LIMIT},
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", STRANGE)
def test_an_architecture_that_cannot_be_used_is_refused_by_name(kind: str) -> None:
    policy = family_policy(kind, **STRANGE[kind])
    with pytest.raises(UserError, match=type(policy.model).__name__):
        check_model(policy)


@pytest.mark.parametrize("kind", STRANGE)
def test_the_doctor_has_a_fatal_finding_for_each_of_them_and_no_traceback(kind: str) -> None:
    policy = family_policy(kind, **STRANGE[kind])
    fatal = [finding for finding in examine_model(policy) if finding.fatal]
    assert fatal
    assert all(type(policy.model).__name__ in finding.detail for finding in fatal)


def test_a_model_whose_positions_count_padding_is_refused() -> None:
    policy = family_policy("mpt", **_MPT)  # with a limit that its configuration does not have
    with pytest.raises(UserError, match="MptForCausalLM: padding changes its log-probabilities"):
        check_padding(policy)


@pytest.mark.parametrize("value", [None, 0, -1, 1, "many", 1e30])
def test_a_context_that_says_nothing_is_refused(value: object) -> None:
    policy = family_policy("llama")
    vars(policy.model.config)["max_position_embeddings"] = value
    with pytest.raises(UserError, match=r"LlamaForCausalLM .*" + re.escape(str(value))):
        check_context(policy)


@pytest.mark.parametrize("problem", [AttributeError("no such layer"), KeyError("x"), RuntimeError("two\nlines")])
@pytest.mark.parametrize("check", [check_head, check_cache, check_padding])
def test_whatever_a_model_raises_becomes_a_refusal(
    problem: Exception, check: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = family_policy("llama")

    def fails(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr(policy.backbone, "forward", fails)
    with pytest.raises(UserError, match=rf"LlamaForCausalLM fails when it is tried \({type(problem).__name__}: .*\)"):
        check(policy)  # type: ignore[operator]  # parametrize hides its type


def test_a_mistake_of_the_user_keeps_its_own_words() -> None:
    policy = family_policy("llama")
    vars(policy.model.config)["max_position_embeddings"] = None
    with pytest.raises(UserError, match="max_position_embeddings"):
        _ = LanguagePolicy.context.fget(policy)  # type: ignore[misc]  # a property has one
