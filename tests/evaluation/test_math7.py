"""The published benchmarks as lm-eval runs them: prompts, protocol and gradeable golds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lrbench.data.access import open_examples
from lrbench.data.sets import MMLU_STEM_EXAMPLES
from lrbench.evaluation.harness import BenchmarkTask
from lrbench.evaluation.items import choose_items
from lrbench.evaluation.language_model import RenderedModel
from lrbench.evaluation.prompts import user_turn
from lrbench.grading import grade_many
from lrbench.sampling.engines.answered import Answered
from lrbench.suites.suite import shipped_suite
from tests.pipeline.conftest import save_tokenizer

MATH7 = shipped_suite("math7")
FIVE_SHOT = shipped_suite("mmlu_stem_5shot")
# <|endoftext|> and <|im_end|>.
STOPS = (0, 2)
SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."
# The toolkit itself rejects a literal copy of these golds (see the data's README).
REJECTED = {"math-test-6", "math-test-1714", "math-test-1991", "math-test-4667", "minerva_math-test-139"}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    return AutoTokenizer.from_pretrained(folder)


class Silent:
    """Ends every turn at once and remembers the prompts as text."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.prompts: list[str] = []
        self.limits: set[int] = set()

    def __call__(self, prompts: Sequence[Sequence[int]], limit: int) -> list[Answered]:
        self.prompts += [self.tokenizer.decode(prompt) for prompt in prompts]
        self.limits.add(limit)
        return [Answered.alone("own", (self.tokenizer.eos_token_id,))] * len(prompts)


def chat(user: str) -> str:
    return (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("name", MATH7.names)
def test_every_prompt_is_the_system_line_and_the_problem_alone(
    shared: Path, tokenizer: Any, name: str
) -> None:
    rows = list(choose_items(MATH7[name], str(shared / "data")))
    sample = rows[:: max(1, len(rows) // 100)]
    model = Silent(tokenizer)
    rendered = RenderedModel(model, tokenizer, MATH7[name].system_prompt, STOPS)
    items = BenchmarkTask(MATH7[name], str(shared / "data")).measure(rendered, sample)
    assert model.prompts == [chat(row["problem"]) for row in sample]
    assert model.limits == {2048}
    assert [(item.id, item.gold) for item in items] == [(row["id"], row["answer"]) for row in sample]


def test_five_shot_puts_the_examples_into_the_same_turn_as_the_toolkit_does(
    shared: Path, tokenizer: Any
) -> None:
    root = str(shared / "data")
    (row,) = choose_items(MATH7["mmlu_stem"], root, limit=1)
    model = Silent(tokenizer)
    BenchmarkTask(FIVE_SHOT["mmlu_stem"], root).measure(RenderedModel(model, tokenizer, SYSTEM, STOPS), [row])
    expected = ""
    for question, answer in open_examples(MMLU_STEM_EXAMPLES, root):
        expected += question + "\n" + answer + "\n\n"
    assert model.prompts == [chat(expected + row["problem"])]
    assert expected.startswith("Simplify and write the result with a rational denominator: $$\\sqrt")
    assert expected.endswith('resulting in "cba". The answer is (C).\n\n')
    # A slip of the toolkit's that the models of the published numbers saw too.
    assert "\frac{1}{729}" in expected


def test_a_problem_without_examples_is_the_whole_turn() -> None:
    assert user_turn("1+1?", []) == "1+1?"


@pytest.mark.parametrize("name", MATH7.names)
def test_a_boxed_gold_is_graded_and_right(shared: Path, name: str) -> None:
    rows = [row for row in choose_items(MATH7[name], str(shared / "data")) if row["id"] not in REJECTED]
    sample = rows[:: max(1, len(rows) // 60)]
    asked = [
        {
            "benchmark": name,
            "completion": f"So it is \\boxed{{{row['answer']}}}.",
            "gold": row["answer"],
            "problem": row["problem"],
        }
        for row in sample
    ]
    wrong = [row["id"] for row, verdict in zip(sample, grade_many(asked), strict=True) if not verdict.correct]
    assert wrong == []
