"""Components of installed packages: written, planned, run, explained, bundled and verified like ours."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from lrbench.errors import RecipeError, StoreError
from lrbench.methods.plugins import identity_of, lacking, plugins_of
from lrbench.methods.selectors import SELECTOR, All, Kl, Rule
from lrbench.methods.targets import Contrast
from lrbench.pipeline.doctor import examine
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.redoing import redone
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.recorded import recorded_recipe
from lrbench.recipe.schema import Divergence, Recipe
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger
from lrbench.results.microscope import open_microscope
from lrbench.results.records import ArmRecord
from lrbench.store.store import Store
from lrbench.suites.offers import FAMILIES, all_offers
from tests.methods.packages import DOCUMENTED, SELECTING, installed, put, stepping

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "recipes" / "quickstart.yaml"
MINE = "{name: mine, like: lightr, selector: every_second}"
MATCHED = "{name: random, like: lightr, selector: {signal: random, match: mine}}"
SMALL = [
    "data.problems=8",
    "training.updates=1",
    "evaluation.limit=1",
    "evaluation.benchmarks=[one_step]",
    "seed=3",
    "runtime.workers=1",
]
BROKEN = "raise RuntimeError('no such library')"


def recipe_of(*arms: str) -> Recipe:
    return load_recipe(QUICKSTART, [*SMALL, f"arms=[{', '.join(arms)}]"])


def refusal(*arms: str) -> str:
    with pytest.raises(RecipeError) as raised:
        recipe_of(*arms)
    return str(raised.value)


def samples_key(recipe: Recipe, runs: Path, arm: str) -> str:
    planned = next(found for found in plan_recipe(recipe, runs).arms if found.arm.name == arm)
    assert planned.adapter is not None
    return planned.adapter.samples.key


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stepping(tmp_path_factory.mktemp("site"))


@pytest.fixture
def here(site: Path) -> Iterator[None]:
    with installed(site):
        yield


@pytest.fixture(scope="module")
def finished(site: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A runs folder with an arm by a package's selector, and one that is matched to it; and their bundle."""
    runs, path = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("bundle") / "b.tar.gz"
    with installed(site), pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRBENCH_MLFLOW", "off")
        recipe = recipe_of("base", MINE, MATCHED)
        run_recipe(recipe, runs)
        write_bundle([recipe.name], runs, path)
    return runs, path


def arm_of(runs: Path, name: str) -> ArmRecord:
    return next(arm for arm in Ledger(runs / "ledger").read().arms if arm.arm == name)


@pytest.mark.usefixtures("here")
class TestAnInstalledSelector:
    def test_is_written_as_its_word_or_by_its_telling_field(self) -> None:
        recipe = recipe_of("base", MINE, "{name: third, like: lightr, selector: {every: 3}}")
        _, mine, third = recipe.arms
        assert mine.selector.model_dump() == "every_second"
        assert third.selector.model_dump() == {"every": 3}
        assert recorded_recipe(resolved_yaml(recipe), "the record") == recipe

    def test_has_its_own_fields_checked_where_they_are_written(self) -> None:
        said = refusal("base", "{name: mine, like: lightr, selector: {every: often}}")
        assert "arms.1.selector.every: " in said
        assert 'found the text "often", allowed is a whole number' in said
        said = refusal("base", "{name: mine, like: lightr, selector: {evry: 3}}")
        assert "did you mean `every`?" in said

    def test_is_one_of_the_words_that_a_message_lists(self) -> None:
        said = refusal("base", "{name: mine, like: lightr, selector: evry_second}")
        assert "`every_second`" in said
        assert "did you mean `every_second`?" in said

    def test_is_in_the_identity_with_its_package_its_version_and_its_source(self) -> None:
        selector = recipe_of("base", MINE).arms[1].selector
        assert selector is not None
        identity = identity_of(selector)
        assert identity["selector"] == "every_second"
        package = identity["plugins"]["selector"]["every_second"]
        assert (package["distribution"], package["version"]) == ("lrbench-stepping", "1.0")
        assert len(package["sha256"]) == 64

    def test_counts_in_the_identity_of_an_arm_that_is_matched_to_it(self, tmp_path: Path) -> None:
        recipe = recipe_of("base", MINE, MATCHED)
        planned = {arm.arm.name: arm for arm in plan_recipe(recipe, tmp_path).arms}
        for name in ("mine", "random"):
            adapter = planned[name].adapter
            assert adapter is not None
            assert "every_second" in adapter.samples.identity["plugins"]["selector"]

    def test_is_listed_by_doctor(self, tmp_path: Path) -> None:
        found = [finding.text for finding in examine(tmp_path / "none", quick=True) if finding.well]
        assert "the package lrbench-stepping 1.0 adds the selector every_second, the selector nth" in found


