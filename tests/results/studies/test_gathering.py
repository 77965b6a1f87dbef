"""A study's lines hold what was run as declared, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lrbench.embedded.assets import problems
from lrbench.results.records import items_hash
from lrbench.results.studies.gathering import gather, missing_of
from lrbench.results.studies.report import build_report

RUNS = Path("runs")


def commands(gathered, runs=RUNS):
    return [(one.what, one.command) for one in missing_of(gathered.lines, runs)]


def test_everything_run_as_declared_is_found(declared, ledger_of):
    edition = declared(overrides='"seeds=[0,1,2]"')
    gathered = gather(edition, ledger_of(edition))
    assert [(line.arm.name, line.seeds, len(line.rows)) for line in gathered.lines] == [
        ("base", (0,), 1),
        ("sft", (0, 1, 2), 3),
        ("lightr", (0, 1, 2), 3),
    ]
    assert [row.seed for row in gathered.lines[2].rows] == [0, 1, 2]
    assert commands(gathered) == []


def test_of_an_empty_ledger_everything_is_missing_and_one_command_makes_it(declared, nothing):
    edition = declared(overrides='"seeds=[0,1,2]"')
    gathered = gather(edition, nothing)
    assert commands(gathered) == [
        (
            "base, sft (seeds 0, 1, 2), lightr (seeds 0, 1, 2)",
            "lrbench run small.yaml 'seeds=[0,1,2]'",
        )
    ]
    assert commands(gathered, Path("other runs"))[0][1].endswith(" --runs 'other runs'")


def test_seeds_that_were_not_run_are_named(declared, ledger_of):
    edition = declared(overrides='"seeds=[0,1,2]"')
    contents = ledger_of(edition, lambda made: None if (made.arm, made.seed) == ("sft", 1) else 50)
    assert [what for what, _ in commands(gather(edition, contents))] == ["sft (seeds 1)"]


def test_one_seed_run_by_itself_counts(declared, ledger_of):
    edition = declared(overrides='"seeds=[0,1,2]"')
    alone = declared(overrides="seed=1")
    gathered = gather(edition, ledger_of(alone))
    assert [len(line.rows) for line in gathered.lines] == [1, 1, 1]
    assert gathered.lines[2].missing_seeds == (0, 2)


def test_one_seed_of_a_sweep_run_by_itself_counts_at_every_point(declared, ledger_of):
    sweep = '"sweep={grid: {divergence.beta: [0.2, 0.6]}}"'
    edition = declared(overrides=f'{sweep}, "seeds=[0,1]"')
    gathered = gather(edition, ledger_of(declared(overrides=f"{sweep}, seed=1")))
    assert [(line.label, line.missing_seeds) for line in gathered.lines if line.arm.name == "lightr"] == [
        ("lightr (divergence.beta 0.2)", (0,)),
        ("lightr (divergence.beta 0.6)", (0,)),
    ]


def test_a_recipe_run_with_another_setting_does_not_count(declared, ledger_of):
    edition = declared()
    other = declared(overrides="divergence.beta=0.8")
    assert all(not line.rows for line in gather(edition, ledger_of(other)).lines)


def test_a_recipe_run_with_another_description_or_batch_size_counts(declared, ledger_of):
    edition = declared()
    other = declared(overrides="description=other, runtime.batch_size=2")
    assert all(line.rows for line in gather(edition, ledger_of(other)).lines)


def test_results_on_fewer_items_do_not_count(declared, ledger_of):
    edition = declared()
    contents = ledger_of(edition, limit=5)
    assert all(not line.rows and line.records for line in gather(edition, contents).lines)


def test_of_two_protocols_the_later_counts_and_the_other_is_told(declared, ledger_of):
    edition = declared()
    contents = ledger_of(edition)
    older = [
        score.model_copy(
            update={
                "protocol_hash": "older",
                "suite_protocol": dict.fromkeys(score.suite_protocol, "older"),
                "recorded_at": "2026-11-01T00:00:00+00:00",
                "arm_id": score.arm_id,
            }
        )
        for score in contents.scores
        if score.arm == "sft"
    ]
    newer = [score for score in contents.scores if score.arm != "sft"]
    gathered = gather(edition, replace(contents, scores=(*older, *newer)))
    assert [len(line.rows) for line in gathered.lines] == [1, 0, 1]
    assert gathered.left_out == 1


def test_the_untrained_expert_is_one_line_however_many_recipes_declare_it(declared, ledger_of):
    recipes = "[small.yaml, {recipe: small.yaml, overrides: [name=other, pair.amateur.model=embedded/peer]}]"
    edition = declared(recipes=recipes)
    contents = ledger_of(edition, lambda made: None if made.recipe == "small" else 50)
    gathered = gather(edition, contents)
    assert [(line.arm.name, line.amateur, len(line.rows)) for line in gathered.lines] == [
        ("base", None, 1),
        ("sft", None, 0),
        ("lightr", "embedded/amateur", 0),
        ("sft", None, 1),
        ("lightr", "embedded/peer", 1),
    ]


def test_a_sweep_is_a_line_per_point(declared, ledger_of):
    edition = declared(overrides='"sweep={grid: {divergence.beta: [0.2, 0.6]}}"')
    gathered = gather(
        edition, ledger_of(edition, lambda made: 50 + int(10 * made.point.get("divergence.beta", 0)))
    )
    lightr = [line for line in gathered.lines if line.arm.name == "lightr"]
    assert [line.label for line in lightr] == ["lightr (divergence.beta 0.2)", "lightr (divergence.beta 0.6)"]
    assert [line.rows[0].cells["formal"].correct for line in lightr] == [52, 56]


def test_a_line_is_set_against_its_own_recipe_first(declared, ledger_of):
    recipes = "[small.yaml, {recipe: small.yaml, overrides: [name=other, pair.amateur.model=embedded/peer]}]"
    edition = declared(recipes=recipes)
    gathered = gather(edition, ledger_of(edition))
    last = gathered.lines[-1]
    sft, base = gathered.sibling(last, "sft"), gathered.sibling(last, "base")
    assert sft is not None
    assert sft.recipe.name == "other"
    assert base is gathered.lines[0]
    assert gathered.sibling(last, "lightr") is None
    assert gathered.sibling(last, "neither") is None


def joined(older, newer):
    """Both ledgers' contents; `newer` was made later, under other arm ids."""
    later = "2026-11-21T10:00:00+00:00"

    def moved(record):
        return record.model_copy(update={"arm_id": f"new-{record.arm_id}", "recorded_at": later})

    recipes = [
        record.model_copy(
            update={"arm_ids": tuple(f"new-{one}" for one in record.arm_ids), "recorded_at": later}
        )
        for record in newer.recipes
    ]
    return replace(
        older,
        recipes=(*older.recipes, *recipes),
        arms=(*older.arms, *map(moved, newer.arms)),
        scores=(*older.scores, *map(moved, newer.scores)),
    )


