"""Did it help? What a recipe claims or else compares, with its controls beside it, by the board's numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from lrbench.recipe.expanding import point_text
from lrbench.results.asking import CONTROLS_BEYOND, Asked, Held, answer_to, asked_of
from lrbench.results.board import Board
from lrbench.results.claims import Judgement, Verdict
from lrbench.results.claims.in_words import claim_sentence, needed_text
from lrbench.results.records import RecipeRecord
from lrbench.results.rows import Delta, Group, Row, is_fixed
from lrbench.results.statistics import EQUIVALENCE_MARGIN, Comparison
from lrbench.results.web.text import name_html, prose_html
from lrbench.results.wording import expert_label, p_text, too_high_text
from lrbench_dashboard import state
from lrbench_dashboard.links import sweep_token
from lrbench_dashboard.numbers import NONE, points_text, verdict_of, verdict_word_html

# Of how many experiments the answer stands above a board of all.
MOST_ANSWERS = 3
ONE_SEED = "One run of each says nothing of other seeds."
# A claim's verdict, and the style of what it says of the claim.
VERDICTS: dict[Verdict, str] = {
    "supported": "up",
    "refuted": "down",
    "underpowered": "muted",
    "unmeasured": "muted",
}


def answers_html(board: Board, declared: Mapping[str, RecipeRecord], rows: Sequence[Row]) -> str:
    """What the experiments among `rows` of the `board` answer, as far as there is room, last measured first.

    `declared` holds what the recipes' names stand for. All of an experiment's rows answer, also those that a
    filter hides.
    """
    wanted = {(row.expert_weights, row.recipe) for row in rows}
    sections = [
        section
        for section in asked_of(board, declared)
        if (section[0].expert_weights, section[0].recipe) in wanted
    ]
    lines = "".join(_answer(board, section, declared) for section in sections[:MOST_ANSWERS])
    left_out = len(sections) - MOST_ANSWERS
    more = (
        f"<li class='lr-muted'>and {left_out} more experiments: choose a recipe above to see its answer</li>"
    )
    return f'<ul class="lr-answers">{lines}{more if left_out > 0 else ""}</ul>'


def _answer(board: Board, rows: Sequence[Row], declared: Mapping[str, RecipeRecord]) -> str:
    asked = answer_to(board, rows, declared)
    where = f"{name_html(expert_label(rows[0], board))}, recipe {name_html(rows[0].recipe)}"
    expert = f'<span class="lr-expert">{where}</span>'
    if asked.judged:
        verdict, said = _claims_verdict(asked.judged)
        body = f"<p><b>{said}</b></p>{_claims_html(asked)}"
    elif asked.subject is not None:
        verdict, sentence = _sentence(asked, board)
        made = asked.subject.rows[-1].variant
        body = f"<p>{sentence}{f' <span class=lr-muted>{name_html(made)}</span>' if made else ''}</p>"
    elif asked.judged_at:
        verdict, body = _claims_at_points(asked)
    elif asked.sweeps:
        verdict, body = "none", ""
    else:
        verdict, body = "none", f"<p>{_nothing_yet(board, rows)}</p>"
    return f'<li class="lr-verdict-{verdict}">{expert}{body}{_sweeps_html(asked)}</li>'


def _claims_verdict(judged: Sequence[Judgement]) -> tuple[str, str]:
    counts = Counter(judgement.verdict for judgement in judged)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    of = "The claim" if len(judged) == 1 else f"Of {len(judged)} claims"
    if counts["supported"] == len(judged):
        return "up", f"{of}: {said}."
    return "down" if counts["refuted"] == len(judged) else "mixed", f"{of}: {said}."


def _claims_at_points(asked: Asked) -> tuple[str, str]:
    """Of every claim of a sweep at how many points it is what, and how far apart the points are."""
    lines = ""
    for judgements in zip(*asked.judged_at, strict=True):
        counts = Counter(judgement.verdict for judgement in judgements)
        said = ", ".join(
            f"{verdict} at {f'all {count}' if count == len(judgements) else count} points"
            for verdict in VERDICTS
            if (count := counts[verdict])
        )
        found = [judgement.evidence.difference for judgement in judgements if judgement.evidence is not None]
        ends = f" ({points_text(min(found))} to {points_text(max(found))} points)" if found else ""
        lines += f"<p><b>{name_html(judgements[0].claim.text, 120)}: {said}</b>{ends}</p>"
    verdicts = {judgement.verdict for judgements in asked.judged_at for judgement in judgements}
    verdict = (
        {"supported": "up", "refuted": "down"}.get(verdicts.pop(), "mixed") if len(verdicts) == 1 else "mixed"
    )
    return verdict, f'{lines}<p class="lr-beside">The claims of all points are one family (Holm).</p>'


def _claims_html(asked: Asked) -> str:
    """Every claim with its verdict and what that rests on, and beside it the controls of its subject."""
    subject = None if asked.subject is None else asked.subject.rows[0].arm
    lines = ""
    for judgement in asked.judged:
        claim = judgement.claim
        held = asked.held if claim.first == subject else ()
        beside = "" if claim.second in CONTROLS_BEYOND else _controls_html(held)
        lines += (
            f'<tr><th scope="row">{name_html(claim.text, 120)}</th>'
            f'<td class="lr-{VERDICTS[judgement.verdict]}"><b>{judgement.verdict}</b></td>'
            f"<td>{_evidence_html(judgement)}</td><td>{beside}</td></tr>"
        )
    unheld = f'<p class="lr-beside">{prose_html(asked.unheld)}</p>' if asked.unheld else ""
    family = asked.judged[0].family
    together = f"{family} claims are one family (Holm); intervals stand alone." if family > 1 else ""
    return (
        '<div class="lr-scroll"><table class="lr-plain lr-claims"><thead><tr><th scope="col">claim</th>'
        '<th scope="col">verdict</th><th scope="col">what it rests on</th>'
        '<th scope="col">its controls beside it, on average</th></tr></thead>'
        f"<tbody>{lines}</tbody></table></div>{unheld}"
        + (f'<p class="lr-beside">{together}</p>' if together else "")
    )


def _evidence_html(judgement: Judgement) -> str:
    found = judgement.evidence
    if found is None:
        missing = "; ".join(name_html(reason, 200) for reason in judgement.missing)
        return f"{missing}. Run: <code>{name_html(judgement.run, 200)}</code>"
    bounds = f"[{points_text(found.interval.low)}, {points_text(found.interval.high)}]"
    seeds = f", {len(found.seeds)} seed{'s' * (len(found.seeds) > 1)}" if found.seeds else ""
    said = name_html(claim_sentence(judgement), 200)
    needed = "" if found.needed is None else f" {name_html(needed_text(found.needed), 300)}."
    return (
        f"{said}: {points_text(found.difference)} points {bounds} ({100 * found.level:.0f}%), "
        f"n {found.n:,}{seeds}.{needed}"
    )


def _controls_html(held: Sequence[Held]) -> str:
    """`better than random +25.2`, one after the other."""
    held = [each for each in held if each.baseline in CONTROLS_BEYOND]
    return (
        NONE
        if not held
        else "".join(
            f'<span class="lr-control">{verdict_word_html(each.compared)} {name_html(each.baseline)} '
            f"{points_text(each.compared.difference)}</span>"
            for each in held
        )
    )


def _sweeps_html(asked: Asked) -> str:
    """That an arm stands at several points, of which none is the answer, and where to read them."""
    lines = ""
    for sweep in asked.sweeps:
        row = sweep.first
        where = name_html(state.link("sweep", of=sweep_token(row)), 1000)
        fields = ", ".join(name_html(name) for name in sweep.fields)
        best = ""
        if sweep.chosen is not None:
            point = name_html(point_text(sweep.chosen.group.rows[0].point))
            best = (
                f" The highest, {point}, was chosen by the items it is measured on: "
                f"{too_high_text(sweep.chosen)}."
            )
        lines += (
            f"<p><b>{name_html(row.arm)}</b> was swept over {len(sweep.groups)} points of {fields}; none of "
            f'them is the answer.{best} <a href="{where}" target="_self">See the sweep</a></p>'
        )
    return lines


def _nothing_yet(board: Board, rows: Sequence[Row]) -> str:
    """What was measured, and which subjects were not; of none where nothing else was declared either."""
    arms = ", ".join(name_html(arm) for arm in dict.fromkeys(row.arm for row in rows))
    asked = (board.comparisons_of(row).subject for row in rows)
    subjects = " or ".join(name_html(name) for name in dict.fromkeys(asked) if name is not None)
    return (
        f"{arms} measured; no {subjects} result yet." if subjects else f"{arms} measured, and nothing else."
    )


def _sentence(asked: Asked, board: Board) -> tuple[str, str]:
    """What is said and whether that is `up`, `down`, `equivalent` or `inconclusive`; `none` of nothing."""
    group = asked.subject
    assert group is not None
    row = group.rows[-1]
    if not asked.held:
        return "none", f"<b>{name_html(row.arm)}</b> has no baseline measured on the same items."
    first, *others = asked.held
    several = first.compared.runs is not None
    verdict, sentence = _over_seeds(group, first, board) if several else _one(row, first)
    for other in others:
        delta = row.against[other.baseline]
        named = _baseline_html(row, delta, other.baseline, not several)
        sentence += f" Against {named}: {_difference(other.compared)}."
    return verdict, sentence


def _one(row: Row, held: Held) -> tuple[str, str]:
    """Of one run each: these runs, and nothing of other seeds."""
    delta, found = row.against[held.baseline], held.compared
    verdict, said = _said(found, name_html(row.arm), _baseline_html(row, delta, held.baseline))
    return (
        verdict,
        f"{said} on average in these runs ({_difference(found)}); {_benchmarks(delta)}. {ONE_SEED}",
    )


def _over_seeds(group: Group, held: Held, board: Board) -> tuple[str, str]:
    """Training like this, by all seeds of both."""
    row, found = group.rows[-1], held.compared
    assert found.runs is not None
    other = board.baseline_of(group, held.baseline)
    subject = name_html(row.arm)
    delta = row.against[held.baseline]
    verdict, said = _said(found, subject, _baseline_html(row, delta, held.baseline, False))
    interval, seeds = found.interval, f"{len(group.rows)} seeds"
    if other is not None and not is_fixed(other.rows):
        seeds += f" of {subject} and {len(other.rows)} of {name_html(held.baseline)}"
    bounds = f"95% interval {points_text(interval.low)} to {points_text(interval.high)}, {p_text(found.p)}"
    sentence = f"{said} over {seeds} on average ({points_text(found.difference)} points, {bounds})."
    runs = {"separated": "differ", "equivalent": "are equivalent", "inconclusive": "are not separated"}
    return verdict, f"{sentence} These runs {runs[found.runs.verdict]} ({p_text(found.runs.p)})."


def _said(found: Comparison, subject: str, other: str) -> tuple[str, str]:
    """The verdict as `up`, `down`, `equivalent` or `inconclusive`, and in words."""
    if found.separated:
        way = "above" if found.difference > 0 else "below"
        said = f"<b>{subject} is {abs(found.difference):.1f} points {way} {other}</b>"
        return verdict_of(found), said
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
    verdicts = Counter(verdict_of(found) for found in delta.benchmarks.values())
    words = {"up": "won", "down": "lost", "equivalent": "equivalent", "inconclusive": "inconclusive"}
    parts = [f"{verdicts[verdict]} {word}" for verdict, word in words.items() if verdicts[verdict]]
    return f"of {verdicts.total()} benchmarks {', '.join(parts)}"


def _difference(found: Comparison) -> str:
    return f"{points_text(found.difference)} points, {p_text(found.p)}"
