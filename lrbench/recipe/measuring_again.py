"""Arms that are measured once more with fewer rows at once: `again`, and `measure: {repeats: 2}` for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lrbench.methods.answers import Again
from lrbench.methods.presets import BY_NAME, MOST_REPEATS, NOISE, PLAIN, UNTRAINED, once_more
from lrbench.recipe.controlling import entry_of

if TYPE_CHECKING:
    from lrbench.recipe.arms import Arm
    from lrbench.recipe.schema import Recipe

Path = tuple[str | int, ...]


def with_repeats(written: Mapping[str, Any]) -> Mapping[str, Any]:
    """The recipe as written with the further measurements that `measure.repeats` asks for among its arms.

    Each is of an arm whose answer is plain, and all but its name and answer is that arm's; one that is there
    follows what its arm has become. What is no valid recipe comes back as it is, for the schema to say why.
    """
    repeats, arms = _repeats(written.get("measure")), written.get("arms")
    if not 2 <= repeats <= MOST_REPEATS or not isinstance(arms, list | tuple):
        return written
    found = {entry.get("name"): (entry, arm) for entry, arm in zip(map(entry_of, arms), arms, strict=True)}
    if len(found) != len(arms):
        return written
    noise = any(_is_noise(entry) for entry, _ in found.values())
    all_arms: dict[Any, Any] = {name: arm for name, (_, arm) in found.items()}
    for name, (entry, _) in found.items():
        like = entry.get("like") or name
        if not _is_plain(entry, like):
            continue
        for share in range(2, repeats + 1):
            if share == 2 and noise and like == UNTRAINED.name:
                continue
            again = f"{name}_again" if share == 2 else f"{name}_again_{share - 1}"
            added = {**entry, "name": again, "like": like, "answer": once_more(share)}
            if again not in found or found[again][0].get("answer") == added["answer"]:
                all_arms[again] = added
    return {**written, "arms": list(all_arms.values())}


def repeats_problems(
    recipe: Recipe, arms: Sequence[Arm], sections: Mapping[str, Any]
) -> Iterator[tuple[Path, str]]:
    """What is wrong with measuring arms once more; a path and a message each."""
    measure = sections.get("measure")
    asked = measure is not None and measure.repeats is not None
    alike = {arm.name: replace(arm, name="", answer=PLAIN) for arm in arms}
    plain = [alike[arm.name] for arm in arms if not arm.answer.identity]
    places = {declaration.name: place for place, declaration in enumerate(recipe.arms)}
    rows: int | str = sections["runtime"].batch_size if "runtime" in sections else "auto"
    for arm in arms:
        answer, place = arm.answer, places[arm.name]
        if not isinstance(answer, Again):
            continue
        path: Path = ("arms", place) if recipe.arms[place].answer is None else ("arms", place, "answer")
        path = ("measure", "repeats") if asked else path
        if rows == 1:
            yield (
                path,
                "writes fewer rows at once than `runtime.batch_size`, and that is 1; give it at least 2",
            )
            return
        if isinstance(rows, int) and isinstance(answer.again, int) and answer.again >= rows:
            yield (
                path,
                f"{answer.label}, and `runtime.batch_size` is {rows}: rounding falls otherwise with fewer "
                f"rows; allowed is 1 to {rows - 1}, or a share of the rows such as 1/2",
            )
        elif alike[arm.name] not in plain:
            base = f", the arm `{UNTRAINED.name}`" if arm.ingredients is None else ""
            yield (
                path,
                f"the arm `{arm.name}` measures one once more that the recipe does not have; add the same "
                f"without `answer`{base}",
            )


def _repeats(measure: Any) -> int:
    repeats = measure.get("repeats") if isinstance(measure, Mapping) else getattr(measure, "repeats", None)
    return repeats if type(repeats) is int else 0


def _is_plain(entry: Mapping[str, Any], like: Any) -> bool:
    answer = entry.get("answer")
    if answer is None:
        return isinstance(like, str) and like in BY_NAME and BY_NAME[like].answer == PLAIN
    return bool(answer == PLAIN.word)


def _is_noise(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is the expert measured once more as its preset has it."""
    return entry.get("answer") is None and NOISE.name in (entry.get("like"), entry.get("name"))
