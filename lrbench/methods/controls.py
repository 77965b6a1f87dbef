"""The controls of a claim that a method helps: arms beside it that would do as well if it did not.

Each is a change to the subject's own entry in a recipe, or an arm that is not trained, so that all that the
controls do not differ in is the subject's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrbench.methods.objectives import Objective
from lrbench.methods.presets import UNTRAINED
from lrbench.methods.targets import TARGET

SFT = "sft"


@dataclass(frozen=True)
class Control:
    """One control: what it asks, and the entry that it has among a recipe's arms.

    `changes` are made to the subject's own entry; without them the entry is that of the preset `like`.
    `given` says how a recipe gives what cannot be known without it, such as a word.
    """

    name: str
    asks: str
    like: str | None = None
    changes: Mapping[str, Any] | None = None
    given: str | None = None


CONTROLS = (
    Control(UNTRAINED.name, "the expert as it is", like=UNTRAINED.name),
    Control(SFT, "learning from its own right answers", like=SFT),
    Control("cd", "the same two models without any training", like="cd"),
    Control("prefill", "one given first word", like=UNTRAINED.name, given="prefill: WORD"),
    Control(
        "forced",
        "the first decisions taken for it",
        like=UNTRAINED.name,
        given="forced: {force: {TEXT: TEXT}, first: K}",
    ),
    Control("random", "as many steps, chosen at random", changes={"selector": {"signal": "random"}}),
    Control("flat", "the same steps, no second model in what is learnt", changes={"target": "plausible"}),
    Control("no_contrast", "the same steps, with the expert's own tokens", changes={"target": "own_token"}),
    Control("sharpen", "the expert's own distributions, sharpened", like="sharpen"),
    Control("vote", "more tokens instead of training", like="vote"),
)

# What a recipe cannot add by itself, each with what to do for it.
SEVERAL = "several seeds"
BEYOND = {
    "an amateur that lacks nothing": "has to show no gain; sweep `pair.amateur.model`",
    SEVERAL: "else nothing is known of other runs",
}


def at_odds(control: Control, objective: Objective) -> str | None:
    """Why a control that varies an arm's own words cannot have its objective; None where it can."""
    if control.changes is None:
        return None
    if objective.policy is not None:
        return "rewards are for whole answers, whatever the steps and their targets"
    if objective.preference is not None:
        return "whole answers are preferred to each other, whatever the steps and their targets"
    if "selector" in control.changes and objective.rewritten_every is not None:
        return "what is written anew has no stored steps to draw from"
    target = control.changes.get("target")
    if target is None or objective.refusal(TARGET.read(target)) is None:
        return None
    return f"the objective ({objective.label}) is not for that target"


def entries(subject: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The entries of all controls of a `subject`, itself an entry; `given` has answers by control."""
    found = {}
    for control in CONTROLS:
        if control.given is not None:
            if control.name in given:
                found[control.name] = {"like": control.like, "answer": given[control.name]}
        elif control.changes is None:
            found[control.name] = {"like": control.like}
        else:
            like = subject.get("like") or subject["name"]
            found[control.name] = {**subject, "like": like, **_changes(control.changes, subject)}
    return {name: {**entry, "name": name} for name, entry in found.items()}


def _changes(changes: Mapping[str, Any], subject: Mapping[str, Any]) -> dict[str, Any]:
    """A control's changes; what selects otherwise keeps as many steps as the subject, by no threshold."""
    if "selector" not in changes:
        return dict(changes)
    divergence = {name: value for name, value in (subject.get("divergence") or {}).items() if name != "beta"}
    selector = changes["selector"] | {"match": subject["name"]}
    return {**changes, "selector": selector, "divergence": divergence}
