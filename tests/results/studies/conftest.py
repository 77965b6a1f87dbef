"""Studies on small recipes, and ledgers that hold made-up results of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrbench.recipe.arms import resolve_arms
from lrbench.recipe.expanding import expand
from lrbench.recipe.identity import recipe_hash
from lrbench.recipe.study import LoadedEdition, load_study
from lrbench.results.ledger import LedgerContents
from lrbench.results.records import RecipeRecord
from lrbench.store.keys import stable_hash
from lrbench.suites.suite import suite_of

N = 100
RECIPE = """\
name: small
pair:
  expert: {model: embedded/expert}
  amateur: {model: embedded/amateur}
data: {train: embedded/multi_step, problems: 8}
training: {updates: 2, rollouts_per_update: 4}
arms: [base, sft, lightr]
evaluation: {suite: embedded7, limit: 100}
"""
# How many of 100 items each arm gets right, the same on every benchmark.
CORRECT = {"base": 40, "sft": 80, "lightr": 90, "no_contrast": 39}


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LoadedEdition]:
    """A study of kind `table` on the small recipe: its embedded edition, in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def declare(
        table: str = "main_results",
        recipe: str = RECIPE,
        overrides: str = "",
        claims: str = "",
        columns: str = "null",
        recipes: str = "",
        title: str = "A study",
    ) -> LoadedEdition:
        Path("small.yaml").write_text(recipe)
        listed = recipes or f"[{{recipe: small.yaml, overrides: [{overrides}]}}]"
        edition = f"{{recipes: {listed}, columns: {columns}, claims: [{claims}]}}"
        Path("study.yaml").write_text(
            f"title: {title}\ntable: {table}\neditions: {{paper: {edition}, embedded: {edition}}}\n"
        )
        return load_study("study.yaml", ("embedded",))["embedded"]

    return declare


@dataclass(frozen=True)
class Made:
    """One arm that a made-up ledger holds: outcomes may depend on any of these."""

    recipe: str
    expert: str
    amateur: str
    arm: str
    seed: int
    point: dict[str, Any]


def outcomes(correct: int, seed: int) -> str:
    """`correct` of N items right; which ones differs a little by seed."""
    order = np.random.default_rng(0).permutation(N)
    swapped = np.random.default_rng(seed + 1).permutation(N)[:4]
    order[swapped] = np.roll(order[swapped], 1)
    return "".join("1" if place < correct else "0" for place in order)


@pytest.fixture(scope="session")
def ledger_of(arm_record: Any, score_record: Any) -> Callable[..., LedgerContents]:
    """What a ledger holds after an edition's recipes were run: `correct(made)` of 100 items each.

    An arm for which that is None was not run. `changes(made)` are further fields of its arm record.
    """

    def build(
        edition: LoadedEdition,
        correct: Callable[[Made], int | None] = lambda made: CORRECT[made.arm],
        changes: Callable[[Made], dict[str, Any]] = lambda _: {},
        limit: int = N,
    ) -> LedgerContents:
        recipes, arms, scores = [], {}, []
        for source in edition.recipes:
            ids = []
            for variant in expand(source.recipe):
                recipe = variant.recipe
                for arm in resolve_arms(recipe):
                    trained = arm.ingredients is not None
                    made = Made(
                        recipe=recipe.name,
                        expert=recipe.pair.expert.model,
                        amateur=recipe.pair.amateur.model if recipe.pair.amateur else "",
                        arm=arm.name,
                        seed=recipe.seed,
                        point=dict(variant.point) if trained else {},
                    )
                    where = made.point if trained else ""
                    arm_id = f"{recipe.name}-{arm.name}-{made.seed if trained else ''}-{where}"
                    ids.append(arm_id)
                    right = correct(made)
                    if right is None or arm_id in arms:
                        continue
                    common = {
                        "arm_id": arm_id,
                        "seed": made.seed if trained else None,
                        "point": made.point,
                        "expert": made.expert,
                        "recipe": recipe.name,
                    }
                    arms[arm_id] = arm_record(arm.name, **(common | changes(made)))
                    suite = suite_of(recipe.evaluation)
                    scores += [
                        score_record(
                            name,
                            outcomes(right, made.seed if trained else -1),
                            arm.name,
                            benchmarks=recipe.evaluation.benchmarks or suite.names,
                            suite=suite.name,
                            limit=limit,
                            evaluation_key=stable_hash([arm_id, limit]),
                            **common,
                        )
                        for name in recipe.evaluation.benchmarks or suite.names
                    ]
            recipes.append(
                RecipeRecord(
                    recipe=source.recipe.name,
                    recipe_hash=recipe_hash(source.recipe),
                    recipe_yaml="name: x\n",
                    arm_ids=tuple(dict.fromkeys(ids)),
                    claims=(),
                    command="",
                    recorded_at="2026-11-20T10:00:00+00:00",
                )
            )
        return LedgerContents(
            recipes=tuple(recipes), arms=tuple(arms.values()), scores=tuple(scores), broken=()
        )

    return build


@pytest.fixture(scope="session")
def nothing() -> LedgerContents:
    """What an empty ledger holds."""
    return LedgerContents(recipes=(), arms=(), scores=(), broken=())
