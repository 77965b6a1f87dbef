"""The board in words: in the terminal, as Markdown, as CSV."""

from __future__ import annotations

import csv
import io
import re

import pytest
from rich.console import Console

from lrbench.evaluation.statistics import Comparison, Estimate, Interval
from lrbench.results import wording
from lrbench.results.board import build_boards
from lrbench.results.counted import counts_to_csv
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.rendering.latex import boards_to_latex
from lrbench.results.rendering.terminal import show_boards
from lrbench.results.wording import NOTHING, accuracy_text, comparison_text, duration_text

ACCURACIES = {
    "base": (25, 30, 28, 31, 22, 40, 33),
    "sft": (60, 62, 58, 70, 66, 61, 59),
    "lightr": (88, 90, 85, 91, 87, 89, 62),
}
BENCHMARKS = ("chain", "formal", "formula", "multi_step", "onestep", "science", "vary")


@pytest.fixture(scope="module")
def records(arm_record, score_records):
    scores = [
        score
        for arm, correct in ACCURACIES.items()
        for score in score_records(dict(zip(BENCHMARKS, correct, strict=True)), arm=arm)
    ]
    return [arm_record(arm) for arm in ACCURACIES], scores


@pytest.fixture(scope="module")
def boards(records):
    return build_boards(*records)


def printed(boards, width=100, **settings):
    stream = io.StringIO()
    show_boards(boards, Console(file=stream, width=width, **settings))
    return stream.getvalue()


def comparison(difference, p):
    return Comparison(difference, Interval(difference - 1, difference + 1), p, p)


class TestNumbers:
    def test_an_accuracy_is_in_percent_with_its_interval(self):
        assert accuracy_text(Estimate(0.7162, Interval(0.686, 0.7444))) == "71.6 [68.6, 74.4]"

    @pytest.mark.parametrize(
        ("difference", "p", "text"),
        [
            (9.71, 0.002, "+9.7 (p 0.002)"),
            (-4.0, 0.021, "-4.0 (p 0.021)"),
            (30.0, 1e-9, "+30.0 (p <0.001)"),
            (0.44, 0.8, "inconclusive (+0.4)"),
            (-0.04, 1.0, "inconclusive (0.0)"),
        ],
    )
    def test_a_difference_carries_its_p_and_an_unresolved_one_is_inconclusive(self, difference, p, text):
        assert comparison_text(comparison(difference, p)) == text

    def test_no_comparison_is_nothing(self):
        assert comparison_text(None) == ""

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0, "0:00"), (47.75, "0:48"), (192, "3:12"), (3723.4, "1:02:03"), (59.9, "1:00")],
    )
    def test_a_duration_reads_as_a_clock(self, seconds, text):
        assert duration_text(seconds) == text


