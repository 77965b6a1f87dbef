"""Weights that are scaled and heads that are projected: only those, and nothing where nothing is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lrbench.errors import ModelError, RunError
from lrbench.models.editing import PROJECTION, Text, project_heads, scale_weights

RANDOM = torch.Generator().manual_seed(3)


def texts(count: int, length: int) -> list[Text]:
    rows = torch.randint(8, 61, (count, length), generator=RANDOM).tolist()
    return [Text(tuple(row), 2) for row in rows]


SHORT, LONG, OTHER = texts(4, 6), texts(4, 14), texts(5, 9)
HEADS = 2


@pytest.fixture
def model(tiny_model: Callable[..., Any]) -> Any:
    return tiny_model(seed=2)


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def differing(model: Any, before: dict[str, torch.Tensor]) -> dict[str, int]:
    """How many numbers of each tensor are others than before, where any are."""
    counts = {name: int((tensor != before[name]).sum()) for name, tensor in model.state_dict().items()}
    return {name: count for name, count in counts.items() if count}


def test_identity_28_factor_1_and_equal_sets_leave_every_weight(model: Any) -> None:
    before = weights(model)
    changed, _ = scale_weights(model, LONG, OTHER, by=1.0, share=0.05)
    assert changed > 0
    assert scale_weights(model, LONG, LONG, by=1.3, share=0.05)[0] == 0
    assert differing(model, before) == {}


def test_what_matters_for_one_set_and_not_for_the_other_is_multiplied(model: Any) -> None:
    """Against a set whose texts are the same but for their order of magnitude nothing would be left."""
    before = weights(model)
    changed, total = scale_weights(model, LONG, OTHER, by=2.0, share=0.02)
    found = differing(model, before)
    assert sum(found.values()) == changed
    assert 0 < changed < 0.02 * total
    assert all("proj" in name for name in found)
    for name in found:
        after, was = model.state_dict()[name], before[name]
        moved = after != was
        assert torch.equal(after[moved], was[moved] * 2.0)


def test_what_matters_is_weight_times_input(model: Any) -> None:
    """The first matrix of the model, worked out beside."""
    layer = model.model.layers[0].self_attn.q_proj
    before = layer.weight.detach().clone()
    kept: list[torch.Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _module, inputs: kept.append(inputs[0][0]))
    norms = []
    for chosen in (LONG, OTHER):
        kept.clear()
        with torch.no_grad():
            for text in chosen:
                model(input_ids=torch.tensor([text.ids]))
        rows = torch.cat([each[2:] for each in kept]).double()
        norms.append(rows.square().sum(0).sqrt())
    hook.remove()
    count = round(0.1 * before.numel())

    def top(norm: torch.Tensor) -> set[int]:
        return set((before.abs().double() * norm).flatten().topk(count).indices.tolist())

    scale_weights(model, LONG, OTHER, by=3.0, share=0.1)
    moved = (layer.weight != before).flatten().nonzero().flatten().tolist()
    assert set(moved) == top(norms[0]) - top(norms[1])


def test_as_many_weights_are_drawn_as_are_chosen(model: Any, tiny_model: Callable[..., Any]) -> None:
    before = weights(model)
    scale_weights(model, LONG, OTHER, by=2.0, share=0.05)
    chosen = differing(model, before)
    found = []
    for seed in (0, 0, 1):
        other = tiny_model(seed=2)
        scale_weights(other, LONG, OTHER, by=2.0, share=0.05, drawn=seed)
        assert differing(other, before) == chosen
        found.append(weights(other))
    name = next(iter(chosen))
    assert torch.equal(found[0][name], found[1][name])
    assert not torch.equal(found[0][name], found[2][name])
    assert not torch.equal(found[0][name], model.state_dict()[name])


def test_identity_29_edited_heads_write_nothing_along_the_direction_and_others_are_the_same(
    model: Any,
) -> None:
    before = weights(model)
    means = []
    for chosen in (LONG, SHORT):
        each = []
        for text in chosen:
            seen: list[torch.Tensor] = []
            hooks = [
                layer.post_attention_layernorm.register_forward_pre_hook(
                    lambda _module, inputs, seen=seen: seen.append(inputs[0][0, 2:].double().mean(0))
                )
                for layer in model.model.layers
            ]
            with torch.no_grad():
                model(input_ids=torch.tensor([text.ids]))
            for hook in hooks:
                hook.remove()
            each.append(torch.stack(seen))
        means.append(torch.stack(each).mean(0))
    direction = means[0] - means[1]
    edited = project_heads(model, SHORT, LONG, 3)
    assert len(set(edited)) == 3
    width = model.config.hidden_size // HEADS
    for number, layer in enumerate(model.model.layers):
        weight = layer.get_submodule(PROJECTION).weight
        was = before[f"model.layers.{number}.{PROJECTION}.weight"]
        for head in range(HEADS):
            columns = slice(head * width, (head + 1) * width)
            if (number, head) in edited:
                along = direction[number] / direction[number].norm() @ weight[:, columns].double()
                assert along.abs().max() < 1e-6
                assert not torch.equal(weight[:, columns], was[:, columns])
            else:
                assert torch.equal(weight[:, columns], was[:, columns])
    assert all(PROJECTION in name for name in differing(model, before))


def test_a_model_without_such_heads_is_refused(model: Any) -> None:
    with pytest.raises(RunError, match="99 heads are to be edited, and the model has 4"):
        project_heads(model, SHORT, LONG, 99)
    del model.model.layers[1].post_attention_layernorm
    with pytest.raises(ModelError, match=r"no layers with `self_attn\.o_proj` and"):
        project_heads(model, SHORT, LONG, 1)
