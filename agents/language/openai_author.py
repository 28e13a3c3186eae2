"""An author behind a server that speaks OpenAI's chat-completions protocol: OpenAI's own, vLLM, llama.cpp, Ollama, …

It gives text and calls of tools, and no tokens that could be trained on: it plays and is evaluated, and nothing more.
Messages leave this machine if the server is on another.
"""

from __future__ import annotations

import json
import os
import re
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...envs.conversation.conversation_env import ConversationEnv
from ...envs.errors import UserError, WrongKey, nearest
from ...envs.thoughts import MARKS
from ...envs.tools.formats.guarded import DECODER
from ...envs.vocabulary import Message, Reply, StopReason, ToolCall
from ..protocols import ContextFull, NoReply

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI, OpenAIError

SECONDS = 120.0  # for one answer of the server, all of it
RETRIES = 4  # after a lost connection, "too many requests" or an error of the server's, each later than the last
LOOK_SECONDS = 10.0  # for the question which models there are
NO_KEY = "none"
MOST_BYTES = 1 << 20  # of one answer, more than any context holds
MOST_LISTED = 1 << 24  # of the list of models
_KEYS = ("role", "content", "name", "tool_call_id")  # of a message, as the protocol has them
_RENAMED = {"max_tokens": "max_completion_tokens"}  # by models that think
_OPTIONAL = (*_RENAMED, "temperature", "top_p", "seed")
_NOT_TAKEN = ("unsupported", "not support", "not permitted", "not allowed", "unknown", "unrecognized", "unexpected")
_FULL = ("context_length_exceeded", "context length", "context size", "context window")


def connect(url: str, key_env: str | None, *, seconds: float, retries: int, most_bytes: int) -> OpenAI:
    """A client of the server at `url`, with the key that the variable `key_env` of the environment holds. `UserError`
    without the package or the key."""
    try:
        from openai import OpenAI
    except ImportError as error:
        raise WrongKey(
            ["kind"], f"an agent of kind openai needs the extra: pip install 'peripatos[openai]' ({error})"
        ) from None
    key = os.environ.get(key_env) if key_env else NO_KEY
    if not key:
        raise WrongKey(
            ["key_env"], f"agent.key_env: the environment has no variable {key_env!r} that would hold the server's key"
        )
    from .server_client import ServerClient

    client = ServerClient(url, seconds=seconds, most_bytes=most_bytes)
    return OpenAI(base_url=url, api_key=key, timeout=seconds, max_retries=retries, http_client=client)


def check_server(url: str, model: str, key_env: str | None) -> None:
    """`UserError` where nobody answers at `url`, the key is refused, or there is no such model."""
    import openai

    with connect(url, key_env, seconds=LOOK_SECONDS, retries=0, most_bytes=MOST_LISTED) as client:
        try:
            names = [one.id for one in client.models.list()]
        except openai.AuthenticationError as error:
            raise WrongKey(["key_env"], _refused(client, key_env, error)) from None
        except openai.APIStatusError as error:
            raise WrongKey(
                ["url"], f"agent.url: {url} answers {error.status_code} where a server lists its models{_usual(url)}"
            ) from None
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            said = _said(error, client)
            raise WrongKey(
                ["url"], f"agent.url: no server of OpenAI's protocol answers at {url}: {said}{_usual(url)}"
            ) from None
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
        self._client = connect(url, key_env, seconds=SECONDS, retries=RETRIES, most_bytes=MOST_BYTES)
        self._model, self._temperature = model, temperature
        self._given: dict[str, Any] = {"model": model, "top_p": top_p, "max_tokens": max_tokens}
        self._lock, self._refused = threading.Lock(), set[str]()  # parameters that the model does not take

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
            return read_answer(self._answered(asked))
        except NoReply as problem:
            raise NoReply(_shortly(str(problem), self._client)) from None
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise UserError(_refused(self._client, self._key_env, error)) from None
        except openai.NotFoundError as error:
            said = _said(error, self._client)
            raise UserError(f"agent.model: {self._url} has no model {self._model!r}: {said}") from None
        except openai.OpenAIError as error:
            raise self._none(error) from None

    def _answered(self, asked: dict[str, Any]) -> bytes:
        """The server's answer to what it takes of `asked`."""
        import openai

        while True:
            taken = {_RENAMED.get(name, name) if name in self._refused else name: asked[name] for name in asked}
            taken = {name: value for name, value in taken.items() if name not in self._refused}
            try:
                return self._client.chat.completions.with_raw_response.create(**taken).http_response.content
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                name = refused_parameter(getattr(error, "param", None), _said(error, self._client), taken)
                if name is None:
                    raise
                self._leave_out(name, _said(error, self._client))

    def _leave_out(self, name: str, said: str) -> None:
        """From now on ask without it, and say so once: it is not as the scenario asks for."""
        with self._lock:
            known = name in self._refused
            self._refused.add(name)
        if not known and name not in _RENAMED:
            but = " Evaluations are not greedy." if name == "temperature" else ""
            words = (
                f"{self._model} takes no {name}, and is asked without it, for the server's own.{but} It says: {said}"
            )
            warnings.warn(words, stacklevel=2)

    def close(self) -> None:
        """End the connections; whoever waits for an answer gets none."""
        self._client.close()

    def _none(self, error: OpenAIError) -> ContextFull | NoReply:
        """What a request becomes that was not answered. The error itself may hold the key, and goes no further."""
        from openai import APIStatusError

        said = _said(error, self._client)
        if not isinstance(error, APIStatusError):
            return NoReply(f"the server at {self._url} did not answer: {said}")
        if _is_full(error, said):
            return ContextFull(f"the server at {self._url} has no room for it: {said}")
        return NoReply(f"the server at {self._url} answered {error.status_code}: {said}")


