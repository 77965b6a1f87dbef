"""Folders of task files with their data, as a user of lm-eval writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import yaml
from pyarrow import parquet

from lrbench.embedded.assets import problems

ITEMS = 10


def write_tasks(folder: Path) -> Path:
    """A generative task with two filters, one of choices with a worked example, and a group of both.

    `own_long` asks for more than the embedded models have room for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = problems("hard", "test")[:ITEMS]
    written = [{"question": row["problem"], "answer": row["answer"]} for row in rows]
    chosen = []
    for number, row in enumerate(rows):
        choices = [str(int(row["answer"]) + step) for step in (1, 10, 2, -1)]
        choices[number % 4] = row["answer"]
        chosen.append({"question": row["problem"], "choices": choices, "gold": number % 4})
    put(
        folder,
        "own_written",
        written,
        output_type="generate_until",
        doc_to_text="{{question}}",
        doc_to_target="{{answer}}",
        generation_kwargs={"until": ["Next"], "do_sample": False, "max_gen_toks": 64},
        filter_list=[numbers("last-number", -1), numbers("first-number", 0)],
        metric_list=[mean("exact_match")],
    )
    put(
        folder,
        "own_chosen",
        chosen,
        output_type="multiple_choice",
        doc_to_text="{{question}}\nThe answer is ",
        doc_to_choice="choices",
        doc_to_target="gold",
        fewshot_split="test",
        num_fewshot=1,
        metric_list=[mean("acc"), mean("acc_norm")],
    )
    put(
        folder,
        "own_target",
        written,
        output_type="loglikelihood",
        doc_to_text="{{question}}",
        doc_to_target=" {{answer}}",
        metric_list=[
            {"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False},
            mean("acc"),
        ],
    )
    put(
        folder,
        "own_long",
        written,
        output_type="generate_until",
        doc_to_text="{{question}}",
        doc_to_target="{{answer}}",
        fewshot_split="test",
        num_fewshot=9,
        generation_kwargs={"until": ["Next"], "do_sample": False, "max_gen_toks": 96},
        metric_list=[mean("exact_match")],
    )
    (folder / "own_both.yaml").write_text("group: own_both\ntask: [own_written, own_chosen]\n")
    return folder


def put(folder: Path, name: str, rows: list[dict[str, Any]], **config: Any) -> None:
    """A task called `name` whose data lie beside it."""
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "metadata": {"version": 1.0},
    } | config
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task, sort_keys=False))


def mean(metric: str) -> dict[str, Any]:
    return {"metric": metric, "aggregation": "mean", "higher_is_better": True}


def numbers(name: str, group: int) -> dict[str, Any]:
    found = {"function": "regex", "regex_pattern": "(-?[0-9]+)", "group_select": group}
    return {"name": name, "filter": [found, {"function": "take_first"}]}


def lay(folder: Path, name: str, splits: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """A data set of one configuration called `name`, laid out as a repository of the hub is."""
    (folder / name).mkdir(parents=True)
    files = []
    for split, rows in splits.items():
        table = pyarrow.Table.from_pylist([dict(row) for row in rows])
        parquet.write_table(table, folder / name / f"{split}-00000-of-00001.parquet")
        files.append({"split": split, "path": f"{name}/{split}-*"})
    front = yaml.safe_dump({"configs": [{"config_name": name, "data_files": files}]})
    (folder / "README.md").write_text(f"---\n{front}---\n")


def assert_same(samples: Sequence[Mapping[str, Any]], items: Sequence[Mapping[str, Any]]) -> None:
    """Of a task, lm-eval's samples say what our items do: every metric, what was written, likelihoods."""
    for sample in samples:
        item = items[sample["doc_id"]]
        for metric in sample["metrics"]:
            said = sample[metric][0] if isinstance(sample[metric], tuple) else sample[metric]
            assert item["measures"][f"{metric},{sample['filter']}"] == pytest.approx(float(said), rel=1e-5)
        if "log_likelihoods" in item:
            logs = [float(answer[0][0]) for answer in sample["resps"]]
            assert item["log_likelihoods"] == pytest.approx(logs, rel=1e-5, abs=1e-5)
        else:
            assert item["completion"] == sample["resps"][0][0]
