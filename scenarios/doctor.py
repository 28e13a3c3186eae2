"""What holds for one model and its chat template in conversations of many turns, found out by trying.

Each finding is a question, its answer, and what follows from it here. A *fatal* one says that the model cannot be
trained as it is; the others say what a scenario has to take into account. Left out: whether the model is any good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

from ..agents.language.chat_template import NoStopToken, Renderer
from ..agents.language.conversation_actor import ConversationActor
from ..agents.language.engines.transformers_engine import TransformersEngine
from ..agents.language.language_policy import LanguagePolicy
from ..agents.language.model_checks import check_cache, check_checkpoint, check_context, check_head, check_padding
from ..agents.language.model_files import load_language_model
from ..agents.language.template_process import TemplateFailed, render
from ..agents.language.tiny_llama import tiny_llama
from ..envs.conversation.conversation_env import ConversationEnv, Outcome
from ..envs.errors import UserError
from ..envs.tools.call_formats import reply_format
from ..envs.vocabulary import Message, Reply, ToolCall

CLOSE = 1e-3  # between log-probabilities of sampler and trainer, in fp32; a few 1e-6 are usual
_ASKED, _SAID, _THOUGHT = "Qzvx", "Jkwy", "Vbnm"  # words that no template writes by itself
_CALL = ToolCall("frobnicate", {"amount": 3})
_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": _CALL.name,
        "description": "Frobnicate.",
        "parameters": {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]},
    },
}
_USER: Message = {"role": "user", "content": _ASKED}
_ASSISTANT: Message = {"role": "assistant", "content": _SAID}


@dataclass(frozen=True)
class ModelFinding:
    """One question about a model, its answer, and what follows."""

    what: str
    result: str
    detail: str = ""
    fatal: bool = False


def examine(model: str, *, revision: str | None = None) -> list[ModelFinding]:
    """Everything about `model`: what `load_language_model` takes, or "tiny" for the built-in one.

    UserError if it cannot be loaded.
    """
    logging.disable_progress_bar()  # findings are all that is said
    parts = tiny_llama(seed=0) if model == "tiny" else load_language_model(model, revision=revision)
    policy = LanguagePolicy(*parts)
    found = [*examine_model(policy), *examine_template(policy.tokenizer, policy.end_ids)]
    if any(finding.fatal for finding in found):
        return found
    return [*found, _try_a_conversation(policy)]


def examine_model(policy: LanguagePolicy) -> Iterator[ModelFinding]:
    """Size, context, output layer and cache."""
    model, names = policy.model, len(policy.tokenizer)
    rows = int(model.config.get_text_config().vocab_size)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    yield ModelFinding("model", type(model).__name__, f"{millions:.4g} M parameters, {rows} embeddings")
    if names > rows:
        yield ModelFinding("embeddings for all tokens", "no", f"the tokenizer has {names} tokens", fatal=True)
    unknown = _checked("context", check_context, policy)
    if unknown.fatal:
        yield unknown
    else:
        yield ModelFinding("context", f"{policy.context} tokens", "a longer episode is truncated")
    yield _checked("logits from one matrix product", check_head, policy)
    yield _checked("one key and value for each token", check_cache, policy, "prompts are shared within a group")
    yield _checked("padding changes nothing", check_padding, policy)
    yield _checked("a checkpoint is read back as it was", check_checkpoint, policy)


def _checked(
    what: str, check: Callable[[LanguagePolicy], None], policy: LanguagePolicy, detail: str = ""
) -> ModelFinding:
    """What the scenario's builder would say to the model."""
    try:
        check(policy)
    except UserError as error:
        return ModelFinding(what, "no", str(error), fatal=True)
    return ModelFinding(what, "yes", detail)


def examine_template(tokenizer: PreTrainedTokenizerBase, more: Sequence[int] = ()) -> Iterator[ModelFinding]:
    """What the chat template renders, and what it does to earlier turns."""
    try:
        renderer = Renderer(tokenizer, more)
    except NoStopToken as error:
        yield ModelFinding("stop token ends a reply", "no", str(error), fatal=True)
        return
    except UserError as error:
        yield ModelFinding("chat template", "no", str(error), fatal=True)
        return
    yield ModelFinding("chat template", "yes", f"{len(str(tokenizer.chat_template))} characters")
    yield _stop(tokenizer, renderer)
    if _text(tokenizer, [_USER], prompt=True) == _text(tokenizer, [_USER]):
        yield ModelFinding("invites a reply", "no", "the prompt ends with the user's words", fatal=True)
    yield _earlier_turns(renderer, "user")
    yield _thoughts(tokenizer)
    yield _system(tokenizer)
    shown = _text(tokenizer, [_USER], [_TOOL], prompt=True)
    yield _told(
        "tools in the prompt", shown is not None and _CALL.name in shown, "tools_in_prompt: true describes them"
    )
    talk: list[Message] = [_USER, _ASSISTANT, {"role": "tool", "name": _CALL.name, "content": _THOUGHT}]
    heard = _text(tokenizer, talk, prompt=True)
    yield _told("tool messages", heard is not None and _THOUGHT in heard, "only worlds without tools can answer")
    if heard is not None and _THOUGHT in heard:
        yield _earlier_turns(renderer, "tool")
    yield _call_format(tokenizer, str(tokenizer.convert_ids_to_tokens(renderer.stop_id)))


def _told(what: str, yes: bool, otherwise: str) -> ModelFinding:
    return ModelFinding(what, "yes" if yes else "no", "" if yes else otherwise)


