"""Every page is in the site's navigation, and every link and anchor leads somewhere."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml
from pygments.lexers import get_lexer_by_name

from tests.commands import ROOT
from tests.documentation.pages import DOCS, PAGES, anchors, blocks, links, name_of

NAVIGATION = ROOT / ".make" / "site" / "navigation.yaml"
# Made when the site is built, the notebook and the page of the real pair from files that lie elsewhere.
WRITTEN = {"fields", "commands", "api", "notebook", "real_pair_run"}


def test_every_page_is_in_the_navigation_once_and_no_other() -> None:
    parts = yaml.safe_load(NAVIGATION.read_text(encoding="utf-8"))
    named = Counter(name for part in parts for page in part["pages"] for name in page)
    assert set(named.values()) == {1}
    assert set(named) == {page.stem for page in DOCS.glob("*.md")} | WRITTEN
    assert [part["section"] for part in parts] == ["Start", "How to", "Reference", "Explanations"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT.resolve()), link
        assert not anchor or anchor in anchors(target), link


def test_the_site_knows_how_to_colour_every_block() -> None:
    named = {block.language for page in DOCS.glob("*.md") for block in blocks(page)}
    assert all(get_lexer_by_name(language) for language in named - {""})


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# A `b`: c!\n\n## Twice\n\n## Twice\n\n[x](#a-b-c) ![y](z.png) <img src="i.png"> [h](https://h)'
    )
    assert links(page) == ["#a-b-c", "z.png", "i.png"]
    assert anchors(page) == {"a-b-c", "twice", "twice-1"}
