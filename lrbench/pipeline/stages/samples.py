"""From rollouts to samples: both models' scores, and an arm's selector and target over them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.errors import RunError
from lrbench.methods.attempts import Parting
from lrbench.methods.continued import Continuing
from lrbench.methods.fidelity import CORRECTED, Fidelity, kept_as_scripted
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.plugins import CHANGED, identity_of
from lrbench.methods.readings import PAIR, Reading
from lrbench.methods.steps import Views, unscored
from lrbench.models.checkpoint import shipped_processors
from lrbench.models.source import LocatedModel, model_identity
from lrbench.models.turn_marks import MARKS, turn_marks
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.checking import About, Check
from lrbench.pipeline.stages.deriving import DerivedAmateur
from lrbench.pipeline.stages.rollouts import RolloutSource, parquet_files
from lrbench.pipeline.stages.sharding import Shard, Shards
from lrbench.pipeline.stages.tasks import Known, Scoring, Task
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.references import model_name
from lrbench.results.records import name_in_record
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lrbench.pipeline.holding.pair import Pair
    from lrbench.pipeline.stages.attempts import Attempts
    from lrbench.pipeline.stages.continuations import Continuations
    from lrbench.pipeline.stages.training import TrainedAdapter
    from lrbench.sampling.coverage import CoveredMass
    from lrbench.sampling.rollouts import Rollout
    from lrbench.sampling.samples import Samples
    from lrbench.sampling.scores import Scores

logger = logging.getLogger(__name__)

ROLLOUTS_PER_SHARD = 64
# Up to this much on disk, what samples are made from is read once for all points of a sweep.
KEPT_BYTES = 16 * 2**20
# The stages whose adapters the two models have on, by the names under which scores read them.
ADAPTERS = ("expert adapter", "amateur adapter")


@dataclass(frozen=True)
class PairScores(Stage):
    """Two models' view of every step of the rollouts, sparse down to alpha_min.

    `expert` is the reading's first model and `amateur` its second, whoever wrote the rollouts.

    `adapters` are those of other arms that the models have on. With `least_mass` the pair is aligned by
    tokens, and that much has to be on those it shares.
    """

    name: ClassVar[str] = "scores"
    version: ClassVar[int] = 4
    changes: ClassVar[Mapping[int, str]] = {
        4: "scores also hold what both models give to the token that was written, the reverse divergence and "
        "the amateur's certainty"
    }
    new_fields: ClassVar[Mapping[str, str]] = MARKS

    expert: LocatedModel
    amateur: LocatedModel
    rollouts: RolloutSource
    alpha_min: float
    derived: DerivedAmateur | None = None
    least_mass: float | None = None
    adapters: tuple[TrainedAdapter | None, TrainedAdapter | None] = (None, None)
    fidelity: Fidelity = CORRECTED

    @property
    def label(self) -> str:
        """For people."""
        return self.label_under({})

    def label_under(self, names: Mapping[str, str]) -> str:
        """The names of the arms whose adapters are read stand for their titles."""
        worn = [adapter and names.get(adapter.arm, adapter.arm) for adapter in self.adapters]
        first, second = (
            model_name(model.name) if arm is None else f"{model_name(model.name)} with {arm}"
            for model, arm in zip((self.expert, self.amateur), worn, strict=True)
        )
        return f"scores of {first} against {second}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Both models, how far down scores are stored, and how the tokens are aligned where they are.

        What the amateur reads of its own prompt is in the identities of its model and of the rollouts, but
        for the marks of its turns.
        """
        aligned = {} if self.least_mass is None else self._aligned
        return {
            "expert": model_identity(self.expert),
            "amateur": model_identity(self.amateur),
            "alpha_min": self.alpha_min,
            **aligned,
            **self._scripted,
        }

    @property
    def _scripted(self) -> dict[str, Any]:
        """The hazards, and what else they read of the expert's checkpoint."""
        processed = self.fidelity.distributions_processed and self.expert.here
        processors = {"processors": shipped_processors(self.expert)} if processed else {}
        return {**self.fidelity.identity, **processors}

    @property
    def _aligned(self) -> dict[str, Any]:
        amateur = turn_marks(self.amateur)
        turns = {
            "expert_turns": turn_marks(self.expert).ending,
            "amateur_turns": amateur.ending | amateur.control_text(self.rollouts.asked),
        }
        own = {name: marks for name, marks in turns.items() if marks}
        return {"align": "tokens", "least_mass": self.least_mass} | own

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The rollouts that are scored, the adapters, and the amateur where a stage makes it."""
        worn = dict(zip(ADAPTERS, self.adapters, strict=True))
        made = {name: stage for name, stage in ({"amateur": self.derived} | worn).items() if stage}
        return {"rollouts": self.rollouts} | made

    @property
    def size(self) -> int:
        """Problems behind the rollouts."""
        return self.rollouts.size

    def task(self, known: Known) -> Task:
        """Both models read every rollout."""
        return Scoring((self.expert, self.amateur), *self.rollouts.expected(known), ROLLOUTS_PER_SHARD)

    def checks(self, workspace: Workspace) -> Iterator[Check]:
        """Also whether the amateur can be built, and compared with the expert."""
        yield from super().checks(workspace)
        pair = workspace.pair_of(self.expert, self.amateur)
        models = None if (self.expert, self.amateur) == workspace.sources else (self.expert, self.amateur)
        yield Check(About.AMATEUR, models, pair.check_amateur)
        if self.expert != workspace.expert.source:
            yield Check(About.AMATEUR, self.expert, pair.expert.check)
        yield Check(About.TOKENS, self.key, partial(self.check_tokens, workspace))

    def check_tokens(self, workspace: Workspace) -> None:
        """Find out before any work whether the models can be compared. Raises `VocabularyMismatchError`."""
        if self.fidelity.vocabulary_cut:
            # The scripts compare id by id, whatever the ids stand for.
            return
        if self.least_mass is None:
            _ = workspace.pair_of(self.expert, self.amateur).shared_vocabulary
            return
        from lrbench.models.prompt import check_prompts

        _ = workspace.pair.alignment
        prompts = [self.rollouts.sampling.system_prompt]
        check_prompts(self.amateur.name, workspace.pair.tokenizers[1], prompts)

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit one Parquet file of scores per shard of rollouts, and what the token ids read as."""
        import numpy as np

        from lrbench.sampling.coverage import CoveredMass
        from lrbench.sampling.crowding import MOST_TOKENS
        from lrbench.sampling.retokenising import respelt
        from lrbench.sampling.rollouts import count_rollouts, iterate_rollouts
        from lrbench.sampling.scores import read_scores, write_scores
        from lrbench.sampling.scoring import score_rollouts
        from lrbench.sampling.token_texts import TOKENS_FILE, ids_of, token_texts, write_token_texts

        files = parquet_files(inputs["rollouts"])
        count = count_rollouts(files)
        pair = self.pair(inputs, workspace)
        covered = CoveredMass()
        steps = crowded = 0
        most_dropped = 0.0
        named: set[int] = set()
        changed = 0

        def score(shard: Shard[Rollout]) -> Callable[[Path], object]:
            if self.fidelity.hazards:
                scores = self._score_as_scripted(shard.units, shard.span.start, pair)
            elif self.least_mass is None:
                scores = score_rollouts(
                    pair.loaded, shard.units, alpha_min=self.alpha_min, first_index=shard.span.start
                )
            else:
                scores = self._score_by_tokens(shard.units, shard.span.start, workspace, covered)
            return partial(write_scores, scores=scores)

        shards = Shards(count, ROLLOUTS_PER_SHARD, ".parquet")
        for shard in shards.work(iterate_rollouts(files), draft, progress, score):
            scores = read_scores([draft.path(f"{shard.name}.parquet")])
            if self.least_mass is not None:
                covered.add(scores)
            if scores.dropped is not None:
                crowded += int(np.count_nonzero(scores.dropped))
                most_dropped = max(most_dropped, float(scores.dropped.max()))
            if self.fidelity.amateur_retokenised:
                steps_of = ((rollout, step) for rollout in shard.units for step in range(rollout.steps))
                changed += sum(1 for _ in respelt(workspace.expert.tokenizer, steps_of))
            named |= ids_of(shard.units, scores)
            steps += sum(rollout.steps for rollout in shard.units)
        texts = token_texts(workspace.expert.tokenizer, named)
        draft.commit(TOKENS_FILE, lambda path: write_token_texts(path, texts))
        if workspace.sources[1] in (self.expert, self.amateur):
            workspace.pair.release_amateur()
        workspace.hold_beside(())
        statistics: dict[str, Any] = {"rollouts": count, "steps": steps}
        if self.fidelity.amateur_retokenised:
            statistics["respelt_steps"] = changed
        if not crowded:
            return statistics
        logger.warning(
            "%s: %s of %s steps have more than %d plausible tokens; the likeliest are kept, and up to %.1f%% "
            "of the probability is on the others",
            self.label,
            f"{crowded:,}",
            f"{steps:,}",
            MOST_TOKENS,
            100 * most_dropped,
        )
        return {**statistics, "crowded_steps": crowded, "most_dropped": most_dropped}

    def pair(self, inputs: Mapping[str, Artifact], workspace: Workspace) -> Pair:
        """Both models, each with its adapter, once the stages that make them are finished."""
        if "amateur" in inputs:
            workspace.pair.amateur.place(inputs["amateur"].directory)
        first, second = (inputs[name].directory if name in inputs else None for name in ADAPTERS)
        return workspace.pair_of(self.expert, self.amateur, (first, second))

    def _score_as_scripted(self, group: list[Rollout], first_index: int, pair: Pair) -> Scores:
        from lrbench.sampling.reference_scores import score_as_scripted
        from lrbench.sampling.scoring import LoadedPair

        if self.fidelity.vocabulary_cut:
            loaded = LoadedPair(pair.expert.weights, pair.amateur.weights, pair.expert.vocabulary)
        else:
            loaded = pair.loaded
        return score_as_scripted(
            loaded,
            group,
            self.fidelity,
            alpha_min=self.alpha_min,
            first_index=first_index,
            processors=self._scripted.get("processors", {}),
            tokenizer=pair.expert.tokenizer,
        )

    def _score_by_tokens(
        self, group: list[Rollout], first_index: int, workspace: Workspace, earlier: CoveredMass
    ) -> Scores:
        from lrbench.sampling.coverage import check_coverage
        from lrbench.sampling.scoring import score_rollouts

        assert self.least_mass is not None
        pair, tokenizers = workspace.pair.loaded_aligned, workspace.pair.tokenizers
        system_prompt = self.rollouts.sampling.system_prompt
        readings = [
            workspace.pair.translator.reading(rollout, self._texts[rollout.problem_id], system_prompt)
            for rollout in group
        ]
        scores = score_rollouts(
            pair, group, alpha_min=self.alpha_min, first_index=first_index, readings=readings
        )
        covered = replace(earlier)
        covered.add(scores)
        check_coverage(covered, self.least_mass, pair, group, readings, tokenizers)
        return scores

    @cached_property
    def _texts(self) -> dict[str, str]:
        """Problem id -> its text."""
        problems = self.rollouts.problems
        return dict(zip(problems.ids, problems.texts, strict=True))


