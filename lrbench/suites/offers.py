"""Everything that installed packages add or mean to, with what is wrong with it."""

from __future__ import annotations

from dataclasses import replace

from lrbench.methods.answers import ANSWER
from lrbench.methods.changes import CHANGE
from lrbench.methods.objectives import OBJECTIVE
from lrbench.methods.plugins import Offer, installed
from lrbench.methods.selectors import SELECTOR
from lrbench.methods.sources import SOURCE
from lrbench.methods.targets import TARGET
from lrbench.suites.graders import GRADER

FAMILIES = (SOURCE, SELECTOR, TARGET, OBJECTIVE, CHANGE, ANSWER, GRADER)


def all_offers() -> tuple[Offer, ...]:
    """Every offer of every package, as the family judges it that it belongs to."""
    judged = {offer.component: offer for family in FAMILIES for offer in family.offers}
    return tuple(_judged(offer, judged.get(offer.component)) for offer in installed())


def _judged(offer: Offer, found: Offer | None) -> Offer:
    """What its family says of an offer; one that is of no kind of component is of no use."""
    if offer.component is None or offer.problem is not None:
        return offer
    return found or replace(
        offer, problem="it is no grader, and none of an arm's components, such as a selector"
    )
