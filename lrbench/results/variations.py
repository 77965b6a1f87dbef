"""What sets results apart that share recipe, arm and point: the fields in which they were made differently.

A recipe that was run with overrides, or edited, has several results under one name. They are called by what
their records say of how they were made, and by their ids only where the records say the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from lrbench.methods.fidelity import CORRECTED, FIELD
from lrbench.recipe.expanding import point_text, short_field, value_text
from lrbench.results.records import ArmRecord
from lrbench.results.text import plain
from lrbench.store.canonical import canonical_json, leaves

UNSET = "unset"
AMATEUR = "pair.amateur"
TEXTS = "data.texts"
LONGEST_NAME = 60
LONGEST_VALUE = 32
ID_LENGTH = 8


@dataclass(frozen=True)
class Variation:
    """What sets an arm apart from others of its recipe, name and point, and in words.

    `fields` are empty, and so are the words, where it has no such others; the words begin with `#` where
    nothing that is recorded tells them apart.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""


PLAIN = Variation()


def variations(arms: Iterable[ArmRecord], weights: Mapping[str, str]) -> dict[str, Variation]:
    """arm_id -> what sets the arm apart; arms that nothing has to set apart are left out.

    A fidelity that is no correction is said in any case, also where no other result has the arm's name.

    `weights` is arm_id -> its expert's weights, as far as scores say: other weights are another expert.
    """
    namesakes: dict[tuple[str, ...], list[ArmRecord]] = defaultdict(list)
    for arm in arms:
        expert = (arm.expert, weights.get(arm.arm_id, ""))
        namesakes[(*expert, arm.recipe, arm.arm, canonical_json(arm.point))].append(arm)
    found = {
        arm_id: variation
        for group in namesakes.values()
        if len(group) > 1
        for arm_id, variation in _told_apart(group)
    }
    for group in namesakes.values():
        for arm in group:
            variation = found.get(arm.arm_id, PLAIN)
            if (words := _fidelity_of(arm)) and not _says_fidelity(arm, variation):
                found[arm.arm_id] = replace(variation, words=" ".join(filter(None, [words, variation.words])))
    return found


def _fidelity_of(arm: ArmRecord) -> str:
    """Which habits of the public scripts the arm has, for its name; empty where it has none."""
    written = arm.settings.get(FIELD)
    if written is None:
        return ""
    return f"{FIELD}={'+'.join(map(str, written)) if isinstance(written, list) else written}"


def _says_fidelity(arm: ArmRecord, variation: Variation) -> bool:
    """Whether the arm's point, or what sets it apart, says its fidelity already."""
    return FIELD in variation.fields or any(name.rpartition(".")[2] == FIELD for name in arm.point)


def made_of(arm: ArmRecord) -> dict[str, Any]:
    """Everything that the record says decided what the arm learnt, by dotted name."""
    # What a trained arm does not say of its fidelity is that it does as the paper says.
    fidelity = {FIELD: CORRECTED.written} if "source" in arm.settings else {}
    return dict(leaves({**fidelity, **arm.settings, AMATEUR: arm.amateur}))


def called(arm: str, point: Mapping[str, Any], words: str) -> str:
    """`lightr beta=0.4 learning_rate=0.001`: an arm, where in a sweep it stands, and what sets it apart."""
    return " ".join(plain(part, LONGEST_NAME) for part in (arm, point_text(point), words) if part)


def _told_apart(group: Sequence[ArmRecord]) -> Iterator[tuple[str, Variation]]:
    made = [made_of(arm) for arm in group]
    varied = _varied(made)
    if _coincide(group, made, varied):
        made = [own | _pair_of(arm) for own, arm in zip(made, group, strict=True)]
        varied = _varied(made)
    words = [_words(own, varied, made) for own in made]
    named = [(words_, arm.seed) for words_, arm in zip(words, group, strict=True)]
    often = Counter(named)
    for arm, own, words_, name in zip(group, made, words, named, strict=True):
        own_id = f"#{arm.arm_id[:ID_LENGTH]}" if often[name] > 1 else ""
        found = " ".join(filter(None, [words_, own_id]))
        if found:
            yield arm.arm_id, Variation({name: own.get(name, UNSET) for name in varied}, found)


def _coincide(group: Sequence[ArmRecord], made: Sequence[Mapping[str, Any]], varied: Sequence[str]) -> bool:
    """Whether two of the group have equal seeds and equal values of the fields that vary."""
    seen = [
        canonical_json([arm.seed, *(own.get(name, UNSET) for name in varied)])
        for arm, own in zip(group, made, strict=True)
    ]
    return len(set(seen)) < len(seen)


def _varied(made: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fields in which these differ, or, where none do, those that only some have: of another version."""
    names = list(dict.fromkeys(name for own in made for name in own))
    everywhere = [name for name in names if all(name in own for own in made)]
    varied = [name for name in everywhere if len({canonical_json(own[name]) for own in made}) > 1]
    if any(name.startswith("data.") and name != TEXTS for name in varied):
        # Other texts are what other problems are.
        varied = [name for name in varied if name != TEXTS]
    return varied or [name for name in names if name not in everywhere]


def _words(own: Mapping[str, Any], varied: Sequence[str], made: Sequence[Mapping[str, Any]]) -> str:
    """`beta=0.8 lora.alpha=32`, with as much of a name as no other field of these ends with."""
    among = {name for other in made for name in other}
    return " ".join(f"{short_field(name, among)}={_shown(name, own)}" for name in varied)


def _shown(name: str, own: Mapping[str, Any]) -> str:
    if name not in own:
        return UNSET
    if name == TEXTS:
        return str(own[name])[:ID_LENGTH]
    text = value_text(own[name])
    # What tells two paths apart is mostly at their ends.
    return text if len(text) <= LONGEST_VALUE else f"…{text[1 - LONGEST_VALUE :]}"


def _pair_of(arm: ArmRecord) -> dict[str, Any]:
    """What the recipe that made the arm first says of its models, such as their revisions."""
    try:
        pair = yaml.safe_load(arm.recipe_yaml)["pair"]
        return {name: str(value) for name, value in leaves({"pair": pair})}
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        # Nothing that this version reads.
        return {}
