"""A model with a scalar head reads what was said, in tokens of its own, and scores it behind the last of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from peripatos.agents.language.authors import Oracle
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.judgement import JudgingActor, RewardModel, score_episodes
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.envs.conversation.pair_world import HeldOutPairs
from peripatos.envs.vocabulary import Episode, Message, StopReason
from peripatos.envs.worlds.maths.digits import conversation
from peripatos.scenarios.run.episode_statistics import summarize

NEAR = 1e-4  # scores of ±6, sums of 32 numbers in fp32, of which a last place is 5e-7


@pytest.fixture(scope="module")
def policy() -> LanguagePolicy:
    made = LanguagePolicy(*tiny_llama(seed=3, hidden=32, layers=2), critic=True)
    assert made.value_head is not None
    torch.nn.init.normal_(made.value_head.weight, generator=torch.Generator().manual_seed(0))
    torch.nn.init.constant_(made.value_head.bias, 0.5)
    return made


def played(*texts: str, stop: StopReason = StopReason.STOP) -> Episode:
    """A conversation of a user and an agent by turns. Its tokens are those of who played it: others."""
    roles = ("user", "assistant")
    messages = tuple(Message(role=roles[n % 2], content=text) for n, text in enumerate(texts))
    return Episode(0, 0, 0, 0, "train", 0.0, stop_reason=stop, messages=messages, tokens=(1, 2), mask=(False, True))


@torch.no_grad()
def by_hand(policy: LanguagePolicy, *texts: str, end: bool = True) -> float:
    """The head on the last hidden state of the conversation's tokens."""
    renderer = Renderer(policy.tokenizer)
    assert len(texts) == 2
    tokens = renderer.opening([{"role": "user", "content": texts[0]}]) + policy.tokenizer.encode(
        texts[1], add_special_tokens=False
    )
    tokens += [renderer.stop_id] if end else []
    hidden = policy.backbone(input_ids=torch.tensor([tokens])).last_hidden_state[0, -1]
    assert policy.value_head is not None
    return float(policy.value_head(hidden))


def test_a_score_is_that_of_the_state_behind_the_last_token_alone_or_with_others(policy: LanguagePolicy) -> None:
    judge = RewardModel(policy, Renderer(policy.tokenizer), context=64)
    episodes = [played("2+2=", "4"), played("a much longer question?", "and an answer"), played("2+2=", "")]
    together, alone = judge(episodes), [judge([episode])[0] for episode in episodes]
    assert together == pytest.approx(alone, abs=NEAR)
    wanted = [by_hand(policy, *(str(message["content"]) for message in episode.messages)) for episode in episodes]
    assert together == pytest.approx(wanted, abs=NEAR)
    assert len({round(score, 4) for score in wanted}) == 3


def test_the_score_of_a_turn_is_that_of_the_conversation_up_to_it(policy: LanguagePolicy) -> None:
    judge = RewardModel(policy, Renderer(policy.tokenizer), context=96)
    whole, other = replace(played("2+2=", "4", "Sure?", "Yes."), turns=2), replace(played("a?", "b"), turns=1)
    turns = judge.turns([whole, other, replace(whole, turns=3), played("2+2=")])
    assert turns[2:] == [None, None]  # another number of replies, and nobody replied
    assert turns[0] == pytest.approx([judge([played("2+2=", "4")])[0], judge([whole])[0]], abs=NEAR)
    assert turns[1] == pytest.approx([by_hand(policy, "a?", "b")], abs=NEAR)


def test_what_the_assistant_said_in_the_opening_is_no_turn_and_is_scored_by_nobody(policy: LanguagePolicy) -> None:
    judge = RewardModel(policy, Renderer(policy.tokenizer), context=96)
    texts = ("1+1=", "2", "2+2=", "4", "Sure?", "Yes.")
    whole, shown = (replace(played(*texts), turns=turns) for turns in (3, 2))
    (three, two), ends = judge.turns([whole, shown]), judge([whole, shown])
    assert three is not None
    assert two == pytest.approx(three[1:], abs=NEAR)
    assert ends == pytest.approx([three[-1]] * 2, abs=NEAR)


