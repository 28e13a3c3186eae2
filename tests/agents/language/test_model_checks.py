"""On which path a model is read, and that one which cannot be read at all is refused in words."""

import pytest
import torch
from model_families import family_policy

from peripatos.agents.language.model_checks import check_context, check_model, find_path
from peripatos.agents.language.model_path import PLAIN, SHORT
from peripatos.envs.errors import UserError
from peripatos.scenarios.doctor.model import examine_model

_NO_LIMIT = {"max_position_embeddings": None}
_MPT = {"d_model": 64, "n_layers": 2, "n_heads": 4, "max_seq_len": 64}
BOTH_WAYS: dict[str, dict[str, object]] = {"bert": {}, "bert-generation": {}}
WITHOUT_SHORT_CUTS: dict[str, dict[str, object]] = {
    "mamba": {"state_size": 4, **_NO_LIMIT},
    "rwkv": {"attention_hidden_size": 64, **_NO_LIMIT},
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", BOTH_WAYS)
def test_a_model_that_looks_ahead_is_refused_by_name_in_a_run_and_by_the_doctor(kind: str) -> None:
    policy = family_policy(kind, **BOTH_WAYS[kind])
    name = type(policy.model).__name__
    with pytest.raises(UserError, match=f"{name} cannot be read on any path"):
        check_model(policy)
    fatal = [finding for finding in examine_model(policy) if finding.fatal]
    assert fatal
    assert all(name in finding.detail for finding in fatal)


@pytest.mark.parametrize("kind", WITHOUT_SHORT_CUTS)
def test_a_model_without_the_short_path_is_read_on_the_plain_one(kind: str) -> None:
    policy = family_policy(kind, **WITHOUT_SHORT_CUTS[kind])
    check_model(policy)
    assert not policy.path.shared_prompts
    (found,) = [finding for finding in examine_model(policy) if finding.what == "read by"]
    assert found.result == "the plain path"


def test_a_model_with_distances_instead_of_positions_has_no_limit_of_its_own() -> None:
    assert family_policy("bloom", n_layer=2, n_head=4, max_position_embeddings=None).context == 2048


def test_each_short_cut_is_taken_where_it_is_right() -> None:
    assert find_path(family_policy("llama"))[-1].path == SHORT
    windowed = family_policy("mistral", sliding_window=8)
    assert [tried.path.slots for tried in find_path(windowed)] == [True]
    assert find_path(family_policy("mistral", sliding_window=64))[-1].path == SHORT  # its window holds the context
    columns = find_path(family_policy("mpt", **_MPT, **_NO_LIMIT))[-1]  # its distances stand in its mask
    assert (columns.path.shared_prompts, columns.path.slots) == (True, False)
    capped = find_path(family_policy("gemma2", head_dim=16, final_logit_softcapping=0.5, layer_types=None))[-1]
    assert not capped.why
    assert not capped.path.linear_head


@pytest.mark.parametrize("value", [None, 0, -1, "many", 1e30])
def test_a_context_that_says_nothing_is_none(value: object) -> None:
    policy = family_policy("llama")
    vars(policy.model.config)["max_position_embeddings"] = value
    assert policy.context == 2048


def test_a_context_of_one_token_is_refused() -> None:
    policy = family_policy("llama")
    vars(policy.model.config)["max_position_embeddings"] = 1
    with pytest.raises(UserError, match="LlamaForCausalLM has a context of 1 token"):
        check_context(policy)


@pytest.mark.parametrize("problem", [AttributeError("no such layer"), KeyError("x"), RuntimeError("two\nlines")])
def test_whatever_a_model_raises_becomes_a_refusal(problem: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = family_policy("llama")

    def fails(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr(policy.backbone, "forward", fails)
    with pytest.raises(UserError, match=r"LlamaForCausalLM cannot be read on any path") as refused:
        check_model(policy)
    assert "\n" not in str(refused.value)
    assert type(problem).__name__ in str(refused.value) or "lines" in str(refused.value)


def test_a_model_whose_memory_is_silently_wrong_is_read_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = family_policy("llama")
    attention = type(policy.model.get_decoder().layers[0].self_attn)
    forward = attention.forward

    def fades(layer: object, *given: object, past_key_values: object = None, **named: object) -> object:
        said, weights = forward(layer, *given, past_key_values=past_key_values, **named)
        return (said if past_key_values is None else 0.9 * said), weights

    monkeypatch.setattr(attention, "forward", fades)
    *failed, taken = find_path(policy)
    assert not taken.why
    assert not taken.path.own_cache
    assert all("off by" in one.why for one in failed)


def test_the_plainest_path_is_the_last_that_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = family_policy("bert")
    tried = find_path(policy)
    assert tried[-1].path.shared_prompts == PLAIN.shared_prompts
    assert not tried[-1].path.own_cache
    assert not tried[-1].path.ragged
    assert all(one.why for one in tried)
