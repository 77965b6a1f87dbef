"""lm-eval measures what we say it measures, on token ids of the one renderer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from lrbench.data.rules import Row
from lrbench.evaluation.harness import Benchmark, Item
from lrbench.evaluation.items import ItemSet, choose_items
from lrbench.evaluation.language_model import RenderedModel
from lrbench.evaluation.suites import SUITES, Suite, protocol
from lrbench.models.loading import load_tokenizer
from lrbench.models.prompt import canary_hash, render_prompt
from lrbench.models.source import locate
from lrbench.recipe.schema import ModelReference
from lrbench.sampling.engines.answered import Answered
from lrbench.store.keys import FileHashes

SUITE = SUITES["embedded7"]
# <|endoftext|> and <|im_end|>.
STOPS = (0, 2)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(locate(ModelReference(model="embedded/expert"), FileHashes()))


class Scripted:
    """Answers with given texts and remembers the prompts."""

    def __init__(self, tokenizer: Any, texts: Sequence[str], ending: str = "<|im_end|>") -> None:
        self.tokenizer = tokenizer
        self.texts = [text + ending for text in texts]
        self.prompts: list[list[int]] = []
        self.limits: list[int] = []

    def __call__(self, prompts: Sequence[Sequence[int]], limit: int) -> list[Answered]:
        self.prompts += [list(prompt) for prompt in prompts]
        self.limits.append(limit)
        texts = self.texts[: len(prompts)]
        self.texts = self.texts[len(prompts) :]
        written = [tuple(self.tokenizer.encode(text, add_special_tokens=False)) for text in texts]
        return [Answered.alone("own", completion) for completion in written]


def rows_of(name: str, *indices: int) -> list[Row]:
    rows = list(choose_items(name, None))
    return [rows[index] for index in indices]


def measure(tokenizer: Any, name: str, texts: list[str], indices: list[int], **options: Any) -> list[Item]:
    write = Scripted(tokenizer, texts, **options)
    return Benchmark(SUITE, name).measure(
        RenderedModel(write, tokenizer, None, STOPS), rows_of(name, *indices)
    )


@pytest.mark.parametrize("name", SUITE.benchmarks)
def test_the_right_answer_in_a_box_is_right_and_another_wrong(tokenizer: Any, name: str) -> None:
    items = rows_of(name, 0, 1)
    right, wrong = measure(tokenizer, name, [rf"\boxed{{{items[0]['answer']}}}", r"\boxed{-123456}"], [0, 1])
    assert (right.id, right.paper, right.exact, right.prediction) == (
        items[0]["id"],
        True,
        True,
        items[0]["answer"],
    )
    assert (wrong.paper, wrong.exact) == (False, False)


def test_the_rows_given_are_those_measured(tokenizer: Any) -> None:
    found = measure(tokenizer, "formal", ["a", "b", "c"], [3, 7, 11])
    assert [item.id for item in found] == [row["id"] for row in rows_of("formal", 3, 7, 11)]
    assert [item.completion for item in found] == ["a", "b", "c"]


def test_prompts_are_those_of_the_one_renderer(tokenizer: Any) -> None:
    write = Scripted(tokenizer, ["a", "b"])
    rows = rows_of("choice", 0, 1)
    Benchmark(SUITE, "choice").measure(RenderedModel(write, tokenizer, "Think.", STOPS), rows)
    expected = [render_prompt(tokenizer, row["problem"], "Think.") for row in rows]
    assert write.prompts == expected
    assert write.limits == [SUITE.max_new_tokens]


def test_a_completion_that_never_stopped_is_marked_truncated(tokenizer: Any) -> None:
    (stopped,) = measure(tokenizer, "hard", ["a"], [0])
    (endless,) = measure(tokenizer, "hard", ["a"], [0], ending="")
    assert (stopped.truncated, endless.truncated) == (False, True)
    assert stopped.tokens == endless.tokens + 1
    assert (stopped.reason, endless.reason) == ("no answer found", "truncated")


def test_an_answer_without_a_box_is_wrong_and_says_why(tokenizer: Any) -> None:
    answer = rows_of("hard", 0)[0]["answer"]
    (item,) = measure(tokenizer, "hard", [f"The answer is {answer}."], [0])
    assert (item.paper, item.exact, item.prediction) == (False, False, None)
    assert "no answer" in item.reason


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_the_task_files_say_what_the_suite_says(suite: Suite) -> None:
    shared = {"embedded": "family.yaml", "math7": "benchmark.yaml"}[suite.folder.name]
    plain = yaml.safe_load((suite.folder / shared).read_text())
    assert plain["generation_kwargs"]["max_gen_toks"] == suite.max_new_tokens
    assert plain["generation_kwargs"]["do_sample"] is False
    assert plain["metadata"]["version"] == suite.task_version
    tasks = [yaml.safe_load(path.read_text()) for path in suite.folder.glob("*.yaml")]
    shots = {task["task"]: task["dataset_kwargs"].get("shots", 0) for task in tasks if "task" in task}
    assert {shots[name] for name in suite.tasks.values()} == {suite.shots}


def test_a_protocol_names_everything_that_defines_a_score() -> None:
    items = choose_items("hard", None)
    first = described(items)
    others = [
        described(items, dtype="bfloat16"),
        described(items, engine="vllm"),
        described(choose_items("hard", None, limit=100)),
        described(choose_items("hard", None, listed=items.ids)),
        described(choose_items("hard", None, listed=items.ids[:100])),
        described(choose_items("formal", None)),
    ]
    assert len({str(one) for one in [first, *others]}) == 7


def described(items: ItemSet, engine: str = "hf", dtype: str = "float32") -> dict[str, Any]:
    return protocol(SUITE, items, engine=engine, dtype=dtype)


def test_canary_prompts_tell_templates_and_system_prompts_apart(tokenizer: Any) -> None:
    assert canary_hash(tokenizer, None) == canary_hash(tokenizer, None)
    assert canary_hash(tokenizer, None) != canary_hash(tokenizer, "Think.")