def test_a_reply_that_was_cut_has_no_end(policy: LanguagePolicy) -> None:
    judge = RewardModel(policy, Renderer(policy.tokenizer), context=64)
    (score,) = judge([played("2+2=", "4 beca", stop=StopReason.LENGTH)])
    assert score == pytest.approx(by_hand(policy, "2+2=", "4 beca", end=False), abs=NEAR)


def test_what_stands_behind_the_last_reply_changes_no_score(policy: LanguagePolicy) -> None:
    judge = RewardModel(policy, Renderer(policy.tokenizer), context=64)
    one, other = judge([played("2+2=", "4"), played("2+2=", "4", "Thanks!")])
    assert one == pytest.approx(other, abs=NEAR)


def test_what_is_too_long_or_has_no_reply_has_no_score(policy: LanguagePolicy) -> None:
    judge = RewardModel(policy, Renderer(policy.tokenizer), context=24)
    scores = judge([played("2+2="), played("x" * 100, "4"), played("2+2=", "4"), played("2+2=", "4", "more", "y" * 90)])
    assert [score is None for score in scores] == [True, True, False, True]
    assert judge([]) == []


def test_an_answer_that_is_cut_is_compared_with_nobody(policy: LanguagePolicy) -> None:
    long, short, other = (conversation("1:", [n, n]) for n in (9, 5, 1))
    long[-1] = {"role": "assistant", "content": "9" * 200}
    learned = {"answers": [conversation("0:", [n]) for n in (9, 5, 1)], "split": "train"}
    world = HeldOutPairs([learned, {"answers": [long, short, other], "split": "test"}])
    renderer = Renderer(policy.tokenizer)
    sides = [ConversationActor(world.on_side(n).sibling, Oracle(), renderer, context=64) for n in range(3)]
    looked = JudgingActor(sides, policy, {"test": 1}, turns=True).evaluate(9, seed=0, version=0)
    assert [episode.messages[1]["content"] for episode in looked if "margin" in episode.metrics] == ["5", "5"]


def test_of_equal_scores_each_pair_is_half_a_success() -> None:
    policy = LanguagePolicy(*tiny_llama(seed=3, hidden=32, layers=2), critic=True)  # its head begins at zero
    rows = [
        {"prompt": "1:", "answers": [*"951"], "split": "test"},
        {"prompt": "0:", "answers": [*"951"], "split": "train"},
    ]
    world = HeldOutPairs(rows)
    renderer = Renderer(policy.tokenizer)
    sides = [ConversationActor(world.on_side(n).sibling, Oracle(), renderer, context=64) for n in range(3)]
    for turns in (False, True):
        looked = JudgingActor(sides, policy, {"test": 1}, turns=turns).evaluate(9, seed=0, version=0)
        assert [(episode.success, episode.reward, episode.metrics["margin"]) for episode in looked] == [
            (0.5, 0.5, 0)
        ] * 3
        for many in (1, 2, 3):
            assert summarize(looked[:many])["success_rate"] == 0.5
    right = replace(looked[0], success=True, reward=1.0)
    assert summarize([looked[0], right])["success_rate"] == summarize([looked[0], right])["return_mean"] == 0.75


def test_passes_of_few_tokens_score_as_one_pass_of_all(policy: LanguagePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    episodes = [
        Episode(0, n, 0, 0, "train", 0.0, tokens=tuple(range(5, 9 + n)), mask=(False, *[True] * (3 + n)))
        for n in range(6)
    ]
    whole = score_episodes(policy, episodes)
    monkeypatch.setattr(policy, "token_budget", 12)
    assert score_episodes(policy, episodes) == pytest.approx(whole, abs=NEAR)
