"""Changes of a model's own weights without training: some weights scaled, or a direction taken out of heads.

Shapes: L layers, D hidden, T tokens of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.errors import ModelError, RunError
from lrbench.models.layers import language_layers
from lrbench.models.loading import Model

# The parts of a layer that an edit of heads looks at, as Llama, Qwen, Mistral and their like call them.
PROJECTION, BEHIND_ATTENTION = "self_attn.o_proj", "post_attention_layernorm"


@dataclass(frozen=True)
class Text:
    """Token ids that a model reads, of which those from `begins` on count."""

    ids: tuple[int, ...]
    begins: int = 0


# Weights by what they do on texts


def scale_weights(
    model: Model,
    chosen_by: Sequence[Text],
    spared_by: Sequence[Text],
    *,
    by: float,
    share: float,
    drawn: int | None = None,
) -> tuple[int, int]:
    """Multiply by `by` the weights that matter to the first texts and not to the second ones, in place.

    What a weight matters is |W_ij| * |x_j|, with the norm of the input x_j over all tokens of the texts; the
    `share` of every matrix of a layer with the largest values counts, equals by their place. With a seed in
    `drawn` as many weights of every matrix are chosen by chance instead. Gives how many weights were
    multiplied, and how many there are.
    """
    linear = _linear_layers(model)
    first, second = _input_norms(model, linear, chosen_by), _input_norms(model, linear, spared_by)
    changed = total = 0
    for number, (name, layer) in enumerate(linear.items()):
        size = layer.weight.abs().double()
        chosen = _top(size * first[name], share) & ~_top(size * second[name], share)
        count = int(chosen.sum())
        if drawn is not None:
            chosen = _drawn(chosen, count, drawn, number)
        layer.weight.data = torch.where(chosen, layer.weight.data * by, layer.weight.data)
        changed, total = changed + count, total + chosen.numel()
    return changed, total


def _linear_layers(model: Model) -> dict[str, nn.Linear]:
    """The matrices within the layers by their names, in order; embeddings and output layer are no such."""
    ends = {id(model.get_output_embeddings())}
    found = language_layers("the model", model)
    return {
        name: layer for name, layer in found.items() if isinstance(layer, nn.Linear) and id(layer) not in ends
    }


def _top(values: Tensor, share: float) -> Tensor:
    """True for the `share` of all values that are largest, rounded; of equals the first ones."""
    count = round(share * values.numel())
    order = torch.sort(values.flatten(), descending=True, stable=True).indices[:count]
    chosen = torch.zeros(values.numel(), dtype=torch.bool, device=values.device)
    chosen[order] = True
    return chosen.reshape(values.shape)


def _drawn(chosen: Tensor, count: int, seed: int, number: int) -> Tensor:
    """As many, by chance."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    places = torch.randperm(chosen.numel(), generator=generator)[:count].to(chosen.device)
    found = torch.zeros(chosen.numel(), dtype=torch.bool, device=chosen.device)
    found[places] = True
    return found.reshape(chosen.shape)


def _input_norms(model: Model, linear: dict[str, nn.Linear], texts: Sequence[Text]) -> dict[str, Tensor]:
    """By layer the norm of each of its inputs over all tokens that count."""
    sums: dict[str, Tensor] = {}

    def seen(name: str) -> Callable[[Any, tuple[Tensor, ...]], None]:
        def add(_module: Any, inputs: tuple[Tensor, ...]) -> None:
            squares = inputs[0].detach().double().flatten(0, -2)[begins:].square().sum(0)
            sums[name] = sums[name] + squares if name in sums else squares

        return add

    begins = 0
    with _hooked({layer: seen(name) for name, layer in linear.items()}):
        for text in texts:
            begins = text.begins
            _read(model, text)
    return {name: found.sqrt() for name, found in sums.items()}


# Heads by the direction they write


