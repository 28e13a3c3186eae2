"""The language policy against a plain forward pass of the same model."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from agents_worlds import Echo

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.model_checks import check_model
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.algorithms.annotate import with_values
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Batch
from peripatos.scenarios.assembly.policies import make_policy
from peripatos.scenarios.assembly.worlds import WorldSources
from peripatos.scenarios.config.schema import Scenario

SCENARIO = {"name": "window", "world": {"id": "peripatos/Arithmetic-v0"}, "stages": [{"name": "look"}]}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def policy_of(seed: int = 0, **options: object) -> LanguagePolicy:
    return LanguagePolicy(*tiny_llama(seed=seed, hidden=32, layers=2), **options)


def batch_of(policy: LanguagePolicy, *, groups: int = 5, group_size: int = 4, version: int = 0) -> Batch:
    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(Echo, sampler, renderer, max_tokens=6, context=policy.context)
    batch = actor.collect(range(groups), group_size, seed=3, version=version).batch
    assert batch is not None
    return batch


@pytest.mark.parametrize(
    "drawn",
    [
        {},
        {"temperature": 0.7},
        {"temperature": 1.3, "top_p": 0.9},
        {"top_p": 0.8},
        {"top_k": 5},
        {"temperature": 1.3, "min_p": 0.5},
        {"top_k": 40, "top_p": 0.9, "min_p": 0.1},
    ],
)
def test_sampler_and_trainer_agree_on_multi_turn_episodes(drawn: dict[str, float]) -> None:
    policy = policy_of(**drawn)
    batch = batch_of(policy)
    logp = policy.score(batch.inputs)[0]
    gap = (logp - batch.behavior_logp_B_T)[batch.mask_B_T].abs().max()
    assert gap.item() <= 1e-4


def test_log_probabilities_are_those_of_a_plain_forward_pass() -> None:
    policy = policy_of(temperature=0.8)
    batch = batch_of(policy)
    logp, entropy, _ = policy.score(batch.inputs)
    for b in range(len(batch.mask_B_T)):
        n = int(batch.inputs["length_B"][b])
        ids = batch.inputs["tokens_B_T"][b : b + 1, :n]
        plain = torch.log_softmax(policy.model(input_ids=ids).logits[0, :-1] / 0.8, dim=-1)
        want = plain.gather(-1, ids[0, 1:, None])[:, 0]
        chosen = batch.mask_B_T[b, 1:n]
        torch.testing.assert_close(logp[b, 1:n][chosen], want[chosen], atol=1e-5, rtol=1e-5)
        certain = -(plain.exp() * plain).sum(-1)
        torch.testing.assert_close(entropy[b, 1:n][chosen], certain[chosen], atol=1e-4, rtol=1e-4)


def test_gradients_through_a_shared_prompt_are_those_of_a_plain_forward_pass() -> None:
    policy = policy_of()
    batch = batch_of(policy, groups=2)
    weight = torch.randn(batch.mask_B_T.shape, generator=torch.Generator().manual_seed(0)) * batch.mask_B_T
    parameters = list(policy.model.parameters())
    ours = torch.autograd.grad((policy.score(batch.inputs)[0] * weight).sum(), parameters)
    total = torch.zeros(())
    for b in range(len(weight)):
        ids = batch.inputs["tokens_B_T"][b : b + 1, : int(batch.inputs["length_B"][b])]
        plain = torch.log_softmax(policy.model(input_ids=ids).logits[0, :-1], dim=-1).gather(-1, ids[0, 1:, None])
        total = total + (plain[:, 0] * weight[b, 1 : ids.shape[1]]).sum()
    for mine, theirs in zip(ours, torch.autograd.grad(total, parameters), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3)


def test_values_belong_to_the_state_before_each_token() -> None:
    policy = policy_of(critic=True)
    assert policy.value_head is not None
    torch.nn.init.normal_(policy.value_head.weight, generator=torch.Generator().manual_seed(0))
    batch = batch_of(policy)
    value = policy.score(batch.inputs)[2]
    for b in (0, 7):
        n, first = int(batch.inputs["length_B"][b]), int(batch.inputs["first_B"][b])
        hidden = policy.backbone(input_ids=batch.inputs["tokens_B_T"][b : b + 1, :n]).last_hidden_state
        want = policy.value_head(hidden)[0, first - 1 :, 0]
        torch.testing.assert_close(value[b, first : n + 1], want, atol=1e-5, rtol=1e-4)
    # Echo truncates after three turns: the bootstrap is the value of the state after the last token
    batch = with_values(batch, policy, None)
    assert batch.bootstrap_B_T is not None
    at = torch.nonzero(batch.end_B_T)
    for b, t in at.tolist():
        assert float(batch.bootstrap_B_T[b, t]) == pytest.approx(float(value[b, t + 1]), rel=1e-5, abs=3e-5)


def test_what_an_observation_token_is_priced_at_changes_no_gradient_bit() -> None:
    policy = policy_of()
    batch = batch_of(policy)
    logp = policy.score(batch.inputs)[0]
    assert not logp[~batch.mask_B_T].any()  # they have no log-probability at all


def test_rows_may_be_split_and_padded_without_changing_log_probabilities() -> None:
    policy = policy_of()
    batch = batch_of(policy)
    whole = policy.score(batch.inputs)[0]
    part = policy.score(batch.rows(torch.tensor([9, 2])).inputs)[0]
    torch.testing.assert_close(part, whole[[9, 2]], atol=1e-5, rtol=1e-5)
    wide = {**batch.inputs, "tokens_B_T": torch.nn.functional.pad(batch.inputs["tokens_B_T"], (0, 9), value=5)}
    wide["chosen_B_T"] = torch.nn.functional.pad(batch.inputs["chosen_B_T"], (0, 9))
    torch.testing.assert_close(policy.score(wide)[0][:, :-9], whole, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("critic", [False, True])
def test_a_saved_policy_is_a_plain_folder_and_loads_to_the_same_policy(critic: bool, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    first, second = policy_of(0, critic=critic), policy_of(1, critic=critic)
    batch = batch_of(first)
    first.save(tmp_path)
    second.load(tmp_path)
    for mine, theirs in zip(first.score(batch.inputs), second.score(batch.inputs), strict=True):
        assert torch.equal(mine, theirs)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(plain.lm_head.weight, first.model.lm_head.weight)
    assert AutoTokenizer.from_pretrained(tmp_path)("<answer>7").input_ids == first.tokenizer("<answer>7").input_ids


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=3)).save(tmp_path)
    with pytest.raises(ValueError, match="belong to another model"):
        policy_of().load(tmp_path)


def test_bf16_keeps_log_probabilities_near_and_gradients_finite() -> None:
    exact = policy_of(0)
    batch = batch_of(exact)
    rough = policy_of(0, precision="bf16")
    logp = rough.score(batch.inputs)[0]
    assert float((logp - exact.score(batch.inputs)[0]).abs().max()) < 0.1
    logp.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in rough.model.parameters())


def test_a_model_that_caps_its_logits_has_its_own_log_probabilities() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=0.5,
    )
    _, tokenizer = tiny_llama(seed=0)
    torch.manual_seed(0)
    policy = LanguagePolicy(Gemma2ForCausalLM(config), tokenizer)
    check_model(policy)
    assert not policy.path.linear_head
    hidden = torch.randn(3, 16)
    linear = hidden @ policy.model.get_output_embeddings().weight.T
    torch.testing.assert_close(policy.logits(hidden), 0.5 * torch.tanh(linear / 0.5))


def test_a_model_with_a_sliding_window_is_sampled_in_slots_as_well(tmp_path: Path) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    _, tokenizer = tiny_llama(seed=0)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    for window in (4, None):
        config = MistralConfig(vocab_size=len(tokenizer), num_key_value_heads=1, sliding_window=window, **sizes)
        policy = LanguagePolicy(MistralForCausalLM(config), tokenizer)
        policy.save(tmp_path)
        agent = {"kind": "causal_lm", "model": str(tmp_path)}
        scenario = Scenario.model_validate({**SCENARIO, "agent": agent})
        made = make_policy(scenario, "cpu", WorldSources.of(scenario).first)
        assert made.path.slots


@pytest.mark.parametrize(
    ("option", "value"), [("temperature", 0.0), ("temperature", -1.0), ("top_p", 0.0), ("top_p", 1.5)]
)
def test_impossible_sampling_settings_are_named(option: str, value: float) -> None:
    with pytest.raises(UserError, match=f"{option} must be"):
        policy_of(**{option: value})


def test_a_batch_keeps_what_rows_select() -> None:
    batch = batch_of(policy_of())
    rows = replace(batch).rows(torch.tensor([3]))
    assert rows.inputs["tokens_B_T"].tolist() == batch.inputs["tokens_B_T"][3:4].tolist()
    assert rows.episode_B.tolist() == [3]
