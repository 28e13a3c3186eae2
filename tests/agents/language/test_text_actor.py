"""Plain text is cut into windows of the context, and each token behind the first is learned once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.text_actor import TextActor, cut_texts
from peripatos.agents.language.tiny_llama import tiny_llama, tiny_tokenizer
from peripatos.envs.conversation.written_texts import WrittenText
from peripatos.envs.errors import UserError

RENDERER = Renderer(tiny_tokenizer())


def written(*texts: str) -> list[WrittenText]:
    return [WrittenText(f"text {n}", text) for n, text in enumerate(texts)]


def spelled(context: int, *texts: str) -> list[tuple[str, bool]]:
    cut = cut_texts(written(*texts), RENDERER, context)
    return [(RENDERER.spell(window.tokens.tolist()), window.goes_on) for window in cut.windows]


@pytest.mark.parametrize(
    ("context", "windows"),
    [
        (4, [("abcd", True), ("defg", False)]),
        (3, [("abc", True), ("cde", True), ("efg", False)]),
        (2, [("ab", True), ("bc", True), ("cd", True), ("de", True), ("ef", True), ("fg", False)]),
        (5, [("abcde", True), ("efg", False)]),
        (6, [("abcdef", True), ("fg", False)]),
        (7, [("abcdefg", False)]),
        (9, [("abcdefg", False)]),
    ],
)
def test_a_window_begins_with_the_token_that_ends_the_one_before(
    context: int, windows: Sequence[tuple[str, bool]]
) -> None:
    assert spelled(context, "abcdefg") == windows


@pytest.mark.parametrize("length", range(2, 40))
@pytest.mark.parametrize("context", [2, 3, 5, 16])
def test_each_token_behind_the_first_of_each_text_is_learned_once(length: int, context: int) -> None:
    texts = ["x" * length, "abcdefghij" * 3][: 1 + length % 2]
    cut = cut_texts(written(*texts), RENDERER, context)
    learned: dict[str, list[int]] = {}
    for window in cut.windows:
        assert 2 <= len(window.tokens) <= context
        learned.setdefault(window.place, []).extend(window.tokens[1:].tolist())
    assert list(learned.values()) == [RENDERER.plain(text)[1:] for text in texts]
    assert cut.learned == sum(len(text) - 1 for text in texts)


def test_texts_without_a_token_behind_the_first_are_counted() -> None:
    cut = cut_texts(written("", "ab", "a", "cd"), RENDERER, 8)
    assert cut.too_short == ["text 0", "text 2"]
    with pytest.raises(UserError, match="none of the 2 texts has two tokens"):
        cut_texts(written("", "a"), RENDERER, 8)


def test_what_spells_a_control_token_in_a_text_is_text() -> None:
    ids = RENDERER.plain("a<|end|>b<|user|>")
    assert not {RENDERER.stop_id, *tiny_tokenizer().convert_tokens_to_ids(["<|user|>"])} & set(ids)
    assert RENDERER.spell(ids) == "a<|end|>b<|user|>"


def test_a_text_begins_as_the_tokenizer_begins_every_text() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = tiny_tokenizer()
    tokenizer.bos_token = "<|pad|>"
    begin = tokenizer.bos_token_id
    assert Renderer(tokenizer).plain("ab") == RENDERER.plain("ab")  # it has one, and writes none
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|pad|> $A <|end|>", special_tokens=[("<|pad|>", begin), ("<|end|>", RENDERER.stop_id)]
    )
    assert Renderer(tokenizer).plain("ab") == [begin, *RENDERER.plain("ab")]


def test_a_row_is_a_window_whose_first_token_is_read_and_whose_others_are_learned() -> None:
    actor = TextActor(cut_texts(written("abcdefg"), RENDERER, 5), RENDERER)
    collection = actor.collect([0, 1], 1, seed=3, version=7)
    assert collection.batch is not None
    by_text = {episode.messages[0]["content"]: n for n, episode in enumerate(collection.episodes)}
    assert set(by_text) == {"abcde", "efg"}
    long, short = by_text["abcde"], by_text["efg"]
    batch = collection.batch
    assert batch.mask_B_T[long].tolist() == [False, True, True, True, True, False]
    assert batch.mask_B_T[short].tolist() == [False, True, True, False, False, False]
    assert batch.notes["truncated_B"].tolist() == [n == long for n in range(2)]
    assert (collection.env_steps, collection.action_units) == (0, 6)
    assert batch.version_B.tolist() == [7, 7]
    episode = collection.episodes[long]
    assert (episode.truncated, episode.terminated, episode.units, episode.task) == (True, False, 4, "text 0")


def test_a_pass_over_the_groups_brings_each_window_once_in_the_runs_own_order() -> None:
    actor = TextActor(cut_texts(written("abcdefghijklmnop"), RENDERER, 3), RENDERER)

    def order(seed: int, groups: Sequence[int]) -> list[str]:
        return [e.messages[0]["content"] for e in actor.collect(groups, 1, seed=seed, version=0).episodes]

    first = order(0, range(8))
    assert len(set(first)) == 8
    assert order(0, range(8, 16)) == first
    assert [*order(0, range(3)), *order(0, range(3, 8))] == first
    assert order(1, range(8)) != first


@torch.no_grad()
def test_what_a_policy_says_of_a_window_is_its_likelihood_token_by_token() -> None:
    policy = LanguagePolicy(*tiny_llama(seed=1, hidden=32, layers=1))
    renderer = Renderer(policy.tokenizer)
    batch = TextActor(cut_texts(written("the end"), renderer, 64), renderer).collect([0], 1, seed=0, version=0).batch
    assert batch is not None
    ids = torch.tensor([renderer.plain("the end")])
    logp = torch.log_softmax(policy.model(input_ids=ids).logits[0].double(), dim=-1)
    wanted = logp[:-1].gather(1, ids[0, 1:, None])[:, 0]
    said = policy.score(batch.inputs).logp_B_T[0, 1 : ids.shape[1]].double()
    torch.testing.assert_close(said, wanted, atol=1e-5, rtol=1e-5)
