"""The pages that users read: every relative link leads to a file, and to a heading in it, and README to every page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")


def links(page: Path) -> Iterator[tuple[Path, str]]:
    for path, heading in LINK.findall(page.read_text()):
        yield ((page.parent / path).resolve() if path else page), heading


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    found = list(links(page))
    assert [str(target) for target, _ in found if not target.exists()] == []
    assert [heading for target, heading in found if heading and heading not in anchors(target)] == []


def test_every_page_is_found_from_the_readme() -> None:
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in seen:
            seen.add(page)
            targets = {target for target, _ in links(page)}
            ahead += [each for each in PAGES if each in targets or each.parent in targets]
    assert sorted(set(PAGES) - seen) == []
