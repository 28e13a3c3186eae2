"""What the feet of a robot do, from the contacts that MuJoCo has found in the last substep.

    contact/NAME        Σ f / (m·g)         f: the normal force of each contact of the foot with what is not the robot
    slip/NAME (m/s)     Σ f·|v| / Σ f       v: how fast the foot's point that touches moves along the ground

A foot is a body of the model, with the geoms that are its own. Forces are in multiples of the robot's weight. One that
does not touch has no `slip`. Nothing is computed but where a single world is drawn, so that training pays nothing.
"""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled modules carry no type information)

from __future__ import annotations

from collections.abc import Mapping

from . import headless  # noqa: F401

# isort: split
import mujoco
import numpy as np

from ..errors import UserError, unknown

CONTACT, SLIP = "contact/{}", "slip/{} (m/s)"


def check_feet(model: mujoco.MjModel, feet: Mapping[str, str]) -> None:
    """UserError where a foot is no body of the model, or one that cannot leave the ground."""
    names = {model.body(number).name: number for number in range(1, model.nbody)}
    for foot, body in feet.items():
        if body not in names:
            raise UserError(f"the foot {foot!r}: {unknown('body', body, filter(None, names))}")
        if model.body_weldid[names[body]] == 0:
            raise UserError(f"the foot {foot!r} is the body {body!r}, which is fixed to the ground")


def feet_signals(model: mujoco.MjModel, data: mujoco.MjData, feet: Mapping[str, str]) -> dict[str, float]:
    """The numbers above for `feet`, bodies by the names of the feet."""
    signals: dict[str, float] = {}
    for foot, name in feet.items():
        body = model.body(name).id
        root = model.body_rootid[body]
        weight = float(model.body_subtreemass[root] * np.linalg.norm(model.opt.gravity))
        forces, speeds = [0.0], [0.0]
        for number in range(data.ncon):
            pair = [int(model.geom_bodyid[geom]) for geom in data.contact[number].geom]
            if body in pair and not all(model.body_rootid[one] == root for one in pair):
                force, speed = _touch(model, data, number, pair)
                forces.append(force)
                speeds.append(speed)
        loaded = sum(forces)
        signals[CONTACT.format(foot)] = loaded / weight if weight else 0.0
        if loaded > 0.0:
            signals[SLIP.format(foot)] = float(np.dot(forces, speeds)) / loaded
    return signals


def _touch(model: mujoco.MjModel, data: mujoco.MjData, number: int, pair: list[int]) -> tuple[float, float]:
    """The normal force of a contact, in N, and how fast its two bodies move past each other there, in m/s."""
    contact, force = data.contact[number], np.zeros(6)
    mujoco.mj_contactForce(model, data, number, force)
    one, other = (_velocity(model, data, body, contact.pos) for body in pair)
    normal = contact.frame[:3]
    past = (one - other) - normal * float(np.dot(one - other, normal))
    return float(force[0]), float(np.linalg.norm(past))


def _velocity(model: mujoco.MjModel, data: mujoco.MjData, body: int, point: np.ndarray) -> np.ndarray:
    """Of a body's point, which is at `point` in the world: v + ω × r [3]."""
    both = np.zeros(6)  # ω, then v of the body's origin, along the world's axes
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, both, 0)
    return both[3:] + np.cross(both[:3], point - data.xpos[body])
