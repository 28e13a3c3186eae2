"""How MuJoCo behaves where nobody watches: import this before `mujoco`, which reads once how it is to draw.

It draws without a display where there is none; `MUJOCO_GL` is honoured where somebody has set it. It writes no
`MUJOCO_LOG.TXT` into the folder that the user happens to be in: a simulation that diverges is a failed episode, which
says so itself.
"""

import os
import sys

if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault("MUJOCO_GL", "egl")


def leave_no_log() -> None:
    """Take MuJoCo's warnings from it, once it has been imported by anybody; a handler of somebody else's stays."""
    mujoco = sys.modules.get("mujoco")
    if mujoco is not None and mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_unheard)


def _unheard(message: str) -> None:
    """`mjData.warning` counts it, and whoever steps the simulation looks there."""
