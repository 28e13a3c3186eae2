"""A policy that has been shown a demonstration says of each token what it would say behind the longer prompt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from agents_worlds import Echo
from torch import Tensor

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.demonstrated import Demonstrated
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.algorithms.annotate import read_scores
from peripatos.envs.conversation import Opening
from peripatos.envs.conversation.shown import shown
from peripatos.envs.vocabulary import Batch, Message


class Taught(Echo):
    """Echo with an expert, and with something that the system says first."""

    def opening(self, rng: np.random.Generator, split: str) -> Opening:
        first: list[Message] = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": super().opening(rng, split)},
        ]
        return Opening(first)

    def oracle(self) -> str:
        return f"ok {self.secret}"


def parts(*, context: int = 512, shows: bool = True) -> tuple[LanguagePolicy, ConversationActor]:
    policy = LanguagePolicy(*tiny_llama(seed=0, hidden=16, layers=1, heads=2))
    renderer = Renderer(policy.tokenizer)
    engine = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(Taught, engine, renderer, max_tokens=5, context=context, shows=shows)
    return policy, actor


def collected(actor: ConversationActor, groups: range = range(3)) -> Batch:
    batch = actor.collect(groups, 2, seed=0, version=0).batch
    assert batch is not None
    return batch


def by_hand(policy: LanguagePolicy, prompt: list[int], row: list[int]) -> Tensor:
    """log π of each token of `row` behind `prompt`, by one forward pass of the model itself."""
    logits = policy.model(input_ids=torch.tensor([prompt + row])).logits[0]
    logp = torch.log_softmax(logits[len(prompt) - 1 : -1], dim=-1)
    return logp.gather(1, torch.tensor(row)[:, None])[:, 0]


def prompts_after_demonstrations(policy: LanguagePolicy, actor: ConversationActor) -> list[list[int]]:
    """Written out: what the system says, the question, the expert's three replies, and the question once more."""
    rows = []
    for episode in actor.collect(range(3), 2, seed=0, version=0).episodes:
        system, question, secret = *episode.messages[:2], episode.messages[1]["content"].split()[1]
        said: Message = {"role": "assistant", "content": f"ok {secret}"}
        again: Message = {"role": "user", "content": f"again {secret}"}
        told = [system, question, said, again, said, again, said, question]
        rows.append(Renderer(policy.tokenizer).opening(told))
    return rows


def test_each_token_is_read_behind_the_prompt_that_has_a_demonstration() -> None:
    policy, actor = parts()
    batch, prompts = collected(actor), prompts_after_demonstrations(policy, actor)
    with torch.no_grad():
        got = Demonstrated(policy).score(batch.inputs)
        for b, prompt in enumerate(prompts):
            first, length = int(batch.inputs["first_B"][b]), int(batch.inputs["length_B"][b])
            want = by_hand(policy, prompt, batch.inputs["tokens_B_T"][b, first:length].tolist())
            mask = batch.mask_B_T[b]
            torch.testing.assert_close(got.logp_B_T[b, mask], want[mask[first:length]], atol=2e-5, rtol=1e-5)
            assert not got.logp_B_T[b, ~mask].any()
    own = policy.score(batch.inputs).logp_B_T
    assert float((own - got.logp_B_T).abs().max()) > 0.01, "a demonstration changes what is likely"


def test_a_policy_is_compared_with_all_that_it_would_say_behind_a_demonstration() -> None:
    policy, actor = parts()
    batch, prompts = collected(actor), prompts_after_demonstrations(policy, actor)
    with torch.no_grad():
        _, apart = policy.compare(batch.inputs, Demonstrated(policy))
        for b, prompt in enumerate(prompts):
            first, length = int(batch.inputs["first_B"][b]), int(batch.inputs["length_B"][b])
            row, mask = batch.inputs["tokens_B_T"][b, :length], batch.mask_B_T[b]
            own, shown_it = (
                torch.log_softmax(policy.model(input_ids=ids[None]).logits[0, before - 1 : -1], dim=-1)
                for ids, before in (
                    (row, first),
                    (torch.cat([torch.tensor(prompt), row[first:]]), len(prompt)),
                )
            )
            want = (own.exp() * (own - shown_it)).sum(-1)[mask[first:length]]
            torch.testing.assert_close(apart[b, mask], want, atol=2e-5, rtol=1e-4)


def test_a_policy_reads_its_own_rows_as_if_nothing_had_been_shown() -> None:
    shown_rows, plain_rows = (collected(parts(shows=shows)[1]) for shows in (True, False))
    assert set(shown_rows.inputs) - set(plain_rows.inputs) == {"shown_B_T", "shown_first_B"}
    policy, T = parts()[0], plain_rows.mask_B_T.shape[1]
    for name in ("logp_B_T", "entropy_B_T"):
        with_it, without = (getattr(policy.score(rows.inputs), name) for rows in (shown_rows, plain_rows))
        assert torch.equal(with_it[:, :T], without)


def test_demonstrated_rows_are_read_alike_in_passes_and_in_parts() -> None:
    policy, actor = parts()
    whole, reader = collected(actor), Demonstrated(policy)
    want, _ = read_scores(reader, whole, None)
    torch.testing.assert_close(read_scores(reader, whole, 150)[0], want, atol=1e-5, rtol=1e-5)
    joined = Batch.join([collected(actor, groups) for groups in (range(2, 3), range(2))])
    got, T = read_scores(reader, joined, None)[0], min(joined.mask_B_T.shape[1], whole.mask_B_T.shape[1])
    torch.testing.assert_close(got[:, :T], want[:, :T], atol=1e-5, rtol=1e-5)


def test_where_there_is_no_room_for_a_demonstration_a_row_is_read_without_one() -> None:
    policy, actor = parts(context=60)
    batch = collected(actor)
    assert torch.equal(batch.inputs["shown_first_B"], batch.inputs["first_B"])
    with torch.no_grad():
        torch.testing.assert_close(
            Demonstrated(policy).score(batch.inputs).logp_B_T, policy.score(batch.inputs).logp_B_T
        )


def test_steps_of_demonstrations_are_steps_of_the_world() -> None:
    steps = [actor.collect(range(2), 4, seed=0, version=0).env_steps for _, actor in (parts(), parts(shows=False))]
    assert steps[0] == steps[1] + 2 * 3, "one demonstration for each group, of three turns"


@pytest.mark.parametrize(
    ("roles", "kept"),
    [
        ("system user assistant user", "system user assistant user"),
        ("user assistant", "user assistant user"),
        ("user assistant user", "user assistant user"),
        ("user assistant tool", "user assistant tool user"),
        ("", "user"),
    ],
)
def test_the_opening_comes_once_more_behind_what_was_shown(roles: str, kept: str) -> None:
    before: list[Message] = [{"role": role, "content": str(n)} for n, role in enumerate(roles.split())]
    system = before[:1] if roles.startswith("system") else []
    got = shown(before, [*system, {"role": "user", "content": "again"}])
    assert " ".join(message["role"] for message in got) == kept
    assert got[-1]["content"] == "again"


def test_what_the_opening_shows_already_is_not_shown_twice() -> None:
    asked: Message = {"role": "user", "content": "2+2"}
    said: Message = {"role": "assistant", "content": "4"}
    opening = shown([asked, said], [asked])
    assert opening == [asked, said, asked]
    assert shown([*opening, said], opening) == opening
    assert len(shown([*opening, {**said, "content": "four"}], opening)) == 7, "that is another demonstration"


def test_without_a_demonstration_the_opening_is_as_it_was() -> None:
    opening: list[Message] = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    assert shown([], opening) == opening