@dataclass(frozen=True)
class ArmSamples(Stage):
    """An arm's completed selector and target applied: kept steps with what is learnt at each."""

    name: ClassVar[str] = "samples"
    version: ClassVar[int] = 2
    own_fields: ClassVar[Mapping[str, str]] = CHANGED

    rollouts: RolloutSource
    readings: tuple[tuple[Reading, PairScores], ...]
    ingredients: Ingredients
    fidelity: Fidelity = CORRECTED
    continued: tuple[tuple[Continuing | Parting, Continuations | Attempts], ...] = ()

    @property
    def scores(self) -> PairScores | None:
        """Those of the pair, where they are needed."""
        return dict(self.readings).get(PAIR)

    @property
    def label(self) -> str:
        """For people."""
        return f"samples ({self.ingredients.selector.label} steps, {self.ingredients.target.label} target)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """The selector and the target with the thresholds they use, and which packages these come from."""
        own = identity_of(self.ingredients.selector, self.ingredients.target)
        return {**own, **self.ingredients.of_targets, **self.fidelity.identity}

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """Rollouts, and the scores and continuations that the selector or target needs."""
        scores = {input_name(reading): scores for reading, scores in self.readings}
        return {"rollouts": self.rollouts} | scores | {name: stage for name, _, stage in self.seen_by_name}

    @property
    def seen_by_name(self) -> Iterator[tuple[str, Continuing | Parting, Continuations | Attempts]]:
        """Continuations and attempts that the selector sees, by the names under which they are read.

        A record has the same names for them.
        """
        counts: Counter[str] = Counter()
        for found_out, stage in self.continued:
            counts[stage.name] += 1
            yield name_in_record(stage.name, counts[stage.name]), found_out, stage

    @property
    def size(self) -> int:
        """One pass."""
        return 1

    def expected_kept(self, known: Known) -> float:
        """How many steps are kept, or are expected to be."""
        found = known.statistics(self)
        if found is not None:
            return float(found["kept_steps"])
        rollouts, steps = self.rollouts.expected(known)
        return rollouts * steps * self.ingredients.selector.share

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit the kept steps of the rollouts, a shard's worth of which is in memory at a time."""
        import numpy as np

        from lrbench.sampling.divergence import DivergenceSums
        from lrbench.sampling.oddity import Habits, without
        from lrbench.sampling.rollouts import iterate_rollouts
        from lrbench.sampling.samples import STEPS_FILE, build_samples, keeper, write_steps

        least_mass = None if self.scores is None else self.scores.least_mass
        sums = DivergenceSums(least_mass)
        counts: list[int] = []
        lost: list[NDArray[np.float64]] = [np.zeros(0)]
        target = self.ingredients.target
        threshold = self.ingredients.selector.threshold
        odd_steps: list[int] = []
        told_odd = target.contrasts or target.leaves_out_odd

        def samples() -> Iterator[Samples]:
            parts = partial(self._parts, inputs, workspace)
            keep = keeper(self.ingredients.selector, lambda: (part.seen for part in parts()), least_mass)
            habits = None
            if told_odd:
                habits = Habits.of(iterate_rollouts(parquet_files(inputs["rollouts"])))
            for part in parts():
                kept = kept_as_scripted(self.fidelity, keep(part.seen), part.seen, threshold)
                built = build_samples(
                    part.rollouts, part.views, self.ingredients, least_mass, kept, part.first_rollout
                )
                if habits is not None:
                    odd = habits.odd(built)
                    odd_steps.append(int(odd.sum()))
                    if target.leaves_out_odd:
                        built, kept[kept] = without(built, odd), ~odd
                if PAIR in part.views:
                    sums.add(part.views[PAIR], kept)
                at_each = target.lost(part.views)
                lost.append(at_each[kept] if len(at_each) else at_each)
                yield built

        draft.commit(STEPS_FILE, lambda path: counts.append(write_steps(path, samples())))
        progress.advance(1)
        missing = np.concatenate(lost)
        if refusal := target.refusal(missing):
            raise RunError(f"{self.label}: {refusal}")
        if remark := target.remark(missing):
            logger.warning("%s: %s", self.label, remark)
        statistics: dict[str, Any] = {"kept_steps": counts[-1]}
        if told_odd:
            odd, left_out = sum(odd_steps), target.leaves_out_odd
            # Of those that are selected, whether they are learnt or not.
            selected = counts[-1] + (odd if left_out else 0)
            statistics |= {"odd_steps": odd, "share_odd": odd / max(1, selected)}
            if left_out:
                logger.info("%s: %s odd steps are left out", self.label, f"{odd:,}")
        if self.scores is not None:
            statistics["divergence"] = sums.statistics()
        return statistics

    def _parts(self, inputs: Mapping[str, Artifact], workspace: Workspace) -> Iterable[Part]:
        """Rollouts and their scores, where there are any, one part after the other.

        What is small is kept for the run: a sweep reads the same for every one of its points.
        """
        size = sum(record.size for artifact in inputs.values() for record in artifact.files)
        # Two names of one model have one artifact, and what is kept of it has the views of one of them.
        if size > KEPT_BYTES or self.continued or any(reading != PAIR for reading, _ in self.readings):
            return self._read_parts(inputs)
        decisive = inputs[input_name(PAIR) if self.readings else "rollouts"]
        kept: list[Part] = workspace.read_once(decisive, lambda _: list(self._read_parts(inputs)))
        return kept

    def _read_parts(self, inputs: Mapping[str, Artifact]) -> Iterator[Part]:
        from lrbench.sampling.continuing import read_verdicts
        from lrbench.sampling.rollouts import groups_of, iterate_rollouts
        from lrbench.sampling.scores import read_scores

        groups = groups_of(iterate_rollouts(parquet_files(inputs["rollouts"])), ROLLOUTS_PER_SHARD)
        files = {reading: parquet_files(inputs[input_name(reading)]) for reading, _ in self.readings}
        verdicts = {
            found_out.view: read_verdicts(parquet_files(inputs[name]))
            for name, found_out, _ in self.seen_by_name
        }
        for number, group in enumerate(groups):
            first, lengths = number * ROLLOUTS_PER_SHARD, [rollout.steps for rollout in group]
            views = {reading: read_scores([paths[number]]) for reading, paths in files.items()}
            continued = {name: found.view(lengths, first) for name, found in verdicts.items()}
            yield Part(first, group, views, continued)


