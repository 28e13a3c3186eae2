"""The pool that a scenario asks for. Only the one of `cluster` needs Ray, and only it is asked to import it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec

from ...agents.protocols import Policy
from ...envs.errors import UserError
from ..assembly.worlds import WorldSources
from ..config.schema import Scenario
from .pool import LocalPool, Pool


def check_cluster(scenario: Scenario) -> None:
    """UserError where a cluster is asked for and Ray is not installed, or is in use here."""
    if scenario.cluster is None:
        return
    if find_spec("ray") is None:
        raise UserError("a cluster needs a package: pip install 'peripatos[ray]'")
    there = sys.modules.get("ray")
    if there is not None and there.is_initialized():
        raise UserError(
            "this process is connected to a Ray already, and a run starts one of its own; call ray.shutdown() before, "
            "or run in another process"
        )


def make_pool(scenario: Scenario, policy: Policy | None, sources: WorldSources, say: Callable[[str], None]) -> Pool:
    """Who lets `policy` act in a run of `scenario`, in worlds of `sources` where they are in this process.

    `say` is told what happens to workers. UserError as `check_cluster`.
    """
    if scenario.cluster is None or policy is None:
        return LocalPool(scenario, policy, sources)
    check_cluster(scenario)
    from .ray_pool import RayPool

    return RayPool(scenario, policy, sources, say)
