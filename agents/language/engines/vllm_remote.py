"""A server of vLLM, with the face of `vllm_library.Vllm`: ids in and out over HTTP, weights by a file in this machine's
memory. The server is `vllm_server`'s, in an environment of its own.

    add ─▶ POST /inference/v1/generate, a thread each ─▶ step: those that have come back
    load ─▶ a safetensors file under /dev/shm ─▶ POST /update_weights, with the file's name
"""

from __future__ import annotations

import json
import math
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from http.client import HTTPException
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from ....envs.errors import UserError
from ..time_limit import within
from .vllm_library import MAX_ROWS, TESTED, Said

HOW = "python -m peripatos.agents.language.engines.vllm_server MODEL"
_SHARED = Path("/dev/shm")  # memory that another process can read as a file
_AT_THE_START, _AT_MOST = 8.0, 600.0  # seconds that an answer may take
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine: no proxy knows it
_A_STEP = 0.1  # seconds, in which other orders wait


def check_server(url: str) -> int:
    """The context of the server at `url`; UserError where none answers, or none that could draw for a learner."""
    try:
        found = str(_asked(url, "version", None, _AT_THE_START)["version"])
        held = int(_asked(url, "v1/models", None, _AT_THE_START)["data"][0]["max_model_len"])
        _asked(url, "is_paused", None, _AT_THE_START)  # is there where weights may be given
    except urllib.error.HTTPError as refused:
        refused.close()
        raise UserError(
            f"what answers at {url} is no server of vLLM that takes weights; start one by {HOW}"
        ) from refused
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as problem:
        why = getattr(problem, "reason", problem)
        raise UserError(f"no server of vLLM answers at {url} ({why}); start one by {HOW}") from problem
    if found.partition("+")[0] != TESTED:
        raise UserError(f"the server at {url} is vLLM {found}, and tested is {TESTED} alone")
    return held


class VllmServer:
    """The server at `url`, for one policy at a time, of so many tokens (`vocabulary`); UserError where there is none,
    or where it holds less than `context` tokens of a conversation."""

    def __init__(self, url: str, *, context: int, vocabulary: int) -> None:
        held = check_server(url)
        if held < context:
            raise UserError(
                f"the server at {url} holds {held} tokens of a conversation, and {context} are needed: give it "
                f"--max-model-len {context}, or the scenario agent.context: {held}"
            )
        self._url, self._vocabulary = url, vocabulary
        self._pool = ThreadPoolExecutor(MAX_ROWS, thread_name_prefix="vllm")
        self._owed: dict[Future[dict[str, Any]], str] = {}

    def refusal(self, model: PreTrainedModel, problem: Exception) -> UserError:
        """What is said where the server failed before it was of any use."""
        return UserError(f"the server at {self._url} does not speak for {type(model).__name__}: {_words(problem)}")

    def add(self, name: str, prompt: Sequence[int], *, salt: str, **params: Any) -> None:
        """Ask for a reply. `salt`: whose keys and values it may share."""
        given = {
            "request_id": f"peripatos-{id(self):x}-{name}",
            "token_ids": list(prompt),
            "cache_salt": salt,
            "sampling_params": {**params, "logprobs": 0, "detokenize": False, "ignore_eos": True},
        }
        self._owed[self._pool.submit(_asked, self._url, "inference/v1/generate", given, _AT_MOST)] = name

    def step(self) -> list[Said]:
        """The replies that have come back, if need be after a moment."""
        done, _ = wait(self._owed, timeout=_A_STEP, return_when=FIRST_COMPLETED)
        return [_said(self._owed.pop(answer), answer.result(), self._vocabulary) for answer in done]

    def abort(self, names: Sequence[str]) -> None:
        """Nobody wants these replies any more."""
        unwanted = set(names)
        for answer in [answer for answer, name in self._owed.items() if name in unwanted]:
            answer.cancel()
            del self._owed[answer]
        _asked(self._url, "abort_requests", {"request_ids": [f"peripatos-{id(self):x}-{n}" for n in names]}, _AT_MOST)

    def load(self, tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Speak with these weights, by their names in a checkpoint."""
        with tempfile.TemporaryDirectory(dir=_SHARED if _SHARED.is_dir() else None) as folder:
            file = Path(folder) / "weights.safetensors"
            save_file({name: tensor.contiguous().cpu() for name, tensor in tensors}, file)
            _asked(self._url, "start_weight_update", {}, _AT_MOST)
            _asked(self._url, "update_weights", {"update_info": {"file": str(file)}}, _AT_MOST)
            _asked(self._url, "finish_weight_update", {}, _AT_MOST)

    def close(self) -> None:
        """Want nothing any more; the server goes on."""
        if self._owed:
            self.abort(list(self._owed.values()))
        self._pool.shutdown(wait=False, cancel_futures=True)


def _asked(url: str, path: str, given: dict[str, Any] | None, seconds: float) -> Any:
    """What the server answers, all of it within so many seconds. OSError (HTTPError for one that says no), ValueError
    where it is no JSON."""
    body = None if given is None else json.dumps(given).encode()
    asked = urllib.request.Request(f"{url}/{path}", body, {"Content-Type": "application/json"})

    def read() -> bytes:
        with _DIRECT.open(asked, timeout=seconds) as answer:
            return answer.read()

    said = within(seconds, read)
    return json.loads(said) if said else None


def _words(problem: Exception) -> str:
    """One line; of a server that says no, what it says."""
    said = problem.read().decode(errors="replace") if isinstance(problem, urllib.error.HTTPError) else str(problem)
    return " ".join(f"{type(problem).__name__}: {said}".split())[:300]


def _said(name: str, answer: Any, vocabulary: int) -> Said:
    """A reply; ValueError for what is none: ids of a model with another vocabulary, or tokens without their odds."""
    try:
        choice = answer["choices"][0]
        tokens = tuple(choice["token_ids"])
        logp = tuple(float(one["logprob"]) for one in choice["logprobs"]["content"])
    except (LookupError, TypeError) as problem:
        raise ValueError(f"an answer without token_ids and logprobs: {str(answer)[:100]}") from problem
    strange = [token for token in tokens if type(token) is not int or not 0 <= token < vocabulary]
    if strange:
        raise ValueError(f"a token {strange[0]!r}, where the vocabulary has {vocabulary}")
    if len(logp) != len(tokens) or not all(map(math.isfinite, logp)):
        raise ValueError(f"{len(tokens)} tokens with the log-probabilities {str(logp)[:100]}")
    return Said(name, tokens, logp)
