"""Films: what is drawn into a picture, and whether what is written can be read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
from gymnasium.spaces import Discrete
from PIL import Image
from scenarios_runs import PATIENCE, TINY, command, write_scenario

from peripatos.agents.control.scripted import ScriptedAgent
from peripatos.scenarios.report.film import write_film
from peripatos.scenarios.report.shots import Acts, Shot, reward_parts
from peripatos.scenarios.report.video import caption

# imageio-ffmpeg leaves the pipes of its reader to the garbage collector
imageio_leaks = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
GREEN, RED = np.array([27, 120, 55]), np.array([178, 24, 43])


def shot(terms: dict[str, float]) -> Shot:
    return Shot(np.full((241, 321, 3), 200, np.uint8), reward=1.0, total=3.0, terms=terms)


def pixels(picture: np.ndarray, color: np.ndarray) -> int:
    return int((np.abs(picture.astype(int) - color).sum(axis=2) < 30).sum())


class Counter:
    """A script that remembers how often it was asked."""

    asked = -1

    def __call__(self, observation: np.ndarray) -> int:
        self.asked += 1
        return self.asked - 2


def test_a_script_that_is_filmed_remembers_its_episode_and_names_the_worlds_own_actions() -> None:
    space = Discrete(4, start=-2)
    acts = Acts(ScriptedAgent(Counter, space), space)
    assert [acts(np.zeros((2, 2))) for _ in range(4)] == [-2, -1, 0, 1]


def test_reward_terms_are_drawn_as_bars_as_long_as_they_are_large() -> None:
    small, large = caption(shot({"speed": 0.5}), 1), caption(shot({"speed": 1.0}), 1)
    assert pixels(large, GREEN) == pytest.approx(2 * pixels(small, GREEN), rel=0.15)
    assert pixels(small, RED) == 0
    assert pixels(caption(shot({"torque": -0.5}), 1), RED) > 20


def test_the_picture_below_the_caption_is_untouched_and_its_sides_are_even() -> None:
    picture = caption(shot({"speed": 1.0}), 1)
    assert picture.shape == (240, 320, 3)
    assert (picture[120:] == 200).all()


def film(steps: int, size: tuple[int, int] = (64, 96)) -> Iterator[Shot]:
    """A grey square that grows brighter, and a white bar that wanders."""
    for step in range(steps):
        picture = np.full((*size, 3), 240 * step // max(1, steps - 1), np.uint8)
        picture[-8:, step % size[1]] = 255
        yield Shot(picture, reward=1.0, total=float(step))


@imageio_leaks
def test_mp4_and_gif_hold_the_frames(tmp_path: Path) -> None:
    written = write_film(film(4), 20, tmp_path / "film.mp4", gif=True)
    assert (written.steps, written.total, written.gait) == (4, 3.0, None)
    assert written.files == [tmp_path / "film.mp4", tmp_path / "film.gif"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.gif", "film.mp4"]
    seen = [float(frame[40:56].mean()) for frame in imageio.mimread(written.files[0])]
    assert seen == pytest.approx([0, 80, 160, 240], abs=6)
    with Image.open(written.files[1]) as gif:
        assert (gif.n_frames, gif.size) == (2, (96, 64))  # ten frames a second are enough
        assert gif.info["duration"] == 100
        gif.seek(1)
        seen = np.asarray(gif.convert("RGB"))
    assert seen[40:56].mean() == pytest.approx(160, abs=2)
    assert seen[-1, 2].mean() == pytest.approx(255, abs=2)  # where the bar is
    assert seen[-1, 0].mean() == pytest.approx(160, abs=2)  # and where it was


@imageio_leaks
def test_what_is_filmed_only_half_leaves_no_file(tmp_path: Path) -> None:
    def breaks() -> Iterator[Shot]:
        yield from film(3)
        raise ValueError("the world broke")

    with pytest.raises(ValueError, match="the world broke"):
        write_film(breaks(), 20, tmp_path / "film.mp4", gif=True)
    assert list(tmp_path.iterdir()) == []


FULL = """
import errno, resource
from pathlib import Path
import numpy as np
from peripatos.scenarios.report.video import mp4_writer
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # much as a full disk
frames = np.random.default_rng(0).integers(0, 255, (200, 128, 128, 3), np.uint8)
for many in ({few}, 200):  # the encoder fails when it ends; and while it is given pictures
    try:
        with mp4_writer(Path({out!r}), 20) as add:
            for frame in frames[:many]: add(frame)
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


