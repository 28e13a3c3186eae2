"""A new world as a package of its own: what `peripatos init` writes.

What is written stands in `starts/`, as a world called `my_world` that runs and is tested as it is; only its name is
changed.
"""

from __future__ import annotations

import importlib.util
import keyword
import tempfile
from pathlib import Path

from ..envs.errors import UserError, unknown
from .run.disk import in_words

_STARTS = Path(__file__).with_name("starts")
_FILES = ("pyproject.toml", "README.md")  # of every kind
_NAME, _CLASS, _LONGEST = "my_world", "MyWorld", 60


def kinds() -> list[str]:
    """What a world may be begun as."""
    return sorted(folder.name for folder in _STARTS.iterdir() if folder.is_dir() and folder.name.isidentifier())


def begin(name: str, kind: str, within: Path) -> list[Path]:
    """Write the package `name` into a new folder of that name `within` another, whole or not at all; its files.
    UserError for a name that is none or is taken, and for a folder that is there."""
    if kind not in kinds():
        raise UserError(f"--kind: {unknown('kind of world', kind, kinds())}")
    _check_name(name)
    folder = within / name
    sources = [*(_STARTS / file for file in _FILES), *filter(Path.is_file, sorted((_STARTS / kind).iterdir()))]
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder} is there already, and nothing in it is overwritten; give another name")
    try:
        with tempfile.TemporaryDirectory(dir=within, prefix=".unfinished-") as unfinished:
            made = Path(unfinished) / name
            made.mkdir()
            for source in sources:
                text = _renamed(source.read_text(encoding="utf-8"), name)
                (made / _renamed(source.name, name)).write_text(text, encoding="utf-8")
            made.rename(folder)
    except OSError as error:
        what, remedy = in_words(error)
        raise UserError(f"{folder} cannot be written ({what}: {error}); nothing was made: {remedy}") from error
    return [folder / _renamed(source.name, name) for source in sources]


def _check_name(name: str) -> None:
    if not name.isascii() or not name.isidentifier() or name != name.lower() or len(name) > _LONGEST:
        raise UserError(
            f"{name!r:.80} is no name of a package; allowed are small letters, digits and _, a letter first, at most "
            f"{_LONGEST} in all"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or _is_taken(name):
        raise UserError(f"{name!r} is Python's or another package's name, which would be imported in its place")


def _is_taken(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # of a module without a spec, such as __main__
        return True


def _renamed(text: str, name: str) -> str:
    title = "".join(part.capitalize() for part in name.split("_"))
    return text.replace(_NAME, name).replace(_CLASS, title)
