"""Logs that lm-eval, inspect_ai and Every Eval Ever wrote themselves, and the same with what can be wrong."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import DataError
from lrbench.results.board import build_boards
from lrbench.results.foreign.comparing import compare_files
from lrbench.results.foreign.outcomes import model_called
from lrbench.results.foreign.reading import System, read_systems, source_of
from lrbench.results.foreign.recording import import_files
from lrbench.results.ledger import Ledger
from tests.results.foreign.support import json_lines, table

LOGS = Path(__file__).parents[2] / "data" / "result_files"
EXPERT, AMATEUR = LOGS / "lm_eval" / "models__expert", LOGS / "lm_eval" / "models__amateur"
SMALL, LARGE = LOGS / "inspect_ai" / "small.eval", LOGS / "inspect_ai" / "large.eval"


def read(*files: object, metric: str | None = None) -> tuple[System, ...]:
    return read_systems([source_of(str(file)) for file in files], metric)


def values(system: System, benchmark: str) -> list[float | None]:
    return [outcome.value for outcome in system.benchmarks[benchmark].outcomes]


@pytest.mark.parametrize(
    ("metric", "counts"),
    [
        # Behind the last filter, where no other is named.
        (None, {"sums_chosen": "acc,none", "sums_written": "exact_match,first-number"}),
        ("exact_match,last-number", {"sums_chosen": "acc,none", "sums_written": "exact_match,last-number"}),
    ],
)
def test_lm_eval_writes_what_its_own_table_says(metric: str | None, counts: dict[str, str]) -> None:
    """The mean of the outcomes is the metric that lm-eval reports."""
    for folder in (EXPERT, AMATEUR):
        (system,) = read(folder, metric=metric)
        (results,) = (json.loads(path.read_text())["results"] for path in folder.glob("results_*.json"))
        for benchmark, counted in counts.items():
            found = values(system, benchmark)
            assert len(found) == 6
            assert sum(filter(None, found)) / 6 == results[benchmark][counted]
            assert system.benchmarks[benchmark].origin.metric == counted


def test_a_log_of_lm_eval_says_how_it_was_measured() -> None:
    (system,) = read(EXPERT)
    measured = system.benchmarks["sums_written"]
    assert system.name == "models/expert"
    assert measured.origin.protocol["harness_version"] == "0.4.13"
    assert measured.origin.protocol["task_version"] == 1.0
    assert measured.origin.protocol["shots"] == 0
    assert measured.origin.protocol["chat_template"] is True
    assert measured.origin.others == ("exact_match,last-number",)
    assert measured.outcomes[0].text == f"lm-eval document {first_line(measured.origin.path)['doc_hash']}"


def test_another_metric_or_filter_can_be_named_where_a_task_has_it() -> None:
    (system,) = read(EXPERT, metric="exact_match,first-number")
    assert sum(filter(None, values(system, "sums_written"))) == 0
    assert system.benchmarks["sums_chosen"].origin.metric == "acc,none"
    (system,) = read(EXPERT, metric="acc_norm")
    assert system.benchmarks["sums_chosen"].origin.metric == "acc_norm,none"
    with pytest.raises(DataError, match="has no metric `f1`; it has `acc,none`, `acc_norm,none`"):
        read(EXPERT, metric="f1")


def test_two_models_of_lm_eval_are_compared() -> None:
    compared = compare_files([str(AMATEUR), str(EXPERT)])
    (contrast,) = compared.contrasts
    assert {one.benchmark: one.n for one in contrast.benchmarks} == {"sums_chosen": 6, "sums_written": 6}
    assert contrast.left_out == ()
    assert all(one.measured_otherwise == () for one in contrast.benchmarks)
    assert all(one.pairing.texts_known for one in contrast.benchmarks)


def test_without_its_results_a_log_is_read_and_what_is_not_known_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "Qwen__Qwen3-8B"
    shutil.copytree(EXPERT, folder, ignore=shutil.ignore_patterns("results_*"))
    (system,) = read(folder)
    assert system.name == "Qwen/Qwen3-8B"
    assert "versions, shots and settings are not known" in system.remarks[0]


@pytest.mark.parametrize("date", ["2026-01-01T**", "2026-01-01T[0-9", "2026-01-01T*"])
def test_a_name_that_is_a_pattern_is_a_name(tmp_path: Path, date: str) -> None:
    (chosen,) = EXPERT.glob("samples_sums_chosen*")
    shutil.copy(chosen, tmp_path / f"samples_sums_chosen_{date}.jsonl")
    (tmp_path / "results_2026-01-01T00.json").write_text('{"model_name": "another"}')
    (system,) = read(tmp_path / f"samples_sums_chosen_{date}.jsonl")
    assert system.name == tmp_path.name
    assert "are not known" in system.remarks[0]


@pytest.mark.parametrize("name", ["small.eval", "small.json"])
def test_inspect_writes_the_same_in_both_forms(name: str) -> None:
    (system,) = read(LOGS / "inspect_ai" / name)
    measured = system.benchmarks["sums"]
    assert system.name == "mockllm/model"
    assert values(system, "sums") == [1, 1, 0, 0, 0]
    assert [outcome.item for outcome in measured.outcomes] == [f"sum-{number}" for number in range(5)]
    assert {outcome.group for outcome in measured.outcomes} == {"odd", "even"}
    assert measured.origin.protocol["harness_version"] == "0.3.285"
    assert measured.origin.protocol["task_version"] == 2
    assert measured.origin.metric == "match"


def test_both_forms_of_a_log_hold_the_same_items() -> None:
    archive, plain = (
        read(LOGS / "inspect_ai" / name)[0].benchmarks["sums"].outcomes
        for name in ("small.eval", "small.json")
    )
    assert archive == plain


def test_two_logs_of_one_model_are_told_apart_by_name() -> None:
    (contrast,) = compare_files([f"small={SMALL}", f"large={LARGE}"]).contrasts
    (one,) = contrast.benchmarks
    assert (one.won, one.lost) == (("sum-2", "sum-3"), ())
    with pytest.raises(DataError, match="call one of them otherwise"):
        compare_files([str(SMALL), str(LARGE)])


def test_every_eval_ever_s_own_conversion_has_the_same_outcomes_as_the_log() -> None:
    """Its prompts are rendered by the model's template; lm-eval's hash tells that the items are the same."""
    (path,) = (LOGS / "every_eval_ever").glob("*_samples.jsonl")
    (chosen,) = EXPERT.glob("samples_sums_chosen*")
    (contrast,) = compare_files([f"converted={path}", f"log={chosen}"]).contrasts
    (one,) = contrast.benchmarks
    assert (one.n, one.won, one.lost) == (6, (), ())
    assert one.pairing.texts_known
    (system,) = read(path)
    assert system.benchmarks["sums_chosen"].origin.others == ("acc_norm",)
    assert system.benchmarks["sums_chosen"].origin.protocol["harness_version"] == "0.4.13"


def test_real_logs_get_a_board(tmp_path: Path) -> None:
    import_files([str(AMATEUR), str(EXPERT)], tmp_path / "runs", "logs")
    contents = Ledger(tmp_path / "runs" / "ledger").read()
    (board,) = build_boards(contents.arms, contents.scores, contents.recipes)
    assert [row.arm for row in board.rows] == ["models-amateur", "models-expert"]
    assert board.suite == "imported lm-eval"
    assert board.protocols["sums_chosen"]["harness_version"] == "0.4.13"
    assert "models-amateur" in board.rows[1].against
    assert contents.arms[0].environment["harness"] == "lm-eval 0.4.13"


def test_a_task_without_a_metric_of_items_is_refused(tmp_path: Path) -> None:
    lines = [
        {"doc_id": number, "doc": {}, "metrics": ["word_perplexity"], "word_perplexity": [-3.0, 9]}
        for number in range(3)
    ]
    path = json_lines(tmp_path / "samples_wiki_2026-01-01T00-00-00.jsonl", lines)
    with pytest.raises(DataError, match="has no metric whose values say of every item how right it is"):
        read(path)


def test_a_metric_of_which_less_is_better_is_not_taken_for_being_right(tmp_path: Path) -> None:
    lines = [
        {"doc_id": number, "doc": {}, "metrics": ["brier", "acc"], "filter": "none", "brier": 0.1, "acc": 1.0}
        for number in range(3)
    ]
    path = json_lines(tmp_path / "samples_sums_2026-01-01T00-00-00.jsonl", lines)
    results = {"higher_is_better": {"sums": {"brier": False, "acc": True}}, "model_name": "/home/me/models/x"}
    (tmp_path / "results_2026-01-01T00-00-00.json").write_text(json.dumps(results))
    (system,) = read(path)
    assert system.benchmarks["sums"].origin.metric == "acc,none"
    assert system.name == "x"


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("/data/models/mine/", "mine"),
        ("../../etc/passwd", "passwd"),
        ("C:\\models\\mine", "mine"),
        ("~/mine", "mine"),
        ("mockllm/model", "mockllm/model"),
    ],
)
def test_a_model_that_is_a_path_is_called_by_its_last_part(name: str, called: str) -> None:
    assert model_called(name) == called


def first_line(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text().splitlines()[0])
    return found


def changed(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The JSON log with a change."""
    log = json.loads((LOGS / "inspect_ai" / "small.json").read_text())
    change(log)
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    return path


