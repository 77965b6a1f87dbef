"""Source rows become our rows: every row of the reference data, and the rules one by one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.data.rules import converted, last_box
from lrbench.data.sets import DATA_SETS


def source_row(row: dict[str, Any]) -> dict[str, Any]:
    """The row as its source gives it, put together again from the reference data."""
    return {
        name: row[value["$ref"]] if isinstance(value, dict) and "$ref" in value else value
        for name, value in row["meta"]["raw"].items()
    }


def reference_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    packed = folder / f"{name}.jsonl.gz"
    text = (
        gzip.decompress(packed.read_bytes()) if packed.is_file() else (folder / f"{name}.jsonl").read_bytes()
    )
    return [json.loads(line) for line in text.split(b"\n") if line]


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_source_row_becomes_the_reference_row(shared: Path, name: str) -> None:
    rows = reference_rows(shared / "data", name)
    assert len(rows) == DATA_SETS[name].rows
    for row in rows:
        expected = {field: row[field] for field in ("id", "problem", "answer", "solution")}
        assert converted(source_row(row), DATA_SETS[name].benchmark, row["id"]) == expected


@pytest.mark.parametrize(
    ("benchmark", "raw", "problem", "answer", "solution"),
    [
        ("gsm8k", {"question": "1+1?", "answer": "It is 2.\n#### 2,000"}, "1+1?", "2,000", "It is 2."),
        (
            "math",
            {"problem": "x?", "solution": r"\boxed{1} or \boxed{\frac{1}{2}}."},
            "x?",
            r"\frac{1}{2}",
            ...,
        ),
        ("minerva_math", {"problem": "x?", "solution": "\\boxed{a\n  b.}"}, "x?", "ab", ...),
        (
            "svamp",
            {"Body": "Two cats ", "Question": " How many?", "Answer": 2.0, "Equation": "2"},
            "Two cats. How many?",
            "2.0",
            "2",
        ),
        (
            "svamp",
            {"Body": "Two cats.", "Question": "How many?", "Answer": 2.0, "Equation": "2"},
            "Two cats. How many?",
            "2.0",
            "2",
        ),
        (
            "asdiv",
            {"body": "Two cats.", "question": "How many?", "answer": "2 (cats)", "formula": "1+1=2"},
            "Two cats. How many?",
            "2",
            "1+1=2",
        ),
        (
            "asdiv",
            {"body": "Two cats.", "question": "Enough?", "answer": "Yes", "formula": "2>1"},
            "Two cats. Enough? (Yes or No)",
            "Yes",
            "2>1",
        ),
        (
            "olympiadbench",
            {"question": "x?", "final_answer": ["$2$", "3"], "solution": ["a", "b"]},
            "x?",
            "2",
            "a\n\nb",
        ),
        (
            "mmlu_stem",
            {"question": "Which? ", "choices": ["a ", 1, "c", "d"], "answer": 3},
            "Which?\nAnswer Choices: (A) a (B) 1 (C) c (D) d",
            "D",
            None,
        ),
    ],
)
def test_each_benchmark_has_its_rule(
    benchmark: str, raw: dict[str, Any], problem: str, answer: str, solution: Any
) -> None:
    row = converted(raw, benchmark, "some-id")
    assert row["id"] == "some-id"
    assert (row["problem"], row["answer"]) == (problem, answer)
    assert row["solution"] == (raw["solution"] if solution is ... else solution)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"so $\boxed 7$ it is", "7"),
        (r"\boxed{7", "7"),
        (r"\boxed{}", ""),
        (r"\fbox{1} \boxed{\text{a}_{b}} c", r"\text{a}_{b}"),
    ],
)
def test_the_last_box_ends_at_its_brace_or_the_dollar_sign(text: str, content: str) -> None:
    assert last_box(text) == content


balanced = st.recursive(
    st.text("ab\\ $^", max_size=5), lambda inner: st.builds("{0}{{{1}}}".format, inner, inner)
)


@given(balanced, st.text("ab {}$", max_size=10))
def test_whatever_balanced_text_is_boxed_is_found(content: str, before: str) -> None:
    assert last_box(rf"{before}\boxed{{{content}}} and so on") == content
