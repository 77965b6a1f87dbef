"""What installed packages can add to, and everything that they do add, with what is wrong with it."""

from __future__ import annotations

from dataclasses import replace

from lrbench.methods.answers import ANSWER
from lrbench.methods.plugins import Offer, installed, kind_of
from lrbench.methods.selectors import SELECTOR
from lrbench.methods.targets import TARGET

FAMILIES = (SELECTOR, TARGET, ANSWER)


def all_offers() -> tuple[Offer, ...]:
    """Every offer of every package, as the family judges it that it belongs to."""
    judged = {offer.component: offer for family in FAMILIES for offer in family.offers if offer.component}
    return tuple(
        (judged.get(offer.component) if offer.component else None) or _closed(offer) for offer in installed()
    )


def _closed(offer: Offer) -> Offer:
    """An offer that no family takes."""
    if offer.component is None or offer.problem is not None:
        return offer
    kind = kind_of(offer.component)
    return replace(
        offer, problem=f"packages can add selectors, targets and answers, and this is of kind {kind}"
    )
