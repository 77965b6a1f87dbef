"""A gate on a recipe: are its claims, or the arms that it asks of, what the ledger shows?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from lrbench.errors import UserError
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.recording import protocol_of, recipe_record
from lrbench.recipe.claims import AVERAGE, Claim, no_worse, parse_claim
from lrbench.recipe.comparing import comparisons_of
from lrbench.recipe.expanding import point_text
from lrbench.recipe.messages import did_you_mean
from lrbench.recipe.schema import Recipe
from lrbench.results.board import build_boards
from lrbench.results.claims import judge_claims, judge_points
from lrbench.results.claims.gates import Asked, Gate
from lrbench.results.claims.matching import by_point
from lrbench.results.ledger import Ledger


def gate_recipe(
    recipe: Recipe, runs: Path, command: str, asked: Asked | None = None, arm: str | None = None
) -> Gate:
    """Whether the results of `recipe`, as it stands now, support its claims, or what is `asked` of `arm`.

    Runs nothing: what is not measured is not decided, and `command` is said to measure it. `arm` is None for
    the arm that the recipe is about. Every point of a sweep is judged, the claims of all being one family.
    Raises `UserError` for a recipe without claims of which nothing is asked, and for an arm it does not have.
    """
    plan = plan_recipe(recipe, runs, fetch=False)
    claims = _claims(recipe, asked, arm)
    _check_places(claims, plan)
    record = recipe_record(plan, command, datetime.now(UTC).isoformat(timespec="seconds"))
    contents = Ledger(runs / "ledger").read()
    if plan.is_open:
        # Where a point cannot be measured, what a run has chosen from the others is recorded.
        known = [each for each in contents.recipes if each.recipe_hash == record.recipe_hash]
        record = known[-1] if known else record
    boards = build_boards(contents.arms, contents.scores, [*contents.recipes, record])
    protocols = {protocol_of(evaluation) for arm in plan.arms for evaluation in arm.evaluations}
    judged = []
    for board in boards:
        meant = record.meant_on(board.protocol_hash)
        own = [row for row in board.rows if row.arm_id in meant]
        if board.protocol_hash in protocols and own:
            pools = {column: board.pool(own[0].expert_weights, column) for column in board.columns}
            points = by_point(own)
            found = judge_points(claims, [rows for _, rows in points], command, pools=pools)
            judged += [
                (point_text(point), judgement)
                for (point, _), judgements in zip(points, found, strict=True)
                for judgement in judgements
            ]
    judged = judged or [("", judgement) for judgement in judge_claims(claims, [], command)]
    return Gate(tuple(judged), tuple(str(broken) for broken in contents.broken))


def _check_places(claims: Sequence[Claim], plan: Plan) -> None:
    known = [
        AVERAGE,
        *dict.fromkeys(
            score.benchmark for arm in plan.arms for scores in arm.evaluations for score in scores
        ),
    ]
    for claim in claims:
        if claim.where not in known:
            raise UserError(f"--on {claim.where}: not measured{did_you_mean(claim.where, known)}")


def _claims(recipe: Recipe, asked: Asked | None, arm: str | None) -> list[Claim]:
    names = [declared.name for declared in recipe.arms]
    if asked is None:
        if arm is not None:
            raise UserError("--arm says of which arm --no-worse-than is asked; add --no-worse-than and --by")
        if not recipe.claims:
            raise UserError(
                f"{recipe.name} has no claims; add `claims:` to it, or ask --no-worse-than BASE --by POINTS"
            )
        return [parse_claim(text) for text in recipe.claims]
    first = arm or comparisons_of(recipe).subject
    for option, name in (("--no-worse-than", asked.base), ("--arm", first)):
        if name is not None and name not in names:
            raise UserError(f"{option} {name}: no arm of {recipe.name}{did_you_mean(name, names)}")
    if first is None or first == asked.base:
        raise UserError(f"--arm: name the arm of {recipe.name} that is set against {asked.base}")
    return [no_worse(first, asked.base, where, asked.points) for where in asked.where]
