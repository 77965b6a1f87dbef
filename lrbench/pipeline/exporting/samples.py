"""An arm's kept steps, in the fields of the paper's public scripts, and held against a file of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.errors import UserError
from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe.messages import did_you_mean
from lrbench.recipe.schema import Recipe
from lrbench.store.store import Store

if TYPE_CHECKING:
    from lrbench.models.loading import Tokenizer
    from lrbench.sampling.reference_files import ScriptedStep
    from lrbench.sampling.samples import Samples


def exported_samples(
    recipe: Recipe, arm: str, runs: Path, scripted: bool = False
) -> Iterator[dict[str, Any]]:
    """The kept steps of an arm of `recipe` that was run, in the fields of the paper's public scripts.

    As `scripted`, they are lines that the fine-tuning script can read: the question stands for the problem,
    and the prefix is the completion alone. Raises `UserError` for an arm the recipe does not have, or has
    several of, that learns nothing, or was not run.
    """
    from lrbench.sampling.samples import export_rows

    if scripted:
        return (step.model_dump(mode="json") for step in _scripted(recipe, arm, runs))
    samples, tokenizer, _ = _kept(recipe, arm, runs)
    return export_rows(samples, tokenizer)


def compared_samples(recipe: Recipe, arm: str, runs: Path, file: Path) -> str:
    """A sentence on the kept steps of an arm against those of a file that the sampling script has written.

    Raises `UserError` as `exported_samples` does, and `DataError` for a line that is none of such a file.
    """
    from lrbench.sampling.reference_files import compared, read_scripted_steps

    found = compared(_scripted(recipe, arm, runs), read_scripted_steps(file))
    text = (
        f"{found['both']:,} steps are in both, {found['ours_alone']:,} of {arm} alone and "
        f"{found['theirs_alone']:,} of {file} alone"
    )
    if found["both"]:
        text += f"; {found['same_tokens']:,} of those in both have the same tokens"
    for name, what in (("weight", "weights of these differ"), ("kl", "divergences differ")):
        if found[name] is not None:
            text += f", {what} by at most {found[name]:.2g}"
    return f"{text}."


def _scripted(recipe: Recipe, arm: str, runs: Path) -> Iterator[ScriptedStep]:
    from lrbench.sampling.reference_files import scripted_steps

    return scripted_steps(*_kept(recipe, arm, runs))


def _kept(recipe: Recipe, arm: str, runs: Path) -> tuple[Samples, Tokenizer, dict[str, str]]:
    """The samples of an arm, the expert's tokenizer, and the question of every problem by its id."""
    plan = plan_recipe(recipe, runs)
    if plan.is_open:
        raise UserError(f"the points of {recipe.name} are not chosen yet; run the recipe first")
    named = [planned for planned in plan.arms if planned.arm.name == arm]
    if not named:
        arms = list(dict.fromkeys(planned.arm.name for planned in plan.arms))
        hint = did_you_mean(arm, arms)
        raise UserError(f"{recipe.name} has no arm {arm!r}; its arms are {', '.join(arms)}{hint}")
    if len(named) > 1:
        raise UserError(
            f"{recipe.name} has {len(named)} arms {arm!r}, by seeds and points; choose one with overrides "
            "such as seed=0 sweep=null"
        )
    adapter = named[0].adapter
    if adapter is None:
        raise UserError(f"the arm {arm!r} is not trained, so it has no samples")
    if adapter.writes:
        raise UserError(f"the arm {arm!r} learns from what it writes meanwhile, so no samples of it are kept")
    store = Store(runs / "store")
    artifact = store.find(adapter.samples.name, adapter.samples.key)
    if artifact is None:
        raise UserError(f"the samples of {arm!r} are not made yet; run the recipe first")
    rollouts = store.find(adapter.samples.rollouts.name, adapter.samples.rollouts.key)
    if rollouts is None:
        raise UserError(f"the rollouts that {arm!r} has samples of are not there; run the recipe again")
    from lrbench.models.loading import load_tokenizer
    from lrbench.pipeline.stages.samples import kept_samples

    samples = kept_samples(artifact, rollouts)
    problems = adapter.samples.rollouts.problems
    texts = dict(zip(problems.ids, problems.texts, strict=True))
    return samples, load_tokenizer(named[0].expert), texts
