"""Peripatos: one gymnasium for thinkers and walkers.

    run = peripatos.run("cartpole-ppo")          a scenario by name, path or mapping, to its end
    run = peripatos.load_run("runs/cartpole-0")  what a run has left: summary, metrics, evaluations, episodes, agent
    peripatos.compare("cartpole-ppo", ["ppo", "grpo"], seeds=5)["conclusions"]     methods against methods

Worlds (`peripatos.envs`) give states and rewards, agents (`peripatos.agents`) act in them, algorithms
(`peripatos.algorithms`) turn what happened into weights on log-likelihoods, and scenarios (`peripatos.scenarios`) say
what to run. Imports go one way: scenarios → algorithms → agents → envs.

Nothing heavy is imported here; import the sub-package that you need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scenarios.entrance import compare, load_run, run

__version__ = "0.2.0.dev0"
__all__ = ["compare", "load_run", "run"]


def __getattr__(name: str) -> Any:
    """The entrance, which is imported when it is first used."""
    if name in __all__:
        return getattr(import_module(".scenarios.entrance", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__dir__())}")


def __dir__() -> list[str]:
    return [*__all__, "__version__", "agents", "algorithms", "envs", "scenarios"]
