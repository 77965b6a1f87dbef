"""Result files compared: what is paired, what it says, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench import compare
from lrbench.data import json_lines as json_lines_module
from lrbench.errors import DataError, UserError
from lrbench.evaluation.statistics import (
    Flips,
    average_at_k,
    compare_average,
    compare_averages,
    compare_benchmark,
)
from lrbench.results.foreign import files
from lrbench.results.foreign.comparing import compare_files
from lrbench.results.foreign.contrast_words import compared_to_json, compared_to_markdown, sentences
from lrbench.results.foreign.outcomes import Measured, Origin, Outcome, naturally
from lrbench.results.foreign.pairing import pair
from tests.commands import lrbench
from tests.results.foreign.support import json_lines, table, write_csv

BASE = "1100110011" * 20
BETTER = "1101110111" * 20


def test_a_system_is_set_against_the_first_named(tmp_path: Path) -> None:
    found = compare_files(
        [str(table(tmp_path / "base.csv", BASE)), str(table(tmp_path / "tuned.csv", BETTER))]
    )
    (contrast,) = found.contrasts
    assert (found.baseline, contrast.system) == ("base", "tuned")
    (one,) = contrast.benchmarks
    flips = Flips(won=40, lost=0, both=120, neither=40)
    assert one.pairing.draws is not None
    assert one.pairing.draws.flips == flips
    assert one.comparison == compare_benchmark(flips)
    assert (one.n, one.baseline.value, one.system.value) == (200, 0.6, 0.8)
    assert contrast.average is None
    assert contrast.overall is one
    assert next(iter(sentences(contrast))) == "tuned is above base on sums: +20.0 points, p <0.001."
    assert one.won[:3] == ("q4", "q8", "q14")
    assert one.lost == ()


def test_several_benchmarks_have_an_average_and_holm_between_them(tmp_path: Path) -> None:
    for name, words in (("base", (BASE, BASE)), ("tuned", (BETTER, BASE))):
        lines = [
            {"system": name, "benchmark": benchmark, "item": number, "correct": outcome}
            for benchmark, outcomes in zip(("sums", "products"), words, strict=True)
            for number, outcome in enumerate(outcomes)
        ]
        write_csv(tmp_path / f"{name}.csv", lines)
    (contrast,) = compare_files([str(tmp_path / "base.csv"), str(tmp_path / "tuned.csv")]).contrasts
    assert contrast.average is not None
    flips = (Flips(won=40, lost=0, both=120, neither=40), Flips(won=0, lost=0, both=120, neither=80))
    assert contrast.average.comparison == compare_averages(flips)
    first, second = contrast.benchmarks
    assert first.comparison.p_adjusted == pytest.approx(2 * first.comparison.p)
    assert second.comparison.difference == 0
    assert contrast.average.n == 400


def test_what_one_file_alone_has_is_left_out_and_said(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", "1100")
    table(tmp_path / "b.csv", "110")
    (contrast,) = compare_files([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]).contrasts
    assert contrast.benchmarks[0].n == 3
    assert contrast.left_out[0] == "`sums`: 1 in `a` alone: `q4`"


def test_one_id_under_two_texts_is_not_paired(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", "1100", text=lambda number: f"{number} + 1?")
    table(tmp_path / "b.csv", "1100", text=lambda number: f"{number} + {1 + number // 3}?")
    (contrast,) = compare_files([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]).contrasts
    assert contrast.benchmarks[0].pairing.paired == ("q1", "q2")
    assert contrast.benchmarks[0].pairing.other_text == ("q3", "q4")
    assert contrast.left_out == (
        "`sums`: 2 under one id with different texts, so they are different items: `q3`, `q4`",
    )


def test_files_without_texts_are_paired_by_ids_and_that_is_said(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", "1100")
    table(tmp_path / "b.csv", "1100", text=lambda number: f"{number} + 1?")
    (contrast,) = compare_files([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]).contrasts
    assert contrast.benchmarks[0].n == 4
    assert "paired by their ids alone" in contrast.left_out[0]


def test_systems_of_one_file_are_compared(tmp_path: Path) -> None:
    lines = [
        {"system": system, "benchmark": "sums", "item": item, "correct": system != "a"}
        for system in ("a", "b", "c")
        for item in range(30)
    ]
    found = compare_files([str(json_lines(tmp_path / "all.jsonl", lines))])
    assert [contrast.system for contrast in found.contrasts] == ["b", "c"]
    assert found.contrasts[0].overall.comparison.difference == 100


def test_a_folder_is_read_whole_and_a_system_can_be_called_otherwise(tmp_path: Path) -> None:
    (tmp_path / "run" / "deep").mkdir(parents=True)
    table(tmp_path / "run" / "sums.csv", "1100", system="model")
    table(tmp_path / "run" / "deep" / "products.csv", "1010", system="model", benchmark="products")
    (tmp_path / "run" / "notes.json").write_text("{}")
    (tmp_path / "run" / "ledger.jsonl").write_text('{"sha256": "0", "record": {}}\n')
    other = table(tmp_path / "other.csv", "1111", system="model")
    found = compare(tmp_path / "run", f"new={other}")
    assert found.baseline == "model"
    assert found.contrasts[0].system == "new"
    assert found.contrasts[0].left_out[0] == "`products`: in `model` alone"


def test_what_is_not_decided_says_what_could_have_been_seen(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", "1100" * 10)
    table(tmp_path / "b.csv", "1101" * 5 + "1000" * 5)
    (contrast,) = compare_files([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]).contrasts
    said = next(iter(sentences(contrast)))
    assert said.startswith("Whether b differs from a on sums is not decided: 0.0; these items could see ")


def test_equal_files_are_equivalent_where_there_are_enough_items(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", "10" * 500)
    table(tmp_path / "b.csv", "10" * 500)
    (contrast,) = compare_files([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]).contrasts
    assert contrast.overall.comparison.verdict == "equivalent"


def test_draws_are_compared_by_their_items(tmp_path: Path) -> None:
    """The mean of an item's draws is what is paired, and one item short of draws is left out."""
    generator = np.random.default_rng(3)
    for name, chance in (("a", 0.4), ("b", 0.6)):
        lines = [
            {"system": name, "benchmark": "sums", "item": item, "draw": draw, "correct": int(right)}
            for item, draws in enumerate(generator.random((50, 4)) < chance)
            for draw, right in enumerate(draws)
            if (name, item, draw) != ("a", 7, 3)
        ]
        write_csv(tmp_path / f"{name}.csv", lines)
    (contrast,) = compare_files([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]).contrasts
    (one,) = contrast.benchmarks
    assert one.n == 49
    assert one.pairing.no_outcome == ("7",)
    draws = one.pairing.draws
    assert draws is not None
    assert (draws.first.shape, draws.second.shape) == ((49, 4), (49, 4))
    assert one.comparison == replace(compare_average((draws,)), p_adjusted=one.comparison.p_adjusted)
    assert one.system == average_at_k(draws.first)
    assert "4 answers to each item of a" in " ".join(sentences(contrast))


