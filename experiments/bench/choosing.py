"""What a task of choices costs: lm-eval's own `hf` model on the same weights, against measuring here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from experiments.bench.measuring import Comparison, in_turn
from experiments.bench.subjects import Subject
from lrbench.embedded.assets import problems
from lrbench.evaluation.named_tasks.items import task_items
from lrbench.evaluation.named_tasks.likelihoods import Likelihood, likelihoods
from lrbench.evaluation.named_tasks.loading import quiet
from lrbench.evaluation.named_tasks.measuring import NamedTasksMeasuring
from lrbench.evaluation.named_tasks.texts import TaskTexts
from lrbench.models.loading import Tokenizer
from lrbench.suites.declaration import TasksDeclaration

NAME = "bench_choices"
# How far the wrong choices are from the right one.
NEAR = (1, 10, -1)
Way = Callable[[], list[bool]]
Pairs = Sequence[tuple[Sequence[int], Sequence[int]]]


def choosing(subject: Subject, tokenizer: Tokenizer, items: int, runs: int) -> Comparison:
    """Requests, log-likelihoods and verdicts of all items, once by lm-eval alone, once as a recipe does."""
    with TemporaryDirectory() as folder:
        theirs, ours = both_ways(subject, tokenizer, Path(folder), items)
        return in_turn(
            f"{items} items of four choices: lm-eval's hf, against measured",
            theirs,
            ours,
            "at most 1.05",
            runs,
        )


def both_ways(subject: Subject, tokenizer: Tokenizer, folder: Path, items: int) -> tuple[Way, Way]:
    """lm-eval's way and ours of finding which of the items, whose task is written to `folder`, are right."""
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    quiet()
    _write_task(folder, items)
    model: Any = subject.pair.expert
    context, stops = subject.rules.context, subject.rules.stop_ids
    hf = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=subject.batch_size, max_length=context)
    hf.loglikelihood = partial(hf.loglikelihood, disable_tqdm=True)
    loaded = TaskManager(include_path=str(folder), include_defaults=False).load([NAME])
    declared = TasksDeclaration(tasks=(NAME,), include_path=str(folder))
    rows = task_items(declared, NAME, None, None, False).rows

    def theirs() -> list[bool]:
        samples = evaluate(hf, loaded, bootstrap_iters=0, log_samples=True)["samples"][NAME]
        return [bool(sample["acc"]) for sample in sorted(samples, key=lambda sample: sample["doc_id"])]

    def likely(pairs: Pairs) -> list[Likelihood]:
        return likelihoods(model, pairs, subject.batch_size, context)

    def unasked(*_: object) -> list[Any]:
        raise AssertionError("nothing is written where likelihoods decide")

    def ours() -> list[bool]:
        texts = TaskTexts(tokenizer, stops)
        measuring = NamedTasksMeasuring(declared, NAME, None, texts, stops, context)
        return [item.paper for item in measuring.measure(rows, unasked, likely)]

    return theirs, ours


def _write_task(folder: Path, items: int) -> None:
    data = folder / "items.jsonl"
    rows = problems("one_step", "test")[:items]
    with data.open("w", encoding="utf-8") as lines:
        for number, row in enumerate(rows):
            choices = [str(int(row["answer"]) + step) for step in NEAR]
            choices.insert(number % (len(NEAR) + 1), row["answer"])
            asked = {"question": row["problem"], "choices": choices, "gold": choices.index(row["answer"])}
            lines.write(json.dumps(asked) + "\n")
    task = {
        "task": NAME,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}\nThe answer is",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
