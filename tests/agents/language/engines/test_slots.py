"""Keys and values in slots, and steps over them: that nothing of it shows in what is said."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from peripatos.agents.language.engines import transformers_engine as module
from peripatos.agents.language.engines.graphs import _Watch
from peripatos.agents.language.engines.plain_engine import PlainEngine
from peripatos.agents.language.engines.policy_engine import PolicyEngine
from peripatos.agents.language.engines.reading import Text, in_parts
from peripatos.agents.language.engines.slots import ATTENTION, Slots, bucket, with_slots
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.agents.protocols import Completion, Request, Weights

on_gpu = pytest.mark.gpu
ways = pytest.mark.parametrize("way", ["cpu", "cpu, as on a gpu", pytest.param("cuda", marks=on_gpu)])


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def qwen(seed: int = 0, *, device: str = "cpu", context: int = 256) -> LanguagePolicy:
    """Two query heads for each head of keys; weights large enough for a wrong place to show."""
    tokenizer = tiny_tokenizer()
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=context, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(6.0)
    return LanguagePolicy(model, tokenizer).to(device)


def speaking(way: str) -> tuple[TransformersEngine, LanguagePolicy]:
    """An engine and its policy. "As on a gpu": idle slots take part in every step, and the host is one step behind."""
    policy = qwen(device=way.partition(",")[0])
    engine = TransformersEngine(policy, stop_ids=[2])
    if way == "cpu, as on a gpu":
        engine._lag, engine._step._whole = 1, True
    return engine, policy


def some(n: int, *, first: int = 0, limit: int = 8, seed: int = 0) -> list[Request]:
    """Conversations with random prompts of 1 to 40 tokens."""
    rng = np.random.default_rng(seed)
    prompts = [tuple(rng.integers(7, 90, rng.integers(1, 40)).tolist()) for _ in range(n)]
    return [Request(first + k, prompt, limit, seed=k, greedy=False) for k, prompt in enumerate(prompts)]


def answers(engine: PolicyEngine, requests: Sequence[Request]) -> list[Completion]:
    return [future.result(60) for future in engine.submit(requests)]


@torch.no_grad()
def own_logp(policy: LanguagePolicy, request: Request, said: Completion) -> Tensor:
    """The model's own log-probabilities of a reply, with nothing shared and no slots."""
    ids = torch.tensor([[*request.prompt, *said.tokens]], device=policy.device)
    logp = policy.model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1).cpu()
    first = len(request.prompt)
    return torch.stack([logp[first - 1 + n, token] for n, token in enumerate(said.tokens)])


def is_own(policy: LanguagePolicy, requests: Sequence[Request], said: Sequence[Completion]) -> bool:
    """Whether what was said is as likely as the model itself thinks."""
    gaps = [
        (own_logp(policy, request, one) - torch.tensor(one.logp)).abs().max()
        for request, one in zip(requests, said, strict=True)
    ]
    return float(max(gaps)) <= 1e-4


@pytest.mark.parametrize(("n", "least", "size"), [(0, 8, 8), (8, 8, 8), (9, 8, 12), (13, 8, 16), (100, 64, 128)])
def test_sizes_grow_by_halves(n: int, least: int, size: int) -> None:
    assert bucket(n, least) == size


def test_the_policy_s_own_model_is_left_as_it_is_and_the_tensors_are_the_same() -> None:
    policy = qwen()
    voice = with_slots(policy)
    assert policy.model.config._attn_implementation != ATTENTION == voice.model.config._attn_implementation
    mine, theirs = [*voice.parameters(), *voice.buffers()], [*policy.parameters(), *policy.buffers()]
    assert all(one is other for one, other in zip(mine, theirs, strict=True))


@ways
def test_ragged_rows_and_turns_are_as_likely_as_the_model_itself_says(way: str) -> None:
    engine, policy = speaking(way)
    requests = some(9)
    for turn in range(4):
        said = answers(engine, requests)
        assert is_own(policy, requests, said), f"turn {turn}"
        rng = np.random.default_rng(turn)
        longer = [
            replace(one, prompt=(*one.prompt, *reply.tokens, *rng.integers(7, 90, rng.integers(1, 12)).tolist()))
            for one, reply in zip(requests, said, strict=True)
        ]
        requests = [longer[k] for k in rng.permutation(len(longer))[2:]]  # two are left behind, and in another order
    engine.close()


