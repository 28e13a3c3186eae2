"""What every engine keeps to. A new engine is one more line in `ENGINES`."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import wait
from dataclasses import replace

import pytest
import torch
from agents_engines import Disordered, Told

from peripatos.agents.language.engines.plain_engine import PlainEngine
from peripatos.agents.language.engines.threaded import ThreadedEngine
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.engines.vllm_engine import VllmEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.protocols import Completion, Engine, EngineDied, Request, Sampling, Weights

STOP = 2  # the tiny tokenizer's end of a message


def tiny(seed: int = 0) -> LanguagePolicy:
    return LanguagePolicy(*tiny_llama(seed=seed, hidden=32, layers=2, heads=1))  # vLLM has no narrower heads on a CPU


def transformers(**options: str) -> TransformersEngine:
    return TransformersEngine(tiny(), stop_ids=[STOP], **options)


def vllm(**options: str) -> VllmEngine:
    engine = VllmEngine(tiny(), stop_ids=[STOP], memory=0.1, **options)
    engine.load(Weights(0))  # the first of a process takes long
    return engine


ENGINES: dict[str, Callable[[], Engine]] = {
    "transformers": transformers,
    "transformers, bf16": lambda: transformers(precision="bf16"),
    "plain": lambda: PlainEngine(tiny(), stop_ids=[STOP]),
    "plain, bf16": lambda: PlainEngine(tiny(), stop_ids=[STOP], precision="bf16"),
    "vllm": vllm,
    "one that answers in disorder": lambda: Disordered(transformers(), seed=0),
    "one that says what it is told": lambda: Told(lambda turn: [11, 12, STOP], STOP),
}
MODELS = [name for name in ENGINES if "told" not in name]
REPEATING = [name for name in ENGINES if "disorder" not in name]  # bit for bit
WAIT = 120.0  # seconds after which an answer never comes


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    torch.set_num_threads(1)
    engine = ENGINES[request.param]()
    yield engine
    engine.close()


def cases(names: Iterable[str]) -> list[object]:
    """For `parametrize`: engines that need a package are marked with its name."""
    return [pytest.param(name, marks=pytest.mark.vllm) if name.startswith("vllm") else name for name in names]


every = pytest.mark.parametrize("engine", cases(ENGINES), indirect=True)
every_model = pytest.mark.parametrize("engine", cases(MODELS), indirect=True)


def asked(n: int, *, limit: int = 12, greedy: bool = False) -> list[Request]:
    """Prompts of different lengths, each with a seed of its own."""
    return [Request(k, tuple(range(8, 12 + 3 * k)), limit, seed=1000 + k, greedy=greedy) for k in range(n)]


def answers(engine: Engine, requests: Sequence[Request]) -> list[Completion]:
    return [future.result(WAIT) for future in engine.submit(requests)]


def tokens(engine: Engine, requests: Sequence[Request]) -> list[tuple[int, ...]]:
    return [completion.tokens for completion in answers(engine, requests)]


@every
def test_it_is_an_engine_and_says_what_it_draws_from(engine: Engine) -> None:
    assert isinstance(engine, Engine)
    assert isinstance(engine.sampling, Sampling)
    assert engine.sampling.stop_ids == {STOP}


@every
def test_a_request_is_data_only(engine: Engine) -> None:
    requests = asked(3)
    again = pickle.loads(pickle.dumps(requests))
    assert again == requests
    assert tokens(engine, again) == tokens(engine, requests)


@every
def test_answers_are_in_the_order_of_the_requests_whoever_is_ready_first(engine: Engine) -> None:
    requests = [replace(request, limit=14 - 2 * k) for k, request in enumerate(asked(6))]
    together = tokens(engine, requests)
    assert together == [tokens(engine, [request])[0] for request in requests]
    assert all(len(said) <= request.limit for said, request in zip(together, requests, strict=True))


@every
def test_a_reply_ends_at_a_stop_token_or_at_its_limit_and_has_a_probability_for_each_token(engine: Engine) -> None:
    for completion in answers(engine, asked(8, limit=60)):
        assert (completion.tokens[-1] == STOP) == (completion.stop_reason.value == "stop")
        assert len(completion.logp) == len(completion.tokens)
        assert all(logp <= 0 for logp in completion.logp)


@every_model
def test_each_request_is_greedy_or_not_by_itself(engine: Engine) -> None:
    one = asked(1)[0]
    mixed = [replace(one, greedy=k % 2 == 0, seed=k, conversation=k) for k in range(8)]
    said = tokens(engine, mixed)
    assert len(set(said[::2])) == 1
    assert len(set(said[1::2])) == 4
    assert said == [tokens(engine, [request])[0] for request in mixed]


@pytest.mark.parametrize("name", cases(REPEATING))
def test_equal_calls_are_answered_bit_for_bit_alike(name: str) -> None:
    torch.set_num_threads(1)
    first, second = (answers(ENGINES[name](), asked(9)) for _ in range(2))
    assert first == second


@every
def test_every_answer_carries_the_version_of_its_weights(engine: Engine) -> None:
    assert {answer.version for answer in answers(engine, asked(3))} == {0}
    engine.load(Weights(7))
    assert {answer.version for answer in answers(engine, asked(3))} == {7}


@every
def test_what_is_running_when_weights_are_loaded_is_answered_by_the_old_ones_or_the_new(engine: Engine) -> None:
    running = engine.submit(asked(4))
    engine.load(Weights(1))
    assert {future.result(WAIT).version for future in running} <= {0, 1}
    assert {answer.version for answer in answers(engine, asked(2))} == {1}


@every_model
@pytest.mark.parametrize("way", ["tensors", "folder"])
def test_new_weights_speak_from_the_next_request_on(engine: Engine, way: str, tmp_path) -> None:
    other = tiny(seed=1)
    if way == "folder":
        other.save(tmp_path)
        engine.load(Weights(3, folder=tmp_path))
    else:
        engine.load(Weights(3, tensors=lambda: other.state_dict().items()))
    greedy = asked(4, greedy=True)
    bf16 = isinstance(engine, TransformersEngine) and engine._policy is not engine._source
    fresh = TransformersEngine(other, stop_ids=[STOP], precision="bf16" if bf16 else "fp32")
    assert tokens(engine, greedy) == tokens(fresh, greedy)


@every_model
def test_weights_that_do_not_fit_are_refused_and_nothing_changes(engine: Engine) -> None:
    before, state = tokens(engine, asked(3)), tiny(seed=1).state_dict()
    first, *_ = state
    wrong = [
        ({**state, "extra": torch.zeros(1)}, "'extra', unknown here"),
        ({name: x for name, x in state.items() if name != first}, f"comes without '{first}'"),
        ({**state, first: torch.zeros(3)}, r"shape \(3,\), not"),
    ]
    for given, message in wrong:
        with pytest.raises(ValueError, match=message):
            engine.load(Weights(1, tensors=given.items))
    assert tokens(engine, asked(3)) == before


@every
def test_a_future_can_be_cancelled_and_the_others_are_answered(engine: Engine) -> None:
    requests = asked(5, limit=200)
    futures = engine.submit(requests)
    for future in futures[1::2]:
        future.cancel()
    wait(futures, WAIT)
    for request, future in zip(requests, futures, strict=True):
        alone = tokens(engine, [replace(request, limit=8)])[0]  # longer ones may differ in bf16
        assert future.cancelled() or future.result(0).tokens[:8] == alone
    assert not any(future.cancelled() for future in futures[::2])


@every
def test_what_is_released_is_answered_as_before(engine: Engine) -> None:
    requests = asked(3)
    engine.release([0, 99])
    before = tokens(engine, requests)
    engine.release(range(3))
    engine.release(range(3))
    assert tokens(engine, requests) == before


@every
def test_a_closed_engine_owes_nothing_and_has_no_thread(engine: Engine) -> None:
    before = set(threading.enumerate())
    answers(engine, asked(1))
    owed = engine.submit(asked(3, limit=400))
    engine.close()
    engine.close()
    for future in owed:
        assert future.done()
        assert future.exception() is None or isinstance(future.exception(), EngineDied)
    with pytest.raises(EngineDied, match="close"):
        engine.submit(asked(1))
    with pytest.raises(EngineDied, match="close"):
        engine.load(Weights(1))
    engine.release([0])
    assert set(threading.enumerate()) <= before


@every
def test_a_closed_engine_that_was_never_asked_has_begun_nothing(engine: Engine) -> None:
    before = threading.active_count()
    engine.close()
    assert threading.active_count() <= before


@every
def test_a_death_comes_out_of_every_owed_future_and_of_all_that_is_asked_later(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks() -> list[tuple[int, Completion]]:
        raise MemoryError("no room for keys and values")

    inner = getattr(engine, "_inner", engine)
    assert isinstance(inner, ThreadedEngine)
    monkeypatch.setattr(inner, "step", breaks)
    for future in engine.submit(asked(4)):
        death = future.exception(WAIT)
        assert isinstance(death, EngineDied)
        assert "no room for keys and values" in str(death)
    with pytest.raises(EngineDied, match="no room for keys"):
        answers(engine, asked(1))
    with pytest.raises(EngineDied, match="no room for keys"):
        engine.load(Weights(1))
