"""Every key that a scenario can have, and where it belongs: for one that stands at the wrong depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ...envs.errors import nearest
from ...envs.wrong_values import Slot, is_nothing
from .schema import Scenario

Place = tuple[str | int, ...]
NAME, VOICE = "NAME", "VOICE"  # of a stage, of a voice
FIRST = {  # the key of a mapping that a plain value in its place will have meant
    "world": "id",
    "agent": "kind",
    "budget": "updates",
    "collect": "groups",
    "curriculum": "uniform",
    "evaluation": "every",
    "checkpoint": "every",
    "sampling": "max_tokens",
    "memory": "kind",
    "failures": "max_share",
    "log": "episodes",
}
NONE_OF_IT = {"log": "{episodes: 0}", "evaluation": "{every: null}", "failures": "{max_share: 1}", "worlds": "[]"}
EXAMPLES = {
    "name": "my-run",
    "id": "CartPole-v1",
    "device": "cpu",
    "engine": "vllm",
    "world": "{id: CartPole-v1}",
    "agent": "{kind: mlp}",
    "kind": "mlp",
    "groups": "8",
    "collect": "{groups: 8, group_size: 8}",
    "curriculum": "{uniform: 0.1}",
    "gate": "[0.1, 0.9]",
    "budget": "{updates: 100}",
    "optimizer": "{lr: 1e-3}",
    "overrides": "{credit: {gamma: 0.99}}",
    "options": "{digits: 2}",
    "demonstrations": "{agent: {kind: oracle}}",
    "models": "{teacher: runs/NAME-0}",
    "teacher": "runs/NAME-0",
    "reward": "runs/NAME-0",
    "reference": "{self: start}",
    "critic": "{self: start}",
    "stop": "{success_rate: 0.95}",
    "rollout": "{workers: 4}",
    "evaluation": "{every: 10, episodes: 100}",
    "sampling": "{max_tokens: 32}",
    "scores": "{random: 0, reference: 1}",
    "variants": "{grpo: {stages.NAME.collect: {groups: 8, group_size: 8}}}",
    "function": "my_module:my_function",
    "model": "./my-model",
    "chats": "chats.jsonl",
    "pairs": "pairs.jsonl",
    "text": "corpus.txt",
}


def keys_allowed(loc: Sequence[str | int]) -> list[str]:
    """The keys of the mapping at pydantic's location `loc`."""
    return sorted({name for model in _models_at(loc) for name in model.model_fields if name != "origin"})


def kinds_at(loc: Sequence[str | int]) -> list[str]:
    """The values of `kind` between which the mapping at `loc` may choose."""
    return [kind for model in _models_at(loc) if (kind := kind_of(model)) is not None]


def example_of(loc: Sequence[str | int], value: object = None) -> str:
    """The rest of a sentence: what to write at `loc`, where nothing or the plain `value` stands."""
    key = str(loc[-1]) if loc else ""
    first = FIRST.get(key)
    if is_nothing(value) and value != "" and key in NONE_OF_IT:
        return f", or write {key}: {NONE_OF_IT[key]}"
    if first is not None and _fits(loc, {first: value}):
        return f"; its keys are {', '.join(keys_allowed(loc))}: {key}: {{{first}: {value}}}?"
    if key == "agent" and "demonstrations" in loc:
        return "; write such as agent: {kind: oracle}"
    if key in EXAMPLES and not (is_nothing(value) and slot_at(loc).optional):
        return f"; write such as {key}: {EXAMPLES[key]}"
    return ""


def slot_at(loc: Sequence[str | int]) -> Slot:
    """What may stand at pydantic's location `loc` besides a value."""
    slots = [Slot.of(model, str(loc[-1])) for model in _models_at(loc[:-1])] if loc else []
    return Slot(any(slot.nullable for slot in slots), any(slot.optional for slot in slots))


def of_another_kind(loc: Sequence[str | int]) -> str:
    """The rest of a sentence about an unknown key: which other kinds of its mapping have it. Empty where none has."""
    name, here = str(loc[-1]), loc[:-1]
    if not here or name == "kind":
        return ""
    others = [model for model in _models_at(here[:-1]) if name in model.model_fields and kind_of(model) != here[-1]]
    kinds = [str(kind_of(model)) for model in others if kind_of(model) is not None]
    mine = kind_of(next(iter(_models_at(here)), Scenario))
    return f" {name!r} is for kind: {' or '.join(kinds)}, and this one is {mine}." if kinds and mine else ""


