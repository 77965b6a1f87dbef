"""Values that name something: a model, a problem set, an arm, a suite. Is there such a thing?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import cast

from lrbench.data.sets import TRAINING_SETS
from lrbench.methods.presets import BY_NAME
from lrbench.recipe.files import neighbours
from lrbench.recipe.messages import Path, Problem, did_you_mean, found, nearest, printable
from lrbench.recipe.nodes import Fields, Items, Leaf, Node, find, value_position, with_value
from lrbench.recipe.references import (
    EMBEDDED,
    SMOLLM2_FOLDER,
    Origin,
    is_file,
    is_there,
    local_path,
    origin_of_model,
    origin_of_problems,
)
from lrbench.recipe.suites import SECOND, SUITE, file_places, suite_names
from lrbench.recipe.training_sources import training_places
from lrbench.suites.shipped import FILE, SHIPPED


def unknown_things(recipe: Fields) -> list[Problem]:
    """A problem for every value that names something lrbench cannot find.

    Values of the wrong type are left to the schema. The hub is not asked whether it has a model.
    """
    problems = []

    def check(path: Path, wrong: Callable[[str], str | None]) -> None:
        node = find(recipe, path)
        if isinstance(node, Leaf) and isinstance(node.value, str) and node.value:
            message = wrong(node.value)
            if message:
                problems.append(Problem(node.position, path, message))

    check(("pair", "expert", "model"), wrong_model)
    check(("pair", "amateur", "model"), wrong_model)
    beside = find(recipe, ("models",))
    for name in beside.entries if isinstance(beside, Fields) else ():
        check(("models", name, "model"), wrong_model)
    check(("data", "train"), wrong_problems)
    for path in training_places(recipe, ("data", "train")):
        check(path, wrong_set if path[-1] == "data" else wrong_problems)
    check(SUITE, wrong_suite)
    check(SECOND, wrong_suite)
    check(("runtime", "data_root"), wrong_folder)
    check(("evaluation", "lm_eval", "include_path"), wrong_folder)
    for path in file_places(recipe):
        check(path, wrong_file)
    known = suite_names(recipe)
    benchmarks = find(recipe, ("evaluation", "benchmarks"))
    if known and isinstance(benchmarks, Items):
        for place in range(len(benchmarks.items)):
            check(("evaluation", "benchmarks", place), partial(wrong_benchmark, *known))
    arms = find(recipe, ("arms",))
    for place, arm in enumerate(arms.items if isinstance(arms, Items) else ()):
        check(_name_of_known_arm(arm, ("arms", place)), wrong_arm)
    return problems


def correct_arms(recipe: Fields, problems: list[Problem]) -> Fields:
    """Reports every misspelt name of a known arm, and returns `recipe` with the names that were meant.

    So what names the same arm elsewhere, such as a claim, is not reported besides.
    """
    arms = find(recipe, ("arms",))
    written = arms.items if isinstance(arms, Items) else ()
    places = [_name_of_known_arm(arm, ("arms", place)) for place, arm in enumerate(written)]
    named = [node.value if isinstance(node := find(recipe, path), Leaf) else None for path in places]
    names = [name for path, name in zip(places, named, strict=True) if path[-1] != "like"]
    for path, name in zip(places, named, strict=True):
        meant = nearest(name, BY_NAME) if isinstance(name, str) and name not in BY_NAME else None
        # One that is there already would stand twice.
        if isinstance(name, str) and meant is not None and (path[-1] == "like" or meant not in names):
            position = value_position(recipe, path)
            problems.append(Problem(position, path, wrong_arm(name) or ""))
            recipe = cast(Fields, with_value(recipe, path, Leaf(meant, position)))
    return recipe


def _name_of_known_arm(arm: Node, path: Path) -> Path:
    """Where an entry of `arms:` says which known arm it is: `like`, else `name`, else the whole entry."""
    if not isinstance(arm, Fields):
        return path
    like = find(arm, ("like",))
    given = like is not None and not (isinstance(like, Leaf) and like.value is None)
    return (*path, "like" if given else "name")


def wrong_arm(name: str) -> str | None:
    """What is wrong with `name` as a known arm, if anything."""
    if name in BY_NAME:
        return None
    own = "; an arm of your own says by `like` which known arm it varies"
    if name == "random":
        # As the quickstart has it beside `lightr`, where a reader learns the name.
        own += ", as in `{name: random, like: lightr, selector: {signal: random, match: lightr}}`"
    hint = did_you_mean(name, BY_NAME) or own
    return f"found {found(name)}, known arms are {', '.join(BY_NAME)}{hint}"


def wrong_suite(name: str) -> str | None:
    """What is wrong with `name` as a suite, if anything."""
    if name in SHIPPED:
        return None
    # The folder of a suite was put in its place while the recipe was read.
    folder = local_path(name)
    if is_file(folder / FILE):
        # What is wrong in it is told of it.
        return None
    if is_there(folder):
        what = f"has no `{FILE}`" if folder.is_dir() else "is no folder"
        return f"`{printable(name)}` {what}; the folder of a suite is one that holds a `{FILE}`"
    if "/" in name:
        hint = did_you_mean(folder.name, neighbours(folder))
        return f"found {found(name)}, but there is no such folder{hint}"
    own = "; one of your own is written as its folder, or as a mapping"
    hint = did_you_mean(name, [*SHIPPED, *neighbours(folder)]) or own
    return f"found {found(name)}, known suites are {', '.join(SHIPPED)}{hint}"


def wrong_file(reference: str) -> str | None:
    """What is wrong with a `file:` of a suite, if anything; what is in it is not looked at."""
    file = local_path(reference)
    if is_there(file):
        return (
            f"`{printable(reference)}` is a directory, allowed is a file of items" if file.is_dir() else None
        )
    return f"found {found(reference)}, but there is no such file{did_you_mean(file.name, neighbours(file))}"


def wrong_benchmark(suite: str, known: Sequence[str], name: str) -> str | None:
    """What is wrong with `name` as a benchmark of `suite`, which has those that are `known`, if anything."""
    return None if name in known else _not_among(name, known, f"the benchmarks of {suite} are")


def wrong_folder(reference: str) -> str | None:
    """What is wrong with a value that names a folder, if anything."""
    folder = local_path(reference)
    if is_there(folder) and folder.is_dir():
        return None
    hint = did_you_mean(folder.name, neighbours(folder))
    return f"found {found(reference)}, but there is no such folder{hint}"


def wrong_model(reference: str) -> str | None:
    """What is wrong with a `model:` value, if anything can be told without the network."""
    from lrbench.embedded.assets import available_models

    names = available_models()
    embedded = [EMBEDDED + name for name in names]
    match origin_of_model(reference):
        case Origin.EMBEDDED:
            return None if reference in embedded else _not_among(reference, embedded, "embedded models are")
        case Origin.LOCAL:
            return _wrong_folder(reference)
        case _:
            # Most ids of the hub are unknown here and right, so only a slip of the fingers is taken for one.
            meant = nearest(reference, embedded, edits=2) or _embedded(nearest(reference, names, edits=1))
            meant = meant or _model_beside(reference)
            return f"found {found(reference)}; did you mean `{meant}`?" if meant else None


def _model_beside(reference: str) -> str | None:
    """The model folder here that a word was meant to be, but for one slip of the fingers.

    Only a word: an id with an owner is right though the folder of another size of that model is here.
    """
    if "/" in reference:
        return None
    path = local_path(reference)
    meant = nearest(path.name, neighbours(path), edits=1)
    return meant if meant and is_file(path.parent / meant / "config.json") else None


def _wrong_folder(reference: str) -> str | None:
    folder = local_path(reference)
    if not is_there(folder):
        made = folder.name == local_path(SMOLLM2_FOLDER).name
        hint = "; `make smollm2` makes it" if made else did_you_mean(folder.name, neighbours(folder))
        return f"found {found(reference)}, which is no folder here and no id of the hub{hint}"
    if not (folder / "config.json").is_file():
        missing = f"the folder `{printable(reference)}` has no `config.json`"
        return f"{missing}; a model folder is what `save_pretrained` writes"
    return None


def wrong_problems(reference: str) -> str | None:
    """What is wrong with a `train:` value, if anything."""
    from lrbench.embedded.assets import available_problem_sets

    names = available_problem_sets()
    embedded = [EMBEDDED + name for name in names]
    match origin_of_problems(reference):
        case Origin.EMBEDDED:
            known = reference in embedded
            return None if known else _not_among(reference, embedded, "embedded problem sets are")
        case Origin.PUBLIC | Origin.HUB:
            # What is no name of the hub's, the schema says.
            return None
    file = local_path(reference)
    if is_there(file):
        directory = f"`{printable(reference)}` is a directory, allowed is a JSONL file"
        return directory if file.is_dir() else None
    meant = nearest(reference, [*embedded, *TRAINING_SETS]) or _embedded(nearest(reference, names))
    hint = f"; did you mean `{meant}`?" if meant else did_you_mean(file.name, neighbours(file))
    return f"found {found(reference)}, but there is no such file{hint}"


def wrong_set(reference: str) -> str | None:
    """What is wrong with the name of a set that lrbench has, if anything."""
    from lrbench.embedded.assets import available_problem_sets

    known = [*(EMBEDDED + name for name in available_problem_sets()), *TRAINING_SETS]
    return None if reference in known else _not_among(reference, known, "sets of training problems are")


def _embedded(name: str | None) -> str | None:
    return name and EMBEDDED + name


def _not_among(name: str, known: Iterable[str], words: str) -> str:
    return f"found {found(name)}, {words} {', '.join(known)}{did_you_mean(name, known)}"
