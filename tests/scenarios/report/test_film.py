"""Films: what is drawn into a picture, and whether what is written can be read."""

from __future__ import annotations

from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
from gymnasium.spaces import Discrete
from PIL import Image
from scenarios_runs import TINY, command, write_scenario

from peripatos.agents.control.scripted import ScriptedAgent
from peripatos.scenarios.report.shots import Acts, Shot
from peripatos.scenarios.report.video import caption, write_gif, write_mp4

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


@imageio_leaks
def test_mp4_and_gif_hold_the_frames(tmp_path: Path) -> None:
    frames = [np.full((64, 96, 3), value, np.uint8) for value in (0, 80, 160, 240)]
    seen = [float(frame.mean()) for frame in imageio.mimread(write_mp4(tmp_path / "film.mp4", frames, fps=20))]
    assert seen == pytest.approx([0, 80, 160, 240], abs=6)
    with Image.open(write_gif(tmp_path / "film.gif", frames, fps=20)) as gif:
        assert (gif.n_frames, gif.size) == (2, (96, 64))  # ten frames a second are enough


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
