"""The pages that people read, as Markdown: their links, headings and blocks."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.commands import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("experiments/*/README.md")])


@dataclass(frozen=True)
class Block:
    """A fenced block: the word behind its fence, and what it holds."""

    language: str
    text: str


def name_of(page: Path) -> str:
    """How a test calls it."""
    return str(page.relative_to(ROOT))


@cache
def _tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Where its links and pictures lead, but to other hosts."""
    inner = [token for block in _tokens(page) for token in block.children or []]
    named = [str(token.attrs.get("href") or token.attrs.get("src") or "") for token in inner]
    in_html = "\n".join(token.content for token in [*_tokens(page), *inner] if token.type.startswith("html"))
    named += re.findall(r'(?:src|srcset|href)="([^"]+)"', in_html)
    return [link for link in named if link and not re.match(r"[a-z]+:", link)]


@cache
def anchors(page: Path) -> frozenset[str]:
    """What its headings are called in addresses, as code hosts do it and the site too."""
    found: Counter[str] = Counter()
    tokens = _tokens(page)
    for token, inner in pairwise(tokens):
        if token.type == "heading_open":
            words = "".join(
                part.content for part in inner.children or [] if part.type in ("text", "code_inline")
            )
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found[slug] += 1
    # A heading that stands twice has a number the second time.
    return frozenset(f"{slug}-{n}" if n else slug for slug, times in found.items() for n in range(times))


def blocks(page: Path) -> list[Block]:
    """Its fenced blocks, in their order."""
    return [Block(token.info.strip(), token.content) for token in _tokens(page) if token.type == "fence"]


def typed(block: Block) -> list[str]:
    """The lines of a block that are typed into a shell: those behind a prompt; where there is none, all."""
    if block.language not in ("", "bash", "sh", "console"):
        return []
    lines = block.text.replace("\\\n", " ").splitlines()
    prompted = [line[2:] for line in lines if line.startswith("$ ")]
    return prompted or lines


def in_sentences(page: Path) -> list[str]:
    """What its sentences show as code."""
    inner = [token for block in _tokens(page) for token in block.children or []]
    return [token.content for token in inner if token.type == "code_inline"]