def refused_parameter(param: object, said: str, asked: Mapping[str, object]) -> str | None:
    """Which of the parameters that a model need not take is refused in a server's words; None for none of them."""
    if not any(mark in said.lower() for mark in _NOT_TAKEN):
        return None
    named = [name for name in _OPTIONAL if name in asked and re.search(rf"\b{name}\b", said)]
    return param if isinstance(param, str) and param in _OPTIONAL and param in asked else next(iter(named), None)


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


def read_answer(body: bytes) -> Reply:
    """The reply in a server's answer. `NoReply` where there is none."""
    if len(body) > MOST_BYTES:
        raise NoReply(f"the server's answer has more than {MOST_BYTES} bytes")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise NoReply(f"the server's answer is no JSON: {body.decode(errors='replace')!r}") from None
    match answer:
        case {"choices": [{"message": dict(said), **rest}, *_]}:
            reason = rest.get("finish_reason")
        case _:
            raise NoReply(f"the server's answer holds no reply: {answer!r}")
    text = _text(said.get("content")) or _text(said.get("refusal"))
    thought = _text(said.get("reasoning_content")) or _text(said.get("reasoning"))
    given, calls = said.get("tool_calls") or [], []
    if not given and said.get("function_call") is not None:  # the protocol's older form of one call
        given = [{"function": said["function_call"]}]
    if reason == "content_filter":
        raise NoReply(f"the server's answer was blocked by its provider (finish_reason content_filter): {text!r}")
    nothing = said.get("content") is None and not (text or thought or given)
    if nothing and reason != "length":  # which cut it within thoughts that are not shown
        raise NoReply(f"the server's answer has neither a content nor a call (finish_reason {reason})")
    if not isinstance(given, list):
        raise NoReply(f"the server's answer holds calls that are no list: {given!r}")
    for name, written in map(_called, given):
        arguments = _arguments(written)
        if isinstance(arguments, dict):
            calls.append(ToolCall(name, arguments))
        else:  # as it was written, for the world to say what is wrong with it
            text += f'<tool_call>{{"name": {json.dumps(name)}, "arguments": {written}}}</tool_call>'
    if thought:
        text = f"{MARKS[0][0]}\n{thought}\n{MARKS[0][1]}\n\n{text}"
    return Reply(text, tuple(calls), stop_reason=StopReason.LENGTH if reason == "length" else StopReason.STOP)


def _text(content: object) -> str:
    """A content, which is a text, or a list with parts of kind text. `NoReply` for anything else."""
    match content:
        case None:
            return ""
        case str():
            return content
        case list():
            return "".join(part["text"] for part in content if isinstance(part, dict) and _is_text(part))
        case _:
            raise NoReply(f"the server's answer holds a content that is no text: {content!r}")


def _is_text(part: dict[str, Any]) -> bool:
    return part.get("type") == "text" and isinstance(part.get("text"), str)


def _called(call: object) -> tuple[str, object]:
    """The name and the arguments of a call. `NoReply` for what is no call of a function."""
    match call:
        case {"function": {"name": str(name), **rest}}:
            return name, rest.get("arguments")
        case _:
            raise NoReply(f"the server's answer holds a call of no function: {call!r}")


def _arguments(written: object) -> object:
    """What a call was given: JSON in a text, as the protocol has it, or itself."""
    if not isinstance(written, str):
        return {} if written is None else written
    try:
        return DECODER.decode(written or "{}")
    except (ValueError, RecursionError):
        return None


def _is_full(error: APIStatusError, said: str) -> bool:
    about = f"{getattr(error, 'code', '')} {getattr(error, 'type', '')} {said}".lower().replace("-", " ")
    return error.status_code in (400, 413, 422) and any(mark in about for mark in _FULL)


def _refused(client: OpenAI, key_env: str | None, error: Exception) -> str:
    where = f"the key in {key_env}" if key_env else "a request without a key; name the variable that holds one"
    url = str(client.base_url).rstrip("/")
    return f"agent.key_env: the server at {url} refuses {where}: {_said(error, client)}"


def _usual(url: str) -> str:
    """The url that was probably meant, where servers usually listen at another path."""
    parts = urlsplit(url)
    usual = f"{parts.scheme}://{parts.netloc}/v1"
    return "" if url.rstrip("/") == usual else f". Did you mean {usual!r}?"


def _said(error: Exception, client: OpenAI) -> str:
    """What it says, and what it comes from."""
    words = f"{error}" if error.__cause__ is None else f"{error} {error.__cause__}"
    return _shortly(words, client)


def _shortly(words: str, client: OpenAI) -> str:
    """On one line, no longer than a reader likes, and without the key, which some servers repeat."""
    if client.api_key != NO_KEY:
        words = words.replace(client.api_key, "(the key)")  # before the cut, which may go through it
    return " ".join(words.split())[:300]
