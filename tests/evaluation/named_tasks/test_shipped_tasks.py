"""Tasks that lm-eval ships, on data that lie as the hub lays them out: as lm-eval's own model has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lrbench.embedded.assets import model_folder, problems
from lrbench.evaluation.graded_items import read_items
from lrbench.evaluation.named_tasks.finding import folders_of
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.loading import load_recipe
from lrbench.store.store import Store
from tests.evaluation.named_tasks.folders import assert_same, lay

LIMIT = 6
METRICS = {
    "gsm8k": "exact_match,flexible-extract",
    "arc_easy": "acc,none",
    "hellaswag": "acc,none",
}
RECIPE = {
    "name": "shipped",
    "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
    "data": {"train": "embedded/multi_step", "problems": 8},
    "training": {"updates": 1, "rollouts_per_update": 2},
    "arms": ["base"],
    "evaluation": {"lm_eval": {"tasks": [*METRICS], "num_fewshot": 1}, "limit": LIMIT},
}


def lay_data(folder: Path) -> None:
    """Three small sets of our own, each in the columns of the one that it stands for."""
    asked = {split: problems("one_step", split)[: 2 * LIMIT] for split in ("train", "test")}
    lay(
        folder / "openai" / "gsm8k",
        "main",
        {
            split: [
                {"question": row["problem"], "answer": f"{row['solution']}\n#### {row['answer']}"}
                for row in rows
            ]
            for split, rows in asked.items()
        },
    )
    letters = "ABCD"
    lay(
        folder / "allenai" / "ai2_arc",
        "ARC-Easy",
        {
            split: [
                {
                    "id": row["id"],
                    "question": row["problem"],
                    "choices": {"text": choices(row, number), "label": list(letters)},
                    "answerKey": letters[number % 4],
                }
                for number, row in enumerate(asked[of])
            ]
            for split, of in (("train", "train"), ("validation", "train"), ("test", "test"))
        },
    )
    lay(
        folder / "Rowan" / "hellaswag",
        "default",
        {
            split: [
                {
                    "ind": number,
                    "activity_label": "Counting things",
                    "ctx_a": f"[header] {row['problem'].partition('. ')[0]}.",
                    "ctx_b": row["problem"].partition(". ")[2].lower(),
                    "endings": [
                        f"There  are [step] {choice}. [title] Done" for choice in choices(row, number)
                    ],
                    "label": str(number % 4),
                }
                for number, row in enumerate(asked[of])
            ]
            for split, of in (("train", "train"), ("validation", "test"))
        },
    )


def choices(row: Any, number: int) -> list[str]:
    """Four of them, the right one at another place from item to item."""
    found = [str(int(row["answer"]) + step) for step in (1, 10, 2, 11)]
    found[number % 4] = row["answer"]
    return found


@pytest.mark.slow
def test_every_item_has_the_numbers_that_lm_evals_own_model_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    lay_data(tmp_path)
    Path("recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    recipe, runs = load_recipe("recipe.yaml"), tmp_path / "runs"
    assert not run_recipe(recipe, runs).failures
    folders = [str(folder) for name in METRICS for folder in folders_of(name, None)]
    theirs = simple_evaluate(
        HFLM(pretrained=str(model_folder("expert")), device="cpu", batch_size=4, dtype="float32"),
        tasks=[*METRICS],
        num_fewshot=1,
        task_manager=TaskManager(include_path=folders, include_defaults=False),
        limit=LIMIT,
        bootstrap_iters=0,
        log_samples=True,
    )
    for score in plan_recipe(recipe, runs).arms[0].scores:
        artifact = Store(runs / "store").look(score.name, score.key)
        assert artifact is not None
        items = list(read_items(artifact))
        samples = theirs["samples"][score.benchmark]
        assert {sample["doc_id"] for sample in samples} == set(range(LIMIT))
        assert_same(samples, items)
        deciding = METRICS[score.benchmark]
        assert [item["paper"] for item in items] == [bool(item["measures"][deciding]) for item in items]
    # What the task makes of its data, and the metrics beside the one that decides.
    assert items[0]["problem"].startswith("Counting things: ")
    assert "[" not in items[0]["problem"]
    assert items[0]["measures"].keys() == {"acc,none", "acc_norm,none"}
    assert [len(item["log_likelihoods"]) for item in items] == [4] * LIMIT
