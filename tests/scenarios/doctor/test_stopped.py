"""A signal ends the doctor at once, also where the world that plays has swallowed it, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

WORLD = """\
import gymnasium, numpy as np, sys, time
from gymnasium.spaces import Box, Discrete

class World(gymnasium.Env):
    observation_space, action_space = Box(-1.0, 1.0, (2,), np.float32), Discrete(2)

    def __init__(self, swallows):
        self.swallows, self.left = swallows, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 50
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        print("stepping", file=sys.stderr, flush=True)
        try:
            time.sleep(0.5)
        except BaseException:
            if not self.swallows:
                raise
        return np.zeros(2, np.float32), 1.0, self.left == 0, False, {}
"""
TEXT = """\
name: sleepy
world: {id: "sleepy:World", options: {swallows: SWALLOWS}}
agent: {kind: mlp, hidden: [4]}
stages: [{name: learn, method: ppo, collect: {groups: 2, horizon: 8}, budget: {updates: 2}}]
"""


@pytest.mark.parametrize("swallows", ["true", pytest.param("false", marks=pytest.mark.slow)])
def test_a_signal_ends_the_doctor_while_a_world_plays(tmp_path: Path, swallows: str) -> None:
    (tmp_path / "sleepy.py").write_text(WORLD)
    (tmp_path / "s.yaml").write_text(TEXT.replace("SWALLOWS", swallows))
    (tmp_path / "tmp").mkdir()
    doctor = subprocess.Popen(
        [sys.executable, "-m", "peripatos", "doctor", "--scenario", "s.yaml"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "CI": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with doctor:
        assert doctor.stderr is not None
        while "stepping" not in (line := doctor.stderr.readline()):
            assert line, "it ended before it played"
        doctor.send_signal(signal.SIGTERM)
        out, err = doctor.communicate(timeout=60)
    assert doctor.returncode == 143
    assert (out, err.replace("stepping\n", "")) == ("", "stopped before anything was written\n")
    assert [file.name for file in (tmp_path / "tmp").iterdir() if not file.name.startswith("torchinductor")] == []
