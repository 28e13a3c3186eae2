"""Chooses how MuJoCo draws where there is no display: import this before `mujoco`, which reads the choice once.

`MUJOCO_GL` is honoured where somebody has set it.
"""

import os
import sys

if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault("MUJOCO_GL", "egl")
