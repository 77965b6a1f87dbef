"""Hazards that an arm cannot have, and those that would change nothing, with the reasons.

Who prices a hazard that changes nothing would read a difference of nought as its price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from lrbench.methods.fidelity import HAZARDS, LONGEST_ROW, ROWS_PER_BATCH, Fidelity
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.readings import PAIR

# The engine that runs in this process, which alone ends answers and reads adapters as it is told to.
HERE = "hf"


class Checkpoints(Protocol):
    """What is known of an arm's models from their files; asked only where a hazard turns on it."""

    @property
    def expert(self) -> str:
        """The expert's name."""

    @property
    def amateur(self) -> str | None:
        """The amateur's name; None where the arm has none, or it is not here."""

    def ends_alike(self) -> bool:
        """Whether a generation of the expert ends where its turns do."""

    def adds_nothing(self) -> bool:
        """Whether the expert's tokenizer puts nothing before a rendered prompt."""

    def sizes(self) -> tuple[int, int]:
        """Ids of the expert's tokenizer without added tokens, and rows of its output layer."""

    def context(self) -> int:
        """The most tokens that the expert reads."""

    def all_alike(self) -> bool:
        """Whether expert and amateur have the same ids, all of them tokens."""


def impossible(
    arm: str,
    fidelity: Fidelity,
    ingredients: Ingredients,
    *,
    steps_per_update: int | None,
    aligned: bool,
    derived: bool,
    engines: Mapping[str, str],
) -> Iterator[str]:
    """Why an arm cannot have its hazards, whatever its models are.

    `aligned` says that the pair is compared by tokens, `derived` that the amateur is made from the expert,
    and `engines` which engine `sampling` and `evaluation` have.
    """
    if fidelity.rows_shuffled and steps_per_update is None:
        yield (
            "`rows_shuffled` takes steps by themselves, so it needs `training.steps_per_update` (the "
            f"scripts: 16) in place of `rollouts_per_update` for the arm `{arm}`; or give that arm another "
            "fidelity"
        )
    if fidelity.makes_rows and ingredients.distance is not None:
        yield (
            f"the arm `{arm}` trains with the objective {ingredients.objective.label}, and the loss of the "
            "public scripts is KL(target || model) alone; give that arm `fidelity: corrected`"
        )
    written = fidelity.at("rollouts").hazards if ingredients.source.stage == "rollouts" else ()
    if derived and written:
        yield (
            f"{_listed(written)} cannot be with `pair.amateur.derive`, which has rollouts of its own; take "
            "an amateur that is there, or leave them out"
        )
    scored = fidelity.at("scores").hazards if PAIR in ingredients.readings else ()
    if aligned and scored:
        yield (
            f"{_listed(scored)} cannot be with `pair.align: tokens`, since the public scripts compare id by "
            "id; take another pair, or leave them out"
        )
    engine_of = {
        "sampling": ("stops_of_checkpoint",) if "stops_of_checkpoint" in written else (),
        "evaluation": fidelity.at("evaluate").hazards,
    }
    for section, needing in engine_of.items():
        if needing and engines.get(section, HERE) != HERE:
            yield (
                f"{_listed(needing)} cannot be with the engine `{engines[section]}`, which ends answers and "
                f"reads adapters by itself; set {section}.engine.name to {HERE}, or leave it out"
            )


def without_effect(
    arm: str, fidelity: Fidelity, ingredients: Ingredients, steps_per_update: int | None
) -> dict[str, str]:
    """The hazards that change nothing for an arm of these completed ingredients, whatever its models."""
    found = {}
    for name in fidelity.hazards:
        stage = HAZARDS[name].stage
        if stage == "rollouts" and ingredients.source.stage != stage:
            found[name] = f"the arm `{arm}` writes no greedy rollouts"
        elif stage == "scores" and PAIR not in ingredients.readings:
            found[name] = f"the arm `{arm}` compares nothing with the amateur"
    if fidelity.beta_included and ingredients.selector.threshold is None:
        found["beta_included"] = f"the selector of the arm `{arm}` goes by no beta"
    if fidelity.accumulation_summed and steps_per_update is not None and steps_per_update <= ROWS_PER_BATCH:
        found["accumulation_summed"] = (
            f"an update of {steps_per_update} steps is one batch of at most {ROWS_PER_BATCH} rows, so "
            "nothing is summed"
        )
    return found


def without_effect_on(fidelity: Fidelity, models: Checkpoints) -> dict[str, str]:
    """The hazards that change nothing for an arm with these models."""
    found = {}
    expert = models.expert
    if fidelity.stops_of_checkpoint and models.ends_alike():
        found["stops_of_checkpoint"] = f"turns of {expert} end at what its checkpoint ends at"
    if fidelity.second_bos and models.adds_nothing():
        found["second_bos"] = f"the tokenizer of {expert} adds nothing before a prompt in its template"
    if fidelity.vocabulary_cut and models.amateur is not None and models.all_alike():
        found["vocabulary_cut"] = f"{expert} and {models.amateur} have the same ids, all of them tokens"
    if fidelity.labels_cut:
        size, rows = models.sizes()
        if size >= rows:
            found["labels_cut"] = f"the tokenizer of {expert} has {size:,} ids, as many as its output layer"
    if fidelity.rows_truncated and (context := models.context()) <= LONGEST_ROW:
        found["rows_truncated"] = f"{expert} reads at most {context} tokens"
    return found


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
