"""A server of vLLM in a process of its own: the same numbers after each update, one sentence where there is none."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from vllm_parts import STOP, answers, asked, gap, learn, policy

from peripatos.agents.language.engines.restarting import RestartingEngine
from peripatos.agents.language.engines.vllm_engine import VllmEngine
from peripatos.agents.language.engines.vllm_library import TESTED
from peripatos.agents.language.engines.vllm_remote import VllmServer, check_server
from peripatos.agents.protocols import EngineDied, Request, Weights
from peripatos.envs.errors import UserError

STARTS_WITHIN = 240.0


def free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server whose own weights mean nothing: (url, process)."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    policy().model.save_pretrained(folder)
    command = [sys.executable, "-m", "peripatos.agents.language.engines.vllm_server", str(folder), f"--port={port}"]
    command += ["--dtype=float32", "--load-format=dummy", "--kv-cache-memory-bytes=100000000"]
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        url, until = f"http://127.0.0.1:{port}", time.monotonic() + STARTS_WITHIN
        while True:
            try:
                check_server(url)
                break
            except UserError:
                assert process.poll() is None, (folder / "log").read_text()[-2000:]
                assert time.monotonic() < until, (folder / "log").read_text()[-2000:]
                time.sleep(1)
        yield url, process
        with contextlib.suppress(ProcessLookupError):  # those of its engine too
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


@pytest.mark.vllm
@pytest.mark.parametrize("drawn", [{}, {"temperature": 1.5, "top_k": 30, "top_p": 0.9, "min_p": 0.02}])
def test_a_server_says_what_the_trainer_means_after_each_update(
    drawn: dict[str, float], server: tuple[str, subprocess.Popen[bytes]]
) -> None:
    mine = policy(drawn)
    engine = VllmEngine(mine, stop_ids=[STOP], url=server[0])
    engine.load(Weights(0))
    said = answers(engine, asked())
    assert answers(engine, asked()) == said
    for version in range(2):
        learn(mine)
        engine.load(Weights(version + 1))
        assert float(gap(mine, engine).max()) <= 1e-3
    assert answers(engine, asked()) != said
    engine.close()


@pytest.mark.vllm
def test_what_nobody_wants_any_more_is_taken_back_and_the_rest_is_answered(
    server: tuple[str, subprocess.Popen[bytes]],
) -> None:
    engine = VllmEngine(policy(), stop_ids=[], url=server[0])
    engine.load(Weights(0))
    futures = engine.submit(asked(6, limit=30))
    assert futures[0].cancel()
    assert all(len(future.result(60).tokens) == 30 for future in futures[1:])
    engine.submit([Request(0, (5, 6, 7), 50, seed=0, greedy=False)])
    engine.close()  # while one is running
    again = VllmEngine(policy(), stop_ids=[], url=server[0])  # the server goes on
    again.load(Weights(0))
    assert len(answers(again, asked(2))) == 2
    again.close()


@pytest.mark.vllm
def test_a_server_that_holds_less_than_a_conversation_is_refused(server: tuple[str, subprocess.Popen[bytes]]) -> None:
    with pytest.raises(UserError, match=r"holds 64 tokens of a conversation, and 100 are needed: .*max-model-len 100"):
        VllmServer(server[0], context=100, vocabulary=99)


@pytest.mark.vllm
def test_a_server_that_dies_ends_the_run_with_one_sentence(server: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, process = server
    told: list[str] = []
    engine = RestartingEngine(lambda: VllmEngine(policy(), stop_ids=[], url=url), told.append)
    engine.load(Weights(0))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    with pytest.raises(EngineDied, match=f"no server of vLLM answers at {url} .*; start one by python -m"):
        engine.submit(asked(1))[0].result(60)
    engine.close()


class Answers(BaseHTTPRequestHandler):
    """Says what `ANSWERS` has for a path."""

    said: dict[str, object]

    def do_GET(self) -> None:
        known = self.path in self.said
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(json.dumps(self.said.get(self.path)).encode())

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "what answers at URL is no server of vLLM that takes weights; start one by python -m peripatos"),
        (
            {"/version": {"version": "0.32.0"}, "/v1/models": {"data": [{"max_model_len": 8}]}},
            "what answers at URL is no server of vLLM that takes weights",
        ),
        (
            {"/version": {"version": "0.9.1"}, "/v1/models": {"data": [{"max_model_len": 8}]}, "/is_paused": {}},
            "the server at URL is vLLM 0.9.1, and tested is 0.32.0 alone",
        ),
        ({"/version": ["0.32.0"]}, "no server of vLLM answers at URL"),
        ({"/version": {"version": "0.32.0"}, "/v1/models": {"data": []}}, "no server of vLLM answers at URL"),
        (
            {"/version": {"version": 32}, "/v1/models": {"data": [{"max_model_len": "long"}]}},
            "no server of vLLM answers at URL",
        ),
    ],
)
def test_what_answers_and_is_no_such_server_is_told_so(said: dict[str, object], words: str) -> None:
    handler = type("Handler", (Answers,), {"said": said})
    with HTTPServer(("127.0.0.1", 0), handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{other.server_port}"
        with pytest.raises(UserError, match=words.replace("URL", url).replace(".", r"\.")):
            check_server(url)
        other.shutdown()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (["nothing"], "an answer without token_ids and logprobs: .'nothing'."),
        ({"choices": []}, "an answer without token_ids and logprobs"),
        ({"choices": [{"token_ids": [3], "logprobs": None}]}, "an answer without token_ids and logprobs"),
        ({"choices": [{"token_ids": [3, 99], "logprobs": {"content": []}}]}, "a token 99, where the vocabulary has 99"),
        ({"choices": [{"token_ids": ["3"], "logprobs": {"content": []}}]}, "a token '3', where"),
        ({"choices": [{"token_ids": [3], "logprobs": {"content": []}}]}, "1 tokens with the log-probabilities"),
        ({"choices": [{"token_ids": [3], "logprobs": {"content": [{"logprob": float("nan")}]}}]}, "1 tokens with"),
    ],
)
def test_a_reply_that_is_none_is_no_reply(answer: object, words: str) -> None:
    models = {"data": [{"max_model_len": 8}]}
    said = {"/version": {"version": TESTED}, "/v1/models": models, "/is_paused": {}, "/inference/v1/generate": answer}
    with HTTPServer(("127.0.0.1", 0), type("Handler", (Answers,), {"said": said})) as here:
        threading.Thread(target=here.serve_forever, daemon=True).start()
        vllm = VllmServer(f"http://127.0.0.1:{here.server_port}", context=8, vocabulary=99)
        vllm.add("one", [1], salt="0")
        wait(vllm._owed)
        with pytest.raises(ValueError, match=words):
            vllm.step()
        here.shutdown()


def test_a_proxy_of_the_environment_is_not_asked_for_a_server_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.delenv("no_proxy", raising=False)
    models = {"data": [{"max_model_len": 8}]}
    said = {"/version": {"version": TESTED}, "/v1/models": models, "/is_paused": {}}
    handler = type("Handler", (Answers,), {"said": said})
    with HTTPServer(("127.0.0.1", 0), handler) as here:
        threading.Thread(target=here.serve_forever, daemon=True).start()
        assert check_server(f"http://127.0.0.1:{here.server_port}") == 8
        here.shutdown()


def test_where_nobody_answers_a_run_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import peripatos

    with socket.socket() as deaf:  # it has a port, which nobody else gets, and listens to nobody
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        words = rf"no server of vLLM answers at {url} \(.*refused.*\); start one by python -m"
        with pytest.raises(UserError, match=words):
            peripatos.run("quickstart", {"engine.vllm.url": url}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_keys_that_a_server_has_of_its_own_are_refused(tmp_path: Path) -> None:
    import peripatos

    with pytest.raises(UserError, match=r"engine\.vllm\.memory has no effect on a server"):
        peripatos.run("quickstart", {"engine.vllm": {"url": "http://127.0.0.1:1", "memory": 3}}, out=tmp_path / "run")
    with pytest.raises(UserError, match="is no url of a server"):
        peripatos.run("quickstart", {"engine.vllm.url": "localhost:8000"}, out=tmp_path / "run")
