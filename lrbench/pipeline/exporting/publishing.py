"""Exporting a result into a folder: written beside, checked, renamed; it appears whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.errors import ModelError, RecipeError, UserError
from lrbench.methods.plugins import lacking
from lrbench.models.source import LocatedModel, locate
from lrbench.pipeline.exporting.hub_results import measured_by, write_eval_results
from lrbench.pipeline.exporting.licences import licence_files, licence_of
from lrbench.pipeline.exporting.model_card import CardFacts, MergeCheck, model_card
from lrbench.pipeline.exporting.naming import find_result, full_name
from lrbench.pipeline.planning import HASH_CACHE
from lrbench.pipeline.stages.editing import EditedModel
from lrbench.pipeline.stages.lessons import ADAPTER_FILES
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.recipe.recorded import recorded_recipe
from lrbench.recipe.references import model_name
from lrbench.recipe.schema import ModelReference, Recipe
from lrbench.results.board import build_boards
from lrbench.results.ledger import Ledger, LedgerContents
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.results.text import plain
from lrbench.results.variations import PLAIN, variations
from lrbench.store.artifact import Artifact
from lrbench.store.keys import FileHashes
from lrbench.store.outside import check_target, new_folder

if TYPE_CHECKING:
    from lrbench.results.inspection import Inspector

HUB = "hub:"


@dataclass(frozen=True)
class Exported:
    """What was published: whose result, where, and for a merged model what the gate measured.

    `variant` is what sets the result apart from others of its name.
    """

    arm: ArmRecord
    variant: str
    folder: Path
    merge: MergeCheck | None

    def __str__(self) -> str:
        name = full_name(self.arm, self.variant)
        if self.merge is None:
            return f"{self.folder}: the adapter of {name}"
        found, bounds = self.merge.found, self.merge.bounds
        return (
            f"{self.folder}: {name} merged, {self.merge.dtype}. Read back and compared with "
            f"expert and adapter at {found.positions} positions: logits differ by up to "
            f"{found.difference:.3g} (allowed {bounds.difference:.3g}), the likeliest token is the same at "
            f"{found.top1:.2%} (needed {bounds.top1:.2%})."
        )


def export_result(
    name: str,
    runs: Path,
    to: Path,
    *,
    merge: bool,
    dtype: str | None = None,
    say: Callable[[str], None] = lambda _message: None,
) -> Exported:
    """Write the adapter of the result called `name` into the folder `to`, or with `merge` the whole model.

    `dtype` is that of a merged model; None is the one the expert was measured in. Raises `UserError` for
    a name, folder or dtype that cannot be meant, `ModelError` when the expert is not the recorded one,
    and `RunError` when what was written is not what was measured; nothing is published then.
    """
    if dtype is not None and not merge:
        raise UserError("--dtype is that of a merged model; add --merge, or leave it out for the adapter")
    contents = Ledger(runs / "ledger").read()
    arm = find_result(name, contents.arms)
    if arm.imported:
        raise UserError(f"{full_name(arm)} was imported from result files: its model is not here")
    if EditedModel.name in arm.stages:
        there = runs / "store" / EditedModel.name / arm.stages[EditedModel.name]
        raise UserError(
            f"{full_name(arm)} is the expert with other weights, a whole model that lies in "
            f"{plain(str(there))}; copy that folder"
        )
    if "train" not in arm.stages:
        raise UserError(
            f"{full_name(arm)} is the expert itself, untrained: there is no adapter and nothing to "
            f"merge; use {plain(arm.expert)} as it is"
        )
    check_target(to)
    scores = [score for score in contents.scores if score.arm_id == arm.arm_id]
    if not scores:
        raise UserError(f"{full_name(arm)} has no scores in the ledger; run its recipe again")
    weights = {score.arm_id: score.expert_weights for score in contents.scores}
    variant = variations(contents.arms, weights).get(arm.arm_id, PLAIN).words
    try:
        recipe = recorded_recipe(arm.recipe_yaml, f"the recorded recipe of {full_name(arm)}")
    except RecipeError as error:
        if lacks := lacking(arm.settings):
            raise UserError(f"{full_name(arm)}: {'; '.join(lacks)}") from error
        raise
    expert = _recorded_expert(arm, scores[0], runs)
    # Here and not above: it takes seconds to import, which a misspelt name must not cost.
    from lrbench.results.inspection import Inspector

    inspector = Inspector(runs)
    adapter = inspector.artifact(TrainedAdapter.name, arm.stages["train"])
    with new_folder(to, runs) as folder:
        check = None
        if merge:
            chosen = dtype or expert.dtype
            check = _merge(inspector, scores, expert, adapter, folder, chosen, say)
        else:
            _copy_adapter(adapter, folder, expert)
        for path in licence_files(expert.folder):
            shutil.copyfile(path, folder / path.name)
        facts = _facts(arm, variant, scores, contents, recipe, inspector, adapter, expert, check)
        (folder / "README.md").write_text(model_card(facts), encoding="utf-8")
        write_eval_results(folder, measured_by(facts.rows))
    return Exported(arm, variant, to, check)


def _merge(
    inspector: Inspector,
    scores: Sequence[ScoreRecord],
    expert: LocatedModel,
    adapter: Artifact,
    folder: Path,
    dtype: str,
    say: Callable[[str], None],
) -> MergeCheck:
    from lrbench.pipeline.exporting.gate import check_written, choose_items
    from lrbench.pipeline.exporting.merging import write_merged

    suite = [score for score in scores if score.suite == scores[0].suite]
    items = choose_items([inspector.items(score) for score in suite])
    if any("problem" not in item for item in items):
        raise UserError(
            "this result was measured by an older lrbench, whose items do not hold their problems; run its "
            "recipe again, then export"
        )
    say("merging in float32")
    system_prompt = suite[0].protocol.get("system_prompt")
    yardstick = write_merged(expert, adapter.directory, folder, dtype, items, system_prompt)
    say("reading the model back and comparing it with expert and adapter")
    found = check_written(folder, dtype, yardstick)
    return MergeCheck(dtype, found, yardstick.bounds, yardstick.expert_cast, len(items))


def _copy_adapter(adapter: Artifact, folder: Path, expert: LocatedModel) -> None:
    """The adapter as PEFT reads it, with the expert's name in the place of its weights' identity."""
    config_file, weights_file = ADAPTER_FILES
    config = json.loads(adapter.file(config_file).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = model_name(expert.name)
    config["revision"] = expert.folder.name if expert.identity.startswith(HUB) else None
    (folder / config_file).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    shutil.copyfile(adapter.file(weights_file), folder / weights_file)


def _recorded_expert(arm: ArmRecord, score: ScoreRecord, runs: Path) -> LocatedModel:
    """The expert a result was made from, found by its recorded name, and proven to be the same."""
    weights = score.expert_weights
    # A branch may have moved on since; the record holds the commit.
    revision = weights.rpartition("@")[2] if weights.startswith(HUB) else None
    reference = {"model": arm.expert, "revision": revision, "dtype": score.protocol["dtype"]}
    found = locate(ModelReference.model_validate(reference), FileHashes(runs / HASH_CACHE))
    if found.identity != weights:
        raise ModelError(
            f"{found.name}: the files in {found.folder} are not those this result was made from "
            f"(recorded {weights[:22]}, found {found.identity[:22]}). Put the recorded files back, or run "
            "the recipe again with these."
        )
    return found


def _facts(
    arm: ArmRecord,
    variant: str,
    scores: Sequence[ScoreRecord],
    contents: LedgerContents,
    recipe: Recipe,
    inspector: Inspector,
    adapter: Artifact,
    expert: LocatedModel,
    check: MergeCheck | None,
) -> CardFacts:
    boards = build_boards(contents.arms, contents.scores, contents.recipes)
    weights = next(record for record in adapter.files if record.name == ADAPTER_FILES[1])
    return CardFacts(
        arm=arm,
        variant=variant,
        scores=scores,
        rows=[(board, row) for board in boards for row in board.rows if row.arm_id == arm.arm_id],
        recipe=recipe,
        expert=expert.name,
        dtype=expert.dtype,
        licence=licence_of(expert.folder),
        sources={
            name: {field: value for field, value in found.identity.items() if field != "expert"}
            for name, found in inspector.stages(arm)
            if isinstance(found, Artifact)
        },
        adapter_sha256=weights.sha256,
        merge=check,
    )
