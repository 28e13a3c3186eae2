"""What `peripatos rescore` prints: a table for each version of the reward, never one for two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..run.episode_statistics import spell_evaluation
from ..streams import data
from .text_table import print_lines, print_table

if TYPE_CHECKING:
    from ..rescore import FileRescored


def print_rescored(files: Sequence[FileRescored]) -> None:
    """Print to stdout."""
    for place, when in enumerate(("then", "now")):
        for version in dict.fromkeys(file.versions[place] for file in files):
            print_lines(f"scored {when} by {version}")
            print_table(
                [
                    {
                        "update": str(file.update),
                        "split": file.split,
                        "episodes": spell_evaluation((file.before, file.after)[place]),
                    }
                    for file in files
                    if file.versions[place] == version
                ]
            )
            print(file=data())
    for file in files:
        print_lines(f"update {file.update}, {file.split}: {file.changed} episodes have another reward or success")
        for reason, count in file.left_out.items():
            print_lines(f"  {count} left out: {reason}")
    for folder in dict.fromkeys(file.folder for file in files):
        print_lines(str(folder) if folder else "the version is that of the run: nothing was written")
