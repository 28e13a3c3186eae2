"""What a stage says of its method, its optimiser and its device, checked."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields

from pydantic import TypeAdapter, ValidationError

from ...algorithms.methods import Method, method
from ...algorithms.optimizer import OptimizerSettings
from ...envs.errors import UserError, unknown
from ..config.schema import (
    Stage,
)


def choose_device(wanted: str) -> str:
    """CUDA where it is and "auto" was asked for, else the CPU. UserError for a device that is not there."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = wanted.partition(":")[0]
    if not re.fullmatch(r"cpu|cuda(:\d+)?", wanted):
        raise UserError(unknown("device", wanted, ("auto", "cpu", "cuda", "cuda:0")))
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device {wanted!r} was asked for, but torch sees no CUDA device; use auto or cpu")
    if kind == "cuda" and int(wanted.partition(":")[2] or 0) >= torch.cuda.device_count():
        raise UserError(f"device {wanted!r} was asked for, but torch sees {torch.cuda.device_count()} CUDA device(s)")
    return wanted


def stage_method(stage: Stage) -> Method:
    """The stage's row of the table of methods, with its overrides."""
    assert stage.method is not None, "asked only of stages that learn"
    try:
        return method(stage.method, stage.overrides)
    except UserError as problem:
        raise UserError(f"stage {stage.name!r}: {problem}") from problem


def optimizer_settings(stage: Stage) -> OptimizerSettings:
    """The stage's settings of the optimiser."""
    known = {field.name: field for field in fields(OptimizerSettings)}
    for name in stage.optimizer:
        if name not in known:
            raise UserError(f"stage {stage.name!r}, optimizer: {unknown('key', name, known)}")
    if "target_kl" in stage.optimizer and stage.optimizer.get("schedule") != "adaptive_kl":
        raise UserError(f"stage {stage.name!r}: only schedule: adaptive_kl reads optimizer.target_kl")
    values = {name: field.default for name, field in known.items() if field.default is not MISSING}
    try:
        return TypeAdapter(OptimizerSettings).validate_python({**values, **stage.optimizer})
    except ValidationError as problem:
        first = problem.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"stage {stage.name!r}, optimizer.{key} is {first['input']!r}: {first['msg']}") from problem