def project_heads(
    model: Model, short: Sequence[Text], long: Sequence[Text], heads: int
) -> list[tuple[int, int]]:
    """Take out of `heads` attention heads what leads from long texts to short ones, in place.

    The direction of a layer is the mean of what its MLP reads, before its norm, over the tokens of every
    long text less that of every short one. A head's part in it is the mean, over the tokens of the short
    texts, of what it adds to the residual stream along the opposite direction; of those with the largest,
    what they write has no part along the direction any more. Gives (layer, head) of each, largest first.
    Raises `ModelError` where the layers have no such parts.
    """
    layers = _attention_layers(model)
    direction_LD = _mean_residuals(model, layers, long) - _mean_residuals(model, layers, short)
    unit_LD = direction_LD / direction_LD.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    count = model.config.get_text_config().num_attention_heads
    parts_LH = -_head_parts(model, layers, unit_LD, short, count)
    if not 0 < heads <= parts_LH.numel():
        raise RunError(f"{heads} heads are to be edited, and the model has {parts_LH.numel()}")
    order = torch.sort(parts_LH.flatten(), descending=True, stable=True).indices[:heads].tolist()
    chosen = [divmod(place, count) for place in order]
    for layer, head in chosen:
        weight = layers[layer].get_submodule(PROJECTION).weight
        width = weight.shape[1] // count
        columns = slice(head * width, (head + 1) * width)
        unit_D, own = unit_LD[layer], weight.data[:, columns].double()
        weight.data[:, columns] = (own - torch.outer(unit_D, unit_D @ own)).to(weight.dtype)
    return chosen


def _attention_layers(model: Model) -> list[nn.Module]:
    found = getattr(model.base_model, "layers", None)
    layers = list(found) if isinstance(found, nn.ModuleList) else []
    for layer in layers:
        if not hasattr(layer, BEHIND_ATTENTION) or not hasattr(getattr(layer, "self_attn", None), "o_proj"):
            layers = []
            break
    if not layers:
        raise ModelError(
            f"the model has no layers with `{PROJECTION}` and `{BEHIND_ATTENTION}`, of which heads are edited"
        )
    return layers


def _mean_residuals(model: Model, layers: Sequence[nn.Module], texts: Sequence[Text]) -> Tensor:
    """(L, D) the mean over texts of the mean over their tokens of what stands behind the attention."""
    found: list[list[Tensor]] = [[] for _ in layers]

    def seen(number: int) -> Callable[[Any, tuple[Tensor, ...]], None]:
        return lambda _module, inputs: found[number].append(_counted(inputs[0], begins).mean(0))

    begins = 0
    with _hooked(
        {layer.get_submodule(BEHIND_ATTENTION): seen(number) for number, layer in enumerate(layers)}
    ):
        for text in texts:
            begins = text.begins
            _read(model, text)
    return torch.stack([torch.stack(each).mean(0) for each in found])


def _head_parts(
    model: Model, layers: Sequence[nn.Module], unit_LD: Tensor, texts: Sequence[Text], count: int
) -> Tensor:
    """(L, H) what each head adds along its layer's direction, on average over all tokens."""
    sums = torch.zeros(len(layers), count, dtype=torch.float64, device=unit_LD.device)

    def seen(number: int) -> Callable[[Any, tuple[Tensor, ...]], None]:
        projection: Any = layers[number].get_submodule(PROJECTION)

        def add(_module: Any, inputs: tuple[Tensor, ...]) -> None:
            read_TF = _counted(inputs[0], begins)
            along_F = unit_LD[number] @ projection.weight.detach().double()
            sums[number] += (read_TF * along_F).sum(0).reshape(count, -1).sum(-1)

        return add

    begins = tokens = 0
    with _hooked({layer.get_submodule(PROJECTION): seen(number) for number, layer in enumerate(layers)}):
        for text in texts:
            begins = text.begins
            tokens += len(text.ids) - begins
            _read(model, text)
    return sums / max(1, tokens)


def _counted(hidden: Tensor, begins: int) -> Tensor:
    return hidden.detach().double().flatten(0, -2)[begins:]


@torch.no_grad()
def _read(model: Model, text: Text) -> None:
    # One at a time, so that no padding is read.
    model.base_model(input_ids=torch.tensor([text.ids], device=model.device), use_cache=False)


@contextmanager
def _hooked(seen: dict[nn.Module, Callable[[Any, tuple[Tensor, ...]], None]]) -> Iterator[None]:
    handles = [module.register_forward_pre_hook(look) for module, look in seen.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
