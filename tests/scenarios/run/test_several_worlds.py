"""One agent in several worlds, from the file to what the run leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import peripatos
from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.errors import UserError
from peripatos.scenarios.assembly.several import check_overrides
from peripatos.scenarios.config.loading import check_scenario
from peripatos.scenarios.config.yaml_text import Source

PLUS = {"id": "peripatos/Arithmetic-v0", "options": {"operators": ["+"], "digits": 1, "prompt": "bare"}}
MINUS = {"id": "peripatos/Arithmetic-v0", "name": "minus", "options": {"operators": ["-"], "digits": 1}}
TALK: dict[str, Any] = {
    "name": "two",
    "worlds": [{**PLUS, "share": 3}, MINUS],
    "agent": {"kind": "tiny_llama", "hidden": 32, "layers": 1, "heads": 2},
    "sampling": {"max_tokens": 4},
    "stages": [
        {
            "name": "learn",
            "method": "grpo",
            "collect": {"groups": 8, "group_size": 2},
            "budget": {"updates": 2},
            "stop": {"minus/success_rate": 0.9},
        }
    ],
    "evaluation": {"every": 1, "episodes": 6},
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(TALK)), **changes}


def test_each_world_has_its_share_and_its_numbers(tmp_path: Path) -> None:
    run = peripatos.run(TALK, out=tmp_path / "run")
    assert run.summary["status"] == "done"
    row, seen = run.metrics[-1], run.evaluations[-1]
    assert (row["arithmetic/episodes/finished"], row["minus/episodes/finished"]) == (12, 4)
    assert seen["episodes"] == 12
    assert seen["arithmetic/episodes"] == seen["minus/episodes"] == 6
    both = seen["arithmetic/return_mean"] + seen["minus/return_mean"]
    assert seen["return_mean"] == pytest.approx(both / 2)
    assert {episode["world"] for episode in run.episodes()} == {"arithmetic", "minus"}
    written = yaml.safe_load((run.path / "scenario.yaml").read_text())
    assert "world" not in written
    assert [world["id"] for world in written["worlds"]] == [PLUS["id"], MINUS["id"]]


def test_it_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = peripatos.run(TALK, {"stages.learn.budget.updates": 3}, out=tmp_path / "whole")
    part = peripatos.run(TALK, out=tmp_path / "part")
    command = [sys.executable, "-m", "peripatos", "resume", str(part.path), "--set", "stages.learn.budget.updates=3"]
    subprocess.run(command, check=True, capture_output=True)
    files = [sorted(run.path.glob("checkpoints/*/policy/model.safetensors"))[-1] for run in (whole, part)]
    assert files[0].parts[-3] == files[1].parts[-3]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_robots_learn_in_two_worlds_by_segments(tmp_path: Path) -> None:
    scenario = {
        "name": "poles",
        "worlds": [
            {"id": "Pendulum-v1", "name": "light", "options": {"g": 1.0, "max_episode_steps": 20}},
            {
                "id": "Pendulum-v1",
                "name": "heavy",
                "options": {"g": 10.0, "max_episode_steps": 20},
                "overrides": {"swing": {"credit": {"gamma": 0.9}}},
            },
        ],
        "agent": {"kind": "mlp", "hidden": [8]},
        "stages": [
            {
                "name": "swing",
                "method": "ppo",
                "collect": {"groups": 4, "horizon": 16},
                "budget": {"updates": 3},
            }
        ],
        "evaluation": {"episodes": 2},
    }
    run = peripatos.run(scenario, out=tmp_path / "run")
    seen = run.evaluations[-1]
    assert seen["light/episodes"] == seen["heavy/episodes"] == 2
    assert seen["light/return_mean"] != seen["heavy/return_mean"]


CARTPOLE = {"id": "CartPole-v1"}
WRONG = {
    "both": (changed(world=PLUS), "not both"),
    "nothing": (changed(worlds=[]), "worlds"),
    "a share of 0": (changed(worlds=[{**PLUS, "share": 0}, MINUS]), "share"),
    "one name twice": (changed(worlds=[PLUS, PLUS]), "stands twice"),
    "two kinds": (changed(worlds=[PLUS, CARTPOLE]), "one kind"),
    "unknown id": (changed(worlds=[PLUS, {"id": "peripatos/Arithmetik-v0"}]), "peripatos/Arithmetic-v0"),
    "an option": (changed(worlds=[PLUS, {**MINUS, "options": {"digit": 1}}]), "digits"),
    "a stage that is not there": (changed(worlds=[PLUS, {**MINUS, "overrides": {"lern": {}}}]), "learn"),
    "what is everybody's": (
        changed(worlds=[PLUS, {**MINUS, "overrides": {"learn": {"update": {"epochs": 2}}}}]),
        "the same in all worlds",
    ),
    "a goal of no world": (
        changed(stages=[{**TALK["stages"][0], "stop": {"mins/return_mean": 1}}]),
        "minus/return_mean",
    ),
    "a share without bounds": (changed(worlds=[{**PLUS, "share": 1.7e308}, MINUS]), "share"),
    "a constant": (changed(worlds=[PLUS, {**MINUS, "overrides": {"learn": {"credit": {"gama": 1}}}}]), "gamma"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_before_anything_runs(name: str, tmp_path: Path) -> None:
    scenario, words = WRONG[name]
    file = tmp_path / "two.yaml"
    file.write_text(yaml.safe_dump(scenario))
    with pytest.raises(UserError, match=words) as problem:
        peripatos.run(file, out=tmp_path / "run")
    assert "two.yaml, line" in str(problem.value)
    assert not (tmp_path / "run").exists()


def test_where_a_reward_model_is_asked_is_no_worlds_own() -> None:
    judged = {**TALK["stages"][0], "overrides": {"rewards": {"model": 1}, "credit": {"granularity": "turn"}}}
    own = {"learn": {"rewards": {"model_at": "turn"}}}
    scenario = check_scenario(changed(stages=[judged], worlds=[PLUS, {**MINUS, "overrides": own}]), Source("two"))
    check_overrides(scenario, scenario.worlds[0])
    with pytest.raises(UserError, match=r"rewards\.model_at is the same in all worlds"):
        check_overrides(scenario, scenario.worlds[1])


def test_fewer_groups_than_worlds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 groups for 2 worlds"):
        peripatos.run(TALK, {"stages.learn.collect.groups": 1}, out=tmp_path / "run")


def test_bodies_with_other_spaces_are_refused(tmp_path: Path) -> None:
    scenario = changed(worlds=[CARTPOLE, {"id": "Pendulum-v1"}], agent={"kind": "mlp"}, stages=[{"name": "look"}])
    del scenario["sampling"]
    scenario["evaluation"].pop("every")
    with pytest.raises(UserError, match="equal spaces"):
        peripatos.run(scenario, out=tmp_path / "run")


def test_a_saved_agent_is_measured_in_all_or_elsewhere(tmp_path: Path) -> None:
    from peripatos.scenarios.run.saved_agent import Examination, evaluate_run

    run = peripatos.run(TALK, out=tmp_path / "run")
    everywhere = evaluate_run(run.path, "last", Examination(episodes=3))
    assert (everywhere["episodes"], everywhere["minus/episodes"]) == (6, 3)
    elsewhere = evaluate_run(run.path, "last", Examination(episodes=3, sets=["world.id=peripatos/Arithmetic-v0"]))
    assert elsewhere["episodes"] == 3
    how = Examination(episodes=3, sets=["world={id: peripatos/Arithmetic-v0}"])  # as `--world` says it
    assert evaluate_run(run.path, "last", how) == elsewhere
    with pytest.raises(UserError, match="several worlds"):
        evaluate_run(run.path, "last", Examination(sets=["world.options.digits=2"]))


class Mute(ConversationEnv):
    """Says nothing about success, and names a metric with a slash."""

    weights = {"told": 1.0}  # noqa: RUF012 (read only, copied by the base class)

    def opening(self, rng, split):
        return f"Say {int(rng.integers(100))}."

    def respond(self, reply):
        return Outcome(terms={"told": 0.5}, terminated=True, metrics={"door/open": 1.0})


def test_success_is_of_the_worlds_that_speak_of_it_in_training_evaluation_and_pass_at_k(tmp_path: Path) -> None:
    from peripatos.scenarios.run.saved_agent import Examination, evaluate_run

    scenario = changed(worlds=[PLUS, {"id": f"{__name__}:Mute"}])
    scenario["stages"][0]["stop"] = {}
    run = peripatos.run(scenario, out=tmp_path / "run")
    row, seen = run.metrics[-1], run.evaluations[-1]
    assert row["success/rate"] == row["arithmetic/success/rate"]
    assert seen["success_rate"] == seen["arithmetic/success_rate"]
    assert "mute/success_rate" not in seen
    assert seen["mute/world/door/open_mean"] == 1.0
    rates = evaluate_run(run.path, "last", Examination(episodes=4, k=2))
    assert rates["pass@2"] == rates["arithmetic/pass@2"]
    kept = run.episodes(split="train")
    assert {episode["world"] for episode in kept} == {"arithmetic", "mute"}


def test_a_metric_with_a_slash_is_no_world(tmp_path: Path) -> None:
    scenario = changed(world={"id": f"{__name__}:Mute"})
    del scenario["worlds"]
    scenario["stages"][0]["stop"] = {"world/door/open_mean": 1.0}
    assert peripatos.run(scenario, out=tmp_path / "run").summary["status"] == "done"


def test_the_only_one_of_several_worlds_has_its_numbers_too(tmp_path: Path) -> None:
    run = peripatos.run(changed(worlds=[MINUS]), out=tmp_path / "run")
    assert run.evaluations[-1]["minus/episodes"] == 6


def test_a_film_is_made_in_each_world(tmp_path: Path) -> None:
    from peripatos.scenarios.report.film import record_run
    from peripatos.scenarios.run.display import make_display

    world = {"id": "peripatos/CartpoleSwingup-v0", "options": {"max_episode_steps": 4}}
    scenario = changed(worlds=[{**world, "name": "one"}, {**world, "name": "two"}], stages=[{"name": "look"}])
    scenario |= {"agent": {"kind": "random"}, "evaluation": {"episodes": 1}}
    del scenario["sampling"]
    run = peripatos.run(scenario, out=tmp_path / "run")
    written = record_run(run.path, "last", seed=0, out=None, gif=False, display=make_display(quiet=True))
    files = [file.name for film in written for file in film.files if file.suffix == ".mp4"]
    assert files == ["last-0-one.mp4", "last-0-two.mp4"]
    assert [(film.world, film.steps, film.gait) for film in written] == [("one", 4, None), ("two", 4, None)]
