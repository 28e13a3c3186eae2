"""A body that walks away stays in the picture. Nothing is drawn here: where the camera is, the simulation knows."""

from __future__ import annotations

from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

from peripatos.envs.errors import UserError
from peripatos.scenarios.report.cameras import follow


def made(world: str, cameras: bool = True, **options: Any) -> gymnasium.Env[Any, Any]:
    env = gymnasium.make(world, render_mode="rgb_array", **options)
    if not cameras:
        env.unwrapped.model.cam_mode[:] = int(mujoco.mjtCamLight.mjCAMLIGHT_FIXED)  # type: ignore[attr-defined]
    follow(env, options)
    return env


@pytest.mark.parametrize("world", ["HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5", "Swimmer-v5", "Humanoid-v5"])
def test_the_models_own_camera_tracks_the_body(world: str) -> None:
    env = made(world)
    inside: Any = env.unwrapped
    env.reset(seed=0)
    camera = inside.mujoco_renderer.camera_id
    before, inside.data.qpos[0] = inside.data.cam_xpos[camera].copy(), inside.data.qpos[0] + 7.0
    mujoco.mj_forward(inside.model, inside.data)
    assert inside.data.cam_xpos[camera][0] - before[0] == pytest.approx(7.0, abs=1e-6)
    env.close()


@pytest.mark.parametrize("world", ["HalfCheetah-v5", "Ant-v5"])
def test_without_one_the_free_camera_follows_the_first_body(world: str) -> None:
    renderer: Any = made(world, cameras=False).unwrapped.mujoco_renderer  # type: ignore[attr-defined]
    assert renderer.camera_id is None
    assert renderer.default_cam_config["trackbodyid"] == 1
    assert renderer.default_cam_config["type"] == mujoco.mjtCamera.mjCAMERA_TRACKING


@pytest.mark.parametrize("world", ["Reacher-v5", "InvertedPendulum-v5", "Pusher-v5"])
def test_a_body_that_cannot_leave_is_seen_as_its_author_meant_it(world: str) -> None:
    assert made(world).unwrapped.mujoco_renderer.camera_id == -1  # type: ignore[attr-defined]


def test_a_camera_that_somebody_names_stays_and_one_that_is_not_there_is_a_mistake() -> None:
    assert made("HalfCheetah-v5", camera_id=-1).unwrapped.mujoco_renderer.camera_id == -1  # type: ignore[attr-defined]
    assert made("HalfCheetah-v5", camera_name="track").unwrapped.mujoco_renderer.camera_id == 0  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"unknown camera_name 'trak'; allowed: track\. Did you mean 'track'"):
        made("HalfCheetah-v5", camera_name="trak")


def test_other_worlds_are_left_alone() -> None:
    env = gymnasium.make("CartPole-v1")
    follow(env, {})
    assert np.isfinite(env.reset(seed=0)[0]).all()
