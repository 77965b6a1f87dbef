"""What a board's tables hold, whatever they are written in: accuracies, differences, and what is beside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lrbench.evaluation.statistics import Calibration, Comparison, Estimate, Interval, SeedMean
from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.confidences import Confidences
from lrbench.results.judged import JudgedPairs
from lrbench.results.rendering.sheet import Best, BestOfRuns, Number, Table
from lrbench.results.reported import ReportedResult
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.text import plain
from lrbench.results.traces import Traced
from lrbench.results.wording import (
    CALIBRATED,
    CALIBRATION,
    COSTS,
    FORGETTING,
    JUDGED,
    JUDGES,
    LIKELIHOOD,
    LIKELY,
    REPORTED,
    SAID,
    STATED,
    TOOK,
    TRACED,
    TRACES,
    UNKNOWN,
    WEIGHED,
    accuracy_text,
    baselines_of,
    comparison_text,
    cost_texts,
    draws_text,
    forgetting_text,
    number_text,
    reported_on,
    reported_size_text,
    row_label,
    size_text,
    taken_point,
    uses_header,
    uses_texts,
)


@dataclass(frozen=True)
class Line:
    """One run, or an arm over its seeds: accuracies by column, differences by baseline and column.

    `best` says of the columns that it wins whether that is of these runs alone. `costs` are in words, and
    those of means are empty.
    """

    label: str
    accuracies: Mapping[str, Estimate | SeedMean | None]
    against: Mapping[str, Mapping[str, Comparison | None]]
    best: Mapping[str, bool]
    forgotten: Comparison | None
    costs: tuple[str, ...] = ()
    about: str = ""

    def cell(self, column: str) -> str:
        """The accuracy in a column."""
        found = self.accuracies[column]
        text = Number(UNKNOWN if found is None else accuracy_text(found))
        return text if column not in self.best else (BestOfRuns if self.best[column] else Best)(text)


@dataclass(frozen=True)
class Scores:
    """Accuracies and differences of `what`: "these runs", or "training like this" over all seeds.

    `columns` are in order, with the `sizes` of their benchmarks in words; `second` names the suite on which
    was measured what was forgotten, and is None where there is none.
    """

    what: str
    columns: tuple[str, ...]
    sizes: Mapping[str, str]
    second: str | None
    lines: tuple[Line, ...]
    baselines: tuple[str, ...]

    @property
    def has_costs(self) -> bool:
        """Whether it is said what the lines cost."""
        return any(line.costs for line in self.lines)

    def accuracies(self, title: str) -> Table:
        """A line each, with what was forgotten and what it cost."""
        header = ["arm", *(_headed(column, self.sizes.get(column, "")) for column in self.columns)]
        header += [] if self.second is None else [_headed(FORGETTING, self.second)]
        lines = tuple(
            (
                line.label,
                *map(line.cell, self.columns),
                *([] if self.second is None else [Number(forgetting_text(line.forgotten))]),
                *map(Number, line.costs),
            )
            for line in self.lines
        )
        header += COSTS if self.has_costs else []
        return Table(title, tuple(header), lines, abouts=tuple(line.about for line in self.lines))

    def differences(self) -> Iterator[tuple[str, Table]]:
        """Each baseline with the lines that are set against it."""
        for baseline in self.baselines:
            own = [line for line in self.lines if baseline in line.against]
            if own:
                lines = tuple(
                    (
                        line.label,
                        *(Number(comparison_text(line.against[baseline].get(name))) for name in self.columns),
                    )
                    for line in own
                )
                title = f"Difference from {baseline} in points, {self.what}"
                abouts = tuple(line.about for line in own)
                yield baseline, Table(title, ("arm", *self.columns), lines, abouts=abouts)


def run_scores(board: Board, section: Sequence[Row], columns: Sequence[str]) -> Scores:
    """What was measured of every run."""
    section = list(section)
    lost = board.forgetting.get(section[0].recipe)
    lines = tuple(
        Line(
            row_label(row, section),
            {column: row.on(column) for column in columns},
            {name: {column: delta.on(column) for column in columns} for name, delta in row.against.items()},
            _best(board, row, columns),
            None if lost is None else lost.of(row),
            cost_texts(row),
            row.arm_id,
        )
        for row in section
    )
    sizes = {column: size_text(column, section) for column in columns}
    second = None if lost is None else lost.board.suite
    return Scores("these runs", tuple(columns), sizes, second, lines, tuple(baselines_of(board, section)))


def mean_scores(board: Board, means: Sequence[tuple[str, Group]], columns: Sequence[str]) -> Scores:
    """What training like this gives, of every arm with several seeds."""
    lost = board.forgetting.get(means[0][1].rows[0].recipe)
    baselines = baselines_of(board, (row for _, group in means for row in group.rows))
    lines = tuple(
        Line(
            label,
            {column: group.on(column) for column in columns},
            {name: found for name in baselines if (found := board.over_seeds(group, name))},
            {},
            None if lost is None else lost.over_seeds(group),
            about=group.rows[-1].arm_id,
        )
        for label, group in means
    )
    # Of which suite it is, the runs say.
    second = None if lost is None else ""
    return Scores("training like this", tuple(columns), {}, second, lines, tuple(baselines))


def _best(board: Board, row: Row, columns: Sequence[str]) -> dict[str, bool]:
    """The columns that the row wins, and whether of these runs alone."""
    won, races = board.best_of(row.expert_weights), board.races_of(row.expert_weights)
    return {column: races[column].of_runs for column in columns if (row.arm_id, column) in won}


def uses_table(section: Sequence[Row]) -> Table | None:
    """What answers took and what arms use, a line per row; None where no row uses more than the pair."""
    if not any(row.uses.notable for row in section):
        return None
    header = uses_header([row.uses for row in section])
    texts = ((row, uses_texts(row.uses, header)) for row in section)
    return _of_rows(TOOK, header, section, texts, kind=str)


def draws_table(section: Sequence[Row], columns: Sequence[str]) -> Table | None:
    """pass@k and maj@k in `columns`, two lines per row; None where answers were not sampled."""
    lines = []
    for row in section:
        found = {column: row.of_draws(column) for column in columns}
        if any(found.values()):
            for place, name in enumerate((f"pass@{row.draws}", f"maj@{row.draws}")):
                texts = (accuracy_text(both[place]) if both else UNKNOWN for both in found.values())
                lines.append((row_label(row, list(section)), name, *map(Number, texts)))
    header = ("arm", "of k", *columns)
    return Table(draws_text(list(section)), header, tuple(lines), names=2) if lines else None


def answers_tables(section: Sequence[Row]) -> Iterator[Table]:
    """What is known of answers besides whether they are right, where it was measured.

    What the share of votes, what answers say and the likelihood of their tokens are worth as a confidence,
    what the tokens say, and how pairs were judged.
    """
    votes = [(row, found) for row in section if (found := row.votes(AVERAGE)) is not None]
    stated = [(row, found) for row in section if (found := row.stated(AVERAGE)) is not None]
    traced = [(row, tokens) for row in section if (tokens := row.traced(AVERAGE)) is not None]
    of_votes = ((row, (_worth_texts(found)[0], *_worth_texts(found)[3:])) for row, found in votes)
    of_stated = ((row, (accuracy_text(found.share), *_worth_texts(found))) for row, found in stated)
    of_likelihood = ((row, _worth_texts(tokens.likelihood)) for row, tokens in traced)
    judged = ((row, pairs) for row in section if (pairs := row.judged(AVERAGE)) is not None)
    of_pairs = ((row, _judged_texts(pairs)) for row, pairs in judged)
    weighed = any(tokens.weighed is not None for _, tokens in traced)
    of_tokens = ((row, _token_texts(tokens, weighed)) for row, tokens in traced)
    for table in (
        _of_rows(CALIBRATED, ("n", *CALIBRATION, "n up to a share of"), section, of_votes, is_wide=True),
        _of_rows(STATED, (*SAID, *CALIBRATION, "n up to a confidence of"), section, of_stated, is_wide=True),
        _of_rows(
            LIKELIHOOD,
            (*LIKELY, *CALIBRATION, "n up to a confidence of"),
            section,
            of_likelihood,
            is_wide=True,
        ),
        _of_rows(TRACES, (*TRACED, *([WEIGHED] if weighed else [])), section, of_tokens),
        _of_rows(JUDGES, JUDGED, section, of_pairs),
    ):
        if table.lines:
            yield table


def _of_rows(
    title: str,
    header: Sequence[str],
    section: Sequence[Row],
    rows: Iterable[tuple[Row, Sequence[str]]],
    is_wide: bool = False,
    kind: type[str] = Number,
) -> Table:
    """A line for each of `rows` with its texts."""
    found = [(row.arm_id, (row_label(row, list(section)), *map(kind, texts))) for row, texts in rows]
    lines, abouts = tuple(line for _, line in found), tuple(about for about, _ in found)
    return Table(title, ("arm", *header), lines, is_wide=is_wide, abouts=abouts)


def taken_table(board: Board, section: Sequence[Row]) -> Table | None:
    """The points that were chosen on other problems, a line per arm; None where none were."""
    selection = board.selections.get(section[0].recipe)
    rows = {row.arm: row for row in section if taken_point(board, row) is not None}
    if selection is None or not rows:
        return None
    found = ((row, selection.of(arm)) for arm, row in rows.items())
    lines = [
        (row.arm_id, (plain(row.arm), plain(point_text(taken.point)), taken.reason))
        for row, taken in found
        if taken is not None
    ]
    worth = "no optimism"
    if selection.overlapping:
        worth = f"{selection.overlapping} of these problems repeat items of the suite"
    title = f"Points chosen on {selection.label}, then measured here: {worth}"
    header, abouts = ("arm", "point", "among"), tuple(about for about, _ in lines)
    return Table(title, header, tuple(line for _, line in lines), names=3, abouts=abouts)


def _token_texts(found: Traced, weighed: bool) -> tuple[str, ...]:
    """The cells under `TRACED`, and where any are `weighed` one more."""
    of_weights = UNKNOWN if found.weighed is None else number_text(found.weighed, 3)
    return (
        str(found.n),
        UNKNOWN if found.nats_per_token is None else number_text(found.nats_per_token, 3),
        number_text(found.tokens, 1),
        accuracy_text(found.right_once),
        UNKNOWN if found.beyond is None else number_text(found.beyond, 1),
        accuracy_text(found.cut),
        *([of_weights] if weighed else []),
    )


def _judged_texts(found: JudgedPairs) -> tuple[str, ...]:
    """The cells under `JUDGED`."""
    low, high = found.bias.interval.low, found.bias.interval.high
    bias = Estimate(100 * found.bias.value, Interval(100 * low, 100 * high))
    shares = map(accuracy_text, (found.both, found.first, found.second))
    return (str(found.n), *shares, number_text(bias, 1))


def _worth_texts(found: Confidences) -> list[str]:
    """How many confidences there are, their mean, how many are right, and what they are worth."""
    means = [UNKNOWN if one is None else accuracy_text(one) for one in (found.confidence, found.accuracy)]
    worth = found.calibration
    n, *rest = ("0", *[UNKNOWN] * 5) if worth is None else (str(worth.n), *_calibration_texts(worth))
    return [n, *means, *rest]


def _calibration_texts(found: Calibration) -> list[str]:
    """The cells under `CALIBRATION`, and how many there are in each bin."""
    return [
        accuracy_text(found.error),
        f"{100 * found.error_of_calibrated:.1f}",
        accuracy_text(found.brier),
        UNKNOWN if found.area is None else accuracy_text(found.area),
        ", ".join(f"{one.high:g}: {one.n}" for one in found.bins),
    ]


def reported_table(board: Board, expert: str, reported: Sequence[ReportedResult]) -> Table:
    """What the paper reports for one expert, a line per arm."""
    header = (_headed(column, reported_size_text(reported[0], column)) for column in board.columns)
    lines = tuple(
        (
            f"{row.arm}, reported",
            *(Number(accuracy_text(reported_on(row, column, board))) for column in board.columns),
        )
        for row in reported
    )
    title = f"{expert}, reported, not measured here"
    return Table(title, ("arm", *header), lines, note=f"{reported[0].source}; {REPORTED}")


def _headed(column: str, size: str | None) -> str:
    return f"{column}, {size}" if size else column
