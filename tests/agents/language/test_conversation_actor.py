"""Episodes of conversation: tokens, rewards, failures, and independence from who else is talking."""

import pytest
import torch
from agents_worlds import Echo, Fragile

from peripatos.agents.language.authors import Chance, Oracle
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.protocols import Weights
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import StopReason
from peripatos.envs.worlds.maths.arithmetic import Arithmetic


@pytest.fixture(scope="module")
def policy() -> LanguagePolicy:
    torch.set_num_threads(1)
    return LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=2))


def actor_of(
    policy: LanguagePolicy, world: type = Echo, *, max_tokens: int = 6, version: int = 0, **options: int
) -> ConversationActor:
    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    sampler.load(Weights(version))
    return ConversationActor(world, sampler, renderer, max_tokens=max_tokens, **{"context": policy.context, **options})


def test_a_row_is_the_prompt_the_replies_and_what_lies_between(policy: LanguagePolicy) -> None:
    collection = actor_of(policy).collect([4], 2, seed=0, version=0)
    episode, renderer = collection.episodes[1], Renderer(policy.tokenizer)
    spoken = [m["content"] for m in episode.messages if m["role"] == "assistant"]
    assert len(spoken) == episode.turns == 3
    text = policy.tokenizer.decode(list(episode.tokens), skip_special_tokens=False)
    assert text.startswith(policy.tokenizer.decode(renderer.opening(episode.messages[:1])))
    assert sum(episode.mask) == episode.units == collection.action_units - collection.episodes[0].units
    assert episode.truncated
    assert not episode.terminated
    assert episode.reward == pytest.approx(sum(0.1 * len(reply) for reply in spoken))
    assert episode.reward_terms == {"length": pytest.approx(episode.reward)}


def test_rewards_land_on_the_last_unit_of_the_turn_that_earned_them(policy: LanguagePolicy) -> None:
    collection = actor_of(policy).collect(range(3), 2, seed=0, version=0)
    batch = collection.batch
    assert batch is not None
    for row, episode in enumerate(collection.episodes):
        at = torch.nonzero(batch.reward_B_T[row])[:, 0]
        paid = dict(zip(batch.turn_B_T[row, at].tolist(), batch.reward_B_T[row, at].tolist(), strict=True))
        assert paid == {turn: pytest.approx(reward) for turn, reward in enumerate(episode.turn_rewards) if reward}
        for position in at.tolist():
            assert batch.mask_B_T[row, position]
            same_turn = batch.mask_B_T[row] & (batch.turn_B_T[row] == batch.turn_B_T[row, position])
            assert position == int(torch.nonzero(same_turn)[-1])


@pytest.mark.parametrize("seed", range(2))
def test_what_is_said_does_not_depend_on_who_else_is_talking(policy: LanguagePolicy, seed: int) -> None:
    together = actor_of(policy, version=2).collect(range(6), 3, seed=seed, version=2).episodes
    alone = [actor_of(policy, version=2).collect([group], 3, seed=seed, version=2).episodes for group in (5, 0, 3)]
    for group, episodes in zip((5, 0, 3), alone, strict=True):
        for mine, theirs in zip(episodes, together[3 * group : 3 * group + 3], strict=True):
            assert mine.tokens == theirs.tokens


def test_group_members_share_a_task_and_not_their_chance(policy: LanguagePolicy) -> None:
    episodes = actor_of(policy).collect(range(4), 4, seed=0, version=0).episodes
    for group in range(4):
        members = [episode for episode in episodes if episode.group == group]
        assert len({episode.task for episode in members}) == 1
        assert len({episode.tokens for episode in members}) == 4
    assert len({episode.task for episode in episodes}) > 1
    later = actor_of(policy, version=1).collect(range(4), 4, seed=0, version=1).episodes
    assert [e.task for e in later] == [e.task for e in episodes]
    assert [e.tokens for e in later] != [e.tokens for e in episodes]


