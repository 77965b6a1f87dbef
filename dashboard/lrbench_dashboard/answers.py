"""Did it help? One sentence per expert, from the same tests as the table below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.contrasts import is_fixed
from lrbench.results.rows import AVERAGE, Delta, Row, grouped
from lrbench.results.statistics import EQUIVALENCE_MARGIN, Comparison
from lrbench.results.telling import spoken_of
from lrbench.results.wording import expert_label, p_text
from lrbench_dashboard.numbers import points_text
from lrbench_dashboard.text import name_html

MOST_EXPERTS = 6
ONE_SEED = "One run of each says nothing of other seeds."


def answers_html(board: Board, whole: Board, meant: Collection[str] = ()) -> str:
    """A sentence for each of the board's experts, the latest measured first, as far as there is room.

    Baselines are looked up in the `whole` board, which filters have not narrowed. Of an expert's results the
    latest is spoken of, before all others one of the arms `meant`.
    """
    experts = sorted(
        board.by_expert.values(), key=lambda rows: max(row.recorded_at for row in rows), reverse=True
    )
    lines = "".join(_answer(board, rows, whole, meant) for rows in experts[:MOST_EXPERTS])
    left_out = len(experts) - MOST_EXPERTS
    more = f"<li class='lr-muted'>and {left_out} more experts; filter by expert to see theirs</li>"
    return f'<ul class="lr-answers">{lines}{more if left_out > 0 else ""}</ul>'


def _answer(board: Board, rows: Sequence[Row], whole: Board, meant: Collection[str]) -> str:
    subjects = spoken_of(board, rows, meant)
    expert = f'<span class="lr-expert">{name_html(expert_label(rows[0], board))}</span>'
    if not subjects:
        return f"<li>{expert}<p>{_nothing_yet(board, rows)}</p></li>"
    verdict, sentence = _sentence(subjects, whole)
    parts = [f"recipe {subjects[0].recipe}", point_text(subjects[0].point), subjects[0].variant]
    if len(subjects) == 1 and subjects[0].seed is not None:
        parts.append(f"seed {subjects[0].seed}")
    where = ", ".join(name_html(part) for part in parts if part)
    text = f'<p>{sentence} <span class="lr-muted">{where}</span></p>'
    return f'<li class="lr-verdict-{verdict}">{expert}{text}</li>'


def _nothing_yet(board: Board, rows: Sequence[Row]) -> str:
    """What was measured, and which subjects were not; of none where nothing else was declared either."""
    arms = ", ".join(name_html(arm) for arm in dict.fromkeys(row.arm for row in rows))
    asked = (board.comparisons_of(row).subject for row in rows)
    subjects = " or ".join(name_html(name) for name in dict.fromkeys(asked) if name is not None)
    return (
        f"{arms} measured; no {subjects} result yet." if subjects else f"{arms} measured, and nothing else."
    )


def _sentence(subjects: Sequence[Row], whole: Board) -> tuple[str, str]:
    """What is said and whether that is `up`, `down`, `equivalent` or `inconclusive`; `none` of nothing."""
    ranked = list(dict.fromkeys(name for row in subjects for name in whole.foremost(row)))
    paired = {
        name: [(row, delta) for row in subjects if (delta := row.against.get(name)) and delta.complete]
        for name in ranked
    }
    found = [name for name in ranked if paired[name]]
    if not found:
        return "none", f"<b>{name_html(subjects[0].arm)}</b> has no baseline measured on the same items."
    baseline, *others = found
    deltas = paired[baseline]
    row, delta = deltas[-1]
    several = _over_seeds(subjects, deltas[-1], baseline, whole)
    verdict, sentence = several or _one(row, delta, baseline)
    group = grouped(subjects)[0]
    for other in others:
        beside = row.against.get(other)
        if beside is None:
            continue
        average = whole.over_seeds(group, other).get(AVERAGE) if several else beside.average
        if average is not None:
            named = _baseline_html(row, beside, other, not several)
            sentence += f" Against {named}: {_difference(average)}."
    return verdict, sentence


def _one(row: Row, delta: Delta, baseline: str) -> tuple[str, str]:
    """Of one run each: these runs, and nothing of other seeds."""
    found = delta.average
    assert found is not None
    verdict, said = _said(found, name_html(row.arm), _baseline_html(row, delta, baseline))
    return (
        verdict,
        f"{said} on average in these runs ({_difference(found)}); {_benchmarks(delta)}. {ONE_SEED}",
    )


def _over_seeds(
    subjects: Sequence[Row], latest: tuple[Row, Delta], baseline: str, whole: Board
) -> tuple[str, str] | None:
    """Training like this, by all seeds of both; None where one run is all there is."""
    (row, delta), group = latest, grouped(subjects)[0]
    other = whole.baseline_of(group, baseline)
    if len(group.rows) < 2 or other is None:
        return None
    found = whole.against(group, other).get(AVERAGE)
    if found is None or found.runs is None:
        return None
    subject = name_html(row.arm)
    verdict, said = _said(found, subject, _baseline_html(row, delta, baseline, False))
    interval, seeds = found.interval, f"{len(group.rows)} seeds"
    if not is_fixed(other.rows):
        seeds += f" of {subject} and {len(other.rows)} of {name_html(baseline)}"
    bounds = f"95% interval {points_text(interval.low)} to {points_text(interval.high)}, {p_text(found.p)}"
    sentence = f"{said} over {seeds} on average ({points_text(found.difference)} points, {bounds})."
    runs = {"separated": "differ", "equivalent": "are equivalent", "inconclusive": "are not separated"}
    return verdict, f"{sentence} These runs {runs[found.runs.verdict]} ({p_text(found.runs.p)})."


def _said(found: Comparison, subject: str, other: str) -> tuple[str, str]:
    """The verdict as `up`, `down`, `equivalent` or `inconclusive`, and in words."""
    if found.separated:
        way = "above" if found.difference > 0 else "below"
        said = f"<b>{subject} is {abs(found.difference):.1f} points {way} {other}</b>"
        return _verdict(found), said
    if found.verdict == "equivalent":
        said = f"<b>{subject} and {other} are equivalent, within {EQUIVALENCE_MARGIN:g} points</b>"
        return found.verdict, said
    return found.verdict, f"<b>{subject} against {other} is inconclusive</b>"


def _baseline_html(row: Row, delta: Delta, baseline: str, with_seed: bool = True) -> str:
    """`sft`, and of which recipe, point, making and seed where those are not the row's own."""
    foreign, name = delta.baseline_recipe != row.recipe, name_html(baseline)
    parts = [f"{name} of {name_html(delta.baseline_recipe)}" if foreign else name]
    if any(row.point.get(field, value) != value for field, value in delta.baseline_point.items()):
        parts.append(name_html(point_text(delta.baseline_point)))
    if delta.baseline_variant:
        parts.append(name_html(delta.baseline_variant))
    seed = delta.baseline_seed
    if with_seed and seed is not None and (foreign or seed != row.seed):
        parts.append(f"seed {seed}")
    return ", ".join(parts)


def _benchmarks(delta: Delta) -> str:
    verdicts = Counter(_verdict(found) for found in delta.benchmarks.values())
    words = {"up": "won", "down": "lost", "equivalent": "equivalent", "inconclusive": "inconclusive"}
    parts = [f"{verdicts[verdict]} {word}" for verdict, word in words.items() if verdicts[verdict]]
    return f"of {verdicts.total()} benchmarks {', '.join(parts)}"


def _difference(found: Comparison) -> str:
    return f"{points_text(found.difference)} points, {p_text(found.p)}"


def _verdict(found: Comparison) -> str:
    if not found.separated:
        return found.verdict
    return "up" if found.difference > 0 else "down"