@ways
def test_rows_that_come_and_go_say_what_they_say_alone(way: str) -> None:
    engine, _ = speaking(way)
    requests = [replace(request, limit=3 + 5 * (k % 4)) for k, request in enumerate(some(12))]
    mixed = [replace(request, greedy=k % 3 == 0) for k, request in enumerate(requests)]
    owed = [future for part in (mixed[:2], mixed[2:7], mixed[7:]) for future in engine.submit(part)]
    together = [future.result(60).tokens for future in owed]
    assert together == [answers(engine, [request])[0].tokens for request in mixed]
    engine.close()


def test_generate_says_the_same_with_the_same_numbers() -> None:
    policy = qwen()
    said = []
    for kind in (TransformersEngine, PlainEngine):
        engine = kind(policy, stop_ids=[2])
        said.append(answers(engine, [replace(request, greedy=k % 4 == 0) for k, request in enumerate(some(12))]))
        engine.close()
    assert [one.tokens for one in said[0]] == [one.tokens for one in said[1]]
    for one, other in zip(*said, strict=True):
        assert one.logp == pytest.approx(other.logp, abs=1e-4)


@ways
def test_few_rows_among_many_that_wait_say_what_they_say_alone(way: str) -> None:
    engine, policy = speaking(way)
    requests = some(30)
    said = answers(engine, requests)
    few = [  # of slots far apart, one of them to be said greedily, together with a new one
        replace(requests[k], prompt=(*requests[k].prompt, *said[k].tokens, 9, 9), greedy=k == 17, limit=20)
        for k in (28, 3, 17)
    ]
    few += some(1, first=99, seed=9)
    again = answers(engine, few)
    sampled = [k for k, request in enumerate(few) if not request.greedy]
    assert is_own(policy, [few[k] for k in sampled], [again[k] for k in sampled])
    engine.release([request.conversation for request in few])
    assert [answers(engine, [request])[0].tokens for request in few] == [one.tokens for one in again]
    engine.close()


def test_a_slot_that_is_free_is_taken_again() -> None:
    policy = qwen()
    engine = TransformersEngine(policy, stop_ids=[])
    for batch in range(5):
        requests = some(8, first=8 * batch, seed=batch)
        assert is_own(policy, requests, answers(engine, requests))
        engine.release(range(8 * batch, 8 * batch + 8))
    assert engine._step.rows == 8
    engine.close()


def test_conversations_that_wait_keep_their_slots_until_the_memory_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = qwen()
    engine = TransformersEngine(policy, stop_ids=[])
    for batch in range(3):
        answers(engine, some(8, first=8 * batch, seed=batch))
    assert (engine._step.rows, len(engine._waiting)) == (24, 24)
    size = engine._slots.rows * engine._slots.length * engine._slots.bytes_of_a_place
    monkeypatch.setattr(module, "MEMORY_BYTES", size)
    requests = some(4, first=24, seed=3)
    assert is_own(policy, requests, answers(engine, requests))
    assert engine._step.rows == 24
    assert sorted(engine._waiting) == list(range(4, 28))  # those that had waited longest are forgotten
    engine.close()


def test_memory_that_is_more_than_the_budget_is_given_back_when_new_weights_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = qwen()
    engine = TransformersEngine(policy, stop_ids=[])
    answers(engine, some(3))
    engine.load(Weights(1))
    assert engine._slots.rows == 8
    monkeypatch.setattr(module, "MEMORY_BYTES", 1000)
    engine.load(Weights(2))
    assert engine._slots.rows == engine._step.rows == 0
    requests = some(3)
    assert is_own(policy, requests, answers(engine, requests))
    engine.close()


def test_slots_grow_in_both_directions_and_keep_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_BYTES", 0)  # places are taken when they are needed, not ahead
    policy = qwen()
    engine = TransformersEngine(policy, stop_ids=[])
    first = engine.submit(some(3, limit=200))
    answers(engine, some(1, first=3, limit=1))
    later = [replace(request, prompt=3 * request.prompt) for request in some(30, first=4, limit=12, seed=1)]
    assert is_own(policy, later, answers(engine, later))
    assert is_own(policy, some(3, limit=200), [future.result(60) for future in first])
    assert (engine._step.rows, engine._slots.length) >= (32, 256)
    engine.close()


def test_a_reply_that_fills_the_context_ends_there() -> None:
    policy = qwen(context=64)
    engine = TransformersEngine(policy, stop_ids=[])
    requests = [Request(0, tuple(range(7, 70)), 9, 0, greedy=False), Request(1, (8, 9), 90, 1, greedy=False)]
    said = answers(engine, requests)
    assert [len(one.tokens) for one in said] == [1, 62]
    assert is_own(policy, requests, said)
    engine.close()


def test_a_group_s_prompt_is_read_into_all_of_its_slots() -> None:
    policy = qwen()
    engine = TransformersEngine(policy, stop_ids=[])
    (one,) = some(1)
    requests = [replace(one, conversation=k, seed=k) for k in range(10)]
    said = answers(engine, requests)
    assert len({reply.tokens for reply in said}) > 1
    assert is_own(policy, requests, said)
    engine.close()


