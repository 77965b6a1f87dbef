"""A smaller model out of a larger one: its first layers, with everything before and after them."""

from __future__ import annotations

import copy

import torch

from lrbench.errors import ModelError
from lrbench.models.loading import Model, empty_model
from lrbench.models.source import LocatedModel


def derivable_layers(model: LocatedModel) -> int:
    """How many layers `model` has, fewer of which make a smaller model.

    Builds the architecture without its weights. Raises `ModelError` where it has no list of layers.
    """
    found = getattr(empty_model(model).base_model, "layers", None)
    if not isinstance(found, torch.nn.ModuleList):
        raise ModelError(
            f"pair.amateur.derive: {model.name} keeps its layers in no list `model.layers`, so none can be "
            "left out; name an amateur by pair.amateur.model instead"
        )
    return len(found)


def keep_layers(model: Model, layers: int) -> Model:
    """A copy of `model` in float32 with its first `layers` layers.

    Embeddings, final norm and output layer are the model's own, whose memory nothing here shares.
    """
    body = model.base_model
    whole = body.layers
    body.layers = whole[:layers]
    try:
        kept = copy.deepcopy(model).float()
    finally:
        body.layers = whole
    config = kept.config.get_text_config()
    for name, value in vars(config).items():
        # What a config says layer by layer, such as which attention each has.
        if isinstance(value, list) and len(value) == len(whole):
            setattr(config, name, value[:layers])
    config.num_hidden_layers = layers
    return kept


def learning_weights(model: Model) -> dict[str, torch.nn.Parameter]:
    """The weights of the layers and the final norm by name; what turns tokens into vectors and back is left.

    Gradients are switched on for these and off for all others.
    """
    model.requires_grad_(False)
    model.base_model.requires_grad_(True)
    for ends in (model.get_input_embeddings(), model.get_output_embeddings()):
        ends.requires_grad_(False)
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
