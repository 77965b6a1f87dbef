"""Did it help? One sentence per expert, from the same tests as the table below it."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.numbers import p_text, points_text
from dashboard.text import name_html
from lrbench.recipe.expanding import point_text
from lrbench.results.board import BASE, SFT, Board, Delta, Row
from lrbench.results.statistics import Comparison, SeedDifference
from lrbench.results.wording import expert_label

SUBJECT = "lightr"
MOST_EXPERTS = 6


def answers_html(board: Board) -> str:
    """A sentence for each of the board's experts, the latest measured first, as far as there is room."""
    experts = sorted(
        board.by_expert.values(), key=lambda rows: max(row.recorded_at for row in rows), reverse=True
    )
    lines = "".join(_answer(board, rows) for rows in experts[:MOST_EXPERTS])
    left_out = len(experts) - MOST_EXPERTS
    more = f"<li class='lr-muted'>and {left_out} more experts; filter by expert to see theirs</li>"
    return f'<ul class="lr-answers">{lines}{more if left_out > 0 else ""}</ul>'


def _answer(board: Board, rows: Sequence[Row]) -> str:
    subjects = _subjects(rows)
    expert = f'<span class="lr-expert">{name_html(expert_label(rows[0], board))}</span>'
    if not subjects:
        arms = ", ".join(name_html(arm) for arm in dict.fromkeys(row.arm for row in rows))
        return f"<li>{expert}<p>{arms} measured; no {SUBJECT} result yet.</p></li>"
    verdict, sentence = _sentence(board, subjects)
    parts = [f"recipe {subjects[0].recipe}", point_text(subjects[0].point)]
    if len(subjects) == 1 and subjects[0].seed is not None:
        parts.append(f"seed {subjects[0].seed}")
    where = ", ".join(name_html(part) for part in parts if part)
    text = f'<p>{sentence} <span class="lr-muted">{where}</span></p>'
    return f'<li class="lr-verdict-{verdict}">{expert}{text}</li>'


def _subjects(rows: Sequence[Row]) -> list[Row]:
    """The rows asked about: the one measured last, and those that differ from it by the seed alone."""
    candidates = [row for row in rows if row.arm == SUBJECT]
    if not candidates:
        return []
    latest = max(candidates, key=lambda row: row.recorded_at)
    return [row for row in candidates if row.group == latest.group]


def _sentence(board: Board, subjects: Sequence[Row]) -> tuple[str, str]:
    """What is said and whether that is `up`, `down` or a `tie`, or `none` where nothing can be compared."""
    for baseline in (SFT, BASE):
        deltas = [(row, delta) for row in subjects if (delta := _delta(row, baseline)) and delta.complete]
        if deltas:
            break
    else:
        return "none", f"<b>{SUBJECT}</b> has no baseline measured on the same items."
    several = _over_seeds(board, deltas, baseline) if len(deltas) > 1 else None
    verdict, sentence = several or _one(deltas[-1][1], baseline)
    if baseline == SFT and len(subjects) == 1 and (to_base := subjects[0].to_base) and to_base.average:
        sentence += f" Against {BASE}: {_difference(to_base.average)}."
    return verdict, sentence


def _one(delta: Delta, baseline: str) -> tuple[str, str]:
    found = delta.average
    assert found is not None
    verdict = _verdict(found)
    if verdict == "tie":
        said = f"<b>{SUBJECT} and {baseline} are a tie</b> on average ({_difference(found)})"
    else:
        way = "above" if verdict == "up" else "below"
        said = f"<b>{SUBJECT} is {abs(found.difference):.1f} points {way} {baseline}</b> on average"
        said += f" ({p_text(found.p)})"
    return verdict, f"{said}; {_benchmarks(delta)}."


def _over_seeds(board: Board, deltas: Sequence[tuple[Row, Delta]], baseline: str) -> tuple[str, str] | None:
    """The difference for seeds like these; None where the seeds do not meet baselines of their own."""
    by_id = {row.arm_id: row for row in board.rows}
    pairs = [(row, other) for row, delta in deltas if (other := by_id.get(delta.baseline)) is not None]
    if len({other.arm_id for _, other in pairs}) < len(deltas):
        return None
    difference = SeedDifference(
        [[[row.cells[name].score.paper] for row, _ in pairs] for name in board.benchmarks],
        [[[other.cells[name].score.paper] for _, other in pairs] for name in board.benchmarks],
    )
    interval, points = difference.interval(), abs(difference.difference)
    p = min(1.0, 2 * min(difference.p_above(0), difference.p_below(0)))
    seeds = f"over {len(pairs)} seeds"
    bounds = f"95% interval {points_text(interval.low)} to {points_text(interval.high)}, {p_text(p)}"
    if 0 in interval:
        signed = points_text(difference.difference)
        return (
            "tie",
            f"<b>{SUBJECT} and {baseline} are a tie</b> {seeds} on average ({signed} points, {bounds}).",
        )
    way = "above" if difference.difference > 0 else "below"
    sentence = f"<b>{SUBJECT} is {points:.1f} points {way} {baseline}</b> {seeds} on average ({bounds})."
    return ("up" if way == "above" else "down"), sentence


def _benchmarks(delta: Delta) -> str:
    verdicts = [_verdict(found) for found in delta.benchmarks.values()]
    total, ties = len(verdicts), verdicts.count("tie")
    if ties == total:
        return f"all {total} benchmarks alone are ties"
    parts = [f"{ties} of {total} benchmarks are {'a tie' if ties == 1 else 'ties'}"]
    if won := verdicts.count("up"):
        parts.append(f"{won} won")
    if lost := verdicts.count("down"):
        parts.append(f"{lost} lost")
    return ", ".join(parts)


def _difference(found: Comparison) -> str:
    return f"{points_text(found.difference)} points, {p_text(found.p)}"


def _verdict(found: Comparison) -> str:
    if not found.separated:
        return "tie"
    return "up" if found.difference > 0 else "down"


def _delta(row: Row, baseline: str) -> Delta | None:
    return row.to_sft if baseline == SFT else row.to_base
