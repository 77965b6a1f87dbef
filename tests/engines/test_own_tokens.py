"""How likely answers are to the arm's own model, as reading each of them alone has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from lrbench.methods.answers import OWN, Mix
from lrbench.sampling.engines import own_tokens
from lrbench.sampling.engines.base import GREEDY
from lrbench.sampling.engines.given import GivenEngine
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.own_tokens import token_log_probabilities
from lrbench.sampling.engines.transformers import TransformersEngine
from tests.engines.lockstep import PROMPTS, RULES, TOKENS

COMPLETIONS = [(3, 4, 5, 6, 7, 8, 9)[: 1 + place % 7] for place in range(len(PROMPTS))]


def alone(model: Any, prompt: Sequence[int], completion: Sequence[int]) -> list[float]:
    """One row, one forward, all positions."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0].float()
    log = logits.log_softmax(-1)
    return [log[len(prompt) + place - 1, token].item() for place, token in enumerate(completion)]


@pytest.mark.parametrize("rows", [1, 4])
def test_are_those_of_a_forward_of_each_row_whatever_the_batch_and_the_chunk(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(own_tokens, "chunk_positions", lambda _: 2)
    completions = [*COMPLETIONS[:-1], ()]
    found = token_log_probabilities(models["expert"], PROMPTS, completions, rows)
    expected = [
        alone(models["expert"], prompt, written) for prompt, written in zip(PROMPTS, completions, strict=True)
    ]
    assert found[-1] == []
    assert [len(row) for row in found] == [len(row) for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_of_what_several_models_wrote_are_those_of_the_own_model_alone(models: dict[str, Any]) -> None:
    names = {OWN: models["expert"], "amateur": models["amateur"]}
    engine = LockstepEngine(names, Mix.model_validate({"mix": {OWN: 1, "amateur": -1}}), RULES, 4)
    written = [answer.completion for answer in engine.answer(PROMPTS, TOKENS, GREEDY)]
    own = TransformersEngine(models["expert"], RULES, 4)
    assert engine.log_probabilities_of(PROMPTS, written) == own.log_probabilities_of(PROMPTS, written)
    given = GivenEngine(own, [3])
    assert given.log_probabilities_of(PROMPTS, written) == own.log_probabilities_of(PROMPTS, written)
