"""lm-eval measures what we say it measures, on token ids of the one renderer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from lrbench.embedded.assets import model_folder
from lrbench.evaluation.harness import Benchmark, Item
from lrbench.evaluation.language_model import RenderedModel
from lrbench.evaluation.suites import SUITES, benchmark_items, protocol
from lrbench.models.loading import load_tokenizer, stop_token_ids
from lrbench.models.prompt import canary_hash, render_prompt
from lrbench.models.source import LocatedModel

SUITE = SUITES["embedded7"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(LocatedModel("embedded/expert", model_folder("expert"), "test", "float32"))


class Scripted:
    """Answers with given texts and remembers the prompts."""

    def __init__(self, tokenizer: Any, texts: Sequence[str], ending: str = "<|im_end|>") -> None:
        self.tokenizer = tokenizer
        self.texts = [text + ending for text in texts]
        self.prompts: list[list[int]] = []
        self.limits: list[int] = []

    def __call__(self, prompts: Sequence[Sequence[int]], limit: int) -> list[tuple[int, ...]]:
        self.prompts += [list(prompt) for prompt in prompts]
        self.limits.append(limit)
        texts = self.texts[: len(prompts)]
        self.texts = self.texts[len(prompts) :]
        return [tuple(self.tokenizer.encode(text, add_special_tokens=False)) for text in texts]


def measure(tokenizer: Any, name: str, texts: list[str], indices: list[int], **options: Any) -> list[Item]:
    write = Scripted(tokenizer, texts, **options)
    return Benchmark(SUITE, name).measure(RenderedModel(write, tokenizer, None), indices)


@pytest.mark.parametrize("name", SUITE.benchmarks)
def test_the_right_answer_in_a_box_is_right_and_another_wrong(tokenizer: Any, name: str) -> None:
    items = benchmark_items(name)[:2]
    right, wrong = measure(tokenizer, name, [rf"\boxed{{{items[0]['answer']}}}", r"\boxed{-123456}"], [0, 1])
    assert (right.id, right.paper, right.exact, right.prediction) == (
        items[0]["id"],
        True,
        True,
        items[0]["answer"],
    )
    assert (wrong.paper, wrong.exact) == (False, False)


def test_items_are_measured_at_the_places_asked_for(tokenizer: Any) -> None:
    found = measure(tokenizer, "formal", ["a", "b", "c"], [3, 7, 11])
    ids = [item["id"] for item in benchmark_items("formal")]
    assert [item.id for item in found] == [ids[3], ids[7], ids[11]]
    assert [item.completion for item in found] == ["a", "b", "c"]


def test_prompts_are_those_of_the_one_renderer(tokenizer: Any) -> None:
    write = Scripted(tokenizer, ["a", "b"])
    Benchmark(SUITE, "choice").measure(RenderedModel(write, tokenizer, "Think."), [0, 1])
    expected = [render_prompt(tokenizer, item["problem"], "Think.") for item in benchmark_items("choice")[:2]]
    assert write.prompts == expected
    assert write.limits == [SUITE.max_new_tokens]


def test_a_completion_that_never_stopped_is_marked_truncated(tokenizer: Any) -> None:
    (stopped,) = measure(tokenizer, "hard", ["a"], [0])
    (endless,) = measure(tokenizer, "hard", ["a"], [0], ending="")
    assert (stopped.truncated, endless.truncated) == (False, True)
    assert stopped.tokens == endless.tokens + 1


def test_an_answer_without_a_box_is_wrong_and_says_why(tokenizer: Any) -> None:
    answer = benchmark_items("hard")[0]["answer"]
    (item,) = measure(tokenizer, "hard", [f"The answer is {answer}."], [0])
    assert (item.paper, item.exact, item.prediction) == (False, False, None)
    assert "no answer" in item.reason


def test_the_task_files_say_what_the_suite_says() -> None:
    shared = (SUITE.folder / "family.yaml.part").read_text()
    plain = yaml.safe_load(shared.replace("!function ", ""))
    assert plain["generation_kwargs"]["max_gen_toks"] == SUITE.max_new_tokens
    assert plain["metadata"]["version"] == SUITE.task_version
    assert plain["generation_kwargs"]["do_sample"] is False


def test_a_protocol_names_everything_that_defines_a_score() -> None:
    first = protocol(SUITE, "hard", dtype="float32", limit=None)
    assert protocol(SUITE, "hard", dtype="float32", limit=100) != first
    assert protocol(SUITE, "hard", dtype="bfloat16", limit=None) != first
    assert protocol(SUITE, "formal", dtype="float32", limit=None) != first


def test_canary_prompts_tell_templates_and_system_prompts_apart(tokenizer: Any) -> None:
    assert canary_hash(tokenizer, None) == canary_hash(tokenizer, None)
    assert canary_hash(tokenizer, None) != canary_hash(tokenizer, "Think.")


def test_stop_tokens_are_the_ends_of_turn_and_of_text(tokenizer: Any) -> None:
    names = {tokenizer.convert_ids_to_tokens(token) for token in stop_token_ids(tokenizer)}
    assert names == {"<|im_end|>", "<|endoftext|>"}
