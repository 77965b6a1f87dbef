"""How a board's numbers, rows and caveats are put into words, the same in the terminal and in files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import isfinite

from lrbench.evaluation.graded_items import MUCH_CUT
from lrbench.evaluation.statistics import EQUIVALENCE_MARGIN, Comparison, Estimate, SeedMean
from lrbench.recipe.expanding import point_text
from lrbench.recipe.references import recorded_name
from lrbench.results.board import Board
from lrbench.results.choosing import Chosen, chosen_points
from lrbench.results.protocols import differing_suites
from lrbench.results.repeats import Noise, noises
from lrbench.results.reported import ReportedResult, reported_for
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.selection import edges_text
from lrbench.results.text import plain
from lrbench.results.uses import Uses
from lrbench.results.variations import called

NOTHING = "No results yet. `lrbench run RECIPE` makes some; `lrbench plan RECIPE` says what it would do."
LEGEND = (
    "Accuracy in percent, 95% intervals: Wilson; for the average, stratified bootstrap.",
    "Differences in points on the same items. Of these runs: McNemar's mid-p, Holm over the benchmarks; for "
    "the average, sign-flip permutation; one run of each says nothing of other seeds. Of training like this: "
    "all seeds of both arms, and how much seeds change the results of this expert's arms.",
    "inconclusive: not separated at 5%, which is not equal. equivalent: two one-sided tests at 5% show a "
    f"difference within {EQUIVALENCE_MARGIN:g} points.",
    "*: best of its expert, and separated from every other arm. (*): the same of these runs, where one seed "
    "is all there is.",
)
MEANS = (
    "Means over seeds: what training like this gives, whichever the seed. The 95% intervals allow for other "
    "items and other seeds."
)
REPORTED = "another protocol, so nothing is paired and nothing is ranked; intervals from published rate and n"
UNKNOWN = "-"
FORGETTING = "forgetting"
COSTS = ("tuned tokens", "sampled problems", "time")
TOOK = "What answers took, and what their arms use besides the pair"
TOOK_WITHIN = f"{TOOK[0].lower()}{TOOK[1:]}"
USES = ("models at test", "passes per token", "tokens per answer", "labels", "other models")
HELD = "memory per answer"
LONGEST_NAME = 60
# Of how many results one note says that answers were cut.
MOST_CUT = 6


def accuracy_text(estimate: Estimate | SeedMean) -> str:
    """`71.6 [68.6, 74.4]`, in percent."""
    return f"{100 * estimate.value:.1f} {interval_text(estimate)}"


def interval_text(estimate: Estimate | SeedMean) -> str:
    """`[68.6, 74.4]`, in percent."""
    return f"[{100 * estimate.interval.low:.1f}, {100 * estimate.interval.high:.1f}]"


def comparison_text(comparison: Comparison | None) -> str:
    """`+9.7 (p 0.002)`, `equivalent (+0.4, within 2)` or `inconclusive (+2.3)`; empty for None.

    p is adjusted. Where training like this is not separated and these runs are, that is said beside it.
    """
    if comparison is None:
        return ""
    difference = difference_text(comparison.difference)
    if comparison.separated:
        return f"{difference} ({p_text(comparison.p_adjusted)})"
    if comparison.verdict == "equivalent":
        difference += f", within {EQUIVALENCE_MARGIN:g}"
    return f"{comparison.verdict} ({difference}{runs_differ_text(comparison)})"


def forgetting_text(comparison: Comparison | None) -> str:
    """What was lost on a second suite; a dash for None."""
    return UNKNOWN if comparison is None else difference_within_text(comparison)


def difference_within_text(comparison: Comparison) -> str:
    """`-12.0 [-19.5, -4.5]`: a difference in points with its 95% interval."""
    low, high = comparison.interval.low, comparison.interval.high
    return f"{difference_text(comparison.difference)} [{difference_text(low)}, {difference_text(high)}]"


def difference_text(points: float) -> str:
    """`+3.0`, `-1.2`, `0.0`: a difference in points."""
    rounded = round(points, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


def runs_differ_text(comparison: Comparison) -> str:
    """`; these runs differ, p 0.002`, where training like this is not shown to; empty otherwise."""
    runs = comparison.runs
    if runs is None or comparison.separated or not runs.separated:
        return ""
    return f"; these runs differ, {p_text(runs.p_adjusted)}"


def p_text(p: float) -> str:
    """`p 0.004`, `p <0.001`."""
    return "p <0.001" if p < 0.001 else f"p {p:.3f}"


def duration_text(seconds: float) -> str:
    """`0:48`, `3:12`, `1:02:03`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def cost_texts(row: Row) -> tuple[str, str, str]:
    """Tuned tokens, sampled problems and time, as `COSTS` names them."""
    if row.costs is None or row.seconds is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    return f"{row.costs.tuned_tokens:,}", f"{row.costs.sampled_problems:,}", duration_text(row.seconds)


