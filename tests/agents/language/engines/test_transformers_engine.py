"""What the sampler remembers between the turns of a conversation."""

from collections.abc import Callable, Sequence

import pytest
import torch
from agents_worlds import Echo

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines import transformers_engine as module
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.protocols import Request, Weights
from peripatos.envs.vocabulary import Collection


class Reader(LanguagePolicy):
    """Notes how many tokens were read of each prompt."""

    def __init__(self) -> None:
        super().__init__(*tiny_llama(seed=0, hidden=32, layers=2))
        self.read: list[int] = []

    def read_prompts(self, prompts: Sequence[Sequence[int]], *rest: object) -> tuple:
        self.read += map(len, prompts)
        return super().read_prompts(prompts, *rest)


@pytest.fixture
def policy() -> Reader:
    torch.set_num_threads(1)
    return Reader()


def collect(policy: Reader) -> tuple[Collection, TransformersEngine]:
    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(Echo, sampler, renderer, max_tokens=6, context=policy.context)
    policy.read.clear()
    return actor.collect(range(3), 2, seed=0, version=0), sampler


def test_every_token_is_read_once(policy: Reader) -> None:
    collection, _ = collect(policy)
    openings, between = 0, 0
    for episode in collection.episodes:
        spoken = episode.mask.index(True)
        openings += spoken if episode.index == 0 else 0  # a group's opening is one
        last = max(at for at, chosen in enumerate(episode.mask) if chosen)
        between += sum(not chosen for chosen in episode.mask[spoken:last])
    unfed = sum(episode.turns - 1 for episode in collection.episodes)  # a reply's last token is read with what follows
    assert sum(policy.read) == openings + between + unfed


def test_what_was_dropped_is_read_again_and_the_same_is_said(policy: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered, _ = collect(policy)
    once = sum(policy.read)
    a_row = 2 * 2 * 32 * 4 * 60  # keys and values, layers, width, bytes, tokens: some rows have room and some have none
    for limit in (0, 2 * a_row):
        monkeypatch.setattr(module, "MEMORY_BYTES", limit)
        dropped, _ = collect(policy)
        assert sum(policy.read) > once, f"limit {limit}"
        assert [e.tokens for e in dropped.episodes] == [e.tokens for e in remembered.episodes]
        for one, other in zip(dropped.episodes, remembered.episodes, strict=True):
            assert one.behavior_logp == pytest.approx(other.behavior_logp, abs=1e-5)


def test_what_is_over_or_was_read_with_old_weights_is_not_remembered(policy: Reader) -> None:
    engine = TransformersEngine(policy, stop_ids=[])

    def read_of_a_turn_that_goes_on(between: Callable[[], None]) -> int:
        """Tokens that are read of a second turn, whose prompt is the first one, the reply, and one token more."""
        first = engine.submit([Request(7, tuple(range(8, 48)), 4, 0, greedy=True)])[0].result().tokens
        between()
        policy.read.clear()
        engine.submit([Request(7, (*range(8, 48), *first, 9), 4, 0, greedy=True)])[0].result()
        return sum(policy.read)

    assert read_of_a_turn_that_goes_on(lambda: None) == 2
    assert read_of_a_turn_that_goes_on(lambda: engine.release([3, 7])) == 45
    assert read_of_a_turn_that_goes_on(lambda: engine.load(Weights(1))) == 45