def test_texts_are_read_in_parts_of_like_length() -> None:
    texts = [Text((8,) * n, start, [0]) for n, start in ((5, 0), (90, 0), (60, 0), (3, 7), (50, 0), (4, 9))]
    parts = [[(len(text.tokens), text.start) for text in part] for part in in_parts(texts, 180)]
    assert parts == [[(90, 0), (60, 0)], [(50, 0)], [(5, 0)], [(4, 9), (3, 7)]]
    long = [Text((8,) * 4096, start, [0]) for start in (4096, 1, 2)]
    assert [len(part) for part in in_parts(long, 1 << 30)] == [1, 1, 1]
    assert [len(part) for part in in_parts([replace(text, tokens=text.tokens[:256]) for text in long], 1 << 30)] == [3]


def test_what_attends_in_a_way_of_its_own_is_refused() -> None:
    voice = qwen()  # whose configuration names another attention function
    slots = Slots(voice)
    slots.reserve(8, 64)
    from peripatos.agents.language.engines.reading import reading

    tokens, work = reading([Text((8, 9), 0, [0])], torch.from_numpy)
    with pytest.raises(ValueError, match="Qwen2Model does not attend through transformers' attention functions"):
        slots.run(voice, work, tokens)


@on_gpu
@pytest.mark.parametrize("greedy", [False, True])
def test_a_recorded_step_says_what_one_says_that_is_not(greedy: bool) -> None:
    policy = qwen(device="cuda")
    requests = [replace(request, greedy=greedy, limit=60) for request in some(20)]
    said = []
    for records in (True, False):
        engine = TransformersEngine(policy, stop_ids=[2])
        assert engine._step.graphs.on
        engine._step.graphs.on = records
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            said.append(answers(engine, requests))
        assert (len(engine._step.graphs) > 0) == records
        engine.close()
    assert [one.tokens for one in said[0]] == [one.tokens for one in said[1]]
    assert is_own(policy, requests, said[0]) or greedy


@on_gpu
def test_a_recorded_step_speaks_with_the_weights_that_were_loaded_last() -> None:
    policy, other = qwen(device="cuda"), qwen(1, device="cuda")
    for precision in ("fp32", "bf16"):
        engine = TransformersEngine(policy, stop_ids=[], precision=precision)
        requests = [replace(request, greedy=True, limit=60) for request in some(20)]
        before = answers(engine, requests)
        assert len(engine._step.graphs) > 0
        recorded = dict(engine._step.graphs._known)
        engine.load(Weights(1, tensors=lambda: other.state_dict().items()))
        after = answers(engine, requests)
        assert all(engine._step.graphs._known[key] is graph for key, graph in recorded.items() if graph is not None)
        fresh = TransformersEngine(other, stop_ids=[], precision=precision)
        assert [one.tokens for one in after] == [one.tokens for one in answers(fresh, requests)]
        assert [one.tokens for one in after] != [one.tokens for one in before]
        policy.load_state_dict(qwen(device="cuda").state_dict())


@ways
def test_what_asks_the_host_is_not_recorded_and_that_is_said_once(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, policy = speaking(way)
    engine._step._whole = engine._step.graphs.on = True
    logits = engine._voice.logits

    def asks_the_host(hidden: Tensor) -> Tensor:
        assert bool(torch.isfinite(hidden).all())
        return logits(hidden)

    monkeypatch.setattr(engine._voice, "logits", asks_the_host)
    requests = some(5, limit=30)
    with pytest.warns(UserWarning, match="Qwen2ForCausalLM is sampled without CUDA graphs.* asks the host") as warned:
        said = answers(engine, requests)
    assert len([one for one in warned if "CUDA graphs" in str(one.message)]) == 1
    assert is_own(policy, requests, said)
    assert torch.randn(3, device=policy.device).isfinite().all()  # the device works as before
    engine.close()


def test_what_asks_the_host_is_known_by_what_it_does() -> None:
    x, at = torch.arange(6.0), torch.tensor([1, 2])
    harmless = [lambda: x[at], lambda: x.index_put_((at,), x[:2] + 1), lambda: x[:3] + 1, lambda: x.to(torch.bfloat16)]
    asking = [lambda: x[x > 2], lambda: x.sum().item(), lambda: x.nonzero(), lambda: x.index_put_((x > 2,), x[0] + 1)]
    for work in (*harmless, *asking):
        with _Watch() as watch:
            work()
        assert bool(watch.asks) == (work in asking)
