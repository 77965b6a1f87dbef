"""A study: recipes and the table or figure of the paper they regenerate, one YAML file in `experiments/`.

A study has two editions: `paper` on the published models, `embedded` on the pair that ships inside. Paths
of recipes are relative to the study's file. Loading a study loads its recipes too, so a study that loads
can be run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from lrbench.errors import RecipeError
from lrbench.methods.component import AMATEUR
from lrbench.methods.section import Section
from lrbench.recipe.arms import resolve_arms
from lrbench.recipe.claims import parse_claim
from lrbench.recipe.expanding import expand
from lrbench.recipe.files import UnreadableFileError, read_file
from lrbench.recipe.finding import spoken_recipe
from lrbench.recipe.identity import recipe_hash
from lrbench.recipe.loading import load_with_warnings
from lrbench.recipe.messages import Path as FieldPath
from lrbench.recipe.messages import (
    Position,
    Problem,
    did_you_mean,
    excerpt,
    found,
    printable,
    recipe_error,
)
from lrbench.recipe.nodes import Fields, find, key_position, plain, value_position
from lrbench.recipe.schema import Recipe
from lrbench.shipped.places import STUDIES
from lrbench.suites.suite import suite_of

EDITIONS = ("paper", "embedded")

Kind = Literal[
    "main_results",
    "efficiency",
    "expertise_gap",
    "ablations",
    "controls",
    "hazards",
    "divergence_statistics",
    "convergence",
    "case_study",
    "neighbours",
]
Words = Annotated[str, Field(min_length=1, description="text that is not empty")]


class StudyRecipe(Section):
    """One recipe of an edition with the fields it sets, as `lrbench run RECIPE KEY=VALUE...` takes them.

    `arms` are those of its arms that are shown (null: those that the edition shows).
    """

    recipe: Annotated[str, Field(min_length=1, description="the path of a recipe, from this file's folder")]
    overrides: Annotated[
        tuple[Words, ...], Field(strict=False, description="a list of fields to set, such as [limit=100]")
    ] = ()
    arms: Annotated[
        tuple[Words, ...] | None,
        Field(min_length=1, strict=False, description="a list of arms that is not empty, or null"),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: object) -> object:
        return {"recipe": value} if isinstance(value, str) else value


class Edition(Section):
    """The study on one set of models.

    `columns` are the benchmarks shown, in order (null: those of the suite); `arms` the arms shown, in order
    (null: all that are declared). `claims` are judged for every recipe that declares both of their arms.
    """

    recipes: Annotated[
        tuple[StudyRecipe, ...], Field(min_length=1, strict=False, description="a list that is not empty")
    ]
    columns: Annotated[
        tuple[Words, ...] | None,
        Field(min_length=1, strict=False, description="a list of benchmarks that is not empty, or null"),
    ] = None
    arms: Annotated[
        tuple[Words, ...] | None,
        Field(min_length=1, strict=False, description="a list of arms that is not empty, or null"),
    ] = None
    claims: Annotated[tuple[Words, ...], Field(strict=False, description="a list of claims")] = ()


class Editions(Section):
    """Both editions."""

    paper: Annotated[Edition, Field(description="a mapping that begins with `recipes:`")]
    embedded: Annotated[Edition, Field(description="a mapping that begins with `recipes:`")]


class Study(Section):
    """What a study's file says. `table` is the kind of table it makes."""

    title: Words
    description: Annotated[str, Field(description="text")] = ""
    table: Annotated[Kind, Field(description=", ".join(f"`{kind}`" for kind in get_args(Kind)))]
    editions: Annotated[Editions, Field(description="a mapping with the fields paper and embedded")]


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe as a study declares it. `path` is for commands: from the working directory, or a name.

    `arms` are those of its arms that the study shows, in the study's order.
    """

    path: str
    overrides: tuple[str, ...]
    recipe: Recipe
    arms: tuple[str, ...]


@dataclass(frozen=True)
class LoadedEdition:
    """One edition of a study with its recipes loaded. `study` is the study's name, that of its file."""

    study: str
    edition: str
    title: str
    description: str
    table: Kind
    recipes: tuple[LoadedRecipe, ...]
    columns: tuple[str, ...]
    arms: tuple[str, ...]
    claims: tuple[str, ...]