@pytest.mark.parametrize(
    ("value", "outcome"),
    [("C", 1), ("I", 0), ("P", 0.5), ("N", 0), (True, 1), (0, 0), ("0.25", 0.25), ("yes", 1), ("No", 0)],
)
def test_a_score_is_read_as_inspect_reads_it(tmp_path: Path, value: object, outcome: float) -> None:
    def change(log: dict[str, Any]) -> None:
        log["samples"][0]["scores"]["match"]["value"] = value

    (system,) = read(changed(tmp_path, change))
    assert values(system, "sums")[0] == outcome


def test_samples_that_failed_have_no_verdict_and_an_unfinished_log_says_so(tmp_path: Path) -> None:
    def change(log: dict[str, Any]) -> None:
        log["status"] = "error"
        log["samples"][1] = {"id": "sum-1", "epoch": 1, "input": "What is 2 + 9?", "scores": {}}
        log["results"]["scores"][0]["metrics"]["stderr"]["value"] = float("nan")

    path = changed(tmp_path, change)
    (system,) = read(path)
    assert values(system, "sums") == [1, None, 0, 0, 0]
    assert system.remarks == ("log.json: its status is `error`, so not all of its items are there",)
    (contrast,) = compare_files([f"a={path}", f"b={LARGE}"]).contrasts
    assert contrast.left_out == ("`sums`: 1 without a verdict in one of the two: `sum-1`",)


