"""Keeps a body in the picture: of Gymnasium's MuJoCo worlds, the free camera stands still while the robot walks away.

Where the scenario names no camera, the model's own that tracks is taken, and without one the free camera follows the
first body, if that can leave. Our own MuJoCo worlds are seen by their model's first camera, and need none of this.
"""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled modules carry no type information)

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import gymnasium

from ...envs.errors import UserError, unknown


def follow(env: gymnasium.Env[Any, Any], options: Mapping[str, Any]) -> None:
    """Let the camera of `env`, made with `options`, follow its body, where that is one of Gymnasium's MuJoCo worlds and
    the options name no camera. UserError for the name of a camera that the model does not have."""
    if "gymnasium.envs.mujoco" not in sys.modules:
        return
    import mujoco
    from gymnasium.envs.mujoco import MujocoEnv

    if not isinstance(env.unwrapped, MujocoEnv):
        return
    model, renderer = env.unwrapped.model, env.unwrapped.mujoco_renderer
    names = [model.camera(number).name for number in range(model.ncam)]
    if (name := options.get("camera_name")) is not None and name not in names:
        raise UserError(unknown("camera_name", str(name), filter(None, names)))
    if name is not None or options.get("camera_id") is not None:
        return
    tracking = tuple(map(int, (mujoco.mjtCamLight.mjCAMLIGHT_TRACK, mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM)))
    own = next((number for number, mode in enumerate(model.cam_mode) if mode in tracking), None)
    if own is not None:
        renderer.camera_id = own
    elif _can_leave(model):
        renderer.camera_id = None  # as `default_cam_config` says
        followed = {"type": mujoco.mjtCamera.mjCAMERA_TRACKING, "trackbodyid": 1}
        renderer.default_cam_config = {**(renderer.default_cam_config or {}), **followed}


def _can_leave(model: Any) -> bool:
    """Whether the first body moves through space without limits."""
    import mujoco

    far = tuple(map(int, (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_SLIDE)))
    joints = range(model.njnt)
    return any(model.jnt_bodyid[j] == 1 and model.jnt_type[j] in far and not model.jnt_limited[j] for j in joints)