@pytest.mark.usefixtures("here")
def test_the_documented_arms_are_arms() -> None:
    (written,) = re.findall(r"```yaml\n(.*?)```", DOCUMENTED, re.DOTALL)
    arms = yaml.safe_load(written)["arms"]
    assert len(recipe_of(*map(json.dumps, arms)).arms) == len(arms)


def test_our_own_components_have_the_identities_that_they_had() -> None:
    assert identity_of(Kl(beta=0.4), Contrast(alpha=0.2)) == {
        "selector": "kl",
        "beta": 0.4,
        "target": "contrast",
        "alpha": 0.2,
    }
    assert plugins_of(All(), Rule(signal="entropy", top=0.2)) == {}


def test_an_installed_selector_keeps_what_it_says_and_the_microscope_explains_it(
    site: Path, finished: tuple[Path, Path]
) -> None:
    runs, _ = finished
    with installed(site):
        arm = arm_of(runs, "mine")
        microscope = open_microscope(Inspector(runs), arm)
        assert microscope is not None
        kept = microscope.kept(microscope.trained)
        np.testing.assert_array_equal(kept, microscope.scores.step % 2 == 0)
        assert arm.statistics["kept_steps"] == kept.sum() > 0
        view = microscope.rollout(0, Divergence())
        assert view.reason(0) == "Kept: step 0 is even."
        assert view.reason(1) == "Not kept: step 1 is odd."
        matched = open_microscope(Inspector(runs), arm_of(runs, "random"))
        assert matched is not None
        assert matched.kept(matched.trained).sum() == kept.sum()


def test_its_bundle_is_verified_where_the_package_is_installed(
    site: Path, finished: tuple[Path, Path]
) -> None:
    with installed(site):
        assert verify_bundle(finished[1]).findings == ()


def test_its_bundle_says_which_package_to_install_where_it_is_not(finished: tuple[Path, Path]) -> None:
    runs, bundle = finished
    first, *_ = verify_bundle(bundle).findings
    assert "`every_second` is of the package lrbench-stepping 1.0, which is not installed here" in first
    assert "install lrbench-stepping==1.0" in first
    with pytest.raises(StoreError, match=r"install lrbench-stepping==1\.0"):
        open_microscope(Inspector(runs), arm_of(runs, "mine"))


@pytest.mark.parametrize(
    ("version", "module", "said"),
    [("1.1", SELECTING, "installed here is 1.1"), ("1.0", f"{SELECTING}\n# Other.\n", "whose source is not")],
)
def test_another_version_or_source_is_another_key_and_the_difference_is_said(
    site: Path, finished: tuple[Path, Path], tmp_path: Path, version: str, module: str, said: str
) -> None:
    runs, bundle = finished
    with installed(site):
        recipe = recipe_of("base", MINE)
        as_made = samples_key(recipe, tmp_path, "mine")
    with installed(stepping(tmp_path / "site", version, module)):
        recipe = recipe_of("base", MINE)
        assert samples_key(recipe, tmp_path, "mine") != as_made
        (made_again,) = redone(plan_recipe(recipe, tmp_path).stages, Store(runs / "store"))
        assert "package" in made_again.reason
        assert said in verify_bundle(bundle).findings[0]
        with pytest.raises(StoreError, match=said):
            open_microscope(Inspector(runs), arm_of(runs, "mine"))


