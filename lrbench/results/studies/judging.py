"""The claims of a study and of its recipes, judged on the benchmarks that the study shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lrbench.recipe.claims import parse_claim
from lrbench.recipe.study import LoadedEdition
from lrbench.results.claims import judge_points
from lrbench.results.claims.in_words import claim_lines
from lrbench.results.rows import Row
from lrbench.results.studies.content import Judged
from lrbench.results.studies.gathering import Gathered, Line, command_for
from lrbench.results.studies.measures import pool


def judged_claims(edition: LoadedEdition, gathered: Gathered, runs: Path) -> Iterator[Judged]:
    """Every claim for every recipe that declares both of its arms, at every point of its sweep.

    As on a board, the claims of all points of a recipe and expert are one family.
    """
    for points in _by_recipe(gathered):
        lines = [line for at_point in points for line in at_point]
        first = lines[0]
        arms = {line.arm.name for line in lines} | {
            line.arm.name for line in gathered.lines if line.expert == first.expert and line.arm.is_expert
        }
        texts = dict.fromkeys((*edition.claims, *first.source.recipe.claims))
        claims = [
            claim
            for claim in map(parse_claim, texts)
            if {claim.first, claim.second} <= arms and claim.where in ("average", *edition.columns)
        ]
        if claims:
            rows = [list(_rows(at_point, gathered, edition.columns)) for at_point in points]
            wheres = {claim.where for claim in claims}
            pools = {where: pool(first.expert, where, edition.columns, gathered.lines) for where in wheres}
            judged = judge_points(claims, rows, command_for(first, runs), pools=pools)
            for at_point, judgements in zip(points, judged, strict=True):
                said = tuple(tuple(claim_lines(judgement)) for judgement in judgements)
                yield Judged(_title(at_point[0]), said)


def _by_recipe(gathered: Gathered) -> Iterator[list[list[Line]]]:
    """The lines of every recipe and expert, point by point."""
    groups: dict[tuple[str, tuple[str, ...], str], dict[str, list[Line]]] = {}
    for line in gathered.lines:
        if not line.arm.is_expert:
            points = groups.setdefault((line.source.path, line.source.overrides, line.expert), {})
            points.setdefault(repr(sorted(line.point.items())), []).append(line)
    for points in groups.values():
        yield list(points.values())


def _rows(lines: Sequence[Line], gathered: Gathered, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of the lines and of their untrained expert, with the shown benchmarks alone."""
    base = gathered.base_of(lines[0].expert)
    weights = {row.expert_weights for line in lines for row in line.rows}
    for line in (*lines, *([base] if base is not None else [])):
        for row in line.rows:
            if line is base and weights and row.expert_weights not in weights:
                # Another revision of the expert is another expert.
                continue
            yield replace(
                row,
                # The untrained expert is the same under every recipe's name.
                recipe=lines[0].recipe.name,
                cells={name: row.cells[name] for name in columns if name in row.cells},
                missing=tuple(name for name in row.missing if name in columns),
            )


def _title(line: Line) -> str:
    point = line.label.removeprefix(line.arm.name).strip()
    amateur = line.recipe.pair.amateur_name
    pair = line.expert if amateur is None else f"{line.expert} with {amateur}"
    return f"Claims for {pair} {point}".strip()
