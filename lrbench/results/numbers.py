"""The leaderboard's numbers for programs: one line per result and benchmark, or `average`.

`kind` says of what: `measured` of an arm with one seed, `imported` of a system of result files, `mean` of
an arm's mean over `seeds` seeds, `reported` of a number that the paper reports, as `source` says, under a
protocol of its own. Accuracies and their intervals are in percent, differences in points. Of every baseline
on the boards there are fields that begin with its arm. The last fields say what an arm uses, and what its
answers took, over all benchmarks together. Where answers were sampled, `accuracy` is avg@k and `correct`
counts the first draw. What there is no number of is left out of a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from lrbench.evaluation.statistics import Comparison, Estimate, SeedMean
from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.confidences import Confidences
from lrbench.results.records import ScoreRecord
from lrbench.results.repeats import noises
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.uses import MEMORY_FIELDS, UNKNOWN
from lrbench.results.wording import reported_beside, reported_on

Value = bool | str | int | float | None
Line = dict[str, Value]

SOURCE = "source"
_PLACE = (
    "kind",
    "suite",
    "protocol",
    "expert",
    "recipe",
    "arm",
    "point",
    "variant",
    "seed",
    "arm_id",
    "benchmark",
)
_RESULT = ("seeds", "n", "correct", "correct_exact", "accuracy", "low", "high", "best", "best_of")
# Of one run each; then of all seeds: training like this, and whether these runs differ.
_DIFFERENCE = ("difference", "low", "high", "p", "p_adjusted", "separated", "verdict")
_TRAINING = (
    "difference",
    "low",
    "high",
    "p",
    "p_adjusted",
    "verdict",
    "pooled_arms",
    "runs_p_adjusted",
    "runs_verdict",
)
_COST = ("tuned_tokens", "sampled_problems", "sampled_tokens", "seconds")
_USES = tuple(UNKNOWN.fields)
# The share of answers cut at the length limit, where that was recorded.
_TRUNCATED = ("truncated", "truncated_low", "truncated_high")
# Of an arm measured once more: which one it is, and how many verdicts are others; shares in percent.
_NOISE = (
    "repeats",
    "same_answers",
    "flipped_of",
    "flipped_first",
    "flipped_again",
    "flipped",
    "flipped_low",
    "flipped_high",
)
# Of recipes with a second suite: the difference from the untrained expert there, in points.
_FORGETTING = tuple(f"forgetting_{name}" for name in ("suite", "difference", "low", "high", "p", "verdict"))
# Of boards whose answers were sampled: how many to every item, pass@k and maj@k, k that many.
_DRAWS = (
    "draws",
    "pass_at_k",
    "pass_at_k_low",
    "pass_at_k_high",
    "maj_at_k",
    "maj_at_k_low",
    "maj_at_k_high",
)
# What the share of votes is worth as a confidence, in percent.
_CALIBRATION = tuple(
    f"{name}{end}" for name in ("calibration_error", "brier", "auroc") for end in ("", "_low", "_high")
)
# How sure answers say they are; of those that say it the mean, accuracy and what it is worth, in percent.
_STATED = (
    "stated_n",
    *(
        f"stated_{name}{end}"
        for name in ("share", "confidence", "accuracy", "calibration_error", "brier", "auroc")
        for end in ("", "_low", "_high")
    ),
)

# What the tokens of answers say: nats, tokens, and shares in percent; then what their likelihood is worth.
_TRACED = (
    "trace_n",
    *(
        f"trace_{name}{end}"
        for name in ("right_once", "truncated", "tokens", "nats_per_token", "tokens_after_right")
        for end in ("", "_low", "_high")
    ),
    "likelihood_n",
    *(
        f"likelihood_{name}{end}"
        for name in ("confidence", "accuracy", "calibration_error", "brier", "auroc")
        for end in ("", "_low", "_high")
    ),
)


# Of pairs that were judged in both orders, in percent, and what the place of an answer decides, in points.
_JUDGED = (
    "judged_pairs",
    *(
        f"judged_{name}{end}"
        for name in ("both_orders", "right_first", "right_second", "position_bias")
        for end in ("", "_low", "_high")
    ),
)


_WEIGHED = tuple(f"trace_weighed_nats_per_token{end}" for end in ("", "_low", "_high"))


def number_fields(boards: Sequence[Board]) -> list[str]:
    """All fields that a line of `board_numbers` may have, in order."""
    rows = [row for board in boards for row in board.rows]
    baselines = dict.fromkeys(baseline for board in boards for baseline in board.baselines)
    return [
        *_PLACE,
        *_RESULT,
        *(f"{baseline}_{field}" for baseline in baselines for field in _DIFFERENCE),
        *(f"{baseline}_training_{field}" for baseline in baselines for field in _TRAINING),
        *_COST,
        SOURCE,
        *_USES,
        *(MEMORY_FIELDS if any(row.uses.memory for row in rows) else ()),
        *(_FORGETTING if any(board.forgetting for board in boards) else ()),
        *(_TRUNCATED if any(cell.truncated for row in rows for cell in row.cells.values()) else ()),
        *(_NOISE if any(row.noise for row in rows) else ()),
        *((*_DRAWS, *_CALIBRATION) if any(row.draws > 1 for row in rows) else ()),
        *(_STATED if any(cell.score.stated for row in rows for cell in row.cells.values()) else ()),
        *(_JUDGED if any(row.judged(column) for row in rows for column in row.cells) else ()),
        *(_TRACED if any(cell.score.traces for row in rows for cell in row.cells.values()) else ()),
        *(_WEIGHED if any(_is_weighed(cell.score) for row in rows for cell in row.cells.values()) else ()),
    ]


def _is_weighed(score: ScoreRecord) -> bool:
    return score.traces is not None and score.traces.weight is not None


def board_numbers(boards: Sequence[Board]) -> Iterator[Line]:
    """The lines of all boards: their rows, then their means over seeds, then what the paper reports."""
    for board in boards:
        for row in board.rows:
            yield from _lines(board, row)
        for group in board.groups:
            if len(group.rows) > 1:
                yield from _means(board, group)
    published = (tuple(line.items()) for board in boards for line in _reported(board))
    # Boards of one suite may stand beside the same published numbers.
    yield from map(dict, dict.fromkeys(published))


def _lines(board: Board, row: Row) -> Iterator[Line]:
    lost = board.forgetting.get(row.recipe)
    forgotten = {} if lost is None else _forgotten(lost.board.suite, lost.of(row))
    imported = any(cell.score.imported for cell in row.cells.values())
    for column in board.columns:
        estimate = row.on(column)
        if estimate is None:
            continue
        line: Line = {
            **_place("imported" if imported else "measured", board, row, column),
            "seed": row.seed,
            "arm_id": row.arm_id,
            **_accuracy(estimate),
            "best": (row.arm_id, column) in board.best,
            "best_of": _best_of(board, row, column),
        }
        if column in row.cells:
            score = row.cells[column].score
            line |= {"n": score.n, "correct": score.correct, "correct_exact": score.correct_exact}
        for baseline, delta in row.against.items():
            comparison = delta.on(column)
            if comparison is not None:
                line |= _difference(baseline, comparison)
        if row.costs is not None and row.seconds is not None:
            line |= {
                "tuned_tokens": row.costs.tuned_tokens,
                "sampled_problems": row.costs.sampled_problems,
                "sampled_tokens": row.costs.sampled_tokens,
                "seconds": row.seconds,
            }
        line |= _noise(board, row, column)
        line |= (
            row.uses.fields
            | row.uses.memory_fields
            | forgotten
            | _truncated(row, column)
            | _draws(row, column)
        )
        yield line | _stated(row, column) | _traced(row, column) | _judged(row, column)


def _forgotten(suite: str, found: Comparison | None) -> Line:
    """What was lost on the second suite; nothing of the untrained expert itself."""
    if found is None:
        return {}
    low, high = found.interval.low, found.interval.high
    return dict(zip(_FORGETTING, (suite, found.difference, low, high, found.p, found.verdict), strict=True))


def _truncated(row: Row, column: str) -> Line:
    """The share of answers cut at the length limit, in percent; nothing of the average."""
    found = row.cells[column].truncated if column in row.cells else None
    return {} if found is None else dict(zip(_TRUNCATED, _percent(found), strict=True))


def _noise(board: Board, row: Row, column: str) -> Line:
    """What a second measurement says of noise; nothing of any other row."""
    for noise in noises([row], board.rows):
        if column in (AVERAGE, *noise.benchmarks):
            found = noise.flipped(column)
            counts = (noise.first.arm, noise.same(column), found.answers, found.first, found.again)
            return dict(zip(_NOISE, (*counts, *_percent(found.share)), strict=True))
    return {}


def _percent(found: Estimate) -> tuple[float, float, float]:
    return 100 * found.value, 100 * found.interval.low, 100 * found.interval.high


def _draws(row: Row, column: str) -> Line:
    """pass@k and maj@k; nothing where there is one answer to every item."""
    found = row.of_draws(column)
    if found is None or row.draws == 1:
        return {}
    line: Line = dict(zip(_DRAWS, [row.draws, *_percent(found[0]), *_percent(found[1])], strict=True))
    agreed = row.votes(column)
    votes = None if agreed is None else agreed.calibration
    if votes is not None:
        # Without a wrong majority, or a right one, there is no area, and its fields stay out.
        known = filter(None, (votes.error, votes.brier, votes.area))
        line |= dict(zip(_CALIBRATION, [value for one in known for value in _percent(one)], strict=False))
    return line


def _stated(row: Row, column: str) -> Line:
    """How sure answers say they are; nothing where that was not read, and no more where none says it."""
    found = row.stated(column)
    if found is None:
        return {}
    n, *numbers = _worth(found)
    return dict(zip(_STATED, [n, *_percent(found.share), *numbers], strict=False))


def _traced(row: Row, column: str) -> Line:
    """What the tokens of answers say; nothing where that was not measured."""
    found = row.traced(column)
    if found is None:
        return {}
    known: list[Value] = [
        found.n,
        *_percent(found.right_once),
        *_percent(found.cut),
        *_as_it_is(found.tokens),
    ]
    for one in (found.nats_per_token, found.beyond):
        known += [None] * 3 if one is None else _as_it_is(one)
    line = dict(zip(_TRACED, [*known, *_worth(found.likelihood)], strict=False))
    if found.weighed is not None:
        line |= dict(zip(_WEIGHED, _as_it_is(found.weighed), strict=True))
    return {name: value for name, value in line.items() if value is not None}


def _judged(row: Row, column: str) -> Line:
    """How pairs were judged; nothing where there are none."""
    found = row.judged(column)
    if found is None:
        return {}
    shares = [number for one in (found.both, found.first, found.second) for number in _percent(one)]
    bias = [None if number is None else 100 * number for number in _as_it_is(found.bias)]
    line: Line = dict(zip(_JUDGED, [found.n, *shares, *bias], strict=True))
    return {name: value for name, value in line.items() if value is not None}


def _worth(found: Confidences) -> list[Value]:
    """How many confidences there are, their mean, how many are right, and what they are worth, in percent."""
    worth = found.calibration
    estimates = [found.confidence, found.accuracy]
    estimates += [] if worth is None else [worth.error, worth.brier, worth.area]
    numbers = [number for one in estimates if one is not None for number in _percent(one)]
    return [0 if worth is None else worth.n, *numbers]


def _as_it_is(found: Estimate) -> tuple[float | None, ...]:
    """An estimate that is no share; a single unit tells no interval."""
    ends = (found.interval.low, found.interval.high)
    return (found.value, *(end if isfinite(end) else None for end in ends))


def _best_of(board: Board, row: Row, column: str) -> str:
    """Of what the row is the best: of `training` like this, of these `runs` alone, or of nothing."""
    if (row.arm_id, column) not in board.best:
        return ""
    return "runs" if (row.arm_id, column) in board.best_of_runs else "training"


def _means(board: Board, group: Group) -> Iterator[Line]:
    against = {baseline: board.over_seeds(group, baseline) for baseline in board.baselines}
    lost = board.forgetting.get(group.rows[0].recipe)
    forgotten = {} if lost is None else _forgotten(lost.board.suite, lost.over_seeds(group))
    for column in board.columns:
        mean = group.on(column)
        if mean is not None:
            rows = [row for row in group.rows if row.value(column) is not None]
            line: Line = {}
            for baseline, found in against.items():
                if column in found:
                    line |= _training(baseline, found[column])
            yield line | {
                **_place("mean", board, rows[0], column),
                "seeds": len(rows),
                "n": None if column == AVERAGE else rows[0].cells[column].n,
                **_accuracy(mean),
                **forgotten,
            }


def _reported(board: Board) -> Iterator[Line]:
    for reported in reported_beside(board).values():
        for row in reported:
            for column in board.columns:
                yield {
                    "kind": "reported",
                    "suite": board.suite,
                    "expert": row.expert,
                    "arm": row.arm,
                    "benchmark": column,
                    "n": None if column == AVERAGE else row.n(column),
                    **_accuracy(reported_on(row, column, board)),
                    "source": row.source,
                }


def _place(kind: str, board: Board, row: Row, column: str) -> Line:
    return {
        "kind": kind,
        "suite": board.suite,
        "protocol": board.protocol_hash,
        "expert": row.expert,
        "recipe": row.recipe,
        "arm": row.arm,
        "point": point_text(row.point),
        "variant": row.variant,
        "benchmark": column,
    }


def _accuracy(estimate: Estimate | SeedMean) -> Line:
    return {
        "accuracy": 100 * estimate.value,
        "low": 100 * estimate.interval.low,
        "high": 100 * estimate.interval.high,
    }


def _numbers(comparison: Comparison) -> tuple[float, ...]:
    """The difference, the ends of its interval, p, and p after Holm."""
    low, high = comparison.interval.low, comparison.interval.high
    return (comparison.difference, low, high, comparison.p, comparison.p_adjusted)


def _training(baseline: str, comparison: Comparison) -> Line:
    runs = comparison.runs
    values = (
        *_numbers(comparison),
        comparison.verdict,
        comparison.pooled,
        None if runs is None else runs.p_adjusted,
        None if runs is None else runs.verdict,
    )
    fields = (f"{baseline}_training_{field}" for field in _TRAINING)
    return dict(zip(fields, values, strict=True))


def _difference(baseline: str, comparison: Comparison) -> Line:
    values = (
        *_numbers(comparison),
        comparison.separated,
        comparison.verdict,
    )
    return dict(zip((f"{baseline}_{field}" for field in _DIFFERENCE), values, strict=True))