def test_a_word_that_nothing_installed_has_is_told_with_the_words_there_are() -> None:
    said = refusal("base", "{name: mine, like: lightr, selector: every_second}")
    assert "`kl`, `all`" in said
    assert "where a package adds it, install that" in said


OURS_AGAIN = SELECTING.replace('"every_second"', '"kl"')
TELLING = SELECTING.replace("every: int", "signal: int").replace("self.every", "self.signal")
OFFERS = [
    ({"stepping": BROKEN}, {"every_second": "stepping:EverySecond"}, "RuntimeError: no such library"),
    ({"stepping": "exit(3)"}, {"every_second": "stepping:EverySecond"}, "SystemExit: 3"),
    ({"stepping": "def"}, {"every_second": "stepping:EverySecond"}, "SyntaxError"),
    ({}, {"every_second": "no_such_module:EverySecond"}, "No module named"),
    ({"stepping": SELECTING}, {"every_second": "stepping:Gone"}, "AttributeError"),
    ({"stepping": "EverySecond = 3"}, {"every_second": "stepping:EverySecond"}, "is no component"),
    ({"stepping": SELECTING}, {"second": "stepping:EverySecond"}, "has to be called the same"),
]


@pytest.mark.parametrize(("modules", "entries", "said"), OFFERS, ids=[said for *_, said in OFFERS])
def test_what_cannot_be_used_is_told_to_who_asks_for_it_and_by_doctor_and_stops_nobody_else(
    tmp_path: Path, modules: dict[str, str], entries: dict[str, str], said: str
) -> None:
    (word,) = entries
    with installed(put(tmp_path / "site", "lrbench-broken", "2.0", modules, entries)):
        message = refusal("base", f"{{name: mine, like: lightr, selector: {word}}}")
        assert f"arms.1.selector: `{word}` of the package lrbench-broken 2.0 cannot be used: " in message
        assert said in message
        (problem,) = [finding.text for finding in examine(tmp_path / "none", True) if not finding.well]
        assert said in problem
        assert "lrbench-broken 2.0" in problem
        assert recipe_of("base", "lightr").arms[1].name == "lightr"


@pytest.mark.parametrize(
    ("module", "entry", "said"),
    [
        (OURS_AGAIN, {"kl": "stepping:EverySecond"}, "lrbench has a component of its own with this word"),
        (
            TELLING,
            {"nth": "stepping:Every"},
            "its first field is `signal`, which stands for lrbench's `rule`",
        ),
        (
            SELECTING.replace("selector import Selector", "changes import Change as Selector"),
            {"every_second": "stepping:EverySecond"},
            "packages can add selectors, targets, answers and graders, and this is of kind change",
        ),
    ],
)
def test_what_means_something_already_goes_on_to_mean_it(
    tmp_path: Path, module: str, entry: dict[str, str], said: str
) -> None:
    with installed(put(tmp_path / "site", "lrbench-again", "1", {"stepping": module}, entry)):
        (problem,) = [finding.text for finding in examine(tmp_path / "none", True) if not finding.well]
        assert said in problem
        recipe = recipe_of("base", "{name: a, like: lightr, selector: kl}", MATCHED.replace("mine", "a"))
        assert [type(arm.selector) for arm in recipe.arms] == [type(None), Kl, Rule]


@pytest.mark.parametrize(
    ("word", "base", "why"),
    [
        ("objective", "objectives import Objective", "lrbench's own training loop"),
        ("change", "changes import Change", "lrbench's own stages"),
        ("source", "sources import Source", "lrbench's own stages"),
    ],
)
def test_what_packages_cannot_add_is_told_to_who_writes_it(
    tmp_path: Path, word: str, base: str, why: str
) -> None:
    module = SELECTING.replace("selector import Selector", f"{base} as Selector")
    entry = {"every_second": "stepping:EverySecond"}
    with installed(put(tmp_path / "site", "lrbench-more", "1", {"stepping": module}, entry)):
        said = refusal("base", f"{{name: mine, like: lightr, {word}: every_second}}")
        assert f"arms.1.{word}: `every_second` of the package lrbench-more 1 cannot be used: " in said
        assert (
            f"packages can add selectors, targets, answers and graders, and this is of kind {word}: " in said
        )
        assert why in said
        assert recipe_of("base", "lightr").arms[1].name == "lightr"


