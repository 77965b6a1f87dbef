"""Seeds and sweeps as written: names of swept fields, and the recipes they stand for with positions.

Every value of a sweep is checked by putting it where it belongs and looking at the recipe that results,
so that a swept value is held to exactly what a fixed one is held to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from lrbench.recipe.expanding import VARYING, choices, sweepable_fields
from lrbench.recipe.fields import schema_at
from lrbench.recipe.messages import Path, Problem, excerpt, nearest
from lrbench.recipe.nodes import Entry, Fields, Items, Leaf, Node, find, plain, replaced, value_position
from lrbench.recipe.selecting import SELECT_ON, is_common, is_within
from lrbench.recipe.suites import SECOND

# Beyond these a plan takes seconds, and beyond those its recipes do not fit into a small machine's memory.
MANY_VARIANTS = 1000
MAX_VARIANTS = 100_000
ANY_FIELD = (
    "swept is any field that can change a result, such as `divergence.alpha` or "
    "`arms.lightr.training.updates`"
)


def giving_way(earlier: Fields, later: Fields) -> Fields:
    """`earlier` without its `seed` where `later` gives `seeds`, and the other way round."""
    for name, other in (("seed", "seeds"), ("seeds", "seed")):
        if _given(later, name) is not None and other not in later.entries:
            kept = {field: entry for field, entry in earlier.entries.items() if field != other}
            earlier = Fields(kept, earlier.position)
    return earlier


def correct_swept_names(recipe: Fields, problems: list[Problem]) -> Fields:
    """Reports every unknown field that a sweep names; returns `recipe` with misspelt ones put right."""
    if _given(recipe, "sweep") is None:
        return recipe
    known = sweepable_fields(_arm_names(recipe))
    for path in [("sweep", "grid"), *_points(recipe)]:
        swept = find(recipe, path)
        if isinstance(swept, Fields):
            entries = _corrected_entries(swept, path, known, problems)
            corrected = Entry(swept.position, Fields(entries, swept.position))
            recipe = _fields(replaced(recipe, path, corrected))
    return recipe


def check_choices(recipe: Fields, problems: list[Problem]) -> None:
    """Reports what is wrong with the seeds and the sweep as lists of choices, whatever the values are."""
    misspelt = any(problem.path[:1] == ("sweep",) for problem in problems)

    def refuse(path: Path, message: str) -> None:
        problems.append(Problem(value_position(recipe, path), path, message))

    if _given(recipe, "seeds") is not None and "seed" in recipe.entries:
        refuse(("seeds",), "given beside `seed`, allowed is one of the two")
    _refuse_repetitions(recipe, ("seeds",), problems)
    sweep = _given(recipe, "sweep")
    _check_selection(recipe, problems)
    if isinstance(sweep, Fields):
        grid, points = (_given(sweep, name) for name in ("grid", "points"))
        if grid is None and points is None and not misspelt:
            position = recipe.entries["sweep"].key
            problems.append(Problem(position, ("sweep",), "needs one of `grid` and `points`"))
        if grid is not None and points is not None:
            message = "given beside `grid`, allowed is one of the two (null switches the other off)"
            refuse(("sweep", "points"), message)
        if isinstance(grid, Fields):
            for field in grid.entries:
                _refuse_repetitions(recipe, ("sweep", "grid", field), problems)


def _check_selection(recipe: Fields, problems: list[Problem]) -> None:
    """Reports a choice among points where there are none, and points that cannot be chosen from."""
    selecting = find(recipe, SELECT_ON)
    if selecting is None or (isinstance(selecting, Leaf) and selecting.value is None):
        return
    is_told = any(problem.path[: len(SELECT_ON)] == SELECT_ON for problem in problems)
    if _given(recipe, "sweep") is None and not is_told:
        message = (
            "chooses among the points of a sweep, and this recipe has no `sweep`; add one, or leave it out"
        )
        problems.append(Problem(value_position(recipe, SELECT_ON), SELECT_ON, message))
    for path in [("sweep", "grid"), *_points(recipe)]:
        swept = find(recipe, path)
        for name, entry in swept.entries.items() if isinstance(swept, Fields) else ():
            if is_common(name):
                message = (
                    "cannot be swept where points are chosen (`evaluation.select_on`): all are measured on "
                    "the same problems, in the same way and with one expert"
                )
                problems.append(Problem(entry.key, (*path, name), message))


@dataclass(frozen=True)
class WrittenVariant:
    """One of the recipes that a sweep stands for; each swept value has the position it was written at.

    `path` leads to what makes it: a place in the list of points, or the first field of a grid.
    """

    path: Path
    recipe: Fields


def written_variants(recipe: Fields, problems: list[Problem]) -> list[WrittenVariant]:
    """The recipes that the sweep of `recipe` stands for; none where nothing is swept.

    Seeds are left out: which seed it is makes no recipe wrong.
    """
    sweep = _given(recipe, "sweep")
    if not isinstance(sweep, Fields):
        return []
    fields = sweepable_fields(_arm_names(recipe))
    sizes, listed = _swept(sweep, fields)
    count = _count(recipe, sizes, len(listed))
    if count > MAX_VARIANTS:
        message = f"with its seeds it stands for {count:,} recipes, allowed are at most {MAX_VARIANTS:,}"
        problems.append(Problem(recipe.entries["sweep"].key, ("sweep",), message))
        return []
    kept = {name: entry for name, entry in recipe.entries.items() if name not in VARYING}
    bare = Fields(kept, recipe.position)
    variants = []
    for choice in filter(None, choices(sizes, listed)):
        variant = bare
        for field, path in choice:
            value = find(sweep, path)
            assert value is not None
            variant = _fields(replaced(variant, fields[field], Entry(value.position, value)))
        variants.append(WrittenVariant(("sweep", *choice[0][1][:2]), variant))
    return variants


def remark_on_size(recipe: Fields) -> Problem | None:
    """What to know before a sweep that stands for very many recipes; None of every other."""
    sweep = _given(recipe, "sweep")
    if not isinstance(sweep, Fields):
        return None
    sizes, listed = _swept(sweep, sweepable_fields(_arm_names(recipe)))
    count = _count(recipe, sizes, len(listed))
    if count <= MANY_VARIANTS:
        return None
    message = (
        f"with its seeds it stands for {count:,} recipes; planning them takes about {count / 200:.0f} s, and "
        "`lrbench plan` says what making them takes"
    )
    return Problem(recipe.entries["sweep"].key, ("sweep",), message)


def _swept(sweep: Fields, fields: Mapping[str, Path]) -> tuple[dict[str, int], list[list[str]]]:
    """How many values every field of the grid has, and which fields every listed point sets."""
    grid, points = _given(sweep, "grid"), _given(sweep, "points")
    sizes = {
        field: len(entry.node.items)
        for field, entry in (grid.entries if isinstance(grid, Fields) else {}).items()
        if field in fields and isinstance(entry.node, Items) and entry.node.items
    }
    listed = [
        [field for field in point.entries if field in fields] if isinstance(point, Fields) else []
        for point in (points.items if isinstance(points, Items) else ())
    ]
    return sizes, listed


def _count(recipe: Fields, sizes: dict[str, int], points: int) -> int:
    seeds = _given(recipe, "seeds")
    combinations = prod(sizes.values()) if sizes else 0
    return (combinations + points) * (len(seeds.items) if isinstance(seeds, Items) else 1)


def _corrected_entries(
    swept: Fields, path: Path, known: dict[str, Path], problems: list[Problem]
) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for name, entry in swept.entries.items():
        right = name
        if name not in known:
            message = _no_field_to_sweep(name, known)
            if message is None:
                # Of two names equally near, the one that is not there yet is meant.
                meant = nearest(name, sorted(known, key=lambda valid: valid in swept.entries))
                message = "unknown field; " + (f"did you mean `{meant}`?" if meant else ANY_FIELD)
                right = meant if meant is not None and meant not in swept.entries else name
            problems.append(Problem(entry.key, (*path, name), message))
        entries[right] = entry
    return entries


def _no_field_to_sweep(name: str, known: dict[str, Path]) -> str | None:
    """What to say of a field that is there but cannot be swept; None for a name that is no field."""
    if name == "seed":
        return "seeds have a list of their own: `seeds: [0, 1, 2]`"
    if name == ".".join(SECOND):
        return "cannot be swept, since all points are measured on one second suite"
    if is_within(name, ".".join(SELECT_ON)):
        return "cannot be swept, since all points are chosen from together"
    within = [field for field in known if field.startswith(f"{name}.")]
    if within:
        return f"not one field but several; name one, such as `{within[0]}`"
    if schema_at(tuple(name.split("."))) is not None:
        return "cannot be swept, since it cannot change a result"
    return None


def _refuse_repetitions(recipe: Fields, path: Path, problems: list[Problem]) -> None:
    listed = find(recipe, path)
    seen: list[object] = []
    for place, item in enumerate(listed.items if isinstance(listed, Items) else ()):
        value = plain(item)
        if any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in seen):
            what = f"`{excerpt(str(value))}`" if isinstance(item, Leaf) else "the same"
            problems.append(Problem(item.position, (*path, place), f"{what} stands twice in the list"))
        seen.append(value)


def _points(recipe: Fields) -> Iterator[Path]:
    points = find(recipe, ("sweep", "points"))
    for place in range(len(points.items) if isinstance(points, Items) else 0):
        yield ("sweep", "points", place)


def _arm_names(recipe: Fields) -> list[str]:
    """The names of the arms as written, one per place in the list."""
    arms = find(recipe, ("arms",))
    names = []
    for arm in arms.items if isinstance(arms, Items) else ():
        name = find(arm, ("name",)) if isinstance(arm, Fields) else arm
        names.append(str(name.value) if isinstance(name, Leaf) else "")
    return names


def _given(fields: Fields, name: str) -> Node | None:
    """What stands under `name`, where that is anything but null."""
    entry = fields.entries.get(name)
    if entry is None or (isinstance(entry.node, Leaf) and entry.node.value is None):
        return None
    return entry.node


def _fields(node: Node) -> Fields:
    assert isinstance(node, Fields)
    return node