def test_evaluation_is_greedy_repeatable_and_on_held_out_tasks(policy: LanguagePolicy) -> None:
    actor = actor_of(policy, version=9)
    first, second = (actor.evaluate(5, seed=1, version=9) for _ in range(2))
    assert [e.tokens for e in first] == [e.tokens for e in second]
    assert all(e.split == "test" and e.messages[0]["content"].startswith("test") for e in first)


def test_a_world_that_fails_costs_its_own_episode_and_nothing_else(policy: LanguagePolicy) -> None:
    collection = actor_of(policy, Fragile).collect(range(30), 2, seed=0, version=0)
    failed = [e for e in collection.episodes if e.failure is not None]
    sound = [e for e in collection.episodes if e.failure is None]
    assert failed
    assert sound
    assert all(e.reward is None and e.success is None and e.stop_reason is StopReason.ERROR for e in failed)
    reasons = "".join(e.failure or "" for e in failed)
    assert all(word in reasons for word in ("no opening today", "database is gone", "is nan"))
    assert collection.batch is not None
    assert len(collection.batch.mask_B_T) == len(sound)
    whole = actor_of(policy, Echo).collect(range(30), 2, seed=0, version=0).episodes
    by_key = {(e.group, e.index): e for e in whole}
    assert all(by_key[e.group, e.index].tokens == e.tokens for e in sound)


class Answers(Echo):
    """Its `step` gives whatever was written here."""

    given: object = None

    def step(self, action):
        return self.given


@pytest.mark.parametrize("given", ["well done", None, 1.0, ("x", 1.0, True, {}), {"reward": 1.0}])
def test_a_step_of_another_form_costs_the_episode_and_says_what_it_gives(policy: LanguagePolicy, given: object) -> None:
    world = type("Answers", (Answers,), {"given": given})
    episodes = actor_of(policy, world).collect(range(2), 1, seed=0, version=0).episodes
    words = "it gives observation, reward, terminated, truncated, info"
    reasons = [e.failure or "" for e in episodes]
    assert all(":Answers: step gave " in reason and words in reason for reason in reasons), reasons


def test_an_episode_that_outgrows_the_context_is_truncated_and_says_so(policy: LanguagePolicy) -> None:
    episodes = actor_of(policy, context=30).collect(range(2), 1, seed=0, version=0).episodes
    assert all(e.stop_reason is StopReason.CONTEXT_LIMIT and e.truncated for e in episodes)


def test_demonstrations_are_the_oracles_words_with_the_stop_token(policy: LanguagePolicy) -> None:
    renderer = Renderer(policy.tokenizer)
    actor = ConversationActor(Arithmetic, Oracle(), renderer, context=policy.context)
    collection = actor.collect(range(5), 1, seed=0, version=0)
    assert all(e.success for e in collection.episodes)
    assert all(e.tokens[-1] == renderer.stop_id and e.mask[-1] for e in collection.episodes)
    with pytest.raises(UserError, match="Echo has no oracle"):
        ConversationActor(Echo, Oracle(), renderer, context=64).collect([0], 1, seed=0, version=0)


def test_random_text_survives_in_every_world(policy: LanguagePolicy) -> None:
    renderer = Renderer(policy.tokenizer)
    actor = ConversationActor(Arithmetic, Chance(), renderer, context=policy.context)
    episodes = actor.collect(range(20), 1, seed=0, version=0).episodes
    assert all(e.failure is None and e.reward is not None for e in episodes)


def test_a_template_that_rewrites_turns_gives_one_row_for_each_rewriting(policy: LanguagePolicy) -> None:
    from test_chat_template import STRIPS, tokenizer_with

    renderer = Renderer(tokenizer_with(STRIPS))
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(Echo, sampler, renderer, max_tokens=6, context=policy.context)
    batch = actor.collect(range(2), 1, seed=0, version=0).batch
    assert batch is not None
    assert batch.episode_B.tolist() == [0, 0, 0, 1 << 20, 1 << 20, 1 << 20]
    logp = policy.score(batch.inputs)[0]
    torch.testing.assert_close(logp[batch.mask_B_T], batch.behavior_logp_B_T[batch.mask_B_T], atol=1e-5, rtol=1e-5)