@dataclass(frozen=True)
class Part:
    """Rollouts that follow one another in a source, from its `first_rollout` on, and their scores.

    `continued` is what became of other tokens at their steps, by the name of the view.
    """

    first_rollout: int
    rollouts: list[Rollout]
    views: Mapping[Reading, Scores]
    continued: Views = field(default_factory=dict)

    @property
    def seen(self) -> Views:
        """What a selector sees, also of rollouts that nobody has scored."""
        bare = {PAIR: unscored([rollout.steps for rollout in self.rollouts], self.first_rollout)}
        return {**(self.views or bare), **self.continued}


def kept_samples(samples: Artifact, rollouts: Artifact) -> Samples:
    """What an arm learns from: the kept steps in `samples`, of the `rollouts` that they were made from."""
    from lrbench.sampling.samples import ROLLOUTS_FILE, STEPS_FILE, read_samples

    # Earlier versions copied the rollouts into every artifact of samples.
    copied = [samples.file(ROLLOUTS_FILE)] if any(f.name == ROLLOUTS_FILE for f in samples.files) else None
    return read_samples(copied or parquet_files(rollouts), samples.file(STEPS_FILE))


def input_name(reading: Reading) -> str:
    """The name under which samples read the scores of a reading, and an arm's record has their stage."""
    return "scores" if reading == PAIR else f"scores {' '.join(reading)}"
