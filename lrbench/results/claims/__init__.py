"""Claims set against results: supported, refuted, underpowered, or not measured.

A claim is supported when its test shows it, refuted when its test shows the opposite, and underpowered
otherwise. `first > second by m`: the 95% interval of the difference lies above m, or below. `first == second
within m`: the 90% interval lies within the margin (two one-sided tests at 5%), or the 95% interval wholly
outside. Claims judged together are a family: the chance that any is falsely supported is 5%, and so is
that of any being falsely refuted (Holm over all of them; a claim not measured yet counts, so that
measuring it takes nothing back).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any, Literal

from lrbench.evaluation.statistics import (
    LEVEL,
    POWER,
    SIGNIFICANCE,
    DifferenceTest,
    DrawsDifference,
    Interval,
    Pool,
    SeedDifference,
    holm,
)
from lrbench.recipe.claims import Claim, parse_claim
from lrbench.results.board import Board
from lrbench.results.claims.budgets import BudgetMatch, match_budgets
from lrbench.results.claims.matching import Match, by_point, match_rows
from lrbench.results.contrasts import pooled_spread
from lrbench.results.records import RecipeRecord
from lrbench.results.rows import Row, grouped

Verdict = Literal["supported", "refuted", "underpowered", "unmeasured"]

RUN = "lrbench run RECIPE"
_MOST_ITEMS = 10**8
_MOST_SEEDS = 1000
_EXACT = "exact unconditional test of the paired difference (score statistic)"
_COMBINED = "score intervals of the benchmarks' paired differences, combined (MOVER)"
_OF_DRAWS = (
    "means of the items' draws paired, by groups where items have them: Student's t; at nought, sign flips"
)
_OVER_SEEDS = "items paired, all seeds of both: Student's t for the seeds, normal for the items"


@dataclass(frozen=True)
class Needed:
    """What would decide a claim with power 0.8, were the true difference the one measured.

    `items` of the benchmark (of all benchmarks, each grown alike, for the average), the seeds as they are;
    `seeds` with the items as they are. None where more of it alone would not, or absurdly much were needed.
    """

    items: int | None
    seeds: int | None


@dataclass(frozen=True)
class Evidence:
    """What the verdict rests on. Differences are first minus second, in points.

    `interval` has the level `level`: 0.95, or 0.9 for an equivalence claim, whose two one-sided tests it
    shows. `p_one_sided`: of `>` and `<` against the claim and against its opposite; of `==` the two tests of
    TOST, against "at or under -margin" and "at or over margin". `p_supported` and `p_refuted` decide: the
    larger one-sided p for supporting `==`, two-sided for all else, and adjusted by Holm. `seeds` is empty
    where nothing in either model is random.
    `detectable`: how far from the margin a true difference had to lie for these data to decide with
    power 0.8. `notes`: what the interval cannot know.
    """

    test: str
    difference: float
    interval: Interval
    level: float
    p_one_sided: tuple[float, float]
    p_supported: float
    p_refuted: float
    n: int
    seeds: tuple[int, ...]
    detectable: float
    needed: Needed | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """A claim's verdict. `family` claims were judged together.

    Where it is unmeasured there is no evidence: `missing` says what has no result, and `run` what makes it.
    """

    claim: Claim
    verdict: Verdict
    family: int
    evidence: Evidence | None = None
    budgets: BudgetMatch | None = None
    missing: tuple[str, ...] = ()
    run: str = ""


def judge_claims(
    claims: Sequence[Claim],
    rows: Iterable[Row],
    run: str = RUN,
    unread: int = 0,
    pools: Mapping[str, Pool | None] | None = None,
) -> tuple[Judgement, ...]:
    """Verdicts on `claims`, in their order, from one board's rows of one expert and recipe, all its seeds.

    Of a sweep, `judge_points` judges all points. Where an arm was made in several ways (an edited
    recipe), rows made as its latest count, and the latest of each seed. `run` is the command that fills
    what is missing; `unread` claims of the family cannot be read, and count as not measured. `pools` say by
    column how far the runs of one arm lie apart; without them the arms among `rows` do.

    Raises `ValueError` for rows of several experts, recipes or points.
    """
    return judge_points(claims, [list(rows)], run, unread, pools)[0]


def judge_points(
    claims: Sequence[Claim],
    points: Sequence[Sequence[Row]],
    run: str = RUN,
    unread: int = 0,
    pools: Mapping[str, Pool | None] | None = None,
) -> list[tuple[Judgement, ...]]:
    """`judge_claims` of every point of a sweep, whose rows `by_point` gives; all of it is one family.

    Who looks at every point and speaks of one has chosen among all of them.
    """
    matches = [
        (claim, match)
        for rows in points
        for claim, match in zip(claims, _matches(claims, rows, pools), strict=True)
    ]
    supporting, refuting = [], []
    for claim, match in matches:
        measured = (match, *match.others) if isinstance(match, Match) else ()
        found = [_p_values(claim, one.test) for one in measured]
        supporting.append(max((supported for supported, _ in found), default=1.0))
        refuting.append(max((refuted for _, refuted in found), default=1.0))
    absent = [1.0] * (unread * len(points))
    family = len(matches) + len(absent)
    supporting, refuting = (holm([*values, *absent])[: len(matches)] for values in (supporting, refuting))
    judgements = []
    for (claim, match), p_supported, p_refuted in zip(matches, supporting, refuting, strict=True):
        if isinstance(match, Match):
            judgements.append(_judgement(claim, match, p_supported, p_refuted, family))
        else:
            judgements.append(Judgement(claim, "unmeasured", family, missing=match, run=run))
    width = len(claims)
    return [tuple(judgements[width * place : width * (place + 1)]) for place in range(len(points))]


def _matches(
    claims: Sequence[Claim], rows: Sequence[Row], pools: Mapping[str, Pool | None] | None
) -> list[Match | tuple[str, ...]]:
    """The rows that every claim is about at one point, or what is missing of them."""
    if len({(row.expert_weights, row.recipe) for row in rows}) > 1:
        raise ValueError("claims are judged on rows of one expert and one recipe")
    if len(by_point(rows)) > 1:
        raise ValueError("claims are judged on rows of one point of a sweep")
    if pools is None:
        groups = grouped(rows)
        pools = {claim.where: pooled_spread(groups, claim.where) for claim in claims}
    return [match_rows(claim, list(rows), pools.get(claim.where)) for claim in claims]


def claims_of(recipe: RecipeRecord) -> tuple[list[Claim], list[str]]:
    """The claims of a recorded recipe, and the texts of those that only another version understands."""
    claims, unread = [], []
    for text in recipe.claims:
        try:
            claims.append(parse_claim(text))
        except ValueError:
            unread.append(text)
    return claims, unread


def judge_recipe(
    recipe: RecipeRecord, board: Board, rows: Sequence[Row] | None = None
) -> list[tuple[Mapping[str, Any], tuple[Judgement, ...]]]:
    """Verdicts on the claims of a recipe as it was declared, for every point of its sweep, by `rows`.

    The claims of all points are one family. Only rows of the arms that the recipe means now count; where it
    has points chosen, those are the chosen ones.
    A recipe without claims, or none of whose arms is on the board, gives nothing.
    """
    claims, unread = claims_of(recipe)
    meant = recipe.meant_on(board.protocol_hash)
    own = [row for row in (board.rows if rows is None else rows) if row.arm_id in meant]
    # Claims are about the first suite.
    if not claims or not own or board.answers_nothing(recipe.recipe):
        return []
    run = recipe.command or RUN
    pools = {column: board.pool(own[0].expert_weights, column) for column in board.columns}
    points = by_point(own)
    judged = judge_points(claims, [of_point for _, of_point in points], run, len(unread), pools)
    return [(point, judgements) for (point, _), judgements in zip(points, judged, strict=True)]


def _judgement(claim: Claim, match: Match, p_supported: float, p_refuted: float, family: int) -> Judgement:
    test = match.test
    verdict: Verdict = "underpowered"
    if p_supported <= SIGNIFICANCE:
        verdict = "supported"
    elif p_refuted <= SIGNIFICANCE:
        verdict = "refuted"
    level = 1 - 2 * SIGNIFICANCE if claim.relation == "==" else LEVEL
    planning = _Planning(claim, match, test, family)
    evidence = Evidence(
        test=_words_for(match),
        difference=test.difference,
        interval=test.interval(level),
        level=level,
        p_one_sided=_one_sided(claim, test),
        p_supported=p_supported,
        p_refuted=p_refuted,
        n=match.n,
        seeds=match.seeds,
        detectable=planning.detectable,
        needed=planning.needed if verdict == "underpowered" else None,
        notes=match.notes,
    )
    return Judgement(claim, verdict, family, evidence, match_budgets(match.first, match.second))


def _words_for(match: Match) -> str:
    """What the test is."""
    if match.runs > 1:
        return _OVER_SEEDS
    if isinstance(match.test, DrawsDifference):
        return _OF_DRAWS
    return _EXACT if len(match.benchmarks) == 1 else _COMBINED


def _one_sided(claim: Claim, test: DifferenceTest) -> tuple[float, float]:
    """The one-sided p-values as `Evidence` holds them."""
    if claim.relation == "==":
        return test.p_above(-claim.margin), test.p_below(claim.margin)
    if claim.relation == ">":
        return test.p_above(claim.margin), test.p_below(claim.margin)
    return test.p_below(-claim.margin), test.p_above(-claim.margin)


def _p_values(claim: Claim, test: DifferenceTest) -> tuple[float, float]:
    """p of supporting and of refuting the claim, each at 5%, before Holm."""
    against, opposite = _one_sided(claim, test)
    if claim.relation == "==":
        outside = min(test.p_above(claim.margin), test.p_below(-claim.margin))
        return max(against, opposite), min(1.0, 2 * outside)
    return min(1.0, 2 * against), min(1.0, 2 * opposite)


class _Planning:
    """How much more would decide, from the variance measured; normal but for Student's t over seeds."""

    def __init__(self, claim: Claim, match: Match, test: DifferenceTest, family: int) -> None:
        from scipy.special import ndtri

        self.n, self.runs = match.n, match.runs
        self.freedom = test.freedom if isinstance(test, SeedDifference) else 0.0
        equivalence = claim.relation == "=="
        margin = -claim.margin if claim.relation == "<" else claim.margin
        inside = equivalence and abs(test.difference) < margin
        self.gap = abs(abs(test.difference) - margin) if equivalence else abs(test.difference - margin)
        # The first claim that Holm decides is tested at the level shared by the whole family.
        self.error = SIGNIFICANCE / family / (1 if inside else 2)
        # Equivalence has to be shown on both sides.
        self.power = float(ndtri((1 + POWER) / 2 if inside else POWER))
        self.z = float(-ndtri(self.error)) + self.power
        self.item_part, self.run_part = match.variances

    @property
    def detectable(self) -> float:
        return sqrt(self._t(self.runs) ** 2 * self.run_part + self.z**2 * self.item_part)

    @property
    def needed(self) -> Needed:
        return Needed(self._items(), self._seeds() if self.runs > 1 else None)

    def _items(self) -> int | None:
        left = self.gap**2 - self._t(self.runs) ** 2 * self.run_part
        if left <= 0 or self.z**2 * self.item_part * self.n > _MOST_ITEMS * left:
            return None
        return max(self.n + 1, ceil(self.n * self.z**2 * self.item_part / left))

    def _seeds(self) -> int | None:
        for seeds in range(self.runs + 1, _MOST_SEEDS + 1):
            run_part = self.run_part * self.runs / seeds
            if self._t(seeds) ** 2 * run_part + self.z**2 * self.item_part <= self.gap**2:
                return seeds
        return None

    def _t(self, seeds: int) -> float:
        """Student's quantile for so many seeds plus what the power asks; one seed has no part in it."""
        from scipy.special import stdtrit

        if self.runs == 1:
            return 0.0
        freedom = self.freedom * (seeds - 1) / (self.runs - 1)
        return float(-stdtrit(freedom, self.error)) + self.power
