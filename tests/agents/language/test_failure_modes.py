"""Nine ways in which others lost tokens over many turns, each with a template or a tokenizer that provokes it."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from agents_engines import Told
from agents_worlds import Echo
from faithful_templates import (
    DEFAULT_SYSTEM,
    DROPS_THOUGHTS,
    LLAMA3,
    MOVES_THOUGHTS,
    PYTHONIC,
    REFUSES,
    tokenizer_of,
)

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import TEMPLATE, tiny_llama
from peripatos.agents.protocols import Completion
from peripatos.algorithms.annotate import with_values
from peripatos.algorithms.credit import assign_credit
from peripatos.algorithms.methods import METHODS
from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.tools import ToolWorld
from peripatos.envs.vocabulary import Batch, Collection, Episode, Reply, StopReason

THOUGHT = "<think>\nbecause\n</think>\n\n"


class Talk:
    """One episode with `template`, in which the agent says `replies` in turn (the last one again and again)."""

    def __init__(
        self,
        template: str,
        replies: Sequence[str | Sequence[int]],
        make_world: Callable[[], ConversationEnv] = Echo,
        *,
        context: int = 100_000,
    ) -> None:
        self.tokenizer = tokenizer_of(template)
        self.renderer = Renderer(self.tokenizer)
        rest = list(replies)

        def say(turn: int) -> Sequence[int]:
            reply = rest.pop(0) if len(rest) > 1 else rest[0]
            return self.renderer.encode_reply(reply) if isinstance(reply, str) else reply

        self.engine = Told(say, self.renderer.stop_id)
        actor = ConversationActor(make_world, self.engine, self.renderer, context=context)
        collection = actor.collect([0], 1, seed=0, version=0)
        assert collection.batch is not None
        self.batch: Batch = collection.batch
        self.episode: Episode = collection.episodes[0]

    def row(self, b: int) -> list[int]:
        return self.batch.inputs["tokens_B_T"][b, : int(self.batch.inputs["length_B"][b])].tolist()

    def text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False))

    def rendered(self, messages: Sequence[object], *, prompt: bool = True) -> list[int]:
        text = self.tokenizer.apply_chat_template(list(messages), add_generation_prompt=prompt, tokenize=False)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


class Adder:
    def __init__(self, task: object) -> None: ...

    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        return a + b


def adder() -> ToolWorld:
    tasks = [{"prompt": f"{n}+1?"} for n in range(8)]
    return ToolWorld(tasks, Adder, lambda host, task, reply: True, timeout=None)


CALL = '<tool_call>{"name":   "add", "arguments": {"b": 1,  "a": 2}}</tool_call>'  # no printer spaces it so


# 1 ── a template that drops thoughts from earlier turns


def test_dropped_thoughts_make_a_sample_of_each_turn_which_is_what_the_model_saw() -> None:
    talk = Talk(DROPS_THOUGHTS, [THOUGHT + str(n) for n in range(3)])
    assert talk.batch.episode_B.tolist() == [0, 0, 0]
    for turn, seen in enumerate(talk.engine.seen):
        history = talk.episode.messages[: 2 * turn + 1]
        assert list(seen) == talk.rendered(history)
        assert "because" not in talk.text(seen)
        assert talk.row(turn)[: len(seen)] == list(seen)
        assert talk.text(talk.row(turn)[len(seen) :]).startswith(THOUGHT + str(turn) + "<|end|>")
        assert sum(talk.batch.mask_B_T[turn].tolist()) == len(talk.renderer.encode_reply(THOUGHT + str(turn)))


def test_thoughts_between_tool_calls_survive_and_leave_one_sample() -> None:
    talk = Talk(DROPS_THOUGHTS, [THOUGHT + CALL, THOUGHT + "3"], adder)
    assert talk.batch.episode_B.tolist() == [0]
    assert talk.text(talk.row(0)).count("because") == 2
    assert talk.episode.success


# 2 ── a template that puts old thoughts outside of their tags


def test_a_template_that_misplaces_old_thoughts_never_sees_them() -> None:
    talk = Talk(MOVES_THOUGHTS, [THOUGHT + "1"])
    written = [{**message, "content": message.get("written", message["content"])} for message in talk.episode.messages]
    assert "because\n<think></think>" in talk.text(talk.rendered(written)).replace("\n\n", "\n")
    assert len(talk.batch.mask_B_T) == 1
    assert talk.text(talk.row(0)).count(THOUGHT + "1") == 3


# 3 ── text that encodes to other tokens than it was decoded from


def test_sampled_tokens_stay_although_their_text_encodes_differently() -> None:
    tokenizer = tokenizer_of(TEMPLATE)
    letters = [tokenizer.convert_tokens_to_ids(letter) for letter in "<answer>7"]
    ids = [*letters, tokenizer.eos_token_id]
    assert tokenizer("<answer>7", add_special_tokens=False)["input_ids"] != letters  # the tag is one token
    talk = Talk(TEMPLATE, [ids])
    chosen = [token for token, mine in zip(talk.row(0), talk.batch.mask_B_T[0].tolist(), strict=False) if mine]
    assert chosen == ids * 3
    assert all(talk.row(0)[: len(seen)] == list(seen) for seen in talk.engine.seen)


def test_a_tool_call_is_never_printed_anew() -> None:
    talk = Talk(TEMPLATE, [CALL, "3"], adder)
    assert CALL in talk.text(talk.row(0))
    said = talk.episode.messages[1]
    assert (said["content"], said.get("written")) == ("", CALL)
    assert [call["function"] for call in said.get("tool_calls", [])] == [{"name": "add", "arguments": {"b": 1, "a": 2}}]
    assert talk.episode.messages[2].get("tool_call_id") == said.get("tool_calls", [])[0]["id"] == "call00000"
    assert talk.episode.success


# 4 ── boundaries: newlines, end tokens, merges; 6 ── a system message that comes with every piece


@pytest.mark.parametrize("template", [TEMPLATE, DEFAULT_SYSTEM, LLAMA3, PYTHONIC, REFUSES])
def test_three_turns_are_token_for_token_what_the_template_renders_as_a_whole(template: str) -> None:
    talk = Talk(template, ["one", "two", "three"])
    assert len(talk.batch.mask_B_T) == 1
    for turn, seen in enumerate(talk.engine.seen):
        assert list(seen) == talk.rendered(talk.episode.messages[: 2 * turn + 1])


def test_a_system_message_of_the_template_stands_once_and_first() -> None:
    text = (talk := Talk(DEFAULT_SYSTEM, ["one"])).text(talk.row(0))
    assert talk.episode.turns == 3
    assert text.count("You are helpful.") == 1
    assert text.startswith("<|system|>\nYou are helpful.")


def test_a_prompt_and_a_reply_that_would_merge_do_not() -> None:
    """The template ends with "<" and the reply begins with what makes a tag of it."""
    begins = TEMPLATE.replace("<|assistant|>", "<|assistant|><").replace(
        "{{ message.content }}", "{% if message.role == 'assistant' %}<{% endif %}{{ message.content }}"
    )
    talk = Talk(begins, ["answer>1"])
    tag = talk.tokenizer.convert_tokens_to_ids("<answer>")
    text = talk.text(talk.row(0))
    assert text.count("<answer>1") == 3
    assert talk.tokenizer(text, add_special_tokens=False)["input_ids"].count(tag) == 3
    assert tag not in talk.row(0)


# 5 ── a stop token that is not trained


def test_a_sampled_stop_token_is_an_action_with_a_log_probability_and_a_gradient() -> None:
    torch.set_num_threads(1)
    policy = LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=1))
    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(Echo, sampler, renderer, max_tokens=60, context=policy.context)
    batch = actor.collect(range(4), 2, seed=0, version=0).batch
    assert batch is not None
    stop = (batch.inputs["tokens_B_T"] == renderer.stop_id) & batch.mask_B_T
    assert int(stop.sum()) >= 3
    logp = policy.score(batch.inputs)[0]
    torch.testing.assert_close(logp[stop], batch.behavior_logp_B_T[stop], atol=1e-5, rtol=1e-5)
    (gradient,) = torch.autograd.grad(logp[stop].sum(), [policy.model.get_output_embeddings().weight])
    assert gradient[renderer.stop_id].abs().max() > 0


def test_a_reply_that_was_cut_gets_an_end_that_nobody_is_trained_on() -> None:
    cut = tokenizer_of(TEMPLATE)("unfinished", add_special_tokens=False)["input_ids"]
    talk = Talk(TEMPLATE, [cut])
    for position, token in enumerate(talk.row(0)):
        if token == talk.renderer.stop_id:
            assert not talk.batch.mask_B_T[0, position]
    assert list(talk.engine.seen[2]) == talk.rendered(talk.episode.messages[:5])


# 7 ── an engine whose ids got lost on the way


@pytest.mark.parametrize(("tokens", "logp"), [((), ()), ((5, 6), ()), ((5, 6), (-1.0,))])
def test_a_reply_without_ids_or_log_probabilities_is_refused(tokens: tuple[int, ...], logp: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=f"{len(tokens)} tokens with {len(logp)} log-probabilities"):
        Completion(tokens, logp, StopReason.STOP, 0)


# 8 ── prompts that were cropped for the sampler and not for the trainer


@pytest.mark.parametrize("template", [TEMPLATE, DEFAULT_SYSTEM, DROPS_THOUGHTS])
@pytest.mark.parametrize("context", [40, 70, 1000])
def test_every_prompt_was_seen_whole_and_is_the_beginning_of_its_row(template: str, context: int) -> None:
    talk = Talk(template, ["one", "two", "three"], context=context)
    rows = [talk.row(b) for b in range(len(talk.batch.mask_B_T))]
    for turn, seen in enumerate(talk.engine.seen):
        assert len(seen) < context
        row = rows[turn] if len(rows) > 1 else rows[0]
        assert row[: len(seen)] == list(seen)


# 9 ── an observation that outgrows the context


class Flood(Echo):
    """Answers the second reply with more than anybody can read."""

    def respond(self, reply: Reply) -> Outcome:
        answer = super().respond(reply)
        return Outcome("flood " * 500, answer.terms) if self._turns_so_far() == 2 else answer

    def opening(self, rng: np.random.Generator, split: str) -> str:
        self._count = 0
        return super().opening(rng, split)

    def _turns_so_far(self) -> int:
        self._count += 1
        return self._count


@pytest.mark.parametrize("template", [TEMPLATE, DROPS_THOUGHTS])
def test_an_observation_that_outgrows_the_context_is_taken_back_from_the_row(template: str) -> None:
    talk = Talk(template, ["one", "two"], Flood, context=200)
    assert (talk.episode.stop_reason, talk.episode.turns) == (StopReason.CONTEXT_LIMIT, 2)
    assert talk.episode.messages[-1]["content"].startswith("flood")  # kept for reading
    last = talk.row(len(talk.batch.mask_B_T) - 1)
    assert len(last) < 200
    assert talk.text(last).endswith("two<|end|>")
    assert tuple(last) == talk.episode.tokens
    assert talk.batch.reward_B_T.sum().item() == pytest.approx(talk.episode.reward)


def test_the_value_of_a_cut_episode_is_that_after_its_last_reply() -> None:
    torch.set_num_threads(1)
    policy = LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=1, context=200), critic=True)
    assert policy.value_head is not None
    torch.nn.init.normal_(policy.value_head.weight, generator=torch.Generator().manual_seed(0))
    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(Flood, sampler, renderer, max_tokens=6, context=policy.context)
    collection = actor.collect([0], 1, seed=0, version=0)
    assert collection.batch is not None
    batch, episode = with_values(collection.batch, policy, None), collection.episodes[0]
    assert batch.bootstrap_B_T is not None
    assert episode.stop_reason is StopReason.CONTEXT_LIMIT
    hidden = policy.backbone(input_ids=torch.tensor([episode.tokens])).last_hidden_state
    want = policy.value_head(hidden)[0, -1, 0].item()
    assert batch.bootstrap_B_T[batch.end_B_T].item() == pytest.approx(want, abs=1e-5)


# every sampled token is trained exactly once, and statistics count episodes, however many samples they left


class Leaving(ConversationEnv):
    """The k-th world that is made ends after k turns; its last turn pays k."""

    weights = {"pay": 1.0}  # noqa: RUF012
    made = 0

    def __init__(self) -> None:
        super().__init__()
        Leaving.made += 1
        self._length = Leaving.made

    def opening(self, rng: np.random.Generator, split: str) -> str:
        self._said = 0
        return "?"

    def respond(self, reply: Reply) -> Outcome:
        self._said += 1
        over = self._said == self._length
        return Outcome("again", terms={"pay": self._length if over else 0}, terminated=over)


def leaving(template: str) -> tuple[Told, Collection]:
    Leaving.made = 0
    renderer = Renderer(tokenizer_of(template))
    engine = Told(lambda turn: renderer.encode_reply(THOUGHT + "x" * (2 * turn + 1)), renderer.stop_id)
    actor = ConversationActor(Leaving, engine, renderer, context=100_000)
    return engine, actor.collect([0], 3, seed=0, version=0)


@pytest.mark.parametrize(("template", "rows"), [(TEMPLATE, [0, 1, 2]), (DROPS_THOUGHTS, [0, 1, 1, 2, 2, 2])])
def test_a_sampled_token_is_in_exactly_one_row_and_in_the_record(template: str, rows: list[int]) -> None:
    _, collection = leaving(template)
    batch = collection.batch
    assert batch is not None
    assert batch.episode_B.tolist() == rows
    assert int(batch.mask_B_T.sum()) == collection.action_units
    recorded = [
        (number, seen["tokens"], seen["mask"])
        for number, episode in enumerate(collection.episodes)
        for seen in (*episode.earlier, {"tokens": list(episode.tokens), "mask": list(episode.mask)})
    ]
    assert [number for number, _, _ in recorded] == rows
    for b, (number, tokens, mask) in enumerate(recorded):
        assert batch.inputs["tokens_B_T"][b, : len(tokens)].tolist() == tokens
        assert batch.mask_B_T[b, : len(mask)].tolist() == mask
        assert not batch.mask_B_T[b, len(mask) :].any()
        said = [m["content"] for m in collection.episodes[number].messages if m["role"] == "assistant"]
        turns = {int(turn) for turn in batch.turn_B_T[b][batch.mask_B_T[b]]}
        assert turns == ({rows[:b].count(number)} if rows.count(1) > 1 else set(range(len(said))))
    for episode in collection.episodes:
        assert sum(sum(seen["mask"]) for seen in episode.earlier) + sum(episode.mask) == episode.units


@pytest.mark.parametrize("template", [TEMPLATE, DROPS_THOUGHTS])
def test_the_statistics_of_a_group_count_episodes_and_not_their_samples(template: str) -> None:
    batch = leaving(template)[1].batch
    assert batch is not None
    advantage = assign_credit(batch, METHODS["grpo"].credit).advantage_B_T
    # rewards 1, 2, 3: mean 2, standard deviation 1 (ddof 1)
    for b, number in enumerate(batch.episode_B.tolist()):
        mine = advantage[b][batch.mask_B_T[b]]
        torch.testing.assert_close(mine, torch.full_like(mine, (number - 1) / (1 + 1e-6)))


def test_the_sum_over_a_batch_does_not_change_when_a_template_rewrites() -> None:
    """Each episode's tokens enter the loss once, with the same weights, in one row or in several."""
    sums = []
    for template in (TEMPLATE, DROPS_THOUGHTS):
        batch = leaving(template)[1].batch
        assert batch is not None
        advantage = assign_credit(batch, METHODS["grpo"].credit).advantage_B_T
        by_episode = torch.zeros(3).index_add(0, batch.episode_B, advantage.sum(dim=1))
        counts = torch.zeros(3).index_add(0, batch.episode_B, batch.mask_B_T.sum(dim=1).float())
        sums.append((by_episode.tolist(), counts.tolist()))
    assert sums[0][1] == sums[1][1]
    assert sums[0][0] == pytest.approx(sums[1][0], rel=1e-5)  # of some twenty numbers in fp32, in another order
