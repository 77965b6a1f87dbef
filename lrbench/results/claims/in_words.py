"""Judged claims in words: one sentence, and the lines that say what it rests on."""

from __future__ import annotations

from lrbench.errors import RecipeError
from lrbench.recipe.claims import AVERAGE
from lrbench.recipe.controlling import missing_controls
from lrbench.recipe.recorded import recorded_recipe
from lrbench.results.claims import Evidence, Judgement, Needed, claims_of
from lrbench.results.claims.budgets import BudgetMatch, Spent
from lrbench.results.records import RecipeRecord
from lrbench.results.text import plain

_LONGEST = 60
_LONGEST_LIST = 1000


def claim_sentence(judgement: Judgement) -> str:
    """What may be said of the claim; that two arms match only where equivalence is shown."""
    claim, verdict = judgement.claim, judgement.verdict
    first, second = plain(claim.first, _LONGEST), plain(claim.second, _LONGEST)
    where = "on average" if claim.where == AVERAGE else f"on {plain(claim.where, _LONGEST)}"
    if verdict == "unmeasured":
        return f"{first} and {second} are not both measured {where}"
    margin = _points(claim.margin)
    if claim.relation == "==":
        if verdict == "supported":
            return f"{first} matches {second} {where}, within {margin}"
        if verdict == "refuted":
            return f"{first} does not match {second} {where}: they are more than {margin} apart"
        return f"whether {first} and {second} are within {margin} {where} is not decided"
    if claim.margin < 0:
        worse = f"worse than {second} {where} by {_points(-claim.margin)} or more"
        if verdict == "supported":
            return f"{first} is not {worse}"
        return f"{first} is {worse}" if verdict == "refuted" else f"whether {first} is {worse} is not decided"
    direction = "above" if claim.relation == ">" else "below"
    by = f"by more than {margin}" if claim.margin else ""
    relation = " ".join(part for part in (direction, second, where, by) if part)
    if verdict == "supported":
        return f"{first} is {relation}"
    return (
        f"{first} is not {relation}"
        if verdict == "refuted"
        else f"whether {first} is {relation} is not decided"
    )


def unread_lines(recipe: RecipeRecord) -> list[str]:
    """A line for each claim of the recipe that this version does not understand; plain text."""
    return [
        f"not judged: {plain(text)}, a claim of {plain(recipe.recipe, _LONGEST)} that this version of "
        "lrbench does not understand; the others count it as not measured"
        for text in claims_of(recipe)[1]
    ]


def unheld_line(recipe: RecipeRecord) -> str | None:
    """The controls that the recipe's claims are not held against, in a line; None where there are none."""
    try:
        missing = missing_controls(recorded_recipe(recipe.recipe_yaml, recipe.recipe))
    except RecipeError:
        # What another version wrote may have words that this one does not know.
        return None
    return f"The claims are not held against: {plain('; '.join(missing), _LONGEST_LIST)}" if missing else None


def claim_lines(judgement: Judgement) -> list[str]:
    """The claim as written with its verdict, then, indented, what it rests on; plain text."""
    lines = [f"{judgement.verdict}: {plain(judgement.claim.text)}", f"  {claim_sentence(judgement)}"]
    if judgement.evidence is not None:
        lines += _evidence_lines(judgement, judgement.evidence)
    if judgement.budgets is not None:
        lines.append(f"  {budget_label(judgement.budgets)}")
    if judgement.missing:
        lines.append(f"  {'; '.join(plain(reason) for reason in judgement.missing)}")
        lines.append(f"  run: {plain(judgement.run)}")
    return lines


def budget_label(budgets: BudgetMatch) -> str:
    """`budgets matched`, or which units differ and by how much."""
    parts = []
    if budgets.differing:
        parts.append("budgets differ in " + ", ".join(_spent(spent) for spent in budgets.differing))
    matched = [spent.unit for spent in budgets.spent if spent.matched]
    if matched and not budgets.differing:
        parts.append("budgets matched in " + ", ".join(matched))
    elif matched:
        parts.append("matched in " + ", ".join(matched))
    if budgets.note:
        parts.append(plain(budgets.note))
    return "; ".join(parts)


def needed_text(needed: Needed) -> str:
    """What n would decide the claim, in words."""
    ways = []
    if needed.items is not None:
        ways.append(f"about {needed.items:,} items")
    if needed.seeds is not None:
        ways.append(f"about {needed.seeds:,} seeds")
    if not ways:
        return "no number of items or seeds alone would decide it at the difference measured"
    return f"{' or '.join(ways)} would decide it with power 0.8, if the true difference is the one measured"


def _seed_count(seeds: tuple[int, ...]) -> str:
    """`3 seeds`, or that there is nothing random in the models."""
    if not seeds:
        return "no seed in either model"
    return f"{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}"


def _evidence_lines(judgement: Judgement, evidence: Evidence) -> list[str]:
    claim = judgement.claim
    arms = f"{plain(claim.first, _LONGEST)} - {plain(claim.second, _LONGEST)}"
    interval = f"[{evidence.interval.low:+.1f}, {evidence.interval.high:+.1f}] ({100 * evidence.level:.0f}%)"
    counts = f"n {evidence.n:,}, {_seed_count(evidence.seeds)}"
    lines = [
        f"  {arms}: {evidence.difference:+.1f} points {interval}, {counts}",
        f"  {evidence.test}; {_p_text(judgement, evidence)}",
    ]
    if evidence.needed is not None:
        from_margin = " from the margin" if claim.margin else ""
        lines.append(
            f"  {counts} could separate {evidence.detectable:.1f} points{from_margin} with power 0.8"
        )
        lines.append(f"  {needed_text(evidence.needed)}")
    return lines + [f"  {note}" for note in evidence.notes]


def _p_text(judgement: Judgement, evidence: Evidence) -> str:
    holm = f", Holm over {judgement.family} claims" if judgement.family > 1 else ""
    if judgement.claim.relation == "==":
        under, over = evidence.p_one_sided
        text = f"two one-sided tests at +-{_points(judgement.claim.margin)}: p {_p(under)} and {_p(over)}"
        shown = ("equivalent", evidence.p_supported), ("apart", evidence.p_refuted)
        return f"{text}; " + ", ".join(f"p {_p(p)} for {word}" for word, p in shown) + holm
    return f"p {_p(evidence.p_supported)} for the claim, {_p(evidence.p_refuted)} for its opposite{holm}"


def _spent(spent: Spent) -> str:
    """`training seconds (0.8 against 1.2)`: with as few digits as tell them apart."""
    for form in (",.0f", ",.1f", ",.2f", ",.3f", ".3g"):
        first, second = format(spent.first, form), format(spent.second, form)
        if first != second:
            break
    return f"{spent.unit} ({first} against {second})"


def _points(points: float) -> str:
    return f"{points:g} {'point' if points == 1 else 'points'}"


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
