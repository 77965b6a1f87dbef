"""What a plan says of arms that do as the public scripts did: their hazards, and those without effect.

Some hazards a model cannot have: there is no second BOS where a tokenizer adds none. One that is named by
itself is refused at its place in the recipe; of `reference`, which is all of them, it is remarked on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lrbench.errors import FieldError
from lrbench.methods.fidelity import HAZARDS
from lrbench.methods.inert import without_effect_on
from lrbench.models.checkpoint import added_beginning, checkpoint_ends, size_without_added
from lrbench.models.source import LocatedModel
from lrbench.models.turn_marks import turn_marks
from lrbench.pipeline.plan import ArmPlan
from lrbench.recipe.hazards import inert_by_recipe, refusal, written_at


def inert_hazard(arms: Iterable[ArmPlan]) -> FieldError | None:
    """The first hazard that a recipe names by itself and that changes nothing for any arm it is said of."""
    said: dict[tuple[str | int, ...], list[ArmPlan]] = {}
    for arm in arms:
        if arm.adapter is not None and arm.arm.fidelity.hazards and not arm.arm.fidelity.is_reference:
            said.setdefault(written_at(arm.recipe.arms)[arm.arm.name], []).append(arm)
    for path, having in said.items():
        # Points of a sweep may differ in what is said.
        for fidelity in dict.fromkeys(arm.arm.fidelity for arm in having):
            inert = [_inert(arm) for arm in having if arm.arm.fidelity == fidelity]
            for name in fidelity.hazards:
                if all(name in reasons for reasons in inert):
                    return FieldError(path, fidelity.written, refusal(name, inert[0][name]))
    return None


def remarks_on_fidelity(arms: Iterable[ArmPlan]) -> list[str]:
    """For every arm with hazards: which they are, what each does, and which of them change nothing here."""
    lines: dict[str, None] = {}
    said: dict[str, None] = {}
    for arm in arms:
        if arm.adapter is None or not arm.arm.fidelity.hazards:
            continue
        lines[f"Fidelity of {arm.arm.name}: {arm.arm.fidelity.label}."] = None
        for name in arm.arm.fidelity.hazards:
            said[f"  {name} ({HAZARDS[name].stage}): {HAZARDS[name].says}."] = None
        for name, reason in _inert(arm).items():
            lines[f"  {name} changes nothing: {reason}."] = None
    return [*lines, *(["Where an arm does as the public scripts did:", *said] if said else [])]


def _inert(arm: ArmPlan) -> dict[str, str]:
    """The hazards of an arm that change nothing, by what its recipe and its models' files say."""
    found = without_effect_on(arm.arm.fidelity, _Files(arm)) if arm.expert.here else {}
    found |= inert_by_recipe(arm.arm)
    return {name: found[name] for name in arm.arm.fidelity.hazards if name in found}


@dataclass(frozen=True)
class _Files:
    """What the files of an arm's models say. Loads tokenizers and no weights."""

    arm: ArmPlan

    @property
    def expert(self) -> str:
        return self.arm.expert.name

    @property
    def amateur(self) -> str | None:
        amateur = self.arm.amateur
        return amateur.name if amateur is not None and amateur.here else None

    def ends_alike(self) -> bool:
        return checkpoint_ends(self.arm.expert) == turn_marks(self.arm.expert).stops

    def adds_nothing(self) -> bool:
        from lrbench.models.loading import load_tokenizer

        return not added_beginning(load_tokenizer(self.arm.expert))

    def sizes(self) -> tuple[int, int]:
        from lrbench.models.loading import load_tokenizer, output_rows

        return size_without_added(load_tokenizer(self.arm.expert)), output_rows(self.arm.expert)

    def context(self) -> int:
        from lrbench.models.loading import context_length

        return context_length(self.arm.expert)

    def all_alike(self) -> bool:
        amateur = self.arm.amateur
        assert amateur is not None
        found = {_tokens_of(model) for model in (self.arm.expert, amateur)}
        return len(found) == 1 and None not in found


def _tokens_of(model: LocatedModel) -> str | None:
    """What identifies the ids of a model; None where some row of its output layer stands for no token."""
    from lrbench.models.loading import load_tokenizer, output_rows
    from lrbench.models.vocabulary import own_vocabulary

    rows = output_rows(model)
    vocabulary = own_vocabulary(load_tokenizer(model).get_vocab(), rows)
    return vocabulary.identity if vocabulary.size == rows and not vocabulary.unused else None
