"""Did it help? One sentence per expert, from the same tests as the table below it."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.numbers import p_text, points_text
from dashboard.text import name_html
from lrbench.evaluation.statistics import Comparison
from lrbench.results.board import BASE, SFT, Board, Delta, Row
from lrbench.results.wording import expert_label

SUBJECT = "lightr"
MOST_EXPERTS = 6
MOST_SEEDS = 5


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
    verdict, sentence = _sentence(subjects)
    where = f"recipe {name_html(subjects[0].recipe)}"
    if len(subjects) == 1 and subjects[0].seed is not None:
        where += f", seed {subjects[0].seed}"
    text = f'<p>{sentence} <span class="lr-muted">{where}</span></p>'
    return f'<li class="lr-verdict-{verdict}">{expert}{text}</li>'


def _subjects(rows: Sequence[Row]) -> list[Row]:
    """The rows asked about: of the recipe measured last, one per seed, the latest of each."""
    candidates = [row for row in rows if row.arm == SUBJECT]
    if not candidates:
        return []
    latest = max(candidates, key=lambda row: row.recorded_at)
    by_seed: dict[int | None, Row] = {}
    for row in sorted(candidates, key=lambda row: row.recorded_at):
        if row.recipe == latest.recipe:
            by_seed[row.seed] = row
    return list(by_seed.values())[-MOST_SEEDS:]


def _sentence(subjects: Sequence[Row]) -> tuple[str, str]:
    """What is said and whether that is `up`, `down` or a `tie`, or `none` where nothing can be compared."""
    for baseline in (SFT, BASE):
        deltas = [delta for row in subjects if (delta := _delta(row, baseline)) and delta.average]
        if deltas:
            break
    else:
        return "none", f"<b>{SUBJECT}</b> has no baseline measured on the same items."
    verdict, sentence = _one(deltas[0], baseline) if len(deltas) == 1 else _several(deltas, baseline)
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


def _several(deltas: Sequence[Delta], baseline: str) -> tuple[str, str]:
    found = [delta.average for delta in deltas if delta.average]
    verdicts = [_verdict(comparison) for comparison in found]
    mean = sum(comparison.difference for comparison in found) / len(found)
    counts = {
        "above it": verdicts.count("up"),
        "a tie": verdicts.count("tie"),
        "below it": verdicts.count("down"),
    }
    said = ", ".join(f"{what} in {count}" for what, count in counts.items() if count)
    every = next(iter(set(verdicts))) if len(set(verdicts)) == 1 else "tie"
    sentence = f"<b>{SUBJECT} against {baseline}, {len(found)} seeds: {said}</b>"
    return every, f"{sentence} (mean {points_text(mean)} points on average over benchmarks)."


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
