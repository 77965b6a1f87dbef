"""The board in LaTeX: complete tables, and names that no TeX acts on."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.results.board import build_boards
from lrbench.results.rendering.latex import boards_to_latex, latex, latex_table
from lrbench.results.rendering.sheet import Table

BENCHMARKS = ("chain", "formal")
# Every way in which these characters may be left in escaped text.
HARMLESS = re.compile(
    r"\\text(backslash|asciicircum|asciitilde|less|greater|bar|quotedbl|asciigrave|quotesingle)\{\}"
    r"|\\ldots\{\}|\\[{}$&%#_]|\{[-\[\]*]\}"
)


@pytest.fixture(scope="module")
def boards(arm_record, score_records):
    accuracies = {"base": (25, 30), "sft": (60, 62), "lightr": (95, 64)}
    scores = [
        score
        for arm, correct in accuracies.items()
        for score in score_records(
            dict(zip(BENCHMARKS, correct, strict=True)), arm=arm, benchmarks=BENCHMARKS, recipe="a_b & c"
        )
    ]
    return build_boards([arm_record(arm, recipe="a_b & c") for arm in accuracies], scores)


def test_the_board_has_its_accuracies_and_differences(boards):
    text = boards_to_latex(boards)
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 3
    assert r"\textbf{95.0 {[}88.8, 97.8{]}}$^{(*)}$" in text
    assert "64.0 {[}54.2, 72.7{]}" in text
    assert "inconclusive (+2.0)" in text
    assert r"recipe a\_b \& c: Difference from sft in points" in text


def test_every_line_of_a_table_has_as_many_cells_as_its_header(boards):
    for table in re.findall(r"\\toprule(.*?)\\bottomrule", boards_to_latex(boards), re.DOTALL):
        lines = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex, which is not installed")
def test_what_is_written_compiles_and_fits_the_page(boards, tmp_path):
    packages = r"\usepackage{booktabs}\usepackage{graphicx}\usepackage[T1]{fontenc}"
    body = boards_to_latex(boards)
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "board.tex").write_text(document)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "board.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout


def test_no_results_is_a_comment():
    assert boards_to_latex([]).startswith("% No results yet.")


def test_an_empty_line_is_a_rule():
    table = Table("c", ("a", "b"), (("1", "2"), (), ("3", "4")))
    assert latex_table(table).count(r"\midrule") == 2


@given(st.text(max_size=100))
def test_nothing_in_a_name_is_left_for_tex_to_act_on(name):
    rest = HARMLESS.sub("", latex(name))
    assert not re.search(r"[\\{}$&%#_^~<>|\"`'\-\[\]*]", rest)
    assert "\n" not in rest


def test_commands_show_as_text():
    assert latex(r"\input{/etc/passwd} 50% a_b") == (r"\textbackslash{}input\{/etc/passwd\} 50\% a\_b")
