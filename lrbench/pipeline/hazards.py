"""What a plan says of arms that do as the public scripts did: their hazards, and those without effect.

Some hazards a model cannot have: there is no second BOS where a tokenizer adds none. One that is named by
itself is refused at its place in the recipe; of `reference`, which is all of them, it is remarked on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lrbench.errors import FieldError
from lrbench.methods.fidelity import HAZARDS, LONGEST_ROW
from lrbench.models.checkpoint import added_beginning, checkpoint_ends, size_without_added
from lrbench.models.source import LocatedModel
from lrbench.models.turn_marks import turn_marks
from lrbench.pipeline.plan import ArmPlan
from lrbench.recipe.hazards import without_effect, written_at


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
                    reason = f"`{name}` would change nothing: {inert[0][name]}; leave it out"
                    return FieldError(path, fidelity.written, reason)
    return None


def remarks_on_fidelity(arms: Iterable[ArmPlan]) -> list[str]:
    """For every arm with hazards: which they are, what each does, and which of them change nothing here."""
    lines: dict[str, None] = {}
    said: dict[str, None] = {}
    for arm in arms:
        if arm.adapter is None or not arm.arm.fidelity.hazards:
            continue
        inert = _inert(arm)
        lines[f"Fidelity of {arm.arm.name}: {arm.arm.fidelity.label}."] = None
        for name in arm.arm.fidelity.hazards:
            said[f"  {name} ({HAZARDS[name].stage}): {HAZARDS[name].says}."] = None
        for name, reason in inert.items():
            lines[f"  {name} changes nothing: {reason}."] = None
    return [*lines, *(["Where an arm does as the public scripts did:", *said] if said else [])]


def _inert(arm: ArmPlan) -> dict[str, str]:
    """The hazards of an arm that change nothing, by what its recipe and its models' files say."""
    found = without_effect(arm.arm)
    if arm.expert.here:
        own = dict(_of_expert(arm.expert, arm.arm.fidelity.hazards))
        found |= {name: reason for name, reason in own.items() if name not in found}
    pair = [model for model in (arm.expert, arm.amateur) if model is not None and model.here]
    if arm.arm.fidelity.vocabulary_cut and len(pair) == 2 and _all_rows_are_tokens(*pair):
        names = " and ".join(model.name for model in pair)
        found.setdefault("vocabulary_cut", f"{names} have the same ids, all of them tokens")
    return {name: found[name] for name in arm.arm.fidelity.hazards if name in found}


def _of_expert(expert: LocatedModel, hazards: Iterable[str]) -> Iterator[tuple[str, str]]:
    from lrbench.models.loading import context_length, load_tokenizer, output_rows

    marks = turn_marks(expert)
    for name in hazards:
        if name == "stops_of_checkpoint" and checkpoint_ends(expert) == marks.stops:
            yield name, f"turns of {expert.name} end at what its checkpoint ends at"
        elif name == "second_bos" and not added_beginning(load_tokenizer(expert)):
            yield name, f"the tokenizer of {expert.name} adds nothing before a prompt in its template"
        elif name == "labels_cut":
            size, rows = size_without_added(load_tokenizer(expert)), output_rows(expert)
            if size >= rows:
                yield name, f"the tokenizer of {expert.name} has {size:,} ids, as many as its output layer"
        elif name == "rows_truncated" and (context := context_length(expert)) <= LONGEST_ROW:
            yield name, f"{expert.name} reads at most {context} tokens"


def _all_rows_are_tokens(expert: LocatedModel, amateur: LocatedModel) -> bool:
    """Whether both models have the same tokens and no row of either is padding."""
    from lrbench.models.loading import load_tokenizer, output_rows
    from lrbench.models.vocabulary import own_vocabulary

    sizes = [output_rows(model) for model in (expert, amateur)]
    tokens = [load_tokenizer(model).get_vocab() for model in (expert, amateur)]
    found = [own_vocabulary(known, rows) for known, rows in zip(tokens, sizes, strict=True)]
    whole = all(
        vocabulary.size == rows and not vocabulary.unused
        for vocabulary, rows in zip(found, sizes, strict=True)
    )
    return whole and found[0].identity == found[1].identity
