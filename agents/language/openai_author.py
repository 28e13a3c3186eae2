"""An author behind a server that speaks OpenAI's chat-completions protocol: OpenAI's own, vLLM, llama.cpp, Ollama, …

It gives text and calls of tools, and no tokens that could be trained on: it plays and is evaluated, and nothing more.
Messages leave this machine if the server is on another.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...envs.conversation.conversation_env import ConversationEnv
from ...envs.errors import UserError, WrongKey, nearest
from ...envs.thoughts import MARKS
from ...envs.vocabulary import Message, Reply, StopReason, ToolCall
from ..protocols import ContextFull, NoReply

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

SECONDS = 120.0  # for one answer of the server
RETRIES = 4  # after a lost connection, "too many requests" or an error of the server's, each later than the last
LOOK_SECONDS = 10.0  # for the question which models there are
_KEYS = ("role", "content", "name", "tool_call_id")  # of a message, as the protocol has them
_FULL = ("context_length_exceeded", "context length", "context size", "context window")


def connect(url: str, key_env: str | None, *, seconds: float = SECONDS, retries: int = RETRIES) -> OpenAI:
    """A client of the server at `url`, with the key that the variable `key_env` of the environment holds. `UserError`
    without the package or the key."""
    try:
        from openai import OpenAI
    except ImportError as error:
        raise WrongKey(
            ["kind"], f"an agent of kind openai needs the extra: pip install 'peripatos[openai]' ({error})"
        ) from None
    key = os.environ.get(key_env) if key_env else "none"
    if not key:
        raise WrongKey(
            ["key_env"], f"agent.key_env: the environment has no variable {key_env!r} that would hold the server's key"
        )
    return OpenAI(base_url=url, api_key=key, timeout=seconds, max_retries=retries)


def check_server(url: str, model: str, key_env: str | None) -> None:
    """`UserError` where nobody answers at `url`, the key is refused, or there is no such model."""
    import openai

    with connect(url, key_env, seconds=LOOK_SECONDS, retries=0) as client:
        try:
            names = [one.id for one in client.models.list()]
        except openai.AuthenticationError as error:
            raise WrongKey(["key_env"], _refused(url, key_env, error)) from error
        except openai.APIStatusError as error:
            raise WrongKey(
                ["url"], f"agent.url: {url} answers {error.status_code} where a server lists its models"
            ) from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise WrongKey(
                ["url"], f"agent.url: no server of OpenAI's protocol answers at {url}: {_said(error)}"
            ) from error
    if model not in names:
        near = nearest(model, names) or (f"; it has {', '.join(sorted(names)[:8])}" if names else "; it has none")
        raise WrongKey(["model"], f"agent.model: the server at {url} has no model {model!r}{near}")


class OpenAIAuthor:
    """Replies of `model` at `url`, drawn at `temperature` from the likeliest `top_p`, of at most `max_tokens`."""

    waits = True

    def __init__(
        self, url: str, model: str, *, key_env: str | None, temperature: float, top_p: float, max_tokens: int
    ) -> None:
        self._url, self._key_env = url, key_env
        self._client = connect(url, key_env)
        self._model, self._temperature = model, temperature
        self._given: dict[str, Any] = {"model": model, "top_p": top_p, "max_tokens": max_tokens}

    def reply(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, object]],
        world: ConversationEnv,
        seed: int,
        *,
        greedy: bool,
    ) -> Reply:
        """What the server says. `NoReply` where it says nothing of use, `ContextFull` where there is no room for a
        reply, `UserError` where it would answer no request."""
        import openai

        asked = {**self._given, "messages": [as_sent(message) for message in messages]}
        asked |= {"temperature": 0.0 if greedy else self._temperature, "seed": seed % (1 << 31)}
        if tools:
            asked["tools"] = [{"type": "function", "function": tool.get("function", tool)} for tool in tools]
        try:
            answer = self._client.chat.completions.create(**asked)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise UserError(_refused(self._url, self._key_env, error)) from error
        except openai.NotFoundError as error:
            raise UserError(f"agent.model: {self._url} has no model {self._model!r}: {_said(error)}") from error
        except openai.APIStatusError as error:
            if _is_full(error):
                raise ContextFull(f"the server at {self._url} has no room for it: {_said(error)}") from error
            raise NoReply(f"the server at {self._url} answered {error.status_code}: {_said(error)}") from error
        except openai.OpenAIError as error:
            raise NoReply(f"the server at {self._url} did not answer: {_said(error)}") from error
        return read_answer(answer)

    def close(self) -> None:
        """End the connections; whoever waits for an answer gets none."""
        self._client.close()


def as_sent(message: Message) -> dict[str, Any]:
    """A message as the protocol has it: the arguments of calls are JSON in a text, and thoughts stay here."""
    sent: dict[str, Any] = {key: message[key] for key in _KEYS if key in message}  # type: ignore[literal-required]
    calls = message.get("tool_calls")
    if calls:
        sent["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
            for call in calls
        ]
    elif message["role"] == "assistant" and "parse_error" in message:
        sent["content"] = message.get("written", message["content"])
    return sent


def read_answer(answer: Any) -> Reply:
    """The reply in a server's answer. `NoReply` where there is none."""
    choices = getattr(answer, "choices", None)
    if not choices or choices[0].message is None:
        raise NoReply(f"the server's answer holds no reply: {answer!r:.200}")
    said, reason = choices[0].message, choices[0].finish_reason
    text = said.content or ""
    thought = getattr(said, "reasoning_content", None) or getattr(said, "reasoning", None)
    calls = []
    for call in said.tool_calls or ():
        written = call.function.arguments or "{}"
        try:
            arguments = json.loads(written)
        except (ValueError, RecursionError):
            arguments = None
        if isinstance(arguments, dict):
            calls.append(ToolCall(call.function.name, arguments))
        else:  # as it was written, for the world to say what is wrong with it
            text += f'<tool_call>{{"name": {json.dumps(call.function.name)}, "arguments": {written}}}</tool_call>'
    if thought:
        text = f"{MARKS[0][0]}\n{thought}\n{MARKS[0][1]}\n\n{text}"
    return Reply(text, tuple(calls), stop_reason=StopReason.LENGTH if reason == "length" else StopReason.STOP)


def _is_full(error: APIStatusError) -> bool:
    said = f"{getattr(error, 'code', '')} {getattr(error, 'type', '')} {_said(error)}".lower().replace("-", " ")
    return error.status_code in (400, 413, 422) and any(mark in said for mark in _FULL)


def _refused(url: str, key_env: str | None, error: Exception) -> str:
    where = f"the key in {key_env}" if key_env else "a request without a key; name the variable that holds one"
    return f"agent.key_env: the server at {url} refuses {where}: {_said(error)}"


def _said(error: Exception) -> str:
    """On one line, and not longer than a reader likes."""
    return " ".join(f"{error}".split())[:300]
