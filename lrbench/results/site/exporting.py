"""`lrbench export-site`: which results are handed on, and the folder that their pages are written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lrbench.errors import UserError
from lrbench.recipe.study import known_studies, load_study
from lrbench.results.board import Board, build_boards
from lrbench.results.bundle.contents import unknown_recipe
from lrbench.results.declarations import standing
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger, LedgerContents
from lrbench.results.rendering.documents import boards_to_csv
from lrbench.results.site.arm_page import arm_pages
from lrbench.results.site.board_page import board_page
from lrbench.results.site.microscope_page import microscope_pages
from lrbench.results.site.pages import NUMBERS, Page, rendered
from lrbench.results.text import plain, size_text
from lrbench.store.files import storage_errors
from lrbench.store.outside import publish, working_beside


@dataclass(frozen=True)
class Site:
    """What was written."""

    folder: Path
    pages: int
    size: int

    def __str__(self) -> str:
        return (
            f"{self.folder}: {self.pages} pages, {size_text(self.size)}. Open {self.folder / 'index.html'}; "
            "any web server or file share can hold the folder."
        )


def export_site(names: Sequence[str], edition: str, studies: Path, runs: Path, to: Path) -> Site:
    """Write the pages of a study in the folder `studies`, or that ships, or of recipes, to a new folder.

    A recipe's name stands for the arms that its latest declaration means. Raises `UserError` for names
    without results, and where `to` holds something already; then nothing is written.
    """
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise UserError(f"{to} is there already and is not overwritten; name a new folder")
    title, recipes = _named(names, edition, studies)
    contents = _part(Ledger(runs / "ledger").read(), recipes)
    boards = build_boards(contents.arms, contents.scores, contents.recipes)
    boards = tuple(board for board in boards if board.rows)
    if not boards:
        raise UserError(f"nothing is measured yet of {', '.join(map(plain, recipes))}; run it first")
    pages = _pages(title, boards, contents, Inspector(runs))
    files = {page.file: rendered(page, title) for page in pages}
    files[NUMBERS] = boards_to_csv(boards)
    size = _write(files, to)
    return Site(to, len(pages), size)


def _named(names: Sequence[str], edition: str, studies: Path) -> tuple[str, list[str]]:
    """What the site is called, and the names of its recipes."""
    if len(names) == 1 and (study := known_studies(studies).get(names[0])):
        loaded = load_study(study, (edition,))[edition]
        return loaded.title, list(dict.fromkeys(source.recipe.name for source in loaded.recipes))
    return ", ".join(plain(name) for name in names), list(dict.fromkeys(names))


def _part(contents: LedgerContents, names: Sequence[str]) -> LedgerContents:
    """What the ledger says of these recipes: the arms that their names stand for, where that was recorded."""
    recipes = standing(contents.recipes)
    known = list(dict.fromkeys([*recipes, *(arm.recipe for arm in contents.arms)]))
    for name in names:
        if name not in known:
            raise unknown_recipe(name, known)
    meant = {arm_id for name in names if name in recipes for arm_id in recipes[name].arm_ids}
    undeclared = set(names) - recipes.keys()
    arms = [arm for arm in contents.arms if arm.arm_id in meant or arm.recipe in undeclared]
    ids = {arm.arm_id for arm in arms}
    return LedgerContents(
        recipes=tuple(record for record in contents.recipes if record.recipe in names),
        arms=tuple(arms),
        scores=tuple(score for score in contents.scores if score.arm_id in ids),
        broken=(),
    )


def _pages(title: str, boards: Sequence[Board], contents: LedgerContents, inspector: Inspector) -> list[Page]:
    """The board first, then every arm's, then what it learnt from."""
    rollouts = microscope_pages(boards, contents, inspector)
    tokens = {page.about: page.file for page in rollouts}
    arms = arm_pages(boards, contents, inspector, tokens)
    links = {page.about: page.file for page in arms}
    return [board_page(title, boards, contents, links, tokens), *arms, *rollouts]


def _write(files: dict[str, str], to: Path) -> int:
    """Write all files, or none; gives their bytes."""
    with storage_errors(to):
        to.parent.mkdir(parents=True, exist_ok=True)
    with working_beside(to) as unfinished, storage_errors(unfinished):
        whole = unfinished / "whole"
        whole.mkdir()
        for name, content in files.items():
            (whole / name).write_text(content, encoding="utf-8")
        publish(whole, to)
    return sum(len(content.encode()) for content in files.values())
