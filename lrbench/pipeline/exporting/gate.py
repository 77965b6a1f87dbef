"""The gate of an export: does the model as it was written compute what expert and adapter compute?

Both are run over real prompts and completions, those of the result's own evaluation, and their logits
are compared position by position. The reference is the expert with its adapter in float32.

In float32 a merge changes nothing but the order of additions, so the bound is absolute and every merge
has to keep to it before it is cast. A cast to fewer bits changes every model it is done to; how much is
measured on the expert alone, and the model as written may lose no more than `CAST_FACTOR` times that.
That bound says nothing where an adapter changes less than a cast does, so the weights as written also
have to be, bit for bit, those that were in memory.

Shapes: N positions, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lrbench.errors import ModelError, RunError
from lrbench.models.loading import Model, Tokenizer, choose_device, load_model, load_tokenizer
from lrbench.models.prompt import render_prompt
from lrbench.models.source import locate
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes

ITEMS = 32
POSITIONS_PER_ITEM = 16
LONGEST_PROBE = 512

FLOAT32_DIFFERENCE = 1e-3
FLOAT32_TOP1 = 0.998
CAST_FACTOR = 3.0
CAST_TOP1_SLACK = 0.02
# On few positions that share is less than what near ties alone decide, in other ways on other processors.
CAST_TOP1_POSITIONS = 4

REFUSED = "nothing was published: the merged model"
ADAPTER_ALONE = "Leave out --merge: the adapter beside its expert computes exactly what was measured."
WIDER = f"Use --dtype float32, which needs no cast. Where that is refused too: {ADAPTER_ALONE}"


@dataclass(frozen=True)
class Probe:
    """Token ids of a prompt and its completion, and the positions at which logits are compared."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Agreement:
    """How close two models are: the largest difference of any logit, and the share of equal top-1 tokens."""

    difference: float
    top1: float
    positions: int


@dataclass(frozen=True)
class Bounds:
    """What an export has to keep to: at most `difference`, at least `top1`."""

    difference: float
    top1: float

    def allow(self, found: Agreement) -> bool:
        """Whether `found` is within the bounds; NaN never is."""
        return found.difference <= self.difference and found.top1 >= self.top1


FLOAT32_BOUNDS = Bounds(FLOAT32_DIFFERENCE, FLOAT32_TOP1)


@dataclass(frozen=True)
class Yardstick:
    """What a written model is measured with.

    `items` are graded items, `probes` the same as the expert's tokenizer reads them, `expected` the
    logits (N, V) of expert and adapter there. `weights` are the hashes of the merged weights by their
    names, cast from float32. `expert_cast` is what the cast alone costs the expert, None where there is
    no cast.
    """

    items: Sequence[Mapping[str, Any]]
    system_prompt: str | None
    longest: int
    probes: Sequence[Probe]
    expected: Tensor
    weights: Mapping[str, str]
    expert_cast: Agreement | None

    @property
    def bounds(self) -> Bounds:
        """What a written model has to keep to."""
        if self.expert_cast is None:
            return FLOAT32_BOUNDS
        slack = max(CAST_TOP1_SLACK, CAST_TOP1_POSITIONS / self.expert_cast.positions)
        return Bounds(
            max(CAST_FACTOR * self.expert_cast.difference, FLOAT32_DIFFERENCE), self.expert_cast.top1 - slack
        )


