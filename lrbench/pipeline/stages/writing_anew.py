"""Rollouts that the model in training writes every few updates, read by the models of an arm's readings."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from lrbench.errors import NothingKeptError, RunError
from lrbench.methods.learner import EARLIER, LEARNER, MOVING
from lrbench.methods.readings import PAIR, Reading
from lrbench.methods.steps import Views, unscored
from lrbench.models.loading import load_model
from lrbench.pipeline.holding.pair import Pair
from lrbench.pipeline.stages.rollouts import AskedRollouts
from lrbench.pipeline.stages.samples import ArmSamples
from lrbench.pipeline.stages.solutions import row_seed
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Lora
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import Decoding, Request
from lrbench.sampling.engines.wrapping import WrappingEngine
from lrbench.sampling.rollouts import Rollout, write_rollouts
from lrbench.sampling.samples import (
    Samples,
    build_samples,
    keeper,
    read_samples,
    rollout_bounds,
    write_steps,
)
from lrbench.sampling.scores import Scores
from lrbench.sampling.scoring import score_rollouts
from lrbench.store.draft import Draft
from lrbench.training.adapters import adapter_state, attach_adapter, restore_adapter
from lrbench.training.drawing import Draws
from lrbench.training.portions import Portion

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Window:
    """The updates from `first` on that learn from the same rollouts, and which problems each draws."""

    first: int
    problems: tuple[tuple[int, ...], ...]

    @property
    def name(self) -> str:
        """Its files begin with this."""
        return f"written-{self.first:06d}"

    @property
    def asked(self) -> list[int]:
        """Every problem once, in the order of the source."""
        return sorted({index for drawn in self.problems for index in drawn})


@dataclass(frozen=True)
class Anew:
    """Has problems answered by the model in training every so many updates, and read by other models.

    What it wrote and what is learnt from that is committed to the draft before anything is learnt from it, so
    that a training which goes on from a save finds it there. What is drawn, and with which random numbers it
    is sampled, depends on the seed and the update alone. `samples` say what is written and how targets are
    made; `pairs` are the models of its readings.
    """

    samples: ArmSamples
    pairs: Mapping[Reading, Pair]
    every: int
    per_update: int
    updates: int
    draft: Draft
    workspace: Workspace
    seed: int
    lora: Lora
    problems: int | None = None

    def portions(self, adapted: PeftModel, done: int) -> Iterator[Portion]:
        """Those of the updates after the first `done`, without end."""
        held: tuple[Window, Samples, Mapping[str, Sequence[int]]] | None = None
        for update in count(done):
            window = self.window(update)
            measured: dict[str, float] = {}
            if held is None or held[0] != window:
                samples = self._written(adapted, window)
                held = window, samples, _steps_of_problems(samples)
                if update == window.first:
                    measured = self._measured(window)
            yield Portion(held[1], self._steps(window, update, held[2]), measured=measured)

    def has(self, update: int) -> bool:
        """Whether what an update learns from is there, or can be written once the updates before are done.

        What those have learnt from is counted at the end, so it has to be there too.
        """
        return all(self._is_whole(self.window(first)) for first in range(0, update, self.every))

    def window(self, update: int) -> Window:
        """The one that an update is in."""
        first = update - update % self.every
        last = max(min(first + self.every, self.updates), update + 1)
        each = self.per_update
        drawn = (
            tuple(self._draws.at(place) for place in range(each * number, each * number + each))
            for number in range(first, last)
        )
        return Window(first, tuple(drawn))

    def statistics(self, updates: int) -> dict[str, Any]:
        """Costs of so many updates. Raises `NothingKeptError` where none of them has learnt anything."""
        learnt: set[str] = set()
        tuned = 0
        facts = []
        for first in range(0, updates, self.every):
            window = self.window(first)
            samples, fact = self._read(window), self._facts(window)
            facts.append(fact)
            done = range(first, min(first + len(window.problems), updates))
            own = _steps_of_problems(samples)
            steps = sorted({step for update in done for step in self._steps(window, update, own)})
            tuned += len(steps)
            learnt |= {
                samples.rollouts[rollout].problem_id for rollout in np.unique(samples.rollout[steps]).tolist()
            }
        if not tuned:
            written = sum(fact["rollouts"] for fact in facts)
            raise NothingKeptError(
                f"of {written:,} rollouts that the model in training wrote no step was kept, so nothing was "
                "learnt; lower the selector's threshold, or choose another one"
            )
        return {
            "tuned_tokens": tuned,
            "problems": len(learnt),
            "sampled_problems": sum(fact["problems"] for fact in facts),
            "sampled_completions": sum(fact["completions"] for fact in facts),
            "sampled_tokens": sum(fact["tokens"] for fact in facts),
            "rewritings": len(facts),
        }

    @property
    def _source(self) -> AskedRollouts:
        # What the model in training writes anew asks the problems; recipes are held to that.
        return cast("AskedRollouts", self.samples.rollouts)

    @cached_property
    def _draws(self) -> Draws:
        return Draws(range(len(self._source.problems.ids))[: self.problems], self.seed)

    def _steps(self, window: Window, update: int, own: Mapping[str, Sequence[int]]) -> list[int]:
        """The kept steps of the rollouts of an update, problem by problem as they were drawn."""
        ids = self._source.problems.ids
        drawn = window.problems[update - window.first]
        return [step for index in drawn for step in own.get(ids[index], ())]

    def _measured(self, window: Window) -> dict[str, float]:
        facts = self._facts(window)
        mean = facts["tokens"] / max(1, facts["completions"])
        return {"written_tokens": float(facts["tokens"]), "completion_tokens": mean}

    def _written(self, adapted: PeftModel, window: Window) -> Samples:
        """What the updates of a window learn from; nothing but the adapter changes it."""
        if not self._is_whole(window):
            adapted.eval()
            try:
                self._write(adapted, window)
            finally:
                adapted.train()
        return self._read(window)

    def _is_whole(self, window: Window) -> bool:
        """Whether every file of a window is committed and undamaged."""
        kinds = ("json", "rollouts.parquet", *(("safetensors",) if self._moving else ()), "steps.parquet")
        return all(self.draft.has(f"{window.name}.{kind}") for kind in kinds)

    def _read(self, window: Window) -> Samples:
        paths = (self.draft.path(f"{window.name}.{kind}.parquet") for kind in ("rollouts", "steps"))
        rollouts, steps = paths
        return read_samples([rollouts], steps)

    def _facts(self, window: Window) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.draft.path(f"{window.name}.json").read_text())
        return found

    def _write(self, adapted: PeftModel, window: Window) -> None:
        """Commit rollouts, what is counted of them, and last the steps with their targets."""
        engine = Counting(self.workspace.engines.writing_with(adapted.get_base_model(), self._source.stops))
        source = self._seeded(window.first)
        rollouts = source.make(window.name, window.asked, Nowhere(), self.workspace, engine)
        facts = {
            "problems": len(window.asked),
            "completions": engine.completions,
            "tokens": engine.tokens,
            "rollouts": len(rollouts),
        }
        samples = self._samples(adapted, window, rollouts)
        commit = self.draft.commit
        commit(f"{window.name}.json", partial(Path.write_text, data=json.dumps(facts)))
        commit(f"{window.name}.rollouts.parquet", partial(write_rollouts, rollouts=rollouts))
        if self._moving:
            state = adapter_state(adapted)
            commit(f"{window.name}.safetensors", lambda path: save_file(state, path))
        commit(f"{window.name}.steps.parquet", partial(_write_steps, samples=samples))

    def _seeded(self, update: int) -> AskedRollouts:
        """The source with a seed of its own for what is sampled from this update on."""
        return self._source.seeded(row_seed(self.seed, "online", update)) if update else self._source

    def _samples(self, adapted: PeftModel, window: Window, rollouts: Sequence[Rollout]) -> Samples:
        """The kept steps of the rollouts, with targets. Raises `RunError` for targets that lack much."""
        ingredients = self.samples.ingredients
        views = self._views(adapted, window, rollouts) if rollouts else {}
        seen: Views = views or {PAIR: unscored([rollout.steps for rollout in rollouts], 0)}
        kept = keeper(ingredients.selector, lambda: [seen], None)(seen)
        target = ingredients.target
        at_each = target.lost(views) if views else np.zeros(0)
        lost = at_each[kept] if len(at_each) else at_each
        if refusal := target.refusal(lost):
            raise RunError(f"{self.samples.label}: {refusal}")
        if not window.first and (remark := target.remark(lost)):
            logger.warning("%s: %s", self.samples.label, remark)
        return build_samples(rollouts, views, ingredients, None, kept)

    # The models that read what was written

    def _views(
        self, adapted: PeftModel, window: Window, rollouts: Sequence[Rollout]
    ) -> dict[Reading, Scores]:
        views = {}
        with ExitStack() as stack:
            # The expert of a reading is the untrained one.
            stack.enter_context(adapted.disable_adapter())
            for reading, scores in self.samples.readings:
                loaded = self.pairs[reading].loaded
                worn = [self._worn(name, adapted, window) if name in MOVING else None for name in reading]
                loaded = replace(loaded, expert=worn[0] or loaded.expert, amateur=worn[1] or loaded.amateur)
                views[reading] = score_rollouts(loaded, rollouts, alpha_min=scores.alpha_min)
        return views

    @property
    def _moving(self) -> set[str]:
        """The names in readings by which the model in training is meant."""
        return {name for reading, _ in self.samples.readings for name in reading} & set(MOVING)

    @cached_property
    def _copies(self) -> dict[str, PeftModel]:
        """Copies of the expert that the model in training is put into, to be read as it was at one moment."""
        expert, steers = self.workspace.expert, self.samples.ingredients.change.steers
        return {
            name: attach_adapter(
                load_model(expert.located, expert.machine.device), self.lora, self.seed, steers=steers
            )
            for name in sorted(self._moving)
        }

    def _worn(self, name: str, adapted: PeftModel, window: Window) -> Any:
        """The model in training, as it is now or was when it wrote before; at first it is as it began."""
        copy = self._copies[name]
        before = self.window(window.first - 1) if window.first else None
        state: dict[str, Tensor]
        if name == LEARNER or before is None:
            state = adapter_state(adapted)
        else:
            assert name == EARLIER
            state = load_file(self.draft.path(f"{before.name}.safetensors"))
        restore_adapter(copy, state)
        copy.eval()
        return copy.get_base_model()


def _steps_of_problems(samples: Samples) -> dict[str, list[int]]:
    """The kept steps of all rollouts of a problem, by its id."""
    own: dict[str, list[int]] = {}
    bounds = rollout_bounds(samples).tolist()
    for start, end in pairwise(bounds):
        problem = samples.rollouts[int(samples.rollout[start])].problem_id
        own.setdefault(problem, []).extend(range(start, end))
    return own


def _write_steps(path: Path, samples: Samples) -> int:
    return write_steps(path, [samples])


class Counting(WrappingEngine):
    """Counts the completions that another engine writes, and their tokens."""

    completions = 0
    tokens = 0

    def answer_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[Answered]:
        """As the other engine."""
        answers = self.engine.answer_requests(requests, decoding)
        self.completions += len(answers)
        self.tokens += sum(len(answered.completion) for answered in answers)
        return answers


class Nowhere:
    """A place whose files are not kept: what a source counts of a shard is counted here otherwise."""

    def has(self, name: str) -> bool:
        """Nothing is there."""
        return False

    def take(self, part: str) -> bool:
        """Nobody else makes any."""
        return True

    def expect(self, files: int, suffix: str) -> None:
        """Nothing is kept."""

    def commit(self, name: str, write: Callable[[Path], object], seconds: float = 0.0) -> None:
        """Nothing is kept."""
