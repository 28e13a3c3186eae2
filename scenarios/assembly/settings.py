"""What a stage says of its method, its optimiser and its device, checked."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from ...algorithms.methods import Method, method
from ...algorithms.optimizer import OptimizerSettings
from ...envs.errors import UserError, WrongKey, nearest, unknown
from ...envs.wrong_values import Slot, wrong_value
from ..config.agents import Agent, MlpAgentSpec
from ..config.schema import Scenario, SharedWorld, Stage

if TYPE_CHECKING:
    import torch

_ELSEWHERE = {  # what other trainers call a setting of ours
    "learning_rate": "lr",
    "grad_clip": "max_grad_norm",
    "gradient_clipping": "max_grad_norm",
    "clip_grad_norm": "max_grad_norm",
    "lr_scheduler": "schedule",
    "lr_schedule": "schedule",
    "scheduler": "schedule",
    "warmup_steps": "warmup",
    "wd": "weight_decay",
    "epsilon": "eps",
    "batch_size": "micro_batch",
    "micro_batch_size": "micro_batch",
}
_SLOW = 4.0  # times slower than fp32, from which a user is told
_NARROW = 256  # units in the widest layer that a CPU learns faster: from 512 an H200 did, see benchmarks/README.md


def choose_device(wanted: str, agent: Agent) -> str:
    """The device `wanted`. "auto" is CUDA where it is, but for a small control policy, whose steps are over before a
    GPU has begun with them. UserError for a device that is not there.
    """
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() and not _is_small(agent) else "cpu"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["auto", "cpu", *(["cuda"] * bool(count)), *(f"cuda:{number}" for number in range(count))]
    if wanted in there:
        return wanted
    sees = "" if count else "; torch sees no CUDA device here, so that cuda and cuda:N are not allowed"
    if count and re.match(r"(?i)gpu|cuda|nvidia", wanted):
        hint = " Did you mean 'cuda'?"
    else:
        hint = nearest(wanted, ["auto", "cpu"], least=0.7)
    raise UserError(f"unknown device {wanted!r}; allowed: {', '.join(there)}{sees}.{hint}")


def explain_device(wanted: str, agent: Agent) -> str:
    """Why a GPU that is there is left alone, to be said behind the device's name; empty where it is not."""
    import torch

    left_alone = wanted == "auto" and torch.cuda.is_available() and _is_small(agent)
    return " (auto: a network this small is faster there)" if left_alone else ""


def explain_precision(precision: str, device: str) -> str | None:
    """What to do where bf16, which should be faster than fp32, is much slower: a CPU that has no instructions for it
    multiplies number by number. None where it is not."""
    if precision != "bf16" or device != "cpu":
        return None
    import torch

    times = _product_seconds(torch.bfloat16) / _product_seconds(torch.float32)
    if times < _SLOW:
        return None
    return (
        f"precision: bf16: this CPU has no instructions for it, and multiplies {times:.0f} times slower than in fp32; "
        "try --set precision=fp32"
    )


def _product_seconds(dtype: torch.dtype, *, width: int = 512, rows: int = 64, tries: int = 5) -> float:
    """The best time of x Wᵀ, as a layer has it."""
    import torch

    x, w = torch.ones(rows, width, dtype=dtype), torch.ones(width, width, dtype=dtype)
    best = float("inf")
    for _ in range(tries):
        began = time.perf_counter()
        torch.matmul(x, w.T)
        best = min(best, time.perf_counter() - began)
    return best


def _is_small(agent: Agent) -> bool:
    """Whether the agent is a control policy that is faster on the CPU: one observation at a time, narrow layers."""
    if not isinstance(agent, MlpAgentSpec):
        return False
    return max([*agent.hidden, agent.memory.size if agent.memory else 0]) <= _NARROW


def stage_method(stage: Stage, world: SharedWorld | None = None) -> Method:
    """The stage's row of the table of methods, with its overrides, and with those of one of several worlds."""
    assert stage.method is not None, "asked only of stages that learn"
    own = {} if world is None else world.overrides.get(stage.name, {})
    columns = {name: {**_mapping(stage.overrides.get(name)), **own[name]} for name in own}
    try:
        return method(stage.method, {**stage.overrides, **columns})
    except UserError as problem:
        path = problem.path if isinstance(problem, WrongKey) else ()
        raise WrongKey(path, f"stage {stage.name!r}: {problem}") from problem


def learns_from_shown(stage: Stage) -> bool:
    """Whether demonstrations are all that a stage learns from, and not imitated beside what the agent does itself."""
    return stage.demonstrations is not None and stage.method is not None and stage_method(stage).source != "own"


def judging_stage(scenario: Scenario) -> Stage | None:
    """The last stage, where it makes a reward model of the agent."""
    last = scenario.stages[-1]
    return last if last.method and stage_method(last).judges else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def optimizer_settings(stage: Stage) -> OptimizerSettings:
    """The stage's settings of the optimiser."""
    known = {field.name: field for field in fields(OptimizerSettings)}
    where = f"stage {stage.name!r}, optimizer"
    for name in stage.optimizer:
        if name not in known:
            raise WrongKey((name,), f"{where}: {_unknown_setting(name, known)}")
    if "target_kl" in stage.optimizer and stage.optimizer.get("schedule") != "adaptive_kl":
        raise WrongKey(("target_kl",), f"stage {stage.name!r}: only schedule: adaptive_kl reads optimizer.target_kl")
    values = {name: field.default for name, field in known.items() if field.default is not MISSING}
    try:
        return TypeAdapter(OptimizerSettings).validate_python({**values, **stage.optimizer})
    except ValidationError as problem:
        first = problem.errors()[0]
        name = str(first["loc"][0])
        raise WrongKey((name,), f"{where}.{name} {wrong_value(first, Slot.of(OptimizerSettings, name))}") from problem


def _unknown_setting(name: str, known: Collection[str]) -> str:
    """An unknown key of the optimiser, and what others call a setting of ours."""
    meant = _ELSEWHERE.get(name)
    text = unknown("key", name, known)
    return f"{text} Did you mean {meant!r}?" if meant in known and "Did you mean" not in text else text
