"""A comparison as a file: methods, seeds, and scenarios with what is overridden in each.

    name: mine
    methods: [ppo, grpo]
    against: grpo                  # the others are compared with it alone; left out: every two with each other
    seeds: 5
    scenarios:
      cartpole-ppo: {stages.balance.budget: {env_steps: 20000}}
      walker-ppo: {}
    search: {optimizer.lr: {log: [1e-4, 1e-2]}}     # by `peripatos sweep`, see `search_space`

A scenario's file is looked for beside this one, and then in the shell's folder. `methods` are names of the table, or a
mapping that names methods with constants changed (`contenders`). Those that are shipped lie beside this module, and are
run by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue, ValidationError, model_validator
from pydantic_core import ErrorDetails

from ...envs.errors import UserError, WrongKey, WrongWithin, nearest
from ...envs.quantities import Count, shown
from ...envs.wrong_values import Slot, wrong_value
from ..config.loading import Given, find_scenario
from ..config.loading import shipped as shipped_scenarios
from ..config.voices import Part
from ..config.yaml_text import Source, read_yaml
from .contenders import Contender
from .search_space import read_search

FOLDER, SEEDS = Path(__file__).parent, 3


def _by_name(given: object) -> object:
    """A list of methods names each as itself."""
    if not isinstance(given, list):
        return given
    for place, name in enumerate(given):
        if not isinstance(name, str):
            raise WrongWithin([place], f"a method is named by a text, such as ppo, and this is {shown(name)}")
        if name in given[:place]:
            raise WrongWithin(
                [place], f"{name} is named twice; leave one out, or give both names and settings of their own"
            )
    return {name: {"method": name} for name in given}


class ComparisonFile(Part):
    """What such a file may say."""

    name: str = ""
    description: str = ""
    methods: Annotated[dict[str, Contender], BeforeValidator(_by_name), Field(min_length=1)]
    against: str | None = None
    seeds: Count = SEEDS
    scenarios: Annotated[dict[str, dict[str, JsonValue]], Field(min_length=1)]
    search: Annotated[dict[str, JsonValue], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _is_against_one_of_them(self) -> ComparisonFile:
        if self.against is not None and (self.against not in self.methods or len(self.methods) == 1):
            others = ", ".join(self.methods) if len(self.methods) > 1 else "two or more, of which one is it"
            raise WrongWithin(["against"], f"against is {self.against!r}; the methods compared are {others}")
        return self

    def sets(self) -> dict[str, list[Given]]:
        """The overrides of each scenario, as flags `--set` would give them."""
        return {
            scenario: [_given(scenario, key, value) for key, value in keys.items()]
            for scenario, keys in self.scenarios.items()
        }


def _given(scenario: str, key: str, value: JsonValue) -> Given:
    given = Given(f"{key}={json.dumps(value)}")
    given.flag = f"{key} of {scenario} in the comparison"
    return given


def shipped() -> dict[str, Path]:
    """The comparisons that come with the package, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find_comparison(names: Sequence[str]) -> ComparisonFile | None:
    """The comparison that `names` are, where one of them is such a file; None where all are scenarios. UserError for a
    file that is not there or says anything else, and for one beside other names."""
    found = {name: path for name in names if (path := _path(name)) is not None}
    if not found:
        for name in names:
            _refuse_missing(name)
            if name not in shipped_scenarios() and (hint := nearest(name, shipped())):
                raise UserError(f"there is no comparison {name!r}; shipped ones are {', '.join(shipped())}.{hint}")
        return None
    name, path = next(iter(found.items()))
    if len(names) > 1:
        raise UserError(f"{name} is a comparison, which names its scenarios itself; give it alone")
    data, source = read_yaml(path)
    file = _read(data, source)
    found_at = {one: _located(one, path.parent, source) for one in file.scenarios}
    return file.model_copy(update={"scenarios": {found_at[one]: keys for one, keys in file.scenarios.items()}})


def _located(name: str, folder: Path, source: Source) -> str:
    """A scenario that a comparison in `folder` names: a file beside it, else in the shell's folder; or a shipped name.
    UserError for a file that is in neither."""
    if Path(name).suffix not in (".yaml", ".yml") or name in shipped_scenarios():
        return name
    if (path := next((one for one in (folder / name, Path(name)) if one.exists()), None)) is not None:
        return str(path)
    there = sorted({one.name for place in (folder, Path()) for one in place.glob("*.y*ml")})
    places = " nor in ".join(dict.fromkeys(str(place.absolute()) for place in (folder, Path())))
    place = source.place(("scenarios", name))
    raise UserError(f"{place}: there is no file {name!r} in {places}.{nearest(name, [*there, *shipped_scenarios()])}")


def _refuse_missing(name: str) -> None:
    """UserError for the name of a file that is not there."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml") or path.exists():
        return
    beside = [str(one) for one in sorted(path.parent.glob("*")) if one.suffix in (".yaml", ".yml")]
    hint = nearest(name, beside) or nearest(path.stem, [*shipped(), *shipped_scenarios()])
    raise UserError(
        f"there is no file {name!r}, and a comparison or a scenario is one, or a name that is shipped.{hint}"
    )


def _path(name: str) -> Path | None:
    """The file, if the name is that of a comparison and not of a scenario."""
    if name in shipped():
        return shipped()[name]
    path = Path(name)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return None
    data, _ = read_yaml(find_scenario(name))
    return path if {"methods", "scenarios"} & data.keys() else None


def _read(data: Mapping[str, object], source: Source) -> ComparisonFile:
    try:
        file = ComparisonFile.model_validate(data)
        search = read_search(file.search)
    except ValidationError as problem:
        raise UserError("\n".join(_told(error, source) for error in problem.errors(include_url=False))) from problem
    except WrongKey as problem:
        raise UserError(f"{source.place(('search', *problem.path))}: {problem}") from problem
    for name in search:
        if name and name not in file.methods:
            others = f"this comparison has the methods {', '.join(file.methods)}.{nearest(name, file.methods)}"
            raise UserError(f"{source.place(('search', name))}: search has {name}, and {others}")
    return file


def _told(error: ErrorDetails, source: Source) -> str:
    """One mistake with its place."""
    place, reason = error["loc"], error.get("ctx", {}).get("error")
    if isinstance(reason, WrongWithin):
        return f"{source.place((*place, *reason.path))}: {reason}"
    whole = len(place) < 2
    allowed = list((ComparisonFile if whole else Contender).model_fields)
    whose = "a comparison" if whole else f"the method {place[1]!r} of a comparison"
    if error["type"] == "extra_forbidden":
        words = f"unknown key {place[-1]!r}; {whose} has {', '.join(allowed)}.{nearest(str(place[-1]), allowed)}"
    elif error["type"] == "missing":
        words = f"{whose} needs {place[-1]}"
    elif place == ("methods",) and error["type"] == "dict_type":
        words = f"methods is {shown(error['input'])}; allowed are a list of names, such as [ppo, grpo], and a mapping"
    elif place == ("scenarios",) and error["type"] == "dict_type":
        names = error["input"] if isinstance(error["input"], list) else [error["input"]]
        words = f"scenarios is {shown(error['input'])}; write {{{', '.join(f'{name}: {{}}' for name in names)}}}"[:300]
    else:
        words = f"{'.'.join(map(str, place))} {wrong_value(error, Slot())}"
    return f"{source.place(place)}: {words}"
