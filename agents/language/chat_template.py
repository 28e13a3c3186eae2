"""From messages to tokens, once: what was sampled is never rendered again.

The opening is rendered by the model's own chat template. Each later turn appends only its *delta*, the tokens that
the template puts between the end of a reply and the beginning of the next, found by rendering a stand-in
conversation with and without the new messages. Where a template does not extend what it rendered before (some
rewrite earlier turns), there is no delta, and whoever asks begins a new sample.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from ...envs.errors import UserError
from ...envs.vocabulary import Message
from .template_process import TemplateFailed, render

_KEPT_OPENINGS = 64  # prompts may be long, and a group begins at once
_SAID = "Jkwy"  # a word that no template writes by itself
_STAND_IN: list[Message] = [{"role": "user", "content": "a"}, {"role": "assistant", "content": _SAID}]


class NoStopToken(UserError):
    """The template writes no token behind a reply, so nothing could end one."""


class Renderer:
    """The chat template of one tokenizer. `UserError` if it has none, or no token that ends a reply.

    `stop_id` is the token that the template itself writes behind a reply: demonstrations end with it. `stop_ids` are
    all at which a sampled reply ends: that one, the tokenizer's own, and `more` (the model's).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, more: Sequence[int] = ()) -> None:
        if not tokenizer.chat_template:
            raise UserError(f"{tokenizer.name_or_path or 'this tokenizer'} has no chat template; give a chat model")
        self._tokenizer = tokenizer
        self.stop_id, self._stop = self._ending()  # an action like any other: sampled, masked in, trained
        own = [tokenizer.eos_token_id] if isinstance(tokenizer.eos_token_id, int) else []
        self.stop_ids = tuple(dict.fromkeys([self.stop_id, *own, *more]))
        self._stand_in = self._text(_STAND_IN)
        self._closing = self._after_reply(self._stand_in)
        self._openings: dict[str, list[int]] = {}  # the latest ones: the members of a group begin alike

    def opening(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        """The ids of a whole conversation, ready for a reply. `UserError` if the template refuses it."""
        key = json.dumps([messages, tools], sort_keys=True)
        if key not in self._openings:
            if len(self._openings) >= _KEPT_OPENINGS:
                self._openings.clear()
            self._openings[key] = self._encode(self._text(messages, tools, prompt=True))
        return list(self._openings[key])

    def delta(self, messages: Sequence[Message], *, stopped: bool) -> list[int] | None:
        """The ids that follow a sampled reply: what closes it, `messages`, and what invites the next one.

        `stopped` says whether the reply's last token was the stop token; if it was cut, the stop token is put in
        (as an observation). None if the template does not extend what it rendered before.
        """
        after = self._text([*_STAND_IN, *messages], prompt=True)
        if self._closing is None or not after.startswith(self._stand_in):
            return None
        ids = self._encode(self._closing + after[len(self._stand_in) :])
        return ids if stopped else [self.stop_id, *ids]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a reply, without its stop token and with everything else as it was sampled."""
        body = ids[:-1] if ids and ids[-1] in self.stop_ids else ids
        return str(self._tokenizer.decode(list(body), skip_special_tokens=False))

    def encode_reply(self, text: str) -> list[int]:
        """The ids of a reply that somebody else wrote, with its stop token: for demonstrations."""
        return [*self._encode(text), self.stop_id]

    def _ending(self) -> tuple[int, str]:
        """The token that the template writes behind a reply, and its text."""
        after = self._text(_STAND_IN).rpartition(_SAID)[2].lstrip()
        added = {token.content: number for number, token in self._tokenizer.added_tokens_decoder.items()}
        if isinstance(self._tokenizer.eos_token_id, int):
            added[str(self._tokenizer.eos_token)] = self._tokenizer.eos_token_id
        found = max((text for text in added if text and after.startswith(text)), key=len, default=None)
        if found is None:
            raise NoStopToken(
                f"the chat template writes {after[:40]!r} behind a reply, which is no token that ends one"
            )
        return added[found], found

    def _after_reply(self, text: str) -> str | None:
        """What the template writes behind the stop token of a last reply ("\\n" for many), None if it has none."""
        at = text.rfind(self._stop)
        return text[at + len(self._stop) :] if at >= 0 else None

    def _text(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = (), *, prompt: bool = False
    ) -> str:
        try:
            return render(self._tokenizer, messages, tools, prompt=prompt)
        except TemplateFailed as error:  # a template is a program of somebody else's, and may do anything
            verb = "refuses" if error.refused else "fails on"
            roles = [message["role"] for message in messages]
            raise UserError(f"the chat template {verb} messages with roles {roles}: {error}") from error

    def _encode(self, text: str) -> list[int]:
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate is no character to a tokenizer
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
