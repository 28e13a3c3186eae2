"""Film: one episode of a run's agent as mp4 (and gif), with the reward terms drawn in.

Works without a display: MuJoCo then renders through EGL or OSMesa, whichever library is there.
Where the world gives signals, a diagram of them (gait, height, speed) is drawn beside the film: see `gait`.
"""

from __future__ import annotations

import ctypes.util
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from ...envs.errors import UserError
from ...envs.named_objects import load_function
from ...envs.seeding import derive_seed, stream
from .. import build
from ..config.schema import MlpAgent, Scenario, ScriptedAgent
from ..run.display import Display
from ..run.run_directory import make_folder
from ..run.saved_agent import open_agent
from .gait import draw_gait

GIF_FPS, GIF_WIDTH = 10, 320


@dataclass(frozen=True)
class Shot:
    """One step: what was seen, and what the step earned."""

    picture: np.ndarray  # [height, width, 3] uint8
    reward: float
    total: float  # return so far
    terms: dict[str, float] = field(default_factory=dict)
    signals: dict[str, float] = field(default_factory=dict)  # what the diagram beside the film draws


def record_run(path: Path, checkpoint: str, *, seed: int, out: Path | None, gif: bool, display: Display) -> list[Path]:
    """Film one episode of a run's agent; the files written. UserError says why a world cannot be filmed."""
    choose_renderer()
    run, scenario, policy = open_agent(path, checkpoint, device="cpu")
    if build.is_conversation(scenario):
        raise UserError(f"{scenario.world.id!r} is a conversation: it is read, not filmed; see {run.episodes}")
    env = _filmed_world(scenario)
    try:
        act = _behaviour(scenario, policy, env)
        shots = film_episode(env, act, seed=derive_seed(scenario.seed, "film", seed), display=display)
        fps = round(env.metadata.get("render_fps") or 30)
    finally:
        env.close()
        display.close()
    target = out or run.videos / f"{checkpoint}-{seed}.mp4"
    make_folder(target.parent)
    frames = [caption(shot, number) for number, shot in enumerate(shots, start=1)]
    written = [write_mp4(target.with_suffix(".mp4"), frames, fps)]
    if gif:
        written.append(write_gif(target.with_suffix(".gif"), frames, fps))
    diagram = draw_gait(shots, fps, target.with_name(f"{target.stem}-gait.png"))
    return [*written, diagram] if diagram else written


def choose_renderer() -> None:
    """Set MUJOCO_GL where nobody has and there is no display. Must come before mujoco is imported."""
    if os.environ.get("MUJOCO_GL") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    for library, backend in (("EGL", "egl"), ("OSMesa", "osmesa")):
        if os.name == "posix" and ctypes.util.find_library(library):
            os.environ["MUJOCO_GL"] = backend
            return


def _filmed_world(scenario: Scenario) -> gymnasium.Env[Any, Any]:
    from ...envs.registry import make_world

    return make_world(scenario.world.id, **{**scenario.world.options, "render_mode": "rgb_array"})


class _Acts:
    """Chooses greedy actions, in the form that the world takes."""

    def __init__(self, behaviour: Any, space: Box | Discrete) -> None:
        self._behaviour, self._space = behaviour, space

    def __call__(self, observation: np.ndarray) -> np.ndarray | int:
        seen = np.asarray(observation, np.float32).reshape(1, -1)
        action = self._behaviour.act(seen)[0][0]
        if isinstance(self._space, Discrete):
            return int(action) + int(self._space.start)
        shaped = np.asarray(action).reshape(self._space.shape)
        return np.clip(shaped, self._space.low, self._space.high).astype(self._space.dtype)


class _ActsAtRandom:
    """Samples the action space, from a stream of its own."""

    def __init__(self, space: Box | Discrete, seed: int) -> None:
        space.seed(int(stream(seed, "film").integers(2**31)))
        self._space = space

    def __call__(self, observation: np.ndarray) -> np.ndarray | int:
        drawn = self._space.sample()
        return int(drawn) if isinstance(self._space, Discrete) else np.asarray(drawn)


