"""The grader against the shared conformance set, and every gold answer against itself."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrbench.grading import Verdict, grade, grade_many

SHARED = Path(__file__).resolve().parents[3] / "shared"
CASES = SHARED / "conformance" / "grading.jsonl.gz"
REJECTED_BY_THE_PAPER = {
    "math-test-6", "math-test-1714", "math-test-1991", "math-test-4667", "minerva_math-test-139",
}  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CASES.exists(), reason="needs the conformance set in ../shared, which is not here"
    ),
]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from map(json.loads, file)


@pytest.fixture(scope="module")
def judged() -> list[tuple[dict[str, Any], Verdict]]:
    cases = list(lines(CASES))
    fields = ("benchmark", "completion", "gold", "stop")
    items = [{field: case[field] for field in fields} for case in cases]
    return list(zip(cases, grade_many(items, workers=2), strict=True))


def test_what_bug_reports_of_such_graders_name_is_judged_rightly() -> None:
    for case in lines(SHARED / "cases" / "grades.jsonl"):
        right = {name: case.pop(name) for name in ("exact", "correct") if name in case}
        verdict = grade(**case)
        assert right == {name: getattr(verdict, name) for name in right}, case


def share(outcomes: list[bool]) -> float:
    return sum(outcomes) / len(outcomes)


@pytest.mark.parametrize(("noted", "least"), [(False, 0.995), (True, 0.95)])
def test_the_paper_verdict_agrees_with_the_toolkit(
    judged: list[tuple[dict[str, Any], Verdict]], noted: bool, least: float
) -> None:
    outcomes = [
        verdict.correct == case["verdict"]
        for case, verdict in judged
        if ("note" in case) == noted and not {"order_dependent", "slow_s", "timeout"} & case.keys()
    ]
    assert share(outcomes) >= least


def test_the_prediction_is_the_one_the_toolkit_extracts(judged: list[tuple[dict[str, Any], Verdict]]) -> None:
    assert share([verdict.prediction == case["prediction"] for case, verdict in judged]) >= 0.995


def test_the_exact_verdict_agrees_with_the_known_truth(judged: list[tuple[dict[str, Any], Verdict]]) -> None:
    known = [(case["equal"], verdict.exact) for case, verdict in judged if case["equal"] is not None]
    assert share([truth == exact for truth, exact in known]) >= 0.96


def test_the_exact_verdict_agrees_with_the_labels_of_real_outputs(
    judged: list[tuple[dict[str, Any], Verdict]],
) -> None:
    outcomes = [verdict.exact == case["label"] for case, verdict in judged if case.get("label") is not None]
    assert len(outcomes) > 300
    assert share(outcomes) >= 0.99


def test_every_gold_answer_is_exactly_right_and_all_but_five_right_on_paper() -> None:
    problems = [
        (path.name.split("_test")[0], problem)
        for path in sorted((SHARED / "data").glob("*_test.jsonl*"))
        for problem in lines(path)
    ]
    items = [
        {"benchmark": benchmark, "completion": f"$\\boxed{{{problem['answer']}}}$", "gold": problem["answer"]}
        for benchmark, problem in problems
    ]
    verdicts = list(grade_many(items, workers=2))
    assert len(verdicts) == 13_499
    assert all(verdict.exact for verdict in verdicts)
    wrong = {
        problem["id"] for (_, problem), verdict in zip(problems, verdicts, strict=True) if not verdict.correct
    }
    assert wrong == REJECTED_BY_THE_PAPER
