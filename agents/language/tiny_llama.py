"""A tiny Llama from nothing: a character tokenizer with a chat template, and a third of a million parameters.

It downloads nothing, learns arithmetic within a minute on two cores, and is in every respect an ordinary
`transformers` model, so that what works here works on a real one.
"""

from __future__ import annotations

import string

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

ROLES = ("system", "user", "assistant", "tool")
END = "<|end|>"
PAD = "<|pad|>"
UNKNOWN = "<|unknown|>"
SPECIAL = (PAD, UNKNOWN, END, *(f"<|{role}|>" for role in ROLES))
TAGS = ("<answer>", "</answer>", "<tool_call>", "</tool_call>")  # one token each, but ordinary text
_UNKNOWN_ROLE = " and ".join(f"message.role != '{role}'" for role in ROLES)
_REFUSED = f"{{{{ raise_exception('this model knows the roles {', '.join(ROLES)}') }}}}"
TEMPLATE = (
    f"{{% for message in messages %}}{{% if {_UNKNOWN_ROLE} %}}{_REFUSED}{{% endif %}}"
    "<|{{ message.role }}|>{{ message.content }}" + END + "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each printable ASCII character, each role, each tag, and the end of a message."""
    alphabet = sorted(set(string.printable) - set("\x0b\x0c\r"))
    return _tokenizer(alphabet, pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated"), decoders.Fuse())


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """As `tiny_tokenizer`, with one token for each byte of any text's UTF-8: for those who write and have no model."""
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    each = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return _tokenizer(alphabet, pre_tokenizers.Sequence([whole, each]), decoders.ByteLevel())


def _tokenizer(
    alphabet: list[str], cut: pre_tokenizers.PreTokenizer, join: decoders.Decoder
) -> PreTrainedTokenizerFast:
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *alphabet))}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    core.pre_tokenizer, core.decoder = cut, join
    core.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    core.add_tokens([AddedToken(token, normalized=False, special=False) for token in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def tiny_llama(
    *, seed: int, hidden: int = 96, layers: int = 3, heads: int = 4, context: int = 512
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A freshly initialised model and its tokenizer; equal seeds give equal weights."""
    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=context,
        initializer_range=hidden**-0.5,  # from the usual 0.02, meant for widths of thousands, it learns late
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=SPECIAL.index(END),
        pad_token_id=SPECIAL.index(PAD),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    return model, tokenizer
