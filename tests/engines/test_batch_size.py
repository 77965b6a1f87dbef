"""`runtime.batch_size: auto` writes as many rows at once as fit, and writes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lrbench.models.fitting import Widths
from lrbench.sampling.engines import batch_size
from lrbench.sampling.engines.base import GREEDY, Request, TokenRules
from lrbench.sampling.engines.batch_size import rows_that_fit, widths_of
from lrbench.sampling.engines.transformers import TransformersEngine

REQUESTS = [Request((9,) * length, 8, 0) for length in (40, 3, 12, 5, 7)]


def free(monkeypatch: pytest.MonkeyPatch, model: Any, rows: float, tokens: int = 48) -> None:
    """So much memory is free that `rows` rows of `tokens` fit."""
    widths = widths_of(model)
    row = 2 * widths.cache(tokens) + 3 * widths.vocabulary * 4
    monkeypatch.setattr(batch_size, "free_bytes", lambda _: 2 * (rows * row + widths.layer_states(1024)))


def test_the_widths_of_a_model_are_those_of_its_config(tiny_model: Callable[..., Any]) -> None:
    assert widths_of(tiny_model(layers=3)) == Widths(
        layers=3, hidden=32, intermediate=64, key_values=16, vocabulary=64, number=4
    )
    assert widths_of(tiny_model().bfloat16()).number == 2


def test_rows_are_as_many_as_fit_at_the_length_of_the_longest(
    tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    free(monkeypatch, model, rows=3.5)
    assert rows_that_fit(model, REQUESTS) == 3
    assert rows_that_fit(model, REQUESTS[1:]) > 3
    free(monkeypatch, model, rows=0.5)
    assert rows_that_fit(model, REQUESTS) == 1


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_the_engine_writes_so_many_at_once(
    tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    model, rules = tiny_model(), TokenRules((0,), (), 256, 64)
    expected = TransformersEngine(model, rules, 2).complete_requests(REQUESTS, GREEDY)
    read = []
    real = model.forward

    def forward(**arguments: Any) -> Any:
        read.append(len(arguments["input_ids"]))
        return real(**arguments)

    monkeypatch.setattr(model, "forward", forward)
    free(monkeypatch, model, rows + 0.5)
    assert TransformersEngine(model, rules, "auto").complete_requests(REQUESTS, GREEDY) == expected
    assert max(read) == read[0] == min(rows, len(REQUESTS))