def _behaviour(scenario: Scenario, policy: Any, env: gymnasium.Env[Any, Any]) -> _Acts | _ActsAtRandom:
    space = env.action_space
    assert isinstance(space, Box | Discrete), "check_parts has seen to it"
    if isinstance(scenario.agent, MlpAgent):
        return _Acts(policy, space)
    if isinstance(scenario.agent, ScriptedAgent):
        from ...agents.control.scripted import ScriptedAgent as Scripted

        return _Acts(Scripted(load_function(scenario.agent.function), space), space)
    return _ActsAtRandom(space, scenario.seed)


def film_episode(
    env: gymnasium.Env[Any, Any], act: _Acts | _ActsAtRandom, *, seed: int, display: Display
) -> list[Shot]:
    """One episode, a shot for each step."""
    observation, _ = env.reset(seed=seed)
    shots: list[Shot] = []
    total, limit = 0.0, (env.spec.max_episode_steps if env.spec else None) or 1000
    terminated = truncated = False
    while not (terminated or truncated):
        observation, reward, terminated, truncated, info = env.step(act(observation))
        total += float(reward)
        terms = {name: float(value) for name, value in info.get("reward_terms", {}).items()}
        signals = {name: float(value) for name, value in info.get("signals", {}).items()}
        shots.append(Shot(_picture(env), float(reward), total, terms, signals))
        display.move("filming", len(shots) / limit, {})
    return shots


def _picture(env: gymnasium.Env[Any, Any]) -> np.ndarray:
    try:
        picture = env.render()
    except (gymnasium.error.DependencyNotInstalled, ImportError, RuntimeError, OSError, AttributeError) as problem:
        raise UserError(
            f"this machine cannot render the world: {problem}. Without a display MuJoCo needs EGL or OSMesa "
            "(Debian: apt-get install libegl1, or libosmesa6 with MUJOCO_GL=osmesa); classic control needs pygame"
        ) from problem
    if not isinstance(picture, np.ndarray):
        raise UserError("this world gives no pictures: it has no render_mode 'rgb_array'")
    return np.ascontiguousarray(picture)


def caption(shot: Shot, number: int) -> np.ndarray:
    """The picture with the step, the return, and a bar for each reward term; even sides, as video wants."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = (side - side % 2 for side in shot.picture.shape[:2])
    image = Image.fromarray(shot.picture[:height, :width])
    draw = ImageDraw.Draw(image, "RGBA")
    size = max(10, width // 45)
    font, line = ImageFont.load_default(size), round(1.35 * size)
    rows = [(name, value) for name, value in shot.terms.items() if value]
    left, column, unit = size, 9 * size, 3 * size  # a bar of `unit` pixels for a term of 1
    box = (0, 0, column + 9 * size, line * (len(rows) + 1) + size)
    draw.rectangle(box, fill=(255, 255, 255, 170))
    draw.text((left, size // 2), f"step {number}   return {shot.total:.1f}", fill="black", font=font)
    for index, (name, value) in enumerate(rows, start=1):
        top = size // 2 + index * line
        draw.text((left, top), name, fill="black", font=font)
        end = column + float(np.clip(value * unit, -2 * size, 4 * size))
        color = (27, 120, 55, 255) if value > 0 else (178, 24, 43, 255)
        draw.rectangle((min(column, end), top + 2, max(column, end), top + size), fill=color)
        draw.text((column + 4.5 * size, top), f"{value:+.3f}", fill="black", font=font)
    return np.asarray(image)


def write_mp4(path: Path, frames: Sequence[np.ndarray], fps: int) -> Path:
    """H.264, which every browser plays."""
    import imageio.v2 as imageio

    with imageio.get_writer(path, fps=fps, codec="libx264", macro_block_size=2, quality=7) as writer:
        for frame in frames:
            writer.append_data(frame)  # pyright: ignore[reportAttributeAccessIssue] (its stubs know only readers)
    return path


def write_gif(path: Path, frames: Sequence[np.ndarray], fps: int) -> Path:
    """Smaller and slower, for a README."""
    from PIL import Image

    step = max(1, round(fps / GIF_FPS))
    chosen = [Image.fromarray(frame) for frame in frames[::step]]
    scale = min(1.0, GIF_WIDTH / chosen[0].width)
    small = [image.resize((round(image.width * scale), round(image.height * scale))) for image in chosen]
    colors = [image.quantize(64, dither=Image.Dither.NONE) for image in small]
    duration = round(1000 * step / fps)
    colors[0].save(path, save_all=True, append_images=colors[1:], duration=duration, loop=0, optimize=True)
    return path
