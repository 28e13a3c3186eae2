"""What a case of the corpus is: the files of a stranger, what they type, and what they have to read then.

Each module `*_cases.py` beside this one has a list CASES of one class of mistakes. A case is written as

    Case("key-top", control("stages:", "stage:"), r"line 4", r"Did you mean 'stages'\\?")

and means: with these files, `peripatos run s.yaml --out out` ends with 2 within ten seconds, says all of the patterns
on stderr, prints no traceback, and says the same under `--dry-run`. A case without patterns is fine on purpose:
`peripatos run s.yaml --dry-run` ends with 0.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

Content = str | bytes | Callable[[Path], None]  # of a file; or what makes a file or a folder at a path
Files = Mapping[str, Content]

CONTROL = """\
name: tiny
world: {id: CartPole-v1}
agent: {kind: mlp, hidden: [16]}
stages:
  - name: balance
    method: ppo
    collect: {groups: 2, horizon: 16}
    overrides: {update: {epochs: 1, minibatches: 2}}
    optimizer: {lr: 1e-3}
    budget: {updates: 2}
evaluation: {every: 2, episodes: 2}
"""
LANGUAGE = """\
name: sums
world:
  id: peripatos/Arithmetic-v0
  options: {operators: ["+"], digits: 1, prompt: bare, answer_tag: answer}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
sampling: {max_tokens: 6}
stages:
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 2}
    budget: {updates: 2}
evaluation: {every: 2, episodes: 4}
"""
RUN = "run s.yaml --out out"


@dataclass(frozen=True, init=False)
class Case:
    """One mistake. `needs` are searched in stderr without regard to case, over lines; `before` is typed before."""

    name: str
    files: Files
    needs: tuple[str, ...]
    argv: tuple[str, ...]
    exits: tuple[int, ...]
    before: tuple[tuple[str, ...], ...] = ()
    slow: bool = False
    mistake: bool = True
    needs_stdout: tuple[str, ...] = field(default=())

    def __init__(
        self,
        name: str,
        files: Files,
        *needs: str,
        argv: str | Sequence[str] | None = None,
        exits: Sequence[int] | None = None,
        before: Sequence[str | Sequence[str]] = (),
        slow: bool = False,
        needs_stdout: Sequence[str] = (),
    ) -> None:
        set_ = object.__setattr__  # of a frozen thing that reads texts as a shell does
        set_(self, "name", name)
        set_(self, "files", files)
        set_(self, "needs", needs)
        set_(self, "argv", _words(argv or (RUN if needs else "run s.yaml --dry-run")))
        set_(self, "exits", tuple(exits) if exits is not None else ((2,) if needs else (0,)))
        set_(self, "before", tuple(map(_words, before)))
        set_(self, "slow", slow)
        set_(self, "mistake", bool(needs))
        set_(self, "needs_stdout", tuple(needs_stdout))


def _words(line: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(shlex.split(line) if isinstance(line, str) else line)


def edited(text: str, *changes: str) -> dict[str, str]:
    """s.yaml: `text` with each old part replaced by the new one behind it."""
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text, f"{old!r} does not stand in the scenario"
        text = text.replace(old, new, 1)
    return {"s.yaml": text}


def control(*changes: str) -> dict[str, str]:
    """s.yaml: a control scenario with some parts replaced."""
    return edited(CONTROL, *changes)


def language(*changes: str) -> dict[str, str]:
    """s.yaml: a language scenario with some parts replaced."""
    return edited(LANGUAGE, *changes)


def cases_in(folder: Path, models: Path) -> list[Case]:
    """A corpus as files: NNN-name.json says `argv`, `needs`, `exit`; what it needs lies in NNN-name.files/, and what
    many need in support/, whose make_models.py fills the folder `models`.
    """
    support: dict[str, Content] = {file.name: file.read_bytes() for file in (folder / "support").glob("my_*.py")}
    maker = folder / "support" / "make_models.py"
    if maker.exists():
        subprocess.run([sys.executable, str(maker), str(models)], check=True, capture_output=True)
        support |= {model.name: partial(_link, model) for model in models.iterdir()}
    cases = []
    for path in sorted(folder.glob("[0-9]*.json")):
        said = json.loads(path.read_text(encoding="utf-8"))
        own = {name: (folder / f"{path.stem}.files" / name).read_bytes() for name in said.get("files", [])}
        files = {**support, **own, ".before": partial(_python, said.get("python_before", []))}
        given = {"argv": said["argv"], "exits": said["exit"], "before": said.get("before", [])}
        needs = said.get("needs", [])
        cases.append(Case(path.stem, files, *needs, **given, needs_stdout=said.get("needs_stdout", [])))
    return cases


def _link(model: Path, path: Path) -> None:
    path.symlink_to(model)


def _python(lines: Sequence[str], path: Path) -> None:
    for code in lines:
        subprocess.run([sys.executable, "-c", code], cwd=path.parent, check=True)
