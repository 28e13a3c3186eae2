"""What feet do, against what is known by hand: a block that slides, rests, rolls, or touches its own robot."""

from __future__ import annotations

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from peripatos.envs.control.mujoco_feet import check_feet, feet_signals
from peripatos.envs.control.mujoco_world import MujocoWorld
from peripatos.envs.errors import UserError
from peripatos.envs.worlds.robots.walker import WalkerTask
from peripatos.scenarios.report.gait import gait_of
from peripatos.scenarios.report.pictures import Camera

ROBOT = """
<mujoco>
  <option timestep="0.002" integrator="implicitfast"/>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 0.1" friction="{friction} 0 0"/>
    <body name="post" pos="3 0 0"><geom size="0.1"/></body>
    <body name="block" pos="0 0 0.1"><freejoint/>
      <geom type="box" size="0.1 0.1 0.1" mass="2" friction="{friction} 0 0"/>
      <body name="arm" pos="0 0 0.3"><joint axis="0 1 0"/><geom size="0.05" mass="1"/></body>
    </body>
  </worldbody>
</mujoco>
"""


def robot(friction: float = 1.0) -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = mujoco.MjModel.from_xml_string(ROBOT.format(friction=friction))
    return model, mujoco.MjData(model)


def test_a_block_at_rest_bears_its_weight_and_does_not_slip() -> None:
    model, data = robot()
    mujoco.mj_step(model, data, 500)
    told = feet_signals(model, data, {"sole": "block"})
    assert told["contact/sole"] == pytest.approx(1.0, rel=1e-3)
    assert told["slip/sole (m/s)"] == pytest.approx(0.0, abs=1e-3)


def test_a_block_that_slides_slips_as_fast_as_it_moves() -> None:
    model, data = robot(friction=0.05)
    mujoco.mj_step(model, data, 200)
    data.qvel[:3] = 0.6, -0.8, 0.0
    mujoco.mj_step(model, data)
    assert feet_signals(model, data, {"sole": "block"})["slip/sole (m/s)"] == pytest.approx(1.0, abs=0.02)


def test_a_block_that_turns_on_the_spot_slips_at_its_corners() -> None:
    model, data = robot(friction=0.01)
    mujoco.mj_step(model, data, 200)
    data.qvel[:6] = 0.0, 0.0, 0.0, 0.0, 0.0, 2.0
    mujoco.mj_step(model, data)
    corner = 0.1 * np.sqrt(2.0)
    assert feet_signals(model, data, {"sole": "block"})["slip/sole (m/s)"] == pytest.approx(2.0 * corner, rel=0.05)


def test_a_ball_that_rolls_does_not_slip() -> None:
    xml = "<mujoco><worldbody><geom type='plane' size='9 9 1'/><body name='ball' pos='0 0 0.1'><freejoint/>"
    model = mujoco.MjModel.from_xml_string(f"{xml}<geom size='0.1' mass='1'/></body></worldbody></mujoco>")
    data = mujoco.MjData(model)
    data.qvel[:] = 1.0, 0.0, 0.0, 0.0, 10.0, 0.0  # v = ω r
    mujoco.mj_step(model, data, 300)
    told = feet_signals(model, data, {"ball": "ball"})
    assert data.qvel[0] > 0.9
    assert told["slip/ball (m/s)"] < 0.02
    assert told["contact/ball"] == pytest.approx(1.0, rel=0.05)


def test_a_foot_in_the_air_tells_no_slip() -> None:
    model, data = robot()
    data.qpos[2] = 1.0
    mujoco.mj_step(model, data)
    assert feet_signals(model, data, {"sole": "block", "arm": "arm"}) == {"contact/sole": 0.0, "contact/arm": 0.0}


def test_what_a_robot_does_to_itself_is_no_step() -> None:
    model, data = robot()
    model.geom_margin[:] = 0.3  # its arm touches its block
    mujoco.mj_forward(model, data)
    assert data.ncon > 4
    assert feet_signals(model, data, {"arm": "arm"})["contact/arm"] == 0.0


@pytest.mark.parametrize(
    ("feet", "words"),
    [
        ({"left": "blok"}, r"the foot 'left': unknown body 'blok'; allowed: arm, block, post\. Did you mean 'block'\?"),
        ({"left": "post"}, "the foot 'left' is the body 'post', which is fixed to the ground"),
    ],
)
def test_a_foot_that_is_none_is_told(feet: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_feet(robot()[0], feet)


def test_a_task_with_such_a_foot_makes_no_world() -> None:
    class Lame(WalkerTask):
        feet = {"left": "left_fot"}  # noqa: RUF012

    with pytest.raises(UserError, match=r"the foot 'left': unknown body 'left_fot'.*Did you mean 'left_foot'"):
        Lame().load_model()


def test_the_walkers_feet_bear_what_its_sensors_measure_on_any_ground() -> None:
    world = gym.make("peripatos/Walker-v0", terrain=0.02, render_mode="rgb_array")
    rng = np.random.default_rng(0)
    for seed in range(3):
        world.reset(seed=seed)
        for _ in range(20):
            observation, *_, info = world.step(rng.uniform(-1, 1, 6).astype(np.float32))
            told = info["signals"]
            assert told["contact/left"] == pytest.approx(float(observation[23:27].sum()), abs=1e-5)
            assert told["contact/right"] == pytest.approx(float(observation[27:31].sum()), abs=1e-5)
            for foot in ("left", "right"):
                assert (f"slip/{foot} (m/s)" in told) == (told[f"contact/{foot}"] > 0.0)


@pytest.mark.parametrize("frame_skip", [1, 7, 30, 600])
def test_a_step_that_is_no_whole_part_of_a_second_is_timed_as_long_as_it_is(frame_skip: int) -> None:
    task = WalkerTask()
    task.frame_skip = frame_skip
    world = MujocoWorld(task)
    seconds = frame_skip * world.model.opt.timestep
    fps = Camera("walker", world).fps
    assert fps == pytest.approx(1 / seconds, rel=1e-6)
    gait = gait_of([{"contact/left": 0.0}, *[{"contact/left": 1.0}] * 10], fps)
    assert gait is not None
    assert gait.stance_s["left"] == pytest.approx(10 * seconds, rel=1e-6)
