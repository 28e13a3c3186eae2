"""What a chat template does with conversations, found out by trying; a part of `doctor`.

What is *fatal* here is said by a run in the same words, before its first episode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from ...agents.language.chat_template import NoInvitation, NoStopToken, Renderer
from ...agents.language.talk import Talk
from ...agents.language.template_habits import ASKED, CALL, HEARD, RULE, SAID, THOUGHT, TOOL, USER
from ...agents.language.template_process import TemplateFailed, render
from ...envs.errors import UserError
from ...envs.tools.call_formats import reply_format
from ...envs.vocabulary import Message, StopReason


@dataclass(frozen=True)
class ModelFinding:
    """One question about a model, its answer, and what follows."""

    what: str
    result: str
    detail: str = ""
    fatal: bool = False


def examine_template(tokenizer: PreTrainedTokenizerBase, more: Sequence[int] = ()) -> Iterator[ModelFinding]:
    """What the chat template renders, and what it does to earlier turns."""
    try:
        renderer = Renderer(tokenizer, more)
    except NoStopToken as error:
        yield ModelFinding("stop token ends a reply", "no", str(error), fatal=True)
        return
    except NoInvitation as error:
        yield ModelFinding("invites a reply", "no", str(error), fatal=True)
        return
    except UserError as error:
        yield ModelFinding("chat template", "no", str(error), fatal=True)
        return
    habits = renderer.habits
    yield ModelFinding("chat template", "yes", f"{len(str(tokenizer.chat_template))} characters")
    yield _stop(tokenizer, renderer)
    yield _earlier_turns(renderer, "user")
    yield _thoughts(tokenizer, renderer)
    yield _system(tokenizer)
    yield _told("tools in the prompt", habits.tools, "tools_in_prompt: true describes them")
    yield _told("tool messages", habits.tool_role or habits.lone_tool, "what tools answer is given as a user's message")
    yield _earlier_turns(renderer, "tool")
    yield _call_format(renderer)
    if renderer.tells_the_date:
        yield ModelFinding("today's date in the prompt", "yes", "a run keeps the day on which it began: agent.today")


def _told(what: str, yes: bool, otherwise: str) -> ModelFinding:
    return ModelFinding(what, "yes" if yes else "no", "" if yes else otherwise)


def _text(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, Any]]) -> str | None:
    """What the template renders; None if it refuses."""
    try:
        return render(tokenizer, messages)
    except TemplateFailed:
        return None


def _stop(tokenizer: PreTrainedTokenizerBase, renderer: Renderer) -> ModelFinding:
    """At which tokens a reply ends, the template's own first."""
    names = [str(tokenizer.convert_ids_to_tokens(number)) for number in renderer.stop_ids]
    behind = renderer.habits.after_speech.removeprefix(names[0])
    observed = f", then {behind!r} as observation" if behind else ""
    others = f"; {', '.join(names[1:])} stop too" if names[1:] else ""
    return ModelFinding("stop token ends a reply", "yes", names[0] + observed + others)


def _earlier_turns(renderer: Renderer, role: str) -> ModelFinding:
    """Whether a new message leaves what was rendered before as it was."""
    what = f"earlier turns survive a {role} message"
    form = reply_format(renderer.reply_format or "hermes", [TOOL])
    talk = Talk(renderer, form.parse)
    asked: Message = {"role": "user", "content": ASKED}
    answer: Message = {"role": role, "content": HEARD, "name": CALL.name, "tool_call_id": "call00000"}
    said = SAID if role == "user" else form.write("", [CALL])
    begin, end = renderer.marks[0]
    text = f"{begin}\n{THOUGHT}\n{end}\n\n{said}" if renderer.thinks else said
    try:
        talk.begin([asked], [TOOL] if role == "tool" and renderer.habits.tools else [])
        talk.take(talk.write(text), StopReason.STOP)
        _, rewritten = talk.go_on([answer])
    except UserError as error:
        return ModelFinding(what, "no", str(error))
    if rewritten:
        return ModelFinding(what, "no", "each such turn begins a new sample: more to compute, and no less exact")
    return ModelFinding(what, "yes", "an episode is one sample; what was sampled is kept as it is")


def _thoughts(tokenizer: PreTrainedTokenizerBase, renderer: Renderer) -> ModelFinding:
    """Whether the thought of an earlier reply is still rendered."""
    begin, end = renderer.marks[0]
    thinking = {"role": "assistant", "content": f"{begin}\n{THOUGHT}\n{end}\n\n{SAID}"}
    text = _text(tokenizer, [USER, thinking, USER]) or ""
    if THOUGHT not in text:
        return ModelFinding("thoughts in earlier turns", "dropped", "samples that go on keep them; new samples do not")
    if text.rfind(begin, 0, text.find(THOUGHT)) < 0 or end not in text.partition(THOUGHT)[2]:
        return ModelFinding("thoughts in earlier turns", "moved", f"the template puts them outside of {begin}")
    return ModelFinding("thoughts in earlier turns", "kept")


def _system(tokenizer: PreTrainedTokenizerBase) -> ModelFinding:
    """Whether there may be a system message, and what the template does without one."""
    given = _text(tokenizer, [{"role": "system", "content": RULE}, USER])
    alone = (_text(tokenizer, [USER]) or "").partition(ASKED)[0].removeprefix(str(tokenizer.bos_token or ""))
    if given is None or RULE not in given:
        return ModelFinding(
            "system messages", "no", "the template refuses them" if given is None else "they are dropped"
        )
    if given.partition(RULE)[2].partition(ASKED)[0].endswith(alone):
        return ModelFinding("system messages", "yes")
    return ModelFinding("system messages", "yes", f"without one, the template says {' '.join(alone.split())[:60]!r}")


def _call_format(renderer: Renderer) -> ModelFinding:
    """The format whose parser reads a call as the template writes it; else one that the template mentions."""
    what, name = "tool-call format", renderer.reply_format
    if name is not None:
        how = "as the template writes calls" if renderer.habits.calls else "which the template mentions"
        return ModelFinding(what, name, f"{how}; agent.reply_format: {name}")
    if renderer.habits.calls:
        return ModelFinding(
            what, "unknown", "the template writes calls in a form that is not read; they are given as text"
        )
    return ModelFinding(what, "none", "the template writes no calls; say how in the prompt (tools_in_prompt: true)")
