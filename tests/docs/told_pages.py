"""What the pages of the documentation show, and a newcomer who types it.

A page is a story in a folder of its own, told block by block. By its language, a block is

    python, yaml, json, xml
                         a file, where the paragraph before it ends with its name, "this is `my_world.py`:"; a scenario
                         is then checked as it stands, and a comparison planned
    python               else a script
    yaml                 else a part of a scenario, or several, which say the same key in other ways
    bash                 commands, one a line; those that would take long are made small by flags
    text                 what was printed before
    {toctree}, …         made by Sphinx, which CI runs with warnings as errors

`NOT_RUN` is all that nobody types.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import Zygote
from markdown_it import MarkdownIt

from peripatos.scenarios.compare.comparison_file import ComparisonFile, find_comparison
from peripatos.scenarios.compare.plan import plan
from peripatos.scenarios.config.loading import find_scenario

DOCS = Path(__file__).parents[2] / "docs"
NOT_RUN = {  # how a block or a command begins → why nobody types it here
    "pip ": "installs what is installed; .ci/run does it",
    "python -m peripatos.agents.language.engines.vllm_server": "serves until it is stopped, and needs vLLM",
    "engine: {vllm": "needs vLLM, or a server of it",
    "agent: {kind: openai": "asks a server on the network",
    "from peripatos import compare": "takes minutes; tests/scenarios/compare/test_compare.py calls it",
    "methods: [ppo": "a comparison; tests/scenarios/compare/test_sweep.py plans it",
    "peripatos sweep": "takes minutes; tests/scenarios/compare/test_sweep.py makes a smaller one",
    "peripatos compare runs/sweep": "goes on from there",
    "cartpole-ppo: settings": "printed by it",
    "import mujoco_warp": "needs mujoco-warp, which no world uses yet",
    "            BODIES ": "a drawing",
    "s = 1     actor": "a drawing",
    "trusted host process": "a drawing",
    "s.yaml, line 12": "a message with its parts named",
    "- book(guests: integer": "tests/envs/tools/test_user.py compares it with what a model is shown",
    "observation values": "figures of one machine, on 80 columns; tests/scenarios/doctor/test_checkup.py reads others",
    "feet: front left only": "printed of a robot that has learned for a minute, see own-robot",
    **dict.fromkeys(
        ("A = ", "s = V of ", "s_k = V of "),
        "a formula; tests/algorithms/test_methods.py compares it with what is printed",
    ),
    "peripatos compare compare-": "minutes; tests/scenarios/compare/test_comparison_file.py makes smaller ones",
    '{"prompt"': "tests/envs/worlds/coding/test_task_notation.py judges every line",
}
NEEDS = {"LunarLander": "Box2D", "CarRacing": "Box2D", "minigrid": "minigrid", "reasoning_gym": "reasoning_gym"}
PATIENCE = 300.0  # seconds for a command on a busy machine
OF_BODIES = ("compare", "control", "memory", "workers")  # pages whose parts of scenarios belong to a body
_LEARNS = {"collect": {"groups": 4}, "budget": {"updates": 1}}
BODY = {
    "name": "part",
    "world": {"id": "CartPole-v1"},
    "agent": {"kind": "mlp"},
    "stages": [{"name": "learn", "method": "ppo", **_LEARNS, "collect": {"groups": 4, "horizon": 32}}],
}
TALK = {
    "name": "part",
    "world": {"id": "peripatos/Arithmetic-v0"},
    "agent": {"kind": "tiny_llama"},
    "stages": [{"name": "learn", "method": "sft", "demonstrations": {"agent": {"kind": "oracle"}}, **_LEARNS}],
}


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    page: str
    line: int  # of the page, from 1
    heading: str
    language: str
    text: str
    file: str | None  # what the paragraph before it calls it

    def __str__(self) -> str:
        return f"{self.page}.md:{self.line}"

    @property
    def not_run(self) -> str | None:
        """Why nobody types it."""
        if self.file is not None:
            return None
        return next((why for start, why in NOT_RUN.items() if self.text.startswith(start)), None)

    @property
    def typed(self) -> bool:
        """Whether it is for somebody to type, and not a drawing, or for Sphinx."""
        return self.not_run is None and not self.language.startswith("{")

    @property
    def dear(self) -> bool:
        """Whether it takes long, however small it is made; what follows on its page does without it."""
        return self.text.startswith("peripatos compare")

    @property
    def needs(self) -> str | None:
        """A package that it needs and that is not here."""
        named = [package for word, package in NEEDS.items() if word in self.text]
        return next((package for package in named if find_spec(package) is None), None)


def blocks_of(page: Path) -> Iterator[Block]:
    """All of a page, those that are merely indented as well."""
    heading = before = ""
    for token, inside in _with_content(MarkdownIt().parse(page.read_text(encoding="utf-8"))):
        if token.type == "heading_open":
            heading = inside
        elif token.type == "paragraph_open":
            before = inside
        elif token.type in ("fence", "code_block"):
            named = re.search(r"`([\w.-]+\.\w+)`:$", before)
            language = token.info.strip()
            yield Block(page.stem, token.map[0] + 1, heading, language, token.content, named and named[1])
            before = ""


def _with_content(tokens: list[Any]) -> Iterator[tuple[Any, str]]:
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        yield token, following.content if following is not None and following.type == "inline" else ""


def small(argv: list[str], folder: Path) -> list[str]:
    """Flags that make a command short, without a change in what it does."""
    command, *rest = argv
    more: list[str] = []
    if command in ("run", "compare") and not {"--dry-run", "--print-config"} & set(rest):
        here = folder / rest[0]
        data = yaml.safe_load((here if here.exists() else Path(find_scenario(rest[0]))).read_text(encoding="utf-8"))
        sets = [f"stages.{stage['name']}.budget={{updates: 1}}" for stage in data["stages"] if "method" in stage]
        sets += [] if data.get("evaluation", {}).get("episodes") == "all" else ["evaluation.episodes=2"]
        more = [word for one in sets for word in ("--set", one)]
    return more + {"compare": ["--seeds", "1"], "record": ["--limit", "5"], "evaluate": ["--episodes", "2"]}.get(
        command, []
    )


@dataclass
class Newcomer:
    """Types what a page shows, whose blocks are `page`, in `folder`."""

    zygote: Zygote
    folder: Path
    page: list[Block]
    said: str = ""  # all that was printed so far
    read: set[Block] = field(default_factory=set)

    def come_to(self, block: Block) -> None:
        """Type all of the page up to `block` that was not typed yet."""
        for one in self.page:
            wanted = one == block or (one.line < block.line and not one.dear and one.needs is None)
            if one.typed and wanted and one not in self.read:
                self.read.add(one)
                self.follow(one)

    def follow(self, block: Block) -> None:
        """Type it, or compare it with what was printed."""
        if block.file is not None:
            (self.folder / block.file).write_text(block.text, encoding="utf-8")
        if block.language == "bash":
            self._type_all(block)
        elif block.language == "text":
            missing = [line for line in block.text.splitlines() if line not in self.said]
            assert not missing, f"{block}: nothing has printed {missing[0]!r}"
        elif block.language == "python":
            (self.folder / "script.py").write_text(block.text, encoding="utf-8")
            self.type([block.file or "script.py"], block)
        elif block.language == "yaml" and (file := self._comparison(block)) is not None:
            plan(list(file.scenarios), file.methods, 1, self.folder / "out", (), file.sets())
        elif block.language == "yaml" and block.file is not None:
            self.type(["run", block.file, "--dry-run"], block)
        elif block.language == "yaml":
            for number, part in enumerate(_alternatives(block.text)):
                self._try(part, f"part{number}.yaml", block)
        else:
            assert block.language in ("json", "xml"), f"{block}: what is {block.language!r}? See the top of {__name__}"
            assert block.file is not None, f"{block}: no paragraph before it ends with its name, as in `rows.jsonl`:"

    def type(self, argv: list[str], block: Block) -> None:
        """One command, which has to end well."""
        said = self.folder / ".said"
        said.mkdir(exist_ok=True)
        ended = self.zygote.type(argv, self.folder, said, PATIENCE)
        out, err = ((said / name).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
        self.said += out + err
        assert ended["exit"] == 0, f"{block}: {argv}\n{out}{err}"

    def _comparison(self, block: Block) -> ComparisonFile | None:
        return None if block.file is None else find_comparison([str(self.folder / block.file)])

    def _type_all(self, block: Block) -> None:
        for line in block.text.splitlines():
            if line.startswith(tuple(NOT_RUN)):
                continue
            program, *argv = shlex.split(line, comments=True)
            if program == "cd":
                self.folder = self.folder / argv[0]
            else:
                assert program == "peripatos", f"{block}: {program!r} is typed by nobody; say why in NOT_RUN"
                self.type([*argv, *small(argv, self.folder)], block)

    def _try(self, part: dict[str, Any], name: str, block: Block) -> None:
        whole = {**(BODY if block.page in OF_BODIES else TALK), **part}
        for stage in whole["stages"]:
            if "method" in stage:
                stage.update({key: value for key, value in _LEARNS.items() if key not in stage})
        (self.folder / name).write_text(yaml.safe_dump(whole), encoding="utf-8")
        self.type(["run", name, "--dry-run"], block)


def _alternatives(text: str) -> list[dict[str, Any]]:
    """The parts of a scenario in a block: where a key stands there twice, each line is one."""
    keys = re.findall(r"^(\w+):", text, re.MULTILINE)
    return [yaml.safe_load(part) for part in (text.splitlines() if len(set(keys)) < len(keys) else [text])]


def pages() -> dict[str, list[Block]]:
    """The blocks of each page of docs/, by its name."""
    return {page.stem: list(blocks_of(page)) for page in sorted(DOCS.glob("*.md"))}


def skip_unless_possible(block: Block) -> None:
    """Skip a test of what cannot be typed here, with the reason."""
    if block.needs is not None:
        pytest.skip(f"{block} needs {block.needs}, which is not installed")
