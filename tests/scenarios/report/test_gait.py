"""Gait diagrams: when a foot counts as standing, shares of time, and a picture only where there is something."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from peripatos.scenarios.report.gait import FEET, STANCE, draw_gait, duty_shares, gait_of, stance


def shots(**signals: list[float]) -> list[dict[str, float]]:
    """The signals of a step for each number; `contact_left` stands for `contact/left`."""
    named = {name.replace("contact_", "contact/"): values for name, values in signals.items()}
    steps = len(next(iter(named.values())))
    return [{name: values[k] for name, values in named.items()} for k in range(steps)]


def test_a_foot_stands_while_its_force_is_over_the_threshold() -> None:
    on_ground = stance(shots(contact_left=[0.0, STANCE, 1.01 * STANCE, 1.0], height=[0.2] * 4))
    assert list(on_ground) == ["left"]
    assert on_ground["left"].tolist() == [False, False, True, True]


def test_shares_of_time_by_hand() -> None:
    filmed = shots(contact_left=[1, 1, 0, 0, 1, 0, 0, 0], contact_right=[0, 0, 0, 1, 1, 1, 1, 1])
    assert duty_shares(stance(filmed)) == {
        "left only": 2 / 8,
        "right only": 4 / 8,
        "both": 1 / 8,
        "flight": 1 / 8,
    }


@pytest.mark.parametrize(("feet", "together"), [(2, "both"), (4, "several")])
def test_shares_of_time_sum_to_one_for_any_number_of_feet(feet: int, together: str) -> None:
    rng = np.random.default_rng(feet)
    shares = duty_shares({f"foot {i}": rng.random(200) < 0.4 for i in range(feet)})
    assert sum(shares.values()) == pytest.approx(1.0)
    assert list(shares)[-2:] == [together, "flight"]


def walk(**feet: str) -> list[dict[str, float]]:
    """`left="##..", right="..##"`: a foot stands where there is a #, and slides at 0.1 m/s where there is an s."""
    rows = [{} for _ in next(iter(feet.values()))]
    for foot, marks in feet.items():
        for row, mark in zip(rows, marks, strict=True):
            row[f"contact/{foot}"] = 0.0 if mark == "." else 1.0
            if mark != ".":
                row[f"slip/{foot} (m/s)"] = 0.1 if mark == "s" else 0.0
    return rows


def test_figures_of_a_gait_by_hand() -> None:
    gait = gait_of(walk(left="##...##s.", right=".s####..."), fps=10)
    assert gait is not None
    # left stands twice (0.2 s, 0.3 s) and comes down once; right stands and comes down once (0.5 s)
    assert gait.steps == {"left": 1, "right": 1}
    assert gait.stance_s == pytest.approx({"left": 0.25, "right": 0.5})
    assert gait.symmetry == pytest.approx(0.5)
    assert gait.slip == pytest.approx({"left": 0.1 / 5, "right": 0.1 / 5})
    assert gait.shares == pytest.approx({"left only": 3 / 9, "right only": 3 / 9, "both": 2 / 9, "flight": 1 / 9})
    assert gait.spelled() == (
        "feet: left only 33%, right only 33%, both 22%, flight 11%; steps: left 1 of 0.25 s, right 1 of 0.50 s "
        "(symmetry 0.50); slip: left 0.020 m/s, right 0.020 m/s"
    )


@pytest.mark.parametrize(
    ("feet", "symmetry"),
    [
        ({"left": "##..##..", "right": "..##..##"}, 0.5),  # right comes down twice, left once: it began on it
        ({"left": ".##..##..", "right": "...##..##"}, 1.0),
        ({"left": ".###.###.", "right": "........."}, 0.0),  # hops on one foot
        ({"left": ".##.##.##", "right": ".##......"}, 1 / 3),  # as long, but not as often
        ({"left": ".####....", "right": ".##......"}, 1 / 2),  # as often, but not as long
        ({"left": "####", "right": "####"}, None),  # stands
        ({"left": "....", "right": "...."}, None),
        ({"left": "#" * 30 + "." + "#" * 9, "right": "#" * 40}, None),  # stands, and trembles
        ({"left": "." + "#" * 39, "right": ".." + "#" * 38}, None),  # is put down, and stands
        ({"left": "##.##.##.##.", "right": "############"}, 0.0),  # one foot never comes down
        ({"foot": ".##.##"}, None),  # alone
        ({"a": ".##.", "b": ".#..", "c": "..##", "d": ".##."}, 1 / 2),
    ],
)
def test_symmetry_is_that_of_the_feet_that_are_least_alike(feet: dict[str, str], symmetry: float | None) -> None:
    gait = gait_of(walk(**feet), fps=40)
    assert gait is not None
    assert gait.symmetry == (None if symmetry is None else pytest.approx(symmetry))


