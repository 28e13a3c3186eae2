"""An engine that dies is replaced, speaks with the weights that were loaded, and owes nothing more."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest
import torch

from peripatos.agents.language.engines.restarting import TRIES, RestartingEngine
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.protocols import Completion, EngineDied, PolicyNotFinite, Request, Weights

STOP, WAIT = 2, 120.0


class Frail(TransformersEngine):
    """Breaks at its so-manieth step."""

    lasts = 5
    of: type[BaseException] = MemoryError

    def step(self) -> list[tuple[int, Completion]]:
        self.lasts -= 1
        if self.lasts < 0:
            raise self.of("no room for keys and values")
        return super().step()


class Makes:
    """Engines that last the next of `lives` steps; the number of those that were made."""

    def __init__(self, *lives: int, of: type[BaseException] = MemoryError) -> None:
        torch.set_num_threads(1)
        self.policy = LanguagePolicy(*tiny_llama(seed=0, hidden=32, layers=2))
        self._lives, self._of, self.made = iter(lives), of, 0

    def __call__(self) -> Frail:
        engine = Frail(self.policy, stop_ids=[STOP])
        engine.lasts, engine.of = next(self._lives), self._of
        self.made += 1
        return engine


@pytest.fixture(autouse=True)
def _leaves_no_thread() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(WAIT)  # it may have said its last word, and be about to end
    assert set(threading.enumerate()) <= before


def asked(n: int = 6) -> list[Request]:
    return [Request(k, tuple(range(8, 12 + 3 * k)), 12, seed=1000 + k, greedy=False) for k in range(n)]


def answers(engine: TransformersEngine | RestartingEngine) -> list[Completion]:
    return [future.result(WAIT) for future in engine.submit(asked())]


def test_one_that_dies_mid_reply_is_replaced_and_every_reply_is_as_it_would_have_been() -> None:
    whole, said = Makes(10_000)(), []
    want = answers(whole)
    whole.close()
    makes = Makes(5, 7, 10_000)
    engine = RestartingEngine(makes, said.append)
    engine.load(Weights(4))
    got = answers(engine)
    engine.close()
    assert [answer.tokens for answer in got] == [answer.tokens for answer in want]
    assert {answer.version for answer in got} == {4}
    assert makes.made == 3
    assert said == ["an engine has died, and another is made: MemoryError: no room for keys and values"] * 2


def test_one_that_dies_again_and_again_without_a_reply_is_dead_for_good() -> None:
    makes = Makes(*itertools.repeat(3, TRIES))
    engine = RestartingEngine(makes, lambda words: None)
    deaths = [future.exception(WAIT) for future in engine.submit(asked())]
    assert all(isinstance(death, EngineDied) and "no room for keys" in str(death) for death in deaths)
    assert makes.made == TRIES
    with pytest.raises(EngineDied, match="no room for keys"):
        engine.submit(asked())
    with pytest.raises(EngineDied, match="no room for keys"):
        engine.load(Weights(1))
    engine.close()


def test_a_policy_that_is_not_finite_is_no_fault_of_the_engine() -> None:
    makes = Makes(3, of=PolicyNotFinite)
    engine = RestartingEngine(makes, lambda words: None)
    death = engine.submit(asked())[0].exception(WAIT)
    assert isinstance(death, EngineDied)
    assert isinstance(death.__cause__, PolicyNotFinite)
    engine.close()
    assert makes.made == 1


def test_it_can_be_closed_while_another_is_made_and_what_is_cancelled_stays_so() -> None:
    ready, go = threading.Event(), threading.Event()
    makes = Makes(3, 10_000)

    def slowly() -> Frail:
        if makes.made:
            ready.set()
            go.wait(WAIT)
        return makes()

    engine = RestartingEngine(slowly, lambda words: None)
    futures = engine.submit(asked())
    assert ready.wait(WAIT)
    assert futures[0].cancel()
    later = threading.Timer(0.1, go.set)
    later.start()
    engine.close()
    later.join()
    assert futures[0].cancelled()
    assert all(isinstance(future.exception(WAIT), EngineDied) for future in futures[1:])
    with pytest.raises(EngineDied, match="close"):
        engine.submit(asked())


def test_a_prompt_without_room_for_a_reply_is_refused_as_before() -> None:
    makes = Makes(10_000)
    engine = RestartingEngine(makes, lambda words: None)
    with pytest.raises(ValueError, match="leaves no room"):
        engine.submit([Request(0, tuple([5] * 600), 4, seed=0, greedy=True)])
    engine.close()
