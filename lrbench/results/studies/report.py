"""From a study's edition and the ledger to what the study says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from lrbench.methods.fidelity import HAZARDS
from lrbench.recipe.controlling import missing_controls
from lrbench.recipe.study import LoadedEdition
from lrbench.results.ledger import LedgerContents
from lrbench.results.rendering.sheet import Table
from lrbench.results.reported import reported_for
from lrbench.results.studies.accuracies import AccuracyTables
from lrbench.results.studies.cases import CaseTables
from lrbench.results.studies.choices import choice_tables
from lrbench.results.studies.content import Missing, Report
from lrbench.results.studies.convergence import CONVERGENCE_NOTE, ConvergenceTables
from lrbench.results.studies.costs import COSTS_NOTE, CostTables
from lrbench.results.studies.divergence import DIVERGENCE_NOTE, DivergenceTables
from lrbench.results.studies.gap import GAP_NOTE, GAP_TABLE, GapTables
from lrbench.results.studies.gathering import Gathered, gather, missing_of
from lrbench.results.studies.judging import judged_claims
from lrbench.results.studies.using import uses_tables
from lrbench.results.studies.wording import ACCURACY_NOTE, DIFFERENCE_NOTE, REPORTED_NOTE

MAIN_TABLE = "main_results"
ABLATION_TABLE = "ablations"


def build_report(edition: LoadedEdition, contents: LedgerContents, runs: Path) -> Report:
    """What `edition` says, from `contents` of the ledger under `runs`; cases also read the store there."""
    gathered = gather(edition, contents)
    report = _KINDS[edition.table](edition, gathered, runs)
    return replace(
        report,
        tables=(*report.tables, *choice_tables(gathered)),
        claims=tuple(judged_claims(edition, gathered, runs)),
    )


def _main_results(edition: LoadedEdition, gathered: Gathered, runs: Path) -> Report:
    tables = AccuracyTables(gathered, edition.columns, MAIN_TABLE, runs)
    return Report(
        edition,
        tables=(
            *tables.accuracies(),
            *uses_tables(gathered),
            *tables.comparisons(),
            *tables.against_reported(),
        ),
        rows=tuple(tables.rows()),
        figures={"radar": tables.radar(), "averages": tables.bars()},
        notes=tuple(_accuracy_notes(gathered, MAIN_TABLE)),
        missing=_missing(gathered, runs),
    )


def _ablations(edition: LoadedEdition, gathered: Gathered, runs: Path) -> Report:
    tables = AccuracyTables(gathered, edition.columns, ABLATION_TABLE, runs)
    return Report(
        edition,
        tables=(
            *tables.accuracies(),
            *uses_tables(gathered),
            *tables.comparisons(with_subjects=True),
            *tables.against_reported(),
        ),
        rows=tuple(tables.rows()),
        figures={"averages": tables.bars()},
        notes=tuple(_accuracy_notes(gathered, ABLATION_TABLE)),
        missing=_missing(gathered, runs),
    )


def _controls(edition: LoadedEdition, gathered: Gathered, runs: Path) -> Report:
    report = _main_results(edition, gathered, runs)
    figures = {"averages": report.figures["averages"]}
    return replace(report, figures=figures, notes=(*_lacking(edition), *report.notes))


def _lacking(edition: LoadedEdition) -> Iterator[str]:
    """Which controls the claims of each recipe are not held against."""
    for loaded in edition.recipes:
        if lacking := missing_controls(loaded.recipe):
            yield f"The claims of {loaded.recipe.name} are not held against: {'; '.join(lacking)}"


def _neighbours(edition: LoadedEdition, gathered: Gathered, runs: Path) -> Report:
    tables = AccuracyTables(gathered, edition.columns, MAIN_TABLE, runs)
    costs = CostTables(gathered, edition.columns, runs)
    return Report(
        edition,
        tables=(
            *tables.accuracies(),
            *uses_tables(gathered),
            *tables.from_untrained(),
            *tables.from_subjects(),
            *costs.tables(),
        ),
        rows=tuple(tables.rows()),
        figures={"averages": tables.bars(), "costs": costs.bars()},
        notes=(*_lacking(edition), *_accuracy_notes(gathered, MAIN_TABLE), COSTS_NOTE),
        missing=_missing(gathered, runs),
    )


def _hazards(edition: LoadedEdition, gathered: Gathered, runs: Path) -> Report:
    tables = AccuracyTables(gathered, edition.columns, MAIN_TABLE, runs)
    return Report(
        edition,
        tables=(*tables.accuracies(), *tables.comparisons(with_subjects=True), *_habits(gathered)),
        rows=tuple(tables.rows()),
        figures={"averages": tables.bars()},
        notes=tuple(_accuracy_notes(gathered, MAIN_TABLE)),
        missing=_missing(gathered, runs),
    )


def _habits(gathered: Gathered) -> Iterator[Table]:
    """What the arms do as the public scripts do."""
    cells = {
        (line.arm.name, name, HAZARDS[name].stage, HAZARDS[name].says): None
        for line in gathered.lines
        for name in line.arm.fidelity.hazards
    }
    if cells:
        caption = "What is done as in the paper's public scripts"
        yield Table(caption, ("arm", "hazard", "stage", "what it does"), tuple(cells))


def _expertise_gap(edition: LoadedEdition, gathered: Gathered, runs: Path) -> Report:
    gaps = GapTables(gathered, edition.columns, runs)
    tables = gaps.accuracies
    return Report(
        edition,
        tables=(
            *gaps.tables(),
            *tables.accuracies(),
            *tables.from_untrained(),
            *tables.against_reported(),
        ),
        rows=tuple(gaps.rows()),
        figures={"gap": gaps.scatter()},
        notes=(GAP_NOTE.format(benchmark=edition.columns[0]), *_accuracy_notes(gathered, GAP_TABLE)),
        missing=_missing(gathered, runs),
    )


def _efficiency(edition: LoadedEdition, gathered: Gathered, runs: Path) -> Report:
    tables = CostTables(gathered, edition.columns, runs)
    return Report(
        edition,
        tables=(*tables.tables(), *uses_tables(gathered)),
        rows=tuple(tables.rows()),
        figures={"costs": tables.bars()},
        notes=(COSTS_NOTE, DIFFERENCE_NOTE, *_protocol_notes(gathered)),
        missing=_missing(gathered, runs),
    )


def _divergence_statistics(edition: LoadedEdition, gathered: Gathered, runs: Path) -> Report:
    tables = DivergenceTables(gathered, runs)
    return Report(
        edition,
        tables=tuple(tables.tables()),
        rows=tuple(tables.rows()),
        figures={"kl": tables.histogram()},
        notes=(DIVERGENCE_NOTE,),
        missing=_missing(gathered, runs),
    )


def _convergence(edition: LoadedEdition, gathered: Gathered, runs: Path) -> Report:
    tables = ConvergenceTables(gathered, runs)
    return Report(
        edition,
        tables=tuple(tables.tables()),
        rows=tuple(tables.rows()),
        figures={"perplexity": tables.figure()},
        notes=(CONVERGENCE_NOTE,),
        missing=_missing(gathered, runs),
    )


def _case_study(edition: LoadedEdition, gathered: Gathered, runs: Path) -> Report:
    tables = CaseTables(gathered, edition.columns, runs)
    passages, notes = tables.passages()
    return Report(
        edition,
        tables=tuple(tables.tables()),
        rows=tuple(tables.rows()),
        passages=tuple(passages),
        notes=(*tables.notes(), *notes),
        missing=_missing(gathered, runs),
    )


_KINDS: dict[str, Callable[[LoadedEdition, Gathered, Path], Report]] = {
    "main_results": _main_results,
    "efficiency": _efficiency,
    "expertise_gap": _expertise_gap,
    "ablations": _ablations,
    "controls": _controls,
    "hazards": _hazards,
    "divergence_statistics": _divergence_statistics,
    "convergence": _convergence,
    "case_study": _case_study,
    "neighbours": _neighbours,
}


def _accuracy_notes(gathered: Gathered, table: str) -> Iterator[str]:
    yield ACCURACY_NOTE
    yield DIFFERENCE_NOTE
    sources = {row.source for line in gathered.lines for row in reported_for(line.expert, table)}
    for source in sorted(sources):
        yield REPORTED_NOTE.format(source=source)
    yield from _protocol_notes(gathered)


def _protocol_notes(gathered: Gathered) -> Iterable[str]:
    if gathered.left_out:
        yield (
            f"{gathered.left_out} results under an earlier protocol are left out, since they cannot be "
            "compared with these; `lrbench results` shows them and what differs."
        )


def _missing(gathered: Gathered, runs: Path) -> tuple[Missing, ...]:
    return tuple(missing_of(gathered.lines, runs))