def test_the_symmetry_of_a_robot_that_takes_no_steps_is_said_to_be_undefined() -> None:
    stands = gait_of(walk(left="#" * 30 + "." + "#" * 9, right="#" * 40), fps=40)
    assert stands is not None
    assert "right 0 of 1.00 s (symmetry undefined: it takes no steps)" in stands.spelled()
    alone = gait_of(walk(foot=".##.##"), fps=40)
    assert alone is not None
    assert "symmetry" not in alone.spelled()


def test_a_world_that_tells_of_no_feet_has_no_gait_and_one_without_slip_has_none() -> None:
    assert gait_of([{"height (m)": 0.2}] * 3, fps=40) is None
    gait = gait_of([{"contact/left": 1.0}, {}, {"contact/left": 1.0}], fps=40)
    assert gait is not None
    assert (gait.steps, gait.slip) == ({"left": 1}, {})
    assert "slip" not in gait.spelled()


def test_slip_is_no_curve(tmp_path: Path) -> None:
    with_slip, without = walk(left="##..ss"), [{"contact/left": 1.0}] * 6
    sizes = []
    for name, filmed in {"a.png": with_slip, "b.png": without}.items():
        assert draw_gait(filmed, 40, tmp_path / name) is not None
        with Image.open(tmp_path / name) as image:
            sizes.append(image.size)
    assert sizes[0] == sizes[1]


def test_a_world_without_signals_gets_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "gait.png"
    assert draw_gait([{}] * 3, 40, path) is None
    assert not path.exists()


def painted(path: Path, foot: int) -> int:
    """Pixels in the colour of a foot."""
    color = np.array([int(FEET[foot][i : i + 2], 16) for i in (1, 3, 5)])
    with Image.open(path) as image:
        return int((np.abs(np.asarray(image.convert("RGB")).astype(int) - color).max(axis=2) < 4).sum())


def test_bars_are_as_long_as_the_feet_stand(tmp_path: Path) -> None:
    left, right = [1.0] * 30 + [0.0] * 70, [0.0] * 40 + [1.0] * 60
    filmed = shots(contact_left=left, contact_right=right, height=[0.2] * 100)
    path = draw_gait(filmed, 40, tmp_path / "gait.png")
    assert path is not None
    assert painted(path, 1) == pytest.approx(2 * painted(path, 0), rel=0.02)
    assert painted(path, 0) > 1000


@pytest.mark.parametrize("signals", [{"contact_left": [1.0, 0.0]}, {"height (m)": [0.1, 0.2]}])
def test_feet_alone_and_curves_alone_are_drawn(signals: dict[str, list[float]], tmp_path: Path) -> None:
    path = draw_gait(shots(**signals), 40, tmp_path / "gait.png")
    assert path is not None
    with Image.open(path) as image:
        assert np.asarray(image.convert("L")).std() > 5


def test_the_walker_gives_signals_only_where_it_renders_and_they_say_what_the_state_is() -> None:
    blind, seen = (gym.make("peripatos/Walker-v0", render_mode=mode) for mode in (None, "rgb_array"))
    for world in (blind, seen):
        world.reset(seed=1)
    for _ in range(10):
        observation, *_, info = seen.step(np.zeros(6, np.float32))
        assert "signals" not in blind.step(np.zeros(6, np.float32))[4]
    signals = info["signals"]
    assert signals["contact/left"] == pytest.approx(observation[23:27].sum(), rel=1e-5)
    assert signals["contact/right"] == pytest.approx(observation[27:31].sum(), rel=1e-5)
    assert signals["contact/left"] + signals["contact/right"] == pytest.approx(1.0, abs=0.05)
    assert signals["torso height (m)"] == pytest.approx(observation[1], rel=1e-6)
    assert signals["forward speed (m/s)"] == pytest.approx(observation[2], rel=1e-6)
    assert set(info["metrics"]) == {"distance"}  # an evaluation reports no signals