def bytes_text(count: float) -> str:
    """`640 bytes`, `3.5 MB`, `14.2 GB`, in powers of ten."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:,.1f} TB"


def uses_header(found: Sequence[Uses]) -> tuple[str, ...]:
    """What is said of arms that use this; of memory where any of them has it recorded."""
    return (*USES, HELD) if any(uses.memory is not None for uses in found) else USES


def uses_texts(uses: Uses, header: Sequence[str] = USES) -> tuple[str, ...]:
    """What an arm's answers took and what it uses, as `header`, that of `uses_header`, names them."""
    others = uses.other_models
    held = UNKNOWN if uses.memory_per_answer is None else bytes_text(uses.memory_per_answer)
    return (
        UNKNOWN if uses.models_at_test is None else str(uses.models_at_test),
        UNKNOWN if uses.passes_per_token is None else f"{uses.passes_per_token:.2f}",
        UNKNOWN if uses.tokens_per_answer is None else f"{uses.tokens_per_answer:.1f}",
        labels_text(uses),
        UNKNOWN if others is None else plain(", ".join(others) or "none", LONGEST_NAME),
        *((held,) if HELD in header else ()),
    )


def labels_text(uses: Uses) -> str:
    """`yes`, or `no, 60 to choose` where no label was learnt from and 60 have chosen the point."""
    learnt = UNKNOWN if uses.labels is None else "yes" if uses.labels else "no"
    return f"{learnt}, {uses.labels_to_choose:,} to choose" if uses.labels_to_choose else learnt


def notable_uses(row: Row) -> list[str]:
    """`labels`, `60 labels to choose`, `2 models`, `other models: peer`, `6.9 passes per token`.

    That is what goes beyond the pair and one model.
    """
    uses, words = row.uses, []
    if uses.labels:
        words.append("labels")
    if uses.labels_to_choose:
        words.append(f"{uses.labels_to_choose:,} labels to choose")
    if uses.models_at_test is not None and uses.models_at_test > 1:
        words.append(f"{uses.models_at_test} models")
    if uses.other_models:
        words.append(f"other models: {plain(', '.join(uses.other_models), LONGEST_NAME)}")
    if uses.passes_per_token is not None and round(uses.passes_per_token, 1) > max(
        uses.models_at_test or 1, 1
    ):
        words.append(f"{uses.passes_per_token:.1f} passes per token")
    return words


def size_text(column: str, section: list[Row]) -> str:
    """`n 100`, a range where rows differ, `n 30 x 64` of sampled answers, or nothing for the average."""
    cells = [row.cells[column] for row in section if column in row.cells]
    sizes = sorted({cell.n for cell in cells})
    if not sizes:
        return ""
    text = f"n {sizes[0]}" if len(sizes) == 1 else f"n {sizes[0]}-{sizes[-1]}"
    # All rows of a board are measured alike.
    return text if cells[0].draws == 1 else f"{text} x {cells[0].draws}"


CALIBRATION = ("error", "if calibrated, below", "Brier", "AUROC")
CALIBRATED = (
    "The share of votes as a confidence that the majority is right, all benchmarks together, in percent: "
    "calibration error over ten bins, Brier score, AUROC"
)
SAID = ("say it", "n", "sure", "right")
STATED = (
    "How sure answers say they are, all benchmarks together, in percent: the share that says it; of these "
    "how sure they are on average, how many are right, calibration error over ten bins, Brier score, AUROC"
)

LIKELY = ("n", "sure", "right")
LIKELIHOOD = (
    "The mean probability of an answer's tokens (geometric) as a confidence that it is right, all benchmarks "
    "together, in percent: how sure that is on average, how many are right, calibration error over ten bins, "
    "Brier score, AUROC"
)
JUDGED = ("pairs", "right in both orders", "right one first", "right one second", "position bias")
JUDGES = (
    "Which of two answers is right, all benchmarks together, in percent: right in both orders; right where "
    "the right answer stands first, and second; the difference of these two, in points: 100 where the first "
    "is always taken"
)
TRACED = ("n", "nats per token", "tokens", "right at some place", "tokens beyond it", "cut short")
WEIGHED = "weighed nats per token"
TRACES = (
    "What the tokens of answers say, all benchmarks together: their negative log-likelihood under the arm's "
    "own model; tokens of an answer; the share (in percent) that was right when some sentence or line of it "
    "ended, and how many tokens these went on for; the share cut at the length limit"
)


