"""Files of the paper's public scripts: written, read back, compared, and told where they are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import DataError
from lrbench.methods.targets import Targets
from lrbench.sampling.reference_files import ScriptedStep, compared, read_scripted_steps, scripted_steps
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples

GOOD: dict[str, Any] = {
    "prompt_id": "How many?",
    "step": 2,
    "prefix": "3+",
    "tokens": ["4", "5"],
    "token_ids": [7, 8],
    "weights": [0.25, 0.75],
    "kl_divergence": 0.5,
}


class Letters:
    def decode(self, ids: list[int]) -> str:
        return "".join(chr(97 + id_) for id_ in ids)


def some_samples(weights: list[float]) -> Samples:
    rollouts = [Rollout("p0", 0, (20, 21), (0, 1, 2)), Rollout("p1", 0, (22,), (3, 4))]
    targets = Targets(
        np.array([0, 2, 3]), np.array([4, 6, 9], dtype=np.int32), np.array([*weights, 1.0], dtype=np.float32)
    )
    return Samples(
        rollouts,
        np.array([0, 1], dtype=np.int32),
        np.array([2, 0], dtype=np.int32),
        np.array([0.5, np.nan], dtype=np.float32),
        targets,
    )


def written(folder: Path, lines: list[Any]) -> Path:
    file = folder / "samples.jsonl"
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return file


@given(weight=st.floats(0, 1, width=32))
def test_kept_steps_are_the_question_the_completion_before_them_and_their_target(
    tmp_path_factory: pytest.TempPathFactory, weight: float
) -> None:
    tokenizer: Any = Letters()
    samples = some_samples([weight, float(np.float32(1) - np.float32(weight))])
    found = list(scripted_steps(samples, tokenizer, {"p0": "How many?", "p1": "And now?"}))
    assert [(step.prompt_id, step.step, step.prefix, step.tokens) for step in found] == [
        ("How many?", 2, "ab", ("e", "g")),
        ("And now?", 0, "", ("j",)),
    ]
    file = written(tmp_path_factory.mktemp("f"), [step.model_dump(mode="json") for step in found])
    assert list(read_scripted_steps(file)) == found
    assert np.array_equal(np.float32(found[0].weights), samples.targets.weights[:2])
    assert [step.kl_divergence for step in found] == [0.5, None]


def test_the_file_of_the_scripts_is_read_whole(shared: Path) -> None:
    file = shared / "reference" / "samples.jsonl"
    found = list(read_scripted_steps(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [step.model_dump(mode="json") for step in found] == lines
    assert len(found) == 86


def changed(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in (GOOD | fields).items() if value is not ...}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (changed(weights=...), "has no `weights`; a line holds prompt_id, step, prefix, tokens, token_ids,"),
        (changed(weight=1), "has the unknown field `weight`; a line holds prompt_id, step"),
        (changed(step=-1), "`step`: input should be greater than or equal to 0"),
        (changed(step="2"), "`step`: input should be a valid integer"),
        (changed(token_ids=[7, -8]), "`token_ids.1`: input should be greater than or equal to 0"),
        (changed(token_ids=[7]), "holds 2 tokens, 1 token_ids and 2 weights, which have to be as many"),
        (changed(weights=[0.25, 0.5]), "weights sum to 0.75, and have to sum to 1"),
        (changed(prefix=None), "`prefix`: input should be a valid string"),
        ([1, 2], "is no JSON object; a line holds"),
        ("{broken", "is not valid JSON"),
    ],
)
def test_a_line_that_is_none_is_told_with_file_and_line(tmp_path: Path, line: Any, told: str) -> None:
    file = written(tmp_path, [GOOD, line])
    with pytest.raises(DataError) as raised:
        list(read_scripted_steps(file))
    assert str(raised.value).startswith(f"{file}:2:")
    assert told in str(raised.value)


def test_a_file_without_a_line_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no kept step; allowed is one JSON object a line"):
        list(read_scripted_steps(written(tmp_path, [])))


def test_steps_are_compared_by_question_step_and_prefix() -> None:
    def steps(*lines: dict[str, Any]) -> Any:
        return iter([ScriptedStep.model_validate(line) for line in lines])

    ours = steps(GOOD, changed(step=3), changed(step=4, token_ids=[7, 9]))
    theirs = steps(
        changed(weights=[0.5, 0.5], kl_divergence=0.75), changed(step=4), changed(step=2, prefix="3 +")
    )
    assert compared(ours, theirs) == {
        "both": 2,
        "ours_alone": 1,
        "theirs_alone": 1,
        "same_tokens": 1,
        "weight": 0.25,
        "kl": 0.25,
    }
    assert compared(steps(GOOD), steps(changed(step=5)))["kl"] is None
