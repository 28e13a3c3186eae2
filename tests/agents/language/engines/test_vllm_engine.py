"""vLLM beside the trainer: the same numbers after each update, the same process, one sentence where it has no room."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Sequence

import pytest
import torch
from vllm_parts import STOP, answers, asked, gap, learn, policy

from peripatos.agents.language.engines.vllm_engine import VllmEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.protocols import Request, Weights
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import StopReason

pytestmark = pytest.mark.vllm


def engine_of(policy: LanguagePolicy, *, stop_ids: Sequence[int] = (STOP,), **options: object) -> VllmEngine:
    torch.set_num_threads(1)
    engine = VllmEngine(policy, stop_ids=stop_ids, precision=policy.precision, **{"memory": 0.1, **options})
    engine.load(Weights(0))
    return engine


@pytest.mark.parametrize(
    "drawn", [{}, {"temperature": 0.7, "top_p": 0.9}, {"temperature": 1.5, "top_k": 30, "top_p": 0.9, "min_p": 0.02}]
)
@pytest.mark.parametrize("lora", [False, True], ids=["", "lora"])
def test_sampler_and_trainer_mean_the_same_distribution_after_each_update(drawn: dict[str, float], lora: bool) -> None:
    mine = policy(drawn, lora=lora)
    engine = engine_of(mine)
    for version in range(3):
        assert float(gap(mine, engine).max()) <= 1e-3
        learn(mine)
        engine.load(Weights(version + 1))
    assert float(gap(mine, engine).max()) <= 1e-3
    engine.close()


def test_weights_that_move_without_a_load_leave_what_speaks_as_it_was() -> None:
    mine = policy(bf16=True)  # matrices that could be shared, and are read whole while nobody learns
    engine = engine_of(mine)
    said = answers(engine, asked())
    learn(mine)
    assert answers(engine, asked()) == said
    engine.load(Weights(1))
    assert answers(engine, asked()) != said
    engine.close()


def test_in_bf16_they_are_as_close_as_rounding_lets_them() -> None:
    mine = policy(bf16=True)
    engine = engine_of(mine)
    learn(mine)
    engine.load(Weights(1))
    assert float(gap(mine, engine).mean()) <= 0.1
    engine.close()


def test_a_reply_ends_with_the_context_and_a_prompt_without_room_is_refused() -> None:
    engine = engine_of(policy(), stop_ids=[], context=40)
    said = answers(engine, [Request(0, (5,) * 30, 100, seed=0, greedy=False)])[0]
    assert (len(said.tokens), said.stop_reason) == (10, StopReason.LENGTH)
    with pytest.raises(ValueError, match="a prompt of 40 tokens leaves no room for a reply: the context holds 40"):
        engine.submit([Request(0, (5,) * 40, 100, seed=0, greedy=False)])
    engine.close()


def test_more_prompts_than_are_read_in_one_step_wait_for_the_next() -> None:
    engine = engine_of(policy(), stop_ids=[])
    many = [Request(k, tuple(8 + (k * 7 + t) % 80 for t in range(50)), 3, seed=k, greedy=False) for k in range(90)]
    together = answers(engine, many)
    assert [reply.tokens for reply in together[::15]] == [answers(engine, [one])[0].tokens for one in many[::15]]
    engine.close()


def test_every_bit_of_a_seed_counts() -> None:
    engine = engine_of(policy(), stop_ids=[])
    seeds = [3, 3 + (1 << 64), 3 + (1 << 127)]
    said = answers(engine, [Request(0, (5, 6, 7), 30, seed=seed, greedy=False) for seed in (*seeds, seeds[0])])
    assert len({reply.tokens for reply in said}) == 3
    assert said[0] == said[3]
    engine.close()


def test_an_engine_that_ends_leaves_the_others_and_the_process_as_they_were(capfd: pytest.CaptureFixture[str]) -> None:
    before, policies = dict(os.environ), (policy(), policy())
    random.seed(0)
    torch.manual_seed(0)
    want = random.random(), torch.rand(1)
    random.seed(0)
    torch.manual_seed(0)
    first, second = (engine_of(mine) for mine in policies)
    said = answers(second, asked())
    first.close()
    assert answers(second, asked()) == said
    second.close()
    assert (random.random(), torch.rand(1)) == want
    assert dict(os.environ) == before
    assert gc.get_freeze_count() == 0
    torch.set_num_threads(2)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert capfd.readouterr().out == ""


def test_without_room_for_one_conversation_the_sentence_names_the_key() -> None:
    with pytest.raises(UserError, match=r"engine\.vllm\.memory"):
        engine_of(policy(), memory=1e-6)


def test_heads_of_a_width_that_vllm_does_not_have_are_refused_in_its_words() -> None:
    narrow = LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=2))
    with pytest.raises(UserError, match=r"^vLLM does not take LlamaForCausalLM: .*head"):
        engine_of(narrow)


def test_a_weight_that_does_not_arrive_is_found_before_the_first_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    from peripatos.agents.language.engines import vllm_engine

    def forgetful(model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
        return [(name, x) for name, x in model.state_dict().items() if "embed" not in name and "lm_head" not in name]

    monkeypatch.setattr(vllm_engine, "checkpoint_tensors", forgetful)
    with pytest.raises(UserError, match="vLLM reads LlamaForCausalLM in another way than the trainer"):
        engine_of(policy())
