"""Pictures to files: captions with bars for the reward terms, mp4 and gif."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .shots import Shot

GIF_FPS = 10


GIF_WIDTH = 320


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
