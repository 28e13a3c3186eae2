"""Which settings a sweep tries: a scrambled Sobol sequence over the ranges, from optuna.

All are known before the first has been run. So they depend on the seed alone and never on which run ends first, more
trials go on from fewer, and methods with equal ranges are tried at equal points. A sampler that learns from the trials
was left out: it needs more of them than a fair budget has, and a method whose runs are lucky would be searched better.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import JsonValue

from ...envs.errors import UserError
from ...envs.seeding import derive_seed
from .search_space import Range

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def check_library() -> None:
    """UserError, with the line that installs it, where optuna is not there."""
    if find_spec("optuna") is None:
        raise UserError("peripatos sweep needs a package: pip install 'peripatos[sweep]'")


def draw(space: Mapping[str, Range], trials: int, seed: int) -> list[dict[str, JsonValue]]:
    """The settings of each trial, by key, no two of them equal: `trials` are `different` at most. UserError as
    `check_library`."""
    check_library()
    import optuna

    spoken = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.QMCSampler(scramble=True, seed=derive_seed(seed, "sweep"))
        study = optuna.create_study(sampler=sampler)
        distributions = {key: _distribution(one) for key, one in space.items()}
        study.ask(distributions)  # the sequence begins behind the first, which tells it how many keys there are
        drawn: list[dict[str, float]] = []
        while len(drawn) < trials:
            params = study.ask(distributions).params
            if params not in drawn:  # of a few choices the same come again
                drawn.append(params)
    finally:
        optuna.logging.set_verbosity(spoken)
    return [{key: _value(space[key], params[key]) for key in space} for params in drawn]


def different(space: Mapping[str, Range]) -> float:
    """How many different settings there are; infinite where a number is drawn from between two bounds."""
    return math.prod(len(one.values) if one.kind == "choice" else math.inf for one in space.values())


def _distribution(one: Range) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if one.kind == "choice":  # by number, for a choice may be between lists and mappings
        return CategoricalDistribution(range(len(one.values)))
    return FloatDistribution(*one.bounds, log=one.kind == "log")


def _value(one: Range, drawn: float) -> JsonValue:
    return one.values[int(drawn)] if one.kind == "choice" else float(drawn)