def _text(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] = (),
    *,
    prompt: bool = False,
) -> str | None:
    """What the template renders; None if it refuses."""
    try:
        return render(tokenizer, messages, tools, prompt=prompt)
    except TemplateFailed:
        return None


def _stop(tokenizer: PreTrainedTokenizerBase, renderer: Renderer) -> ModelFinding:
    """At which tokens a reply ends, the template's own first."""
    names = [str(tokenizer.convert_ids_to_tokens(number)) for number in renderer.stop_ids]
    behind = (_text(tokenizer, [_USER, _ASSISTANT]) or "").rpartition(_SAID)[2].lstrip().removeprefix(names[0])
    observed = f", then {behind!r} as observation" if behind else ""
    others = f"; {', '.join(names[1:])} stop too" if names[1:] else ""
    return ModelFinding("stop token ends a reply", "yes", names[0] + observed + others)


def _earlier_turns(renderer: Renderer, role: str) -> ModelFinding:
    """Whether a new message leaves what was rendered before as it was."""
    what = f"earlier turns survive a {role} message"
    try:
        delta = renderer.delta([{"role": role, "content": _ASKED, "name": _CALL.name}], stopped=True)
    except UserError as error:
        return ModelFinding(what, "no", str(error))
    if delta is None:
        return ModelFinding(what, "no", "each such turn begins a new sample: more to compute, and no less exact")
    return ModelFinding(what, "yes", "an episode is one sample; what was sampled is kept as it is")


def _thoughts(tokenizer: PreTrainedTokenizerBase) -> ModelFinding:
    """Whether <think>…</think> in an earlier reply is still rendered."""
    thinking: Message = {"role": "assistant", "content": f"<think>\n{_THOUGHT}\n</think>\n\n{_SAID}"}
    text = _text(tokenizer, [_USER, thinking, _USER]) or ""
    if _THOUGHT not in text:
        return ModelFinding("thoughts in earlier turns", "dropped", "samples that go on keep them; new samples do not")
    outside = text.rfind("<think>", 0, text.find(_THOUGHT)) < 0 or "</think>" not in text.partition(_THOUGHT)[2]
    if outside:
        return ModelFinding("thoughts in earlier turns", "moved", "the template puts them outside of <think>")
    return ModelFinding("thoughts in earlier turns", "kept")


def _system(tokenizer: PreTrainedTokenizerBase) -> ModelFinding:
    """Whether there may be a system message, and what the template does without one."""
    given = _text(tokenizer, [{"role": "system", "content": _SAID}, _USER])
    alone = (_text(tokenizer, [_USER]) or "").partition(_ASKED)[0].removeprefix(str(tokenizer.bos_token or ""))
    if given is None or _SAID not in given:
        return ModelFinding(
            "system messages", "no", "the template refuses them" if given is None else "they are dropped"
        )
    if given.partition(_SAID)[2].partition(_ASKED)[0].endswith(alone):
        return ModelFinding("system messages", "yes")
    return ModelFinding("system messages", "yes", f"without one, the template says {' '.join(alone.split())[:60]!r}")


def _call_format(tokenizer: PreTrainedTokenizerBase, stop: str) -> ModelFinding:
    """The format whose parser reads a call as the template writes it; else one that its instructions show."""
    what = "tool-call format"
    function = {"name": _CALL.name, "arguments": dict(_CALL.arguments)}
    call = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}
    before, text = _text(tokenizer, [_USER], [_TOOL]), _text(tokenizer, [_USER, call], [_TOOL])
    if before is not None and text is not None and _CALL.name in text.rpartition(_ASKED)[2]:
        said = text.rpartition(_ASKED)[2]
        for name in ("hermes", "llama3", "python"):
            for start in (mark for mark in range(len(said)) if said[mark] in "<{["):
                body = said[start:].partition(stop)[0]
                if reply_format(name).parse(body).tool_calls == (_CALL,):
                    return ModelFinding(what, name, f"reply_format: {name}")
        return ModelFinding(what, "unknown", f"the template writes {' '.join(said.split())[:80]!r}")
    shown = (_text(tokenizer, [_USER], [_TOOL], prompt=True) or "") if before != _text(tokenizer, [_USER]) else ""
    if "<tool_call>" in shown:
        return ModelFinding(what, "hermes", "as its instructions say; reply_format: hermes")
    return ModelFinding(what, "none", "the template writes no calls; say how in the prompt (tools_in_prompt: true)")


class _SmallTalk(ConversationEnv):
    """Three turns about nothing."""

    max_turns = 3

    def opening(self, rng: object, split: object) -> str:
        return "Say something."

    def respond(self, reply: Reply) -> Outcome:
        return Outcome("Go on.")


def _try_a_conversation(policy: LanguagePolicy) -> ModelFinding:
    """Sample two conversations and ask the trainer for the same tokens."""
    what = "sampler and trainer agree"
    renderer = Renderer(policy.tokenizer, policy.end_ids)
    engine = TransformersEngine(policy, stop_ids=renderer.stop_ids)
    actor = ConversationActor(_SmallTalk, engine, renderer, context=policy.context, max_tokens=6)
    batch = actor.collect([0], 2, seed=0, version=0).batch
    actor.close()
    if batch is None:
        return ModelFinding(what, "no", "no conversation could be held", fatal=True)
    with torch.no_grad():
        gap = (policy.score(batch.inputs).logp_B_T - batch.behavior_logp_B_T)[batch.mask_B_T].abs().max().item()
    detail = f"largest difference {gap:.1e} over {int(batch.mask_B_T.sum())} tokens of 2 conversations"
    return ModelFinding(what, "yes" if gap < CLOSE else "no", detail, fatal=not gap < CLOSE)