def load_study(path: str | Path, editions: tuple[str, ...] = EDITIONS) -> dict[str, LoadedEdition]:
    """The editions of the study in the file `path`, by name, with every recipe they name.

    Raises `RecipeError`, whose message lists every problem with its file, line, column and field.
    """
    source = os.fspath(path)
    problems: list[Problem] = []
    try:
        written = read_file(Path(source), source, problems, "study", "title")
    except UnreadableFileError as error:
        raise recipe_error([Problem(Position(source), (), str(error))], source) from None
    study = None if written is None else _validated(written, problems)
    if written is None or study is None or problems:
        raise recipe_error(problems, source)
    loaded = {edition: _Loading(written, source, problems).edition(study, edition) for edition in editions}
    if problems:
        raise recipe_error(problems, source)
    return loaded


def study_files(folder: Path) -> list[Path]:
    """Every study in `folder`, by name."""
    return sorted(folder.glob("*.yaml"))


def known_studies(folder: Path) -> dict[str, Path]:
    """Every study by its name: those in `folder`, and those that ship and have another name."""
    return {file.stem: file for place in (STUDIES, folder) for file in study_files(place)}


def find_study(name: str, folder: Path) -> Path:
    """The file of the study `name`, in `folder` or among those that ship, or of one given by its path.

    Raises `RecipeError` where there is none.
    """
    if name.endswith((".yaml", ".yml")) or os.sep in name:
        return Path(name)
    known = known_studies(folder)
    if name in known:
        return known[name]
    raise RecipeError(
        f"no study `{excerpt(name)}` in {printable(str(folder))}/, and none that ships; "
        f"known are {', '.join(map(printable, sorted(known)))}{did_you_mean(name, sorted(known))}"
    )


def _validated(written: Fields, problems: list[Problem]) -> Study | None:
    try:
        return Study.model_validate(plain(written))
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            problems.append(_problem(written, detail["loc"], detail["type"]))
        return None


def _problem(written: Fields, path: FieldPath, kind: str) -> Problem:
    if kind == "extra_forbidden":
        known = list(_section_at(path[:-1]).model_fields)
        hint = did_you_mean(str(path[-1]), known) or f"; allowed here are {', '.join(known)}"
        return Problem(key_position(written, path), path, f"unknown field{hint}")
    allowed = _allowed(path)
    if kind == "missing":
        return Problem(key_position(written, path[:-1]), path, f"missing; needed is {allowed}")
    node = find(written, path)
    while node is None:
        # A recipe's bare path stands for a mapping; what is wrong with that is said of the path.
        path = path[:-1]
        node = find(written, path)
    value = plain(node)
    hint = did_you_mean(value, get_args(Kind)) if isinstance(value, str) and path == ("table",) else ""
    return Problem(
        value_position(written, path), path, f"found {found(value)}, allowed is {_allowed(path)}{hint}"
    )


def _section_at(path: FieldPath) -> type[Section]:
    """The section whose fields stand at `path`."""
    if not path:
        return Study
    if path[0] == "editions" and len(path) == 1:
        return Editions
    return Edition if len(path) == 2 else StudyRecipe


def _allowed(path: FieldPath) -> str:
    """What may stand at `path`, in words."""
    if not path:
        return "a mapping of a study's fields"
    if isinstance(path[-1], int):
        return "a recipe's path or a mapping" if path[-2:-1] == ("recipes",) else "text that is not empty"
    field = _section_at(path[:-1]).model_fields.get(path[-1])
    return (field.description if field else None) or "nothing"


def _swept_evaluation(recipe: Recipe) -> str | None:
    """The first field of `evaluation` that `recipe` sweeps."""
    return next((field for field in expand(recipe)[0].point if field.startswith("evaluation.")), None)