class TestTerminal:
    @pytest.mark.parametrize("width", [80, 120, 200])
    def test_every_number_is_there_and_nothing_is_cut_at_any_width(self, boards, width):
        text = printed(boards, width)
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= width
        for number in (
            "31.0",
            "88.0",
            "[80.2, 93.0]",
            "+63.0 (p <0.001)",
            "inconclusive (+3.0)",
            "1,712",
            "256",
            "0:48",
        ):
            assert number in text

    def test_a_wide_window_shows_the_benchmarks_side_by_side(self, boards):
        heading = next(line for line in printed(boards, 200).splitlines() if "chain" in line)
        assert heading.split()[:7] == list(BENCHMARKS)

    def test_a_narrow_window_gives_each_benchmark_a_block_of_its_own(self, boards):
        lines = [line.strip() for line in printed(boards, 80).splitlines()]
        assert [line.split()[0] for line in lines if re.search(r"  n 100$", line)] == list(BENCHMARKS)

    def test_the_best_is_marked_only_where_separated(self, boards):
        lines = printed(boards, 80).splitlines()
        marked = [line.split()[0] for line in lines if re.search(r"\] \(\*\)", line)]
        assert marked == ["lightr"] * 7
        vary = lines.index(next(line for line in lines if line.startswith("vary")))
        assert "*" not in "".join(lines[vary : vary + 4])

    def test_a_pipe_gets_no_control_codes(self, boards):
        assert "\x1b" not in printed(boards)

    def test_a_terminal_gets_colours(self, boards):
        assert "\x1b[" in printed(boards, force_terminal=True, color_system="truecolor")

    def test_printing_twice_prints_the_same(self, boards, records):
        assert printed(boards) == printed(build_boards(*records))

    def test_no_results_say_what_to_run(self):
        assert printed([], 200).strip() == NOTHING

    def test_several_seeds_are_named_in_their_rows(self, score_record):
        scores = [score_record("chain", "1100", benchmarks=("chain",), seed=seed) for seed in (0, 1)]
        text = printed(build_boards([], scores))
        assert "lightr seed 0" in text
        assert "lightr seed 1" in text

    @pytest.mark.parametrize("width", [80, 200])
    def test_what_is_missing_is_said(self, score_record, width):
        scores = [
            *(
                score_record(name, "1100", arm="base", benchmarks=("chain", "vary"))
                for name in ("chain", "vary")
            ),
            score_record("chain", "1111", benchmarks=("chain", "vary")),
        ]
        text = printed(build_boards([], scores), width)
        assert "lightr of quickstart, seed 0: no result on vary, so no average." in text

    def test_a_baseline_of_another_recipe_is_named(self, score_record):
        scores = [
            score_record("chain", "1100", arm="base", recipe="other", benchmarks=("chain",)),
            score_record("chain", "1111", benchmarks=("chain",)),
        ]
        text = printed(build_boards([], scores))
        assert "lightr of quickstart, seed 0: set against base of other, seed 0." in text

    def test_items_that_a_baseline_lacks_are_said(self, score_record):
        both = ("chain", "vary")
        scores = [score_record(name, "1100", arm="base", benchmarks=both) for name in both]
        scores += [
            score_record("chain", "1111", benchmarks=both),
            score_record("vary", "1111", benchmarks=both, items_hash="others"),
        ]
        text = printed(build_boards([], scores))
        assert "base lacks some of these items, so no difference of averages." in text

    def test_a_second_protocol_says_what_differs(self, score_record):
        scores = [score_record("chain", "1100", limit=limit, benchmarks=("chain",)) for limit in (100, 50)]
        text = printed(build_boards([], scores), 120)
        assert re.search(r"Not comparable with protocol [0-9a-f]{8} above\. What differs:\n  limit: ", text)
        assert "50 above, 100 here" in text or "100 above, 50 here" in text

    @pytest.mark.parametrize("width", [80, 200])
    @pytest.mark.parametrize("terminal", [False, True])
    def test_names_are_text_whatever_they_hold(self, score_record, width, terminal):
        hostile = "[red]x[/red]\x1b[31m\u202eabc"
        scores = [
            score_record(
                "chain",
                "1100",
                arm=hostile,
                recipe="[bold]r",
                expert=hostile,
                benchmarks=("chain",),
                suite="[s]",
            )
        ]
        text = printed(build_boards([], scores), width, force_terminal=terminal, color_system=None)
        assert "[red]x[/red]\\x1b[31m\\u202eabc" in text
        assert "[bold]r" in text
        assert "[s]" in text
        assert "\x1b[31m" not in text
        assert "\u202e" not in text

    def test_a_very_long_name_is_cut(self, score_record):
        scores = [score_record("chain", "1100", expert="e" * 2**20, benchmarks=("chain",))]
        assert len(printed(build_boards([], scores), 80)) < 5000


@pytest.fixture(scope="module")
def published(score_record):
    """Boards of an expert that the paper reports, with one benchmark and another limit on each."""
    return build_boards(
        [],
        [
            score_record(
                "gsm8k", "1" * right + "0" * (limit - right), arm, limit=limit,
                benchmarks=("gsm8k",), expert="Qwen/Qwen2.5-Math-1.5B",
            )
            for limit in (20, 30)
            for arm, right in (("base", 2), ("lightr", 12))
        ],
    )  # fmt: skip


