"""Counts what really happens while stages work, where it happens: tokens, gold answers, models, lessons.

What stages say of it themselves is not asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Happened:
    """What happened while one stage was at work.

    `drawn` are tokens that models chose, taken or not, and `passes` the forwards of models that chose one or
    judged one. `learnt` are the places with a loss, each as often as an update had it. `read` counts answers
    and solutions of training problems that somebody looked at. `models` are the weights that went forward,
    by their sums, and `bodies` the models in memory.
    """

    drawn: int = 0
    passes: int = 0
    learnt: list[tuple[Any, ...]] = field(default_factory=list)
    read: int = 0
    models: set[float] = field(default_factory=set)
    bodies: set[int] = field(default_factory=set)


class Count:
    """What happened by the key of the stage that was at work."""

    def __init__(self) -> None:
        self.by_stage: dict[str, Happened] = defaultdict(Happened)
        self._now: list[str] = []
        self._sums: dict[int, float] = {}
        # What is told apart by its place in memory has to stay there.
        self._held: list[Any] = []

    @property
    def now(self) -> Happened | None:
        """Of the stage that is at work."""
        return self.by_stage[self._now[-1]] if self._now else None

    @contextmanager
    def of(self, key: str | None) -> Iterator[None]:
        """What happens meanwhile is of this stage, or of none."""
        before, self._now = self._now, [key] if key else []
        try:
            yield
        finally:
            self._now = before

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count from here on."""
        with pytest.MonkeyPatch.context() as patch:
            self._watch_stages(patch)
            self._watch_choosing(patch)
            self._watch_learning(patch)
            self._watch_models(patch)
            self._watch_labels(patch)
            yield

    def _watch_stages(self, patch: pytest.MonkeyPatch) -> None:
        from lrbench.pipeline.runner import Runner
        from lrbench.sampling.engines import refilling

        make, trial = Runner._make, refilling._trial

        def made(runner: Any, stage: Any, *others: Any) -> Any:
            work = stage.work

            def counted(*given: Any) -> Any:
                with self.of(stage.key):
                    return work(*given)

            vars(stage)["work"] = counted
            try:
                return make(runner, stage, *others)
            finally:
                del vars(stage)["work"]

        def unseen(model: Any) -> bool:
            with self.of(None):
                return trial(model)

        patch.setattr(Runner, "_make", made)
        patch.setattr(refilling, "_trial", unseen)

    def _watch_choosing(self, patch: pytest.MonkeyPatch) -> None:
        from lrbench.sampling.engines import lockstep
        from lrbench.sampling.engines.accepting import Accepting
        from lrbench.sampling.engines.decoding import Decoder

        write, drawn = Decoder._write, Accepting._drawn
        likely, looks = lockstep.token_log_probabilities, lockstep.next_log_probabilities

        def written(decoder: Any, rows: Sequence[Any], logits: Sequence[Any]) -> None:
            if self.now is not None:
                self.now.passes += len(rows) * len(logits)
                # One token each, unless it is drawn until it is taken.
                self.now.drawn += 0 if isinstance(decoder.chooser, Accepting) else len(rows)
            write(decoder, rows, logits)

        def draws(policy: Any, *given: Any) -> Any:
            found = drawn(policy, *given)
            if self.now is not None:
                self.now.drawn += len(found)
            return found

        def passing(act: Callable[..., Any]) -> Callable[..., Any]:
            def passed(model: Any, prompts: Sequence[Any], *others: Any) -> Any:
                if self.now is not None:
                    self.now.passes += len(prompts)
                return act(model, prompts, *others)

            return passed

        patch.setattr(Decoder, "_write", written)
        patch.setattr(Accepting, "_drawn", draws)
        patch.setattr(lockstep, "token_log_probabilities", passing(likely))
        patch.setattr(lockstep, "next_log_probabilities", passing(looks))

    def _watch_learning(self, patch: pytest.MonkeyPatch) -> None:
        from lrbench.training.gradients import Gradients

        of = Gradients.of

        def learnt(gradients: Any, update: int, portion: Any) -> Any:
            samples = portion.samples
            if self.now is not None:
                self._held.append(samples)
                places = zip(samples.rollout[portion.steps], samples.step[portion.steps], strict=True)
                self.now.learnt += [(id(samples), int(rollout), int(step)) for rollout, step in places]
            return of(gradients, update, portion)

        patch.setattr(Gradients, "of", learnt)

    def _watch_models(self, patch: pytest.MonkeyPatch) -> None:
        from transformers import LlamaModel, Qwen2Model

        for architecture in (LlamaModel, Qwen2Model):
            forward = architecture.forward

            def forwarded(body: Any, *given: Any, _forward: Any = forward, **named: Any) -> Any:
                if self.now is not None:
                    self._held.append(body)
                    self.now.bodies.add(id(body))
                    self.now.models.add(self._sum(body))
                return _forward(body, *given, **named)

            patch.setattr(architecture, "forward", forwarded)

    def _sum(self, body: Any) -> float:
        if id(body) not in self._sums:
            self._sums[id(body)] = sum_of(body)
        return self._sums[id(body)]

    def _watch_labels(self, patch: pytest.MonkeyPatch) -> None:
        from lrbench.sampling.problems import Problems

        for name in ("answers", "solutions"):

            def read(problems: Any, name: str = name) -> Any:
                if self.now is not None:
                    self.now.read += 1
                return vars(problems)[name]

            def keep(problems: Any, value: Any, name: str = name) -> None:
                vars(problems)[name] = value

            patch.setattr(Problems, name, property(read, keep), raising=False)


def sum_of(body: Any) -> float:
    """What tells the weights of a body from those of others: nothing here changes its embeddings."""
    return float(body.embed_tokens.weight.detach().double().sum())
