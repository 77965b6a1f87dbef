"""Which result a person means: by its id, by the start of that, or as ARM, RECIPE/ARM or RECIPE/ARM/SEED."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lrbench.errors import UserError
from lrbench.recipe.messages import did_you_mean
from lrbench.results.records import ArmRecord
from lrbench.results.text import plain
from lrbench.results.variations import PLAIN, Variation, variations

SHOWN = 20


def find_result(name: str, arms: Sequence[ArmRecord]) -> ArmRecord:
    """The one arm of `arms` that `name` means.

    Raises `UserError`, which lists the candidates, when it means none of them or several.
    """
    if not arms:
        raise UserError(
            "there are no results here yet; `lrbench run RECIPE` makes some, --runs names a folder"
        )
    found = [arm for arm in arms if arm.arm_id == name] or [arm for arm in arms if _matches(name, arm)]
    # Where points were chosen, the arm as it was chosen is listed without one, and each point with its own.
    found = listed if len(listed := [arm for arm in found if full_name(arm) == name]) == 1 else found
    if len(found) == 1:
        return found[0]
    known = dict.fromkeys(
        "/".join((arm.recipe, arm.arm, str(arm.seed))[: 1 + name.count("/")]) for arm in arms
    )
    nearest = did_you_mean(name, known) if not found and name.count("/") in (1, 2) else ""
    what = f"is the name of no result{nearest}" if not found else f"is the name of {len(found)} results"
    varied = variations(arms, {})
    # The recipe's own name, which other commands take.
    of_recipe = [] if found else [arm for arm in arms if arm.recipe == name]
    if of_recipe:
        what, found = "is a recipe, of which one result is meant here", of_recipe
    raise UserError(
        f"{plain(name)!r} {what}{'' if nearest else '.'} A result is named by its id, the start of its id, "
        "ARM, RECIPE/ARM or RECIPE/ARM/SEED, a point of a sweep as it is listed; there are\n"
        + "\n".join(_listed(found or arms, varied))
    )


def full_name(arm: ArmRecord, variant: str = "") -> str:
    """`quickstart/lightr/0`, without a seed where nothing is random.

    Behind it stand the point of a sweep and the `variant`, what sets it apart from others of its name.
    """
    seed = "" if arm.seed is None else f"/{arm.seed}"
    more = ", ".join(filter(None, [*(f"{field}={value}" for field, value in arm.point.items()), variant]))
    return plain(f"{arm.recipe}/{arm.arm}{seed}{f' ({more})' if more else ''}")


def _matches(name: str, arm: ArmRecord) -> bool:
    parts = (arm.recipe, arm.arm, str(arm.seed))
    given = tuple(name.split("/"))
    if given in (parts[1:2], parts[:2], parts) or (bool(name) and arm.arm_id.startswith(name)):
        return True
    # A point of a sweep, as it is listed.
    return bool(arm.point) and name == full_name(arm)


def _listed(arms: Iterable[ArmRecord], varied: Mapping[str, Variation]) -> list[str]:
    """Points of sweeps last, and the latest recorded first."""
    ordered = sorted(arms, key=lambda arm: (not arm.point, arm.recorded_at), reverse=True)
    names = [full_name(arm, varied.get(arm.arm_id, PLAIN).words) for arm in ordered[:SHOWN]]
    lines = [
        f"  {plain(arm.arm_id)}  {name}  {plain(arm.recorded_at)}"
        for arm, name in zip(ordered, names, strict=False)
    ]
    more = len(ordered) - SHOWN
    return [*lines, f"  and {more} more"] if more > 0 else lines