def _fits(loc: Sequence[str | int], given: Mapping[str, object]) -> bool:
    """Whether a mapping could stand at `loc`."""
    for model in _models_at(loc):
        with suppress(ValidationError):
            model.model_validate(given)
            return True
    return False


def _models_at(loc: Sequence[str | int]) -> list[type[BaseModel]]:
    """The models that the mapping at `loc` may be; tags of unions choose among their members."""
    here: list[type[BaseModel]] = [Scenario]
    for part in loc:
        if isinstance(part, int):
            continue
        tagged = [model for model in here if kind_of(model) == part]
        if tagged:
            here = tagged
        elif any(part in model.model_fields for model in here):
            here = [
                m
                for model in here
                if part in model.model_fields
                for m in models_in(model.model_fields[part].annotation)
            ]
    return here


def kind_of(model: type[BaseModel]) -> str | None:
    """The value of `kind` by which a model is chosen among others."""
    field = model.model_fields.get("kind")
    return get_args(field.annotation)[0] if field else None


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that stands anywhere in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def belongs(key: str, path: Place, data: Mapping[str, Any]) -> str:
    """The rest of a sentence that says where an unknown `key` at `path` would be known; empty where nobody knows it.

    A name that is only like a known one is taken for it where it is very like.
    """
    everywhere = _places_of_keys()
    here = ".".join(map(str, path))
    found = [place for place in everywhere.get(key, []) if place != here]
    if not found and key in _stages(data):
        return f" {key!r} is a stage: stages.{key}."
    if not found and path[:-1] == ("world",):
        return f" What the world's constructor takes stands in its options: world.options.{key}."
    if not found and key in _options(data):
        return f" {key!r} belongs at world.options.{key}."
    if not found:
        like = nearest(key, everywhere, least=0.8)
        found = everywhere.get(like.split("'")[1]) if like else None
    if not found:
        return ""
    stage = _stage_around(path, data)
    spelled = sorted(dict.fromkeys(place.replace(NAME, stage) for place in found), key=lambda place: VOICE in place)
    spelled = [place for place in spelled if place != here]
    if path[:-1] == ("world",) and key in everywhere:  # or its constructor takes what elsewhere has this name
        spelled.insert(0, f"world.options.{key}")
    if not spelled:
        return ""
    return f" {key!r} belongs at {' or '.join(spelled[:3])}." if key in everywhere else f" Did you mean {spelled[0]!r}?"


def _options(data: Mapping[str, Any]) -> Mapping[str, Any]:
    world = data.get("world")
    options = world.get("options") if isinstance(world, Mapping) else None
    return options if isinstance(options, Mapping) else {}


def _stages(data: Mapping[str, Any]) -> list[str]:
    stages = data.get("stages")
    names = [stage.get("name") for stage in stages if isinstance(stage, Mapping)] if isinstance(stages, list) else []
    return [name for name in names if isinstance(name, str)]


def _stage_around(path: Place, data: Mapping[str, Any]) -> str:
    """The name of the stage in which `path` is, or of the only one."""
    stages = data.get("stages")
    if not isinstance(stages, list):
        return NAME
    index = path[1] if len(path) > 1 and path[0] == "stages" else 0 if len(stages) == 1 else None
    stage = stages[index] if isinstance(index, int) and index < len(stages) else None
    return str(stage.get("name", NAME)) if isinstance(stage, Mapping) else NAME


def _places_of_keys() -> dict[str, list[str]]:
    """Dotted places by their last key, as `--set` spells them."""
    from ...algorithms.methods import METHODS
    from ...algorithms.optimizer import OptimizerSettings

    places: dict[str, list[str]] = {}
    named = {"stages": NAME, "voices": VOICE}

    def walk(model: type[BaseModel], where: str) -> None:
        for name, field in model.model_fields.items():
            if name in ("origin", "worlds", "variants"):
                continue
            dotted = f"{where}{name}"
            places.setdefault(name, []).append(dotted)
            inside = f"{dotted}.{named[name]}." if name in named else f"{dotted}."
            for other in models_in(field.annotation):
                walk(other, inside)

    walk(Scenario, "")
    for field in fields(OptimizerSettings):
        places.setdefault(field.name, []).append(f"stages.{NAME}.optimizer.{field.name}")
    row = next(iter(METHODS.values()))
    for column in ("rewards", "credit", "preference", "weighting", "update"):
        places.setdefault(column, []).append(f"stages.{NAME}.overrides.{column}")
        for field in fields(getattr(row, column)):
            places.setdefault(field.name, []).append(f"stages.{NAME}.overrides.{column}.{field.name}")
    return places
