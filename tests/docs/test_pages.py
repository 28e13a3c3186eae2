"""Every block in docs/ is run, by a newcomer who types it in an empty folder: a new one on the day it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Zygote
from told_pages import DOCS, NOT_RUN, Block, Newcomer, pages, skip_unless_possible

PAGES = pages()
TYPED = [
    pytest.param(block, id=str(block), marks=[pytest.mark.slow] if block.dear else [])
    for blocks in PAGES.values()
    for block in blocks
    if block.typed
]
Follow = Callable[[Block], None]


@pytest.fixture(scope="module")
def follow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Follow]:
    """Reads a block, after those of its page that come before it."""
    newcomers: dict[str, Newcomer] = {}
    with Zygote() as zygote:

        def read(block: Block) -> None:
            if block.page not in newcomers:
                newcomers[block.page] = Newcomer(zygote, tmp_path_factory.mktemp(block.page), PAGES[block.page])
            newcomers[block.page].come_to(block)

        yield read


@pytest.mark.parametrize("block", TYPED)
def test_what_a_page_shows_works_when_it_is_typed(block: Block, follow: Follow) -> None:
    skip_unless_possible(block)
    follow(block)


def test_every_block_says_its_language_and_none_is_merely_indented() -> None:
    assert not [str(block) for blocks in PAGES.values() for block in blocks if not block.language]


def test_every_reason_not_to_run_a_block_is_that_of_one() -> None:
    lines = [line for blocks in PAGES.values() for block in blocks for line in block.text.splitlines()]
    assert not [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)]


def test_what_sphinx_makes_is_made_in_ci_with_warnings_as_errors_and_every_page_is_listed() -> None:
    assert "sphinx-build -W" in (DOCS.parent / ".ci" / "run").read_text(encoding="utf-8")
    listed = re.findall(r"^[\w-]+$", "\n".join(b.text for b in PAGES["index"] if b.language == "{toctree}"), re.M)
    assert sorted(listed) == sorted(set(PAGES) - {"index"})


def test_the_files_that_pages_name_exist() -> None:
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:]+)[)#]", text):
            assert (DOCS / link).exists(), f"{page.name}: {link}"


def test_links_to_parts_of_a_page_lead_there() -> None:
    slug: Callable[[str], str] = lambda heading: re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")  # noqa: E731
    for page in DOCS.glob("*.md"):
        for file, part in re.findall(r"\]\(([\w-]+\.md)?#([\w-]+)\)", page.read_text(encoding="utf-8")):
            target = Path(DOCS / file) if file else page
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert part in map(slug, headings), f"{page.name}: {file}#{part}"
