"""Settings of papers, as stages."""

from __future__ import annotations

import pytest
import yaml
from scenarios_runs import command

from peripatos.envs.errors import UserError
from peripatos.scenarios.assembly.settings import optimizer_settings, stage_method
from peripatos.scenarios.config.presets import PRESETS, preset_table, show_preset
from peripatos.scenarios.config.schema import Sampling, Stage

OPEN = {"collect": {"groups": 8, "group_size": 8}, "budget": {"updates": 100}}  # what a paper may leave open


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_printed_is_a_stage_that_a_scenario_takes(name: str) -> None:
    printed = yaml.safe_load("\n".join(show_preset(name)))
    [stage] = printed["stages"]
    taken = Stage.model_validate({**OPEN, **stage})
    row = stage_method(taken)
    optimizer_settings(taken)
    Sampling.model_validate(printed.get("sampling", {}))
    for column, constants in stage["overrides"].items():
        for constant, value in constants.items():
            assert getattr(getattr(row, column), constant) == value


def test_a_stage_of_r1_zero_is_as_long_as_the_paper_keeps_its_reference() -> None:
    collect = PRESETS["r1-zero"].stage["collect"]
    assert isinstance(collect, dict)
    updates = 400 * 512 // (collect["groups"] * collect["group_size"])
    assert f"stages of {updates} updates" in PRESETS["r1-zero"].besides


def test_presets_are_listed_and_shown_and_an_unknown_one_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list", "presets") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in PRESETS)
    assert [row["preset"] for row in preset_table()] == list(PRESETS)
    assert command("list", "presets", "--show", "dapo") == 0
    assert "overlong_buffer: 4096" in capsys.readouterr().out
    with pytest.raises(UserError, match="Did you mean 'r1-zero'"):
        show_preset("r1zero")


def test_frameworks_are_compared_for_one_method_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list", "methods", "--show", "grpo", "--compat", "verl") == 0
    assert "vanilla clips dually at 3" in capsys.readouterr().out
    for wrong in (["list", "methods"], ["list", "presets", "--show", "dapo"]):
        assert command(*wrong, "--compat", "verl") == 2
        assert "peripatos list methods --show NAME" in capsys.readouterr().err