def number_text(estimate: Estimate, digits: int) -> str:
    """`12.3 [10.1, 14.5]`, as it is; without an interval where one unit tells none."""
    low, high = estimate.interval.low, estimate.interval.high
    within = f" [{low:.{digits}f}, {high:.{digits}f}]" if isfinite(low) and isfinite(high) else ""
    return f"{estimate.value:.{digits}f}{within}"


def draws_text(section: list[Row]) -> str:
    """What the table of sampled answers is about: `Of 8 answers sampled to every item: pass@8, ...`."""
    draws = section[0].draws
    return f"Of {draws} answers sampled to every item: pass@{draws}, one is right; maj@{draws}, most say so"


def sections(board: Board) -> Iterator[list[Row]]:
    """The rows by expert and recipe."""
    for _, rows in groupby(board.rows, key=lambda row: (row.expert, row.expert_weights, row.recipe)):
        yield list(rows)


def expert_label(row: Row, board: Board) -> str:
    """The expert, a folder by its last name, with its weights where others go by the same name."""
    called = recorded_name(row.expert)
    name = plain(called, LONGEST_NAME)
    if sum(recorded_name(other) == called for other in board.experts.values()) == 1:
        return name
    digest = row.expert_weights.rpartition(":")[2].rpartition("@")[2]
    return f"{name} (weights {plain(digest[:8])})"


def row_label(row: Row, section: list[Row]) -> str:
    """`lightr beta=0.8 seed 1`: what sets it apart, and the seed where the section has several."""
    parts = [_arm_label(row)]
    if row.seed is not None and len(_seeds(section)) > 1:
        parts.append(f"seed {row.seed}")
    return " ".join(parts)


def only_seed(section: list[Row]) -> str:
    """`seed 0` where all rows of the section that have one have the same; empty otherwise."""
    seeds = _seeds(section)
    return f"seed {seeds.pop()}" if len(seeds) == 1 else ""


def seed_means(board: Board, section: list[Row]) -> list[tuple[str, Group]]:
    """The arms of the section with a result of several seeds, each with what it is called."""
    own = {row.group for row in section}
    return [
        (f"{_arm_label(group.rows[0])}, {len(group.rows)} seeds", group)
        for group in board.groups
        if len(group.rows) > 1 and group.rows[0].group in own
    ]


def pool_text(board: Board, section: list[Row]) -> str:
    """From how many arms it is known how much seeds change; empty where no arm has several."""
    pool = board.pool(section[0].expert_weights, AVERAGE)
    if pool is None:
        return ""
    arms = "1 arm" if pool.arms == 1 else f"{pool.arms} arms"
    return (
        f"How much a seed changes is estimated from {arms} of this expert; where the two arms that are "
        "compared change more, from those two."
    )


def chosen_texts(board: Board, section: list[Row]) -> list[str]:
    """Of every sweep: that its best point was chosen by the items it is shown on, and what that is worth.

    Of arms whose points were chosen on other problems: which those are.
    """
    return [
        *_taken_texts(board, section),
        *(chosen_text(chosen) for chosen in chosen_points(board, section)),
    ]


def chosen_text(chosen: Chosen) -> str:
    """Of a sweep's best point, what it is worth that the items which it is shown on chose it."""
    taken = " It was then measured on the suite, which had no part in that." if chosen.is_taken else ""
    edges = f" Its {edges_text(chosen.edges)}." if chosen.edges else ""
    return (
        f"{_arm_label(chosen.group.rows[0])}: best of {chosen.points} points, measured on the items that "
        f"chose it; {too_high_text(chosen)} on average.{edges}{taken}"
    )


def too_high_text(chosen: Chosen) -> str:
    """`up to 1.3 points too high`: by luck where all points are equal, and less where some are better."""
    return f"up to {chosen.optimism:.1f} points too high"


def taken_point(board: Board, row: Row) -> str | None:
    """`learning_rate=0.004, chosen on 60 validation problems`; None of a row that is not chosen like that."""
    selection = board.selections.get(row.recipe)
    taken = None if selection is None else selection.of(row.arm)
    if selection is None or taken is None or row.point or row.arm_id not in selection.on_suite:
        return None
    return f"{plain(point_text(taken.point), LONGEST_NAME)}, chosen on {selection.label}"


def taken_text(board: Board, row: Row) -> str | None:
    """`taken_point`, among how many it was chosen, and what that is worth here."""
    point, selection = taken_point(board, row), board.selections.get(row.recipe)
    taken = None if selection is None else selection.of(row.arm)
    if selection is None or taken is None or point is None:
        return None
    worth = "no optimism"
    if selection.overlapping:
        worth = f"{selection.overlapping} of these problems repeat items of the suite"
    return f"{point} ({taken.reason}); {worth}"