def test_a_bf16_sampler_follows_the_learner_after_load(policy: LanguagePolicy) -> None:
    renderer = Renderer(policy.tokenizer)
    learner = LanguagePolicy(*tiny_llama(seed=1, hidden=32, layers=2))
    sampler = TransformersEngine(learner, stop_ids=[renderer.stop_id], precision="bf16")
    actor = ConversationActor(Echo, sampler, renderer, max_tokens=6, context=512)
    before = actor.evaluate(3, seed=0, version=0)
    learner.load_state_dict(policy.state_dict())
    assert [e.tokens for e in actor.evaluate(3, seed=0, version=0)] == [e.tokens for e in before]
    actor.load(Weights(1))
    assert [e.tokens for e in actor.evaluate(3, seed=0, version=1)] != [e.tokens for e in before]


def test_a_reply_that_had_no_tokens_left_is_noted_at_its_last_one(policy: LanguagePolicy) -> None:
    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(Echo, sampler, renderer, max_tokens=4, context=policy.context)
    collection = actor.collect(range(4), 2, seed=0, version=0)
    batch = collection.batch
    assert batch is not None
    cut, stop = batch.notes["cut_B_T"], batch.inputs["tokens_B_T"] == renderer.stop_id
    turns = batch.turn_B_T
    last_of_turn = batch.mask_B_T & ~torch.nn.functional.pad(
        batch.mask_B_T[:, 1:] & (turns[:, 1:] == turns[:, :-1]), (0, 1)
    )
    assert cut.any()
    assert torch.equal(cut, last_of_turn & ~stop)


def test_what_the_world_says_after_the_first_reply_is_noted_and_its_log_probabilities_can_be_read(
    policy: LanguagePolicy,
) -> None:
    collection = actor_of(policy).collect([4, 5], 2, seed=0, version=0)
    batch = collection.batch
    assert batch is not None
    observed = batch.notes["observed_B_T"]
    assert not (observed & batch.mask_B_T).any()
    for row, episode in enumerate(collection.episodes):
        assert not observed[row, : int(batch.inputs["first_B"][row])].any()
        said = policy.tokenizer.decode(batch.inputs["tokens_B_T"][row][observed[row]].tolist())
        answers = [m["content"] for m in episode.messages[1:] if m["role"] == "user"]
        assert [said.count(answer) for answer in set(answers)] == [2]  # the last one is read by nobody
    tokens = batch.inputs["tokens_B_T"]
    with torch.no_grad():
        heard = policy.score(policy.hearing(batch.inputs, observed)).logp_B_T
        logits = policy.model(input_ids=tokens).logits[:, :-1].float()
    want = torch.log_softmax(logits, dim=-1).gather(-1, tokens[:, 1:, None])[..., 0]
    read = (observed | batch.mask_B_T)[:, 1:]
    torch.testing.assert_close(heard[:, 1:][read], want[read], atol=1e-4, rtol=1e-4)
    assert not heard[:, 1:][~read].any()


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_energy_of_a_token_is_the_squared_slope_of_its_log_probability_by_its_logits(temperature: float) -> None:
    policy = LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=2), temperature=temperature)
    batch = actor_of(policy).collect([4], 2, seed=0, version=0).batch
    assert batch is not None
    tokens, mask = batch.inputs["tokens_B_T"], batch.mask_B_T
    with torch.no_grad():
        logits = policy.model(input_ids=tokens).logits[:, :-1].float() / temperature
    logp = torch.log_softmax(logits.requires_grad_(), dim=-1).gather(-1, tokens[:, 1:, None])
    (slope,) = torch.autograd.grad(logp.sum(), logits)
    got = policy.energy(batch.inputs)
    torch.testing.assert_close(got[:, 1:][mask[:, 1:]], (slope**2).sum(-1)[mask[:, 1:]], atol=1e-4, rtol=1e-3)
    assert not got.requires_grad
