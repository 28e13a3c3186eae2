"""What the sampler remembers between the turns of a conversation."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from agents_worlds import Echo

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines import transformers_engine as module
from peripatos.agents.language.engines.reading import Text
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.protocols import Request, Weights
from peripatos.envs.vocabulary import Collection


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens were read of each text; the last one of a prompt is fed by the first step instead."""
    torch.set_num_threads(1)
    read: list[int] = []
    real = module.reading

    def noted(texts: Sequence[Text], *rest: Any) -> Any:
        read.extend(len(text.tokens) for text in texts)
        return real(texts, *rest)

    monkeypatch.setattr(module, "reading", noted)
    return read


def tiny(context: int = 512) -> LanguagePolicy:
    return LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=2, context=context))


def collect() -> Collection:
    policy = tiny()
    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(Echo, sampler, renderer, max_tokens=6, context=policy.context)
    return actor.collect(range(3), 2, seed=0, version=0)


def test_every_token_is_read_once(read: list[int]) -> None:
    openings, between = 0, 0
    for episode in collect().episodes:
        spoken = episode.mask.index(True)
        openings += spoken - 1 if episode.index == 0 else 0  # a group's opening is one
        last = max(at for at, chosen in enumerate(episode.mask) if chosen)
        # a reply's last token is read with what follows, whose last one is not
        between += sum(not chosen for chosen in episode.mask[spoken:last])
    assert sum(read) == openings + between


def test_what_was_dropped_is_read_again_and_the_same_is_said(read: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    remembered = collect()
    once = sum(read)
    a_row = 2 * 2 * 32 * 4 * 60  # keys and values, layers, width, bytes, tokens: some rows have room and some have none
    for limit in (0, 2 * a_row):
        monkeypatch.setattr(module, "MEMORY_BYTES", limit)
        read.clear()
        dropped = collect()
        assert sum(read) > once, f"limit {limit}"
        assert [e.tokens for e in dropped.episodes] == [e.tokens for e in remembered.episodes]
        for one, other in zip(dropped.episodes, remembered.episodes, strict=True):
            assert one.behavior_logp == pytest.approx(other.behavior_logp, abs=1e-5)


def test_of_a_turn_whose_template_rewrites_the_one_before_only_what_is_new_is_read(read: list[int]) -> None:
    policy, opening = tiny(), tuple(range(8, 48))
    for kept in (2, 0):  # of the reply's four tokens; behind them come five others
        engine = TransformersEngine(policy, stop_ids=[])
        first = engine.submit([Request(7, opening, 4, 0, greedy=True)])[0].result().tokens
        rewritten = (*opening, *first[:kept], *range(60, 65))
        assert first[kept] != 60
        read.clear()
        again = engine.submit([Request(7, rewritten, 4, 0, greedy=True)])[0].result()
        assert sum(read) == 4  # the last one is fed by the first step
        anew = TransformersEngine(policy, stop_ids=[]).submit([Request(0, rewritten, 4, 0, greedy=True)])[0].result()
        assert again.tokens == anew.tokens
        assert again.logp == pytest.approx(anew.logp, abs=1e-5)


def test_wherever_a_conversation_is_cut_or_rewritten_the_same_is_said_as_anew(read: list[int]) -> None:
    policy, rng = tiny(), random.Random(1)
    engine = TransformersEngine(policy, stop_ids=[])

    def some(count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(8, 90) for _ in range(count))

    prompts = [some(40) for _ in range(3)]
    for turn in range(6):
        requests = [Request(row, one, rng.randrange(1, 9), turn, greedy=True) for row, one in enumerate(prompts)]
        for row, future in enumerate(engine.submit(requests)):
            said = future.result()
            anew = TransformersEngine(policy, stop_ids=[]).submit([requests[row]])[0].result()
            assert said.tokens == anew.tokens
            assert said.logp == pytest.approx(anew.logp, abs=1e-5)
            whole = (*prompts[row], *said.tokens)
            prompts[row] = whole[: rng.randrange(1, len(whole) + 1)] + some(rng.choice([0, 0, 1, 5, 40]))


def test_a_prompt_that_begins_as_little_of_the_turn_before_is_read_once_for_its_group(read: list[int]) -> None:
    engine = TransformersEngine(tiny(), stop_ids=[])
    for prompt in (tuple(range(8, 48)), (8, 9, *range(60, 98))):
        read.clear()
        for reply in engine.submit([Request(row, prompt, 4, row, greedy=False) for row in range(3)]):
            reply.result()
        assert read == [39]


def test_what_is_over_or_was_read_with_old_weights_is_not_remembered(read: list[int]) -> None:
    engine = TransformersEngine(tiny(), stop_ids=[])

    def read_of_a_turn_that_goes_on(between: Callable[[], None]) -> int:
        """Tokens that are read of a second turn, whose prompt is the first one, the reply, and one token more."""
        first = engine.submit([Request(7, tuple(range(8, 48)), 4, 0, greedy=True)])[0].result().tokens
        between()
        read.clear()
        engine.submit([Request(7, (*range(8, 48), *first, 9), 4, 0, greedy=True)])[0].result()
        return sum(read)

    assert read_of_a_turn_that_goes_on(lambda: None) == 1
    assert read_of_a_turn_that_goes_on(lambda: engine.release([3, 7])) == 44
    assert read_of_a_turn_that_goes_on(lambda: engine.load(Weights(1))) == 44