def test_of_a_package_that_is_there_twice_the_one_that_is_imported_counts(tmp_path: Path) -> None:
    older, newer = stepping(tmp_path / "older", "0.9"), stepping(tmp_path / "newer", "2.0")
    # The last one stands first on the path.
    with installed(older, newer):
        assert {(offer.version, offer.problem) for offer in all_offers()} == {("2.0", None)}


def test_two_packages_with_one_word_are_both_refused(tmp_path: Path) -> None:
    one = put(tmp_path / "a", "lrbench-a", "1", {"of_a": SELECTING}, {"every_second": "of_a:EverySecond"})
    other = put(tmp_path / "b", "lrbench-b", "1", {"of_b": SELECTING}, {"every_second": "of_b:EverySecond"})
    with installed(one, other):
        message = refusal("base", MINE)
        assert "cannot be used: lrbench-b offers the same word" in message
        assert [offer.problem is None for offer in all_offers()] == [False, False]


TEACHING = '''
from typing import Literal

from lrbench.methods.answers import Answer
from lrbench.methods.targets import Target, own_token


class Halved(Target):
    """The token that the rollout has."""

    word = "halved"

    use: Literal["halved"] = "halved"

    @property
    def identity(self):
        return {"target": self.word}

    def distributions(self, own_ids, kept, scores):
        return own_token(own_ids)


class First(Answer):
    """After the word First."""

    word = "first_word"
    here = False

    @property
    def given(self):
        return "First"
'''


def test_targets_also_as_parts_and_answers_are_added_in_the_same_way(tmp_path: Path) -> None:
    entries = {"halved": "teaching:Halved", "first_word": "teaching:First"}
    with installed(put(tmp_path / "site", "lrbench-teaching", "1", {"teaching": TEACHING}, entries)):
        recipe = recipe_of(
            "{name: led, like: base, answer: first_word}",
            "{name: whole, like: lightr, target: halved}",
            "{name: part, like: lightr, target: [{use: halved, weight: 0.5}, {use: contrast, weight: 0.5}]}",
        )
        assert recorded_recipe(resolved_yaml(recipe), "the record") == recipe
        planned = {arm.arm.name: arm for arm in plan_recipe(recipe, tmp_path).arms}
        assert "first_word" in planned["led"].answered_by.identity["plugins"]["answer"]
        for name in ("whole", "part"):
            adapter = planned[name].adapter
            assert adapter is not None
            assert list(adapter.samples.identity["plugins"]["target"]) == ["halved"]


@pytest.mark.parametrize(
    "recorded", [{"plugins": 3}, {"plugins": {"selector": {"x": {"distribution": "-e"}}}}]
)
def test_what_a_hostile_record_says_of_packages_is_no_advice(recorded: dict[str, object]) -> None:
    assert lacking(recorded) == ["it does not say which packages its components come from"]


def test_nobody_who_uses_our_own_components_imports_a_package(tmp_path: Path) -> None:
    site = put(tmp_path / "site", "lrbench-broken", "1", {"stepping": BROKEN}, {"x": "stepping:X"})
    with installed(site):
        assert SELECTOR.find("kl") is Kl
        for family in FAMILIES:
            assert family.find(family.components[0]()) is family.components[0]
        assert "stepping" not in sys.modules
        recipe_of("base", "lightr")


def test_no_package_keeps_the_command_line_from_its_help(tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    telling = f"open({str(loaded)!r}, 'w').close()"
    site = put(tmp_path / "site", "lrbench-telling", "1", {"stepping": telling}, {"x": "stepping:X"})
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    command = [sys.executable, "-c", "from lrbench.cli import main; main()", "--help"]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "doctor" in found.stdout
    assert not loaded.exists()
