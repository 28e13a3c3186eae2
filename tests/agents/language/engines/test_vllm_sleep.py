"""When vLLM gives a GPU's memory to the learner, and takes it again: order and signatures on a CPU, memory on a GPU."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from vllm_parts import STOP, answers, asked, gap, learn, policy

from peripatos.agents.language.engines import vllm_library
from peripatos.agents.language.engines.vllm_engine import VllmEngine
from peripatos.agents.protocols import Weights
from peripatos.envs.errors import UserError


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_on_a_cpu_sleep_is_refused_in_one_sentence(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import peripatos

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = {"engine.vllm.sleep": True, "device": device}
    with pytest.raises(UserError, match=r"engine\.vllm\.sleep gives back a GPU's memory, and this run is on the cpu"):
        peripatos.run("quickstart", settings, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_sleep_beside_what_it_has_no_effect_on_is_refused(tmp_path: Path) -> None:
    import peripatos

    with pytest.raises(UserError, match=r"engine\.vllm\.sleep has no effect on a server"):
        peripatos.run("quickstart", {"engine.vllm": {"url": "http://127.0.0.1:1", "sleep": True}}, out=tmp_path / "run")
    late = {"engine.vllm.sleep": True, "stages.1.collect.staleness": 1}
    with pytest.raises(UserError, match=r"engine\.vllm\.sleep frees .* with collect\.staleness: 1 in stage"):
        peripatos.run("quickstart", late, out=tmp_path / "run")


@pytest.mark.vllm
def test_vllm_has_what_is_called_of_it() -> None:
    from vllm import EngineArgs, LLMEngine
    from vllm.device_allocator.cumem import CuMemAllocator
    from vllm.v1.engine.core import EngineCore

    assert {field.name: field.default for field in fields(EngineArgs)}["enable_sleep_mode"] is False
    inspect.signature(LLMEngine.sleep).bind(None, level=vllm_library.SLEEP)
    assert f"Level {vllm_library.SLEEP}: Offload model weights to CPU, discard KV cache" in str(
        EngineCore.sleep.__doc__
    )
    inspect.signature(LLMEngine.wake_up).bind(None)
    inspect.signature(CuMemAllocator.release_pools).bind(None)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a real vLLM is told, in order. On a CPU it sleeps at its level 0: it answers nothing until it is woken, and
    keeps its memory."""
    import vllm

    said: list[str] = []
    made = vllm.EngineArgs

    def without_memory(*, enable_sleep_mode: bool, **arguments: Any) -> vllm.EngineArgs:
        said.append(f"made to sleep: {enable_sleep_mode}")
        return made(**arguments)

    class Noted(vllm.LLMEngine):
        def sleep(self, level: int = 1, mode: Any = "abort") -> None:
            said.append(f"sleep {level}")
            super().sleep(0, mode)
            assert self.is_sleeping()

        def wake_up(self, tags: list[str] | None = None) -> bool:
            said.append("wake")
            return super().wake_up(tags)

        def collective_rpc(self, method: Any, *rest: Any, **named: Any) -> Any:
            assert not self.is_sleeping(), f"{method} of one that sleeps"
            said.append(method)
            return super().collective_rpc(method, *rest, **named)

    monkeypatch.setattr(vllm, "EngineArgs", without_memory)
    monkeypatch.setattr(vllm, "LLMEngine", Noted)
    return said


GIVEN = ["start_weight_update", "update_weights", "finish_weight_update"]


@pytest.mark.vllm
def test_it_sleeps_while_nobody_talks_and_is_awake_for_whoever_asks_or_loads(told: list[str]) -> None:
    mine = policy()
    engine = VllmEngine(mine, stop_ids=[STOP], memory=0.1, sleeps=True)
    engine.load(Weights(0))
    assert told == ["made to sleep: True", *GIVEN]
    told.clear()
    first = answers(engine, asked())
    engine.release([3])
    assert told == []  # the others may ask again
    engine.release(range(8))
    assert told == ["sleep 1"]
    engine.release([99])
    assert told == ["sleep 1"]
    assert answers(engine, asked()) == first
    engine.release(range(8))
    assert told == ["sleep 1", "wake", "sleep 1"]
    learn(mine)
    engine.load(Weights(1))
    assert told[3:] == ["wake", *GIVEN]
    assert float(gap(mine, engine).max()) <= 1e-3
    engine.release(range(8))
    told.clear()
    engine._vllm._sleeps = False  # there is no pool of a GPU's memory to be emptied
    engine.close()
    assert told == ["wake"]
    engine.release([1])  # harmless


@pytest.mark.vllm
def test_a_death_in_its_sleep_is_heard_by_whoever_asks_next(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from peripatos.agents.language.engines.restarting import RestartingEngine

    mine, said = policy(), []
    engine = RestartingEngine(lambda: VllmEngine(mine, stop_ids=[STOP], memory=0.1, sleeps=True), said.append)
    engine.load(Weights(0))
    before = answers(engine, asked())

    def dies(self: vllm_library.Vllm) -> None:
        self._sleeps = False  # as above
        raise RuntimeError("no room to sleep")

    monkeypatch.setattr(vllm_library.Vllm, "sleep", dies)
    engine.release(range(8))
    assert answers(engine, asked()) == before
    assert said == ["an engine has died, and another is made: RuntimeError: no room to sleep"]
    engine._engine._vllm._sleeps = False
    engine.close()


@pytest.mark.gpu
@pytest.mark.vllm
def test_the_memory_of_a_gpu_is_free_while_it_sleeps_and_a_second_engine_has_room() -> None:
    """Never tried: nobody has had vLLM and a GPU in one place."""
    pytest.importorskip("vllm", reason="vLLM's build for a GPU is not here")
    mine = policy().to("cuda")
    for _ in range(2):
        engine = VllmEngine(mine, stop_ids=[STOP], memory=1.0, sleeps=True)
        engine.load(Weights(0))
        before = answers(engine, asked())
        awake, _ = torch.cuda.mem_get_info()
        engine.release(range(8))
        asleep, _ = torch.cuda.mem_get_info()
        assert asleep - awake >= 1 << 30
        again = [replace(request, conversation=9) for request in asked()]
        assert answers(engine, again) == before
        engine.close()
