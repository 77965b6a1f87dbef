"""What an arm holds in memory while it answers: computed from configurations, the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping

from lrbench.methods.answers import OWN
from lrbench.methods.component import EXPERT
from lrbench.models.source import LocatedModel, placed
from lrbench.pipeline.estimating.shapes import DTYPE_BYTES, shape_of, stored_bytes
from lrbench.pipeline.stages.answering import AnsweredBy
from lrbench.pipeline.stages.deriving import DerivedAmateur
from lrbench.pipeline.stages.editing import EditedModel
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.results.records import Memory
from lrbench.store.artifact import Artifact


def footprint(
    expert: LocatedModel,
    adapter: TrainedAdapter | None,
    answered_by: AnsweredBy,
    artifacts: Mapping[str, Artifact],
) -> Memory | None:
    """What the models that are read for an answer hold; None where a configuration does not say.

    `expert` with `adapter` is the arm's own model. A model with two adapters is two models, as it is loaded
    twice; the arm's own without any is the expert. All layers count as keeping every token.
    """
    held: dict[tuple[LocatedModel, str | None], TrainedAdapter | None] = {}
    made: EditedModel | DerivedAmateur | None
    for name in answered_by.answer.models:
        if name == OWN or (name == EXPERT and adapter is None and answered_by.edited is None):
            model, own, made = expert, adapter, answered_by.edited
        else:
            reader = next(each for each in answered_by.readers if each.name == name)
            model, own, made = reader.model, reader.adapter, reader.made_by
        if made is not None:
            if made.key not in artifacts:
                return None
            model = placed(model, artifacts[made.key].directory)
        held[model, None if own is None else own.key] = own
    # In turns models write one after the other; the drafts of a vote are under way together.
    drafts = 1 if answered_by.answer.in_turns else answered_by.answer.samples
    weights, cache = 0, 0
    for (model, _), own in held.items():
        shape = shape_of(model)
        if shape is None:
            return None
        number = DTYPE_BYTES[model.dtype]
        weights += shape.parameters * number
        cache += drafts * 2 * shape.layers * shape.key_values * number
        if own is not None:
            if own.key not in artifacts:
                return None
            weights += sum(map(stored_bytes, artifacts[own.key].directory.glob("*.safetensors")))
    return Memory(weights=weights, cache_per_token=cache)
