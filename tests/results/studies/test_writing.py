"""A study's files: the same for the same ledger, harmless whatever names hold, figures that are pictures."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lrbench.errors import StoreError
from lrbench.results.rendering.sheet import Strong, Table
from lrbench.results.studies import writing
from lrbench.results.studies.content import Judged, Missing, Passage, Report
from lrbench.results.studies.drawing import FORMATS, draw
from lrbench.results.studies.figures import Bars, Histogram, Lines, Panel, Point, Radar, Scatter, Series
from lrbench.results.studies.printing import show_files, show_report
from lrbench.results.studies.rendering import report_to_csv, report_to_latex, report_to_markdown
from lrbench.results.studies.report import build_report

RUNS = Path("runs")
STARTS = {"png": b"\x89PNG\r\n", "svg": b"<?xml", "pdf": b"%PDF-"}
SERIES = (Series("base", (1.0, None, 3.0)), Series("lightr, reported", (2.0, 5.0, None), reported=True))
PANEL = Panel("expert", ("a", "b", "c"), SERIES, "percent")
FIGURES = [
    Radar((PANEL, replace(PANEL, title="other"), replace(PANEL, title="third", series=()))),
    Bars((PANEL,)),
    Bars(
        (replace(PANEL, series=(Series("sft", (1.0, 2.0, 3.0), low=(0.5, 1.0, 2.0), high=(2.0, 3.0, 4.0)),)),)
    ),
    Bars((PANEL,), logarithmic=True),
    Bars((replace(PANEL, series=()),), logarithmic=True),
    Scatter(
        "gap",
        "average",
        (("e", (Point("peer", 1.0, 2.0, False, 1.0, 3.0), Point("x", 4.0, 5.0, True)), 1.5),),
    ),
    Scatter("gap", "average", (("e", (), None),)),
    Histogram("KL", "steps", (("pair", (0.0, 0.4, 1.0, 32.0), (5, 2, 0)),), 0.4),
    Histogram("KL", "steps", ()),
    Lines("update", "perplexity", (("e", (("sft", ((0.0, 3.0), (1.0, 2.0))),)),)),
    Lines("update", "perplexity", (("e", ()),)),
]
EVIL = "<script>|`$x$`\\input{x} \x1b[31m=1+1\u202e"


@pytest.fixture
def evil(declared):
    """A report in which everything that can come from a recipe or a model is hostile."""
    return Report(
        declared(title="'<b>$x$ \\\\input{y}'"),
        tables=(Table(EVIL, ("arm", EVIL), ((EVIL, Strong(EVIL)), (), (EVIL, ""))),),
        rows=({"arm": EVIL, "value": 1.23456789, "n": 3, "nothing": None, "separated": True},),
        claims=(Judged(EVIL, ((EVIL, EVIL),)),),
        passages=(Passage(EVIL, (("problem", EVIL * 500),)),),
        notes=(EVIL,),
        missing=(Missing(EVIL, f"lrbench run '{EVIL}'"),),
    )


class TestEscaping:
    def test_markdown_holds_no_markup_that_acts(self, evil):
        text = report_to_markdown(evil)
        code = re.sub(r"`` .*? ``", "", text)
        assert "<script>" not in code
        assert "<b>" not in code
        assert not re.search(r"(?<!\\)[$]", code)
        assert "\x1b" not in text
        assert "\u202e" not in text
        header, rule, *lines = [line for line in text.splitlines() if line.startswith("|")]
        for line in (header, rule, *lines):
            assert len(re.findall(r"(?<!\\)\|", line)) == 3

    def test_latex_holds_no_command_of_others(self, evil):
        text = report_to_latex(evil)
        body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
        assert r"\input" not in body
        assert "$" not in re.sub(r"\\\$", "", body)
        comments = [line for line in text.splitlines() if "lrbench run" in line]
        assert all(line.startswith("%") for line in comments)

    def test_csv_holds_no_formula(self, evil):
        evil = replace(evil, rows=({**evil.rows[0], "arm": "=cmd()"},))
        (line,) = csv.DictReader(io.StringIO(report_to_csv(evil)))
        assert line["arm"] == "'=cmd()"
        assert (line["study"], line["edition"], line["value"]) == ("study", "embedded", "1.23457")
        assert (line["n"], line["nothing"], line["separated"]) == ("3", "", "True")

    def test_the_terminal_gets_no_control_codes(self, evil):
        for width in (60, 300):
            stream = io.StringIO()
            show_report(evil, Console(file=stream, width=width))
            assert "\x1b" not in stream.getvalue()
            assert "\\x1b[31m" in stream.getvalue()


def test_a_completion_keeps_its_lines_and_a_megabyte_is_cut(declared):
    passage = Passage("case", (("base", "First 1+1=2.\n\nThen |2| is it.\n"), ("lightr", "x" * 1_000_000)))
    report = Report(declared(), tables=(), rows=(), passages=(passage,))
    text = report_to_markdown(report)
    assert "**base:** First 1+1=2.<br>Then \\|2\\| is it.\n" in text
    assert len(text) < 10_000
    assert r"First 1+1=2.\newline Then" in report_to_latex(report)


class TestTerminal:
    def test_in_a_narrow_window_no_number_is_broken(self, declared, ledger_of):
        edition = declared()
        stream = io.StringIO()
        show_report(build_report(edition, ledger_of(edition), RUNS), Console(file=stream, width=72))
        lines = stream.getvalue().splitlines()
        assert max(map(len, lines)) <= 72
        assert sum("average 90.0 [87.7, 92.1]" in line for line in lines) == 1

    def test_a_command_is_never_broken(self, declared, nothing):
        edition = declared(overrides=", ".join(["seed=1", "description=" + "x" * 100]))
        stream = io.StringIO()
        show_report(build_report(edition, nothing, RUNS), Console(file=stream, width=60))
        assert f"    lrbench run small.yaml seed=1 description={'x' * 100}\n" in stream.getvalue()

    def test_where_the_files_are_is_told_with_what_is_left_to_run(self, declared, nothing, tmp_path):
        report = build_report(declared(), nothing, RUNS)
        stream = io.StringIO()
        show_files([(report, writing.write_report(report, Path("out")))], Console(file=stream, width=40))
        assert stream.getvalue() == "study, embedded: 9 files in out/embedded/study, 1 command to run\n"


class TestFiles:
    def test_equal_ledgers_give_equal_bytes_whatever_was_there(self, declared, ledger_of):
        edition = declared()
        report = build_report(edition, ledger_of(edition), RUNS)
        first, second = Path("first"), Path("second")
        for folder in (first, second):
            paths = writing.write_report(report, folder)
        assert [path.name for path in paths] == [
            "table.md", "table.tex", "table.csv",
            *(f"{name}.{form}" for name in ("radar", "averages") for form in FORMATS),
        ]  # fmt: skip
        for path in paths:
            content = path.read_bytes()
            assert content == (first / path.relative_to(second)).read_bytes()
            assert content.startswith(STARTS.get(path.suffix[1:], b""))

    def test_what_did_not_change_is_not_drawn_again(self, declared, ledger_of, monkeypatch):
        edition = declared()
        report = build_report(edition, ledger_of(edition), RUNS)
        drawn = []
        monkeypatch.setattr(writing, "draw", lambda figure: drawn.append(figure) or draw(figure))
        *_, last = writing.write_report(report, Path("out"))
        assert len(drawn) == 2
        writing.write_report(report, Path("out"))
        assert len(drawn) == 2
        last.write_bytes(b"damaged")
        writing.write_report(report, Path("out"))
        assert len(drawn) == 3
        assert last.read_bytes().startswith(b"%PDF")
        changed = build_report(edition, ledger_of(edition, lambda _: 50), RUNS)
        writing.write_report(changed, Path("out"))
        assert len(drawn) == 5

    @pytest.mark.parametrize("notes", ["", "[]", '{"radar": 3}', "\x00"])
    def test_notes_that_do_not_read_are_written_anew(self, declared, nothing, notes):
        report = build_report(declared(), nothing, RUNS)
        writing.write_report(report, Path("out"))
        kept = Path("out/embedded/study") / writing.NOTES
        before = kept.read_bytes()
        kept.write_text(notes)
        writing.write_report(report, Path("out"))
        assert kept.read_bytes() == before

    def test_a_folder_that_cannot_be_made_is_named(self, declared, nothing):
        report = build_report(declared(), nothing, RUNS)
        Path("file").write_text("")
        with pytest.raises(StoreError, match="file/embedded/study"):
            writing.write_report(report, Path("file"))


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: type(figure).__name__)
def test_every_figure_is_drawn_in_every_format_the_same_each_time(figure):
    drawn = draw(figure)
    assert list(drawn) == list(FORMATS)
    for form, content in drawn.items():
        assert content.startswith(STARTS[form])
        assert len(content) > 2000
    assert draw(figure) == drawn


def test_reported_bars_look_other_than_measured_ones():
    bars = Bars((replace(PANEL, series=(Series("lightr", (2.0, 5.0, 1.0)),)),))
    reported = Bars((replace(PANEL, series=(Series("lightr", (2.0, 5.0, 1.0), reported=True),)),))
    assert draw(bars)["png"] != draw(reported)["png"]
