"""A study's report as Markdown, LaTeX and CSV. Everything that came from a recipe or a model is escaped."""

from __future__ import annotations

import csv
import io

from lrbench.results.rendering.documents import markdown_table
from lrbench.results.rendering.latex import PREAMBLE, latex, latex_table
from lrbench.results.studies.content import Number, Report
from lrbench.results.text import markdown, plain, spreadsheet

LONGEST = 4000
NOTHING_MISSING = "Everything declared is measured."
MISSING = "Not measured yet"
FILLING = "Each command fills its part; finished work is not done again."


def report_to_markdown(report: Report) -> str:
    """The report for people: tables, figures beside this file, cases, notes, and what is missing."""
    edition = report.edition
    parts = [f"# {_text(edition.title)} ({edition.edition} edition)"]
    if edition.description:
        parts.append(_text(edition.description))
    for table in report.tables:
        parts += [f"## {_text(table.title)}", markdown_table(table, LONGEST)]
    parts += [f"![{_text(edition.title)}: {name}]({name}.svg)" for name in report.figures]
    for judged in report.claims:
        parts.append(f"## {_text(judged.title)}")
        for first, *rest in judged.claims:
            parts.append("\n".join([f"- {_text(first)}", *(f"  - {_text(line.strip())}" for line in rest)]))
    for passage in report.passages:
        parts.append(f"## {_text(passage.title)}")
        parts += [f"**{name}:** {'<br>'.join(map(_text, lines_of(text)))}" for name, text in passage.parts]
    parts.append("\n".join(f"- {_text(note)}" for note in report.notes))
    if report.missing:
        parts += [f"## {MISSING}", FILLING]
        parts.append("\n".join(f"- {_text(one.what)}: {_code(one.command)}" for one in report.missing))
    else:
        parts.append(NOTHING_MISSING)
    return "\n\n".join(part for part in parts if part) + "\n"


def report_to_latex(report: Report) -> str:
    """The tables in booktabs, with notes and cases as paragraphs and the missing commands as comments."""
    edition = report.edition
    parts = [PREAMBLE, f"% {plain(edition.title)} ({edition.edition} edition)"]
    parts += map(latex_table, report.tables)
    for judged in report.claims:
        parts.append(rf"\paragraph{{{_long(judged.title)}}}")
        parts += [
            rf"\noindent {'; '.join(_long(line.strip()) for line in claim)}\par" for claim in judged.claims
        ]
    for passage in report.passages:
        parts.append(rf"\paragraph{{{_long(passage.title)}}}")
        for name, text in passage.parts:
            shown = r"\newline ".join(map(_long, lines_of(text)))
            parts.append(rf"\noindent\textbf{{{latex(name)}:}} {shown}\par")
    parts += [rf"\noindent {_long(note)}\par" for note in report.notes]
    if report.missing:
        commands = [f"%   {plain(one.command, LONGEST)}" for one in report.missing]
        parts.append("\n".join([f"% {MISSING}. {FILLING}", *commands]))
    return "\n\n".join(parts) + "\n"


def report_to_csv(report: Report) -> str:
    """The numbers behind the tables, one line each, to six digits; empty where there is no number."""
    stream = io.StringIO()
    if report.rows:
        names = ["study", "edition", *report.rows[0]]
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        writer.writeheader()
        place = {"study": report.edition.study, "edition": report.edition.edition}
        for row in report.rows:
            writer.writerow({name: _csv_value(value) for name, value in (place | dict(row)).items()})
    return stream.getvalue()


def lines_of(text: str) -> list[str]:
    """The lines of a longer text that are not empty, at most `LONGEST` characters in all."""
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return [line for line in shown.splitlines() if line.strip()] or [""]


def _long(text: str) -> str:
    return latex(text, LONGEST)


def _text(text: str) -> str:
    return markdown(text, LONGEST)


def _code(command: str) -> str:
    """A command as code; backticks inside would end it, so a longer fence is put around it."""
    shown = plain(command, LONGEST)
    fence = "`"
    while fence in shown:
        fence += "`"
    return f"{fence}{shown}{fence}" if fence == "`" else f"{fence} {shown} {fence}"


def _csv_value(value: Number) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return spreadsheet(value) if isinstance(value, str) else str(value)
