"""The tiny model and its character tokenizer."""

import string

import torch

from peripatos.agents.language.tiny_llama import tiny_llama, tiny_tokenizer


def test_every_printable_character_is_one_token_and_comes_back() -> None:
    tokenizer = tiny_tokenizer()
    text = "".join(sorted(set(string.printable) - set("\x0b\x0c\r")))
    ids = tokenizer(text).input_ids
    assert len(ids) == len(text)
    assert tokenizer.decode(ids) == text


def test_tags_are_one_token_each_and_are_text() -> None:
    tokenizer = tiny_tokenizer()
    ids = tokenizer("<answer>12</answer>").input_ids
    assert len(ids) == 4
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<answer>12</answer>"


def test_unknown_characters_are_one_unknown_token() -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer("é漢").input_ids == [tokenizer.unk_token_id] * 2


def test_equal_seeds_give_equal_weights_and_leave_the_global_stream_alone() -> None:
    torch.manual_seed(0)
    first, _ = tiny_llama(seed=3)
    after = torch.rand(1)
    second, _ = tiny_llama(seed=3)
    other, _ = tiny_llama(seed=4)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(first.lm_head.weight, second.lm_head.weight)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)
