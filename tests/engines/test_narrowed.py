"""A plain answer written once more has fewer rows at once, and is otherwise the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lrbench.methods.answers import Again
from lrbench.sampling.engines.base import Decoding, Request, TokenRules
from lrbench.sampling.engines.narrowed import NarrowedEngine
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.transformers import TransformersEngine
from tests.engines.test_base import STOP, Scripted
from tests.engines.test_decoding import NEW_TOKENS, Written


class Counting(Scripted):
    """Holds no request back, and counts how many come at once."""

    def __init__(self) -> None:
        super().__init__(lambda request: (request.prompt[0], STOP))
        self.at_once: list[int] = []

    def complete_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[tuple[int, ...]]:
        self.at_once.append(len(requests))
        return super().complete_requests(requests, decoding)


@pytest.mark.parametrize(
    ("share", "portions"), [("1/2", [5, 5, 1]), ("1/4", [2] * 5 + [1]), (8, [8, 3]), (64, [5, 5, 1])]
)
def test_requests_come_in_portions_and_answers_in_their_order(share: int | str, portions: list[int]) -> None:
    engine = Counting()
    narrow = NarrowedEngine(engine, Again.model_validate({"again": share}).rows_at_once)
    prompts = [[place] for place in range(10, 21)]
    found = [answer.completion for answer in narrow.answer(prompts, 4)]
    assert found == [(place, STOP) for place in range(10, 21)]
    assert engine.at_once == portions


def test_in_this_process_rows_that_are_done_make_place_for_others() -> None:
    """What is computed is what an engine of half the size computes, token for token."""
    written = Written("expert")
    rules = TokenRules(written.stop_ids, (), 512, written.model.config.vocab_size)
    wide, narrow, half = Padding(), Padding(), Padding()

    def engine(rows: int, padding: Padding) -> TransformersEngine:
        return TransformersEngine(written.model, rules, rows, padding)

    again = NarrowedEngine(engine(32, narrow), Again(again="1/2").rows_at_once)
    found = [one.complete(written.prompts, NEW_TOKENS) for one in (engine(32, wide), again, engine(16, half))]
    assert found[0] == found[1] == found[2]
    assert narrow == half != wide