def choose_items(benchmarks: Sequence[Iterable[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """The first items of every benchmark in turn, `ITEMS` of them."""
    in_turn = (item for row in zip_longest(*benchmarks) for item in row if item is not None)
    return list(islice(in_turn, ITEMS))


def build_probes(
    tokenizer: Tokenizer, items: Iterable[Mapping[str, Any]], system_prompt: str | None, longest: int
) -> list[Probe]:
    """Graded items as probes of at most `longest` tokens, compared at places spread over the completion."""
    longest = min(longest, LONGEST_PROBE)
    probes = []
    for item in items:
        prompt = render_prompt(tokenizer, item["problem"], system_prompt)
        ids = [*prompt, *tokenizer.encode(item["completion"], add_special_tokens=False)][:longest]
        first = min(len(prompt), len(ids)) - 1
        count = min(POSITIONS_PER_ITEM, len(ids) - first)
        spread = {first + index * (len(ids) - 1 - first) // max(count - 1, 1) for index in range(count)}
        probes.append(Probe(tuple(ids), tuple(sorted(spread))))
    return probes


@torch.no_grad()
def probe_logits(model: Model, probes: Iterable[Probe]) -> Tensor:
    """The model's logits (N, V) at every position of the probes, in float32 on the CPU."""
    parts = []
    for probe in probes:
        ids_BT = torch.tensor([probe.ids], device=model.device)
        logits_TV = model(input_ids=ids_BT, use_cache=False).logits[0]
        parts.append(logits_TV[list(probe.positions)].float().cpu())
    return torch.cat(parts)


def compare_logits(reference_NV: Tensor, found_NV: Tensor) -> Agreement:
    """How close `found_NV` is to `reference_NV`."""
    if reference_NV.shape != found_NV.shape:
        raise RunError(f"the model has {found_NV.shape[1]} output rows instead of {reference_NV.shape[1]}")
    return Agreement(
        difference=float((reference_NV - found_NV).abs().max()),
        top1=float((reference_NV.argmax(-1) == found_NV.argmax(-1)).float().mean()),
        positions=len(reference_NV),
    )


def check_written(folder: Path, dtype: str, yardstick: Yardstick) -> Agreement:
    """How close the model in `folder` is to the yardstick, once read back from the disk.

    Raises `RunError`, which says by how much, where that is too far; also where its tokenizer reads the
    items as other tokens, its weights are not the merged ones, or the model does not load.
    """
    try:
        written = locate(ModelReference.model_validate({"model": str(folder), "dtype": dtype}), FileHashes())
        tokenizer = load_tokenizer(written)
        if build_probes(tokenizer, yardstick.items, yardstick.system_prompt, yardstick.longest) != [
            *yardstick.probes
        ]:
            raise RunError(f"{REFUSED} as written reads prompts as other tokens than the expert")
        model = load_model(written, choose_device("auto"))
        found_NV = probe_logits(model, yardstick.probes)
    except ModelError as error:
        raise RunError(f"{REFUSED} as written does not load: {error}") from error
    found = compare_logits(yardstick.expected, found_NV)
    require(found, yardstick.bounds, "as written", WIDER if yardstick.expert_cast else ADAPTER_ALONE)
    require_weights(weight_hashes(model), yardstick.weights)
    return found


def weight_hashes(model: Model) -> dict[str, str]:
    """The hash of dtype, shape and every bit of each weight, by its name."""
    return {name: _hash_of(weight) for name, weight in model.state_dict().items()}


def require_weights(found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Raise `RunError`, which names a weight, unless the weights as read are those that were written."""
    differing = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    if differing:
        raise RunError(
            f"{REFUSED} as written does not hold the merged weights: {len(differing)} of {len(expected)} are "
            f"others, the first is {differing[0]}. Export again; if that does not help, the disk is at fault."
        )


def _hash_of(weight: Tensor) -> str:
    content = weight.detach().cpu().contiguous()
    told = f"{content.dtype} {tuple(content.shape)} ".encode()
    return hashlib.sha256(told + content.flatten().view(torch.uint8).numpy().tobytes()).hexdigest()


def require(found: Agreement, bounds: Bounds, state: str, advice: str) -> None:
    """Raise `RunError`, which says by how much, unless `found` is within `bounds`.

    `state` says of what, and `advice` what a user can do then.
    """
    if not bounds.allow(found):
        raise RunError(
            f"{REFUSED} {state} is not expert and adapter: its logits differ by up to {found.difference:.3g} "
            f"(allowed {bounds.difference:.3g}) and its likeliest token is the same at {found.top1:.2%} of "
            f"{found.positions} positions (needed {bounds.top1:.2%}). {advice}"
        )
