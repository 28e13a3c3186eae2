"""A server that never comes to an end, in seconds or in bytes, and a proxy that is not for this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import httpx2
import openai
import pytest

from peripatos.agents.language import openai_author
from peripatos.agents.language.server_client import ServerClient, is_here
from peripatos.agents.language.time_limit import within
from peripatos.agents.protocols import NoReply

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Speak = Callable[[bytes, bytes], str]


@pytest.fixture
def speak() -> Iterator[Speak]:
    """Servers that say one thing and then another again and again, to whoever comes, until they are hung up on."""
    over, listening = threading.Event(), list[socket.socket]()

    def talk(line: socket.socket, first: bytes, again: bytes) -> None:
        with line:
            line.recv(1 << 16)
            try:
                line.sendall(first)
                while again and not over.wait(0.001):
                    line.sendall(again)
            except OSError:
                return

    def serve(server: socket.socket, first: bytes, again: bytes) -> None:
        while not over.is_set():
            try:
                line, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(line, first, again), daemon=True).start()

    def start(first: bytes, again: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)
        threading.Thread(target=serve, args=(server, first, again), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/v1"

    yield start
    over.set()
    for server in listening:
        server.close()


def author(url: str) -> openai_author.OpenAIAuthor:
    return openai_author.OpenAIAuthor(url, "m", key_env=None, temperature=1.0, top_p=1.0, max_tokens=4)


def say(who: openai_author.OpenAIAuthor) -> object:
    return who.reply([{"role": "user", "content": "x"}], [], None, 1, greedy=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (OK + b"Content-Length: 1000000000\r\n\r\n", b" "),
        (b"HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"", b"H"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["chunks", "body", "error", "headers", "status", "continue"],
)
def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for_without_end(
    speak: Speak, first: bytes, again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_author, "SECONDS", 0.3)
    monkeypatch.setattr(openai_author, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(openai_author, "RETRIES", 0)
    url = speak(first, again)
    with pytest.raises(NoReply, match="the server at"):
        say(author(url))
    with pytest.raises(Exception, match=r"agent\.url"):
        openai_author.check_server(url, "m", None)


@pytest.mark.parametrize("status", [b"200 OK", b"400 No"])
def test_no_more_of_an_answer_is_read_than_one_may_have(speak: Speak, status: bytes) -> None:
    url = speak(
        b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"
    )
    with ServerClient(url, seconds=60, most_bytes=100_000) as client:
        assert len(client.get(url).content) == 100_001
    with pytest.raises(NoReply, match="has more than 1048576 bytes" if status[:1] == b"2" else "answered 400"):
        say(author(url))


def test_an_answer_that_is_whole_is_as_it_was_sent(speak: Speak) -> None:
    url = speak(OK + b"X-A: 1\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}', b"")
    with ServerClient(url, seconds=60, most_bytes=7) as client:
        answer = client.get(url)
    assert (answer.status_code, answer.json(), answer.headers["X-A"]) == (200, {"a": 1}, "1")


def test_a_failure_comes_through_a_limit_of_time() -> None:
    assert within(60, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(60, lambda: 1 // 0)


def test_a_proxy_of_the_environment_is_for_other_machines(speak: Speak, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    proxy = speak(b"HTTP/1.1 502 By the proxy\r\nContent-Length: 0\r\n\r\n", b"")
    monkeypatch.setenv("http_proxy", proxy.removesuffix("/v1"))
    url = speak(OK + b"Content-Length: 2\r\n\r\n{}", b"")
    with ServerClient(url, seconds=60, most_bytes=9) as client:
        assert client.get(url).status_code == 200
        assert client.get(url.replace("127.0.0.1", "elsewhere.invalid")).status_code == 502


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "a.localhost", "0.0.0.0"])
def test_this_machine_is_known_by_its_own_names(host: str) -> None:
    assert is_here(host)
    assert not any(map(is_here, ("10.0.0.1", "example.com", "", "2001:db8::1", "localhost.example.com")))
    shown = f"[{host}]" if ":" in host else host
    ServerClient(f"http://{shown}:1/v1", seconds=1, most_bytes=1).close()


def test_what_the_library_says_of_a_slow_server_is_a_timeout(speak: Speak) -> None:
    url = speak(OK + b"Content-Length: 1000\r\n\r\n", b" ")
    client = ServerClient(url, seconds=0.3, most_bytes=9000)
    with pytest.raises(httpx2.ReadTimeout, match=r"no whole answer within 0\.3 s"):
        client.get(url)
    with pytest.raises(openai.APITimeoutError):
        openai.OpenAI(base_url=url, api_key="none", http_client=client, max_retries=0).models.list()
