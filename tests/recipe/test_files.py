from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.errors import RecipeError
from lrbench.recipe.files import MAX_BYTES
from lrbench.recipe.loading import load_recipe


def message(path: str | Path) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    return str(caught.value).removesuffix("\n1 problem; nothing was run.")


def test_a_missing_recipe_file_is_told_with_the_nearest_file_beside_it(folder: Path, small: str) -> None:
    (folder / "recipes").mkdir()
    (folder / "recipes" / "quickstart.yaml").write_text(small)
    told = message("recipes/quikstart.yaml")
    assert told == "recipes/quikstart.yaml: no such file; did you mean `quickstart.yaml`?"


@pytest.mark.usefixtures("folder")
def test_a_missing_folder_is_a_missing_file() -> None:
    assert message("nowhere/r.yaml") == "nowhere/r.yaml: no such file"


def test_a_directory_is_no_recipe(folder: Path) -> None:
    (folder / "recipes").mkdir()
    assert message(Path("recipes")) == "recipes: this is a directory; name a recipe file"


def test_a_pipe_is_no_recipe_and_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")
    assert message("pipe.yaml") == "pipe.yaml: this is not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_told(folder: Path, small: str) -> None:
    (folder / "r.yaml").write_text(small)
    (folder / "r.yaml").chmod(0)
    assert message("r.yaml") == "r.yaml: no permission to read this file"


def test_a_refused_permission_is_told(folder: Path, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (folder / "r.yaml").write_text(small)
    monkeypatch.setattr(os, "open", refuse)
    assert message("r.yaml") == "r.yaml: no permission to read this file"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("a\0b", "a\\x00b: this cannot be a file's name"),
        ("\udc80.yaml", "\\udc80.yaml: no such file"),
        ("x" * 300, "x" * 300 + ": cannot be read: File name too long"),
    ],
)
def test_an_impossible_file_name_is_told(path: str, told: str) -> None:
    assert message(path) == told


def test_a_link_that_goes_in_a_circle_is_told(folder: Path) -> None:
    (folder / "r.yaml").symlink_to("r.yaml")
    assert message("r.yaml") == "r.yaml: cannot be read: Too many levels of symbolic links"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "r.yaml:1:1: the file is empty; a recipe is a mapping that begins with `name:`"),
        (b"# nothing yet\n", "r.yaml:1:1: the file is empty; a recipe is a mapping that begins with `name:`"),
        (b"- a\n- b\n", "r.yaml:1:1: found a list, allowed is a mapping of a recipe's fields"),
        (b"\nhello\n", 'r.yaml:2:1: found the text "hello", allowed is a mapping of a recipe\'s fields'),
        (
            b"name: x\ndescription: caf\xe9\n",
            "r.yaml:2:17: found the byte 0xE9, allowed is UTF-8 text; save the file as UTF-8",
        ),
        (
            b"\xef\xbb\xbfname: caf\xe9\n",
            "r.yaml:1:10: found the byte 0xE9, allowed is UTF-8 text; save the file as UTF-8",
        ),
        (b"#" * (MAX_BYTES + 1), "r.yaml: larger than 1 MiB; this is not a recipe"),
    ],
)
def test_a_file_that_holds_no_mapping_is_told(
    refusal: Callable[..., list[str]], content: bytes, told: str
) -> None:
    assert refusal(content) == [told]


def test_a_byte_order_mark_and_windows_line_ends_are_harmless(folder: Path, small: str) -> None:
    (folder / "r.yaml").write_bytes(b"\xef\xbb\xbf" + small.replace("\n", "\r\n").encode())
    assert load_recipe("r.yaml").name == "small"


def test_a_study_is_called_one(folder: Path) -> None:
    (folder / "mine.yaml").write_text("title: Mine\ntable: ablations\neditions: {}\n")
    assert message("mine.yaml") == (
        "mine.yaml: this is a study, not a recipe; run it with `lrbench study mine`"
    )
