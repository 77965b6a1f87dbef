"""Did it help? One sentence per expert, from the same tests as the table below it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dashboard.numbers import p_text, points_text
from dashboard.text import name_html
from lrbench.recipe.expanding import point_text
from lrbench.results.board import BASE, SFT, Board, Delta, Row
from lrbench.results.statistics import Comparison, SeedDifference
from lrbench.results.wording import expert_label

SUBJECT = "lightr"
MOST_EXPERTS = 6


def answers_html(board: Board, whole: Board, meant: Collection[str] = ()) -> str:
    """A sentence for each of the board's experts, the latest measured first, as far as there is room.

    Baselines are looked up in the `whole` board, which filters have not narrowed. Of an expert's results the
    latest is spoken of, before all others one of the arms `meant`.
    """
    experts = sorted(
        board.by_expert.values(), key=lambda rows: max(row.recorded_at for row in rows), reverse=True
    )
    by_id = {row.arm_id: row for row in whole.rows}
    lines = "".join(_answer(board, rows, by_id, meant) for rows in experts[:MOST_EXPERTS])
    left_out = len(experts) - MOST_EXPERTS
    more = f"<li class='lr-muted'>and {left_out} more experts; filter by expert to see theirs</li>"
    return f'<ul class="lr-answers">{lines}{more if left_out > 0 else ""}</ul>'


def _answer(board: Board, rows: Sequence[Row], by_id: Mapping[str, Row], meant: Collection[str]) -> str:
    subjects = _subjects(rows, meant)
    expert = f'<span class="lr-expert">{name_html(expert_label(rows[0], board))}</span>'
    if not subjects:
        arms = ", ".join(name_html(arm) for arm in dict.fromkeys(row.arm for row in rows))
        return f"<li>{expert}<p>{arms} measured; no {SUBJECT} result yet.</p></li>"
    verdict, sentence = _sentence(subjects, by_id)
    parts = [f"recipe {subjects[0].recipe}", point_text(subjects[0].point), subjects[0].variant]
    if len(subjects) == 1 and subjects[0].seed is not None:
        parts.append(f"seed {subjects[0].seed}")
    where = ", ".join(name_html(part) for part in parts if part)
    text = f'<p>{sentence} <span class="lr-muted">{where}</span></p>'
    return f'<li class="lr-verdict-{verdict}">{expert}{text}</li>'


def _subjects(rows: Sequence[Row], meant: Collection[str]) -> list[Row]:
    """The rows asked about: the last measured of those meant, and what differs from it by the seed alone."""
    candidates = [row for row in rows if row.arm == SUBJECT]
    if not candidates:
        return []
    latest = max(candidates, key=lambda row: (row.arm_id in meant, row.recorded_at))
    return [row for row in candidates if row.group == latest.group]


def _sentence(subjects: Sequence[Row], by_id: Mapping[str, Row]) -> tuple[str, str]:
    """What is said and whether that is `up`, `down` or a `tie`, or `none` where nothing can be compared."""
    for baseline in (SFT, BASE):
        deltas = [(row, delta) for row in subjects if (delta := _delta(row, baseline)) and delta.complete]
        if deltas:
            break
    else:
        return "none", f"<b>{SUBJECT}</b> has no baseline measured on the same items."
    if several := _over_seeds(deltas, baseline, by_id):
        return several
    row, delta = deltas[-1]
    verdict, sentence = _one(row, delta, baseline)
    if len(deltas) > 1:
        measured = sorted(found.average.difference for _, found in deltas if found.average is not None)
        sentence += (
            f" That is seed {row.seed}, one of {len(deltas)}, which range from {points_text(measured[0])} to "
            f"{points_text(measured[-1])} points."
        )
    elif baseline == SFT and (to_base := row.to_base) and to_base.average:
        sentence += f" Against {_baseline_html(row, to_base, BASE)}: {_difference(to_base.average)}."
    return verdict, sentence


def _one(row: Row, delta: Delta, baseline: str) -> tuple[str, str]:
    found = delta.average
    assert found is not None
    verdict, other = _verdict(found), _baseline_html(row, delta, baseline)
    if verdict == "tie":
        said = f"<b>{SUBJECT} and {other} are a tie</b> on average ({_difference(found)})"
    else:
        way = "above" if verdict == "up" else "below"
        said = f"<b>{SUBJECT} is {abs(found.difference):.1f} points {way} {other}</b> on average"
        said += f" ({p_text(found.p)})"
    return verdict, f"{said}; {_benchmarks(delta)}."


def _over_seeds(
    deltas: Sequence[tuple[Row, Delta]], baseline: str, by_id: Mapping[str, Row]
) -> tuple[str, str] | None:
    """The difference for seeds like these; None where fewer than two have a baseline of their own seed.

    `base` is not trained: what it answers is the same for every seed.
    """
    pairs = [
        (row, other, delta)
        for row, delta in deltas
        if (other := by_id.get(delta.baseline)) is not None and (baseline == BASE or other.seed == row.seed)
    ]
    items = {tuple(cell.score.items_hash for cell in row.cells.values()) for row, _, _ in pairs}
    if len(pairs) < 2 or len(items) > 1:
        return None
    benchmarks = list(pairs[0][0].cells)
    difference = SeedDifference(
        [[[row.cells[name].score.paper] for row, _, _ in pairs] for name in benchmarks],
        [[[other.cells[name].score.paper] for _, other, _ in pairs] for name in benchmarks],
    )
    interval, points = difference.interval(), abs(difference.difference)
    p = min(1.0, 2 * min(difference.p_above(0), difference.p_below(0)))
    seeds = f"over {len(pairs)} seeds"
    if left_out := len(deltas) - len(pairs):
        seeds += f" ({left_out} without a {baseline} of the same seed left out)"
    bounds = f"95% interval {points_text(interval.low)} to {points_text(interval.high)}, {p_text(p)}"
    names = " and ".join(
        dict.fromkeys(_baseline_html(row, delta, baseline, False) for row, _, delta in pairs)
    )
    if 0 in interval:
        signed = points_text(difference.difference)
        said = f"<b>{SUBJECT} and {names} are a tie</b> {seeds} on average ({signed} points, {bounds})."
        return "tie", said
    way = "above" if difference.difference > 0 else "below"
    sentence = f"<b>{SUBJECT} is {points:.1f} points {way} {names}</b> {seeds} on average ({bounds})."
    return ("up" if way == "above" else "down"), sentence


def _baseline_html(row: Row, delta: Delta, baseline: str, with_seed: bool = True) -> str:
    """`sft`, and of which recipe, point, making and seed where those are not the row's own."""
    foreign = delta.baseline_recipe != row.recipe
    parts = [f"{baseline} of {name_html(delta.baseline_recipe)}" if foreign else baseline]
    if any(row.point.get(field, value) != value for field, value in delta.baseline_point.items()):
        parts.append(name_html(point_text(delta.baseline_point)))
    if delta.baseline_variant:
        parts.append(name_html(delta.baseline_variant))
    seed = delta.baseline_seed
    if with_seed and seed is not None and (foreign or seed != row.seed):
        parts.append(f"seed {seed}")
    return ", ".join(parts)


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
