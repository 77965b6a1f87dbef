"""What a probe asks of whom: the pairs of models that a recipe names, and training problems with answers.

No item of a benchmark is asked: a pair chosen by a test set would then be measured on what chose it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lrbench.errors import DataError, UserError
from lrbench.methods.answers import Gate, Mix
from lrbench.methods.component import AMATEUR, EXPERT
from lrbench.models.source import LocatedModel, locate
from lrbench.pipeline.planning import HASH_CACHE
from lrbench.pipeline.stages.answering import AnsweredBy, Reader
from lrbench.pipeline.stages.deriving import DerivedAmateur
from lrbench.pipeline.stages.rollouts import GreedyRollouts
from lrbench.recipe.expanding import expand
from lrbench.recipe.schema import ModelReference, Recipe
from lrbench.sampling.problems import Problems, load_problems
from lrbench.store.artifact import Artifact
from lrbench.store.keys import FileHashes
from lrbench.store.store import Store
from lrbench.suites.suite import Benchmark, measured_benchmarks


@dataclass(frozen=True)
class PairToProbe:
    """An expert and its amateur, with the `problems` chosen of those `available` to the recipe's training.

    `answer` is contrastive decoding where they differ by more than beta: without that gate it follows noise
    where they agree. `inputs` holds what a stage has made of the amateur. Problems are `asked_as` the items
    of the first benchmark are, under its system prompt and at its length.
    """

    expert: LocatedModel
    amateur: Reader
    inputs: Mapping[str, Artifact]
    answer: Mix
    asked_as: Benchmark
    problems: Problems
    available: int

    @property
    def together(self) -> AnsweredBy:
        """Both models, as one that answers."""
        return AnsweredBy(self.answer, (self.amateur, Reader(EXPERT, self.expert)))


def pairs_to_probe(recipe: Recipe, runs: Path, items: int) -> list[PairToProbe]:
    """Every different pair, gate or set of problems among what `recipe` stands for, in its order.

    Finds models, and fetches them where they are not here. Raises `UserError` where there is no amateur,
    where it is derived and not made yet under `runs`, and where no problem has an answer.
    """
    hashes = FileHashes(runs / HASH_CACHE)
    different: dict[tuple[object, ...], Recipe] = {}
    for variant in expand(recipe):
        different.setdefault(_asked(variant.recipe), variant.recipe)
    return [_pair(each, runs, items, hashes) for each in different.values()]


def _asked(recipe: Recipe) -> tuple[object, ...]:
    """What tells one probe from another; seeds, budgets and arms do not."""
    return (
        recipe.pair,
        recipe.divergence.alpha,
        recipe.divergence.beta,
        recipe.data,
        recipe.evaluation.suite,
        recipe.evaluation.lm_eval,
    )


def _pair(recipe: Recipe, runs: Path, items: int, hashes: FileHashes) -> PairToProbe:
    name = recipe.pair.amateur_name
    if name is None:
        raise UserError(
            f"{recipe.name} has no amateur, and a probe is of a pair; name one, such as "
            "pair.amateur.model=embedded/amateur"
        )
    problems = load_problems(recipe.data, recipe.runtime.data_root)
    chosen = spread(problems, items)
    expert = locate(recipe.pair.expert, hashes)
    amateur, inputs = _amateur(recipe, name, expert, problems, runs, hashes)
    gate = Gate(signal="kl", above=recipe.divergence.beta)
    answer = Mix(mix={EXPERT: 1.0, AMATEUR: -1.0}, alpha=recipe.divergence.alpha, when=gate)
    asked_as = measured_benchmarks(recipe.evaluation)[0]
    return PairToProbe(expert, amateur, inputs, answer, asked_as, chosen, len(problems.ids))


def _amateur(
    recipe: Recipe, name: str, expert: LocatedModel, problems: Problems, runs: Path, hashes: FileHashes
) -> tuple[Reader, dict[str, Artifact]]:
    """The amateur, and the artifact that it is where a stage has made it."""
    amateur = recipe.pair.amateur
    assert amateur is not None
    if amateur.derive is None:
        reference = ModelReference(model=name, revision=amateur.revision, dtype=amateur.dtype)
        return Reader(AMATEUR, locate(reference, hashes)), {}
    derived = DerivedAmateur(expert, GreedyRollouts(expert, problems, recipe.sampling), amateur.derive)
    made = Store(runs / "store").find(derived.name, derived.key)
    if made is None:
        raise UserError(
            f"{recipe.name}: the {derived.label} is not made yet in {runs}; `lrbench run` makes it for any "
            "arm that reads it, such as `cd` or `lightr`"
        )
    reader = Reader(AMATEUR, derived.amateur(name, amateur.dtype), made_by=derived)
    return reader, dict.fromkeys(reader.inputs, made)


def spread(problems: Problems, items: int) -> Problems:
    """At most `items` problems that have answers, spread evenly over all that do: always the same ones.

    Raises `DataError` where none has.
    """
    answered = [place for place, answer in enumerate(problems.answers) if answer is not None]
    if not answered:
        raise DataError(
            f'{problems.source}: no problem has an "answer", and a probe counts right ones; add them, or set '
            "data.train to a set that has them"
        )
    count = min(items, len(answered))
    chosen = problems.only([answered[index * len(answered) // count] for index in range(count)])
    # One grader reads all answers of a probe; this says where they are of several kinds.
    _ = chosen.benchmark
    return chosen
