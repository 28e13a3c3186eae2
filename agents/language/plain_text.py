"""Text of strangers becomes tokens of text, whatever it looks like.

A tokenizer turns the characters `<|im_end|>` into the token that ends a turn, wherever they stand. So what worlds,
tools and users say is *cut* before it is rendered: a mark, which no text has, goes behind the first character of all
that spells a control token. What the template itself writes stays whole. Behind the rendering the text
is taken apart at the marks, and its pieces are encoded one by one. Text without such a spelling is encoded as ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

MARK = "\ue3c7"  # of the private use area; where it occurs in a text of itself, it is lost
_LOOKS_SPECIAL = re.compile(r"<[|｜].+[|｜]>", re.DOTALL)
Texts = dict[str, int]


def added_tokens(tokenizer: PreTrainedTokenizerBase) -> Texts:
    """Every token that is found in a text before anything else is, and its id."""
    added = {token.content: number for number, token in tokenizer.added_tokens_decoder.items() if token.content}
    for name, text in tokenizer.special_tokens_map.items():
        number = getattr(tokenizer, f"{name}_id", None)
        if isinstance(text, str) and text and isinstance(number, int):
            added.setdefault(text, number)
    return added


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Those that the tokenizer itself calls special, and those that look like it: DeepSeek's do not say so."""
    added = tokenizer.added_tokens_decoder.values()
    said = {token.content for token in added if token.special or _LOOKS_SPECIAL.fullmatch(token.content)}
    return {text for text in {*said, *map(str, tokenizer.all_special_tokens)} if text.strip()}


class Cutter:
    """Cuts what spells one of `tokens`."""

    def __init__(self, tokens: Iterable[str]) -> None:
        spelled = "|".join(re.escape(token[1:]) for token in tokens if len(token) > 1)
        first = "".join(sorted({re.escape(token[0]) for token in tokens if len(token) > 1}))
        whole = "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True) if len(token) > 1)
        self._found = re.compile(rf"(?=(?:{whole}))[{first}](?={spelled})") if spelled else None

    def cut(self, value: Any) -> Any:
        """`value` (text, or lists and objects that hold text) with every spelling cut; equal, if there is none."""
        if isinstance(value, str):
            return self._found.sub(lambda found: found[0] + MARK, value) if self._found else value
        if isinstance(value, Mapping):
            return {self.cut(key): self.cut(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.cut(item) for item in value]
        return value


class Encoder:
    """Ids of rendered texts. `anchor` is a control token: what stands behind one gets no space in front of it, as the
    tokenizers of Llama 2 and its kin would put before the beginning of a text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, anchor: str, anchor_id: int) -> None:
        self._tokenizer, self._anchor, self._anchor_id = tokenizer, anchor, anchor_id

    def whole(self, text: str) -> list[int]:
        """The ids of a text from its beginning."""
        first, *rest = text.split(MARK)
        ids = self._ids(first)
        for piece in rest:
            ids += self.behind(piece)
        return ids

    def behind(self, text: str) -> list[int]:
        """The ids of a text that follows a control token."""
        ids: list[int] = []
        for piece in text.split(MARK):
            found = self._ids(self._anchor + piece)
            ids += found[1:] if found[:1] == [self._anchor_id] else self._ids(piece)
        return ids

    def _ids(self, text: str) -> list[int]:
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate is no character to a tokenizer
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
