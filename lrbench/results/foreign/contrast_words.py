"""Compared result files in words: for a terminal, as Markdown, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lrbench.evaluation.statistics import EQUIVALENCE_MARGIN, Comparison, Estimate
from lrbench.results.foreign.comparing import BenchmarkContrast, Contrast, FilesCompared, SystemContrast
from lrbench.results.rows import AVERAGE
from lrbench.results.text import markdown, plain
from lrbench.results.wording import LONGEST_NAME, UNKNOWN, difference_text, interval_text, p_text

LONGEST_LINE = 1000
MOST_ITEMS = 10
LEGEND = (
    "Accuracy in percent on the items that both answered, 95% intervals: Wilson; for the average, stratified "
    "bootstrap.",
    "Differences in points. p: McNemar's mid-p, Holm over the benchmarks; for the average, sign-flip "
    "permutation.",
    "inconclusive: not separated at 5%, which is not equal. equivalent: two one-sided tests at 5% show a "
    f"difference within {EQUIVALENCE_MARGIN:g} points.",
    "could see: the true difference that these items separate with power 0.8.",
)


def show_compared(compared: FilesCompared, console: Console) -> None:
    """Print what was compared to fit `console`."""
    for contrast in compared.contrasts:
        console.print(Text(_title(contrast), style="bold"))
        console.print()
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
        for place, heading in enumerate(_headings(contrast)):
            table.add_column(_stacked(heading), justify="right" if place else "left", overflow="fold")
        for name, one in _lines(contrast):
            cells = [_stacked(cell) for cell in _cells(name, one)]
            cells[-1].stylize(_style(one.comparison))
            table.add_row(*cells)
        console.print(table)
        console.print()
        for sentence in sentences(contrast):
            console.print(Padding(Text(sentence), (0, 0, 0, 2), expand=False))
        console.print()
    for remark in compared.remarks:
        console.print(Text(plain(remark, LONGEST_LINE), style="yellow"))
    for line in LEGEND:
        console.print(Text(line, style="dim"))


def compared_to_markdown(compared: FilesCompared) -> str:
    """What was compared as Markdown: a table for each system, then sentences and remarks."""
    parts = []
    for contrast in compared.contrasts:
        parts.append(f"### {markdown(_title(contrast), LONGEST_LINE)}")
        headings = [markdown(" ".join(heading), LONGEST_NAME) for heading in _headings(contrast)]
        rule = ["---", *["---:"] * (len(headings) - 1)]
        rows = [
            [markdown(" ".join(cell), LONGEST_NAME) for cell in _cells(name, one)]
            for name, one in _lines(contrast)
        ]
        parts.append("\n".join("| " + " | ".join(line) + " |" for line in [headings, rule, *rows]))
        parts.append(_bullets(sentences(contrast)))
    if compared.remarks:
        parts.append(_bullets(compared.remarks))
    parts.append(_bullets(LEGEND))
    return "\n\n".join(parts) + "\n"


def compared_to_json(compared: FilesCompared) -> dict[str, Any]:
    """What was compared as JSON values: shares in [0, 1], differences in points, every flipped item."""
    return {
        "baseline": compared.baseline,
        "systems": [
            {
                "system": contrast.system,
                "benchmarks": {
                    one.benchmark: _numbers(one)
                    | {
                        "won": list(one.won),
                        "lost": list(one.lost),
                        "only_in_baseline": list(one.pairing.only_first),
                        "only_in_system": list(one.pairing.only_second),
                        "different_text": list(one.pairing.other_text),
                        "no_outcome": list(one.pairing.no_outcome),
                        "texts_compared": one.pairing.texts_known,
                        "measured_otherwise": {
                            found.field: [found.first, found.second] for found in one.measured_otherwise
                        },
                    }
                    for one in contrast.benchmarks
                },
                AVERAGE: None if contrast.average is None else _numbers(contrast.average),
                "left_out": list(contrast.left_out),
            }
            for contrast in compared.contrasts
        ],
        "remarks": list(compared.remarks),
    }


def sentences(contrast: SystemContrast) -> Iterator[str]:
    """What may be said of a system against the baseline, and what was left out; plain text."""
    system, baseline = (plain(name, LONGEST_NAME) for name in (contrast.system, contrast.baseline))
    for name, one in _lines(contrast):
        where = "on average" if name == AVERAGE else f"on {plain(name, LONGEST_NAME)}"
        yield _verdict(system, baseline, where, one)
    for flips in contrast.benchmarks:
        for word, items in (("won", flips.won), ("lost", flips.lost)):
            if items:
                yield f"{plain(flips.benchmark, LONGEST_NAME)}, {word}: {_some(items)}"
    yield from _counted(contrast)
    for found in _measured_otherwise(contrast):
        yield plain(found, LONGEST_LINE)
    for line in contrast.left_out:
        yield f"not paired: {plain(line, LONGEST_LINE)}"


def _verdict(system: str, baseline: str, where: str, one: Contrast) -> str:
    comparison = one.comparison
    difference = difference_text(comparison.difference)
    if comparison.separated:
        direction = "above" if comparison.difference > 0 else "below"
        p = p_text(comparison.p_adjusted)
        return f"{system} is {direction} {baseline} {where}: {difference} points, {p}."
    if comparison.verdict == "equivalent":
        margin = f"{EQUIVALENCE_MARGIN:g} points"
        return f"{system} is equivalent to {baseline} {where}, within {margin}: {difference}."
    could = "" if one.detectable is None else f"; these items could see {one.detectable:.1f} points"
    return f"Whether {system} differs from {baseline} {where} is not decided: {difference}{could}."


def _counted(contrast: SystemContrast) -> Iterator[str]:
    """How items are counted, where that is not one answer each."""
    for one in contrast.benchmarks:
        draws, name = one.pairing.draws, plain(one.benchmark, LONGEST_NAME)
        if draws is None or draws.flips is not None:
            continue
        counts = [
            f"{right_NM.shape[1] // one.pairing.parts} answers to each item of {plain(system, LONGEST_NAME)}"
            for system, right_NM in ((contrast.baseline, draws.second), (contrast.system, draws.first))
            if right_NM.shape[1] > one.pairing.parts
        ]
        if one.pairing.parts > 1:
            counts.append("answers are partly right, counted to a hundredth")
        if draws.groups is not None:
            counts.append(f"{len(set(draws.groups)):,} groups of items, each counted as one")
        yield f"{name}: {'; '.join(counts)}. p: sign flips; interval: Student's t."


def _measured_otherwise(contrast: SystemContrast) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for one in contrast.benchmarks:
        for differing in one.measured_otherwise:
            line = (
                f"measured otherwise: {differing.field} is {differing.first} for {contrast.baseline}, "
                f"{differing.second} for {contrast.system}"
            )
            found.setdefault(line, []).append(one.benchmark)
    for line, benchmarks in found.items():
        everywhere = len(benchmarks) == len(contrast.benchmarks)
        yield line if everywhere else f"{line} ({', '.join(benchmarks)})"


def _title(contrast: SystemContrast) -> str:
    system, baseline = (plain(name, LONGEST_NAME) for name in (contrast.system, contrast.baseline))
    return f"{system} against {baseline}"


def _headings(contrast: SystemContrast) -> list[tuple[str, ...]]:
    names = [(contrast.baseline,), (contrast.system,)]
    return [("",), ("n",), *names, ("difference",), ("won /", "lost"), ("could", "see"), ("verdict",)]


def _lines(contrast: SystemContrast) -> Iterator[tuple[str, Contrast]]:
    if contrast.average is not None:
        yield AVERAGE, contrast.average
    for one in contrast.benchmarks:
        yield one.benchmark, one


def _cells(name: str, one: Contrast) -> list[tuple[str, ...]]:
    """The cells of a line, each of parts that stand below or beside each other."""
    flips = f"{len(one.won)} / {len(one.lost)}" if isinstance(one, BenchmarkContrast) else ""
    low, high = one.comparison.interval.low, one.comparison.interval.high
    return [
        (name,),
        (f"{one.n:,}",),
        (f"{100 * one.baseline.value:.1f}", interval_text(one.baseline)),
        (f"{100 * one.system.value:.1f}", interval_text(one.system)),
        (difference_text(one.comparison.difference), f"[{low:.1f}, {high:.1f}]"),
        (flips,),
        (UNKNOWN if one.detectable is None else f"{one.detectable:.1f}",),
        _short_verdict(one.comparison),
    ]


def _stacked(cell: tuple[str, ...]) -> Text:
    return Text("\n").join(Text(plain(part, LONGEST_NAME)) for part in cell)


def _short_verdict(comparison: Comparison) -> tuple[str, ...]:
    if not comparison.separated:
        return (comparison.verdict,)
    return ("above" if comparison.difference > 0 else "below", p_text(comparison.p_adjusted))


def _numbers(one: Contrast) -> dict[str, Any]:
    comparison = one.comparison
    return {
        "n": one.n,
        "baseline_accuracy": _estimate(one.baseline),
        "accuracy": _estimate(one.system),
        "difference": comparison.difference,
        "low": comparison.interval.low,
        "high": comparison.interval.high,
        "p": comparison.p,
        "p_adjusted": comparison.p_adjusted,
        "p_equivalent": comparison.p_equivalent,
        "verdict": comparison.verdict,
        "detectable": one.detectable,
    }


def _estimate(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.interval.low, "high": estimate.interval.high}


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {markdown(line, LONGEST_LINE)}" for line in lines)


def _some(items: tuple[str, ...]) -> str:
    more = len(items) - MOST_ITEMS
    named = ", ".join(plain(item, LONGEST_NAME) for item in items[:MOST_ITEMS])
    return named + (f" and {more:,} more" if more > 0 else "")


def _style(comparison: Comparison) -> str:
    if not comparison.separated:
        return "dim"
    return "green" if comparison.difference > 0 else "red"
