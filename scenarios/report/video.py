"""Pictures to files: captions with bars for the reward terms, mp4 and gif."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..run.disk import RunFailed
from .shots import Shot

GIF_FPS, GIF_WIDTH = 10, 320
Add = Callable[[np.ndarray], object]  # takes the next frame [height, width, 3] uint8


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


@contextmanager
def mp4_writer(path: Path, fps: int) -> Iterator[Add]:
    """H.264, which every browser plays. Each frame goes to the encoder as it comes, and none is kept; the file has its
    name once it is whole. OSError where the disk takes no more."""
    import imageio.v2 as imageio

    how: dict[str, Any] = {"codec": "libx264", "macro_block_size": 2, "quality": 7, "ffmpeg_log_level": "quiet"}
    with _whole_or_nothing(path) as place:
        # `closing`: as its own context a writer stays open where something fails
        with closing(imageio.get_writer(place, fps=fps, **how)) as writer:
            append: Any = writer.append_data  # pyright: ignore[reportAttributeAccessIssue] (its stubs know only readers)

            def add(frame: np.ndarray) -> None:
                try:
                    append(frame)
                except OSError:  # it tells of a broken pipe, and how it was called
                    raise _why_unfinished(place) from None

            yield add
        if b"moov" not in place.read_bytes():  # the index, which comes last; nobody says how the encoder ended
            raise _why_unfinished(place)


def _why_unfinished(place: Path) -> Exception:
    """What the operating system says to whoever tries to write more behind what the encoder has left."""
    try:
        with place.open("ab") as file:
            file.write(bytes(1 << 16))
    except OSError as error:
        return error
    return RunFailed(f"the encoder ended before {place.parent} held the whole film; type the command again")


@contextmanager
def gif_writer(path: Path, fps: int) -> Iterator[Add]:
    """Smaller and slower, for a README: of each frame what has changed since the one before, with colors of its own.
    One frame is kept; the file has its name once it is whole."""
    from PIL import Image, ImageChops
    from PIL.GifImagePlugin import getdata, getheader

    step, number = max(1, round(fps / GIF_FPS)), 0
    before: Image.Image | None = None

    def add(frame: np.ndarray) -> None:
        nonlocal number, before
        number += 1
        if (number - 1) % step:
            return
        image = Image.fromarray(frame)
        scale = min(1.0, GIF_WIDTH / image.width)
        small = image.resize((round(image.width * scale), round(image.height * scale)))
        colors = small.quantize(64, dither=Image.Dither.NONE)
        shown = colors.convert("RGB")
        box = (0, 0, *shown.size)
        if before is None:
            file.write(b"".join(getheader(colors.copy(), info={"loop": 0})[0]))
        else:
            box = ImageChops.difference(shown, before).getbbox() or (0, 0, 1, 1)
        params = {"duration": round(1000 * step / fps), "include_color_table": True}
        file.write(b"".join(getdata(colors.crop(box), box[:2], **params)))
        before = shown

    with _whole_or_nothing(path) as place, place.open("wb") as file:
        yield add
        file.write(b";")


@contextmanager
def _whole_or_nothing(path: Path) -> Iterator[Path]:
    """Where to write what is to become `path`."""
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
