"""lm-eval measures what we say it measures, on token ids of the one renderer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lrbench.data.rules import Row
from lrbench.evaluation.harness import BenchmarkTask, Item
from lrbench.evaluation.items import ItemSet, choose_items
from lrbench.evaluation.language_model import RecordedModel, RenderedModel
from lrbench.evaluation.protocol import protocol
from lrbench.models.loading import load_tokenizer
from lrbench.models.prompt import canary_hash, render_prompt
from lrbench.models.source import locate
from lrbench.recipe.schema import ModelReference
from lrbench.sampling.engines.answered import Answered
from lrbench.store.keys import FileHashes
from lrbench.suites.suite import shipped_suite

SUITE = shipped_suite("embedded7")
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
    rows = list(choose_items(SUITE[name], None))
    return [rows[index] for index in indices]


def measure(tokenizer: Any, name: str, texts: list[str], indices: list[int], **options: Any) -> list[Item]:
    write = Scripted(tokenizer, texts, **options)
    return BenchmarkTask(SUITE[name]).measure(
        RenderedModel(write, tokenizer, None, STOPS), rows_of(name, *indices)
    )


@pytest.mark.parametrize("name", SUITE.names)
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
    BenchmarkTask(SUITE["choice"]).measure(RenderedModel(write, tokenizer, "Think.", STOPS), rows)
    expected = [render_prompt(tokenizer, row["problem"], "Think.") for row in rows]
    assert write.prompts == expected
    assert write.limits == [SUITE["choice"].max_new_tokens]


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


def test_a_protocol_names_everything_that_defines_a_score() -> None:
    items = choose_items(SUITE["hard"], None)
    first = described(items)
    others = [
        described(items, dtype="bfloat16"),
        described(items, dtype="bfloat16", batch_size=32),
        described(items, engine="vllm"),
        described(choose_items(SUITE["hard"], None, limit=100)),
        described(choose_items(SUITE["hard"], None, listed=items.ids)),
        described(choose_items(SUITE["hard"], None, listed=items.ids[:100])),
        described(choose_items(SUITE["formal"], None)),
    ]
    assert len({str(one) for one in [first, *others]}) == 8
    # What rounds so little that it decides nothing says nothing.
    assert described(items, batch_size=32) == first


def described(
    items: ItemSet, engine: str = "hf", dtype: str = "float32", batch_size: int | str = 64
) -> dict[str, Any]:
    return protocol(SUITE[items.benchmark], items, engine=engine, dtype=dtype, batch_size=batch_size)


def test_canary_prompts_tell_templates_and_system_prompts_apart(tokenizer: Any) -> None:
    assert canary_hash(tokenizer, None) == canary_hash(tokenizer, None)
    assert canary_hash(tokenizer, None) != canary_hash(tokenizer, "Think.")


def test_draws_are_graded_anew_in_their_places(tokenizer: Any) -> None:
    texts = [r"\boxed{1}", r"\boxed{2}", r"\boxed{3}", r"\boxed{4}"]
    written = measure(tokenizer, "one_step", texts, [0, 0, 1, 1])
    rows = [item.as_row() | {"draw": draw} for item, draw in zip(written, (0, 1, 0, 1), strict=True)]
    again = BenchmarkTask(SUITE["one_step"]).measure(
        RecordedModel(reversed(rows)), rows_of("one_step", 0, 0, 1, 1)
    )
    assert [item.completion for item in again] == texts
    assert again == written
