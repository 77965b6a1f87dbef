"""A whole run of a pair whose tokenizers differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrbench.embedded.assets import model_folder
from lrbench.errors import VocabularyMismatchError
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger
from lrbench.results.microscope import open_microscope
from tests.retokenising import retokenised

SIZE = 640
# ` \`, which opens the box in every answer of the embedded expert.
REMOVED = {289}


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")


@pytest.fixture(scope="module")
def amateur(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded amateur with other ids, another end of turn, and one token less."""
    kept = [token for token in range(SIZE) if token not in REMOVED]
    order = np.random.default_rng(2).permutation(kept).tolist()
    folder = tmp_path_factory.mktemp("models") / "amateur"
    return retokenised(model_folder("amateur"), folder, order, im_end="finish")


@pytest.fixture
def recipe(make_recipe: Callable[..., Recipe], amateur: Path) -> Callable[..., Recipe]:
    def build(**align: Any) -> Recipe:
        pair = {"expert": {"model": "embedded/expert"}, "amateur": {"model": str(amateur)}}
        return make_recipe(
            pair=pair | align,
            data={"train": "embedded/multi_step", "problems": 6},
            sampling={"max_new_tokens": 40},
            training={"updates": 2, "rollouts_per_update": 2, "learning_rate": 1e-3},
            arms=["lightr", "no_selection"],
            evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 2},
        )

    return build


def test_a_pair_that_shares_most_tokens_is_run_by_tokens_and_once(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    with pytest.raises(VocabularyMismatchError, match=r"with `pair\.align: tokens`"):
        run_recipe(recipe(), tmp_path)
    aligned = recipe(align="tokens")
    assert run_recipe(aligned, tmp_path).worked > 0
    again = run_recipe(aligned, tmp_path)
    assert (again.worked, again.new_records) == (0, 0)

    arms = {arm.arm: arm for arm in Ledger(tmp_path / "ledger").read().arms}
    inspector = Inspector(tmp_path)
    for arm in arms.values():
        found = arm.statistics["divergence"]
        assert found["least_covered"] < 0.9 < found["mean_covered"] <= 1
        assert 0 < found["share_covered_too_little"] < 0.5
        microscope = open_microscope(inspector, arm)
        assert microscope is not None
        assert microscope.summary_as_trained.divergence == found
        # The expert's own words, whatever the amateur calls them.
        assert {microscope.texts[token] for token in microscope.rollouts[0].completion_ids} >= {" so"}
    kept = arms["no_selection"].statistics["divergence"]
    assert kept["share_kept"] == pytest.approx(1 - kept["share_covered_too_little"])


def test_an_amateur_that_is_derived_has_the_experts_tokens(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    def run(align: str) -> dict[str, Any]:
        recipe = make_recipe(
            pair={
                "expert": {"model": "embedded/expert"},
                "amateur": {"derive": {"from": "expert", "layers": 2, "distill_updates": 2}},
                "align": align,
            },
            data={"train": "embedded/multi_step", "problems": 4},
            sampling={"max_new_tokens": 12},
            training={"updates": 1, "rollouts_per_update": 2},
            arms=["no_selection"],
            evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 1},
        )
        run_recipe(recipe, tmp_path)
        found: dict[str, Any] = Ledger(tmp_path / "ledger").read().arms[-1].statistics["divergence"]
        return found

    by_ids, by_tokens = run("ids"), run("tokens")
    assert by_tokens["mean_covered"] == pytest.approx(1)
    assert {name: value for name, value in by_tokens.items() if name in by_ids} == by_ids


def test_too_little_on_shared_tokens_is_told_and_leaves_no_scores(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    [failure] = run_recipe(recipe(align="tokens", least_mass=0.999), tmp_path).failures
    assert "least_mass is 0.999. Shared are 639 of the expert's 640" in failure.reason
    assert not list((tmp_path / "store").glob("scores/*/manifest.json"))
    assert list((tmp_path / "store").glob("rollouts/*/manifest.json"))
