"""An author behind a server: what is sent, what is made of the answer, and what is said where there is none."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import peripatos
from peripatos.agents.language import openai_author
from peripatos.agents.protocols import NoReply
from peripatos.envs.errors import UserError

Answer = dict[str, Any] | tuple[int, str] | bytes
KEY = "sk-right"


class Server(ThreadingHTTPServer):
    """One model, `adder`. What it answers to a request `answer` says: a message, a status and words, or a body."""

    daemon_threads = True
    request_queue_size = 128  # all episodes connect at once

    def __init__(self, answer: Callable[[dict[str, Any]], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.asked = answer, list[dict[str, Any]]()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Which models there are."""
        if self.headers["Authorization"] not in (f"Bearer {KEY}", "Bearer none"):
            return self._send(401, {"error": {"message": "no such key"}})
        return self._send(200, {"object": "list", "data": [{"id": "adder", "object": "model"}]})

    def do_POST(self) -> None:
        """A reply."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        answer = self.server.answer(asked)
        if isinstance(answer, bytes):
            return self._send(200, answer)
        if isinstance(answer, tuple):
            return self._send(answer[0], {"error": {"message": answer[1]}})
        reason = answer.pop("finish_reason", "stop")
        choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": None, **answer}}
        return self._send(200, {"id": "1", "object": "chat.completion", "created": 0, "choices": [choice]})

    def _send(self, status: int, body: dict[str, Any] | bytes) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[dict[str, Any]], Answer]], Server]]:
    monkeypatch.setattr(openai_author, "RETRIES", 0)
    servers: list[Server] = []

    def start(answer: Callable[[dict[str, Any]], Answer]) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def scenario(url: str, world: str = "peripatos/Arithmetic-v0", episodes: int = 6, **more: Any) -> dict[str, Any]:
    agent = {"kind": "openai", "model": "adder", "url": url, **more.pop("agent", {})}
    head = {"name": "asked", "world": {"id": world, "options": more.pop("options", {})}, "agent": agent}
    return {**head, "stages": [{"name": "play"}], "evaluation": {"episodes": episodes}, **more}


def added(asked: dict[str, Any]) -> Answer:
    """The right sum."""
    a, b = map(int, re.findall(r"\d+", asked["messages"][-1]["content"])[:2])
    return {"content": f"Gern – \\boxed{{{a + b}}}"}


def played(folder: Path) -> dict[str, Any]:
    """The first episode that the run has kept."""
    return json.loads((folder / "run" / "episodes" / "000000-test.jsonl").read_text().splitlines()[0])


PLUS = {"operators": ["+"]}


def test_a_server_is_evaluated_as_any_agent_is(serve: Any, tmp_path: Path) -> None:
    server = serve(added)
    asked = scenario(server.url, options=PLUS, sampling={"max_tokens": 40, "top_p": 0.9})
    run = peripatos.run(asked, out=tmp_path / "run")
    assert run.summary["stages"][0]["evaluation"]["after"]["success_rate"] == 1.0
    assert {(one["temperature"], one["max_tokens"], one["top_p"]) for one in server.asked} == {(0.0, 40, 0.9)}
    assert played(tmp_path)["messages"][-1]["content"].startswith("Gern – "), "any text comes through"


def test_what_a_run_has_written_down_runs_again(serve: Any, tmp_path: Path) -> None:
    asked = scenario(serve(added).url, options=PLUS, episodes=2, sampling={"temperature": 0.5})
    run = peripatos.run(asked, out=tmp_path / "run")
    again = peripatos.run(tmp_path / "run" / "scenario.yaml", out=tmp_path / "again")
    assert again.scenario == run.scenario
    with pytest.raises(UserError, match=r"takes no sampling\.min_p"):
        peripatos.run({**asked, "sampling": {"min_p": 0.1}}, out=tmp_path / "other")


def test_calls_of_tools_go_both_ways_in_the_servers_own_form(serve: Any, tmp_path: Path) -> None:
    def calls(asked: dict[str, Any]) -> Answer:
        heard = asked["messages"][-1]
        if heard["role"] == "tool":
            assert asked["messages"][-2]["tool_calls"][0]["id"] == heard["tool_call_id"]
            assert json.loads(asked["messages"][-2]["tool_calls"][0]["function"]["arguments"])
            return {"content": f"<answer>{heard['content']}</answer>"}
        numbers = re.findall(r"\d+", heard["content"])
        arguments = json.dumps({"expression": "*".join(numbers[:2])})
        call = {"id": "x1", "type": "function", "function": {"name": "calculator", "arguments": arguments}}
        return {"tool_calls": [call], "finish_reason": "tool_calls"}

    server = serve(calls)
    run = peripatos.run(scenario(server.url, "peripatos/ToolMaths-v0"), out=tmp_path / "run")
    assert run.summary["stages"][0]["evaluation"]["after"]["turns_mean"] == 2.0
    assert all(one["tools"][0]["function"]["name"] == "calculator" for one in server.asked)
    assert run.summary["stages"][0]["evaluation"]["after"]["success_rate"] > 0.9


def test_a_call_that_is_no_json_and_a_reply_that_was_cut_are_the_worlds_to_judge(serve: Any, tmp_path: Path) -> None:
    def broken(asked: dict[str, Any]) -> Answer:
        if asked["messages"][-1]["role"] == "user" and len(asked["messages"]) < 3:
            call = {
                "id": "x1",
                "type": "function",
                "function": {"name": "calculator", "arguments": '{"a": 3*'},
            }
            return {"tool_calls": [call]}
        return {"content": "12 and so", "finish_reason": "length"}

    server = serve(broken)
    run = peripatos.run(
        scenario(server.url, "peripatos/ToolMaths-v0", 2, options={"reply_format": "hermes"}), out=tmp_path / "run"
    )
    assert run.summary["stages"][0]["evaluation"]["after"]["success_rate"] == 0.0
    assert "parse_error" in json.dumps(played(tmp_path)["messages"])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, "on fire"), r"answered 500: .*on fire"),
        ((429, "slower"), r"answered 429: .*slower"),
        ({"content": "x", "finish_reason": None, "role": 3}, None),
        ((400, "This model's maximum context length is 8 tokens"), "no room"),
        ((404, "gone"), "agent.model: .* has no model 'adder'"),
        (b"<html>log in</html>", "the server's answer is no JSON: '<html>log in"),
        ({"tool_calls": [{"id": "x1", "function": None}]}, "holds a call of no function: .*None"),
        ((401, "revoked"), "agent.key_env: .* refuses a request without a key"),
    ],
)
def test_an_answer_that_is_none_is_told_in_the_servers_words(
    serve: Any, tmp_path: Path, answer: Answer, words: str | None
) -> None:
    server = serve(lambda asked: dict(answer) if isinstance(answer, dict) else answer)
    if words is None:
        peripatos.run(scenario(server.url, options=PLUS), out=tmp_path / "run")
        return
    with pytest.raises(Exception, match=words):
        peripatos.run(scenario(server.url, options=PLUS), out=tmp_path / "run")


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ({"url": "http://127.0.0.1:9/v1"}, "agent.url: no server of OpenAI's protocol answers at"),
        ({"url": "http://127.0.0.1:9"}, "Connection refused. Did you mean 'http://127.0.0.1:9/v1'"),
        *[
            ({"url": url}, "is no url of a server; write such as http://host:8000/v1")
            for url in ("adder", "127.0.0.1:9/v1", "file:///etc", "http://a:99999/v1", "http://[::1/v1", "http://:1/v1")
        ],
        *[
            ({"url": url}, "a url holds no user")
            for url in ("http://me:word@a/v1", "https://a/v1?key=b", "http://a/#b")
        ],
        ({"model": "ader"}, r"agent.model: the server at .* has no model 'ader' Did you mean 'adder'"),
        ({"key_env": "PERIPATOS_NO_SUCH_KEY"}, "agent.key_env: the environment has no variable"),
        ({"key_env": "HOME"}, "agent.key_env: the server at .* refuses the key in HOME"),
    ],
)
def test_what_is_wrong_with_a_server_is_said_before_the_first_episode(
    serve: Any, tmp_path: Path, agent: dict[str, str], words: str
) -> None:
    server = serve(added)
    with pytest.raises(UserError, match=words):
        peripatos.run(scenario(server.url, options=PLUS, agent=agent), out=tmp_path / "run")
    assert not server.asked


def body(message: object, **more: object) -> bytes:
    return json.dumps({"choices": [{"message": message, **more}]}).encode()


def called(**function: object) -> bytes:
    return body({"content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]})


@pytest.mark.parametrize(
    "answer",
    [
        *[b"", b"null", b"[1]", b"5", b'{"error": {}}', b"[" * 100_000, b"\xff", b"x" * (openai_author.MOST_BYTES + 1)],
        *[b'{"choices": %s}' % choices for choices in (b"null", b"[]", b"5", b'"ab"', b'{"a": 1}', b"[null]", b"[{}]")],
        *[
            body(message)
            for message in (None, "hi", [1], {"content": 5}, {"content": {"a": 1}}, {"reasoning": {"a": 1}})
        ],
        *[body({"tool_calls": calls}) for calls in ("abc", {"a": 1}, 3, [None], [{}], ["a"], [{"function": None}])],
        *[called(name=name, arguments="{}") for name in (None, 5, ["calculator"])],
        *[body(message) for message in ({}, {"content": None}, {"content": None, "tool_calls": []})],
        *[body({"content": content}, finish_reason="content_filter") for content in (None, "", "a part")],
        *[body({"content": None, "function_call": call}) for call in ("f", {}, {"name": None}, [1])],
        body({"tool_calls": [{"type": "custom", "custom": {"name": "calculator", "input": "1"}}]}),
    ],
    ids=lambda answer: answer[:70].decode(errors="replace"),
)
def test_what_is_no_reply_costs_the_episode_and_no_more(answer: bytes) -> None:
    with pytest.raises(NoReply, match="the server's answer"):
        openai_author.read_answer(answer)


@pytest.mark.parametrize(
    ("answer", "text", "arguments"),
    [
        (
            body({"content": [{"type": "text", "text": "4"}, {"type": "image"}, {"type": "text", "text": "2"}]}),
            "42",
            [],
        ),
        (body({"content": None, "refusal": "I must not"}), "I must not", []),
        *[(body(message), "", []) for message in ({"content": ""}, {"content": "", "tool_calls": []}, {"content": []})],
        (body({"content": None}, finish_reason="length"), "", []),
        (body({"content": None, "reasoning": "so"}), "<think>\nso\n</think>\n\n", []),
        (body({"content": None, "function_call": {"name": "f", "arguments": '{"a": 1}'}}), "", [{"a": 1}]),
        (called(name="f"), "", [{}]),
        *[(called(name="f", arguments=nothing), "", [{}]) for nothing in (None, "", "{}")],
        *[(called(name="f", arguments=given), "", [{"a": 1}]) for given in ({"a": 1}, '{"a": 1}')],
        *[
            (called(name="f", arguments=odd), f'<tool_call>{{"name": "f", "arguments": {odd}}}</tool_call>', [])
            for odd in ("null", "[1]", '{"a": ', '{"a": NaN}', '{"a": 1e999}', 7, "1" * 5000, "[" * 9999)
        ],
    ],
    ids=lambda value: str(value)[:70],
)
def test_a_reply_is_read_in_every_form_that_servers_give_it(answer: bytes, text: str, arguments: list[object]) -> None:
    reply = openai_author.read_answer(answer)
    assert (reply.text, [call.arguments for call in reply.tool_calls]) == (text, arguments)


@pytest.mark.parametrize("answer", [(401, "wrong key: {}"), (500, "{} " * 30), ("x" * 270 + "{}").encode()])
def test_a_server_that_repeats_the_key_does_not_get_it_into_the_run(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, str] | bytes
) -> None:
    def repeat(_: object) -> Answer:
        return (
            answer.replace(b"{}", KEY.encode())
            if isinstance(answer, bytes)
            else (answer[0], answer[1].replace("{}", KEY))
        )

    monkeypatch.setenv("THE_KEY", KEY)
    with pytest.raises(Exception, match="server") as raised:
        peripatos.run(scenario(serve(repeat).url, options=PLUS, agent={"key_env": "THE_KEY"}), out=tmp_path / "run")
    kept = [path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert kept
    assert not any(KEY[:5].encode() in data for data in [str(raised.value).encode(), *kept])


def without(*names: str, how: str = "openai") -> Callable[[dict[str, Any]], Answer]:
    """A model that takes none of these, as the servers of several makers say it."""

    def answer(asked: dict[str, Any]) -> Answer:
        for name in names:
            if name not in asked:
                continue
            use = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
            if name == "temperature":
                return 400, f"Unsupported value: '{name}' does not support 0 with this model. Only 1 is supported."
            said = {
                "openai": f"Unsupported parameter: '{name}' is not supported with this model.{use}",
                "pydantic": f"body.{name}: Extra inputs are not permitted",
                "plain": f"unknown field `{name}`",
            }
            return (400 if how == "openai" else 422), said[how]
        return added(asked)

    return answer


@pytest.mark.parametrize("how", ["openai", "pydantic", "plain"])
def test_what_a_model_does_not_take_is_left_out_and_said_once(serve: Any, tmp_path: Path, how: str) -> None:
    server = serve(without("max_tokens", "temperature", "top_p", "seed", how=how))
    with pytest.warns(UserWarning, match="adder takes no") as said:
        run = peripatos.run(scenario(server.url, options=PLUS, sampling={"max_tokens": 40}), out=tmp_path / "run")
    assert run.summary["stages"][0]["evaluation"]["after"]["success_rate"] == 1.0
    last = server.asked[-1]
    assert last["max_completion_tokens"] == 40
    assert not {"max_tokens", "temperature", "top_p", "seed"} & set(last)
    told = [str(one.message) for one in said if "adder takes no" in str(one.message)]
    assert [words.partition(", and is asked without it")[0].split()[-1] for words in told] == [
        "temperature",
        "top_p",
        "seed",
    ]
    assert "not greedy" in told[0]


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens is too large: 99. This model supports at most 8 completion tokens",
        "'messages' with role 'tool' are not supported",
        "Unsupported parameter: 'tools' is not supported with this model.",
        "top_p must be below 1",
    ],
)
def test_a_refusal_of_another_kind_leaves_nothing_out(words: str) -> None:
    asked = {"max_tokens": 8, "top_p": 1.0, "temperature": 0.0, "seed": 1}
    assert openai_author.refused_parameter(None, words, asked) is None
    assert openai_author.refused_parameter("tools", words, asked) is None


def test_a_server_does_not_learn(serve: Any, tmp_path: Path) -> None:
    data = scenario(serve(added).url, options=PLUS)
    data["stages"] = [
        {"name": "learn", "method": "grpo", "collect": {"groups": 2, "group_size": 2}, "budget": {"updates": 1}}
    ]
    with pytest.raises(UserError, match="openai"):
        peripatos.run(data, out=tmp_path / "run")