def test_epochs_are_draws(tmp_path: Path) -> None:
    def change(log: dict[str, Any]) -> None:
        log["samples"] += [{**sample, "epoch": 2} for sample in log["samples"]]

    path = changed(tmp_path, change)
    (system,) = read(path)
    assert [outcome.draw for outcome in system.benchmarks["sums"].outcomes] == [0] * 5 + [1] * 5


def test_a_scorer_of_several_values_has_one_named(tmp_path: Path) -> None:
    def change(log: dict[str, Any]) -> None:
        for sample in log["samples"]:
            sample["scores"]["match"]["value"] = {"strict": 0, "loose": 1}

    path = changed(tmp_path, change)
    with pytest.raises(DataError, match="gives several values; name one with --metric: `match/strict`"):
        read(path)
    (system,) = read(path, metric="match/loose")
    assert values(system, "sums") == [1] * 5
    with pytest.raises(DataError, match="has no scorer `f1`; it has `match`"):
        read(SMALL, metric="f1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda log: log["eval"].pop("task"), "does not name its task and its model"),
        (lambda log: log["samples"].append({"x": 1}), r"samples\[5\]: is no sample of inspect_ai"),
        (
            lambda log: log["samples"].append(log["samples"][0]),
            "has the item `sum-0` of `sums` a second time",
        ),
        (lambda log: log.update(samples=[]), "holds no outcome of any item"),
        (
            lambda log: log["samples"][0]["scores"]["match"].update(value="great"),
            r"`match` says `great`, which is no outcome from 0 to 1",
        ),
        (lambda log: log["samples"][0].update(id=None), "`id` is missing"),
    ],
)
def test_a_log_that_is_not_as_inspect_writes_it_is_told(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(changed(tmp_path, change))


def test_an_archive_that_is_no_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escape.json", "{}")
    with pytest.raises(DataError, match=r"has no header.json: it is no log of inspect_ai"):
        read(path)


def test_an_archive_made_to_fill_a_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", b" " * (300 * 2**20))
    with pytest.raises(DataError, match=r"header.json: unpacks to 300 MiB, far more than is read"):
        read(path)


def test_a_damaged_member_is_told(tmp_path: Path) -> None:
    content = bytearray(SMALL.read_bytes())
    with zipfile.ZipFile(SMALL) as archive:
        start = archive.getinfo("header.json").header_offset
    for place in range(start + 60, start + 120):
        content[place] ^= 0xFF
    path = tmp_path / "a.eval"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"header.json: cannot be unpacked"):
        read(path)


def test_a_cut_archive_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    path.write_bytes(SMALL.read_bytes()[:-100])
    with pytest.raises(DataError, match="is not a whole zip file"):
        read(path)


def test_a_pair_of_formats_says_what_differs(tmp_path: Path) -> None:
    table(tmp_path / "base.csv", "11000", benchmark="sums")
    lines = [
        {"system": "base", "benchmark": "sums", "item": f"sum-{number}", "correct": 1} for number in range(5)
    ]
    path = json_lines(tmp_path / "base.jsonl", lines)
    (contrast,) = compare_files([str(path), f"new={SMALL}"]).contrasts
    fields = [found.field for found in contrast.benchmarks[0].measured_otherwise]
    assert {"harness", "harness_version", "task_version"} <= set(fields)
