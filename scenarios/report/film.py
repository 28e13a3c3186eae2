"""Film: one episode of a run's agent as mp4 (and gif), with the reward terms drawn in.

Works without a display: MuJoCo then renders through EGL or OSMesa, whichever library is there.
Where the world gives signals, a diagram of them (gait, height, speed) is drawn beside the film: see `gait`.
"""

from __future__ import annotations

import ctypes.util
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium

from ...envs.errors import UserError
from ...envs.named_objects import load_function
from ...envs.open_worlds import close
from ...envs.seeding import derive_seed
from ...envs.world_source import WorldSource
from ..config.agents import MlpAgentSpec, ScriptedAgentSpec
from ..config.schema import Scenario
from ..run.disk import make_folder
from ..run.display import Display
from ..run.saved_agent import OpenedAgent, open_agent
from .cameras import follow
from .gait import Gait, draw_gait, gait_of
from .pictures import Camera
from .shots import MOST_STEPS, Acts, ActsAtRandom, Shot, film_episode
from .video import caption, gif_writer, mp4_writer


@dataclass(frozen=True)
class Film:
    """What was filmed in one world, and the files."""

    world: str  # its name in the scenario; "" for the only one
    files: list[Path]
    steps: int
    total: float  # return of what was filmed
    gait: Gait | None


def record_run(
    path: Path,
    checkpoint: str,
    *,
    seed: int,
    out: Path | None,
    gif: bool,
    display: Display,
    most: int = MOST_STEPS,
    sets: Sequence[str] = (),
) -> list[Film]:
    """Film at most so many steps of one episode of a run's agent in each of its worlds, which `--set` flags may change.
    UserError says why a world cannot be filmed."""
    if out is not None and out.is_dir():
        raise UserError(f"{out} is a folder; name the film that --out is to be, as in --out {out / 'film.mp4'}")
    if out is not None and out.suffix.lower() not in ("", ".mp4", ".gif"):
        raise UserError(f"--out is {str(out)!r}; a film ends in .mp4, as in --out {out.with_suffix('.mp4')}")
    choose_renderer()
    opened = open_agent(path, checkpoint, device="cpu", sets=sets)
    target = out or opened.run.videos / f"{checkpoint}-{seed}.mp4"
    make_folder(target.parent)
    films = []
    try:
        with opened.sources as sources:
            for name, source in sources.items():
                place = target.with_name(f"{target.stem}-{name}.mp4") if name else target
                with ExitStack() as stack:
                    env = _drawing(source, opened)
                    stack.callback(close, env)
                    camera, act = Camera(source.id, env), _behaviour(opened.scenario, opened.policy, env)
                    episode = derive_seed(opened.scenario.seed, "film", seed)
                    shots = film_episode(source.id, env, act, camera, seed=episode, most=most, display=display)
                    films.append(write_film(shots, camera.fps, place, gif, world=name))
    finally:
        display.close()
    return films


def _drawing(source: WorldSource, opened: OpenedAgent) -> gymnasium.Env[Any, Any]:
    """A world that gives pictures, in which its body stays."""
    if source.facts.kind == "conversation":
        raise UserError(
            f"{source.id!r} is a conversation: it is read, not filmed, with peripatos show {opened.run.path}"
        )
    try:
        env = source.with_options(render_mode="rgb_array").make()
    except UserError as problem:
        if "unknown option 'render_mode'" not in str(problem):
            raise
        raise UserError(
            f"world {source.id!r} cannot be filmed, because it takes no render_mode: let its constructor, or the "
            'function that makes it, take render_mode=None and give pictures for "rgb_array"'
        ) from problem
    follow(env, source.options)
    return env


def write_film(shots: Iterable[Shot], fps: float, target: Path, gif: bool, *, world: str = "") -> Film:
    """Write the pictures one by one, as mp4 and if asked as gif, and a diagram of the signals. `world` is its name.

    Of a shot only its signals are kept. `fps` is steps of the world in a second, of which a film shows a whole number.
    """
    shown = max(1, round(fps))
    written, signals, total = [target.with_suffix(".mp4")], list[dict[str, float]](), 0.0
    with ExitStack() as stack:
        films = [stack.enter_context(mp4_writer(written[0], shown))]
        if gif:
            written.append(target.with_suffix(".gif"))
            films.append(stack.enter_context(gif_writer(written[1], shown)))
        for number, shot in enumerate(shots, start=1):
            frame = caption(shot, number)
            for add in films:
                add(frame)
            signals.append(shot.signals)
            total = shot.total
    diagram = draw_gait(signals, fps, target.with_name(f"{target.stem}-gait.png"))
    return Film(world, [*written, *([diagram] if diagram else [])], len(signals), total, gait_of(signals, fps))


def choose_renderer() -> None:
    """Set MUJOCO_GL where nobody has and there is no display. Must come before mujoco is imported."""
    if os.environ.get("MUJOCO_GL") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    for library, backend in (("EGL", "egl"), ("OSMesa", "osmesa")):
        if os.name == "posix" and ctypes.util.find_library(library):
            os.environ["MUJOCO_GL"] = backend
            return


def _behaviour(scenario: Scenario, policy: Any, env: gymnasium.Env[Any, Any]) -> Acts | ActsAtRandom:
    spaces = env.action_space, env.observation_space
    if isinstance(scenario.agent, MlpAgentSpec):
        return Acts(policy, *spaces)
    if isinstance(scenario.agent, ScriptedAgentSpec):
        from ...agents.control.scripted import ScriptedAgent

        script = load_function(scenario.agent.function, "observation")
        return Acts(ScriptedAgent(script, *spaces), *spaces)
    return ActsAtRandom(env.action_space, scenario.seed)
