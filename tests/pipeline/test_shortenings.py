"""Answers without the lines that the expert comes to the same without, with an expert that is a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lrbench.methods.shapes import PruneByTrying
from lrbench.models.loading import load_tokenizer
from lrbench.models.prompt import render_answer
from lrbench.models.source import LocatedModel, locate
from lrbench.models.turn_marks import turn_marks
from lrbench.pipeline.stages.rewritten import ShapedRollouts
from lrbench.pipeline.stages.shortenings import Shortenings
from lrbench.recipe.schema import EngineChoice, ModelReference, Sampling
from lrbench.sampling.engines.base import Decoding, Engine, Request, TokenRules
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.shaping import pieces_of
from lrbench.store.artifact import Artifact
from lrbench.store.keys import FileHashes
from tests.pipeline.test_continuations import World

LINES = ("We have 1+1=2. ", "Check: 2-1=1. ", "So we have 2+3=5. ")
END = "The answer is \\boxed{5}."
PROMPT = (5, 6, 7)


@cache
def expert() -> LocatedModel:
    return locate(ModelReference(model="embedded/expert"), FileHashes())


def ids_of(text: str) -> tuple[int, ...]:
    end = turn_marks(expert()).end
    assert end is not None
    return (*render_answer(load_tokenizer(expert()), text), end)


class Needing(Engine):
    """Comes to 5 where the lines that it `needs` stand before the one that is begun, and to 0 elsewhere."""

    name = "hf"
    rules = TokenRules(turn_marks(expert()).stops, (), 512, 4096)

    def __init__(self, needs: Sequence[int]) -> None:
        self.needs = needs
        self.asked: list[str] = []

    def complete_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[tuple[int, ...]]:
        return [self._written(request) for request in requests]

    def _written(self, request: Request) -> tuple[int, ...]:
        text = load_tokenizer(expert()).decode(request.prompt[len(PROMPT) :])
        self.asked.append(text)
        *whole, begun = pieces_of(text)
        place = next(
            place
            for place, line in enumerate([*LINES, END])
            if place >= len(whole) and line.startswith(begun)
        )
        right = all(LINES[need] in whole for need in self.needs if need < place)
        return ids_of(f" so \\boxed{{{5 if right else 0}}}.")[: request.max_new_tokens]


class Traces(World):
    """A workspace with that expert, and one answer to every problem."""

    def __init__(
        self, folder: Path, needs: Sequence[int], rollouts: Sequence[Rollout], answer: str | None = "5"
    ) -> None:
        super().__init__(folder, rollouts, [answer] * len(rollouts))
        self.engine = Needing(needs)  # type: ignore[assignment]

    @property
    def workspace(self) -> Any:
        @contextmanager
        def opened(_choice: EngineChoice) -> Iterator[Engine]:
            yield self.engine

        held = SimpleNamespace(turn_marks=turn_marks(expert()), tokenizer=load_tokenizer(expert()))
        return SimpleNamespace(expert=held, engines=SimpleNamespace(open=opened))

    def shaped(self, checked: bool, **shape: Any) -> tuple[Artifact, list[Rollout], dict[str, Any]]:
        """What was tried, what is left of the answers, and what was counted of that."""
        prune = PruneByTrying.model_validate(shape)
        source: Any = SimpleNamespace(
            problems=self.problems,
            longest=64,
            size=len(self.problems.ids),
            sampling=Sampling(),
            label="answers",
        )
        stage = Shortenings(expert(), source, prune.shortening, checked)
        made = self.made(stage)
        shaping = ShapedRollouts(expert(), self.problems, Sampling(), source, prune, stage)
        inputs: Any = {"rollouts": self.artifact("part-00000.parquet"), "shortenings": made}
        found, counts = shaping.rewritten(inputs, self.workspace)
        return made, [rollout for group in found.values() for rollout in group], dict(counts)


def said(text: str, problem: str = "p") -> Rollout:
    return Rollout(problem, 0, PROMPT, ids_of(text))


WHOLE = "".join(LINES) + END


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize(
    ("way", "needs", "left"),
    [
        # Who needs every line keeps every line, and a trace with one that is useless loses that alone.
        ("lines", (0, 1, 2), (0, 1, 2)),
        ("lines", (0, 2), (0, 2)),
        ("lines", (0, 1), (0, 1)),
        ("lines", (1, 2), (1, 2)),
        ("lines", (), ()),
        ("end", (0, 1, 2), (0, 1, 2)),
        ("end", (0, 1), (0, 1)),
        ("end", (0,), (0,)),
        ("end", (0, 2), (0, 1, 2)),
        ("end", (), ()),
    ],
)
def test_lines_are_left_out_where_the_expert_comes_to_the_answer_without_them(
    tmp_path: Path, way: str, needs: tuple[int, ...], left: tuple[int, ...], checked: bool
) -> None:
    world = Traces(tmp_path, needs, [said(WHOLE)], "5" if checked else None)
    made, (rollout,), counts = world.shaped(checked, prune=way)
    assert rollout == said("".join(LINES[place] for place in left) + END)
    assert counts["dropped_lines"] == len(LINES) - len(left)
    assert made.statistics["tried_lines"] == (3 if way == "lines" else 2)
    assert made.statistics["continuations"] == len(world.engine.asked)
    assert made.statistics["unanswered"] == 0


def test_a_minimal_trace_stays_token_for_token_however_it_is_written(tmp_path: Path) -> None:
    """Ids that its tokenizer would not choose are not chosen anew."""
    spelt = tuple(token for letter in "We" for token in render_answer(load_tokenizer(expert()), letter))
    own = replace(said(WHOLE), completion_ids=(*spelt, *ids_of(WHOLE)[1:]))
    assert own != said(WHOLE)
    _, (left,), _ = Traces(tmp_path, (0, 1, 2), [own]).shaped(True, prune="lines")
    assert left == own


def test_a_line_is_tried_after_what_was_left_out_before_it(tmp_path: Path) -> None:
    world = Traces(tmp_path, (2,), [said(WHOLE)])
    world.shaped(True, prune="lines")
    assert world.engine.asked == ["C", "S", "The"]


def test_no_more_lines_are_tried_than_stride_and_cap_allow(tmp_path: Path) -> None:
    for name, shape, tried in (("a", {"stride": 2}, 4), ("b", {"cap": 1}, 1), ("c", {"tokens": 1}, 6)):
        (tmp_path / name).mkdir()
        world = Traces(tmp_path / name, (), [said(WHOLE), said(WHOLE, "q")])
        made, left, counts = world.shaped(True, prune="lines", **shape)
        assert made.statistics["tried_lines"] == tried
        assert len(left) == 2
        # What is cut has failed; every other line that was tried is left out.
        assert counts["dropped_lines"] == (0 if "tokens" in shape else tried)


def test_a_stride_of_one_is_what_is_tried_where_nothing_is_said() -> None:
    every = PruneByTrying(prune="lines", stride=1)
    assert every.model_dump(mode="json") == PruneByTrying(prune="lines").model_dump(mode="json")


def test_an_answer_that_would_be_another_one_without_a_line_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last box counts, and without that the one before it."""
    lines, end = ("First we have \\boxed{7}. ", "So we have \\boxed{5}. "), "The answer is 5."
    monkeypatch.setattr("tests.pipeline.test_shortenings.LINES", lines)
    monkeypatch.setattr("tests.pipeline.test_shortenings.END", end)
    world = Traces(tmp_path, (0,), [said("".join(lines) + end)])
    made, left, counts = world.shaped(True, prune="lines")
    assert (made.statistics["tried_lines"], made.statistics["failed_lines"]) == (2, 1)
    assert (left, counts["left_out"], counts["dropped_lines"]) == ([], {"another answer than before": 1}, 0)


def test_an_answer_that_says_nothing_is_left_out_and_counted(tmp_path: Path) -> None:
    world = Traces(tmp_path, (), [said("Nothing to be read here.")], None)
    made, left, counts = world.shaped(False, prune="end")
    assert (left, counts["left_out"]) == ([], {"no final answer": 1})
    assert made.statistics == {
        "unanswered": 1,
        "continuations": 0,
        "continued_tokens": 0,
        "tried_lines": 0,
        "failed_lines": 0,
    }