class TestReported:
    def test_csv_marks_what_is_reported_and_compares_and_ranks_it_with_nothing(self, published):
        lines = list(csv.DictReader(io.StringIO(boards_to_csv(published))))
        reported = [line for line in lines if line["kind"] == "reported"]
        assert [(line["arm"], line["benchmark"]) for line in reported] == [
            (arm, column) for arm in ("base", "sft", "lightr") for column in ("average", "gsm8k")
        ]
        lightr = reported[-1]
        assert (lightr["n"], lightr["accuracy"], lightr["source"]) == (
            "1319", "70.6", "arXiv 2510.07962, main results"
        )  # fmt: skip
        assert 68.0 < float(lightr["low"]) < 68.2
        assert 72.9 < float(lightr["high"]) < 73.1
        known = {"kind", "suite", "expert", "arm", "benchmark", "n", "accuracy", "low", "high", "source"}
        assert {name for line in reported for name, value in line.items() if value} == known
        assert {line["best"] for line in lines if line["kind"] == "measured"} <= {"True", "False"}

    def test_what_is_measured_is_as_without_it(self, published, monkeypatch):
        whole = boards_to_csv(published).splitlines()
        monkeypatch.setattr(wording, "reported_for", lambda _: ())
        assert boards_to_csv(published).splitlines() == [
            line for line in whole if not line.startswith("reported,")
        ]

    @pytest.mark.parametrize("write", [boards_to_markdown, boards_to_latex])
    def test_documents_have_a_table_of_its_own_kind_with_n_and_intervals(self, published, write):
        text = write(published[:1])
        assert text.count("not measured here") == 1
        table = text[text.index("not measured here") :]
        assert "n 1319" in table
        assert "nothing is paired and nothing is ranked" in table
        (line,) = [line for line in table.splitlines() if "lightr, reported" in line]
        assert re.search(r"70\.6 \W+68\.1, 73\.0", line.replace("{[}", "[").replace("{]}", "]"))
        assert "**" not in table
        assert "textbf" not in table

    @pytest.mark.parametrize("write", [boards_to_markdown, boards_to_latex, boards_to_csv])
    def test_an_expert_or_benchmark_that_the_paper_lacks_has_none(self, boards, score_record, write):
        other = score_record("chain", "1100", benchmarks=("chain",), expert="Qwen/Qwen2.5-Math-1.5B")
        for shown in (boards, build_boards([], [other])):
            assert "eported" not in write(shown)


class TestMarkdown:
    def test_is_tables_of_accuracies_and_of_differences(self, boards):
        text = boards_to_markdown(boards)
        rows = [
            [cell.strip() for cell in line.strip("|").split(" | ")]
            for line in text.splitlines()
            if "|" in line
        ]
        assert rows[0] == ["arm", "average", *(f"{b}, n 100" for b in BENCHMARKS),
                           "tuned tokens", "sampled problems", "time"]  # fmt: skip
        assert all(len(row) == 12 for row in rows[:5])
        lightr = rows[4]
        assert lightr[0] == "lightr"
        assert lightr[2].startswith("**88.0 [")
        assert lightr[8].startswith("62.0 [")
        assert lightr[9:] == ["1,712", "256", "0:48"]
        assert "Difference from `base`, these runs:" in text
        assert "Difference from `sft`, these runs:" in text

    def test_names_are_text(self, score_record):
        scores = [score_record("chain", "1100", arm="a|b<script>", benchmarks=("chain",))]
        assert "| a\\|b&lt;script&gt; |" in boards_to_markdown(build_boards([], scores))

    def test_no_results_say_what_to_run(self):
        assert boards_to_markdown([]) == NOTHING + "\n"


class TestCsv:
    def test_has_a_line_per_arm_and_column(self, boards):
        lines = list(csv.DictReader(io.StringIO(boards_to_csv(boards))))
        assert len(lines) == 3 * 8
        line = next(line for line in lines if (line["arm"], line["benchmark"]) == ("lightr", "vary"))
        assert (line["n"], line["correct"], line["accuracy"]) == ("100", "62", "62")
        assert float(line["sft_difference"]) == 3.0
        assert line["sft_separated"] == "False"
        assert line["base_separated"] == "True"
        assert line["tuned_tokens"] == "1712"

    def test_an_average_has_no_n_and_base_no_difference(self, boards):
        lines = list(csv.DictReader(io.StringIO(boards_to_csv(boards))))
        average = next(line for line in lines if (line["arm"], line["benchmark"]) == ("base", "average"))
        assert (average["n"], average["base_difference"]) == ("", "")
        assert float(average["low"]) < float(average["accuracy"]) < float(average["high"])

    def test_names_are_no_formulas(self, score_record):
        scores = [score_record("chain", "1100", expert="=HYPERLINK()", benchmarks=("chain",))]
        (line, *_) = csv.DictReader(io.StringIO(boards_to_csv(build_boards([], scores))))
        assert line["expert"] == "'=HYPERLINK()"


def test_what_was_counted_is_what_the_whole_csv_says_without_what_is_drawn(boards):
    whole = [
        line for line in csv.DictReader(io.StringIO(boards_to_csv(boards))) if line["kind"] == "measured"
    ]
    counted = list(csv.DictReader(io.StringIO(counts_to_csv(boards))))
    assert len(counted) == len(whole)
    for line, same in zip(counted, whole, strict=True):
        drawn = ("low", "high") if line["benchmark"] == "average" else ()
        assert all(line[name] == same[name] for name in line if name not in drawn)
        assert all(line[name] == "" for name in drawn)