def _taken_texts(board: Board, section: list[Row]) -> Iterator[str]:
    texts = {row.arm: text for row in section if (text := taken_text(board, row)) is not None}
    for arm, text in texts.items():
        yield f"{plain(arm, LONGEST_NAME)}: {text}."


def noise_texts(board: Board, section: list[Row]) -> list[str]:
    """Of every arm that was measured once more: how many verdicts rounding flips, and which way."""
    return [_noise_text(noise, section) for noise in noises(section, board.rows)]


def _noise_text(noise: Noise, section: list[Row]) -> str:
    first, again = row_label(noise.first, section), row_label(noise.again, section)
    found = noise.flipped(AVERAGE)
    what = f"Noise: {again} is {first} measured once more, with fewer rows written at once."
    if noise.same(AVERAGE):
        return f"{what} Every answer is the same, all {found.answers:,} of them."
    share = (
        f"{100 * found.share.value:.1f}% {interval_text(found.share)} of {found.answers:,} verdicts flipped"
    )
    ways = f"{found.first:,} right in {first} alone, {found.again:,} in {again} alone"
    parts = [f"{what} {share} ({ways})"]
    if len(noise.benchmarks) > 1 and found.first + found.again:
        each = ((name, noise.flipped(name)) for name in noise.benchmarks)
        flips = (
            f"{plain(name, LONGEST_NAME)} {one.first + one.again} of {one.answers:,}" for name, one in each
        )
        parts.append(f"; {', '.join(flips)}")
    compared = None if noise.again.noise is None else noise.again.noise.average
    if compared is not None:
        parts.append(f". On average {comparison_text(compared)}")
    return f"{''.join(parts)}."


def reported_beside(board: Board) -> dict[str, tuple[ReportedResult, ...]]:
    """Expert -> what the paper reports for it, where that has all of the board's benchmarks."""
    found = {
        expert: tuple(row for row in reported_for(expert) if set(board.benchmarks) <= set(row.accuracies))
        for expert in dict.fromkeys(row.expert for row in board.rows)
    }
    return {expert: rows for expert, rows in found.items() if rows}


def reported_on(row: ReportedResult, column: str, board: Board) -> Estimate:
    """The published number in a column of the board, the average being over the board's benchmarks."""
    return row.over(board.benchmarks) if column == AVERAGE else row.on(column)


def reported_size_text(row: ReportedResult, column: str) -> str:
    """`n 1319`, the size of the public test set, or nothing for the average."""
    return "" if column == AVERAGE else f"n {row.n(column)}"


def _arm_label(row: Row) -> str:
    return called(row.arm, row.point, row.variant)


def _seeds(section: list[Row]) -> set[int]:
    return {row.seed for row in section if row.seed is not None}


def baselines_of(board: Board, rows: Iterable[Row]) -> list[str]:
    """The arms that any of the rows is set against, in the order of the board."""
    found = {baseline for row in rows for baseline in row.against}
    return [baseline for baseline in board.baselines if baseline in found]


def notes_on(board: Board, other: Board | None = None) -> Iterator[str]:
    """What a reader has to know: what is missing, and what sets `board` apart from `other`, shown above."""
    yield from _notes_on_outcomes(board)
    yield from _notes_on_ends(board)
    for suite in dict.fromkeys(lost.board.suite for lost in board.forgetting.values()):
        yield (
            f"{FORGETTING}: difference from the untrained expert on {plain(suite, LONGEST_NAME)}, in points "
            "with its 95% interval; below 0 is lost."
        )
    for recipe in sorted(board.validation_of):
        yield (
            f"{plain(recipe, LONGEST_NAME)} chooses points here, on training problems that nothing is learnt "
            "from: these are no results on its suite, which has a board of its own."
        )
    yield from _note_on_cut_answers(board)
    for noise in noises(board.rows, board.rows):
        yield from _notes_on_noise(noise)
    for row in board.rows:
        yield from _notes_on_row(row)
    if other is not None and other.suite == board.suite:
        yield f"Not comparable with protocol {other.protocol_hash[:8]} above. What differs:"
        for found in differing_suites(other.protocols, board.protocols):
            everywhere = set(found.benchmarks) in (set(), set(board.benchmarks))
            where = "" if everywhere else f" ({', '.join(found.benchmarks)})"
            yield plain(f"  {found.field}: {found.first} above, {found.second} here{where}")


