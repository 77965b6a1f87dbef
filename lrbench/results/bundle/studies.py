"""A study in a bundle: what it declares, and its tables drawn from the bundle's records alone."""

from __future__ import annotations

import json
from typing import get_args

from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.recorded import recorded_recipe
from lrbench.recipe.study import Kind, LoadedEdition, LoadedRecipe
from lrbench.results.bundle.declared import refuse_endless
from lrbench.results.ledger import LedgerContents
from lrbench.results.studies.gathering import DEFAULT_RUNS, gather, missing_of
from lrbench.results.studies.rendering import report_to_csv, report_to_latex, report_to_markdown
from lrbench.results.studies.report import build_report

STUDY = "study.json"
# Its table shows completions, which verifying reads one after the other and does not keep.
NOT_DRAWN = "case_study"


def study_as_json(edition: LoadedEdition) -> bytes:
    """What an edition declares, its recipes complete."""
    declared = {name: value for name, value in vars(edition).items() if name != "recipes"}
    declared["recipes"] = [
        {
            "path": source.path,
            "overrides": source.overrides,
            "recipe": resolved_yaml(source.recipe),
            "arms": source.arms,
        }
        for source in edition.recipes
    ]
    return (json.dumps(declared, indent=1, sort_keys=True) + "\n").encode()


def study_from_json(data: bytes) -> LoadedEdition:
    """The edition that `study_as_json` wrote. What it raises for anything else is up to the content."""
    declared = json.loads(data)
    if declared["table"] not in get_args(Kind):
        raise ValueError(f"there is no kind of table {declared['table']!r}")
    recipes = tuple(
        LoadedRecipe(
            source["path"],
            tuple(source["overrides"]),
            recorded_recipe(source["recipe"], STUDY),
            tuple(source["arms"]),
        )
        for source in declared.pop("recipes")
    )
    for source in recipes:
        refuse_endless(source.recipe, source.path)
    for name in ("columns", "arms", "claims"):
        declared[name] = tuple(declared[name])
    return LoadedEdition(**declared, recipes=recipes)


def study_tables(edition: LoadedEdition, contents: LedgerContents) -> dict[str, bytes]:
    """The study's tables by their names in a bundle; equal contents give equal bytes."""
    if edition.table == NOT_DRAWN:
        return {}
    # The folder of the runs is only named in commands; the usual one is nobody's secret.
    report = build_report(edition, contents, DEFAULT_RUNS)
    return {
        "tables/study.csv": report_to_csv(report).encode(),
        "tables/study.md": report_to_markdown(report).encode(),
        "tables/study.tex": report_to_latex(report).encode(),
    }


def lacking(edition: LoadedEdition, contents: LedgerContents) -> list[str]:
    """The arms that the study declares and the records do not hold."""
    return [lack.what for lack in missing_of(gather(edition, contents).lines, DEFAULT_RUNS)]