@dataclass(frozen=True)
class _Loading:
    """Loads the recipes of editions and finds what does not fit them."""

    written: Fields
    source: str
    problems: list[Problem]

    def edition(self, study: Study, name: str) -> LoadedEdition:
        edition: Edition = getattr(study.editions, name)
        at: FieldPath = ("editions", name)
        recipes = tuple(self._recipes(edition, at))
        self._check_evaluations(recipes, (*at, "recipes"))
        if study.table == "expertise_gap" and len(recipes) == len(edition.recipes):
            self._check_amateurs(recipes, (*at, "recipes"))
        evaluation = recipes[0].recipe.evaluation if recipes else None
        measured = list(evaluation.benchmarks or suite_of(evaluation).names) if evaluation else []
        declared = list(dict.fromkeys(arm.name for loaded in recipes for arm in loaded.recipe.arms))
        if recipes:
            self._check_names(edition.columns, measured, (*at, "columns"), "benchmark")
            self._check_names(edition.arms, declared, (*at, "arms"), "arm")
            self._check_claims(edition.claims, declared, measured, (*at, "claims"))
        return LoadedEdition(
            study=Path(self.source).stem,
            edition=name,
            title=study.title,
            description=study.description,
            table=study.table,
            recipes=recipes,
            columns=edition.columns or tuple(measured),
            arms=edition.arms or tuple(declared),
            claims=edition.claims,
        )

    def _recipes(self, edition: Edition, at: FieldPath) -> Iterator[LoadedRecipe]:
        earlier: list[tuple[str, set[str]]] = []
        for place, named in enumerate(edition.recipes):
            path = os.path.normpath(Path(self.source).parent / named.recipe)
            try:
                # What a recipe ignores is said when it is run.
                recipe, _ = load_with_warnings(path, named.overrides)
            except RecipeError as error:
                self._add((*at, "recipes", place), f"this recipe cannot be used:\n{error}")
                continue
            declared = [arm.name for arm in recipe.arms]
            self._check_names(named.arms, declared, (*at, "recipes", place, "arms"), "arm")
            shown = named.arms or declared
            order = edition.arms or declared
            arms = tuple(name for name in order if name in shown and name in declared)
            what = f"{recipe.name} {recipe_hash(recipe)}"
            for other, there in earlier:
                if twice := [name for name in arms if what == other and name in there]:
                    message = f"this recipe and its arm `{twice[0]}` stand twice in the list; leave one out"
                    self._add((*at, "recipes", place), message)
                    break
            earlier.append((what, set(arms)))
            yield LoadedRecipe(spoken_recipe(path), named.overrides, recipe, arms)

    def _check_amateurs(self, recipes: tuple[LoadedRecipe, ...], at: FieldPath) -> None:
        """Refuse a gap between an expert and no amateur."""
        for loaded in recipes:
            for arm in resolve_arms(loaded.recipe):
                learns = arm.ingredients is not None and AMATEUR in arm.ingredients.models
                if arm.name in loaded.arms and learns:
                    return
        message = (
            "no arm shown learns from an amateur, and a table `expertise_gap` is about amateurs; show an arm "
            "that does, such as `lightr`"
        )
        self._add(at, message)

    def _check_evaluations(self, recipes: tuple[LoadedRecipe, ...], at: FieldPath) -> None:
        for place, loaded in enumerate(recipes):
            if swept := _swept_evaluation(loaded.recipe):
                message = (
                    f"sweeps `{swept}`; a table needs one `evaluation`, since results measured differently "
                    "cannot be compared"
                )
                self._add((*at, place), message)
            if loaded.recipe.evaluation != recipes[0].recipe.evaluation:
                message = (
                    "measures something else than the edition's first recipe; a table needs one `evaluation` "
                    "in all of its recipes, since results measured differently cannot be compared"
                )
                self._add((*at, place), message)

    def _check_names(self, names: tuple[str, ...] | None, known: list[str], at: FieldPath, what: str) -> None:
        for place, name in enumerate(names or ()):
            if name not in known:
                message = f"`{excerpt(name)}` is no {what} of these recipes; known are {', '.join(known)}"
                self._add((*at, place), message + did_you_mean(name, known))
            elif name in (names or ())[:place]:
                self._add((*at, place), f"`{excerpt(name)}` stands twice in the list")

    def _check_claims(
        self, claims: tuple[str, ...], arms: list[str], benchmarks: list[str], at: FieldPath
    ) -> None:
        for place, text in enumerate(claims):
            try:
                claim = parse_claim(text)
            except ValueError as error:
                self._add((*at, place), str(error))
                continue
            for arm in (claim.first, claim.second):
                if arm not in arms:
                    message = f"`{excerpt(arm)}` is no arm of these recipes{did_you_mean(arm, arms)}"
                    self._add((*at, place), message)
            if claim.where not in (*benchmarks, "average"):
                message = f"`{excerpt(claim.where)}` is no benchmark of these recipes, nor `average`"
                self._add((*at, place), message + did_you_mean(claim.where, [*benchmarks, "average"]))

    def _add(self, path: FieldPath, message: str) -> None:
        self.problems.append(Problem(value_position(self.written, path), path, message))