def test_a_film_for_which_the_disk_has_no_room_is_no_film_and_the_reason_is_the_disks(tmp_path: Path) -> None:
    code = FULL.format(few=5, out=str(tmp_path / "film.mp4"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout.split(), done.stderr) == (["EFBIG", "EFBIG"], "")
    assert list(tmp_path.iterdir()) == []


MEASURE = """
import re, sys
from pathlib import Path
sys.path[:0] = {path!r}
from test_film import film
from peripatos.scenarios.report.film import write_film
write_film(film({steps}, (240, 320)), 20, Path({out!r}), gif=True)
print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])  # getrusage has what its parent had
"""


def peak(steps: int, folder: Path) -> int:
    """Peak memory of a process that writes a film of so many steps, in KiB."""
    code = MEASURE.format(path=[str(Path(__file__).parent), *sys.path], steps=steps, out=str(folder / f"{steps}.mp4"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    return int(done.stdout)


@pytest.mark.slow
def test_the_memory_of_a_film_does_not_grow_with_its_length(tmp_path: Path) -> None:
    short, long = peak(60, tmp_path), peak(600, tmp_path)
    assert long - short < 20_000  # its 540 frames are 124,000 KiB


@pytest.mark.parametrize(
    ("info", "parts"),
    [
        ({"reward_forward": 1.5, "reward_ctrl": np.float32(-0.5), "x_velocity": 1.5}, {"forward": 1.5, "ctrl": -0.5}),
        ({"reward_terms": {"speed": 1.0}, "reward_forward": 2.0}, {"speed": 1.0}),
        ({"reward_terms": None, "signals": 3}, {}),
        ({"reward_terms": {"speed": "fast", "height": np.nan, "work": 2}}, {"work": 2.0}),
        ({"reward_near": np.ones(3), "reward_dist": None, 7: 1.0}, {}),
    ],
)
def test_the_parts_of_a_reward_are_read_from_what_the_world_reports(info: dict, parts: dict) -> None:
    assert reward_parts(info) == parts


WORLD = """\
import gymnasium, numpy as np
from gymnasium.spaces import Box, Dict, Discrete

class Lamp(gymnasium.Env):
    observation_space, action_space = Dict({"a": Discrete(4), "v": Box(-1, 1, (2,), np.float32)}), Discrete(3, start=2)
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode=None, bright=100, ends=False):
        self.render_mode, self.bright, self.ends, self.t = render_mode, bright, ends, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return {"a": 0, "v": np.zeros(2, np.float32)}, {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.t += 1
        ended = self.ends and self.t == 4
        return {"a": self.t % 4, "v": np.zeros(2, np.float32)}, 1.0, ended, False, {"reward_light": 1.0}

    def render(self):
        return np.full((64, 96, 3), self.bright, np.uint8)

class Jammed(Lamp):
    def close(self):
        raise RuntimeError("the shutter is jammed")

class Broken(Lamp):
    def render(self):
        raise RuntimeError("the bulb is gone")

class Blind(Lamp):
    def __init__(self, ends=True):
        super().__init__(ends=ends)
"""


@pytest.fixture
def lamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in a world of a dictionary and of choices from 2, which never ends unless it is told to."""
    (tmp_path / "lamp.py").write_text(WORLD)
    monkeypatch.chdir(tmp_path)
    text = TINY[: TINY.index("world:")] + (
        "world: {id: 'lamp:Lamp', options: {ends: true}}\nagent: {kind: mlp, hidden: [4]}\n"
        "stages: [{name: learn, method: ppo, collect: {groups: 1, horizon: 4}, budget: {updates: 1}}]\n"
        "evaluation: {episodes: 1}\n"
    )
    assert command("run", write_scenario(tmp_path, text), "--out", "run", "-q") == 0
    return tmp_path


def brightness(film: Path) -> list[float]:
    return [float(frame[-8:].mean()) for frame in imageio.mimread(film, memtest=False)]


@imageio_leaks
def test_a_film_takes_settings_of_the_world_and_is_cut_at_its_limit(
    lamp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("record", "run", "-q") == 0
    assert brightness(lamp / "run/videos/best-0.mp4") == pytest.approx([100] * 4, abs=4)
    assert command("record", "run", "--set", "world.id=lamp:Jammed", "--out", "jammed.mp4", "-q") == 0
    changed = ("--set", "world.options.bright=200", "--set", "world.options.ends=false")
    assert command("record", "run", *changed, "--limit", "6", "--out", "long.mp4") == 0
    assert brightness(lamp / "long.mp4") == pytest.approx([200] * 6, abs=4)
    assert "the film ends after 6 steps, and the episode goes on: --limit 12 films more" in capsys.readouterr().err


def test_what_cannot_be_filmed_or_set_is_told(lamp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = {
        ("--set", "world.id=lamp:Blind"): "let its constructor, or the function that makes it, take render_mode=None",
        ("--set", "world.id=lamp:Broken"): "RuntimeError: the bulb is gone",
        ("--set", "world.options.brigth=3"): "Did you mean 'bright'",
        ("--set", "stages=[]"): "its stages cannot change",
        ("--set", "world.id=CartPole-v1", "--set", "world.options={}"): "does not fit 'CartPole-v1'",
        ("--limit", "0"): "0",
    }
    for flags, words in told.items():
        assert command("record", "run", *flags, "-q") == 2
        assert words in " ".join(capsys.readouterr().err.split())


@imageio_leaks
def test_the_gait_of_a_robot_is_told_beside_its_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = TINY.replace("CartPole-v1", "peripatos/Walker-v0").replace("horizon: 32", "horizon: 4")
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    capsys.readouterr()
    assert command("record", tmp_path / "run", "--limit", "12", "-q") == 0
    said = capsys.readouterr()
    assert [Path(line).suffix for line in said.out.splitlines()] == [".mp4", ".png"]
    assert re.search(r"^feet: left only \d+%, right only .*; steps: left \d .*; slip: ", said.err, re.MULTILINE)
    assert command("record", tmp_path / "run", "--limit", "12", "-q", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["files"] == said.out.splitlines()
    assert told["steps"] == 12
    assert sum(told["gait"]["shares"].values()) == pytest.approx(1.0)


def test_a_conversation_is_not_filmed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = TINY[: TINY.index("world:")] + (
        "world: {id: peripatos/Arithmetic-v0}\nagent: {kind: oracle}\n"
        "stages: [{name: look}]\nevaluation: {episodes: 2}\n"
    )
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    assert command("record", tmp_path / "run") == 2
    assert "not filmed" in capsys.readouterr().err


@imageio_leaks
@pytest.mark.slow
def test_a_run_is_filmed_without_a_display(tmp_path: Path) -> None:
    text = TINY[: TINY.index("world:")] + (
        "world: {id: HalfCheetah-v5, options: {max_episode_steps: 8}}\nagent: {kind: random}\n"
        "stages: [{name: look}]\nevaluation: {episodes: 1}\n"
    )
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    assert command("record", tmp_path / "run", "--gif") == 0
    videos = tmp_path / "run" / "videos"
    assert len(imageio.mimread(videos / "best-0.mp4", memtest=False)) == 8
    assert not list(videos.glob("*.png"))  # this world gives no signals


@imageio_leaks
@pytest.mark.slow
def test_a_walker_is_filmed_with_its_gait_beside_the_film(tmp_path: Path) -> None:
    text = TINY[: TINY.index("world:")] + (
        "world: {id: peripatos/Walker-v0, options: {max_episode_steps: 8}}\nagent: {kind: random}\n"
        "stages: [{name: look}]\nevaluation: {episodes: 1}\n"
    )
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    assert command("record", tmp_path / "run") == 0
    videos = tmp_path / "run" / "videos"
    assert sorted(path.name for path in videos.iterdir()) == ["best-0-gait.png", "best-0.mp4"]
