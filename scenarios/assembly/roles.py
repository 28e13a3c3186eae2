"""Which models a stage's method reads beside the agent, and what may play each role."""

from __future__ import annotations

from pathlib import Path

from ...algorithms.method_row import Method
from ...algorithms.methods import METHODS
from ...envs.errors import WrongKey, nearest
from ..config.roles import Context, ModelSpec
from ..config.schema import Scenario, Stage
from .settings import stage_method

CRITIC = "critic"  # the role that learns
_ACTS = ("reference", "teacher")  # roles of who might have acted


def role(stage: Stage, row: Method, name: str) -> ModelSpec | None:
    """Who plays the role `name` in a stage: what is written, or what the method has where nothing is; None where it
    reads no such role."""
    given = None if stage.models is None else getattr(stage.models, name)
    default = row.roles.get(name)
    return given or (ModelSpec(self=default) if default is not None else None)


def check_roles(scenario: Scenario, stage: Stage, row: Method) -> None:
    """WrongKey for a role that nobody reads or plays, and for the agent itself in a context that the role has not."""
    where, given = f"stage {stage.name!r} ({row.name})", stage.models.played() if stage.models else {}
    for name, spec in given.items():
        if name == CRITIC and row.needs_critic:
            _check_critic(scenario, where, spec)
            continue
        if name not in row.roles:
            raise WrongKey(("models", name), f"{where}: models.{name} is read by nobody: {_why_unread(name)}")
        if spec.self is not None and spec.self not in (own := _contexts(scenario, row, name)):
            fits = f"allowed is {' or '.join(own.values())}, or another model" if own else "it needs another model"
            bare = ", without agent.lora" if spec.self == "base" and name in _ACTS else ""
            raise WrongKey(("models", name, "self"), f"{where}: models.{name}.self is {spec.self!r}{bare}; {fits}")
        if spec.model is not None and not scenario.speaks:
            raise WrongKey(("models", name, "model"), f"{where}: models.{name} {_no_body(scenario, spec.model)}")
    for name, own in row.roles.items():
        if own is None and name not in given:
            raise WrongKey((), f"{where} needs a {name}; write such as models: {{{name}: runs/NAME-0}}")


def has_own_critic(stage: Stage) -> bool:
    """Whether a model of its own says what states are worth, and no head of the agent."""
    return stage.models is not None and stage.models.critic is not None


def _check_critic(scenario: Scenario, where: str, spec: ModelSpec) -> None:
    """WrongKey for a critic that would have to say values while somebody acts, or that has none to say."""
    fits = "a run of a model with a head (reward_model, or a method with a critic), or {self: start}"
    if not scenario.speaks:
        why = "is for agents that speak: one in a body acts with its own critic"
        raise WrongKey(("models", CRITIC), f"{where}: models.{CRITIC} {why}; leave it out")
    if spec.model is not None:
        raise WrongKey(("models", CRITIC), f"{where}: models.{CRITIC} is {spec.model!r}, which is no run; it is {fits}")
    if spec.self not in (None, "start"):
        raise WrongKey(("models", CRITIC, "self"), f"{where}: models.{CRITIC}.self is {spec.self!r}; it is {fits}")


def _contexts(scenario: Scenario, row: Method, name: str) -> dict[Context, str]:
    """In which contexts the agent itself may play a role, as they are written."""
    own = row.roles[name]
    found: list[Context] = [] if own is None else [own]
    if name in _ACTS and getattr(scenario.agent, "lora", None) is not None:
        found.append("base")
    return {context: f"{{self: {context}}}" for context in found}


def shows_demonstrations(scenario: Scenario, stage: Stage) -> bool:
    """Whether somebody reads what the agent does after having been shown what the world's oracle does."""
    if stage.method is None:
        return False
    rows = [stage_method(stage, world) for world in (None, *scenario.worlds)]
    return any(row.roles.get("teacher") == "demonstration" for row in rows)


def _no_body(scenario: Scenario, model: str) -> str:
    """The rest of a sentence: who plays the role is no run, and the agent moves."""
    runs = [str(other.parent) for other in Path(model).expanduser().parent.glob("*/scenario.yaml")]
    moves = f"an agent of kind {scenario.agent.kind!r} moves"
    if model.startswith("package:") or Path(model).exists():
        return f"is a language model, and {moves}; name a run of such an agent"
    return f"is {model!r}: there is no such run, and {moves}, which no language model does.{nearest(model, runs)}"


def _why_unread(name: str) -> str:
    """The rest of a sentence: who would read the role."""
    if name == "reference":
        return (
            "only a KL penalty or a loss of pairs has a reference; give overrides: {weighting: {kl: k3, beta: 0.01}}, "
            "or leave it out"
        )
    if name == "reward":
        return (
            "rewards.model, how much its score counts, is null; give overrides: {rewards: {model: 1}}, or leave it out"
        )
    readers = [row.name for row in METHODS.values() if name in row.roles or (name == CRITIC and row.needs_critic)]
    return f"methods with a {name} are {', '.join(readers)}" if readers else "no method has one; leave it out"
