"""Folders of task files with their data, as a user of lm-eval writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

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
