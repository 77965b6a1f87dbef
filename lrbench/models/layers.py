"""Which layers of a model an adapter changes: those that read and write text.

A checkpoint that sees or hears as well has layers of the same names in its other parts, which no rollout
reaches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from lrbench.errors import ModelError

# The last linear layer of an MLP, as architectures call it.
CLOSING = ("down_proj", "fc2", "dense_4h_to_h", "fc_out")


def check_target_modules(name: str, model: Any, targets: Sequence[str]) -> None:
    """Raise `ModelError` unless every target of an adapter is the name of linear layers that read text.

    `model` may be without weights; `name` is what the recipe calls it.
    """
    layers = language_layers(name, model)
    linear = sorted({_last(place) for place, layer in layers.items() if isinstance(layer, nn.Linear)})
    for target in targets:
        if target not in linear:
            raise ModelError(
                f"training.lora.target_modules: {name} has no linear layers named {target!r}"
                f"{_instead(target, model, layers)}; it has {', '.join(linear)}"
            )


def adapted_modules(model: Any, targets: Sequence[str]) -> list[str] | str:
    """`targets` as PEFT takes them: a pattern of whole names where parts of the model are to be left out."""
    layers = language_layers("the model", model)
    elsewhere = [place for place, _ in model.named_modules() if place not in layers]
    if not any(_last(place) in targets for place in elsewhere):
        return list(targets)
    return "|".join(re.escape(place) for place in layers if _last(place) in targets)


def closing_layer(name: str, model: Any) -> str:
    """What the last linear layer of every MLP is called, whose output is added to the residual stream.

    Raises `ModelError` where not every layer has just one, as with a mixture of experts.
    """
    layers = language_layers(name, model)
    count = model.config.get_text_config().num_hidden_layers
    for closing in CLOSING:
        found = [layer for place, layer in layers.items() if _last(place) == closing]
        if found and len(found) == count and all(isinstance(layer, nn.Linear) for layer in found):
            return closing
    raise ModelError(
        f"{name}: steering vectors are added to what the last linear layer of every MLP gives, and none of "
        f"{', '.join(CLOSING)} is there once a layer"
    )


def language_layers(name: str, model: Any) -> dict[str, nn.Module]:
    """The modules that read and write text, by their whole names: of a model of text alone, all of them.

    Raises `ModelError` where they cannot be told from the others.
    """
    modules = dict(model.named_modules())
    if model.config.get_text_config() is model.config:
        return modules
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    inside = set(decoder.modules()) if isinstance(decoder, nn.Module) and decoder is not model else set()
    found = {place: module for place, module in modules.items() if module in inside or module is head}
    if not inside or len(found) < 2:
        raise ModelError(f"{name}: its layers that read text cannot be told from those of its other parts")
    return found


def untie(model: Any) -> None:
    """Give the output layer a table of its own where it shares that of the embeddings.

    An adapter of the output layer alone, merged into a shared table, would change the embeddings too.
    """
    head = model.get_output_embeddings()
    head = getattr(head, "base_layer", head)
    if head.weight is not model.get_input_embeddings().weight:
        return
    head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    for config in {id(config): config for config in (model.config, model.config.get_text_config())}.values():
        config.tie_word_embeddings = False


def adapts_output(model: Any) -> bool:
    """Whether an adapter is attached to the output layer itself."""
    return hasattr(model.get_output_embeddings(), "base_layer")


def _instead(target: str, model: Any, layers: dict[str, nn.Module]) -> str:
    """What there is of the name, where there is anything, in brackets."""
    kinds = {type(layer) for place, layer in layers.items() if _last(place) == target}
    if kinds:
        kind = min(kinds, key=lambda kind: kind.__name__)
        known = issubclass(kind, nn.Embedding) or kind.__name__ == "Conv1D"
        why = "which adapters here do not change" if known else "which is no single layer"
        return f" (there it is {kind.__name__}, {why})"
    elsewhere = any(_last(place) == target for place, _ in model.named_modules())
    return " that read text (its other parts have some)" if elsewhere else ""


def _last(place: str) -> str:
    return place.rpartition(".")[2]