def test_groups_are_counted_and_not_their_items(tmp_path: Path) -> None:
    """A group of which all items flip together is one flip."""
    base = "0" * 60
    tuned = "1111111111" * 3 + "0" * 30
    for name, outcomes in (("base", base), ("tuned", tuned)):
        table(tmp_path / f"{name}.csv", outcomes, group=lambda number: f"g{(number - 1) // 10}")
    (contrast,) = compare_files([str(tmp_path / "base.csv"), str(tmp_path / "tuned.csv")]).contrasts
    one = contrast.overall
    assert one.comparison.difference == 50
    assert one.comparison.p == 0.125  # the mid-p of three flips one way
    assert "6 groups of items, each counted as one" in " ".join(sentences(contrast))


def test_partly_right_answers_are_compared_to_a_hundredth(tmp_path: Path) -> None:
    for name, values in (("a", (0.25, 0.5, 0, 1)), ("b", (0.75, 0.5, 0.33, 1))):
        lines = [
            {"system": name, "benchmark": "sums", "item": item, "correct": value}
            for item, value in enumerate(values * 10)
        ]
        write_csv(tmp_path / f"{name}.csv", lines)
    (contrast,) = compare_files([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]).contrasts
    one = contrast.benchmarks[0]
    assert one.baseline.value == pytest.approx(0.4375)
    assert one.comparison.difference == pytest.approx(100 * (0.5 + 0.33) / 4)
    assert (len(one.won), len(one.lost)) == (20, 0)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40),
    st.sets(st.integers(0, 39)),
    st.sets(st.integers(0, 39)),
)
def test_pairing_counts_what_an_obvious_count_does(
    outcomes: list[tuple[bool, bool]], lacking_first: set[int], lacking_second: set[int]
) -> None:
    """The order of either file changes nothing."""
    ours = [
        Outcome(str(item), float(first))
        for item, (first, _) in enumerate(outcomes)
        if item not in lacking_first
    ]
    theirs = [
        Outcome(str(item), float(second))
        for item, (_, second) in enumerate(outcomes)
        if item not in lacking_second
    ]
    np.random.default_rng(0).shuffle(theirs)  # type: ignore[arg-type]
    origin = Origin("table", Path("a.csv"), "0")
    first, second = (
        Measured(name, "sums", tuple(found), origin) for name, found in (("a", ours), ("b", theirs))
    )
    pairing = pair(first, second)
    both = [
        found
        for item, found in enumerate(outcomes)
        if item not in lacking_first and item not in lacking_second
    ]
    won, lost = pairing.flipped
    assert (len(won), len(lost)) == (both.count((False, True)), both.count((True, False)))
    if pairing.draws is None:
        assert both == []
    else:
        assert pairing.draws.flips is not None
        assert (pairing.draws.flips.both, pairing.draws.flips.neither) == (
            both.count((True, True)),
            both.count((False, False)),
        )
    assert len(pairing.only_first) == len(ours) - len(both)
    assert len(pairing.only_second) == len(theirs) - len(both)