def _notes_on_outcomes(board: Board) -> Iterator[str]:
    """What accuracies and tests count, where it is not one answer to each of items that are all apart."""
    cells = [cell for row in board.rows for cell in row.cells.values()]
    draws = max((cell.draws for cell in cells), default=1)
    sampled = any(cell.score.draws is not None for cell in cells)
    grouped = sorted({cell.score.benchmark for cell in cells if cell.score.groups is not None})
    if sampled:
        yield (
            f"{draws} answers were sampled to every item: accuracy is avg@{draws}, its interval counts items "
            "and draws; differences are of items' means, by sign flips of items."
        )
    if grouped:
        names = ", ".join(plain(name, LONGEST_NAME) for name in grouped)
        yield (f"{names}: items come in groups, which intervals and tests count instead of items.")


def _notes_on_ends(board: Board) -> Iterator[str]:
    """On which benchmarks no answer was right, or every one, whoever gave it: nothing is to be compared."""
    for correct, said in (
        (0, "no arm answered any item rightly"),
        (1, "every arm answered every item rightly"),
    ):
        found = [
            plain(benchmark, LONGEST_NAME)
            for benchmark in board.benchmarks
            if (cells := [row.cells[benchmark] for row in board.rows if benchmark in row.cells])
            and all(cell.share == correct for cell in cells)
        ]
        if found:
            yield (
                f"{', '.join(found)}: {said}, so nothing can be told apart. Look at some answers "
                "(`lrbench.items()`, or the dashboard's page Compare two), and at what prompt and grader ask."
            )


def _note_on_cut_answers(board: Board) -> Iterator[str]:
    """Of which rows many answers were cut, the most cut first: one note of all."""
    found = [
        (cut, f"{_row_text(row)} on {plain(benchmark, LONGEST_NAME)}")
        for row in board.rows
        for benchmark, cell in row.cells.items()
        if (cut := cell.truncated) is not None and cut.value > MUCH_CUT
    ]
    if not found:
        return
    found.sort(key=lambda one: -one[0].value)
    listed = [f"{100 * cut.value:.1f}% {interval_text(cut)} of {where}" for cut, where in found[:MOST_CUT]]
    more = f", and {len(found) - MOST_CUT:,} more above {MUCH_CUT:.0%}" if len(found) > MOST_CUT else ""
    yield (
        "Many answers were cut at the length limit (`max_new_tokens` of the suite): "
        f"{'; '.join(listed)}{more}. "
        "An answer that was cut is mostly wrong."
    )


def _row_text(row: Row) -> str:
    """`lightr of quickstart, seed 0`."""
    return f"{_arm_label(row)} of {plain(row.recipe, LONGEST_NAME)}{_of_seed(row.seed)}"


def _notes_on_noise(noise: Noise) -> Iterator[str]:
    """Where rounding leans one way, and what that means for verdicts."""
    if noise.leaning:
        first, again = _arm_label(noise.first), _arm_label(noise.again)
        where = ", ".join(plain(column, LONGEST_NAME) for column in noise.leaning)
        yield (
            f"{_row_text(noise.again)} is separated from {first}, the same measured before, in {where}: "
            f"verdicts there against {first} are the weaker of those against {first} and against {again}."
        )


def _notes_on_row(row: Row) -> Iterator[str]:
    name = _row_text(row)
    if row.missing:
        absent = ", ".join(plain(benchmark, LONGEST_NAME) for benchmark in row.missing)
        yield f"{name}: no result on {absent}, so no average."
    if row.uses.arms and row.costs is not None:
        arms = ", ".join(plain(arm, LONGEST_NAME) for arm in row.uses.arms)
        yield f"{name}: its costs hold those of {arms}, whose adapter it reads."
    for arm, delta in row.against.items():
        baseline = plain(arm, LONGEST_NAME)
        if delta.baseline_recipe != row.recipe:
            origin = plain(delta.baseline_recipe, LONGEST_NAME)
            yield f"{name}: set against {baseline} of {origin}{_of_seed(delta.baseline_seed)}."
        elif any(row.point.get(field, value) != value for field, value in delta.baseline_point.items()):
            point = plain(point_text(delta.baseline_point), LONGEST_NAME)
            yield f"{name}: set against {baseline} {point}{_of_seed(delta.baseline_seed)}."
        elif delta.baseline_variant:
            variant = plain(delta.baseline_variant, LONGEST_NAME)
            yield f"{name}: set against {baseline} {variant}{_of_seed(delta.baseline_seed)}."
        if not delta.complete and not row.missing:
            yield f"{name}: {baseline} lacks some of these items, so no difference of averages."


def _of_seed(seed: int | None) -> str:
    return "" if seed is None else f", seed {seed}"
