"""What a stage says of the models that it reads beside the agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from peripatos.envs.errors import UserError
from peripatos.scenarios.config.agents import Origin
from peripatos.scenarios.config.loading import check_scenario, dump_data, find_scenario
from peripatos.scenarios.config.roles import Models, ModelSpec
from peripatos.scenarios.config.schema import Scenario
from peripatos.scenarios.config.yaml_text import Source, parse_yaml


def scenario_with(models: object) -> Scenario:
    data: dict[str, Any] = yaml.safe_load(find_scenario("quickstart").read_text())
    data["stages"][1]["models"] = models
    return check_scenario(data, Source("x.yaml"))


def given(models: object) -> Models:
    found = scenario_with(models).stages[1].models
    assert found is not None
    return found


def test_a_plain_name_is_a_run_where_a_run_is_and_a_model_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text("name: x\n")
    found = given({"teacher": str(tmp_path), "reward": "package:some-model", "reference": {"self": "start"}}).played()
    assert {name: spec.model_dump(exclude_none=True) for name, spec in found.items()} == {
        "reference": {"self": "start"},
        "teacher": {"run": str(tmp_path)},
        "reward": {"model": "package:some-model"},
    }


def test_the_number_of_a_checkpoint_may_be_written_as_a_number() -> None:
    teacher = given({"teacher": {"run": "runs/a", "checkpoint": 20}}).teacher
    assert teacher is not None
    assert teacher.checkpoint == "20"


@pytest.mark.parametrize("number", ["000190", "000020"])
def test_a_checkpoint_is_read_again_as_a_run_writes_it_whatever_its_digits(number: str) -> None:
    """000190, whose 9 is no octal digit, is written bare and read as 190."""
    written, _ = parse_yaml(yaml.safe_dump({"run": "runs/a", "checkpoint": number}), "x.yaml")
    for part in (Origin, ModelSpec):
        assert int(part.model_validate(written).checkpoint or "") == int(number)


def test_a_resolved_scenario_says_its_models_and_reads_them_back() -> None:
    scenario = scenario_with({"teacher": {"run": "runs/a"}, "reference": {"self": "start"}})
    assert check_scenario(dump_data(scenario), Source("x.yaml")) == scenario


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({"teecher": "a"}, "unknown key 'stages.1.models.teecher'; .* Did you mean 'teacher'?"),
        ({"teacher": 3}, "teacher is 3, .*write such as teacher: runs/NAME-0"),
        ({"teacher": "self"}, "names no context .* such as runs/NAME-0, package:NAME or {self: demonstration}"),
        ({"teacher": {"self": "demo"}}, "self is 'demo'; allowed: start, demonstration"),
        ({"critic": "self"}, "names no context .* such as runs/NAME-0 or {self: start}"),
        ({"critic": {}}, "a critic is the agent of a run with a head, or the agent itself: such as runs/NAME-0 or"),
        ({"reference": {"run": None}}, "a reference is .* such as runs/NAME-0, package:NAME or {self: start}; and one"),
        ({"reward": "self"}, "a reward is the agent of a run of a reward model: such as runs/NAME-0$"),
        ({"critic": {"self": "start", "run": "a"}}, r"such as runs/NAME-0 or {self: start}"),
        ({"teacher": {}}, "a teacher is .* one of them alone"),
        ({"teacher": {"run": "a", "model": "b"}}, "a teacher is .* one of them alone"),
        ({"critic": {"rum": "a"}}, "unknown key 'stages.1.models.critic.rum'.* Did you mean 'run'?"),
        ({"teacher": {"self": "start", "checkpoint": "best"}}, "checkpoint is that of a run, and this role has none"),
        ({"teacher": {"run": "a", "revision": "main"}}, "revision is that of a model, and this role has none"),
        ("runs/a", "models is 'runs/a', not a mapping"),
    ],
)
def test_a_role_that_says_nothing_or_two_things_is_refused(models: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        scenario_with(models)


@pytest.mark.parametrize("role", ["critic", "reward"])
@pytest.mark.parametrize("given", [{}, "self", {"run": "a", "model": "b"}])
def test_nobody_is_advised_what_a_role_cannot_be(role: str, given: object) -> None:
    with pytest.raises(UserError) as refusal:
        scenario_with({role: given})
    assert not [word for word in ("package:", "demonstration") if word in str(refusal.value)]


def test_a_stage_without_a_method_reads_no_models() -> None:
    data: dict[str, Any] = yaml.safe_load(find_scenario("quickstart").read_text())
    data["stages"].append({"name": "look", "models": {"teacher": "a"}})
    with pytest.raises(UserError, match="no method, so that models would have no effect"):
        check_scenario(data, Source("x.yaml"))
