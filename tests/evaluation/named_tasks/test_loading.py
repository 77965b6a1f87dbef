"""Tasks of lm-eval by their names: found without reading all of them, and refused with a reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import DataError
from lrbench.evaluation.named_tasks.finding import folders_of
from lrbench.evaluation.named_tasks.items import task_items
from lrbench.evaluation.named_tasks.loading import AbsentDataError, named_tasks
from lrbench.suites.declaration import TasksDeclaration
from tests.evaluation.named_tasks.folders import ITEMS, mean, put, write_tasks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("tasks"))


def declared(folder: Path, *tasks: str, **said: Any) -> TasksDeclaration:
    return TasksDeclaration(tasks=tasks or ("own_written",), include_path=str(folder), **said)


@pytest.mark.parametrize(
    ("name", "expected"), [("arc_easy", "arc"), ("ai2_arc", "arc"), ("mmlu", "mmlu/default")]
)
def test_a_name_leads_to_the_folders_of_what_it_is_made_of(name: str, expected: str) -> None:
    assert [str(path).partition("lm_eval/tasks/")[2] for path in folders_of(name, None)] == [expected]


def test_a_name_that_is_none_is_told(folder: Path) -> None:
    with pytest.raises(
        DataError, match="lm-eval has no task, group or tag `arc_esay`; did you mean `arc_easy`"
    ):
        folders_of("arc_esay", None)
    with pytest.raises(DataError, match="did you mean `own_written`"):
        folders_of("own_writen", str(folder))


def test_metric_and_filter_are_the_first_mean_behind_the_last_filter(folder: Path) -> None:
    found = {
        name: named_tasks(declared(folder), name, False)[0]
        for name in ("own_written", "own_chosen", "own_target")
    }
    assert {name: task.facts["metric"] for name, task in found.items()} == {
        "own_written": "exact_match,first-number",
        "own_chosen": "acc,none",
        "own_target": "acc,none",
    }
    assert [task.most_new_tokens for task in found.values()] == [64, 0, 0]


def test_a_group_is_its_tasks_item_by_item(folder: Path) -> None:
    items = task_items(declared(folder), "own_both", 3, None, False)
    assert [(row["id"], row["group"]) for row in items.rows] == [
        (f"{task}-{place}", task) for task in ("own_written", "own_chosen") for place in range(3)
    ]
    whole = task_items(declared(folder), "own_both", ITEMS, None, False)
    assert (len(whole), whole.limit, items.limit) == (2 * ITEMS, None, 3)
    assert whole.data_hash == items.data_hash
    listed = task_items(declared(folder), "own_both", None, ("own_chosen-7",), False)
    assert (listed.ids, listed.listed) == (("own_chosen-7",), True)


def test_gold_answers_of_choices_are_their_texts(folder: Path) -> None:
    rows = list(task_items(declared(folder), "own_chosen", 2, None, False))
    assert [row["answer"] for row in rows] == [
        row["answer"] for row in task_items(declared(folder), "own_written", 2, None, False)
    ]


def test_what_defines_a_score_is_in_the_facts(tmp_path: Path) -> None:
    def facts(**changes: Any) -> Any:
        place = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        place.mkdir()
        config = {
            "output_type": "generate_until",
            "doc_to_text": "q",
            "doc_to_target": "a",
            "metric_list": [mean("exact_match")],
        }
        rows = [{"q": "1+1", "a": "2"}, {"q": "2+2", "a": "4"}]
        put(place, "own", rows, **(config | changes))
        items = task_items(declared(place), "own", None, None, False)
        assert items.facts is not None
        return items.facts["tasks"]["own"], items.data_hash

    first, data = facts()
    # Where a task's files lie is nothing to it.
    assert facts() == (first, data)
    assert facts(metadata={"version": 2.0})[0]["version"] == 2.0
    for changes in (
        {"description": "Hi."},
        {"target_delimiter": ""},
        {"generation_kwargs": {"until": ["x"]}},
    ):
        assert facts(**changes)[0]["config"] != first["config"]
    shown = facts(num_fewshot=1)[0]
    assert (shown["shots"], first["shots"]) == (1, 0)
    assert "examples" in shown


CARD = "---\nconfigs:\n- config_name: default\n  data_files: [{split: test, path: test.jsonl}]\n---\n"
BASE = {
    "output_type": "generate_until",
    "doc_to_text": "q",
    "doc_to_target": "a",
    "metric_list": [mean("exact_match")],
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"unsafe_code": True},
            "`own` runs programs that a model writes; `evaluation.lm_eval.allow_code: true`",
        ),
        (
            {"output_type": "loglikelihood_rolling"},
            "is of the kind loglikelihood_rolling, which says of no item",
        ),
        (
            {"metric_list": [{"metric": "f1", "aggregation": "f1", "higher_is_better": True}]},
            "has no metric that is a mean",
        ),
        (
            {"generation_kwargs": {"until": ["x"], "do_sample": True, "temperature": 0.7}},
            "samples its answers",
        ),
        ({"repeats": 4}, "samples its answers"),
        ({"metric_list": [mean("no_such_metric")]}, "has a metric that lm-eval does not have itself"),
    ],
)
def test_a_task_that_cannot_be_measured_is_refused(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    put(tmp_path, "own", [{"q": "1+1", "a": "2"}], **(BASE | changes))
    with pytest.raises(DataError) as caught:
        task_items(declared(tmp_path, "own"), "own", None, None, False)
    assert str(caught.value).startswith("evaluation.lm_eval.tasks")
    assert told in str(caught.value)


def test_python_code_of_a_folder_is_run_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "utils.py").write_text("def asked(doc):\n    return doc['q'] + ' = ?'\n")
    put(tmp_path, "own", [{"q": "1+1", "a": "2"}], **BASE)
    file = tmp_path / "own.yaml"
    file.write_text(file.read_text().replace("doc_to_text: q", "doc_to_text: !function utils.asked"))
    with pytest.raises(DataError, match=r"own\.yaml: names Python code, which would be run to load it"):
        named_tasks(declared(tmp_path), "own", False)
    allowed = task_items(declared(tmp_path, allow_code=True), "own", None, None, False)
    assert [row["problem"] for row in allowed] == ["1+1 = ?"]


def test_data_that_are_not_here_are_told(tmp_path: Path) -> None:
    put(tmp_path, "own", [], **(BASE | {"dataset_path": "nobody/has-this-one", "dataset_kwargs": {}}))
    with pytest.raises(AbsentDataError, match="the data of `own` are not on this machine"):
        named_tasks(declared(tmp_path), "own", False)


def test_a_folder_of_a_data_sets_name_is_read_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`datasets` takes what it made of the first for the second, and for itself after a change."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "tasks").mkdir()
    put(tmp_path / "tasks", "own", [], **(BASE | {"dataset_path": "owner/sums", "dataset_kwargs": {}}))

    def questions(place: str, asked: str) -> list[str]:
        # Nothing of the tasks changes, and yet they are to be loaded anew.
        tasks = Path(shutil.copytree(tmp_path / "tasks", tmp_path / f"tasks {place} {asked}"))
        data = tmp_path / place / "owner" / "sums"
        data.mkdir(parents=True, exist_ok=True)
        (data / "README.md").write_text(CARD)
        (data / "test.jsonl").write_text(json.dumps({"q": asked, "a": "2"}) + "\n")
        monkeypatch.chdir(tmp_path / place)
        return [row["problem"] for row in task_items(declared(tasks, "own"), "own", None, None, False)]

    for place, asked in (("here", "1+1"), ("there", "2+0"), ("there", "0+2")):
        assert questions(place, asked) == [asked]
