"""Pictures of a MuJoCo model, without a window."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled modules carry no type information)

from __future__ import annotations

from . import headless  # noqa: F401

# isort: split
import mujoco
import numpy as np

from ..errors import UserError
from .mujoco_task import Model


def make_renderer(model: Model) -> mujoco.Renderer:
    """Something that draws 640 × 480 without a window. `UserError` says what is missing."""
    try:
        return mujoco.Renderer(model, 480, 640)
    except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
        raise UserError(
            f"MuJoCo cannot draw here ({error}); on Linux without a display install libegl1 (MUJOCO_GL=egl) or "
            "libosmesa6 (MUJOCO_GL=osmesa)"
        ) from error


def picture(renderer: mujoco.Renderer, model: Model, data: mujoco.MjData) -> np.ndarray:
    """What the model's first camera sees, or a free camera where it has none; an array of the caller's own."""
    renderer.update_scene(data, camera=0 if model.ncam else -1)
    return renderer.render().copy()
