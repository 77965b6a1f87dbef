"""A suite of one's own through everything: run, recorded, shown, bundled, verified elsewhere, looked into."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from lrbench.embedded.assets import problems
from lrbench.evaluation.graded_items import read_items
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.showing import show_plan
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.recorded import recorded_recipe
from lrbench.results.board import build_boards
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.findings import Findings
from lrbench.results.bundle.regrading import BenchmarkData, Regraded
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger
from lrbench.results.microscope import open_microscope
from lrbench.results.records import ScoreRecord
from lrbench.store.store import Store
from tests.dashboard.conftest import open_page, same_main_module  # noqa: F401

ITEMS = 6
SUITE = r"""
name: mine
max_new_tokens: 64
benchmarks:
  hard:
    file: data/hard.jsonl
    grader: integer
    fields: {problem: question, id: uid, group: of}
  choice:
    file: data/choice.csv
    grader: {use: regex, pattern: 'boxed\{(\d+)\}', compare: number}
    prompt: "Solve this. {problem}"
    stop: ["}"]
"""
RECIPE = {
    "name": "own",
    "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
    "data": {"train": "train.jsonl", "problems": 8},
    "training": {"updates": 1, "rollouts_per_update": 2},
    "arms": ["base", "lightr"],
    "evaluation": {"suite": "suites/mine"},
    "claims": ["lightr > base on hard"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe and a suite beside it; two items of it are training problems, and one is nearly."""
    root = tmp_path_factory.mktemp("own")
    data = root / "suites" / "mine" / "data"
    data.mkdir(parents=True)
    (root / "suites" / "mine" / "suite.yaml").write_text(SUITE)
    hard, choice = problems("hard", "test")[:ITEMS], problems("choice", "test")[:ITEMS]
    rows = [
        {"uid": row["id"], "question": row["problem"], "answer": row["answer"], "of": f"g{number % 2}"}
        for number, row in enumerate(hard)
    ]
    (data / "hard.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    quoted = [f'"{row["problem"]}",{row["answer"]}' for row in choice]
    (data / "choice.csv").write_text("\n".join(["problem,answer", *quoted]))
    learnt = [row["problem"] for row in problems("hard", "train")[:5]]
    texts = [*learnt, hard[0]["problem"].upper(), hard[1]["problem"], hard[2]["problem"] + " Say why."]
    (root / "train.jsonl").write_text("".join(json.dumps({"problem": text}) + "\n" for text in texts))
    (root / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return root


@pytest.fixture(scope="module")
def runs(folder: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRBENCH_MLFLOW", "off")
        report = run_recipe(load_recipe(folder / "recipe.yaml"), folder / "runs")
        assert not report.failures
        yield folder / "runs"


def score_of(runs: Path, benchmark: str, arm: str = "lightr") -> ScoreRecord:
    scores = Ledger(runs / "ledger").read().scores
    return next(score for score in scores if (score.benchmark, score.arm) == (benchmark, arm))


def test_items_are_stored_with_what_they_were_asked_and_their_group(folder: Path, runs: Path) -> None:
    items = {}
    for score in plan_recipe(load_recipe(folder / "recipe.yaml"), runs).arms[0].scores:
        artifact = Store(runs / "store").look(score.name, score.key)
        assert artifact is not None
        items[score.benchmark] = list(read_items(artifact))
    assert [item["group"] for item in items["hard"]] == ["g0", "g1"] * (ITEMS // 2)
    assert [item["gold"] for item in items["hard"]] == [
        row["answer"] for row in problems("hard", "test")[:ITEMS]
    ]
    assert all(
        item["problem"].startswith(row["problem"])
        for item, row in zip(items["choice"], problems("choice", "test"), strict=False)
    )
    assert [item["id"] for item in items["choice"]] == [str(number + 1) for number in range(ITEMS)]
    # A stop of one's own ends an answer and is no part of it, so that it is not cut short either.
    assert all("}" not in item["completion"] for item in items["choice"])
    assert "group" not in items["choice"][0]


def test_a_protocol_says_everything_but_where_files_are(folder: Path, runs: Path) -> None:
    protocol = score_of(runs, "choice").protocol
    assert protocol["suite"] == "mine"
    assert protocol["prompt"] == "Solve this. {problem}"
    assert protocol["stop"] == ["}"]
    assert protocol["grader"]["pattern"] == r"boxed\{(\d+)\}"
    assert (protocol["max_new_tokens"], protocol["grader_version"], protocol["shots"]) == (64, 1, 0)
    assert str(folder) not in json.dumps(protocol)
    assert "choice.csv" not in json.dumps(protocol)


def test_another_place_is_the_same_work_and_other_content_is_not(
    folder: Path, runs: Path, tmp_path: Path
) -> None:
    def keys(text: str) -> list[str]:
        (tmp_path / "suite.yaml").write_text(text)
        recipe = load_recipe(folder / "recipe.yaml", [f"evaluation.suite={tmp_path}"])
        return [score.key for arm in plan_recipe(recipe, runs).arms for score in arm.scores]

    (tmp_path / "data").mkdir()
    for file in (folder / "suites" / "mine" / "data").iterdir():
        (tmp_path / "data" / file.name).write_bytes(file.read_bytes())
    planned = plan_recipe(load_recipe(folder / "recipe.yaml"), runs)
    before = [score.key for arm in planned.arms for score in arm.scores]
    assert keys(SUITE) == before
    for old, new in [
        ("Solve this", "Solve that"),
        ("compare: number", "compare: text"),
        ('["}"]', '["}", "x"]'),
        ("max_new_tokens: 64", "max_new_tokens: 65"),
        ("name: mine", "name: other"),
    ]:
        assert keys(SUITE.replace(old, new))[1] != before[1], new
    (tmp_path / "data" / "choice.csv").write_text("problem,answer\nx,1\n")
    assert keys(SUITE)[1] != before[1]
    assert keys(SUITE)[0] == before[0]


def test_the_board_has_a_column_for_each_benchmark(runs: Path) -> None:
    contents = Ledger(runs / "ledger").read()
    (board,) = build_boards(contents.arms, contents.scores, contents.recipes)
    assert (board.suite, sorted(board.columns)) == ("mine", ["average", "choice", "hard"])


def test_items_that_are_learnt_from_are_counted_said_and_recorded(
    folder: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score_of(runs, "hard").repeats == {"items": ITEMS, "exact": 2, "near": 1}
    assert score_of(runs, "choice").repeats == {"items": ITEMS, "exact": 0, "near": 0}
    assert score_of(runs, "hard", "base").repeats is None
    recipe = load_recipe(folder / "recipe.yaml")
    show_plan(plan_recipe(recipe, tmp_path), tmp_path)
    said = " ".join(capsys.readouterr().out.split())
    assert f"3 of the {ITEMS} items of hard repeat training problems (2 word for word, 1 nearly)" in said
    assert "items of choice repeat" not in said


def test_a_recorded_recipe_holds_the_whole_suite(runs: Path) -> None:
    (record,) = Ledger(runs / "ledger").read().recipes
    suite = recorded_recipe(record.recipe_yaml, "record").evaluation.suite
    assert not isinstance(suite, str)
    assert list(suite.benchmarks) == ["hard", "choice"]


def test_a_bundle_is_verified_where_the_files_are_not(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle(["own"], runs, tmp_path / "b.tar.gz")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = verify_bundle(tmp_path / "b.tar.gz")
    assert found.findings == ()
    assert found.completions == 2 * 2 * ITEMS
    assert sorted(name.partition(" ")[0] for name in found.absent) == ["choice", "hard"]


def test_a_gold_answer_that_was_changed_since_is_found(folder: Path, runs: Path) -> None:
    (score, *_) = plan_recipe(load_recipe(folder / "recipe.yaml"), runs).arms[0].scores
    artifact = Store(runs / "store").look(score.name, score.key)
    assert artifact is not None
    lines = b"".join(artifact.file(record.name).read_bytes() for record in artifact.files)

    def findings(data: bytes) -> list[str]:
        found = Findings()
        regraded = Regraded(score.protocol, score.items.items_hash)
        regraded.take("items", data, found)
        regraded.check_data("items", BenchmarkData(), found)
        return list(found)

    assert findings(lines) == []
    first = json.loads(lines.split(b"\n")[0])
    (_, *rest) = lines.split(b"\n")
    first["problem"] += "?"
    changed = findings(b"\n".join([json.dumps(first).encode(), *rest]))
    assert [line.split(" is ")[0] for line in changed] == [
        "items: the hash of the chosen items",
        "items: the benchmark's data",
    ]


def test_the_microscope_opens_on_its_arm(runs: Path) -> None:
    arm = next(arm for arm in Ledger(runs / "ledger").read().arms if arm.arm == "lightr")
    microscope = open_microscope(Inspector(runs), arm)
    assert microscope is not None
    assert microscope.mean_kl.size == 8


def test_the_dashboard_shows_its_items(runs: Path, open_page: Callable[..., AppTest]) -> None:  # noqa: F811
    app = open_page(runs, "compare", items="neither")
    assert not app.exception
    shown = "".join(element.proto.body for element in app.get("html"))
    assert problems("hard", "test")[0]["problem"][:20] in shown