def test_ids_are_in_their_natural_order() -> None:
    assert naturally(["q10", "q2", "b", "10", "9", "q2a", "007"]) == [
        "007",
        "9",
        "10",
        "b",
        "q2",
        "q2a",
        "q10",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([("q1", "1"), ("q1", "0")], "a.csv:3: has the item `q1` of `sums` a second time (first: "),
        ([("q1", "1.5")], "a.csv:2: item `q1` has the outcome 1.5, allowed is 0 (wrong) to 1 (right)"),
        ([("q1", "-1")], "a.csv:2: item `q1` has the outcome -1, allowed is 0"),
        ([("q1", "nan")], "a.csv:2: item `q1` has the outcome nan, allowed is 0"),
        ([("q1", "maybe")], "a.csv:2: `correct` is `maybe`, allowed is 0 (wrong) to 1 (right)"),
        ([("", "1")], "a.csv:2: `item` is empty"),
        ([("q" * 201, "1")], "a.csv:2: `item` has 201 characters, allowed are 200"),
    ],
)
def test_a_line_that_cannot_be_is_told_with_its_place(
    tmp_path: Path, lines: list[tuple[str, str]], message: str
) -> None:
    written = [
        {"system": "a", "benchmark": "sums", "item": item, "correct": correct} for item, correct in lines
    ]
    write_csv(tmp_path / "a.csv", written)
    table(tmp_path / "b.csv", "10")
    with pytest.raises(DataError) as told:
        compare_files([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "holds no outcome of any item"),
        ("a.csv", b"system,benchmark,item,correct\n", "holds no outcome of any item"),
        ("a.csv", b"system,item,correct\na,q1,1\n", ":2: has no `benchmark`; needed are system, benchmark"),
        ("a.csv", b"system,system\na,b\n", ":1: names a field twice"),
        ("a.csv", b"system,benchmark,item,correct\na,b\n", ":2: has 2 fields, and the first line names 4"),
        ("a.csv", b"system,benchmark,item,correct\n\xff,b,q,1\n", "is not UTF-8 text (byte 30)"),
        ("a.csv", b'system,benchmark,item,correct\n"a,b,q,1\n', "is not a line of CSV"),
        ("a.csv", b"system,benchmark,item,correct,draw\na,b,q,1,-1\n", ":2: `draw` is `-1`, allowed is a"),
        ("a.jsonl", b'{"a": 1}\n', "its lines (`a`) are of no kind that is read; read are lm-eval's"),
        ("a.jsonl", b"{\n", "a.jsonl:1:2: is not valid JSON"),
        ("a.jsonl", b"\x1f\x8b0000", "is a gzip file; give it a name that ends in .gz"),
        ("a.json", b'{"results": {}}', "holds averages and no items; name lm-eval's samples_*.jsonl"),
        ("a.json", b'{"x": 1, "evaluation_results": []}', "holds averages and no items; name the .jsonl"),
        ("a.json", b"", "is empty; read are"),
        ("a.bin", bytes(range(256)), "is no text; read are"),
        ("a.txt", b"hello", "is no result file that is read; read are"),
        ("a.eval", b"PK\x03\x04 and no zip", "is not a whole zip file"),
        ("gone.csv", None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_file_of_a_wrong_kind_is_one_message(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    other = table(tmp_path / "b.csv", "10")
    with pytest.raises(DataError) as told:
        compare_files([str(tmp_path / name), str(other)])
    assert message in str(told.value)
    assert str(told.value).startswith(str(tmp_path / name))
    assert len(str(told.value).splitlines()) == 1


def test_two_systems_of_one_name_are_told_apart_by_name(tmp_path: Path) -> None:
    first = table(tmp_path / "first.csv", "10", system="model")
    second = table(tmp_path / "second.csv", "11", system="model")
    with pytest.raises(DataError, match="call one of them otherwise: NAME="):
        compare_files([str(first), str(second)])
    found = compare_files([str(first), f"after={second}"])
    assert found.contrasts[0].system == "after"


def test_the_files_of_one_system_are_one_system(tmp_path: Path) -> None:
    """As a shell names them: `samples_*.jsonl`."""
    named = []
    for system in ("a", "b"):
        for benchmark in ("sums", "products"):
            path = tmp_path / f"{system}_{benchmark}.csv"
            named.append(str(table(path, "1100", system=system, benchmark=benchmark)))
    (contrast,) = compare_files(named).contrasts
    assert [one.benchmark for one in contrast.benchmarks] == ["sums", "products"]


def test_a_folder_with_two_runs_of_one_task_asks_which_is_meant(tmp_path: Path) -> None:
    table(tmp_path / "monday.csv", "10", system="model")
    table(tmp_path / "tuesday.csv", "11", system="model")
    with pytest.raises(
        DataError, match=r"tuesday.csv: has `sums` of `model`, and so has .*monday.csv; name the"
    ):
        compare_files([str(tmp_path), str(table(tmp_path / "b.csv", "10"))])


def test_one_system_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found is one: `a`; name another file"):
        compare_files([str(table(tmp_path / "a.csv", "10"))])


def test_files_that_share_no_item_say_why(tmp_path: Path) -> None:
    first = table(tmp_path / "a.csv", "10", benchmark="sums")
    second = table(tmp_path / "b.csv", "10", benchmark="products")
    with pytest.raises(
        DataError, match=r"share no item that can be paired: `sums`: in `a` alone; `products`"
    ):
        compare_files([str(first), str(second)])


@pytest.mark.parametrize("text", ["=a.csv", "name="])
def test_a_name_without_a_file_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="names no file; write a path, or NAME=PATH"):
        compare_files([text, "b.csv"])


def test_a_folder_without_results_says_what_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no result files; read are lm-eval's samples"):
        compare_files([str(tmp_path), str(tmp_path)])


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(DataError, match="it is no file but a pipe"):
        compare_files([str(tmp_path / "a.jsonl"), "b.csv"])


def test_a_field_or_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_FIELD", 1000)
    monkeypatch.setattr(json_lines_module, "LONGEST_LINE", 1000)
    table(tmp_path / "a.csv", "10", text="x" * 1001)
    json_lines(tmp_path / "b.jsonl", [{"text": "x" * 1001}])
    table(tmp_path / "c.csv", "10")
    for name, message in (
        ("a.csv", r"a.csv:2: is not a line of CSV \(field larger"),
        ("b.jsonl", "b.jsonl:1: is a"),
    ):
        with pytest.raises(DataError, match=message):
            compare_files([str(tmp_path / name), str(tmp_path / "c.csv")])


def test_every_form_says_the_same(tmp_path: Path) -> None:
    paths = [str(table(tmp_path / "base.csv", BASE)), str(table(tmp_path / "tuned.csv", BETTER))]
    compared = compare_files(paths)
    numbers = compared_to_json(compared)["systems"][0]["benchmarks"]["sums"]
    assert (numbers["n"], numbers["difference"], numbers["verdict"]) == (200, 20.0, "separated")
    assert len(numbers["won"]) == 40
    assert "| sums | 200 | 60.0" in compared_to_markdown(compared)
    text = lrbench("compare", *paths)
    assert text.returncode == 0
    assert "tuned is above base on sums: +20.0 points, p <0.001." in text.stdout
    printed = lrbench("compare", *paths, "--format", "json")
    assert json.loads(printed.stdout) == json.loads(json.dumps(compared_to_json(compared)))


def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    names = ["\x1b[31mred\x1b[0m", "<script>alert(1)</script>|`=1+1`"]
    lines = [
        {"system": system, "benchmark": "a|b\u202e", "item": f"{number}\x07", "correct": number % 2 == place}
        for place, system in enumerate(names)
        for number in range(4)
    ]
    path = json_lines(tmp_path / "a.jsonl", lines)
    for form in ("text", "markdown", "json"):
        found = lrbench("compare", path, "--format", form)
        assert found.returncode == 0, found.stderr
        assert not {"\x1b", "\x07", "\u202e"} & set(found.stdout)
        if form == "markdown":
            assert "<script>" not in found.stdout
    refused = lrbench("compare", f"\x1b[2J={path}", path)
    assert refused.returncode == 2
    assert "\x1b" not in refused.stderr
