"""A gate for continuous integration: what was asked of results, and one verdict with an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lrbench.errors import UserError
from lrbench.recipe.claims import AVERAGE
from lrbench.results.claims import Judgement
from lrbench.results.claims.in_words import claim_lines
from lrbench.results.text import markdown, plain

GateVerdict = Literal["supported", "refuted", "inconclusive"]
# 1 and 2 are those of errors.
EXIT_CODES: dict[GateVerdict, int] = {"supported": 0, "refuted": 3, "inconclusive": 4}
LONGEST_LINE = 1000
_MOST_POINTS = 100


@dataclass(frozen=True)
class Asked:
    """What a gate asks besides claims: nobody worse than `base` by `points`, on each of `where`."""

    base: str
    points: float
    where: tuple[str, ...] = (AVERAGE,)


@dataclass(frozen=True)
class Gate:
    """The judgements that decide, each with the point of a sweep it is of, and what a reader has to know."""

    judgements: tuple[tuple[str, Judgement], ...]
    remarks: tuple[str, ...] = ()

    @property
    def verdict(self) -> GateVerdict:
        """Refuted where anything is, else inconclusive where anything is not decided or not measured."""
        verdicts = {judgement.verdict for _, judgement in self.judgements}
        if "refuted" in verdicts:
            return "refuted"
        return "supported" if verdicts == {"supported"} else "inconclusive"

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return EXIT_CODES[self.verdict]

    @property
    def headline(self) -> str:
        """`refuted: 1 of 3 claims is refuted, 1 is not decided`."""
        verdicts = [judgement.verdict for _, judgement in self.judgements]
        counts = (
            (verdicts.count("supported"), "supported"),
            (verdicts.count("refuted"), "refuted"),
            (len(verdicts) - verdicts.count("supported") - verdicts.count("refuted"), "not decided"),
        )
        told = ", ".join(f"{count} {word}" for count, word in counts if count)
        return f"{self.verdict}: of {len(verdicts)} {'claim' if len(verdicts) == 1 else 'claims'}, {told}"


def asked_of(base: str | None, points: float | None, where: tuple[str, ...]) -> Asked | None:
    """What `--no-worse-than BASE --by POINTS --on WHERE` ask; None where they are not there.

    Raises `UserError` for one without the other, and for a margin that is none.
    """
    if base is None and points is None:
        if where:
            raise UserError("--on says where --no-worse-than is judged; add --no-worse-than BASE --by POINTS")
        return None
    if base is None or points is None:
        raise UserError("--no-worse-than BASE and --by POINTS belong together; name both")
    if not 0 < points <= _MOST_POINTS:
        raise UserError(f"--by {points:g}: allowed are points of accuracy above 0 and up to {_MOST_POINTS}")
    return Asked(base, points, where or (AVERAGE,))


def gate_lines(gate: Gate) -> Iterator[str]:
    """The verdict, and what it rests on; plain text."""
    for point, judgement in gate.judgements:
        claim, *reasons = claim_lines(judgement)
        yield f"{claim} (at {plain(point)})" if point else claim
        yield from reasons
    yield from (plain(remark, LONGEST_LINE) for remark in gate.remarks)
    yield gate.headline


def gate_markdown(gate: Gate) -> str:
    """The verdict and what it rests on as Markdown, for a pull request."""
    parts = [f"## lrbench gate: {gate.headline}"]
    table = ["| verdict | claim | difference | interval | n |", "| --- | --- | ---: | ---: | ---: |"]
    for point, judgement in gate.judgements:
        evidence = judgement.evidence
        numbers = ["-", "-", "-"]
        if evidence is not None:
            low, high = evidence.interval.low, evidence.interval.high
            level = f"{100 * evidence.level:.0f}%"
            numbers = [
                f"{evidence.difference:+.1f}",
                f"[{low:+.1f}, {high:+.1f}] ({level})",
                f"{evidence.n:,}",
            ]
        claim = judgement.claim.text + (f" (at {point})" if point else "")
        cells = [judgement.verdict, markdown(claim, LONGEST_LINE), *map(markdown, numbers)]
        table.append(f"| {' | '.join(cells)} |")
    parts.append("\n".join(table))
    reasons = [
        f"- {markdown(line.strip(), LONGEST_LINE)}"
        for _, judgement in gate.judgements
        for line in claim_lines(judgement)[1:]
    ]
    reasons += [f"- {markdown(remark, LONGEST_LINE)}" for remark in gate.remarks]
    return "\n\n".join([*parts, "\n".join(reasons)]) + "\n"
