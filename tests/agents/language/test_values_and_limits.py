"""What a language actor keeps to: the memory of reading values, the context, and fp32 where bf16 is too coarse."""

import pytest
import torch
from agents_worlds import Echo

from peripatos.agents.language.authors import Oracle
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.algorithms.annotate import with_values
from peripatos.envs.conversation import TaskWorld
from peripatos.envs.vocabulary import StopReason


def test_values_are_read_in_micro_batches_and_without_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=2), critic=True)
    assert policy.value_head is not None
    torch.nn.init.normal_(policy.value_head.weight, generator=torch.Generator().manual_seed(0))
    read: list[int] = []
    states, logits = policy._states, policy.logits
    monkeypatch.setattr(policy, "_states", lambda tokens, *rest: read.append(tokens.numel()) or states(tokens, *rest))
    wide: list[int] = []
    monkeypatch.setattr(policy, "logits", lambda hidden: wide.append(len(hidden)) or logits(hidden))

    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    batch = (
        ConversationActor(Echo, sampler, renderer, max_tokens=6, context=policy.context)
        .collect(range(4), 2, seed=0, version=0)
        .batch
    )
    assert batch is not None
    assert batch.value_B_T is None

    def values(micro_batch: int | None) -> torch.Tensor:
        valued = with_values(batch, policy, micro_batch)
        assert valued.value_B_T is not None
        assert valued.bootstrap_B_T is not None
        return torch.stack([valued.value_B_T, valued.bootstrap_B_T])

    wide.clear()
    read.clear()
    whole = values(None)
    assert len(read) == 1
    read.clear()
    torch.testing.assert_close(values(200), whole, atol=5e-5, rtol=1e-5)  # a hundred last places of values around 5
    assert len(read) > 2
    assert max(read) <= 200
    assert not wide


@pytest.mark.parametrize("length", [900, 505, 20])
def test_a_demonstration_beyond_the_context_is_left_out_and_told(length: int) -> None:
    policy = LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=1, heads=2))
    renderer = Renderer(policy.tokenizer)
    tasks = [{"prompt": f"q{i}", "oracle": "y" * length, "split": "train"} for i in range(9)]
    actor = ConversationActor(
        lambda: TaskWorld(tasks, lambda reply, task: 1.0),
        Oracle(),
        renderer,
        context=policy.context,
    )
    collection = actor.collect([0, 1], 1, seed=0, version=0)
    longest = 0 if collection.batch is None else int(collection.batch.inputs["length_B"].max())
    assert longest <= policy.context
    fits = collection.episodes[0].stop_reason is StopReason.STOP
    assert fits == (length + 6 <= policy.context)
    if not fits:
        assert collection.batch is None
        assert all(e.truncated and e.stop_reason is StopReason.CONTEXT_LIMIT for e in collection.episodes)