def with_other_weights(contents):
    scores = tuple(score.model_copy(update={"expert_weights": "files:other"}) for score in contents.scores)
    return replace(contents, scores=scores)


def test_seeds_of_other_weights_are_never_averaged_with_the_latest(declared, ledger_of):
    claims = "lightr > base on average"
    alone = ledger_of(declared(overrides="seed=0"), lambda _: 30)
    edition = declared(overrides='"seeds=[0,1]"', claims=claims)
    contents = joined(ledger_of(edition), with_other_weights(alone))
    gathered = gather(edition, contents)
    assert [[row.expert_weights for row in line.rows] for line in gathered.lines] == [["files:other"]] * 3
    assert [len(line.records) for line in gathered.lines] == [1, 1, 1]
    assert commands(gathered) == [("sft (seeds 1), lightr (seeds 1)", "lrbench run small.yaml 'seeds=[0,1]'")]
    (judged,) = build_report(edition, contents, RUNS).claims
    assert judged.claims[0][0].startswith("underpowered")


def test_an_expert_that_was_measured_anew_leaves_out_what_was_trained_from_its_old_weights(
    declared, ledger_of
):
    edition = declared(claims="lightr > base on average")
    newer = ledger_of(edition, lambda made: 40 if made.arm == "base" else None)
    contents = joined(ledger_of(edition), with_other_weights(newer))
    gathered = gather(edition, contents)
    assert [len(line.rows) for line in gathered.lines] == [1, 0, 0]
    (judged,) = build_report(edition, contents, RUNS).claims
    assert judged.claims[0][0].startswith("unmeasured")


def test_seeds_made_with_other_settings_are_never_averaged_with_the_latest(declared, ledger_of):
    edition = declared(overrides='"seeds=[0,1]"')
    other = {"settings": {"divergence": {"alpha": 0.3}}}
    newer = ledger_of(
        declared(overrides="seed=0"), changes=lambda made: other if made.arm == "lightr" else {}
    )
    lines = {line.arm.name: line for line in gather(edition, joined(ledger_of(edition), newer)).lines}
    assert [row.seed for row in lines["sft"].rows] == [0, 1]
    assert [row.seed for row in lines["lightr"].rows] == [0]
    assert lines["lightr"].missing_seeds == (1,)


@pytest.mark.parametrize(("measured", "rows"), [((3, 5), 1), ((3, 6), 0)])
def test_results_on_other_listed_items_do_not_count(declared, ledger_of, measured, rows):
    ids = [row["id"] for row in problems("formal", "test")]
    listed = (
        f'evaluation.limit=null, "evaluation.benchmarks=[formal]", "evaluation.items=[{ids[5]}, {ids[3]}]"'
    )
    edition = declared(overrides=listed)
    contents = ledger_of(edition)
    scores = [
        score.model_copy(
            update={
                "protocol": score.protocol | {"limit": None, "items": "hash of the rows"},
                "items_hash": items_hash([ids[place] for place in measured]),
            }
        )
        for score in contents.scores
    ]
    gathered = gather(edition, replace(contents, scores=tuple(scores)))
    assert [len(line.rows) for line in gathered.lines] == [rows] * 3
