from __future__ import annotations

from pathlib import Path

import pytest

from lrbench.recipe.references import Origin, local_path, origin_of_model, origin_of_problems


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("reference", "origin"),
    [
        ("embedded/expert", Origin.EMBEDDED),
        ("owner/name", Origin.HUB),
        ("gpt2", Origin.HUB),
        ("./name", Origin.LOCAL),
        ("../owner/name", Origin.LOCAL),
        ("~/name", Origin.LOCAL),
        ("/models/name", Origin.LOCAL),
        ("a/b/c", Origin.LOCAL),
        ("with space/name", Origin.LOCAL),
        ("x" * 5000, Origin.HUB),
    ],
)
def test_a_model_is_embedded_local_or_of_the_hub(reference: str, origin: Origin) -> None:
    assert origin_of_model(reference) is origin


def test_a_folder_that_is_there_is_local_although_it_could_be_a_hub_id(folder: Path) -> None:
    (folder / "owner" / "name").mkdir(parents=True)
    assert origin_of_model("owner/name") is Origin.LOCAL


def test_problems_are_embedded_public_or_a_file() -> None:
    assert origin_of_problems("math/train") is Origin.PUBLIC
    assert origin_of_problems("embedded/formula") is Origin.EMBEDDED
    assert origin_of_problems("owner/name") is Origin.LOCAL


def test_a_tilde_is_the_home_folder_of_a_user_who_exists() -> None:
    assert local_path("~/m") == Path.home() / "m"
    assert local_path("~nobody-of-this-name/m") == Path("~nobody-of-this-name/m")
