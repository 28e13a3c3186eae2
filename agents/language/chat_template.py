"""What one tokenizer's chat template makes of conversations: text, and the tokens of that text.

Messages are given to the template as it takes them (`template_view`), by what it was found to do (`template_habits`).
What worlds, tools and users say is text and never control (`plain_text`). How a conversation grows from turn to turn,
with what was sampled left as it is, stands in `talk`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from ...envs.errors import UserError
from ...envs.thoughts import MARKS, Marks, split_thought
from ...envs.tools.call_formats import FORMATS, MARKERS, reply_format
from ...envs.vocabulary import Message, Reply, ToolCall
from . import template_habits as probe
from .plain_text import Cutter, Encoder, added_tokens, special_tokens
from .template_habits import Habits, call_format, ends_of_calls
from .template_process import TemplateFailed, render
from .template_view import one_call_each, view, without_speech_beside_calls

_KEPT_OPENINGS, _KEPT_TOKENS = 1 << 14, 1 << 18  # every evaluation begins with the same ones, and a group at once
_STOPS = ("<|call|>", "<|eom_id|>")  # known to end nothing but a call, whatever a template writes

_CHANNELS = ("<|channel|>", "<|message|>", "<|constrain|>")  # of gpt-oss: how it writes, and to whom


class NoStopToken(UserError):
    """The template writes no token behind a reply, so nothing could end one."""


class NoInvitation(UserError):
    """The template writes nothing by which a reply would know that it is to begin."""


class Renderer:
    """The chat template of one tokenizer.

    `stop_id` is the token that the template itself writes behind what is said, `call_stop_id` behind calls:
    demonstrations end with them. `stop_ids` are all at which a sampled reply ends: those, the tokenizer's, and `more`.

    Args:
        more: further stop tokens, the model's or the user's.
        variables: of the template (`enable_thinking`, …).
        calls: how the model writes calls; None: as the template does. `reply_format` says which that is; None where the
            template writes none.
        today: the date that a template is told, as in "2026-11-26"; None: that of the clock.

    Raises:
        UserError: there is no template, no token that ends a reply, or nothing that invites one.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        more: Sequence[int] = (),
        *,
        variables: Mapping[str, Any] | None = None,
        today: str | None = None,
        calls: str | None = None,
    ) -> None:
        if not tokenizer.chat_template:
            raise UserError(
                f"{tokenizer.name_or_path or 'this tokenizer'} has no chat template; give a chat model, or a template: "
                "agent.chat_template"
            )
        self._tokenizer, self._variables, self._today = tokenizer, dict(variables or {}), today
        self._added = added_tokens(tokenizer)
        self._text([probe.USER, probe.ASSISTANT])  # what fails on this fails on all
        self.habits = Habits.of(self._try)
        self.stop_id, stop = self._ending()
        later = ends_of_calls(self.habits, tuple(self._added), stop) or stop
        self.call_stop_id = self._added[later]
        own = [tokenizer.eos_token_id] if isinstance(tokenizer.eos_token_id, int) else []
        known = [self._added[token] for token in _STOPS if token in self._added]
        self.stop_ids = tuple(dict.fromkeys([self.stop_id, self.call_stop_id, *own, *known, *more]))
        self._check_invitation()
        native, self._native_call = call_format(self._try, self.habits, [stop, later])
        mentioned = (name for marker, name in MARKERS.items() if marker in str(tokenizer.chat_template))
        self.reply_format = calls or native or next((name for name in mentioned if name in FORMATS), None)
        self._encoder = Encoder(tokenizer, stop, self.stop_id)
        self.marks = self._marks()
        self.lead = self._lead()
        self._strangers, self._own = self._cutters(stop, later)
        self._openings: dict[str, tuple[list[int], str]] = {}  # the latest ones, the oldest first
        self._kept = 0  # tokens in them

    def opening(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        """The ids of a conversation of somebody else's, ready for a reply. `UserError` if the template refuses it."""
        return self.begin(messages, tools)[0]

    def begin(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> tuple[list[int], str]:
        """As `opening`, with the text."""
        key = json.dumps([messages, tools], sort_keys=True)
        if key not in self._openings:
            prompt = self.prompt(messages, tools)
            if not self.habits.system and any(message["role"] == "system" for message in messages):
                raise UserError(
                    "the chat template drops system messages, and this conversation has one; put its words into the "
                    "user's message, or give a template that shows them: agent.chat_template"
                )
            ids = self.encode(prompt)
            while self._openings and (self._kept + len(ids) > _KEPT_TOKENS or len(self._openings) >= _KEPT_OPENINGS):
                self._kept -= len(self._openings.pop(next(iter(self._openings)))[0])
            self._kept += len(ids)
            self._openings[key] = ids, prompt
        ids, prompt = self._openings[key]
        return list(ids), prompt

    def writes_calls_for(self, read: Callable[[str], Reply]) -> bool:
        """Whether `read` understands calls as the template writes them."""
        return bool(self._native_call) and read(self._native_call).tool_calls == (probe.CALL,)

    def prompt(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        said: int | None = None,
        calls: bool = True,
    ) -> str:
        """The text of a conversation, ready for a reply. From the message `said` on, replies are the agent's own; with
        `calls` False their calls are text, as they were written. `UserError` if the template refuses it.
        """
        cut = [self._cut(message, n >= (len(messages) if said is None else said)) for n, message in enumerate(messages)]
        shown = view(cut, self.habits, self.marks[0], calls=calls)
        ways = [shown]
        if any(message.get("tool_calls") for message in cut):
            parted = view(one_call_each(cut), self.habits, self.marks[0], calls=calls)
            ways += [
                without_speech_beside_calls(parted, self.habits),
                view(cut, self.habits, self.marks[0], calls=False),
            ]
        told, first = self._strangers.cut(list(tools)), None
        for way in ways:
            try:
                return self._render(way, told, prompt=True)
            except TemplateFailed as error:
                first = first or error
        assert first is not None, "there is one way at least"
        raise self._refusal(first, messages) from first

    @property
    def tells_the_date(self) -> bool:
        """Whether the template asks for today's date."""
        return "strftime_now" in str(self._tokenizer.chat_template)

    @property
    def thinks(self) -> bool:
        """Whether the template knows of thoughts."""
        return self.marks[0][0] in str(self._tokenizer.chat_template)

    def encode(self, text: str) -> list[int]:
        """The ids of a text that the template wrote, from its beginning."""
        return self._encoder.whole(text)

    def plain(self, text: str) -> list[int]:
        """The ids of a text of somebody else's that stands in no conversation; nothing in it is control. It begins as
        the tokenizer begins every text, with a token of its own (BOS) or without."""
        begin = self._tokenizer.bos_token_id
        own = [begin] if isinstance(begin, int) and self._tokenizer("")["input_ids"][:1] == [begin] else []
        return [*own, *self._encoder.whole(str(self._strangers.cut(text)))]

    def encode_behind(self, text: str) -> list[int]:
        """The ids of a text that follows a control token."""
        return self._encoder.behind(text)

    def cut_reply(self, text: str) -> str:
        """A reply's text as it stands in a rendered conversation."""
        return str(self._own.cut(text))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a reply, without its stop token and with everything else as it was sampled."""
        body = ids[:-1] if ids and ids[-1] in self.stop_ids else ids
        return self.spell(body)

    def spell(self, ids: Sequence[int]) -> str:
        """The text of tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def opened(self, prompt: str) -> Marks | None:
        """The marks of the thought that the end of a prompt has opened."""
        end = prompt.rstrip()
        return next((marks for marks in self.marks if end.endswith(marks[0])), None)

    def read(self, text: str, opened: Marks | None = None) -> tuple[str, str]:
        """What a reply thinks, and what it says."""
        return split_thought(text, self.marks, opened)

    def encode_reply(self, text: str, *, calls: bool = False) -> list[int]:
        """The ids of a reply that somebody else wrote, with its stop token: for demonstrations."""
        return [*self.encode_behind(text), self.call_stop_id if calls else self.stop_id]

    def _cut(self, message: Message, own: bool) -> Any:
        return (self._own if own and message["role"] == "assistant" else self._strangers).cut(message)

    def _ending(self) -> tuple[int, str]:
        """The token that the template writes behind a reply, and its text."""
        after = self.habits.after_speech
        found = max((text for text in self._added if after.startswith(text)), key=len, default=None)
        if found is None:
            raise NoStopToken(
                f"the chat template writes {after[:40]!r} behind a reply, which is no token that ends one; name a "
                "template that writes one: agent.chat_template"
            )
        return self._added[found], found

    def _check_invitation(self) -> None:
        """UserError where a prompt ends with the user's words, or with what ends them."""
        prompt, text = (self._text([probe.USER], prompt=wanted).partition(probe.ASKED)[2] for wanted in (True, False))
        before = self._text([probe.USER, probe.ASSISTANT]).partition(probe.ASKED)[2].partition(probe.SAID)[0]
        if prompt == text and (not prompt.strip() or prompt.rstrip() != before.rstrip()):
            raise NoInvitation(
                "the chat template invites no reply: its prompt ends "
                f"with {prompt[-40:]!r} behind the user's words, and a reply begins behind {before[-40:]!r}"
            )

    def _marks(self) -> tuple[Marks, ...]:
        """The marks of thoughts, this template's own first."""
        key = self.habits.thought_key
        thinking = {**probe.ASSISTANT, key: probe.THOUGHT} if key else None
        text = (self._try([probe.USER, thinking]) or "").partition(probe.ASKED)[2] if thinking else ""
        known = [marks for marks in MARKS if marks[0] in text.partition(probe.THOUGHT)[0]]
        here = [marks for marks in MARKS if marks[0] in str(self._tokenizer.chat_template) or marks[0] in self._added]
        return tuple(dict.fromkeys((*known, *here, *MARKS)))

    def _lead(self) -> str:
        """What the template writes before the words of a last reply: an empty thought, a channel, or nothing."""
        prompt, text = self._text([probe.USER], prompt=True), self._text([probe.USER, probe.ASSISTANT])
        if text.startswith(prompt):
            return text[len(prompt) :].partition(probe.SAID)[0]
        opened = self.opened(prompt)
        return f"\n{opened[1]}\n\n" if opened else ""

    def _cutters(self, stop: str, later: str) -> tuple[Cutter, Cutter]:
        """What strangers, and what the agent itself, may not write as control: special tokens, and those by which the
        template tells turns apart. Marks of thoughts and calls are the agent's own to write."""
        turns = [probe.USER, probe.ASSISTANT, {**probe.USER, "content": probe.HEARD}]
        texts = [self._try(turns, prompt=True) or "", self.habits.after_call.partition(later)[2]]
        if self.habits.tool_role:
            call = probe.call_message([("c00000001", probe.FIRST)], self.habits.arguments, self.habits.empty)
            called = self._try([probe.USER, call, probe.answer("c00000001")], (probe.TOOL,), prompt=True) or ""
            texts.append(called.rpartition(probe.HEARD)[2])
        marks = [mark for marks in self.marks for mark in marks]
        call = reply_format(self.reply_format or "hermes").write("", [ToolCall("f", {"text": "x"})])
        its_own = [*marks, *MARKERS, *_CHANNELS, self._native_call, call]
        said = {token for token in self._added if any(token in text for text in its_own)}
        thinks = {token for token in self._added if any(token in mark for mark in marks)}
        structure = {token for token in self._added if any(token in text for text in texts)}
        control = special_tokens(self._tokenizer) | (structure - thinks)
        return Cutter(control), Cutter((control - said) | {stop, later})

    def _try(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = (), *, prompt: bool = False
    ) -> str | None:
        try:
            return self._render(messages, tools, prompt=prompt)
        except TemplateFailed:
            return None

    def _text(self, messages: Sequence[Mapping[str, Any]], *, prompt: bool = False) -> str:
        try:
            return self._render(messages, (), prompt=prompt)
        except TemplateFailed as error:
            raise self._refusal(error, messages) from error

    def _render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], *, prompt: bool
    ) -> str:
        return render(self._tokenizer, messages, tools, prompt=prompt, variables=self._variables, today=self._today)

    def _refusal(self, error: TemplateFailed, messages: Sequence[Mapping[str, Any]]) -> UserError:
        """A template is a program of somebody else's, and may do anything."""
        verb = "refuses" if error.refused else "fails on"
        roles = [message["role"] for message in messages]
        return UserError(f"the chat template {verb} messages with roles {roles}: {error}")
