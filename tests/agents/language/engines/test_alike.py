"""What rows have alike is looked at once: the flat attention to rounding, whoever is in which group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Gemma2Config, Gemma2ForCausalLM, Qwen2Config, Qwen2ForCausalLM

from peripatos.agents.language.engines import alike as module
from peripatos.agents.language.engines.alike import WORTH, Alike, Part, alike_of, merged, weigh_part
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.agents.protocols import Completion, Request

NEVER = 1 << 60


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int]]]:
    """Every step that reads something once, with how many places and the sizes of its groups; few places will do."""
    seen: list[tuple[int, list[int]]] = []

    def note(rows: Sequence[tuple[int, int, int]]) -> Alike | None:
        if (found := alike_of(rows)) is not None:
            seen.append((found.length, [len(row_M) for _, row_M in found.groups]))
        return found

    monkeypatch.setattr(module, "WORTH", 1)
    monkeypatch.setattr("peripatos.agents.language.engines.step.alike_of", note)
    return seen


def test_two_parts_of_the_places_say_together_what_all_places_say() -> None:
    """By hand: scores log 1, log 2 | log 3, log 2, so the places weigh 1/8, 2/8 | 3/8, 2/8."""
    values = torch.tensor([8.0, 16.0, 24.0, 4.0], dtype=torch.float64)
    parts = [
        Part(torch.full((1, 1, 1, 1), said, dtype=torch.float64), torch.full((1, 1, 1), total, dtype=torch.float64))
        for said, total in ((40 / 3, math.log(3)), (80 / 5, math.log(5)))
    ]
    whole = values @ torch.tensor([1 / 8, 2 / 8, 3 / 8, 2 / 8], dtype=torch.float64)
    assert merged(*parts).item() == pytest.approx(whole.item(), abs=1e-12)


# of numbers up to 2: some forty of a last place in fp64 and fp32, and three in bf16
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-14), (torch.float32, 5e-6), (torch.bfloat16, 3e-2)])
def test_groups_of_any_size_that_share_heads_read_what_each_row_reads_alone(dtype: torch.dtype, close: float) -> None:
    generator = torch.Generator().manual_seed(0)
    S, K, G, D, L, P = 9, 2, 3, 16, 40, 25
    keys, values = (torch.randn(S, K, L, D, generator=generator, dtype=torch.float64) for _ in range(2))
    groups = ((1, [1, 4, 5]), (0, [0]), (2, [2, 3]))  # by slot; the rows of the step are slots 0 to 5
    for _, slots in groups:
        keys[slots, :, :P], values[slots, :, :P] = keys[slots[0], :, :P], values[slots[0], :, :P]
    query = torch.randn(6, K, G, D, generator=generator, dtype=torch.float64)
    weight_N_K_G_L = (0.3 * query @ keys[:6].transpose(2, 3)).softmax(dim=-1)
    expected = weight_N_K_G_L @ values[:6]
    query, keys, values = query.to(dtype), keys.to(dtype), values.to(dtype)
    alike = Alike(P, tuple((slot, torch.tensor(rows)) for slot, rows in groups))
    own = weigh_part(query, keys[:6, :, P:], values[:6, :, P:], None, 0.3)
    said = merged(alike.weigh(query, keys, values, 0.3), own)
    torch.testing.assert_close(said.double(), expected, atol=close, rtol=0.0)


def groups_of(rows: Sequence[tuple[int, str, int]]) -> tuple[int, list[tuple[int, list[int]]]] | None:
    found = alike_of(rows)
    return None if found is None else (found.length, [(slot, row_M.tolist()) for slot, row_M in found.groups])


def test_the_shortest_beginning_is_read_once_for_each_group_out_of_its_first_slot() -> None:
    rows = [(7, "a", WORTH), (2, "b", WORTH + 5), (3, "a", WORTH + 9), (9, "b", WORTH + 1), (4, "a", WORTH + 9)]
    assert groups_of(rows) == (WORTH, [(2, [0, 4]), (3, [1, 2, 3])])


@pytest.mark.parametrize(
    "rows",
    [
        [(0, "a", 9 * WORTH)],
        [(0, "a", 9 * WORTH), (1, "b", 9 * WORTH)],  # nobody shares
        [(0, "a", WORTH - 1), (1, "a", WORTH)],  # a place too few
        [(0, "a", 9 * WORTH), (1, "a", 9 * WORTH), (2, "b", 5)],  # one row with a short beginning
        [(0, "a", 0), (1, "a", 0)],
    ],
)
def test_what_is_not_worth_while_is_read_slot_by_slot(rows: Sequence[tuple[int, str, int]]) -> None:
    assert groups_of(rows) is None


def qwen(**more: Any) -> LanguagePolicy:
    """Two query heads for each head of keys, and weights so large that a wrong place shows."""
    tokenizer = tiny_tokenizer()
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=2, pad_token_id=0, **more,
    )  # fmt: skip
    return loud(Qwen2ForCausalLM(config), tokenizer)


def windowed() -> LanguagePolicy:
    """Of two layers one looks back through a window."""
    return qwen(use_sliding_window=True, sliding_window=16, max_window_layers=1)


def gemma() -> LanguagePolicy:
    """One layer looks back through a window and one at everything, both with a cap."""
    tokenizer = tiny_tokenizer()
    config = Gemma2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=256, sliding_window=16, bos_token_id=None,
        eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    return loud(Gemma2ForCausalLM(config), tokenizer)


def loud(model: Qwen2ForCausalLM | Gemma2ForCausalLM, tokenizer) -> LanguagePolicy:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.normal_(0.0, 0.12, generator=generator)
    return LanguagePolicy(model, tokenizer)


def asked(groups: Sequence[tuple[int, int]], limit: int = 9) -> list[Request]:
    """Groups of (size, tokens of the prompt), one after the other; every other row stops earlier."""
    generator = torch.Generator().manual_seed(1)
    requests: list[Request] = []
    for size, length in groups:
        prompt = tuple(torch.randint(7, 90, (length,), generator=generator).tolist())
        for _ in range(size):
            n = len(requests)
            requests.append(Request(n, prompt, limit - 4 * (n % 2), seed=n, greedy=n % 5 == 0))
    return requests


def answers(engine: TransformersEngine, requests: Sequence[Request]) -> list[Completion]:
    return [future.result(60) for future in engine.submit(requests)]


def conversations(policy: LanguagePolicy, requests: Sequence[Request]) -> list[Completion]:
    """Three turns of all, in the second of which half of them wait, while one is rewritten within its first prompt and
    a new group comes."""
    engine = TransformersEngine(policy, stop_ids=[2])
    said = answers(engine, requests)

    def next_turn(of: Sequence[Request], replies: Sequence[Completion], keep: int | None = None) -> list[Request]:
        heard = [(*one.prompt, *reply.tokens, 9, 11) for one, reply in zip(of, replies, strict=True)]
        if keep is not None:
            heard[0] = (*heard[0][:keep], 12, 13, *heard[0][keep:])
        return [replace(one, prompt=prompt) for one, prompt in zip(of, heard, strict=True)]

    second = next_turn(requests[::2], said[::2], keep=30)
    second += [replace(one, conversation=100 + one.conversation, limit=3) for one in asked([(3, 26)])]
    said_then = answers(engine, second)
    third = next_turn(second, said_then) + next_turn(requests[1::2], said[1::2])
    engine_said = [*said, *said_then, *answers(engine, third)]
    engine.close()
    return engine_said


@pytest.mark.parametrize("make", [qwen, windowed, gemma])
def test_groups_in_turns_say_what_they_say_where_every_slot_is_read(
    make, once: list[tuple[int, list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, requests = make(), asked([(8, 40), (4, 37), (1, 50)])
    together = conversations(policy, requests)
    assert {length for length, _ in once} == {36, 25, 30}  # the shortest prompt, the new one, the rewritten
    sizes = [sizes for _, sizes in once]
    assert [8, 4, 1] in sizes
    assert [4, 2, 1, 3] in sizes
    monkeypatch.setattr(module, "WORTH", NEVER)
    apart = conversations(policy, requests)
    assert [one.tokens for one in together] == [one.tokens for one in apart]
    for one, other in zip(together, apart, strict=True):
        assert one.logp == pytest.approx(other.logp, abs=1e-5)


def test_whoever_is_read_for_the_others_may_end_and_its_slot_be_taken(once: list[tuple[int, list[int]]]) -> None:
    policy = qwen()
    engine = TransformersEngine(policy, stop_ids=[])
    requests = [replace(one, limit=40 if one.conversation else 2, greedy=False) for one in asked([(4, 40)])]
    owed = engine.submit(requests)
    owed[0].result(60)
    engine.release([0])
    other = replace(asked([(1, 60)])[0], conversation=9, prompt=tuple(range(7, 67)), limit=3)  # into the free slot
    answers(engine, [other])
    for request, reply in zip(requests, [future.result(60) for future in owed], strict=True):
        assert own_logp(policy, request, reply).tolist() == pytest.approx(reply.logp, abs=1e-4)
    assert (39, [4]) in once
    assert (39, [3]) in once
    engine.close()


@torch.no_grad()
def own_logp(policy: LanguagePolicy, request: Request, said: Completion) -> Tensor:
    """The model's own log-probabilities of a reply, read without slots."""
    ids = torch.tensor([[*request.prompt, *said.tokens]])
    logp = policy.model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1)
    first = len(request.prompt)
    return torch.stack([logp[first - 1 + n, token] for n, token in enumerate(said.tokens)])
